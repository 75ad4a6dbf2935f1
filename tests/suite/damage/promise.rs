//! What `verify` promises to find at which level, and what it does not: §12.3 of the spec as a
//! table over every kind of object and every way in which one may differ.
//!
//! The honest part are the rows that say [`Promise::Nothing`]: what no level finds, because what
//! the store shows is a vault that might have been.

use idswyft_vault::base::Code;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::verify::Level;

use super::fixture::Fixture;
use super::harm::{Change, next_seq};
use super::kinds::Kind;

/// What `verify` owes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promise {
    /// From this level on, a finding of one of these codes about this object.
    Found(Level, &'static [Code], String),
    /// The vault is refused by an error that names the object: its first note proves all others.
    Refused(&'static [Code]),
    /// Nothing, at any level.
    Nothing,
}

const MISSING: &[Code] = &[Code::ObjectMissing];
const FOREIGN: &[Code] = &[Code::ObjectForeign];
const UNREADABLE: &[Code] = &[Code::ObjectUnreadable];
const LENGTH: &[Code] = &[Code::ObjectTruncated, Code::ObjectAltered];
const ALTERED: &[Code] = &[Code::ObjectAltered];
const LEDGER: &[Code] = &[Code::LedgerBroken];
const PENDING: &[Code] = &[Code::RecordPending];
const LEFT_OVER: &[Code] = &[Code::ObjectUnreferenced];
/// A signed structure whose bytes changed: its signature, its form or its place is wrong.
const SIGNED: &[Code] = &[
    Code::SignatureInvalid,
    Code::FormatInvalid,
    Code::ObjectForeign,
    Code::NoteMismatch,
    Code::SignerNotDelegated,
    Code::LimitExceeded,
];
/// A ledger that changed: the same, or it does not hold together.
const LOGGED: &[Code] = &[
    Code::LedgerBroken,
    Code::SignatureInvalid,
    Code::FormatInvalid,
    Code::ObjectForeign,
    Code::SignerNotDelegated,
];

/// Returns what `verify` owes to an object that changed.
pub fn of(fixture: &Fixture, kind: Kind, key: &ObjectKey, change: Change) -> Promise {
    let found = |level, codes| Promise::Found(level, codes, key.to_string());
    match (kind, change) {
        (_, Change::Added) => of_added(key),

        (Kind::VaultNote, change) if *key == ObjectKey::Vault(1) => {
            Promise::Refused(match change {
                Change::Gone => MISSING,
                Change::NotAFile => FOREIGN,
                Change::Unreadable => &[Code::StoreUnavailable],
                _ => SIGNED,
            })
        }
        // A store may show an older state of itself; only a checkpoint kept elsewhere can tell.
        (Kind::VaultNote, Change::Gone) => Promise::Nothing,
        (Kind::VaultNote, Change::Unreadable) => Promise::Refused(&[Code::StoreUnavailable]),
        (Kind::VaultNote, Change::NotAFile) => found(Level::Ledger, FOREIGN),
        (Kind::VaultNote, _) => found(Level::Ledger, SIGNED),

        (Kind::GenerationFile | Kind::SnapshotNote, Change::Gone) => found(Level::Ledger, MISSING),
        (Kind::GenerationFile | Kind::SnapshotNote, Change::NotAFile) => {
            found(Level::Ledger, FOREIGN)
        }
        (Kind::GenerationFile | Kind::SnapshotNote, Change::Unreadable) => {
            found(Level::Ledger, UNREADABLE)
        }
        (Kind::GenerationFile, _) => found(Level::Ledger, ALTERED),
        (Kind::SnapshotNote, _) => found(Level::Ledger, SIGNED),

        // The last event counts once its checkpoint is there, and that is delivered second.
        (Kind::Checkpoint, Change::Gone) if is_last(fixture, key) => {
            let event = ObjectKey::LedgerEvent(signer_of(key), next_seq(fixture) - 1);
            Promise::Found(Level::Ledger, PENDING, event.to_string())
        }
        (Kind::Event | Kind::Checkpoint, Change::Gone) => found(Level::Ledger, LEDGER),
        (Kind::Event | Kind::Checkpoint, Change::NotAFile) => found(Level::Ledger, FOREIGN),
        (Kind::Event | Kind::Checkpoint, Change::Unreadable) => found(Level::Ledger, UNREADABLE),
        // Nothing signs an event but the checkpoint after it, which then does not fit.
        (Kind::Event, Change::Length | Change::Bytes) => {
            Promise::Found(Level::Ledger, LOGGED, place_of(key))
        }
        (Kind::Checkpoint, _) => found(Level::Ledger, LOGGED),

        (Kind::List, Change::Gone) => found(Level::Ledger, MISSING),
        (Kind::List, Change::NotAFile) => found(Level::Ledger, FOREIGN),
        (Kind::List, Change::Unreadable) => found(Level::Ledger, UNREADABLE),
        (Kind::List, Change::Length) => found(Level::Ledger, LENGTH),
        (Kind::List, Change::Bytes) => found(Level::Ledger, ALTERED),

        // Packs, tree objects, segments and bodies: a listing tells lengths, and reading the rest.
        (_, Change::Gone) => found(Level::Stored, MISSING),
        (_, Change::NotAFile) => found(Level::Stored, FOREIGN),
        (_, Change::Length) => found(Level::Stored, LENGTH),
        (_, Change::Bytes) => found(Level::Bytes, ALTERED),
        (_, Change::Unreadable) => found(Level::Bytes, UNREADABLE),
    }
}

/// Returns what `verify` owes to bytes of the vault under a name that it did not give.
fn of_added(key: &ObjectKey) -> Promise {
    match key {
        ObjectKey::Vault(_) | ObjectKey::Note(_) => {
            Promise::Found(Level::Ledger, SIGNED, key.to_string())
        }
        ObjectKey::Pack(_) | ObjectKey::Tree(_) => {
            Promise::Found(Level::Stored, LEFT_OVER, "packs and trees".to_owned())
        }
        ObjectKey::LedgerEvent(_, 0) => {
            Promise::Found(Level::Ledger, &[Code::SignerNotDelegated], place_of(key))
        }
        // It looks like one whose delivery was interrupted.
        ObjectKey::LedgerEvent(..) => Promise::Found(Level::Ledger, PENDING, key.to_string()),
        ObjectKey::LedgerCheckpoint(_, 0) => {
            Promise::Found(Level::Ledger, &[Code::SignerNotDelegated], place_of(key))
        }
        ObjectKey::LedgerCheckpoint(..) => Promise::Found(Level::Ledger, LEDGER, place_of(key)),
        ObjectKey::EscrowBundle(_) | ObjectKey::EscrowCuts(_) | ObjectKey::EscrowKey(..) => {
            unreachable!("no archive holds escrow objects")
        }
        // Nothing names it, so nobody reads it: what an interrupted run leaves looks so.
        ObjectKey::Generation(..)
        | ObjectKey::Segment(_)
        | ObjectKey::Body(_)
        | ObjectKey::List(_) => Promise::Nothing,
    }
}

/// Returns the name that an event and its checkpoint share.
fn place_of(key: &ObjectKey) -> String {
    let name = key.to_string();
    name.rsplit_once('.').map_or(name.clone(), |(place, _)| place.to_owned())
}

fn is_last(fixture: &Fixture, key: &ObjectKey) -> bool {
    let last = next_seq(fixture) - 1;
    matches!(key, ObjectKey::LedgerEvent(_, seq) | ObjectKey::LedgerCheckpoint(_, seq)
        if *seq == last)
}

fn signer_of(key: &ObjectKey) -> idswyft_vault::base::SignerId {
    match key {
        ObjectKey::LedgerEvent(signer, _) | ObjectKey::LedgerCheckpoint(signer, _) => *signer,
        other => panic!("{other} is of no ledger"),
    }
}
