//! Parts of a verification, and joining them.

use std::collections::BTreeSet;

use idswyft_vault::base::{Clock, Code, Coded, SignerId};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::ops::report::merge::{MergeError, Named, merge};
use idswyft_vault::ops::report::{
    ProviderCounts, Report, SinceRow, SnapshotState, TouchedRow, Verdict, VerifyReport,
};
use idswyft_vault::ops::verify::{Level, Part};

use super::bench::{damage, look_at, look_recorded, objects, shard, share, vault_of};
use crate::support::vault::TestVault;

fn report_of(vault: &TestVault, level: Level, part: &Part) -> Report {
    let (began, verified) = (vault.clock.now(), look_at(vault, level, part));
    Report::new(began, vault.clock.now(), vec![verified])
}

/// Returns all parts of a verification, of a sample if one is given.
fn parts_of(vault: &TestVault, level: Level, count: u32, sample: &Part) -> Vec<Named> {
    let part = |index: u32| {
        let name = format!("{index}/{count}");
        let part = Part { shard: shard(&name).shard, ..sample.clone() };
        (name, report_of(vault, level, &part))
    };
    (1..=count).map(part).collect()
}

fn joined(parts: &[Named]) -> VerifyReport {
    let mut report = merge(parts).unwrap();
    assert_eq!(report.vaults.len(), 1);
    report.vaults.remove(0)
}

/// Y-10, Y-11, Y-12, Y-17
#[test]
fn parts_join_to_what_one_run_over_everything_says() {
    let vault = vault_of(5);
    let packs: Vec<ObjectKey> = objects(&vault, Folder::Packs).into_iter().collect();
    let trees: Vec<ObjectKey> = objects(&vault, Folder::Trees).into_iter().collect();
    for damaged in [&packs[1], &packs[packs.len() - 2], &trees[0]] {
        damage(&vault, damaged);
    }
    for (level, count) in
        [(Level::Stored, 3), (Level::Bytes, 1), (Level::Bytes, 4), (Level::Contents, 3)]
    {
        let whole = look_at(&vault, level, &Part::default());
        let parts = parts_of(&vault, level, count, &Part::default());
        let one = joined(&parts);
        let without_names = VerifyReport { joined: None, ..one.clone() };
        assert_eq!(without_names, whole, "level {}, {count} parts", level.name());
        assert_eq!((one.joined, one.sample_percent()), (Some(count), 100));
        let shards = || parts.iter().map(|(_, part)| part.vaults[0].shard.as_ref().unwrap());
        let sum: u64 = shards().map(|shard| shard.pack_count).sum();
        assert_eq!(sum, packs.len() as u64);
        if count > 1 {
            let (_, first) = &parts[0];
            let gap = format!("this is 1 of {count}, and `report merge` joins them");
            assert!(first.vaults[0].not_covered[0].ends_with(&gap));
            assert!(parts.iter().all(|(_, part)| part.vaults[0].sample_percent() < 100));
        }
    }
}

/// Y-10
#[test]
fn a_sample_is_drawn_from_all_packs_and_each_is_read_by_one_part() {
    let vault = vault_of(5);
    let sample = share("60%", "a text");
    let (whole, chosen) = look_recorded(&vault, Level::Bytes, &sample);
    let mut read_by_parts = BTreeSet::new();
    for index in 1..=3 {
        let part = Part { shard: shard(&format!("{index}/3")).shard, ..sample.clone() };
        let (report, read) = look_recorded(&vault, Level::Bytes, &part);
        assert_eq!(report.sample, whole.sample);
        for pack in read {
            assert!(read_by_parts.insert(pack), "{pack} was read by two parts");
        }
    }
    assert_eq!(read_by_parts, chosen);
    let one = joined(&parts_of(&vault, Level::Contents, 3, &sample));
    let whole = look_at(&vault, Level::Contents, &sample);
    assert_eq!(VerifyReport { joined: None, ..one }, whole);
}

fn refused(parts: &[Named], named: &[&str]) {
    let error: MergeError = merge(parts).unwrap_err();
    assert_eq!(error.code(), Code::UsageInvalid);
    for name in named {
        assert!(error.to_string().contains(name), "{name} is not in: {error}");
    }
}

