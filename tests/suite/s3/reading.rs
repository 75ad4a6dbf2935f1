//! How objects of a bucket are read, listed and deleted, whatever comes in between.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use idswyft_vault::base::{Code, Coded, PackId, SystemClock};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::store::{
    Content, Error, Listed, Readiness, S3Settings, StorageClass, Store, ThawAnswer, ThawTier,
    open_with,
};

use crate::support::sha256;
use crate::support_s3::Server;
use crate::support_s3::fake::Fake;
use crate::support_s3::place::{Keeping, Place};
use crate::support_s3::proxy::{Act, Proxy};

const NOTE: ObjectKey = ObjectKey::Vault(1);

fn through(place: &Place, proxy: &Proxy, principal: &str) -> Arc<dyn Store> {
    let endpoint = Some(proxy.url());
    let settings = S3Settings { endpoint, ..place.settings(principal) };
    open_with(&place.url(), "cold", Some(&settings)).unwrap()
}

/// B-11
#[test]
fn an_s3_answer_that_breaks_off_is_resumed_or_an_error_and_never_shorter() {
    let fake = Fake::start(Arc::new(SystemClock));
    let place = Place::make(&fake.url(), None, Keeping::Newest);
    let proxy = Proxy::before(&fake.url());
    let store = through(&place, &proxy, "admin");
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|index| index.to_le_bytes()[1]).collect();
    store.put_new(&NOTE, Content::Bytes(&bytes), &sha256(&bytes)).unwrap();
    let cut_first = |proxy: &Proxy, count: u32| {
        let seen = AtomicU32::new(0);
        proxy.meddle(move |_| match seen.fetch_add(1, Ordering::SeqCst) {
            number if number < count => Act::CutAnswer,
            _ => Act::Pass,
        });
    };
    cut_first(&proxy, 2);
    assert!(store.get(&NOTE, 1 << 20).unwrap() == bytes);
    cut_first(&proxy, 1);
    assert!(store.get_range(&NOTE, 1000, 500_000).unwrap() == bytes[1000..501_000]);
    cut_first(&proxy, 2);
    let mut read = Vec::new();
    store.open(&NOTE).unwrap().read_to_end(&mut read).unwrap();
    assert!(read == bytes);
    cut_first(&proxy, u32::MAX);
    assert_eq!(store.get(&NOTE, 1 << 20).unwrap_err().code(), Code::StoreUnavailable);
    assert!(store.open(&NOTE).unwrap().read_to_end(&mut Vec::new()).is_err());
}

/// B-10
#[test]
fn an_s3_answer_without_an_etag_counts_for_nothing() {
    let fake = Fake::start(Arc::new(SystemClock));
    let place = Place::make(&fake.url(), None, Keeping::Newest);
    let proxy = Proxy::before(&fake.url());
    let store = through(&place, &proxy, "admin");
    proxy.meddle(|_| Act::Answer(200, "application/octet-stream", "note".to_owned()));
    let put = store.put_new(&NOTE, Content::Bytes(b"note"), &sha256(b"note"));
    assert_eq!(put.unwrap_err().code(), Code::EndpointForeign);
    assert_eq!(store.get(&NOTE, 9).unwrap_err().code(), Code::EndpointForeign);
    assert_eq!(store.stat(&NOTE).unwrap_err().code(), Code::EndpointForeign);
}

/// B-7
#[test]
fn an_archived_s3_object_is_told_as_such_and_thawed() {
    let fake = Fake::start(Arc::new(SystemClock));
    let place = Place::make(&fake.url(), None, Keeping::Newest);
    let class = StorageClass::DeepArchive;
    let settings = S3Settings { pack_class: class, ..place.settings("admin") };
    let store = open_with(&place.url(), "cold", Some(&settings)).unwrap();
    let key = ObjectKey::Pack(PackId::from_bytes(*sha256(b"pack").as_bytes()));
    store.put_new(&key, Content::Bytes(b"pack"), &sha256(b"pack")).unwrap();
    for refused in [
        store.get(&key, 9).unwrap_err(),
        store.get_range(&key, 0, 1).unwrap_err(),
        store.open(&key).err().unwrap(),
    ] {
        assert!(matches!(refused, Error::Archived { class: found, .. } if found == class));
    }
    let stat = store.stat(&key).unwrap().unwrap();
    assert_eq!((stat.class, stat.readiness), (class, Readiness::Frozen));
    let refused = store.thaw(&key, ThawTier::Expedited, 1).unwrap_err();
    assert!(matches!(refused, Error::NotThawable { .. }), "{refused}");
    assert_eq!(store.thaw(&key, ThawTier::Bulk, 1).unwrap(), ThawAnswer::Begun);
    assert_eq!(store.thaw(&key, ThawTier::Bulk, 1).unwrap(), ThawAnswer::UnderWay);
    let listed = store.list(Folder::Packs).unwrap().next().unwrap().unwrap();
    let Listed::Object(_, stat) = listed else { panic!("a pack is listed") };
    assert_eq!((stat.class, stat.readiness), (class, Readiness::Thawing));
    store.put_new(&NOTE, Content::Bytes(b"note"), &sha256(b"note")).unwrap();
    let refused = store.thaw(&NOTE, ThawTier::Bulk, 1).unwrap_err();
    assert!(matches!(refused, Error::NotThawable { .. }), "{refused}");
}

/// B-17
#[test]
fn what_is_hidden_or_put_over_in_an_s3_bucket_is_still_listed_and_read() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
    let open = || open_with(&place.url(), "cold", Some(&place.settings("admin"))).unwrap();
    let store = open();
    for number in 1..=3 {
        let key = ObjectKey::Vault(number);
        store.put_new(&key, Content::Bytes(b"note"), &sha256(b"note")).unwrap();
    }
    place.hide("vault/1.note");
    place.plant("vault/2.note", b"planted");
    let listed = open().list(Folder::Vault).unwrap().map(Result::unwrap).collect::<Vec<_>>();
    let is_there = |number| {
        let wanted = ObjectKey::Vault(number);
        let it = |one: &&Listed| matches!(one, Listed::Object(key, _) if *key == wanted);
        listed.iter().filter(it).count()
    };
    assert_eq!((listed.len(), is_there(1), is_there(2), is_there(3)), (3, 1, 1, 1));
    let store = open();
    assert!(matches!(store.get(&ObjectKey::Vault(1), 9), Err(Error::Missing { .. })));
    assert_eq!(store.get(&ObjectKey::Vault(2), 9).unwrap(), b"planted");
    let contents = |number| -> Vec<Vec<u8>> {
        let views = store.versions(&ObjectKey::Vault(number)).unwrap();
        views.iter().map(|view| view.get(&ObjectKey::Vault(number), 9).unwrap()).collect()
    };
    assert_eq!(contents(1), [b"note"]);
    assert_eq!(contents(2), [&b"note"[..], b"planted"]);
    assert_eq!(contents(3), [[0_u8; 0]; 0]);
    store.delete(&ObjectKey::Vault(2)).unwrap();
    assert!(matches!(store.delete(&ObjectKey::Vault(2)), Err(Error::Missing { .. })));
    assert!(store.versions(&ObjectKey::Vault(2)).unwrap().is_empty());
}
