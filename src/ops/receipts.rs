//! Handing out the receipts of a host, for whoever verifies where looking is not allowed. Spec:
//! `evidence.md` §3.

use std::io::Write;

use serde::Serialize;

use super::Error;
use crate::base::VaultId;
use crate::manifest::ManifestView;
use crate::vault::receipts;

/// What was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Exported {
    /// Events that cover receipts.
    pub group_count: u64,
    /// Receipts.
    pub receipt_count: u64,
}

/// Writes every receipt of a store that an event covers. What none covers yet proves nothing.
///
/// # Errors
/// If the manifest cannot be read, or the text cannot be written.
pub fn export(
    manifest: &ManifestView,
    vault: VaultId,
    store: &str,
    out: &mut dyn Write,
) -> Result<Exported, Error> {
    let mut exported = Exported::default();
    let mut write = |text: String| out.write_all(text.as_bytes()).map_err(Error::Output);
    write(receipts::head(vault, store))?;
    for snapshot in manifest.covered_snapshots(store)? {
        let covered = manifest.receipts_of(store, snapshot)?;
        write(receipts::group(snapshot))?;
        covered.iter().try_for_each(|receipt| write(receipts::line(receipt)))?;
        exported.group_count += 1;
        exported.receipt_count += covered.len() as u64;
    }
    Ok(exported)
}
