//! Versions: what was put over an object, and what a delete marker hides (C17). Spec: §5.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::{ObjectVersion, OptionalObjectAttributes};

use super::list::{
    EMPTY_PAGES_MAX, Repeats, grows, is_unlisted, name_of, not_turning, readiness_of,
};
use super::said::Failure;
use super::{S3Store, time_of};
use crate::format::{Folder, ObjectKey};
use crate::store::{Error, Listed, Stat, StorageClass, Store};

/// Names of one folder with more than one version that are remembered; beyond it each is asked for.
const ANOMALIES_MAX: usize = 100_000;

/// Which objects of a folder have more than one version, or are hidden by a delete marker.
#[derive(Debug, Default)]
pub struct Anomalies {
    names: HashSet<String>,
    is_full: bool,
}

impl Anomalies {
    fn note(&mut self, name: &str) {
        match self.names.len() < ANOMALIES_MAX {
            true => {
                self.names.insert(name.to_owned());
            }
            false => self.is_full = self.is_full || !self.names.contains(name),
        }
    }

    fn may_hold(&self, name: &str) -> bool {
        self.is_full || self.names.contains(name)
    }
}

/// One version of an object, or a delete marker.
struct Version {
    id: String,
    is_marker: bool,
}

/// A page of versions, and where the next begins.
#[derive(Default, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The name that was listed last.
    pub key: Option<String>,
    version: Option<String>,
}

impl S3Store {
    /// Returns a view of each version of an object, if there are several or none is to be seen.
    pub(super) fn views(&self, key: &ObjectKey) -> Result<Vec<Arc<dyn Store>>, Error> {
        if self.inner.versions_hidden.load(Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        let folder = key.folder();
        let is_small = !matches!(folder, Folder::Packs | Folder::Trees);
        if is_small && !self.anomalies(folder)?.may_hold(&self.full(key)) {
            return Ok(Vec::new());
        }
        let Some(versions) = self.versions_of(key)? else { return Ok(Vec::new()) };
        if versions.len() < 2 {
            return Ok(Vec::new());
        }
        let seen = versions.into_iter().filter(|version| !version.is_marker);
        let view = |version: Version| -> Arc<dyn Store> {
            Arc::new(Self { pinned: Some((*key, version.id)), ..self.clone() })
        };
        Ok(seen.map(view).collect())
    }

    /// Returns which objects of a folder are unusual, as the last listing saw them.
    fn anomalies(&self, folder: Folder) -> Result<Arc<Anomalies>, Error> {
        let known = self.inner.anomalies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&folder) {
            return Ok(Arc::clone(known));
        }
        drop(known);
        // A listing to its end takes note of them.
        self.names(folder)?.try_for_each(|listed| listed.map(drop))?;
        let known = self.inner.anomalies.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(known.get(&folder).cloned().unwrap_or_default())
    }

    /// Returns every version of an object, the oldest first; none if versions are not listed.
    fn versions_of(&self, key: &ObjectKey) -> Result<Option<Vec<Version>>, Error> {
        let (full, place) = (self.full(key), self.address(key));
        let (mut marker, mut found) = (Marker::default(), Vec::new());
        for _ in 0..EMPTY_PAGES_MAX {
            let page = match self.version_page(&full, &place, &marker) {
                Ok(page) => page,
                Err(failure) if is_unlisted(&failure) => {
                    self.inner.versions_hidden.store(true, Ordering::Relaxed);
                    return Ok(None);
                }
                Err(failure) => return Err(failure.into()),
            };
            // Versions and markers come apart; their times put them in order again.
            for version in page.versions().iter().filter(|it| it.key() == Some(&full)) {
                let id = version.version_id().unwrap_or("null").to_owned();
                let time = version.last_modified().and_then(time_of);
                found.push((time, Version { id, is_marker: false }));
            }
            for hidden in page.delete_markers().iter().filter(|it| it.key() == Some(&full)) {
                let id = hidden.version_id().unwrap_or("null").to_owned();
                let time = hidden.last_modified().and_then(time_of);
                found.push((time, Version { id, is_marker: true }));
            }
            match next_marker(&page, &marker) {
                None => break,
                Some(Err(())) => {
                    return Err(not_turning(self, self.call("list", LIST_RIGHT, &place)));
                }
                // Other names begin with this one, and come after it.
                Some(Ok(next)) if next.key.as_deref() != Some(&full) => break,
                Some(Ok(next)) => marker = next,
            }
        }
        // The newest came first, and the sort keeps the order of what has one time.
        found.reverse();
        found.sort_by_key(|(time, _)| *time);
        Ok(Some(found.into_iter().map(|(_, version)| version).collect()))
    }

    /// Gets a page of versions.
    pub(super) fn version_page(
        &self,
        prefix: &str,
        place: &str,
        marker: &Marker,
    ) -> Result<ListObjectVersionsOutput, Failure> {
        let call = self.call("list", LIST_RIGHT, place);
        let page = self.inner.send(call, |live| {
            let request = live.client.list_object_versions().bucket(&self.inner.place.bucket);
            request
                .prefix(prefix)
                .optional_object_attributes(OptionalObjectAttributes::RestoreStatus)
                .set_key_marker(marker.key.clone())
                .set_version_id_marker(marker.version.clone())
                .send()
        })?;
        match page.name() {
            Some(_) => Ok(page),
            None => {
                let error = self.inner.not_s3(call, "the listing does not name the bucket");
                Err(Failure { answer: None, error: Box::new(error) })
            }
        }
    }

