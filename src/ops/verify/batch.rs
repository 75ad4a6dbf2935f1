//! The manifest of a job of S3 Batch Operations that computes the digest of every object at rest.
//! Spec: `evidence.md` §4.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Scope;
use super::evidence::EvidenceError;
use super::stored::for_each_page;
use crate::ops::Error;
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
/// If the store is in no bucket, or the file cannot be written; then none is left behind.
pub fn write(auditor: &Auditor, scope: &Scope, path: &Path) -> Result<(), Error> {
    let store = auditor.store();
    let Some(place) = store::bucket(store.url()) else {
        return Err(EvidenceError::NoBucket { store: store.name().to_owned() }.into());
    };
    let failed = |cause| Error::file("write", path, cause);
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut file =
        tempfile::NamedTempFile::new_in(parent.unwrap_or(Path::new("."))).map_err(failed)?;
    let mut out = BufWriter::new(file.as_file_mut());
    for_each_page(scope, |page| {
        let mut rows = page.iter().map(|(key, _)| place.full(&key.to_string()));
        rows.try_for_each(|name| {
            let name = utf8_percent_encode(&name, ESCAPED);
            writeln!(out, "{},{name}", place.bucket).map_err(failed)
        })
    })?;
    out.flush().map_err(failed)?;
    drop(out);
    file.persist(path).map(drop).map_err(|error| failed(error.error))
}
