//! How many packs are looked at, which, and what that says.

use std::collections::BTreeSet;
use std::process::Command;

use idswyft_vault::base::{Code, Coded, PackId, SnapshotId, VaultId};
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::manifest::{self, Needed, Standing};
use idswyft_vault::ops::verify::{Level, Method, Part, PublicValue, rank};
use idswyft_vault::policy::Confidence;
use idswyft_vault::policy::sampling::sample_count;

use super::bench::{
    chosen_again, damage, look, look_at, look_recorded, objects, sample_of, share, vault_of,
};
use crate::support::sha256;
use crate::support::vault::TestVault;

/// Y-1
#[test]
fn samples_meet_damage_as_often_as_they_promise() {
    const DRAW_COUNT: u32 = 300;
    const PACK_COUNT: u32 = 400;
    const DAMAGED_COUNT: u32 = 8;
    let confidence: Confidence = "90%".parse().unwrap();
    let count = sample_count(PACK_COUNT.into(), DAMAGED_COUNT.into(), confidence);
    let id = |number: u32| PackId::from_bytes(*sha256(&number.to_be_bytes()).as_bytes());
    let mut met_count = 0;
    for draw in 0..DRAW_COUNT {
        let public = PublicValue { text: format!("draw {draw}"), is_given: true };
        let seed = public.seed(VaultId::from_bytes([3; 16]));
        let needed = Needed::new().unwrap();
        for number in 0..PACK_COUNT {
            needed.add(&ObjectKey::Pack(id(number)), 1).unwrap();
        }
        let standing = |id: &PackId| Ok(Standing { turn: 0, rank: rank(&seed, id) });
        needed.draw::<manifest::Error>(standing, || count).unwrap();
        assert_eq!(needed.drawn().unwrap().count, count);
        let is_met = (0..DAMAGED_COUNT).any(|number| needed.is_drawn(&id(number)).unwrap());
        met_count += u32::from(is_met);
    }
    // Three standard deviations of 300 draws are 5.2 of 100: 269.5 are expected.
    assert!((254..=286).contains(&met_count), "{met_count} of {DRAW_COUNT} met damage");
}

/// Y-4, Y-5, Y-6
#[test]
fn whoever_has_the_report_chooses_the_same_packs_again() {
    let vault = vault_of(6);
    let packs = objects(&vault, Folder::Packs);
    assert!(packs.len() >= 12);
    let method = Some(Method::Share("30%".parse().unwrap()));
    let by_ledgers = Part { method, ..Part::default() };
    let (report, read) = look_recorded(&vault, Level::Bytes, &by_ledgers);
    let sample = sample_of(&report);
    assert!(sample.public.starts_with("ledgers ") && !sample.public_given);
    assert_eq!((sample.pack_count, sample.sample_count), (packs.len() as u64, read.len() as u64));
    assert_eq!(read.len(), (packs.len() * 3).div_ceil(10));
    assert_eq!(read, chosen_again(&report, &packs));
    let mut all_given = BTreeSet::new();
    for text in ["drand round 1", "drand round 2", "the weather in Bergen: rain"] {
        let (report, given) = look_recorded(&vault, Level::Bytes, &share("30%", text));
        assert!(sample_of(&report).public == text && sample_of(&report).public_given);
        assert_eq!(given, chosen_again(&report, &packs));
        all_given.insert(given);
    }
    assert!(all_given.len() > 1, "who chooses the text chooses the sample");
    assert_eq!(look_at(&vault, Level::Bytes, &by_ledgers).sample, report.sample);
}

