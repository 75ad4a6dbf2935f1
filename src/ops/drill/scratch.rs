//! Where a drill restores to: directories that only their owner can look into, and that go with it.
//! Spec: `drill.md` §1.
//!
//! ```text
//! <parent>/idswyft-vault-drill-<random>.lock   held while the drill runs; made first, removed last
//! <parent>/idswyft-vault-drill-<random>        what is restored
//! <parent>/idswyft-vault-drill-<random>-pg     the scratch server's, whose user may be another
//! ```

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags};

use crate::base::{Entropy, entropy};
use crate::ops::Error;
use crate::source::cluster::stop_orphan;

const PREFIX: &str = "idswyft-vault-drill-";
const LOCK_SUFFIX: &str = ".lock";
const SERVER_SUFFIX: &str = "-pg";
/// How often a removal is tried: whoever still writes into a directory is about to end.
const REMOVE_ATTEMPT_COUNT_MAX: u32 = 5;

/// The scratch directories of one drill; dropped, they are removed.
pub struct Scratch {
    place: ScratchPlace,
    _lock: File,
}

/// Where the scratch directories of a drill are, for whoever has to remove them in a hurry.
#[derive(Debug, Clone)]
pub struct ScratchPlace(PathBuf);

impl ScratchPlace {
    /// Returns the directory for what is restored.
    pub fn restored(&self) -> PathBuf {
        self.0.clone()
    }

    /// Returns the directory for the scratch server.
    pub fn server(&self) -> PathBuf {
        self.with(SERVER_SUFFIX)
    }

    fn with(&self, suffix: &str) -> PathBuf {
        let mut name = self.0.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    }

    /// Stops the server and removes everything, as far as that can be done.
    ///
    /// # Errors
    /// What could not be removed.
    pub fn wipe(&self) -> io::Result<()> {
        stop_orphan(&self.server());
        // One that resists does not keep the other, which holds people's documents.
        let removed = [remove(&self.server()), remove(&self.restored())];
        removed.into_iter().collect::<io::Result<()>>()?;
        match fs::remove_file(self.with(LOCK_SUFFIX)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
            _ => Ok(()),
        }
    }
}

impl Scratch {
    /// Removes what drills that were killed left in a directory, and makes new ones there.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn make(parent: &Path, source: &dyn Entropy) -> Result<Self, Error> {
        sweep(parent);
        let random: [u8; 8] = entropy::draw(source);
        let place = ScratchPlace(parent.join(format!("{PREFIX}{}", hex::encode(random))));
        let path = place.with(LOCK_SUFFIX);
        let make = || {
            let mut options = File::options();
            let lock = options.write(true).create_new(true).mode(0o600).open(&path)?;
            rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
            for dir in [place.restored(), place.server()] {
                fs::DirBuilder::new().mode(0o700).create(dir)?;
            }
            Ok(lock)
        };
        match make() {
            Ok(lock) => Ok(Self { place, _lock: lock }),
            Err(cause) => {
                let _ = place.wipe();
                Err(Error::file("create", path, cause))
            }
        }
    }

    /// Returns where it is.
    pub const fn place(&self) -> &ScratchPlace {
        &self.place
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is found by the next drill, whose lock nobody holds then.
        let _ = self.place.wipe();
    }
}

/// Removes the directories of drills whose lock nobody holds.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    let ours = rustix::process::geteuid().as_raw();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(stem) = name.strip_suffix(LOCK_SUFFIX).filter(|stem| stem.starts_with(PREFIX))
        else {
            continue;
        };
        let place = ScratchPlace(parent.join(stem));
        // In a directory that anybody may write to, what another user planted is none of ours.
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0);
        let lock = File::options().read(true).custom_flags(flags).open(&path);
        let Ok(lock) = lock else { continue };
        let is_ours = lock.metadata().is_ok_and(|found| found.is_file() && found.uid() == ours);
        let is_left = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
        if is_ours && is_left {
            // It is tried again by the next drill.
            let _ = place.wipe();
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let mut last = Ok(());
    for _ in 0..REMOVE_ATTEMPT_COUNT_MAX {
        last = match fs::remove_dir_all(path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
            Ok(()) => return Ok(()),
            failed => failed,
        };
        // Directories may have been archived without the right to change them.
        for entry in walkdir::WalkDir::new(path).into_iter().filter_map(Result::ok) {
            if entry.file_type().is_dir() {
                let _ = fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o700));
            }
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SystemEntropy;

    fn names(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    /// D-2 D-3
    #[test]
    fn what_a_killed_drill_left_goes_and_what_a_running_one_has_stays() {
        let parent = tempfile::tempdir().unwrap();
        let running = Scratch::make(parent.path(), &SystemEntropy).unwrap();
        let mode = fs::metadata(running.place().restored()).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o700);
        let left = ScratchPlace(parent.path().join(format!("{PREFIX}dead")));
        fs::create_dir_all(left.restored().join("uploads/selfies")).unwrap();
        fs::create_dir(left.server()).unwrap();
        fs::write(left.with(LOCK_SUFFIX), "").unwrap();
        fs::write(parent.path().join("idswyft-vault-drill-notes.txt"), "mine").unwrap();
        let next = Scratch::make(parent.path(), &SystemEntropy).unwrap();
        assert!(!left.restored().exists() && !left.server().exists());
        assert!(running.place().restored().exists());
        drop((running, next));
        assert_eq!(names(parent.path()), 1, "only what is not ours stays");
    }
}
