//! Names of objects in a store. Spec: §3.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::base::{Code, Coded, GenerationId, PackId, SignerId, SnapshotId};

/// The full name of an object in a store, relative to the vault's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectKey {
    /// `vault/<n>.note`: a note signed by the root key.
    Vault(u32),
    /// `generations/<g>/<rev>.age`: a generation's sealed secrets.
    Generation(GenerationId, u32),
    /// `packs/<2 hex>/<sha256>`: blocks of the profiles `stream` and `file`.
    Pack(PackId),
    /// `trees/<2 hex>/<sha256>`: blocks of the profile `meta`.
    Tree(PackId),
    /// `segments/<snapshot>`: the chunk index of what a snapshot names first.
    Segment(SnapshotId),
    /// `snapshots/<id>.age`: the sealed body.
    Body(SnapshotId),
    /// `snapshots/<id>.sha256`: every pack and tree object that the snapshot needs.
    List(SnapshotId),
    /// `snapshots/<id>.note`: the signed note that makes the snapshot exist.
    Note(SnapshotId),
    /// `ledger/<signer>/<seq>.json`: one event.
    LedgerEvent(SignerId, u64),
    /// `ledger/<signer>/<seq>.checkpoint`: the signed checkpoint after that event.
    LedgerCheckpoint(SignerId, u64),
}

/// The folders of a store, in the order in which objects are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Folder {
    /// `vault/`
    Vault,
    /// `generations/`
    Generations,
    /// `packs/`
    Packs,
    /// `trees/`
    Trees,
    /// `segments/`
    Segments,
    /// `snapshots/`
    Snapshots,
    /// `ledger/`
    Ledger,
}

impl Folder {
    /// Every folder.
    pub const ALL: [Self; 7] = [
        Self::Vault,
        Self::Generations,
        Self::Packs,
        Self::Trees,
        Self::Segments,
        Self::Snapshots,
        Self::Ledger,
    ];

    /// Returns the folder's name without a slash.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vault => "vault",
            Self::Generations => "generations",
            Self::Packs => "packs",
            Self::Trees => "trees",
            Self::Segments => "segments",
            Self::Snapshots => "snapshots",
            Self::Ledger => "ledger",
        }
    }
}

/// Text that is not the name of an object.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("parse {text:?} as the name of an object")]
pub struct ParseKeyError {
    text: String,
}

impl Coded for ParseKeyError {
    fn code(&self) -> Code {
        Code::FormatInvalid
    }
}

impl ObjectKey {
    /// Returns the folder that holds the object.
    pub const fn folder(&self) -> Folder {
        match self {
            Self::Vault(_) => Folder::Vault,
            Self::Generation(..) => Folder::Generations,
            Self::Pack(_) => Folder::Packs,
            Self::Tree(_) => Folder::Trees,
            Self::Segment(_) => Folder::Segments,
            Self::Body(_) | Self::List(_) | Self::Note(_) => Folder::Snapshots,
            Self::LedgerEvent(..) | Self::LedgerCheckpoint(..) => Folder::Ledger,
        }
    }

    /// Returns the pack id, if the object's name is the SHA-256 of its bytes.
    pub const fn pack(&self) -> Option<PackId> {
        match self {
            Self::Pack(id) | Self::Tree(id) => Some(*id),
            _ => None,
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = self.folder().name();
        match self {
            Self::Vault(number) => write!(f, "{folder}/{number}.note"),
            Self::Generation(id, rev) => write!(f, "{folder}/{id}/{rev}.age"),
            Self::Pack(id) | Self::Tree(id) => {
                write!(f, "{folder}/{:02x}/{id}", id.as_bytes()[0])
            }
            Self::Segment(id) => write!(f, "{folder}/{id}"),
            Self::Body(id) => write!(f, "{folder}/{id}.age"),
            Self::List(id) => write!(f, "{folder}/{id}.sha256"),
            Self::Note(id) => write!(f, "{folder}/{id}.note"),
            Self::LedgerEvent(signer, seq) => write!(f, "{folder}/{signer}/{seq:010}.json"),
            Self::LedgerCheckpoint(signer, seq) => {
                write!(f, "{folder}/{signer}/{seq:010}.checkpoint")
            }
        }
    }
}

impl FromStr for ObjectKey {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        // Printing is the only authority on the form, so a name has exactly one spelling.
        parse(text)
            .filter(|key| key.to_string() == text)
            .ok_or_else(|| ParseKeyError { text: text.chars().take(200).collect() })
    }
}

fn parse(text: &str) -> Option<ObjectKey> {
    let parts: Vec<&str> = text.split('/').collect();
    match parts[..] {
        ["vault", name] => Some(ObjectKey::Vault(name.strip_suffix(".note")?.parse().ok()?)),
        ["generations", id, name] => {
            let rev = name.strip_suffix(".age")?.parse().ok()?;
            Some(ObjectKey::Generation(id.parse().ok()?, rev))
        }
        ["packs", _, id] => Some(ObjectKey::Pack(id.parse().ok()?)),
        ["trees", _, id] => Some(ObjectKey::Tree(id.parse().ok()?)),
        ["segments", id] => Some(ObjectKey::Segment(id.parse().ok()?)),
        ["snapshots", name] => {
            let (id, kind) = name.split_once('.')?;
            let id = id.parse().ok()?;
            match kind {
                "age" => Some(ObjectKey::Body(id)),
                "sha256" => Some(ObjectKey::List(id)),
                "note" => Some(ObjectKey::Note(id)),
                _ => None,
            }
        }
        ["ledger", signer, name] => {
            let (seq, kind) = name.split_once('.')?;
            let (signer, seq) = (signer.parse().ok()?, seq.parse().ok()?);
            match kind {
                "json" => Some(ObjectKey::LedgerEvent(signer, seq)),
                "checkpoint" => Some(ObjectKey::LedgerCheckpoint(signer, seq)),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V-14
    #[test]
    fn every_key_prints_and_parses_back() {
        let snapshot: SnapshotId = "20261122T023000Z-1a2b3c4d".parse().unwrap();
        let generation: GenerationId = "20261122T023000Z-00000001".parse().unwrap();
        let (pack, signer) = (PackId::from_bytes([7; 32]), SignerId::from_bytes([9; 8]));
        for key in [
            ObjectKey::Vault(3),
            ObjectKey::Generation(generation, 1),
            ObjectKey::Pack(pack),
            ObjectKey::Tree(pack),
            ObjectKey::Segment(snapshot),
            ObjectKey::Body(snapshot),
            ObjectKey::List(snapshot),
            ObjectKey::Note(snapshot),
            ObjectKey::LedgerEvent(signer, 12),
            ObjectKey::LedgerCheckpoint(signer, 12),
        ] {
            assert_eq!(key.to_string().parse::<ObjectKey>().unwrap(), key);
        }
    }

    /// V-14
    #[test]
    fn a_key_has_exactly_one_spelling() {
        for text in [
            "vault/01.note",
            "vault/+1.note",
            "packs/../x",
            "packs/00/0707070707070707070707070707070707070707070707070707070707070707",
            "ledger/0909090909090909/12.json",
            "snapshots/20261122T023000Z-1a2b3c4d",
            "",
            "/",
        ] {
            assert!(text.parse::<ObjectKey>().is_err(), "{text}");
        }
    }
}
