//! Destroying the key of a generation with the real program.

use serde_json::{Value, json};

use crate::support::{Install, fields, tree_of};

/// A closed generation with a snapshot, and an open one with another.
fn two_generations() -> (Install, String, String, String) {
    let (install, first) = Install::with_snapshot();
    let rolled = install.run(["generation", "roll", "--json"]).json(0);
    let old = rolled["closed"].as_str().unwrap().to_owned();
    let second = install.snapshot();
    (install, first, second, old)
}

#[test]
fn a_generation_goes_when_its_snapshots_are_forgotten_and_then_for_good() {
    let (install, first, second, old) = two_generations();
    let needed = install.run(["shred", &old]);
    needed.fails(1, "generation-needed", &[&first, "is not forgotten"]);
    install.unlock(["forget", &first, "--kit", "kit"]).exits(0);
    let before = tree_of(&install.path("store"));
    let plan = install.run(["shred", &old, "--json"]).json(0);
    let names = [
        "certificate",
        "certified_before",
        "generation",
        "recorded_before",
        "revs",
        "segment_count",
        "snapshot_count",
        "stores",
        "unclear_count",
        "unseen",
        "vault",
    ];
    assert_eq!(fields(&plan), names);
    assert_eq!((&plan["stores"], &plan["snapshot_count"]), (&Value::Null, &1.into()));
    install.run(["shred", &old, "--apply"]).fails(2, "usage-invalid", &["--kit"]);
    assert_eq!(tree_of(&install.path("store")), before, "nothing was changed");
    let told = install.run(["shred", &old]).exits(0);
    let head = format!(
        "vault nightly: generation {old}: 1 key file, 1 segment, 1 snapshot, all forgotten\n"
    );
    let end = "nothing was changed; with --apply it can never be opened again\n";
    assert_eq!(told.out, format!("{head}{end}"));
    let done = install.unlock(["shred", &old, "--apply", "--kit", "kit"]).exits(0);
    let expected = format!(
        "{head}store local: erased 1 version, no key file is left\n\
         the certificate is recorded in every store: nothing there opens {old}\n  \
         not covered: identities that `generation export` handed out\n  \
         not covered: copies and backups of a store that were made outside this vault\n  \
         not covered: recovery kits, and copies of key files beside them\n  \
         not covered: blocks of a disk that nothing has overwritten yet\n  \
         not covered: what was restored\n"
    );
    assert_eq!(done.out, expected, "{done}");
    assert!(install.objects("generations").iter().all(|name| !name.contains(&old)));
    let export = install.unlock(["generation", "export", &old, "-o", "old.key"]);
    assert_ne!(export.exit, 0, "{export}");
    install.assert_restores(&second);
    let shown = install.run(["ledger", "show"]).exits(0);
    assert!(shown.out.contains(&format!("generation.shredded {old}, certified")), "{shown}");
    let listed = install.run(["generation", "list", "--json"]).json(0);
    let rows = listed["generations"].as_array().unwrap();
    // Both may be of the same second.
    let row = rows.iter().find(|row| row["id"] == *old).unwrap();
    assert_eq!((rows.len(), &row["state"]), (2, &"shredded".into()));
    assert_eq!(row["revs"], json!([{ "rev": 1, "is_there": false }]));
    let listed = install.run(["generation", "list"]).exits(0);
    assert!(listed.out.contains("shredded"), "{listed}");
    let again = install.unlock(["shred", &old, "--apply", "--kit", "kit", "--json"]).json(0);
    assert_eq!((&again["certified_before"], &again["unseen"]), (&true.into(), &json!([])));
    let store = json!({
        "store": "local",
        "sight": "whole",
        "erased_count": 0,
        "foreign": [],
        "left": [],
        "segment_count": 0,
        "segments_left": 0,
    });
    assert_eq!(again["stores"], json!([store]));
    let seen = json!({ "store": "local", "sight": "whole", "erased_count": 0, "segment_count": 0 });
    let open = ["exported-identities", "store-copies", "recovery-kits", "media", "restored"];
    assert_eq!(again["certificate"], json!({ "stores": [seen], "not_covered": open }));
}

#[test]
fn what_is_open_unknown_or_not_delegated_is_not_shredded() {
    let (install, first, _, old) = two_generations();
    let listed = install.run(["generation", "list", "--json"]).json(0);
    let rows = listed["generations"].as_array().unwrap();
    let open = rows.iter().find(|row| row["state"] == "open").unwrap()["id"].as_str().unwrap();
    install.run(["shred", open]).fails(1, "generation-needed", &[open, "closed"]);
    install.run(["shred", "1999"]).fails(2, "generation-unknown", &["1999"]);
    install.unlock(["forget", &first, "--kit", "kit"]).exits(0);
    let words = ["signer", "add", "--role", "janitor", "-o", "janitor.key", "--kit", "kit"];
    install.unlock(words).exits(0);
    let refused = install.run(["shred", &old, "--apply", "--signer", "janitor.key"]);
    refused.fails(2, "signer-refused", &["generation.shredded"]);
    assert!(install.objects("generations").iter().any(|name| name.contains(&old)));
}
