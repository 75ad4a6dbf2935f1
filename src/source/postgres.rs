//! A PostgreSQL database dumped by the host's `pg_dump`. Spec: §7.
//!
//! - The password reaches `pg_dump` as an environment variable, never as an argument that every
//!   user of the host could read.
//! - The format is plain and uncompressed, with a fixed restrict key, so that equal databases
//!   give equal dumps.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::command::Running;
use super::stream::{Error, OpenStream, StreamSource};

/// The arguments of every dump; they make it loadable into an empty database of any owner.
pub const PG_DUMP_OPTIONS: [&str; 6] =
    ["--format=plain", "--clean", "--if-exists", "--no-owner", "--no-acl", "--no-tablespaces"];

/// A fixed key in place of the random one that would make every dump differ.
const RESTRICT_KEY_OPTION: &str = "--restrict-key=idswyftvault";
/// Where Debian and its kin install one directory a PostgreSQL version.
const VERSIONS_DIR: &str = "/usr/lib/postgresql";

/// Returns the arguments of a dump, given what `pg_dump --help` prints.
pub fn pg_dump_arguments(help: &str) -> impl Iterator<Item = &'static str> {
    let restrict = help.contains("--restrict-key").then_some(RESTRICT_KEY_OPTION);
    PG_DUMP_OPTIONS.into_iter().chain(restrict)
}

/// A database that the host's `pg_dump` can reach.
#[derive(Clone)]
pub struct LocalSource {
    url: String,
    password: Option<String>,
    pg_dump: Option<PathBuf>,
}

impl LocalSource {
    /// Makes a source of a `postgresql://` URL as libpq reads it.
    ///
    /// # Errors
    /// When the URL is not one, or holds a secret that cannot be kept out of the arguments.
    pub fn new(url: &str) -> Result<Self, Error> {
        let (url, password) = split_password(url)?;
        Ok(Self { url, password, pg_dump: None })
    }

    /// Uses this `pg_dump` instead of looking for one.
    #[must_use]
    pub fn with_pg_dump(mut self, program: PathBuf) -> Self {
        self.pg_dump = Some(program);
        self
    }
}

impl StreamSource for LocalSource {
    fn describe(&self) -> Value {
        json!({"kind": "local", "url": self.url})
    }

    fn open(&self) -> Result<Box<dyn OpenStream>, Error> {
        let program = self.pg_dump.clone().or_else(find_pg_dump).ok_or(Error::PgDumpMissing)?;
        let help = help_of(&program)?;
        let mut argv: Vec<OsString> = vec![program.into()];
        argv.extend(pg_dump_arguments(&help).map(OsString::from));
        // A prompt would wait for an answer that nobody gives at night.
        argv.push("--no-password".into());
        argv.push(format!("--dbname={}", self.url).into());
        let secret = self.password.iter().map(|password| ("PGPASSWORD", password.clone()));
        Ok(Box::new(LocalDump(Running::start(&argv, &secret.collect::<Vec<_>>())?)))
    }
}

/// A dump by the host's `pg_dump`, which says itself when it is too old for the server.
struct LocalDump(Running);

impl Read for LocalDump {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl OpenStream for LocalDump {
    fn finish(self: Box<Self>) -> Result<(), Error> {
        match Box::new(self.0).finish() {
            Err(Error::Failed { stderr, .. }) if stderr.contains("server version mismatch") => {
                Err(Error::PgDumpTooOld { said: stderr.trim().to_owned() })
            }
            ended => ended,
        }
    }
}

fn help_of(program: &Path) -> Result<String, Error> {
    let output =
        Command::new(program).arg("--help").stdin(Stdio::null()).output().map_err(|cause| {
            Error::NotStarted { program: program.to_string_lossy().into_owned(), cause }
        })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Finds `pg_dump` on `PATH`, else the newest that is installed.
fn find_pg_dump() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|dir| dir.join("pg_dump"));
    on_path.into_iter().find(|program| is_program(program)).or_else(newest_pg_dump)
}

