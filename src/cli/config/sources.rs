//! `[sources]`, checked.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::error::ConfigError;
use super::tables::{DatabaseTable, SourcesTable, UploadsTable};
use super::text::ConfigText;
use crate::source::docker::{ReadMode, Selector};

/// The service of the database in the stack's compose file.
pub const DATABASE_SERVICE: &str = "postgres";

/// What is archived; a config without sources still restores and verifies.
#[derive(Debug, Clone, Default)]
pub struct SourcesConfig {
    /// The database, if it is archived.
    pub database: Option<DatabaseConfig>,
    /// The uploads, if they are archived.
    pub uploads: Option<UploadsConfig>,
}

impl SourcesConfig {
    /// Returns the compose stack that a source is of.
    pub fn stack(&self) -> Option<Selector> {
        let of_database = match &self.database {
            Some(DatabaseConfig::Compose { dir, project, .. }) => Some((dir, project)),
            _ => None,
        };
        let of_uploads = match &self.uploads {
            Some(UploadsConfig::Volume { dir, project, .. }) => Some((dir, project)),
            _ => None,
        };
        let (dir, project) = of_database.or(of_uploads)?;
        Some(Selector { dir: Some(dir.clone()), project: project.clone() })
    }

    /// Returns the install directory of the stack that is archived; none if the sources are not
    /// those of a stack.
    pub fn install_dir(&self) -> Option<&Path> {
        match (&self.database, &self.uploads) {
            (Some(DatabaseConfig::Compose { dir, .. }), _)
            | (_, Some(UploadsConfig::Volume { dir, .. })) => Some(dir),
            _ => None,
        }
    }
}

/// Where the dump comes from.
#[derive(Clone)]
pub enum DatabaseConfig {
    /// A program that writes a plain dump to its standard output.
    Command {
        /// The program and its arguments; at least the program.
        argv: Vec<String>,
    },
    /// A plain dump on standard input.
    Stdin,
    /// The container of a compose stack, by its own `pg_dump`.
    Compose {
        /// The directory from which the stack was brought up; absolute.
        dir: PathBuf,
        /// Its project, where several come from there.
        project: Option<String>,
        /// The service of the database.
        service: String,
    },
    /// A URL that the host's `pg_dump` can reach; it may hold a password.
    Local {
        /// The URL.
        url: String,
    },
}

impl std::fmt::Debug for DatabaseConfig {
    /// Leaves out what may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Command { .. } => "Command { .. }",
            Self::Stdin => "Stdin",
            Self::Local { .. } => "Local { .. }",
            Self::Compose { .. } => "Compose { .. }",
        })
    }
}

/// Where the uploads are.
#[derive(Debug, Clone)]
pub enum UploadsConfig {
    /// A directory.
    Path {
        /// The directory; absolute.
        path: PathBuf,
    },
    /// A volume of a compose stack.
    Volume {
        /// The directory from which the stack was brought up; absolute.
        dir: PathBuf,
        /// Its project, where several come from there.
        project: Option<String>,
        /// The volume's name in the compose file, if it is not the one that the api mounts.
        volume: Option<String>,
        /// How it is read.
        read: ReadMode,
    },
}

/// Checks the sources.
pub fn check(text: &ConfigText, table: SourcesTable) -> Result<SourcesConfig, ConfigError> {
    Ok(SourcesConfig {
        database: table.database.map(|database| check_database(text, database)).transpose()?,
        uploads: table.uploads.map(|uploads| check_uploads(text, uploads)).transpose()?,
    })
}

fn check_database(text: &ConfigText, table: DatabaseTable) -> Result<DatabaseConfig, ConfigError> {
    let kind = table.kind.get_ref().as_str();
    let needed = match kind {
        "command" => "argv",
        "stdin" => "",
        "local" => "url",
        "compose" => "dir",
        other => {
            let reason = format!("kind = {other:?}: expected compose, command, local or stdin");
            return Err(text.wrong(&table.kind.span(), reason));
        }
    };
    let keys = [
        ("argv", table.argv.as_ref().map(Spanned::span)),
        ("url", table.url.as_ref().map(Spanned::span)),
        ("dir", table.dir.as_ref().map(Spanned::span)),
        ("project", table.project.as_ref().map(Spanned::span)),
        ("service", table.service.as_ref().map(Spanned::span)),
    ];
    let optional: &[&str] = if kind == "compose" { &["project", "service"] } else { &[] };
    check_keys(text, &table.kind, needed, optional, &keys)?;
    match (kind, table.argv, table.url, table.dir) {
        ("command", Some(argv), ..) => check_command(text, argv),
        ("local", _, Some(url), _) => Ok(DatabaseConfig::Local { url: url.into_inner() }),
        (_, _, _, Some(dir)) => Ok(DatabaseConfig::Compose {
            dir: text.absolute("dir", &dir)?,
            project: table.project.map(|name| word(text, "project", name)).transpose()?,
            service: match table.service {
                Some(service) => word(text, "service", service)?,
                None => DATABASE_SERVICE.to_owned(),
            },
        }),
        _ => Ok(DatabaseConfig::Stdin),
    }
}

