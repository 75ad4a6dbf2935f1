//! What no line of a tree can tell alone: its order, and where names and links lead. Spec: §7.2.

use std::cmp::Ordering;
use std::collections::HashSet;

use crate::format::tree::compare_paths;
use crate::format::{Kind, TreeEntry};

/// Bytes of a path's digest that are kept: enough that no two paths of one tree share them.
const NAME_LEN: usize = 16;

/// The places of the lines of a tree, one after another.
#[derive(Default)]
pub struct Places {
    last: Option<Vec<u8>>,
    /// The directories above the last line, the outermost first.
    above: Vec<Vec<u8>>,
    /// What a hard link may lead to.
    first_names: HashSet<[u8; NAME_LEN]>,
}

impl Places {
    /// Takes the next line's entry; returns what is wrong with its place among the others.
    pub fn take(&mut self, entry: &TreeEntry) -> Option<&'static str> {
        let wrong = self.judge(entry);
        self.above.retain(|dir| is_below(&entry.path, dir));
        match entry.kind {
            Kind::Dir => self.above.push(entry.path.clone()),
            Kind::Hardlink { .. } => {}
            _ => drop(self.first_names.insert(name_of(&entry.path))),
        }
        self.last = Some(entry.path.clone());
        wrong
    }

    /// Tells whether there was no line, not even that of the root.
    pub const fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    fn judge(&self, entry: &TreeEntry) -> Option<&'static str> {
        let Some(last) = &self.last else {
            return (!entry.path.is_empty()).then_some("the tree does not begin with its root");
        };
        match compare_paths(last, &entry.path) {
            Ordering::Less => {}
            Ordering::Equal => return Some("its path is there twice"),
            Ordering::Greater => return Some("its line is not in the order of the tree"),
        }
        let parent = entry.path.iter().rposition(|byte| *byte == b'/');
        let parent = &entry.path[..parent.unwrap_or(0)];
        if !self.above.iter().any(|dir| dir == parent) {
            return Some("no directory that it could be in comes before it");
        }
        match &entry.kind {
            Kind::Hardlink { link } if !self.first_names.contains(&name_of(link)) => {
                Some("what it is a further name of is not in the tree")
            }
            _ => None,
        }
    }
}

fn is_below(path: &[u8], dir: &[u8]) -> bool {
    dir.is_empty() || path.strip_prefix(dir).is_some_and(|rest| rest.starts_with(b"/"))
}

fn name_of(path: &[u8]) -> [u8; NAME_LEN] {
    let digest = blake3::hash(path);
    let mut name = [0; NAME_LEN];
    name.copy_from_slice(&digest.as_bytes()[..NAME_LEN]);
    name
}
