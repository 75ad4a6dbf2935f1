//! What a host's schedule and status do to it. Spec: `nights.md`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use idswyft_vault::base::{Clock, Code, Coded};
use idswyft_vault::ops::schedule::{
    self, Effects, Host, LocalClock, NightJob, Scheduler, TimeOfDay,
};
use idswyft_vault::ops::status::{self, StatusRequest, VaultStatus};
use idswyft_vault::vault::state::StateDir;
use jiff::{SignedDuration, Timestamp};

use super::support::vault::{TestVault, local};

const UTC: [i32; 1] = [0];

fn script(path: &Path, text: &str) -> PathBuf {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    path.to_owned()
}

/// A host of a person who is not root, with a cron of its own.
struct Cron {
    dir: tempfile::TempDir,
    host: Host,
}

impl Cron {
    /// Makes one whose `crontab -l` fails in the usual way until there is a crontab.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let table = dir.path().join("table");
        let text = format!(
            "case $1 in\n-l) test -e {0} && cat {0} && exit 0\n   echo 'no crontab for me' >&2; \
             exit 1;;\n-) echo w >> {0}.writes; cat > {0};;\nesac",
            table.display()
        );
        let crontab = script(&dir.path().join("crontab"), &text);
        let host = Host {
            root: dir.path().to_owned(),
            is_root: false,
            forced: None,
            effects: Effects::System,
            systemctl: "/nonexistent".into(),
            crontab,
        };
        Self { dir, host }
    }

    fn table(&self) -> Vec<u8> {
        fs::read(self.dir.path().join("table")).unwrap_or_default()
    }

    fn install(&self, at: &str) -> Result<(), schedule::ScheduleError> {
        let job = NightJob::plain("/usr/bin/idswyft-vault", "/etc/c.toml");
        let clock = LocalClock { offsets: UTC.to_vec() };
        let at: TimeOfDay = at.parse().unwrap();
        let plan = schedule::plan(&self.host, &job, Some(at), &clock)?;
        assert_eq!(plan.scheduler, Scheduler::Crontab);
        schedule::install(&self.host, &plan)
    }
}

/// N-4
#[test]
fn a_crontab_keeps_every_line_of_its_owner() {
    let cron = Cron::new();
    let own = b"MAILTO=me\n# gr\xfc\xdfe\n5 5 * * * date +\\%s > /dev/null\n".to_vec();
    fs::write(cron.dir.path().join("table"), &own).unwrap();
    cron.install("03:00").unwrap();
    let first = cron.table();
    assert!(first.starts_with(&own) && first.len() > own.len());
    cron.install("03:00").unwrap();
    assert_eq!(cron.table(), first);
    let writes = fs::read_to_string(cron.dir.path().join("table.writes")).unwrap();
    assert_eq!(writes.lines().count(), 1, "the same lines are not written twice");
    cron.install("04:30").unwrap();
    let text = String::from_utf8_lossy(&cron.table()).into_owned();
    assert!(text.contains("\n30 4 * * * umask 077; ") && !text.contains("\n0 3 "), "{text}");
    let found = schedule::find(&cron.host).unwrap();
    assert_eq!((found.len(), found[0].scheduler), (1, Scheduler::Crontab));
    schedule::remove(&cron.host).unwrap();
    assert_eq!(cron.table(), own);
}

#[test]
fn who_has_no_crontab_gets_one() {
    let cron = Cron::new();
    cron.install("03:00").unwrap();
    assert_eq!(cron.table().iter().filter(|byte| **byte == b'\n').count(), 3);
    schedule::remove(&cron.host).unwrap();
    assert_eq!(cron.table(), b"");
}

/// N-6
#[test]
fn a_crontab_that_cannot_be_read_is_not_written() {
    let mut cron = Cron::new();
    cron.install("03:00").unwrap();
    let before = cron.table();
    let path = cron.dir.path().join("broken");
    let text = "test \"$1\" = -l && { echo 'you are not allowed' >&2; exit 1; }\nexit 0";
    cron.host.crontab = script(&path, text);
    let error = cron.install("03:00").unwrap_err();
    assert_eq!(error.code(), Code::ScheduleUnavailable);
    cron.host.forced = Some(Scheduler::Crontab);
    let error = cron.install("03:00").unwrap_err();
    assert!(error.to_string().contains("you are not allowed"), "{error}");
    assert_eq!(cron.table(), before);
}

