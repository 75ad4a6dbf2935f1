//! `store`: what the stores of the config are, and what they really do.

use serde_json::{Value, json};

use crate::base::{Code, Event, Observer};
use crate::cli::access;
use crate::cli::args::{StoreArgs, StoreCommand, UsageError};
use crate::cli::config::{Config, StoreConfig, VaultConfig};
use crate::cli::receipts;
use crate::cli::report::table::{Side, Table};
use crate::cli::report::{Ending, Failure, words};
use crate::cli::session::Session;
use crate::format::ObjectKey;
use crate::ops::probing;
use crate::store::LockMode;
use crate::store::probe::{Capability, Probe, Shortfall, Verdict, Weight};
use crate::vault::standing::Standing;
use crate::vault::state::StateDir;

/// Lists or checks the stores.
///
/// # Errors
/// If the config is wrong, or a store that is checked does not answer.
pub fn run(args: &StoreArgs, session: &Session) -> Result<Ending, Failure> {
    match &args.command {
        StoreCommand::List => list(session),
        StoreCommand::Check { names } => check(names, session),
        StoreCommand::Receipts { store, out } => receipts::hand_out(store, out, session),
    }
}

/// A line of the list.
struct Line {
    vault: String,
    store: StoreConfig,
    waiting: Option<(u64, u64)>,
    last: Option<jiff::Timestamp>,
    probe: Option<Probe>,
}

fn list(session: &Session) -> Result<Ending, Failure> {
    let config = session.config()?;
    let mut lines = Vec::new();
    for vault in config.select(session.global.vault.as_deref())? {
        lines.extend(lines_of(&config, vault)?);
    }
    let stores: Vec<Value> = lines.iter().map(object_of).collect();
    let warnings = session.progress.warnings();
    session.report.result(json!({ "stores": stores }), &warnings, || text_of(&lines))?;
    Ok(Ending::Done)
}

fn lines_of(config: &Config, vault: &VaultConfig) -> Result<Vec<Line>, Failure> {
    let state = StateDir::new(&config.state_dir, &vault.name);
    let standing = state.exists().then(|| Standing::read(&state)).transpose()?;
    let line = |store: &StoreConfig| -> Result<Line, Failure> {
        let (mut waiting, mut last) = (None, None);
        if let Some(standing) = &standing {
            let found = standing.waiting(&store.name)?;
            waiting = Some((found.count, found.len));
            last = standing.last_receipt(&store.name)?;
        }
        let probe = probing::recorded(&store.record, &store.url)?;
        Ok(Line { vault: vault.name.clone(), store: store.clone(), waiting, last, probe })
    };
    vault.stores.iter().map(line).collect()
}

fn kind_of(store: &StoreConfig) -> &str {
    store.url.split("://").next().unwrap_or_default()
}

fn lock_of(store: &StoreConfig) -> Option<&'static str> {
    match store.s3.as_ref()?.object_lock? {
        LockMode::Governance => Some("governance"),
        LockMode::Compliance => Some("compliance"),
    }
}

fn object_of(line: &Line) -> Value {
    let s3 = line.store.s3.as_ref();
    json!({
        "vault": line.vault,
        "name": line.store.name,
        "url": line.store.url,
        "kind": kind_of(&line.store),
        "pack_class": s3.map(|s3| s3.pack_class),
        "object_lock": lock_of(&line.store),
        "lock_seen": lock_of(&line.store).map(|_| is_lock_seen(line)),
        "put_only": s3.is_some_and(|s3| s3.put_only),
        "waiting": line.waiting.map(|(count, _)| count),
        "waiting_len": line.waiting.map(|(_, len)| len),
        "probed": line.probe.as_ref().map(|probe| probe.time.to_string()),
        "verdict": verdict_of(line),
        "last_receipt": line.last.map(|time| time.to_string()),
    })
}

/// Tells whether the last probe saw objects locked.
fn is_lock_seen(line: &Line) -> bool {
    line.probe.as_ref().is_some_and(Probe::can_lock)
}

/// Returns how objects are locked, if that was seen and not only asked for.
fn lock_text(line: &Line) -> &'static str {
    match lock_of(&line.store) {
        None => "-",
        Some(mode) if is_lock_seen(line) => mode,
        Some(_) => "asked, not seen",
    }
}

/// Returns in a word what the last probe found.
fn verdict_of(line: &Line) -> &'static str {
    let (Some(settings), Some(probe)) = (&line.store.s3, &line.probe) else {
        return if line.store.s3.is_some() { "unprobed" } else { "-" };
    };
    match probe.shortfalls(&probing::wanted(settings)).first().map(|short| short.weight) {
        Some(Weight::Refused) => "unfit",
        Some(Weight::Warning) => "lacking",
        _ => "sound",
    }
}