    /// Returns the ids of every version and delete marker of an object, if they can be listed.
    pub(super) fn version_ids(
        &self,
        key: &ObjectKey,
    ) -> Result<Option<Vec<(String, bool)>>, Error> {
        if self.inner.versions_hidden.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let versions = self.versions_of(key)?;
        let plain = |version: Version| (version.id, version.is_marker);
        Ok(versions.map(|versions| versions.into_iter().map(plain).collect()))
    }
}

/// The right that listing versions takes.
pub const LIST_RIGHT: &str = "s3:ListBucketVersions";

/// Returns where the next page begins; none after the last, an error if it does not move on.
pub fn next_marker(page: &ListObjectVersionsOutput, last: &Marker) -> Option<Result<Marker, ()>> {
    if !page.is_truncated().unwrap_or(false) {
        return None;
    }
    let key = page.next_key_marker().map(str::to_owned);
    let next = Marker { key, version: page.next_version_id_marker().map(str::to_owned) };
    Some(if next == *last || next.key.is_none() { Err(()) } else { Ok(next) })
}

/// Returns every name in a page of versions.
pub fn names_in(page: &ListObjectVersionsOutput) -> impl Iterator<Item = &str> {
    let versions = page.versions().iter().filter_map(|version| version.key());
    versions.chain(page.delete_markers().iter().filter_map(|marker| marker.key()))
}

/// Returns what a listing tells of a version.
pub fn stat_of(version: &ObjectVersion) -> Stat {
    let class = version.storage_class().map(|class| class.as_str());
    let class = class.and_then(StorageClass::parse).unwrap_or_default();
    Stat {
        len: version.size().and_then(|len| u64::try_from(len).ok()).unwrap_or(0),
        modified: version.last_modified().and_then(time_of),
        class,
        readiness: readiness_of(class, version.restore_status()),
        checksum: None,
        lock: None,
    }
}

/// The objects of a folder by their versions: each once, also where none is to be seen.
pub struct VersionPages {
    store: S3Store,
    folder: Folder,
    place: String,
    rows: VecDeque<Listed>,
    marker: Marker,
    is_last: bool,
    // The name that was listed last, the greatest of them, and those with several versions.
    last: String,
    greatest: String,
    several: HashSet<String>,
    anomalies: Anomalies,
}

impl VersionPages {
    /// Begins a listing of a folder.
    pub fn new(store: S3Store, folder: Folder) -> Self {
        Self {
            place: store.inner.place.address(folder.name()),
            store,
            folder,
            rows: VecDeque::new(),
            marker: Marker::default(),
            is_last: false,
            last: String::new(),
            greatest: String::new(),
            several: HashSet::new(),
            anomalies: Anomalies::default(),
        }
    }

    /// Gets the first page.
    pub fn begin(&mut self) -> Result<(), Failure> {
        self.turn()
    }

    fn turn(&mut self) -> Result<(), Failure> {
        let stuck = |store: &S3Store, place: &str| Failure {
            answer: None,
            error: Box::new(not_turning(store, store.call("list", LIST_RIGHT, place))),
        };
        let prefix = self.store.inner.place.full(&format!("{}/", self.folder.name()));
        for _ in 0..EMPTY_PAGES_MAX {
            let page = self.store.version_page(&prefix, &self.place, &self.marker)?;
            self.store.inner.bucket_seen.store(true, Ordering::Relaxed);
            if !grows(&mut self.greatest, names_in(&page), Repeats::Allowed) {
                return Err(stuck(&self.store, &self.place));
            }
            for version in page.versions() {
                self.add(version);
            }
            for marker in page.delete_markers() {
                self.anomalies.note(marker.key().unwrap_or_default());
            }
            match next_marker(&page, &self.marker) {
                None => {
                    self.is_last = true;
                    self.remember();
                    return Ok(());
                }
                Some(Err(())) => return Err(stuck(&self.store, &self.place)),
                Some(Ok(next)) => self.marker = next,
            }
            if !self.rows.is_empty() {
                return Ok(());
            }
        }
        Err(stuck(&self.store, &self.place))
    }

    /// Lists a version, unless another of the same object was.
    fn add(&mut self, version: &ObjectVersion) {
        let Some(full) = version.key() else { return };
        let is_latest = version.is_latest().unwrap_or(true);
        if self.last == full || self.several.contains(full) {
            self.anomalies.note(full);
            return;
        }
        if !is_latest {
            self.anomalies.note(full);
            if self.several.len() < ANOMALIES_MAX {
                self.several.insert(full.to_owned());
            }
        }
        self.last.clear();
        self.last.push_str(full);
        self.rows.extend(name_of(&self.store, full, stat_of(version)));
    }

    /// Keeps what was found unusual, for `versions`.
    fn remember(&mut self) {
        let found = Arc::new(std::mem::take(&mut self.anomalies));
        let known = &self.store.inner.anomalies;
        known.lock().unwrap_or_else(PoisonError::into_inner).insert(self.folder, found);
    }
}

impl Iterator for VersionPages {
    type Item = Result<Listed, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rows.is_empty()
            && !self.is_last
            && let Err(failure) = self.turn()
        {
            self.is_last = true;
            return Some(Err(failure.into()));
        }
        self.rows.pop_front().map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F-28
    #[test]
    fn a_server_that_tells_no_time_is_not_taken_for_one_of_1970() {
        assert_eq!(stat_of(&ObjectVersion::builder().build()).modified, None);
    }
}
