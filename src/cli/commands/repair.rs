//! `repair`: finds what is missing or damaged in a store, and heals it from the others.

use std::sync::Arc;

use serde_json::json;

use crate::base::{Code, Coded, Event, Family, Observer};
use crate::cli::args::{DepthArg, RepairArgs};
use crate::cli::mirrors::{Bench, vaults_with};
use crate::cli::report::{Ending, Failure, words};
use crate::cli::session::Session;
use crate::format::ObjectKey;
use crate::ops::repair::{self, Case, Depth, Outcome, Remedy, Repair, RepairReport};
use crate::store::Store;
use crate::vault::signed::{Signed, refuse_foreign};
use crate::vault::{Auditor, Unlocked};

/// Repairs a store of every vault that is meant.
///
/// # Errors
/// If a store does not answer. What was healed stays so.
pub fn run(args: &RepairArgs, session: &Session) -> Result<Ending, Failure> {
    let config = session.config()?;
    let mut reports = Vec::new();
    for vault in vaults_with(&config, session, &[args.store.as_ref(), args.from.as_ref()])? {
        let bench = Bench::open(&config, vault, args.vault_key.as_deref(), session)?;
        reports.push(repair_one(&bench, args, session)?);
    }
    let ending = ending(&reports, args.dry_run);
    let warnings = session.progress.warnings();
    session.report.deed(json!({ "vaults": reports }), &warnings, ending, || {
        reports.iter().map(text_of).collect::<String>()
    })
}

fn repair_one(
    bench: &Bench<'_>,
    args: &RepairArgs,
    session: &Session,
) -> Result<RepairReport, Failure> {
    let target = bench.store(args.store.as_deref())?;
    refuse_foreign(target.as_ref(), bench.key.vault())?;
    let mut sources = Vec::new();
    for source in bench.others(args.from.as_deref(), &target)? {
        match source.stat(&ObjectKey::Vault(1)) {
            Err(error) if args.from.is_none() && error.code().family() == Family::Unavailable => {
                bench.warn_lagging(source.name(), &error);
            }
            Err(error) => return Err(error.into()),
            Ok(_) => sources.push(source),
        }
    }
    // The others first: what verifies there is not taken from the store that is in doubt.
    let every: Vec<Arc<dyn Store>> = sources.iter().chain([&target]).cloned().collect();
    let signed = Signed::gather(&every, &bench.key)?;
    let unlocked = match session.global.identity.is_empty() {
        true => None,
        false => Some(unlock(bench, &every, session)?),
    };
    let request = Repair {
        target: &target,
        sources: &sources,
        signed: &signed,
        depth: match args.level {
            DepthArg::Stored => Depth::Stored,
            DepthArg::Bytes => Depth::Bytes,
        },
        remedy: match (args.dry_run, args.replace) {
            (true, _) => Remedy::Look,
            (false, false) => Remedy::Heal,
            (false, true) => Remedy::Replace,
        },
        scratch: &bench.scratch(&target),
        now: session.clock.now(),
        settle: &|key, receipt| bench.settle(&target, key, receipt),
    };
    let observer = session.progress.as_ref();
    let report = repair::repair(&request, unlocked.as_ref(), observer)?;
    if report.archived_count > 0 {
        let detail = format!(
            "store {}: the bytes of {} archived objects were not read, only their sizes",
            report.store, report.archived_count
        );
        observer.observe(Event::Warning { code: Code::ObjectArchived, detail });
    }
    Ok(report)
}

/// Opens the vault in the first store where that works: what names the files may be damaged here.
fn unlock(
    bench: &Bench<'_>,
    stores: &[Arc<dyn Store>],
    session: &Session,
) -> Result<Unlocked, Failure> {
    let identities = session.identities("name the files")?;
    let mut opened = None;
    for store in stores {
        opened = Some(Auditor::open(Arc::clone(store), bench.key.clone()));
        if matches!(opened, Some(Ok(_))) {
            break;
        }
    }
    match opened {
        Some(auditor) => Ok(Unlocked::new(auditor?, identities)?),
        None => Err(crate::vault::Error::NoVaultNote { store: "any".to_owned() }.into()),
    }
}

fn ending(reports: &[RepairReport], is_dry: bool) -> Ending {
    let any = |test: fn(&RepairReport) -> bool| reports.iter().any(test);
    if any(|report| report.unhealed_count > 0 || !report.forks.is_empty()) {
        Ending::Damaged
    } else if is_dry && any(|report| report.case_count > 0) {
        Ending::LeftOver
    } else {
        Ending::Done
    }
}

fn text_of(report: &RepairReport) -> String {
    let mut text: String = report.cases.iter().map(lines_of).collect();
    for fork in &report.forks {
        text.push_str(&format!(
            "{}: {fork}: two stores have different histories from here on; nothing of it was \
             healed\n",
            Code::LedgerBroken
        ));
    }
    for touched in &report.touched {
        let count = words::count(touched.object_count, "object");
        text.push_str(&format!("snapshot {} lacks {count}\n", touched.snapshot));
        match &touched.files {
            None => text.push_str("  which files that touches is told with --identity\n"),
            Some(files) => {
                files.iter().for_each(|file| {
                    text.push_str(&format!("  {}\n", words::printable(file)));
                });
                let more = touched.file_count - files.len() as u64;
                if more > 0 {
                    text.push_str(&format!("  and {} more\n", words::number(more)));
                }
            }
        }
    }
    let looked = format!(
        "{} of store {} looked at, {} read",
        words::count(report.object_count, "object"),
        report.store,
        words::bytes(report.read_len)
    );
    let verdict = match (report.case_count, report.unhealed_count) {
        (0, _) => "sound".to_owned(),
        (found, 0) => format!("{} missing or damaged, all of them healed or healable", found),
        (found, left) => format!("DAMAGED: {left} of {found} missing or damaged stay so"),
    };
    text + &format!("{verdict}: {looked}\n")
}

fn lines_of(case: &Case) -> String {
    let what = format!("{}: {}: {}", case.code, case.object, case.detail);
    let outcome = match &case.outcome {
        Outcome::Healed { from, aside: None } => format!("healed from store {from}"),
        Outcome::Healed { from, aside: Some(aside) } => {
            format!("healed from store {from}; what was there is now {aside}")
        }
        Outcome::Replaced { from } => format!("deleted, and put anew from store {from}"),
        Outcome::OlderVersionCounts => {
            "an older version is sound, and readers take that; nothing to do".to_owned()
        }
        Outcome::Healable { from } => format!("store {from} has a sound copy"),
        Outcome::Unhealed { reason } => format!("NOT HEALED: {reason}"),
    };
    format!("{}\n  {}\n", words::printable(&what), words::printable(&outcome))
}
