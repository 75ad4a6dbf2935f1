//! Proving that the secrets which a snapshot names fit it, with the identities of both sides. Spec:
//! `escrow.md`.

use super::Error;
use super::open::{self, OpenedSecrets, Version};
use super::proof::{self, Candidates, KeyToProve, Proof, Subject, Verdict};
use crate::base::SnapshotId;
use crate::crypto::identity::DataIdentities;
use crate::format::escrow::{API_KEY_SECRET, EscrowObject, KEY_PREFIX, KeySource, env};
use crate::source::install::ENV_FILE;
use crate::store::Store;
use crate::vault::Unlocked;

/// What a check found.
pub struct CheckReport {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The objects that it names.
    pub named: Vec<EscrowObject>,
    /// What could not be opened.
    pub lacking: Vec<String>,
    /// The proofs.
    pub proofs: Vec<Proof>,
}

impl CheckReport {
    /// Returns the worst of all proofs that were possible; unproven if none was.
    pub fn verdict(&self) -> Verdict {
        let any = |verdict| self.proofs.iter().any(|proof| proof.verdict == verdict);
        match (any(Verdict::DoesNotFit), self.key_is_proven()) {
            (true, _) => Verdict::DoesNotFit,
            (false, true) => Verdict::Fits,
            (false, false) => Verdict::Unproven,
        }
    }

    /// Tells whether something was opened with a key.
    pub fn key_is_proven(&self) -> bool {
        let of_key = self.proofs.iter().filter(|proof| proof.subject != Subject::ApiKeySecret);
        of_key.into_iter().any(|proof| proof.verdict == Verdict::Fits)
    }
}

/// Opens what a snapshot names and tries it on what the snapshot holds.
///
/// # Errors
/// If the snapshot names nothing or cannot be read, an object is missing or not the one that it
/// names, or no escrow identity opens any.
pub fn check(
    unlocked: &Unlocked,
    snapshot: SnapshotId,
    store: &dyn Store,
    escrow: &DataIdentities,
) -> Result<CheckReport, Error> {
    let body = unlocked.body(&unlocked.auditor().snapshot(snapshot)?)?;
    let named = open::named(&body)?;
    let opened = open::open(store, escrow, Version::Named(&named))?;
    let readings = opened.file(ENV_FILE).map(|text| env::value_of(text, API_KEY_SECRET));
    let readings = readings.unwrap_or_default();
    let api_key_secrets = readings.iter().map(|value| value.as_slice()).collect();
    let candidates = Candidates { keys: keys_of(&opened), api_key_secrets };
    let proofs = proof::prove(unlocked, snapshot, &candidates)?;
    Ok(CheckReport { snapshot, named, lacking: opened.lacking, proofs })
}

/// Returns the keys in the order in which the stack would try them: what it ran with first.
fn keys_of(opened: &OpenedSecrets) -> Vec<KeyToProve<'_>> {
    let rank = |key: &&open::OpenedKey| {
        (key.variable != KEY_PREFIX, !key.from.contains(&KeySource::Container))
    };
    let mut keys: Vec<_> = opened.keys.iter().collect();
    keys.sort_by_key(rank);
    let several = keys.iter().filter(|key| key.variable == KEY_PREFIX).count() > 1;
    keys.into_iter().map(|key| to_prove(key, several)).collect()
}

/// Names a key by its variable; where one has several values, also by where this one was found.
fn to_prove(key: &open::OpenedKey, several: bool) -> KeyToProve<'_> {
    let is_current = key.variable == KEY_PREFIX;
    let from = match key.from.contains(&KeySource::Container) {
        true => "of the container",
        false => "of .env",
    };
    let name = match several && is_current {
        true => format!("{} {from}", key.variable),
        false => key.variable.clone(),
    };
    KeyToProve { name, is_current, value: &key.value }
}
