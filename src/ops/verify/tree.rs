//! What no line of a tree can tell alone: its order, and where names and links lead. Spec: §7.2.

use std::cmp::Ordering;
use std::collections::HashSet;

use crate::format::tree::compare_paths;
use crate::format::{Kind, TreeEntry};
use crate::manifest::{self, NAME_LEN, Names};

/// Names of a tree that are in memory at once; what is beyond is on disk.
const NAMES_AT_ONCE: usize = 256 * 1024;

/// The places of the lines of a tree, one after another.
#[derive(Default)]
pub struct Places {
    last: Option<Vec<u8>>,
    /// The directories above the last line, the outermost first.
    above: Vec<Vec<u8>>,
    /// What a hard link may lead to.
    first_names: FirstNames,
}

impl Places {
    /// Takes the next line's entry; returns what is wrong with its place among the others.
    ///
    /// # Errors
    /// If there is no room on disk for the names of a long tree.
    pub fn take(&mut self, entry: &TreeEntry) -> Result<Option<&'static str>, manifest::Error> {
        let wrong = self.judge(entry)?;
        self.above.retain(|dir| is_below(&entry.path, dir));
        match entry.kind {
            Kind::Dir => self.above.push(entry.path.clone()),
            Kind::Hardlink { .. } => {}
            _ => self.first_names.add(name_of(&entry.path))?,
        }
        self.last = Some(entry.path.clone());
        Ok(wrong)
    }

    /// Tells whether there was no line, not even that of the root.
    pub const fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    fn judge(&self, entry: &TreeEntry) -> Result<Option<&'static str>, manifest::Error> {
        let Some(last) = &self.last else {
            let is_root = entry.path.is_empty();
            return Ok((!is_root).then_some("the tree does not begin with its root"));
        };
        match compare_paths(last, &entry.path) {
            Ordering::Less => {}
            Ordering::Equal => return Ok(Some("its path is there twice")),
            Ordering::Greater => return Ok(Some("its line is not in the order of the tree")),
        }
        let parent = entry.path.iter().rposition(|byte| *byte == b'/');
        let parent = &entry.path[..parent.unwrap_or(0)];
        if !self.above.iter().any(|dir| dir == parent) {
            return Ok(Some("no directory that it could be in comes before it"));
        }
        Ok(match &entry.kind {
            Kind::Hardlink { link } if !self.first_names.contains(&name_of(link))? => {
                Some("what it is a further name of is not in the tree")
            }
            _ => None,
        })
    }
}

/// What a hard link may lead to: every name of a tree that is no directory and no hard link.
struct FirstNames {
    at_once: usize,
    new: HashSet<[u8; NAME_LEN]>,
    old: Option<Names>,
}

impl Default for FirstNames {
    fn default() -> Self {
        Self { at_once: NAMES_AT_ONCE, new: HashSet::new(), old: None }
    }
}

impl FirstNames {
    fn add(&mut self, name: [u8; NAME_LEN]) -> Result<(), manifest::Error> {
        self.new.insert(name);
        if self.new.len() < self.at_once {
            return Ok(());
        }
        let mut names: Vec<_> = self.new.drain().collect();
        names.sort_unstable();
        let old = match self.old.take() {
            Some(old) => old,
            None => Names::new()?,
        };
        old.add(&names)?;
        self.old = Some(old);
        Ok(())
    }

    fn contains(&self, name: &[u8; NAME_LEN]) -> Result<bool, manifest::Error> {
        match &self.old {
            _ if self.new.contains(name) => Ok(true),
            Some(old) => old.contains(name),
            None => Ok(false),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_further_name_is_judged_by_every_name_before_it_and_few_of_them_are_in_memory() {
        let mut names = FirstNames { at_once: 3, ..FirstNames::default() };
        let name = |number: u32| name_of(&number.to_be_bytes());
        for number in 0..10 {
            names.add(name(number)).unwrap();
            names.add(name(number)).unwrap();
            assert!(names.new.len() < 3);
            assert!((0..=number).all(|one| names.contains(&name(one)).unwrap()), "{number}");
            assert!(!names.contains(&name(number + 1)).unwrap());
        }
    }
}
