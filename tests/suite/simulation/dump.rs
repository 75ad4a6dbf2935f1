//! A database whose dump is in memory, and may fail half-way.

use std::io::{Cursor, Read};
use std::sync::Arc;

use idswyft_vault::source::stream::{self, OpenStream, StreamSource};
use serde_json::{Value, json};

use crate::support::vault::dump_of;

/// How a dump ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Well.
    Whole,
    /// Half-way, and its command says so.
    Failed,
    /// Half-way, and its command claims that all is well.
    Cut,
}

/// The dump of rows.
pub struct MemoryDump {
    bytes: Arc<String>,
    ending: Ending,
}

impl MemoryDump {
    /// Makes the dump's source.
    pub const fn new(bytes: Arc<String>, ending: Ending) -> Self {
        Self { bytes, ending }
    }
}

impl StreamSource for MemoryDump {
    fn describe(&self) -> Value {
        json!({"kind": "simulated"})
    }

    fn open(&self) -> Result<Box<dyn OpenStream>, stream::Error> {
        let bytes = self.bytes.as_bytes();
        let len = if self.ending == Ending::Whole { bytes.len() } else { bytes.len() / 2 };
        Ok(Box::new(OpenDump(Cursor::new(bytes[..len].to_vec()), self.ending)))
    }
}

struct OpenDump(Cursor<Vec<u8>>, Ending);

impl Read for OpenDump {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl OpenStream for OpenDump {
    fn finish(self: Box<Self>) -> Result<(), stream::Error> {
        if self.1 != Ending::Failed {
            return Ok(());
        }
        let (program, stderr) = ("pg_dump".to_owned(), "the server went away".to_owned());
        Err(stream::Error::Failed { program, status: 1, stderr })
    }
}

/// Rows of one table.
#[derive(Default)]
pub struct Database {
    /// The rows, each without its line's end.
    pub rows: Vec<String>,
}

impl Database {
    /// Returns the dump.
    pub fn dump(&self) -> Arc<String> {
        Arc::new(dump_of(&self.rows))
    }
}
