//! Putting staged things in place.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::Existing;
use crate::ops::Error;
use crate::source::target::TargetError;

/// Makes the target and an empty staging directory in it; what an interrupted restore staged goes.
pub fn prepare(target: &Path, staging: &Path, existing: Existing) -> Result<(), Error> {
    let wrap = |cause| Error::file("create", target, cause);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(target).map_err(wrap)?;
    match fs::remove_dir_all(staging) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => {
            return Err(Error::file("remove", staging, cause));
        }
        _ => {}
    }
    let is_empty = fs::read_dir(target).map_err(wrap)?.next().is_none();
    if existing == Existing::Refuse && !is_empty {
        return Err(TargetError::NotEmpty { path: target.to_owned() }.into());
    }
    fs::DirBuilder::new().mode(0o700).create(staging).map_err(wrap)
}

/// Moves everything staged into the target, durably: whatever was written, and every name.
pub fn settle(staging: &Path, target: &Path, existing: Existing) -> Result<(), Error> {
    merge(staging, target, existing)?;
    fs::remove_dir(staging).map_err(|cause| Error::file("remove", staging, cause))?;
    // Names came into any number of directories, and the target's own may be new above it.
    let synced = fs::File::open(target).and_then(|dir| Ok(rustix::fs::syncfs(&dir)?));
    synced.map_err(|cause| Error::file("sync", target, cause))
}

fn merge(source: &Path, target: &Path, existing: Existing) -> Result<(), Error> {
    let read = |cause| Error::file("read", source, cause);
    for entry in fs::read_dir(source).map_err(read)? {
        let entry = entry.map_err(read)?;
        let (from, to) = (entry.path(), target.join(entry.file_name()));
        let there = fs::symlink_metadata(&to).ok();
        let is_dir = entry.file_type().map_err(read)?.is_dir();
        match there {
            Some(_) if existing == Existing::Refuse => {
                return Err(TargetError::NotEmpty { path: to }.into());
            }
            Some(there) if there.is_dir() && is_dir => {
                merge(&from, &to, existing)?;
                fs::remove_dir(&from).map_err(|cause| Error::file("remove", &from, cause))?;
            }
            // A rename never replaces a directory by a file, or follows a link; nor does it replace
            // a file or a link by a directory, so that goes first.
            Some(there) if is_dir && !there.is_dir() => fs::remove_file(&to)
                .and_then(|()| fs::rename(&from, &to))
                .map_err(|cause| Error::file("write", &to, cause))?,
            _ => fs::rename(&from, &to).map_err(|cause| Error::file("write", &to, cause))?,
        }
    }
    Ok(())
}
