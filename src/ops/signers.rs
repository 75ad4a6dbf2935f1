//! Changing who signs for a vault. Spec: §5.6, §8.2.

use super::Error;
use super::change::ChangeError;
use super::desk::Desk;
use crate::base::{Code, Event, Observer, SignerId};
use crate::crypto::signing::{KeyUse, VerificationKey};
use crate::format::event::{EventKind, EventName};
use crate::format::role::Role;
use crate::format::vault_note::{Delegate, VaultNote};

/// What became of a change of signers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerReport {
    /// The vault note in force.
    pub number: u32,
    /// The signer, as that note has it.
    pub delegate: Delegate,
    /// Whether an earlier run had signed the change, and this one completed it.
    pub completed: bool,
}

/// Returns what a signer of a role may append: what is usual, and what was asked for besides.
///
/// # Errors
/// If no signer of that role is ever delegated one of them.
pub fn events_for(role: Role, requested: &[String]) -> Result<Vec<EventName>, Error> {
    let mut events: Vec<EventKind> = role.usual_events();
    for text in requested {
        let kind = EventKind::ALL.iter().find(|kind| kind.name() == text);
        match kind.filter(|kind| role.may_be_delegated(**kind)) {
            Some(kind) if events.contains(kind) => {}
            Some(kind) => events.push(*kind),
            None => {
                let event = EventName::Unknown(text.chars().take(80).collect());
                return Err(ChangeError::EventBeyondRole { role, event }.into());
            }
        }
    }
    Ok(events.into_iter().map(EventName::Known).collect())
}

/// Delegates to a new signer.
///
/// # Errors
/// If it is there already, or the primary store fails.
pub fn add(
    desk: &mut Desk,
    key: &VerificationKey,
    role: Role,
    events: Vec<EventName>,
    observer: &dyn Observer,
) -> Result<SignerReport, Error> {
    let signer = key.signer_id();
    let foreign = match key.usage() {
        _ if key.vault() != desk.operator.vault() => Some("one of another vault"),
        KeyUse::Root => Some("the root key, which signs vault notes"),
        KeyUse::Signer => None,
    };
    if let Some(reason) = foreign {
        return Err(ChangeError::KeyForeign { signer, reason }.into());
    }
    let new = Delegate { events, ..Delegate::usual(signer, key, role) };
    let completed = match desk.operator.note().delegate(signer) {
        None => false,
        Some(there) => {
            let was_there =
                desk.operator.note_before().is_none_or(|note| note.delegate(signer).is_some());
            if was_there || *there != new {
                let (role, retired) = (there.role, there.retired);
                return Err(ChangeError::SignerThere { signer, role, retired }.into());
            }
            true
        }
    };
    desk.operator.complete()?;
    if !completed {
        desk.operator.publish(&[], |note| note.signers.push(new.clone()))?;
    }
    desk.settle(observer)?;
    Ok(SignerReport { number: desk.operator.note().number, delegate: new, completed })
}

/// Delegates otherwise to a signer that is there: what is usual for its role, and what was asked
/// for besides. Nothing is signed where that is what it has.
///
/// # Errors
/// If there is none, or it is retired or the operator's own, or the primary store fails.
pub fn set(
    desk: &mut Desk,
    signer: SignerId,
    requested: &[String],
    observer: &dyn Observer,
) -> Result<SignerReport, Error> {
    if signer == desk.operator.signer() {
        return Err(ChangeError::SignerIsOperator { signer }.into());
    }
    let there = desk.operator.note().delegate(signer);
    let there = there.ok_or(ChangeError::SignerUnknown { signer })?.clone();
    if let Some(retired) = there.retired {
        return Err(ChangeError::SignerRetired { signer, retired }.into());
    }
    let events = events_for(there.role, requested)?;
    let completed = desk.operator.complete()?;
    if there.events != events {
        desk.operator.publish(&[], |note| {
            let signers = note.signers.iter_mut();
            let own = signers.filter(|one| one.id == signer);
            own.for_each(|one| one.events.clone_from(&events));
        })?;
    }
    desk.settle(observer)?;
    let delegate = Delegate { events, ..there };
    Ok(SignerReport { number: desk.operator.note().number, delegate, completed })
}

/// Ends a delegation.
///
/// # Errors
/// If there is none, or it is the operator's own, or the primary store fails.
pub fn retire(
    desk: &mut Desk,
    signer: SignerId,
    observer: &dyn Observer,
) -> Result<SignerReport, Error> {
    if signer == desk.operator.signer() {
        return Err(ChangeError::SignerIsOperator { signer }.into());
    }
    let Some(delegate) = desk.operator.note().delegate(signer) else {
        return Err(ChangeError::SignerUnknown { signer }.into());
    };
    let completed = match delegate.retired {
        None => false,
        Some(retired) => {
            let before = desk.operator.note_before().and_then(|note| note.delegate(signer));
            if before.is_none_or(|before| before.retired.is_some()) {
                return Err(ChangeError::SignerRetired { signer, retired }.into());
            }
            true
        }
    };
    desk.operator.complete()?;
    if !completed {
        desk.operator.publish(&[], |note| {
            let at = note.time;
            let signers = note.signers.iter_mut();
            signers.filter(|one| one.id == signer).for_each(|one| one.retired = Some(at));
        })?;
    }
    desk.settle(observer)?;
    let note = desk.operator.note();
    if !has_writer(note) {
        let detail = format!(
            "vault note {} has no writer that is not retired, so no host can take a snapshot",
            note.number
        );
        observer.observe(Event::Warning { code: Code::SignerNotDelegated, detail });
    }
    let delegate = note.delegate(signer).ok_or(ChangeError::SignerUnknown { signer })?.clone();
    Ok(SignerReport { number: note.number, delegate, completed })
}

fn has_writer(note: &VaultNote) -> bool {
    let takes = |signer: &Delegate| signer.may_append(EventKind::SnapshotTaken);
    note.signers.iter().any(|one| one.role == Role::Writer && one.retired.is_none() && takes(one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Coded;

    #[test]
    fn a_signer_gets_what_is_usual_and_what_its_role_may_have_besides() {
        let events = |role, requested: &[&str]| {
            let requested: Vec<String> = requested.iter().map(|text| (*text).to_owned()).collect();
            events_for(role, &requested)
        };
        let janitor = events(Role::Janitor, &["generation.shredded", "verified"]).unwrap();
        assert_eq!(janitor.len(), Role::Janitor.usual_events().len() + 1);
        for (role, event) in [
            (Role::Writer, "hold.released"),
            (Role::Janitor, "snapshot.taken"),
            (Role::Auditor, "recipients.changed"),
            (Role::Operator, "moon.waxed"),
        ] {
            let error = events(role, &[event]).unwrap_err();
            assert_eq!(error.code(), Code::SignerRefused);
            assert!(error.to_string().contains(event), "{error}");
        }
    }
}
