//! A whole session, command by command: exit codes, what is written, and the shape of `--json`.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Install, Outcome, fields, noise, tree_of};

/// Returns the names of the columns of a table and its first row's words.
fn table(out: &str) -> (Vec<&str>, Vec<&str>) {
    let mut lines = out.lines();
    let mut words = || lines.next().unwrap_or_default().split_whitespace().collect();
    (words(), words())
}

#[test]
fn keygen_prints_the_recipient_and_never_the_identity() {
    let install = Install::new();
    let made = install.run(["keygen", "--no-passphrase", "--json", "-o", "x.key"]).json(0);
    assert_eq!(fields(&made), ["identity", "protected", "recipient"]);
    assert_eq!((&made["protected"], &made["identity"]), (&Value::Bool(false), &"x.key".into()));
    let again = install.run(["keygen", "--no-passphrase", "-o", "x.key"]);
    again.fails(1, "file-exists", &["x.key"]);
    let plain = install.run(["keygen", "--no-passphrase", "-o", "y.key"]).exits(0);
    assert!(plain.out.starts_with("age1") && plain.out.lines().count() == 1, "{plain}");
    plain.says(&["keep a copy", "not protected"]);
    for said in [&plain.out, &plain.err] {
        assert!(!said.to_uppercase().contains("AGE-SECRET-KEY"), "{plain}");
    }
}

#[test]
fn init_makes_what_the_config_describes_once() {
    let install = Install::new();
    let made = install.run(["init", "--kit", "kit", "--json"]).json(0);
    assert_eq!(fields(&made), ["config", "vaults"]);
    let vault = &made["vaults"][0];
    let names = ["kit", "longest_readable_days", "name", "root_key", "vault"];
    assert_eq!(fields(vault), names);
    assert_eq!(vault["name"], "nightly");
    let kit = install.path("").join(vault["kit"].as_str().unwrap());
    let mut files: Vec<String> = tree_of(&kit).into_keys().collect();
    files.sort();
    assert_eq!(files, ["README.txt", "checkpoint", "config.toml", "root.age", "vault.key"]);
    let again = install.run(["init", "--kit", "kit"]);
    again.fails(1, "vault-exists", &["nightly", "state/nightly"]);
}

#[test]
fn init_writes_a_first_config_from_flags_and_asks_nothing() {
    let install = Install::new();
    let recipient = install.keygen("second.key");
    let store = format!("file://{}", install.text("first"));
    let (state, uploads, script) =
        (install.text("first-state"), install.text("uploads"), install.text("dump.sh"));
    let mut words = vec!["--config", "first.toml", "init", "--kit", "first-kit"];
    words.extend(["--recipient", &recipient, "--state-dir", &state, "--store", &store]);
    words.extend(["--keep-daily", "7", "--uploads", &uploads, "--", "sh", &script]);
    install.run(words).exits(0).says(&["wrote the config first.toml"]);
    let taken = install.run(["--config", "first.toml", "snapshot", "--json"]).json(0);
    assert_eq!(taken["snapshots"][0]["vault"], "nightly");
    assert_eq!(taken["snapshots"][0]["row_count"], 400);
}

#[test]
fn a_made_identity_is_in_the_kit_before_any_config_names_its_recipient() {
    let install = Install::new();
    let (state, store) = (install.text("own-state"), format!("file://{}", install.text("own")));
    let uploads = install.text("uploads");
    let mut words = vec!["--config", "own.toml", "init", "--state-dir", &state];
    words.extend(["--store", &store, "--uploads", &uploads, "--kit"]);
    let init = |kit: &'static str| {
        let mut command = install.command(words.iter().copied().chain([kit]));
        command.env("IDSWYFT_VAULT_PASSPHRASE", "correct horse battery staple");
        Outcome::of(command.output().unwrap())
    };
    init("uploads/kit").fails(2, "kit-place-refused", &["uploads/kit"]);
    assert!(!install.path("own.toml").exists(), "its recipient would have no identity anywhere");
    init("own-kit").exits(0).says(&["wrote the config own.toml"]);
    let kit = fs::read_dir(install.path("own-kit")).unwrap().next().unwrap().unwrap().path();
    let config = fs::read(install.path("own.toml")).unwrap();
    assert!(kit.join("operator.key").exists());
    assert_eq!(fs::read(kit.join("config.toml")).unwrap(), config);
}

#[test]
fn init_makes_the_vault_that_is_missing_beside_one_that_exists() {
    let (install, id) = Install::with_snapshot();
    install.write_config(&[crate::support::NIGHTLY, crate::support::KYC].concat());
    let made = install.run(["init", "--kit", "kit"]).exits(0);
    made.says(&["vault nightly exists and is left as it is"]);
    assert!(made.out.contains("created vault kyc"), "{made}");
    install.assert_restores_of("nightly", &id);
}

