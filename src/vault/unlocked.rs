//! An auditor with data identities: opens generations, bodies and packs. Spec: §5, §12.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use zeroize::Zeroizing;

use super::auditor::Auditor;
use super::ledger::SignerLog;
use super::pack_reader::{OpenPack, Source};
use super::writer::pack_key;
use super::{Error, ledger};
use crate::base::limits::{BODY_LEN_MAX, GENERATION_FILE_LEN_MAX};
use crate::base::{Code, Coded, Digest, Family, GenerationId, PackId, Profile};
use crate::crypto::digest::sha256;
use crate::crypto::identity::{DataIdentities, GenerationIdentity};
use crate::crypto::keys::DedupSecret;
use crate::crypto::seal;
use crate::format::body::Body;
use crate::format::event_fields::GenerationOpened;
use crate::format::frame::decode_document;
use crate::format::generation::GenerationFile;
use crate::format::pack::PackOwner;
use crate::format::snapshot_note::SnapshotNote;
use crate::format::{Folder, ObjectKey};
use crate::store::Store;

/// The opened secrets of one generation.
pub struct GenerationSecrets {
    /// Its identity, which opens packs.
    pub identity: GenerationIdentity,
    /// Its dedup secret, which checks chunk ids; none where only its identity was handed out.
    pub dedup_secret: Option<DedupSecret>,
}

/// A generation file that opened and is the one that was signed.
pub struct OpenedFile {
    /// Its very text.
    pub text: Zeroizing<Vec<u8>>,
    /// SHA-256 of the stored file.
    pub sha256: Digest,
    secrets: GenerationSecrets,
}

/// A vault as an operator sees it in one store.
pub struct Unlocked {
    auditor: Auditor,
    identities: Arc<DataIdentities>,
    opened: Mutex<BTreeMap<GenerationId, Arc<GenerationSecrets>>>,
    signed: BTreeMap<GenerationId, Vec<GenerationOpened>>,
    /// Packs that were the ones that their names say when something made of them was not.
    named_right: Mutex<BTreeSet<PackId>>,
}

impl Unlocked {
    /// Adds identities to an auditor. Nothing is opened yet.
    ///
    /// # Errors
    /// If the ledgers cannot be listed, or the store does not answer about them.
    pub fn new(
        auditor: Auditor,
        identities: impl Into<Arc<DataIdentities>>,
    ) -> Result<Self, Error> {
        let logs = ledger::read_answered(&auditor)?;
        Ok(Self::with_logs(auditor, identities, &logs))
    }

    /// Does what [`Self::new`] does, with logs that were read already.
    pub fn with_logs(
        auditor: Auditor,
        identities: impl Into<Arc<DataIdentities>>,
        logs: &[SignerLog],
    ) -> Self {
        let signed = ledger::generations_of(logs);
        let (opened, named_right) = (Mutex::new(BTreeMap::new()), Mutex::new(BTreeSet::new()));
        let identities = identities.into();
        Self { auditor, identities, opened, signed, named_right }
    }

    /// Returns the same vault, read through a store that stands before its own.
    #[must_use]
    pub fn through(self, store: Arc<dyn Store>) -> Self {
        Self { auditor: self.auditor.through(store), ..self }
    }

    /// Returns the auditor.
    pub const fn auditor(&self) -> &Auditor {
        &self.auditor
    }

    /// Opens a generation, once: any number of packs then need no operator's key any more.
    ///
    /// # Errors
    /// If none of its files opens with the identities.
    pub fn generation(&self, id: GenerationId) -> Result<Arc<GenerationSecrets>, Error> {
        let mut opened = self.opened.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(secrets) = opened.get(&id) {
            return Ok(Arc::clone(secrets));
        }
        let secrets = Arc::new(match self.handed_out(id) {
            Some(secrets) => secrets,
            None => self.open_file(id)?.secrets,
        });
        opened.insert(id, Arc::clone(&secrets));
        Ok(secrets)
    }

