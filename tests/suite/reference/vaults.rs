//! The reference reader reads what the program writes, and refuses what it refuses.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use idswyft_vault::crypto::identity::NoPassphrase;
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::format::parameters::{ParameterFields, Parameters};

use super::agreement::{agrees_on, assert_same, compare};
use super::reader::Reference;
use crate::support::vault::{TestVault, local, noise};
use crate::support::{Figure, Random, is_long};

/// A vault of two mirrors with small packs.
fn mirrored() -> TestVault {
    let fields = Parameters::initial().fields().clone();
    let fields = ParameterFields { pack_len: 4 * 1024 * 1024, ..fields };
    let stores =
        |dir: &Path| vec![local(&dir.join("store"), "local"), local(&dir.join("mirror"), "mirror")];
    TestVault::with(stores, Parameters::try_from(fields).unwrap())
}

/// Copies a live tree as it is now, for comparison with what was archived of it.
fn copy(vault: &TestVault, name: &str) -> PathBuf {
    let (from, to) = (vault.path("uploads"), vault.path(name));
    let run = |program: &str, args: &[&std::ffi::OsStr]| {
        let status = std::process::Command::new(program).args(args).status();
        assert!(status.unwrap().success(), "{program}");
    };
    run("cp", &["-a".as_ref(), from.as_os_str(), to.as_os_str()]);
    // A socket is archived and not restored, so what is compared with has none either.
    run("rm", &["-f".as_ref(), to.join("socket").as_os_str()]);
    run("touch", &["-r".as_ref(), from.as_os_str(), to.as_os_str()]);
    if vault.path("db.sql").exists() {
        fs::copy(vault.path("db.sql"), vault.path(&format!("{name}.sql"))).unwrap();
    }
    to
}

fn rows(count: u32, salt: u32) -> Vec<String> {
    (0..count).map(|row| format!("{row}\tname {}", row.wrapping_mul(7 + salt))).collect()
}

/// Fills the uploads with every kind of entry.
fn fill(vault: &TestVault) {
    for index in 0..12 {
        vault.write(&format!("documents/{index}.jpg"), &noise(index, 30_000));
    }
    vault.write("documents/empty.pdf", b"");
    vault.write("documents/text.txt", "all work and no play\n".repeat(20_000).as_bytes());
    let uploads = vault.path("uploads");
    fs::create_dir(uploads.join("an empty directory")).unwrap();
    symlink("documents/1.jpg", uploads.join("link")).unwrap();
    symlink(std::ffi::OsStr::from_bytes(b"nowhere/\xff"), uploads.join("dangling")).unwrap();
    fs::hard_link(uploads.join("documents/2.jpg"), uploads.join("zz second name")).unwrap();
    fs::hard_link(uploads.join("link"), uploads.join("zz second link")).unwrap();
    fs::write(uploads.join(std::ffi::OsStr::from_bytes(b"\xfe\xff name")), b"not UTF-8").unwrap();
    fs::write(uploads.join("new\nline \"quoted\" \\ ünïcode"), b"special").unwrap();
    for name in ["a", "a-b", "a.c"] {
        vault.write(&format!("order/{name}/x"), name.as_bytes());
    }
    let sparse = fs::File::create(uploads.join("sparse.img")).unwrap();
    sparse.set_len(3_000_000).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"an island", 1_500_000).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, uploads.join("fifo"), 0o640.into()).unwrap();
    drop(std::os::unix::net::UnixListener::bind(uploads.join("socket")).unwrap());
    let _ = xattr::set(uploads.join("documents/3.jpg"), "user.origin", b"scanner\0\xff");
    let setuid = fs::Permissions::from_mode(0o4710);
    fs::set_permissions(uploads.join("documents/4.jpg"), setuid).unwrap();
}

/// Asserts that what was read of a snapshot is what a copy of its sources holds.
fn assert_is(reference: &Reference, id: &str, copy: &Path) {
    let contents = reference.snapshot(id).unwrap();
    assert_same(copy, &contents);
    let db = fs::read(copy.with_extension("sql")).unwrap_or_default();
    assert!(contents.db == db, "{id}: the database is not what was dumped");
}

/// Asserts that every pack is in the segment of exactly one snapshot, with its chunks.
fn assert_segments(reference: &Reference) {
    let mut indexed = BTreeMap::new();
    for id in reference.snapshots() {
        for (pack, chunks) in reference.segment(&id).unwrap() {
            assert!(indexed.insert(pack, chunks).is_none(), "{id}: a pack is indexed again");
        }
        let (_, packs) = reference.packs(&id).unwrap();
        for (pack, found) in packs {
            assert_eq!(indexed.get(&pack), Some(&found.chunks), "{pack}");
        }
    }
}

