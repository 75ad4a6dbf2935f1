//! A host that lost its state goes on with a new signer and a new generation. Spec: §11.
//!
//! It cannot read what was sealed before and is not what it was: nothing of the old signer's log is
//! continued, no chunk of an older generation is leaned on, and the operator must delegate to it.
//! What it takes until then is sealed, delivered, and valid from the delegation on.

use std::path::Path;
use std::sync::Arc;

use super::Error;
use super::init::is_unfinished;
use crate::base::limits::NOTE_LEN_MAX;
use crate::base::{GenerationId, Observer, SignerId, VaultId};
use crate::crypto::identity::AskPassphrase;
use crate::crypto::recipient::DataRecipients;
use crate::crypto::signing::VerificationKey;
use crate::format::ObjectKey;
use crate::store::Store;
use crate::vault::genesis::{Genesis, Rejoined};
use crate::vault::state::StateDir;
use crate::vault::{self, Auditor, Outside, Writer};

/// A vault to be rejoined.
pub struct Rejoin<'a> {
    /// Its name in the config.
    pub name: &'a str,
    /// Its root verification key, from the recovery kit.
    pub root: VerificationKey,
    /// Who can open it, as signed.
    pub recipients: &'a DataRecipients,
    /// Its stores, the primary first.
    pub stores: Vec<Arc<dyn Store>>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejoinReport {
    /// The vault's name.
    pub name: String,
    /// Its id.
    pub vault: VaultId,
    /// The new signer.
    pub signer: SignerId,
    /// Its verification key, to which the operator delegates.
    pub signer_key: String,
    /// The new generation.
    pub generation: GenerationId,
}

/// Makes a new state for a vault that the stores hold, or finishes what an earlier run began.
///
/// # Errors
/// If there is state already, the primary store cannot be read or holds another vault, or the
/// recipients are not the signed ones.
pub fn rejoin(
    request: Rejoin<'_>,
    state_dir: &Path,
    ask: &impl AskPassphrase,
    outside: &Outside,
    observer: &dyn Observer,
) -> Result<RejoinReport, Error> {
    let state = StateDir::new(state_dir, request.name).gated(Arc::clone(&outside.gate));
    if !state.exists() {
        settle(&request, &state, ask, outside)?;
    } else if !is_unfinished(&state, &request.stores)? {
        let (name, path) = (request.name.to_owned(), state.path().to_owned());
        return Err(Error::StateThere { name, path });
    }
    let mut writer = Writer::open(state, request.stores, outside.clone())?;
    writer.deliver(observer)?;
    Ok(RejoinReport {
        name: request.name.to_owned(),
        vault: writer.vault(),
        signer: writer.key().signer_id(),
        signer_key: writer.key().verification_key().to_string(),
        generation: writer.generation().id,
    })
}

/// Makes the state; nothing is delivered yet.
fn settle(
    request: &Rejoin<'_>,
    state: &StateDir,
    ask: &impl AskPassphrase,
    outside: &Outside,
) -> Result<(), Error> {
    let primary = request.stores.first().ok_or(Error::Closed)?;
    let auditor = Auditor::open(Arc::clone(primary), request.root.clone())?;
    let signed = auditor.note();
    let mut told = request.recipients.digests();
    told.sort_unstable();
    let mut recipients = signed.recipients.clone();
    recipients.sort_unstable();
    if told != recipients {
        return Err(vault::Error::RecipientsDiffer.into());
    }
    let rejoined = Rejoined {
        name: request.name,
        root: &request.root,
        vault_note: primary.get(&ObjectKey::Vault(signed.number), NOTE_LEN_MAX)?,
        newest: auditor.snapshots()?.sound.into_keys().next_back(),
        recipients: request.recipients,
    };
    let genesis = Genesis::rejoin(rejoined, ask, outside)?;
    let stores: Vec<String> = request.stores.iter().map(|store| store.name().to_owned()).collect();
    Ok(genesis.settle(state, &stores)?)
}
