//! `escrow` and what `snapshot` seals: nothing of it in the archive, and every key proven.

use std::fs;
use std::process::Command;

use base64::Engine;
use serde_json::Value;

use crate::support::{Install, NIGHTLY, Outcome, envelope, tree_of};

const KEY: &str = "00c1e7f2a9b0d4c6e8f0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6";
const NEXT_KEY: &str = "f6e5d4c3b2a1908f7e6d5c4b3a2918076f5e4d3c2b1a0f8e6c4d0b9a2f7e1c00";
const API_KEY_SECRET: &str = "5ecre7ap1key5ecre7ap1key5ecre7ap1key5ecre7ap1key5ecre7ap1key1234";
const JWT_SECRET: &str = "jwt-secret 'with quotes' and # marks of 32 bytes";

/// An installation with an `.env`, an escrow store and somebody who opens it.
fn install(second: bool) -> Install {
    let install = Install::new();
    let custodian = install.keygen("custodian.key");
    let key_recipients = match second {
        true => format!("key_recipients = [\"{}\"]\n", install.keygen("second.key")),
        false => String::new(),
    };
    // One disk is all that a test has.
    install.write_config(&format!(
        "{NIGHTLY}[escrow]\nstore = \"file://DIR/escrow\"\nrecipients = [\"{custodian}\"]\n\
         {key_recipients}dir = \"DIR/install\"\nallow_same_mount = true\n"
    ));
    write_env(&install, KEY);
    install.run(["init", "--kit", "kit"]).exits(0);
    install
}

fn write_env(install: &Install, key: &str) {
    let text = format!(
        "JWT_SECRET={JWT_SECRET}\r\nAPI_KEY_SECRET={API_KEY_SECRET}\nENCRYPTION_KEY={key}\n\
         WATCHTOWER_SCHEDULE=0 0 4 * * *   (no shell reads this)\n"
    );
    install.write("install/.env", text.as_bytes());
}

/// Takes a snapshot and returns its id; the one disk is warned of.
fn snapshot(install: &Install) -> String {
    let report = install.run(["snapshot", "--json"]).json(4);
    let codes = report["warnings"].as_array().unwrap().iter().map(|one| one["code"].clone());
    assert_eq!(codes.collect::<Vec<_>>(), ["escrow-place-refused"]);
    report["snapshots"][0]["id"].as_str().unwrap().to_owned()
}

fn sealed_names(install: &Install, kind: &str) -> Vec<String> {
    let names = tree_of(&install.path("escrow")).into_keys();
    names.filter(|name| name.starts_with(&format!("escrow/{kind}"))).collect()
}

fn check(install: &Install, id: &str) -> Outcome {
    let words = ["escrow", "check", id, "--escrow-identity", "custodian.key", "--json"];
    install.unlock(words)
}

/// Runs a stock program that the tests install; a missing one fails the test.
fn stock(install: &Install, program: &str, args: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(args).current_dir(install.path(".")).output();
    let output = output.unwrap_or_else(|e| panic!("{program} is needed by the tests: {e}"));
    assert!(output.status.success(), "{program} {args:?}");
    output.stdout
}

/// Returns everything in a store of the archive as stock programs decrypt it.
fn decrypted(install: &Install) -> Vec<u8> {
    let listed = install.run(["generation", "list", "--json"]).json(0);
    let id = listed["generations"][0]["id"].as_str().unwrap();
    install.unlock(["generation", "export", id, "-o", "generation.key"]).exits(0);
    let mut all = Vec::new();
    for folder in ["packs", "trees", "snapshots"] {
        for name in install.objects(folder) {
            if name.ends_with(".note") || name.ends_with(".sha256") {
                continue;
            }
            let path = format!("store/{name}");
            let plain = stock(install, "age", &["-d", "-i", "generation.key", &path]);
            install.write("frames.zst", &plain);
            all.extend(stock(install, "zstd", &["-d", "-c", "-q", "frames.zst"]));
        }
    }
    all
}

