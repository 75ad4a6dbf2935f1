//! Packs and trees with the number of their versions, and with what is hidden (C18). Spec:
//! `stores.md` §3.
//!
//! Versions and delete markers of a name come together, though apart from each other in a page. So
//! a name is told once a page has gone beyond it: no more than a page of them waits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;

use super::S3Store;
use super::list::{EMPTY_PAGES_MAX, Repeats, grows, is_unlisted, name_of, not_turning};
use super::said::Failure;
use super::versions::{LIST_RIGHT, Marker, names_in, next_marker, stat_of};
use crate::format::Folder;
use crate::store::{Error, Stat, VersionListing, Versioned};

impl S3Store {
    /// Lists a folder with the versions of each name; none, where they are not listed, and of a
    /// folder that is listed by versions anyway.
    pub(super) fn names_with_versions(
        &self,
        folder: Folder,
    ) -> Result<Option<VersionListing<'_>>, Error> {
        let is_large = matches!(folder, Folder::Packs | Folder::Trees);
        if !is_large || self.inner.versions_hidden.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut names = GroupedPages::new(self.clone(), folder);
        match names.turn() {
            Ok(()) => Ok(Some(Box::new(names))),
            // Who may not list these versions may list those of notes.
            Err(failure) if is_unlisted(&failure) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }
}

/// What is known of one name.
#[derive(Default)]
struct Group {
    newest: Option<Stat>,
    version_count: u64,
    is_hidden: bool,
}

/// The names of a folder, a page of versions at a time.
struct GroupedPages {
    store: S3Store,
    prefix: String,
    place: String,
    groups: BTreeMap<String, Group>,
    rows: VecDeque<Versioned>,
    marker: Marker,
    // The greatest name of the pages before.
    greatest: String,
    is_last: bool,
}

impl GroupedPages {
    fn new(store: S3Store, folder: Folder) -> Self {
        Self {
            prefix: store.inner.place.full(&format!("{}/", folder.name())),
            place: store.inner.place.address(folder.name()),
            store,
            groups: BTreeMap::new(),
            rows: VecDeque::new(),
            marker: Marker::default(),
            greatest: String::new(),
            is_last: false,
        }
    }

    /// Gets pages until there is a name to tell.
    fn turn(&mut self) -> Result<(), Failure> {
        for _ in 0..EMPTY_PAGES_MAX {
            let page = self.store.version_page(&self.prefix, &self.place, &self.marker)?;
            self.store.inner.bucket_seen.store(true, Ordering::Relaxed);
            if !grows(&mut self.greatest, names_in(&page), Repeats::Allowed) {
                break;
            }
            for version in page.versions() {
                let Some(full) = version.key() else { continue };
                let (group, stat) = (self.groups.entry(full.to_owned()), stat_of(version));
                let group = group.or_default();
                group.version_count += 1;
                if group.newest.is_none_or(|newest| newest.modified < stat.modified) {
                    group.newest = Some(stat);
                }
            }
            for marker in page.delete_markers() {
                let Some(full) = marker.key() else { continue };
                let group = self.groups.entry(full.to_owned()).or_default();
                group.is_hidden |= marker.is_latest().unwrap_or(false);
            }
            match next_marker(&page, &self.marker) {
                None => {
                    self.is_last = true;
                    self.tell(None);
                    return Ok(());
                }
                Some(Ok(next)) => {
                    self.tell(next.key.as_deref());
                    self.marker = next;
                }
                Some(Err(())) => break,
            }
            if !self.rows.is_empty() {
                return Ok(());
            }
        }
        let call = self.store.call("list", LIST_RIGHT, &self.place);
        Err(Failure { answer: None, error: Box::new(not_turning(&self.store, call)) })
    }

    /// Tells every name but the one that may go on in the next page.
    fn tell(&mut self, unfinished: Option<&str>) {
        let unfinished = unfinished.and_then(|key| self.groups.remove_entry(key));
        for (full, group) in std::mem::take(&mut self.groups) {
            // Nothing but delete markers is nothing.
            let Some(stat) = group.newest else { continue };
            let Some(listed) = name_of(&self.store, &full, stat) else { continue };
            let Group { version_count, is_hidden, .. } = group;
            self.rows.push_back(Versioned { listed, version_count, is_hidden });
        }
        self.groups.extend(unfinished);
    }
}

impl Iterator for GroupedPages {
    type Item = Result<Versioned, Error>;

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
