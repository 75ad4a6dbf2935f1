//! A snapshot put into the running stack: forward, back, and killed in between.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::stack::killed::killed_at;
use crate::stack::served::{Served, aside};
use crate::stack::support::Stack;

/// Makes a vault of a stack; what the stack is found by is given to the commands.
fn archive(stack: &Stack) {
    let made = stack.run(["keygen", "--no-passphrase", "--json", "-o", "operator.key"]).json(0);
    let config = format!(
        "state_dir = \"{state}\"\nrecipients = [{recipient}]\n[[vault]]\nname = \"nightly\"\n\
         [[vault.store]]\nname = \"local\"\nurl = \"file://{store}\"\n\
         [sources.database]\nkind = \"command\"\nargv = [\"docker\", \"exec\", \"{postgres}\", \
         \"pg_dump\", \"-U\", \"idswyft\", \"--clean\", \"--if-exists\", \"--no-owner\", \
         \"--no-acl\", \"idswyft\"]\n[sources.uploads]\nkind = \"path\"\npath = \"{uploads}\"\n",
        state = stack.path("state").display(),
        recipient = made["recipient"],
        store = stack.path("store").display(),
        postgres = stack.container("postgres"),
        uploads = stack.volume_path("uploads").display(),
    );
    fs::write(stack.path("config.toml"), config).unwrap();
    stack.run(["init", "--kit", "kit"]).exits(0);
}

fn snapshot(stack: &Stack) -> String {
    let taken = stack.run(["snapshot", "--json"]).json(0);
    taken["snapshots"][0]["id"].as_str().unwrap().to_owned()
}

/// The words that put a snapshot into this stack.
pub fn words<'a>(stack: &'a Stack, id: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["restore", id, "--apply", "--project", stack.project()];
    words.extend(["--keep-env", "--no-snapshot"]);
    words.extend(more);
    words
}

pub fn back<'a>(stack: &'a Stack, word: &'a str) -> [&'a str; 4] {
    ["restore", word, "--project", stack.project()]
}

/// Brings up a stack with two snapshots of different days; returns both ids and what was served.
pub fn two_days(name: &str) -> Option<(Stack, [String; 2], [Served; 2])> {
    let stack = Stack::up(name)?;
    stack.load();
    archive(&stack);
    let first = (snapshot(&stack), Served::by(&stack));
    stack.stub(["write", "later.jpg"]);
    // A newer schema, which refers to the old one: what the dump of an older one cannot drop.
    stack.psql(
        "CREATE TABLE newer (id int PRIMARY KEY, request uuid REFERENCES verification_requests, \
         document uuid REFERENCES documents); \
         INSERT INTO newer SELECT 1, id, NULL FROM verification_requests LIMIT 1",
    );
    let second = (snapshot(&stack), Served::by(&stack));
    assert!(!first.1.differing(&second.1).is_empty());
    Some((stack, [first.0, second.0], [first.1, second.1]))
}

///
#[test]
fn an_older_snapshot_takes_the_place_of_a_running_stack_with_a_newer_schema_and_goes_back() {
    let Some((stack, [first, second], [then, now])) = two_days("apply-running") else { return };
    let applied = stack.unlock(words(&stack, &first, &["--json"])).json(0);
    assert_eq!(applied["file_count"].as_u64().unwrap() + 1, files_count(&now));
    Served::by(&stack).is(&then);
    stack.stub(["write", "after.jpg"]);
    stack.wait_until_healthy("api");

    let refused = stack.unlock(words(&stack, &second, &[]));
    refused.fails(1, "apply-under-way", &[&first, "--drop-previous"]);
    stack.run(back(&stack, "--undo")).exits(0);
    Served::by(&stack).is(&now);
    stack.stub(["read", "later.jpg"]);
    stack.run(back(&stack, "--drop-previous")).exits(0);
    Served::by(&stack).is(&now);
    assert!(aside(&stack).is_empty());
    assert_eq!(
        stack.psql("SELECT count(*) FROM pg_database WHERE datname LIKE 'idswyft_%'"),
        "0\n"
    );
    stack.run(back(&stack, "--undo")).fails(2, "usage-invalid", &["no journal"]);
}

pub fn files_count(served: &Served) -> u64 {
    served.files.values().filter(|(mode, ..)| mode & 0o170_000 == 0o100_000).count() as u64
}

