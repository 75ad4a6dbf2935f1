//! What an operator takes for a generation's secrets (§5): of several files, the one that fits.

use std::sync::Arc;

use idswyft_vault::base::{Code, Coded, SystemClock, SystemEntropy};
use idswyft_vault::crypto::digest::sha256;
use idswyft_vault::crypto::identity::{
    DataIdentities, GenerationIdentity, NewIdentity, NoPassphrase,
};
use idswyft_vault::crypto::keys::DedupSecret;
use idswyft_vault::crypto::merkle::Frontier;
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::event_fields::GenerationOpened;
use idswyft_vault::format::generation::GenerationFile;
use idswyft_vault::format::ledger::LedgerEvent;
use idswyft_vault::store::{Content, MemoryStore, Store};
use idswyft_vault::vault::{Auditor, Error, Unlocked};

use super::made_packs::{VAULT, generation};
use super::made_signed::{root, sign, signer, snapshot, vault_note, writer};

/// A store of a vault whose ledger opened the generation of `identity`, and an operator.
struct Opened {
    store: Arc<MemoryStore>,
    operator: NewIdentity,
}

impl Opened {
    fn of(identity: &GenerationIdentity) -> Self {
        let store = Arc::new(MemoryStore::new("opened", Arc::new(SystemClock)));
        let operator = NewIdentity::generate(snapshot().time());
        let opened = Self { store, operator };
        let note = vault_note().compose().expect("the note is sound");
        opened.put(ObjectKey::Vault(1), &sign(&root(), &note));
        let payload = EventPayload::GenerationOpened(GenerationOpened {
            generation: generation(),
            revs: Vec::new(),
            recipient_sha256: identity.recipient().digest(),
        });
        let (vault, signer, time) = (VAULT, signer(), snapshot().time());
        let event = LedgerEvent { vault, signer, seq: 0, time, payload, seen: Vec::new() };
        let leaf = event.compose().expect("the event is sound");
        opened.put(ObjectKey::LedgerEvent(signer, 0), &leaf);
        let mut frontier = Frontier::empty();
        frontier.append(&leaf);
        let text = frontier.head().compose_checkpoint(vault, signer);
        opened.put(ObjectKey::LedgerCheckpoint(signer, 0), &sign(&writer(), &text));
        opened
    }

    fn put(&self, key: ObjectKey, bytes: &[u8]) {
        let put = self.store.put_new(&key, Content::Bytes(bytes), &sha256(bytes));
        put.expect("the name is free");
    }

    fn put_rev(&self, rev: u32, recipient: &str, identity: &GenerationIdentity) {
        let file = GenerationFile {
            vault: VAULT,
            generation: generation(),
            created: snapshot().time(),
            dedup_secret: DedupSecret::generate(&SystemEntropy).to_hex(),
            identity: identity.to_secret_text(),
        };
        let recipients = DataRecipients::parse(&[recipient]).expect("the recipient parses");
        let sealed = recipients.seal(file.compose().as_bytes(), &NoPassphrase).expect("it seals");
        self.put(ObjectKey::Generation(generation(), rev), &sealed[0]);
    }

    fn open(&self) -> Result<String, Error> {
        let store = Arc::clone(&self.store);
        let auditor = Auditor::open(store, root().verification_key().clone())?;
        let file = self.operator.file.as_bytes();
        let identities = DataIdentities::parse("operator", file, &NoPassphrase)?;
        let secrets = Unlocked::new(auditor, identities)?.generation(generation())?;
        Ok(secrets.identity.recipient().to_string())
    }
}

/// V-54
#[test]
fn a_rev_that_does_not_open_hides_no_other() {
    let identity = GenerationIdentity::generate(&SystemEntropy);
    let opened = Opened::of(&identity);
    let other = NewIdentity::generate(snapshot().time());
    opened.put(ObjectKey::Generation(generation(), 1), b"not an age file");
    opened.put_rev(2, &other.recipient, &identity);
    assert_eq!(opened.open().unwrap_err().code(), Code::IdentityWrong);
    opened.put_rev(3, &opened.operator.recipient, &identity);
    assert_eq!(opened.open().unwrap(), identity.recipient().to_string());
}

/// V-49
#[test]
fn an_identity_that_does_not_derive_the_signed_recipient_is_foreign() {
    let opened = Opened::of(&GenerationIdentity::generate(&SystemEntropy));
    opened.put_rev(1, &opened.operator.recipient, &GenerationIdentity::generate(&SystemEntropy));
    assert_eq!(opened.open().unwrap_err().code(), Code::ObjectForeign);
}