/// Y-12
#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let vault = vault_of(2);
    let parts = parts_of(&vault, Level::Bytes, 3, &Part::default());
    refused(&[], &["there is none"]);
    refused(&parts[..2], &["part 3 of 3 is missing"]);
    refused(&parts[2..], &["part 1 of 3, part 2 of 3 is missing"]);
    let doubled = [&parts[..], &parts[1..2]].concat();
    refused(&doubled, &["2/3 and 2/3 are both part 2 of 3"]);
    let replaced = |part: Named| [&parts[..2], &[part]].concat();
    let of = |level, part: Part| ("other".to_owned(), report_of(&vault, level, &part));
    refused(&replaced(of(Level::Bytes, Part::default())), &["other is no part"]);
    refused(&replaced(of(Level::Stored, shard("3/3"))), &["1/3 and other", "the level"]);
    refused(&replaced(of(Level::Bytes, shard("3/4"))), &["the number of parts"]);
    let sampled = Part { shard: shard("3/3").shard, ..share("50%", "x") };
    refused(&replaced(of(Level::Bytes, sampled.clone())), &["the sample"]);
    let samples = |text: &str| parts_of(&vault, Level::Bytes, 2, &share("50%", text));
    refused(&[&samples("x")[..1], &samples("y")[1..]].concat(), &["the sample"]);
    let changed = |change: fn(&mut VerifyReport)| {
        let (name, mut report) = parts[2].clone();
        change(&mut report.vaults[0]);
        replaced((name, report))
    };
    refused(
        &changed(|vault| vault.store = "mirror".into()),
        &["store local (file://", "part 3 of 3 is missing"],
    );
    // Every store that is given by its URL has the same name.
    let elsewhere = |vault: &mut VerifyReport| vault.location = Some("file:///media/copy".into());
    let lacking = "local (file:///media/copy), part 1 of 3, part 2 of 3 is missing";
    refused(&changed(elsewhere), &[lacking]);
    refused(&changed(|vault| vault.location = None), &["is missing"]);
    refused(&changed(|vault| vault.vault = "00".repeat(16)), &["is missing"]);
    refused(&changed(|vault| vault.scope_sha256 = None), &["what was in scope"]);
    let set_pack_count = |vault: &mut VerifyReport| vault.shard.as_mut().unwrap().pack_count += 1;
    refused(&changed(set_pack_count), &["the parts looked at"]);
    let set_index = |vault: &mut VerifyReport| vault.shard.as_mut().unwrap().index = 4;
    refused(&changed(set_index), &["no part 4 of 3"]);
    // A night between them changes what there is.
    vault.write("new.jpg", b"new");
    vault.snapshot();
    refused(&replaced(of(Level::Bytes, shard("3/3"))), &["1/3 and other", "what was in scope"]);
}

/// Y-12, Y-17
#[test]
fn the_record_of_a_joined_report_has_what_every_part_found() {
    let vault = vault_of(6);
    let keys = objects(&vault, Folder::Snapshots).into_iter();
    let bodies: Vec<ObjectKey> = keys.filter(|key| matches!(key, ObjectKey::Body(_))).collect();
    bodies.iter().for_each(|body| damage(&vault, body));
    let whole = look_at(&vault, Level::Bytes, &Part::default());
    let mut parts = parts_of(&vault, Level::Bytes, 3, &Part::default());
    let found = |report: &VerifyReport| -> u64 {
        report.record.snapshots.iter().map(|row| row.finding_count).sum()
    };
    let counts: Vec<u64> = parts.iter().map(|(_, part)| found(&part.vaults[0])).collect();
    assert!(counts.iter().all(|count| *count < 6) && counts.iter().sum::<u64>() == 6, "{counts:?}");
    assert_eq!(joined(&parts).record, whole.record);
    // What every part finds on the event by which a snapshot went is found once.
    for (_, part) in &mut parts {
        part.vaults[0].record.snapshots[0].finding_count += 2;
    }
    assert_eq!(joined(&parts).record.snapshots[0].finding_count, 3);
    let rows = |at: usize, parts: &[Named]| parts[at].1.vaults[0].record.snapshots.clone();
    let (late, id) = (rows(2, &parts).remove(5), rows(2, &parts)[4].id);
    parts[0].1.vaults[0].record.snapshots.pop();
    parts[2].1.vaults[0].record.snapshots[4].state = SnapshotState::Missing;
    let record = joined(&parts).record;
    assert_eq!((record.snapshots[5].id, record.snapshots.len()), (late.id, 6));
    assert_eq!((record.snapshots[4].id, record.snapshots[4].state), (id, SnapshotState::Missing));
}

/// L-6, Y-12, V-218
#[test]
fn one_cause_is_found_once_however_much_later_a_part_ran() {
    let vault = vault_of(1);
    vault.clock.pass_hours(100);
    vault.write("new.jpg", b"new");
    vault.snapshot();
    vault.clock.pass_hours(-40);
    let mut parts = Vec::new();
    for index in 1..=3 {
        parts.push((
            index.to_string(),
            report_of(&vault, Level::Bytes, &shard(&format!("{index}/3"))),
        ));
        vault.clock.pass_hours(1);
    }
    let (one, last) = (joined(&parts), &parts[2].1.vaults[0]);
    let codes = |report: &VerifyReport| -> Vec<Code> {
        report.findings.iter().map(|one| one.code).collect()
    };
    assert!(codes(last).contains(&Code::NightMissing), "{:?}", last.findings);
    assert!(codes(last).contains(&Code::RecordBackdated), "{:?}", last.findings);
    assert_eq!(one.findings, last.findings);
    assert_eq!(one.record.gaps, last.record.gaps);
}

