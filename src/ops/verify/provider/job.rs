//! What a job of S3 Batch Operations says of its own report: `manifest.json`, where that was
//! fetched with it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use jiff::Timestamp;
use md5::{Digest as _, Md5};
use serde::Deserialize;

/// The name that every job gives it.
const NAME: &str = "manifest.json";
/// Largest one that is read; they have a few lines.
const LEN_MAX: u64 = 1024 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    report_creation_date: String,
    results: Vec<ResultFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ResultFile {
    key: String,
    #[serde(rename = "MD5Checksum")]
    md5: String,
}

/// What a job says of one file of its report.
pub struct Job {
    /// When the report was made.
    pub created: Timestamp,
    /// The MD5 of the file, in hex.
    pub md5: String,
}

impl Job {
    /// Finds what is said of a file, beside it or one directory up, as a job leaves them.
    pub fn of(report: &Path) -> Option<Self> {
        let name = report.file_name()?;
        let beside = report.parent()?;
        let above = beside.join("..");
        [beside, above.as_path()].into_iter().find_map(|dir| {
            let mut text = String::new();
            File::open(dir.join(NAME)).ok()?.take(LEN_MAX).read_to_string(&mut text).ok()?;
            let manifest: Manifest = serde_json::from_str(&text).ok()?;
            let is_it = |file: &&ResultFile| Path::new(&file.key).file_name() == Some(name);
            let md5 = manifest.results.iter().find(is_it)?.md5.to_lowercase();
            Some(Self { created: manifest.report_creation_date.parse().ok()?, md5 })
        })
    }
}

/// Tells whether a file is the one that a job has instead of its report's rows.
pub fn is_manifest(report: &Path, begin: &[u8]) -> bool {
    report.extension() == Some(OsStr::new("json")) || begin.trim_ascii_start().starts_with(b"{")
}

/// Passes on what is read, and computes its MD5.
pub struct Hashing<R> {
    reader: R,
    hasher: Md5,
}

impl<R> Hashing<R> {
    /// Begins with nothing read.
    pub fn new(reader: R) -> Self {
        Self { reader, hasher: Md5::new() }
    }

    /// Returns the MD5 of what was read, in hex.
    pub fn finish(self) -> String {
        hex::encode(self.hasher.finalize())
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.reader.read(buffer)?;
        self.hasher.update(&buffer[..len]);
        Ok(len)
    }
}
