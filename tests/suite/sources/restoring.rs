//! Writing a tree back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::format::tree::{FileContent, Kind, Time, TreeEntry};
use idswyft_vault::source::target::{Existing, NotRestored, Part, Target};
use idswyft_vault::source::{Walk, read_whole};

fn entry(path: &str, kind: Kind) -> TreeEntry {
    TreeEntry {
        path: path.into(),
        kind,
        mode: 0o640,
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        mtime: Time { sec: 1_000_000_007, nsec: 123_456_789 },
        xattrs: BTreeMap::new(),
    }
}

fn file(path: &str, size: u64) -> TreeEntry {
    entry(path, Kind::File(FileContent::unread(size, false)))
}

fn open(path: &Path) -> Target {
    Target::open(path, Existing::Refuse).unwrap()
}

/// Copies a tree as a snapshot and a restore would.
fn copy(from: &Path, to: &Path) -> Vec<NotRestored> {
    let target = open(to);
    let mut problems = Vec::new();
    for found in Walk::new(from, vec![]).unwrap() {
        let mut found = found.unwrap();
        found.read_xattrs().unwrap();
        let placed = target.place(&found.entry).unwrap();
        problems.extend(placed.problems);
        if let Some(file) = placed.file {
            let mut buf = Vec::new();
            read_whole(&found.path, &found.stat, &mut buf).unwrap();
            file.write_at(0, &buf).unwrap();
            problems.extend(target.finish_file(&file, &found.entry));
        }
    }
    problems.extend(target.finish().unwrap());
    problems
}

/// Lists a tree with everything that a restore must bring back.
fn listing(root: &Path) -> Vec<TreeEntry> {
    let found = Walk::new(root, vec![]).unwrap().map(|found| {
        let mut found = found.unwrap();
        found.read_xattrs().unwrap();
        found.entry
    });
    found.collect()
}

#[test]
fn a_tree_comes_back_with_all_its_metadata() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("a/b/to"));
    fs::create_dir_all(from.join("d/closed")).unwrap();
    fs::write(from.join("d/closed/x"), b"contents").unwrap();
    fs::write(from.join("setuid"), b"").unwrap();
    fs::set_permissions(from.join("setuid"), PermissionsExt::from_mode(0o4751)).unwrap();
    fs::hard_link(from.join("setuid"), from.join("z")).unwrap();
    symlink("../../nowhere", from.join("d/link")).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o622);
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, from.join("pipe"), fifo, mode, 0).unwrap();
    let _ = xattr::set(from.join("d"), "user.note", b"dir");
    let _ = xattr::set(from.join("setuid"), "user.note", b"\0file");
    if rustix::process::getuid().is_root() {
        for name in ["d/link", "setuid", "pipe", "d/closed"] {
            std::os::unix::fs::lchown(from.join(name), Some(4321), Some(1234)).unwrap();
        }
        // Changing the owner clears it.
        fs::set_permissions(from.join("setuid"), PermissionsExt::from_mode(0o4751)).unwrap();
    }
    for (name, mode) in [("d/closed", 0o555), ("d", 0o1777)] {
        fs::set_permissions(from.join(name), PermissionsExt::from_mode(mode)).unwrap();
    }
    let problems = copy(&from, &to);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(listing(&to), listing(&from));
    assert_eq!(fs::read(to.join("d/closed/x")).unwrap(), b"contents");
    let inode = |name| to.join(name).metadata().unwrap().ino();
    assert_eq!(inode("z"), inode("setuid"));
    for name in ["from/d/closed", "a/b/to/d/closed"] {
        fs::set_permissions(dir.path().join(name), PermissionsExt::from_mode(0o700)).unwrap();
    }
}

