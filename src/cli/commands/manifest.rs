//! `manifest`: rebuilding the host's index from the stores.

use serde_json::{Value, json};

use crate::cli::access;
use crate::cli::args::{ManifestArgs, ManifestCommand};
use crate::cli::report::{Ending, Failure, words};
use crate::cli::session::Session;
use crate::crypto::recipient::DataRecipients;
use crate::ops::rebuild::{self, Rebuild, RebuildReport};
use crate::vault::state::{StateDir, StateLock};

/// Rebuilds the manifest of every vault that is meant.
///
/// # Errors
/// If a store cannot be read, or what it holds does not verify. Nothing has changed then.
pub fn run(args: &ManifestArgs, session: &Session) -> Result<Ending, Failure> {
    let ManifestCommand::Rebuild = args.command;
    let config = session.config()?;
    let _lock = StateLock::take(&config.state_dir)?;
    let mut reports = Vec::new();
    for vault in config.select(session.global.vault.as_deref())? {
        let recipients = DataRecipients::parse(&vault.recipients)?;
        let identities = match session.global.identity.is_empty() {
            true => None,
            false => Some(session.identities("rebuild the manifest")?),
        };
        let request = Rebuild {
            state: StateDir::new(&config.state_dir, &vault.name),
            stores: access::stores(vault)?,
            recipients: &recipients,
            identities,
        };
        let observer = session.progress.as_ref();
        reports.push(rebuild::rebuild(request, &session.ask, &session.outside(), observer)?);
    }
    let object = json!({ "vaults": reports.iter().map(object_of).collect::<Vec<_>>() });
    let warnings = session.progress.warnings();
    session
        .report
        .deed(object, &warnings, Ending::Done, || reports.iter().map(text_of).collect::<String>())
}

fn object_of(report: &RebuildReport) -> Value {
    json!({
        "vault": report.vault,
        "snapshot_count": report.replayed.snapshot_count,
        "unknown_count": report.replayed.unknown_count,
        "pack_count": report.replayed.pack_count,
        "recorded": report.recorded,
        "opened": report.opened,
        "replicated_count": report.replicated.object_count,
        "replicated_len": report.replicated.stored_len,
    })
}

fn text_of(report: &RebuildReport) -> String {
    let count = |count: usize, noun| words::count(count as u64, noun);
    let mut text = format!(
        "rebuilt the manifest of {}: {}, {} of the open generation\n",
        report.vault,
        count(report.replayed.snapshot_count, "snapshot"),
        count(report.replayed.pack_count, "pack"),
    );
    if report.replayed.unknown_count > 0 {
        let unknown = count(report.replayed.unknown_count, "snapshot");
        text.push_str(&format!(
            "  tags and counts of {unknown} stay unknown here: they open for an identity alone\n"
        ));
    }
    for snapshot in &report.recorded {
        text.push_str(&format!("  recorded snapshot {snapshot}, whose record was lost\n"));
    }
    if let Some(generation) = report.opened {
        text.push_str(&format!(
            "  opened generation {generation}: the one in the state was never recorded\n"
        ));
    }
    if report.replicated.object_count > 0 {
        text.push_str(&format!(
            "  gave other stores {} of {}\n",
            words::count(report.replicated.object_count, "object"),
            words::bytes(report.replicated.stored_len),
        ));
    }
    text
}
