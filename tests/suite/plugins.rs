//! Recipients and identities that live in plugins, and identity files as stock `age` makes them.
//!
//! The plugin is a shell script of our own that speaks c2sp.org/age-plugin and wraps a file key by
//! swapping the case of its letters, which is enough to see who asked it what.

mod fake;
mod identities;
mod stock;

use std::fs;
use std::path::PathBuf;

use crate::support::program::{Program, Ran};
use fake::{FakePlugin, native_identity};

/// Runs the program with the plugins on PATH.
fn run(program: &Program, args: &[&str]) -> Ran {
    let path = format!("{}:{}", program.path("bin").display(), std::env::var("PATH").unwrap());
    Ran::of(program.command(args).env("PATH", path).output().unwrap())
}

fn init(program: &Program) -> Ran {
    run(program, &["init", "--json", "--kit", "kit"])
}

/// Restores with one identity and asserts that everything came back.
fn assert_opens(program: &Program, identity: &str) {
    let target = program.path(&format!("restored-{identity}"));
    let args = ["restore", "latest", "--json", "-i", identity, "--target"];
    run(program, &[&args[..], &[target.to_str().unwrap()]].concat()).expect(0);
    let same = |a: &str, b: &str| {
        assert_eq!(fs::read(program.path(a)).unwrap(), fs::read(target.join(b)).unwrap());
    };
    same("db.sql", "db.sql");
    same("uploads/a.jpg", "uploads/a.jpg");
}

fn generation_files(program: &Program) -> Vec<PathBuf> {
    let objects = program.objects().into_iter().map(|(path, _)| path);
    objects.filter(|path| path.starts_with("generations")).collect()
}

#[test]
fn a_plugin_recipient_and_a_native_one_both_open_a_vault() {
    let program = Program::new();
    program.write("a.jpg", b"contents");
    let plugin = FakePlugin::install(&program, "fake", &[]);
    program.configure(&[&plugin.recipient, &program.recipient], "", &program.usual_sources());
    init(&program).expect(0);
    run(&program, &["snapshot", "--json"]).expect(0);
    assert_eq!(generation_files(&program).len(), 1, "recipients without labels share a file");
    assert_opens(&program, "operator.key");
    assert_opens(&program, "fake.key");
    let verify = ["verify", "--json", "--level", "contents", "-i", "fake.key"];
    run(&program, &verify).expect(0);
    let kit = program.path("kit").read_dir().unwrap().next().unwrap().unwrap().path();
    assert!(kit.join("root.age").exists() && !kit.join("root.2.age").exists());
}

#[test]
fn a_plugins_identity_of_another_recipient_opens_nothing() {
    let program = Program::new();
    let plugin = FakePlugin::install(&program, "fake", &[]);
    program.configure(&[&plugin.recipient], "", &program.usual_sources());
    init(&program).expect(0);
    run(&program, &["snapshot", "--json"]).expect(0);
    plugin.write_identity(&program, "other.key", b"somebody else");
    for identity in ["other.key", "operator.key"] {
        let args = ["restore", "latest", "--json", "--target", "out", "-i", identity];
        run(&program, &args).expect_error(6, "identity-wrong");
        assert!(!program.path("out").exists());
    }
}

#[test]
fn a_plugin_that_is_missing_at_init_leaves_no_vault() {
    let program = Program::new();
    program.write("a.jpg", b"contents");
    let plugin = FakePlugin::install(&program, "fake", &[]);
    plugin.uninstall();
    program.configure(&[&program.recipient, &plugin.recipient], "", &program.usual_sources());
    let ran = init(&program);
    ran.expect_error(1, "plugin-failed");
    assert!(ran.stdout.contains("age-plugin-fake"), "{ran:?}");
    assert_eq!(program.objects(), []);
    assert!(!program.path("kit").exists() && !program.state.join("nightly").exists());
    run(&program, &["snapshot", "--json"]).expect_error(1, "vault-missing");

    let plugin = FakePlugin::install(&program, "fake", &[]);
    init(&program).expect(0);
    run(&program, &["snapshot", "--json"]).expect(0);
    assert_opens(&program, "fake.key");
    // Where the identity's plugin is missing, that is what is said, and not that the file is bad.
    plugin.uninstall();
    let args = ["restore", "latest", "--json", "--target", "out", "-i", "fake.key"];
    let ran = run(&program, &args);
    ran.expect_error(1, "plugin-failed");
    assert!(ran.stdout.contains("age-plugin-fake"), "{ran:?}");
}

