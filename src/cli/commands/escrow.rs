//! `escrow`: the stack's secrets, sealed apart.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::show::choose;
use crate::base::{Code, EscrowId, Event, Observer, SnapshotId};
use crate::cli::access::{self, AccessArgs};
use crate::cli::args::UsageError;
use crate::cli::args::escrow::{CustodianArgs, EscrowArgs, EscrowCommand, EscrowStoreArgs};
use crate::cli::args::selection::{SelectionArgs, Selector};
use crate::cli::report::table::{Side, Table};
use crate::cli::report::{Ending, Failure, words};
use crate::cli::secrets;
use crate::cli::session::Session;
use crate::format::ObjectKey;
use crate::format::escrow::{EscrowKind, EscrowObject};
use crate::ops::escrow::check::{self, CheckReport};
use crate::ops::escrow::open::{self, OpenedSecrets, Version};
use crate::ops::escrow::proof::{Proof, Verdict};
use crate::ops::escrow::{EscrowError, listing};
use crate::store::{Stat, Store};
use crate::vault::state::StateLock;

/// Seals, lists, opens or checks.
///
/// # Errors
/// If the escrow store, the installation, the state or an identity fails.
pub fn run(args: &EscrowArgs, session: &Session) -> Result<Ending, Failure> {
    match &args.command {
        EscrowCommand::Seal => seal(session),
        EscrowCommand::List { store } => list(session, store),
        EscrowCommand::Open { id, snapshot, target, who, store } => {
            open(session, Which { id, snapshot: snapshot.as_deref() }, target, who, store)
        }
        EscrowCommand::Check { selection, who, escrow, access } => {
            check(session, selection, who, escrow, access)
        }
    }
}

fn seal(session: &Session) -> Result<Ending, Failure> {
    let config = session.config()?;
    let escrow = secrets::escrow_of(&config)?;
    let _lock = StateLock::take(&config.state_dir)?;
    let effective = secrets::environment(&config);
    let sealing = secrets::seal_now(&config, escrow, effective.as_ref(), session)?;
    let is_new = |one: &&EscrowObject| sealing.newly.iter().any(|new| new.object == one.object);
    let (newly, unchanged): (Vec<&EscrowObject>, Vec<_>) = sealing.needed.iter().partition(is_new);
    let object = json!({ "store": escrow.store, "sealed": newly, "unchanged": unchanged });
    session.report.deed(object, &session.progress.warnings(), Ending::Done, || {
        let line = |done: &str, one: &EscrowObject| {
            format!("{done:9}  {:24}  {}\n", what_of(one), one.object)
        };
        let lines = newly.iter().map(|one| line("sealed", one));
        lines.chain(unchanged.iter().map(|one| line("unchanged", one))).collect()
    })
}

/// Says what an object holds.
fn what_of(one: &EscrowObject) -> String {
    match (&one.variable, one.kind) {
        (Some(variable), _) => variable.clone(),
        (None, EscrowKind::Bundle) => "files".to_owned(),
        (None, EscrowKind::Cuts) => "cut out of the files".to_owned(),
        (None, EscrowKind::Key) => "key".to_owned(),
    }
}

fn list(session: &Session, args: &EscrowStoreArgs) -> Result<Ending, Failure> {
    let store = secrets::store_of(session, args)?;
    let listed = listing::list(store.as_ref())?;
    let needed = needed_by(session)?;
    let row = |(key, stat): (&ObjectKey, &Stat)| {
        let mut row = json!({
            "object": key.to_string(),
            "kind": EscrowKind::of(key).map(EscrowKind::name),
            "time": stat.modified.map(|at| at.to_string()),
            "stored_len": stat.len,
        });
        if let (Some(needed), Value::Object(row)) = (&needed, &mut row) {
            row.insert("needed_by".to_owned(), json!(needed.get(key).unwrap_or(&Vec::new())));
        }
        row
    };
    let rows: Vec<Value> = listed.objects.iter().map(row).collect();
    let object = json!({ "store": store.url(), "objects": rows, "foreign": listed.foreign });
    session.report.result(object, &session.progress.warnings(), || {
        let mut text = table(&rows, needed.is_some());
        for name in &listed.foreign {
            text.push_str(&format!("not ours: {}\n", words::printable(name)));
        }
        if needed.is_none() {
            text.push_str("Which snapshots need which is sealed in them: give --identity.\n");
        }
        text
    })?;
    Ok(Ending::Done)
}

