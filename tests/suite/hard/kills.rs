//! `kill -9` of the real program at any moment: nothing is lost, and the next run goes on.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use idswyft_vault::base::Code;
use idswyft_vault::ops::verify::Level;

use crate::support::program::Program;
use crate::support::vault::{TestVault, noise};
use crate::support::{Figure, Random, is_long};

/// How a run ended that was to be killed.
#[derive(PartialEq)]
enum Ended {
    Killed,
    ByItself(i32),
}

/// Starts the program and kills it after a while; the kernel gives it no chance to say anything.
fn run_and_kill(program: &Program, args: &[&str], after: Duration) -> Ended {
    let mut command = program.command(args);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap().code().map_or(Ended::Killed, Ended::ByItself)
}

/// Length of each file: a turn's are one pack, and the dump is some blocks of another.
const FILE_LEN: usize = 300_000;

fn fill(program: &Program, turn: u64) {
    for index in 0..12 {
        program.write(&format!("{turn}/{index}.jpg"), &noise(turn * 100 + index, FILE_LEN));
    }
    let rows: String = (0..60_000).map(|row| format!("{}\n", row * 7 + turn)).collect();
    program.write_dump(&rows);
}

fn packs(program: &Program) -> BTreeMap<PathBuf, u64> {
    let objects = program.objects().into_iter();
    objects.filter(|(path, _)| path.starts_with("packs") || path.starts_with("trees")).collect()
}

fn snapshot_ids(program: &Program) -> Vec<String> {
    let listed = program.run(&["snapshots", "--json"]).expect(0);
    let snapshots = listed["snapshots"].as_array().unwrap();
    snapshots.iter().map(|snapshot| snapshot["id"].as_str().unwrap().to_owned()).collect()
}

/// Repeats a round of kills, which returns how many runs there were and how many were killed.
#[expect(clippy::print_stdout, reason = "the log of a test tells what the moments hit")]
fn rounds(
    what: &str,
    test: &str,
    (short, long): (usize, usize),
    mut round: impl FnMut(&mut Random) -> (usize, usize),
) {
    let mut random = Random::new();
    let (mut run_count, mut killed_count) = (0, 0);
    for _ in 0..if is_long() { long } else { short } {
        let (runs, killed) = round(&mut random);
        run_count += runs;
        killed_count += killed;
    }
    println!("{killed_count} of {run_count} runs were killed before they had ended");
    assert!(killed_count > 0, "no run was killed");
    Figure { what: &format!("kill -9 of {what} at random moments"), test }.record(run_count);
}

/// How long a run takes that nobody kills, so that most kills meet one that is under way.
fn time_of(run: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    run();
    begun.elapsed()
}

#[test]
fn a_snapshot_killed_at_any_moment_costs_nothing_but_its_own_work() {
    let test = "a_snapshot_killed_at_any_moment";
    rounds("snapshot", test, (1, 40), kill_snapshots);
}

fn kill_snapshots(random: &mut Random) -> (usize, usize) {
    const TURNS: u64 = 12;
    let program = Program::initialised();
    fill(&program, 0);
    let mut first = String::new();
    let usual = time_of(|| first = program.snapshot(0)["id"].as_str().unwrap().to_owned());
    let mut killed_count = 0;
    for turn in 1..=TURNS {
        fill(&program, turn);
        let before = packs(&program);
        let ended = run_and_kill(&program, &["snapshot"], random.moment(usual));
        assert!(matches!(ended, Ended::Killed | Ended::ByItself(0)), "turn {turn}");
        let durable = packs(&program);
        killed_count += usize::from(ended == Ended::Killed);
        program.assert_sound();
        if turn % 4 == 0 {
            let out = program.restore(&first, 0);
            assert!(fs::read(out.join("uploads/0/3.jpg")).unwrap() == noise(3, FILE_LEN));
            fs::remove_dir_all(out).unwrap();
        }
        let report = program.snapshot(0);
        assert_eq!(report["file_count"], 12 * (turn + 1));
        let complete = packs(&program);
        for (path, inode) in &durable {
            assert_eq!(complete.get(path), Some(inode), "{path:?} was written anew");
        }
        // 3.6 MB of files and 0.2 MB of rows are new in each turn, whatever was killed: three packs
        // of the killed run, of which the last may not have been recorded, and three of the next.
        let new_count = complete.len() - before.len();
        assert!(new_count <= 7, "turn {turn}: {new_count} packs for 4 MB");
        // Staging is swept by each run, so a dozen kills do not pile up.
        let staged = fs::read_dir(program.store.join(".idswyft-vault-staging"));
        assert!(staged.map_or(0, Iterator::count) == 0, "turn {turn}");
    }
    program.assert_sound();
    for id in snapshot_ids(&program) {
        fs::remove_dir_all(program.restore(&id, 0)).unwrap();
    }
    let out = program.restore("latest", 0);
    for turn in 0..=TURNS {
        for index in 0..12 {
            let restored = fs::read(out.join(format!("uploads/{turn}/{index}.jpg"))).unwrap();
            assert!(restored == noise(turn * 100 + index, FILE_LEN));
        }
    }
    (usize::try_from(TURNS).unwrap(), killed_count)
}

