//! The stack's secrets: sealed when they change, opened by whom they are sealed to, and proven.

mod crashes;
mod opening;
mod proving;
mod sealing;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use idswyft_vault::base::{Gate, OpenGate, Secret, SystemEntropy};
use idswyft_vault::crypto::identity::{DataIdentities, NewIdentity, NoPassphrase};
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::format::escrow::{EscrowKind, EscrowObject};
use idswyft_vault::ops::escrow::open::{self, OpenedSecrets, Version};
use idswyft_vault::ops::escrow::{Forbidden, Role, SameMount, SealJob, Sealing, seal};
use idswyft_vault::ops::{self};
use idswyft_vault::store::Store;
use idswyft_vault::vault::Outside;
use jiff::Timestamp;
use tempfile::TempDir;

use crate::support::vault::{Events, FixedClock, local};

/// A key as `install.sh` writes one.
const KEY: &str = "00c1e7f2a9b0d4c6e8f0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6";
/// A key as a person might choose one: no shell could source it.
const ODD_KEY: &str = "it's 32 bytes; $(rm) \"quoted\" #and more";

/// Somebody who opens the escrow.
struct Custodian {
    recipient: String,
    file: String,
}

impl Custodian {
    fn new() -> Self {
        let new = NewIdentity::generate(Timestamp::UNIX_EPOCH);
        Self { recipient: new.recipient, file: new.file.to_string() }
    }

    fn identities(&self) -> DataIdentities {
        DataIdentities::parse("custodian", self.file.as_bytes(), &NoPassphrase).unwrap()
    }
}

/// An installation, an escrow store and its custodians.
struct Escrow {
    dir: TempDir,
    clock: Arc<FixedClock>,
    events: Arc<Events>,
    store: Arc<dyn Store>,
    gate: Arc<dyn Gate>,
    custodian: Custodian,
    /// Whoever has the key, where that is another person.
    second: Option<Custodian>,
    effective: Option<BTreeMap<String, Secret>>,
}

impl Escrow {
    fn new() -> Self {
        Self::within(tempfile::tempdir().unwrap())
    }

    fn of_two_persons() -> Self {
        Self { second: Some(Custodian::new()), ..Self::new() }
    }

    fn within(dir: TempDir) -> Self {
        let store = local(&dir.path().join("escrow"), "escrow");
        let escrow = Self {
            store,
            dir,
            clock: FixedClock::new(),
            events: Arc::new(Events::default()),
            gate: OpenGate::shared(),
            custodian: Custodian::new(),
            second: None,
            effective: None,
        };
        escrow.write(".env", format!("DB_NAME=idswyft\nENCRYPTION_KEY={KEY}\n").as_bytes());
        escrow
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file of the installation.
    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path("install").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn run(&mut self, name: &str, value: &str) {
        let variable = (name.to_owned(), Secret::new(value.to_owned()));
        self.effective.get_or_insert_default().extend([variable]);
    }

    fn with_job<T>(&self, work: impl FnOnce(&SealJob<'_>) -> T) -> T {
        self.clock.pass_hours(1);
        let parse = |who: &Custodian| DataRecipients::parse(&[&who.recipient]).unwrap();
        let (recipients, second) = (parse(&self.custodian), self.second.as_ref().map(parse));
        let entropy = Arc::new(SystemEntropy);
        let outside = Outside { clock: self.clock.clone(), entropy, gate: self.gate.clone() };
        let state = Forbidden {
            what: "the state directory".to_owned(),
            path: self.path("state"),
            role: Role::Other,
        };
        work(&SealJob {
            store: self.store.clone(),
            recipients: &recipients,
            key_recipients: second.as_ref(),
            dir: &self.path("install"),
            effective: self.effective.as_ref(),
            state_dir: &self.path("state"),
            forbidden: &[state],
            same_mount: SameMount::Refuse,
            outside: &outside,
        })
    }

    fn try_seal(&self) -> Result<Sealing, ops::Error> {
        self.with_job(|job| seal::seal(job, &NoPassphrase, self.events.as_ref()))
    }

    fn seal(&self) -> Sealing {
        self.try_seal().unwrap()
    }

    fn seal_or_last(&self) -> Sealing {
        self.with_job(|job| seal::seal_or_last(job, &NoPassphrase, self.events.as_ref()))
    }

    /// Opens a version with the identities of both persons, if there are two.
    fn open(&self, version: Version<'_>) -> OpenedSecrets {
        let mut identities = self.custodian.identities();
        if let Some(second) = &self.second {
            identities.extend(second.identities());
        }
        open::open(self.store.as_ref(), &identities, version).unwrap()
    }

    /// Returns the names of all objects of the store, sorted.
    fn objects(&self) -> Vec<String> {
        let mut names = Vec::new();
        if let Ok(entries) = fs::read_dir(self.path("escrow/escrow")) {
            let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
            names.extend(entries.map(|entry| name(entry).into_string().unwrap()));
        }
        names.sort();
        names
    }
}

fn kinds(objects: &[EscrowObject]) -> Vec<EscrowKind> {
    objects.iter().map(|one| one.kind).collect()
}

fn names(objects: &[EscrowObject]) -> Vec<String> {
    objects.iter().map(|one| one.object.to_string()).collect()
}
