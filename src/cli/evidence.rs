//! What is known of a store from elsewhere, for `verify`.

use std::path::{Path, PathBuf};

use super::access::AccessArgs;
use super::args::evidence::{EvidenceArgs, LockArg};
use super::args::{LevelArg, UsageError};
use super::files;
use super::report::Failure;
use super::session::Session;
use crate::ops::verify::{Evidence, ReceiptsFrom};
use crate::store::GIVEN;
use crate::vault::Auditor;
use crate::vault::state::StateDir;

/// Refuses a place for what is written beside a verification, before it begins.
///
/// # Errors
/// If a file is there, or cannot be written.
pub fn check_places(args: &EvidenceArgs) -> Result<(), Failure> {
    let manifest = args.write_batch_manifest.as_deref();
    manifest.map_or(Ok(()), |path| files::check_new(path, "manifest of the job"))
}

/// Refuses evidence that could not be of what is verified.
///
/// # Errors
/// If it needs a higher level, or is of one vault and several are verified.
pub fn check(args: &EvidenceArgs, level: LevelArg, vault_count: usize) -> Result<(), Failure> {
    let EvidenceArgs { class, lock, receipts, write_batch_manifest, provider_report } = args;
    let refuse = |reason: &str| Err(UsageError::new("use the evidence", reason).into());
    let is_of_stored =
        class.is_some() || lock.is_some() || receipts.is_some() || !provider_report.is_empty();
    if is_of_stored && level < LevelArg::Stored {
        return refuse("level ledger looks at no stored object: it needs --level stored");
    }
    let is_of_one =
        receipts.is_some() || write_batch_manifest.is_some() || !provider_report.is_empty();
    match is_of_one && vault_count > 1 {
        true => refuse("it is of one vault: name it with --vault"),
        false => Ok(()),
    }
}

/// Returns the manifest of this host, where it keeps one of the vault and reads by its config.
pub fn own_manifest(session: &Session, access: &AccessArgs, auditor: &Auditor) -> Option<PathBuf> {
    if auditor.store().name() == GIVEN || access.vault_key.is_some() {
        return None;
    }
    let config = session.config().ok()?;
    let vaults = config.select(session.global.vault.as_deref()).ok()?;
    vaults.into_iter().find_map(|vault| {
        let state = StateDir::new(&config.state_dir, &vault.name);
        let is_it = state.anchor().ok()?.vault == auditor.vault();
        let path = state.file("manifest.sqlite");
        (is_it && path.is_file()).then_some(path)
    })
}

/// Returns what was given, and without receipts those that this host has.
pub fn of<'a>(args: &'a EvidenceArgs, manifest: Option<&'a Path>) -> Evidence<'a> {
    let given = args.receipts.as_deref().map(ReceiptsFrom::File);
    Evidence {
        class: args.class,
        lock: args.lock.map(LockArg::mode),
        receipts: given.or(manifest.map(ReceiptsFrom::Host)),
        batch_manifest: args.write_batch_manifest.as_deref(),
        provider_reports: &args.provider_report,
    }
}
