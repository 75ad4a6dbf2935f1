//! What the stores said, and that the ledger knows it.

use std::sync::Arc;

use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::event_fields::StoreCompleted;
use idswyft_vault::store::Store;
use idswyft_vault::vault::completing::{covered_digest, receipts_digest};
use idswyft_vault::vault::ledger;

use super::{bucket, manifest, night, put_only, shared, vault_over};
use crate::support::vault::{TestVault, local};
use crate::support::{Call, sha256};

fn completed(vault: &TestVault, store: &Arc<dyn Store>) -> Vec<StoreCompleted> {
    let logs = ledger::read_all(&vault.auditor(store)).unwrap();
    let events = logs.into_iter().flat_map(|log| log.events);
    let completed = |payload| match payload {
        EventPayload::StoreCompleted(completed) => Some(completed),
        _ => None,
    };
    events.filter_map(|event| completed(event.payload)).collect()
}

/// M-14, M-15
#[test]
fn the_ledger_tells_what_a_bucket_said_of_each_snapshot() {
    let place = bucket("s3");
    let host = put_only(&place);
    let vault = vault_over(|_| vec![host]);
    night(&vault, 1);
    place.forget_calls();
    night(&vault, 2);
    let puts = place.calls().into_iter().filter(|call| matches!(call, Call::PutNew(_)));
    let kinds = puts.map(|call| call.key().unwrap().folder().name()).collect::<Vec<_>>();
    let count = |name: &str| kinds.iter().filter(|kind| **kind == name).count();
    assert_eq!((count("ledger"), count("snapshots"), count("segments")), (4, 3, 1));
    let events = completed(&vault, &shared(&place));
    let snapshots = manifest(&vault).snapshots().unwrap();
    assert_eq!(events.len(), 2);
    for (event, snapshot) in events.iter().zip(snapshots) {
        assert_eq!((event.store.as_str(), event.snapshot), ("s3", snapshot.id));
        let digest = covered_digest(&manifest(&vault), "s3", snapshot.id).unwrap();
        assert!(event.receipts_sha256.is_some() && event.receipts_sha256 == digest);
    }
    // The first covers all from the beginning, the second what came since.
    let receipts = manifest(&vault).receipts_of("s3", Some(events[0].snapshot)).unwrap();
    let lines: String = receipts
        .iter()
        .map(|receipt| {
            let (version, sha) = (receipt.version_id.clone().unwrap(), receipt.checksum.unwrap());
            format!("{} 2026-11-22T02:30:00Z {version} {sha}\n", receipt.key)
        })
        .collect();
    assert!(lines.starts_with("generations/"), "{lines}");
    assert_eq!(receipts_digest(&receipts), sha256(lines.as_bytes()));
    assert_eq!(manifest(&vault).outgoing_count("s3").unwrap(), 0);
}

/// M-14
#[test]
fn a_mirror_is_complete_when_it_caught_up_and_a_directory_never_says_so() {
    let place = bucket("s3");
    let mirror = shared(&place);
    let vault = vault_over(|dir| vec![local(&dir.join("store"), "local"), mirror]);
    place.set_down(true);
    night(&vault, 1);
    night(&vault, 2);
    assert!(completed(&vault, &vault.stores[0]).is_empty());
    place.set_down(false);
    night(&vault, 3);
    let events = completed(&vault, &vault.stores[0]);
    let snapshots: Vec<_> = events.iter().map(|event| event.snapshot).collect();
    let taken: Vec<_> = manifest(&vault).snapshots().unwrap().iter().map(|row| row.id).collect();
    assert_eq!(snapshots, taken[1..], "what came late is covered by the newest of it");
    assert_eq!(completed(&vault, &shared(&place)), events);
}
