//! Nights of a stack: found by `init`, archived three times, restored from what was archived.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use serde_json::json;

use super::support::Stack;
use super::{init, restore, snapshot};
use crate::support::tree_of;

/// Returns a dump of a database as the program takes it.
fn dump(stack: &Stack, database: &str) -> String {
    let container = stack.container("postgres");
    let words = ["exec", &container, "pg_dump", "-U", "idswyft", "--no-owner", "--no-acl"];
    let text = stack.docker([&words[..], &["--restrict-key=a", database]].concat());
    text.lines().filter(|line| !line.starts_with("-- Dumped")).collect::<Vec<_>>().join("\n")
}

/// Asserts that a snapshot gives the dump and the files back that were there when it was taken.
fn assert_gives_back(stack: &Stack, id: &str, state: &State) {
    let target = format!("restored-{id}");
    restore(stack, id, &target);
    let target = stack.path(&target);
    let database = format!("check_{}", &id[id.len() - 6..].to_lowercase());
    let database = database.replace('-', "_");
    stack.psql(&format!("CREATE DATABASE \"{database}\""));
    stack.psql_in(&database, &fs::read_to_string(target.join("db.sql")).unwrap());
    assert_eq!(dump(stack, &database), state.dump);
    assert_eq!(owned_tree(&target.join("uploads")), state.files);
}

type Files = Vec<(String, u32, u32, Vec<u8>)>;

fn owned_tree(root: &std::path::Path) -> Files {
    let owned = |(name, bytes): (String, Vec<u8>)| {
        let metadata = root.join(&name).metadata().unwrap();
        (name, metadata.uid(), metadata.gid(), bytes)
    };
    tree_of(root).into_iter().map(owned).collect()
}

struct State {
    dump: String,
    files: Files,
}

fn state(stack: &Stack) -> State {
    State { dump: dump(stack, "idswyft"), files: owned_tree(&stack.volume_path("uploads")) }
}

/// Makes a checkout of the install directory, as the instructions of the stack do.
fn make_checkout(stack: &Stack) -> String {
    let git = |words: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(stack.install_dir()).args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
        ]);
        let output = command.args(words).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "docker-compose.yml"]);
    git(&["commit", "-qm", "a"]);
    git(&["rev-parse", "HEAD"])
}

/// S-2, S-5, S-6
#[test]
fn three_nights_of_a_stack_come_back_as_they_were() {
    let Some(stack) = Stack::up_with_real_name() else { return };
    stack.load();
    let head = make_checkout(&stack);
    let told = init(&stack, &["--dir", "idswyft-community"]).exits(0);
    let named =
        ["project idswyft-community", "database idswyft", "volume idswyft-community_uploads"];
    told.says(&named);
    let mut nights = Vec::new();
    for night in 1..=3 {
        stack.stub(["write", &format!("night-{night}.jpg")]);
        if night == 2 {
            let gone = "documents/night-1.jpg";
            fs::remove_file(stack.volume_path("uploads").join(gone)).unwrap();
            stack.psql("DELETE FROM documents WHERE file_name = 'night-1.jpg'");
            fs::write(stack.install_dir().join("docker-compose.yml"), compose_with_retention())
                .unwrap();
            stack.compose(["up", "-d", "--no-deps", "api"]);
        }
        let report = snapshot(&stack);
        nights.push((report["id"].as_str().unwrap().to_owned(), report, state(&stack)));
    }
    for (id, _, state) in &nights {
        assert_gives_back(&stack, id, state);
    }
    let new_len = |night: usize| nights[night].1["new_len"].as_u64().unwrap();
    assert!(new_len(2) < new_len(0) / 4, "the third night costs {} bytes", new_len(2));

    let facts = |night: usize| {
        let path = stack.path(&format!("restored-{}/facts.json", nights[night].0));
        let text = fs::read_to_string(path).unwrap();
        assert_no_secret(&stack, &text);
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["facts"]["stack"].clone()
    };
    let (first, last) = (facts(0), facts(2));
    assert_eq!(first["project"], "idswyft-community");
    assert_eq!(first["git"], json!({"head": head, "dirty": false}));
    assert_eq!(last["git"]["dirty"], true);
    assert!(first["server_version"].as_str().unwrap().starts_with("15."));
    assert_eq!(first["migrations"][1], "13_add_verification_contexts.sql");
    let api = &first["images"]["api"];
    assert_eq!(api["name"], "idswyft-test/api:1");
    assert!(api["id"].as_str().unwrap().starts_with("sha256:") && api["digests"].is_array());
    let environment = |days: Option<&str>| {
        let encryption: Option<&str> = None;
        json!({
            "DATA_RETENTION_DAYS": days,
            "STORAGE_ENCRYPTION": encryption,
            "STORAGE_PROVIDER": "local",
        })
    };
    // `.env` says 7 all the time, and never reaches the container.
    assert_eq!(first["environment"], environment(None));
    assert_eq!(last["environment"], environment(Some("30")));
    let shown = stack.run(["show", &nights[2].0, "--json"]);
    assert_no_secret(&stack, &(shown.out + &shown.err));
}

fn compose_with_retention() -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path.join("tests/stack/compose/docker-compose.yml")).unwrap();
    text.replace(
        "      NODE_ENV: production\n",
        "      NODE_ENV: production\n      DATA_RETENTION_DAYS: 30\n",
    )
}

/// Asserts that no value of `.env` that has the length of a secret is in a text.
fn assert_no_secret(stack: &Stack, text: &str) {
    let env = fs::read_to_string(stack.env_file()).unwrap();
    let values = env.lines().filter_map(|line| line.split_once('=')).map(|(_, value)| value);
    let secrets: Vec<&str> = values.filter(|value| value.len() == 64).collect();
    assert_eq!(secrets.len(), 6);
    for secret in secrets {
        assert!(!text.contains(secret), "a secret of .env is in {text}");
    }
}