#[test]
fn an_init_killed_at_any_moment_is_finished_by_running_it_again() {
    let usual = time_of(|| drop(Program::initialised()));
    let test = "an_init_killed_at_any_moment";
    rounds("init", test, (16, 280), |random| (1, usize::from(kill_init(random, usual))));
}

fn kill_init(random: &mut Random, usual: Duration) -> bool {
    let program = Program::new();
    program.write("a.jpg", b"contents");
    let args = ["init", "--json", "--kit", "kit"];
    let ended = run_and_kill(&program, &args, random.moment(usual));
    let again = program.run(&args);
    match again.code {
        0 => {}
        // It was complete when it was killed.
        _ => again.expect_error(1, "vault-exists"),
    }
    assert_eq!(program.snapshot(0)["file_count"], 1);
    program.assert_sound();
    // The kit that goes with the vault is whole.
    let key = program.run(&["ledger", "key"]);
    let kits = fs::read_dir(program.path("kit")).unwrap().map(|kit| kit.unwrap().path());
    let complete = kits.filter(|kit| {
        let readable = fs::read_to_string(kit.join("vault.key")).unwrap_or_default();
        readable == key.stdout && kit.join("README.txt").exists()
    });
    assert_eq!(complete.count(), 1, "{}", key.stdout);
    ended == Ended::Killed
}

#[test]
fn a_restore_killed_at_any_moment_is_done_by_running_it_again() {
    let program = Program::initialised();
    for turn in 0..3 {
        fill(&program, turn);
    }
    program.snapshot(0);
    let usual = time_of(|| fs::remove_dir_all(program.restore("latest", 0)).unwrap());
    let test = "a_restore_killed_at_any_moment";
    rounds("restore", test, (8, 140), |random| {
        (1, usize::from(kill_restore(&program, random.moment(usual))))
    });
}

fn kill_restore(program: &Program, after: Duration) -> bool {
    let words = ["restore", "latest", "--json", "-i", "operator.key", "--target", "out"];
    let ended = run_and_kill(program, &words, after);
    if ended == Ended::Killed && program.path("out").exists() {
        // What is half restored never looks whole to who starts anew.
        let ran = program.run(&words);
        assert!(ran.code == 0 || ran.stdout.contains("target-not-empty"), "{ran:?}");
    }
    program.run(&[&words[..], &["--overwrite"]].concat()).expect(0);
    for turn in 0..3 {
        let restored = fs::read(program.path(&format!("out/uploads/{turn}/7.jpg"))).unwrap();
        assert!(restored == noise(turn * 100 + 7, FILE_LEN));
    }
    let dump = |name| fs::read(program.path(name)).unwrap();
    assert!(dump("out/db.sql") == dump("db.sql"));
    let names = fs::read_dir(program.path("out")).unwrap().count();
    assert_eq!(names, 3, "nothing half-made is left beside db.sql, uploads and facts.json");
    fs::remove_dir_all(program.path("out")).unwrap();
    ended == Ended::Killed
}

#[test]
fn a_verification_killed_at_any_moment_changes_nothing() {
    let program = Program::initialised();
    fill(&program, 0);
    program.snapshot(0);
    let usual = time_of(|| program.assert_sound());
    let before = program.objects();
    let words = ["verify", "--level", "contents", "-i", "operator.key"];
    let test = "a_verification_killed_at_any_moment";
    rounds("verify", test, (6, 100), |random| {
        let ended = run_and_kill(&program, &words, random.moment(usual));
        assert_eq!(program.objects(), before);
        (1, usize::from(ended == Ended::Killed))
    });
    program.assert_sound();
    assert_eq!(program.snapshot(0)["file_count"], 12);
}

/// What a kill between two deliveries leaves, and what it never leaves.
///
/// V-155
#[test]
fn what_an_interrupted_delivery_leaves_is_no_damage_and_what_it_cannot_leave_is() {
    let vault = TestVault::new();
    vault.write_dump(&["1\tx".to_owned()]);
    vault.snapshot();
    vault.snapshot();
    let signer = fs::read_dir(vault.path("store/ledger")).unwrap().next().unwrap().unwrap().path();
    // 0: the vault, 1: the generation, 2 and 3: the snapshots.
    let remove = |name: &str| fs::remove_file(signer.join(name)).unwrap();
    let verify = || {
        let report = vault.verify(Level::Contents);
        let codes = report.findings.iter().map(|finding| finding.code).collect::<Vec<_>>();
        (report.is_sound(), codes)
    };
    assert_eq!(verify(), (true, vec![]));
    remove("0000000003.checkpoint");
    assert_eq!(verify(), (true, vec![Code::RecordPending, Code::RecordPending]));
    remove("0000000003.json");
    assert_eq!(verify(), (true, vec![Code::RecordPending]));
    let event = fs::read(signer.join("0000000002.json")).unwrap();
    remove("0000000002.json");
    let (is_sound, codes) = verify();
    assert!(!is_sound && codes.contains(&Code::LedgerBroken), "{codes:?}");
    remove("0000000002.checkpoint");
    assert_eq!(verify(), (false, vec![Code::NoteMismatch, Code::NoteMismatch]));
    fs::write(signer.join("0000000002.json"), event).unwrap();
    let (is_sound, codes) = verify();
    assert!(!is_sound && codes.contains(&Code::RecordPending), "{codes:?}");
}
