//! Kinds of objects that the credentials of a store may not look at, as those of a host. Spec:
//! `nights.md` §2.

use jiff::Timestamp;

use crate::base::{GenerationId, PackId, SnapshotId, SystemEntropy, entropy};
use crate::format::ObjectKey;
use crate::store::{Error, Store};

/// A kind of objects that not everybody may look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Packs,
    Trees,
    Segments,
    Bodies,
    Generations,
}

impl Kind {
    /// Returns the kind of an object; none of what every reader may read.
    pub const fn of(key: &ObjectKey) -> Option<Self> {
        match key {
            ObjectKey::Pack(_) => Some(Self::Packs),
            ObjectKey::Tree(_) => Some(Self::Trees),
            ObjectKey::Segment(_) => Some(Self::Segments),
            ObjectKey::Body(_) => Some(Self::Bodies),
            ObjectKey::Generation(..) => Some(Self::Generations),
            _ => None,
        }
    }

    /// Returns what a report says that leaves the kind out, with what else is known of it.
    pub fn gap(self, known: Option<String>) -> String {
        let name = match self {
            Self::Packs => "packs",
            Self::Trees => "trees",
            Self::Segments => "segments",
            Self::Bodies => "bodies of snapshots",
            Self::Generations => "files of generations",
        };
        let known = known.map_or(String::new(), |known| format!("; {known}"));
        format!("{name}: these credentials may not look at them{known}")
    }

    /// Tells whether a store refuses to look even at an object of a name that nobody can know.
    pub fn is_barred_in(self, store: &dyn Store) -> bool {
        let random: [u8; 32] = entropy::draw(&SystemEntropy);
        let tail = [random[0], random[1], random[2], random[3]];
        let snapshot = || SnapshotId::new(Timestamp::UNIX_EPOCH, tail);
        let key = match self {
            Self::Packs => ObjectKey::Pack(PackId::from_bytes(random)),
            Self::Trees => ObjectKey::Tree(PackId::from_bytes(random)),
            Self::Segments => ObjectKey::Segment(snapshot()),
            Self::Bodies => ObjectKey::Body(snapshot()),
            Self::Generations => {
                ObjectKey::Generation(GenerationId::new(Timestamp::UNIX_EPOCH, tail), 1)
            }
        };
        matches!(store.stat(&key), Err(Error::Denied { .. }))
    }
}
