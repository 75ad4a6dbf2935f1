//! How many bytes snapshots need, and whether that is so: `generations.md` §3 against naive counts,
//! files that are there, and a writer that retires packs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use idswyft_vault::base::{GenerationId, SnapshotId};
use idswyft_vault::crypto::identity::NoPassphrase;
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::format::parameters::{ParameterFields, Parameters};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::{generations, space};
use idswyft_vault::store::{Listed, Store};

use super::bench::{LEAN_HOURS, prune};
use crate::retention::bench::{ALL, Bench, in_memory};
use crate::support::vault::noise;
use crate::support::{Call, RecordingStore};

/// What the signed list of a snapshot names, by itself.
struct Named {
    generation: GenerationId,
    lens: BTreeMap<ObjectKey, u64>,
}

fn named(bench: &Bench) -> BTreeMap<SnapshotId, Named> {
    let auditor = bench.vault.auditor(&bench.vault.stores[0]);
    let notes = auditor.snapshots().unwrap().sound;
    let read = |note| {
        let entries = auditor.list(note).unwrap().into_iter();
        let lens = entries.map(|entry| (entry.key, entry.stored_len)).collect();
        (note.snapshot, Named { generation: note.generation, lens })
    };
    notes.values().map(read).collect()
}

/// Returns the bytes that snapshots name, each object once.
fn needed<'a>(named: impl IntoIterator<Item = &'a Named>) -> u64 {
    let lens = named.into_iter().flat_map(|one| &one.lens);
    lens.collect::<BTreeMap<_, _>>().into_values().sum()
}

/// Returns the bytes of every pack and tree object that a store has.
fn stored(store: &Arc<dyn Store>) -> u64 {
    let listed = [Folder::Packs, Folder::Trees].map(|folder| store.list(folder).unwrap());
    let lens = listed.into_iter().flatten().map(|listed| match listed.unwrap() {
        Listed::Object(_, stat) => stat.len,
        Listed::Foreign(name) => panic!("{name} is nobody's"),
    });
    lens.sum()
}

fn roll(bench: &Bench) {
    let recipients = DataRecipients::parse(&[&bench.vault.recipient]).unwrap();
    bench.vault.clock.pass_hours(1);
    let observer = bench.vault.events.as_ref();
    generations::roll(&mut bench.vault.writer(), &recipients, &NoPassphrase, observer).unwrap();
}

/// G-15
#[test]
fn bytes_by_snapshot_and_generation_are_those_of_a_naive_count_and_what_is_freed_goes() {
    let bench = Bench::new("keep_last = 2", 0);
    for night in 0..5_u64 {
        bench.vault.write("shared.jpg", &noise(night / 2, 60_000));
        bench.vault.write("own.jpg", &noise(100 + night, 30_000));
        if night == 3 {
            roll(&bench);
        }
        bench.night();
    }
    let (named, store) = (named(&bench), &bench.vault.stores[0]);
    let observer = bench.vault.events.as_ref();
    let told = space::of_store(&bench.vault.auditor(store), observer).unwrap();
    assert_eq!((told.needed_len, told.freed_len), (needed(named.values()), 0));
    assert_eq!(told.needed_len, stored(store), "nothing else is there");
    for (id, own) in &named {
        let others = named.iter().filter(|(other, _)| *other != id);
        let others: BTreeSet<&ObjectKey> = others.flat_map(|(_, one)| one.lens.keys()).collect();
        let alone = own.lens.iter().filter(|(key, _)| !others.contains(key));
        let expected = (needed([own]), alone.map(|(_, len)| len).sum(), own.lens.len() as u64);
        let told = told.snapshots[id];
        assert_eq!((told.needed_len, told.unique_len, told.pack_count), expected, "{id}");
    }
    assert!(told.snapshots.values().any(|own| own.unique_len > 0));
    assert!(told.snapshots.values().any(|own| own.unique_len < own.needed_len));
    assert_eq!(told.generations.len(), 2);
    for (id, of) in &told.generations {
        let own = || named.values().filter(|one| one.generation == *id);
        assert_eq!((of.needed_len, of.snapshot_count), (needed(own()), own().count() as u64));
    }

    let (plan, survey) = (bench.plan(), bench.survey(&bench.vault.stores).unwrap());
    let told = space::of_plan(&survey, &plan, observer).unwrap().unwrap();
    let gone: BTreeSet<SnapshotId> = plan.dropped().map(|(one, _)| one.id).collect();
    let stay = || named.iter().filter(|(id, _)| !gone.contains(id)).map(|(_, one)| one);
    let expected = needed(named.values()) - needed(stay());
    assert_eq!((gone.len(), told.freed_len), (3, expected));
    let before = stored(store);
    bench.apply(&ALL).unwrap();
    bench.vault.clock.pass_hours(LEAN_HOURS);
    prune(&bench);
    assert_eq!(before - stored(store), expected, "and that is what goes");
}

