//! Sources that fail: no snapshot comes of them, and what there was stays.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::support::{Install, Outcome, noise};

/// Runs `snapshot` with a dump command that fails, and asserts that nothing came of it.
#[track_caller]
fn fails_with(script: &str, code: &str, named: &[&str]) {
    let (install, id) = Install::with_snapshot();
    install.write_dump(3_000);
    install.write_script(script);
    install.run(["snapshot"]).fails(1, code, named);
    let json = install.run(["snapshot", "--json"]).json(1);
    assert_eq!(json["error"]["code"], code);
    install.assert_snapshots(&[&id]);
    install.assert_restores(&id);
    install.mend_script();
    let next = install.snapshot();
    install.assert_restores(&next);
    install.run(["verify"]).exits(0);
}

#[test]
fn an_empty_dump_never_becomes_a_snapshot() {
    fails_with("true", "dump-empty", &["it is empty"]);
}

#[test]
fn a_dump_command_that_fails_is_named_with_its_status_and_last_words() {
    let script = "echo 'FATAL: the database is starting up' >&2; exit 3";
    fails_with(script, "source-failed", &["sh", "status 3", "the database is starting up"]);
}

#[test]
fn a_dump_command_that_dies_half_way_never_becomes_a_snapshot() {
    fails_with("head -c 30000 DIR/db.sql; exit 1", "source-failed", &["sh", "status 1"]);
    fails_with("head -c 30000 DIR/db.sql; kill -9 $$", "source-failed", &["killed by signal 9"]);
}

#[test]
fn a_dump_without_its_trailer_never_becomes_a_snapshot() {
    let script = "head -n -4 DIR/db.sql";
    fails_with(script, "dump-trailer-missing", &["do not end with its trailer"]);
}

#[test]
fn what_is_no_dump_never_becomes_a_snapshot() {
    let script = "echo 'Error response from daemon: no such container'";
    fails_with(script, "dump-header-missing", &["header"]);
}

#[test]
fn a_dump_command_that_cannot_be_started_is_named() {
    let (install, id) = Install::with_snapshot();
    let config = fs::read_to_string(install.path("config.toml")).unwrap();
    install.write("config.toml", config.replace("\"sh\"", "\"no-such-program\"").as_bytes());
    install.run(["snapshot"]).fails(1, "source-failed", &["no-such-program"]);
    install.assert_restores(&id);
}

#[test]
fn a_password_in_the_url_of_the_database_is_never_said() {
    let (install, id) = Install::with_snapshot();
    let config = fs::read_to_string(install.path("config.toml")).unwrap();
    let (head, tail) = config.split_once("kind = \"command\"\nargv = ").unwrap();
    let (_, tail) = tail.split_once('\n').unwrap();
    let url = "postgresql://idswyft:hunter2@localhost:1/idswyft";
    let config = format!("{head}kind = \"local\"\nurl = \"{url}\"\n{tail}");
    install.write("config.toml", config.as_bytes());
    let failed = install.run(["snapshot"]).fails(1, "source-failed", &["pg_dump"]);
    assert!(!failed.err.contains("hunter2"), "{failed}");
    install.assert_restores(&id);
}

#[test]
fn a_failed_source_leaves_packs_that_the_next_run_reuses() {
    let install = Install::ready();
    // More than one pack, of which the first is durable before the dump breaks off.
    install.write_config(
        &crate::support::NIGHTLY.replace("keep_daily", "pack_len = \"4MiB\"\nkeep_daily"),
    );
    let rows: Vec<u8> = hex::encode(noise(3, 8 << 20)).into_bytes();
    let mut dump = fs::read(install.path("db.sql")).unwrap();
    let at = dump.windows(2).position(|two| two == b"\\.").unwrap();
    let lines: Vec<u8> = rows.chunks(200).flat_map(|row| [b"9\t", row, b"\n"].concat()).collect();
    dump.splice(at..at, lines);
    install.write("db.sql", &dump);
    fs::remove_dir_all(install.path("state")).unwrap();
    fs::remove_dir_all(install.path("store")).unwrap();
    install.run(["init", "--kit", "kit-2"]).exits(0);
    install.write_script("head -n -4 DIR/db.sql");
    install.run(["snapshot"]).fails(1, "dump-trailer-missing", &[]);
    let durable = install.objects("packs");
    assert!(!durable.is_empty(), "nothing was durable when the dump broke off");
    install.assert_snapshots(&[]);
    install.mend_script();
    let id = install.snapshot();
    let after = install.objects("packs");
    assert!(durable.iter().any(|pack| after.contains(pack)));
    let listed = fs::read_to_string(install.path(&format!("store/snapshots/{id}.sha256"))).unwrap();
    assert!(durable.iter().any(|pack| listed.contains(pack.as_str())), "no pack was reused");
    install.assert_restores(&id);
}

#[test]
fn a_dump_from_standard_input_is_taken_whole_or_not_at_all() {
    let install = Install::new();
    let config = fs::read_to_string(install.path("config.toml")).unwrap();
    let (head, tail) = config.split_once("kind = \"command\"\nargv = ").unwrap();
    let (_, tail) = tail.split_once('\n').unwrap();
    let config = format!("{head}kind = \"stdin\"\n{tail}");
    install.write("config.toml", config.as_bytes());
    install.run(["init", "--kit", "kit"]).exits(0).says(&["pipe the dump in"]);
    let dump = fs::read(install.path("db.sql")).unwrap();
    let take = |bytes: &[u8]| {
        let mut command = install.command(["snapshot", "--json"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        Outcome::of(child.wait_with_output().unwrap())
    };
    assert_eq!(take(&dump[..dump.len() / 2]).json(1)["error"]["code"], "dump-trailer-missing");
    let taken = take(&dump).json(0);
    assert_eq!(taken["snapshots"][0]["row_count"], 400);
}

#[test]
fn an_upload_that_cannot_be_read_is_a_warning_and_the_rest_is_taken() {
    // Only who is not root can be refused a file, so the host here is somebody else.
    let install = Install::ready();
    if !fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
        return;
    }
    install.write("uploads/selfies/closed.jpg", b"x");
    let closed = install.path("uploads/selfies/closed.jpg");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let owned = Command::new("chown").args(["-R", "65534:65534"]).arg(install.path("")).status();
    assert!(owned.unwrap().success());
    let root = Command::new("chown").arg("0:0").arg(&closed).status();
    assert!(root.unwrap().success());
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.arg(env!("CARGO_BIN_EXE_idswyft-vault")).args(["snapshot", "--config", "config.toml"]);
    let outcome = Outcome::of(command.current_dir(install.path("")).output().unwrap());
    outcome.warns("file-unreadable", &["selfies/closed.jpg"]);
    let listed = install.run(["snapshots", "--json"]).json(0);
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 1);
}

#[test]
fn uploads_that_are_not_there_never_become_a_snapshot() {
    let (install, id) = Install::with_snapshot();
    fs::rename(install.path("uploads"), install.path("elsewhere")).unwrap();
    install.run(["snapshot"]).fails(1, "source-failed", &["uploads"]);
    install.assert_snapshots(&[&id]);
    fs::rename(install.path("elsewhere"), install.path("uploads")).unwrap();
    install.assert_restores(&id);
}
