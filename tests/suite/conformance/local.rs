//! What only a directory can get wrong: links, modes, crashes, full disks, missing mounts.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use idswyft_vault::store::LocalStore;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

/// Set in the child processes of this file's tests, to the directory of their store.
const CHILD_STORE: &str = "IDSWYFT_VAULT_TEST_CHILD_STORE";
/// The umask that a child process sets.
const CHILD_UMASK: &str = "IDSWYFT_VAULT_TEST_CHILD_UMASK";

fn store_at(root: &Path) -> LocalStore {
    LocalStore::new("local", &format!("file://{}", root.display()), root.to_owned())
}

fn prepared_at(root: &Path) -> LocalStore {
    let store = store_at(root);
    store.prepare().expect("the scratch directory is writable");
    store
}

/// Starts this test binary again, to run one test of this file as a child.
fn child(test: &str, root: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the binary has a path"));
    command.args(["--exact", &format!("conformance::local::{test}"), "--nocapture"]);
    command.env(CHILD_STORE, root);
    command
}

fn staged_count(root: &Path) -> usize {
    fs::read_dir(root.join(".idswyft-vault-staging")).map_or(0, Iterator::count)
}

/// V-165
#[test]
fn c4_what_was_acknowledged_before_a_kill_is_whole_and_nothing_else_is_seen() {
    const NAME: &str = "c4_what_was_acknowledged_before_a_kill_is_whole_and_nothing_else_is_seen";
    if let Some(root) = std::env::var_os(CHILD_STORE) {
        return put_packs_forever(&prepared_at(Path::new(&root)));
    }
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path();
    for acknowledged_count in 1..8 {
        let mut running =
            Killed(child(NAME, root).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        let lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
        let acknowledged: Vec<ObjectKey> = lines
            .map_while(Result::ok)
            .filter_map(|line| line.parse().ok())
            .take(acknowledged_count)
            .collect();
        assert_eq!(acknowledged.len(), acknowledged_count);
        drop(running);

        let store = store_at(root);
        let (ours, foreign) = names(&store, Folder::Packs);
        assert!(foreign.is_empty() && acknowledged.iter().all(|key| ours.contains(key)));
        for key in ours {
            let bytes = store.get(&key, u64::MAX).unwrap();
            assert_eq!(pack(&bytes), key);
        }
    }
    store_at(root).clean_staging(Timestamp::MAX).unwrap();
    assert_eq!(staged_count(root), 0);
}

/// A child process that is killed when it goes out of scope.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().expect("the child is ours");
        self.0.wait().expect("the child is ours");
    }
}

fn put_packs_forever(store: &LocalStore) {
    let process = std::process::id();
    for index in 0_u32.. {
        let bytes = format!("{process}-{index} ").repeat(40_000).into_bytes();
        let key = pack(&bytes);
        put(store, &key, &bytes).expect("the scratch directory has room");
        writeln!(std::io::stdout(), "{key}").expect("the parent listens until it kills");
    }
}

/// V-178
#[test]
fn i5_files_and_directories_are_private_whatever_the_umask() {
    const NAME: &str = "i5_files_and_directories_are_private_whatever_the_umask";
    if let Some(root) = std::env::var_os(CHILD_STORE) {
        let umask = std::env::var(CHILD_UMASK).unwrap();
        let umask = u32::from_str_radix(&umask, 8).unwrap();
        rustix::process::umask(Mode::from_raw_mode(umask));
        let store = store_at(Path::new(&root));
        store.prepare().unwrap();
        put(&store, &pack(b"pack"), b"pack").unwrap();
        let staged = store.staging_dir().unwrap().join(format!("{STAGING_PREFIX}staged"));
        fs::write(&staged, b"tree").unwrap();
        fs::set_permissions(&staged, PermissionsExt::from_mode(0o666)).unwrap();
        store.put_new(&note(1), Content::File(&staged), &sha256(b"tree")).unwrap();
        return;
    }
    for umask in ["000", "077", "022", "777"] {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("backups/idswyft");
        let status = child(NAME, &root).env(CHILD_UMASK, umask).output().unwrap().status;
        assert!(status.success(), "umask {umask}");
        let mut modes = Vec::new();
        collect_modes(&scratch.path().join("backups"), &mut modes);
        for (path, is_dir, mode) in &modes {
            let expected = if *is_dir { 0o700 } else { 0o600 };
            assert_eq!(*mode, expected, "umask {umask}: {}", path.display());
        }
        assert_eq!(modes.iter().filter(|(_, is_dir, _)| !is_dir).count(), 3);
    }
}

