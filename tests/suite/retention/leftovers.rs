//! What whoever has everything that is left can open: every version in every store, every file of
//! the host and the kit, the operator's identity, and every secret that the host ever had.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use idswyft_vault::crypto::identity::GenerationIdentity;
use idswyft_vault::crypto::keys::DedupSecret;
use idswyft_vault::crypto::seal;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::store::{Listed, StorageClass, Store};

use super::bench::{Bench, in_memory};
use super::shredding::Shredder;
use crate::support::bucket::Bucket;
use crate::support::vault::noise;

/// More bytes than any object of these tests has.
const LEN_MAX: u64 = 10_000_000;
/// How an identity file has the identity.
const IDENTITY: &str = "AGE-SECRET-KEY-1";
/// How it has the secret that opens segments.
const SECRET: &str = "# dedup-secret: ";

/// Bytes, by where they are.
type Blobs = BTreeMap<String, Vec<u8>>;
/// Something that opens bytes, or not.
type Opens = Box<dyn Fn(&[u8]) -> Option<Vec<u8>>>;

/// Makes a vault in a store and a bucket that keeps versions, with two nights: over one of them the
/// bucket was down, so that everything waited on the host.
fn in_two_places() -> (Shredder, Bucket) {
    let mut made = None;
    let bench = Bench::over("keep_last = 1", 0, |clock| {
        let bucket = Bucket::new("bucket", clock.clone(), StorageClass::Standard);
        let store: Arc<dyn Store> = Arc::new(bucket.clone());
        made = Some(bucket);
        vec![in_memory(clock).remove(0), store]
    });
    let bucket = made.unwrap();
    bench.vault.write("document", &noise(5, 300_000));
    bench.vault.write_dump(&["1\tAda".to_owned()]);
    bench.night();
    bucket.set_down(true);
    bench.vault.write("another", &noise(6, 50_000));
    bench.night();
    bucket.set_down(false);
    (Shredder::emptied(bench), bucket)
}

/// Returns everything that is left anywhere.
fn left(shredder: &Shredder) -> Blobs {
    let vault = &shredder.bench.vault;
    let mut blobs = Blobs::new();
    for store in &vault.stores {
        for key in Folder::ALL.into_iter().flat_map(|folder| names(store, folder)) {
            let mut views = store.versions(&key).unwrap();
            if views.is_empty() {
                views.push(store.clone());
            }
            for (nth, view) in views.iter().enumerate() {
                // What only a delete marker has left has no bytes.
                if let Ok(bytes) = view.get(&key, LEN_MAX) {
                    blobs.insert(format!("{}/{key}#{nth}", store.name()), bytes);
                }
            }
        }
    }
    for entry in walkdir::WalkDir::new(vault.dir.path()) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let path = format!("host:{}", entry.path().display());
            blobs.insert(path, std::fs::read(entry.path()).unwrap());
        }
    }
    blobs
}

/// Returns every name of a folder, hidden ones too.
fn names(store: &Arc<dyn Store>, folder: Folder) -> BTreeSet<ObjectKey> {
    let object = |listed| match listed {
        Listed::Object(key, _) => Some(key),
        Listed::Foreign(_) => None,
    };
    match store.list_versions(folder).unwrap() {
        Some(listing) => listing.filter_map(|one| object(one.unwrap().listed)).collect(),
        None => {
            let listing = store.list(folder).unwrap();
            listing.filter_map(|listed| object(listed.unwrap())).collect()
        }
    }
}

fn identity(identity: GenerationIdentity) -> Opens {
    Box::new(move |sealed| seal::open("it", sealed, &identity).ok().map(|plain| plain.to_vec()))
}

/// Returns the keys that somebody has who has all but what `generation export` handed out: those of
/// the operator, and what the host had while it could still write.
fn keys(shredder: &Shredder) -> Vec<Opens> {
    let operator = shredder.bench.vault.identities();
    let by_operator: Opens =
        Box::new(move |sealed| operator.open("it", sealed).ok().map(|plain| plain.to_vec()));
    let secrets = shredder.secrets.iter().map(|hex| DedupSecret::from_hex(hex).unwrap());
    let indexes = secrets.map(|secret| identity(secret.index_identity()));
    std::iter::once(by_operator).chain(indexes).collect()
}

