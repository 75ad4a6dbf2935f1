//! From a store's URL to the store. Spec: §16.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, PathBuf};
use std::sync::Arc;

use super::{Error, LocalStore, S3Settings, S3Store, Store, s3};
use crate::store::s3::Place;

/// What would be right.
const WRITE: &str = "write file:///absolute/path or s3://bucket/prefix";

/// Opens the store at a URL, with what an `s3://` store needs besides; nothing is read or written
/// before the first call.
///
/// The URL has no query then: what it could say, the settings say.
pub fn open_with(
    url: &str,
    name: &str,
    settings: Option<&S3Settings>,
) -> Result<Arc<dyn Store>, Error> {
    let Some(settings) = settings.filter(|_| url.starts_with("s3://")) else {
        return open(url, name);
    };
    Ok(Arc::new(S3Store::open(url, name, settings.clone())?))
}

/// Opens the store at a URL; nothing is read or written before the first call.
///
/// `file:///absolute/path` is a directory; `%` and two hex digits stand for any byte of its name.
/// `s3://bucket/prefix` is a place in a bucket; a query says what a config would, such as
/// `?region=eu-central-1`.
pub fn open(url: &str, name: &str) -> Result<Arc<dyn Store>, Error> {
    let refuse =
        |reason: String| Error::UrlInvalid { store: name.to_owned(), url: url.to_owned(), reason };
    match url.split_once("://") {
        Some(("file", rest)) => {
            let path = directory_of(rest).map_err(refuse)?;
            Ok(Arc::new(LocalStore::new(name, url, path)))
        }
        Some(("s3", rest)) => {
            let (place, settings) = match rest.split_once('?') {
                Some((place, query)) => (place, s3::parse_query(query).map_err(refuse)?),
                None => (rest, S3Settings::default()),
            };
            Ok(Arc::new(S3Store::open(&format!("s3://{place}"), name, settings)?))
        }
        Some((scheme, _)) => Err(refuse(format!("scheme {scheme:?} is not known; {WRITE}"))),
        None => Err(refuse(format!("it has no scheme; {WRITE}"))),
    }
}

/// Returns the directory of a `file://` URL; none for any other.
pub fn directory(url: &str) -> Option<PathBuf> {
    directory_of(url.strip_prefix("file://")?).ok()
}

/// Returns the bucket of an `s3://` URL, and where in it the store is; none for any other.
pub fn bucket(url: &str) -> Option<Place> {
    let rest = url.strip_prefix("s3://")?;
    Place::parse(rest.split_once('?').map_or(rest, |(place, _)| place)).ok()
}

/// Parses what follows `file://`.
fn directory_of(rest: &str) -> Result<PathBuf, String> {
    if !rest.starts_with('/') {
        return Err("the path is not absolute; write file:/// with three slashes".to_owned());
    }
    if let Some(byte) = rest.chars().find(|byte| matches!(byte, '?' | '#')) {
        return Err(format!("{byte:?} in a path is written %{:02X}", u32::from(byte)));
    }
    let bytes = percent_decode(rest)?;
    if bytes.contains(&0) {
        return Err("a path cannot hold a zero byte".to_owned());
    }
    let path = PathBuf::from(OsString::from_vec(bytes));
    if path.components().any(|part| part == Component::ParentDir) {
        return Err("`..` is not allowed in it".to_owned());
    }
    // Collects the components, so that one directory has one spelling.
    let path: PathBuf = path.components().collect();
    if path.parent().is_none() {
        return Err("a store needs a directory of its own, not `/`".to_owned());
    }
    Ok(path)
}

pub(super) fn percent_decode(text: &str) -> Result<Vec<u8>, String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut value = [0];
        let digits = after.get(..2).filter(|two| hex::decode_to_slice(two, &mut value).is_ok());
        if digits.is_none() {
            return Err("% must be followed by two hex digits; a percent sign is %25".to_owned());
        }
        decoded.push(value[0]);
        rest = &after[2..];
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Code, Coded};

    /// V-175
    #[test]
    fn a_file_url_names_one_absolute_directory() {
        for (rest, path) in [
            ("/var/backups/idswyft", "/var/backups/idswyft"),
            ("/var//backups/./idswyft/", "/var/backups/idswyft"),
            ("/mnt/my%20disk/a%25b%3f", "/mnt/my disk/a%b?"),
            ("/mnt/my disk/größe", "/mnt/my disk/größe"),
        ] {
            assert_eq!(directory_of(rest).unwrap(), PathBuf::from(path), "{rest}");
        }
        let bytes = directory_of("/%ff").unwrap().into_os_string().into_vec();
        assert_eq!(bytes, b"/\xff");
    }

    /// V-175
    #[test]
    fn every_other_url_is_refused_with_what_would_be_right() {
        for (url, hint) in [
            ("/var/backups", "no scheme"),
            ("", "no scheme"),
            ("file:/var/backups", "no scheme"),
            ("gopher://host/path", "\"gopher\" is not known"),
            ("FILE:///var", "\"FILE\" is not known"),
            ("file://", "three slashes"),
            ("file://var/backups", "three slashes"),
            ("file:///", "not `/`"),
            ("file:////.//", "not `/`"),
            ("file:///a/../b", "`..`"),
            ("file:///a/%2e%2E/b", "`..`"),
            ("file:///a%00b", "zero byte"),
            ("file:///a%2", "%25"),
            ("file:///a%zz", "%25"),
            ("file:///a%", "%25"),
            ("file:///a?b", "%3F"),
            ("file:///a#b", "%23"),
        ] {
            let error = open(url, "local").err().unwrap();
            assert_eq!(error.code(), Code::ConfigInvalid);
            assert!(error.to_string().contains(hint), "{url}: {error}");
        }
    }

    #[test]
    fn opening_a_store_touches_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("store");
        let url = format!("file://{}", path.display());
        let store = open(&url, "local").unwrap();
        assert_eq!((store.name(), store.url()), ("local", url.as_str()));
        assert!(!path.exists());
    }
}
