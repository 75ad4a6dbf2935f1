//! Listing a folder, page by page. Spec: `stores.md` §3 and §5.
//!
//! Packs and trees are found by their digests, so their newest versions are listed. Everywhere
//! else versions are, so that nothing is hidden by a delete marker or by what was put over it.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use aws_sdk_s3::types::{Object, OptionalObjectAttributes, RestoreStatus};

use super::said::{Call, Failure};
use super::versions::VersionPages;
use super::{S3Store, time_of};
use crate::format::Folder;
use crate::store::{Error, Listed, Listing, Readiness, STAGING_PREFIX, Stat, StorageClass};

/// Pages in a row that may be empty before the server is not believed any more.
pub const EMPTY_PAGES_MAX: u32 = 1000;

impl S3Store {
    /// Lists a folder.
    pub(super) fn names(&self, folder: Folder) -> Result<Listing<'_>, Error> {
        let by_version = !matches!(folder, Folder::Packs | Folder::Trees);
        if by_version && !self.inner.versions_hidden.load(Ordering::Relaxed) {
            let mut names = VersionPages::new(self.clone(), folder);
            match names.begin() {
                Ok(()) => return Ok(Box::new(names)),
                Err(failure) if is_unlisted(&failure) => {
                    self.inner.versions_hidden.store(true, Ordering::Relaxed);
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        let mut names = Pages {
            store: self.clone(),
            folder,
            place: self.inner.place.address(folder.name()),
            rows: VecDeque::new(),
            token: None,
            last: String::new(),
            is_last: false,
        };
        names.turn()?;
        Ok(Box::new(names))
    }
}

/// Tells whether the answer is that versions are not listed here, or not for us.
pub fn is_unlisted(failure: &Failure) -> bool {
    matches!(failure.status(), 405 | 501)
        || failure.code() == "NotImplemented"
        || (failure.answer.is_some() && matches!(*failure.error, Error::Denied { .. }))
}

/// The objects of a folder, a page at a time.
struct Pages {
    store: S3Store,
    folder: Folder,
    place: String,
    rows: VecDeque<Listed>,
    token: Option<String>,
    // The greatest name of the pages before.
    last: String,
    is_last: bool,
}

impl Pages {
    /// Gets the next page.
    fn turn(&mut self) -> Result<(), Error> {
        let (store, place) = (&self.store, &self.store.inner.place);
        let call = store.call("list", "s3:ListBucket", &self.place);
        for _ in 0..EMPTY_PAGES_MAX {
            let page = store.inner.send(call, |live| {
                let request = live.client.list_objects_v2().bucket(&place.bucket);
                request
                    .prefix(place.full(&format!("{}/", self.folder.name())))
                    .optional_object_attributes(OptionalObjectAttributes::RestoreStatus)
                    .set_continuation_token(self.token.clone())
                    .send()
            })?;
            if page.name().is_none() {
                return Err(store.inner.not_s3(call, "the listing does not name the bucket"));
            }
            store.inner.bucket_seen.store(true, Ordering::Relaxed);
            let names = page.contents().iter().filter_map(|object| object.key());
            if !grows(&mut self.last, names, Repeats::Refused) {
                return Err(not_turning(store, call));
            }
            for object in page.contents() {
                self.rows.extend(listed(store, object));
            }
            let token = page.next_continuation_token().map(str::to_owned);
            self.is_last = !page.is_truncated().unwrap_or(false);
            if !self.is_last && (token.is_none() || token == self.token) {
                return Err(not_turning(store, call));
            }
            self.token = token;
            if self.is_last || !self.rows.is_empty() {
                return Ok(());
            }
        }
        Err(not_turning(store, call))
    }
}

impl Iterator for Pages {
    type Item = Result<Listed, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rows.is_empty()
            && !self.is_last
            && let Err(error) = self.turn()
        {
            self.is_last = true;
            return Some(Err(error));
        }
        self.rows.pop_front().map(Ok)
    }
}

/// Whether a page may end with the name that the one before ended with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// It may not.
    Refused,
    /// It may: the name has more versions.
    Allowed,
}

/// Tells whether a page goes beyond those before it, and takes note of how far: a server that goes
/// on for ever tells again what it told before.
pub fn grows<'a>(
    last: &mut String,
    names: impl Iterator<Item = &'a str>,
    repeats: Repeats,
) -> bool {
    let Some(greatest) = names.max() else { return true };
    let grows = last.is_empty()
        || greatest > last.as_str()
        || (repeats == Repeats::Allowed && greatest == last.as_str());
    if grows {
        greatest.clone_into(last);
    }
    grows
}

/// Says that a listing does not come to an end.
pub fn not_turning(store: &S3Store, call: Call<'_>) -> Error {
    Error::Unavailable {
        store: store.inner.name.clone(),
        action: call.action,
        place: call.place.to_owned(),
        source: "the listing does not come to an end: it tells what it told before".into(),
    }
}

fn listed(store: &S3Store, object: &Object) -> Option<Listed> {
    let class = object.storage_class().map(|class| class.as_str());
    let class = class.and_then(StorageClass::parse).unwrap_or_default();
    let stat = Stat {
        len: object.size().and_then(|len| u64::try_from(len).ok()).unwrap_or(0),
        modified: object.last_modified().and_then(time_of),
        class,
        readiness: readiness_of(class, object.restore_status()),
        checksum: None,
        lock: None,
    };
    name_of(store, object.key()?, stat)
}

/// Returns what is listed under a full name; nothing for what this program stages.
pub fn name_of(store: &S3Store, full: &str, stat: Stat) -> Option<Listed> {
    let name = store.inner.place.strip(full).unwrap_or(full);
    if name.rsplit('/').next().is_some_and(|last| last.starts_with(STAGING_PREFIX)) {
        return None;
    }
    Some(match name.parse() {
        Ok(key) => Listed::Object(key, stat),
        Err(_) => Listed::Foreign(name.to_owned()),
    })
}

/// Says what a listing tells of an object's thaw.
pub fn readiness_of(class: StorageClass, restore: Option<&RestoreStatus>) -> Readiness {
    match restore {
        Some(restore) if restore.is_restore_in_progress() == Some(true) => Readiness::Thawing,
        // A listing does not tell its archive tiers.
        None if class == StorageClass::IntelligentTiering => Readiness::Unsaid,
        _ if !class.is_archive() => Readiness::Ready,
        None => Readiness::Unsaid,
        Some(restore) => match restore.restore_expiry_date() {
            Some(until) => Readiness::Thawed(time_of(until)),
            None => Readiness::Frozen,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B-19
    #[test]
    fn a_listing_whose_pages_do_not_go_on_is_told_from_one_whose_do() {
        let pages: [(&[&str], bool, bool); 6] = [
            (&["b", "a"], true, true),
            (&["c", "d"], true, true),
            (&[], true, true),
            (&["d"], false, true),
            (&["a", "c"], false, false),
            // Not every server sorts as S3 does.
            (&["e", "c"], true, true),
        ];
        for (repeats, pick) in [(Repeats::Refused, 0), (Repeats::Allowed, 1)] {
            let mut last = String::new();
            for (names, refused, allowed) in pages {
                let found = grows(&mut last, names.iter().copied(), repeats);
                assert_eq!(found, [refused, allowed][pick], "{names:?}");
            }
        }
    }
}
