//! What may happen to an object, done to a real store and undone again.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use idswyft_vault::base::{GenerationId, PackId, SignerId, SnapshotId};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::store::Store;

use super::fixture::Fixture;
use super::kinds::Kind;
use crate::support::vault::TestVault;
use crate::support::{Call, FaultyStore, Mode};

/// Where the first sealed piece of an object begins, and how many stored bytes one has.
const FIRST_PIECE_AT: usize = 184;
const PIECE_LEN: usize = 65_552;

/// Something that happens to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    TruncateToNothing,
    TruncateByOne,
    TruncateToHalf,
    TruncateToPiece,
    FlipStart,
    FlipMiddle,
    FlipEnd,
    Swap,
    Duplicate,
    DuplicateElsewhere,
    Append,
    Delete,
    Older,
    Foreign,
    Directory,
    Link,
    Unreadable,
    Zeros,
    Hole,
}

impl Harm {
    /// Everything that may happen.
    pub const ALL: [Self; 19] = [
        Self::TruncateToNothing,
        Self::TruncateByOne,
        Self::TruncateToHalf,
        Self::TruncateToPiece,
        Self::FlipStart,
        Self::FlipMiddle,
        Self::FlipEnd,
        Self::Swap,
        Self::Duplicate,
        Self::DuplicateElsewhere,
        Self::Append,
        Self::Delete,
        Self::Older,
        Self::Foreign,
        Self::Directory,
        Self::Link,
        Self::Unreadable,
        Self::Zeros,
        Self::Hole,
    ];

    /// Returns the store of a vault, which does not read the object if that is the harm.
    pub fn store(self, vault: &TestVault, key: ObjectKey) -> Arc<dyn Store> {
        let store = vault.stores[0].clone();
        if self != Self::Unreadable {
            return store;
        }
        Arc::new(FaultyStore::new(store).fail_calls(Mode::NotDone, move |call| {
            matches!(call, Call::Get(at) | Call::GetRange(at, ..) | Call::Open(at) if *at == key)
        }))
    }
}

/// What a reader meets in place of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Nothing is there.
    Gone,
    /// Something else than a file is there.
    NotAFile,
    /// The store fails to read it.
    Unreadable,
    /// It has another length.
    Length,
    /// It has its length, and other bytes.
    Bytes,
    /// It is as it was; its bytes are there under this name as well.
    Added,
}

/// A store to which something happened.
pub struct Harmed {
    /// What is not as it was.
    pub changes: Vec<(ObjectKey, Change)>,
    root: PathBuf,
    sound: Vec<(ObjectKey, Option<Vec<u8>>)>,
}

impl Harmed {
    /// Does something to an object; nothing, if that cannot happen to this one.
    pub fn apply(
        fixture: &Fixture,
        root: &Path,
        (kind, key): (Kind, ObjectKey),
        harm: Harm,
    ) -> Option<Self> {
        let mut harmed = Self { changes: Vec::new(), root: root.to_owned(), sound: Vec::new() };
        let bytes = fs::read(harmed.path(&key)).unwrap();
        let siblings = &fixture.objects[&kind];
        let at = siblings.iter().position(|sibling| *sibling == key).unwrap();
        let sibling = if at > 0 { siblings[at - 1] } else { *siblings.get(1)? };
        match harm {
            Harm::Delete => harmed.replace(key, Change::Gone, remove),
            Harm::Directory => harmed.replace(key, Change::NotAFile, |path| {
                remove(path);
                fs::create_dir(path).unwrap();
            }),
            Harm::Link => {
                let whole = root.with_file_name("linked");
                fs::write(&whole, &bytes).unwrap();
                harmed.replace(key, Change::NotAFile, |path| {
                    remove(path);
                    symlink(&whole, path).unwrap();
                });
            }
            Harm::Unreadable => harmed.changes.push((key, Change::Unreadable)),
            Harm::Duplicate => harmed.add(another_name(&key, &sibling, fixture), &bytes),
            Harm::DuplicateElsewhere => harmed.add(elsewhere(&key), &bytes),
            Harm::Swap => {
                let theirs = fs::read(harmed.path(&sibling)).unwrap();
                harmed.overwrite(key, &bytes, &theirs);
                harmed.overwrite(sibling, &theirs, &bytes);
            }
            Harm::Hole => {
                harmed.replace(key, Change::Bytes, |path| punch(path, &bytes));
            }
            _ => {
                let older = (at > 0).then(|| fs::read(harmed.path(&sibling)).unwrap());
                let changed = changed(harm, &bytes, older, &fixture.foreign[&kind])?;
                harmed.overwrite(key, &bytes, &changed);
            }
        }
        Some(harmed)
    }

    /// Makes the store what it was.
    pub fn undo(self) {
        for (key, bytes) in &self.sound {
            let path = self.path(key);
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_dir() => fs::remove_dir(&path).unwrap(),
                Ok(_) => fs::remove_file(&path).unwrap(),
                Err(_) => {}
            }
            if let Some(bytes) = bytes {
                fs::write(&path, bytes).unwrap();
            }
        }
    }

    fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(key.to_string())
    }

    fn replace(&mut self, key: ObjectKey, change: Change, act: impl FnOnce(&Path)) {
        let path = self.path(&key);
        self.sound.push((key, fs::read(&path).ok()));
        self.changes.push((key, change));
        act(&path);
    }

    fn overwrite(&mut self, key: ObjectKey, before: &[u8], after: &[u8]) {
        assert_ne!(before, after, "{key} would not be damaged");
        let change = if before.len() == after.len() { Change::Bytes } else { Change::Length };
        self.replace(key, change, |path| fs::write(path, after).unwrap());
    }

    fn add(&mut self, key: ObjectKey, bytes: &[u8]) {
        self.replace(key, Change::Added, |path| {
            assert!(!path.exists(), "{} is taken", path.display());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        });
    }
}

