//! The schedule and `status`, from the outside. Spec: `nights.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use idswyft_vault::vault::state::StateLock;
use serde_json::Value;

use super::support::{Install, Outcome, fields, tree_of};

const UNITS: &str = "root/etc/systemd/system";

/// Makes an installation beside the root of a host that systemd runs.
fn with_systemd() -> Install {
    let install = Install::ready();
    fs::create_dir_all(install.path("root/run/systemd/system")).unwrap();
    install
}

fn codes(report: &Value) -> Vec<&str> {
    let warnings = report["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
    warnings.iter().map(|warning| warning["code"].as_str().unwrap()).collect()
}

/// Returns the files of the state, but for those that SQLite keeps beside its own.
fn state_of(install: &Install) -> BTreeMap<String, Vec<u8>> {
    let mut files = tree_of(&install.path("state"));
    files.retain(|name, _| !name.ends_with("-wal") && !name.ends_with("-shm"));
    files
}

/// N-7 N-8
#[test]
fn a_host_with_systemd_gets_a_service_and_a_timer_that_systemd_accepts() {
    let install = with_systemd();
    install.run(["schedule", "install", "--root", "root"]).exits(0);
    let service = fs::read_to_string(install.path(&format!("{UNITS}/idswyft-vault.service")));
    let service = service.unwrap();
    let writable = format!("ReadWritePaths={} -{}", install.text("state"), install.text("store"));
    assert!(service.lines().any(|line| line.starts_with(&writable)), "{service}");
    assert!(!service.contains("identity") && !service.contains("operator.key"), "{service}");
    let link = install.path(&format!("{UNITS}/timers.target.wants/idswyft-vault.timer"));
    let target = fs::read_link(link).unwrap();
    assert_eq!(target, Path::new("/etc/systemd/system/idswyft-vault.timer"));
    let shown = install.run(["schedule", "show", "--json", "--root", "root"]).json(0);
    assert_eq!(shown["schedules"][0]["scheduler"], "systemd");
    assert_eq!(shown["schedules"][0]["line"], "OnCalendar=*-*-* 02:40:00 UTC");
    if Path::new("/usr/bin/systemd-analyze").exists() {
        let units = install.path(UNITS);
        let names = ["idswyft-vault.service", "idswyft-vault.timer"].map(|name| units.join(name));
        let output = Command::new("systemd-analyze").arg("verify").args(names).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // It also speaks of other units of the machine.
        let ours: Vec<&str> = said.lines().filter(|line| line.contains("idswyft-vault")).collect();
        assert!(output.status.success() && ours.is_empty(), "{said}");
    }
    install.run(["schedule", "remove", "--root", "root"]).exits(0);
    assert_eq!(tree_of(&install.path("root")), BTreeMap::new());
}

#[test]
fn a_dry_run_shows_everything_and_writes_nothing() {
    let install = with_systemd();
    let before = tree_of(&install.path("root"));
    let shown = install.run(["schedule", "install", "--dry-run", "--root", "root"]).exits(0);
    for part in ["[Service]", "[Timer]", "ExecStart=", "nothing was written; every night at 02:40"]
    {
        assert!(shown.out.contains(part), "{part}: {shown}");
    }
    assert_eq!(tree_of(&install.path("root")), before);
}

/// N-8
#[test]
fn where_no_store_may_be_read_nothing_is_verified_and_installing_says_so() {
    let install = with_systemd();
    install.write_config(
        "[[vault]]\nname = \"nightly\"\nkeep_daily = 30\n[[vault.store]]\nname = \"bucket\"\n\
         url = \"s3://bucket/prefix\"\nput_only = true\n",
    );
    let shown = install.run(["schedule", "install", "--dry-run", "--root", "root"]).exits(0);
    assert!(shown.out.contains("nothing is verified at night"), "{shown}");
    assert!(!shown.out.contains("verify --level"), "{shown}");
}

/// N-2
#[test]
fn a_time_at_which_the_stack_works_is_refused_and_nothing_is_written() {
    let install = with_systemd();
    let words = ["schedule", "install", "--root", "root", "--at", "02:00"];
    let named = ["deletes expired verifications", "01:55 to 02:20 UTC", "is 01:54"];
    install.run(words).fails(2, "schedule-refused", &named);
    let mut berlin = install.command(["schedule", "install", "--root", "root", "--at", "04:00"]);
    // Whatever the season: 04:00 there is 02:00 or 03:00 UTC, and cron may meet either.
    berlin.env("TZ", "Europe/Berlin").arg("--scheduler=cron-d");
    Outcome::of(berlin.output().unwrap()).fails(2, "schedule-refused", &["02:00 UTC"]);
    assert!(!install.path("root/etc").exists());
    let wrong = install.run(["schedule", "install", "--at", "2:40"]).exits(2);
    assert!(wrong.err.contains("HH:MM"), "{wrong}");
}

/// N-8
#[test]
fn the_line_of_cron_takes_a_snapshot_and_verifies_it() {
    let install = Install::ready();
    fs::create_dir_all(install.path("root/etc/cron.d")).unwrap();
    install.run(["schedule", "install", "--root", "root"]).exits(0);
    let path = install.path("root/etc/cron.d/idswyft-vault");
    let text = fs::read_to_string(&path).unwrap();
    let line = text.lines().last().unwrap();
    let command = line.split_once(" root ").expect("the user").1.replace("\\%", "%");
    let run = Command::new("sh").arg("-c").arg(command).env_clear().output().unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && run.stdout.is_empty() && said.is_empty(), "{said}");
    let listed = install.run(["snapshots", "--json"]).json(0);
    assert_eq!(listed["snapshots"].as_array().unwrap().len(), 1);
    // The machine gets systemd: what ran the nights before does not run them twice.
    fs::create_dir_all(install.path("root/run/systemd/system")).unwrap();
    install.run(["schedule", "install", "--root", "root"]).exits(0);
    assert!(!path.exists());
}