#[test]
fn init_refuses_a_kit_within_what_it_is_to_save() {
    let install = Install::new();
    for place in ["state/kit", "store", "uploads/kit"] {
        let refused = install.run(["init", "--kit", place]);
        refused.fails(2, "kit-place-refused", &[place, "would be lost with it"]);
    }
    install.run(["init", "--kit", "kit"]).exits(0);
}

#[test]
fn snapshot_and_snapshots_tell_what_was_stored() {
    let install = Install::ready();
    let words = ["snapshot", "--json", "--tag", "pre-update", "--tag", "x", "--no-retain"];
    let taken = install.run(words).json(0);
    assert_eq!(fields(&taken), ["snapshots"]);
    let report = &taken["snapshots"][0];
    let names = [
        "content_len",
        "file_count",
        "id",
        "lagging",
        "new_len",
        "row_count",
        "stored_len",
        "time",
        "vault",
    ];
    assert_eq!(fields(report), names);
    assert_eq!((&report["file_count"], &report["row_count"]), (&2.into(), &400.into()));
    let listed = install.run(["snapshots", "--json"]).json(0);
    assert_eq!(fields(&listed), ["snapshots"]);
    let row = &listed["snapshots"][0];
    for name in ["id", "vault", "time", "tags", "generation", "stores", "stored_len", "new_len"] {
        assert!(!row[name].is_null(), "{name} is missing in {row}");
    }
    assert_eq!(
        (&row["id"], &row["tags"]),
        (&report["id"], &serde_json::json!(["pre-update", "x"]))
    );
    assert_eq!(row["stores"], serde_json::json!(["local"]));
    let plain = install.run(["snapshots"]).exits(0);
    let (head, first) = table(&plain.out);
    assert_eq!(head, ["id", "vault", "content", "new", "stores", "tags"]);
    assert_eq!((first[0], first[1]), (report["id"].as_str().unwrap(), "nightly"));
    let said = install.run(["snapshot"]).exits(0);
    assert!(said.out.contains("2 files and 400 rows"), "{said}");
}

#[test]
fn without_snapshots_there_is_an_empty_list_and_no_latest() {
    let install = Install::ready();
    let empty = install.run(["snapshots", "--json"]).json(0);
    assert_eq!(empty, serde_json::json!({"snapshots": []}));
    install.run(["show", "latest"]).fails(1, "snapshot-unknown", &["there is none yet"]);
    install.run(["verify"]).exits(0);
}

#[test]
fn show_tells_what_is_signed_without_an_identity_and_everything_with_one() {
    let (install, id) = Install::with_snapshot();
    let signed = install.run(["show", "latest", "--json"]).json(0);
    let names = [
        "floor",
        "generation",
        "generation_len",
        "id",
        "new_len",
        "pack_count",
        "signer",
        "stored_len",
        "time",
        "tree_count",
        "unique_len",
        "vault",
        "vault_len",
    ];
    assert_eq!(fields(&signed), names);
    assert_eq!((&signed["id"], &signed["vault"]), (&id.as_str().into(), &"nightly".into()));
    // The only snapshot there is shares nothing.
    for name in ["unique_len", "generation_len", "vault_len"] {
        assert_eq!(signed[name], signed["stored_len"], "{name}");
    }
    let full = install.unlock(["show", &id, "--json"]).json(0);
    assert_eq!(full["database"]["rows"]["public.users"], 400);
    assert_eq!(full["uploads"]["file_count"], 2);
    assert_eq!(full["vault"], "nightly");
    let plain = install.unlock(["show", &id]).exits(0);
    assert!(plain.out.contains("database.rows.public.users  400\n"), "{plain}");
    let files = install.unlock(["show", &id, "--files", "--json"]).json(0);
    assert_eq!(fields(&files), ["files", "id"]);
    let file = files["files"].as_array().unwrap().iter().find(|file| file["size"] == 5_000);
    let file = file.expect("the selfie is listed");
    assert_eq!(fields(file), ["gid", "kind", "mode", "mtime", "path", "size", "uid"]);
    assert_eq!((&file["path"], &file["kind"]), (&"selfies/b.jpg".into(), &"file".into()));
    let plain = install.unlock(["show", &id, "--files"]).exits(0);
    assert!(plain.out.contains("documents/a.jpg"), "{plain}");
    install.run(["show", &id, "--files"]).fails(6, "identity-missing", &["list the files"]);
}

