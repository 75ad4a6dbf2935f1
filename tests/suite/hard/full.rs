//! Full disks in the middle of everything: said clearly, and nothing lost.

use std::fs;

use crate::support::program::{Program, Tmpfs};
use crate::support::vault::noise;

fn fill(program: &Program, first: u64, count: u64) {
    for index in first..first + count {
        program.write(&format!("{index}.jpg"), &noise(index, 500_000));
    }
}

/// Asserts that the newest snapshot is of this many files and that all of it comes back.
fn assert_newest(program: &Program, file_count: usize) {
    program.assert_sound();
    let out = program.restore("latest", 0).join("uploads");
    let names = || out.read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names().count(), file_count);
    for name in names() {
        let same = fs::read(out.join(&name)).unwrap()
            == fs::read(program.path("uploads").join(&name)).unwrap();
        assert!(same, "{name:?}");
    }
    fs::remove_dir_all(out).unwrap();
}

#[test]
fn a_store_that_fills_up_loses_nothing_and_the_next_run_goes_on() {
    let program = Program::new();
    let Some(disk) = Tmpfs::mount(&program.store, "30m") else { return };
    program.init();
    fill(&program, 0, 10);
    program.snapshot(0);
    fill(&program, 10, 100);
    for _ in 0..2 {
        let ran = program.run(&["snapshot", "--json"]);
        ran.expect_error(1, "store-full");
        assert_newest(&program, 10);
    }
    let stored = program.objects();
    disk.resize("200m");
    let report = program.snapshot(0);
    assert_eq!(report["file_count"], 110);
    // What had become durable was not sent again.
    let after = program.objects();
    assert!(stored.iter().all(|object| after.contains(object)));
    let packs = after.iter().filter(|(path, _)| path.starts_with("packs")).count();
    assert!(packs <= 17, "55 MB are {packs} packs of 4 MiB");
    assert_newest(&program, 110);
}

#[test]
fn a_state_directory_that_fills_up_loses_nothing_and_the_next_run_goes_on() {
    let program = Program::new();
    // The manifest alone takes 100 KiB; more than that makes room for ever longer parts of a run.
    let Some(disk) = Tmpfs::mount(&program.state, "16m") else { return };
    program.init();
    fill(&program, 0, 5);
    program.snapshot(0);
    fill(&program, 5, 20);
    let ballast = program.state.join("ballast");
    let used = used_len(&program.state);
    let mut refused_count = 0;
    for room in [0, 16, 64, 100, 150, 200, 250, 300, 400, 600] {
        let len = (16 << 20) - used - room * 1024;
        disk.resize("16m");
        fs::write(&ballast, vec![1; usize::try_from(len).unwrap()]).unwrap();
        let ran = program.run(&["snapshot", "--json"]);
        fs::remove_file(&ballast).unwrap();
        if ran.code == 1 {
            ran.expect_error(1, "store-full");
            refused_count += 1;
            program.assert_sound();
            // Where only the last record of a delivery found no room, the snapshot is there.
            let file_count = program.newest_file_count();
            assert!([5, 25].contains(&file_count), "{file_count}");
            assert_newest(&program, file_count);
        } else {
            break;
        }
    }
    assert!(refused_count > 0, "a full state directory was noticed");
    assert_eq!(program.snapshot(0)["file_count"], 25);
    assert_newest(&program, 25);
}

#[test]
fn a_first_config_that_finds_no_room_is_not_there_in_part() {
    let program = Program::new();
    fs::remove_file(program.path("config.toml")).unwrap();
    let Some(disk) = Tmpfs::mount(&program.path("etc"), "16k") else { return };
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![1; 16 << 10]).unwrap();
    let (state, url) =
        (program.state.to_str().unwrap(), format!("file://{}", program.store.display()));
    let words =
        ["--config", "etc/config.toml", "init", "--json", "--recipient", &program.recipient];
    let more = ["--state-dir", state, "--store", &url, "--uploads", "uploads"];
    let words = [&words[..], &more].concat();
    let ran = program.run(&words);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(fs::read_dir(&disk.0).unwrap().count(), 1, "half a config is left");
    fs::remove_file(ballast).unwrap();
    program.run(&words).expect(0);
}

fn used_len(root: &std::path::Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = walkdir::WalkDir::new(root).into_iter();
    entries.map(|entry| entry.unwrap().metadata().unwrap().blocks() * 512).sum()
}

#[test]
fn a_target_that_fills_up_is_told_apart_from_a_damaged_archive() {
    let program = Program::initialised();
    fill(&program, 0, 20);
    program.snapshot(0);
    let Some(disk) = Tmpfs::mount(&program.path("small"), "4m") else { return };
    let target = disk.0.join("out");
    let words = ["restore", "latest", "--json", "-i", "operator.key", "--target"];
    let words = [&words[..], &[target.to_str().unwrap()]].concat();
    program.run(&words).expect_error(1, "target-unavailable");
    disk.resize("40m");
    program.run(&[&words[..], &["--overwrite"]].concat()).expect(0);
    for index in 0..20 {
        let restored = fs::read(target.join(format!("uploads/{index}.jpg"))).unwrap();
        assert!(restored == noise(index, 500_000));
    }
}
