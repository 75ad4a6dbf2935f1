//! The bundle: a tar of the installation's files, with an index of what it lacks. Spec:
//! `escrow.md`.
//!
//! The same files make the same bytes, so that a bundle which is unchanged can be known by its
//! fingerprint. Times are left out for that reason; modes and owners are kept.

use std::collections::BTreeSet;
use std::io::Read;

use serde::{Deserialize, Serialize};
use tar::{Archive, Builder, EntryType, Header};
use zeroize::Zeroizing;

use super::{KeySource, key_text};
use crate::base::limits::{ESCROW_FILE_COUNT_MAX, ESCROW_PLAIN_LEN_MAX};
use crate::format::envelope::{self, FormatError, integer};
use crate::format::key::ObjectKey;

const WHAT: &str = "bundle of secrets";

/// The name of the index, which is the first file of the tar.
pub const INDEX_NAME: &str = ".idswyft-vault-escrow.json";

/// What became of a file that a bundle is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// It is in the bundle.
    Sealed,
    /// There is none.
    Missing,
    /// It could not be read.
    Unreadable,
    /// A link leads out of the installation.
    Outside,
}

/// A file in the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexFile {
    /// Its name below the install directory.
    pub name: String,
    /// What became of it.
    pub state: FileState,
    /// Its permission bits; 0 if it is not in the bundle.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its length in bytes on the host, what was cut out of it included.
    #[serde(with = "integer")]
    pub len: u64,
}

/// A key that was sealed along with the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexKey {
    /// The variable.
    pub variable: String,
    /// Where its value was found.
    pub from: Vec<KeySource>,
    /// The objects that hold it, each for recipients of its own.
    #[serde(with = "names")]
    pub objects: Vec<ObjectKey>,
}

/// Something that was cut out of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexPiece {
    /// The file.
    pub file: String,
    /// Where it stood in the whole file.
    #[serde(with = "integer")]
    pub offset: u64,
    /// Its length in bytes.
    #[serde(with = "integer")]
    pub len: u64,
}

/// What was cut out of the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexCuts {
    /// The objects that hold the pieces one behind the other, each for recipients of its own.
    #[serde(with = "names")]
    pub objects: Vec<ObjectKey>,
    /// The pieces, file by file, in the order in which they stood.
    pub pieces: Vec<IndexPiece>,
}

/// What a bundle says of itself; holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Every file that was looked for.
    pub files: Vec<IndexFile>,
    /// The keys that were sealed along with it.
    pub keys: Vec<IndexKey>,
    /// What was cut out, if anything was.
    #[serde(deserialize_with = "Option::deserialize")]
    pub cuts: Option<IndexCuts>,
}

/// A file in a bundle, without what was cut out of it.
pub struct BundleFile {
    /// Its name below the install directory.
    pub name: String,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// A bundle that was read back.
pub struct Bundle {
    /// What it says of itself.
    pub index: Index,
    /// Its files.
    pub files: Vec<BundleFile>,
}

/// Writes a bundle.
///
/// # Errors
/// If it breaks a limit.
pub fn compose(index: &Index, files: &[BundleFile]) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    let index = envelope::compose(WHAT, index)? + "\n";
    let len: usize = files.iter().map(|file| file.bytes.len() + 2048).sum();
    // Made large enough at once, so that no copy of it stays behind in memory.
    let mut plain = Zeroizing::new(Vec::with_capacity(len + index.len() + 4096));
    let mut builder = Builder::new(&mut *plain);
    let mut add = |name: &str, (mode, uid, gid): (u32, u32, u32), bytes: &[u8]| {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(mode);
        header.set_uid(u64::from(uid));
        header.set_gid(u64::from(gid));
        header.set_mtime(0);
        header.set_size(bytes.len() as u64);
        let added = builder.append_data(&mut header, name, bytes);
        added.map_err(|error| FormatError::invalid(WHAT, format!("{name}: {error}")))
    };
    add(INDEX_NAME, (0o600, 0, 0), index.as_bytes())?;
    for file in files {
        add(&file.name, (file.mode, file.uid, file.gid), &file.bytes)?;
    }
    builder.into_inner().map_err(|error| FormatError::invalid(WHAT, error))?;
    check_len(plain.len() as u64)?;
    Ok(plain)
}

