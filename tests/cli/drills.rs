//! Drills with a real PostgreSQL, from the outside. Spec: `drill.md`.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};

use serde_json::Value;

use super::support::{Install, NIGHTLY, Outcome, tree_of};

const MIRROR: &str = "[[vault.store]]\nname = \"mirror\"\nurl = \"file://DIR/mirror\"\n";

/// Two tables in a circle, as the stack's are, and what holds them together.
const DUMP: &str = "--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.8\n\n\
    CREATE TABLE public.users (id integer NOT NULL, name text, doc integer);\n\
    CREATE TABLE public.documents (id integer NOT NULL, owner integer);\n\n\
    COPY public.users (id, name, doc) FROM stdin;\n1\tsecret-name\t7\n2\tb\t\\N\n\\.\n\n\
    COPY public.documents (id, owner) FROM stdin;\n7\t1\n\\.\n\n\
    ALTER TABLE ONLY public.users\n    ADD CONSTRAINT users_pkey PRIMARY KEY (id);\n\
    ALTER TABLE ONLY public.documents\n    ADD CONSTRAINT documents_pkey PRIMARY KEY (id);\n\
    ALTER TABLE ONLY public.users\n    ADD CONSTRAINT users_doc_fkey FOREIGN KEY (doc) \
    REFERENCES public.documents(id);\n\
    ALTER TABLE ONLY public.documents\n    ADD CONSTRAINT documents_owner_fkey FOREIGN KEY (owner) \
    REFERENCES public.users(id);\n\n\
    --\n-- PostgreSQL database dump complete\n--\n\n";

/// Tells whether there is a server; where `CI` is set there must be one.
fn has_server() -> bool {
    let there = Path::new("/usr/lib/postgresql").is_dir();
    assert!(there || std::env::var_os("CI").is_none(), "PostgreSQL is missing");
    there
}

/// Makes an installation with a snapshot of a dump, and an empty directory for scratch.
fn with_dump(vaults: &str, dump: &str) -> Install {
    let install = Install::with_vaults(vaults);
    install.run(["init", "--kit", "kit"]).exits(0);
    install.write("db.sql", dump.as_bytes());
    install.run(["snapshot"]).exits(0);
    fs::create_dir(install.path("scratch")).unwrap();
    install
}

fn drill(install: &Install, words: &[&str]) -> Outcome {
    // The address of a socket is short, and so must the path to it be.
    let outcome =
        install.unlock(["drill", "latest", "--json", "--scratch", "scratch"].iter().chain(words));
    let left = tree_of(&install.path("scratch"));
    assert!(left.is_empty(), "{:?} are left: {outcome}", left.keys());
    assert_eq!(fs::read_dir(install.path("scratch")).unwrap().count(), 0, "{outcome}");
    outcome
}

fn findings(report: &Value) -> Vec<(&str, &str)> {
    let text = |finding: &'_ Value, name: &str| finding[name].as_str().unwrap().len();
    let all = report["findings"].as_array().unwrap();
    all.iter()
        .map(|finding| {
            assert!(text(finding, "detail") > 0);
            (finding["phase"].as_str().unwrap(), finding["code"].as_str().unwrap())
        })
        .collect()
}

/// D-1 D-2 D-7 D-8 D-9
#[test]
fn a_sound_snapshot_passes_is_measured_and_signed_and_nothing_is_left() {
    if !has_server() {
        return;
    }
    let install = with_dump(&format!("{NIGHTLY}{MIRROR}"), DUMP);
    let uploads = tree_of(&install.path("uploads"));
    let packs = install.objects("packs");
    let report = drill(&install, &["--kit", "kit", "--report", "drill.json"]).json(0);
    assert_eq!((&report["outcome"], findings(&report)), (&"passed".into(), Vec::new()));
    assert_eq!((&report["table_count"], &report["row_count"]), (&2.into(), &3.into()));
    let constraints = &report["constraints"];
    assert_eq!(
        (&constraints["primary_keys"], &constraints["foreign_keys"]),
        (&2.into(), &2.into())
    );
    assert_eq!(report["file_count"], 2);
    let phases = report["phases"].as_array().unwrap();
    let names: Vec<&str> = phases.iter().map(|phase| phase["phase"].as_str().unwrap()).collect();
    let expected =
        ["open", "database", "uploads", "start", "load", "rows", "constraints", "files-of-rows"];
    assert_eq!(names, expected);
    let projections = report["projections"].as_array().unwrap();
    let bases = projections.iter().map(|one| (one["store"].as_str(), one["basis"].as_str()));
    let expected = [("local", "drilled"), ("mirror", "sampled")];
    assert!(bases.eq(expected.map(|(store, basis)| (Some(store), Some(basis)))), "{report}");
    assert!(projections.iter().all(|one| one["within"] == true), "{report}");
    let written: Value =
        serde_json::from_slice(&fs::read(install.path("drill.json")).unwrap()).unwrap();
    assert_eq!(written, report);
    let ledger = install.run(["ledger", "show", "--json"]).json(0);
    let events = ledger["events"].as_array().unwrap();
    let drilled = events.iter().find(|event| event["event"] == "drilled").expect("it is recorded");
    assert_eq!(drilled["signer"], report["signed"]["signer"]);
    install.run(["verify"]).exits(0);
    assert_eq!((tree_of(&install.path("uploads")), install.objects("packs")), (uploads, packs));
    assert!(
        !install
            .path("kit")
            .read_dir()
            .unwrap()
            .any(|entry| { entry.unwrap().path().join("drilled.pending").exists() })
    );
    // Another report is never written over.
    let again = install.unlock(["drill", "latest", "--report", "drill.json"]);
    again.fails(1, "system-failed", &["create the report drill.json"]);
}

