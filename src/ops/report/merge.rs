//! Joining the parts of one verification. Spec: `sampling.md` §5.
//!
//! - Parts that do not belong together, or are not all there, are refused: a joined report claims
//!   no more than its parts do.
//! - What every part looked at counts once; what each looked at alone is added up.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::counts::{self, BarredCounts};
use super::{
    FileCounts, Finding, LedgerHead, RecordReport, Report, ShardReport, SinceRow, TouchedRow,
    Verdict, VerifyReport,
};
use crate::base::limits::SHARD_COUNT_MAX;
use crate::base::{Code, Coded, SignerId, SnapshotId};
use crate::ops::report::StoredCounts;

/// Parts that cannot be joined.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("join the reports: {reason}")]
pub struct MergeError {
    reason: String,
}

impl MergeError {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl Coded for MergeError {
    fn code(&self) -> Code {
        Code::UsageInvalid
    }
}

/// A report, with the name by which errors call it.
pub type Named = (String, Report);

/// One vault's part, with the name of its report.
type Piece<'a> = (&'a str, &'a VerifyReport, &'a ShardReport);

/// A vault, and a store by its name and place.
type Store<'a> = (&'a str, &'a str, Option<&'a str>);

fn store_of(report: &VerifyReport) -> Store<'_> {
    (&report.vault, &report.store, report.location.as_deref())
}

/// Joins the parts of one verification.
///
/// # Errors
/// If they are not all the parts, each once, of one verification of the same vaults.
pub fn merge(parts: &[Named]) -> Result<Report, MergeError> {
    let mut vaults: BTreeMap<Store<'_>, Vec<Piece<'_>>> = BTreeMap::new();
    for (name, report) in parts {
        for vault in &report.vaults {
            let Some(shard) = &vault.shard else {
                let reason =
                    format!("{name} is no part: it looked at all of vault {}", vault.vault);
                return Err(MergeError::new(reason));
            };
            let pieces = vaults.entry(store_of(vault)).or_default();
            pieces.push((name, vault, shard));
        }
    }
    let (Some(began), Some(ended)) = (
        parts.iter().map(|(_, report)| report.began).min(),
        parts.iter().map(|(_, report)| report.ended).max(),
    ) else {
        return Err(MergeError::new("there is none"));
    };
    let joined: Result<Vec<VerifyReport>, MergeError> = vaults.into_values().map(join).collect();
    let joined = joined?;
    if joined.is_empty() {
        return Err(MergeError::new("they are of no vault"));
    }
    Ok(Report::new(began, ended, joined))
}

/// Joins the parts of one vault in one store.
fn join(mut pieces: Vec<Piece<'_>>) -> Result<VerifyReport, MergeError> {
    check(&pieces)?;
    pieces.sort_by_key(|(_, _, shard)| shard.index);
    let reports = || pieces.iter().map(|(_, report, _)| *report);
    let (_, first, shard) = pieces[0];
    let (ledgers, heads_gaps, mut findings) = join_heads(&pieces);
    findings.extend(reports().flat_map(|report| report.findings.iter().cloned()));
    let findings: Vec<Finding> = findings.into_iter().collect();
    let shared = |of: fn(&ShardReport) -> u64| pieces.iter().map(|(.., shard)| of(shard)).max();
    let objects = shared(|shard| shard.shared_object_count).unwrap_or(0);
    let bytes = shared(|shard| shard.shared_read_len).unwrap_or(0);
    let own = |of: fn(&VerifyReport, &ShardReport) -> (u64, u64)| {
        let lens = pieces.iter().map(|(_, report, shard)| of(report, shard));
        lens.fold(0, |sum: u64, (all, shared)| sum.saturating_add(all.saturating_sub(shared)))
    };
    let own_objects = own(|report, shard| (report.object_count, shard.shared_object_count));
    let own_bytes = own(|report, shard| (report.read_len, shard.shared_read_len));
    let mut joined = VerifyReport {
        // A part may say worse than its findings do, and is not made better.
        verdict: reports().map(|one| one.verdict).fold(Verdict::of(&findings), Verdict::max),
        object_count: objects.saturating_add(own_objects),
        read_len: bytes.saturating_add(own_bytes),
        stored: join_stored(reports()),
        ledgers,
        findings,
        not_covered: Vec::new(),
        shard: None,
        since: join_since(reports()),
        touched: join_touched(reports()),
        record: RecordReport::default(),
        barred: reports().map(|report| report.barred).reduce(join_barred).flatten(),
        files: join_files(reports()),
        // Each part remembers for itself.
        coverage: None,
        joined: Some(shard.count),
        ..first.clone()
    };
    let records = reports().map(|report| (&report.record, &report.findings[..]));
    joined.record = RecordReport::unite(records, &joined.findings);
    joined.not_covered = join_gaps(&pieces, &joined, heads_gaps);
    joined.proves = joined.proven();
    Ok(joined)
}

