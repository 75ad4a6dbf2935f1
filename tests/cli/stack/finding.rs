//! Finding the stack: by labels, in usual places, among several, and not at all.

use std::os::unix::fs::PermissionsExt;

use super::support::Stack;
use super::{count_files, init, init_at, snapshot, with_vault};
use crate::support::Outcome;

/// S-3, S-4
#[test]
fn of_two_projects_from_one_directory_both_are_named_and_the_chosen_one_is_used() {
    let Some(stack) = with_vault("stack-one") else { return };
    stack.compose(["-p", "stack-two", "up", "--no-start"]);
    stack.run(["snapshot"]).fails(2, "stack-ambiguous", &["stack-one", "stack-two", "project"]);
    let config = std::fs::read_to_string(stack.path("config.toml")).unwrap();
    std::fs::remove_file(stack.path("config.toml")).unwrap();
    init(&stack, &["--dir", "idswyft-community"]).fails(2, "stack-ambiguous", &["--project"]);

    // The name that compose was given chooses, as an option or as compose's own variable.
    let vaults = ["--vault", "other", "init", "--kit", "kit2", "--dir", "idswyft-community"];
    let (store, state) = (stack.path("store2"), stack.path("state2"));
    let store = format!("file://{}", store.display());
    let recipient = config.lines().find_map(|line| line.strip_prefix("recipients = [\"")).unwrap();
    let recipient = recipient.trim_end_matches("\"]").to_owned();
    let more =
        ["--store", &store, "--state-dir", state.to_str().unwrap(), "--recipient", &recipient];
    let mut command = stack.command([&vaults[..], &more[..]].concat());
    command.env("COMPOSE_PROJECT_NAME", "stack-one");
    let outcome = Outcome::of(command.output().unwrap()).exits(0);
    outcome.says(&["found project stack-one", "database idswyft as role idswyft"]);
    let written = std::fs::read_to_string(stack.path("config.toml")).unwrap();
    assert_eq!(written.matches("\nproject = \"stack-one\"\n").count(), 2, "{written}");
    assert_eq!(snapshot(&stack)["file_count"], count_files(&stack));
    stack.compose(["-p", "stack-two", "down", "-v"]);
}

/// S-3
#[test]
fn a_stack_in_the_working_directory_is_found_without_being_named() {
    let Some(stack) = Stack::up("stack-here") else { return };
    let (store, state) = (stack.path("store"), stack.path("state"));
    let (kit, config) = (stack.path("kit"), stack.path("config.toml"));
    let words = ["init", "--no-such-thing"];
    assert_eq!(stack.run(words).exit, 2);
    let made = stack.run(["keygen", "--no-passphrase", "--json", "-o", "operator.key"]).json(0);
    let mut command = stack.command(["init", "--recipient", made["recipient"].as_str().unwrap()]);
    command.arg("--store").arg(format!("file://{}", store.display()));
    command.arg("--state-dir").arg(state).arg("--kit").arg(kit);
    let output = command.current_dir(stack.install_dir()).output().unwrap();
    Outcome::of(output).exits(0).says(&["found project stack-here", "uploads in volume"]);
    let text = std::fs::read_to_string(config).unwrap();
    assert!(text.contains("kind = \"compose\"") && text.contains("kind = \"volume\""), "{text}");
    assert!(text.contains("# [escrow]"), "{text}");
}

#[test]
fn a_kit_is_not_written_into_the_directory_of_the_stack() {
    let Some(stack) = Stack::up("stack-kit") else { return };
    let outcome = init(&stack, &["--dir", "idswyft-community", "--kit", "idswyft-community/kit"]);
    assert_eq!(outcome.exit, 2, "{outcome}");
}

#[test]
fn a_stack_without_a_client_or_an_engine_is_said_and_nothing_is_written() {
    let Some(stack) = Stack::prepare("stack-none") else { return };
    init(&stack, &["--dir", "idswyft-community"]).fails(1, "stack-missing", &["was brought up in"]);
    let empty = stack.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let words = ["init", "--dir", "idswyft-community", "--store", "file:///nowhere"];
    let output = stack.command(words).env("PATH", &empty).output().unwrap();
    Outcome::of(output).fails(1, "docker-unavailable", &["docker or podman"]);
    let dead = format!("unix://{}/no.sock", empty.display());
    let output = stack.command(words).env("DOCKER_HOST", dead).output().unwrap();
    Outcome::of(output).fails(1, "docker-failed", &["docker", "no.sock"]);
    // What calls itself docker and answers nonsense is not believed.
    let fake = empty.join("docker");
    std::fs::write(&fake, "#!/bin/sh\necho '{'\n").unwrap();
    std::fs::set_permissions(&fake, PermissionsExt::from_mode(0o755)).unwrap();
    let output = stack.command(words).env("PATH", format!("{}:/bin", empty.display())).output();
    Outcome::of(output.unwrap()).fails(1, "docker-unavailable", &["answered"]);
    assert!(!stack.path("config.toml").exists());
}

/// S-3
#[test]
fn a_store_in_the_directory_of_the_stack_is_told_of_where_moving_it_costs_nothing() {
    let Some(stack) = Stack::up("stack-places") else { return };
    let store = format!("file://{}/archive", stack.install_dir().display());
    let dir = ["--dir", "idswyft-community"];
    let told = init_at(&stack, &store, &dir).exits(0);
    told.says(&["beware[store-in-install]", "whose uninstaller removes it"]);
}
