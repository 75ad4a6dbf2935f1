//! The made-up installation is consistent, repeats itself and leaves nothing behind.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use super::*;

/// Starts a server; without one installed a test ends early, but never where `CI` is set.
fn cluster() -> Option<Cluster> {
    match Cluster::start() {
        Ok(cluster) => Some(cluster),
        Err(error) if std::env::var_os("CI").is_none() => {
            eprintln!("not run: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn dump(argv: &[String]) -> String {
    let output = Command::new(&argv[0]).args(&argv[1..]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the paths that a dump's rows name, with their sizes.
fn named_files(dump: &str) -> BTreeMap<String, u64> {
    let fields = dump.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let rows =
        fields.filter(|fields| fields.get(2).is_some_and(|path| path.starts_with("uploads/")));
    rows.map(|row| (row[2].to_owned(), row[3].parse().unwrap())).collect()
}

/// Returns the rows of a dump, whatever their order.
fn rows(dump: &str) -> BTreeSet<&str> {
    dump.lines().filter(|line| line.contains('\t')).collect()
}

fn files(uploads: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for folder in ["documents", "selfies", "avatars", "branding"] {
        for entry in fs::read_dir(uploads.join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("uploads/{folder}/{}", entry.file_name().to_string_lossy());
            found.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    found
}

fn assert_consistent(install: &DemoInstall) -> (String, BTreeMap<String, Vec<u8>>) {
    let dump = dump(&install.dump_argv().unwrap());
    let files = files(install.uploads());
    let named = named_files(&dump);
    let is_named = |(path, _): &(&String, &Vec<u8>)| {
        !path.contains("/avatars/") && !path.contains("/branding/")
    };
    let lens =
        files.iter().filter(is_named).map(|(path, bytes)| (path.clone(), bytes.len() as u64));
    assert!(named == lens.collect::<BTreeMap<_, _>>(), "rows and files differ");
    (dump, files)
}

#[test]
fn rows_and_files_agree_before_and_after_a_day() {
    let scratch = tempfile::tempdir().unwrap();
    assert_agree_over_a_day(DemoInstall::build(scratch.path()).unwrap());
}

#[test]
fn rows_and_files_agree_where_no_server_is_installed() {
    let scratch = tempfile::tempdir().unwrap();
    let no_server = |_: &[Verification]| Err(io::Error::other("no server"));
    let install = DemoInstall::build_with(scratch.path(), no_server).unwrap();
    assert_eq!(install.database(), "a generated dump (no server)");
    assert_agree_over_a_day(install);
}

fn assert_agree_over_a_day(mut install: DemoInstall) {
    let (before, old) = assert_consistent(&install);
    assert!((300..500).contains(&old.len()) && rows(&before).len() > 3000);
    assert!(before.contains("PostgreSQL database dump complete"));

    let changes = install.day_passes().unwrap();
    assert!(changes.decided_count > 0 && changes.erased_count > 0);
    let (after, new) = assert_consistent(&install);
    let came = new.keys().filter(|path| !old.contains_key(*path)).count();
    let went = old.keys().filter(|path| !new.contains_key(*path)).count();
    let overwritten =
        new.iter().filter(|(path, bytes)| old.get(*path).is_some_and(|b| b != *bytes));
    assert_eq!((came, went), (2 * changes.new_count, 2 * changes.erased_count));
    assert_eq!(overwritten.count(), changes.overwritten_count);
    assert!(rows(&before) != rows(&after));
    assert!(dump(&install.dump_argv().unwrap()) == after, "an idle database dumps the same");
}

#[test]
fn some_documents_are_duplicates_and_some_nearly() {
    let scratch = tempfile::tempdir().unwrap();
    let all: Vec<Verification> =
        (0..50).map(|number| Verification::new(number, State::Verified)).collect();
    write_uploads(scratch.path(), &all).unwrap();
    let files = files(scratch.path());
    assert!(
        files
            .values()
            .all(|bytes| bytes.starts_with(b"\xff\xd8\xff") || bytes.starts_with(b"\x89PNG"))
    );
    let distinct: BTreeSet<&Vec<u8>> = files.values().collect();
    assert_eq!(files.len() - distinct.len(), 2);
    let tails: BTreeSet<&[u8]> = files.values().map(|bytes| &bytes[bytes.len() - 5000..]).collect();
    assert_eq!(distinct.len() - tails.len(), 2);
}

#[test]
fn a_generated_dump_loads_into_a_server_and_holds_the_same_rows() {
    let Some(cluster) = cluster() else { return };
    let mut all: Vec<Verification> =
        (0..40).map(|number| Verification::new(number, State::Review)).collect();
    all[3].state = State::Erased;
    let generated = dump_file::generate(&all);
    cluster.execute(&generated).unwrap();
    let dumped = dump(&cluster.dump_argv().unwrap());
    // The server prints JSON its own way; the other columns are as they were.
    let plain = |row: &&&str| !row.contains('{');
    let count =
        |text| rows(text).iter().filter(plain).copied().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(count(&generated), count(&dumped));
    assert_eq!(rows(&generated).len(), rows(&dumped).len());
}

#[test]
fn a_statement_that_fails_is_said_with_the_servers_words() {
    let Some(cluster) = cluster() else { return };
    let error = cluster.execute("SELECT 1/0;\n").unwrap_err().to_string();
    assert!(error.contains("psql") && error.contains("division by zero"), "{error}");
}

#[test]
fn nothing_is_left_of_a_server_that_is_dropped() {
    let Some(cluster) = cluster() else { return };
    let argv = cluster.dump_argv().unwrap();
    let dir = argv[1].strip_prefix("--host=").unwrap().to_owned();
    let pid = fs::read_to_string(Path::new(&dir).join("data/postmaster.pid")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.lines().next().unwrap().parse().unwrap()).unwrap();
    assert!(rustix::process::test_kill_process(pid).is_ok());
    drop(cluster);
    assert!(rustix::process::test_kill_process(pid).is_err());
    assert!(!Path::new(&dir).exists());
}