/// Reads a bundle; nothing of it can lead out of the directory that it is unpacked into.
///
/// # Errors
/// If it is not one, or breaks a limit.
pub fn parse(plain: &[u8]) -> Result<Bundle, FormatError> {
    check_len(plain.len() as u64)?;
    let invalid = |detail: String| FormatError::invalid(WHAT, detail);
    let mut archive = Archive::new(plain);
    let entries = archive.entries().map_err(|error| invalid(error.to_string()))?;
    let (mut index, mut files, mut names) = (None, Vec::new(), BTreeSet::new());
    for entry in entries {
        let mut entry = entry.map_err(|error| invalid(error.to_string()))?;
        let name = String::from_utf8(entry.path_bytes().into_owned())
            .map_err(|_| invalid("the name of a file is not UTF-8".to_owned()))?;
        let is_file = entry.header().entry_type() == EntryType::Regular;
        if !is_file || !is_sound_name(&name) || !names.insert(name.clone()) {
            return Err(invalid(format!("{name:?} cannot be unpacked")));
        }
        if names.len() > ESCROW_FILE_COUNT_MAX + 1 {
            return Err(invalid(format!("it has more than {ESCROW_FILE_COUNT_MAX} files")));
        }
        let mut bytes = Zeroizing::new(Vec::new());
        entry.read_to_end(&mut bytes).map_err(|error| invalid(error.to_string()))?;
        if name == INDEX_NAME && index.is_none() && files.is_empty() {
            index = Some(bytes);
            continue;
        }
        let header = entry.header();
        let number = |field: std::io::Result<u64>| {
            let value = field.ok().and_then(|value| u32::try_from(value).ok());
            value.ok_or_else(|| invalid(format!("{name:?} has no sound owner")))
        };
        let mode = header.mode().map_err(|error| invalid(error.to_string()))? & 0o7777;
        let (uid, gid) = (number(header.uid())?, number(header.gid())?);
        files.push(BundleFile { name, mode, uid, gid, bytes });
    }
    let index = index.ok_or_else(|| invalid("it does not begin with its index".to_owned()))?;
    let line = index.strip_suffix(b"\n").unwrap_or(&index);
    Ok(Bundle { index: envelope::parse(WHAT, line)?, files })
}

/// Tells whether a name stays below the directory that it is joined to.
pub fn is_sound_name(name: &str) -> bool {
    !name.is_empty()
        && !name.contains('\0')
        && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn check_len(len: u64) -> Result<(), FormatError> {
    match len <= ESCROW_PLAIN_LEN_MAX {
        true => Ok(()),
        false => Err(FormatError::TooLong { what: WHAT, len, len_max: ESCROW_PLAIN_LEN_MAX }),
    }
}

mod names {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{ObjectKey, key_text};

    #[derive(Serialize, Deserialize)]
    struct Name(#[serde(with = "key_text")] ObjectKey);

    pub(super) fn serialize<S: Serializer>(
        keys: &[ObjectKey],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(keys.iter().map(|key| Name(*key)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<ObjectKey>, D::Error> {
        let names = Vec::<Name>::deserialize(deserializer)?;
        Ok(names.into_iter().map(|name| name.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, bytes: &[u8]) -> BundleFile {
        let bytes = Zeroizing::new(bytes.to_vec());
        BundleFile { name: name.to_owned(), mode: 0o600, uid: 1000, gid: 3_000_000, bytes }
    }

    fn index() -> Index {
        Index { files: Vec::new(), keys: Vec::new(), cuts: None }
    }

    /// E-9, E-10
    #[test]
    fn a_bundle_reads_back_and_the_same_files_make_the_same_bytes() {
        let long = format!("caddy/certs/{}.pem", "x".repeat(180));
        let files = || vec![file(".env", b"A=\xff\r\n"), file(&long, b""), file("a b", &[0; 600])];
        let plain = compose(&index(), &files()).unwrap();
        assert_eq!(plain, compose(&index(), &files()).unwrap());
        let bundle = parse(&plain).unwrap();
        assert_eq!(bundle.index, index());
        for (read, written) in bundle.files.iter().zip(files()) {
            assert_eq!((&read.name, &*read.bytes), (&written.name, &*written.bytes));
            assert_eq!((read.mode, read.uid, read.gid), (0o600, 1000, 3_000_000));
        }
        assert_eq!(bundle.files.len(), 3);
    }

    /// E-21
    #[test]
    fn a_bundle_that_would_leave_its_directory_is_refused() {
        let with = |name: &str, kind: EntryType| {
            let mut builder = Builder::new(Vec::new());
            let line = envelope::compose(WHAT, &index()).unwrap();
            for (name, kind, bytes) in
                [(INDEX_NAME, EntryType::Regular, line.as_bytes()), (name, kind, b"x".as_slice())]
            {
                let mut header = Header::new_ustar();
                header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
                header.set_entry_type(kind);
                header.set_mode(0o600);
                header.set_uid(0);
                header.set_gid(0);
                header.set_size(bytes.len() as u64);
                header.set_cksum();
                builder.append(&header, bytes).unwrap();
            }
            parse(&builder.into_inner().unwrap())
        };
        assert!(with(".env", EntryType::Regular).is_ok());
        for name in ["../.env", "/etc/passwd", "a/../../b", "a//b", "./a", INDEX_NAME] {
            assert!(with(name, EntryType::Regular).is_err(), "{name}");
        }
        for kind in [EntryType::Symlink, EntryType::Link, EntryType::Fifo, EntryType::Directory] {
            assert!(with("a", kind).is_err(), "{kind:?}");
        }
        assert!(parse(b"").is_err() && parse(&[7; 2048]).is_err());
    }
}
