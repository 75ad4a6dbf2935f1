//! The files of the install that the escrow held: `.env` and its like. Spec: `apply.md` §1.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::ApplyError;
use super::journal::{InstallFileName, Journal, JournalDir};
use crate::base::{Gate, Step};
use crate::ops::Error;
use crate::store::STAGING_PREFIX;
use crate::vault::directories::{make_dir, sync_dir};

/// A file of the install, as it was sealed.
pub struct InstallFile {
    /// Its path below the install directory.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// Its bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// Stages the files that differ from what is there, and returns their names.
///
/// # Errors
/// If one would leave the install directory, or cannot be staged.
pub fn stage(
    dir: &JournalDir,
    install_dir: &Path,
    files: &[InstallFile],
) -> Result<Vec<InstallFileName>, Error> {
    let mut names = Vec::new();
    for file in files {
        if !file.path.components().all(|part| matches!(part, Component::Normal(_))) {
            let path = file.path.clone();
            return Err(ApplyError::FileOutside { path }.into());
        }
        let place = install_dir.join(&file.path);
        let there = match fs::read(&place) {
            Ok(bytes) => Some(Zeroizing::new(bytes)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
            Err(cause) => return Err(Error::file("read", place, cause)),
        };
        if there.as_ref().is_some_and(|there| **there == *file.bytes) {
            continue;
        }
        let staged = dir.staged_files().join(&file.path);
        dir.write(&staged, &file.bytes, 0o600)
            .and_then(|()| fs::set_permissions(&staged, fs::Permissions::from_mode(file.mode)))
            .map_err(|cause| Error::file("write", &staged, cause))?;
        if let Some(there) = there {
            let kept = dir.previous_files().join(&file.path);
            dir.write(&kept, &there, 0o600).map_err(|cause| Error::file("write", &kept, cause))?;
            let mode = fs::metadata(&place).map_err(|cause| Error::file("read", &place, cause))?;
            fs::set_permissions(&kept, mode.permissions())
                .map_err(|cause| Error::file("write", &kept, cause))?;
            names.push(InstallFileName { path: file.path.clone(), was_there: true });
        } else {
            names.push(InstallFileName { path: file.path.clone(), was_there: false });
        }
    }
    Ok(names)
}

/// Puts the staged files in their places.
///
/// # Errors
/// If one cannot be put.
pub fn put(dir: &JournalDir, journal: &Journal, gate: &Arc<dyn Gate>) -> Result<(), Error> {
    let Some(install_dir) = &journal.install_dir else { return Ok(()) };
    for file in &journal.files {
        let staged = dir.staged_files().join(&file.path);
        replace(&staged, &install_dir.join(&file.path), gate)?;
    }
    Ok(())
}

/// Puts the files that were there before back.
///
/// # Errors
/// If one cannot be put.
pub fn put_back(dir: &JournalDir, journal: &Journal, gate: &Arc<dyn Gate>) -> Result<(), Error> {
    let Some(install_dir) = &journal.install_dir else { return Ok(()) };
    for file in &journal.files {
        let place = install_dir.join(&file.path);
        if file.was_there {
            replace(&dir.previous_files().join(&file.path), &place, gate)?;
            continue;
        }
        match gate.pass(Step::Remove(&place), || fs::remove_file(&place)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                return Err(Error::file("remove", place, cause));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Replaces a file by a copy of another, whole and durably; the owner stays.
fn replace(from: &Path, to: &Path, gate: &Arc<dyn Gate>) -> Result<(), Error> {
    let wrap = |cause| Error::file("write", to, cause);
    let bytes = fs::read(from).map(Zeroizing::new);
    let bytes = bytes.map_err(|cause| Error::file("read", from, cause))?;
    let mode = fs::metadata(from).map_err(|cause| Error::file("read", from, cause))?.mode();
    let dir = to.parent().unwrap_or(Path::new("/"));
    make_dir(dir, gate).map_err(wrap)?;
    let owner = fs::metadata(to).or_else(|_| fs::metadata(dir)).map_err(wrap)?;
    let mut staged =
        tempfile::Builder::new().prefix(STAGING_PREFIX).tempfile_in(dir).map_err(wrap)?;
    let put = || {
        io::Write::write_all(&mut staged, &bytes)?;
        staged.as_file().set_permissions(fs::Permissions::from_mode(mode & 0o7777))?;
        // Only root may give files away, and nobody else has to.
        let _ = std::os::unix::fs::fchown(staged.as_file(), Some(owner.uid()), Some(owner.gid()));
        staged.as_file().sync_all()?;
        gate.pass(Step::Rename(to), || staged.persist(to).map_err(|refused| refused.error))?;
        sync_dir(dir, gate)
    };
    put().map_err(wrap)
}
