//! Archived packs: the plan in words, and what a command does before it reads them.
//! Spec: `thaw.md`.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::args::ThawingArgs;
use super::config::Config;
use super::report::table::{Side, Table};
use super::report::{Ending, Failure, say, words};
use super::session::Session;
use crate::base::{Code, Coded};
use crate::ops;
use crate::ops::thaw::prices::Micros;
use crate::ops::thaw::{
    Need, Pack, Sleeper, Thaw, ThawError, ThawPlan, TierPlan, Until, WaitingStore,
};
use crate::store::Store;
use crate::vault::Auditor;
use crate::vault::state::StateDir;

/// Which packs must be there before a command begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// All of them.
    WithAll,
    /// Any: it reads the others as they become ready.
    WithAny,
}

/// What to read a vault through.
pub enum Readied {
    /// Its own store.
    Own,
    /// A store that waits for what is not ready, or not any more.
    Through(Arc<dyn Store>),
    /// Nothing: the plan was shown, and the command ends so.
    Ended(Ending),
}

/// What is said beside a plan.
pub struct Note {
    /// A line of text.
    pub words: String,
    /// The same with `--json`, as `sample`.
    pub object: serde_json::Value,
}

/// Gets packs ready, as far as the options say; else shows the plan.
///
/// # Errors
/// If the store does not answer, refuses, or something is wrong with the tier.
pub fn ready(
    session: &Session,
    args: &ThawingArgs,
    auditor: &Auditor,
    begin: Begin,
    need: impl FnOnce() -> Result<Need, ops::Error>,
) -> Result<Readied, Failure> {
    ready_noting(session, args, auditor, begin, None, need)
}

/// As [`ready`], and says something beside the plan if the command ends with it.
///
/// # Errors
/// As [`ready`].
pub fn ready_noting(
    session: &Session,
    args: &ThawingArgs,
    auditor: &Auditor,
    begin: Begin,
    note: Option<&Note>,
    need: impl FnOnce() -> Result<Need, ops::Error>,
) -> Result<Readied, Failure> {
    if !auditor.store().has_classes() {
        return Ok(Readied::Own);
    }
    let (need, thaw) = (need()?, thaw_of(session, args, auditor)?);
    let packs = thaw.survey(&need)?;
    if !args.wait && args.thaw.is_none() && !packs.iter().any(Pack::is_cold) {
        return Ok(Readied::Own);
    }
    match stand(&thaw, &need, args.wait, begin) {
        Ok(()) if args.wait => Ok(Readied::Through(Arc::new(WaitingStore::new(thaw, need)))),
        Ok(()) => Ok(Readied::Own),
        Err(error @ ops::Error::Thaw(ThawError::Archived { .. } | ThawError::Waiting { .. })) => {
            let packs = thaw.survey(&need)?;
            show_instead(session, &thaw.plan(&packs), &error.into(), note)?;
            Ok(Readied::Ended(Ending::Frozen))
        }
        Err(error) => Err(error.into()),
    }
}

/// Asks for what may be asked for, and waits if that is wanted.
fn stand(thaw: &Thaw, need: &Need, wait: bool, begin: Begin) -> Result<(), ops::Error> {
    let packs = thaw.ask(need)?;
    match (wait, begin) {
        (false, _) => thaw.check(&packs),
        (true, Begin::WithAny) => Ok(()),
        (true, Begin::WithAll) => thaw.wait(need, Until::All).map(drop),
    }
}

/// Says the plan and why nothing else was done: to standard error, or as one JSON object.
fn show_instead(
    session: &Session,
    plan: &ThawPlan,
    failure: &Failure,
    note: Option<&Note>,
) -> Result<(), Failure> {
    if session.report.is_json() {
        let mut object = json!({ "error": failure.to_json(), "plan": plan });
        if let Some(note) = note {
            object["sample"] = note.object.clone();
        }
        return session.report.data(format!("{object}\n").as_bytes());
    }
    say(&text_of(plan));
    note.iter().for_each(|note| say(&note.words));
    session.report.failure(failure);
    Ok(())
}

