//! Everything sealed is a standard file: the stock programs open it, and only with a key.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use idswyft_vault::base::Profile;
use idswyft_vault::crypto::digest::sha256;
use idswyft_vault::format::pack::ChunkEntry;
use idswyft_vault::format::{Folder, ObjectKey};
use idswyft_vault::store::Listed;

use crate::support::vault::{TestVault, noise};

/// Runs a stock program that the tests install; a missing one fails the test.
fn run(program: &str, args: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|e| panic!("{program} is needed by the tests: {e}"));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {stderr}");
    output.stdout
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn filled() -> TestVault {
    let vault = TestVault::new();
    for index in 0..10 {
        vault.write(&format!("documents/passport-{index}.jpg"), &noise(index, 90_000));
    }
    let planted = "PLANTEDWORD is in this file\n".repeat(2000);
    vault.write("documents/planted.txt", planted.as_bytes());
    let rows: Vec<String> = (0..9000).map(|row| format!("{row}\tPLANTEDROW{row}")).collect();
    vault.write_dump(&rows);
    vault
}

/// Returns the paths of all objects in a folder of the store.
fn objects(vault: &TestVault, folder: Folder) -> Vec<PathBuf> {
    let objects = vault.stores[0].list(folder).unwrap().map(|listed| match listed.unwrap() {
        Listed::Object(key, _) => vault.path("store").join(key.to_string()),
        Listed::Foreign(name) => panic!("{name} is foreign"),
    });
    let mut objects: Vec<PathBuf> = objects.collect();
    objects.sort();
    objects
}

/// Opens the generation file with stock `age` and returns it as an identity file.
fn generation_key(vault: &TestVault) -> PathBuf {
    let operator = vault.path("operator.key");
    fs::write(&operator, &vault.identity).unwrap();
    let sealed = objects(vault, Folder::Generations).remove(0);
    let opened = run("age", &["-d", "-i", text(&operator), text(&sealed)]);
    let path = vault.path("generation.key");
    fs::write(&path, opened).unwrap();
    path
}

/// V-17, V-26
#[test]
fn stock_age_and_zstd_open_a_pack() {
    let vault = filled();
    let report = vault.snapshot();
    let key = generation_key(&vault);
    let unlocked = vault.unlocked();
    let body = unlocked.body(&unlocked.auditor().snapshot(report.snapshot).unwrap()).unwrap();
    let mut opened_count = 0;
    for path in [objects(&vault, Folder::Packs), objects(&vault, Folder::Trees)].concat() {
        let plain = run("age", &["-d", "-i", text(&key), text(&path)]);
        let frames = vault.path("frames.zst");
        fs::write(&frames, plain).unwrap();
        let raw = run("zstd", &["-d", "-c", "-q", text(&frames)]);
        let object: ObjectKey =
            path.strip_prefix(vault.path("store")).unwrap().to_str().unwrap().parse().unwrap();
        let id = object.pack().unwrap();
        let profiles = [Profile::Stream, Profile::File, Profile::Meta];
        let pack = profiles.into_iter().find_map(|profile| {
            let pack = unlocked.pack(body.generation, profile, id).ok()?;
            Some((profile, pack))
        });
        let (profile, pack) = pack.unwrap();
        let secrets = unlocked.generation(body.generation).unwrap();
        let ids = secrets.dedup_secret.as_ref().unwrap().chunk_id_key(profile);
        let mut rest = raw.as_slice();
        for ChunkEntry { id, raw_len } in pack.chunks().unwrap() {
            let (chunk, tail) = rest.split_at(raw_len as usize);
            assert_eq!(ids.id(chunk), id);
            rest = tail;
        }
        assert!(rest.is_empty(), "zstd -d gives the chunks back to back and nothing else");
        opened_count += 1;
    }
    assert_eq!(opened_count, 3, "one pack of each profile");
}