///
#[test]
fn a_destroyed_stack_is_served_again_by_a_fresh_one_with_owners_and_every_row() {
    let Some((stack, [_, id], [_, now])) = two_days("apply-fresh") else { return };
    stack.down();
    let env = fs::read_to_string(stack.env_file()).unwrap();
    let fresh: String = env
        .lines()
        .map(|line| match line.starts_with("DB_PASSWORD=") {
            true => "DB_PASSWORD=anotherpassword\n".to_owned(),
            false => format!("{line}\n"),
        })
        .collect();
    fs::write(stack.env_file(), fresh).unwrap();
    stack.start();
    let began = std::time::Instant::now();
    stack.unlock(words(&stack, &id, &[])).exits(0);
    eprintln!("back in service after {:.1} s", began.elapsed().as_secs_f64());
    Served::by(&stack).is(&now);
    stack.stub(["read", "later.jpg"]);
    stack.stub(["write", "new.jpg"]);
    stack.run(back(&stack, "--drop-previous")).exits(0);
    stack.stub(["read", "new.jpg"]);
}

///
#[test]
fn people_whom_the_stack_erased_since_are_told_of_and_erased_again() {
    let Some((stack, [first, _], _)) = two_days("apply-erased") else { return };
    let who = "(SELECT user_id FROM verification_requests WHERE id = md5('verification 1')::uuid)";
    let user = stack.psql(&format!("SELECT {who}")).trim().to_owned();
    let of_user = "(SELECT id FROM verification_requests WHERE manual_review_reason = 'x')";
    let paths = stack.psql(&format!(
        "UPDATE verification_requests SET manual_review_reason = 'x' WHERE user_id = {who}; \
         SELECT file_path FROM documents WHERE verification_request_id IN {of_user} \
         AND file_path IS NOT NULL UNION ALL SELECT file_path FROM selfies \
         WHERE verification_request_id IN {of_user} AND file_path IS NOT NULL"
    ));
    let paths: Vec<&str> =
        paths.lines().map(|path| path.strip_prefix("uploads/").unwrap()).collect();
    assert!(!paths.is_empty());
    let uploads = stack.volume_path("uploads");
    paths.iter().for_each(|path| fs::remove_file(uploads.join(path)).unwrap());
    stack.psql(&format!(
        "DELETE FROM newer; DELETE FROM documents WHERE verification_request_id IN {of_user}; \
         DELETE FROM selfies WHERE verification_request_id IN {of_user}; \
         UPDATE verification_requests SET user_id = NULL, \
         manual_review_reason = '[GDPR deleted]' WHERE manual_review_reason = 'x'"
    ));
    let told = stack.unlock(words(&stack, &first, &[])).exits(4);
    assert!(told.err.contains("warning[erased-since]") && told.err.contains(&user), "{told}");
    assert!(uploads.join(paths[0]).exists(), "told of, and no more than that");
    stack.run(back(&stack, "--undo")).exits(0);
    stack.run(back(&stack, "--drop-previous")).exits(0);

    let erased = stack.unlock(words(&stack, &first, &["--erase-again", "--json"]));
    assert!(erased.out.contains(&user), "{erased}");
    assert!(matches!(erased.exit, 0 | 4), "{erased}");
    for path in paths {
        assert!(!uploads.join(path).exists(), "{path}");
        let sql = format!("SELECT count(*) FROM documents WHERE file_path = 'uploads/{path}'");
        assert_eq!(stack.psql(&sql), "0\n");
    }
    let rows = format!("SELECT count(*) FROM verification_requests WHERE user_id = '{user}'");
    assert_eq!(stack.psql(&rows), "0\n");
}

///
#[test]
fn what_was_begun_on_a_stack_goes_on_only_as_it_was_begun() {
    let Some((stack, [first, _], [then, _])) = two_days("apply-otherwise") else { return };
    let line = words(&stack, &first, &[]);
    let journal = stack.path("state/apply").join(stack.project()).join("journal.json");
    // Killed while it stages, it begins anew; the first kill behind that is the one wanted.
    for call in 22.. {
        assert!(killed_at(&stack, &line, call, "after").is_none(), "it stages in {call} calls");
        if !fs::read_to_string(&journal).unwrap().contains("\"staging\"") {
            break;
        }
    }
    let again = stack.unlock(words(&stack, &first, &["--erase-again"]));
    again.fails(1, "apply-under-way", &["without --erase-again", "--undo"]);
    stack.unlock(line).exits(0);
    Served::by(&stack).is(&then);
}

