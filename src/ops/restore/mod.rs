//! Restoring a snapshot: staged, proven, and only then put in place. Spec: §12.
//!
//! Every pack is read once, its needed blocks are opened on all cores and written at their offsets.
//! Damage costs what it touches and nothing else: what cannot be proven is left out and named.

mod database;
mod place;
mod scatter;
mod uploads;

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde_json::{Value, json};

use super::rows::{self, RowsReport};
use super::{Error, read};
use crate::base::{Code, Coded, Event, Observer, Profile, SnapshotId};
use crate::format::TreeEntry;
use crate::format::body::Body;
use crate::vault::fetching::Fetching;
use crate::vault::stream::PieceReader;
use crate::vault::{self, Unlocked};

pub use crate::source::target::Existing;

/// Where everything is staged, inside the target directory.
const STAGING: &str = ".idswyft-vault-restoring";

/// A part of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The database dump.
    Database,
    /// The uploads.
    Uploads,
}

/// What to restore, and where.
pub struct RestoreRequest<'a> {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The directory to restore into.
    pub target: &'a Path,
    /// One part only, if not all.
    pub only: Option<Part>,
    /// Paths of uploads, if not all.
    pub paths: Option<&'a PathFilter>,
    /// What to do about things in the way.
    pub existing: Existing,
}

/// Patterns that choose paths of uploads.
pub struct PathFilter(GlobSet);

impl PathFilter {
    /// Parses patterns: `*` stays within a component, `**` does not; a directory brings all of it.
    ///
    /// # Errors
    /// If a pattern does not parse.
    pub fn parse<S: AsRef<str>>(patterns: &[S]) -> Result<Self, Error> {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let text = pattern.as_ref().trim_matches('/');
            let wrong = |e: globset::Error| Error::Pattern {
                text: text.to_owned(),
                reason: e.kind().to_string(),
            };
            for text in [text.to_owned(), format!("{text}/**")] {
                let glob = GlobBuilder::new(&text).literal_separator(true).build();
                set.add(glob.map_err(wrong)?);
            }
        }
        let set = set.build();
        Ok(Self(set.map_err(|e| Error::Pattern { text: String::new(), reason: e.to_string() })?))
    }

    /// Tells whether a path is chosen.
    pub fn matches(&self, path: &[u8]) -> bool {
        use std::os::unix::ffi::OsStrExt;
        self.0.is_match(std::ffi::OsStr::from_bytes(path))
    }
}

/// Something that could not be restored because it is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// What: `db.sql` or a path below `uploads/`.
    pub what: String,
    /// Why.
    pub code: Code,
    /// Why, in words.
    pub detail: String,
}

impl Loss {
    fn of(what: impl Into<String>, damage: &Damage) -> Self {
        Self { what: what.into(), code: damage.code, detail: damage.detail.clone() }
    }
}

/// What an error tells of something that cannot be restored.
struct Damage {
    code: Code,
    detail: String,
}

impl Damage {
    /// Tells damage from a store that does not answer, which ends the restore: nothing is lost yet.
    fn of(unlocked: &Unlocked, error: vault::Error) -> Result<Self, Error> {
        match unlocked.auditor().damage(&error) {
            Some(code) => Ok(Self { code, detail: error.to_string() }),
            None => Err(error.into()),
        }
    }
}

/// What was restored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// Bytes of the dump.
    pub database_len: u64,
    /// Regular files.
    pub file_count: u64,
    /// Bytes of all regular files.
    pub content_len: u64,
    /// What is damaged.
    pub losses: Vec<Loss>,
    /// How the files fit the rows that name them; only of a whole snapshot.
    pub rows: Option<RowsReport>,
}

/// A snapshot that opened, and how its packs are read.
struct Opened<'a> {
    unlocked: &'a Unlocked,
    body: Body,
    fetching: Fetching,
}

impl Opened<'_> {
    fn tree_reader(&self) -> PieceReader<'_> {
        let Self { unlocked, body, fetching } = self;
        let reader = PieceReader::new(unlocked, body.generation, Profile::Meta, &body.packs);
        reader.fetching(fetching)
    }
}

