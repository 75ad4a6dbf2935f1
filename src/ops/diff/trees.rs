//! Two trees, merged as they are read.

use std::cmp::Ordering;

use crossbeam_channel::Receiver;

use super::FilesDiff;
use crate::base::Profile;
use crate::format::body::Body;
use crate::format::tree::compare_paths;
use crate::format::{Kind, TreeEntry};
use crate::ops::{Error, read};
use crate::vault::Unlocked;
use crate::vault::stream::PieceReader;

/// Entries of a tree that wait to be merged.
const WAITING_MAX: usize = 256;

/// How an entry differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// Only the second has it.
    Added,
    /// Only the first has it.
    Removed,
    /// Its contents differ, or what kind of entry it is.
    Changed,
    /// Only its owner, mode, time or attributes differ.
    Touched,
}

/// An entry that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// Its path below the uploads.
    pub path: Vec<u8>,
    /// Bytes of its file, in the second where that has it.
    pub len: u64,
}

/// Merges the trees of two bodies.
pub(super) fn compare(
    unlocked: &Unlocked,
    first: &Body,
    second: &Body,
    take: &mut dyn FnMut(&Change) -> Result<(), Error>,
) -> Result<FilesDiff, Error> {
    std::thread::scope(|scope| {
        let begin = |body| {
            let (send, receive) = crossbeam_channel::bounded(WAITING_MAX);
            let reader = scope.spawn(move || {
                visit(unlocked, body, |entry| {
                    // Whoever merged has failed, and says why.
                    let _ = send.send(entry);
                })
            });
            (receive, reader)
        };
        let ((one, first), (other, second)) = (begin(first), begin(second));
        let merged = merge(&one, &other, take);
        // A reader that waits to be heard ends with its listener.
        drop((one, other));
        let join = |reader: std::thread::ScopedJoinHandle<'_, Result<(), Error>>| {
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let (first, second) = (join(first), join(second));
        let merged = merged?;
        first.and(second).map(|()| merged)
    })
}

fn visit(unlocked: &Unlocked, body: &Body, mut take: impl FnMut(TreeEntry)) -> Result<(), Error> {
    if body.uploads.is_none() {
        return Ok(());
    }
    let reader = PieceReader::new(unlocked, body.generation, Profile::Meta, &body.packs);
    read::visit_tree_in(reader, body, |entry| {
        take(entry);
        Ok(())
    })
}

fn merge(
    first: &Receiver<TreeEntry>,
    second: &Receiver<TreeEntry>,
    take: &mut dyn FnMut(&Change) -> Result<(), Error>,
) -> Result<FilesDiff, Error> {
    let mut diff = FilesDiff::default();
    let (mut one, mut other) = (first.recv().ok(), second.recv().ok());
    loop {
        let order = match (&one, &other) {
            (None, None) => return Ok(diff),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => compare_paths(&one.path, &other.path),
        };
        let before =
            if order.is_le() { std::mem::replace(&mut one, first.recv().ok()) } else { None };
        let after =
            if order.is_ge() { std::mem::replace(&mut other, second.recv().ok()) } else { None };
        let (kind, entry) = match (before, after) {
            (Some(before), Some(after)) => (kind_of(&before, &after), after),
            (Some(entry), None) => (Some(ChangeKind::Removed), entry),
            (None, Some(entry)) => (Some(ChangeKind::Added), entry),
            (None, None) => continue,
        };
        let len = len_of(&entry);
        let amount = match kind {
            Some(ChangeKind::Added) => &mut diff.added,
            Some(ChangeKind::Removed) => &mut diff.removed,
            Some(ChangeKind::Changed) => &mut diff.changed,
            Some(ChangeKind::Touched) => &mut diff.touched,
            None => &mut diff.alike,
        };
        amount.add(len);
        if let Some(kind) = kind {
            take(&Change { kind, path: entry.path, len })?;
        }
    }
}

fn len_of(entry: &TreeEntry) -> u64 {
    match &entry.kind {
        Kind::File(content) => content.size,
        _ => 0,
    }
}

/// Returns how an entry differs that both trees have; nothing, if it does not. Where its bytes are
/// stored is no difference.
fn kind_of(before: &TreeEntry, after: &TreeEntry) -> Option<ChangeKind> {
    let is_same = match (&before.kind, &after.kind) {
        (Kind::File(one), Kind::File(other)) => (one.size, one.b3) == (other.size, other.b3),
        (one, other) => one == other,
    };
    let meta = |entry: &TreeEntry| (entry.mode, entry.uid, entry.gid, entry.mtime);
    if !is_same {
        Some(ChangeKind::Changed)
    } else if meta(before) != meta(after) || before.xattrs != after.xattrs {
        Some(ChangeKind::Touched)
    } else {
        None
    }
}
