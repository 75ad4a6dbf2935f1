//! Real file systems that fail: read-only from one moment to the next, full at any place, and
//! without power.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::loopback::Loop;
use crate::support::program::{Program, command_source};
use crate::support::vault::noise;

const MIB: u64 = 1 << 20;

fn fill(program: &Program, from: u64, count: u64) {
    for index in from..from + count {
        program.write(&format!("{index}.jpg"), &noise(index, 300_000));
    }
}

/// Writes a dump of a few packs, of which no two rows are alike.
fn write_long_dump(program: &Program) {
    let row = |index: u64| format!("{}\n", hex::encode(noise(index, 60)));
    program.write_dump(&(0..80_000).map(row).collect::<String>());
}

/// Lets a shell command be run in the middle of the dump.
fn interrupt_dump(program: &Program, command: &str) {
    let dump = program.path("db.sql");
    let half = fs::metadata(&dump).unwrap().len() / 2;
    let text = format!(
        "#!/bin/sh\nhead -c {half} {0}\n{command}\ntail -c +{1} {0}\n",
        dump.display(),
        half + 1
    );
    let script = program.script("interrupted", &text);
    let sources = command_source(&[script.to_str().unwrap()]) + &program.uploads_source();
    program.configure(&[&program.recipient], "", &sources);
}

fn assert_restores(program: &Program, file_count: u64) {
    let out = program.restore("latest", 0);
    for index in 0..file_count {
        let restored = fs::read(out.join(format!("uploads/{index}.jpg"))).unwrap();
        assert!(restored == noise(index, 300_000), "{index}");
    }
    let dump = |path: &Path| fs::read(path).unwrap();
    assert!(dump(&out.join("db.sql")) == dump(&program.path("db.sql")));
    fs::remove_dir_all(out).unwrap();
}

/// Takes a snapshot during which a disk becomes read-only; returns what was in the store then.
fn snapshot_on_failing(program: &Program, disk: &Loop, code: &str) {
    write_long_dump(program);
    fill(program, 0, 4);
    program.snapshot(0);
    let before = program.objects();
    fill(program, 4, 4);
    let rows: String = (0..80_000).map(|row| format!("{row}\n")).collect();
    program.write_dump(&rows);
    interrupt_dump(program, &disk.read_only_command());
    program.run(&["snapshot", "--json"]).expect_error(1, code);
    // What can still be read is whole, before anybody repairs anything.
    program.assert_sound();
    assert_eq!(program.newest_file_count(), 4);
    disk.repair();
    program.assert_sound();
    let left = program.objects();
    let names = |objects: &[(std::path::PathBuf, u64)]| {
        objects.iter().map(|(path, _)| path.clone()).collect::<std::collections::BTreeSet<_>>()
    };
    assert!(names(&before).is_subset(&names(&left)), "an object is gone");
    program.configure(&[&program.recipient], "", &program.usual_sources());
    assert_eq!(program.snapshot(0)["file_count"], 8);
    assert_restores(program, 8);
}

#[test]
fn a_store_that_becomes_read_only_in_a_snapshot_loses_nothing() {
    let program = Program::new();
    let Some(disk) = Loop::mount(&program.store, 64 * MIB) else { return };
    // What a file system has in its root is none of the store's.
    fs::remove_dir(program.store.join("lost+found")).unwrap();
    program.init();
    snapshot_on_failing(&program, &disk, "store-unavailable");
}

#[test]
fn a_state_directory_that_becomes_read_only_in_a_snapshot_loses_nothing() {
    let program = Program::new();
    let Some(disk) = Loop::mount(&program.state, 32 * MIB) else { return };
    program.init();
    snapshot_on_failing(&program, &disk, "state-unavailable");
}

#[test]
fn a_target_that_becomes_read_only_in_a_restore_is_said_and_done_again() {
    let program = Program::initialised();
    write_long_dump(&program);
    fill(&program, 0, 20);
    program.snapshot(0);
    let Some(disk) = Loop::mount(&program.path("disk"), 64 * MIB) else { return };
    let target = program.path("disk/out");
    let words = ["restore", "latest", "--json", "-i", "operator.key", "--overwrite", "--target"];
    let words = [&words[..], &[target.to_str().unwrap()]].concat();
    let failed = (0..20).any(|_| {
        let mut command = program.command(&words);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The dump is restored first, so there is much to come.
        let begun = target.join(".idswyft-vault-restoring/db.sql");
        while !begun.exists() && !target.join("db.sql").exists() {
            std::hint::spin_loop();
        }
        let broken = Command::new("sh").args(["-c", &disk.read_only_command()]).status();
        assert!(broken.unwrap().success());
        let ran = crate::support::program::Ran::of(child.wait_with_output().unwrap());
        if ran.code != 0 {
            ran.expect_error(1, "target-unavailable");
        }
        disk.repair();
        ran.code != 0
    });
    assert!(failed, "every restore was faster than the disk's failure");
    program.run(&words).expect(0);
    for index in 0..20 {
        let restored = fs::read(target.join(format!("uploads/{index}.jpg"))).unwrap();
        assert!(restored == noise(index, 300_000), "{index}");
    }
}

