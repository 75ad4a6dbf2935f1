//! The files of an installation that hold its secrets, read byte for byte. Spec: `escrow.md`.
//!
//! - Links are followed only while they stay within the installation.
//! - What is not a regular file is not opened, and opening cannot hang.
//! - A file that cannot be read is said so, and keeps no other from being read.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

use super::file::{FileReader, READ_ATTEMPT_COUNT_MAX, ReadOutcome};
use crate::base::limits::{ESCROW_FILE_COUNT_MAX, ESCROW_FILE_LEN_MAX};
use crate::base::{Code, Coded};

/// Where the stack's variables are.
pub const ENV_FILE: &str = ".env";
/// Files whose absence is worth recording.
const EXPECTED: [&str; 3] = [ENV_FILE, "docker-compose.override.yml", "caddy/Caddyfile"];
/// Other names that compose gives to an override.
const OTHERS: [&str; 3] =
    ["docker-compose.override.yaml", "compose.override.yml", "compose.override.yaml"];
/// The directory of which everything is taken.
const CERTIFICATES: &str = "caddy/certs";

/// Bytes that are read at once.
const WINDOW_LEN: usize = 64 * 1024;

/// An installation that cannot be read at all.
#[derive(Debug, Error)]
#[error("read the installation {}", path.display())]
pub struct InstallError {
    /// Its directory.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub cause: io::Error,
}

impl Coded for InstallError {
    fn code(&self) -> Code {
        Code::EscrowIncomplete
    }
}

/// A file that was looked for.
pub struct InstallFile {
    /// Its name below the install directory.
    pub name: String,
    /// What was found.
    pub found: Found,
}

/// What was found under a name.
pub enum Found {
    /// A file.
    File(FileBytes),
    /// Nothing.
    Missing,
    /// A link that leads out of the installation; where to.
    Outside(PathBuf),
    /// Something that cannot be read; why.
    Unreadable(String),
}

/// A file's bytes, and what its inode says.
pub struct FileBytes {
    /// Its permission bits.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl InstallFile {
    /// Returns the file's bytes, if it was read.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.found {
            Found::File(file) => Some(&file.bytes),
            _ => None,
        }
    }
}

/// Reads every file of an installation that holds secrets, sorted by name.
///
/// # Errors
/// If the directory is not there or cannot be entered.
pub fn read(dir: &Path) -> Result<Vec<InstallFile>, InstallError> {
    let wrap = |cause| InstallError { path: dir.to_owned(), cause };
    let root = dir.canonicalize().map_err(wrap)?;
    if !root.is_dir() {
        return Err(wrap(io::ErrorKind::NotADirectory.into()));
    }
    let mut files: Vec<InstallFile> = Vec::new();
    for name in EXPECTED.iter().chain(&OTHERS) {
        let found = read_one(&root, Path::new(name));
        if !matches!(found, Found::Missing) || EXPECTED.contains(name) {
            files.push(InstallFile { name: (*name).to_owned(), found });
        }
    }
    read_all_in(&root, CERTIFICATES, &mut files);
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// Reads everything below a directory of the installation.
fn read_all_in(root: &Path, name: &str, files: &mut Vec<InstallFile>) {
    let unreadable = |name: &str, reason: String| InstallFile {
        name: name.to_owned(),
        found: Found::Unreadable(reason),
    };
    let entries = match fs::read_dir(root.join(name)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return files.push(unreadable(name, error.to_string())),
    };
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return files.push(unreadable(name, error.to_string())),
        };
        let path = Path::new(name).join(entry.file_name());
        let Some(inner) = path.to_str() else {
            files.push(unreadable(&path.to_string_lossy(), "its name is not UTF-8".to_owned()));
            continue;
        };
        if files.len() >= ESCROW_FILE_COUNT_MAX {
            let reason = format!("there are more than {ESCROW_FILE_COUNT_MAX} files to be sealed");
            return files.push(unreadable(inner, reason));
        }
        match entry.file_type() {
            // A link to a directory is not entered: what it leads to would be read twice.
            Ok(kind) if kind.is_dir() => read_all_in(root, inner, files),
            _ => {
                let found = read_one(root, &path);
                files.push(InstallFile { name: inner.to_owned(), found });
            }
        }
    }
}

fn read_one(root: &Path, name: &Path) -> Found {
    let path = match root.join(name).canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match root.join(name).symlink_metadata() {
                Ok(_) => Found::Unreadable("the link leads nowhere".to_owned()),
                Err(_) => Found::Missing,
            };
        }
        Err(error) => return Found::Unreadable(error.to_string()),
    };
    if !path.starts_with(root) {
        return Found::Outside(path);
    }
    for _ in 1..READ_ATTEMPT_COUNT_MAX {
        if let Ok(Some(file)) = read_stable(&path) {
            return Found::File(file);
        }
    }
    match read_stable(&path) {
        Ok(Some(file)) => Found::File(file),
        Ok(None) => Found::Unreadable("it kept changing while it was read".to_owned()),
        Err(reason) => Found::Unreadable(reason),
    }
}

