//! `restore --apply` killed at every call of the engine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::stack::apply::{back, two_days, words};
use crate::stack::served::{Served, aside};
use crate::stack::support::Stack;
use crate::support::Outcome;

/// Runs a command with a `docker` that kills it at a call, before or after that is done.
pub fn killed_at(stack: &Stack, words: &[&str], call: u32, when: &str) -> Option<Outcome> {
    let dir = stack.path("bin");
    fs::create_dir_all(&dir).unwrap();
    let count = stack.path("calls");
    fs::write(&count, "0").unwrap();
    let real = which("docker");
    let script = format!(
        "#!/bin/sh\nn=$(($(cat {count}) + 1))\necho $n >{count}\n\
         if [ $n = {call} ] && [ {when} = after ]; then {real} \"$@\"; fi\n\
         if [ $n = {call} ]; then kill -9 $PPID; exit 1; fi\nexec {real} \"$@\"\n",
        count = count.display(),
    );
    fs::write(dir.join("docker"), script).unwrap();
    fs::set_permissions(dir.join("docker"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", dir.display(), std::env::var("PATH").unwrap());
    let mut command = stack.command(words);
    command.env("PATH", path).env("IDSWYFT_VAULT_IDENTITY", "operator.key");
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    output.status.code().map(|_| Outcome::of(output))
}

pub fn which(program: &str) -> String {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap();
    String::from_utf8(found.stdout).unwrap().trim().to_owned()
}

///
#[test]
fn a_stack_killed_at_any_call_is_never_half_restored_and_goes_on_or_back() {
    let Some((stack, [first, _], [then, now])) = two_days("apply-killed") else { return };
    let is_long = std::env::var_os("IDSWYFT_VAULT_TEST_LONG").is_some();
    let step = if is_long { 1 } else { 6 };
    let start = std::process::id() % step + 1;
    eprintln!("killed at every {step}th call from the {start}th on");
    let line = words(&stack, &first, &[]);
    let mut killed = 0;
    for call in (start..).step_by(step as usize) {
        let when = if call % 2 == 0 { "before" } else { "after" };
        if let Some(ended) = killed_at(&stack, &line, call, when) {
            ended.exits(0);
            break;
        }
        killed += 1;
        never_half(&stack, &then, &now);
        let goes_back = call % 3 == 0;
        match goes_back {
            true => drop(stack.run(back(&stack, "--undo"))),
            false => drop(stack.unlock(line.clone()).exits(0)),
        }
        eprintln!("killed {when} call {call}");
        Served::by(&stack).is(if goes_back { &now } else { &then });
        if !goes_back {
            stack.run(back(&stack, "--undo")).exits(0);
        }
        // Killed before the journal was there, nothing is to be dropped.
        let dropped = stack.run(back(&stack, "--drop-previous"));
        assert!(matches!(dropped.exit, 0 | 2), "{dropped}");
        Served::by(&stack).is(&now);
        assert!(aside(&stack).is_empty());
    }
    assert!(killed >= 3, "{killed} calls");
}

///
#[test]
fn an_undo_of_a_stack_killed_on_its_way_goes_on_and_keeps_what_was_written_since() {
    let Some((stack, [first, _], [_, now])) = two_days("apply-undone") else { return };
    // Right after the api was stopped, the databases were exchanged, the old one was opened.
    for call in [9, 11, 13] {
        stack.unlock(words(&stack, &first, &[])).exits(0);
        let since = format!("since-{call}.jpg");
        stack.stub(["write", &since]);
        let undo = back(&stack, "--undo");
        assert!(killed_at(&stack, &undo, call, "after").is_none(), "call {call} is one of it");
        stack.run(undo).exits(0);
        stack.run(undo).exits(0);
        Served::by(&stack).is(&now);
        assert!(aside(&stack).keys().any(|name| name.ends_with(&since)), "call {call}");

        let drop = back(&stack, "--drop-previous");
        assert!(killed_at(&stack, &drop, 9, "after").is_none());
        stack.run(undo).fails(1, "apply-under-way", &["--drop-previous"]);
        stack.run(drop).exits(0);
        Served::by(&stack).is(&now);
        assert!(aside(&stack).is_empty());
    }
}

/// Whatever it was killed at, the stack's database is wholly the one or the other, and no file of
/// one is beside a file of the other.
#[track_caller]
fn never_half(stack: &Stack, then: &Served, now: &Served) {
    let open = "SELECT datallowconn FROM pg_database WHERE datname = 'idswyft'";
    if stack.psql_in("postgres", open) == "f\n" {
        // On the way from one to the other it takes no connections; nobody sees a half.
        return;
    }
    let served = Served::by(stack);
    let is = |expected: &Served| {
        served.rows == expected.rows && served.constraints == expected.constraints
    };
    assert!(is(then) || is(now), "the database is neither the old nor the restored one");
    let is_ours = |name: &str| name.is_empty() || name.starts_with(".idswyft-vault-");
    let within = |expected: &Served| {
        let mut files = served.files.iter();
        files.all(|(name, file)| is_ours(name) || expected.files.get(name) == Some(file))
    };
    assert!(within(then) || within(now), "the uploads are mixed");
}
