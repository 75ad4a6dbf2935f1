//! What only the inside shows: the order of steps on disk, and file systems without hard links.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::base::Step;
use crate::base::entropy::process_tag;
use crate::store::{STAGING_PREFIX, digest_of};

const KEY: &str = "generations/20261122T023000Z-00000001/1.age";

thread_local! {
    static STEPS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what this thread does to the disk, in order.
#[derive(Debug)]
struct Recorder;

impl Gate for Recorder {
    fn before(&self, _step: Step<'_>) -> io::Result<()> {
        Ok(())
    }

    fn after(&self, step: Step<'_>) -> io::Result<()> {
        let above = |path: &Path| path.parent().unwrap().display().to_string();
        let text = match step {
            Step::MakeDirectory(path) => format!("mkdir {}", path.display()),
            Step::CreateFile(path) => format!("create {}", above(path)),
            Step::SyncFile(_) => "sync file".to_owned(),
            Step::SyncDirectory(path) => format!("sync {}", path.display()),
            Step::Link(path) => format!("link {}", path.display()),
            Step::Rename(path) => format!("rename {}", path.display()),
            Step::Remove(path) => format!("remove {}", above(path)),
            Step::Commit(_) => unreachable!("a store has no database"),
        };
        STEPS.with_borrow_mut(|steps| steps.push(text));
        Ok(())
    }
}

fn store_in(root: &Path) -> LocalStore {
    LocalStore::new("local", "file:///scratch", root.to_owned()).gated(Arc::new(Recorder))
}

fn prepared_in(root: &Path) -> LocalStore {
    let store = store_in(root);
    store.prepare().unwrap();
    store
}

fn key() -> ObjectKey {
    KEY.parse().unwrap()
}

/// Runs a step and returns what it did to the disk, with the root's path cut out.
fn steps_of(root: &Path, step: impl FnOnce()) -> Vec<String> {
    STEPS.take();
    step();
    let root = root.to_str().unwrap().to_owned();
    STEPS.take().into_iter().map(|step| step.replace(&root, "@")).collect()
}

/// V-166, V-176
#[test]
fn i5_put_new_syncs_file_and_directories_in_order() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    let store = prepared_in(root);
    let group = "@/generations/20261122T023000Z-00000001";
    let steps = steps_of(root, || {
        store.put_new(&key(), Content::Bytes(b"sealed"), &digest_of(b"sealed")).unwrap();
    });
    let expected = [
        "mkdir @/generations".to_owned(),
        "sync @".to_owned(),
        format!("mkdir {group}"),
        "sync @/generations".to_owned(),
        "create @/.idswyft-vault-staging".to_owned(),
        "sync file".to_owned(),
        format!("link {group}/1.age"),
        "remove @/.idswyft-vault-staging".to_owned(),
        format!("sync {group}"),
    ];
    assert_eq!(steps, expected);
}

#[test]
fn a_staged_file_is_synced_and_linked_but_neither_copied_nor_removed() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    let store = prepared_in(root);
    let staged = store.staging_dir().unwrap().join(format!("{STAGING_PREFIX}pack"));
    fs::write(&staged, b"sealed").unwrap();
    let steps = steps_of(root, || {
        store.put_new(&key(), Content::File(&staged), &digest_of(b"sealed")).unwrap();
    });
    assert!(!steps.iter().any(|step| step.starts_with("create") || step.starts_with("remove")));
    let (synced, linked) = (
        steps.iter().position(|step| step == "sync file").unwrap(),
        steps.iter().position(|step| step.starts_with("link")).unwrap(),
    );
    assert!(synced < linked && linked + 1 < steps.len());
    assert!(staged.exists());
}

/// V-166
#[test]
fn a_directory_found_in_place_is_synced_into_its_parent_once_a_run() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    let put = |store: &LocalStore, key: &str| {
        let key = key.parse().unwrap();
        store.put_new(&key, Content::Bytes(b""), &digest_of(b"")).unwrap();
    };
    put(&prepared_in(root), "vault/1.note");
    let store = store_in(root);
    let steps = steps_of(root, || put(&store, "vault/2.note"));
    assert_eq!(steps[0], "sync @");
    let steps = steps_of(root, || put(&store, "vault/3.note"));
    assert!(!steps.contains(&"sync @".to_owned()));
}

/// V-166
#[test]
fn a_taken_name_is_synced_before_it_is_reported() {
    let scratch = tempfile::tempdir().unwrap();
    let store = prepared_in(scratch.path());
    let put = || store.put_new(&key(), Content::Bytes(b"a"), &digest_of(b"a"));
    put().unwrap();
    let steps = steps_of(scratch.path(), || {
        assert!(matches!(put(), Err(Error::Exists { .. })));
    });
    assert_eq!(steps, ["sync @/generations/20261122T023000Z-00000001"]);
}

