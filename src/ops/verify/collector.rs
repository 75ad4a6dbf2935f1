//! Collects findings and counts from several threads, and makes the report of them.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::sync::{Mutex, MutexGuard};

use super::barred::Barred;
use super::keeping::Keeping;
use super::provider::Provided;
use super::receipts::Tally;
use super::record::Record;
use super::{Finding, LedgerHead, Level, StoredCounts, VerifyReport, since};
use crate::base::limits::FINDINGS_MAX;
use crate::base::{Code, Coded, Event, Observer, SnapshotId};
use crate::format::ObjectKey;
use crate::ops::Error;
use crate::ops::report::{FileCounts, NOT_NAMED, ProviderCounts, SinceRow, TouchedRow, Verdict};
use crate::store::{self, Stat};
use crate::vault::{self, Auditor};

/// The findings, and the codes of which there are more than those that are named.
#[derive(Default)]
pub struct Findings {
    pub named: BTreeSet<Finding>,
    pub named_counts: BTreeMap<Code, usize>,
    pub unnamed: BTreeSet<Code>,
}

impl Findings {
    pub fn add(&mut self, finding: Finding) {
        let count = self.named_counts.entry(finding.code).or_default();
        if *count >= FINDINGS_MAX && !self.named.contains(&finding) {
            self.unnamed.insert(finding.code);
        } else {
            *count += usize::from(self.named.insert(finding));
        }
    }

    /// Adds a finding, unless one says the same of the object in other words.
    fn add_once(&mut self, finding: Finding) {
        let Finding { code, object, .. } = &finding;
        let first = Finding { code: *code, object: object.clone(), detail: String::new() };
        let is_it = |known: &Finding| known.code == *code && known.object == *object;
        if !self.named.range(first..).next().is_some_and(is_it) {
            self.add(finding);
        }
    }

    pub fn gaps(&self) -> Vec<String> {
        let codes = self.unnamed.iter();
        codes
            .map(|code| format!("more findings {code} than the {FINDINGS_MAX} that a run names"))
            .collect()
    }
}

/// Collects findings and counts from several threads.
pub struct Collector<'a> {
    pub auditor: &'a Auditor,
    pub observer: &'a dyn Observer,
    pub findings: Mutex<Findings>,
    pub gaps: Mutex<BTreeSet<String>>,
    pub level: Level,
    pub barred: Barred,
    pub tally: Mutex<Tally>,
    /// Packs, and others, that were to be looked at and could not be.
    pub barred_counts: Mutex<(u64, u64)>,
    pub keeping: Keeping,
    /// What the provider computed, where that is known.
    pub provided: Option<Provided>,
    /// Which store receipts are of, by the name that they have for it.
    pub receipts_of: Mutex<Option<String>>,
    pub counts: Mutex<StoredCounts>,
    pub touched: Mutex<BTreeMap<SnapshotId, TouchedRow>>,
    pub files: Mutex<FileCounts>,
    pub object_count: std::sync::atomic::AtomicU64,
    pub read_len: std::sync::atomic::AtomicU64,
}

impl<'a> Collector<'a> {
    pub fn new(
        auditor: &'a Auditor,
        level: Level,
        keeping: Keeping,
        observer: &'a dyn Observer,
    ) -> Self {
        Self {
            auditor,
            observer,
            findings: Mutex::default(),
            gaps: Mutex::default(),
            level,
            barred: Barred::default(),
            tally: Mutex::default(),
            barred_counts: Mutex::default(),
            keeping,
            provided: None,
            receipts_of: Mutex::default(),
            counts: Mutex::default(),
            touched: Mutex::default(),
            files: Mutex::default(),
            object_count: 0.into(),
            read_len: 0.into(),
        }
    }

    pub fn add(&self, code: Code, object: impl ToString, detail: impl ToString) {
        let finding = Finding { code, object: object.to_string(), detail: detail.to_string() };
        held(&self.findings).add(finding);
    }