fn collect_modes(path: &Path, modes: &mut Vec<(PathBuf, bool, u32)>) {
    let metadata = fs::symlink_metadata(path).expect("nobody else is here");
    modes.push((path.to_owned(), metadata.is_dir(), metadata.mode() & 0o7777));
    if metadata.is_dir() {
        for entry in fs::read_dir(path).expect("nobody else is here") {
            collect_modes(&entry.expect("nobody else is here").path(), modes);
        }
    }
}

#[test]
fn i5_a_staged_file_becomes_the_object_without_a_copy() {
    let scratch = tempfile::tempdir().unwrap();
    let store = prepared_at(scratch.path());
    let staged = store.staging_dir().unwrap().join(format!("{STAGING_PREFIX}pack"));
    fs::write(&staged, b"pack").unwrap();
    store.put_new(&note(1), Content::File(&staged), &sha256(b"pack")).unwrap();
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(&staged), inode(&scratch.path().join("vault/1.note")));
}

/// V-177
#[test]
fn crash_leftovers_are_never_seen_and_go_when_they_are_old() {
    let scratch = tempfile::tempdir().unwrap();
    let store = prepared_at(scratch.path());
    assert_eq!(store.clean_staging(Timestamp::MAX).unwrap(), 0);
    let staging = store.staging_dir().unwrap();
    for index in 0..64 {
        fs::write(staging.join(format!("{STAGING_PREFIX}7-{index}")), b"half").unwrap();
    }
    fs::write(staging.join("somebody-elses"), b"kept").unwrap();
    put(&store, &note(1), b"note").unwrap();
    for folder in Folder::ALL {
        let (ours, foreign) = names(&store, folder);
        assert!(foreign.is_empty() && ours.len() == usize::from(folder == Folder::Vault));
    }
    assert_eq!(store.clean_staging(Timestamp::MIN).unwrap(), 0);
    assert_eq!(staged_count(scratch.path()), 65);
    assert_eq!(store.clean_staging(Timestamp::MAX).unwrap(), 64);
    assert_eq!(fs::read(staging.join("somebody-elses")).unwrap(), b"kept");
    assert_eq!(store.get(&note(1), 9).unwrap(), b"note");
}

/// V-180
#[test]
fn c12_no_link_or_pipe_in_an_objects_place_is_followed() {
    let scratch = tempfile::tempdir().unwrap();
    let (root, secret) = (scratch.path().join("store"), scratch.path().join("secret"));
    fs::create_dir_all(root.join("vault/4.note")).unwrap();
    fs::write(&secret, b"secret").unwrap();
    symlink(&secret, root.join("vault/1.note")).unwrap();
    symlink("/nonexistent", root.join("vault/2.note")).unwrap();
    let pipe = root.join("vault/3.note");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let store = prepared_at(&root);
    for number in 1..=4 {
        let key = note(number);
        let results = [
            store.stat(&key).err(),
            store.get(&key, 100).err(),
            store.get_range(&key, 0, 1).err(),
            store.open(&key).err(),
        ];
        for error in results.map(Option::unwrap) {
            assert!(matches!(error, Error::NotAnObject { .. }), "{error}");
            assert_eq!(error.code(), Code::ObjectForeign);
        }
        assert!(matches!(put(&store, &key, b"note"), Err(Error::Exists { .. })));
    }
    let shown = ["vault/1.note", "vault/2.note", "vault/3.note", "vault/4.note/"];
    let shown = shown.map(str::to_owned).into();
    assert_eq!(names(&store, Folder::Vault), (BTreeSet::new(), shown));
    // What was planted can be removed, and what it points at stays.
    for number in 1..=3 {
        store.delete(&note(number)).unwrap();
    }
    assert!(matches!(store.delete(&note(4)), Err(Error::NotAnObject { .. })));
    assert_eq!(fs::read(&secret).unwrap(), b"secret");
}

