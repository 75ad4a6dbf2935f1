//! What the provider computed of objects at rest, against what is signed. Spec: `evidence.md` §4.
//!
//! A report proves what it says of an object that is needed, and nothing by its silence: failed
//! tasks, other algorithms, other buckets and rows that are missing are said to be not covered.

mod job;
mod rows;
mod task;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use self::job::{Hashing, Job};
use self::rows::{RowError, Rows};
use self::task::{Said, Task};
use super::evidence::EvidenceError;
use super::stored::for_each_page;
use super::{Collector, Scope, held};
use crate::base::{Code, Digest};
use crate::format::ObjectKey;
use crate::manifest::{Claim, Claims};
use crate::ops::Error;
use crate::ops::report::ProviderCounts;
use crate::store::{self, Stat, Store, s3};
use crate::vault::{self, Auditor};

/// What a file is read as, for errors.
pub(super) const WHAT: &str = "a completion report of S3 Batch Operations";
/// Claims that are taken from the disk at a time.
const PAGE_COUNT: u32 = 1000;
/// When a report was made that does not tell.
const NOT_TOLD: i64 = i64::MAX;

/// What reports say.
pub struct Provided {
    /// Objects whose digest at rest is the signed one.
    good: Claims,
    /// Objects with another one in some row, by version and by when the report was made.
    bad: Claims,
    tally: Mutex<Tally>,
    /// When the reports were made: the oldest counts.
    reported: Option<Timestamp>,
}

/// Rows that prove nothing, by why.
#[derive(Default)]
struct Tally {
    failed: u64,
    why_failed: Option<String>,
    other_algorithm: u64,
    other_bucket: u64,
    unnamed: u64,
    malformed: u64,
    other_version: u64,
    replaced: u64,
}

impl Tally {
    fn gaps(&self) -> Vec<String> {
        let why = self.why_failed.as_ref().map_or(String::new(), |why| format!(", first {why}"));
        let rows = [
            (self.failed, format!("of tasks that failed{why}")),
            (self.other_algorithm, "without a SHA-256 of the whole object".to_owned()),
            (self.other_bucket, "of another bucket".to_owned()),
            (self.unnamed, "of what no snapshot here needs".to_owned()),
            (self.malformed, "that are not understood".to_owned()),
            (self.other_version, "of a version that does not count".to_owned()),
            (self.replaced, "of objects that were written after the report was made".to_owned()),
        ];
        let told = rows.into_iter().filter(|(count, _)| *count > 0);
        told.map(|(count, what)| format!("{count} rows of provider reports {what}")).collect()
    }
}

/// Reads the reports; none, if there are none.
///
/// # Errors
/// If a file cannot be read or is no such report, or the store is in no bucket.
pub fn read(
    auditor: &Auditor,
    reports: &[PathBuf],
    scope: &Scope,
) -> Result<Option<Provided>, Error> {
    let store = auditor.store();
    let Some(first) = reports.first() else { return Ok(None) };
    let Some(place) = store::bucket(store.url()) else {
        return Err(wrong(first, &format!("store {} is in no bucket", store.name())));
    };
    let (good, bad) = (Claims::new()?, Claims::new()?);
    let mut provided = Provided { good, bad, tally: Mutex::default(), reported: None };
    let (mut is_dated, mut oldest) = (true, None::<Timestamp>);
    for path in reports {
        let created = provided.read_file(path, &place, scope)?;
        is_dated &= created.is_some();
        oldest = [oldest, created].into_iter().flatten().min();
    }
    provided.reported = oldest.filter(|_| is_dated);
    Ok(Some(provided))
}