    /// Records what an error says about an object; trouble with reaching the store is passed on,
    /// since it proves nothing about the object. What was told in other words is not told again.
    pub fn add_error(&self, object: impl ToString, error: vault::Error) -> Result<(), Error> {
        let object = object.to_string();
        let key: Option<ObjectKey> = object.parse().ok();
        if key.is_some_and(|key| self.is_refused(&key, &error)) {
            return if self.level <= Level::Stored { Ok(()) } else { Err(error.into()) };
        }
        let code = match key {
            // A pack may be archived, and what is no object proves nothing about one.
            Some(ObjectKey::Pack(_)) | None => self.auditor.damage(&error),
            Some(_) => self.auditor.damage_of_signed(&error),
        };
        let Some(code) = code else { return Err(error.into()) };
        let finding = Finding { code, object, detail: with_causes(&error) };
        held(&self.findings).add_once(finding);
        Ok(())
    }

    /// Tells whether an error says that these credentials may look at no object of a kind, and then
    /// records that this was left out (N-17). One object that is refused and others that are not is
    /// another matter: somebody may have made it so.
    pub fn is_barred(&self, key: &ObjectKey, error: &vault::Error) -> bool {
        self.level <= Level::Stored && self.is_refused(key, error)
    }

    /// Tells whether an error says that what is not there is refused as well.
    fn is_refused(&self, key: &ObjectKey, error: &vault::Error) -> bool {
        error.code() == Code::StoreDenied
            && self.barred.note_refusal(key, self.auditor.store().as_ref())
    }

    /// Counts an object that was to be looked at, and could not be.
    pub fn count_barred(&self, key: &ObjectKey) {
        let (packs, others) = &mut *held(&self.barred_counts);
        let count = if matches!(key, ObjectKey::Pack(_)) { packs } else { others };
        *count += 1;
    }

    /// Records what this run could not look at.
    pub fn leave_out(&self, gap: String) {
        held(&self.gaps).insert(gap);
    }

    /// Tells whether a finding says of an object that it is not as it was signed, whatever else is
    /// said of its versions, class and lock.
    pub fn is_damaged(&self, object: &str) -> bool {
        use Code::{ClassWrong, LockCut, ObjectHidden, ObjectOverwritten};
        let is_beside =
            |code| matches!(code, ClassWrong | LockCut | ObjectHidden | ObjectOverwritten);
        let findings = held(&self.findings);
        findings.named.iter().any(|one| one.object == object && !is_beside(one.code))
    }

    /// Counts the lock of an object that is read.
    pub fn count_lock(&self, stat: &Stat) {
        held(&self.counts).count_lock(stat);
    }

    /// Counts what the store says of an object.
    pub fn count_stored(&self, stat: &Stat) {
        held(&self.counts).count(stat);
    }

    /// Tells whether a finding says that an object is not there, or is not what it was.
    pub fn has_lost(&self, object: &str) -> bool {
        let findings = held(&self.findings);
        findings.named.iter().any(|one| one.object == object && loses(one.code))
    }

    /// Takes note of what damage touches in a snapshot.
    pub fn touch(&self, snapshot: SnapshotId, note: impl FnOnce(&mut TouchedRow)) {
        let mut touched = held(&self.touched);
        note(touched.entry(snapshot).or_insert_with(|| TouchedRow::new(snapshot)));
    }

    /// Counts a file, and whether it is compared with its digest.
    pub fn count_file(&self, is_compared: bool) {
        let mut files = held(&self.files);
        files.file_count += 1;
        files.checked_file_count += u64::from(is_compared);
    }

    /// Counts a dump, and whether it is compared with its digest.
    pub fn count_dump(&self, is_compared: bool) {
        let mut files = held(&self.files);
        files.dump_count += 1;
        files.checked_dump_count += u64::from(is_compared);
    }

    /// Returns how many objects were looked at so far, and how many bytes read.
    pub fn seen(&self) -> (u64, u64) {
        use std::sync::atomic::Ordering::Relaxed;
        (self.object_count.load(Relaxed), self.read_len.load(Relaxed))
    }

    pub fn saw(&self, count: u64, read_len: u64) {
        use std::sync::atomic::Ordering::Relaxed;
        self.object_count.fetch_add(count, Relaxed);
        self.read_len.fetch_add(read_len, Relaxed);
        self.observer.observe(Event::Advanced { len: read_len });
    }
}

