//! The walk, and reading files that change.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::format::tree::{Kind, compare_paths};
use idswyft_vault::source::{FileReader, FileStat, Found, Problem, ReadOutcome, Walk, read_whole};
use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode};

fn walk(root: &Path) -> Vec<Found> {
    Walk::new(root, vec![]).unwrap().map(Result::unwrap).collect()
}

fn paths(found: &[Found]) -> Vec<String> {
    found.iter().map(|found| String::from_utf8_lossy(&found.entry.path).into_owned()).collect()
}

fn touch(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, b"x").unwrap();
}

fn make_fifo(path: &Path) {
    let mode = Mode::from_raw_mode(0o644);
    rustix::fs::mknodat(CWD, path, FileType::Fifo, mode, 0).unwrap();
}

fn stat(path: &Path) -> FileStat {
    FileStat::of(&fs::symlink_metadata(path).unwrap())
}

/// V-68
#[test]
fn the_walk_lists_in_the_order_of_the_tree() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a/b", "a/b.c", "a-b", "a.b", "a b/c", "B", "a/Z/y", "é", "a/b-c/d"] {
        touch(&dir.path().join(name));
    }
    let found = paths(&walk(dir.path()));
    let expected = [
        "", "B", "a", "a/Z", "a/Z/y", "a/b", "a/b-c", "a/b-c/d", "a/b.c", "a b", "a b/c", "a-b",
        "a.b", "é",
    ];
    assert_eq!(found, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// V-69
    #[test]
    fn any_names_are_walked_in_the_order_of_the_tree(
        names in prop::collection::vec(
            prop::collection::vec(
                prop::sample::select(vec![&b"a"[..], b"a-", b"a.b", b"\xff", b"\n", b" ", b"ab"]),
                1..4),
            1..20)
    ) {
        let dir = tempfile::tempdir().unwrap();
        for components in names {
            let path = components.iter().fold(dir.path().to_owned(), |path, name| {
                path.join(OsStr::from_bytes(name))
            });
            fs::create_dir_all(path).unwrap();
        }
        let found = walk(dir.path());
        for pair in found.windows(2) {
            prop_assert!(compare_paths(&pair[0].entry.path, &pair[1].entry.path).is_lt());
        }
    }
}

#[test]
fn every_kind_is_listed_and_nothing_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    touch(&at("file"));
    fs::hard_link(at("file"), at("file2")).unwrap();
    symlink("/nowhere/../x", at("link")).unwrap();
    symlink(".", at("loop")).unwrap();
    make_fifo(&at("pipe"));
    let _listener = UnixListener::bind(at("socket")).unwrap();
    File::create(at("holes")).unwrap().set_len(1 << 20).unwrap();
    let found = walk(dir.path());
    let kind = |name: &str| {
        let entry = found.iter().find(|found| found.entry.path == name.as_bytes());
        entry.unwrap().entry.kind.clone()
    };
    assert_eq!(kind(""), Kind::Dir);
    assert!(matches!(kind("file"), Kind::File(content) if content.size == 1 && !content.sparse));
    assert_eq!(kind("file2"), Kind::Hardlink { link: b"file".to_vec() });
    assert_eq!(kind("link"), Kind::Symlink { target: b"/nowhere/../x".to_vec() });
    assert_eq!(kind("loop"), Kind::Symlink { target: b".".to_vec() });
    assert_eq!(kind("pipe"), Kind::Fifo);
    assert_eq!(kind("socket"), Kind::Socket);
    assert!(
        matches!(kind("holes"), Kind::File(content) if content.size == 1 << 20 && content.sparse)
    );
}

#[test]
fn hostile_names_are_listed_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let long = [b'n'; 255];
    let names: [&[u8]; 6] = [b"\n", b"\xff\xfe", b"...", b"-rf", b"\"quote\\", &long];
    for name in names {
        touch(&dir.path().join(OsStr::from_bytes(name)));
    }
    let found = walk(dir.path());
    for name in names {
        assert!(found.iter().any(|found| found.entry.path == name), "{name:?}");
    }
}

