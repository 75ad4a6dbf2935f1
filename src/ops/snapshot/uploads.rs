//! Walking the uploads once for every vault that is due. Spec: §6, §7.
//!
//! The walk and each vault's cache are in the same order, so one pass over both tells what is
//! new, changed, unchanged or gone. An unchanged file costs its `lstat`, and nothing is read.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::files::{ReadFile, read_large, read_small, read_xattrs};
use super::lane::{Feed, Step, StreamEnd, Tag, UsablePacks};
use super::packing::Sink;
use super::warnings::Warnings;
use crate::base::limits::WINDOW_LEN;
use crate::base::{Event, Observer};
use crate::format::recipe::Recipe;
use crate::format::{Kind, Time, tree};
use crate::manifest::{CachedFile, CachedKind, FileCache, FilePages, FileStamp};
use crate::ops::Error;
use crate::source::{FileStat, Found, Problem, Walk};

/// Where the uploads are.
#[derive(Debug, Clone)]
pub struct UploadsPath {
    /// The root of the tree.
    pub root: PathBuf,
    /// What below it is not to be read, such as stores and state.
    pub exclusions: Vec<PathBuf>,
}

/// Writes the streams of the uploads to the file cache.
pub struct CacheSink(pub FileCache);

impl Sink for CacheSink {
    fn stream(&mut self, end: StreamEnd, recipe: Recipe) -> Result<(), Error> {
        let Tag::File { key, kind, stamp, head } = end.tag else { return Err(Error::Closed) };
        let pieces = recipe.pieces().to_vec();
        self.0.put(&CachedFile { key, kind, stamp, head, pieces })?;
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), Error> {
        Ok(self.0.remove(key)?)
    }
}

/// One vault's view of the walk.
pub struct UploadsLane {
    /// Where what must be read goes.
    pub feed: Feed,
    /// The newest tree.
    pub pages: FilePages,
    /// Which packs may be leaned on.
    pub usable: Arc<UsablePacks>,
}

impl UploadsLane {
    /// Moves to `key`; what was cached before it and not walked is gone. Returns whether what was
    /// found there is cached and needs no reading.
    fn advance(&mut self, key: &[u8], found: &Found) -> Result<bool, Error> {
        let (kind, stamp) = (cached_kind(found), stamp_of(&found.stat));
        Ok(self.pass(key)?.is_some_and(|cached| {
            kind == Some(cached.kind)
                && cached.stamp == Some(stamp)
                && cached.pieces.iter().all(|piece| self.usable.contains(piece.pack))
        }))
    }

    /// Moves to `key` and returns what is cached of it; what was cached before it is gone.
    pub fn pass(&mut self, key: &[u8]) -> Result<Option<CachedFile>, Error> {
        while self.pages.peek()?.is_some_and(|cached| cached.key.as_slice() <= key) {
            let Some(cached) = self.pages.advance()? else { break };
            if cached.key == key {
                return Ok(Some(cached));
            }
            self.feed.remove(cached.key)?;
        }
        Ok(None)
    }

    /// Ends the view: what is cached beyond the last entry is gone.
    pub fn finish(mut self) -> Result<(), Error> {
        while let Some(cached) = self.pages.advance()? {
            self.feed.remove(cached.key)?;
        }
        Ok(())
    }
}

/// Returns as what an entry is cached, if its stat tells whether it changed.
///
/// Which of several names is the first one does not show in any of their stats: it changes when a
/// directory above one is renamed, or is no longer read. A further name is described each time.
fn cached_kind(found: &Found) -> Option<CachedKind> {
    match found.entry.kind {
        Kind::File(_) => Some(CachedKind::File),
        Kind::Dir => Some(CachedKind::Dir),
        _ if found.stat.link_count > 1 => None,
        _ => Some(CachedKind::Other),
    }
}

/// Walks the tree into every lane.
pub fn walk(
    uploads: &UploadsPath,
    mut lanes: Vec<UploadsLane>,
    warnings: &Warnings,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let mut lost_first_names = BTreeSet::new();
    for found in Walk::new(&uploads.root, uploads.exclusions.clone())? {
        let mut found = match found {
            Ok(found) => found,
            Err(problem) => {
                warnings.warn_of_problem(&problem);
                continue;
            }
        };
        if let Kind::Hardlink { link } = &found.entry.kind
            && lost_first_names.contains(link)
            && let Err(problem) = found.promote()
        {
            warnings.warn_of_problem(&problem);
            continue;
        }
        let key = tree::sort_key(&found.entry.path);
        let mut needed = Vec::new();
        for (index, lane) in lanes.iter_mut().enumerate() {
            if !lane.advance(&key, &found)? {
                needed.push(index);
            }
        }
        observer.observe(Event::Advanced { len: found.stat.size });
        if !needed.is_empty() {
            let path = found.entry.path.clone();
            if take(found, key, &mut lanes, &needed, warnings)? == Taken::Lost {
                lost_first_names.insert(path);
            }
        }
    }
    lanes.into_iter().try_for_each(UploadsLane::finish)
}

