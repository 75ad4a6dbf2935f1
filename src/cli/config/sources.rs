//! `[sources]`, checked.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::error::ConfigError;
use super::tables::{DatabaseTable, SourcesTable, UploadsTable};
use super::text::ConfigText;

/// What is archived; a config without sources still restores and verifies.
#[derive(Debug, Clone, Default)]
pub struct SourcesConfig {
    /// The database, if it is archived.
    pub database: Option<DatabaseConfig>,
    /// The uploads, if they are archived.
    pub uploads: Option<UploadsConfig>,
}

impl SourcesConfig {
    /// Returns the install directory of the stack that is archived; none if the sources are not
    /// those of a stack.
    pub const fn install_dir(&self) -> Option<&Path> {
        None
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
}

/// Checks the sources.
pub fn check(text: &ConfigText, table: SourcesTable) -> Result<SourcesConfig, ConfigError> {
    Ok(SourcesConfig {
        database: table.database.map(|database| check_database(text, database)).transpose()?,
        uploads: table.uploads.map(|uploads| check_uploads(text, &uploads)).transpose()?,
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
            let reason = format!("kind = {other:?}: expected command, local or stdin");
            return Err(text.wrong(&table.kind.span(), reason));
        }
    };
    let spans = [
        ("argv", table.argv.as_ref().map(Spanned::span)),
        ("url", table.url.as_ref().map(Spanned::span)),
        ("dir", table.dir.as_ref().map(Spanned::span)),
    ];
    for (key, span) in spans {
        match span {
            Some(span) if key != needed => return Err(misplaced(text, &span, key, kind)),
            None if key == needed => return Err(lacking(text, &table.kind, key)),
            _ => {}
        }
    }
    match (kind, table.argv, table.url) {
        ("command", Some(argv), _) => check_command(text, argv),
        ("local", _, Some(url)) => Ok(DatabaseConfig::Local { url: url.into_inner() }),
        ("stdin", ..) => Ok(DatabaseConfig::Stdin),
        _ => {
            let reason = "kind = \"compose\" is not available in this version: use kind = \
                          \"command\" with docker exec, as in the README";
            Err(text.wrong(&table.kind.span(), reason))
        }
    }
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

fn check_uploads(text: &ConfigText, table: &UploadsTable) -> Result<UploadsConfig, ConfigError> {
    let kind = table.kind.get_ref().as_str();
    match (kind, &table.path, &table.dir) {
        ("path", Some(_), Some(dir)) => Err(misplaced(text, &dir.span(), "dir", kind)),
        ("path", Some(path), None) => {
            Ok(UploadsConfig::Path { path: text.absolute("path", path)? })
        }
        ("path", None, _) => Err(lacking(text, &table.kind, "path")),
        ("volume", Some(path), _) => Err(misplaced(text, &path.span(), "path", kind)),
        ("volume", None, None) => Err(lacking(text, &table.kind, "dir")),
        ("volume", None, Some(_)) => {
            let reason = "kind = \"volume\" is not available in this version: use kind = \
                          \"path\" with the volume's directory, as in the README";
            Err(text.wrong(&table.kind.span(), reason))
        }
        (other, ..) => {
            Err(text.wrong(&table.kind.span(), format!("kind = {other:?}: expected path")))
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
