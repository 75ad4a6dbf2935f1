//! Planning and applying retention with the real program: on a host, as a janitor, as an operator.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use idswyft_vault::format::event::EventKind;
use serde_json::Value;

use crate::support::{Install, fields, tree_of};

/// A vault with a policy and so many snapshots.
pub fn install(policy: &str, count: usize) -> (Install, Vec<String>) {
    let vault = format!(
        "[[vault]]\nname = \"nightly\"\n{policy}\n\
         [[vault.store]]\nname = \"local\"\nurl = \"file://DIR/store\"\n"
    );
    let install = Install::with_vaults(&vault);
    install.run(["init", "--kit", "kit"]).exits(0);
    let mut ids: Vec<String> = (0..count).map(|_| install.snapshot()).collect();
    // Some are of the same second.
    ids.sort();
    (install, ids)
}

/// Adds a janitor, and returns the words with which it works on a machine of its own.
pub fn janitor(install: &Install) -> Vec<String> {
    let words = ["signer", "add", "--role", "janitor", "-o", "janitor.key", "--kit", "kit"];
    install.unlock(words).exits(0);
    let config = fs::read_to_string(install.path("config.toml")).unwrap();
    install.write("away.toml", config.replace("/state\"", "/janitor\"").as_bytes());
    let key = install.run(["ledger", "key"]).exits(0).out;
    install.write("vault.key", key.as_bytes());
    let words = ["--config", "away.toml", "--vault-key", "vault.key", "--signer", "janitor.key"];
    words.map(str::to_owned).to_vec()
}

pub fn with<'a>(words: &[&'a str], more: &'a [String]) -> Vec<&'a str> {
    words.iter().copied().chain(more.iter().map(String::as_str)).collect()
}

/// Counts the snapshots that have a note: lists stay until they are pruned.
fn notes(install: &Install) -> usize {
    install.objects("snapshots").iter().filter(|name| name.ends_with(".note")).count()
}

fn verdicts(plan: &Value) -> Vec<(String, bool, Vec<String>)> {
    let rows = plan["vaults"][0]["snapshots"].as_array().unwrap().iter();
    let names = |row: &Value| -> Vec<String> {
        let reasons = row["reasons"].as_array().unwrap().iter();
        reasons.map(|reason| reason["name"].as_str().unwrap().to_owned()).collect()
    };
    let id = |row: &Value| row["id"].as_str().unwrap().to_owned();
    rows.map(|row| (id(row), row["keep"].as_bool().unwrap(), names(row))).collect()
}

#[test]
fn a_plan_names_every_snapshot_with_its_reason_and_changes_nothing() {
    let (install, ids) = install("keep_last = 2", 3);
    let before = tree_of(&install.path("store"));
    let plan = install.run(["retain"]).exits(0);
    for said in [
        "vault nightly: keep_last = 2, time_zone = UTC (vault note 1)",
        "no rule keeps it",
        "keep_last 2 of 2",
        "newest; keep_last 1 of 2",
        "are needed, ",
        "1 of 3 snapshots go; nothing was changed",
    ] {
        assert!(plan.out.contains(said), "{said:?}: {plan}");
    }
    let plan = install.run(["retain", "--json"]).json(0);
    let vault = &plan["vaults"][0];
    let expected = [
        "applied",
        "dropped_count",
        "freed_len",
        "guards",
        "locks",
        "needed_len",
        "now",
        "number",
        "policy",
        "pruned",
        "snapshots",
        "unfinished",
        "vault",
    ];
    assert_eq!(fields(vault), expected);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let expected = [
        (ids[0].clone(), false, names(&["no-rule"])),
        (ids[1].clone(), true, names(&["keep_last"])),
        (ids[2].clone(), true, names(&["newest", "keep_last"])),
    ];
    assert_eq!(verdicts(&plan), expected);
    assert_eq!((&vault["applied"], &vault["dropped_count"]), (&Value::Null, &Value::from(1)));
    assert_eq!(tree_of(&install.path("store")), before);
}