/// Y-4
#[test]
fn the_sample_is_chosen_again_with_coreutils_as_the_spec_says() {
    let vault = vault_of(4);
    let (report, chosen) = look_recorded(&vault, Level::Bytes, &share("50%", "drand: 17 = 8c1f"));
    let spec = include_str!("../../../spec/sampling.md");
    let (_, script) = spec.split_once("```sh\n").unwrap();
    let (script, _) = script.split_once("```").unwrap();
    let sample = sample_of(&report);
    let output = Command::new("sh")
        .args(["-c", script])
        .current_dir(vault.path("store"))
        .env("VAULT", &report.vault)
        .env("PUBLIC", &sample.public)
        .env("COUNT", sample.sample_count.to_string())
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let by_hand = String::from_utf8(output.stdout).unwrap();
    let by_hand: BTreeSet<ObjectKey> =
        by_hand.lines().map(|line| ObjectKey::Pack(line.parse().unwrap())).collect();
    assert_eq!(by_hand, chosen);
}

/// Y-3, Y-14
#[test]
fn what_a_sample_leaves_out_is_said_as_plainly_as_what_it_found() {
    let vault = vault_of(6);
    let packs = objects(&vault, Folder::Packs);
    let part = share("30%", "a text");
    let (report, chosen) = look_recorded(&vault, Level::Bytes, &part);
    let left_count = packs.len() - chosen.len();
    let gap = format!("{left_count} of {} packs: they are not in the sample", packs.len());
    assert_eq!(report.not_covered[0], gap);
    let sample = sample_of(&report);
    assert_eq!(report.not_covered[1], sample.not_said);
    assert!(sample.says.contains(&format!("a sample of {} would have met one", chosen.len())));
    let of = format!("Of {} of {} packs, and of those alone: ", chosen.len(), packs.len());
    let qualified: Vec<bool> = report.proves.iter().map(|one| one.starts_with(&of)).collect();
    assert_eq!(qualified, [false, true, true]);
    let percent = u8::try_from(chosen.len() * 100 / packs.len()).unwrap();
    assert_eq!(report.sample_percent(), percent);
    // What is damaged is found in the sample and beside packs, and nowhere else.
    let left = packs.difference(&chosen).next().unwrap();
    damage(&vault, left);
    assert!(look_at(&vault, Level::Bytes, &part).is_sound());
    let tree = *objects(&vault, Folder::Trees).first().unwrap();
    damage(&vault, chosen.first().unwrap());
    damage(&vault, &tree);
    let found = look_at(&vault, Level::Bytes, &part).findings;
    let objects: Vec<&str> = found.iter().map(|one| one.object.as_str()).collect();
    assert_eq!(objects, [chosen.first().unwrap().to_string(), tree.to_string()]);
    let whole = look_at(&vault, Level::Bytes, &share("100%", "a text"));
    assert_eq!((whole.findings.len(), whole.sample_percent()), (3, 100));
    assert!(whole.not_covered.iter().all(|gap| !gap.contains("sample")), "{whole:?}");
    assert_eq!(look_at(&vault, Level::Bytes, &Part::default()).sample_percent(), 100);
}

/// Y-11, Y-16
#[test]
fn files_and_dumps_are_compared_where_all_their_packs_are_chosen_and_counted_of_all() {
    let vault = vault_of(4);
    let part = share("40%", "a text");
    let report = look_at(&vault, Level::Contents, &part);
    let (whole, chosen) = (look_at(&vault, Level::Contents, &Part::default()), sample_of(&report));
    let (all, some) = (whole.files.unwrap(), report.files.unwrap());
    // Each file is counted with each snapshot that has it: 1 + 2 + 3 + 4.
    assert_eq!((all.file_count, all.checked_file_count), (10, 10));
    assert_eq!((all.dump_count, all.checked_dump_count), (4, 4));
    assert_eq!((some.file_count, some.dump_count), (10, 4));
    let checked = some.checked_file_count + some.checked_dump_count;
    assert!(0 < checked && checked < 14 && chosen.sample_count < chosen.pack_count, "{some:?}");
    let gap = format!(
        "the digests of {} of 10 files and {} of 4 database dumps: not all of their packs are in \
         the sample",
        10 - some.checked_file_count,
        4 - some.checked_dump_count
    );
    assert!(report.not_covered.contains(&gap), "{:?}", report.not_covered);
    let compared = format!(
        ": What is stored was decrypted, and {} of 10 files and {} of 4 database dumps came out",
        some.checked_file_count, some.checked_dump_count
    );
    assert!(report.proves[3].contains(&compared), "{:?}", report.proves);
    assert!(
        whole.proves[3].contains("and every file and every database dump came out bit for bit")
    );
    assert!(whole.not_covered.iter().all(|gap| !gap.contains("digests of")));
    let (report, read) = look_recorded(&vault, Level::Contents, &part);
    assert_eq!(read, chosen_again(&report, &objects(&vault, Folder::Packs)));
}