/// Restores a snapshot.
///
/// # Errors
/// If the target cannot be used, no identity opens the snapshot, or its note or body is damaged.
/// Damage of single files is in the report instead.
pub fn restore(
    unlocked: &Unlocked,
    request: &RestoreRequest<'_>,
    observer: &dyn Observer,
) -> Result<RestoreReport, Error> {
    let note = unlocked.auditor().snapshot(request.snapshot)?;
    let body = unlocked.body(&note)?;
    let staging = Staging::make(request)?;
    let fetching = Fetching::new(unlocked, &note, &staging.path);
    let opened = Opened { unlocked, body, fetching };
    let body = &opened.body;
    let mut report = RestoreReport::default();
    let wants = |part| request.only.is_none_or(|only| only == part);
    if let Some(database) = body.database.as_ref().filter(|_| wants(Part::Database)) {
        phase(observer, "database", database.stream.len, || {
            database::restore(&opened, database, &staging.path, &mut report, observer)
        })?;
    }
    if let Some(uploads) = body.uploads.as_ref().filter(|_| wants(Part::Uploads)) {
        phase(observer, "uploads", uploads.content_len, || {
            let filter = request.paths;
            uploads::restore(&opened, uploads, filter, &staging, &mut report, observer)
        })?;
        if request.paths.is_some() && report.file_count == 0 && report.losses.is_empty() {
            let what = "any file that matches".to_owned();
            return Err(Error::NotInSnapshot { what, snapshot: request.snapshot });
        }
    }
    if request.only.is_none() && request.paths.is_none() {
        check_rows(&opened, &staging.path, &mut report, observer);
    }
    let facts = staging.path.join("facts.json");
    write_private(&facts, &format!("{:#}\n", facts_of(body)))
        .map_err(|cause| Error::file("write", &facts, cause))?;
    staging.settle(request.target, request.existing)?;
    Ok(report)
}

/// Compares the restored dump's rows with the tree; whatever fails here is a warning.
fn check_rows(
    opened: &Opened<'_>,
    staging: &Path,
    report: &mut RestoreReport,
    observer: &dyn Observer,
) {
    let body = &opened.body;
    let has_tree =
        body.uploads.is_some() && report.losses.iter().all(|loss| loss.what != "uploads");
    let Some(dump) = File::open(staging.join("db.sql")).ok().filter(|_| has_tree) else { return };
    let warn = |code, detail| observer.observe(Event::Warning { code, detail });
    let tree = |visit: &mut dyn FnMut(&TreeEntry) -> Result<(), Error>| {
        read::visit_tree_in(opened.tree_reader(), body, |entry| visit(&entry))
    };
    match rows::check(rows::all_of(dump), tree, body, staging) {
        Ok(found) => {
            let expected = |code| code == Code::FileErased;
            if let Some(found) = &found {
                found.warn(|code, detail| {
                    if !expected(code) {
                        warn(code, detail)
                    }
                });
            }
            report.rows = found;
        }
        Err(error) => warn(error.code(), format!("rows were not compared with files: {error}")),
    }
}

/// Writes a new file that only its owner can read, whatever the umask.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    // What is given its name before its bytes last may look complete after a power cut.
    file.sync_all()
}

fn phase(
    observer: &dyn Observer,
    phase: &'static str,
    len: u64,
    work: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    observer.observe(Event::PhaseStarted { phase, total_len: Some(len) });
    work()?;
    observer.observe(Event::PhaseFinished { phase });
    Ok(())
}

/// Returns what is known of a snapshot besides its contents.
pub fn facts_of(body: &Body) -> Value {
    json!({
        "vault": body.vault,
        "snapshot": body.snapshot,
        "generation": body.generation,
        "time": body.time.to_string(),
        "tags": body.tags,
        "database": body.database.as_ref().map(|database| json!({
            "source": database.source,
            "len": database.stream.len,
            "b3": database.stream.b3,
            "rows": database.rows,
            "server_version": database.server_version,
            "dump_version": database.dump_version,
        })),
        "uploads": body.uploads.as_ref().map(|uploads| json!({
            "source": uploads.source,
            "file_count": uploads.file_count,
            "dir_count": uploads.dir_count,
            "other_count": uploads.other_count,
            "content_len": uploads.content_len,
        })),
        "facts": body.facts,
        "warnings": body.warnings,
    })
}

/// The staging directory; dropped before it was settled, it is removed.
struct Staging {
    path: PathBuf,
}

impl Staging {
    fn make(request: &RestoreRequest<'_>) -> Result<Self, Error> {
        let path = request.target.join(STAGING);
        place::prepare(request.target, &path, request.existing)?;
        Ok(Self { path })
    }

    fn settle(self, target: &Path, existing: Existing) -> Result<(), Error> {
        place::settle(&self.path, target, existing)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What stays is removed by the next restore into this directory.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