impl Provided {
    /// Reads a report; returns when it was made, where its job's manifest tells.
    fn read_file(
        &mut self,
        path: &Path,
        place: &s3::Place,
        scope: &Scope,
    ) -> Result<Option<Timestamp>, Error> {
        let unread = |cause| EvidenceError::unread(path, WHAT, cause);
        let file = File::open(path).map_err(unread)?;
        let mut rows = Rows::new(Hashing::new(file));
        let job = Job::of(path);
        let second = job.as_ref().map_or(NOT_TOLD, |job| job.created.as_second());
        let Self { good, bad, tally, .. } = self;
        let tally = &mut *held(tally);
        let mut count = 0u64;
        // One transaction for each of both sets, which are only of this run.
        good.attempt(|good| {
            bad.attempt(|bad| {
                loop {
                    let line = rows.line;
                    let fields = match rows.next() {
                        Ok(Some(fields)) => fields,
                        Ok(None) => return Ok::<_, Error>(true),
                        Err(RowError::Read(cause)) => return Err(unread(cause).into()),
                        Err(RowError::TooLong) => return Err(too_long(path, line, count)),
                    };
                    if count == 0 {
                        check_first(path, &fields)?;
                    }
                    count += 1;
                    if count == 1 && task::is_header(&fields) {
                        continue;
                    }
                    take(Task::parse(&fields), second, place, scope, (good, bad), tally)?;
                }
            })
        })?;
        if count == 0 {
            return Err(wrong(path, "it is empty"));
        }
        let found = rows.into_reader().finish();
        match job {
            Some(job) if job.md5 != found => {
                let reason = "it does not have the MD5 that manifest.json of its job tells: it is \
                              cut off, or was changed";
                Err(wrong(path, reason))
            }
            job => Ok(job.map(|job| job.created)),
        }
    }
}

impl Provided {
    /// Takes what the store says of an object: what was computed before it was written says nothing
    /// of it.
    pub fn meet(&self, key: &ObjectKey, stat: &Stat) -> Result<(), Error> {
        if self.good.get(key)?.is_some_and(|claim| is_later(stat, claim.second)) {
            self.good.remove(key)?;
            held(&self.tally).replaced += 1;
        }
        Ok(())
    }
}

/// Takes what a row says of a report that was made at a time.
fn take(
    task: Option<Task<'_>>,
    second: i64,
    place: &s3::Place,
    scope: &Scope,
    (good, bad): (&Claims, &Claims),
    tally: &mut Tally,
) -> Result<(), Error> {
    let Some(task) = task else {
        tally.malformed += 1;
        return Ok(());
    };
    if task.bucket != place.bucket {
        tally.other_bucket += 1;
        return Ok(());
    }
    let names = task.names();
    let key = names.iter().find_map(|name| place.strip(name)?.parse::<ObjectKey>().ok());
    let signed = key.map(|key| Ok::<_, Error>((key, signed_of(scope, &key)?))).transpose()?;
    let Some((key, Some(signed))) = signed else {
        tally.unnamed += 1;
        return Ok(());
    };
    match task.said {
        Said::Failed(why) => {
            tally.failed += 1;
            tally.why_failed.get_or_insert(why);
        }
        Said::OtherAlgorithm => tally.other_algorithm += 1,
        Said::NotUnderstood => tally.malformed += 1,
        Said::Computed(digest) => {
            let version = task.version.map(str::to_owned);
            let claim = Claim { digest: Some(digest), second, version };
            // What one job found is not undone by another that looked at another version.
            let into = if digest == signed { good } else { bad };
            into.add(&key, &claim)?;
        }
    }
    Ok(())
}

/// Returns the signed digest of an object that is needed and that level `stored` does not read.
fn signed_of(scope: &Scope, key: &ObjectKey) -> Result<Option<Digest>, Error> {
    Ok(match key {
        ObjectKey::Body(id) => scope.notes.get(id).map(|note| note.body.sha256),
        ObjectKey::Segment(id) => scope.notes.get(id).map(|note| note.segment.sha256),
        _ if scope.needed.contains(key)? => key.pack().map(|id| Digest::from_bytes(*id.as_bytes())),
        _ => None,
    })
}