/// Checks that the parts are of one verification, all of them, each once.
fn check(pieces: &[Piece<'_>]) -> Result<(), MergeError> {
    let (first_name, first, first_shard) = pieces[0];
    for (name, report, shard) in pieces {
        let differs = if shard.count != first_shard.count {
            "the number of parts"
        } else if report.level != first.level {
            "the level"
        } else if report.sample != first.sample {
            "the sample, for which all take the same --public,"
        } else if report.scope_sha256.is_none() || report.scope_sha256 != first.scope_sha256 {
            "what was in scope, for which all take the same --until,"
        } else if shard.all_pack_count != first_shard.all_pack_count {
            "the number of packs"
        } else {
            continue;
        };
        let reason = format!(
            "{first_name} and {name} are not of one verification of vault {} in store {}: \
             {differs} is not the same",
            first.vault,
            first.store_text()
        );
        return Err(MergeError::new(reason));
    }
    let mut by_index: BTreeMap<u32, &str> = BTreeMap::new();
    for (name, _, shard) in pieces {
        if let Some(before) = by_index.insert(shard.index, name) {
            let (index, count) = (shard.index, shard.count);
            let reason = format!("{before} and {name} are both part {index} of {count}");
            return Err(MergeError::new(reason));
        }
    }
    let count = first_shard.count;
    if count > SHARD_COUNT_MAX {
        let reason = format!("they are of {count} parts, and {SHARD_COUNT_MAX} are possible");
        return Err(MergeError::new(reason));
    }
    if let Some(strange) = by_index.keys().find(|index| !(1..=count).contains(*index)) {
        return Err(MergeError::new(format!("there is no part {strange} of {count}")));
    }
    let missing: Vec<String> = (1..=count)
        .filter(|index| !by_index.contains_key(index))
        .map(|index| format!("{index} of {count}"))
        .collect();
    if !missing.is_empty() {
        let reason = format!(
            "of vault {} in store {}, part {} is missing",
            first.vault,
            first.store_text(),
            missing.join(", part ")
        );
        return Err(MergeError::new(reason));
    }
    let pack_counts = pieces.iter().map(|(_, _, shard)| shard.pack_count);
    let pack_count = pack_counts.fold(0, u64::saturating_add);
    if pack_count != first_shard.all_pack_count {
        let reason = format!(
            "the parts looked at {pack_count} packs, and there are {}",
            first_shard.all_pack_count
        );
        return Err(MergeError::new(reason));
    }
    Ok(())
}

/// Joins the ledgers' heads: of each the shortest that a part saw, as no part vouches for more.
/// Returns also what is to be said of those that differ.
fn join_heads(pieces: &[Piece<'_>]) -> (Vec<LedgerHead>, Vec<String>, BTreeSet<Finding>) {
    let mut by_signer: BTreeMap<&str, BTreeSet<(u64, &str)>> = BTreeMap::new();
    for (_, report, _) in pieces {
        for head in &report.ledgers {
            by_signer.entry(&head.signer).or_default().insert((head.size, &head.root));
        }
    }
    let (mut heads, mut gaps, mut findings) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (signer, seen) in by_signer {
        let every = pieces
            .iter()
            .all(|(_, report, _)| report.ledgers.iter().any(|head| head.signer == signer));
        let sizes: BTreeSet<u64> = seen.iter().map(|(size, _)| *size).collect();
        let (Some((size, root)), Some((last, _))) = (seen.first(), seen.last()) else { continue };
        if sizes.len() < seen.len() {
            let (code, object) = (Code::LedgerBroken, format!("ledger/{signer}"));
            let detail = "two parts saw it at one size with different roots".to_owned();
            findings.insert(Finding { code, object, detail });
        }
        if !every {
            gaps.push(format!("the ledger of {signer}: it began while the parts ran"));
            continue;
        }
        if size != last {
            gaps.push(format!(
                "what the ledger of {signer} got while the parts ran: it had {size} to {last} \
                 events, and all parts saw {size}"
            ));
        }
        let (signer, size, root) = (signer.to_owned(), *size, (*root).to_owned());
        heads.push(LedgerHead { signer, size, root });
    }
    (heads, gaps, findings)
}

/// Adds up what parts may not look at: each object is of one part alone.
fn join_barred(sum: Option<BarredCounts>, next: Option<BarredCounts>) -> Option<BarredCounts> {
    counts::join(sum, next, BarredCounts::join)
}

/// Adds up what the store says of objects: each was looked at by one part alone.
fn join_stored<'a>(
    reports: impl Iterator<Item = &'a VerifyReport> + Clone,
) -> Option<StoredCounts> {
    let stored = reports.clone().map(|report| report.stored.clone());
    let mut sum = stored.reduce(|sum, next| {
        let (mut sum, next) = (sum?, next?);
        sum.add(&next);
        Some(sum)
    })??;
    // A part of whose objects none has a receipt does not count those without one.
    let has_none = |report: &&VerifyReport| {
        report.stored.as_ref().is_some_and(|counts| counts.receipts.is_none())
    };
    let barred = reports.filter(has_none).filter_map(|report| report.barred);
    if let Some(receipts) = &mut sum.receipts {
        for BarredCounts { barred_pack_count, barred_other_count, .. } in barred {
            let count = barred_pack_count.saturating_add(barred_other_count);
            receipts.without_count = receipts.without_count.saturating_add(count);
        }
    }
    Some(sum)
}

/// Unites what the ledgers were compared with; where parts differ, what is wrong counts.
fn join_since<'a>(reports: impl Iterator<Item = &'a VerifyReport>) -> Vec<SinceRow> {
    let mut joined: BTreeMap<(&str, SignerId), &SinceRow> = BTreeMap::new();
    for row in reports.flat_map(|report| &report.since) {
        let there = joined.entry((&row.file, row.signer)).or_insert(row);
        if there.problem.is_none() && row.problem.is_some() {
            *there = row;
        }
    }
    joined.into_values().cloned().collect()
}

