//! The files that the rows of one dump name.

use std::path::{Path, PathBuf};

use super::compare::Comparison;
use super::{RowsCounts, RowsReport};
use crate::format::tree::{check_path, sort_key};
use crate::manifest::{self, Reference, References};
use crate::source::{DumpFacts, Field, Row, Watch};

/// The rows that name files.
pub const WATCHES: &[Watch] = &[
    Watch { table: "documents", columns: &["file_path", "file_size"] },
    Watch { table: "selfies", columns: &["file_path", "file_size"] },
    Watch { table: DEVELOPERS, columns: &["avatar_url", "branding_logo_url"] },
];
const DEVELOPERS: &str = "developers";

/// What the path of a file in the uploads begins with in a row.
const UPLOADS: &[u8] = b"uploads/";
/// What the address of a picture that the stack serves begins with.
const ASSETS: &[u8] = b"/api/public/assets/";

/// How a row names a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `uploads/<folder>/<name>`.
    Path,
    /// `<folder>/<name>`, as rows name objects in S3.
    Object,
    /// `/api/public/assets/<folder>/<name>`.
    Asset,
}

impl Form {
    const ALL: [Self; 3] = [Self::Path, Self::Object, Self::Asset];

    const fn code(self) -> u8 {
        match self {
            Self::Path => 0,
            Self::Object => 1,
            Self::Asset => 2,
        }
    }

    pub(super) fn of(reference: &Reference) -> Self {
        let form = Self::ALL.into_iter().find(|form| form.code() == reference.form);
        form.unwrap_or(Self::Path)
    }
}

/// Collects what rows name; made before the first of them comes.
pub struct Named {
    references: Option<References>,
    scratch: PathBuf,
    counts: RowsCounts,
    object_count: u64,
    failure: Option<manifest::Error>,
}

impl Named {
    /// Starts with nothing; what is collected goes to a file in `scratch` once there is something.
    pub fn new(scratch: &Path) -> Self {
        Self {
            references: None,
            scratch: scratch.to_owned(),
            counts: RowsCounts::default(),
            object_count: 0,
            failure: None,
        }
    }

    /// Takes a row of [`WATCHES`].
    pub fn take(&mut self, row: Row<'_>) {
        if row.table() == DEVELOPERS {
            self.name(row.field(0), Field::Absent, &[(ASSETS, Form::Asset)]);
            self.name(row.field(1), Field::Absent, &[(ASSETS, Form::Asset)]);
        } else if row.field(0) == Field::Null {
            self.counts.null += 1;
        } else {
            let forms = [(UPLOADS, Form::Path), (b"".as_slice(), Form::Object)];
            self.name(row.field(0), row.field(1), &forms);
        }
    }

    /// Ends the rows; returns whether there are any that could name a file.
    ///
    /// # Errors
    /// If what was named could not be kept.
    pub fn finish(&mut self, facts: &DumpFacts) -> Result<bool, manifest::Error> {
        let kept = self.references.as_mut().map_or(Ok(()), References::finish);
        match self.failure.take().or(kept.err()) {
            Some(failure) => Err(failure),
            None => Ok(WATCHES.iter().any(|watch| facts.watched.contains(watch.table))),
        }
    }

    /// Starts to compare with a tree.
    pub fn compare(&self) -> Comparison<'_> {
        let report = RowsReport { counts: self.counts, ..RowsReport::default() };
        let cursor = self.references.as_ref().map(References::cursor);
        Comparison::new(cursor, report, self.object_count > 0)
    }

    fn name(&mut self, field: Field<'_>, size: Field<'_>, forms: &[(&[u8], Form)]) {
        let text = match field {
            Field::Absent | Field::Null => return,
            Field::TooLong => b"".as_slice(),
            Field::Text(text) => text,
        };
        self.counts.references += 1;
        let known = forms.iter().find_map(|(start, form)| {
            let path = text.strip_prefix(*start)?;
            let is_object = *form != Form::Object || is_object_key(path);
            (is_object && !path.is_empty() && check_path(path).is_ok()).then_some((path, *form))
        });
        let Some((path, form)) = known else {
            self.counts.elsewhere += 1;
            return;
        };
        self.object_count += u64::from(form == Form::Object);
        let size = size.text().and_then(|size| size.parse().ok());
        self.keep(Reference { key: sort_key(path), form: form.code(), size });
    }

    fn keep(&mut self, reference: Reference) {
        if self.failure.is_some() {
            return;
        }
        let kept = match &mut self.references {
            Some(references) => references.add(reference),
            slot => References::create(&self.scratch)
                .and_then(|references| slot.insert(references).add(reference)),
        };
        self.failure = kept.err();
    }
}

/// Tells whether a text may be the key of an object: `<folder>/<name>`, no address.
fn is_object_key(text: &[u8]) -> bool {
    text.iter().filter(|byte| **byte == b'/').count() == 1 && !text.contains(&b':')
}
