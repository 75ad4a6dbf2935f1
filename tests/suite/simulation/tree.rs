//! What a tree is to be, kept beside the file system and never read from it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::WalkDir;

/// Seconds and nanoseconds.
pub type Time = (i64, i64);

/// One name in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Dir { mode: u32, mtime: Time },
    /// A name of the file with this number.
    File(u64),
    /// A symbolic link.
    Symlink { target: PathBuf, mtime: Time },
}

/// A file, under however many names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inode {
    /// Its bytes.
    pub bytes: Arc<Vec<u8>>,
    /// Its permissions.
    pub mode: u32,
    /// When it changed last.
    pub mtime: Time,
}

/// A directory and all below it; the root has the empty path.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Every name.
    pub nodes: BTreeMap<PathBuf, Node>,
    /// Every file.
    pub inodes: BTreeMap<u64, Inode>,
}

/// One name as whoever looks at the tree sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A directory.
    Dir { mode: u32, mtime: Time },
    /// A file, and the first of its names.
    File { mode: u32, mtime: Time, bytes: Arc<Vec<u8>>, first_name: PathBuf },
    /// A symbolic link.
    Symlink { target: PathBuf, mtime: Time },
}

impl Tree {
    /// Returns the paths of all regular files.
    pub fn files(&self) -> Vec<PathBuf> {
        self.paths(|node| matches!(node, Node::File(_)))
    }

    /// Returns the paths of all directories, the root's first.
    pub fn dirs(&self) -> Vec<PathBuf> {
        self.paths(|node| matches!(node, Node::Dir { .. }))
    }

    /// Returns every path but the root's.
    pub fn below_root(&self) -> Vec<PathBuf> {
        self.nodes.keys().skip(1).cloned().collect()
    }

    fn paths(&self, wanted: impl Fn(&Node) -> bool) -> Vec<PathBuf> {
        self.nodes.iter().filter(|(_, node)| wanted(node)).map(|(path, _)| path.clone()).collect()
    }

    /// Returns the number of files, each counted once, and of their bytes.
    pub fn totals(&self) -> (u64, u64) {
        let len = self.inodes.values().map(|inode| inode.bytes.len() as u64).sum();
        (self.inodes.len() as u64, len)
    }

    /// Forgets the files that no name is left of.
    pub fn drop_nameless(&mut self) {
        let nodes = &self.nodes;
        self.inodes.retain(|number, _| nodes.values().any(|node| *node == Node::File(*number)));
    }

    /// Returns what is to be seen of it.
    pub fn seen(&self) -> BTreeMap<PathBuf, Seen> {
        let mut first_names: BTreeMap<u64, PathBuf> = BTreeMap::new();
        let see = |(path, node): (&PathBuf, &Node)| {
            let seen = match node {
                Node::Dir { mode, mtime } => Seen::Dir { mode: *mode, mtime: *mtime },
                Node::Symlink { target, mtime } => {
                    Seen::Symlink { target: target.clone(), mtime: *mtime }
                }
                Node::File(number) => {
                    let Inode { bytes, mode, mtime } = self.inodes[number].clone();
                    let first_name = first_names.entry(*number).or_insert_with(|| path.clone());
                    Seen::File { mode, mtime, bytes, first_name: first_name.clone() }
                }
            };
            (path.clone(), seen)
        };
        self.nodes.iter().map(see).collect()
    }
}

/// Looks at a directory.
pub fn look_at(root: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut first_names: BTreeMap<u64, PathBuf> = BTreeMap::new();
    let mut all = BTreeMap::new();
    let mut entries: Vec<_> = WalkDir::new(root).into_iter().map(Result::unwrap).collect();
    entries.sort_by_key(|entry| entry.path().to_owned());
    for entry in entries {
        let metadata = entry.metadata().unwrap();
        let path = entry.path().strip_prefix(root).unwrap().to_owned();
        let (mode, mtime) = (metadata.mode() & 0o7777, (metadata.mtime(), metadata.mtime_nsec()));
        let seen = if metadata.is_dir() {
            Seen::Dir { mode, mtime }
        } else if metadata.is_symlink() {
            Seen::Symlink { target: fs::read_link(entry.path()).unwrap(), mtime }
        } else {
            let first_name = first_names.entry(metadata.ino()).or_insert_with(|| path.clone());
            let bytes = Arc::new(fs::read(entry.path()).unwrap());
            Seen::File { mode, mtime, bytes, first_name: first_name.clone() }
        };
        all.insert(path, seen);
    }
    all
}

/// Returns the paths at which two looks at a tree differ.
pub fn differences(
    expected: &BTreeMap<PathBuf, Seen>,
    found: &BTreeMap<PathBuf, Seen>,
) -> Vec<PathBuf> {
    let paths = expected.keys().chain(found.keys());
    let mut differing: Vec<PathBuf> =
        paths.filter(|path| expected.get(*path) != found.get(*path)).cloned().collect();
    differing.sort();
    differing.dedup();
    differing
}
