//! What a bucket tells of the versions of a folder.

use std::sync::Arc;

use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::store::{Error, Listed, Stat, Store, VersionListing, Versioned};

use super::{Bucket, Version};
use crate::support::Call;

impl Bucket {
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
