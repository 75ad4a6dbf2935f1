//! The library's only voice: what happened, told to whoever listens.

use jiff::Timestamp;

use super::{Code, GenerationId, PackId, SnapshotId};

/// Something worth telling while an operation runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A named phase began; `total_len` is its size in bytes where it is known.
    PhaseStarted {
        /// Phase name, such as `database` or `uploads`.
        phase: &'static str,
        /// Expected bytes, if known.
        total_len: Option<u64>,
    },
    /// `len` more bytes of the current phase were done.
    Advanced {
        /// Bytes done since the last event.
        len: u64,
    },
    /// The current phase ended.
    PhaseFinished {
        /// Phase name, as in `PhaseStarted`.
        phase: &'static str,
    },
    /// A pack became durable in a store.
    PackStored {
        /// Its name.
        pack: PackId,
        /// Its stored length in bytes.
        stored_len: u64,
    },
    /// A generation was opened.
    GenerationOpened {
        /// Its id.
        generation: GenerationId,
    },
    /// A snapshot that an interrupted run had committed was completed in a store.
    SnapshotCompleted {
        /// Its id.
        snapshot: SnapshotId,
        /// The store's name.
        store: String,
    },
    /// Packs are being thawed; the run waits for them.
    Thawing {
        /// How many can be read.
        ready_count: u64,
        /// Of how many.
        pack_count: u64,
        /// When the others can be at the latest, as far as it is known.
        expected: Option<Timestamp>,
    },
    /// Something needs a person's attention but did not stop the operation (exit 4).
    Warning {
        /// What kind of thing.
        code: Code,
        /// What, on which object, and what is safe.
        detail: String,
    },
}

/// Listens to events. Called from several threads.
pub trait Observer: Send + Sync {
    /// Takes note of one event.
    fn observe(&self, event: Event);
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _event: Event) {}
}
