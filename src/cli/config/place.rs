//! Where stores and state are, and that none of them is inside another.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A place that is written to.
#[derive(Debug, Clone)]
pub struct Place {
    /// What it is, in words, such as `store local`.
    pub what: String,
    /// Its URL or path in the one spelling that is compared.
    spelling: PathBuf,
}

impl Place {
    /// Takes note of a directory.
    pub fn directory(what: impl Into<String>, path: &Path) -> Self {
        Self { what: what.into(), spelling: resolve(path) }
    }

    /// Takes note of a store's URL, which `store::open` accepts; a bucket is one of its endpoint.
    pub fn url(what: impl Into<String>, url: &str, endpoint: Option<&str>) -> Self {
        if let Some(path) = url.strip_prefix("file://") {
            return Self::directory(what, &decode(path));
        }
        let host = endpoint.and_then(|endpoint| endpoint.split_once("://")).map(|(_, host)| host);
        // Every endpoint of AWS has the same buckets.
        let host = host.filter(|host| !host.contains(".amazonaws.")).unwrap_or("s3");
        // Prefixes of a bucket nest like directories.
        let mut spelling = PathBuf::from(host.trim_end_matches('/').replace('/', ":"));
        spelling.extend(Path::new(url).components());
        Self { what: what.into(), spelling }
    }

    /// Says how this place and another collide, if they do.
    pub fn collision(&self, other: &Self) -> Option<String> {
        if self.spelling == other.spelling {
            return Some(format!("{} and {} are the same place", self.what, other.what));
        }
        let inside = |inner: &Self, outer: &Self| {
            let is_inside = inner.spelling.starts_with(&outer.spelling);
            is_inside.then(|| format!("{} is inside {}", inner.what, outer.what))
        };
        inside(self, other).or_else(|| inside(other, self))
    }
}

/// Follows the links in that part of a path which exists.
fn resolve(path: &Path) -> PathBuf {
    for existing in path.ancestors() {
        if let Ok(real) = existing.canonicalize() {
            let rest = path.strip_prefix(existing).expect("an ancestor is a prefix");
            return real.join(rest).components().collect();
        }
    }
    path.components().collect()
}

/// Decodes `%` and two hex digits; `store::open` has refused any other `%`.
fn decode(text: &str) -> PathBuf {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = Path::new(text).as_os_str().as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let mut value = [byte];
        let is_escape = byte == b'%'
            && after.get(..2).is_some_and(|two| hex::decode_to_slice(two, &mut value).is_ok());
        decoded.push(value[0]);
        rest = if is_escape { &after[2..] } else { after };
    }
    PathBuf::from(OsString::from_vec(decoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collision(a: &str, b: &str) -> Option<String> {
        Place::url("a", a, None).collision(&Place::url("b", b, None))
    }

    #[test]
    fn places_collide_when_one_is_or_holds_the_other() {
        assert!(collision("file:///x/a", "file:///x/ab").is_none());
        assert!(collision("s3://bucket/a", "s3://bucket/b").is_none());
        assert!(collision("s3://bucket/a", "file:///bucket/a").is_none());
        for (a, b, how) in [
            ("file:///x/a", "file:///x/a/", "a and b are the same place"),
            ("file:///x/a", "file:///x/%61", "a and b are the same place"),
            ("file:///x/a", "file:///x/a/b", "b is inside a"),
            ("s3://bucket/a/b/", "s3://bucket/a", "a is inside b"),
            ("s3://bucket/a/", "s3://bucket/a", "a and b are the same place"),
        ] {
            assert_eq!(collision(a, b).unwrap(), how);
        }
    }

    #[test]
    fn a_bucket_of_another_endpoint_is_another_place() {
        let at = |endpoint| Place::url("a", "s3://bucket/a", endpoint);
        let (aws, own) = (at(None), at(Some("https://s3.example:9000")));
        assert!(aws.collision(&own).is_none());
        assert!(own.collision(&at(Some("https://s3.example:9000/"))).is_some());
        assert!(aws.collision(&at(Some("https://s3.eu-central-1.amazonaws.com"))).is_some());
    }

    #[test]
    fn a_link_does_not_hide_that_two_places_are_one() {
        let scratch = tempfile::tempdir().unwrap();
        let real = scratch.path().join("real");
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, scratch.path().join("link")).unwrap();
        let url = |name: &str| format!("file://{}/{name}", scratch.path().display());
        assert!(collision(&url("real/new"), &url("link/new")).unwrap().contains("same place"));
    }
}
