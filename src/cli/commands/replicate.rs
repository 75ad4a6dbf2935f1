//! `replicate`: gives one store what another has.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::base::{Code, Coded, Event, Family, Observer};
use crate::cli::args::ReplicateArgs;
use crate::cli::mirrors::{Bench, vaults_with};
use crate::cli::report::{Ending, Failure, words};
use crate::cli::session::Session;
use crate::ops::Error;
use crate::ops::replicate::{self, Replicated, Replication};
use crate::store::Store;
use crate::vault::signed::Signed;

/// What came of one vault.
struct Done {
    vault: String,
    from: String,
    stores: Vec<Replicated>,
}

/// Copies in every vault that is meant.
///
/// # Errors
/// If a store cannot be read, or none can be written. What was copied stays.
pub fn run(args: &ReplicateArgs, session: &Session) -> Result<Ending, Failure> {
    let config = session.config()?;
    let mut done = Vec::new();
    for vault in vaults_with(&config, session, &[args.from.as_ref(), args.to.as_ref()])? {
        let bench = Bench::open(&config, vault, args.vault_key.as_deref(), session)?;
        let source = bench.store(args.from.as_deref())?;
        let targets = bench.others(args.to.as_deref(), &source)?;
        let is_named = args.to.is_some();
        let stores = copy_to_each(&bench, &source, &targets, is_named, session)?;
        bench.deliver()?;
        done.push(Done { vault: vault.name.clone(), from: source.name().to_owned(), stores });
    }
    let is_damaged = done.iter().flat_map(|done| &done.stores).any(|store| store.damaged_count > 0);
    let ending = if is_damaged { Ending::Damaged } else { Ending::Done };
    let object = json!({ "vaults": done.iter().map(object_of).collect::<Vec<_>>() });
    let warnings = session.progress.warnings();
    session.report.deed(object, &warnings, ending, || done.iter().map(text_of).collect::<String>())
}

/// Copies to each store; one that does not answer does not keep the others from getting theirs.
fn copy_to_each(
    bench: &Bench<'_>,
    source: &Arc<dyn Store>,
    targets: &[Arc<dyn Store>],
    is_named: bool,
    session: &Session,
) -> Result<Vec<Replicated>, Failure> {
    let mut reports = Vec::new();
    for target in targets {
        bench.admit(target, is_named)?;
        match copy(bench, source, target, session) {
            Ok(report) => reports.push(report),
            Err(error) if targets.len() > 1 && error.code().family() == Family::Unavailable => {
                bench.warn_lagging(target.name(), &error);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(reports)
}

fn copy(
    bench: &Bench<'_>,
    source: &Arc<dyn Store>,
    target: &Arc<dyn Store>,
    session: &Session,
) -> Result<Replicated, Error> {
    let both = [Arc::clone(source), Arc::clone(target)];
    let signed = Signed::gather(&both, &bench.key)?;
    let observer = session.progress.as_ref();
    for fork in signed.forks() {
        let detail = format!("{fork}: two stores have different histories from here on");
        observer.observe(Event::Warning { code: Code::LedgerBroken, detail });
    }
    let joins = bench.joins(target)?;
    let request = Replication {
        source,
        target,
        signed: &signed,
        begun: &BTreeMap::new(),
        scratch: &bench.scratch(target),
        now: session.clock.now(),
        settle: &|key, receipt| bench.settle(target, key, receipt),
    };
    let report = replicate::replicate(&request, observer)?;
    if joins && report.archived_count == 0 && report.damaged_count == 0 {
        bench.welcome(target)?;
    } else if joins {
        let name = target.name();
        let detail = format!("store {name} lacks what could not be copied, and is no mirror yet");
        observer.observe(Event::Warning { code: Code::MirrorLagging, detail });
    }
    if report.archived_count > 0 {
        let (count, held) = (report.archived_count, report.held_back.len());
        let detail = format!(
            "store {}: {count} packs are archived in store {} and were not copied; {held} \
             snapshots that need them wait",
            target.name(),
            source.name()
        );
        observer.observe(Event::Warning { code: Code::ObjectArchived, detail });
    }
    Ok(report)
}

fn object_of(done: &Done) -> Value {
    json!({ "vault": done.vault, "from": done.from, "stores": done.stores })
}

fn text_of(done: &Done) -> String {
    let mut text = String::new();
    for store in &done.stores {
        let count = words::count(store.object_count, "object");
        let line = match store.object_count {
            0 => format!("store {} of {} lacks nothing", store.store, done.vault),
            _ => format!(
                "copied {count} of {} to store {} of {}",
                words::bytes(store.stored_len),
                store.store,
                done.vault
            ),
        };
        text.push_str(&format!("{}\n", words::printable(&line)));
        if store.unsigned_count > 0 {
            let count = words::count(store.unsigned_count, "object");
            text.push_str(&format!(
                "  left {count} in store {}: nothing signed names them\n",
                done.from
            ));
        }
        for finding in &store.damaged {
            let line = format!("  {}: {}: {}", finding.code, finding.object, finding.detail);
            text.push_str(&format!("{}\n", words::printable(&line)));
        }
        if store.damaged_count > 0 {
            let count = words::count(store.damaged_count, "object");
            let from = &done.from;
            text.push_str(&format!(
                "DAMAGED: {count} in store {from} not copied; `repair --store {from}` heals them\n"
            ));
        }
    }
    text
}
