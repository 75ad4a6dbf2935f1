//! The fields of every kind of event. Spec: §8.4.
//!
//! Field names never repeat those of the event around them (`vault`, `signer`, `seq`, `time`,
//! `event`, `seen`): a signer that is spoken of is a `subject`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::envelope::{integer, optional_time, time};
use super::key::ObjectKey;
use super::role::Role;
use crate::base::limits::LEDGER_EVENT_LEN_MAX;
use crate::base::{Digest, GenerationId, SignerId, SnapshotId};

macro_rules! payloads {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$field_meta:meta])* $field:ident: $type:ty,)*
    })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            pub struct $name {
                $($(#[$field_meta])* pub $field: $type,)*
            }
        )*
    };
}

payloads! {
    /// The vault note on which an event rests.
    NoteRef {
        /// The note's number.
        number: u32,
        /// SHA-256 of the stored note.
        note_sha256: Digest,
    }
    /// Fields of `policy.set`.
    PolicySet {
        /// The vault note's number.
        number: u32,
        /// SHA-256 of the stored vault note.
        note_sha256: Digest,
        /// The full policy, as in the vault note.
        policy: Map<String, Value>,
    }
    /// Fields of `signer.added`.
    SignerAdded {
        /// The vault note's number.
        number: u32,
        /// SHA-256 of the stored vault note.
        note_sha256: Digest,
        /// The new signer.
        subject: SignerId,
        /// Its role.
        role: Role,
    }
    /// Fields of `signer.retired`.
    SignerRetired {
        /// The vault note's number.
        number: u32,
        /// SHA-256 of the stored vault note.
        note_sha256: Digest,
        /// The retired signer.
        subject: SignerId,
    }
    /// One sealed file of a generation's secrets.
    GenerationRev {
        /// Its number in `generations/<g>/<rev>.age`.
        rev: u32,
        /// SHA-256 of the stored file.
        sha256: Digest,
    }
    /// Fields of `generation.opened`.
    GenerationOpened {
        /// The generation.
        generation: GenerationId,
        /// Its sealed files.
        revs: Vec<GenerationRev>,
        /// SHA-256 of the generation's recipient string.
        recipient_sha256: Digest,
    }
    /// Fields of `generation.closed`.
    GenerationRef {
        /// The generation.
        generation: GenerationId,
    }
    /// Fields of `generation.shredded`.
    GenerationShredded {
        /// The generation.
        generation: GenerationId,
        /// Every sealed file that is to be destroyed.
        revs: Vec<u32>,
        /// The stores concerned.
        stores: Vec<String>,
        /// What was seen afterwards; none in the event that comes before anything is destroyed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        certificate: Option<ShredCertificate>,
    }
    /// What was seen once a generation's sealed files were destroyed.
    ShredCertificate {
        /// Each store, seen to have none of them.
        stores: Vec<SeenEmpty>,
        /// What this does not cover, by the words of `generations.md` §1.3.
        not_covered: Vec<String>,
        /// Stores that a ledger names and that were not looked at.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unseen: Vec<String>,
    }
    /// A store that was seen to have no sealed file of a generation.
    SeenEmpty {
        /// The store's name.
        store: String,
        /// How much of its past was seen: `whole`, `versions` or `newest`.
        sight: String,
        /// Versions that this run erased.
        #[serde(with = "integer")]
        erased_count: u64,
        /// Segments of the generation that are left.
        #[serde(with = "integer")]
        segment_count: u64,
    }
    /// Fields of `snapshot.taken`.
    SnapshotTaken {
        /// The snapshot.
        snapshot: SnapshotId,
        /// SHA-256 of the stored snapshot note.
        note_sha256: Digest,
        /// Stored bytes of all that the snapshot needs.
        #[serde(with = "integer")]
        stored_len: u64,
        /// Stored bytes of what it named first.
        #[serde(with = "integer")]
        new_len: u64,
    }
    /// Fields of `snapshot.forgotten`.
    SnapshotForgotten {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The rule under which it goes, in words.
        rule: String,
        /// Who or what asked for it, such as `retain`.
        by: String,
    }
    /// Fields of `packs.deleted`.
    PacksDeleted {
        /// The store's name.
        store: String,
        /// Full names of the objects that are to be deleted, at most [`DELETED_COUNT_MAX`].
        #[serde(with = "keys")]
        objects: Vec<ObjectKey>,
        /// Their stored bytes.
        #[serde(with = "integer")]
        stored_len: u64,
    }
    /// Fields of `hold.placed`.
    HoldPlaced {
        /// The snapshot that must stay.
        snapshot: SnapshotId,
        /// Until when it must at most; else until the hold is released.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_time")]
        until: Option<Timestamp>,
        /// SHA-256 of salt and reason: what the reason was can be shown later.
        reason_digest: Digest,
        /// Salt and reason, sealed to the data recipients, in base64.
        reason_sealed: String,
    }
    /// Fields of `hold.released`.
    HoldReleased {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Whose log placed the hold.
        placed_by: SignerId,
        /// The number of that event.
        #[serde(with = "integer")]
        placed_seq: u64,
        /// SHA-256 of salt and reason of the release.
        reason_digest: Digest,
        /// Salt and reason, sealed to the data recipients, in base64.
        reason_sealed: String,
    }
    /// Fields of `secret.sealed`.
    SecretSealed {
        /// The object's name in the escrow store.
        object: String,
        /// SHA-256 of the sealed object.
        sha256: Digest,
        /// Its stored length in bytes.
        #[serde(with = "integer")]
        stored_len: u64,
    }
    /// A generation's sealed file that was written for new recipients.
    ResealedGeneration {
        /// The generation.
        generation: GenerationId,
        /// The new file's number.
        rev: u32,
        /// SHA-256 of the stored file.
        sha256: Digest,
    }
    /// Fields of `recipients.changed`.
    RecipientsChanged {
        /// The vault note's number.
        number: u32,
        /// SHA-256 of the stored vault note.
        note_sha256: Digest,
        /// Every generation that was sealed again.
        generations: Vec<ResealedGeneration>,
    }
    /// Fields of `store.completed`.
    StoreCompleted {
        /// The store's name.
        store: String,
        /// The snapshot that it now has.
        snapshot: SnapshotId,
        /// SHA-256 of the lines of the receipts that the event covers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipts_sha256: Option<Digest>,
    }
    /// Fields of `verified`.
    Verified {
        /// What was looked at.
        scope: VerifiedScope,
        /// What was found.
        result: VerifiedResult,
    }
    /// What a verification looked at.
    VerifiedScope {
        /// The store's name.
        store: String,
        /// The level's name: `ledger`, `stored`, `bytes` or `contents`.
        level: String,
        /// The one snapshot, or null for every snapshot.
        #[serde(deserialize_with = "Option::deserialize")]
        snapshot: Option<SnapshotId>,
        /// Percent of the objects that were looked at.
        sample_percent: u8,
        /// Of every snapshot: those that were there then.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_time")]
        until: Option<Timestamp>,
    }
    /// What a verification found.
    VerifiedResult {
        /// Whether it passed.
        outcome: Outcome,
        /// Objects looked at.
        #[serde(with = "integer")]
        object_count: u64,
        /// Findings.
        #[serde(with = "integer")]
        finding_count: u64,
    }
    /// Fields of `drilled`.
    Drilled {
        /// The store's name.
        store: String,
        /// The snapshot that was restored.
        snapshot: SnapshotId,
        /// What came of it.
        result: DrilledResult,
    }
    /// What came of a drill.
    DrilledResult {
        /// Whether it passed.
        outcome: Outcome,
        /// Duration of the restore in seconds.
        #[serde(with = "integer")]
        duration_s: u64,
        /// Findings.
        #[serde(with = "integer")]
        finding_count: u64,
    }
    /// Fields of `clock.anomaly`.
    ClockAnomaly {
        /// The latest time that was known before.
        #[serde(with = "time")]
        known: Timestamp,
        /// What the clock said.
        #[serde(with = "time")]
        found: Timestamp,
    }
}

