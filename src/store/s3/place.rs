//! `s3://bucket/prefix?…`: which bucket, where in it, and by which settings. Spec: `stores.md` §1.

use std::path::PathBuf;

use super::S3Settings;
use crate::store::LockMode;

/// Most bytes of a prefix: S3 allows 1024 for a whole name.
const PREFIX_LEN_MAX: usize = 512;

/// A bucket and a place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The bucket's name.
    pub bucket: String,
    /// What every name begins with, without a slash at its end; may be empty.
    pub prefix: String,
}

impl Place {
    /// Parses what follows `s3://`, without a query.
    pub fn parse(rest: &str) -> Result<Self, String> {
        if let Some(wrong) = rest.chars().find(|c| c.is_control() || "%?#\\".contains(*c)) {
            return Err(format!("{wrong:?} is not allowed in it"));
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let sound = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if bucket.is_empty() {
            return Err("it names no bucket; write s3://bucket/prefix".to_owned());
        }
        let edges = bucket.starts_with(|c: char| c.is_ascii_alphanumeric())
            && bucket.ends_with(|c: char| c.is_ascii_alphanumeric());
        if !edges || !(3..=255).contains(&bucket.len()) || !bucket.chars().all(sound) {
            return Err(format!("{bucket:?} cannot be the name of a bucket"));
        }
        let is_named = !prefix.is_empty();
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let mut parts = prefix.split('/');
        if is_named && parts.any(|part| matches!(part, "" | "." | "..")) {
            return Err("its prefix has an empty component, or one of dots".to_owned());
        }
        if prefix.len() > PREFIX_LEN_MAX {
            return Err(format!("its prefix has more than {PREFIX_LEN_MAX} bytes"));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// Returns the full name in the bucket of a name in the store.
    pub fn full(&self, name: &str) -> String {
        match self.prefix.as_str() {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        }
    }

    /// Returns the name in the store of a full name in the bucket, if it is in it.
    pub fn strip<'a>(&self, full: &'a str) -> Option<&'a str> {
        match self.prefix.as_str() {
            "" => Some(full),
            prefix => full.strip_prefix(prefix)?.strip_prefix('/'),
        }
    }

    /// Returns the address of a name in the store, for messages.
    pub fn address(&self, name: &str) -> String {
        format!("s3://{}/{}", self.bucket, self.full(name))
    }
}

/// Parses the query of a URL on the command line into settings.
pub fn parse_query(query: &str) -> Result<S3Settings, String> {
    let mut settings = S3Settings::default();
    for pair in query.split('&') {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| format!("{pair:?} in its query has no value"))?;
        let bytes = crate::store::open::percent_decode(value)?;
        let value = String::from_utf8(bytes).map_err(|_| format!("{key} is not UTF-8"))?;
        if value.is_empty() {
            return Err(format!("{key} in its query has no value"));
        }
        let path = |value: String| match PathBuf::from(value) {
            path if path.is_absolute() => Ok(path),
            _ => Err(format!("{key} in its query is not an absolute path")),
        };
        match key {
            "region" => settings.region = Some(value),
            "endpoint" => {
                check_endpoint(&value)?;
                settings.endpoint = Some(value);
            }
            "profile" => settings.profile = Some(value),
            "ca_file" => settings.ca_file = Some(path(value)?),
            "credentials_file" => settings.credentials_file = Some(path(value)?),
            "path_style" => {
                settings.path_style = match value.as_str() {
                    "true" => true,
                    "false" => false,
                    _ => return Err("path_style in its query is neither true nor false".to_owned()),
                };
            }
            "object_lock" => {
                let mode = LockMode::parse(&value);
                let wrong = "object_lock in its query is neither compliance nor governance";
                settings.object_lock = Some(mode.ok_or(wrong)?);
            }
            _ => {
                return Err(format!(
                    "its query has {key:?}; known are region, endpoint, path_style, profile, \
                     credentials_file, ca_file and object_lock"
                ));
            }
        }
    }
    Ok(settings)
}

/// Refuses what cannot be the address of a server.
///
/// # Errors
/// If it is no `http://` or `https://` with a host and nothing but a path after it.
pub fn check_endpoint(endpoint: &str) -> Result<(), String> {
    let rest = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or("");
    let wrong = |c: char| c.is_whitespace() || c.is_control() || "?#@\\".contains(c);
    match host.is_empty() || endpoint.contains(wrong) {
        true => {
            Err(format!("{endpoint:?} is no endpoint; write https://host or https://host:port"))
        }
        false => Ok(()),
    }
}