/// Adds up the files that were compared: each by one part alone, and counted by all of them.
fn join_files<'a>(reports: impl Iterator<Item = &'a VerifyReport>) -> Option<FileCounts> {
    reports.map(|report| report.files).reduce(|sum, next| {
        let (sum, next) = (sum?, next?);
        Some(FileCounts {
            file_count: sum.file_count.max(next.file_count),
            checked_file_count: sum.checked_file_count.saturating_add(next.checked_file_count),
            dump_count: sum.dump_count.max(next.dump_count),
            checked_dump_count: sum.checked_dump_count.saturating_add(next.checked_dump_count),
        })
    })?
}

/// Unites what damage touches. Objects that every part looked at, as notes, count once for each.
fn join_touched<'a>(reports: impl Iterator<Item = &'a VerifyReport>) -> Vec<TouchedRow> {
    let mut joined: BTreeMap<SnapshotId, TouchedRow> = BTreeMap::new();
    for row in reports.flat_map(|report| &report.touched) {
        let sum = joined.entry(row.snapshot).or_insert_with(|| TouchedRow::new(row.snapshot));
        sum.object_count = sum.object_count.saturating_add(row.object_count);
        row.files.iter().for_each(|name| sum.add_file(name.clone()));
        let unnamed = row.file_count.saturating_sub(row.files.len() as u64);
        sum.file_count = sum.file_count.saturating_add(unnamed);
        sum.files_known &= row.files_known;
        sum.tables.extend(row.tables.iter().cloned());
    }
    joined.into_values().collect()
}

/// Unites what the parts do not cover, without what they cover together.
fn join_gaps(pieces: &[Piece<'_>], joined: &VerifyReport, heads_gaps: Vec<String>) -> Vec<String> {
    let mut gaps = joined.sample_gaps();
    gaps.extend(heads_gaps);
    let counted = |report: &VerifyReport| report.stored.as_ref().map(StoredCounts::gaps);
    let of_all = counted(joined).unwrap_or_default();
    for (_, report, shard) in pieces {
        let own = [shard.gap()].into_iter().chain(report.sample_gaps());
        let (own, of_part): (BTreeSet<String>, _) = (own.collect(), counted(report));
        for gap in report.not_covered.iter().filter(|gap| !own.contains(*gap)) {
            // What one part counts is said of all of them together.
            let at = of_part.iter().flatten().position(|one| one.as_ref() == Some(gap));
            let gap = at.and_then(|at| of_all[at].as_ref()).unwrap_or(gap);
            if !gaps.contains(gap) {
                gaps.push(gap.clone());
            }
        }
    }
    gaps
}
