//! The uploads as an archive stream, into every vault that is due. Spec: `stack.md` §4.2.
//!
//! Everything passes by once, so every file is read, and one that did not change costs its reading
//! and nothing in the store.

use std::io::Read;
use std::sync::Arc;

use super::lane::{Feed, Step, StreamEnd, Tag};
use super::uploads::UploadsLane;
use crate::base::limits::WINDOW_LEN;
use crate::base::{Digest, Event, Observer};
use crate::format::tree::{Kind, TreeEntry, sort_key};
use crate::manifest::CachedKind;
use crate::ops::Error;
use crate::source::StreamSource;
use crate::source::tar_walk::{TarError, walk_tar};

/// Walks an archive into every lane; it counts only if its source ended well.
pub fn walk(
    source: &dyn StreamSource,
    mut lanes: Vec<UploadsLane>,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let mut stream = source.open()?;
    let walked = walk_tar(&mut stream, |entry, contents| {
        let key = sort_key(&entry.path);
        for lane in &mut lanes {
            lane.pass(&key)?;
        }
        let len = match entry.kind {
            Kind::File(ref content) => content.size,
            _ => 0,
        };
        take(entry, key, contents, &mut lanes)?;
        observer.observe(Event::Advanced { len });
        Ok::<(), Error>(())
    });
    match walked {
        Ok(()) => stream.finish()?,
        // What broke the stream off tells why better than where it broke.
        Err(Error::Tar(TarError::Unreadable(cause))) => {
            stream.finish()?;
            return Err(TarError::Unreadable(cause).into());
        }
        Err(error) => return Err(error),
    }
    lanes.into_iter().try_for_each(UploadsLane::finish)
}

fn take(
    mut entry: TreeEntry,
    key: Vec<u8>,
    contents: &mut dyn Read,
    lanes: &mut [UploadsLane],
) -> Result<(), Error> {
    let Kind::File(content) = &entry.kind else {
        let kind = if entry.kind == Kind::Dir { CachedKind::Dir } else { CachedKind::Other };
        let end = end_of(&mut entry, key, kind, blake3::Hash::from_bytes([0; 32]))?;
        let step = || Step::Whole(Arc::default(), Vec::new(), end.clone());
        return Ok(lanes.iter().try_for_each(|lane| lane.feed.push(step()))?);
    };
    let (size, mut hasher) = (content.size, blake3::Hasher::new());
    if size > WINDOW_LEN as u64 {
        let mut feeds: Vec<&mut Feed> = lanes.iter_mut().map(|lane| &mut lane.feed).collect();
        read_windows(contents, size, |window| {
            hasher.update(window);
            feeds.iter_mut().try_for_each(|feed| feed.window(window))?;
            Ok(())
        })?;
        let end = end_of(&mut entry, key, CachedKind::File, hasher.finalize())?;
        return Ok(feeds.iter_mut().try_for_each(|feed| feed.end(end.clone()))?);
    }
    let mut data = Vec::new();
    read_windows(contents, size, |window| {
        data.extend_from_slice(window);
        Ok(())
    })?;
    let end = end_of(&mut entry, key, CachedKind::File, blake3::hash(&data))?;
    let data = Arc::new(data);
    for lane in lanes {
        let (keys, data, end) = (lane.feed.keys(), Arc::clone(&data), end.clone());
        lane.feed.submit(move || {
            let chunks = keys.cut_whole(&data);
            Step::Whole(data, chunks, end)
        })?;
    }
    Ok(())
}

/// Reads the contents by windows; an archive that ends within them is no archive.
fn read_windows(
    contents: &mut dyn Read,
    size: u64,
    mut window_of: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let (mut window, mut len) = (Vec::new(), 0u64);
    loop {
        window.clear();
        let read = (&mut *contents).take(WINDOW_LEN as u64).read_to_end(&mut window);
        len += read.map_err(TarError::Unreadable)? as u64;
        if window.is_empty() {
            break;
        }
        window_of(&window)?;
    }
    match len == size {
        true => Ok(()),
        false => Err(TarError::Unreadable(std::io::ErrorKind::UnexpectedEof.into()).into()),
    }
}

/// Makes the end of an entry's stream; it has no stamp, since nothing here tells an unchanged file.
fn end_of(
    entry: &mut TreeEntry,
    key: Vec<u8>,
    kind: CachedKind,
    b3: blake3::Hash,
) -> Result<StreamEnd, Error> {
    let mut len = 0;
    if let Kind::File(content) = &mut entry.kind {
        (content.b3, len) = (b3, content.size);
    }
    let tag = Tag::File { key, kind, stamp: None, head: entry.head()? };
    Ok(StreamEnd { tag, len, b3: Digest::from_bytes(*b3.as_bytes()) })
}
