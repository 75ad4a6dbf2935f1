//! The uploads volume: read directly, read through a helper, empty, and elsewhere.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use super::support::Stack;
use super::{edit_config, snapshot, with_vault};
use crate::support::{Outcome, noise};

const HELPERS: [&str; 4] = ["ps", "-aq", "--filter", "label=app.idswyft.vault.volume"];

/// Puts names and kinds into the volume that an application would not, and an attacker would.
fn plant_hostile(root: &Path) {
    let dir = root.join("documents");
    for name in [&b"a\nb.jpg"[..], b"\xff\xfe.jpg", b"x\n13 path=evil\n\xff", &[b'n'; 255]] {
        fs::write(dir.join(OsStr::from_bytes(name)), name).unwrap();
    }
    fs::write(root.join("large"), noise(9, 5_000_000)).unwrap();
    fs::write(root.join("documents-2"), b"sorts behind what is in documents").unwrap();
    fs::hard_link(root.join("large"), root.join("link")).unwrap();
    symlink("../../../etc/passwd", root.join("out")).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    fs::set_permissions(root.join("empty"), PermissionsExt::from_mode(0o2751)).unwrap();
    chown(root.join("empty"), Some(54_321), Some(12_345)).unwrap();
    let fifo = root.join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    UnixListener::bind(root.join("socket")).unwrap();
}

/// Returns everything that both ways of reading keep: kind, mode, owner, second, contents.
fn describe(root: &Path) -> BTreeMap<Vec<u8>, String> {
    let mut found = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root) {
        let entry = entry.unwrap();
        let metadata = entry.path().symlink_metadata().unwrap();
        let mut text = format!(
            "{:o} {}:{} {}",
            metadata.mode(),
            metadata.uid(),
            metadata.gid(),
            metadata.mtime()
        );
        if metadata.is_file() {
            let digest = blake3::hash(&fs::read(entry.path()).unwrap());
            text = format!("{text} {digest} {}", metadata.nlink());
        } else if metadata.is_symlink() {
            text = format!("{text} {:?}", fs::read_link(entry.path()).unwrap());
        }
        let name = entry.path().strip_prefix(root).unwrap().as_os_str().to_owned();
        found.insert(name.into_vec(), text);
    }
    found
}

/// S-5, S-11
#[test]
fn a_volume_read_through_a_helper_is_the_one_that_is_read_directly() {
    let Some(stack) = with_vault("stack-helper") else { return };
    let root = stack.volume_path("uploads");
    plant_hostile(&root);
    let mut expected = describe(&root);
    expected.remove(&b"socket"[..]).expect("the socket is there");

    let direct = snapshot(&stack);
    assert_eq!(direct["lagging"], serde_json::json!([]));
    edit_config(&stack, "# read = \"helper\"", "read = \"helper\"");
    // What a killed run left behind goes first.
    let (label, image) = (stack.volume_name("uploads"), "idswyft-test/api:1");
    stack.docker([
        "create",
        "--label",
        &format!("app.idswyft.vault.volume={label}"),
        image,
        "true",
    ]);
    let helped = snapshot(&stack);
    assert_eq!(stack.docker(HELPERS), "");
    for (report, target) in [(&direct, "direct"), (&helped, "helped")] {
        let words = ["restore", report["id"].as_str().unwrap(), "--target", target];
        match target {
            // A socket is told of and not made; the stream of a helper does not have it.
            "direct" => drop(stack.unlock(words).warns("metadata-not-restored", &["socket"])),
            _ => drop(stack.unlock(words).exits(0)),
        }
        assert_eq!(describe(&stack.path(target).join("uploads")), expected, "{target}");
    }
    assert_eq!(direct["file_count"], helped["file_count"]);
    // The same bytes under the same names cost nothing but the tree again.
    assert!(helped["new_len"].as_u64().unwrap() < 200_000, "{helped}");
    fs::remove_file(root.join("large")).unwrap();
    fs::remove_file(root.join("link")).unwrap();
    let third = snapshot(&stack);
    let gone = helped["file_count"].as_u64().unwrap() - third["file_count"].as_u64().unwrap();
    assert_eq!(gone, 1);
    stack.run(["verify"]).exits(0);
}

/// Takes a snapshot with a `docker` that does something else for one subcommand.
fn with_fake(stack: &Stack, subcommand: &str, script: &str) -> Outcome {
    let script = format!("if [ \"$1\" = {subcommand} ]; then\n{script}\nexit\nfi");
    Outcome::of(stack.with_fake_docker(["snapshot"], &script).output().unwrap())
}

/// S-11, S-12
#[test]
fn a_helper_stream_that_breaks_never_becomes_a_snapshot_and_leaves_no_container() {
    let Some(stack) = with_vault("stack-broken") else { return };
    edit_config(&stack, "# read = \"helper\"", "read = \"helper\"");
    for (script, said) in [
        ("$real \"$@\" | head -c 300000", "archive of the volume"),
        ("$real \"$@\" | head -c 300000; echo 'lost the engine' >&2; exit 1", "lost the engine"),
        ("echo 'no such container' >&2; exit 1", "no such container"),
        ("true", "archive of the volume"),
        ("head -c 4096 /dev/urandom", "archive of the volume"),
    ] {
        with_fake(&stack, "cp", script).fails(1, "source-failed", &[said]);
        assert_eq!(stack.docker(HELPERS), "", "{script}");
    }
    with_fake(&stack, "create", "echo 'no space' >&2; exit 125").fails(
        1,
        "docker-failed",
        &["no space"],
    );
    snapshot(&stack);
    let listed = stack.run(["snapshots", "--json"]).json(0);
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 1);
}

/// S-5
#[test]
fn the_volume_is_the_one_that_the_api_mounts_or_the_config_names() {
    let Some(stack) = with_vault("stack-mounts") else { return };
    let text =
        "services:\n  api:\n    volumes:\n      - other:/app/backend/uploads\nvolumes:\n  other:\n";
    fs::write(stack.install_dir().join("docker-compose.override.yml"), text).unwrap();
    stack.compose(["up", "-d", "--no-deps", "api"]);
    let outcome = stack.run(["snapshot"]).warns("uploads-empty", &["rows of the database name"]);
    assert!(outcome.out.contains("0 files"), "{outcome}");
    edit_config(&stack, "# read = \"helper\"", "volume = \"uploads\" #");
    assert!(snapshot(&stack)["file_count"].as_u64().unwrap() > 20);
    edit_config(&stack, "volume = \"uploads\"", "volume = \"nothing\"");
    stack.run(["snapshot"]).fails(1, "service-unusable", &["no volume nothing"]);
}

/// S-14
#[test]
fn a_stack_that_stores_its_files_elsewhere_is_warned_of() {
    let Some(stack) = with_vault("stack-s3") else { return };
    let mut text = fs::read_to_string(stack.env_file()).unwrap();
    text.push_str("STORAGE_PROVIDER=s3\n");
    fs::write(stack.env_file(), text).unwrap();
    stack.run(["snapshot"]).exits(0);
    stack.compose(["up", "-d", "--no-deps", "api"]);
    stack.run(["snapshot"]).warns("uploads-elsewhere", &["provider s3"]);
}
