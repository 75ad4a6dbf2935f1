//! What a store does whose versions may not be listed.

use std::sync::Arc;

use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::store::{Error, Store, VersionListing};

use super::NoVersions;
use crate::support::forward::forward;

impl NoVersions {
    fn denied(&self) -> Error {
        let (store, place) = (self.0.name().to_owned(), "its versions".to_owned());
        Error::Denied { store, action: "list", place, source: "AccessDenied".into() }
    }
}

impl Store for NoVersions {
    forward!(0:
        name url prepare put_new get get_range open stat list delete staging_dir clean_staging
    );

    fn versions(&self, _key: &ObjectKey) -> Result<Vec<Arc<dyn Store>>, Error> {
        Err(self.denied())
    }

    fn list_versions(&self, _folder: Folder) -> Result<Option<VersionListing<'_>>, Error> {
        Err(self.denied())
    }
}