/// Returns what the bytes become; nothing, if that would be what they are.
fn changed(harm: Harm, bytes: &[u8], older: Option<Vec<u8>>, foreign: &[u8]) -> Option<Vec<u8>> {
    let mut changed = bytes.to_vec();
    let len = bytes.len();
    match harm {
        Harm::TruncateToNothing => changed.clear(),
        Harm::TruncateByOne => changed.truncate(len - 1),
        Harm::TruncateToHalf => changed.truncate(len / 2),
        Harm::TruncateToPiece => {
            let rest = len.checked_sub(FIRST_PIECE_AT + 1)?;
            changed.truncate(FIRST_PIECE_AT + rest / PIECE_LEN * PIECE_LEN);
        }
        Harm::FlipStart => changed[0] ^= 1,
        Harm::FlipMiddle => changed[len / 2] ^= 0x10,
        Harm::FlipEnd => changed[len - 1] ^= 0x80,
        Harm::Append => changed.extend_from_slice(b"\nmore"),
        Harm::Zeros => changed.fill(0),
        Harm::Older => changed = older?,
        Harm::Foreign => changed = foreign.to_vec(),
        other => panic!("{other:?} is not of bytes"),
    }
    (changed != bytes).then_some(changed)
}

/// Writes a file anew with a hole in its second half, as a file system does after a lost write.
fn punch(path: &Path, bytes: &[u8]) {
    let mut file = fs::File::create(path).unwrap();
    let half = bytes.len() / 2;
    file.write_all(&bytes[..half]).unwrap();
    file.seek(SeekFrom::End(0)).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}

/// Returns another name of an object's own folder that is free: the next one, where there is one.
fn another_name(key: &ObjectKey, sibling: &ObjectKey, fixture: &Fixture) -> ObjectKey {
    let late: SnapshotId = "20991122T023000Z-00000001".parse().unwrap();
    match key {
        ObjectKey::Vault(_) => ObjectKey::Vault(3),
        ObjectKey::Generation(..) => match sibling {
            ObjectKey::Generation(other, _) => ObjectKey::Generation(*other, 2),
            _ => panic!("{sibling} is no generation file"),
        },
        ObjectKey::Pack(_) => ObjectKey::Pack(PackId::from_bytes([7; 32])),
        ObjectKey::Tree(_) => ObjectKey::Tree(PackId::from_bytes([7; 32])),
        ObjectKey::Segment(_) => ObjectKey::Segment(late),
        ObjectKey::Body(_) => ObjectKey::Body(late),
        ObjectKey::List(_) => ObjectKey::List(late),
        ObjectKey::Note(_) => ObjectKey::Note(late),
        ObjectKey::LedgerEvent(signer, _) => ObjectKey::LedgerEvent(*signer, next_seq(fixture)),
        ObjectKey::LedgerCheckpoint(signer, _) => {
            ObjectKey::LedgerCheckpoint(*signer, next_seq(fixture))
        }
        ObjectKey::EscrowBundle(_) | ObjectKey::EscrowCuts(_) | ObjectKey::EscrowKey(..) => {
            unreachable!("no archive holds escrow objects")
        }
    }
}

/// Returns how many events the vault's one ledger has.
pub fn next_seq(fixture: &Fixture) -> u64 {
    fixture.objects[&Kind::Event].len() as u64
}

/// Returns a free name of another folder, or of another kind where a folder holds several.
fn elsewhere(key: &ObjectKey) -> ObjectKey {
    let late: SnapshotId = "20991122T023000Z-00000001".parse().unwrap();
    let generation: GenerationId = "20991122T023000Z-00000001".parse().unwrap();
    let nobody = SignerId::from_bytes([9; 8]);
    match key {
        ObjectKey::Vault(_) => ObjectKey::Generation(generation, 1),
        ObjectKey::Generation(..) => ObjectKey::Vault(3),
        ObjectKey::Pack(id) => ObjectKey::Tree(*id),
        ObjectKey::Tree(id) => ObjectKey::Pack(*id),
        ObjectKey::Segment(_) => ObjectKey::Body(late),
        ObjectKey::Body(_) => ObjectKey::Segment(late),
        ObjectKey::List(_) => ObjectKey::Note(late),
        ObjectKey::Note(_) => ObjectKey::List(late),
        ObjectKey::LedgerEvent(..) => ObjectKey::LedgerEvent(nobody, 0),
        ObjectKey::LedgerCheckpoint(..) => ObjectKey::LedgerCheckpoint(nobody, 0),
        ObjectKey::EscrowBundle(_) | ObjectKey::EscrowCuts(_) | ObjectKey::EscrowKey(..) => {
            unreachable!("no archive holds escrow objects")
        }
    }
}
