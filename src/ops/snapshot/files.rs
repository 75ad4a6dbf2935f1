//! Reading one file, again if it changed meanwhile. Spec: §7.

use std::sync::Arc;

use super::lane::{Feed, LaneKeys, Step, StreamEnd, Tag};
use super::uploads::stamp_of;
use super::warnings::Warnings;
use crate::base::Digest;
use crate::base::limits::WINDOW_LEN;
use crate::format::Kind;
use crate::manifest::CachedKind;
use crate::ops::Error;
use crate::source::file::READ_ATTEMPT_COUNT_MAX;
use crate::source::{FileReader, Found, Problem, ReadOutcome, read_whole};

/// A small file, read whole, for any number of lanes.
pub struct ReadFile {
    data: Arc<Vec<u8>>,
    /// What ends its stream; nothing if it could not be read.
    pub end: Option<StreamEnd>,
}

impl ReadFile {
    /// Cuts and names the file's chunks for one lane.
    pub fn step(&self, keys: &LaneKeys, key: Vec<u8>) -> Step {
        match &self.end {
            Some(end) => {
                Step::Whole(Arc::clone(&self.data), keys.cut_whole(&self.data), end.clone())
            }
            None => Step::Remove(key),
        }
    }
}

/// Reads a small file; what cannot be read is warned of.
pub fn read_small(mut found: Found, warnings: &Warnings) -> ReadFile {
    let mut data = Vec::new();
    for attempt in 1..=READ_ATTEMPT_COUNT_MAX {
        let outcome = match read_whole(&found.path, &found.stat, &mut data) {
            Ok(outcome) => outcome,
            Err(error) => {
                warnings.warn_of(&error);
                return ReadFile { data: Arc::default(), end: None };
            }
        };
        let b3 = blake3::hash(&data);
        match settle(&mut found, outcome, attempt, data.len() as u64, b3) {
            Settled::Again => {}
            Settled::Ended(end) => return ReadFile { data: Arc::new(data), end: Some(end) },
            Settled::EndedWith(end, problem) => {
                warnings.warn_of_problem(&problem);
                return ReadFile { data: Arc::new(data), end: Some(end) };
            }
            Settled::Lost(problem) => {
                warnings.warn_of_problem(&problem);
                return ReadFile { data: Arc::default(), end: None };
            }
        }
    }
    unreachable!("the last attempt is never to be made again")
}

/// Reads a large file by windows into `feeds`; returns whether it could be read.
pub fn read_large(
    mut found: Found,
    key: Vec<u8>,
    feeds: &mut [&mut Feed],
    warnings: &Warnings,
) -> Result<bool, Error> {
    for attempt in 1..=READ_ATTEMPT_COUNT_MAX {
        let (outcome, len, b3) = match read_windows(&found, feeds)? {
            Ok(read) => read,
            Err(error) => {
                warnings.warn_of(&error);
                return give_up(feeds, key);
            }
        };
        let (end, problem) = match settle(&mut found, outcome, attempt, len, b3) {
            Settled::Again => {
                feeds.iter_mut().try_for_each(|feed| feed.abandon())?;
                continue;
            }
            Settled::Ended(end) => (Some(end), None),
            Settled::EndedWith(end, problem) => (Some(end), Some(problem)),
            Settled::Lost(problem) => (None, Some(problem)),
        };
        if let Some(problem) = problem {
            warnings.warn_of_problem(&problem);
        }
        let Some(end) = end else { return give_up(feeds, key) };
        feeds.iter_mut().try_for_each(|feed| feed.end(end.clone()))?;
        return Ok(true);
    }
    unreachable!("the last attempt is never to be made again")
}

fn give_up(feeds: &mut [&mut Feed], key: Vec<u8>) -> Result<bool, Error> {
    for feed in feeds {
        feed.abandon()?;
        feed.remove(key.clone())?;
    }
    Ok(false)
}

type Read = (ReadOutcome, u64, blake3::Hash);

fn read_windows(
    found: &Found,
    feeds: &mut [&mut Feed],
) -> Result<Result<Read, crate::source::file::ReadError>, Error> {
    let mut hasher = blake3::Hasher::new();
    let (mut window, mut len) = (Vec::with_capacity(WINDOW_LEN), 0u64);
    let mut reader = match FileReader::open(&found.path) {
        Ok(Some(reader)) => reader,
        Ok(None) => return Ok(Ok((ReadOutcome::Vanished, 0, hasher.finalize()))),
        Err(error) => return Ok(Err(error)),
    };
    loop {
        window.clear();
        match reader.read_window(&mut window, WINDOW_LEN) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return Ok(Err(error)),
        }
        hasher.update(&window);
        len += window.len() as u64;
        feeds.iter_mut().try_for_each(|feed| feed.window(&window))?;
    }
    Ok(reader.finish(&found.stat).map(|outcome| (outcome, len, hasher.finalize())))
}

enum Settled {
    /// It changed: read it once more.
    Again,
    /// It was read.
    Ended(StreamEnd),
    /// It was read, but for something that must be told.
    EndedWith(StreamEnd, Problem),
    /// It is gone.
    Lost(Problem),
}

fn settle(
    found: &mut Found,
    outcome: ReadOutcome,
    attempt: usize,
    len: u64,
    b3: blake3::Hash,
) -> Settled {
    let path = found.entry.path.clone();
    let stamp = match outcome {
        ReadOutcome::Vanished => return Settled::Lost(Problem::Vanished { path }),
        ReadOutcome::Stable(stat) => Some(stamp_of(&stat)),
        ReadOutcome::Changed(_) => {
            if let Err(problem) = found.look_again() {
                return Settled::Lost(problem);
            }
            if attempt < READ_ATTEMPT_COUNT_MAX {
                return Settled::Again;
            }
            None
        }
    };
    match end_of(found, stamp, len, b3) {
        // It changes faster than it can be read; the last reading counts.
        Ok((end, _)) if stamp.is_none() => Settled::EndedWith(end, Problem::Changed { path }),
        Ok((end, Some(problem))) => Settled::EndedWith(end, problem),
        Ok((end, None)) => Settled::Ended(end),
        Err(problem) => Settled::Lost(problem),
    }
}

fn end_of(
    found: &mut Found,
    stamp: Option<crate::manifest::FileStamp>,
    len: u64,
    b3: blake3::Hash,
) -> Result<(StreamEnd, Option<Problem>), Problem> {
    let problem = read_xattrs(found)?;
    if let Kind::File(content) = &mut found.entry.kind {
        content.size = len;
        content.b3 = b3;
    }
    let path = &found.entry.path;
    let head = found.entry.head().map_err(|cause| Problem::Unreadable {
        path: path.clone(),
        cause: std::io::Error::other(cause),
    })?;
    let key = crate::format::tree::sort_key(path);
    let tag = Tag::File { key, kind: CachedKind::File, stamp, head };
    Ok((StreamEnd { tag, len, b3: Digest::from_bytes(*b3.as_bytes()) }, problem))
}

/// Reads an entry's attributes; those that cannot be read cost themselves alone.
pub fn read_xattrs(found: &mut Found) -> Result<Option<Problem>, Problem> {
    match found.read_xattrs() {
        Ok(()) => Ok(None),
        Err(problem @ Problem::Unreadable { .. }) => Ok(Some(problem)),
        Err(problem) => Err(problem),
    }
}
