//! The manifest of a job of S3 Batch Operations that computes the digest of every object at rest.
//! Spec: `evidence.md` §4.

use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Scope;
use super::evidence::EvidenceError;
use super::stored::for_each_page;
use crate::ops::Error;
use crate::ops::staged::Staged;
use crate::store;
use crate::vault::Auditor;

/// What is escaped in a name: all that is neither unreserved (RFC 3986) nor a slash.
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// Writes `bucket,name` of every pack, tree, body and segment that is needed: all that level
/// `stored` believes without reading it.
///
/// No version is named: the job then takes the newest of each, and needs no listing of versions.
///
/// # Errors
/// If the store is in no bucket, or the file is there or cannot be written; then none is left
/// behind.
pub fn write(auditor: &Auditor, scope: &Scope, path: &Path) -> Result<(), Error> {
    let store = auditor.store();
    let Some(place) = store::bucket(store.url()) else {
        return Err(EvidenceError::NoBucket { store: store.name().to_owned() }.into());
    };
    let staged = Staged::at(path).map_err(|cause| Error::file("write", path, cause))?;
    staged.put_new_by(|out| {
        for_each_page(scope, |page| {
            let mut rows = page.iter().map(|(key, _)| place.full(&key.to_string()));
            rows.try_for_each(|name| {
                let name = utf8_percent_encode(&name, ESCAPED);
                writeln!(out, "{},{name}", place.bucket).map_err(Error::Output)
            })
        })
    })
}
