//! What a dump holds to prove a key with: some values of `identity_vault`, and the fingerprint of
//! `API_KEY_SECRET`. Spec: `escrow.md`.

use std::io::{self, Write};

use crate::base::SnapshotId;
use crate::ops::{Error, read};
use crate::source::{DumpScanner, Row, Watch};
use crate::vault::Unlocked;

/// Values that are tried; a stack encrypts all of them with one key.
const VALUE_COUNT_MAX: usize = 16;

const VALUES: Watch = Watch { table: "identity_vault", columns: &["encrypted_data"] };
const CONFIG: Watch = Watch { table: "_system_config", columns: &["key", "value"] };
const WATCHES: &[Watch] = &[VALUES, CONFIG];

/// The name under which the stack keeps the fingerprint.
const FINGERPRINT_NAME: &str = "api_key_secret_fingerprint";

/// What was found in a dump.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// Values of `identity_vault.encrypted_data`.
    pub vault_values: Vec<String>,
    /// What the database keeps of `API_KEY_SECRET`.
    pub fingerprint: Option<String>,
}

/// Reads the dump of a snapshot; one without a dump has nothing to prove a key with.
///
/// # Errors
/// If the snapshot cannot be read.
pub fn read(unlocked: &Unlocked, snapshot: SnapshotId) -> Result<Samples, Error> {
    let body = unlocked.body(&unlocked.auditor().snapshot(snapshot)?)?;
    let mut sampler = Sampler::new();
    if body.database.is_some() {
        read::cat_database(unlocked, snapshot, &mut sampler)?;
    }
    Ok(sampler.samples)
}

/// Takes a dump and keeps what matters of it.
struct Sampler {
    scanner: DumpScanner,
    samples: Samples,
}

impl Sampler {
    fn new() -> Self {
        Self { scanner: DumpScanner::watching(WATCHES), samples: Samples::default() }
    }
}

impl Write for Sampler {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { scanner, samples } = self;
        scanner.feed_rows(bytes, &mut |row| samples.take(&row));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Samples {
    fn take(&mut self, row: &Row<'_>) {
        let text = |index| row.field(index).text();
        if row.table() == VALUES.table {
            let has_room = self.vault_values.len() < VALUE_COUNT_MAX;
            self.vault_values.extend(text(0).filter(|_| has_room).map(str::to_owned));
        } else if text(0) == Some(FINGERPRINT_NAME) {
            // Whether the column is text or JSON, its quotes are none of the fingerprint's.
            self.fingerprint = text(1).map(|text| text.trim_matches('"').to_ascii_lowercase());
        }
    }
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
            let mut sampler = Sampler::new();
            dump.chunks(len).for_each(|part| sampler.write_all(part).unwrap());
            assert_eq!(sampler.samples.vault_values, ["00:11:22", "33:44:55"]);
            assert_eq!(sampler.samples.fingerprint.as_deref(), Some("36380963016ebd0d"));
        }
    }

    #[test]
    fn a_table_full_of_values_costs_no_memory() {
        let mut sampler = Sampler::new();
        sampler.write_all(b"COPY public.identity_vault (encrypted_data) FROM stdin;\n").unwrap();
        for row in 0..1000 {
            sampler.write_all(format!("{row}\n").as_bytes()).unwrap();
        }
        assert_eq!(sampler.samples.vault_values.len(), VALUE_COUNT_MAX);
    }
}