#[test]
fn a_host_that_may_not_forget_says_who_can() {
    let (install, ids) = install("keep_last = 2", 3);
    let before = tree_of(&install.path("store"));
    let refused = install.run(["retain", "--apply"]);
    let refused = refused.exits(2).warned("retention-elsewhere", &["nightly", "--signer FILE"]);
    assert!(refused.out.contains("goes"), "{refused}");
    install.run(["forget", &ids[2]]).exits(2).warned("retention-elsewhere", &[]);
    assert_eq!(tree_of(&install.path("store")), before);
    // Where nothing goes there is nothing to warn of.
    install.write_config(
        "[[vault]]\nname = \"nightly\"\nkeep_last = 9\n\
         [[vault.store]]\nname = \"local\"\nurl = \"file://DIR/store\"\n",
    );
    install.unlock(["policy", "set", "--kit", "kit"]).exits(0);
    install.run(["retain", "--apply"]).exits(0);
}

#[test]
fn a_janitor_on_another_machine_forgets_what_the_policy_lets_go() {
    let (install, ids) = install("keep_last = 2", 3);
    let janitor = janitor(&install);
    let applied = install.run(with(&["retain", "--apply", "--json"], &janitor)).json(0);
    let done = &applied["vaults"][0]["applied"];
    assert_eq!(done["forgotten"], Value::from(vec![ids[0].clone()]));
    assert_eq!(done["deleted"][0]["object_count"], 2);
    install.assert_snapshots(&[&ids[1], &ids[2]]);
    install.assert_restores(&ids[1]);
    install
        .run(["restore", &ids[0], "--target", "x", "--store", "local", "-i", "operator.key"])
        .fails(1, "snapshot-unknown", &[&ids[0]]);
    install.unlock(["verify", "--level", "contents"]).exits(0);
    let shown = install.run(["ledger", "show"]).exits(0);
    assert!(shown.out.contains(&format!("snapshot.forgotten {}", ids[0])), "{shown}");
    // The host goes on, and so does the janitor.
    let next = install.snapshot();
    let applied = install.run(with(&["retain", "--apply"], &janitor)).exits(0);
    assert!(applied.out.contains("1 of 3 snapshots forgotten"), "{applied}");
    assert!(applied.out.contains("nothing to prune before 20"), "{applied}");
    install.assert_snapshots(&[&ids[2], &next]);
    let again = install.run(with(&["retain", "--apply", "--quiet"], &janitor)).exits(0);
    assert_eq!(again.out, "");
    install.unlock(["verify", "--level", "contents"]).exits(0);
}

/// F-36
#[test]
fn what_somebody_forgot_before_is_shown_with_who_forgot_it() {
    let (install, ids) = install("keep_last = 2", 3);
    let janitor = janitor(&install);
    let left = format!("store/snapshots/{}.age", ids[0]);
    let body = fs::read(install.path(&left)).unwrap();
    install.run(with(&["retain", "--apply"], &janitor)).exits(0);
    // A host whose mirror was out of reach delivers it now.
    install.write(&left, &body);
    let shown = install.run(["retain"]).exits(0);
    let row = shown.out.lines().find(|row| row.contains(&ids[0])).unwrap();
    assert!(row.contains("goes") && row.contains("forgotten by "), "{shown}");
    assert!(shown.out.contains("1 that went before are to be deleted"), "{shown}");
    let plan = install.run(["retain", "--json"]).json(0);
    let late = &plan["vaults"][0]["unfinished"][0];
    assert_eq!(fields(late), ["forgotten_by", "id", "keep", "reasons", "rule"]);
    assert_eq!((&late["id"], &late["keep"]), (&Value::from(ids[0].clone()), &Value::from(false)));
    install.run(with(&["retain", "--apply"], &janitor)).exits(0);
    assert!(!install.path(&left).exists());
}

