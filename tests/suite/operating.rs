//! Changes that an operator signs, of recipients and signers, and what a crash leaves of them.

mod changes;
mod crashes;
mod drilled;
mod hosts;
mod rejoin;

use std::sync::Arc;

use idswyft_vault::base::{Digest, SignerId};
use idswyft_vault::crypto::identity::{DataIdentities, NewIdentity, NoPassphrase};
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::ops::desk::Desk;
use idswyft_vault::ops::recipients::{self, RecipientsChange, RecipientsReport};
use idswyft_vault::ops::{self};
use idswyft_vault::store::Store;
use idswyft_vault::vault::{Unlocked, Writer, ledger};
use jiff::Timestamp;

use crate::support::sha256;
use crate::support::vault::{TestVault, noise};

/// A further person with an identity.
struct Person {
    recipient: String,
    file: String,
}

impl Person {
    fn new() -> Self {
        let new = NewIdentity::generate(Timestamp::UNIX_EPOCH);
        Self { recipient: new.recipient, file: new.file.to_string() }
    }

    fn of(vault: &TestVault) -> Self {
        Self { recipient: vault.recipient.clone(), file: vault.identity.clone() }
    }

    fn identities(&self) -> DataIdentities {
        DataIdentities::parse("key", self.file.as_bytes(), &NoPassphrase).unwrap()
    }

    fn digest(&self) -> Digest {
        sha256(self.recipient.as_bytes())
    }

    /// Opens the primary store of a vault with this person's identity.
    fn unlock(&self, vault: &TestVault) -> Unlocked {
        Unlocked::new(vault.auditor(&vault.stores[0]), self.identities()).unwrap()
    }
}

/// A vault with some uploads and a snapshot.
fn vault() -> TestVault {
    let vault = TestVault::new();
    fill(&vault);
    vault
}

fn fill(vault: &TestVault) {
    vault.write("documents/a.jpg", &noise(1, 40_000));
    vault.write_dump(&["1\tone".to_owned()]);
    vault.snapshot();
}

/// Opens a vault for a change, on its host or elsewhere.
fn desk(vault: &TestVault, host: Option<Writer>, who: &Person) -> Result<Desk, ops::Error> {
    vault.clock.pass_hours(1);
    let (kit, stores) = (vault.path("kit"), vault.stores.clone());
    let observer = vault.events.as_ref();
    Desk::open("nightly", &kit, who.identities(), stores, host, vault.outside(), observer)
}

fn change(
    vault: &TestVault,
    host: Option<Writer>,
    change: RecipientsChange<'_>,
    texts: &[String],
) -> Result<RecipientsReport, ops::Error> {
    let mut desk = desk(vault, host, &Person::of(vault))?;
    recipients::change(&mut desk, change, texts, &NoPassphrase, vault.events.as_ref())
}

/// Returns the names of the events in the log that is not the host's.
fn events_of_operator(vault: &TestVault, store: &Arc<dyn Store>) -> Vec<String> {
    let (auditor, host) = (vault.auditor(store), vault.writer().key().signer_id());
    let logs = ledger::read_all(&auditor).unwrap();
    assert!(logs.iter().all(|log| log.problems.is_empty() && log.pending.is_none()));
    let others = logs.into_iter().filter(|log| log.signer != host);
    others.flat_map(|log| log.events).map(|event| event.payload.name().to_string()).collect()
}

/// Returns how many files each `recipients.changed` names.
fn resealed_counts(vault: &TestVault) -> Vec<usize> {
    let logs = ledger::read_all(&vault.auditor(&vault.stores[0])).unwrap();
    let events = logs.into_iter().flat_map(|log| log.events);
    let counts = events.filter_map(|event| match event.payload {
        EventPayload::RecipientsChanged(changed) => Some(changed.generations.len()),
        _ => None,
    });
    counts.collect()
}

fn writer_id(vault: &TestVault) -> SignerId {
    vault.writer().key().signer_id()
}
