//! Directories of the host's own, made so that what is put into them lasts. Spec: §11.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use crate::base::{Gate, Step};

/// Makes a directory that only its owner can enter, whatever the umask, and those above it; each
/// lasts before the next is made in it.
///
/// # Errors
/// If it cannot be made.
pub fn make_dir(path: &Path, gate: &Arc<dyn Gate>) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    let missing: Vec<&Path> = path.ancestors().take_while(|place| !place.is_dir()).collect();
    for place in missing.into_iter().rev() {
        // Recursive, because then it is no error that another run was faster.
        let make = || fs::DirBuilder::new().recursive(true).mode(0o700).create(place);
        gate.pass(Step::MakeDirectory(place), make)?;
        place.parent().map_or(Ok(()), |above| sync_dir(above, gate))?;
    }
    Ok(())
}

/// Makes the names in a directory durable.
///
/// # Errors
/// If it cannot be opened or synced.
pub fn sync_dir(path: &Path, gate: &Arc<dyn Gate>) -> io::Result<()> {
    gate.pass(Step::SyncDirectory(path), || File::open(path)?.sync_all())
}