/// Y-12
#[test]
fn what_each_part_counts_as_not_covered_is_one_count_of_all() {
    let vault = vault_of(1);
    let mut parts = parts_of(&vault, Level::Stored, 3, &Part::default());
    let size = |count: u64| {
        format!("more than the size of {count} objects, whose SHA-256 the store does not tell")
    };
    let computed = |count: u64, all: u64| {
        format!(
            "{count} of {all} packs and 0 of 0 smaller objects: in no provider report with their \
             digest"
        )
    };
    for ((_, part), count) in parts.iter_mut().zip([2, 2, 3]) {
        let one = &mut part.vaults[0];
        let stored = one.stored.as_mut().unwrap();
        stored.not_attested_count = count;
        stored.provider = Some(ProviderCounts { pack_count: count, ..ProviderCounts::default() });
        one.not_covered.extend([size(count), computed(count, count)]);
    }
    let gaps = joined(&parts).not_covered;
    let counted =
        |begin: &str| -> Vec<&String> { gaps.iter().filter(|gap| gap.contains(begin)).collect() };
    assert_eq!(counted("more than the size"), [&size(7)]);
    assert_eq!(counted("in no provider report"), [&computed(7, 7)]);
}

/// Y-17
#[test]
fn a_part_that_says_worse_than_its_findings_is_not_made_better() {
    let vault = vault_of(1);
    let mut parts = parts_of(&vault, Level::Bytes, 2, &Part::default());
    parts[1].1.vaults[0].verdict = Verdict::Damaged;
    assert_eq!(joined(&parts).verdict, Verdict::Damaged);
    let row = |problem: Option<&str>| SinceRow {
        file: "kept.json".to_owned(),
        signer: SignerId::from_bytes([3; 8]),
        size_then: 4,
        size_now: 9,
        problem: problem.map(str::to_owned),
    };
    parts[0].1.vaults[0].since = vec![row(None)];
    parts[1].1.vaults[0].since = vec![row(Some("it was cut"))];
    assert_eq!(joined(&parts).since, [row(Some("it was cut"))]);
}

#[test]
fn numbers_that_somebody_made_up_break_nothing() {
    let vault = vault_of(1);
    let parts = parts_of(&vault, Level::Contents, 2, &share("50%", "x"));
    for number in [0, 1, u64::from(u32::MAX), u64::MAX] {
        let mut forged = parts.clone();
        for (_, report) in &mut forged {
            let one = &mut report.vaults[0];
            (one.object_count, one.read_len) = (number, number);
            let stored = one.stored.as_mut().unwrap();
            (stored.locked_count, stored.attested_count) = (number, number);
            let files = one.files.as_mut().unwrap();
            (files.file_count, files.checked_dump_count) = (number, number);
            let sample = one.sample.as_mut().unwrap();
            (sample.pack_count, sample.pack_len) = (number, number);
            let row = &mut one.record.snapshots[0];
            row.finding_count = number;
            one.touched = vec![TouchedRow {
                files: vec![format!("{}.jpg", one.shard.as_ref().unwrap().index)],
                file_count: number,
                ..TouchedRow::new(row.id)
            }];
        }
        let one = joined(&forged);
        assert!(one.sample_percent() <= 100 && one.object_count >= number.min(1));
        for (_, report) in &mut forged {
            let shard = report.vaults[0].shard.as_mut().unwrap();
            (shard.pack_count, shard.all_pack_count) = (number, number);
            shard.count = u32::try_from(number).unwrap_or(u32::MAX);
        }
        merge(&forged).unwrap_err();
    }
}

/// Y-17
#[test]
fn ledgers_that_went_on_between_parts_count_as_far_as_every_part_saw_them() {
    let vault = vault_of(1);
    let mut parts = parts_of(&vault, Level::Bytes, 2, &Part::default());
    let grown = &mut parts[1].1.vaults[0].ledgers[0];
    let size = grown.size;
    (grown.size, grown.root) = (size + 2, "ab".repeat(32));
    let one = joined(&parts);
    assert_eq!(one.ledgers, parts[0].1.vaults[0].ledgers);
    let gap = format!("it had {size} to {} events, and all parts saw {size}", size + 2);
    assert!(one.not_covered.iter().any(|line| line.ends_with(&gap)), "{:?}", one.not_covered);
    assert!(one.is_sound());
    parts[1].1.vaults[0].ledgers[0].size = size;
    let forked = joined(&parts);
    assert!(!forked.is_sound());
    assert!(forked.findings.iter().any(|one| one.code == Code::LedgerBroken));
}
