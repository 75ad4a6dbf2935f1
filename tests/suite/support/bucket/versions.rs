//! What a bucket tells of the versions of a folder.

use idswyft_vault::format::Folder;
use idswyft_vault::store::{Error, Listed, Stat, VersionListing, Versioned};

use super::Bucket;
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
            let Some((newest, bytes)) = with_bytes().last() else { continue };
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
}
