//! Methods of a store that a wrapper of the tests passes on as they are.

/// Defines the methods that are named, each calling the same one of a field:
/// `forward!(inner: name url get)` within `impl Store for …`.
macro_rules! forward {
    ($inner:tt: $($method:ident)*) => {
        $($crate::support::forward::forward!(@ $method $inner);)*
    };
    (@ name $inner:tt) => {
        fn name(&self) -> &str {
            self.$inner.name()
        }
    };
    (@ url $inner:tt) => {
        fn url(&self) -> &str {
            self.$inner.url()
        }
    };
    (@ prepare $inner:tt) => {
        fn prepare(&self) -> Result<(), idswyft_vault::store::Error> {
            self.$inner.prepare()
        }
    };
    (@ put_new $inner:tt) => {
        fn put_new(
            &self,
            key: &idswyft_vault::format::ObjectKey,
            content: idswyft_vault::store::Content<'_>,
            digest: &idswyft_vault::base::Digest,
        ) -> Result<idswyft_vault::store::Receipt, idswyft_vault::store::Error> {
            self.$inner.put_new(key, content, digest)
        }
    };
    (@ get $inner:tt) => {
        fn get(
            &self,
            key: &idswyft_vault::format::ObjectKey,
            len_max: u64,
        ) -> Result<Vec<u8>, idswyft_vault::store::Error> {
            self.$inner.get(key, len_max)
        }
    };
    (@ get_range $inner:tt) => {
        fn get_range(
            &self,
            key: &idswyft_vault::format::ObjectKey,
            offset: u64,
            len: usize,
        ) -> Result<Vec<u8>, idswyft_vault::store::Error> {
            self.$inner.get_range(key, offset, len)
        }
    };
    (@ open $inner:tt) => {
        fn open(
            &self,
            key: &idswyft_vault::format::ObjectKey,
        ) -> Result<Box<dyn std::io::Read + Send>, idswyft_vault::store::Error> {
            self.$inner.open(key)
        }
    };
    (@ stat $inner:tt) => {
        fn stat(
            &self,
            key: &idswyft_vault::format::ObjectKey,
        ) -> Result<Option<idswyft_vault::store::Stat>, idswyft_vault::store::Error> {
            self.$inner.stat(key)
        }
    };
    (@ list $inner:tt) => {
        fn list(
            &self,
            folder: idswyft_vault::format::Folder,
        ) -> Result<idswyft_vault::store::Listing<'_>, idswyft_vault::store::Error> {
            self.$inner.list(folder)
        }
    };
    (@ delete $inner:tt) => {
        fn delete(
            &self,
            key: &idswyft_vault::format::ObjectKey,
        ) -> Result<(), idswyft_vault::store::Error> {
            self.$inner.delete(key)
        }
    };
    (@ staging_dir $inner:tt) => {
        fn staging_dir(&self) -> Option<std::path::PathBuf> {
            self.$inner.staging_dir()
        }
    };
    (@ clean_staging $inner:tt) => {
        fn clean_staging(
            &self,
            before: jiff::Timestamp,
        ) -> Result<u64, idswyft_vault::store::Error> {
            self.$inner.clean_staging(before)
        }
    };
    (@ is_readable $inner:tt) => {
        fn is_readable(&self) -> bool {
            self.$inner.is_readable()
        }
    };
    (@ versions $inner:tt) => {
        fn versions(
            &self,
            key: &idswyft_vault::format::ObjectKey,
        ) -> Result<
            Vec<std::sync::Arc<dyn idswyft_vault::store::Store>>,
            idswyft_vault::store::Error,
        > {
            self.$inner.versions(key)
        }
    };
    (@ list_versions $inner:tt) => {
        fn list_versions(
            &self,
            folder: idswyft_vault::format::Folder,
        ) -> Result<Option<idswyft_vault::store::VersionListing<'_>>, idswyft_vault::store::Error>
        {
            self.$inner.list_versions(folder)
        }
    };
}

pub(crate) use forward;