/// D-4
#[test]
fn rows_that_differ_are_found() {
    if !has_server() {
        return;
    }
    // A rule of the dump itself drops a row on the way in, which the counting of the stream saw.
    let rule = "CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; \
                END';\nCREATE TRIGGER t BEFORE INSERT ON public.documents FOR EACH ROW \
                EXECUTE FUNCTION public.f();\nCOPY public.documents";
    let dump = DUMP.replacen("COPY public.documents", rule, 1).replace("secret-name\t7", "x\t\\N");
    let install = with_dump(NIGHTLY, &dump);
    let report = drill(&install, &[]).json(3);
    assert_eq!(findings(&report), [("rows", "drill-mismatch")], "{report}");
    let detail = report["findings"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("public.documents has 0 rows, 1 were archived"), "{detail}");
    assert_eq!((&report["signed"], &report["projections"]), (&Value::Null, &Value::Array(vec![])));
}

/// D-4 D-6
#[test]
fn a_dump_that_does_not_load_is_found_and_its_rows_are_not_told() {
    if !has_server() {
        return;
    }
    let install = with_dump(NIGHTLY, &DUMP.replace("7\t1\n", "7\t99\n"));
    let report = drill(&install, &[]).json(3);
    assert_eq!(findings(&report), [("load", "drill-load-failed")], "{report}");
    let detail = report["findings"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("documents_owner_fkey") && !detail.contains("(99)"), "{detail}");
    let install = with_dump(NIGHTLY, &DUMP.replace("1\tsecret-name", "secret-name\t1"));
    let outcome = drill(&install, &[]).exits(3);
    assert!(!outcome.out.contains("secret-name") && outcome.out.contains("integer"), "{outcome}");
}

/// D-4
#[test]
fn a_damaged_pack_is_found_and_what_depends_on_it_is_not_tried() {
    if !has_server() {
        return;
    }
    let install = with_dump(NIGHTLY, DUMP);
    for name in install.objects("packs") {
        install.change(&format!("store/{name}"), |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
    }
    let report = drill(&install, &[]).json(3);
    let found = findings(&report);
    assert!(found.iter().any(|(phase, _)| *phase == "database"), "{report}");
    assert!(found.iter().any(|(phase, _)| *phase == "uploads"), "{report}");
    assert!(report["not_covered"].to_string().contains("load: the dump did not come back"));
    install.change(&format!("store/{}", body_of(&install)), |bytes| bytes.truncate(100));
    let report = drill(&install, &[]).json(3);
    assert_eq!(findings(&report), [("open", "object-truncated")], "{report}");
}

fn body_of(install: &Install) -> String {
    let mut names = install.objects("snapshots").into_iter();
    names.find(|name| name.ends_with(".age")).unwrap()
}

/// D-5
#[test]
fn a_server_that_is_too_old_is_no_fault_of_the_snapshot() {
    if !has_server() {
        return;
    }
    let install = with_dump(NIGHTLY, &DUMP.replace("version 15.8", "version 99.1"));
    let outcome = drill(&install, &[]).exits(1);
    assert!(outcome.out.contains("\"scratch-unavailable\""), "{outcome}");
    assert!(outcome.out.contains("the dump is of 99"), "{outcome}");
    install.run(["drill", "latest"]).fails(6, "identity-missing", &["drill"]);
}

/// Starts a drill whose server cannot load the dump before it is told to: a dump that waits.
fn start_waiting(install: &Install) -> Child {
    let mut command = install.command(["drill", "latest", "--scratch", "scratch"]);
    command.env("IDSWYFT_VAULT_IDENTITY", "operator.key");
    let mut child = command.spawn().unwrap();
    let is_loading = || {
        walkdir::WalkDir::new(install.path("scratch"))
            .into_iter()
            .filter_map(Result::ok)
            .any(|entry| entry.file_name() == "postmaster.opts")
    };
    while !is_loading() {
        assert!(child.try_wait().unwrap().is_none(), "the drill ended early");
        std::thread::yield_now();
    }
    child
}

fn servers_in(dir: &Path) -> usize {
    let real = dir.canonicalize().unwrap();
    let works_there = |entry: &fs::DirEntry| {
        fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(&real))
    };
    fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter(works_there).count()
}

/// D-2 D-3
#[test]
fn a_drill_that_is_ended_leaves_nothing_and_one_that_is_killed_is_cleaned_up_after() {
    if !has_server() {
        return;
    }
    let wait = "SELECT pg_sleep(600);\n\nCREATE TABLE public.users";
    let install = with_dump(NIGHTLY, &DUMP.replacen("CREATE TABLE public.users", wait, 1));
    let mut child = start_waiting(&install);
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    assert_eq!(fs::read_dir(install.path("scratch")).unwrap().count(), 0);
    let mut child = start_waiting(&install);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(fs::read_dir(install.path("scratch")).unwrap().count() > 0);
    install.write("db.sql", DUMP.as_bytes());
    install.run(["snapshot"]).exits(0);
    drill(&install, &[]).exits(0);
    assert_eq!(servers_in(&install.path("scratch")), 0);
}
