//! Bringing a vault into being: keys, first note, first generation, first events; and giving a
//! vault another host. Spec: §5, §11.
//!
//! The order makes every crash harmless: the recovery kit is written by the caller before
//! [`Genesis::settle`], the host's state becomes valid with its last file, and only then is
//! anything delivered.

use jiff::Timestamp;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::Error;
use super::adopting::NEWEST_ELSEWHERE;
use super::generation::{NewGeneration, OPEN_GENERATION};
use super::journal::{FRONTIER, Journal, outgoing};
use super::locking::locked_until;
use super::state::{Anchor, GenerationSlot, StateDir};
use super::writer::{Outside, lock};
use crate::base::{SnapshotId, VaultId, entropy};
use crate::crypto::identity::AskPassphrase;
use crate::crypto::recipient::DataRecipients;
use crate::crypto::signing::{KeyUse, SigningKey, VerificationKey};
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::format::event_fields::NoteRef;
use crate::format::parameters::Parameters;
use crate::format::role::Role;
use crate::format::vault_note::{Delegate, VaultNote};
use crate::manifest::{Manifest, Outgoing, Payload};

/// What a new vault is to be.
pub struct Plan<'a> {
    /// Its name in the config.
    pub name: &'a str,
    /// Its retention policy, as the vault note carries it.
    pub policy: Map<String, Value>,
    /// How it is written.
    pub parameters: Parameters,
    /// Who can open it.
    pub recipients: &'a DataRecipients,
}

/// A vault that another host had before.
pub struct Rejoined<'a> {
    /// Its name in the config.
    pub name: &'a str,
    /// Its root verification key.
    pub root: &'a VerificationKey,
    /// The vault note in force, as stored; it was checked.
    pub vault_note: Vec<u8>,
    /// Its newest snapshot, of whichever signer.
    pub newest: Option<SnapshotId>,
    /// Who can open it, as signed.
    pub recipients: &'a DataRecipients,
}

/// A host's part of a vault that exists in memory only.
pub struct Genesis {
    anchor: Anchor,
    writer: SigningKey,
    generation: NewGeneration,
    vault_note: Vec<u8>,
    is_first: bool,
    newest: Option<SnapshotId>,
    events: Vec<Outgoing>,
    journal: Journal,
    sealed_root: Vec<Vec<u8>>,
    locked_until: Option<Timestamp>,
}

impl Genesis {
    /// Draws a vault's keys, signs its first note and seals its first generation.
    ///
    /// # Errors
    /// If a recipient's plugin is missing or refuses, or the plan breaks a limit.
    pub fn draw(
        plan: Plan<'_>,
        ask: &impl AskPassphrase,
        outside: &Outside,
    ) -> Result<Self, Error> {
        let vault = VaultId::from_bytes(entropy::draw(outside.entropy.as_ref()));
        let root = draw_key(vault, KeyUse::Root, outside);
        let writer = draw_key(vault, KeyUse::Signer, outside);
        let time = outside.clock.now();
        let operator = root.operator_signer();
        let note =
            first_note(&plan, vault, time, [(&writer, Role::Writer), (&operator, Role::Operator)]);
        let key = ObjectKey::Vault(1);
        let vault_note = root.sign(&note.compose().map_err(|e| Error::format(key, e))?)?;
        let generation = NewGeneration::prepare(vault, plan.recipients, ask, outside)?;
        let mut journal = Journal::empty();
        let note_sha256 = crate::crypto::digest::sha256(&vault_note);
        let created = EventPayload::VaultCreated(NoteRef { number: 1, note_sha256 });
        let mut events = journal.append(&writer, vault, time, created, Vec::new())?;
        let opened = generation.event.clone();
        events.extend(journal.append(&writer, vault, time, opened, Vec::new())?);
        let root_text = Zeroizing::new(format!("{}\n", root.to_secret_text().as_str()));
        let sealed_root = plan.recipients.seal(root_text.as_bytes(), ask)?;
        let locked_until = locked_until(&plan.policy, &plan.parameters, time, time)?;
        let anchor = Anchor {
            vault,
            name: plan.name.to_owned(),
            root_key: root.verification_key().to_string(),
        };
        Ok(Self {
            anchor,
            writer,
            generation,
            vault_note,
            is_first: true,
            newest: None,
            events,
            journal,
            sealed_root,
            locked_until,
        })
    }

