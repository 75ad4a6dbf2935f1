//! Reports of every kind, made up.

use std::collections::BTreeMap;

use idswyft_vault::base::{Code, Digest, SignerId, SnapshotId};
use idswyft_vault::format::event_fields::Outcome;
use idswyft_vault::ops::report::{
    BarredCounts, CoverageReport, DrillRow, FileCounts, Finding, GapRow, GoneRow, HoldRow,
    LedgerHead, Level, PolicyRow, ProviderCounts, ReceiptCounts, RecordReport, Report, RpoRow,
    RpoSource, SampleMethod, SampleReport, ShardReport, SinceRow, SnapshotRow, SnapshotState,
    StoredCounts, TouchedRow, Verdict, VerifiedRow, VerifyReport,
};
use idswyft_vault::store::{LockMode, StorageClass};
use jiff::Timestamp;

const DAY_S: i64 = 86_400;
/// 2026-11-22T02:30:00Z.
const NOW_S: i64 = 1_795_314_600;
const HOST: SignerId = SignerId::from_bytes([0x1a; 8]);
const JANITOR: SignerId = SignerId::from_bytes([0x2b; 8]);
const AUDITOR: SignerId = SignerId::from_bytes([0x3c; 8]);

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn id(second: i64) -> SnapshotId {
    SnapshotId::new(at(second), [0x5e; 4])
}

/// A report of vaults, made on 22 November 2026.
pub fn report(vaults: Vec<VerifyReport>) -> Report {
    Report::new(at(NOW_S), at(NOW_S + 754), vaults)
}

/// A vault without a snapshot, of which nothing is known.
pub fn empty() -> VerifyReport {
    VerifyReport {
        vault: "c0ffee00c0ffee00c0ffee00c0ffee00".into(),
        store: "local".into(),
        location: Some("file:///srv/copy".into()),
        level: Level::Stored,
        verdict: Verdict::Sound,
        proves: [Level::Ledger, Level::Stored].map(|level| level.proves().to_owned()).to_vec(),
        snapshot_count: 0,
        object_count: 0,
        read_len: 0,
        stored: None,
        barred: None,
        scope_sha256: None,
        sample: None,
        shard: None,
        files: None,
        coverage: None,
        joined: None,
        ledgers: Vec::new(),
        findings: Vec::new(),
        since: Vec::new(),
        touched: Vec::new(),
        each: BTreeMap::new(),
        not_covered: vec![
            "whether stored bytes are what was signed".into(),
            "whether contents open and match their digests".into(),
            "events after the newest checkpoint that you kept yourself, if a store was rolled back"
                .into(),
        ],
        record: RecordReport::default(),
    }
}

/// A vault with a snapshot a day for so many days, kept by the usual rules, and nothing wrong.
pub fn sound(days: i64) -> VerifyReport {
    let mut vault = VerifyReport {
        store: "glacier".into(),
        level: Level::Contents,
        proves: Level::ALL.map(|level| level.proves().to_owned()).to_vec(),
        snapshot_count: u64::try_from(days).unwrap(),
        object_count: 41_203,
        read_len: 1_503_238_553_600,
        ..empty()
    };
    vault.not_covered.drain(..2);
    vault.stored = Some(StoredCounts {
        classes: [(StorageClass::Standard, 1203), (StorageClass::DeepArchive, 40_000)].into(),
        locked_count: 41_203,
        locked_until: Some(at(NOW_S + 300 * DAY_S)),
        not_locked_count: 0,
        attested_count: 41_203,
        not_attested_count: 0,
        locks: [(LockMode::Governance, 3), (LockMode::Compliance, 41_200)].into(),
        rewritten_count: 0,
        receipts: Some(ReceiptCounts {
            object_count: 12,
            without_count: 1,
            first: at(NOW_S - 30 * DAY_S),
            last: at(NOW_S - DAY_S),
            store: Some("glacier".to_owned()),
        }),
        provider: Some(ProviderCounts {
            pack_count: 40_000,
            computed_pack_count: 39_998,
            other_count: 1203,
            computed_other_count: 1203,
            reported: Some(at(NOW_S - 2 * DAY_S)),
        }),
    });
    vault.ledgers = [HOST, JANITOR, AUDITOR]
        .into_iter()
        .zip(1u8..)
        .map(|(signer, n)| LedgerHead {
            signer: signer.to_string(),
            size: u64::from(n) * 811,
            root: digest(n).to_string(),
        })
        .collect();
    vault.record = record(days);
    vault
}

