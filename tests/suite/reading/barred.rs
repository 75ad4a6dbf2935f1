//! What a host may verify that may look at notes and ledgers, and at nothing else.

use std::io::Read;
use std::sync::Arc;

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::crypto::identity::NoPassphrase;
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops;
use idswyft_vault::ops::verify::{self, Level, VerifyReport};
use idswyft_vault::store::{Error, Listing, Stat, StorageClass, Store, VersionListing};

use super::shelf::{Shelf, found};
use crate::support::forward::forward;

/// A bucket as the credentials of `spec/policies/host.json` see it.
pub struct HostView {
    inner: Arc<dyn Store>,
    /// One object more that is refused.
    refused: Option<ObjectKey>,
    /// One folder that is refused whole.
    barred: Option<Folder>,
    /// Whether everything else is allowed.
    is_owner: bool,
    /// Whether what is not there is refused, as to credentials that may not list.
    is_listless: bool,
}

impl HostView {
    /// Shows a store as a host sees it.
    pub fn of(inner: Arc<dyn Store>) -> Self {
        Self { inner, refused: None, barred: None, is_owner: false, is_listless: false }
    }

    fn check<T>(
        &self,
        is_allowed: bool,
        call: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let answer = is_allowed.then(call);
        let is_hidden = match &answer {
            Some(Err(Error::Missing { key, .. })) => self.is_listless && !is_open(key.folder()),
            _ => false,
        };
        if let Some(answer) = answer.filter(|_| !is_hidden) {
            return answer;
        }
        let (store, place) = (self.name().to_owned(), "it".to_owned());
        Err(Error::Denied { store, action: "look at", place, source: "AccessDenied".into() })
    }

    fn may_read(&self, key: &ObjectKey) -> bool {
        let is_public = match key.folder() {
            Folder::Vault | Folder::Ledger => true,
            Folder::Snapshots => !matches!(key, ObjectKey::Body(_)),
            _ => false,
        };
        (is_public || self.is_owner)
            && self.refused != Some(*key)
            && self.barred != Some(key.folder())
    }

    fn may_list(&self, folder: Folder) -> bool {
        self.is_owner || is_open(folder)
    }
}

/// Tells whether a host may list a folder.
const fn is_open(folder: Folder) -> bool {
    matches!(folder, Folder::Vault | Folder::Ledger | Folder::Snapshots)
}

impl Store for HostView {
    forward!(inner: name url prepare put_new delete staging_dir clean_staging);

    fn get(&self, key: &ObjectKey, len_max: u64) -> Result<Vec<u8>, Error> {
        self.check(self.may_read(key), || self.inner.get(key, len_max))
    }

    fn get_range(&self, key: &ObjectKey, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        self.check(self.may_read(key), || self.inner.get_range(key, offset, len))
    }

    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send>, Error> {
        self.check(self.may_read(key), || self.inner.open(key))
    }

    fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>, Error> {
        let found = self.check(self.may_read(key), || self.inner.stat(key))?;
        self.check(found.is_some() || !self.is_listless, || Ok(found))
    }

    fn list(&self, folder: Folder) -> Result<Listing<'_>, Error> {
        self.check(self.may_list(folder), || self.inner.list(folder))
    }

    fn versions(&self, key: &ObjectKey) -> Result<Vec<Arc<dyn Store>>, Error> {
        self.check(self.may_list(key.folder()), || self.inner.versions(key))
    }

    fn list_versions(&self, folder: Folder) -> Result<Option<VersionListing<'_>>, Error> {
        self.check(self.may_list(folder), || self.inner.list_versions(folder))
    }
}

fn verify(shelf: &Shelf, view: HostView, level: Level) -> Result<VerifyReport, ops::Error> {
    let auditor = shelf.vault.auditor(&(Arc::new(view) as Arc<dyn Store>));
    verify::verify(&auditor, None, level, None, shelf.vault.events.as_ref())
}

