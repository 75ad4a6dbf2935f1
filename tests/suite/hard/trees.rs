//! Uploads that nobody would make on purpose, and uploads that change while they are read.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, mknodat, utimensat};

use crate::support::program::{Program, Ran};
use crate::support::vault::noise;

/// Everything of an entry that a restore must bring back.
#[derive(Debug, PartialEq)]
pub struct Seen {
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    /// None for what is not a regular file or a symbolic link.
    contents: Option<Vec<u8>>,
    links: u64,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Looks at everything below a directory.
pub fn look(root: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut seen = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root) {
        let entry = entry.unwrap();
        let (path, metadata) = (entry.path(), entry.path().symlink_metadata().unwrap());
        let kind = metadata.file_type();
        let contents = if kind.is_symlink() {
            Some(fs::read_link(path).unwrap().as_os_str().as_bytes().to_vec())
        } else {
            kind.is_file().then(|| fs::read(path).unwrap())
        };
        let names = xattr::list(path).unwrap();
        let xattrs = names.map(|name| {
            (name.as_bytes().to_vec(), xattr::get(path, &name).unwrap().unwrap_or_default())
        });
        let entry = Seen {
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            contents,
            // Of a directory it says how many directories are in it, not on every file system.
            links: if kind.is_dir() { 0 } else { metadata.nlink() },
            xattrs: xattrs.collect(),
        };
        seen.insert(path.strip_prefix(root).unwrap().to_owned(), entry);
    }
    seen
}

/// Names that break whoever splits lines, trusts UTF-8, or takes a name for an option.
fn hostile_names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        "-rf",
        "--help",
        "-",
        "...",
        " ",
        "a b",
        "new\nline",
        "\n",
        "tab\t",
        "\r",
        "back\\slash",
        "\\n",
        "\"quotes\"",
        "'",
        "$(id)",
        "*",
        "?",
        "[a]",
        "~",
        "é",
        "e\u{301}",
        "\u{202e}gpj",
        "😀",
        "con",
        "%00",
        "a:b",
        "\u{1}\u{1b}[31m",
        "\u{7f}",
        "{}",
        "base64",
    ]
    .map(|name| name.as_bytes().to_vec())
    .to_vec();
    names.extend([b"\xff\xfe".to_vec(), b"caf\xe9.jpg".to_vec(), b"\xc3".to_vec()]);
    names.push(vec![b'x'; 255]);
    names.push([vec![b'y'; 254], vec![0xff]].concat());
    names
}

/// Makes what nobody would make on purpose.
pub fn make_hostile(root: &Path) {
    for (index, name) in (0..).zip(hostile_names()) {
        fs::write(root.join(OsStr::from_bytes(&name)), format!("contents {index}")).unwrap();
        let dir = root.join("dirs").join(OsStr::from_bytes(&name));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(OsStr::from_bytes(&name)), b"").unwrap();
        symlink(OsStr::from_bytes(&name), root.join("dirs").join(format!("link-{index}"))).unwrap();
    }
    let mut deep = root.join("deep");
    for _ in 0..12 {
        deep = deep.join("d".repeat(250));
    }
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), b"far down").unwrap();
    mknodat(CWD, root.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o622), 0).unwrap();
    drop(UnixListener::bind(root.join("socket")).unwrap());
    fs::hard_link(root.join("-rf"), root.join("dirs/second name of -rf")).unwrap();
    symlink("/etc/passwd", root.join("absolute")).unwrap();
    symlink("nowhere/at/all", root.join("dangling")).unwrap();
    symlink(".", root.join("loop")).unwrap();
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.write_all_at(b"middle", 5_000_000).unwrap();
    sparse.write_all_at(b"end", 50_000_000).unwrap();
    sparse.set_len(60_000_000).unwrap();
    fs::write(root.join("zeros"), vec![0; 300_000]).unwrap();
    for (name, value) in [("user.empty", &b""[..]), ("user.bytes", b"\0\xff\n"), ("user.é", b"x")]
    {
        xattr::set(root.join("zeros"), name, value).unwrap();
        xattr::set(root.join("dirs/-rf"), name, value).unwrap();
    }
}