/// V-26
#[test]
fn stock_age_opens_body_and_segment_and_zstd_reads_them() {
    let vault = filled();
    let report = vault.snapshot();
    let key = generation_key(&vault);
    let body = vault.path("store").join(ObjectKey::Body(report.snapshot).to_string());
    let plain = run("age", &["-d", "-i", text(&key), text(&body)]);
    fs::write(vault.path("body.zst"), plain).unwrap();
    let json = run("zstd", &["-d", "-c", "-q", text(&vault.path("body.zst"))]);
    let body: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(body["database"]["rows"]["public.users"], 9000);

    let file = fs::read_to_string(&key).unwrap();
    let secret = file.lines().find_map(|line| line.strip_prefix("# dedup-secret: ")).unwrap();
    let secret = idswyft_vault::crypto::keys::DedupSecret::from_hex(secret).unwrap();
    let index = vault.path("index.key");
    fs::write(&index, secret.index_identity().to_secret_text().as_bytes()).unwrap();
    let segment = vault.path("store").join(ObjectKey::Segment(report.snapshot).to_string());
    let plain = run("age", &["-d", "-i", text(&index), text(&segment)]);
    fs::write(vault.path("segment.zst"), plain).unwrap();
    let raw = run("zstd", &["-d", "-c", "-q", text(&vault.path("segment.zst"))]);
    assert!(raw.starts_with(b"IDSWSEGM"));
}

/// V-15
#[test]
fn every_pack_is_named_by_its_digest_and_listed_for_sha256sum() {
    let vault = filled();
    let report = vault.snapshot();
    for path in [objects(&vault, Folder::Packs), objects(&vault, Folder::Trees)].concat() {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(sha256(&fs::read(&path).unwrap()).to_string(), name);
    }
    let list = vault.path("store").join(ObjectKey::List(report.snapshot).to_string());
    let output = Command::new("sha256sum")
        .args(["-c", "--strict", "--quiet", text(&list)])
        .current_dir(vault.path("store"))
        .status();
    assert!(output.unwrap().success());
}

#[test]
fn without_an_identity_nothing_is_readable() {
    let vault = filled();
    vault.snapshot();
    let needles =
        ["PLANTEDWORD", "PLANTEDROW", "passport-", "planted.txt", "documents", "public.users"];
    let (mut looked_at, mut leaks) = (0, Vec::new());
    for entry in walkdir::WalkDir::new(vault.path("store")) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let bytes = fs::read(entry.path()).unwrap();
            looked_at += 1;
            for needle in needles {
                if bytes.windows(needle.len()).any(|window| window == needle.as_bytes()) {
                    leaks.push((entry.path().to_owned(), needle));
                }
            }
        }
    }
    assert!(looked_at > 8 && leaks.is_empty(), "{leaks:?}");

    // With everything that the host and the store hold, no pack opens.
    let state = vault.path("state/nightly");
    let host: Vec<String> = ["generation.json", "writer.key", "vault.json"]
        .iter()
        .map(|name| fs::read_to_string(state.join(name)).unwrap())
        .collect();
    assert!(host.iter().all(|text| !text.contains("AGE-SECRET-KEY-")));
    let index = vault.writer().generation().dedup_secret.index_identity();
    for path in [objects(&vault, Folder::Packs), objects(&vault, Folder::Trees)].concat() {
        let sealed = fs::read(&path).unwrap();
        assert!(idswyft_vault::crypto::seal::open("pack", &sealed, &index).is_err());
    }
}

/// V-178
#[test]
fn files_are_0600_in_directories_that_are_0700() {
    use std::os::unix::fs::PermissionsExt;
    let vault = filled();
    vault.snapshot();
    for root in ["store", "state", "kit"] {
        for entry in walkdir::WalkDir::new(vault.path(root)) {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            let expected = if entry.file_type().is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode, expected, "{}: {mode:o}", entry.path().display());
        }
    }
}
