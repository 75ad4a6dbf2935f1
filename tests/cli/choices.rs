//! Which config, which vault and which snapshot: what is unknown, ambiguous or contradicts itself.

use std::fs;

use crate::support::{Install, KYC, NIGHTLY};

/// Appends to the config after `state_dir` and `recipients`.
fn with_lines(install: &Install, nightly: &str) {
    let vault = NIGHTLY.replace("keep_daily = 30\n", nightly);
    install.write_config(&vault);
}

#[test]
fn a_config_with_an_unknown_key_is_refused_with_its_line() {
    let (install, id) = Install::with_snapshot();
    with_lines(&install, "keep_dayly = 30\n");
    let refused = install.run(["snapshot"]);
    refused.fails(2, "config-invalid", &["config.toml: line 5", "keep_dayly"]);
    install.write_config(NIGHTLY);
    install.assert_restores(&id);
}

#[test]
fn a_policy_that_contradicts_itself_is_refused_with_both_its_keys() {
    let (install, id) = Install::with_snapshot();
    with_lines(&install, "floor = \"1y\"\nceiling = \"6mo\"\n");
    let refused = install.run(["snapshot"]);
    refused.fails(2, "policy-contradiction", &["nightly", "floor = 1y", "ceiling = 6mo"]);
    install.write_config(NIGHTLY);
    install.assert_restores(&id);
}

#[test]
fn a_recipient_that_does_not_parse_is_refused_with_its_line() {
    let install = Install::new();
    let config = fs::read_to_string(install.path("config.toml")).unwrap();
    let broken = config.replacen("recipients = [\"age1", "recipients = [\"age1notone", 1);
    install.write("config.toml", broken.as_bytes());
    let refused = install.run(["init", "--kit", "kit"]);
    refused.fails(2, "recipient-invalid", &["line 2", "recipients", "age1notone"]);
    assert!(!install.path("state").exists() && !install.path("kit").exists());
}

#[test]
fn a_config_that_is_not_there_is_named() {
    let install = Install::new();
    let missing = install.run(["snapshots", "--config", "gone.toml"]);
    missing.fails(2, "config-missing", &["gone.toml"]);
    let nowhere = install.command(["snapshots"]).env("IDSWYFT_VAULT_CONFIG", "").output();
    let nowhere = crate::support::Outcome::of(nowhere.unwrap());
    nowhere.fails(2, "config-missing", &["./idswyft-vault.toml"]);
}

#[test]
fn a_vault_that_init_has_not_made_is_told_from_an_empty_one() {
    let install = Install::new();
    for words in [&["snapshot"][..], &["snapshots"], &["verify"], &["ledger", "key"]] {
        install.run(words).fails(1, "vault-missing", &["nightly", "state/nightly"]);
    }
    install.run(["snapshots", "--vault", "moon"]).fails(2, "usage-invalid", &["moon", "nightly"]);
}

#[test]
fn one_of_several_vaults_must_be_named_where_one_is_meant() {
    let install = Install::with_vaults(&[NIGHTLY, KYC].concat());
    install.run(["init", "--kit", "kit"]).exits(0);
    let id = install.run(["snapshot", "--json", "--vault", "kyc"]).json(0);
    let id = id["snapshots"][0]["id"].as_str().unwrap().to_owned();
    for words in [&["show", &id][..], &["restore", &id, "--target", "out"], &["cat", &id, "db"]] {
        let refused = install.unlock(words);
        refused.fails(2, "usage-invalid", &["2 vaults", "--vault"]);
    }
    install.unlock(["cat", &id, "db", "--vault", "kyc"]).exits(0);
}

#[test]
fn an_id_must_be_one_and_match_one_snapshot() {
    let (install, first) = Install::with_snapshot();
    let second = install.snapshot();
    let unknown = install.run(["show", "19990101T000000Z"]);
    unknown.fails(1, "snapshot-unknown", &["19990101T000000Z", "none of the 2"]);
    let ambiguous = install.run(["show", &first[..2]]);
    ambiguous.fails(2, "snapshot-ambiguous", &["2 match", &first, &second]);
    install.run(["show", "yesterday"]).fails(2, "id-invalid", &["yesterday"]);
    install.run(["show", "--at", "yesterday"]).fails(2, "usage-invalid", &["yesterday"]);
    assert_eq!(install.run(["show", &first, "--json"]).json(0)["id"], first.as_str());
}