/// Gives what is there modes, owners and times of every kind; the last thing to be done to it.
pub fn make_strange(root: &Path) {
    let is_root = rustix::process::getuid().is_root();
    let modes = [0o4755, 0o2755, 0o6711, 0o000, 0o777, 0o400, 0o1644];
    let entries = walkdir::WalkDir::new(root).contents_first(true).into_iter();
    for (index, entry) in (0_u32..).zip(entries.map(Result::unwrap)) {
        let (path, kind) = (entry.path(), entry.file_type());
        if is_root {
            let owner = [(1000, 1001), (65_534, 0), (4_000_000_000, 3_999_999_999)];
            let (user, group) = owner[index as usize % 3];
            std::os::unix::fs::lchown(path, Some(user), Some(group)).unwrap();
        }
        if kind.is_file() {
            let mode = if is_root { modes[index as usize % 7] } else { 0o640 };
            fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        } else if kind.is_dir() {
            let mode = [0o755, 0o1777, 0o2770, 0o500][index as usize % 4];
            fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        }
        let seconds = [0, -86_400, 1_000_000_007, 4_102_444_800][index as usize % 4];
        let time =
            Timespec { tv_sec: seconds, tv_nsec: i64::from(index * 7_654_321 % 999_999_999) };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

#[test]
fn a_hostile_tree_comes_back_as_it_was() {
    let program = Program::initialised();
    let root = program.path("uploads");
    make_hostile(&root);
    make_strange(&root);
    let mut before = look(&root);
    let report = program.snapshot(0);
    // Its program makes a socket anew; that is a warning, and everything else is there.
    let out = program.restore("latest", 4).join("uploads");
    assert!(before.remove(Path::new("socket")).is_some());
    // Entry by entry, so that a failure is one that can be read.
    let mut after = look(&out);
    for (path, expected) in before {
        let found = after.remove(&path);
        assert!(found.as_ref() == Some(&expected), "{path:?}: {expected:?} became {found:?}");
    }
    assert!(after.is_empty(), "{:?}", after.keys());
    assert!(fs::metadata(out.join("sparse")).unwrap().blocks() < 1000, "holes came back as holes");
    let names = hostile_names().len() as u64;
    assert_eq!(report["file_count"], 2 * names + 3, "hard links are one file");
    assert_eq!(program.snapshot(0)["new_len"], 0, "reading it changed nothing");
    program.assert_sound();
    let args = ["show", "latest", "--files", "-i", "operator.key"];
    let shown = program.run(&args);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(!shown.stdout.contains('\x1b') && !shown.stdout.contains('\u{202e}'), "{shown:?}");
}

/// Waits until a process has a file open.
fn wait_until_open(process: u32, path: &Path) {
    let fds = PathBuf::from(format!("/proc/{process}/fd"));
    let is_open = || {
        let links =
            fs::read_dir(&fds).unwrap().filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        links.into_iter().any(|link| link == path)
    };
    while !is_open() {
        std::thread::yield_now();
    }
}

#[test]
fn a_file_that_vanishes_during_the_walk_costs_a_warning_and_nothing_else() {
    let program = Program::initialised();
    // Read for long enough after its directory was listed; its holes are nothing to compress.
    let large = program.path("uploads/a-large.jpg");
    File::create(&large).unwrap().set_len(1 << 30).unwrap();
    program.write("m-kept.jpg", b"kept");
    program.write("x-vanishing.jpg", b"gone");
    program.write("y-vanishing/inside.jpg", b"gone as well");
    program.write("z-kept.jpg", b"kept");
    let mut command = program.command(&["snapshot", "--json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until_open(child.id(), &large);
    fs::remove_file(program.path("uploads/x-vanishing.jpg")).unwrap();
    fs::remove_dir_all(program.path("uploads/y-vanishing")).unwrap();
    let report = Ran::of(child.wait_with_output().unwrap()).expect(4);
    let warnings = report["warnings"].as_array().unwrap();
    for (warning, name) in warnings.iter().zip(["x-vanishing.jpg", "y-vanishing"]) {
        assert_eq!(warning["code"], "file-vanished", "{report}");
        assert!(warning["detail"].as_str().unwrap().contains(name), "{report}");
    }
    assert_eq!((warnings.len(), &report["snapshots"][0]["file_count"]), (2, &3.into()));
    let out = program.restore("latest", 0).join("uploads");
    assert_eq!(
        look(&out).keys().collect::<Vec<_>>(),
        look(&program.path("uploads")).keys().collect::<Vec<_>>()
    );
    assert_eq!(fs::read(out.join("z-kept.jpg")).unwrap(), b"kept");
    let facts = fs::read_to_string(out.join("../facts.json")).unwrap();
    assert!(facts.contains("file-vanished"), "the snapshot itself says so: {facts}");
}

#[test]
fn a_file_that_keeps_changing_costs_a_warning_and_is_read_again_next_time() {
    let program = Program::initialised();
    program.write("a.jpg", &noise(1, 3_000_000));
    // Long enough to be read for many ticks of the clock that stamps files.
    program.write("changing.jpg", &noise(2, 60_000_000));
    program.write("z.jpg", &noise(3, 3_000_000));
    let ended = AtomicBool::new(false);
    let changing = File::options().write(true).open(program.path("uploads/changing.jpg")).unwrap();
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut turn = 0_u64;
            while !ended.load(Ordering::SeqCst) {
                turn += 1;
                changing.write_all_at(&turn.to_le_bytes(), turn * 8 % 4_000_000).unwrap();
            }
        });
        let ran = program.run(&["snapshot", "--json"]);
        ended.store(true, Ordering::SeqCst);
        ran.expect(4)
    });
    let warnings = report["warnings"].as_array().unwrap();
    assert_eq!((warnings.len(), &warnings[0]["code"]), (1, &"file-changed".into()), "{report}");
    assert!(warnings[0]["detail"].as_str().unwrap().contains("changing.jpg"), "{report}");
    assert_eq!(report["snapshots"][0]["file_count"], 3);
    let out = program.restore("latest", 0);
    for (name, seed) in [("uploads/a.jpg", 1), ("uploads/z.jpg", 3)] {
        assert!(fs::read(out.join(name)).unwrap() == noise(seed, 3_000_000), "{name}");
    }
    assert_eq!(fs::metadata(out.join("uploads/changing.jpg")).unwrap().len(), 60_000_000);
    program.snapshot(0);
    let out = program.restore("latest", 0);
    let same = |name| fs::read(out.join(name)).unwrap() == fs::read(program.path(name)).unwrap();
    assert!(same("uploads/changing.jpg"), "at rest it is read again");
    program.assert_sound();
}