/// E-19
#[test]
fn no_secret_of_the_installation_is_in_the_archive_the_state_or_anything_that_is_said() {
    let install = install(false);
    install.write("uploads/selfies/sealed.jpg", &envelope(KEY, b"a selfie"));
    let id = snapshot(&install);
    // What fails says no more than what succeeds.
    fs::rename(install.path("escrow"), install.path("gone")).unwrap();
    let mut said = vec![install.run(["snapshot"]).exits(4), install.run(["escrow", "seal"])];
    fs::rename(install.path("gone"), install.path("escrow")).unwrap();
    said.push(install.run(["snapshot", "--json"]).exits(4));
    said.push(install.run(["escrow", "seal"]).exits(4));
    said.push(install.run(["escrow", "list"]).exits(0));
    said.push(install.unlock(["escrow", "list", "--json"]).exits(0));
    said.push(install.unlock(["show", &id, "--json"]).exits(0));
    said.push(install.unlock(["verify", "--level", "contents"]).exits(0));
    said.push(install.unlock(["restore", &id, "--target", "restored"]).exits(0));
    said.push(check(&install, &id).exits(0));
    let open =
        ["escrow", "open", "--target", "secrets", "--escrow-identity", "custodian.key", "--json"];
    said.push(install.run(open).exits(0));
    let mut haystack = decrypted(&install);
    assert!(haystack.len() > 70_000, "packs and bodies were opened");
    for outcome in &said {
        haystack.extend(format!("{outcome}").into_bytes());
    }
    for place in ["store", "state", "restored", "kit"] {
        for (name, bytes) in tree_of(&install.path(place)) {
            haystack.extend(name.into_bytes());
            haystack.extend(bytes);
        }
    }
    haystack.make_ascii_lowercase();
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    for secret in [KEY, API_KEY_SECRET, JWT_SECRET] {
        for spelling in [secret.to_owned(), hex::encode(secret), encode(secret)] {
            let found = memchr::memmem::find(&haystack, spelling.to_ascii_lowercase().as_bytes());
            assert!(found.is_none(), "{spelling} is there");
        }
    }
    // It is in what was opened: then the search above could have found it.
    let env = fs::read(install.path("secrets/.env")).unwrap();
    assert_eq!(env, fs::read(install.path("install/.env")).unwrap());
}

/// E-6, E-8
#[test]
fn after_a_rotation_both_keys_are_in_escrow_and_each_snapshot_proves_its_own() {
    let install = install(false);
    install.write("uploads/selfies/sealed.jpg", &envelope(KEY, b"a selfie"));
    let before = snapshot(&install);
    write_env(&install, NEXT_KEY);
    install.write("uploads/selfies/sealed.jpg", &envelope(NEXT_KEY, b"a selfie"));
    let after = snapshot(&install);
    assert_eq!(sealed_names(&install, "key-").len(), 2);
    let named = |id: &str| {
        let report = check(&install, id).json(0);
        assert_eq!(report["verdict"], "fits");
        assert_eq!(report["proofs"][0]["with"], serde_json::json!(["ENCRYPTION_KEY"]));
        report["objects"][0]["object"].as_str().unwrap().to_owned()
    };
    assert_ne!(named(&before), named(&after));
    let listed = install.unlock(["escrow", "list", "--json"]).json(0);
    let needed = listed["objects"].as_array().unwrap().iter().map(|one| one["needed_by"].clone());
    let needed: Vec<Value> = needed.collect();
    assert!(needed.iter().all(|one| one.as_array().unwrap().len() == 1), "{needed:?}");
    let open = |id: &str, target: &str| {
        let words = ["escrow", "open", "--snapshot", id, "--target", target];
        let words = words.iter().chain(&["--escrow-identity", "custodian.key"]);
        install.unlock(words).exits(0);
        fs::read_to_string(install.path(&format!("{target}/keys/ENCRYPTION_KEY"))).unwrap()
    };
    assert_eq!((open(&before, "a").as_str(), open(&after, "b").as_str()), (KEY, NEXT_KEY));
}

#[test]
fn a_key_that_does_not_fit_is_exit_three_and_one_that_nothing_proves_exit_four() {
    let install = install(false);
    let unproven = snapshot(&install);
    let words = ["escrow", "check", &unproven, "--escrow-identity", "custodian.key"];
    install.unlock(words).warns("key-unproven", &["none of 2 files"]);
    install.write("uploads/selfies/sealed.jpg", &envelope(NEXT_KEY, b"a selfie"));
    let wrong = snapshot(&install);
    let words = ["escrow", "check", &wrong, "--escrow-identity", "custodian.key"];
    let said = install.unlock(words).exits(3);
    said.says(&["warning[key-does-not-fit]: uploads: opens 0 of 1 encrypted files"]);
    assert!(said.out.contains("uploads         does not fit"), "{said}");
    let words = ["escrow", "check", &wrong, "--escrow-identity", "operator.key"];
    install.unlock(words).fails(6, "identity-wrong", &["escrow/key-"]);
}

