//! Why a generation is not shredded.

use std::path::PathBuf;

use thiserror::Error;

use crate::base::{Code, Coded, GenerationId, SnapshotId};

/// Snapshots that a message names; how many more there are it counts.
const NAMED_MAX: usize = 3;

/// A generation that is not shredded; nothing was changed.
#[derive(Debug, Error)]
pub enum ShredError {
    /// No generation, or more than one, is meant.
    #[error("find generation {text:?}: {count} of the vault's {all} match")]
    Unclear {
        /// What was given.
        text: String,
        /// How many generations it means.
        count: usize,
        /// How many there are.
        all: usize,
    },
    /// It may be written to still, or a file of it may be on its way.
    #[error("shred generation {generation}: no log in store {store} says that it is closed")]
    NotClosed {
        /// The generation.
        generation: GenerationId,
        /// The store.
        store: String,
    },
    /// Something of it must stay readable.
    #[error("shred generation {generation}: {}", told(snapshots))]
    Needed {
        /// The generation.
        generation: GenerationId,
        /// The snapshots, and why they must.
        snapshots: Vec<(SnapshotId, String)>,
    },
    /// This machine still has something that opens it, or a file of it to deliver.
    #[error("shred generation {generation}: {} {what}", path.display())]
    HostHolds {
        /// The generation.
        generation: GenerationId,
        /// Where.
        path: PathBuf,
        /// What it has.
        what: &'static str,
    },
}

fn told(snapshots: &[(SnapshotId, String)]) -> String {
    let told = snapshots.iter().take(NAMED_MAX).map(|(id, why)| format!("{id} {why}"));
    let told = told.collect::<Vec<_>>().join("; ");
    match snapshots.len().saturating_sub(NAMED_MAX) {
        0 => told,
        more => format!("{told}; and {more} more"),
    }
}

impl Coded for ShredError {
    fn code(&self) -> Code {
        match self {
            Self::Unclear { .. } => Code::GenerationUnknown,
            Self::NotClosed { .. } | Self::Needed { .. } | Self::HostHolds { .. } => {
                Code::GenerationNeeded
            }
        }
    }
}