fn newest_pg_dump() -> Option<PathBuf> {
    let versions = std::fs::read_dir(VERSIONS_DIR).ok()?;
    versions
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let program = entry.path().join("bin/pg_dump");
            is_program(&program).then_some((version, program))
        })
        .max()
        .map(|(_, program)| program)
}

pub(super) fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Takes the password out of a URL, by libpq's own rules, and returns both.
fn split_password(url: &str) -> Result<(String, Option<String>), Error> {
    let invalid = |reason| Error::UrlInvalid { reason };
    let scheme_len = ["postgresql://", "postgres://"]
        .iter()
        .find_map(|scheme| url.starts_with(scheme).then_some(scheme.len()))
        .ok_or_else(|| invalid("it does not begin with postgresql://"))?;
    let (scheme, rest) = url.split_at(scheme_len);
    let mut password = None;
    let mut rest = rest.to_owned();
    // libpq: credentials are there if an @ comes before any slash.
    if let Some(at) = rest.find(['@', '/']).filter(|at| rest[*at..].starts_with('@'))
        && let Some(colon) = rest[..at].find(':')
    {
        password = Some(percent_decode(&rest[colon + 1..at])?);
        rest.replace_range(colon..at, "");
    }
    let Some((place, query)) = rest.split_once('?') else {
        return Ok((format!("{scheme}{rest}"), password));
    };
    let mut kept = Vec::new();
    for setting in query.split('&') {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        match percent_decode(key)?.as_str() {
            "password" => password = Some(percent_decode(value)?),
            "sslpassword" => return Err(invalid("sslpassword would show in the process list")),
            _ => kept.push(setting),
        }
    }
    let separator = if kept.is_empty() { "" } else { "?" };
    Ok((format!("{scheme}{place}{separator}{}", kept.join("&")), password))
}

/// Decodes the `%` of a URL's part.
///
/// # Errors
/// When one lacks its two hex digits, or what comes out is no text.
pub fn percent_decode(text: &str) -> Result<String, Error> {
    let invalid = |reason| Error::UrlInvalid { reason };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = after.get(..2).ok_or_else(|| invalid("a % lacks its two digits"))?;
            let byte = hex::decode(digits).map_err(|_| invalid("a % lacks its two digits"))?;
            bytes.extend(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    if bytes.contains(&0) {
        return Err(invalid("it contains a NUL"));
    }
    String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_leaves_the_url_by_the_rules_of_libpq() {
        for (url, kept, password) in [
            ("postgresql://u:s%40c@h:5432/db?x=1", "postgresql://u@h:5432/db?x=1", Some("s@c")),
            ("postgres://u:p$4x?y@h/db", "postgres://u@h/db", Some("p$4x?y")),
            ("postgresql://u@h/db", "postgresql://u@h/db", None),
            ("postgresql:///db?host=/run/p", "postgresql:///db?host=/run/p", None),
            ("postgresql:///db?password=a%26b&user=u", "postgresql:///db?user=u", Some("a&b")),
            ("postgresql:///db?pass%77ord=x", "postgresql:///db", Some("x")),
            ("postgresql://h1:1,h2:2/db@x:y", "postgresql://h1:1,h2:2/db@x:y", None),
            ("postgresql://u:@h/db", "postgresql://u@h/db", Some("")),
        ] {
            let (left, taken) = split_password(url).unwrap();
            assert_eq!((left.as_str(), taken.as_deref()), (kept, password), "{url}");
        }
    }

    #[test]
    fn urls_that_cannot_be_used_are_refused_without_being_shown() {
        for url in [
            "mysql://u:secret@h/db",
            "host=h password=secret",
            "postgresql://u:secret%4@h/db",
            "postgresql://u:secret%00@h/db",
            "postgresql://h/db?sslpassword=secret",
        ] {
            let error = LocalSource::new(url).err().unwrap();
            assert!(matches!(error, Error::UrlInvalid { .. }));
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn a_fixed_restrict_key_is_given_only_where_pg_dump_has_one() {
        let has = |help| pg_dump_arguments(help).any(|option| option == RESTRICT_KEY_OPTION);
        assert!(has("  --restrict-key=RESTRICT_KEY  use provided string"));
        assert!(!has("  --role=ROLENAME"));
    }
}
