//! What a store acknowledged when it took objects, where nobody may look at them now. Spec:
//! `evidence.md` §3.
//!
//! - A receipt counts only with all of those that a signed event covers together.
//! - It proves what was taken that day, and nothing of today: the report says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::barred::Kind;
use super::evidence::{EvidenceError, ReceiptsFrom};
use super::{Collector, Scope, held};
use crate::base::{Code, Digest, SignerId, SnapshotId};
use crate::format::ObjectKey;
use crate::manifest::{Claim, Claims, KeptReceipt, ManifestView};
use crate::ops::Error;
use crate::ops::report::ReceiptCounts;
use crate::store;
use crate::vault::receipts::{self, LINE_LEN_MAX};
use crate::vault::{self, Auditor};

/// What a file is read as, for errors.
pub(super) const WHAT: &str = "receipts";

/// An event that covers receipts, with the digest that it has.
type Covering = (ObjectKey, Option<Digest>);

/// The events that cover receipts.
#[derive(Default)]
pub struct Completed {
    /// By store and snapshot.
    pub events: BTreeMap<(String, SnapshotId), Vec<Covering>>,
    /// Whose log breaks off that may have had more of them.
    pub cut: Option<SignerId>,
}

/// What receipts say of objects that nobody may look at.
#[derive(Default)]
pub struct Tally {
    /// Objects that the store acknowledged as what is signed.
    known_count: u64,
    /// Objects of which there is no receipt, or none that tells a digest.
    unknown_count: u64,
    first: Option<i64>,
    last: Option<i64>,
}

impl Tally {
    fn add(&mut self, claim: Option<&Claim>) {
        match claim.filter(|claim| claim.digest.is_some()) {
            Some(claim) => {
                self.known_count += 1;
                self.first = Some(self.first.map_or(claim.second, |at| at.min(claim.second)));
                self.last = self.last.max(Some(claim.second));
            }
            None => self.unknown_count += 1,
        }
    }

    /// Returns the counts, with the store that gave the receipts; none, where none tells a digest.
    pub fn counts(&self, store: Option<String>) -> Option<ReceiptCounts> {
        let time = |second: i64| Timestamp::from_second(second).ok();
        Some(ReceiptCounts {
            object_count: self.known_count,
            without_count: self.unknown_count,
            first: time(self.first?)?,
            last: time(self.last?)?,
            store,
        })
    }
}

/// Reads the receipts that a run was given, or that this host has of what it may not look at.
///
/// # Errors
/// If a file cannot be read or is none of receipts of this vault and store.
pub fn read(
    auditor: &Auditor,
    from: Option<ReceiptsFrom<'_>>,
    completed: &Completed,
    collector: &Collector<'_>,
) -> Result<Option<Claims>, Error> {
    let claims = || Claims::new().map_err(Error::from);
    match from {
        None => Ok(None),
        Some(ReceiptsFrom::File(path)) => {
            let claims = claims()?;
            read_file(auditor, path, completed, &claims, collector)?;
            Ok(Some(claims))
        }
        Some(ReceiptsFrom::Host(path)) => {
            if !Kind::Packs.is_barred_in(auditor.store().as_ref()) {
                return Ok(None);
            }
            let claims = claims()?;
            read_host(auditor, path, completed, &claims, collector)?;
            Ok(Some(claims))
        }
    }
}

fn read_file(
    auditor: &Auditor,
    path: &Path,
    completed: &Completed,
    claims: &Claims,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    let mut lines = Lines::open(path)?;
    let store = check_head(auditor, &mut lines)?;
    held(&collector.receipts_of).replace(store.clone());
    let mut seen = BTreeSet::new();
    let mut head = lines.next()?;
    while let Some(text) = head.take() {
        let wrong = |lines: &Lines<'_>| lines.wrong("a line is neither a receipt nor a group");
        let Some(snapshot) = receipts::parse_group(&text) else { return Err(wrong(&lines)) };
        let events = completed.events.get(&(store.clone(), snapshot));
        // Only what is known is remembered: a file may have as many groups as it likes.
        if events.is_some() && !seen.insert(snapshot) {
            return Err(lines.wrong(&format!("the group of {snapshot} is there twice")));
        }
        claims.attempt(|claims| {
            let mut hasher = Sha256::new();
            loop {
                let Some(text) = lines.next()? else { break };
                let Some(receipt) = receipts::parse_line(&text) else {
                    head = Some(text);
                    break;
                };
                hasher.update(text.as_bytes());
                claims.put(&receipt.key, &claim_of(&receipt))?;
            }
            let found = Digest::from_bytes(hasher.finalize().into());
            if events.is_none()
                && let Some(signer) = completed.cut
            {
                let gap = "whether receipts that were shown are those that a ledger covers";
                collector.leave_out(format!("{gap}: the log of {signer} breaks off"));
                return Ok(false);
            }
            Ok::<_, Error>(is_covered(&store, snapshot, events, found, collector))
        })?;
    }
    Ok(())
}

/// Checks of which vault and store a file's receipts are; returns the store.
fn check_head(auditor: &Auditor, lines: &mut Lines<'_>) -> Result<String, Error> {
    let Some((vault, store)) = lines.next()?.as_deref().and_then(receipts::parse_head) else {
        let reason = "it does not begin as what `store receipts` writes";
        return Err(lines.wrong(reason));
    };
    if vault != auditor.vault() {
        let reason = format!("they are of vault {vault}, and {} is verified", auditor.vault());
        return Err(lines.wrong(&reason));
    }
    let name = auditor.store().name();
    if name != store::GIVEN && name != store {
        return Err(lines.wrong(&format!("they are of store {store}, and {name} is verified")));
    }
    Ok(store)
}

