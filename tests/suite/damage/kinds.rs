//! The kinds of objects that a store holds.

use std::collections::BTreeSet;

use idswyft_vault::format::ObjectKey;

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    VaultNote,
    GenerationFile,
    StreamPack,
    FilePack,
    TreeObject,
    Segment,
    Body,
    List,
    SnapshotNote,
    Event,
    Checkpoint,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::VaultNote,
        Self::GenerationFile,
        Self::StreamPack,
        Self::FilePack,
        Self::TreeObject,
        Self::Segment,
        Self::Body,
        Self::List,
        Self::SnapshotNote,
        Self::Event,
        Self::Checkpoint,
    ];

    /// Tells an object's kind; `dumps` are the packs that hold dumps.
    pub fn of(key: &ObjectKey, dumps: &BTreeSet<ObjectKey>) -> Self {
        match key {
            ObjectKey::Vault(_) => Self::VaultNote,
            ObjectKey::Generation(..) => Self::GenerationFile,
            ObjectKey::Pack(_) if dumps.contains(key) => Self::StreamPack,
            ObjectKey::Pack(_) => Self::FilePack,
            ObjectKey::Tree(_) => Self::TreeObject,
            ObjectKey::Segment(_) => Self::Segment,
            ObjectKey::Body(_) => Self::Body,
            ObjectKey::List(_) => Self::List,
            ObjectKey::Note(_) => Self::SnapshotNote,
            ObjectKey::LedgerEvent(..) => Self::Event,
            ObjectKey::LedgerCheckpoint(..) => Self::Checkpoint,
            ObjectKey::EscrowBundle(_) | ObjectKey::EscrowCuts(_) | ObjectKey::EscrowKey(..) => {
                unreachable!("no archive holds escrow objects")
            }
        }
    }
}
