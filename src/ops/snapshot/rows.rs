//! Comparing the rows of the dump with each vault's tree while it is written. Spec: `rows.md`.
//!
//! - Whatever fails here is a warning: rows never keep a snapshot from being taken.
//! - A file counts as erased only where that is known, or the vault's last tree had it and its
//!   directory changed since the dump began.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::warnings::Warnings;
use crate::base::Code;
use crate::format::{Kind, TreeEntry};
use crate::manifest::{CachedFile, CachedKind, FileCache, FilePages};
use crate::ops::Error;
use crate::ops::rows::{Comparison, Found, History, Named, RowsReport, WATCHES};
use crate::source::{DumpFacts, Row, Watch};

/// Directories below the root that are looked at; the stack has four.
const FOLDER_COUNT_MAX: usize = 1000;

/// When a directory was last changed.
type Changed = (i64, i64);

/// What is collected from the dump for all vaults, and how the uploads were before it.
pub struct Rows {
    named: Option<Named>,
    root: PathBuf,
    folders: BTreeMap<Vec<u8>, Changed>,
}

impl Rows {
    /// Looks at the uploads; nothing is collected if there are none.
    pub fn before(uploads: Option<&Path>, scratch: &Path) -> Self {
        let Some(root) = uploads else {
            return Self { named: None, root: PathBuf::new(), folders: BTreeMap::new() };
        };
        Self { named: Some(Named::new(scratch)), root: root.to_owned(), folders: folders_of(root) }
    }

    /// Returns which rows are wanted of the dump.
    pub const fn watches(&self) -> &'static [Watch] {
        if self.named.is_some() { WATCHES } else { &[] }
    }

    /// Takes a row.
    pub fn take(&mut self, row: Row<'_>) {
        if let Some(named) = &mut self.named {
            named.take(row);
        }
    }

    /// Ends the dump; nothing is compared unless it has rows that could name a file.
    pub fn finish(&mut self, facts: &DumpFacts, warnings: &Warnings) {
        for table in &facts.columns_unknown {
            let detail = format!("the dump has rows of {table} and does not name their columns");
            warnings.warn(Code::ColumnsUnknown, detail);
        }
        let Some(mut named) = self.named.take() else { return };
        match named.finish(facts) {
            Ok(true) => self.named = Some(named),
            Ok(false) => {}
            Err(error) => warnings.warn_of(&error),
        }
    }

    /// Starts to compare with the tree that is about to be written from a cache.
    pub fn compare<'a>(&'a self, cache: &FileCache, warnings: &Warnings) -> TreeCheck<'a> {
        let none = TreeCheck { running: None, failure: None };
        let Some(named) = &self.named else { return none };
        match cache.pages() {
            Ok(last) => {
                let vanished = warnings.vanished();
                let seen = Seen { rows: self, last, vanished, unchanged: BTreeMap::new() };
                TreeCheck { running: Some((named.compare(), seen)), failure: None }
            }
            Err(error) => TreeCheck { failure: Some(error.into()), ..none },
        }
    }
}

fn folders_of(root: &Path) -> BTreeMap<Vec<u8>, Changed> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten().take(FOLDER_COUNT_MAX);
    entries
        .filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_dir)?;
            Some((entry.file_name().as_bytes().to_vec(), changed(&metadata)))
        })
        .collect()
}

fn changed(metadata: &fs::Metadata) -> Changed {
    (metadata.mtime(), metadata.mtime_nsec())
}

/// Compares one vault's tree.
pub struct TreeCheck<'a> {
    running: Option<(Comparison<'a>, Seen<'a>)>,
    failure: Option<Error>,
}

impl TreeCheck<'_> {
    /// Takes an entry of the tree.
    pub fn pass(&mut self, file: &CachedFile) {
        let Some((comparison, seen)) = &mut self.running else { return };
        let found = match file.kind {
            CachedKind::File => Found::File(file.pieces.iter().map(|piece| piece.len).sum()),
            CachedKind::Dir => Found::Other,
            CachedKind::Other => match TreeEntry::parse_line(&file.head).map(|entry| entry.kind) {
                Ok(Kind::Hardlink { .. }) => Found::Linked,
                _ => Found::Other,
            },
        };
        if let Err(error) = comparison.pass(&file.key, found, seen) {
            self.failure = Some(error);
            self.running = None;
        }
    }

    /// Ends the tree; tells what was found, and returns it.
    pub fn finish(self, warnings: &Warnings) -> Option<RowsReport> {
        if let Some(error) = self.failure {
            warnings.warn_of(&error);
        }
        let (comparison, mut seen) = self.running?;
        match comparison.finish(&mut seen) {
            Ok(report) => {
                report.warn(|code, detail| warnings.warn(code, detail));
                Some(report)
            }
            Err(error) => {
                warnings.warn_of(&error);
                None
            }
        }
    }
}

/// What a run has seen of files that are not there any more.
struct Seen<'a> {
    rows: &'a Rows,
    /// The vault's last tree.
    last: FilePages,
    vanished: std::collections::BTreeSet<Vec<u8>>,
    /// Whether a folder is as it was before the dump; so nothing was erased in it since.
    unchanged: BTreeMap<Vec<u8>, bool>,
}

impl History for Seen<'_> {
    fn was_erased(&mut self, key: &[u8]) -> Result<bool, Error> {
        if self.vanished.contains(key) {
            return Ok(true);
        }
        let folder = key.iter().rposition(|byte| *byte == 0).map_or(&key[..0], |at| &key[..at]);
        if self.is_unchanged(folder) {
            return Ok(false);
        }
        Ok(self.last.contains(key)?)
    }
}

impl Seen<'_> {
    fn is_unchanged(&mut self, folder: &[u8]) -> bool {
        let Some(before) = self.rows.folders.get(folder) else { return false };
        if let Some(known) = self.unchanged.get(folder) {
            return *known;
        }
        let path = self.rows.root.join(std::ffi::OsStr::from_bytes(folder));
        let now = fs::symlink_metadata(path).ok().map(|metadata| changed(&metadata));
        let is_unchanged = now == Some(*before);
        self.unchanged.insert(folder.to_vec(), is_unchanged);
        is_unchanged
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::base::{Event, Observer};
    use crate::source::DumpScanner;

    #[derive(Default)]
    struct Codes(Mutex<Vec<Code>>);

    impl Observer for Codes {
        fn observe(&self, event: Event) {
            if let Event::Warning { code, .. } = event {
                self.0.lock().unwrap().push(code);
            }
        }
    }

    ///
    #[test]
    fn references_that_cannot_be_kept_cost_the_comparison_and_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let codes = Arc::new(Codes::default());
        let warnings = Warnings::new(codes.clone());
        let mut rows = Rows::before(Some(dir.path()), &dir.path().join("nowhere"));
        let mut scanner = DumpScanner::watching(rows.watches());
        let dump = "--\n-- PostgreSQL database dump\n--\n\nCOPY documents (file_path) FROM stdin;\n\
            uploads/documents/a\nuploads/documents/b\n\\.\n-- PostgreSQL database dump complete\n";
        scanner.feed_rows(dump.as_bytes(), &mut |row| rows.take(row));
        rows.finish(&scanner.finish().unwrap(), &warnings);
        let cache = FileCache::open(&dir.path().join("files.sqlite"), b"owner").unwrap();
        assert_eq!(rows.compare(&cache, &warnings).finish(&warnings), None);
        assert_eq!(*codes.0.lock().unwrap(), [Code::StateUnavailable]);
    }
}