#[test]
fn systemd_is_told_what_was_written_and_what_went() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("run/systemd/system")).unwrap();
    let log = dir.path().join("log");
    let systemctl = script(&dir.path().join("systemctl"), &format!("echo $* >> {}", log.display()));
    let host = Host {
        root: dir.path().to_owned(),
        is_root: true,
        forced: None,
        effects: Effects::System,
        systemctl,
        crontab: "/nonexistent".into(),
    };
    let job = NightJob::plain("/usr/bin/idswyft-vault", "/etc/c.toml");
    let plan = schedule::plan(&host, &job, None, &LocalClock { offsets: UTC.to_vec() }).unwrap();
    schedule::install(&host, &plan).unwrap();
    let timer = "idswyft-vault.timer";
    let told = format!("daemon-reload\nenable {timer}\nrestart {timer}\n");
    assert_eq!(fs::read_to_string(&log).unwrap(), told);
    let removed = schedule::remove(&host).unwrap();
    assert_eq!((removed.len(), removed[0].scheduler), (1, Scheduler::Systemd));
    let told = format!("{told}disable --now {timer}\ndaemon-reload\n");
    assert_eq!(fs::read_to_string(&log).unwrap(), told);
    assert!(plan.files.iter().all(|file| !file.path.exists()));
}

fn status_of(vault: &TestVault, after: SignedDuration) -> VaultStatus {
    let request = StatusRequest {
        state: StateDir::new(&vault.dir.path().join("state"), "nightly"),
        name: "nightly".to_owned(),
        stores: vault.stores.iter().map(|store| store.name().to_owned()).collect(),
        rpo_hours: 26,
    };
    let now: Timestamp = vault.clock.now() + after;
    status::vault_status(&request, now)
}

fn codes(status: &VaultStatus) -> Vec<Code> {
    status.problems.iter().map(|problem| problem.code).collect()
}

/// N-10
#[test]
fn a_snapshot_is_stale_once_it_is_older_than_allowed() {
    let vault = TestVault::new();
    assert_eq!(codes(&status_of(&vault, SignedDuration::ZERO)), [Code::SnapshotStale]);
    vault.snapshot();
    let fresh = status_of(&vault, SignedDuration::from_hours(26));
    assert_eq!((fresh.stale, codes(&fresh)), (false, Vec::new()));
    let stale = status_of(&vault, SignedDuration::from_secs(26 * 3600 + 1));
    assert_eq!((stale.stale, codes(&stale)), (true, vec![Code::SnapshotStale]));
    let back = status_of(&vault, SignedDuration::from_hours(-1));
    assert_eq!((back.stale, codes(&back)), (false, vec![Code::ClockAnomaly]));
    let later = status_of(&vault, SignedDuration::from_hours(366 * 24));
    assert!(later.roll_due && !fresh.roll_due);
}

#[test]
fn what_waits_for_a_mirror_is_counted_and_no_snapshot_is_its_own_before_it_is_there() {
    let stores =
        |dir: &Path| vec![local(&dir.join("store"), "local"), local(&dir.join("mirror"), "mirror")];
    let parameters = idswyft_vault::format::parameters::Parameters::initial();
    let vault = TestVault::with(stores, parameters);
    let first = vault.snapshot().snapshot;
    assert_eq!(codes(&status_of(&vault, SignedDuration::ZERO)), []);
    fs::rename(vault.dir.path().join("mirror"), vault.dir.path().join("away")).unwrap();
    vault.clock.pass_hours(1);
    let second = vault.snapshot().snapshot;
    let status = status_of(&vault, SignedDuration::ZERO);
    assert_eq!(codes(&status), [Code::MirrorLagging]);
    let newest = |at: usize| status.stores[at].last_snapshot.map(|last| last.id);
    assert_eq!((newest(0), newest(1)), (Some(second), Some(first)));
    let lag = &status.stores[1];
    assert!(lag.waiting_count >= 4 && lag.waiting_len > 1000, "{lag:?}");
}

#[test]
fn a_vault_whose_state_is_gone_or_damaged_is_stale_and_says_why() {
    let vault = TestVault::new();
    vault.snapshot();
    let state = vault.dir.path().join("state/nightly");
    fs::write(state.join("manifest.sqlite"), "not a database, not at all").unwrap();
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(state.join(format!("manifest.sqlite{suffix}")));
    }
    let found = codes(&status_of(&vault, SignedDuration::ZERO));
    assert_eq!(found, [Code::ManifestDamaged, Code::SnapshotStale]);
    fs::remove_file(state.join("vault.json")).unwrap();
    let found = codes(&status_of(&vault, SignedDuration::ZERO));
    assert_eq!(found, [Code::VaultMissing, Code::SnapshotStale]);
}
