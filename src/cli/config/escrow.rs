//! `[escrow]`, checked: who opens it, and that it is not where the archive is.

use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::place::Place;
use super::sources::{SourcesConfig, UploadsConfig};
use super::tables::EscrowTable;
use super::text::ConfigText;
use crate::store;

/// Where the sealed secrets go.
#[derive(Debug, Clone)]
pub struct EscrowConfig {
    /// URL of the store, which is none of the archive's.
    pub store: String,
    /// To whom they are sealed; at least one, and none of the archive's.
    pub recipients: Vec<String>,
    /// To whom the key alone is sealed, where two persons are needed; none of `recipients`.
    pub key_recipients: Vec<String>,
    /// The install directory; absolute.
    pub dir: PathBuf,
    /// Whether a store on the file system of an archive store is only warned of.
    pub allow_same_mount: bool,
}

/// Checks the escrow; `archive` are the recipients of all vaults.
pub fn check(
    text: &ConfigText,
    table: EscrowTable,
    archive: &[&String],
    sources: &SourcesConfig,
) -> Result<EscrowConfig, ConfigError> {
    let recipients = text.recipients("recipients", &table.recipients)?;
    let key_recipients = text.recipients("key_recipients", &table.key_recipients)?;
    if recipients.is_empty() {
        let reason = "recipients: the escrow has none";
        return Err(text.wrong(&table.store.span(), reason));
    }
    let written = table.recipients.iter().chain(&table.key_recipients);
    for spanned in written {
        let recipient = spanned.get_ref().trim();
        if archive.iter().any(|archived| *archived == recipient) {
            let reason = format!("{recipient} opens the archive, so it may not open the escrow");
            return Err(text.wrong(&spanned.span(), reason));
        }
    }
    for spanned in &table.key_recipients {
        let recipient = spanned.get_ref().trim();
        if recipients.iter().any(|other| other == recipient) {
            let reason = format!(
                "key_recipients: {recipient} is one of recipients, so one person would have both"
            );
            return Err(text.wrong(&spanned.span(), reason));
        }
    }
    let dir = match (&table.dir, sources.install_dir()) {
        (Some(dir), _) => text.absolute("dir", dir)?,
        (None, Some(dir)) => dir.to_owned(),
        (None, None) => {
            let reason = "escrow: dir: name the install directory, where .env is";
            return Err(text.wrong(&table.store.span(), reason));
        }
    };
    check_store(text, &table, sources, &dir)?;
    let (store, allow_same_mount) = (table.store.into_inner(), table.allow_same_mount);
    Ok(EscrowConfig { store, recipients, key_recipients, dir, allow_same_mount })
}

/// Refuses a store that this program cannot open, or that is lost with the stack.
fn check_store(
    text: &ConfigText,
    table: &EscrowTable,
    sources: &SourcesConfig,
    dir: &Path,
) -> Result<(), ConfigError> {
    let (url, span) = (table.store.get_ref(), table.store.span());
    if url.starts_with("s3://") {
        let reason = "store: an escrow store in a bucket is not available in this version: use \
                      file:///absolute/path";
        return Err(text.wrong(&span, reason));
    }
    store::open(url, "escrow").map_err(|source| ConfigError::Store {
        path: text.path.clone(),
        line: text.line(&span),
        source: Box::new(source),
    })?;
    let place = Place::url("the escrow store", url, None);
    let mut others = vec![Place::directory("the install directory", dir)];
    if let Some(UploadsConfig::Path { path }) = &sources.uploads {
        others.push(Place::directory("the uploads", path));
    }
    match others.iter().find_map(|other| place.collision(other)) {
        Some(reason) => Err(text.wrong(&span, format!("store: {reason}"))),
        None => Ok(()),
    }
}