/// Reads a file; nothing if it changed meanwhile.
fn read_stable(path: &Path) -> Result<Option<FileBytes>, String> {
    let reason = |error: &dyn std::error::Error| {
        error.source().map_or_else(|| error.to_string(), ToString::to_string)
    };
    let metadata = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
    let opened = FileReader::open(path).map_err(|error| reason(&error))?;
    let Some(mut reader) = opened else { return Err("it is not a regular file".to_owned()) };
    let expected = *reader.stat();
    if expected.size > ESCROW_FILE_LEN_MAX {
        let len = expected.size;
        return Err(format!("it has {len} bytes, at most {ESCROW_FILE_LEN_MAX} are sealed"));
    }
    // Large enough at once, so that no copy of it stays behind in memory.
    let len = usize::try_from(expected.size).unwrap_or(0);
    let mut bytes = Zeroizing::new(Vec::with_capacity(len + WINDOW_LEN));
    while reader.read_window(&mut bytes, WINDOW_LEN).map_err(|error| reason(&error))? > 0 {}
    let outcome = reader.finish(&expected).map_err(|error| reason(&error))?;
    let (mode, uid, gid) = (metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
    let is_stable = matches!(outcome, ReadOutcome::Stable(stat) if stat.inode == metadata.ino());
    Ok(is_stable.then_some(FileBytes { mode, uid, gid, bytes }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn state(files: &[InstallFile], name: &str) -> &'static str {
        match files.iter().find(|file| file.name == name).map(|file| &file.found) {
            None => "not looked for",
            Some(Found::File(_)) => "file",
            Some(Found::Missing) => "missing",
            Some(Found::Outside(_)) => "outside",
            Some(Found::Unreadable(_)) => "unreadable",
        }
    }

    /// E-10
    #[test]
    fn files_are_read_byte_for_byte_with_their_modes() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        fs::create_dir_all(root.join("caddy/certs/deep")).unwrap();
        fs::write(root.join(".env"), b"A='\xff\r\n\0").unwrap();
        fs::set_permissions(root.join(".env"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(root.join("caddy/certs/deep/key.pem"), "key").unwrap();
        fs::write(root.join("compose.override.yaml"), "services:").unwrap();
        let files = read(root).unwrap();
        let names: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
        assert!(names.is_sorted(), "{names:?}");
        assert_eq!(state(&files, "caddy/certs/deep/key.pem"), "file");
        assert_eq!(state(&files, "compose.override.yaml"), "file");
        assert_eq!(state(&files, "compose.override.yml"), "not looked for");
        let Found::File(env) = &files[0].found else { panic!("{names:?}") };
        assert_eq!((env.mode, env.bytes.as_slice()), (0o640, &b"A='\xff\r\n\0"[..]));
    }

    /// E-11
    #[test]
    fn what_is_missing_or_unreadable_or_outside_is_said_and_hides_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("install");
        fs::create_dir_all(root.join("caddy/certs")).unwrap();
        fs::create_dir(root.join("etc")).unwrap();
        fs::write(root.join("etc/env"), "A=b").unwrap();
        fs::write(scratch.path().join("secret"), "x").unwrap();
        symlink("etc/env", root.join(".env")).unwrap();
        symlink("../secret", root.join("docker-compose.override.yml")).unwrap();
        symlink("nowhere", root.join("caddy/certs/dangling.pem")).unwrap();
        symlink("/etc", root.join("caddy/certs/dir.pem")).unwrap();
        rustix::fs::mkfifoat(
            rustix::fs::CWD,
            root.join("caddy/certs/fifo.pem"),
            rustix::fs::Mode::RUSR,
        )
        .unwrap();
        let long = fs::File::create(root.join("caddy/certs/long.pem")).unwrap();
        long.set_len(ESCROW_FILE_LEN_MAX + 1).unwrap();
        let files = read(&root).unwrap();
        for (name, expected) in [
            (".env", "file"),
            ("docker-compose.override.yml", "outside"),
            ("caddy/Caddyfile", "missing"),
            ("caddy/certs/dangling.pem", "unreadable"),
            ("caddy/certs/dir.pem", "outside"),
            ("caddy/certs/fifo.pem", "unreadable"),
            ("caddy/certs/long.pem", "unreadable"),
        ] {
            assert_eq!(state(&files, name), expected, "{name}");
        }
        assert!(read(&scratch.path().join("none")).is_err());
        assert!(read(&scratch.path().join("secret")).is_err());
    }
}