#[test]
fn exclusions_and_our_own_staging_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for name in ["keep", "repo/packs/x", ".idswyft-vault-1/x", "d/.idswyft-vault-f", "z/y"] {
        touch(&at(name));
    }
    symlink(at("repo"), at("alias")).unwrap();
    for exclusion in [at("repo"), at("alias"), at("z/../repo")] {
        let walk = Walk::new(dir.path(), vec![exclusion.clone(), at("z/y")]).unwrap();
        let found: Vec<Found> = walk.map(Result::unwrap).collect();
        let listed = paths(&found);
        let listed: Vec<_> = listed.iter().filter(|path| *path != "alias").collect();
        assert_eq!(listed, ["", "d", "keep", "z"], "{}", exclusion.display());
    }
}

#[test]
fn a_root_that_cannot_be_walked_is_an_error_up_front() {
    let dir = tempfile::tempdir().unwrap();
    touch(&dir.path().join("file"));
    let try_walk = |path: PathBuf, exclusions| Walk::new(&path, exclusions).err();
    let missing = try_walk(dir.path().join("missing"), vec![]).unwrap();
    assert_eq!(missing.code(), Code::SourceFailed);
    assert!(try_walk(dir.path().join("file"), vec![]).is_some());
    assert!(try_walk(dir.path().to_owned(), vec![dir.path().parent().unwrap().into()]).is_some());
    assert!(try_walk(dir.path().to_owned(), vec![dir.path().join("file")]).is_none());
}

#[test]
fn the_root_may_be_a_symbolic_link() {
    let dir = tempfile::tempdir().unwrap();
    touch(&dir.path().join("real/x"));
    symlink("real", dir.path().join("root")).unwrap();
    let mut found = walk(&dir.path().join("root"));
    assert_eq!(paths(&found), ["", "x"]);
    assert_eq!(found[0].entry.kind, Kind::Dir);
    found[0].look_again().unwrap();
}

#[test]
fn what_vanishes_during_the_walk_is_a_problem_not_the_end() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c/d", "e"] {
        touch(&dir.path().join(name));
    }
    let mut walk = Walk::new(dir.path(), vec![]).unwrap();
    assert!(walk.next().unwrap().is_ok());
    assert!(walk.next().unwrap().is_ok());
    fs::remove_file(dir.path().join("b")).unwrap();
    fs::remove_dir_all(dir.path().join("c")).unwrap();
    let rest: Vec<Result<Found, Problem>> = walk.collect();
    let codes: Vec<_> = rest.iter().filter_map(|item| item.as_ref().err()).collect();
    assert!(codes.iter().all(|problem| problem.code() == Code::FileVanished), "{codes:?}");
    assert!(codes.iter().any(|problem| problem.path() == b"b"));
    assert!(codes.iter().any(|problem| problem.path() == b"c"));
    let last = rest.last().unwrap().as_ref().unwrap();
    assert_eq!(last.entry.path, b"e");
}

#[test]
fn a_directory_replaced_by_a_link_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    touch(&dir.path().join("root/a"));
    touch(&dir.path().join("root/d/x"));
    touch(&dir.path().join("outside/secret"));
    let mut walk = Walk::new(&dir.path().join("root"), vec![]).unwrap();
    assert!(walk.next().unwrap().is_ok());
    fs::remove_dir_all(dir.path().join("root/d")).unwrap();
    symlink("../outside", dir.path().join("root/d")).unwrap();
    let rest: Vec<_> = walk.collect();
    assert!(rest.iter().flatten().all(|found| !found.entry.path.starts_with(b"d/")), "{rest:?}");
    assert!(rest.iter().any(|item| item.as_ref().is_err_and(|problem| problem.path() == b"d")));
}

#[test]
fn attributes_are_read_only_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    touch(&path);
    if xattr::set(&path, "user.note", b"\0\xff").is_err() {
        return;
    }
    let mut found = walk(dir.path()).pop().unwrap();
    assert!(found.entry.xattrs.is_empty());
    found.read_xattrs().unwrap();
    assert_eq!(found.entry.xattrs[&b"user.note"[..]], b"\0\xff");
    fs::remove_file(&path).unwrap();
    assert_eq!(found.read_xattrs().unwrap_err().code(), Code::FileVanished);
}

