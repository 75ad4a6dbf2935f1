//! Vault notes against the events that rest on them. Spec: `vault-v1.md` §8.2, §12.3.

use jiff::Timestamp;

use super::Collector;
use super::ledger::{Broken, Said};
use crate::base::Code;
use crate::format::ObjectKey;
use crate::format::event::{EventKind, EventName, EventPayload};
use crate::policy::plan::SKEW_MAX;
use crate::vault::{Auditor, changes};

/// Checks that a ledger says that the vault was created: without that, all that it ever had may be
/// gone. An `init` that was interrupted leaves a first note and nothing more, for a day (V-220):
/// `bare` is the time, where it is known, if there is nothing more.
pub fn check_created(
    auditor: &Auditor,
    said: &Said,
    bare: Option<Option<Timestamp>>,
    broken: &Broken<'_>,
    collector: &Collector<'_>,
) {
    let creates = |change: &EventPayload| match change {
        EventPayload::VaultCreated(created) => created.number == 1,
        _ => false,
    };
    let key = ObjectKey::Vault(1);
    if said.changes.iter().any(creates) {
        return;
    }
    if let Some(signer) = broken.may_have_said(EventKind::VaultCreated) {
        let gap = "whether a ledger has the vault.created of";
        collector.leave_out(format!("{gap} {key}: the log of {signer} breaks off"));
        return;
    }
    let is_past = |now: Timestamp| now.duration_since(auditor.note().time) > SKEW_MAX;
    if bare.is_some_and(|now| !now.is_some_and(is_past)) {
        let detail = "no ledger has its vault.created yet; `init` adds it when it is run again";
        collector.add(Code::RecordPending, key, detail);
    } else {
        let detail = "no ledger has its vault.created: the ledger that began with it is gone";
        collector.add(Code::LedgerBroken, key, detail);
    }
}

/// Checks that vault notes and the events that rest on them agree. An operator records a note right
/// behind it and before the next one: so an interrupted one leaves the newest note unrecorded.
pub fn check(auditor: &Auditor, said: &Said, broken: &Broken<'_>, collector: &Collector<'_>) {
    let chain = auditor.chain();
    for (before, after) in chain.iter().zip(chain.iter().skip(1)) {
        let is_said =
            |change: &EventPayload| said.changes.iter().any(|said| changes::records(said, change));
        let events = changes::events_between(&before.note, after, &[]);
        let key = ObjectKey::Vault(after.note.number);
        for event in events.iter().filter(|event| !is_said(event)) {
            let name = event.name();
            if let EventName::Known(kind) = name
                && let Some(signer) = broken.may_have_said(kind)
            {
                collector.leave_out(format!(
                    "whether a ledger has the {name} of {key}: the log of {signer} breaks off"
                ));
                continue;
            }
            match after.note.number == auditor.note().number {
                true => {
                    let detail =
                        format!("no ledger has its {name} yet; an operator's next run adds it");
                    collector.add(Code::RecordPending, key, detail);
                }
                false => {
                    let detail = format!("no ledger has its {name}");
                    collector.add(Code::NoteMismatch, key, detail);
                }
            }
        }
    }
    for rests in said.changes.iter().filter_map(changes::note_of) {
        let key = ObjectKey::Vault(rests.number);
        let found = chain.iter().find(|link| link.note.number == rests.number);
        match found {
            Some(link) if link.sha256 == rests.note_sha256 => {}
            Some(_) => {
                let detail = "its SHA-256 is not the one that a ledger recorded";
                collector.add(Code::NoteMismatch, key, detail);
            }
            None => {
                let detail =
                    "a ledger records it, and no such note follows the newest that is there";
                collector.add(Code::ObjectMissing, key, detail);
            }
        }
    }
}