fn read_host(
    auditor: &Auditor,
    path: &Path,
    completed: &Completed,
    claims: &Claims,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    let manifest = match ManifestView::open(path) {
        Ok(manifest) => manifest,
        // Receipts are lost with a manifest, and nothing else is.
        Err(_) => {
            let gap = "the receipts of this host: its manifest cannot be read";
            collector.leave_out(gap.to_owned());
            return Ok(());
        }
    };
    let store = auditor.store().name();
    held(&collector.receipts_of).replace(store.to_owned());
    for ((_, snapshot), events) in completed.events.iter().filter(|((of, _), _)| of == store) {
        let covered = manifest.receipts_of(store, *snapshot)?;
        if covered.is_empty() {
            continue;
        }
        claims.attempt(|claims| {
            covered.iter().try_for_each(|one| claims.put(&one.key, &claim_of(one)))?;
            let found = vault::completing::receipts_digest(&covered);
            Ok::<_, Error>(is_covered(store, *snapshot, Some(events), found, collector))
        })?;
    }
    Ok(())
}

fn claim_of(receipt: &KeptReceipt) -> Claim {
    let KeptReceipt { second, version_id, checksum, .. } = receipt;
    Claim { digest: *checksum, second: *second, version: version_id.clone() }
}

/// Tells whether receipts are those that an event covers; if not, that is a finding.
fn is_covered(
    store: &str,
    snapshot: SnapshotId,
    events: Option<&Vec<Covering>>,
    found: Digest,
    collector: &Collector<'_>,
) -> bool {
    let Some((event, signed)) = events.and_then(|events| events.first()) else {
        let detail = format!(
            "there are receipts for it, and no ledger says that store {store} was complete with it"
        );
        collector.add(Code::ReceiptMismatch, ObjectKey::Note(snapshot), detail);
        return false;
    };
    if events.is_some_and(|events| events.iter().any(|(_, signed)| *signed == Some(found))) {
        return true;
    }
    let signed = signed.map_or("none".to_owned(), |signed| signed.to_string());
    let detail = format!(
        "it covers receipts with the SHA-256 {signed}, and those that were shown have {found}"
    );
    collector.add(Code::ReceiptMismatch, event, detail);
    false
}

/// Compares what the store acknowledged with what is signed, of an object that it lets nobody look
/// at.
pub fn take_instead(
    key: &ObjectKey,
    signed: Digest,
    claim: Option<&Claim>,
    collector: &Collector<'_>,
) {
    if Kind::of(key).is_some() && !is_other(key, signed, claim, collector) {
        held(&collector.tally).add(claim);
    }
}

/// Tells whether the store acknowledged something else than is signed; that is a finding.
pub fn is_other(
    key: &ObjectKey,
    signed: Digest,
    claim: Option<&Claim>,
    collector: &Collector<'_>,
) -> bool {
    let digest = claim.and_then(|claim| claim.digest).filter(|digest| *digest != signed);
    if let Some(found) = digest {
        let detail = format!("the store took it with the SHA-256 {found}, and {signed} is signed");
        collector.add(Code::ObjectAltered, key, detail);
    }
    digest.is_some()
}

/// Counts the files of generations that may not be read, and takes receipts for them.
pub fn check_generations(scope: &Scope, collector: &Collector<'_>) -> Result<(), Error> {
    for (key, signed) in &scope.generation_files {
        if collector.barred.has_file(key) && scope.is_here(signed.as_bytes()) {
            collector.count_barred(key);
            let claim = scope.receipts.as_ref().map(|claims| claims.get(key)).transpose()?;
            take_instead(key, *signed, claim.flatten().as_ref(), collector);
        }
    }
    Ok(())
}

/// The lines of a file, none longer than a receipt can be.
struct Lines<'a> {
    path: &'a Path,
    reader: BufReader<File>,
    number: u64,
}

impl<'a> Lines<'a> {
    fn open(path: &'a Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|cause| EvidenceError::unread(path, WHAT, cause))?;
        Ok(Self { path, reader: BufReader::new(file), number: 0 })
    }

    fn next(&mut self) -> Result<Option<String>, Error> {
        let mut line = Vec::new();
        self.reader
            .by_ref()
            .take(LINE_LEN_MAX as u64)
            .read_until(b'\n', &mut line)
            .map_err(|cause| EvidenceError::unread(self.path, WHAT, cause))?;
        self.number += 1;
        match line.last() {
            None => Ok(None),
            Some(b'\n') => {
                let line = String::from_utf8(line);
                line.map(Some).map_err(|_| self.wrong("a line is not UTF-8"))
            }
            Some(_) if line.len() == LINE_LEN_MAX => Err(self.wrong("a line is too long")),
            Some(_) => Err(self.wrong("it ends in the middle of a line")),
        }
    }

    fn wrong(&self, reason: &str) -> Error {
        let reason = format!("line {}: {reason}", self.number);
        EvidenceError::NotSo { path: self.path.to_owned(), what: WHAT, reason }.into()
    }
}
