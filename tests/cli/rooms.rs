//! Places that are full, read-only, gone, not empty or taken by another run.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Install, NIGHTLY, Outcome, noise, tree_of};

/// A file system of a few megabytes; gone when dropped.
struct TinyDisk(PathBuf);

impl TinyDisk {
    /// Mounts one, or returns none where that is not permitted, which fails where `CI` is set.
    #[expect(clippy::print_stdout, reason = "a test that is left out says so")]
    fn mount(path: PathBuf, mib: u32) -> Option<Self> {
        fs::create_dir_all(&path).unwrap();
        let size = format!("size={mib}m");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path);
        if command.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(path));
        }
        assert!(std::env::var_os("CI").is_none(), "a small file system cannot be mounted");
        println!("skipped: a small file system cannot be mounted here");
        None
    }

    fn remount(&self, option: &str) {
        let options = format!("remount,{option}");
        let status = Command::new("mount").args(["-o", &options]).arg(&self.0).status();
        assert!(status.unwrap().success());
    }

    /// Leaves no more than some kibibytes free.
    fn fill(&self, left_kib: usize) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = fs::File::create(&path).unwrap();
        let block = [1; 1024];
        let mut written = 0_usize;
        while file.write_all(&block).is_ok() {
            written += 1;
        }
        let len = written.saturating_sub(left_kib) * block.len();
        file.set_len(u64::try_from(len).unwrap()).unwrap();
        path
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_store_loses_nothing_and_the_next_run_goes_on() {
    let install = Install::new();
    let Some(disk) = TinyDisk::mount(install.path("store"), 8) else { return };
    install.run(["init", "--kit", "kit"]).exits(0);
    let first = install.snapshot();
    let filler = disk.fill(64);
    install.write("uploads/documents/large.jpg", &noise(9, 3 << 20));
    let full = install.run(["snapshot"]);
    full.fails(1, "store-full", &[&install.text("store"), "No space left on device"]);
    install.assert_snapshots(&[&first]);
    install.assert_restores(&first);
    fs::remove_file(filler).unwrap();
    let second = install.snapshot();
    install.assert_restores(&second);
    install.assert_restores(&first);
    install.unlock(["verify", "--level", "contents"]).exits(0);
}

#[test]
fn a_full_state_directory_loses_nothing_and_the_next_run_goes_on() {
    let install = Install::new();
    let Some(disk) = TinyDisk::mount(install.path("state"), 16) else { return };
    install.run(["init", "--kit", "kit"]).exits(0);
    let first = install.snapshot();
    install.write("uploads/documents/large.jpg", &noise(9, 3 << 20));
    // With some room the manifest opens and cannot grow; without any it does not even open.
    let filler = disk.fill(128);
    install.run(["snapshot"]).fails(1, "store-full", &[&install.text("state")]);
    fs::remove_file(filler).unwrap();
    let filler = disk.fill(0);
    install.run(["snapshot"]).exits(1).says(&[&install.text("state"), "hint: "]);
    install.assert_snapshots(&[&first]);
    install.assert_restores(&first);
    fs::remove_file(filler).unwrap();
    let second = install.snapshot();
    install.assert_restores(&second);
    install.assert_restores(&first);
    assert_eq!(tree_of(&install.path("state/nightly/spool")).len(), 0, "the spool was not emptied");
    install.unlock(["verify", "--level", "contents"]).exits(0);
}

#[test]
fn a_full_target_leaves_nothing_that_looks_restored() {
    let install = Install::ready();
    install.write("uploads/documents/large.jpg", &noise(9, 3 << 20));
    let id = install.snapshot();
    let Some(_disk) = TinyDisk::mount(install.path("small"), 1) else { return };
    let refused = install.unlock(["restore", &id, "--target", "small/out"]);
    refused.fails(1, "target-unavailable", &["small/out"]);
    assert_eq!(tree_of(&install.path("small")).len(), 0, "a restore that failed left files");
    install.assert_restores(&id);
}

#[test]
fn a_store_that_is_read_only_is_named_and_loses_nothing() {
    let install = Install::new();
    let Some(disk) = TinyDisk::mount(install.path("store"), 8) else { return };
    install.run(["init", "--kit", "kit"]).exits(0);
    let first = install.snapshot();
    disk.remount("ro");
    install.write("uploads/documents/c.jpg", &noise(4, 50_000));
    let refused = install.run(["snapshot"]);
    refused.exits(1).says(&[&install.text("store"), "Read-only file system", "hint: "]);
    install.assert_snapshots(&[&first]);
    install.assert_restores(&first);
    disk.remount("rw");
    let second = install.snapshot();
    install.assert_restores(&second);
}