/// V-83
#[test]
fn nobody_else_can_read_a_tree_that_is_being_restored() {
    let dir = tempfile::tempdir().unwrap();
    let target = open(&dir.path().join("new"));
    drop(target.place(&TreeEntry { mode: 0o777, ..entry("d", Kind::Dir) }).unwrap());
    let placed = target.place(&TreeEntry { mode: 0o666, ..file("d/f", 3) }).unwrap();
    let mode = |name| dir.path().join("new").join(name).metadata().unwrap().mode() & 0o7777;
    assert_eq!((mode("."), mode("d"), mode("d/f")), (0o700, 0o700, 0o600));
    placed.file.unwrap().write_at(0, b"abc").unwrap();
}

/// V-82
#[test]
fn a_path_cannot_leave_the_target() {
    let dir = tempfile::tempdir().unwrap();
    let target = open(&dir.path().join("new"));
    for path in ["../x", "/etc/x", "a/../../x", "..", "a//b", "./x", "a\0"] {
        let error = target.place(&file(path, 0)).unwrap_err();
        assert_eq!(error.code(), Code::FormatInvalid, "{path:?}");
        assert!(target.place(&entry("l", Kind::Hardlink { link: path.into() })).is_err());
        assert!(target.rename_new(b"l", path.as_bytes()).is_err());
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// V-82
#[test]
fn a_symbolic_link_of_the_tree_is_never_walked_through() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("outside")).unwrap();
    fs::write(dir.path().join("outside/f"), b"kept").unwrap();
    for existing in [Existing::Refuse, Existing::Replace] {
        let name = format!("new{existing:?}");
        let target = Target::open(&dir.path().join(name), existing).unwrap();
        let link = |path: &str, to: &str| {
            let kind = Kind::Symlink { target: to.into() };
            target.place(&entry(path, kind)).unwrap().problems
        };
        assert!(link("d", "../outside").is_empty() && link("f", "../outside/f").is_empty());
        assert!(target.place(&file("d/f", 0)).is_err());
        assert!(target.place(&file("d/new", 0)).is_err());
        assert!(target.reopen(&file("f", 0)).is_err());
        assert!(target.place(&entry("h", Kind::Hardlink { link: b"d/f".to_vec() })).is_err());
        // A hostile tree that says it is a directory too gets one of its own, or none.
        let again = target.place(&entry("d", Kind::Dir));
        assert_eq!(again.is_ok(), existing == Existing::Replace);
        drop(target.finish());
        assert_eq!(fs::read(dir.path().join("outside/f")).unwrap(), b"kept");
        assert_eq!(fs::read_dir(dir.path().join("outside")).unwrap().count(), 1);
    }
}

#[test]
fn nothing_existing_is_touched_unless_that_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"old").unwrap();
    let refused = Target::open(dir.path(), Existing::Refuse).unwrap_err();
    assert_eq!(refused.code(), Code::TargetNotEmpty);

    let target = open(&dir.path().join("new"));
    drop(target.place(&file("f", 3)).unwrap());
    assert_eq!(target.place(&file("f", 9)).unwrap_err().code(), Code::TargetNotEmpty);
    assert_eq!(dir.path().join("new/f").metadata().unwrap().len(), 3);

    fs::hard_link(dir.path().join("f"), dir.path().join("other")).unwrap();
    let target = Target::open(dir.path(), Existing::Replace).unwrap();
    let placed = target.place(&file("f", 3)).unwrap();
    placed.file.unwrap().write_at(0, b"new").unwrap();
    drop(target.place(&entry("new", Kind::Dir)).unwrap());
    assert_eq!(fs::read(dir.path().join("f")).unwrap(), b"new");
    assert_eq!(fs::read(dir.path().join("other")).unwrap(), b"old", "replaced, not written over");
    assert!(dir.path().join("new/f").exists());
}