/// Y-3
#[test]
fn what_is_proven_of_named_snapshots_is_said_of_those_alone() {
    let vault = vault_of(4);
    let ids: Vec<SnapshotId> =
        vault.auditor(&vault.stores[0]).snapshots().unwrap().sound.into_keys().collect();
    for (part, more) in [(Part::default(), ", and of those alone: "), (share("40%", "x"), ", of ")]
    {
        let report = look(&vault, &vault.stores[0], Level::Bytes, &part, Some(&ids[..3])).unwrap();
        let named = |more: &str| format!("Of 3 snapshots that were named{more}");
        assert!(report.proves[0].starts_with(&named(", and of those alone: The records")));
        assert!(report.proves[1].starts_with(&named(more)), "{:?}", report.proves);
        assert!(report.proves[2].starts_with(&named(more)), "{:?}", report.proves);
    }
}

/// Y-11
#[test]
fn files_of_a_list_that_cannot_be_read_are_compared_all_the_same() {
    let vault = vault_of(2);
    let newest = *objects(&vault, Folder::Snapshots).last().unwrap();
    let (ObjectKey::Note(newest) | ObjectKey::Body(newest) | ObjectKey::List(newest)) = newest
    else {
        panic!("{newest} is of no snapshot")
    };
    damage(&vault, &ObjectKey::List(newest));
    let report = look_at(&vault, Level::Contents, &Part::default());
    let files = report.files.unwrap();
    assert_eq!((files.file_count, files.checked_file_count), (3, 3));
}

/// Y-13, Y-22
#[test]
fn what_cannot_be_chosen_is_refused() {
    let vault = TestVault::new();
    let rolling = Part { method: Some(Method::Rolling("1/4".parse().unwrap())), ..Part::default() };
    let memory = Some(vault.path("memory"));
    let wrong = [
        (Level::Ledger, share("10%", "x"), "level ledger looks at no pack"),
        (Level::Ledger, super::bench::shard("1/2"), "level ledger looks at no pack"),
        (Level::Bytes, rolling.clone(), "name a file for it with --memory"),
        (Level::Stored, Part { memory: memory.clone(), ..rolling.clone() }, "bytes or contents"),
        (
            Level::Bytes,
            Part { memory, shard: Some("1/2".parse().unwrap()), ..rolling },
            "has no shards",
        ),
        (Level::Bytes, share("10%", "two\nlines"), "one line"),
        (Level::Bytes, share("10%", " "), "one line"),
        (Level::Bytes, share("10%", "ledgers whatever"), "64 hex digits"),
        (Level::Bytes, share("10%", &format!("ledgers {}", "A".repeat(64))), "64 hex digits"),
        (Level::Bytes, share("10%", &"x".repeat(1001)), "one line"),
        (Level::Bytes, Part { method: None, ..share("10%", "x") }, "none is asked for"),
    ];
    for (level, part, reason) in wrong {
        let error = look(&vault, &vault.stores[0], level, &part, None).unwrap_err();
        assert_eq!(error.code(), Code::UsageInvalid);
        assert!(error.to_string().contains(reason), "{error}");
    }
    // A vault without a pack has a sample of none.
    let report = look_at(&vault, Level::Bytes, &share("10%", "x"));
    assert_eq!((sample_of(&report).sample_count, report.sample_percent()), (0, 100));
}