#[test]
fn restore_writes_all_of_a_snapshot_or_what_was_asked_for() {
    let (install, id) = Install::with_snapshot();
    let names = |target: &str| tree_of(&install.path(target)).into_keys().collect::<Vec<_>>();
    let whole = install.unlock(["restore", &id, "--target", "whole", "--json"]).json(0);
    let fields_of = ["content_len", "database_len", "file_count", "id", "losses", "target"];
    assert_eq!(fields(&whole), fields_of);
    assert_eq!((&whole["file_count"], &whole["content_len"]), (&2.into(), &75_000.into()));
    let all = ["db.sql", "facts.json", "uploads/documents/a.jpg", "uploads/selfies/b.jpg"];
    assert_eq!(names("whole"), all);
    install.assert_restores(&id);
    install.unlock(["restore", &id, "--target", "db", "--only", "database"]).exits(0);
    assert_eq!(names("db"), ["db.sql", "facts.json"]);
    install.unlock(["restore", &id, "--target", "up", "--only", "uploads"]).exits(0);
    assert_eq!(names("up").len(), 3);
    let words = ["restore", "latest", "--target", "some", "--path", "selfies/*"];
    install.unlock(words).exits(0);
    assert_eq!(names("some"), ["facts.json", "uploads/selfies/b.jpg"]);
    let none = install.unlock(["restore", &id, "--target", "none", "--path", "nothing/*"]);
    none.fails(1, "path-unknown", &[&id]);
    let both = ["restore", &id, "--target", "x", "--path", "a", "--only", "database"];
    install.unlock(both).fails(2, "usage-invalid", &["--path", "--only database"]);
}

#[test]
fn restore_touches_nothing_that_exists_unless_it_is_told_to() {
    let (install, id) = Install::with_snapshot();
    install.write("busy/db.sql", b"precious");
    install.write("busy/other", b"left alone");
    let refused = install.unlock(["restore", &id, "--target", "busy"]);
    refused.fails(1, "target-not-empty", &["busy"]);
    assert_eq!(tree_of(&install.path("busy"))["db.sql"], b"precious");
    install.unlock(["restore", &id, "--target", "busy", "--overwrite"]).exits(0);
    let after = tree_of(&install.path("busy"));
    assert_eq!(after["other"], b"left alone");
    assert_eq!(after["db.sql"], fs::read(install.path("db.sql")).unwrap());
    assert_eq!(after.len(), 5);
}

#[test]
fn restore_at_a_time_takes_the_newest_snapshot_that_is_not_younger() {
    let (install, id) = Install::with_snapshot();
    let words = ["restore", "--at", "2999-01-01", "--target", "late", "--json"];
    assert_eq!(install.unlock(words).json(0)["id"], id.as_str());
    let early = install.unlock(["restore", "--at", "2001-01-01", "--target", "early"]);
    early.fails(1, "snapshot-unknown", &["2001-01-01"]);
    assert!(!install.path("early").exists());
}

#[test]
fn cat_writes_the_dump_or_a_file_and_nothing_else() {
    let (install, id) = Install::with_snapshot();
    let dump = install.unlock(["cat", &id, "db"]).exits(0);
    assert_eq!(dump.out.as_bytes(), fs::read(install.path("db.sql")).unwrap());
    assert_eq!(dump.err, "");
    let mut command = install.command(["cat", "latest", "selfies/b.jpg", "-i", "operator.key"]);
    assert_eq!(command.output().unwrap().stdout, noise(2, 5_000));
    let at = install.unlock(["cat", "--at", "2999-01-01", "./db"]);
    at.fails(1, "path-unknown", &["\"db\"", &id]);
    let none = install.unlock(["cat", &id, "selfies/nobody.jpg"]);
    none.fails(1, "path-unknown", &["selfies/nobody.jpg", &id]);
}

