//! What a snapshot records of its stack, and how its volume is read where users are mapped.

use std::fs;

use serde_json::{Value, json};

use super::support::Stack;
use super::support::but_for_the_usual;
use super::{restore, with_vault};
use crate::support::Outcome;

/// Takes a snapshot with a changed `docker` and returns what a restore says of it.
fn facts_with(stack: &Stack, script: &str, variables: &[(&str, &str)]) -> Value {
    let mut command = stack.with_fake_docker(["snapshot", "--json"], script);
    let ended = Outcome::of(command.envs(variables.iter().copied()).output().unwrap());
    let report = but_for_the_usual(ended).json(0);
    let id = report["snapshots"][0]["id"].as_str().unwrap();
    restore(stack, id, id);
    let text = fs::read_to_string(stack.path(id).join("facts.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// S-13
#[test]
fn a_fact_that_cannot_be_had_is_null_and_costs_nothing() {
    let Some(stack) = with_vault("stack-facts") else { return };
    stack.psql("DROP TABLE _migrations");
    let script = "[ \"$1\" != image ] || exit 1";
    let facts = facts_with(&stack, script, &[])["facts"]["stack"].clone();
    assert_eq!((&facts["migrations"], &facts["git"]), (&json!(null), &json!(null)), "{facts}");
    assert_eq!(facts["images"]["api"]["digests"], json!(null), "{facts}");
    assert!(facts["server_version"].is_string() && facts["project"] == "stack-facts", "{facts}");
}

/// S-10
#[test]
fn a_volume_of_an_engine_elsewhere_or_that_maps_users_is_not_read_directly() {
    let Some(stack) = with_vault("stack-mapped") else { return };
    let local = format!("export DOCKER_HOST={}", stack.engine());
    let rootless = "if [ \"$1\" = info ]; then echo '[\"name=rootless\"]'; exit; fi";
    for (script, variables, way) in [
        ("", &[][..], "direct"),
        (rootless, &[], "helper"),
        (&local, &[("DOCKER_HOST", "ssh://elsewhere")], "helper"),
    ] {
        let facts = facts_with(&stack, script, variables);
        assert_eq!(facts["uploads"]["source"]["read"], way, "{facts}");
    }
}
