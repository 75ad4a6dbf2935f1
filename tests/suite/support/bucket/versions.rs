//! What a bucket tells of the versions of a folder.

use std::sync::Arc;

use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::store::{
    Error, Listed, Listing, STAGING_PREFIX, Stat, Store, VersionListing, Versioned,
};

use super::{Bucket, Version, is_small};
use crate::support::Call;

impl Bucket {
    /// Lists every name that is seen, in descending order.
    pub(super) fn names_in(&self, folder: Folder) -> Result<Listing<'_>, Error> {
        let contents = self.call(Call::List(folder), self.rights.list)?;
        let prefix = format!("{}/", folder.name());
        let mut listed = Vec::new();
        for (name, versions) in contents.names.iter().rev() {
            if !name.starts_with(&prefix) {
                continue;
            }
            // A small folder is listed by versions, so a delete marker hides nothing in it.
            let seen = versions.iter().rev().take(if is_small(folder) { usize::MAX } else { 1 });
            let seen = seen.filter_map(|version| Some((version, version.bytes.as_ref()?)));
            let Some((version, bytes)) = seen.into_iter().next() else { continue };
            if name.rsplit('/').next().is_some_and(|last| last.starts_with(STAGING_PREFIX)) {
                continue;
            }
            let stat = self.stat_of(version, bytes);
            listed.push(Ok(match name.parse() {
                Ok(key) => Listed::Object(key, Stat { checksum: None, lock: None, ..stat }),
                Err(_) => Listed::Foreign(name.clone()),
            }));
        }
        Ok(Box::new(listed.into_iter()))
    }

    /// Lists every name that has a version with bytes, in descending order.
    pub(super) fn versions_in(&self, folder: Folder) -> Result<VersionListing<'_>, Error> {
        let contents = self.call(Call::ListVersions(folder), self.rights.list)?;
        let prefix = format!("{}/", folder.name());
        let mut listed = Vec::new();
        for (name, versions) in contents.names.iter().rev().filter(|(n, _)| n.starts_with(&prefix))
        {
            let with_bytes = || versions.iter().filter_map(|one| Some((one, one.bytes.as_ref()?)));
            let Some((newest, bytes)) = with_bytes().next_back() else { continue };
            let stat = Stat { checksum: None, lock: None, ..self.stat_of(newest, bytes) };
            let named = match name.parse() {
                Ok(key) => Listed::Object(key, stat),
                Err(_) => Listed::Foreign(name.clone()),
            };
            let is_hidden = versions.last().is_some_and(|version| version.bytes.is_none());
            let version_count = with_bytes().count() as u64;
            listed.push(Ok(Versioned { listed: named, version_count, is_hidden }));
        }
        Ok(Box::new(listed.into_iter()))
    }

    /// Returns a view of each version of an object, the oldest first.
    pub(super) fn views_of(&self, key: &ObjectKey) -> Result<Vec<Arc<dyn Store>>, Error> {
        let is_usual = {
            let contents = self.lock();
            contents.names.get(&key.to_string()).is_none_or(|versions| versions.len() < 2)
        };
        // The listing of a small folder told already.
        if is_usual && is_small(key.folder()) && self.rights.list {
            return Ok(Vec::new());
        }
        let contents = self.call(Call::Versions(*key), self.rights.list)?;
        let Some(versions) = contents.names.get(&key.to_string()) else { return Ok(Vec::new()) };
        if versions.len() < 2 {
            return Ok(Vec::new());
        }
        let with_bytes = versions.iter().filter(|version| version.bytes.is_some());
        let view = |version: &Version| -> Arc<dyn Store> {
            Arc::new(Self { pinned: Some((*key, version.id.clone())), ..self.clone() })
        };
        Ok(with_bytes.map(view).collect())
    }
}
