//! The recovery kit, when an operator opens it: where the root key is, sealed. Spec: §5.5.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Error;
use super::change::ChangeError;
use crate::base::Digest;
use crate::base::limits::GENERATION_FILE_LEN_MAX;
use crate::crypto::checkpoint::TreeHead;
use crate::crypto::identity::DataIdentities;
use crate::crypto::signing::{KeyUse, SigningKey};

/// What is written before it takes the place of `root.age`.
const STAGED: &str = ".root.age.new";
/// An event whose delivery may have been interrupted.
const PENDING: &str = "drilled.pending";

/// Size and root of the operator's log, as this kit left it.
const HEAD: &str = "operator.head";

/// The directory of a kit that holds a vault's root key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenKit {
    dir: PathBuf,
}

impl OpenKit {
    /// Finds the part of a kit that is of the vault `name`: the directory itself, or the one in it.
    ///
    /// # Errors
    /// If there is none, or it is not clear which.
    pub fn find(dir: &Path, name: &str) -> Result<Self, Error> {
        let unusable = |reason: String| ChangeError::Kit { path: dir.to_owned(), reason };
        if !root_files(dir).map_err(|e| unusable(e.to_string()))?.is_empty() {
            return Ok(Self { dir: dir.to_owned() });
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).map_err(|e| unusable(e.to_string()))? {
            let path = entry.map_err(|e| unusable(e.to_string()))?.path();
            let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let short = file_name.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
            let is_ours = short.is_some_and(|short| short.len() == 8);
            if is_ours && root_files(&path).is_ok_and(|files| !files.is_empty()) {
                found.push(path);
            }
        }
        match &found[..] {
            [one] => Ok(Self { dir: one.clone() }),
            [] => Err(unusable(format!(
                "neither it nor a directory {name}-… in it has a file root.age"
            ))
            .into()),
            several => {
                let names: Vec<String> =
                    several.iter().map(|path| path.display().to_string()).collect();
                let reason = format!("several vaults are meant: name one of {}", names.join(", "));
                Err(unusable(reason).into())
            }
        }
    }

    /// Returns the directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Opens the root key with whichever of its files the identities open.
    ///
    /// # Errors
    /// If none opens, or what opens is no root key.
    pub fn root(&self, identities: &DataIdentities) -> Result<SigningKey, Error> {
        let mut failed: Option<Error> = None;
        for path in root_files(&self.dir).map_err(|e| self.unusable(e.to_string()))? {
            let sealed = read(&path).map_err(|e| self.unusable(e.to_string()))?;
            match identities.open(&path.display().to_string(), &sealed) {
                Ok(text) => return self.parse(&text),
                // That another group's file does not open explains less than anything else.
                Err(error @ crate::crypto::Error::NoMatch { .. }) => {
                    failed.get_or_insert(error.into());
                }
                Err(error) => failed = Some(error.into()),
            }
        }
        Err(failed.unwrap_or_else(|| self.unusable("root.age is gone".to_owned())))
    }

    fn parse(&self, text: &[u8]) -> Result<SigningKey, Error> {
        let key = std::str::from_utf8(text)
            .ok()
            .and_then(|text| SigningKey::from_secret_text(text.trim_end()).ok())
            .filter(|key| key.verification_key().usage() == KeyUse::Root);
        key.ok_or_else(|| self.unusable("what root.age seals is no root key".to_owned()))
    }