    /// Returns a generation's own identity, if it is one of those that were given.
    fn handed_out(&self, id: GenerationId) -> Option<GenerationSecrets> {
        let mut records = self.signed.get(&id)?.iter();
        let identity =
            records.find_map(|opened| self.identities.deriving(&opened.recipient_sha256))?;
        Some(GenerationSecrets { identity, dedup_secret: None })
    }

    /// Returns every file of a generation that is in the store, in order.
    ///
    /// # Errors
    /// If the store cannot be listed.
    pub fn revs(&self, id: GenerationId) -> Result<Vec<u32>, Error> {
        let keys = self.auditor.versions().list(Folder::Generations)?;
        let revs = keys.into_iter().filter_map(|key| match key {
            ObjectKey::Generation(generation, rev) if generation == id => Some(rev),
            _ => None,
        });
        let mut revs: Vec<u32> = revs.collect();
        revs.sort_unstable();
        Ok(revs)
    }

    /// Opens the first file of a generation that the identities open (V-54).
    ///
    /// # Errors
    /// If none of them opens, or what opens is not what was signed.
    pub fn open_file(&self, id: GenerationId) -> Result<OpenedFile, Error> {
        let revs = self.revs(id)?;
        let mut reason: Option<(u8, Error)> = None;
        for rev in &revs {
            match self.open_rev(id, *rev) {
                Ok(file) => return Ok(file),
                Err(error) => {
                    let weight = self.weight(id, *rev, &error);
                    if reason.as_ref().is_none_or(|(most, _)| weight >= *most) {
                        reason = Some((weight, error));
                    }
                }
            }
        }
        let last = reason.map(|(_, error)| Box::new(error));
        Err(Error::NoGenerationFile { generation: id, count: revs.len(), cause: last })
    }

    /// Returns how much an error explains: damage of a file that was signed explains most, and of
    /// one that anybody may have planted least. A plugin that failed might have opened its file, so
    /// that no other identity matches is then not the reason.
    fn weight(&self, id: GenerationId, rev: u32, error: &Error) -> u8 {
        match (error.code().family(), self.signed_rev(id, rev).is_empty()) {
            _ if error.code() == Code::PluginFailed => 3,
            (Family::Damaged, false) => 2,
            (Family::Damaged, true) => 0,
            _ => 1,
        }
    }

    /// Returns every generation that a ledger records, with its files, once for each record.
    pub const fn signed(&self) -> &BTreeMap<GenerationId, Vec<GenerationOpened>> {
        &self.signed
    }

    /// Returns each SHA-256 that a ledger recorded of a generation's file, and the recipient's.
    pub fn signed_rev(&self, id: GenerationId, rev: u32) -> Vec<(Digest, Digest)> {
        let opened = self.signed.get(&id).into_iter().flatten();
        let revs = opened.flat_map(|opened| {
            opened.revs.iter().map(|signed| (signed.rev, signed.sha256, opened.recipient_sha256))
        });
        revs.filter(|(signed, ..)| *signed == rev).map(|(_, file, to)| (file, to)).collect()
    }

    /// Opens one file of a generation.
    ///
    /// # Errors
    /// If it does not open, or what it holds is not what was signed (V-49).
    pub fn open_rev(&self, id: GenerationId, rev: u32) -> Result<OpenedFile, Error> {
        let key = ObjectKey::Generation(id, rev);
        self.auditor.versions().signed(key, |view| {
            self.open_sealed(id, rev, &view.get(&key, GENERATION_FILE_LEN_MAX)?)
        })
    }