/// N-5
#[test]
fn a_file_of_somebody_else_is_neither_overwritten_nor_removed() {
    let install = with_systemd();
    install.write(&format!("{UNITS}/idswyft-vault.timer"), b"[Timer]\nOnCalendar=daily\n");
    let before = tree_of(&install.path("root"));
    let words = ["schedule", "install", "--root", "root"];
    install.run(words).fails(2, "schedule-refused", &["idswyft-vault.timer", "not written by"]);
    install.run(["schedule", "remove", "--root", "root"]).exits(0);
    assert_eq!(tree_of(&install.path("root")), before);
}

#[test]
fn a_dump_from_standard_input_is_not_scheduled() {
    let install = Install::ready();
    let config = fs::read_to_string(install.path("config.toml")).unwrap();
    let at = config.find("[sources.database]").unwrap();
    let config = format!("{}[sources.database]\nkind = \"stdin\"\n", &config[..at]);
    install.write("config.toml", config.as_bytes());
    let words = ["schedule", "install", "--dry-run"];
    install.run(words).fails(2, "usage-invalid", &["kind = \"stdin\""]);
}

/// N-9 N-10
#[test]
fn status_tells_how_the_vault_stands_and_changes_nothing() {
    let install = Install::ready();
    let none = install.run(["status", "--json"]).json(1);
    assert!(codes(&none).contains(&"snapshot-stale"), "{none}");
    let id = install.snapshot();
    let before = state_of(&install);
    // Another run is under way.
    let lock = StateLock::take(&install.path("state")).unwrap();
    let report = install.run(["status", "--json"]).json(4);
    drop(lock);
    assert_eq!(codes(&report), ["schedule-missing", "store-shares-disk"]);
    let vault = &report["vaults"][0];
    let names = [
        "checkpoint",
        "generation",
        "generation_space",
        "last_snapshot",
        "roll_due",
        "rpo_s",
        "spool_len",
        "stale",
        "stores",
        "vault",
    ];
    assert_eq!(fields(vault), names);
    assert_eq!((&vault["last_snapshot"]["id"], &vault["stale"]), (&id.into(), &false.into()));
    assert_eq!((&vault["rpo_s"], &vault["roll_due"]), (&(26 * 3600).into(), &false.into()));
    assert_eq!(vault["stores"][0]["waiting_count"], 0);
    let space = &vault["generation_space"];
    assert!(space["pack_count"].as_u64().unwrap() > 0 && space["retired_len"] == 0, "{space}");
    assert_eq!(report["last_run"]["ended"]["exit"], 0);
    let checkpoints = install.objects("ledger").into_iter().filter(|n| n.ends_with("checkpoint"));
    let newest = fs::read_to_string(install.path("store").join(checkpoints.max().unwrap()));
    assert_eq!(vault["checkpoint"].as_str().unwrap(), newest.unwrap());
    assert_eq!(state_of(&install), before);
}