#[test]
fn a_store_that_is_gone_is_not_made_anew() {
    let (install, id) = Install::with_snapshot();
    fs::rename(install.path("store"), install.path("unmounted")).unwrap();
    for words in [&["snapshot"][..], &["verify"], &["show", "latest"]] {
        let refused = install.run(words);
        refused.fails(1, "store-unavailable", &["store local", "may not be mounted"]);
    }
    let refused = install.unlock(["restore", &id, "--target", "out"]);
    refused.fails(1, "store-unavailable", &["may not be mounted"]);
    assert!(!install.path("store").exists());
    fs::rename(install.path("unmounted"), install.path("store")).unwrap();
    install.assert_restores(&id);
    install.snapshot();
}

#[test]
fn a_mirror_that_is_gone_is_a_warning_and_catches_up() {
    let mirror = "[[vault.store]]\nname = \"usb\"\nurl = \"file://DIR/mirror\"\n";
    let install = Install::with_vaults(&[NIGHTLY, mirror].concat());
    install.run(["init", "--kit", "kit"]).exits(0);
    fs::rename(install.path("mirror"), install.path("unmounted")).unwrap();
    let lagging = install.run(["snapshot", "--json"]).json(4);
    assert_eq!(lagging["warnings"][0]["code"], "mirror-lagging");
    assert_eq!(lagging["snapshots"][0]["lagging"], serde_json::json!(["usb"]));
    let id = lagging["snapshots"][0]["id"].as_str().unwrap().to_owned();
    install.keep(&id);
    install.assert_restores(&id);
    let rows = install.run(["snapshots", "--json"]).json(0);
    assert_eq!(rows["snapshots"][0]["stores"], serde_json::json!(["local"]));
    install.run(["snapshot"]).warns("mirror-lagging", &["usb", "catches up"]);
    fs::rename(install.path("unmounted"), install.path("mirror")).unwrap();
    install.run(["snapshot"]).exits(0);
    install.run(["verify", "--level", "bytes", "--store", "usb"]).exits(0);
    install.unlock(["restore", &id, "--store", "usb", "--target", "out"]).exits(0);
}

#[test]
fn a_store_that_holds_another_vault_is_refused() {
    let (install, id) = Install::with_snapshot();
    let other = Install::new();
    let config = fs::read_to_string(other.path("config.toml")).unwrap();
    let store = format!("file://{}", install.text("store"));
    let config = config.replace(&format!("file://{}", other.text("store")), &store);
    other.write("config.toml", config.as_bytes());
    other.run(["init", "--kit", "kit"]).fails(1, "store-foreign", &["store local", "nightly"]);
    assert!(!other.path("kit").exists());
    install.assert_restores(&id);
}

#[test]
fn a_second_run_at_the_same_time_is_refused_and_the_first_one_ends_well() {
    let (install, first) = Install::with_snapshot();
    for pipe in ["started", "go"] {
        let made = Command::new("mkfifo").arg(install.path(pipe)).status();
        assert!(made.unwrap().success());
    }
    install.write_script("echo > DIR/started; read word < DIR/go; cat DIR/db.sql");
    let mut command = install.command(["snapshot"]);
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(&install.path("started"));
    for words in [&["snapshot"][..], &["init", "--kit", "kit"]] {
        install.run(words).fails(5, "locked", &["state/lock", "another run holds it"]);
    }
    // Whoever only reads waits for nobody.
    install.run(["snapshots"]).exits(0);
    install.assert_restores(&first);
    fs::write(install.path("go"), "go\n").unwrap();
    Outcome::of(running.wait_with_output().unwrap()).exits(0);
    install.mend_script();
    let last = install.snapshot();
    install.assert_restores(&last);
}

/// Waits until somebody writes to a pipe.
fn wait_for(pipe: &Path) {
    let mut text = String::new();
    fs::File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
}

#[test]
fn a_run_that_is_killed_leaves_what_the_next_one_takes_up() {
    let (install, first) = Install::with_snapshot();
    let made = Command::new("mkfifo").arg(install.path("started")).status();
    assert!(made.unwrap().success());
    install.write_script("cat DIR/db.sql; echo > DIR/started; sleep 600");
    let mut command = install.command(["snapshot"]);
    let mut running = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for(&install.path("started"));
    running.kill().unwrap();
    running.wait().unwrap();
    install.assert_snapshots(&[&first]);
    install.mend_script();
    let second = install.snapshot();
    install.assert_restores(&first);
    install.assert_restores(&second);
}
