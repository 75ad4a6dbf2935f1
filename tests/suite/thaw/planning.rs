//! What a plan names, and what making one does.

use std::collections::BTreeSet;

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::format::{Folder, Kind, ObjectKey};
use idswyft_vault::ops::read;
use idswyft_vault::ops::restore::Part;
use idswyft_vault::ops::thaw::prices::Micros;
use idswyft_vault::ops::thaw::{PriceTable, need};
use idswyft_vault::ops::verify::Level;
use idswyft_vault::store::{StorageClass, ThawTier};

use super::bench::ColdVault;
use crate::support::Call;
use crate::support::vault::TestVault;

/// T-1, T-2
#[test]
fn a_plan_names_exactly_the_packs_of_what_was_asked_for() {
    let cold = ColdVault::new(StorageClass::DeepArchive);
    let unlocked = cold.vault.unlocked();
    let mut by_file = Vec::new();
    read::visit_tree(&unlocked, cold.last(), |entry| {
        if let Kind::File(content) = entry.kind {
            let packs = content.extents.iter().map(|extent| ObjectKey::Pack(extent.pack));
            by_file.push((entry.path, packs.collect::<BTreeSet<_>>()));
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(by_file.len(), 4);
    for (path, packs) in &by_file {
        assert_eq!(need::of_file(&unlocked, cold.last(), path).unwrap(), *packs);
    }
    let below_deep = by_file[1].1.union(&by_file[2].1).copied().collect::<BTreeSet<_>>();
    assert_eq!(below_deep.len(), 2, "each snapshot has packs of its own");
    assert_eq!(cold.need_of("deep"), below_deep);
    let of_part = |part| need::of_snapshot(&unlocked, cold.last(), Some(part), None).unwrap();
    let (dump, uploads) = (of_part(Part::Database), of_part(Part::Uploads));
    let files: BTreeSet<_> = by_file.iter().flat_map(|(_, packs)| packs).copied().collect();
    assert_eq!(uploads, files);
    assert!(!dump.is_empty() && dump.is_disjoint(&uploads));
    assert_eq!(cold.need(cold.last()), dump.union(&uploads).copied().collect());
    let listed = need::of_lists(unlocked.auditor(), Some(&[cold.last()])).unwrap();
    assert_eq!(listed, cold.need(cold.last()));
    assert_eq!(need::of_lists(unlocked.auditor(), None).unwrap(), cold.all_packs());
    let missing = need::of_file(&unlocked, cold.last(), b"none").unwrap_err();
    assert_eq!(missing.code(), Code::PathUnknown);
    assert!(cold.read().is_empty() && cold.asked().is_empty());
}

/// T-2
#[test]
fn a_plan_tells_packs_and_price_and_time_and_changes_nothing() {
    let cold = ColdVault::new(StorageClass::DeepArchive);
    let (need, thaw) = (cold.need(cold.last()), cold.thaw_on("host", None));
    cold.bucket.forget_calls();
    let packs = thaw.survey(&need).unwrap();
    let plan = thaw.plan(&packs);
    let len: u64 = packs.iter().map(|pack| pack.len).sum();
    let count = need.len() as u64;
    assert_eq!((plan.frozen.pack_count, plan.frozen.len), (count, len));
    assert_eq!((plan.ready.pack_count, plan.under_way.pack_count, plan.missing_count), (0, 0, 0));
    let tiers: Vec<_> = plan.tiers.iter().map(|tier| (tier.tier, tier.minutes)).collect();
    assert_eq!(tiers, [(ThawTier::Bulk, 48 * 60), (ThawTier::Standard, 12 * 60)]);
    let price = plan.tiers[1].price.unwrap();
    let exact = |micros: u64, of: u64, per: u64| {
        let whole = (u128::from(micros) * u128::from(of)).div_ceil(u128::from(per));
        u64::try_from(whole).unwrap()
    };
    assert_eq!(price.retrieval_micros.0, exact(20_000, len, 1 << 30));
    assert_eq!(price.requests_micros.0, exact(100_000, count, 1000));
    assert_eq!(price.copies_micros.0, exact(23_000 * 7, len, 30 << 30));
    assert_eq!(price.egress_micros.0, exact(90_000, len, 1 << 30));
    let parts = [price.retrieval_micros, price.requests_micros, price.copies_micros];
    let sum = parts.iter().fold(price.egress_micros, |sum, part| sum.plus(*part));
    assert_eq!(price.total_micros, sum);
    // Deleting packs on their first day costs the whole 180 days.
    let class = &plan.classes[0];
    assert_eq!((class.days_min, class.young.pack_count), (Some(180), count));
    assert!(class.young_micros > Some(Micros(0)));
    assert_eq!(plan.packs.len(), need.len());
    assert!(cold.read().is_empty() && cold.asked().is_empty());
    assert!(!cold.lists_of("host").exists());
}

#[test]
fn packs_are_found_by_listing_where_that_takes_fewer_requests() {
    let cold = ColdVault::new(StorageClass::DeepArchive);
    let thaw = cold.thaw_on("host", None);
    let need = cold.need(cold.last());
    assert!(need.len() > 4);
    cold.bucket.forget_calls();
    thaw.survey(&need).unwrap();
    assert_eq!(cold.bucket.calls(), [Call::ListVersions(Folder::Packs)]);
    let one = cold.need_of("a.jpg");
    cold.bucket.forget_calls();
    thaw.survey(&one).unwrap();
    assert_eq!(cold.bucket.calls(), [Call::Stat(*one.first().unwrap())]);
    // Who may not list asks for each.
    let reader =
        crate::support::bucket::Rights { list: false, ..crate::support::bucket::Rights::ALL };
    let thaw = cold.thaw_of(std::sync::Arc::new(cold.bucket.seen_by(reader)), "host", None);
    assert_eq!(thaw.survey(&need).unwrap().len(), need.len());
}

/// T-11
#[test]
fn of_a_pack_with_several_versions_the_one_that_is_read_is_planned() {
    let cold = ColdVault::new(StorageClass::DeepArchive);
    let (need, thaw) = (cold.need(cold.last()), cold.thaw_on("host", None));
    let before = thaw.plan(&thaw.survey(&need).unwrap());
    let names: Vec<String> = need.iter().map(ToString::to_string).collect();
    cold.bucket.plant(&names[0], b"something else");
    cold.bucket.hide(&names[1]);
    cold.bucket.plant(&names[2], b"something else");
    cold.bucket.hide(&names[2]);
    assert_eq!(thaw.plan(&thaw.survey(&need).unwrap()), before);
    // So it is where they are asked for one by one.
    for key in need.iter().take(3) {
        let packs = thaw.survey(&BTreeSet::from([*key])).unwrap();
        let planned = before.packs.iter().find(|pack| pack.key == key.to_string()).unwrap();
        assert_eq!((packs[0].len, packs[0].is_cold()), (planned.len, true));
    }
}

#[test]
fn the_class_that_counts_is_the_one_that_the_store_tells() {
    let cold = ColdVault::new(StorageClass::Standard);
    let thaw = cold.thaw_on("host", None);
    let need = cold.need(cold.last());
    assert_eq!(thaw.plan(&thaw.survey(&need).unwrap()).ready.pack_count, need.len() as u64);
    // A rule of the bucket moves one pack, and nobody told the config.
    cold.bucket.move_to(&need.first().unwrap().to_string(), StorageClass::Glacier);
    let plan = thaw.plan(&thaw.survey(&need).unwrap());
    assert_eq!(plan.frozen.pack_count, 1);
    let tiers: Vec<ThawTier> = plan.tiers.iter().map(|tier| tier.tier).collect();
    assert_eq!(tiers, ThawTier::ALL);
    assert_eq!(thaw.ask(&need).unwrap_err().code(), Code::ObjectArchived);
    // Of two archive classes only what both have is offered, and a pack that is gone is named.
    let second = *need.iter().nth(1).unwrap();
    cold.bucket.move_to(&second.to_string(), StorageClass::DeepArchive);
    cold.bucket.erase(&need.last().unwrap().to_string());
    let plan = thaw.plan(&thaw.survey(&need).unwrap());
    assert_eq!((plan.tiers.len(), plan.missing_count, plan.frozen.pack_count), (2, 1, 2));
}

#[test]
fn a_class_without_a_price_is_planned_without_one() {
    let cold = ColdVault::new(StorageClass::DeepArchive);
    let mut thaw = cold.thaw_on("host", None);
    thaw.prices = PriceTable { classes: [].into(), ..PriceTable::default() };
    let plan = thaw.plan(&thaw.survey(&cold.need(cold.last())).unwrap());
    assert!(plan.tiers.iter().all(|tier| tier.price.is_none() && tier.minutes > 0));
    assert_eq!((plan.tiers.len(), plan.classes[0].young_micros), (2, None));
}

#[test]
fn a_store_without_classes_is_not_asked() {
    let vault = TestVault::new();
    assert!(!vault.stores[0].has_classes());
    let key = ObjectKey::Pack(idswyft_vault::base::PackId::from_bytes([1; 32]));
    let cold = ColdVault::new(StorageClass::Standard);
    let thaw = cold.thaw_of(vault.stores[0].clone(), "host", Some(ThawTier::Bulk));
    assert!(thaw.ask(&BTreeSet::from([key])).unwrap().is_empty());
}

/// T-3
#[test]
fn verifying_what_is_stored_reads_no_pack_and_thaws_none() {
    let cold = ColdVault::new(StorageClass::DeepArchive);
    for level in [Level::Ledger, Level::Stored] {
        let report = cold.vault.verify(level);
        assert!(report.is_sound(), "{:?}", report.findings);
    }
    assert!(cold.read().is_empty() && cold.asked().is_empty());
    let unlocked = cold.vault.unlocked();
    let events = cold.vault.events.as_ref();
    let bytes =
        idswyft_vault::ops::verify::verify(unlocked.auditor(), None, Level::Bytes, None, events);
    // An archived pack is no damaged one.
    assert_eq!(bytes.unwrap_err().code(), Code::ObjectArchived);
}