#[test]
fn a_janitor_needs_no_config_only_a_store_and_two_keys() {
    let (install, ids) = install("keep_last = 1", 2);
    janitor(&install);
    let url = format!("file://{}", install.text("store"));
    let words = ["retain", "--apply", "--store", &url, "--vault-key", "vault.key"];
    let signer = ["--signer", "janitor.key", "--config", "/nowhere"];
    install.run([&words[..], &signer].concat()).exits(0);
    install.assert_snapshots(&[&ids[1]]);
    let state = tree_of(&install.path(".local/state/idswyft-vault"));
    assert!(state.len() == 2 && state.keys().all(|name| name.starts_with("signer-")), "{state:?}");
    let secret = fs::read_to_string(install.path("janitor.key")).unwrap();
    let secret = secret.trim().rsplit('+').next().unwrap();
    let kept = String::from_utf8(state.into_values().flatten().collect()).unwrap();
    assert!(!kept.contains(secret));
    install.run(["retain", "--store", &url]).exits(2);
}

#[test]
fn a_guard_stops_with_the_name_of_its_flag() {
    let (install, ids) = install("keep_last = 1", 3);
    let janitor = janitor(&install);
    let before = tree_of(&install.path("store"));
    install.run(["retain"]).warns("retention-guarded", &["2 of 3", "--accept-many"]);
    let refused = install.run(with(&["retain", "--apply"], &janitor));
    refused.fails(1, "retention-guarded", &["2 of 3 snapshots would go", "--accept-many"]);
    assert_eq!(tree_of(&install.path("store")), before);
    install.run(with(&["retain", "--apply", "--accept-many"], &janitor)).exits(0);
    install.assert_snapshots(&[&ids[2]]);
}

#[test]
fn a_snapshot_is_forgotten_by_its_id_unless_its_floor_keeps_it() {
    let (install, ids) = install("", 3);
    let janitor = janitor(&install);
    install.run(["forget", "latest"]).fails(2, "usage-invalid", &[]);
    install.run(["forget", "1999"]).fails(1, "snapshot-unknown", &["1999"]);
    let planned = install.run(["forget", &ids[0], "--dry-run"]).exits(0);
    assert!(planned.out.contains("asked for by name"), "{planned}");
    install.assert_snapshots(&[&ids[0], &ids[1], &ids[2]]);
    install.run(with(&["forget", &ids[0]], &janitor)).exits(0);
    install.assert_snapshots(&[&ids[1], &ids[2]]);
    let operator = install.unlock(["forget", &ids[1], "--kit", "kit", "--json"]).json(0);
    assert_eq!(operator["vaults"][0]["applied"]["forgotten"][0], *ids[1]);
    install.write_config(
        "[[vault]]\nname = \"nightly\"\nfloor = \"1y\"\n\
         [[vault.store]]\nname = \"local\"\nurl = \"file://DIR/store\"\n",
    );
    install.unlock(["policy", "set", "--kit", "kit"]).exits(0);
    let all = ["--accept-many", "--accept-clock", "--accept-last-verified"];
    let refused = install.run([&with(&["forget", &ids[2]], &janitor)[..], &all].concat());
    refused.fails(1, "snapshot-promised", &[&ids[2], "floor until"]);
    install.assert_snapshots(&[&ids[2]]);
    install.unlock(["verify", "--level", "contents"]).exits(0);
}

#[test]
fn a_note_that_is_older_or_newer_than_it_says_counts_for_no_rule() {
    let (install, ids) = install("keep_last = 1", 2);
    let note = install.path(&format!("store/snapshots/{}.note", ids[1]));
    let later = SystemTime::now() - Duration::from_secs(3 * 24 * 3600);
    File::options().write(true).open(note).unwrap().set_modified(later).unwrap();
    let plan = install.run(["retain", "--json"]).json(0);
    let found = verdicts(&plan);
    assert_eq!((found[1].1, &found[1].2[..]), (true, &["anomaly".to_owned()][..]));
    assert_eq!((found[0].1, found[0].2[0].as_str()), (true, "newest"), "it pushes out nothing");
}