#[test]
fn a_file_at_rest_is_stable_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let contents: Vec<u8> = (0..5_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    fs::write(&path, &contents).unwrap();
    let expected = stat(&path);
    let mut buf = b"left over".to_vec();
    assert_eq!(read_whole(&path, &expected, &mut buf).unwrap(), ReadOutcome::Stable(expected));
    assert!(buf == contents);

    let mut reader = FileReader::open(&path).unwrap().unwrap();
    let (mut all, mut windows) = (Vec::new(), 0);
    while reader.read_window(&mut all, 1_000_000).unwrap() > 0 {
        windows += 1;
    }
    assert_eq!((all == contents, windows), (true, 5));
    assert_eq!(reader.finish(&expected).unwrap(), ReadOutcome::Stable(expected));
}

#[test]
fn a_file_that_changed_since_the_walk_or_while_read_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    fs::write(&path, b"first").unwrap();
    let mut found = walk(dir.path()).pop().unwrap();
    fs::write(&path, b"second, longer").unwrap();
    let mut buf = Vec::new();
    let outcome = read_whole(&path, &found.stat, &mut buf).unwrap();
    assert_eq!(outcome, ReadOutcome::Changed(stat(&path)));
    found.look_again().unwrap();
    assert_eq!(found.stat.size, 14);
    let outcome = read_whole(&path, &found.stat, &mut buf).unwrap();
    assert!(matches!(outcome, ReadOutcome::Stable(_)) && buf == b"second, longer");

    let mut reader = FileReader::open(&path).unwrap().unwrap();
    reader.read_window(&mut buf, 3).unwrap();
    File::options().append(true).open(&path).unwrap().write_all(b"more").unwrap();
    buf.clear();
    while reader.read_window(&mut buf, 100).unwrap() > 0 {}
    assert_eq!(buf, b"ond, longer", "a growing file ends where it did at opening");
    assert!(matches!(reader.finish(&found.stat).unwrap(), ReadOutcome::Changed(_)));
}

#[test]
fn a_pipe_a_link_or_nothing_in_the_place_of_a_file_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    touch(&path);
    let expected = stat(&path);
    let mut found = walk(dir.path()).pop().unwrap();
    let mut buf = Vec::new();
    let mut replace = |make: &dyn Fn(&Path)| {
        fs::remove_file(&path).unwrap();
        make(&path);
        assert_eq!(read_whole(&path, &expected, &mut buf).unwrap(), ReadOutcome::Vanished);
    };
    replace(&|path| make_fifo(path));
    assert_eq!(found.look_again().unwrap_err().code(), Code::FileVanished);
    replace(&|path| symlink("/etc/passwd", path).unwrap());
    replace(&|path| drop(UnixListener::bind(path).unwrap()));
    replace(&|_| {});
    assert!(buf.is_empty());
}

#[test]
fn a_further_name_can_stand_for_a_lost_first_one() {
    let dir = tempfile::tempdir().unwrap();
    touch(&dir.path().join("a"));
    fs::hard_link(dir.path().join("a"), dir.path().join("b")).unwrap();
    let mut found = walk(dir.path()).pop().unwrap();
    assert!(matches!(found.entry.kind, Kind::Hardlink { .. }));
    fs::remove_file(dir.path().join("a")).unwrap();
    found.promote().unwrap();
    assert!(matches!(found.entry.kind, Kind::File(content) if content.size == 1));
}

#[test]
fn an_unreadable_directory_is_a_problem_not_the_end() {
    // Root reads everything, so there is nothing to see then.
    if rustix::process::getuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    touch(&dir.path().join("closed/x"));
    touch(&dir.path().join("open"));
    fs::set_permissions(dir.path().join("closed"), PermissionsExt::from_mode(0o000)).unwrap();
    let items: Vec<_> = Walk::new(dir.path(), vec![]).unwrap().collect();
    fs::set_permissions(dir.path().join("closed"), PermissionsExt::from_mode(0o700)).unwrap();
    assert!(items.iter().flatten().any(|found| found.entry.path == b"open"));
    let problem = items.iter().find_map(|item| item.as_ref().err()).unwrap();
    assert_eq!((problem.code(), problem.path()), (Code::FileUnreadable, &b"closed"[..]));
}