#[test]
fn verify_tells_at_each_level_what_it_covered_and_what_not() {
    let (install, id) = Install::with_snapshot();
    for level in ["ledger", "stored", "bytes", "contents"] {
        let verified = install.unlock(["verify", "--level", level, "--json"]).json(0);
        let has = |object: &Value, name: &&str| object.get(*name).is_some();
        let head = ["began", "ended", "program", "requires", "v", "vaults"];
        assert_eq!(head.iter().find(|name| !has(&verified, name)), None);
        let report = &verified["vaults"][0];
        let names = [
            "findings",
            "ledgers",
            "level",
            "not_covered",
            "object_count",
            "proves",
            "read_len",
            "record",
            "since",
            "snapshot_count",
            "store",
            "vault",
            "verdict",
        ];
        assert_eq!(names.iter().find(|name| !has(report, name)), None);
        assert_eq!(has(report, &"stored"), level != "ledger");
        assert_eq!((&report["level"], &report["snapshot_count"]), (&level.into(), &1.into()));
        assert_eq!(report["findings"], serde_json::json!([]));
        assert_eq!(fields(&report["ledgers"][0]), ["root", "signer", "size"]);
        let gaps = report["not_covered"].as_array().unwrap();
        let opens = gaps.iter().any(|gap| gap.as_str().unwrap().contains("open"));
        assert_eq!(opens, level != "contents", "{gaps:?}");
    }
    let plain = install.run(["verify", &id, "--report", "report.json"]).exits(0);
    assert!(plain.out.contains("sound: ") && plain.out.contains("not covered: "), "{plain}");
    let page = install.run(["verify", "--report", "report.pdf"]);
    page.fails(2, "usage-invalid", &["report.pdf", ".json"]);
    let report: Value =
        serde_json::from_slice(&fs::read(install.path("report.json")).unwrap()).unwrap();
    assert_eq!(report["vaults"][0]["level"], "stored");
    let keyless = install.run(["verify", "--level", "contents"]);
    keyless.fails(6, "identity-missing", &["verify contents"]);
}

#[test]
fn ledger_prints_the_key_and_every_event() {
    let (install, id) = Install::with_snapshot();
    let keys = install.run(["ledger", "key", "--json"]).json(0);
    assert_eq!(fields(&keys), ["keys"]);
    assert_eq!(fields(&keys["keys"][0]), ["id", "key", "vault"]);
    let plain = install.run(["ledger", "key"]).exits(0);
    assert_eq!(plain.out.trim(), keys["keys"][0]["key"].as_str().unwrap());
    assert!(plain.out.starts_with("idswyft-vault/"), "{plain}");
    let shown = install.run(["ledger", "show", "--json"]).json(0);
    assert_eq!(fields(&shown), ["events", "ledgers"]);
    let heads = shown["ledgers"].as_array().unwrap();
    let head = heads.iter().find(|head| head["size"] != 0).unwrap();
    assert_eq!(fields(head), ["checkpoint", "problems", "root", "signer", "size"]);
    let events = shown["events"].as_array().unwrap();
    let named: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(named[..2], ["vault.created", "generation.opened"]);
    assert!(named.contains(&"snapshot.taken"), "{named:?}");
    let signer = head["signer"].as_str().unwrap();
    let plain = install.run(["ledger", "show", "--signer", signer]).exits(0);
    assert!(plain.out.contains(&format!("snapshot.taken {id}")), "{plain}");
    install.run(["ledger", "show", "--signer", "xyz"]).fails(2, "id-invalid", &["xyz"]);
}

#[test]
fn completions_are_printed_whatever_the_options() {
    let install = Install::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let plain = install.run(["completions", shell]).exits(0);
        assert!(plain.out.contains("idswyft-vault") && plain.err.is_empty(), "{shell}");
    }
}

#[test]
fn quiet_says_nothing_of_success() {
    let install = Install::ready();
    for words in [&["snapshot"][..], &["restore", "latest", "--target", "out"], &["verify"]] {
        let quiet = install.unlock(["--quiet"].iter().chain(words)).exits(0);
        assert_eq!((quiet.out.as_str(), quiet.err.as_str()), ("", ""), "{words:?}");
    }
    fs::remove_dir_all(install.path("store/packs")).unwrap();
    let damaged = install.run(["--quiet", "verify"]).exits(3);
    assert!(damaged.out.contains("DAMAGED"), "{damaged}");
}

#[test]
fn demo_stores_verifies_restores_and_leaves_something_to_go_on_with() {
    let install = Install::new();
    let shown = install.run(["demo", "--dir", "demo", "--json"]).json(0);
    assert_eq!(fields(&shown), ["compared_len", "dir", "new_len", "snapshots"]);
    assert!(shown["compared_len"].as_u64().unwrap() > 1_000_000);
    assert!(shown["new_len"][1].as_u64() < shown["new_len"][0].as_u64());
    let store = format!("file://{}", install.text("demo/store"));
    let there = ["--store", &store, "--vault-key", "demo/vault.key"];
    let listed = install.run(["snapshots", "--json"].into_iter().chain(there)).json(0);
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 2);
    install.run(["verify", "--level", "bytes"].into_iter().chain(there)).exits(0);
    let words = ["show", "latest", "--files", "--identity", "demo/operator.key"];
    install.run(words.into_iter().chain(there)).exits(0);
    let again = install.run(["demo", "--dir", "demo"]);
    again.fails(2, "usage-invalid", &["demo is not empty"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let install = Install::ready();
    let mut command = install.command(["completions", "bash"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