#[test]
fn one_pass_over_the_sources_feeds_every_vault_that_is_due() {
    let install = Install::with_vaults(&[NIGHTLY, KYC].concat());
    install.run(["init", "--kit", "kit"]).exits(0);
    let taken = |exit: i32| -> Vec<(String, String)> {
        let report = install.run(["snapshot", "--json"]).json(exit);
        let rows = report["snapshots"].as_array().unwrap().iter();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        rows.map(|row| (text(&row["vault"]), text(&row["id"]))).collect()
    };
    let runs = || fs::read_to_string(install.path("count")).unwrap().lines().count();
    let both = taken(0);
    let names: Vec<&str> = both.iter().map(|(vault, _)| vault.as_str()).collect();
    assert_eq!((names, runs()), (vec!["nightly", "kyc"], 1), "the dump was read more than once");
    for (vault, id) in &both {
        install.keep(id);
        install.assert_restores_of(vault, id);
    }
    let second = taken(0);
    let third = install.run(["snapshot", "--vault", "kyc"]).exits(0);
    // Unless a month ended meanwhile, that of `kyc` has its snapshot already.
    let month_of = |id: &str| id[..6].to_owned();
    if month_of(&second[0].1) == month_of(&both[1].1) {
        let names: Vec<&str> = second.iter().map(|(vault, _)| vault.as_str()).collect();
        assert_eq!((names, runs()), (vec!["nightly"], 2));
        assert_eq!(third.out, "no vault is due\n");
    }
    // No object of one is in the other: they share no key, chunk or pack.
    let packs = |store: &str| crate::support::tree_of(&install.path(store).join("packs"));
    let (nightly, kyc) = (packs("store"), packs("archive"));
    assert!(!nightly.is_empty() && !kyc.is_empty());
    assert!(nightly.keys().all(|name| !kyc.contains_key(name)));
}

#[test]
fn a_parameter_that_the_config_leaves_to_its_default_does_not_differ() {
    let (install, _) = Install::with_snapshot();
    // A vault of months made today begins with 45 days; this one has had 30 since it was made.
    install.write_config(
        "[[vault]]\nname = \"nightly\"\nkeep_monthly = 24\nevery = \"month\"\n\
         [[vault.store]]\nname = \"local\"\nurl = \"file://DIR/store\"\n",
    );
    install.unlock(["policy", "set", "--kit", "kit"]).exits(0);
    install.run(["snapshot"]).exits(0);
    install.write_config(
        "[[vault]]\nname = \"nightly\"\nkeep_monthly = 24\nevery = \"month\"\nreuse = \"45d\"\n\
         [[vault.store]]\nname = \"local\"\nurl = \"file://DIR/store\"\n",
    );
    install.run(["snapshot"]).warns("policy-differs", &["reuse_days: 45 in the config, 30 signed"]);
    let shown = install.run(["policy", "show"]).exits(0);
    assert!(shown.out.contains("differs: reuse_days: 45 in the config, 30 signed"), "{shown}");
}

#[test]
fn a_config_that_differs_from_what_is_signed_is_a_warning_that_names_what() {
    let (install, first) = Install::with_snapshot();
    with_lines(&install, "keep_daily = 7\nreuse = \"10d\"\n");
    let warned = install.run(["snapshot"]).warns(
        "policy-differs",
        &[
            "vault nightly",
            "keep_daily: 7 in the config, 30 signed",
            "reuse_days: 10 in the config, 30 signed since `init`",
            "in force",
        ],
    );
    assert!(!warned.err.contains("1 recipient"), "{warned}");
    let second = install.keygen("second.key");
    let config = fs::read_to_string(install.path("config.toml")).unwrap();
    let config = config.replacen("recipients = [", &format!("recipients = [\"{second}\", "), 1);
    install.write("config.toml", config.as_bytes());
    let json = install.run(["snapshot", "--json"]).json(4);
    assert_eq!(json["warnings"][0]["code"], "policy-differs");
    let detail = json["warnings"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("1 recipient of the config not signed"), "{detail}");
    install.write_config(NIGHTLY);
    install.run(["snapshot"]).exits(0);
    install.assert_restores(&first);
}

#[test]
fn the_config_of_the_readme_is_one() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, config) = readme.split_once("```toml\n").unwrap();
    let (config, _) = config.split_once("```").unwrap();
    let install = Install::new();
    // The archive's recipient comes first, the custodian's second.
    let config = config.replacen("age1…", &install.keygen("readme.key"), 1);
    let config = config.replacen("age1…", &install.keygen("custodian.key"), 1);
    let config = config.replace("/var/lib/idswyft-vault", "/nowhere");
    install.write("readme.toml", config.as_bytes());
    let read = install.run(["snapshots", "--config", "readme.toml"]);
    read.fails(1, "vault-missing", &["nightly", "/nowhere/nightly"]);
}
