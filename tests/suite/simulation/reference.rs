//! The second reader, written from the specification alone, sees what the model says.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use idswyft_vault::base::SnapshotId;
use serde_json::Value;

use super::tree::Seen;
use super::world::World;
use crate::reference::Reference;

/// Compares a snapshot, as the reference reader reads it from a store's directory, with what it is
/// to hold.
pub fn check_reference(world: &World, vault: usize, place: usize, snapshot: SnapshotId) {
    let vault = &world.vaults[vault];
    let identity = world.operator.to_secret_text();
    let dir = vault.places[place].directory();
    let reference = Reference::open(dir, &vault.root_key, Some(identity.as_str())).unwrap();
    let contents = reference.snapshot(&snapshot.to_string()).unwrap();
    let expected = &vault.archive.durable[&snapshot];
    assert!(contents.db == expected.dump.as_ref().map_or(&b""[..], |dump| dump.as_bytes()));
    let path_of = |bytes: &[u8]| PathBuf::from(Path::new(OsStr::from_bytes(bytes)));
    let mut found: BTreeMap<PathBuf, Seen> = BTreeMap::new();
    let mut links = Vec::new();
    for (path, entry) in contents.files {
        let number = |value: &Value| value.as_i64().unwrap();
        let mode = u32::try_from(number(&entry.line["mode"])).unwrap();
        let mtime = (number(&entry.line["mtime"][0]), number(&entry.line["mtime"][1]));
        let path = path_of(&path);
        let seen = match entry.line["kind"].as_str().unwrap() {
            "dir" => Seen::Dir { mode, mtime },
            "symlink" => Seen::Symlink { target: path_of(&entry.bytes), mtime },
            // The first name of a file may sort behind its others here: `a/b` comes before `a-b`.
            "hardlink" => {
                links.push((path, path_of(&entry.bytes)));
                continue;
            }
            "file" => {
                let (bytes, first_name) = (Arc::new(entry.bytes), path.clone());
                Seen::File { mode, mtime, bytes, first_name }
            }
            other => panic!("{other} is not in the model"),
        };
        found.insert(path, seen);
    }
    for (path, first_name) in links {
        found.insert(path, found[&first_name].clone());
    }
    let seen = expected.uploads.as_ref().map(|tree| tree.seen()).unwrap_or_default();
    assert!(found == seen, "{snapshot}: the reference reader reads another tree");
}