/// Tells whether a finding of a code says that an object is not there, or is not what it was.
pub const fn loses(code: Code) -> bool {
    matches!(
        code,
        Code::ObjectMissing
            | Code::ObjectTruncated
            | Code::ObjectAltered
            | Code::ObjectUnreadable
            | Code::ObjectForeign
            | Code::FormatInvalid
            | Code::LimitExceeded
            | Code::ContentsAltered
            | Code::SignatureInvalid
            | Code::SignerNotDelegated
            | Code::NoteMismatch
    )
}

/// Returns an error with what caused it, on one line.
pub fn with_causes(error: &vault::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let causes: String = causes.map(|cause| format!(": {cause}")).collect();
    format!("{error}{causes}")
}

pub fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// What the ledgers tell.
pub struct Told {
    pub ledgers: Vec<LedgerHead>,
    pub since: Vec<SinceRow>,
    pub record: Record,
}

impl Collector<'_> {
    /// Makes the report of what was collected.
    pub fn report(
        self,
        level: Level,
        is_partial: bool,
        snapshot_count: u64,
        told: Told,
    ) -> VerifyReport {
        let Told { ledgers, since, record } = told;
        let (auditor, mut gaps) = (self.auditor, own(self.gaps));
        gaps.extend(self.barred.gaps());
        let mut counts = held(&self.counts).clone();
        counts.receipts = held(&self.tally).counts(own(self.receipts_of));
        if let Some(receipts) = &counts.receipts {
            gaps.extend([receipts.gap()]);
            gaps.extend(receipts.gap_of_name(auditor.store().name()));
        }
        let provider = counts.provider.clone();
        gaps.extend(provider.as_ref().and_then(ProviderCounts::gap));
        let files = *held(&self.files);
        let findings = std::mem::take(&mut *held(&self.findings));
        gaps.extend(findings.gaps());
        // A directory attests nothing, and that bytes were not read is said anyway.
        if level == Level::Stored && store::directory(auditor.store().url()).is_none() {
            gaps.extend(counts.gap());
        }
        let findings: Vec<Finding> = findings.named.into_iter().collect();
        let reached = Level::ALL.into_iter().filter(|one| *one <= level);
        VerifyReport {
            vault: auditor.vault().to_string(),
            store: auditor.store().name().to_owned(),
            location: Some(auditor.store().location()),
            level,
            verdict: Verdict::of(&findings),
            proves: reached
                .map(|one| one.proves().to_owned())
                .chain(provider.as_ref().map(ProviderCounts::proves))
                .collect(),
            snapshot_count,
            object_count: self.object_count.into_inner(),
            read_len: self.read_len.into_inner(),
            stored: (level >= Level::Stored).then_some(counts),
            barred: None,
            record: record.finish(findings.iter()),
            findings,
            touched: own(self.touched).into_values().collect(),
            each: BTreeMap::new(),
            not_covered: gaps
                .into_iter()
                .chain(not_covered(level, is_partial, provider.is_some()))
                .chain(since::not_covered(&since, &ledgers))
                .collect(),
            ledgers,
            since,
            scope_sha256: None,
            sample: None,
            shard: None,
            files: (level == Level::Contents).then_some(files),
            coverage: None,
            joined: None,
        }
    }
}

fn own<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn not_covered(level: Level, partial: bool, is_provided: bool) -> impl Iterator<Item = String> {
    let mut gaps = Vec::new();
    if partial {
        gaps.push(NOT_NAMED);
        gaps.push("packs that no snapshot names");
    }
    if level < Level::Stored {
        gaps.push("whether the objects that the notes name exist");
    }
    if level < Level::Bytes {
        gaps.push(match is_provided {
            true => "whether stored bytes are what was signed, but for the provider's word on some",
            false => "whether stored bytes are what was signed",
        });
    }
    if level < Level::Contents {
        gaps.push("whether contents open and match their digests");
    }
    gaps.into_iter().map(str::to_owned)
}
