//! What the host keeps: the files of one vault in the state directory. Spec: §11.
//!
//! ```text
//! <state_dir>/lock                    held by the one run that may write
//!             escrow.json             what was sealed to the escrow store last
//! <state_dir>/<vault>/vault.json      vault id and root verification key
//!                     vault.note      the vault note in force
//!                     writer.key      the writer's signing key
//!                     generation.json the open generation: recipient and dedup secret
//!                     manifest.sqlite, files.sqlite, spool/
//!                     coverage.sqlite what was verified when
//! ```
//!
//! No file here opens a pack. The dedup secret is erased when its generation closes.

mod lock;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
pub use lock::StateLock;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Error;
use super::directories::{make_dir, sync_dir};
use crate::base::{Gate, GenerationId, OpenGate, Step, VaultId};
use crate::crypto::keys::DedupSecret;
use crate::crypto::seal::SealingRecipient;
use crate::format::envelope;

/// The files that `init` writes before `vault.json`.
const UNFINISHED: [&str; 11] = [
    "vault.note",
    ".vault.note.new",
    "writer.key",
    ".writer.key.new",
    "generation.json",
    ".generation.json.new",
    "manifest.sqlite",
    "manifest.sqlite-journal",
    "manifest.sqlite-wal",
    "manifest.sqlite-shm",
    ".vault.json.new",
];

/// The directory of one vault's state.
#[derive(Debug, Clone)]
pub struct StateDir {
    path: PathBuf,
    name: String,
    gate: Arc<dyn Gate>,
}

/// `vault.json`: which vault this is and whose word counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The vault.
    pub vault: VaultId,
    /// The vault's name in the config.
    pub name: String,
    /// The root verification key.
    pub root_key: String,
}

/// Where a generation is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GenerationSlot {
    /// The open one.
    Open,
    /// One that is about to be opened.
    Next,
}

impl GenerationSlot {
    const fn file(self) -> &'static str {
        match self {
            Self::Open => "generation.json",
            Self::Next => "generation.next.json",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct GenerationFields {
    generation: GenerationId,
    #[serde(with = "envelope::time")]
    opened: Timestamp,
    recipient: String,
    dedup_secret: Zeroizing<String>,
}

/// The open generation, as far as the host may know it.
pub struct OpenGeneration {
    /// Its id.
    pub id: GenerationId,
    /// When it was opened.
    pub opened: Timestamp,
    /// Its recipient.
    pub recipient: SealingRecipient,
    /// Its dedup secret.
    pub dedup_secret: DedupSecret,
}

impl StateDir {
    /// Names the directory of a vault; nothing is read or made.
    pub fn new(state_dir: &Path, name: &str) -> Self {
        Self { path: state_dir.join(name), name: name.to_owned(), gate: OpenGate::shared() }
    }

    /// Names what the host keeps beside its vaults.
    pub(super) fn of_host(state_dir: &Path) -> Self {
        Self { path: state_dir.to_owned(), name: "host".to_owned(), gate: OpenGate::shared() }
    }

    /// Lets every change of the state pass a gate, the manifest's commits included.
    pub fn gated(self, gate: Arc<dyn Gate>) -> Self {
        Self { gate, ..self }
    }

    /// Returns the gate.
    pub const fn gate(&self) -> &Arc<dyn Gate> {
        &self.gate
    }

    /// Makes the directory, durably.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn make(&self) -> Result<(), Error> {
        let made = make_dir(&self.path, &self.gate).and_then(|()| {
            // One that was found may have been made by a run that was killed before it lasted.
            self.path.parent().map_or(Ok(()), |above| sync_dir(above, &self.gate))
        });
        made.map_err(|cause| Error::state("create", &self.path, cause))
    }

    /// Returns the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a file's path in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Tells whether the vault has state here.
    pub fn exists(&self) -> bool {
        self.file("vault.json").exists()
    }

    /// Removes what an `init` left that did not come to its end.
    ///
    /// # Errors
    /// If there is anything else in the directory: then it is not ours.
    pub fn clear_unfinished(&self) -> Result<(), Error> {
        let wrap = |cause| Error::state("read", &self.path, cause);
        for entry in fs::read_dir(&self.path).map_err(wrap)? {
            let name = entry.map_err(wrap)?.file_name();
            let ours = name.to_str().is_some_and(|name| UNFINISHED.contains(&name));
            let path = self.path.join(&name);
            if !ours {
                let reason = "it is none of this program's files".to_owned();
                return Err(Error::StateInvalid { path, reason });
            }
            fs::remove_file(&path).map_err(|cause| Error::state("remove", &path, cause))?;
        }
        Ok(())
    }

    /// Returns the directory for what a store has not taken yet, made if need be.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn spool(&self) -> Result<PathBuf, Error> {
        let path = self.file("spool");
        let made = make_dir(&path, &self.gate);
        made.map_err(|cause| Error::state("create", &path, cause))?;
        Ok(path)
    }

    /// Makes a finished file of the spool durable: the journal is about to rely on it.
    ///
    /// # Errors
    /// If it cannot be synced.
    pub fn sync_spooled(&self, path: &Path) -> Result<(), Error> {
        let sync_file = || File::open(path)?.sync_all();
        let synced = self.gate.pass(Step::SyncFile(path), sync_file).and_then(|()| {
            sync_dir(&self.file("spool"), &self.gate)?;
            // A spool that was found may have been made by a run that was killed before it lasted.
            sync_dir(&self.path, &self.gate)
        });
        synced.map_err(|cause| Error::state("sync", path, cause))
    }