/// What `status` tells of the open generation is what the host put and nothing leans on.
#[test]
fn what_the_host_knows_of_its_open_generation_is_what_it_put() {
    let bench = Bench::new("keep_last = 2", 0);
    bench.vault.write("a.jpg", &noise(1, 60_000));
    bench.night();
    std::fs::remove_file(bench.vault.path("uploads/a.jpg")).unwrap();
    bench.vault.write("b.jpg", &noise(2, 20_000));
    bench.night();
    let told = bench.vault.writer().manifest().packs().unwrap();
    let stored_len: u64 = told.iter().map(|pack| pack.stored_len).sum();
    assert_eq!(stored_len, stored(&bench.vault.stores[0]));
    let state = bench.vault.path("state/nightly/manifest.sqlite");
    let space = idswyft_vault::manifest::ManifestView::open(&state).unwrap().space().unwrap();
    assert_eq!((space.stored_len, space.pack_count), (stored_len, told.len() as u64));
    let retired = told.iter().filter(|pack| pack.retired).map(|pack| pack.stored_len);
    assert_eq!(space.retired_len, retired.sum::<u64>());
    assert!(space.retired_len > 60_000 && space.retired_len < stored_len, "{space:?}");
}

/// Nights, each with a file that stays and seven that go after three nights.
const NIGHTS: u64 = 20;
const FILE_LEN: usize = 9000;

/// Returns what is stored for the newest snapshot of such nights, in percent of its content, once
/// nothing else is needed any more; and how many packs a restore of it reads.
fn after_many_nights(retire_below_percent: u8) -> (u64, usize) {
    let fields = Parameters::initial().fields().clone();
    let fields = ParameterFields { retire_below_percent, ..fields };
    let parameters = Parameters::try_from(fields).unwrap();
    let bench = Bench::written_as(parameters, "keep_last = 1", 0, |clock| {
        in_memory(clock).drain(..1).collect()
    });
    let mut newest = None;
    for night in 0..NIGHTS {
        bench.vault.write(&format!("stays-{night}"), &noise(night, FILE_LEN));
        for nth in 0..7 {
            let seed = 1000 + 10 * night + nth;
            bench.vault.write(&format!("goes-{night}-{nth}"), &noise(seed, FILE_LEN));
            if let Some(then) = night.checked_sub(3) {
                let path = bench.vault.path(&format!("uploads/goes-{then}-{nth}"));
                std::fs::remove_file(path).unwrap();
            }
        }
        newest = Some(bench.night());
    }
    bench.apply(&ALL).unwrap();
    bench.vault.clock.pass_hours(LEAN_HOURS);
    prune(&bench);
    let vault = &bench.vault;
    let files = walkdir::WalkDir::new(vault.path("uploads")).into_iter().map(Result::unwrap);
    let content_len: u64 = files.map(|file| file.metadata().unwrap()).filter_map(len).sum();
    let recording = Arc::new(RecordingStore::new(vault.stores[0].clone()));
    let store: Arc<dyn Store> = recording.clone();
    let target = vault.path("restored");
    vault.try_restore_from(&store, newest.unwrap(), &target).unwrap();
    let calls = recording.calls();
    let packs: BTreeSet<ObjectKey> = calls.iter().filter_map(|one| pack_of(one.call)).collect();
    (stored(&vault.stores[0]) * 100 / content_len, packs.len())
}

fn len(metadata: std::fs::Metadata) -> Option<u64> {
    Some(metadata.len()).filter(|_| metadata.is_file())
}

fn pack_of(call: Call) -> Option<ObjectKey> {
    call.key().filter(|key| matches!(key, ObjectKey::Pack(_)))
}

#[test]
fn a_writer_that_retires_packs_stores_less_and_a_restore_reads_fewer() {
    let ((retiring, few), (keeping, many)) = (after_many_nights(25), after_many_nights(0));
    assert!(keeping >= 300, "each pack is there for one file in eight: {keeping} %");
    assert!(retiring * 3 < keeping * 2, "{retiring} %, {keeping} %");
    assert!(few * 2 < many, "{few} packs, {many} packs");
}
