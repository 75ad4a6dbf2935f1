//! `store receipts`: what a store said, for whoever verifies without being allowed to look.

use std::path::Path;

use serde_json::json;

use super::args::UsageError;
use super::config::VaultConfig;
use super::files;
use super::report::{Ending, Failure, words};
use super::session::Session;
use crate::manifest::ManifestView;
use crate::ops::receipts;
use crate::ops::staged::Staged;
use crate::vault::state::StateDir;

/// Writes the receipts of a store into a new file.
///
/// # Errors
/// If the vault has no such store or no state here, the store gave no receipts that an event
/// covers, or the file is there.
pub fn hand_out(store: &str, out: &Path, session: &Session) -> Result<Ending, Failure> {
    files::check_new(out, "receipts")?;
    let config = session.config()?;
    let vaults = config.select(session.global.vault.as_deref())?;
    let refuse = |reason: String| Failure::from(UsageError::new("choose a store", reason));
    let has = |vault: &&VaultConfig| vault.stores.iter().any(|one| one.name == store);
    let Some(vault) = vaults.into_iter().find(has) else {
        return Err(refuse(format!("no vault has a store {store}")));
    };
    let state = StateDir::new(&config.state_dir, &vault.name);
    let anchor = state.anchor()?;
    let manifest = ManifestView::open(&state.file("manifest.sqlite"))?;
    if manifest.covered_snapshots(store)?.is_empty() {
        let reason = format!(
            "no receipt of {store} is covered by an event: a directory gives none, and a bucket \
             only what was put since it was complete"
        );
        return Err(refuse(reason));
    }
    let wrap = |error| Failure::system(format!("write the receipts {}", out.display()), error);
    let staged = Staged::at(out).map_err(wrap)?;
    let exported =
        staged.put_new_by(|file| receipts::export(&manifest, anchor.vault, store, file))?;
    let warnings = session.progress.warnings();
    let report = json!({
        "vault": anchor.vault.to_string(),
        "store": store,
        "path": out.display().to_string(),
        "group_count": exported.group_count,
        "receipt_count": exported.receipt_count,
    });
    session.report.result(report, &warnings, || {
        format!(
            "{}: {} of store {store}, covered by {}\n",
            out.display(),
            words::count(exported.receipt_count, "receipt"),
            words::count(exported.group_count, "event"),
        )
    })?;
    Ok(Ending::Done)
}
