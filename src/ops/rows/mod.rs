//! Rows of a dump and the files that they name: compared, and nothing changed. Spec: `rows.md`.
//!
//! Rows come from the stream that is archived; what they name is compared in the order of the tree.

mod compare;
mod erased;
mod named;

use std::io::{Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use compare::{Comparison, Found, History, NoHistory};
pub use erased::{ErasedPerson, erased_in_newest, erased_since, warn_of_erased};
pub use named::{Named, WATCHES};

use super::Error;
use crate::base::Code;
use crate::base::limits::WINDOW_LEN;
use crate::format::body::Body;
use crate::format::{Kind, TreeEntry, tree};
use crate::source::{DumpFacts, DumpScanner, Row, Watch};

/// How many files of each kind of finding are named; the others are counted.
pub const NAMED_COUNT_MAX: u64 = 20;
/// Under which name a body's facts keep the counts.
pub const FACT: &str = "rows_files";

/// How the files that rows name were found.
///
/// Of the references each is one of matched, enveloped, erased, missing, of another size, or
/// elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RowsCounts {
    /// Paths and addresses that rows name.
    pub references: u64,
    /// Files that are there as their row says.
    pub matched: u64,
    /// Files that are there, longer by the header of an envelope.
    pub enveloped: u64,
    /// Files that were erased while the snapshot was taken.
    pub erased: u64,
    /// Files that are not there.
    pub missing: u64,
    /// Files that are there with another size.
    pub size_differs: u64,
    /// What lies outside the uploads: in S3, on another host.
    pub elsewhere: u64,
    /// Rows of documents and selfies that name no file.
    pub null: u64,
    /// Files that no row names.
    pub orphans: u64,
}

/// A file that is not as a row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsFinding {
    /// `file-missing`, `file-erased` or `file-size-differs`.
    pub code: Code,
    /// Which file, and what is wrong.
    pub detail: String,
}

/// What a comparison of rows and files found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowsReport {
    /// How many of each.
    pub counts: RowsCounts,
    /// The first files of each kind of finding.
    pub findings: Vec<RowsFinding>,
    /// References to objects in S3, which are among those that are elsewhere.
    pub s3_count: u64,
}

impl RowsReport {
    /// Tells whether a body has these counts; a report without references is told too.
    pub fn to_fact(&self) -> serde_json::Value {
        serde_json::json!(self.counts)
    }

    /// Tells everything that a person should look at, one call a warning.
    pub fn warn(&self, mut warn: impl FnMut(Code, String)) {
        for finding in &self.findings {
            warn(finding.code, finding.detail.clone());
        }
        for (code, count, what) in [
            (Code::FileMissing, self.counts.missing, "missing"),
            (Code::FileErased, self.counts.erased, "erased meanwhile"),
            (Code::FileSizeDiffers, self.counts.size_differs, "of another size"),
        ] {
            let named = self.findings.iter().filter(|finding| finding.code == code).count() as u64;
            if count > named {
                warn(code, format!("and {} more files {what}, {count} in all", count - named));
            }
        }
        if self.s3_count > 0 {
            let count = self.s3_count;
            warn(
                Code::FilesElsewhere,
                format!("rows name {count} objects in S3, which the uploads do not hold"),
            );
        }
    }

    /// Takes back what the snapshot knew to be erased: it is missing now, and was then.
    fn recall(&mut self, body: &Body) {
        let fact = body.facts.get(FACT);
        let Some(then) = fact.and_then(|fact| RowsCounts::deserialize(fact).ok()) else { return };
        let erased = then.erased.min(self.counts.missing);
        self.counts.missing -= erased;
        self.counts.erased += erased;
        let (code, all_are) = (Code::FileErased.text(), self.counts.missing == 0);
        self.findings.retain(|finding| {
            let was_erased = |path: &str| {
                let mut warnings = body.warnings.iter().filter(|warning| warning.code == code);
                warnings.any(|warning| warning.detail.starts_with(path))
            };
            let path = finding.detail.split(": ").next().unwrap_or_default();
            finding.code != Code::FileMissing || !(all_are || was_erased(&format!("{path}: ")))
        });
    }
}

/// Compares the rows of a dump with a tree, as it was archived; none if no row could name a file.
///
/// `dump` writes the dump, `tree` visits the tree's entries in order; `body` is the snapshot's and
/// tells what was erased while it was taken. What it needs on disk is in `scratch`.
///
/// # Errors
/// If `dump` or `tree` fails, what was written is no dump, or nothing can be kept in `scratch`.
pub fn check(
    dump: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
    tree: impl FnOnce(&mut dyn FnMut(&TreeEntry) -> Result<(), Error>) -> Result<(), Error>,
    body: &Body,
    scratch: &Path,
) -> Result<Option<RowsReport>, Error> {
    let mut named = Named::new(scratch);
    let facts = scan(WATCHES, dump, &mut |row| named.take(row))?;
    if !named.finish(&facts)? {
        return Ok(None);
    }
    let mut comparison = named.compare();
    tree(&mut |entry| {
        let found = match &entry.kind {
            Kind::File(content) => Found::File(content.size),
            Kind::Hardlink { .. } => Found::Linked,
            _ => Found::Other,
        };
        comparison.pass(&tree::sort_key(&entry.path), found, &mut NoHistory)
    })?;
    let mut report = comparison.finish(&mut NoHistory)?;
    report.recall(body);
    Ok(Some(report))
}

/// Returns a function that writes everything that a reader reads.
pub fn all_of(mut reader: impl Read) -> impl FnOnce(&mut dyn Write) -> Result<(), Error> {
    move |out| {
        let mut window = vec![0; WINDOW_LEN];
        loop {
            match reader.read(&mut window) {
                Ok(0) => return Ok(()),
                Ok(len) => out.write_all(&window[..len]).map_err(Error::Output)?,
                Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(Error::Read(cause)),
            }
        }
    }
}

/// Scans what `dump` writes and hands out its rows.
fn scan(
    watches: &'static [Watch],
    dump: impl FnOnce(&mut dyn Write) -> Result<(), Error>,
    take: &mut dyn FnMut(Row<'_>),
) -> Result<DumpFacts, Error> {
    let mut writer = ScanWriter { scanner: DumpScanner::watching(watches), take };
    dump(&mut writer)?;
    Ok(writer.scanner.finish()?)
}

struct ScanWriter<'a> {
    scanner: DumpScanner,
    take: &'a mut dyn FnMut(Row<'_>),
}

impl Write for ScanWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.scanner.feed_rows(bytes, self.take);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