#[test]
fn a_host_on_which_all_is_well_exits_with_nothing_to_say() {
    let install = Install::ready();
    // Only a database, so that nothing is on the disk of the store.
    let config = fs::read_to_string(install.path("config.toml")).unwrap();
    let at = config.find("[sources.uploads]").unwrap();
    install.write("config.toml", &config.as_bytes()[..at]);
    install.run(["snapshot"]).exits(0);
    let begin = "# idswyft-vault: begin; `schedule remove` takes out these lines";
    let lines = format!("{begin}\n40 4 * * * x\n# idswyft-vault: end\n");
    install.write("table", lines.as_bytes());
    let script = format!("#!/bin/sh\ncat '{}'\n", install.text("table"));
    install.write("bin/crontab", script.as_bytes());
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(install.path("bin/crontab"), mode).unwrap();
    let path = format!("{}:{}", install.text("bin"), std::env::var("PATH").unwrap());
    let status = |words: &[&str]| {
        let mut command = install.command(["status"].iter().chain(words));
        Outcome::of(command.env("PATH", &path).output().unwrap())
    };
    let outcome = status(&[]).exits(0);
    assert!(
        outcome.err.is_empty() && outcome.out.contains("schedule: 40 4 * * * x\n"),
        "{outcome}"
    );
    assert!(status(&["--quiet"]).exits(0).out.is_empty());
}

/// N-11
#[test]
fn a_failed_run_and_one_that_was_killed_are_shown() {
    let (install, _) = Install::with_snapshot();
    install.write_script("echo secret-word >&2\nexit 3\n");
    install.run(["snapshot"]).exits(1);
    let status = install.run(["status"]).warns("run-failed", &["source-failed", "exit 1"]);
    assert!(status.out.contains("exit 1\n"), "{status}");
    let record = fs::read_to_string(install.path("state/last-run.json")).unwrap();
    assert!(!record.contains("secret-word"), "{record}");
    // The dump command kills the program that waits for it.
    install.write_script("kill -9 $PPID\n");
    let output = install.command(["snapshot"]).output().unwrap();
    assert_eq!(output.status.code(), None);
    install.run(["status"]).warns("run-failed", &["has no end"]);
    install.mend_script();
    install.run(["snapshot", "--tag", "pre-update"]).exits(0);
    assert!(!codes(&install.run(["status", "--json"]).json(4)).contains(&"run-failed"));
    let listed = install.run(["snapshots", "--json"]).json(0);
    assert_eq!(listed["snapshots"][1]["tags"][0], "pre-update");
}

/// N-11
#[test]
fn a_run_that_finds_the_lock_taken_leaves_the_record_to_the_other() {
    let (install, _) = Install::with_snapshot();
    let before = fs::read(install.path("state/last-run.json")).unwrap();
    let lock = StateLock::take(&install.path("state")).unwrap();
    install.run(["snapshot"]).exits(5);
    drop(lock);
    assert_eq!(fs::read(install.path("state/last-run.json")).unwrap(), before);
}

#[test]
fn what_the_last_run_warned_of_is_told_again() {
    let install = Install::ready();
    install.write_config(&super::support::NIGHTLY.replace("keep_daily = 30", "keep_daily = 31"));
    install.run(["snapshot"]).warns("policy-differs", &["keep_daily"]);
    let report = install.run(["status", "--json"]).json(4);
    assert!(codes(&report).contains(&"policy-differs"), "{report}");
}