#[derive(PartialEq, Eq)]
enum Taken {
    /// It is in the lanes, or will tell itself why not.
    Fed,
    /// It could not be read; further names of it must be read in its place.
    Lost,
}

fn take(
    mut found: Found,
    key: Vec<u8>,
    lanes: &mut [UploadsLane],
    needed: &[usize],
    warnings: &Warnings,
) -> Result<Taken, Error> {
    if !matches!(found.entry.kind, Kind::File(_)) {
        let other = describe(&mut found, key.clone(), warnings);
        return feed_other(other, &key, lanes, needed, warnings);
    }
    if found.stat.size > WINDOW_LEN as u64 {
        let mut feeds: Vec<&mut Feed> = Vec::new();
        for (index, lane) in lanes.iter_mut().enumerate() {
            if needed.contains(&index) {
                feeds.push(&mut lane.feed);
            }
        }
        let fed = read_large(found, key, &mut feeds, warnings)?;
        return Ok(if fed { Taken::Fed } else { Taken::Lost });
    }
    if found.stat.link_count > 1 {
        // Whether further names of it are links is decided by how reading it goes.
        let file = Arc::new(read_small(found, warnings));
        let taken = if file.end.is_some() { Taken::Fed } else { Taken::Lost };
        for &index in needed {
            let (keys, file, key) = (lanes[index].feed.keys(), Arc::clone(&file), key.clone());
            lanes[index].feed.submit(move || file.step(&keys, key))?;
        }
        return Ok(taken);
    }
    let shared = Arc::new((OnceLock::new(), std::sync::Mutex::new(Some(found))));
    for &index in needed {
        let (keys, key) = (lanes[index].feed.keys(), key.clone());
        let (shared, warnings) = (Arc::clone(&shared), warnings.clone());
        lanes[index].feed.submit(move || {
            let file: &ReadFile = shared.0.get_or_init(|| {
                let mut slot = shared.1.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                let found = slot.take().expect("the cell is initialised once");
                read_small(found, &warnings)
            });
            file.step(&keys, key)
        })?;
    }
    Ok(Taken::Fed)
}

/// Makes the cached entry of what has no contents.
fn describe(found: &mut Found, key: Vec<u8>, warnings: &Warnings) -> Result<StreamEnd, Problem> {
    if let Some(problem) = read_xattrs(found)? {
        warnings.warn_of_problem(&problem);
    }
    let unreadable = |cause: tree::TreeError| Problem::Unreadable {
        path: found.entry.path.clone(),
        cause: std::io::Error::other(cause),
    };
    let head = found.entry.head().map_err(unreadable)?;
    let kind = match found.entry.kind {
        Kind::Dir => CachedKind::Dir,
        _ => CachedKind::Other,
    };
    let tag = Tag::File { key, kind, stamp: Some(stamp_of(&found.stat)), head };
    Ok(StreamEnd { tag, len: 0, b3: crate::base::Digest::from_bytes([0; 32]) })
}

fn feed_other(
    other: Result<StreamEnd, Problem>,
    key: &[u8],
    lanes: &mut [UploadsLane],
    needed: &[usize],
    warnings: &Warnings,
) -> Result<Taken, Error> {
    let end = match other {
        Ok(end) => end,
        Err(problem) => {
            warnings.warn_of_problem(&problem);
            for &index in needed {
                lanes[index].feed.remove(key.to_vec())?;
            }
            return Ok(Taken::Lost);
        }
    };
    let step = || Step::Whole(Arc::default(), Vec::new(), end.clone());
    needed.iter().try_for_each(|&index| lanes[index].feed.push(step()))?;
    Ok(Taken::Fed)
}

/// Returns what the cache compares.
pub fn stamp_of(stat: &FileStat) -> FileStamp {
    let time = |time: Time| (time.sec, time.nsec);
    FileStamp {
        size: stat.size,
        mtime: time(stat.mtime),
        ctime: time(stat.ctime),
        inode: stat.inode,
    }
}
