//! Reading the database stream once for every vault that is due.

use std::io::Read;

use super::lane::{Feed, StreamEnd, Tag};
use super::packing::Sink;
use super::rows::Rows;
use crate::base::limits::WINDOW_LEN;
use crate::base::{Digest, Event, Observer};
use crate::format::recipe::Recipe;
use crate::ops::Error;
use crate::source::{DumpFacts, DumpScanner, StreamSource};

/// Keeps the only stream of a lane.
#[derive(Default)]
pub struct OnlyStream {
    kept: Option<(StreamEnd, Recipe)>,
}

impl OnlyStream {
    /// Starts with nothing.
    pub const fn new() -> Self {
        Self { kept: None }
    }

    /// Returns the stream.
    ///
    /// # Errors
    /// If the lane ended without one.
    pub fn take(self) -> Result<(StreamEnd, Recipe), Error> {
        self.kept.ok_or(Error::Closed)
    }
}

impl Sink for OnlyStream {
    fn stream(&mut self, end: StreamEnd, recipe: Recipe) -> Result<(), Error> {
        self.kept = Some((end, recipe));
        Ok(())
    }

    fn remove(&mut self, _key: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}

/// Reads the dump into every feed, hands its rows on, and checks that it is whole.
///
/// A feed learns of the stream's end only after the source ended well and the dump was found whole:
/// a failed dump is never a stream, and so never a snapshot.
pub fn read(
    source: &dyn StreamSource,
    feeds: &mut [Feed],
    rows: &mut Rows,
    observer: &dyn Observer,
) -> Result<DumpFacts, Error> {
    let mut stream = source.open()?;
    let mut scanner = DumpScanner::watching(rows.watches());
    let mut hasher = blake3::Hasher::new();
    let (mut window, mut total) = (Vec::with_capacity(WINDOW_LEN), 0u64);
    loop {
        window.clear();
        let len =
            (&mut stream).take(WINDOW_LEN as u64).read_to_end(&mut window).map_err(Error::Read)?;
        if len == 0 {
            break;
        }
        scanner.feed_rows(&window, &mut |row| rows.take(row));
        hasher.update(&window);
        total += len as u64;
        for feed in feeds.iter_mut() {
            feed.window(&window)?;
        }
        observer.observe(Event::Advanced { len: len as u64 });
    }
    stream.finish()?;
    let facts = scanner.finish()?;
    let b3 = Digest::from_bytes(*hasher.finalize().as_bytes());
    for feed in feeds {
        feed.end(StreamEnd { tag: Tag::Only, len: total, b3 })?;
    }
    Ok(facts)
}