#[test]
fn a_store_that_is_full_at_any_place_loses_nothing() {
    let program = Program::new();
    let Some(_disk) = Loop::mount(&program.store, 24 * MIB) else { return };
    fs::remove_dir(program.store.join("lost+found")).unwrap();
    program.init();
    fill(&program, 0, 2);
    program.snapshot(0);
    fill(&program, 2, 12);
    let ballast = program.path("store/.idswyft-vault-staging/ballast");
    let mut refused_count = 0;
    // Whatever takes the last block: the first pack, a later one, a tree, a body, the ledger.
    for room in [0, 8, 40, 100, 900, 2000, 3400, 3700, 3760, 3800, 3850, 3900, 4000, 4100] {
        let free = free_len(&program.store);
        fs::write(&ballast, vec![1; usize::try_from(free.saturating_sub(room * 1024)).unwrap()])
            .unwrap();
        let ran = program.run(&["snapshot", "--json"]);
        fs::remove_file(&ballast).unwrap();
        if ran.code == 0 {
            break;
        }
        ran.expect_error(1, "store-full");
        refused_count += 1;
        program.assert_sound();
        let count = program.newest_file_count();
        assert!([2, 14].contains(&count), "{count}");
    }
    assert!(refused_count >= 4, "{refused_count} runs found no room");
    assert_eq!(program.snapshot(0)["file_count"], 14);
    assert_restores(&program, 14);
}

fn free_len(path: &Path) -> u64 {
    let stat = rustix::fs::statvfs(path).unwrap();
    stat.f_bavail * stat.f_frsize
}

/// Puts store and state on a disk of their own.
fn on_disk(len: u64) -> Option<(Program, Loop)> {
    let mut program = Program::new();
    let disk = Loop::mount(&program.path("disk"), len)?;
    program.state = program.path("disk/state");
    program.store = program.path("disk/store");
    program.configure(&[&program.recipient], "", &program.usual_sources());
    Some((program, disk))
}

#[test]
fn what_was_acknowledged_is_there_after_a_power_cut() {
    let Some((program, disk)) = on_disk(64 * MIB) else { return };
    let kit = ["init", "--json", "--kit", "disk/media/kit/of/the/vault"];
    program.run(&kit).expect(0);
    disk.cut_power();
    assert!(program.path("disk/media/kit/of/the/vault").read_dir().unwrap().next().is_some());
    fill(&program, 0, 4);
    program.snapshot(0);
    disk.cut_power();
    assert_restores(&program, 4);
    fill(&program, 4, 4);
    program.snapshot(0);
    disk.cut_power();
    program.assert_sound();
    assert_restores(&program, 8);
    // Nothing is stored again: what was recorded was recorded durably.
    let before = program.objects().len();
    program.snapshot(0);
    let new = program.objects().len() - before;
    assert_eq!(new, 6, "segment, body, list, note, event and checkpoint");
}

#[test]
fn a_restore_that_was_reported_as_done_survives_a_power_cut() {
    let program = Program::initialised();
    fill(&program, 0, 4);
    program.write("below/deep/a.jpg", b"1");
    program.snapshot(0);
    let Some(disk) = Loop::mount(&program.path("disk"), 32 * MIB) else { return };
    let words = ["restore", "latest", "--json", "-i", "operator.key", "--target", "disk/a/b/out"];
    for more in [&[][..], &["--overwrite"]] {
        program.run(&[&words[..], more].concat()).expect(0);
        disk.cut_power();
        let out = program.path("disk/a/b/out");
        for index in 0..4 {
            let restored = fs::read(out.join(format!("uploads/{index}.jpg"))).unwrap();
            assert!(restored == noise(index, 300_000), "{index}");
        }
        let read = |path: &Path| fs::read(path).unwrap();
        assert!(read(&out.join("db.sql")) == read(&program.path("db.sql")));
        assert_eq!(read(&out.join("uploads/below/deep/a.jpg")), b"1");
        let facts: serde_json::Value =
            serde_json::from_slice(&read(&out.join("facts.json"))).unwrap();
        assert_eq!(facts["uploads"]["file_count"], 5);
        // The next one finds directories in its way, into which it puts names.
        fs::remove_file(out.join("uploads/below/deep/a.jpg")).unwrap();
    }
}