/// Compares what was computed with what is signed, and counts what was not computed.
///
/// # Errors
/// If versions cannot be asked for, or what was kept on disk cannot be read.
pub fn compare(
    auditor: &Auditor,
    provided: &Provided,
    scope: &Scope,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    let mut after = None;
    loop {
        let page = provided.bad.page(after.as_ref(), PAGE_COUNT)?;
        for (key, claim) in &page {
            match counts(auditor, *key, claim, scope)? {
                true => report_altered(*key, claim, scope, collector)?,
                false => held(&provided.tally).other_version += 1,
            }
        }
        after = page.into_iter().last();
        if after.is_none() {
            break;
        }
    }
    let mut counts = ProviderCounts { reported: provided.reported, ..ProviderCounts::default() };
    for_each_page(scope, |page| {
        for (key, _) in page {
            // Where rows disagree, none of them is leaned on.
            let is_computed = provided.good.get(key)?.is_some() && provided.bad.get(key)?.is_none();
            counts.add(matches!(key, ObjectKey::Pack(_)), is_computed);
        }
        Ok(())
    })?;
    held(&provided.tally).gaps().into_iter().for_each(|gap| collector.leave_out(gap));
    if provided.reported.is_none() {
        let gap = "whether objects were replaced after the provider computed their digests: no \
                   manifest.json tells when that was";
        collector.leave_out(gap.to_owned());
    }
    held(&collector.counts).provider = Some(counts);
    Ok(())
}

fn report_altered(
    key: ObjectKey,
    claim: &Claim,
    scope: &Scope,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    let (found, signed) = (claim.digest, signed_of(scope, &key)?);
    let Some((found, signed)) = found.zip(signed) else { return Ok(()) };
    // What the store says of it without computing may have told already.
    if !collector.is_damaged(&key.to_string()) {
        let detail = format!(
            "computed at rest by the provider, its SHA-256 is {found}, and {signed} is signed"
        );
        collector.add(Code::ObjectAltered, key, detail);
    }
    Ok(())
}

/// Tells whether a row is of the version of an object that counts.
fn counts(auditor: &Auditor, key: ObjectKey, claim: &Claim, scope: &Scope) -> Result<bool, Error> {
    let (views, signed) = (auditor.versions().views(key)?, signed_of(scope, &key)?);
    let mut right = None;
    for (index, view) in views.iter().enumerate() {
        let stat = view.stat(&key)?;
        if stat.is_some_and(|stat| stat.checksum == signed) {
            right = Some((index, view.seen_version(&key)));
            break;
        }
    }
    Ok(match (right, &claim.version) {
        // What is there alone may have been put since.
        (None, _) if views.is_empty() => {
            let stat = auditor.store().stat(&key).map_err(vault::Error::from)?;
            !stat.is_some_and(|stat| is_later(&stat, claim.second))
        }
        // None is known to be right: then every one of them is wrong.
        (None, _) => true,
        (Some((_, right)), Some(version)) => right.as_ref() == Some(version),
        // Without a version the newest was computed.
        (Some((index, _)), None) => newest_at(&views, &key, claim.second)? == Some(index),
    })
}

/// Returns which version of an object was the newest at a time, of those that are there now.
fn newest_at(
    views: &[Arc<dyn Store>],
    key: &ObjectKey,
    second: i64,
) -> Result<Option<usize>, Error> {
    for (index, view) in views.iter().enumerate().rev() {
        let stat = view.stat(key).map_err(vault::Error::from)?;
        if stat.is_none_or(|stat| !is_later(&stat, second)) {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// Tells whether an object was written after a time.
fn is_later(stat: &Stat, second: i64) -> bool {
    stat.modified.is_some_and(|modified| modified.as_second() > second)
}

/// Checks that a file begins as a report does.
fn check_first(path: &Path, fields: &[&[u8]]) -> Result<(), Error> {
    let begin = fields.first().copied().unwrap_or_default();
    if job::is_manifest(path, begin) {
        let reason = "it is the manifest.json of a job, which names the report: give its Key, a \
                      .csv file in results/";
        return Err(wrong(path, reason));
    }
    match fields.len() {
        task::FIELD_COUNT => Ok(()),
        count => {
            let need = task::FIELD_COUNT;
            let reason = format!("its first row has {count} fields, and a report has {need}");
            Err(wrong(path, &reason))
        }
    }
}

fn too_long(path: &Path, line: u64, rows_before: u64) -> Error {
    match rows_before {
        0 => wrong(path, "its first row is longer than any of a report"),
        _ => wrong(path, &format!("line {line}: a row is longer than any of a report")),
    }
}

fn wrong(path: &Path, reason: &str) -> Error {
    EvidenceError::NotSo { path: path.to_owned(), what: WHAT, reason: reason.to_owned() }.into()
}