#[test]
fn a_policy_is_shown_as_it_is_signed_and_set_from_the_config() {
    let (install, _) = install("keep_daily = 30", 1);
    let shown = install.run(["policy", "show"]).exits(0);
    for said in ["keep_daily", "30", "longer than 409 days"] {
        assert!(shown.out.contains(said), "{said}: {shown}");
    }
    assert!(!shown.out.contains("differs"), "{shown}");
    install.write_config(
        "[[vault]]\nname = \"nightly\"\nkeep_daily = 7\nkeep_tags = [\"audit\"]\n\
         [[vault.store]]\nname = \"local\"\nurl = \"file://DIR/store\"\n",
    );
    let shown = install.run(["policy", "show"]).exits(0);
    assert!(shown.out.contains("differs: keep_daily: 7 in the config, 30 signed"), "{shown}");
    install.run(["snapshot"]).warns("policy-differs", &["keep_daily"]);
    let set = install.unlock(["policy", "set", "--kit", "kit"]).exits(0);
    for said in ["signed in vault note 2", "keep_daily = 7, keep_tags = audit", "without a bound"] {
        assert!(set.out.contains(said), "{said}: {set}");
    }
    let again = install.unlock(["policy", "set", "--kit", "kit", "--json"]).json(0);
    assert_eq!((&again["number"], &again["before"]), (&Value::from(2), &Value::Null));
    install.run(["snapshot", "--tag", "audit"]).exits(0);
    let plan = install.run(["retain", "--json"]).json(0);
    assert!(verdicts(&plan).iter().any(|(_, _, names)| names.contains(&"keep_tags".to_owned())));
    let key = install.run(["ledger", "key"]).exits(0).out;
    let url = format!("file://{}", install.text("store"));
    let words = ["policy", "show", "--json", "--store", &url, "--vault-key", key.trim()];
    let shown = install.run([&words[..], &["--config", "/nowhere"]].concat()).json(0);
    assert_eq!(shown["policies"][0]["config_differs"], Value::Null);
    // A policy that contradicts itself is refused with both lines, and nothing is signed.
    install.write_config(
        "[[vault]]\nname = \"nightly\"\nkeep_daily = 90\nceiling = \"30d\"\n\
         [[vault.store]]\nname = \"local\"\nurl = \"file://DIR/store\"\n",
    );
    let refused = install.unlock(["policy", "set", "--kit", "kit"]);
    refused.fails(2, "policy-contradiction", &["keep_daily = 90", "ceiling = 30d"]);
}

#[test]
fn a_held_snapshot_stays_until_the_operator_releases_it() {
    let (install, ids) = install("keep_last = 1", 2);
    let janitor = janitor(&install);
    let kit = ["--kit", "kit"];
    let add = ["hold", "add", &ids[0], "--reason", "case 12/26"];
    install.run(add).fails(2, "usage-invalid", &["--kit"]);
    let by_janitor = install.run([&add[..], &["--signer", "janitor.key"]].concat());
    by_janitor.fails(2, "signer-refused", &["hold.placed"]);
    let held = install.unlock([&add[..], &kit].concat()).exits(0);
    assert!(held.out.contains(&format!("held {} until released", ids[0])), "{held}");
    let plan = install.run(["retain"]).exits(0);
    assert!(plan.out.contains("stays    hold ") && plan.out.contains("0 of 2"), "{plan}");
    install.run(with(&["retain", "--apply", "--accept-many"], &janitor)).exits(0);
    let forget = install.run(with(&["forget", &ids[0], "--accept-many"], &janitor));
    forget.fails(1, "snapshot-promised", &["hold"]);
    install.assert_snapshots(&[&ids[0], &ids[1]]);
    let listed = install.run(["hold", "list", "--json"]).json(0);
    assert_eq!(
        (&listed["holds"][0]["reason"], &listed["holds"][0]["counts"]),
        (&Value::Null, &true.into())
    );
    let listed = install.unlock(["hold", "list"]).exits(0);
    assert!(listed.out.contains("case 12/26"), "{listed}");
    let store = tree_of(&install.path("store"));
    let is_clear = |bytes: &Vec<u8>| bytes.windows(10).any(|window| window == b"case 12/26");
    assert!(!store.values().any(is_clear));
    let release = ["hold", "release", &ids[0], "--reason", "settled", "--json"];
    let released = install.unlock([&release[..], &kit].concat()).json(0);
    assert_eq!(released["released"][0]["snapshot"], *ids[0]);
    install.unlock([&release[..], &kit].concat()).exits(1);
    install.run(with(&["retain", "--apply"], &janitor)).exits(0);
    install.assert_snapshots(&[&ids[1]]);
    install.unlock(["verify", "--level", "contents"]).exits(0);
    let until = ["--until", "2099-01-01", "--reason", "audit"];
    let all =
        install.unlock([&["hold", "add", "--before", "2098-01-01"], &until[..], &kit].concat());
    assert!(all.exits(0).out.contains("until 2099-01-01T23:59:59.999999999Z, or released"));
}

