//! What a dump holds to prove a key with: some values of `identity_vault`, and the fingerprint of
//! `API_KEY_SECRET`. Spec: `escrow.md`.

use std::io::{self, Write};

use crate::base::SnapshotId;
use crate::ops::{Error, read};
use crate::vault::Unlocked;

/// Values that are tried; a stack encrypts all of them with one key.
const VALUE_COUNT_MAX: usize = 16;
/// Bytes of a line that are looked at: more than a table's columns or a small value take.
const LINE_LEN_MAX: usize = 256 * 1024;

const FINGERPRINT_NAME: &[u8] = b"api_key_secret_fingerprint";
const FINGERPRINT_LEN: usize = 16;

/// What was found in a dump.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// Values of `identity_vault.encrypted_data`.
    pub vault_values: Vec<Vec<u8>>,
    /// What the database keeps of `API_KEY_SECRET`.
    pub fingerprint: Option<String>,
}

/// Reads the dump of a snapshot; one without a dump has nothing to prove a key with.
///
/// # Errors
/// If the snapshot cannot be read.
pub fn read(unlocked: &Unlocked, snapshot: SnapshotId) -> Result<Samples, Error> {
    let body = unlocked.body(&unlocked.auditor().snapshot(snapshot)?)?;
    let mut sampler = Sampler::default();
    if body.database.is_some() {
        read::cat_database(unlocked, snapshot, &mut sampler)?;
    }
    Ok(sampler.samples)
}

/// The rows that are being read, if they are of a table that matters.
#[derive(Clone, Copy)]
enum Rows {
    /// None that matter.
    Other,
    /// Of `identity_vault`, with the place of the column.
    Vault(usize),
    /// Of `_system_config`.
    Config,
}

/// Takes a dump and keeps what matters of it.
#[derive(Default)]
struct Sampler {
    line: Vec<u8>,
    rows: Option<Rows>,
    samples: Samples,
}

impl Write for Sampler {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_LEN_MAX.saturating_sub(self.line.len());
            let is_whole = part.ends_with(b"\n");
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if is_whole {
                let line = std::mem::take(&mut self.line);
                self.take_line(&line);
                // Its room is used again.
                self.line = line;
                self.line.clear();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sampler {
    fn take_line(&mut self, line: &[u8]) {
        match self.rows {
            None => self.rows = rows_after(line),
            Some(_) if line == b"\\." => self.rows = None,
            Some(Rows::Vault(column)) => {
                let value = line.split(|byte| *byte == b'\t').nth(column);
                if let Some(value) = value.filter(|value| *value != b"\\N")
                    && self.samples.vault_values.len() < VALUE_COUNT_MAX
                    && line.len() < LINE_LEN_MAX
                {
                    self.samples.vault_values.push(value.to_vec());
                }
            }
            Some(Rows::Config) => {
                let fields = || line.split(|byte| *byte == b'\t');
                if fields().any(|field| field == FINGERPRINT_NAME) {
                    let found = fields().find_map(fingerprint_in);
                    self.samples.fingerprint = self.samples.fingerprint.take().or(found);
                }
            }
            Some(Rows::Other) => {}
        }
    }
}

/// Returns the fingerprint that a field holds, with or without quotes around it.
fn fingerprint_in(field: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(field).ok()?.trim_matches('"');
    let is_hex = text.len() == FINGERPRINT_LEN && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_hex.then(|| text.to_ascii_lowercase())
}

/// Returns which rows follow a line, if rows do.
fn rows_after(line: &[u8]) -> Option<Rows> {
    let line = std::str::from_utf8(line).ok()?;
    let copy = line.strip_prefix("COPY ")?.strip_suffix(" FROM stdin;")?;
    let (table, columns) = copy.split_once(" (")?;
    let unquote = |name: &str| name.trim().trim_matches('"').to_owned();
    let table = unquote(table.rsplit('.').next().unwrap_or(table));
    let mut columns = columns.trim_end_matches(')').split(',').map(unquote);
    Some(match table.as_str() {
        "identity_vault" => match columns.position(|column| column == "encrypted_data") {
            Some(column) => Rows::Vault(column),
            None => Rows::Other,
        },
        "_system_config" => Rows::Config,
        _ => Rows::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_the_fingerprint_are_found_however_the_bytes_come() {
        let dump =
            b"COPY public.users (id) FROM stdin;\nCOPY public._system_config (a) FROM stdin;\n\
            \\.\nCOPY public.identity_vault (id, \"encrypted_data\", status) FROM stdin;\n\
            1\t00:11:22\tx\n2\t\\N\tx\n3\t33:44:55\tx\n\\.\n\
            COPY public._system_config (key, value) FROM stdin;\nversion\t0123456789abcdef\n\
            api_key_secret_fingerprint\t36380963016EBD0D\n\\.\n";
        for len in [1, 2, 3, 7, dump.len()] {
            let mut sampler = Sampler::default();
            dump.chunks(len).for_each(|part| sampler.write_all(part).unwrap());
            let found = sampler.samples;
            assert_eq!(found.vault_values, [b"00:11:22".to_vec(), b"33:44:55".to_vec()]);
            assert_eq!(found.fingerprint.as_deref(), Some("36380963016ebd0d"));
        }
    }

    #[test]
    fn a_long_line_takes_no_more_memory_than_it_may() {
        let mut sampler = Sampler::default();
        sampler.write_all(b"COPY public.identity_vault (encrypted_data) FROM stdin;\n").unwrap();
        for _ in 0..40 {
            sampler.write_all(&[b'a'; 64 * 1024]).unwrap();
        }
        sampler.write_all(b"\n1\n\\.\n").unwrap();
        assert!(sampler.line.capacity() <= 2 * LINE_LEN_MAX);
        assert_eq!(sampler.samples.vault_values, [b"1".to_vec()]);
    }
}
