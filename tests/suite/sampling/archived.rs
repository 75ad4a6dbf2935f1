//! A sample of packs that must be thawed first.

use std::collections::BTreeSet;

use idswyft_vault::base::Clock;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::verify::{self, Level, Method, Part, Reading, Request};
use idswyft_vault::store::StorageClass;

use super::bench::{shard, share};
use crate::support::vault::noise;
use crate::thaw::bench::ColdVault;

fn reading(cold: &ColdVault, level: Level, part: &Part) -> Reading {
    let auditor = cold.vault.auditor(&cold.vault.stores[0]);
    let now = Some(cold.clock.now());
    verify::reading(&auditor, &Request { now, part: Some(part), ..Request::of(level) }).unwrap()
}

/// Y-18
#[test]
fn the_plan_of_a_sample_has_the_chosen_packs_and_no_others() {
    let cold = ColdVault::new(StorageClass::DeepArchive);
    let sample = share("50%", "a text");
    let chosen = reading(&cold, Level::Bytes, &sample).need;
    let all = cold.all_packs();
    assert!(chosen.len() == all.len().div_ceil(2) && chosen.is_subset(&all));
    assert!(cold.read().is_empty() && cold.asked().is_empty(), "a plan reads and thaws nothing");
    assert_eq!(reading(&cold, Level::Bytes, &Part::default()).need, all);
    let halves: Vec<BTreeSet<ObjectKey>> = ["1/2", "2/2"]
        .map(|name| Part { shard: shard(name).shard, ..sample.clone() })
        .map(|part| {
            assert_eq!(reading(&cold, Level::Contents, &part).need, chosen);
            reading(&cold, Level::Bytes, &part).need
        })
        .into();
    assert!(halves[0].is_disjoint(&halves[1]));
    assert_eq!(halves[0].union(&halves[1]).copied().collect::<BTreeSet<_>>(), chosen);
    // What was thawed is enough to look at the sample, at any level.
    for key in &chosen {
        cold.bucket.move_to(&key.to_string(), StorageClass::Standard);
    }
    cold.bucket.forget_calls();
    for level in [Level::Bytes, Level::Contents] {
        let store = &cold.vault.stores[0];
        let report = super::bench::look(&cold.vault, store, level, &sample, None).unwrap();
        assert!(report.is_sound(), "{:?}", report.findings);
        let read: BTreeSet<ObjectKey> = cold.read().into_iter().collect();
        assert_eq!(read, chosen);
    }
}

/// Y-19
#[test]
fn what_was_printed_chooses_the_same_packs_after_another_night() {
    let cold = ColdVault::new(StorageClass::DeepArchive);
    let method = Some(Method::Share("50%".parse().unwrap()));
    let by_ledgers = Part { method, ..Part::default() };
    let planned = reading(&cold, Level::Bytes, &by_ledgers);
    assert_eq!(reading(&cold, Level::Bytes, &by_ledgers), planned);
    cold.vault.write("another.jpg", &noise(9, 150_000));
    cold.vault.snapshot();
    let next = reading(&cold, Level::Bytes, &by_ledgers);
    assert!(next.public != planned.public && next.need != planned.need);
    let until = planned.newest.unwrap();
    let auditor = cold.vault.auditor(&cold.vault.stores[0]);
    let ids: Vec<_> = auditor.snapshots().unwrap().sound.into_keys().collect();
    assert_eq!(until, ids[ids.len() - 2]);
    let only = Some(&ids[..ids.len() - 1]);
    let part = Part { public: planned.public.clone(), ..by_ledgers };
    let request = Request { only, part: Some(&part), ..Request::of(Level::Bytes) };
    assert_eq!(verify::reading(&auditor, &request).unwrap(), planned);
}
