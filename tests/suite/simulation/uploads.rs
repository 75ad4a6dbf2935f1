//! The uploads on disk, changed step by step together with the tree that they are to be.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use super::tree::{Inode, Node, Time, Tree};

/// Uploads that several vaults archive.
pub struct Uploads {
    /// Where they are.
    pub root: PathBuf,
    /// What they are to be.
    pub tree: Tree,
    next_number: u64,
}

impl Uploads {
    /// Makes an empty directory.
    pub fn new(root: PathBuf, mtime: Time) -> Self {
        fs::create_dir(&root).unwrap();
        let mut uploads = Self { root, tree: Tree::default(), next_number: 0 };
        uploads.tree.nodes.insert(PathBuf::new(), Node::Dir { mode: 0o755, mtime });
        set_mode(&uploads.root, 0o755);
        uploads.stamp(Path::new(""), mtime);
        uploads
    }

    fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    /// Writes a file: a new one, or over the bytes of one that is there.
    pub fn write(&mut self, path: &Path, bytes: Vec<u8>, mode: u32, mtime: Time) {
        fs::write(self.at(path), &bytes).unwrap();
        set_mode(&self.at(path), mode);
        let inode = Inode { bytes: Arc::new(bytes), mode, mtime };
        match self.tree.nodes.get(path) {
            Some(Node::File(number)) => drop(self.tree.inodes.insert(*number, inode)),
            _ => self.insert(path, inode),
        }
        self.stamp(path, mtime);
        self.stamp_parent(path, mtime);
    }

    /// Puts a new file in the place of one.
    pub fn replace(&mut self, path: &Path, bytes: Vec<u8>, mode: u32, mtime: Time) {
        let staged = self.root.with_extension("staged");
        fs::write(&staged, &bytes).unwrap();
        set_mode(&staged, mode);
        fs::rename(&staged, self.at(path)).unwrap();
        self.insert(path, Inode { bytes: Arc::new(bytes), mode, mtime });
        self.tree.drop_nameless();
        self.stamp(path, mtime);
        self.stamp_parent(path, mtime);
    }

    fn insert(&mut self, path: &Path, inode: Inode) {
        self.tree.nodes.insert(path.to_owned(), Node::File(self.next_number));
        self.tree.inodes.insert(self.next_number, inode);
        self.next_number += 1;
    }

    /// Changes bytes in the middle of a file; its length stays, and so may its time.
    pub fn edit(&mut self, path: &Path, at: usize, bytes: &[u8], mtime: Option<Time>) {
        let mut file = fs::File::options().write(true).open(self.at(path)).unwrap();
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(bytes).unwrap();
        drop(file);
        let inode = self.inode(path);
        let mut whole = inode.bytes.to_vec();
        whole[at..at + bytes.len()].copy_from_slice(bytes);
        inode.bytes = Arc::new(whole);
        let mtime = mtime.unwrap_or(inode.mtime);
        self.stamp(path, mtime);
    }

    fn inode(&mut self, path: &Path) -> &mut Inode {
        let Some(Node::File(number)) = self.tree.nodes.get(path) else {
            panic!("{} is no file", path.display());
        };
        self.tree.inodes.get_mut(number).unwrap()
    }

    /// Removes a name, and all below it.
    pub fn remove(&mut self, path: &Path, mtime: Time) {
        let place = self.at(path);
        match self.tree.nodes[path] {
            Node::Dir { .. } => fs::remove_dir_all(place).unwrap(),
            _ => fs::remove_file(place).unwrap(),
        }
        self.tree.nodes.retain(|other, _| !other.starts_with(path));
        self.tree.drop_nameless();
        self.stamp_parent(path, mtime);
    }

    /// Gives a name, and all below it, another place.
    pub fn rename(&mut self, from: &Path, to: &Path, mtime: Time) {
        fs::rename(self.at(from), self.at(to)).unwrap();
        let nodes = std::mem::take(&mut self.tree.nodes).into_iter();
        let moved = |(path, node): (PathBuf, Node)| match path.strip_prefix(from) {
            Ok(rest) if rest.as_os_str().is_empty() => (to.to_owned(), node),
            Ok(rest) => (to.join(rest), node),
            Err(_) => (path, node),
        };
        self.tree.nodes = nodes.map(moved).collect();
        // Some file systems give a directory that moves a new time.
        if let Node::Dir { mtime, .. } = self.tree.nodes[to] {
            self.stamp(to, mtime);
        }
        self.stamp_parent(from, mtime);
        self.stamp_parent(to, mtime);
    }

    /// Gives a file a further name.
    pub fn hard_link(&mut self, existing: &Path, new: &Path, mtime: Time) {
        fs::hard_link(self.at(existing), self.at(new)).unwrap();
        let node = self.tree.nodes[existing].clone();
        self.tree.nodes.insert(new.to_owned(), node);
        self.stamp_parent(new, mtime);
    }

    /// Makes a symbolic link.
    pub fn symlink(&mut self, path: &Path, target: PathBuf, mtime: Time) {
        std::os::unix::fs::symlink(&target, self.at(path)).unwrap();
        self.tree.nodes.insert(path.to_owned(), Node::Symlink { target, mtime });
        self.stamp(path, mtime);
        self.stamp_parent(path, mtime);
    }

    /// Makes a directory.
    pub fn make_dir(&mut self, path: &Path, mode: u32, mtime: Time) {
        fs::create_dir(self.at(path)).unwrap();
        set_mode(&self.at(path), mode);
        self.tree.nodes.insert(path.to_owned(), Node::Dir { mode, mtime });
        self.stamp(path, mtime);
        self.stamp_parent(path, mtime);
    }

    /// Gives a name another time, and nothing else.
    pub fn stamp(&mut self, path: &Path, time: Time) {
        let spec = Timespec { tv_sec: time.0, tv_nsec: time.1 };
        let times = Timestamps { last_access: spec, last_modification: spec };
        utimensat(CWD, self.at(path), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        match self.tree.nodes.get_mut(path).unwrap() {
            Node::Dir { mtime, .. } | Node::Symlink { mtime, .. } => *mtime = time,
            Node::File(number) => self.tree.inodes.get_mut(number).unwrap().mtime = time,
        }
    }

    /// Gives a file other permissions.
    pub fn permit(&mut self, path: &Path, mode: u32) {
        set_mode(&self.at(path), mode);
        self.inode(path).mode = mode;
    }

    fn stamp_parent(&mut self, path: &Path, mtime: Time) {
        if let Some(parent) = path.parent() {
            self.stamp(parent, mtime);
        }
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