/// Returns the keys that are written down in bytes.
fn keys_in(bytes: &[u8]) -> Vec<(String, Opens)> {
    let text = String::from_utf8_lossy(bytes);
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with(IDENTITY)
            && let Ok(own) = GenerationIdentity::parse(line)
        {
            found.push((line.to_owned(), identity(own)));
        }
        if let Some(secret) = line.strip_prefix(SECRET).map(DedupSecret::from_hex)
            && let Ok(secret) = secret
        {
            found.push((line.to_owned(), identity(secret.index_identity())));
        }
    }
    found
}

/// Opens what these keys open, and what the keys in there open, and so on.
fn opened(blobs: &Blobs, mut keys: Vec<Opens>) -> BTreeSet<String> {
    let (mut opened, mut known) = (BTreeSet::new(), BTreeSet::new());
    let mut learn = |bytes: &[u8], keys: &mut Vec<Opens>| {
        let found = keys_in(bytes).into_iter();
        keys.extend(found.filter_map(|(line, key)| known.insert(line).then_some(key)));
    };
    blobs.values().for_each(|bytes| learn(bytes, &mut keys));
    while let Some(key) = keys.pop() {
        for (name, bytes) in blobs {
            if let Some(plain) = key(bytes) {
                learn(&plain, &mut keys);
                opened.insert(name.clone());
            }
        }
    }
    opened
}

/// Every key times every byte that is left, and every key that comes of that.
#[test]
fn after_shredding_no_combination_of_what_is_left_opens_a_byte_of_the_generation() {
    let (shredder, bucket) = in_two_places();
    let first = ObjectKey::Generation(shredder.old, 1);
    let sealed = shredder.bench.vault.stores[0].get(&first, LEN_MAX).unwrap();
    // Older versions, a hidden one, and a rev that no ledger knows.
    let second = ObjectKey::Generation(shredder.old, 2).to_string();
    bucket.plant(&first.to_string(), &sealed);
    bucket.hide(&first.to_string());
    bucket.plant(&second, &sealed);
    let before = left(&shredder);
    let plain = shredder.bench.vault.identities().open("it", &sealed).unwrap();
    let own = keys_in(&plain).into_iter().map(|(_, key)| key).collect();
    let old = opened(&before, own);
    for folder in ["packs/", "trees/", "segments/"] {
        for store in ["local/", "bucket/"] {
            let is_it = |name: &&String| name.starts_with(&format!("{store}{folder}"));
            assert!(old.iter().any(|name| is_it(&name)), "{store}{folder}: {old:?}");
        }
    }
    let all = opened(&before, keys(&shredder));
    assert!(old.is_subset(&all), "whoever has everything opens it before");

    assert!(shredder.shred().unwrap().certificate.is_some());
    let after = left(&shredder);
    let all = opened(&after, keys(&shredder));
    let found: Vec<&String> = all.intersection(&old).collect();
    assert!(found.is_empty(), "{found:?}");
    let there = || old.iter().filter(|name| after.contains_key(*name));
    assert!(there().count() > 3, "packs and trees stay");
    assert!(all.iter().any(|name| name.starts_with("local/packs/")), "what is newer opens");
    assert_nowhere(&after, &shredder, &sealed);

    // One version that was left anywhere would open all of it.
    bucket.plant(&second, &sealed);
    bucket.hide(&second);
    let all = opened(&left(&shredder), keys(&shredder));
    assert!(there().all(|name| all.contains(name)), "{all:?}");
}

/// Asserts that neither the sealed file nor a secret of it is part of any file of the host.
fn assert_nowhere(blobs: &Blobs, shredder: &Shredder, sealed: &[u8]) {
    let secret = &shredder.secrets[0];
    let raw = hex::decode(secret).unwrap();
    let middle = &sealed[sealed.len() / 2..][..64];
    for (name, bytes) in blobs.iter().filter(|(name, _)| name.starts_with("host:")) {
        for needle in [middle, secret.as_bytes(), &raw] {
            assert!(!bytes.windows(needle.len()).any(|window| window == needle), "{name}");
        }
    }
}