    /// Opens what is stored as a file of a generation.
    fn open_sealed(&self, id: GenerationId, rev: u32, sealed: &[u8]) -> Result<OpenedFile, Error> {
        let key = ObjectKey::Generation(id, rev);
        let (found, signed) = (sha256(sealed), self.signed_rev(id, rev));
        if let Some((expected, _)) = signed.first()
            && signed.iter().all(|(file, _)| *file != found)
        {
            let (found, expected) = (found.to_string(), expected.to_string());
            return Err(Error::Altered { key, found, expected });
        }
        let plain = self.identities.open(&key.to_string(), sealed)?;
        let file = GenerationFile::parse(&plain).map_err(|e| Error::format(key, e))?;
        if (file.vault, file.generation) != (self.auditor.vault(), id) {
            let found = format!("vault {}, generation {}", file.vault, file.generation);
            let expected = format!("vault {}, generation {id}", self.auditor.vault());
            return Err(Error::Foreign { key, found, expected });
        }
        let foreign = || crate::crypto::Error::ForeignIdentity {
            object: key.to_string(),
            generation: id.to_string(),
        };
        let identity = GenerationIdentity::parse(&file.identity).map_err(|_| foreign())?;
        let recipients = self.signed.get(&id).into_iter().flatten().map(|o| o.recipient_sha256);
        let of_file = signed.iter().filter(|(file, _)| *file == found).map(|(_, to)| *to);
        let expected: Vec<Digest> =
            if signed.is_empty() { recipients.collect() } else { of_file.collect() };
        if !expected.is_empty() && !expected.contains(&identity.recipient().digest()) {
            return Err(foreign().into());
        }
        let dedup_secret = DedupSecret::from_hex(&file.dedup_secret).map_err(|_| foreign())?;
        let secrets = GenerationSecrets { identity, dedup_secret: Some(dedup_secret) };
        Ok(OpenedFile { text: plain, sha256: found, secrets })
    }

    /// Opens the body of a snapshot.
    ///
    /// # Errors
    /// If it is not the one that was signed, or does not open.
    pub fn body(&self, note: &SnapshotNote) -> Result<Body, Error> {
        let key = ObjectKey::Body(note.snapshot);
        let sealed = self.auditor.read_signed(key, &note.body)?;
        let secrets = self.generation(note.generation)?;
        let plain = seal::open(&key.to_string(), &sealed, &secrets.identity)?;
        let json = decode_document(&plain, BODY_LEN_MAX).map_err(|e| Error::format(key, e))?;
        Body::parse(&json, note.vault, note.generation, note.snapshot)
            .map_err(|e| Error::format(key, e))
    }

    /// Opens a pack.
    ///
    /// # Errors
    /// If it is missing, not authentic or of another owner.
    pub fn pack(
        &self,
        generation: GenerationId,
        profile: Profile,
        id: PackId,
    ) -> Result<OpenPack<'_>, Error> {
        let (view, len) = self.auditor.versions().of_pack(pack_key(profile, id), id)?;
        self.pack_in(Source::Shared(view), len, generation, profile, id)
    }

    /// Opens a pack of a stored length in one place, as [`Self::pack`] does.
    ///
    /// # Errors
    /// As [`Self::pack`].
    pub fn pack_in<'a>(
        &self,
        source: Source<'a>,
        len: u64,
        generation: GenerationId,
        profile: Profile,
        id: PackId,
    ) -> Result<OpenPack<'a>, Error> {
        let secrets = self.generation(generation)?;
        let owner = PackOwner { vault: self.auditor.vault(), generation, profile };
        OpenPack::open_in(source, pack_key(profile, id), len, &secrets.identity, owner)
    }

    /// Returns why what was read from packs does not have its digest: the first of them that is not
    /// the one that its name says, else `error`. Another pack of the same generation opens in the
    /// place of one, and only its SHA-256 tells it apart.
    pub fn blame(
        &self,
        error: Error,
        profile: Profile,
        packs: impl IntoIterator<Item = PackId>,
    ) -> Error {
        let mut right = self.named_right.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for id in packs {
            if right.contains(&id) {
                continue;
            }
            if let Err(altered) = self.auditor.check_name(pack_key(profile, id), id) {
                return altered;
            }
            right.insert(id);
        }
        error
    }
}