/// V-179
#[test]
fn c12_no_link_in_a_directorys_place_is_followed() {
    let scratch = tempfile::tempdir().unwrap();
    let (root, elsewhere) = (scratch.path().join("store"), scratch.path().join("elsewhere"));
    fs::create_dir(&root).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("1.note"), b"elsewhere").unwrap();
    symlink(&elsewhere, root.join("vault")).unwrap();
    symlink(&elsewhere, root.join(".idswyft-vault-staging")).unwrap();
    let store = store_at(&root);
    assert!(matches!(store.get(&note(1), 100), Err(Error::NotAnObject { .. })));
    assert!(matches!(store.delete(&note(1)), Err(Error::NotAnObject { .. })));
    assert!(put(&store, &note(2), b"note").is_err());
    assert!(put(&store, &pack(b"pack"), b"pack").is_err());
    assert!(store.list(Folder::Vault).is_err() && store.staging_dir().is_none());
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
    // The root itself is where the operator says.
    let (real, link) = (scratch.path().join("real"), scratch.path().join("link"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    put(&prepared_at(&link), &note(1), b"note").unwrap();
    assert_eq!(fs::read(real.join("vault/1.note")).unwrap(), b"note");
}

/// V-173, V-181
#[test]
fn c13_a_place_that_is_not_there_never_looks_empty() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("file"), b"").unwrap();
    let absent = scratch.path().join("unmounted/store");
    for (root, is_missing) in [(absent.clone(), true), (scratch.path().join("file/store"), false)] {
        let store = store_at(&root);
        let errors = [
            store.stat(&note(1)).err(),
            store.get(&note(1), 9).err(),
            store.get_range(&note(1), 0, 0).err(),
            store.open(&note(1)).err(),
            store.list(Folder::Vault).err(),
            store.delete(&note(1)).err(),
            put(&store, &note(1), b"note").err(),
            store.clean_staging(Timestamp::MAX).err(),
        ];
        for error in errors.map(Option::unwrap) {
            assert_eq!(error.code(), Code::StoreUnavailable, "{error}");
            assert!(error.to_string().contains(root.to_str().unwrap()), "{error}");
            assert_eq!(matches!(error, Error::PlaceMissing { .. }), is_missing, "{error}");
        }
        assert_eq!(store.staging_dir(), None);
        assert_eq!(store.prepare().is_ok(), is_missing);
    }
    put(&store_at(&absent), &note(1), b"note").unwrap();
}

#[test]
fn c13_a_full_disk_is_told_apart_and_leaves_nothing_behind() {
    let scratch = tempfile::tempdir().unwrap();
    let Some(mounted) = Mounted::tmpfs(scratch.path(), "64k") else { return };
    let store = prepared_at(&mounted.0);
    put(&store, &note(1), b"small").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), vec![1; 1 << 20]).unwrap();
    let large = vec![1; 1 << 20];
    for content in [Content::Bytes(&large), Content::File(file.path())] {
        let refused = store.put_new(&note(2), content, &sha256(&large)).unwrap_err();
        assert!(matches!(refused, Error::Full { .. }), "{refused}");
        assert_eq!(refused.code(), Code::StoreFull);
        assert_eq!(staged_count(&mounted.0), 0);
        assert_eq!(names(&store, Folder::Vault).0, [note(1)].into());
    }
    put(&store, &note(2), b"small again").unwrap();
    assert_eq!(store.get(&note(1), 9).unwrap(), b"small");
}

#[test]
fn c13_a_read_only_disk_is_told_and_still_read() {
    let scratch = tempfile::tempdir().unwrap();
    let Some(mounted) = Mounted::tmpfs(scratch.path(), "64k") else { return };
    let store = prepared_at(&mounted.0);
    put(&store, &note(1), b"note").unwrap();
    mounted.run("mount", &["-o", "remount,ro"]);
    let refused = put(&store, &note(2), b"note").unwrap_err();
    assert_eq!(refused.code(), Code::StoreUnavailable, "{refused}");
    assert_eq!(store.delete(&note(1)).unwrap_err().code(), Code::StoreUnavailable);
    assert_eq!(store.get(&note(1), 9).unwrap(), b"note");
}

/// A file system that is mounted until it goes out of scope.
struct Mounted(PathBuf);

impl Mounted {
    /// Mounts an empty one; nothing where that is not allowed, which CI may not be.
    fn tmpfs(path: &Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(path)
            .output()
            .is_ok_and(|output| output.status.success());
        assert!(mounted || std::env::var_os("CI").is_none(), "CI must let this test mount a tmpfs");
        mounted.then(|| Self(path.to_owned()))
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let status = Command::new(program).args(arguments).arg(&self.0).status();
        assert!(status.is_ok_and(|status| status.success()), "{program} works once it has");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.run("umount", &[]);
    }
}