/// A vault with a history: edits, removals, renames, a new generation, no uploads, no database.
fn churned() -> (TestVault, BTreeMap<String, PathBuf>) {
    let vault = mirrored();
    let mut copies = BTreeMap::new();
    let take = |copies: &mut BTreeMap<String, PathBuf>| {
        let copy = copy(&vault, &format!("copy{}", copies.len()));
        let id = vault.snapshot().snapshot.to_string();
        copies.insert(id, copy);
    };
    take(&mut copies);
    fill(&vault);
    vault.write_dump(&rows(20_000, 0));
    take(&mut copies);
    let uploads = vault.path("uploads");
    fs::remove_file(uploads.join("documents/5.jpg")).unwrap();
    fs::rename(uploads.join("documents/6.jpg"), uploads.join("moved.jpg")).unwrap();
    vault.write("documents/7.jpg", &noise(700, 45_000));
    vault.write_dump(&rows(20_500, 0));
    take(&mut copies);
    let mut writer = vault.writer();
    let recipients = DataRecipients::parse(&[&vault.recipient]).unwrap();
    writer.roll(&recipients, &NoPassphrase).unwrap();
    writer.deliver(vault.events.as_ref()).unwrap();
    drop(writer);
    vault.write("documents/8.jpg", &noise(800, 45_000));
    take(&mut copies);
    fs::remove_file(vault.path("db.sql")).unwrap();
    fs::remove_dir_all(uploads.join("documents")).unwrap();
    take(&mut copies);
    (vault, copies)
}

/// V-159
#[test]
fn the_reference_reader_reads_everything_that_the_program_writes() {
    let (vault, copies) = churned();
    let (root, identity) = (&vault.report.root_key, &vault.identity);
    let mut agreed = 0;
    for store in ["store", "mirror"] {
        agreed += agrees_on(&vault.path(store), root, identity);
    }
    let reference = Reference::open(&vault.path("store"), root, Some(identity)).unwrap();
    assert_eq!(reference.snapshots(), copies.keys().cloned().collect::<Vec<_>>());
    for (id, copy) in &copies {
        assert_is(&reference, id, copy);
    }
    assert_segments(&reference);
    let what = "Snapshots that program and reference reader read the same, of a churned vault";
    Figure { what, test: "the_reference_reader_reads_everything" }.record(agreed);
}

/// A way to damage an object, given the bytes of another one of its folder.
type Damage = fn(&mut Vec<u8>, &[u8]);

const DAMAGES: [Damage; 6] = [
    |bytes, _| {
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
    },
    |bytes, _| bytes[0] ^= 0x20,
    |bytes, _| bytes.truncate(bytes.len() - 1),
    |bytes, _| bytes.push(b'\n'),
    |bytes, _| bytes.clear(),
    |bytes, sibling| *bytes = sibling.to_vec(),
];

/// A vault with two snapshots of two generations, and the paths of all its objects.
fn two_snapshots() -> (TestVault, Vec<PathBuf>) {
    let vault = TestVault::with_small_packs();
    vault.write("documents/0.jpg", &noise(0, 60_000));
    vault.write_dump(&rows(300, 0));
    vault.snapshot();
    vault.write("documents/late.jpg", &noise(77, 60_000));
    vault.snapshot();
    let files = walkdir::WalkDir::new(vault.path("store")).sort_by_file_name().into_iter();
    let files = files.map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let objects: Vec<PathBuf> = files.map(walkdir::DirEntry::into_path).collect();
    (vault, objects)
}

/// Returns the bytes of another object of the kind, or of any other where there is none.
fn sibling(objects: &[PathBuf], of: &Path) -> Vec<u8> {
    let folder = |path: &Path| path.components().rev().nth(1).map(|c| c.as_os_str().to_owned());
    let is_like = |path: &&PathBuf| {
        *path != of && path.extension() == of.extension() && folder(path) == folder(of)
    };
    let other = objects.iter().find(is_like);
    fs::read(other.unwrap_or(&objects[usize::from(objects[0] == of)])).unwrap()
}

/// V-136, V-151
#[test]
fn the_reference_reader_refuses_the_damage_that_the_program_refuses() {
    let (vault, objects) = two_snapshots();
    let (root, identity, store) = (&vault.report.root_key, &vault.identity, &vault.path("store"));
    assert_eq!(agrees_on(store, root, identity), 2);
    let (mut tried, mut random) = (0, Random::new());
    for path in &objects {
        let sound = fs::read(path).unwrap();
        let sibling = sibling(&objects, path);
        let picked = [random.pick(&DAMAGES), random.pick(&DAMAGES)];
        let tried_here = if is_long() { DAMAGES.iter().collect() } else { picked.to_vec() };
        for damage in tried_here {
            let mut bytes = sound.clone();
            damage(&mut bytes, &sibling);
            fs::write(path, &bytes).unwrap();
            let (_, refusals) = compare(store, root, identity);
            assert!(!refusals.is_empty(), "{}: nothing is refused", path.display());
            tried += 1;
        }
        fs::remove_file(path).unwrap();
        compare(store, root, identity);
        fs::write(path, &sound).unwrap();
        tried += 1;
    }
    assert_eq!(agrees_on(store, root, identity), 2);
    let what = "Damages that program and reference reader refuse alike, by object and code";
    Figure { what, test: "the_reference_reader_refuses_the_damage" }.record(tried);
}
