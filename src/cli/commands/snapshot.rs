//! `snapshot`: every vault that is due, in one pass over the sources.

use std::sync::Arc;

use serde_json::{Value, json};

use super::retain;
use crate::base::{Code, Digest, Event, Observer};
use crate::cli::access;
use crate::cli::args::SnapshotArgs;
use crate::cli::config::{Config, VaultConfig};
use crate::cli::differing;
use crate::cli::night::Night;
use crate::cli::report::{Ending, Failure, words};
use crate::cli::secrets;
use crate::cli::session::Session;
use crate::cli::sources;
use crate::crypto::recipient::DataRecipients;
use crate::format::vault_note::VaultNote;
use crate::ops::snapshot::{self, RunReport, SnapshotReport, VaultJob};
use crate::vault::Writer;
use crate::vault::state::StateDir;

/// Takes a snapshot for every vault that is due; the watchdog and the record learn how it went.
///
/// # Errors
/// If a source, a primary store or the state fails; then there is no new snapshot.
pub fn run(args: &SnapshotArgs, session: &Session) -> Result<Ending, Failure> {
    let after = if args.no_retain { Afterwards::Leave } else { Afterwards::Retain };
    let reports = take(&args.tag, args.limit_upload, after, session)?;
    let object = json!({ "snapshots": reports.iter().map(object_of).collect::<Vec<_>>() });
    let warnings = session.progress.warnings();
    session.report.deed(object, &warnings, Ending::Done, || match reports.is_empty() {
        true => "no vault is due\n".to_owned(),
        false => reports.iter().map(line_of).collect(),
    })
}

/// What follows a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// What the policy lets go goes, as far as this host may forget.
    Retain,
    /// Everything stays.
    Leave,
}

/// Takes a snapshot and says nothing of it unless a vault fails.
///
/// # Errors
/// As [`run`].
pub fn take(
    tags: &[String],
    limit: Option<u64>,
    after: Afterwards,
    session: &Session,
) -> Result<Vec<SnapshotReport>, Failure> {
    let config = session.config()?;
    let mut night = Night::begin(&config, session);
    let taken = night.lock().and_then(|()| take_each(tags, limit, session, &config, &mut night));
    // The watchdog and the record learn how it went, whoever asked for it, and before anything that
    // a store may hold up.
    night.tell(taken.as_ref().err());
    if let (Ok(reports), Afterwards::Retain) = (&taken, after) {
        retain::after_snapshot(&config, reports, session);
    }
    night.end(taken.as_ref().err());
    taken
}

/// Takes the snapshots; the caller holds the lock of the state.
fn take_each(
    tags: &[String],
    limit: Option<u64>,
    session: &Session,
    config: &Config,
    night: &mut Night<'_>,
) -> Result<Vec<SnapshotReport>, Failure> {
    let (mut sources, facts) = sources::open(config, session)?;
    let mut jobs = Vec::new();
    for vault in config.select(session.global.vault.as_deref())? {
        let state = StateDir::new(&config.state_dir, &vault.name);
        let mut writer =
            Writer::open(state, access::stores_sending_at(vault, limit)?, session.outside())?;
        writer.set_spool_max(config.spool_max);
        writer.adopt_notes(session.progress.as_ref())?;
        let recipients = DataRecipients::parse(&vault.recipients)?;
        warn_of_differences(vault, &recipients.digests(), writer.note(), session)?;
        jobs.push(VaultJob { writer, recipients });
    }
    let observer: Arc<dyn Observer> = session.progress.clone();
    // Before the database is read: a key that the rows need is sealed by then.
    let effective = secrets::environment(config);
    let sealing = secrets::seal_for_snapshot(config, effective.as_ref(), session)?;
    if !sealing.needed.is_empty() {
        sources.facts.insert("escrow".to_owned(), sealing.fact());
        sources.sealed = sealing.events();
    }
    let RunReport { taken: reports, failed } =
        snapshot::run(jobs, &sources, tags, &session.ask, &observer)?;
    reports.iter().for_each(|report| night.took(&report.vault, report.snapshot));
    sources::warn_of_no_files(&facts, &reports, session);
    let mut failed = failed.into_iter();
    if let Some((vault, error)) = failed.next() {
        reports.iter().for_each(|report| session.report.note(line_of(report).trim_end()));
        for (vault, error) in failed {
            session.report.note(&format!("vault {vault} failed as well: {error}"));
        }
        session.report.note(&format!("vault {vault} failed; what the others took is safe"));
        return Err(error.into());
    }
    Ok(reports)
}

/// Warns where the config says something else than the signed vault note, which is in force.
fn warn_of_differences(
    vault: &VaultConfig,
    recipients: &[Digest],
    note: &VaultNote,
    session: &Session,
) -> Result<(), Failure> {
    let mut found = differing::of_policy(vault, note)?;
    found.extend(differing::of_parameters(vault, note));
    let missing = |some: &[Digest], others: &[Digest]| {
        some.iter().filter(|digest| !others.contains(digest)).count() as u64
    };
    let unsigned = missing(recipients, &note.recipients);
    if unsigned > 0 {
        found.push(format!("{} of the config not signed", words::count(unsigned, "recipient")));
    }
    let unnamed = missing(&note.recipients, recipients);
    if unnamed > 0 {
        found.push(format!("{} signed, not in the config", words::count(unnamed, "recipient")));
    }
    if !found.is_empty() {
        let detail = format!(
            "vault {}: the config differs from the signed vault note, which is in force: {}",
            vault.name,
            found.join("; ")
        );
        session.progress.observe(Event::Warning { code: Code::PolicyDiffers, detail });
    }
    Ok(())
}

fn object_of(report: &SnapshotReport) -> Value {
    let mut object = json!({
        "id": report.snapshot,
        "vault": report.vault,
        "time": report.time.to_string(),
        "content_len": report.content_len,
        "stored_len": report.stored_len,
        "new_len": report.new_len,
        "file_count": report.file_count,
        "row_count": report.row_count,
        "lagging": report.lagging,
    });
    // Of a dump without the stack's tables there is nothing to tell.
    if let Some(rows) = report.rows {
        object["rows_files"] = json!(rows);
    }
    object
}

fn line_of(report: &SnapshotReport) -> String {
    format!(
        "{}  {}  {} in {} and {}, {} new\n",
        report.snapshot,
        report.vault,
        words::bytes(report.content_len),
        words::count(report.file_count, "file"),
        words::count(report.row_count, "row"),
        words::bytes(report.new_len),
    )
}