/// N-17
#[test]
fn a_host_that_may_look_at_no_pack_verifies_the_rest_and_names_what_it_left_out() {
    let shelf = Shelf::new(StorageClass::Standard, None);
    let host = || HostView::of(Arc::new(shelf.bucket.clone()));
    let report = verify(&shelf, host(), Level::Stored).unwrap();
    assert_eq!(report.findings, []);
    for kind in ["packs: ", "trees: ", "segments: ", "bodies of snapshots: ", "files of gen"] {
        assert!(report.not_covered.iter().any(|gap| gap.starts_with(kind)), "{report:?}");
    }
    assert!(verify(&shelf, host(), Level::Ledger).unwrap().is_sound());
    // What it may look at it still finds damaged, and bytes cannot be verified without reading.
    let error = verify(&shelf, host(), Level::Bytes).unwrap_err();
    assert_eq!(error.code(), Code::StoreDenied);
    shelf.bucket.erase(&ObjectKey::List(shelf.newest).to_string());
    assert!(!verify(&shelf, host(), Level::Stored).unwrap().is_sound());
}

/// N-17
#[test]
fn one_pack_that_is_refused_to_who_may_look_at_the_others_is_not_left_out() {
    let shelf = Shelf::new(StorageClass::Standard, None);
    let refused = shelf.keys().into_iter().find(|key| matches!(key, ObjectKey::Pack(_)));
    let inner: Arc<dyn Store> = Arc::new(shelf.bucket.clone());
    let view = HostView { refused, is_owner: true, ..HostView::of(inner) };
    let error = verify(&shelf, view, Level::Stored);
    assert_eq!(error.unwrap_err().code(), Code::StoreDenied);
}

/// N-17
#[test]
fn one_pack_that_is_gone_does_not_make_those_that_are_there_look_barred() {
    let shelf = Shelf::new(StorageClass::Standard, None);
    let packs = shelf.keys().into_iter().filter(|key| matches!(key, ObjectKey::Pack(_)));
    for pack in packs {
        let bucket = shelf.bucket.copied();
        bucket.erase(&pack.to_string());
        let view = HostView { is_owner: true, is_listless: true, ..HostView::of(Arc::new(bucket)) };
        let report = verify(&shelf, view, Level::Stored).unwrap();
        let found: Vec<_> = report.findings.iter().map(|one| (one.code, &one.object)).collect();
        assert_eq!(found, [(Code::ObjectUnreadable, &pack.to_string())]);
        assert!(!report.not_covered.iter().any(|gap| gap.starts_with("packs: ")), "{report:?}");
    }
}

/// N-17
#[test]
fn one_file_of_a_generation_that_is_gone_does_not_make_those_that_were_read_look_barred() {
    let shelf = Shelf::new(StorageClass::Standard, None);
    let recipients = DataRecipients::parse(&[&shelf.vault.recipient]).unwrap();
    let mut writer = shelf.vault.writer();
    writer.roll(&recipients, &NoPassphrase).unwrap();
    writer.deliver(shelf.vault.events.as_ref()).unwrap();
    let files = shelf.keys().into_iter().filter(|key| key.folder() == Folder::Generations);
    let files: Vec<ObjectKey> = files.collect();
    assert_eq!(files.len(), 2);
    for file in files {
        let bucket = shelf.bucket.copied();
        bucket.erase(&file.to_string());
        for level in [Level::Ledger, Level::Stored] {
            let inner: Arc<dyn Store> = Arc::new(bucket.clone());
            let view = HostView { is_owner: true, is_listless: true, ..HostView::of(inner) };
            let report = verify(&shelf, view, level).unwrap();
            assert_eq!(found(&report), [("object-unreadable", file.to_string())], "{level:?}");
            assert_eq!(report.barred.is_some(), level == Level::Stored);
        }
    }
}

/// Y-20
#[test]
fn whoever_may_look_at_all_but_the_files_of_generations_did_not_look_at_everything() {
    let shelf = Shelf::new(StorageClass::Standard, None);
    let inner: Arc<dyn Store> = Arc::new(shelf.bucket.clone());
    let barred = Some(Folder::Generations);
    let view = HostView { is_owner: true, barred, ..HostView::of(inner) };
    let report = verify(&shelf, view, Level::Stored).unwrap();
    assert_eq!(report.findings, []);
    let counts = report.barred.unwrap();
    assert_eq!((counts.barred_pack_count, counts.barred_other_count), (0, 1));
    assert_eq!(report.sample_percent(), 99);
}
