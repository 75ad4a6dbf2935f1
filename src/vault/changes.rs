//! What a vault note changes, as events say it. Spec: §8.2, §8.4.
//!
//! One pure function derives the events from two notes that follow each other: whoever signs the
//! second appends them, whoever comes after an interrupted run completes them, and whoever verifies
//! looks for them.

use super::auditor::ChainLink;
use crate::base::Digest;
use crate::format::event::EventPayload;
use crate::format::event_fields::{
    NoteRef, PolicySet, RecipientsChanged, ResealedGeneration, SignerAdded, SignerRetired,
};
use crate::format::vault_note::{Delegate, VaultNote};

/// Returns the events that record what `after` changes of the note before it; `revs` are the
/// generation files that were sealed to its recipients.
pub fn events_between(
    before: &VaultNote,
    after: &ChainLink,
    revs: &[ResealedGeneration],
) -> Vec<EventPayload> {
    let (note, note_sha256, number) = (&after.note, after.sha256, after.note.number);
    let mut events = Vec::new();
    if note.policy != before.policy {
        let policy = note.policy.clone();
        events.push(EventPayload::PolicySet(PolicySet { number, note_sha256, policy }));
    }
    let known = |signer: &Delegate| before.delegate(signer.id);
    // A delegation that says something else than before is a new one.
    let is_new = |signer: &&Delegate| {
        known(signer)
            .is_none_or(|known| (known.role, &known.events) != (signer.role, &signer.events))
    };
    for signer in note.signers.iter().filter(is_new) {
        let (subject, role) = (signer.id, signer.role);
        let added = SignerAdded { number, note_sha256, subject, role };
        events.push(EventPayload::SignerAdded(added));
    }
    let is_retired = |signer: &&Delegate| {
        signer.retired.is_some() && known(signer).is_none_or(|known| known.retired.is_none())
    };
    for signer in note.signers.iter().filter(is_retired) {
        let retired = SignerRetired { number, note_sha256, subject: signer.id };
        events.push(EventPayload::SignerRetired(retired));
    }
    if !same_recipients(&note.recipients, &before.recipients) {
        let generations = revs.to_vec();
        let changed = RecipientsChanged { number, note_sha256, generations };
        events.push(EventPayload::RecipientsChanged(changed));
    }
    events
}

/// Tells whether two notes have the same recipients, in whatever order.
pub fn same_recipients(some: &[Digest], others: &[Digest]) -> bool {
    some.len() == others.len() && some.iter().all(|digest| others.contains(digest))
}

/// Tells whether what was said records a change: which files were sealed again is for whoever said
/// it to know.
pub fn records(said: &EventPayload, change: &EventPayload) -> bool {
    match (said, change) {
        (EventPayload::RecipientsChanged(said), EventPayload::RecipientsChanged(change)) => {
            (said.number, said.note_sha256) == (change.number, change.note_sha256)
        }
        _ => said == change,
    }
}

/// Returns the vault note on which an event rests, if it rests on one.
pub fn note_of(event: &EventPayload) -> Option<NoteRef> {
    let (number, note_sha256) = match event {
        EventPayload::VaultCreated(note) => (note.number, note.note_sha256),
        EventPayload::PolicySet(set) => (set.number, set.note_sha256),
        EventPayload::SignerAdded(added) => (added.number, added.note_sha256),
        EventPayload::SignerRetired(retired) => (retired.number, retired.note_sha256),
        EventPayload::RecipientsChanged(changed) => (changed.number, changed.note_sha256),
        _ => return None,
    };
    Some(NoteRef { number, note_sha256 })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::base::{SignerId, VaultId};
    use crate::format::parameters::Parameters;
    use crate::format::role::Role;

    fn signer(byte: u8, role: Role) -> Delegate {
        Delegate::usual(SignerId::from_bytes([byte; 8]), "a key", role)
    }

    fn note(number: u32) -> VaultNote {
        VaultNote {
            vault: VaultId::from_bytes([1; 16]),
            number,
            previous: None,
            time: Timestamp::UNIX_EPOCH,
            name: "nightly".to_owned(),
            signers: vec![signer(2, Role::Writer)],
            policy: serde_json::from_str(r#"{"keep_daily":30}"#).unwrap(),
            parameters: Parameters::initial(),
            recipients: vec![Digest::from_bytes([3; 32]), Digest::from_bytes([4; 32])],
        }
    }

    fn names_of(after: VaultNote) -> Vec<String> {
        let after = ChainLink { note: after, sha256: Digest::from_bytes([9; 32]) };
        let events = events_between(&note(1), &after, &[]);
        assert!(events.iter().all(|event| records(event, event)));
        assert!(events.iter().all(|event| note_of(event).unwrap().number == 2));
        events.iter().map(|event| event.name().to_string()).collect()
    }

    /// V-183
    #[test]
    fn every_change_of_a_vault_note_has_its_event() {
        assert!(names_of(note(2)).is_empty());
        let mut after = note(2);
        after.recipients.reverse();
        assert!(names_of(after.clone()).is_empty(), "the order of recipients is no change");
        after.recipients.pop();
        after.policy.clear();
        after.signers[0].retired = Some(Timestamp::UNIX_EPOCH);
        after.signers.push(signer(5, Role::Janitor));
        let all = ["policy.set", "signer.added", "signer.retired", "recipients.changed"];
        assert_eq!(names_of(after), all);
    }
}