    /// Finds out that the root key could be sealed again here.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn check_writable(&self) -> Result<(), Error> {
        let path = self.dir.join(STAGED);
        let tried = write(&path, b"").and_then(|()| fs::remove_file(&path));
        tried.map_err(|e| self.unusable(format!("it cannot be written: {e}")))
    }

    /// Replaces the sealed root key. Each file is replaced whole: one that an interrupted run left
    /// as it was opens for those for whom it was sealed.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn replace_root(&self, sealed: &[Vec<u8>]) -> Result<(), Error> {
        let replace = || {
            let staged = self.dir.join(STAGED);
            let mut names = Vec::new();
            for (index, bytes) in (1..).zip(sealed) {
                let path = self.dir.join(root_name(index));
                write(&staged, bytes)?;
                fs::rename(&staged, &path)?;
                names.push(path);
            }
            for path in root_files(&self.dir)?.iter().filter(|path| !names.contains(path)) {
                fs::remove_file(path)?;
            }
            File::open(&self.dir)?.sync_all()
        };
        replace().map_err(|e: std::io::Error| {
            self.unusable(format!("root.age was not sealed again, run the command again: {e}"))
        })
    }

    /// Reads the event whose delivery may have been interrupted, if one is kept.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn pending(&self) -> Result<Option<Vec<u8>>, Error> {
        match read(&self.dir.join(PENDING)) {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.unusable(format!("{PENDING} cannot be read: {e}"))),
        }
    }

    /// Reads what the operator's log was when this kit was last used, if that is kept.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn head(&self) -> Result<Option<TreeHead>, Error> {
        let unreadable = |reason: String| self.unusable(format!("{HEAD} cannot be read: {reason}"));
        match read(&self.dir.join(HEAD)) {
            Ok(bytes) => {
                let head: KeptHead =
                    serde_json::from_slice(&bytes).map_err(|e| unreadable(e.to_string()))?;
                Ok(Some(TreeHead { size: head.size, root: head.root }))
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(unreadable(e.to_string())),
        }
    }

    /// Keeps what the operator's log is now.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep_head(&self, head: &TreeHead) -> Result<(), Error> {
        let kept = KeptHead { size: head.size, root: head.root };
        let keep = || {
            let staged = self.dir.join(STAGED);
            write(&staged, &serde_json::to_vec(&kept)?)?;
            fs::rename(&staged, self.dir.join(HEAD))?;
            File::open(&self.dir)?.sync_all()
        };
        keep().map_err(|e| self.unusable(format!("{HEAD} cannot be written: {e}")))
    }

    /// Keeps an event before a store gets it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep_pending(&self, leaf: &[u8]) -> Result<(), Error> {
        let keep = || {
            let staged = self.dir.join(STAGED);
            write(&staged, leaf)?;
            fs::rename(&staged, self.dir.join(PENDING))?;
            File::open(&self.dir)?.sync_all()
        };
        keep().map_err(|e| self.unusable(format!("{PENDING} cannot be written: {e}")))
    }

    /// Removes the kept event, which the store has by now.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn forget_pending(&self) -> Result<(), Error> {
        match fs::remove_file(self.dir.join(PENDING)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(self.unusable(format!("{PENDING} cannot be removed: {e}")))
            }
            _ => Ok(()),
        }
    }

    /// Makes the error of a kit that cannot be used.
    pub fn unusable(&self, reason: String) -> Error {
        ChangeError::Kit { path: self.dir.clone(), reason }.into()
    }
}

#[derive(Serialize, Deserialize)]
struct KeptHead {
    size: u64,
    root: Digest,
}

/// Returns the name of the file that holds the root key for a group of recipients, from 1.
pub(super) fn root_name(index: u32) -> String {
    if index == 1 { "root.age".to_owned() } else { format!("root.{index}.age") }
}

/// Returns the files that hold the root key: one for each group of recipients.
fn root_files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let middle = name.strip_prefix("root.").and_then(|rest| rest.strip_suffix("age"));
        let index = middle.map(|middle| middle.trim_end_matches('.').parse::<u32>());
        if middle == Some("") || matches!(index, Some(Ok(_))) {
            files.push(path.clone());
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)?.take(GENERATION_FILE_LEN_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Code, Coded};

    #[test]
    fn a_kit_is_found_by_its_own_directory_or_the_one_above() {
        let scratch = tempfile::tempdir().unwrap();
        let find = |path: &Path| OpenKit::find(path, "nightly");
        let refused = |path: &Path| find(path).unwrap_err().code();
        assert_eq!(refused(scratch.path()), Code::KitUnusable);
        assert_eq!(refused(&scratch.path().join("gone")), Code::KitUnusable);
        for name in ["nightly-00112233", "nightly-2-00112233", "other-00112233"] {
            fs::create_dir(scratch.path().join(name)).unwrap();
            fs::write(scratch.path().join(name).join("root.age"), "x").unwrap();
        }
        let own = scratch.path().join("nightly-00112233");
        assert_eq!(find(scratch.path()).unwrap().dir(), own);
        assert_eq!(find(&own).unwrap().dir(), own);
        fs::create_dir(scratch.path().join("nightly-44556677")).unwrap();
        fs::write(scratch.path().join("nightly-44556677/root.2.age"), "x").unwrap();
        let error = find(scratch.path()).unwrap_err().to_string();
        assert!(error.contains("nightly-44556677") && error.contains("nightly-00112233"));
    }

    #[test]
    fn files_of_the_root_key_are_replaced_and_the_surplus_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let path = |name: &str| scratch.path().join(name);
        for name in ["root.age", "root.2.age", "root.3.age", "root.txt", "operator.key"] {
            fs::write(path(name), "old").unwrap();
        }
        let kit = OpenKit::find(scratch.path(), "nightly").unwrap();
        kit.check_writable().unwrap();
        kit.replace_root(&[b"new".to_vec(), b"newer".to_vec()]).unwrap();
        let read = |name: &str| fs::read_to_string(path(name)).unwrap();
        assert_eq!((read("root.age"), read("root.2.age")), ("new".into(), "newer".into()));
        assert_eq!(read("operator.key"), "old");
        let mut left: Vec<_> =
            fs::read_dir(scratch.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["operator.key", "root.2.age", "root.age", "root.txt"]);
        fs::create_dir(path(STAGED)).unwrap();
        assert_eq!(kit.check_writable().unwrap_err().code(), Code::KitUnusable);
    }
}
