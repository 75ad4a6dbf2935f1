//! `drill`: a restore that is rehearsed.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::base::{Event, Observer};
use crate::cli::access;
use crate::cli::args::{DrillArgs, UsageError};
use crate::cli::cold::{self, Begin, Readied};
use crate::cli::commands::show::choose;
use crate::cli::config::{Config, StoreConfig};
use crate::cli::desk;
use crate::cli::report::{Ending, Failure, words};
use crate::cli::session::Session;
use crate::crypto::identity::DataIdentities;
use crate::format::event_fields::Outcome;
use crate::ops::drill::rto::{Basis, OtherStore, Projection};
use crate::ops::drill::{self, DrillReport, DrillRequest, Scratch, ScratchPlace, record};
use crate::ops::thaw::need;
use crate::store::{self, Store};

/// What is added to a signal's number to make the exit code of who ended by it.
const SIGNALLED: i32 = 128;
/// How long a restore may take where there is no config, in seconds.
const TARGET_S: u64 = 3600;

/// Restores a snapshot into scratch directories and a scratch server, and reports.
///
/// # Errors
/// If the drill cannot be done. What did not come back is in the report, and the exit code is 3.
pub fn run(args: &DrillArgs, session: &Session) -> Result<Ending, Failure> {
    let selector = args.selection.selector()?;
    // Before an hour of work, and never over another one.
    let mut file = args.report.as_deref().map(create_report).transpose()?;
    let unlocked = access::unlocked(session, &args.access, "drill")?;
    let snapshot = choose(unlocked.auditor(), &selector, session)?;
    let need = || need::of_snapshot(&unlocked, snapshot, None, None);
    let readied = cold::ready(session, &args.thawing, unlocked.auditor(), Begin::WithAll, need)?;
    let was_cold = matches!(readied, Readied::Through(_));
    let unlocked = match readied {
        Readied::Own => unlocked,
        Readied::Through(store) => unlocked.through(store),
        Readied::Ended(ending) => return Ok(ending),
    };
    let config = session.config().ok();
    let drilled = unlocked.auditor().store().url().to_owned();
    let others = config.as_ref().map(|config| others(config, session, &drilled));
    let escrow = escrow(args, session, config.as_ref())?;
    let parent = args.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = Scratch::make(&parent, session.entropy.as_ref())?;
    let ending = wipe_when_ended(scratch.place().clone())?;
    let request = DrillRequest {
        snapshot,
        scratch: &scratch,
        others: &others.unwrap_or_default(),
        target_s: config.map_or(TARGET_S, |config| config.nights.rto_hours * 3600),
        escrow: escrow.as_ref().map(|(store, identities)| (store.as_ref(), identities)),
    };
    let observer = session.progress.as_ref();
    let report = drill::drill(&unlocked, &request, session.clock.as_ref(), observer);
    // A signal ends the program: what it broke off is no result.
    let not_ended = ending.lock();
    drop(scratch);
    drop(not_ended);
    let mut report = report?;
    if was_cold {
        report.not_covered.push("thaw: packs were thawed before the time was taken".to_owned());
    }
    let signed = sign(args, session, &report);
    let mut object = json!(report);
    object["signed"] = signed.clone();
    if let (Some(file), Some(path)) = (&mut file, &args.report) {
        let wrap = |cause| Failure::system(format!("write the report {}", path.display()), cause);
        file.write_all(format!("{object:#}\n").as_bytes()).map_err(wrap)?;
        file.sync_all().map_err(wrap)?;
    }
    let warnings = session.progress.warnings();
    let ending = match report.outcome {
        Outcome::Passed => Ending::Done,
        Outcome::Failed => Ending::Damaged,
    };
    session.report.deed(object, &warnings, ending, || text_of(&report, &signed))
}

fn create_report(path: &Path) -> Result<File, Failure> {
    let file = File::options().write(true).create_new(true).mode(0o600).open(path);
    file.map_err(|cause| Failure::system(format!("create the report {}", path.display()), cause))
}

/// The escrow store, and what opens what is in it.
type Escrow = (Arc<dyn Store>, DataIdentities);

/// Opens the escrow store and reads what opens it, if the sealed keys are to be tried.
fn escrow(
    args: &DrillArgs,
    session: &Session,
    config: Option<&Config>,
) -> Result<Option<Escrow>, Failure> {
    if args.escrow_identity.is_empty() {
        return Ok(None);
    }
    let Some(escrow) = config.and_then(|config| config.escrow.as_ref()) else {
        let reason = "--escrow-identity needs a config with [escrow]";
        return Err(UsageError::new("try the sealed keys", reason).into());
    };
    let identities = session.read_identities(&args.escrow_identity, "try the sealed keys")?;
    Ok(Some((store::open(&escrow.store, "escrow")?, identities)))
}