/// V-176
#[test]
fn without_hard_links_a_rename_that_refuses_to_overwrite_takes_their_place() {
    let scratch = tempfile::tempdir().unwrap();
    let store = prepared_in(scratch.path());
    store.linkless.store(true, Ordering::Relaxed);
    let staging = store.staging_dir().unwrap();
    let staged = staging.join(format!("{STAGING_PREFIX}pack"));
    fs::write(&staged, b"one").unwrap();
    let put = |content: Content<'_>, bytes| store.put_new(&key(), content, &digest_of(bytes));

    let steps = steps_of(scratch.path(), || {
        put(Content::File(&staged), b"one").unwrap();
    });
    assert!(steps.iter().any(|step| step.starts_with("rename")));
    assert!(!steps.iter().any(|step| step.starts_with("link")));
    assert!(matches!(put(Content::Bytes(b"two"), b"two"), Err(Error::Exists { .. })));
    assert_eq!(store.get(&key(), 10).unwrap(), b"one");
    // The caller's file is still there, and nothing else is.
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 1);
    assert_eq!(fs::read(&staged).unwrap(), b"one");
}

/// V-176
#[test]
fn a_rename_never_overwrites_what_appeared_meanwhile() {
    let scratch = tempfile::tempdir().unwrap();
    let store = prepared_in(scratch.path());
    let directory = store.open_staging().unwrap();
    directory.create_file("from").unwrap();
    fs::write(directory.path().join("to"), b"first").unwrap();
    let refused = directory.rename("from", &directory, "to").unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    let refused = directory.link("from", &directory, "to").unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(directory.path().join("to")).unwrap(), b"first");
}

#[test]
fn a_leftover_with_the_next_staged_name_is_stepped_over() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = Directory::open(scratch.path(), &OpenGate::shared()).unwrap();
    let names: Vec<_> = [0, 0, 1]
        .map(|count| staging::create(&directory, &AtomicU64::new(count)).unwrap().1)
        .into();
    let process = process_tag();
    assert!(process.len() > std::process::id().to_string().len() + 8, "machines share stores");
    let expected = [0, 1, 2].map(|count| format!("{STAGING_PREFIX}{process}-{count}"));
    assert_eq!(names, expected);
}

#[test]
fn prepare_syncs_every_directory_it_makes_into_its_parent() {
    let scratch = tempfile::tempdir().unwrap();
    let store = store_in(&scratch.path().join("mirrors/local"));
    let steps = steps_of(scratch.path(), || store.prepare().unwrap());
    let expected = [
        "mkdir @/mirrors",
        "sync @",
        "mkdir @/mirrors/local",
        "sync @/mirrors",
        "mkdir @/mirrors/local/.idswyft-vault-staging",
        "sync @/mirrors/local",
    ];
    assert_eq!(steps, expected);
    let steps = steps_of(scratch.path(), || store.prepare().unwrap());
    assert!(steps.is_empty());
}

#[test]
fn delete_syncs_the_directory() {
    let scratch = tempfile::tempdir().unwrap();
    let store = prepared_in(scratch.path());
    store.put_new(&key(), Content::Bytes(b""), &digest_of(b"")).unwrap();
    let steps = steps_of(scratch.path(), || store.delete(&key()).unwrap());
    let group = "@/generations/20261122T023000Z-00000001";
    assert_eq!(steps, [format!("remove {group}"), format!("sync {group}")]);
}

#[test]
fn a_time_beyond_the_calendar_is_no_panic() {
    let scratch = tempfile::tempdir().unwrap();
    let store = prepared_in(scratch.path());
    store.put_new(&key(), Content::Bytes(b""), &digest_of(b"")).unwrap();
    let path = scratch.path().join(KEY);
    let last = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1 << 33);
    fs::File::open(&path).unwrap().set_modified(last).unwrap();
    assert!(store.stat(&key()).unwrap().unwrap().modified > Some(Timestamp::UNIX_EPOCH));
    assert_eq!(directory::timestamp(i64::MAX, 0), Timestamp::MAX);
    assert_eq!(directory::timestamp(i64::MIN, 0), Timestamp::MIN);
}

/// C16
#[test]
fn what_a_process_is_storing_is_no_leftover_of_another() {
    use std::io::Write as _;
    let scratch = tempfile::tempdir().unwrap();
    let store = prepared_in(scratch.path());
    let staging = store.open_staging().unwrap();
    let fill = |file: &mut fs::File| file.write_all(b"x").map(|()| digest_of(b"x"));
    let staged = staging::Staged::write(&staging, fill).unwrap();
    let left = staging.path().join(format!("{STAGING_PREFIX}left"));
    fs::write(&left, b"of a run that crashed").unwrap();
    assert_eq!(store.clean_staging(Timestamp::MAX).unwrap(), 1);
    assert!(!left.exists() && staging.path().join(staged.name()).exists());
}