/// Whether what was tried came out well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Everything that was looked at is sound.
    Passed,
    /// Something is not.
    Failed,
}

/// Objects that one `packs.deleted` names at most, so that the event stays within its limit.
pub const DELETED_COUNT_MAX: usize = 2000;

/// More bytes than the name of any object takes in JSON.
const NAME_LEN_MAX: u64 = 100;

const _: () = assert!(DELETED_COUNT_MAX as u64 * NAME_LEN_MAX < LEDGER_EVENT_LEN_MAX);

mod keys {
    use serde::{Deserialize, Deserializer, Serializer, de, ser};

    use super::{DELETED_COUNT_MAX, ObjectKey};

    pub(super) fn serialize<S: Serializer>(
        keys: &[ObjectKey],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if keys.len() > DELETED_COUNT_MAX {
            let count = keys.len();
            return Err(ser::Error::custom(format!(
                "{count} objects, {DELETED_COUNT_MAX} allowed"
            )));
        }
        serializer.collect_seq(keys.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<ObjectKey>, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        if names.len() > DELETED_COUNT_MAX {
            return Err(de::Error::custom(format!(
                "{} objects, at most {DELETED_COUNT_MAX} are allowed",
                names.len()
            )));
        }
        names.iter().map(|name| name.parse().map_err(de::Error::custom)).collect()
    }
}