/// Returns the stores of the vault that is meant, without the one that is drilled.
fn others(config: &Config, session: &Session, drilled: &str) -> Vec<OtherStore> {
    let Ok(vault) = desk::only(config, session) else { return Vec::new() };
    let others = vault.stores.iter().filter(|store| store.url != drilled);
    others.map(other).collect()
}

fn other(config: &StoreConfig) -> OtherStore {
    let class = config.s3.as_ref().map(|s3| s3.pack_class).filter(|class| class.is_archive());
    OtherStore {
        name: config.name.clone(),
        store: access::open_store(config).map_err(|failure| failure.chain().join(": ")),
        cold_class: class.map(|class| class.to_string()),
    }
}

/// Lets a signal that ends the program wipe the scratch directories first; from then on nobody
/// gets the lock that this returns.
fn wipe_when_ended(place: ScratchPlace) -> Result<Arc<Mutex<()>>, Failure> {
    let ending = Arc::new(Mutex::new(()));
    let held = Arc::clone(&ending);
    let signals = Signals::new([SIGHUP, SIGINT, SIGTERM]);
    let mut signals = signals.map_err(|cause| Failure::system("wait for signals", cause))?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            let _held = held.lock();
            // What is left, because something was just being written, the next drill removes.
            let _ = place.wipe();
            std::process::exit(SIGNALLED + signal);
        }
    });
    Ok(ending)
}

/// Signs the result if there is a kit; a result that could not be signed still stands.
fn sign(args: &DrillArgs, session: &Session, report: &DrillReport) -> Value {
    let Some(kit) = &args.kit else { return Value::Null };
    let signed = || -> Result<Value, Failure> {
        let mut open = desk::open(session, kit, "sign the drill")?;
        let observer = session.progress.as_ref();
        let signer = record::record(&mut open.desk, report.to_event(), observer)?;
        Ok(json!({ "signer": signer }))
    };
    signed().unwrap_or_else(|failure| {
        let detail = format!("the result is not signed: {}", failure.chain().join(": "));
        session.progress.observe(Event::Warning { code: failure.code(), detail });
        Value::Null
    })
}

fn text_of(report: &DrillReport, signed: &Value) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let line = format!("{}[{}]: {}\n", finding.phase, finding.code, finding.detail);
        text.push_str(&words::printable(line.trim_end()));
        text.push('\n');
    }
    for time in &report.phases {
        text.push_str(&format!("  {:12} {}\n", time.phase, words::duration(time.ms)));
    }
    let verdict = match report.outcome {
        Outcome::Passed => "PASSED".to_owned(),
        Outcome::Failed => {
            format!("FAILED, {}", words::count(report.findings.len() as u64, "finding"))
        }
    };
    text.push_str(&format!(
        "{verdict}: snapshot {} from store {} in {}: {} of database, {} in {}, {} with {}\n",
        report.snapshot,
        report.store,
        words::duration(report.duration_s * 1000),
        words::bytes(report.database_len),
        words::count(report.row_count, "row"),
        words::count(report.table_count, "table"),
        words::count(report.file_count, "file"),
        words::bytes(report.content_len),
    ));
    if let Some(constraints) = &report.constraints {
        let server = report.server.as_deref().unwrap_or_default();
        text.push_str(&format!(
            "  loaded into {server}: {} and {} hold\n",
            words::count(constraints.primary_keys, "primary key"),
            words::count(constraints.foreign_keys, "foreign key"),
        ));
    }
    let target = words::duration(report.target_s * 1000);
    for projection in &report.projections {
        text.push_str(&format!("  {}, {target} allowed\n", projection_text(projection)));
    }
    for gap in &report.not_covered {
        text.push_str(&format!("  not covered: {gap}\n"));
    }
    text + match signed {
        Value::Null => "  not signed: the result is in no ledger\n",
        _ => "  signed in the operator's ledger\n",
    }
}

fn projection_text(projection: &Projection) -> String {
    let how = match projection.basis {
        Basis::Drilled => "measured",
        Basis::Sampled => "projected from a sample of its packs",
        Basis::None => "not to be told",
    };
    let when = match (projection.projected_s, &projection.reason) {
        (Some(seconds), _) => words::duration(seconds * 1000),
        (None, reason) => reason.clone().unwrap_or_default(),
    };
    let late = if projection.within { "" } else { " TOO LONG:" };
    format!("restore from {}:{late} {when}, {how}", projection.store)
}