/// Returns which snapshots of the config's vaults need which objects, if an identity was given.
fn needed_by(session: &Session) -> Result<Option<BTreeMap<ObjectKey, Vec<SnapshotId>>>, Failure> {
    if session.global.identity.is_empty() {
        return Ok(None);
    }
    let mut needed: BTreeMap<ObjectKey, Vec<SnapshotId>> = BTreeMap::new();
    for auditor in access::auditors(session, &AccessArgs::default())? {
        let identities = session.identities("open the snapshots")?;
        let unlocked = crate::vault::Unlocked::new(auditor, identities)?;
        for (key, snapshots) in listing::needed_by(&unlocked, session.progress.as_ref())? {
            needed.entry(key).or_default().extend(snapshots);
        }
    }
    Ok(Some(needed))
}

fn table(rows: &[Value], with_snapshots: bool) -> String {
    let needed = if with_snapshots { "needed by" } else { "" };
    let mut table = Table::new(&[
        ("object", Side::Left),
        ("sealed", Side::Left),
        ("stored", Side::Right),
        (needed, Side::Left),
    ]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for row in rows {
        let needed = match row["needed_by"].as_array().map_or(0, Vec::len) {
            _ if !with_snapshots => String::new(),
            0 => "nothing".to_owned(),
            count => words::count(count as u64, "snapshot"),
        };
        table.row([
            text(&row["object"]),
            text(&row["time"]),
            words::bytes(row["stored_len"].as_u64().unwrap_or_default()),
            needed,
        ]);
    }
    table.to_string()
}

/// Which version is to be opened.
struct Which<'a> {
    id: &'a str,
    snapshot: Option<&'a str>,
}

fn open(
    session: &Session,
    which: Which<'_>,
    target: &Path,
    who: &CustodianArgs,
    args: &EscrowStoreArgs,
) -> Result<Ending, Failure> {
    let identities = secrets::custodians(session, who)?;
    let store = secrets::store_of(session, args)?;
    let named = match which.snapshot {
        Some(id) => Some(named_by(session, id)?),
        None => None,
    };
    let version = match &named {
        Some((_, named)) => Version::Named(named),
        None => version_of(store.as_ref(), which.id)?,
    };
    let opened = open::open(store.as_ref(), &identities, version)?;
    let written = open::write(&opened, target)?;
    for lacking in &opened.lacking {
        let detail = format!("not whole: {lacking}");
        session.progress.observe(Event::Warning { code: Code::EscrowIncomplete, detail });
    }
    let object = object_of(&opened, &written, target, named.as_ref().map(|(id, _)| *id));
    session.report.deed(object, &session.progress.warnings(), Ending::Done, || {
        let from = opened.bundle.map_or_else(|| "keys alone".to_owned(), |key| key.to_string());
        format!(
            "opened {from} into {}: {}\nThey are in clear there: put them where they belong and \
             remove the directory.\n",
            target.display(),
            words::count(written.len() as u64, "file"),
        )
    })
}

fn named_by(session: &Session, id: &str) -> Result<(SnapshotId, Vec<EscrowObject>), Failure> {
    let selector = SelectionArgs { id: Some(id.to_owned()), at: None }.selector()?;
    let action = "open the snapshot";
    let unlocked = access::unlocked(session, &AccessArgs::default(), action)?;
    let id = choose(unlocked.auditor(), &selector, session)?;
    let body = unlocked.body(&unlocked.auditor().snapshot(id)?)?;
    let named = open::named(&body).map_err(crate::ops::Error::from)?;
    Ok((id, named))
}

