//! Names of objects in a store. Spec: §3.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::escrow::KeyLabel;
use crate::base::{Code, Coded, EscrowId, GenerationId, PackId, SignerId, SnapshotId};

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
    /// `escrow/bundle-<id>.age`: the installation's files; in a store of its own, as all of these.
    EscrowBundle(EscrowId),
    /// `escrow/cuts-<id>.age`: what was cut out of a bundle.
    EscrowCuts(EscrowId),
    /// `escrow/key<label>-<id>.age`: the value of one `ENCRYPTION_KEY*`.
    EscrowKey(KeyLabel, EscrowId),
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
    /// `escrow/`, which no archive has.
    Escrow,
}

impl Folder {
    /// Every folder of an archive.
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
            Self::Escrow => "escrow",
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
            Self::EscrowBundle(_) | Self::EscrowCuts(_) | Self::EscrowKey(..) => Folder::Escrow,
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
            Self::EscrowBundle(id) => write!(f, "{folder}/bundle-{id}.age"),
            Self::EscrowCuts(id) => write!(f, "{folder}/cuts-{id}.age"),
            Self::EscrowKey(label, id) => write!(f, "{folder}/key{label}-{id}.age"),
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
        ["escrow", name] => {
            let (what, id) = name.strip_suffix(".age")?.split_once('-')?;
            let id = id.parse().ok()?;
            match what {
                "bundle" => Some(ObjectKey::EscrowBundle(id)),
                "cuts" => Some(ObjectKey::EscrowCuts(id)),
                _ => Some(ObjectKey::EscrowKey(KeyLabel::parse(what.strip_prefix("key")?)?, id)),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V-14, E-4
    #[test]
    fn every_key_prints_and_parses_back() {
        let snapshot: SnapshotId = "20261122T023000Z-1a2b3c4d".parse().unwrap();
        let generation: GenerationId = "20261122T023000Z-00000001".parse().unwrap();
        let escrow: EscrowId = "20261122T023000Z-00000002".parse().unwrap();
        let label = |variable| KeyLabel::of(variable).unwrap();
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
            ObjectKey::EscrowBundle(escrow),
            ObjectKey::EscrowCuts(escrow),
            ObjectKey::EscrowKey(label("ENCRYPTION_KEY"), escrow),
            ObjectKey::EscrowKey(label("ENCRYPTION_KEY_PREVIOUS"), escrow),
            ObjectKey::EscrowKey(label("ENCRYPTION_KEY_of_a_very_long_name_indeed"), escrow),
        ] {
            assert_eq!(key.to_string().parse::<ObjectKey>().unwrap(), key);
        }
    }

    /// V-14, E-4
    #[test]
    fn a_key_has_exactly_one_spelling() {
        for text in [
            "escrow/key-20261122T023000Z-1a2b3c4d",
            "escrow/key_Previous-20261122T023000Z-1a2b3c4d.age",
            "escrow/key_previous_and_ever_so_much_more-20261122T023000Z-1a2b3c4d.age",
            "escrow/bundle-20261122T023000Z-1A2B3C4D.age",
            "escrow/x/bundle-20261122T023000Z-1a2b3c4d.age",
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