fn text_of(lines: &[Line]) -> String {
    let left = |name| (name, Side::Left);
    let mut table = Table::new(&[
        left("VAULT"),
        left("STORE"),
        left("CLASS"),
        left("LOCK"),
        ("WAITING", Side::Right),
        left("LAST PUT"),
        left("PROBE"),
        left("URL"),
    ]);
    for line in lines {
        let class = line.store.s3.as_ref().map_or("-", |s3| s3.pack_class.name());
        let waiting = line.waiting.map_or("-".to_owned(), |(count, _)| words::number(count));
        table.row([
            line.vault.clone(),
            line.store.name.clone(),
            class.to_owned(),
            lock_text(line).to_owned(),
            waiting,
            line.last.map_or("-".to_owned(), words::time),
            verdict_of(line).to_owned(),
            line.store.url.clone(),
        ]);
    }
    table.to_string()
}

/// What came of checking a store.
struct Checked {
    vault: String,
    store: String,
    probe: Option<Probe>,
    shortfalls: Vec<Shortfall>,
}

fn check(names: &[String], session: &Session) -> Result<Ending, Failure> {
    let config = session.config()?;
    let vaults = config.select(session.global.vault.as_deref())?;
    let known = || vaults.iter().flat_map(|vault| &vault.stores).map(|store| store.name.as_str());
    if let Some(name) = names.iter().find(|name| !known().any(|known| known == *name)) {
        let all: Vec<&str> = known().collect();
        let reason = format!("there is no store {name}, there are {}", all.join(", "));
        return Err(UsageError::new("choose a store", reason).into());
    }
    let mut checked = Vec::new();
    for vault in &vaults {
        for store in &vault.stores {
            if names.is_empty() || names.contains(&store.name) {
                checked.push(check_one(&config, vault, store, session)?);
            }
        }
    }
    let weights = || checked.iter().flat_map(|one| &one.shortfalls).map(|short| short.weight);
    let ending = match weights().min() {
        Some(Weight::Refused) => Ending::Unfit,
        Some(Weight::Warning) => Ending::LeftOver,
        _ => Ending::Done,
    };
    let stores: Vec<Value> = checked.iter().map(checked_object).collect();
    let warnings = session.progress.warnings();
    session.report.deed(json!({ "stores": stores }), &warnings, ending, || {
        checked.iter().map(checked_text).collect::<String>()
    })
}

/// Probes a store, and keeps what was seen where this machine has the vault's state.
fn check_one(
    config: &Config,
    vault: &VaultConfig,
    store: &StoreConfig,
    session: &Session,
) -> Result<Checked, Failure> {
    let opened = access::named_store(vault, &store.name)?;
    let pack_len = vault.parameters.fields().pack_len;
    let probe = probing::probe(opened.as_ref(), pack_len, &session.outside())?;
    let mut shortfalls = Vec::new();
    match (&probe, &store.s3) {
        (Some(probe), Some(settings)) => {
            shortfalls = probe.shortfalls(&probing::wanted(settings));
            let state = StateDir::new(&config.state_dir, &vault.name);
            if state.exists() {
                probing::record(&state, &store.name, probe)?;
            }
        }
        (None, Some(_)) => session.progress.observe(unprobed(&store.name)),
        // A directory answers for itself whenever it is asked for something.
        _ => drop(opened.stat(&ObjectKey::Vault(1))?),
    }
    let (vault, store) = (vault.name.clone(), store.name.clone());
    Ok(Checked { vault, store, probe, shortfalls })
}

/// Makes the warning of a store that could not be probed.
pub fn unprobed(store: &str) -> Event {
    let detail = format!(
        "store {store}: its credentials may only put (put_only), so what its endpoint does is not \
         known"
    );
    Event::Warning { code: Code::StoreUnprobed, detail }
}

fn checked_object(checked: &Checked) -> Value {
    json!({
        "vault": checked.vault,
        "name": checked.store,
        "probe": checked.probe,
        "can_lock": checked.probe.as_ref().map(Probe::can_lock),
        "shortfalls": checked.shortfalls,
    })
}

fn checked_text(checked: &Checked) -> String {
    let Checked { vault, store, probe, shortfalls } = checked;
    let Some(probe) = probe else {
        return format!("store {store} of {vault}: nothing was probed in it\n");
    };
    let mut text = String::new();
    for Shortfall { weight, capability, detail, remedy } in shortfalls {
        let label = match weight {
            Weight::Refused => "REFUSED",
            Weight::Warning => "warning",
            Weight::Note => "note",
        };
        let line = format!("{label}: {capability}: {detail}");
        text.push_str(&format!("{}\n  {remedy}\n", words::printable(&line)));
    }
    for left in &probe.left {
        text.push_str(&format!("left in the bucket: {}\n", words::printable(left)));
    }
    let seen = probe.seen.values().filter(|seen| seen.verdict == Verdict::Yes).count();
    let lock = if probe.can_lock() { "objects can be locked" } else { "nothing can be locked" };
    text + &format!(
        "store {store} of {vault}: {seen} of {} capabilities seen, {lock}\n",
        Capability::ALL.len()
    )
}