    /// Reads which vault this is.
    ///
    /// # Errors
    /// If there is no state, or it does not parse.
    pub fn anchor(&self) -> Result<Anchor, Error> {
        if !self.exists() {
            return Err(Error::Missing { name: self.name.clone(), path: self.path.clone() });
        }
        self.read_json("vault.json")
    }

    /// Writes which vault this is: the last file that `init` writes, for it makes the state valid.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn set_anchor(&self, anchor: &Anchor) -> Result<(), Error> {
        self.write_json("vault.json", anchor)
    }

    /// Reads the writer's signing key, in its text form.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn writer_key(&self) -> Result<Zeroizing<String>, Error> {
        let path = self.file("writer.key");
        let text = fs::read_to_string(&path).map_err(|cause| Error::state("read", &path, cause))?;
        Ok(Zeroizing::new(text))
    }

    /// Writes the writer's signing key.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn set_writer_key(&self, text: &str) -> Result<(), Error> {
        self.write("writer.key", text.as_bytes())
    }

    /// Reads the vault note in force, as it is stored.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn vault_note(&self) -> Result<Vec<u8>, Error> {
        let path = self.file("vault.note");
        fs::read(&path).map_err(|cause| Error::state("read", &path, cause))
    }

    /// Writes the vault note in force.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn set_vault_note(&self, note: &[u8]) -> Result<(), Error> {
        self.write("vault.note", note)
    }

    /// Tells whether a generation is kept in a slot; one that a crash left half erased is not.
    ///
    /// # Errors
    /// If that cannot be told.
    pub fn has_generation(&self, slot: GenerationSlot) -> Result<bool, Error> {
        let path = self.file(slot.file());
        let wrap = |cause| Error::state("read", &path, cause);
        let mut first = [0];
        match File::open(&path) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            opened => opened.and_then(|mut file| file.read(&mut first)).map_err(wrap)?,
        };
        Ok(first != [0])
    }

    /// Reads the generation in a slot.
    ///
    /// # Errors
    /// If it cannot be read or does not parse.
    pub fn generation(&self, slot: GenerationSlot) -> Result<OpenGeneration, Error> {
        let fields: GenerationFields = self.read_json(slot.file())?;
        let invalid = |reason: &str| Error::StateInvalid {
            path: self.file(slot.file()),
            reason: reason.to_owned(),
        };
        Ok(OpenGeneration {
            id: fields.generation,
            opened: fields.opened,
            recipient: SealingRecipient::parse(&fields.recipient)
                .map_err(|_| invalid("the recipient does not parse"))?,
            dedup_secret: DedupSecret::from_hex(&fields.dedup_secret)
                .map_err(|_| invalid("the dedup secret does not parse"))?,
        })
    }

    /// Writes the generation of a slot.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn set_generation(
        &self,
        slot: GenerationSlot,
        generation: &OpenGeneration,
    ) -> Result<(), Error> {
        let fields = GenerationFields {
            generation: generation.id,
            opened: generation.opened,
            recipient: generation.recipient.to_string(),
            dedup_secret: generation.dedup_secret.to_hex(),
        };
        self.write_json(slot.file(), &fields)
    }

    /// Overwrites the generation of a slot with zeros and removes it. A journaling or flash file
    /// system may still hold the old bytes; SECURITY.md says so.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn erase_generation(&self, slot: GenerationSlot) -> Result<(), Error> {
        let path = self.file(slot.file());
        let wrap = |cause| Error::state("erase", &path, cause);
        let mut file = match File::options().write(true).open(&path) {
            Ok(file) => file,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(cause) => return Err(wrap(cause)),
        };
        let len = file.metadata().map_err(wrap)?.len();
        std::io::copy(&mut std::io::Read::take(std::io::repeat(0), len), &mut file)
            .map_err(wrap)?;
        self.gate.pass(Step::SyncFile(&path), || file.sync_all()).map_err(wrap)?;
        self.gate.pass(Step::Remove(&path), || fs::remove_file(&path)).map_err(wrap)
    }

    /// Reads a file that is one line of JSON.
    ///
    /// # Errors
    /// If it cannot be read or does not parse.
    pub fn read_json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        let path = self.file(name);
        let bytes = fs::read(&path).map_err(|cause| Error::state("read", &path, cause))?;
        let bytes = Zeroizing::new(bytes);
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        envelope::parse("state file", line)
            .map_err(|_| Error::StateInvalid { path, reason: "it does not parse".to_owned() })
    }

    /// Writes a file that is one line of JSON, whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Error> {
        let text = envelope::compose("state file", value)
            .map_err(|e| Error::StateInvalid { path: self.file(name), reason: e.to_string() })?;
        let text = Zeroizing::new(text + "\n");
        self.write(name, text.as_bytes())
    }

    /// Writes a file whole or not at all.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.file(name);
        let staged = self.file(&format!(".{name}.new"));
        let wrap = |cause| Error::state("write", &path, cause);
        let write = || {
            let mut options = File::options();
            options.write(true).create(true).truncate(true).mode(0o600);
            let create = || options.open(&staged);
            let mut file = self.gate.pass(Step::CreateFile(&staged), create)?;
            file.write_all(bytes)?;
            self.gate.pass(Step::SyncFile(&staged), || file.sync_all())?;
            self.gate.pass(Step::Rename(&path), || fs::rename(&staged, &path))?;
            sync_dir(&self.path, &self.gate)
        };
        write().map_err(wrap)
    }
}

#[cfg(test)]
mod tests;