#[test]
fn files_are_written_at_offsets_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let target = open(&dir.path().join("new"));
    let entry = file("f", 6);
    let placed = target.place(&entry).unwrap();
    placed.file.unwrap().write_at(3, b"def").unwrap();
    let again = target.reopen(&entry).unwrap();
    again.write_at(0, b"abc").unwrap();
    let mut back = [0; 6];
    again.read_at(0, &mut back).unwrap();
    assert_eq!(&back, b"abcdef");
    assert!(again.read_at(1, &mut back).is_err());
}

#[test]
fn a_sparse_file_stays_sparse_whatever_pieces_it_comes_in() {
    let dir = tempfile::tempdir().unwrap();
    let target = open(&dir.path().join("new"));
    let mut contents = vec![0; 1 << 20];
    contents[5000] = 1;
    contents[700_000..700_010].fill(2);
    let size = contents.len() as u64;
    for piece_len in [1 << 20, 4096, 10_000, 4095] {
        let name = format!("f{piece_len}");
        let kind = Kind::File(FileContent::unread(size, true));
        let file = target.place(&entry(&name, kind)).unwrap().file.unwrap();
        for (index, piece) in contents.chunks(piece_len).enumerate() {
            file.write_at((index * piece_len) as u64, piece).unwrap();
        }
        let path = dir.path().join("new").join(&name);
        assert!(fs::read(&path).unwrap() == contents, "{piece_len}");
        if piece_len >= 4096 && piece_len != 10_000 {
            let blocks = path.metadata().unwrap().blocks();
            assert!(blocks * 512 <= 64 * 1024, "{piece_len}: {blocks}");
        }
    }
}

#[test]
fn what_cannot_be_restored_is_told_and_ends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let target = open(&dir.path().join("new"));
    let socket = target.place(&entry("s", Kind::Socket)).unwrap();
    assert_eq!(socket.problems[0].part, Part::Entry("socket"));
    assert_eq!(socket.problems[0].code(), Code::MetadataNotRestored);
    let mut odd = file("f", 0);
    odd.xattrs.insert(b"nowhere.x".to_vec(), b"x".to_vec());
    let placed = target.place(&odd).unwrap();
    let problems = target.finish_file(&placed.file.unwrap(), &odd);
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].part, Part::Xattr(b"nowhere.x".to_vec()));
    let metadata = dir.path().join("new/f").metadata().unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.mtime_nsec()), (0o640, 123_456_789));
}

#[test]
fn devices_come_back_where_they_may() {
    let dir = tempfile::tempdir().unwrap();
    let target = open(&dir.path().join("new"));
    let placed = target.place(&entry("null", Kind::Char { major: 1, minor: 3 })).unwrap();
    match dir.path().join("new/null").metadata() {
        Ok(metadata) => {
            assert!(metadata.file_type().is_char_device());
            assert_eq!(metadata.mode() & 0o7777, 0o640);
        }
        Err(_) => assert_eq!(placed.problems[0].part, Part::Entry("char")),
    }
}

/// V-84
#[test]
fn an_owner_that_cannot_be_set_takes_the_setuid_bit_with_it() {
    // Root can set any owner.
    if rustix::process::getuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let target = open(&dir.path().join("new"));
    let foreign = TreeEntry { uid: 0, mode: 0o4755, ..file("f", 0) };
    let placed = target.place(&foreign).unwrap();
    let problems = target.finish_file(&placed.file.unwrap(), &foreign);
    assert_eq!(problems[0].part, Part::Owner);
    assert_eq!(dir.path().join("new/f").metadata().unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn renaming_into_place_replaces_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let target = open(&dir.path().join("new"));
    drop(target.place(&entry("a", Kind::Dir)).unwrap());
    drop(target.place(&file("a/f", 1)).unwrap());
    drop(target.place(&file("g", 2)).unwrap());
    let refused = target.rename_new(b"a/f", b"g").unwrap_err();
    assert_eq!(refused.code(), Code::TargetNotEmpty);
    target.rename_new(b"a/f", b"h").unwrap();
    assert_eq!(dir.path().join("new/h").metadata().unwrap().len(), 1);
}
