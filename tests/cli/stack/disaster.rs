//! The worst day: the stack is gone, with its `.env`.

use std::fs;

use crate::stack::apply::{back, files_count};
use crate::stack::killed::which;
use crate::stack::served::Served;
use crate::stack::support::Stack;
use crate::support::Outcome;

/// Makes a vault of a stack by name, its secrets sealed to a custodian.
fn archive_with_escrow(stack: &Stack) {
    let keygen = |name: &str| {
        let made = stack.run(["keygen", "--no-passphrase", "--json", "-o", name]).json(0);
        made["recipient"].to_string()
    };
    let (operator, custodian) = (keygen("operator.key"), keygen("custodian.key"));
    let place =
        format!("dir = \"{}\"\nproject = \"{}\"\n", stack.install_dir().display(), stack.project());
    let config = format!(
        "state_dir = \"{state}\"\nrecipients = [{operator}]\n[[vault]]\nname = \"nightly\"\n\
         [[vault.store]]\nname = \"local\"\nurl = \"file://{store}\"\n\
         [sources.database]\nkind = \"compose\"\n{place}[sources.uploads]\nkind = \"volume\"\n\
         {place}[escrow]\nstore = \"file://{escrow}\"\nrecipients = [{custodian}]\n\
         allow_same_mount = true\n",
        state = stack.path("state").display(),
        store = stack.path("store").display(),
        escrow = stack.path("escrow").display(),
    );
    fs::write(stack.path("config.toml"), config).unwrap();
    let made = stack.run(["init", "--kit", "kit"]);
    assert!(matches!(made.exit, 0 | 4), "{made}");
}

/// Takes a snapshot; one of a stack on one disk has warnings.
fn snapshot_with_warnings(stack: &Stack) -> String {
    let taken = stack.run(["snapshot", "--json"]);
    let taken = taken.json(4);
    taken["snapshots"][0]["id"].as_str().unwrap().to_owned()
}

///
#[test]
fn a_stack_destroyed_with_its_env_is_served_again_by_one_command() {
    let Some(stack) = Stack::up("apply-escrow") else { return };
    stack.load();
    archive_with_escrow(&stack);
    snapshot_with_warnings(&stack);
    stack.stub(["write", "second-day.jpg"]);
    snapshot_with_warnings(&stack);
    stack.psql("UPDATE users SET first_name = 'Changed' WHERE first_name = 'Given 3'");
    stack.stub(["write", "third-day.jpg"]);
    let id = snapshot_with_warnings(&stack);
    let (now, env) = (Served::by(&stack), fs::read_to_string(stack.env_file()).unwrap());

    stack.down();
    let fresh: String = env
        .lines()
        .map(|line| match line.split_once('=') {
            Some((name, value)) if value.len() >= 32 => {
                format!("{name}={}\n", blake3::hash(value.as_bytes()).to_hex())
            }
            _ => format!("{line}\n"),
        })
        .collect();
    assert!(fresh != env && !fresh.contains(&stack.env("ENCRYPTION_KEY")));
    fs::remove_file(stack.env_file()).unwrap();
    fs::write(stack.env_file(), &fresh).unwrap();
    stack.start();
    stack.wait_until_healthy("api");

    let words = ["restore", &id, "--apply", "--project", stack.project()];
    let custodian = ["--escrow-identity", "custodian.key", "--json"];
    let bare = stack.path("bare");
    fs::create_dir_all(&bare).unwrap();
    std::os::unix::fs::symlink(which("docker"), bare.join("docker")).unwrap();
    let line = words.into_iter().chain(["--escrow-identity", "custodian.key", "--no-snapshot"]);
    let mut command = stack.command(line);
    command.env("PATH", &bare).env("IDSWYFT_VAULT_IDENTITY", "operator.key");
    Outcome::of(command.output().unwrap()).fails(1, "docker-unavailable", &["docker-compose"]);
    assert_eq!(fs::read_to_string(stack.env_file()).unwrap(), fresh);
    let began = std::time::Instant::now();
    let applied = stack.unlock(words.into_iter().chain(custodian));
    eprintln!("back in service after {:.1} s", began.elapsed().as_secs_f64());
    for line in env.lines().chain(fresh.lines()) {
        let value = line.split_once('=').map_or("", |(_, value)| value);
        let is_said = applied.out.contains(value) || applied.err.contains(value);
        assert!(value.len() < 32 || !is_said, "{line} is said");
    }
    let applied = applied.json(4);
    assert_eq!(applied["replaced"], serde_json::json!([".env"]), "{applied}");
    assert_eq!(applied["rows_files"]["missing"], 0);
    Served::by(&stack).is(&now);
    assert_eq!(fs::read_to_string(stack.env_file()).unwrap(), env);
    stack.wait_until_healthy("api");
    stack.stub(["read", "third-day.jpg"]);
    stack.stub(["write", "new.jpg"]);

    stack.run(back(&stack, "--undo")).exits(0);
    assert_eq!(fs::read_to_string(stack.env_file()).unwrap(), fresh);
    stack.wait_until_healthy("api");
    assert_eq!(files_count(&Served::by(&stack)), 0);
    stack.run(back(&stack, "--drop-previous")).exits(0);
    assert_eq!(files_count(&Served::by(&stack)), 0, "the fresh stack had no files");
}
