//! Generations: what there is of each, opening a new one, handing out one identity. Spec: §5.2.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::Error;
use super::change::ChangeError;
use crate::base::{Coded, Event, GenerationId, Observer};
use crate::crypto::identity::AskPassphrase;
use crate::crypto::recipient::DataRecipients;
use crate::format::ObjectKey;
use crate::format::event::EventPayload;
use crate::vault::{Auditor, Unlocked, Writer, ledger};

/// What ledgers and notes say of one generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationRow {
    /// Its id.
    pub id: GenerationId,
    /// When it was opened.
    pub opened: Timestamp,
    /// When it was closed; until then it is its host's open one.
    pub closed: Option<Timestamp>,
    /// Whether its secrets were destroyed.
    pub is_shredded: bool,
    /// The numbers of its sealed files, and whether each is there.
    pub revs: BTreeMap<u32, bool>,
    /// How many snapshots are of it.
    pub snapshot_count: u64,
    /// Stored bytes of the packs that those name.
    pub stored_len: u64,
}

/// Lists every generation that a ledger records, the oldest first.
///
/// # Errors
/// If the store cannot be read. What does not verify is a warning, and `verify` tells more.
pub fn list(auditor: &Auditor, observer: &dyn Observer) -> Result<Vec<GenerationRow>, Error> {
    let logs = ledger::read_all(auditor)?;
    let shredded = ledger::shredded_of(&logs);
    let (mut opened, mut closed) = (BTreeMap::new(), BTreeMap::new());
    for event in logs.iter().flat_map(|log| &log.events) {
        match &event.payload {
            EventPayload::GenerationOpened(said) => {
                opened.entry(said.generation).or_insert(event.time);
            }
            EventPayload::GenerationClosed(said) => {
                closed.entry(said.generation).or_insert(event.time);
            }
            _ => {}
        }
    }
    let mut packs = packs_of(auditor, observer)?;
    let mut rows = Vec::new();
    for (id, said) in ledger::generations_of(&logs) {
        let mut revs = BTreeMap::new();
        for rev in said.into_iter().flat_map(|opened| opened.revs) {
            let is_there = auditor.versions().has(ObjectKey::Generation(id, rev.rev))?;
            revs.insert(rev.rev, is_there);
        }
        let (snapshot_count, stored) = packs.remove(&id).unwrap_or_default();
        rows.push(GenerationRow {
            id,
            opened: opened.get(&id).copied().unwrap_or_else(|| id.time()),
            closed: closed.get(&id).copied(),
            is_shredded: shredded.contains(&id),
            revs,
            snapshot_count,
            stored_len: stored.iter().map(|(_, len)| len).sum(),
        });
    }
    Ok(rows)
}

type Packs = (u64, BTreeSet<(ObjectKey, u64)>);

/// Returns the snapshots of each generation and the packs that they name.
fn packs_of(
    auditor: &Auditor,
    observer: &dyn Observer,
) -> Result<BTreeMap<GenerationId, Packs>, Error> {
    let mut packs: BTreeMap<GenerationId, Packs> = BTreeMap::new();
    for note in auditor.snapshots()?.sound.values() {
        let (count, named) = packs.entry(note.generation).or_default();
        *count += 1;
        match auditor.list(note) {
            Ok(entries) => {
                named.extend(entries.into_iter().map(|entry| (entry.key, entry.stored_len)));
            }
            Err(error) => {
                let detail =
                    format!("the packs of snapshot {} are left out: {error}", note.snapshot);
                observer.observe(Event::Warning { code: error.code(), detail });
            }
        }
    }
    Ok(packs)
}

/// Closes the host's open generation, opens a new one and delivers that.
///
/// # Errors
/// If this host was retired, the recipients are not the signed ones, or the primary store fails.
pub fn roll(
    host: &mut Writer,
    recipients: &DataRecipients,
    ask: &impl AskPassphrase,
    observer: &dyn Observer,
) -> Result<GenerationId, Error> {
    host.adopt_notes(observer)?;
    host.check_standing(observer)?;
    let generation = host.roll(recipients, ask)?;
    observer.observe(Event::GenerationOpened { generation });
    host.deliver(observer)?;
    Ok(generation)
}

/// Opens a generation and returns an identity file that opens its packs: without the dedup secret,
/// and so without what would name or confirm a chunk.
///
/// # Errors
/// If no generation is meant, or the identities do not open it.
pub fn export(unlocked: &Unlocked, text: &str) -> Result<(GenerationId, Zeroizing<String>), Error> {
    let all: Vec<GenerationId> = unlocked.signed().keys().copied().collect();
    let begins = |id: &&GenerationId| !text.is_empty() && id.to_string().starts_with(text);
    let found: Vec<&GenerationId> = all.iter().filter(begins).collect();
    let [id] = found[..] else {
        let (text, count) = (text.chars().take(80).collect(), found.len());
        return Err(ChangeError::GenerationUnclear { text, count, all: all.len() }.into());
    };
    let secrets = unlocked.generation(*id)?;
    let file = Zeroizing::new(format!(
        "# idswyft-vault: opens generation {id} of vault {} and no other\n{}\n",
        unlocked.auditor().vault(),
        secrets.identity.to_secret_text().as_str(),
    ));
    Ok((*id, file))
}