    /// Draws the keys of another host of a vault and seals its first generation.
    ///
    /// # Errors
    /// If a recipient's plugin is missing or refuses.
    pub fn rejoin(
        rejoined: Rejoined<'_>,
        ask: &impl AskPassphrase,
        outside: &Outside,
    ) -> Result<Self, Error> {
        let vault = rejoined.root.vault();
        let writer = draw_key(vault, KeyUse::Signer, outside);
        let generation = NewGeneration::prepare(vault, rejoined.recipients, ask, outside)?;
        let mut journal = Journal::empty();
        let time = outside.clock.now();
        let events = journal.append(&writer, vault, time, generation.event.clone(), Vec::new())?;
        let name = rejoined.name.to_owned();
        Ok(Self {
            anchor: Anchor { vault, name, root_key: rejoined.root.to_string() },
            writer,
            generation,
            vault_note: rejoined.vault_note,
            is_first: false,
            newest: rejoined.newest,
            events,
            journal,
            sealed_root: Vec::new(),
            // What is delivered is locked for as long as the vault note in force says then.
            locked_until: None,
        })
    }

    /// Returns which vault it is.
    pub const fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    /// Returns the root signing key, sealed to the data recipients: for the recovery kit alone.
    pub fn sealed_root(&self) -> &[Vec<u8>] {
        &self.sealed_root
    }

    /// Returns the first checkpoint of the writer's ledger.
    pub fn checkpoint(&self) -> &[u8] {
        match self.events.last().map(|object| &object.payload) {
            Some(Payload::Bytes(bytes)) => bytes,
            _ => &[],
        }
    }

    /// Writes the host's state; everything for the stores is journaled in it.
    ///
    /// # Errors
    /// If the state cannot be written; without its last file it counts as not there.
    pub fn settle(self, state: &StateDir, stores: &[String]) -> Result<(), Error> {
        state.make()?;
        state.clear_unfinished()?;
        state.set_writer_key(&self.writer.to_secret_text())?;
        state.set_vault_note(&self.vault_note)?;
        state.set_generation(GenerationSlot::Open, &self.generation.open)?;
        let first = self.is_first.then(|| outgoing(ObjectKey::Vault(1), self.vault_note));
        let mut objects: Vec<Outgoing> = first.into_iter().collect();
        objects.extend(self.generation.files);
        objects.extend(self.events);
        lock(&mut objects, self.locked_until);
        let mut manifest = Manifest::create(&state.file("manifest.sqlite"), state.gate())?;
        let open = self.generation.open.id.to_string().into_bytes();
        let mut notes = vec![(FRONTIER, self.journal.to_bytes()), (OPEN_GENERATION, open)];
        notes.extend(self.newest.map(|id| (NEWEST_ELSEWHERE, id.to_string().into_bytes())));
        manifest.enqueue(stores, &objects, &notes)?;
        state.set_anchor(&self.anchor)
    }
}

fn draw_key(vault: VaultId, usage: KeyUse, outside: &Outside) -> SigningKey {
    let seed = Zeroizing::new(entropy::draw(outside.entropy.as_ref()));
    SigningKey::from_seed(vault, usage, &seed)
}

fn first_note(
    plan: &Plan<'_>,
    vault: VaultId,
    time: Timestamp,
    signers: [(&SigningKey, Role); 2],
) -> VaultNote {
    let delegate = |(key, role): (&SigningKey, Role)| {
        Delegate::usual(key.signer_id(), key.verification_key(), role)
    };
    VaultNote {
        vault,
        number: 1,
        previous: None,
        time,
        name: plan.name.to_owned(),
        signers: signers.map(delegate).to_vec(),
        policy: plan.policy.clone(),
        parameters: plan.parameters.clone(),
        recipients: plan.recipients.digests(),
    }
}