///
#[test]
fn a_second_run_on_a_stack_is_refused_while_the_first_one_works() {
    let Some((stack, [first, _], [_, now])) = two_days("apply-locked") else { return };
    let dir = stack.path("state/apply").join(stack.project());
    fs::create_dir_all(&dir).unwrap();
    let _lock = idswyft_vault::vault::state::StateLock::take(&dir).unwrap();
    stack.unlock(words(&stack, &first, &[])).fails(5, "locked", &[]);
    Served::by(&stack).is(&now);
}

///
#[test]
fn an_api_whose_secret_is_another_does_not_start_on_a_stack_that_is_left_as_it_was() {
    let Some((stack, [first, _], [_, now])) = two_days("apply-keys") else { return };
    let env = fs::read_to_string(stack.env_file()).unwrap();
    let secret = stack.env("API_KEY_SECRET");
    fs::write(stack.env_file(), env.replace(&secret, "another-secret-of-another-install")).unwrap();
    stack.start();
    let refused = stack.unlock(words(&stack, &first, &[]));
    assert!(!refused.err.contains("another-secret"), "{refused}");
    refused.fails(3, "key-does-not-fit", &["everything is as it was", "API_KEY_SECRET"]);
    Served::by(&stack).is(&now);
    stack.wait_until_healthy("api");
    let accepted = stack.unlock(words(&stack, &first, &["--accept-other-keys"]));
    assert!(accepted.exits(4).err.contains("warning[key-does-not-fit]"));
}

///
#[test]
fn connections_that_keep_the_old_database_of_a_stack_busy_are_ended() {
    let Some((stack, [first, _], [then, _])) = two_days("apply-busy") else { return };
    let postgres = stack.container("postgres");
    for _ in 0..3 {
        let sql = "BEGIN; SELECT count(*) FROM users; SELECT pg_sleep(600);";
        let words = ["exec", "-d", &postgres, "psql", "-U", "idswyft", "-d", "idswyft", "-c", sql];
        stack.docker(words);
    }
    let busy = "SELECT count(*) >= 3 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' \
                AND pid <> pg_backend_pid()";
    while stack.psql(busy) != "t\n" {}
    stack.unlock(words(&stack, &first, &[])).exits(0);
    Served::by(&stack).is(&then);
}

///
#[test]
fn a_stack_is_not_stopped_for_what_could_not_be_put_into_service() {
    let Some((stack, [first, _], [_, now])) = two_days("apply-refused") else { return };
    let starts = stack.exec("api", ["cat", "/tmp/started"]);
    let uploads = stack.volume_path("uploads");
    let path = uploads.to_str().unwrap();

    mount(&["--bind", path, path]);
    mount(&["-o", "remount,bind,ro", path]);
    stack.unlock(words(&stack, &first, &[])).fails(1, "target-unavailable", &["cannot be written"]);
    umount(path);
    mount(&["-t", "tmpfs", "-o", "size=1m", "tmpfs", path]);
    stack.unlock(words(&stack, &first, &[])).fails(1, "room-missing", &["are free"]);
    umount(path);

    let packs = crate::support::tree_of(&stack.path("store/packs"));
    let write = |name: &str, bytes: &[u8]| {
        let path = stack.path("store/packs").join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(path, bytes).unwrap();
    };
    packs.iter().for_each(|(name, bytes)| write(name, &bytes[..bytes.len() - 1]));
    let damaged = stack.unlock(words(&stack, &first, &[]));
    assert!(damaged.err.contains("everything is as it was"), "{damaged}");
    damaged.fails(1, "contents-altered", &["are damaged"]);
    packs.iter().for_each(|(name, bytes)| write(name, bytes));

    let (no_env, apply) = (["restore", &first, "--apply"], "--escrow-identity");
    stack.unlock(no_env).fails(2, "usage-invalid", &[apply, "--keep-env"]);
    stack
        .unlock(["restore", &first, "--apply", "--keep-env", "--project", "nothing-like-it"])
        .fails(1, "stack-missing", &["nothing-like-it"]);

    Served::by(&stack).is(&now);
    assert_eq!(stack.exec("api", ["cat", "/tmp/started"]), starts, "the api was never stopped");
    stack.compose(["stop", "-t", "1", "postgres"]);
    stack.unlock(words(&stack, &first, &[])).fails(1, "service-unusable", &["postgres", "exited"]);
}

fn mount(words: &[&str]) {
    assert!(Command::new("mount").args(words).status().unwrap().success());
}

fn umount(path: &str) {
    assert!(Command::new("umount").arg(path).status().unwrap().success());
}
