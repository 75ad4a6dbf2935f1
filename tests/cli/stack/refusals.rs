//! Databases of which no dump would be whole: none becomes a snapshot, and what there was stays.

use std::io::Write;
use std::process::{Child, Stdio};

use idswyft_vault::source::StreamSource;
use idswyft_vault::source::docker::{ComposeSource, Docker, Selector};

use super::support::Stack;
use super::{count_files, init, snapshot, with_vault};
use crate::support::Outcome;

/// Writes an override of a service, and lets compose make its container anew.
fn override_postgres(stack: &Stack, settings: &str) {
    let text = format!("services:\n  postgres:\n{settings}");
    std::fs::write(stack.install_dir().join("docker-compose.override.yml"), text).unwrap();
    stack.compose(["up", "-d", "--no-deps", "postgres"]);
}

/// S-7
#[test]
fn a_service_that_is_stopped_paused_or_without_a_server_is_not_dumped() {
    let Some(stack) = with_vault("stack-stopped") else { return };
    let container = stack.container("postgres");
    stack.docker(["pause", &container]);
    stack.run(["snapshot"]).fails(1, "service-unusable", &["postgres", "paused", "stack-stopped"]);
    stack.docker(["unpause", &container]);
    stack.docker(["kill", &container]);
    stack.run(["snapshot"]).fails(1, "service-unusable", &["postgres", "exited"]);
    override_postgres(&stack, "    command: [\"sleep\", \"1000\"]\n    stop_signal: SIGKILL\n");
    stack.run(["snapshot"]).fails(1, "service-unusable", &["does not answer"]);
    stack.compose(["rm", "-sf", "postgres"]);
    stack.run(["snapshot"]).fails(1, "service-unusable", &["no container"]);
    stack.down();
    stack.run(["snapshot"]).fails(1, "stack-missing", &["was brought up in"]);
    assert_eq!(
        stack.run(["snapshots", "--json"]).json(0)["snapshots"].as_array().unwrap().len(),
        0
    );
}

/// S-7
#[test]
fn a_standby_is_not_dumped() {
    let Some(stack) = with_vault("stack-standby") else { return };
    stack.exec("postgres", ["sh", "-c", "touch $PGDATA/standby.signal"]);
    stack.docker(["restart", &stack.container("postgres")]);
    stack.wait_for_database();
    stack.run(["snapshot"]).fails(1, "service-unusable", &["in recovery"]);
}

/// S-6, S-7
#[test]
fn a_role_that_row_level_security_hides_rows_from_does_not_dump() {
    let Some(stack) = with_vault("stack-role") else { return };
    stack.psql("CREATE ROLE reader LOGIN IN ROLE pg_read_all_data");
    // What `.env` says counts once a container was made of it.
    let text = std::fs::read_to_string(stack.env_file()).unwrap();
    let text = text.replace("DB_USER=idswyft", "DB_USER=reader");
    std::fs::write(stack.env_file(), text).unwrap();
    snapshot(&stack);
    stack.compose(["up", "-d", "--no-deps", "postgres"]);
    stack.wait_for_database();
    stack.run(["snapshot"]).fails(1, "role-blind", &["reader", "BYPASSRLS"]);
    stack.psql("ALTER ROLE reader BYPASSRLS");
    assert_eq!(snapshot(&stack)["file_count"], count_files(&stack));
}

/// S-7
#[test]
fn the_stand_in_of_an_external_database_is_named_as_that() {
    let Some(stack) = with_vault("stack-external") else { return };
    // Shell and sleep alone: no client of PostgreSQL is in it.
    let list = "tar -C / -c bin lib lib64 usr/lib64 usr/bin/dash usr/bin/sh usr/bin/sleep \
                usr/lib/*/libc.so.6 usr/lib/*/ld-linux*.so.*";
    let container = stack.container("engine");
    let script =
        format!("docker exec {container} sh -c 'cd / && {list}' | docker import - busybox:1.36");
    let mut shell = std::process::Command::new("sh");
    let status = shell.args(["-c", &script]).env("DOCKER_HOST", stack.engine()).status().unwrap();
    assert!(status.success());
    override_postgres(
        &stack,
        "    image: busybox:1.36\n    entrypoint: [\"sleep\", \"1000\"]\n    \
         stop_signal: SIGKILL\n    healthcheck: {test: [\"CMD\", \"true\"]}\n",
    );
    let named = ["busybox:1.36", "elsewhere", "kind = \"local\"", "DATABASE_URL"];
    stack.run(["snapshot"]).fails(1, "service-unusable", &named);
    std::fs::remove_file(stack.path("config.toml")).unwrap();
    init(&stack, &["--dir", "idswyft-community"]).fails(1, "service-unusable", &named);
}

/// A session that holds a lock on which a dump waits.
fn hold_lock(stack: &Stack) -> Child {
    let mut shell = std::process::Command::new("docker");
    shell.args(["exec", "-i", &stack.container("postgres")]);
    shell
        .args(["psql", "-Xq", "-U", "idswyft", "-d", "idswyft"])
        .env("DOCKER_HOST", stack.engine());
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let input = child.stdin.as_mut().unwrap();
    writeln!(input, "BEGIN; LOCK TABLE users; SET application_name = 'locker';").unwrap();
    stack.wait_for("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'locker'");
    child
}

const DUMPS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'idswyft-vault-dump%'";

/// S-8
#[test]
fn a_dump_whose_server_ends_it_never_becomes_a_snapshot() {
    let Some(stack) = with_vault("stack-ended") else { return };
    let mut locker = hold_lock(&stack);
    let mut command = stack.command(["snapshot"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    stack.wait_for(&format!("{DUMPS} AND wait_event_type = 'Lock'"));
    stack.psql(&DUMPS.replace("count(*)", "pg_terminate_backend(pid)"));
    let outcome = Outcome::of(child.wait_with_output().unwrap());
    outcome.fails(1, "source-failed", &["status 1", "terminating connection"]);
    locker.kill().unwrap();
    locker.wait().unwrap();
    assert_eq!(
        stack.run(["snapshots", "--json"]).json(0)["snapshots"].as_array().unwrap().len(),
        0
    );
}

/// S-9
#[test]
fn a_dump_that_is_dropped_ends_in_the_server_too() {
    let Some(stack) = with_vault("stack-dropped") else { return };
    let mut locker = hold_lock(&stack);
    let program = stack.path("docker");
    let host = stack.engine();
    std::fs::write(&program, format!("#!/bin/sh\nDOCKER_HOST={host} exec docker \"$@\"\n"))
        .unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let selector = Selector { dir: Some(stack.install_dir()), project: None };
    let source = ComposeSource::new(Docker::of(&program), selector, "postgres".to_owned());
    let stream = source.open().unwrap();
    stack.wait_for(&format!("{DUMPS} AND wait_event_type = 'Lock'"));
    drop(stream);
    assert_eq!(stack.psql(DUMPS), "0\n");
    locker.kill().unwrap();
    locker.wait().unwrap();
}