fn record(days: i64) -> RecordReport {
    let first = NOW_S - days * DAY_S;
    let policy = |text: &str| serde_json::from_str(text).unwrap();
    RecordReport {
        policies: vec![
            PolicyRow {
                number: 1,
                since: at(first - DAY_S),
                policy: policy(r#"{"keep_daily":30,"keep_monthly":84,"floor":"5y"}"#),
            },
            PolicyRow {
                number: 4,
                since: at(first + days / 2 * DAY_S),
                policy: policy(
                    r#"{"keep_daily":60,"keep_monthly":84,"floor":"5y","ceiling":"7y"}"#,
                ),
            },
        ],
        snapshots: (0..days).map(|day| row(first + day * DAY_S, day, days)).collect(),
        gaps: Vec::new(),
        judged: Some(at(NOW_S)),
        rpo: Some(RpoRow { hours: 26, source: RpoSource::Config }),
        drills: (1..=(days / 90).max(1))
            .map(|n| DrillRow {
                time: at(first + n * 60 * DAY_S),
                signer: AUDITOR,
                store: "local".into(),
                snapshot: id(first + n * 59 * DAY_S),
                outcome: if n == 2 { Outcome::Failed } else { Outcome::Passed },
                duration_s: 1260 + u64::try_from(n).unwrap() * 37,
                finding_count: u64::from(n == 2),
            })
            .collect(),
        verifications: (0..days / 7)
            .map(|week| verified(first + (week * 7 + 1) * DAY_S, week))
            .collect(),
    }
}

fn verified(second: i64, week: i64) -> VerifiedRow {
    let level = match week % 12 {
        0 => Level::Contents,
        4 | 8 => Level::Bytes,
        2 | 6 => Level::Ledger,
        _ => Level::Stored,
    };
    let has_failed = week == 9;
    VerifiedRow {
        time: at(second),
        signer: AUDITOR,
        store: "glacier".into(),
        level: level.name().to_owned(),
        snapshot: None,
        sample_percent: if level == Level::Bytes { 10 } else { 100 },
        outcome: if has_failed { Outcome::Failed } else { Outcome::Passed },
        object_count: 900,
        finding_count: u64::from(has_failed),
    }
}

fn row(second: i64, day: i64, days: i64) -> SnapshotRow {
    let is_gone = days - day > 60 && day % 30 != 0;
    let is_held = day % 300 == 200;
    let hold = HoldRow {
        signer: JANITOR,
        from: at(second + 5 * DAY_S),
        until: None,
        released: Some(at(second + 90 * DAY_S)).filter(|_| is_gone),
    };
    let gone = GoneRow {
        time: at(second + 60 * DAY_S),
        rule: "older than 60 daily".into(),
        by: "retain".into(),
        signer: JANITOR,
    };
    let grown = u64::try_from(day).unwrap() * 90_000_000;
    SnapshotRow {
        id: id(second),
        time: at(second),
        signer: Some(HOST),
        state: if is_gone { SnapshotState::Forgotten } else { SnapshotState::Standing },
        policy: Some(if day < days / 2 { 1 } else { 4 }),
        floor: Some(at(second + 365 * DAY_S)),
        ceiling: Some(at(second + 7 * 365 * DAY_S)),
        locked_until: Some(at(second + 400 * DAY_S)),
        holds: if is_held { vec![hold] } else { Vec::new() },
        gone: is_gone.then_some(gone),
        stored_len: Some(900_000_000_000 + grown / 2),
        new_len: Some(if day == 0 { 900_000_000_000 } else { 90_000_000 }),
        finding_count: 0,
    }
}

/// A finding.
pub fn finding(code: Code, object: &str, detail: &str) -> Finding {
    Finding { code, object: object.into(), detail: detail.into() }
}

/// A vault with a finding of every code, on objects with names that somebody meant ill with.
pub fn damaged() -> VerifyReport {
    let mut vault = sound(420);
    let hostile =
        "<script>alert('x')</script> \u{202e}gpj.exe\u{7}\u{1b}[2J <img src=//x.invalid/y>";
    let each = Code::ALL.iter().map(|code| {
        let object = format!("packs/ab/{}", digest(7));
        finding(*code, &object, "its SHA-256 is not the one that was signed")
    });
    let codes: Vec<Finding> = each.filter(|one| is_of_a_vault(one.code)).collect();
    vault.findings = codes;
    vault.findings.push(finding(Code::ContentsAltered, hostile, hostile));
    vault.store = "glacier <b>".into();
    vault.not_covered.push(hostile.to_owned());
    vault.verdict = Verdict::of(&vault.findings);
    let rows = &mut vault.record.snapshots;
    rows[100].state = SnapshotState::Missing;
    rows[100].gone = None;
    rows[100].finding_count = 1;
    rows[390].finding_count = 2;
    rows.drain(380..384);
    let touched = TouchedRow {
        files: vec!["db.sql".to_owned(), format!("uploads/{hostile}")],
        file_count: 1200,
        tables: ["public.users".to_owned()].into(),
        object_count: 3,
        ..TouchedRow::new(rows[100].id)
    };
    vault.touched = vec![touched];
    vault.since = since();
    vault.record.gaps = vec![
        GapRow { from: rows[379].time, to: Some(rows[380].time), hours: 120, allowed_hours: 26 },
        GapRow { from: rows.last().unwrap().time, to: None, hours: 27, allowed_hours: 26 },
    ];
    vault
}

/// What became of the ledgers that somebody kept a year ago.
fn since() -> Vec<SinceRow> {
    let row = |signer, problem: Option<&str>| SinceRow {
        file: "2025 <i>.json".into(),
        signer,
        size_then: 611,
        size_now: 811,
        problem: problem.map(str::to_owned),
    };
    vec![row(HOST, None), row(JANITOR, Some("its first 611 events have another root"))]
}

fn is_of_a_vault(code: Code) -> bool {
    use idswyft_vault::base::Family;
    matches!(code.family(), Family::Damaged | Family::Unsupported)
}

/// A vault of which a sample was looked at, with every field that a report can have.
pub fn sampled() -> VerifyReport {
    let mut vault = sound(400);
    vault.findings = vec![finding(Code::ObjectUnreferenced, "packs/ab/x", "nothing names it")];
    vault.verdict = Verdict::Remarks;
    let (from, until) = (at(NOW_S - 390 * DAY_S), Some(at(NOW_S - 300 * DAY_S)));
    vault.record.snapshots[1].holds =
        vec![HoldRow { signer: JANITOR, from, until, released: Some(at(NOW_S - 350 * DAY_S)) }];
    vault.record.gaps =
        vec![GapRow { from: at(NOW_S - 9 * DAY_S), to: None, hours: 216, allowed_hours: 26 }];
    vault.scope_sha256 = Some(digest(9));
    vault.sample = Some(SampleReport {
        method: SampleMethod::Confidence { confidence: "99%".into(), loss: "0.1%".into() },
        pack_count: 40_000,
        pack_len: 1_400_000_000_000,
        sample_count: 4600,
        sample_len: 161_000_000_000,
        public: "2026-11-22 beacon 81f3".into(),
        public_given: true,
        seed: digest(4),
        says: "If 0.1 % of the packs or more were damaged, this sample would have met one with a \
               probability of 99 %."
            .into(),
        not_said: "Whether fewer packs than that are damaged.".into(),
    });
    vault.shard = Some(ShardReport {
        index: 2,
        count: 3,
        all_pack_count: 4600,
        pack_count: 1530,
        shared_object_count: 811,
        shared_read_len: 99_000,
    });
    vault.files = Some(FileCounts {
        file_count: 120_000,
        checked_file_count: 11_900,
        dump_count: 400,
        checked_dump_count: 31,
    });
    vault.coverage = Some(CoverageReport {
        level: Level::Bytes,
        pack_count: 40_000,
        month_count: 4600,
        quarter_count: 12_000,
        year_count: 39_000,
        never_count: 1000,
        oldest: Some(at(NOW_S - 360 * DAY_S)),
    });
    vault.barred =
        Some(BarredCounts { pack_count: 40_000, barred_pack_count: 0, barred_other_count: 7 });
    vault.since = since().into_iter().take(1).collect();
    vault.joined = Some(2);
    vault
}
