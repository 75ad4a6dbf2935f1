//! A prune of one vault, and what came of it, in words and as JSON.

use serde_json::{Map, Value, json};

use super::report::table::{Side, Table};
use super::report::{Failure, words};
use super::retention::Open;
use super::session::Session;
use crate::base::{Code, Coded};
use crate::ops::prune::{self, Amount, OwnHost, PrunePlan, PruneRequest, Pruned, Stays, StorePlan};
use crate::ops::retain::Scribe;
use crate::policy::Acceptance;

/// On what terms a vault is pruned.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// What is accepted though a guard would stop it.
    pub accepted: Vec<Acceptance>,
    /// Whether what is paid for anyway goes too.
    pub is_early: bool,
}

/// What came of one vault.
pub struct PruneOutcome {
    /// The vault's name.
    pub vault: String,
    /// The plan.
    pub plan: PrunePlan,
    /// What was done, if anything was to be done.
    pub pruned: Option<Pruned>,
    /// In which currency prices are, and from where.
    prices: (String, String),
}

/// Plans, and does it if there is somebody who may record it.
///
/// # Errors
/// If a store does not answer, or a guard strikes; then nothing was deleted.
pub fn prune(open: &mut Open, terms: &Terms, session: &Session) -> Result<PruneOutcome, Failure> {
    let prices = match session.config() {
        Ok(config) => config.prices,
        Err(error) if error.code() == Code::ConfigMissing => Default::default(),
        Err(error) => return Err(error.into()),
    };
    let own = match &open.scribe {
        Some(Scribe::Host(writer)) => Some(OwnHost::of(writer)?),
        Some(Scribe::Own(_)) | None => None,
    };
    let (scratch, observer) = (std::env::temp_dir(), session.progress.as_ref());
    let request = PruneRequest {
        survey: &open.survey,
        own: own.as_ref(),
        prices: &prices,
        is_early: terms.is_early,
        scratch: &scratch,
        now: session.clock.now(),
    };
    let plan = prune::plan(&request, observer)?;
    let pruned = match &mut open.scribe {
        Some(scribe) => Some(prune::apply(&request, &plan, scribe, &terms.accepted, observer)?),
        None => None,
    };
    let vault = open.survey.note().name.clone();
    Ok(PruneOutcome { vault, plan, pruned, prices: (prices.currency, prices.source) })
}

impl PruneOutcome {
    /// Returns it for `--json`.
    pub fn to_json(&self) -> Value {
        let guards = self.plan.guards.iter();
        let guards = guards
            .map(|guard| json!({ "flag": guard.acceptance().flag(), "text": guard.to_string() }));
        let stores = self.plan.stores.iter().map(|store| self.store_json(store));
        json!({
            "vault": self.vault,
            "stores": stores.collect::<Vec<_>>(),
            "guards": guards.collect::<Vec<_>>(),
            "currency": self.prices.0,
            "applied": self.pruned.as_ref().map(pruned_json),
        })
    }

    fn store_json(&self, store: &StorePlan) -> Value {
        let stays: Map<String, Value> = store
            .stays
            .iter()
            .map(|(name, stays)| ((*name).to_owned(), stays_json(stays)))
            .collect();
        json!({
            "store": store.store,
            "goes": store.goes,
            "unfinished": store.unfinished,
            "stays": stays,
            "charge": store.charge.to_string(),
        })
    }

    /// Returns it for people.
    pub fn to_text(&self) -> String {
        let columns = [
            ("store", Side::Left),
            ("objects", Side::Right),
            ("bytes", Side::Right),
            ("what", Side::Left),
        ];
        let mut table = Table::new(&columns);
        for store in &self.plan.stores {
            let mut row = |amount: &Amount, what: String| {
                let count = words::number(amount.object_count);
                table.row([store.store.clone(), count, words::bytes(amount.stored_len), what]);
            };
            row(&store.goes, "go".to_owned());
            for (name, stays) in &store.stays {
                row(&stays.amount, self.why(name, stays, store));
            }
        }
        let head = format!("vault {}\n{table}", words::printable(&self.vault));
        format!("{head}{}", self.end())
    }

    fn why(&self, name: &str, stays: &Stays, store: &StorePlan) -> String {
        let day = |at: Option<jiff::Timestamp>| {
            at.map(|at| at.to_string().chars().take(10).collect()).unwrap_or_default()
        };
        let (first, last): (String, String) = (day(stays.first), day(stays.last));
        match name {
            "needed" => "stay: snapshots need them".to_owned(),
            "named" => format!("stay until {last}: a snapshot may still lean on them"),
            "fresh" => format!("stay until {last}: too new to tell whether a run needs them"),
            "locked" => format!("stay until {last}: the store locks them"),
            _ => format!(
                "stay until {first} to {last}: paid for anyway, now for {} {} ({})",
                store.charge, self.prices.0, self.prices.1
            ),
        }
    }

    /// Returns what to say of it in a word, after something else.
    pub fn to_line(&self) -> String {
        if self.plan.goes() {
            return self.end();
        }
        let stays = self.plan.stores.iter().flat_map(|store| store.stays.values());
        match stays.filter_map(|stays| stays.first).min() {
            Some(first) => format!("nothing to prune before {}\n", words::time(first)),
            None => "nothing to prune\n".to_owned(),
        }
    }

    fn end(&self) -> String {
        let Some(pruned) = &self.pruned else {
            return "nothing was changed\n".to_owned();
        };
        if !pruned.waiting.is_empty() {
            let stores = pruned.waiting.join(", ");
            return format!("recorded, and nothing deleted: waits for {stores}\n");
        }
        let mut text = String::new();
        for swept in &pruned.swept {
            let objects = words::count(swept.deleted.object_count, "object");
            let len = words::bytes(swept.deleted.stored_len);
            text.push_str(&format!("deleted {objects}, {len}, in store {}\n", swept.store));
        }
        if text.is_empty() {
            text.push_str("nothing goes\n");
        }
        text
    }
}

fn stays_json(stays: &Stays) -> Value {
    let text = |at: Option<jiff::Timestamp>| at.map(|at| at.to_string());
    json!({
        "object_count": stays.amount.object_count,
        "stored_len": stays.amount.stored_len,
        "first": text(stays.first),
        "last": text(stays.last),
    })
}

fn pruned_json(pruned: &Pruned) -> Value {
    let swept = pruned.swept.iter().map(|swept| {
        json!({ "store": swept.store, "deleted": swept.deleted, "left_count": swept.left_count })
    });
    json!({ "stores": swept.collect::<Vec<_>>(), "waiting": pruned.waiting })
}
