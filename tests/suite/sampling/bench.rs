//! A vault with packs enough to choose from, and runs that look at a part of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use idswyft_vault::base::{Clock, SnapshotId};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops;
use idswyft_vault::ops::report::{LedgerHead, SampleReport, VerifyReport};
use idswyft_vault::ops::verify::{self, Level, Method, Part, PublicValue, Request};
use idswyft_vault::store::{Listed, Store};

use crate::support::vault::{TestVault, noise};
use crate::support::{Call, RecordingStore};

/// Makes a vault with so many snapshots, each with a file and a dump of its own.
pub fn vault_of(snapshot_count: u64) -> TestVault {
    let vault = TestVault::new();
    for seed in 0..snapshot_count {
        vault.write(&format!("{seed}.jpg"), &noise(seed, 20_000));
        vault.write_dump(&[format!("{seed}\tJane\t{}", hex::encode(noise(seed, 10_000)))]);
        vault.snapshot();
    }
    vault
}

/// Returns a sample of this share, chosen by a text.
pub fn share(percent: &str, public: &str) -> Part {
    let method = Some(Method::Share(percent.parse().unwrap()));
    let public = Some(PublicValue { text: public.to_owned(), is_given: true });
    Part { method, public, ..Part::default() }
}

/// Returns the part of that name, such as `1/3`.
pub fn shard(text: &str) -> Part {
    Part { shard: Some(text.parse().unwrap()), ..Part::default() }
}

/// Looks at a part of a store at a level; with the operator's identity, if the level needs it.
pub fn look(
    vault: &TestVault,
    store: &Arc<dyn Store>,
    level: Level,
    part: &Part,
    only: Option<&[SnapshotId]>,
) -> Result<VerifyReport, ops::Error> {
    let (auditor, observer) = (vault.auditor(store), vault.events.as_ref());
    let request =
        Request { only, now: Some(vault.clock.now()), part: Some(part), ..Request::of(level) };
    if level < Level::Contents {
        return verify::verify_as(&auditor, None, &request, observer);
    }
    let unlocked = idswyft_vault::vault::Unlocked::new(auditor, vault.identities()).unwrap();
    verify::verify_as(unlocked.auditor(), Some(&unlocked), &request, observer)
}

/// As [`look`], at the first store.
pub fn look_at(vault: &TestVault, level: Level, part: &Part) -> VerifyReport {
    look(vault, &vault.stores[0], level, part, None).unwrap()
}

/// Looks at a part, and returns also which packs were read.
pub fn look_recorded(
    vault: &TestVault,
    level: Level,
    part: &Part,
) -> (VerifyReport, BTreeSet<ObjectKey>) {
    let recording = Arc::new(RecordingStore::new(vault.stores[0].clone()));
    let store: Arc<dyn Store> = recording.clone();
    let report = look(vault, &store, level, part, None).unwrap();
    let is_read = |call: &Call| matches!(call, Call::Get(_) | Call::GetRange(..) | Call::Open(_));
    let calls = recording.calls().into_iter().map(|recorded| recorded.call);
    let keys = calls.filter(is_read).filter_map(|call| call.key());
    (report, keys.filter(|key| key.folder() == Folder::Packs).collect())
}

/// Returns every object of a folder.
pub fn objects(vault: &TestVault, folder: Folder) -> BTreeSet<ObjectKey> {
    let listed = vault.stores[0].list(folder).unwrap();
    let keys = listed.filter_map(|listed| match listed {
        Ok(Listed::Object(key, _)) => Some(key),
        _ => None,
    });
    keys.collect()
}

/// Changes one byte of a stored object.
pub fn damage(vault: &TestVault, key: &ObjectKey) {
    let path = vault.path("store").join(key.to_string());
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// Returns the sample of a report.
pub fn sample_of(report: &VerifyReport) -> &SampleReport {
    report.sample.as_ref().expect("the report is of a sample")
}

/// Chooses as the spec says, from what a report tells and which packs there are.
pub fn chosen_again(report: &VerifyReport, packs: &BTreeSet<ObjectKey>) -> BTreeSet<ObjectKey> {
    let sample = sample_of(report);
    let lines = |head: &LedgerHead| format!("{} {} {}\n", head.signer, head.size, head.root);
    let mut lines: Vec<String> = report.ledgers.iter().map(lines).collect();
    lines.sort();
    let by_ledgers = format!("ledgers {}", crate::support::sha256(lines.concat().as_bytes()));
    assert_eq!(sample.public_given, sample.public != by_ledgers);
    let text = format!("idswyft-vault/v1 sample\n{}\n{}\n", report.vault, sample.public);
    let seed = crate::support::sha256(text.as_bytes());
    assert_eq!(sample.seed, seed);
    let rank = |key: &ObjectKey| {
        let id = *key.pack().unwrap().as_bytes();
        crate::support::sha256(&[*seed.as_bytes(), id].concat())
    };
    let mut ranked: Vec<_> = packs.iter().map(|key| (rank(key), *key)).collect();
    ranked.sort();
    let count = usize::try_from(sample.sample_count).unwrap();
    ranked.into_iter().take(count).map(|(_, key)| key).collect()
}