#[test]
fn without_the_plugin_the_old_generation_goes_on_with_a_warning() {
    let program = Program::new();
    program.write("a.jpg", b"contents");
    let plugin = FakePlugin::install(&program, "fake", &[]);
    let vault = "generation_max_age = \"30d\"";
    program.configure(&[&plugin.recipient, &program.recipient], vault, &program.usual_sources());
    init(&program).expect(0);
    run(&program, &["snapshot", "--json"]).expect(0);
    age_generation(&program);
    plugin.uninstall();
    program.write("b.jpg", b"more");
    let report = run(&program, &["snapshot", "--json"]).expect(4);
    assert_eq!(report["warnings"][0]["code"], "plugin-failed", "{report}");
    assert_eq!(report["warnings"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(report["snapshots"][0]["file_count"], 2);
    assert_eq!(generation_files(&program).len(), 1);
    assert_opens(&program, "operator.key");

    FakePlugin::install(&program, "fake", &[]);
    run(&program, &["snapshot", "--json"]).expect(0);
    assert_eq!(generation_files(&program).len(), 2, "the roll was only put off");
    fs::remove_dir_all(program.path("restored-operator.key")).unwrap();
    assert_opens(&program, "operator.key");
    assert_opens(&program, "fake.key");
}

/// Makes the open generation as old as if it had been opened long ago.
fn age_generation(program: &Program) {
    let path = program.state.join("nightly/generation.json");
    let text = fs::read_to_string(&path).unwrap();
    let at = text.find("\"opened\":\"").unwrap() + "\"opened\":\"".len();
    fs::write(&path, format!("{}2020{}", &text[..at], &text[at + 4..])).unwrap();
}

#[test]
fn recipients_of_differing_labels_get_generation_files_of_their_own() {
    let program = Program::new();
    program.write("a.jpg", b"contents");
    let plain = FakePlugin::install(&program, "fake", &[]);
    let labelled = FakePlugin::install(&program, "labelled", &["postquantum", "b"]);
    let recipients = [&labelled.recipient, &program.recipient, &plain.recipient];
    program.configure(&recipients.map(String::as_str), "", &program.usual_sources());
    init(&program).expect(0);
    run(&program, &["snapshot", "--json"]).expect(0);
    let files = generation_files(&program);
    let names: Vec<_> = files.iter().map(|path| path.file_name().unwrap()).collect();
    assert_eq!(names, ["1.age", "2.age"]);
    for identity in ["operator.key", "fake.key", "labelled.key"] {
        assert_opens(&program, identity);
    }
    let stanzas = |path: &PathBuf| {
        let bytes = fs::read(program.store.join(path)).unwrap();
        let header = String::from_utf8_lossy(&bytes).into_owned();
        ["-> X25519 ", "-> fake ", "-> labelled "].map(|stanza| header.contains(stanza))
    };
    assert_eq!(stanzas(&files[0]), [true, true, false]);
    assert_eq!(stanzas(&files[1]), [false, false, true]);
    let native = native_identity(&program);
    assert!(native.starts_with("AGE-SECRET-KEY-1"), "the native identity is no plugin's");
}

#[test]
fn a_token_that_is_not_there_is_said_so_and_keeps_no_other_identity_from_opening() {
    let program = Program::new();
    program.write("a.jpg", b"contents");
    let fake = FakePlugin::install(&program, "fake", &[]);
    let labelled = FakePlugin::install(&program, "labelled", &["b"]);
    let recipients = [&fake.recipient, &program.recipient, &labelled.recipient];
    program.configure(&recipients.map(String::as_str), "", &program.usual_sources());
    init(&program).expect(0);
    run(&program, &["snapshot", "--json"]).expect(0);
    fake.refuse("the token is not plugged in");
    let words = ["restore", "latest", "--json", "--target", "out", "-i"];
    for identity in ["fake.key", "labelled.key"] {
        let ran = run(&program, &[&words[..], &[identity]].concat());
        ran.expect_error(1, "plugin-failed");
        assert!(ran.stdout.contains("the token is not plugged in"), "{ran:?}");
    }
    run(&program, &[&words[..], &["fake.key", "-i", "operator.key"]].concat()).expect(0);
}

#[test]
fn a_plugin_that_refuses_is_quoted() {
    let program = Program::new();
    let plugin = FakePlugin::install(&program, "fake", &[]);
    program.configure(&[&plugin.recipient], "", &program.usual_sources());
    plugin.refuse("the token is not plugged in");
    let ran = init(&program);
    ran.expect_error(1, "plugin-failed");
    assert!(ran.stdout.contains("the token is not plugged in"), "{ran:?}");
    assert_eq!(program.objects(), []);
}