/// Returns an endpoint as it may be told to others: what AWS's own settings hold is not checked,
/// and may have keys in it.
pub fn without_keys(endpoint: &str) -> String {
    let endpoint = endpoint.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let Some((scheme, rest)) = endpoint.split_once("://") else { return endpoint.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(rest: &str) -> (String, String) {
        let Place { bucket, prefix } = Place::parse(rest).unwrap();
        (bucket, prefix)
    }

    ///
    #[test]
    fn an_endpoint_is_told_to_others_without_keys() {
        for (endpoint, told) in [
            ("https://s3.example:9000", "https://s3.example:9000"),
            ("https://s3.example/", "https://s3.example"),
            ("https://key:secret@s3.example/a@b", "https://s3.example/a@b"),
            ("https://a@b@s3.example?token=secret", "https://s3.example"),
            ("s3.example", "s3.example"),
        ] {
            assert_eq!(without_keys(endpoint), told);
        }
    }

    /// B-1
    #[test]
    fn a_url_names_a_bucket_and_one_spelling_of_a_prefix() {
        let of = |bucket: &str, prefix: &str| (bucket.to_owned(), prefix.to_owned());
        assert_eq!(place("bucket"), of("bucket", ""));
        assert_eq!(place("bucket/"), of("bucket", ""));
        assert_eq!(place("my.bucket-1/a/b/"), of("my.bucket-1", "a/b"));
        for (rest, said) in [
            ("", "names no bucket"),
            ("/prefix", "names no bucket"),
            ("ab", "cannot be the name"),
            ("-bucket", "cannot be the name"),
            ("buc ket", "cannot be the name"),
            ("bücket", "cannot be the name"),
            ("user:secret@bucket", "cannot be the name"),
            ("bucket/a//b", "empty"),
            ("bucket//", "empty"),
            ("bucket/../b", "one of dots"),
            ("bucket/./b", "one of dots"),
            ("bucket/a%20b", "'%'"),
            ("bucket/a#b", "'#'"),
            ("bucket/a\nb", "'\\n'"),
        ] {
            let error = Place::parse(rest).unwrap_err();
            assert!(error.contains(said), "{rest}: {error}");
        }
        assert!(Place::parse(&format!("bucket/{}", "a".repeat(513))).is_err());
    }

    #[test]
    fn names_get_the_prefix_and_lose_it_again() {
        let (bare, deep) = (Place::parse("bucket").unwrap(), Place::parse("bucket/a/b").unwrap());
        assert_eq!(bare.full("vault/1.note"), "vault/1.note");
        assert_eq!(deep.full("vault/1.note"), "a/b/vault/1.note");
        assert_eq!(bare.strip("vault/1.note"), Some("vault/1.note"));
        assert_eq!(deep.strip("a/b/vault/1.note"), Some("vault/1.note"));
        assert_eq!(deep.strip("a/bc/vault/1.note"), None);
        assert_eq!(deep.address("vault/1.note"), "s3://bucket/a/b/vault/1.note");
    }

    /// B-2
    #[test]
    fn a_query_says_what_a_config_would_and_nothing_unknown() {
        let query = "region=eu-central-1&endpoint=https%3A%2F%2Fs3.example:9000&path_style=true\
                     &profile=cold&ca_file=/etc/ca.pem&credentials_file=/etc/my%20keys\
                     &object_lock=compliance";
        let settings = parse_query(query).unwrap();
        assert_eq!(settings.region.as_deref(), Some("eu-central-1"));
        assert_eq!(settings.endpoint.as_deref(), Some("https://s3.example:9000"));
        assert_eq!(settings.profile.as_deref(), Some("cold"));
        assert_eq!(settings.ca_file, Some("/etc/ca.pem".into()));
        assert_eq!(settings.credentials_file, Some("/etc/my keys".into()));
        assert!(settings.path_style);
        assert_eq!(settings.object_lock, Some(LockMode::Compliance));
        for (query, said) in [
            ("", "no value"),
            ("region", "no value"),
            ("region=", "no value"),
            ("zone=a", "known are region"),
            ("object_lock=COMPLIANCE", "neither compliance nor governance"),
            ("path_style=yes", "neither true nor false"),
            ("ca_file=ca.pem", "absolute"),
            ("endpoint=localhost:9000", "no endpoint"),
            ("endpoint=https://", "no endpoint"),
            ("endpoint=https://key:secret@host", "no endpoint"),
            ("region=%zz", "%25"),
            ("region=%ff", "UTF-8"),
        ] {
            let error = parse_query(query).unwrap_err();
            assert!(error.contains(said), "{query}: {error}");
        }
    }
}
