//! The roles of signers, and which events each may be delegated. Spec: §8.2.
//!
//! - The host holds a writer key: whatever a vault note says, a writer cannot be delegated the
//!   release of a hold, a change of policy, signers or recipients, or the shredding of a key.
//! - A vault note lists a signer's events one by one; a role is only their upper bound.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::event::EventKind;

/// What a signer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The nightly host: takes snapshots.
    Writer,
    /// Applies retention; cannot read.
    Janitor,
    /// Restores, verifies, and with the root key changes the vault.
    Operator,
    /// Proves; cannot read or change.
    Auditor,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Writer, Self::Janitor, Self::Operator, Self::Auditor];

    /// Returns the role's name in a vault note.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Janitor => "janitor",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
        }
    }

    /// Returns the events that a new signer of this role is delegated unless told otherwise.
    pub fn usual_events(self) -> Vec<EventKind> {
        let all = EventKind::ALL.iter().copied();
        all.filter(|kind| self.delegation(*kind) == Delegation::Usual).collect()
    }

    /// Tells whether a vault note may delegate this event to a signer of this role.
    pub fn may_be_delegated(self, kind: EventKind) -> bool {
        self.delegation(kind) != Delegation::Never
    }

    fn delegation(self, kind: EventKind) -> Delegation {
        use EventKind as K;
        match (self, kind) {
            (Self::Operator, _) | (_, K::Verified | K::ClockAnomaly) => Delegation::Usual,

            (Self::Writer, K::VaultCreated | K::GenerationOpened | K::GenerationClosed) => {
                Delegation::Usual
            }
            (Self::Writer, K::SnapshotTaken | K::SecretSealed | K::StoreCompleted) => {
                Delegation::Usual
            }
            // For a host that thins its own local store; never without being asked for.
            (Self::Writer, K::SnapshotForgotten | K::PacksDeleted) => Delegation::OnRequest,

            (Self::Janitor, K::SnapshotForgotten | K::PacksDeleted) => Delegation::Usual,
            (Self::Janitor, K::StoreCompleted) => Delegation::Usual,
            (Self::Janitor, K::GenerationShredded) => Delegation::OnRequest,

            (Self::Auditor, K::HoldPlaced) => Delegation::OnRequest,
            _ => Delegation::Never,
        }
    }
}

#[derive(PartialEq, Eq)]
enum Delegation {
    Usual,
    OnRequest,
    Never,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V-105
    #[test]
    fn a_writer_can_never_be_delegated_what_a_host_must_not_do() {
        for kind in [
            EventKind::PolicySet,
            EventKind::SignerAdded,
            EventKind::SignerRetired,
            EventKind::RecipientsChanged,
            EventKind::HoldReleased,
            EventKind::GenerationShredded,
        ] {
            assert!(!Role::Writer.may_be_delegated(kind), "{kind}");
        }
        assert!(!Role::Writer.usual_events().contains(&EventKind::SnapshotForgotten));
        assert!(!Role::Writer.usual_events().contains(&EventKind::PacksDeleted));
    }

    /// V-105
    #[test]
    fn a_janitor_takes_no_snapshot_and_releases_no_hold() {
        assert!(!Role::Janitor.may_be_delegated(EventKind::SnapshotTaken));
        assert!(!Role::Janitor.may_be_delegated(EventKind::HoldReleased));
    }

    #[test]
    fn usual_events_may_all_be_delegated() {
        for role in Role::ALL {
            assert!(role.usual_events().into_iter().all(|kind| role.may_be_delegated(kind)));
        }
    }
}
