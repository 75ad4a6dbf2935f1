//! A real compose stack: found, read, and archived by the real program.

mod apply;
mod disaster;
mod facts;
mod finding;
mod killed;
mod nights;
mod refusals;
mod served;
pub mod support;
mod volumes;

use serde_json::Value;

use crate::support::{Outcome, tree_of};
use support::Stack;

/// Makes the operator's identity and runs `init` for the stack with more words.
fn init(stack: &Stack, more: &[&str]) -> Outcome {
    init_at(stack, &format!("file://{}", stack.path("store").display()), more)
}

/// Does so with a store of this URL.
fn init_at(stack: &Stack, store: &str, more: &[&str]) -> Outcome {
    let place = |name: &str| stack.path(name).to_str().unwrap().to_owned();
    let _ = std::fs::remove_file(stack.path("operator.key"));
    let made = stack.run(["keygen", "--no-passphrase", "--json", "-o", "operator.key"]);
    let recipient = made.json(0)["recipient"].as_str().unwrap().to_owned();
    let state = place("state");
    let words = ["init", "--kit", "kit", "--recipient", &recipient, "--state-dir", &state];
    stack.run([&words[..], &["--store", store], more].concat())
}

/// Returns a stack with the rows and files of the tests, and a vault for it.
fn with_vault(project: &str) -> Option<Stack> {
    let stack = Stack::up(project)?;
    stack.load();
    init(&stack, &["--dir", "idswyft-community"]).exits(0);
    Some(stack)
}

/// Takes a snapshot and returns what `snapshot --json` says of it.
#[track_caller]
fn snapshot(stack: &Stack) -> Value {
    stack.run(["snapshot", "--json"]).json(0)["snapshots"][0].clone()
}

/// Restores a snapshot to a new directory below that of the test.
#[track_caller]
fn restore(stack: &Stack, id: &str, target: &str) {
    stack.unlock(["restore", id, "--target", target]).exits(0);
}

/// Returns how many files the uploads volume has.
fn count_files(stack: &Stack) -> usize {
    tree_of(&stack.volume_path("uploads")).len()
}

/// Puts a line of settings in place of another in the config.
fn edit_config(stack: &Stack, from: &str, to: &str) {
    let path = stack.path("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn the_stack_of_the_tests_is_shaped_like_the_real_one() {
    let Some(stack) = Stack::up_with_real_name() else { return };
    assert_eq!(stack.volume_name("uploads"), "idswyft-community_uploads");
    assert_eq!(stack.psql("SELECT current_user"), "idswyft\n");
    stack.load();
    stack.stub(["write", "a.jpg"]);
    assert_eq!(
        stack.volume_path("uploads").join("documents/a.jpg").metadata().unwrap().len(),
        20_000
    );
    assert!(stack.stub(["read", "a.jpg"]).ends_with("  -\n"));
    stack.wait_until_healthy("api");
}
