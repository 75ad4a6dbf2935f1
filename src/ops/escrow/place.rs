//! Where an escrow store may be: not with what it is to open. Spec: `escrow.md`.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::EscrowError;
use crate::base::{Code, Event, Observer};
use crate::format::Folder;
use crate::store::{self, Store};

/// What a place is that the escrow store must keep away from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A store of the archive: its file system is refused as well.
    ArchiveStore,
    /// Anything else, such as the state directory or the uploads.
    Other,
}

/// A place that the escrow store must keep away from.
#[derive(Debug, Clone)]
pub struct Forbidden {
    /// What it is, in words, such as `store local`.
    pub what: String,
    /// Where it is.
    pub path: PathBuf,
    /// What it is for.
    pub role: Role,
}

/// What to do about an escrow store on the file system of an archive store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameMount {
    /// Seal nothing there.
    Refuse,
    /// Warn and go on, because the config says so.
    Warn,
}

/// Refuses a store that is, holds or lies within a forbidden place, is on the file system of an
/// archive store, or holds an archive.
///
/// # Errors
/// If it is refused, or does not answer.
pub fn check(
    store: &dyn Store,
    forbidden: &[Forbidden],
    same_mount: SameMount,
    observer: &dyn Observer,
) -> Result<(), super::Error> {
    let refuse = |reason: String| EscrowError::Place { place: store.url().to_owned(), reason };
    if let Some(dir) = store::directory(store.url()) {
        let own = Place::of(&dir);
        for other in forbidden {
            let there = Place::of(&other.path);
            if let Some(how) = own.collision(&there) {
                return Err(refuse(format!("it {how} {}", other.what)).into());
            }
            if other.role != Role::ArchiveStore || own.device() != there.device() {
                continue;
            }
            let what = &other.what;
            let reason = format!(
                "it is on the same file system as {what}, so whoever has one has both (if its own \
                 disk is not mounted, mount it; allow_same_mount = true in [escrow] takes the risk)"
            );
            match same_mount {
                SameMount::Refuse => return Err(refuse(reason).into()),
                SameMount::Warn => {
                    let detail = format!(
                        "the escrow store is on the same file system as {what}: whoever has one \
                         has both"
                    );
                    observer.observe(Event::Warning { code: Code::EscrowPlaceRefused, detail });
                    break;
                }
            }
        }
    }
    match store.list(Folder::Vault).map(|mut listed| listed.next().is_some()) {
        Ok(true) => Err(refuse("it holds an archive".to_owned()).into()),
        // One that is not there yet is made later; one that does not answer says so then.
        Ok(false) | Err(_) => Ok(()),
    }
}

/// A path, and the directories above it as the system knows them.
struct Place {
    path: PathBuf,
    /// Device and inode of what exists of it, the innermost first.
    above: Vec<(u64, u64)>,
    exists: bool,
}

impl Place {
    fn of(path: &Path) -> Self {
        let existing = path.ancestors().find_map(|place| Some((place, place.canonicalize().ok()?)));
        let (path, real) = match existing {
            Some((place, real)) => {
                let rest = path.strip_prefix(place).expect("an ancestor is a prefix");
                (real.join(rest).components().collect(), real)
            }
            None => (path.to_owned(), PathBuf::new()),
        };
        let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
        let above = real.ancestors().filter_map(|place| fs::metadata(place).ok().map(identity));
        Self { exists: path == real, above: above.collect(), path }
    }

    fn device(&self) -> Option<u64> {
        self.above.first().map(|(device, _)| *device)
    }

    /// Says how this place and another collide; a second mount of a directory hides nothing.
    fn collision(&self, other: &Self) -> Option<&'static str> {
        let own = self.above.first().filter(|_| self.exists);
        let theirs = other.above.first().filter(|_| other.exists);
        if self.path == other.path || (own.is_some() && own == theirs) {
            return Some("is the same place as");
        }
        if self.path.starts_with(&other.path) || theirs.is_some_and(|it| self.above.contains(it)) {
            return Some("lies within");
        }
        let holds =
            other.path.starts_with(&self.path) || own.is_some_and(|it| other.above.contains(it));
        holds.then_some("holds")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Coded, Silent};

    fn refused(escrow: &Path, other: &Path, role: Role, same: SameMount) -> Option<String> {
        let store = store::open(&format!("file://{}", escrow.display()), "escrow").unwrap();
        let forbidden = [Forbidden { what: "store local".into(), path: other.to_owned(), role }];
        let error = check(store.as_ref(), &forbidden, same, &Silent).err()?;
        assert_eq!(error.code(), Code::EscrowPlaceRefused);
        Some(error.to_string())
    }

    /// E-1
    #[test]
    fn a_place_that_is_holds_or_lies_within_another_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        fs::create_dir_all(at("real/store")).unwrap();
        std::os::unix::fs::symlink(at("real"), at("link")).unwrap();
        for (escrow, other, how) in [
            ("real/store", "link/store", "is the same place as store local"),
            ("link/store/deep/er", "real/store", "lies within store local"),
            ("real", "link/store/not/yet", "holds store local"),
            ("new", "new", "is the same place as"),
            ("new/escrow", "new", "lies within"),
        ] {
            let reason = refused(&at(escrow), &at(other), Role::Other, SameMount::Warn).unwrap();
            assert!(reason.contains(how), "{reason}");
        }
        assert_eq!(refused(&at("a"), &at("ab"), Role::Other, SameMount::Refuse), None);
    }

    /// E-2
    #[test]
    fn the_file_system_of_an_archive_store_is_refused_unless_the_config_takes_the_risk() {
        let scratch = tempfile::tempdir().unwrap();
        let (escrow, other) = (scratch.path().join("escrow"), scratch.path().join("store"));
        let reason = refused(&escrow, &other, Role::ArchiveStore, SameMount::Refuse).unwrap();
        assert!(reason.contains("same file system as store local"), "{reason}");
        assert_eq!(refused(&escrow, &other, Role::ArchiveStore, SameMount::Warn), None);
        assert_eq!(refused(&escrow, &other, Role::Other, SameMount::Refuse), None);
    }

    /// E-1
    #[test]
    fn a_store_that_holds_an_archive_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir(scratch.path().join("vault")).unwrap();
        fs::write(scratch.path().join("vault/1.note"), "x").unwrap();
        let elsewhere = Path::new("/nowhere/at/all");
        let reason = refused(scratch.path(), elsewhere, Role::Other, SameMount::Warn).unwrap();
        assert!(reason.contains("holds an archive"), "{reason}");
    }
}
