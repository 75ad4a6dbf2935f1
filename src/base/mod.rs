//! Layer 0: ids, limits, time, entropy, the gate, events and error codes. No I/O.

pub mod chain;
pub mod clock;
pub mod code;
pub mod entropy;
pub mod event;
pub mod family;
pub mod gate;
pub mod id;
pub mod limits;
pub mod profile;
pub mod secret;

pub use chain::with_causes;
pub use clock::{Clock, SystemClock};
pub use code::{Code, Coded};
pub use entropy::{Entropy, SystemEntropy};
pub use event::{Event, Observer, Silent};
pub use family::Family;
pub use gate::{Gate, OpenGate, Step};
pub use id::{ChunkId, Digest, EscrowId, GenerationId, PackId, SignerId, SnapshotId, VaultId};
pub use profile::{ChunkParameters, Profile};
pub use secret::Secret;