/// Checks that a kind has the key that it needs and no key of another kind.
fn check_keys(
    text: &ConfigText,
    kind: &Spanned<String>,
    needed: &str,
    optional: &[&str],
    keys: &[(&str, Option<std::ops::Range<usize>>)],
) -> Result<(), ConfigError> {
    for (key, span) in keys {
        match span {
            Some(span) if *key != needed && !optional.contains(key) => {
                return Err(misplaced(text, span, key, kind.get_ref()));
            }
            None if *key == needed => return Err(lacking(text, kind, key)),
            _ => {}
        }
    }
    Ok(())
}

/// Takes a name of the stack; one that began with a dash would be an option of the engine.
fn word(text: &ConfigText, key: &str, name: Spanned<String>) -> Result<String, ConfigError> {
    let sound = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    let value = name.get_ref();
    if value.starts_with(|first: char| first.is_ascii_alphanumeric()) && value.chars().all(sound) {
        return Ok(name.into_inner());
    }
    let reason = format!("{key} = {value:?}: expected a name as the compose file has it");
    Err(text.wrong(&name.span(), reason))
}

fn check_command(
    text: &ConfigText,
    argv: Spanned<Vec<String>>,
) -> Result<DatabaseConfig, ConfigError> {
    if argv.get_ref().first().is_none_or(String::is_empty) {
        return Err(text.wrong(&argv.span(), "argv: it names no program"));
    }
    Ok(DatabaseConfig::Command { argv: argv.into_inner() })
}

fn check_uploads(text: &ConfigText, table: UploadsTable) -> Result<UploadsConfig, ConfigError> {
    let kind = table.kind.get_ref().as_str();
    let (needed, optional): (_, &[&str]) = match kind {
        "path" => ("path", &[]),
        "volume" => ("dir", &["project", "volume", "read"]),
        other => {
            let reason = format!("kind = {other:?}: expected volume or path");
            return Err(text.wrong(&table.kind.span(), reason));
        }
    };
    let keys = [
        ("path", table.path.as_ref().map(Spanned::span)),
        ("dir", table.dir.as_ref().map(Spanned::span)),
        ("project", table.project.as_ref().map(Spanned::span)),
        ("volume", table.volume.as_ref().map(Spanned::span)),
        ("read", table.read.as_ref().map(Spanned::span)),
    ];
    check_keys(text, &table.kind, needed, optional, &keys)?;
    match (&table.path, &table.dir) {
        (Some(path), _) => Ok(UploadsConfig::Path { path: text.absolute("path", path)? }),
        (None, Some(dir)) => Ok(UploadsConfig::Volume {
            dir: text.absolute("dir", dir)?,
            project: table.project.map(|name| word(text, "project", name)).transpose()?,
            volume: table.volume.map(|name| word(text, "volume", name)).transpose()?,
            read: table.read.map_or(Ok(ReadMode::Auto), |read| read_mode(text, &read))?,
        }),
        (None, None) => Err(lacking(text, &table.kind, needed)),
    }
}

fn read_mode(text: &ConfigText, read: &Spanned<String>) -> Result<ReadMode, ConfigError> {
    match read.get_ref().as_str() {
        "auto" => Ok(ReadMode::Auto),
        "direct" => Ok(ReadMode::Direct),
        "helper" => Ok(ReadMode::Helper),
        other => {
            let reason = format!("read = {other:?}: expected auto, direct or helper");
            Err(text.wrong(&read.span(), reason))
        }
    }
}

fn misplaced(
    text: &ConfigText,
    span: &std::ops::Range<usize>,
    key: &str,
    kind: &str,
) -> ConfigError {
    text.wrong(span, format!("{key}: a source of kind {kind} does not have it"))
}

fn lacking(text: &ConfigText, kind: &Spanned<String>, key: &str) -> ConfigError {
    let reason = format!("kind = {:?} needs {key}", kind.get_ref());
    text.wrong(&kind.span(), reason)
}