fn version_of(store: &dyn Store, id: &str) -> Result<Version<'static>, Failure> {
    let Selector::Prefix(prefix) = Selector::parse(id)? else { return Ok(Version::Latest) };
    let bundle = |key: &ObjectKey| match key {
        ObjectKey::EscrowBundle(id) if id.to_string().starts_with(&prefix) => Some(*id),
        _ => None,
    };
    let objects = listing::list(store)?.objects;
    let found: Vec<EscrowId> = objects.keys().filter_map(bundle).collect();
    match found[..] {
        [one] => Ok(Version::Bundle(one)),
        [] => {
            let what = format!("a bundle whose id begins with {prefix}");
            let error = EscrowError::Unknown { what, store: store.name().to_owned() };
            Err(crate::ops::Error::from(error).into())
        }
        _ => {
            let reason = format!("{} bundles begin with {prefix}", found.len());
            Err(UsageError::new("choose a bundle", reason).into())
        }
    }
}

fn object_of(
    opened: &OpenedSecrets,
    written: &[String],
    target: &Path,
    snapshot: Option<SnapshotId>,
) -> Value {
    let files = opened.index.iter().flat_map(|index| &index.files);
    let key = |key: &open::OpenedKey| {
        let object = key.object.to_string();
        json!({ "object": object, "variable": key.variable, "from": key.from })
    };
    json!({
        "target": target,
        "snapshot": snapshot,
        "bundle": opened.bundle.map(|key| key.to_string()),
        "written": written,
        "files": files.collect::<Vec<_>>(),
        "keys": opened.keys.iter().map(key).collect::<Vec<_>>(),
        "lacking": opened.lacking,
    })
}

fn check(
    session: &Session,
    selection: &SelectionArgs,
    who: &CustodianArgs,
    escrow: &EscrowStoreArgs,
    access: &AccessArgs,
) -> Result<Ending, Failure> {
    let selector = selection.selector()?;
    let unlocked = access::unlocked(session, access, "read the snapshot")?;
    let identities = secrets::custodians(session, who)?;
    let store = secrets::store_of(session, escrow)?;
    let snapshot = choose(unlocked.auditor(), &selector, session)?;
    let report = check::check(&unlocked, snapshot, store.as_ref(), &identities)?;
    let ending = warn_of(&report, session);
    let object = json!({
        "snapshot": snapshot,
        "verdict": report.verdict().name(),
        "objects": report.named,
        "proofs": report.proofs.iter().map(proof_object).collect::<Vec<_>>(),
        "lacking": report.lacking,
    });
    session.report.deed(object, &session.progress.warnings(), ending, || {
        report.proofs.iter().map(proof_line).collect()
    })
}

fn proof_object(proof: &Proof) -> Value {
    json!({
        "subject": proof.subject.name(),
        "verdict": proof.verdict.name(),
        "with": proof.with,
        "tried_count": proof.tried_count,
        "detail": proof.detail,
    })
}

fn proof_line(proof: &Proof) -> String {
    let with = match proof.with.is_empty() {
        true => String::new(),
        false => format!("{}: ", proof.with.join(", ")),
    };
    format!("{:14}  {:12}  {with}{}\n", proof.subject.name(), proof.verdict.name(), proof.detail)
}

/// Warns of what does not fit and of what nothing proves.
fn warn_of(report: &CheckReport, session: &Session) -> Ending {
    let warn = |code, detail| session.progress.observe(Event::Warning { code, detail });
    for lacking in &report.lacking {
        warn(Code::EscrowIncomplete, format!("not opened: {lacking}"));
    }
    for proof in report.proofs.iter().filter(|proof| proof.verdict == Verdict::DoesNotFit) {
        warn(Code::KeyDoesNotFit, format!("{}: {}", proof.subject.name(), proof.detail));
    }
    if report.verdict() == Verdict::Unproven {
        let said = report.proofs.iter().map(|proof| proof.detail.as_str());
        warn(Code::KeyUnproven, said.collect::<Vec<_>>().join("; "));
    }
    match report.verdict() {
        Verdict::DoesNotFit => Ending::Damaged,
        Verdict::Fits | Verdict::Unproven => Ending::Done,
    }
}