/// E-12
#[test]
fn two_persons_are_needed_for_the_key_and_together_get_every_byte() {
    let install = install(true);
    snapshot(&install);
    let env = fs::read(install.path("install/.env")).unwrap();
    let open = |target: &str, keys: &[&str]| {
        let mut words = vec!["escrow", "open", "--target", target];
        keys.iter().for_each(|key| words.extend(["--escrow-identity", *key]));
        install.run(words)
    };
    open("one", &["custodian.key"]).warns("escrow-incomplete", &["ENCRYPTION_KEY", ".env"]);
    let alone = fs::read(install.path("one/.env")).unwrap();
    assert!(memchr::memmem::find(&alone, KEY.as_bytes()).is_none());
    assert!(memchr::memmem::find(&alone, API_KEY_SECRET.as_bytes()).is_some());
    open("two", &["second.key"]).warns("escrow-incomplete", &["the files"]);
    assert_eq!(fs::read(install.path("two/keys/ENCRYPTION_KEY")).unwrap(), KEY.as_bytes());
    open("both", &["custodian.key", "second.key"]).exits(0);
    assert_eq!(fs::read(install.path("both/.env")).unwrap(), env);
    open("both", &["custodian.key"]).fails(1, "target-not-empty", &["both: it has 3 entries"]);
    open("x", &["operator.key"]).fails(6, "identity-wrong", &["escrow/"]);
    assert!(!install.path("x").exists());
}

#[test]
fn a_failing_escrow_store_costs_a_warning_and_no_snapshot() {
    let install = install(false);
    snapshot(&install);
    fs::rename(install.path("escrow"), install.path("gone")).unwrap();
    write_env(&install, NEXT_KEY);
    let report = install.run(["snapshot", "--json"]).json(4);
    assert_eq!(report["snapshots"].as_array().unwrap().len(), 1);
    let codes = report["warnings"].as_array().unwrap().iter().map(|one| one["code"].clone());
    assert!(codes.collect::<Vec<_>>().contains(&"escrow-stale".into()), "{report}");
    let id = report["snapshots"][0]["id"].as_str().unwrap();
    let shown = install.unlock(["show", id, "--json"]).json(0);
    assert_eq!(shown["facts"]["escrow"][0]["stale"], true, "{shown}");
    install.run(["escrow", "seal"]).fails(1, "store-unavailable", &["escrow"]);
    fs::rename(install.path("gone"), install.path("escrow")).unwrap();
    snapshot(&install);
}

/// E-2
#[test]
fn an_escrow_store_beside_the_archive_is_refused() {
    let install = install(false);
    let text = fs::read_to_string(install.path("config.toml")).unwrap();
    install.write("config.toml", text.replace("allow_same_mount = true\n", "").as_bytes());
    let named = ["same file system as store local", "allow_same_mount"];
    install.run(["escrow", "seal"]).fails(2, "escrow-place-refused", &named);
    install.run(["snapshot"]).warns("escrow-place-refused", &["nothing was ever sealed"]);
    assert!(!install.path("escrow").exists());
}

#[test]
fn what_is_sealed_is_said_and_unchanged_the_next_time() {
    let install = install(false);
    let first = install.run(["escrow", "seal", "--json"]).json(4);
    assert_eq!(
        (first["sealed"].as_array().unwrap().len(), &first["unchanged"]),
        (2, &Value::Array(vec![]))
    );
    let again = install.run(["escrow", "seal"]).exits(4);
    assert!(again.out.starts_with("unchanged  ENCRYPTION_KEY "), "{again}");
    let listed = install.run(["escrow", "list"]).exits(0);
    assert!(listed.out.contains("escrow/bundle-") && listed.out.contains("give --identity"));
    let url = format!("file://{}", install.text("escrow"));
    // A custodian has no config.
    let mut command = install.command(["escrow", "list", "--json", "--escrow-store", &url]);
    command.env("IDSWYFT_VAULT_CONFIG", "nothing.toml");
    assert_eq!(
        Outcome::of(command.output().unwrap()).json(0)["objects"].as_array().unwrap().len(),
        2
    );
    let words = ["escrow", "open", "1999", "--target", "x", "--escrow-identity", "custodian.key"];
    install.run(words).fails(1, "escrow-unknown", &["begins with 1999"]);
    let bare = Install::ready();
    bare.run(["escrow", "seal"]).fails(2, "usage-invalid", &["has no [escrow]"]);
    let id = bare.snapshot();
    let words = ["escrow", "check", &id, "--escrow-identity", "operator.key"];
    let words = words.iter().chain(&["--escrow-store", "file:///nowhere"]);
    bare.unlock(words).fails(1, "escrow-unknown", &["it names none"]);
}