/// Returns what `signer list` says of the host.
fn host(install: &Install) -> Value {
    let listed = install.run(["signer", "list", "--json"]).json(0);
    let signers = listed["signers"].as_array().unwrap();
    signers.iter().find(|signer| signer["role"] == "writer").unwrap().clone()
}

/// Delegates to the host what it may be delegated on request.
pub fn let_the_host(install: &Install, events: &[EventKind]) {
    let id = host(install)["id"].as_str().unwrap().to_owned();
    let events = events.iter().flat_map(|kind| ["--event", kind.name()]);
    let set: Vec<&str> = ["signer", "set", &id, "--kit", "kit"].into_iter().chain(events).collect();
    let done = install.unlock(&set).exits(0);
    assert!(done.out.contains("snapshot.forgotten"), "{done}");
    assert!(install.unlock(&set).exits(0).out.contains("may append that already"));
}

/// V-105
#[test]
fn a_host_gets_and_loses_what_the_operator_delegates_to_it() {
    let install = install("keep_last = 2", 1).0;
    let usual = host(&install);
    let id = usual["id"].as_str().unwrap();
    let_the_host(&install, &[EventKind::SnapshotForgotten]);
    assert_ne!(host(&install)["events"], usual["events"]);
    install.unlock(["signer", "set", id, "--kit", "kit"]).exits(0);
    assert_eq!(host(&install)["events"], usual["events"]);
    let undue = ["signer", "set", id, "--event", "hold.released", "--kit", "kit"];
    install.unlock(undue).fails(2, "signer-refused", &["hold.released"]);
    let nobody = ["signer", "set", "0011223344556677", "--kit", "kit"];
    install.unlock(nobody).fails(2, "signer-refused", &["does not have it"]);
    install.unlock(["verify", "--level", "ledger"]).exits(0);
}

/// F-27
#[test]
fn the_night_of_a_host_that_may_forget_applies_the_policy_and_a_guard_fails_no_snapshot() {
    let (install, ids) = install("keep_last = 2", 2);
    let_the_host(&install, &[EventKind::SnapshotForgotten]);
    install.run(["snapshot", "--no-retain"]).exits(0);
    assert_eq!(install.objects("snapshots").len(), 9, "nothing goes where that is not wanted");
    install.run(["snapshot"]).exits(0);
    assert_eq!(notes(&install), 2, "two are left of four");
    let listed = install.run(["snapshots", "--json"]).json(0);
    let listed = listed["snapshots"].as_array().unwrap().clone();
    assert!(listed.len() == 2 && listed.iter().all(|row| row["id"] != *ids[0]));
    install.unlock(["verify", "--level", "contents"]).exits(0);
    install.write_config(
        "[[vault]]\nname = \"nightly\"\nkeep_last = 1\n\
         [[vault.store]]\nname = \"local\"\nurl = \"file://DIR/store\"\n",
    );
    install.unlock(["policy", "set", "--kit", "kit"]).exits(0);
    install.run(["snapshot"]).warns("retention-guarded", &["2 of 3", "not applied"]);
    assert_eq!(notes(&install), 3);
    install.run(["retain", "--apply", "--accept-many"]).exits(0);
    assert_eq!(notes(&install), 1);
    install.unlock(["verify", "--level", "contents"]).exits(0);
}