/// Puts together what a thaw takes: prices of the config, and a place for the list of requests.
///
/// # Errors
/// If there is a config and it is wrong.
pub fn thaw_of(session: &Session, args: &ThawingArgs, auditor: &Auditor) -> Result<Thaw, Failure> {
    let config = match session.config() {
        Ok(config) => Some(config),
        Err(error) if error.code() == Code::ConfigMissing => None,
        Err(error) => return Err(error.into()),
    };
    Ok(Thaw {
        store: Arc::clone(auditor.store()),
        tier: args.thaw.map(Into::into),
        days: args.days,
        lists: lists_of(config.as_ref(), auditor),
        prices: config.map(|config| config.prices).unwrap_or_default(),
        clock: Arc::clone(&session.clock),
        waiter: Arc::new(Sleeper),
        observer: session.progress.clone(),
    })
}

/// Returns where the lists of requests are: with the vault's state, if this is its host.
fn lists_of(config: Option<&Config>, auditor: &Auditor) -> Option<PathBuf> {
    let vault = auditor.vault();
    let is_host = |config: &&Config| {
        let state = StateDir::new(&config.state_dir, &auditor.note().name);
        state.anchor().is_ok_and(|anchor| anchor.vault == vault)
    };
    if let Some(config) = config.filter(is_host) {
        return Some(config.state_dir.join(&auditor.note().name).join("thaws"));
    }
    let dir_in = |name| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let cache = dir_in("XDG_CACHE_HOME").or_else(|| Some(dir_in("HOME")?.join(".cache")));
    Some(cache?.join("idswyft-vault").join(vault.to_string()).join("thaws"))
}

/// Returns a plan in words.
pub fn text_of(plan: &ThawPlan) -> String {
    if plan.packs.is_empty() {
        return format!("nothing to thaw: what is needed from store {} can be read\n", plan.store);
    }
    let mut text = format!(
        "needed from store {}: {} of {}\n",
        plan.store,
        words::count(plan.needed.pack_count, "pack"),
        words::bytes(plan.needed.len),
    );
    let right = |name| (name, Side::Right);
    let mut classes = Table::new(&[
        ("CLASS", Side::Left),
        right("SIZE"),
        right("READY"),
        right("UNDER WAY"),
        right("FROZEN"),
    ]);
    for class in &plan.classes {
        classes.row([
            class.class.to_string(),
            words::bytes(class.ready.len + class.under_way.len + class.frozen.len),
            words::number(class.ready.pack_count),
            words::number(class.under_way.pack_count),
            words::number(class.frozen.pack_count),
        ]);
    }
    text.push_str(&classes.to_string());
    if plan.missing_count > 0 {
        let count = words::count(plan.missing_count, "pack");
        text.push_str(&format!("{count} not there: run `verify`\n"));
    }
    if !plan.tiers.is_empty() {
        text.push_str(&tiers_text(plan));
    }
    for class in &plan.classes {
        let none = Micros::default();
        if let Some(fee) = class.read_micros.filter(|fee| *fee > none) {
            let (price, class) = (money(fee, plan), class.class);
            text.push_str(&format!("reading what is ready in {class} costs {price}\n"));
        }
        if let (Some(fee), Some(days)) =
            (class.young_micros.filter(|fee| *fee > none), class.days_min)
        {
            text.push_str(&format!(
                "{} in {} younger than {days} days: deleting them now would cost {}; reading \
                 deletes nothing\n",
                words::count(class.young.pack_count, "pack"),
                class.class,
                money(fee, plan),
            ));
        }
    }
    text
}

fn money(amount: Micros, plan: &ThawPlan) -> String {
    format!("{amount} {}", plan.currency)
}

