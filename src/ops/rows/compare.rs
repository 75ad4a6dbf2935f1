//! Merging what rows name with a tree, both in the tree's order.

use super::named::Form;
use super::{NAMED_COUNT_MAX, RowsFinding, RowsReport};
use crate::base::Code;
use crate::manifest::{Reference, ReferenceCursor};
use crate::ops::Error;

/// Bytes that an envelope of the stack puts before a file's own.
const ENVELOPE_HEADER_LEN: u64 = 93;

/// What is in a tree under some path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A regular file of so many bytes.
    File(u64),
    /// A further name of one.
    Linked,
    /// Something else, or it cannot be told what.
    Other,
}

/// Tells what became of files that rows name and a tree does not have.
pub trait History {
    /// Tells whether a file was erased between the dump and the walk, by its sort key.
    ///
    /// # Errors
    /// If that cannot be found out.
    fn was_erased(&mut self, key: &[u8]) -> Result<bool, Error>;
}

/// Knows of no file that it was erased.
pub struct NoHistory;

impl History for NoHistory {
    fn was_erased(&mut self, _key: &[u8]) -> Result<bool, Error> {
        Ok(false)
    }
}

/// Compares, while a tree's entries pass in order.
pub struct Comparison<'a> {
    cursor: Option<ReferenceCursor<'a>>,
    report: RowsReport,
    /// Whether rows name objects in S3: pictures are there too then.
    has_objects: bool,
}

impl<'a> Comparison<'a> {
    pub(super) const fn new(
        cursor: Option<ReferenceCursor<'a>>,
        report: RowsReport,
        has_objects: bool,
    ) -> Self {
        Self { cursor, report, has_objects }
    }

    /// Takes the next entry of the tree, by its sort key.
    ///
    /// # Errors
    /// If what rows name cannot be read.
    pub fn pass(
        &mut self,
        key: &[u8],
        found: Found,
        history: &mut dyn History,
    ) -> Result<(), Error> {
        let mut is_named = false;
        while let Some(cursor) = &mut self.cursor
            && let Some(reference) = cursor.next_up_to(key)?
        {
            if reference.key == key {
                is_named = true;
                self.settle(&reference, found);
            } else {
                self.lack(&reference, history)?;
            }
        }
        if !is_named && matches!(found, Found::File(_)) {
            self.report.counts.orphans += 1;
        }
        Ok(())
    }

    /// Ends the tree.
    ///
    /// # Errors
    /// If what rows name cannot be read.
    pub fn finish(mut self, history: &mut dyn History) -> Result<RowsReport, Error> {
        while let Some(cursor) = &mut self.cursor
            && let Some(reference) = cursor.advance()?
        {
            self.lack(&reference, history)?;
        }
        Ok(self.report)
    }

    fn settle(&mut self, reference: &Reference, found: Found) {
        let counts = &mut self.report.counts;
        match (found, reference.size) {
            (Found::Linked, _) | (Found::File(_), None) => counts.matched += 1,
            (Found::File(len), Some(size)) if len == size => counts.matched += 1,
            (Found::File(len), Some(size))
                if size.checked_add(ENVELOPE_HEADER_LEN) == Some(len) =>
            {
                counts.enveloped += 1;
            }
            (Found::File(len), Some(size)) => {
                counts.size_differs += 1;
                let count = counts.size_differs;
                let what = format!("it has {len} bytes, its row says {size}");
                self.find(Code::FileSizeDiffers, reference, count, &what);
            }
            (Found::Other, _) => {
                counts.missing += 1;
                let count = counts.missing;
                self.find(Code::FileMissing, reference, count, "it is not a file");
            }
        }
    }

    fn lack(&mut self, reference: &Reference, history: &mut dyn History) -> Result<(), Error> {
        let counts = &mut self.report.counts;
        match Form::of(reference) {
            Form::Object => {
                counts.elsewhere += 1;
                self.report.s3_count += 1;
            }
            Form::Asset if self.has_objects => counts.elsewhere += 1,
            Form::Path | Form::Asset if history.was_erased(&reference.key)? => {
                counts.erased += 1;
                let count = counts.erased;
                let what = "erased between the dump and the walk";
                self.find(Code::FileErased, reference, count, what);
            }
            Form::Path | Form::Asset => {
                counts.missing += 1;
                let count = counts.missing;
                self.find(Code::FileMissing, reference, count, "a row names it");
            }
        }
        Ok(())
    }

    fn find(&mut self, code: Code, reference: &Reference, count: u64, what: &str) {
        if count > NAMED_COUNT_MAX {
            return;
        }
        let path: Vec<u8> =
            reference.key.iter().map(|byte| if *byte == 0 { b'/' } else { *byte }).collect();
        let detail = format!("{:?}: {what}", String::from_utf8_lossy(&path));
        self.report.findings.push(RowsFinding { code, detail });
    }
}