fn tiers_text(plan: &ThawPlan) -> String {
    let mut tiers = Table::new(&[
        ("TIER", Side::Left),
        ("WITHIN", Side::Right),
        ("RETRIEVAL", Side::Right),
        ("REQUESTS", Side::Right),
        ("COPIES", Side::Right),
        ("EGRESS", Side::Right),
        (&format!("TOTAL {}", plan.currency), Side::Right),
    ]);
    for TierPlan { tier, minutes, price } in &plan.tiers {
        let shown = |amount: fn(&ops::thaw::TierCost) -> Micros| {
            price.as_ref().map_or("unknown".to_owned(), |price| amount(price).to_string())
        };
        tiers.row([
            tier.name().to_owned(),
            words::duration(u64::from(*minutes) * 60_000),
            shown(|price| price.retrieval_micros),
            shown(|price| price.requests_micros),
            shown(|price| price.copies_micros),
            shown(|price| price.egress_micros),
            shown(|price| price.total_micros),
        ]);
    }
    format!(
        "\nTo thaw {} of {}, copies kept for {}:\n{tiers}prices: {}; egress only if it leaves the \
         provider's network\n",
        words::count(plan.frozen.pack_count, "pack"),
        words::bytes(plan.frozen.len),
        words::count(u64::from(plan.days), "day"),
        plan.prices,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::thaw::{Amount, ClassPlan, PlannedPack, TierCost};
    use crate::store::{StorageClass, ThawTier};

    fn plan_of(tiers: Vec<TierPlan>) -> ThawPlan {
        let class = StorageClass::DeepArchive;
        let amount = |pack_count, len| Amount { pack_count, len };
        let (ready, frozen) = (amount(1, 32 << 20), amount(2, 64 << 20));
        let pack = PlannedPack { key: "packs/00/00".into(), class, len: 1, state: "frozen" };
        ThawPlan {
            store: "glacier".into(),
            needed: amount(3, 96 << 20),
            ready,
            under_way: Amount::default(),
            frozen,
            missing_count: 0,
            classes: vec![ClassPlan {
                class,
                ready,
                under_way: Amount::default(),
                frozen,
                read_micros: Some(Micros(0)),
                days_min: Some(180),
                young: amount(3, 96 << 20),
                young_micros: Some(Micros(523)),
            }],
            tiers,
            days: 7,
            currency: "USD".into(),
            prices: "a list of 2026-06".into(),
            packs: vec![pack],
        }
    }

    #[test]
    fn a_plan_says_what_is_frozen_and_what_each_tier_costs_and_takes() {
        let cost = TierCost {
            retrieval_micros: Micros(157),
            requests_micros: Micros(50),
            copies_micros: Micros(336),
            egress_micros: Micros(8438),
            total_micros: Micros(8981),
        };
        let bulk = TierPlan { tier: ThawTier::Bulk, minutes: 2880, price: Some(cost) };
        let standard = TierPlan { tier: ThawTier::Standard, minutes: 720, price: None };
        let expected = "\
needed from store glacier: 3 packs of 96.0 MiB
CLASS             SIZE  READY  UNDER WAY  FROZEN
DEEP_ARCHIVE  96.0 MiB      1          0       2

To thaw 2 packs of 64.0 MiB, copies kept for 7 days:
TIER          WITHIN  RETRIEVAL  REQUESTS    COPIES    EGRESS  TOTAL USD
bulk      48 h 0 min   0.000157   0.00005  0.000336  0.008438   0.008981
standard  12 h 0 min    unknown   unknown   unknown   unknown    unknown
prices: a list of 2026-06; egress only if it leaves the provider's network
3 packs in DEEP_ARCHIVE younger than 180 days: deleting them now would cost 0.000523 USD; \
reading deletes nothing
";
        assert_eq!(text_of(&plan_of(vec![bulk, standard])), expected);
        let object = json!(plan_of(Vec::new()));
        assert_eq!(object["classes"][0]["class"], "DEEP_ARCHIVE");
        assert_eq!(object["classes"][0]["young_micros"], 523);
        assert!(!text_of(&plan_of(Vec::new())).contains("TIER"));
    }

    #[test]
    fn what_can_be_read_needs_no_plan() {
        let plan = ThawPlan { packs: Vec::new(), ..plan_of(Vec::new()) };
        let expected = "nothing to thaw: what is needed from store glacier can be read\n";
        assert_eq!(text_of(&plan), expected);
    }
}
