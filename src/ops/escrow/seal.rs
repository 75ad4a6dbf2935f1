//! Sealing what the stack needs besides its data, whenever it changed. Spec: `escrow.md`.
//!
//! The order makes a crash cheap: objects go to the store first and are remembered afterwards, so
//! at worst they are sealed once more.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Error;
use super::keys::{self, FoundKey};
use super::place::{self, Forbidden, SameMount};
use crate::base::{Code, Coded, Digest, EscrowId, Event, Observer, Secret, entropy, with_causes};
use crate::crypto::digest::sha256;
use crate::crypto::identity::AskPassphrase;
use crate::crypto::recipient::DataRecipients;
use crate::format::ObjectKey;
use crate::format::escrow::bundle::{
    self, BundleFile, FileState, Index, IndexCuts, IndexFile, IndexKey, IndexPiece,
};
use crate::format::escrow::{EscrowKind, EscrowObject, KeyLabel, KeySource};
use crate::format::event_fields::SecretSealed;
use crate::source::install::{self, ENV_FILE, FileBytes, Found, InstallFile};
use crate::store::{Content, Store};
use crate::vault::Outside;
use crate::vault::escrow::{EscrowMemory, EscrowState, Remembered};

/// What to seal, to whom and where.
pub struct SealJob<'a> {
    /// The escrow store.
    pub store: Arc<dyn Store>,
    /// To whom the files are sealed, and the keys too unless they have recipients of their own.
    pub recipients: &'a DataRecipients,
    /// To whom the keys are sealed, where two persons are needed.
    pub key_recipients: Option<&'a DataRecipients>,
    /// The install directory.
    pub dir: &'a Path,
    /// The environment of the running api, if it is known.
    pub effective: Option<&'a BTreeMap<String, Secret>>,
    /// The state directory, whose lock the caller holds.
    pub state_dir: &'a Path,
    /// What the store must keep away from.
    pub forbidden: &'a [Forbidden],
    /// What to do about a store on the file system of an archive store.
    pub same_mount: SameMount,
    /// Time, randomness and the gate of the state.
    pub outside: &'a Outside,
}

/// What a snapshot needs of the escrow store.
#[derive(Debug, Clone, Default)]
pub struct Sealing {
    /// Every object that it needs, in the order in which they are opened.
    pub needed: Vec<EscrowObject>,
    /// Those of them that were sealed just now.
    pub newly: Vec<EscrowObject>,
}

impl Sealing {
    /// Returns what a snapshot records as its fact `escrow`.
    pub fn fact(&self) -> Value {
        json!(self.needed)
    }

    /// Returns what each vault's ledger is to record.
    pub fn events(&self) -> Vec<SecretSealed> {
        let event = |one: &EscrowObject| SecretSealed {
            object: one.object.to_string(),
            sha256: one.sha256,
            stored_len: one.stored_len,
        };
        self.needed.iter().map(event).collect()
    }
}

/// Seals for a snapshot: whatever fails is a warning, and what was sealed last stands in for it.
pub fn seal_or_last(
    job: &SealJob<'_>,
    ask: &impl AskPassphrase,
    observer: &dyn Observer,
) -> Sealing {
    let error = match seal(job, ask, observer) {
        Ok(sealing) => return sealing,
        Err(error) => error,
    };
    let last = EscrowState::new(job.state_dir, Arc::clone(&job.outside.gate)).load();
    let last = last.ok().flatten().map(|memory| memory.sealed).unwrap_or_default();
    let stale = |one: Remembered| EscrowObject { stale: true, ..one.object };
    let needed: Vec<_> = last.into_iter().map(stale).collect();
    let stands_in = match needed.len() {
        0 => "nothing was ever sealed".to_owned(),
        count => format!("the snapshot names the {count} objects that were sealed last"),
    };
    let code = match error.code() {
        Code::EscrowPlaceRefused => Code::EscrowPlaceRefused,
        _ => Code::EscrowStale,
    };
    let detail =
        format!("the stack's secrets are not sealed: {}; {stands_in}", with_causes(&error));
    observer.observe(Event::Warning { code, detail });
    Sealing { needed, newly: Vec::new() }
}

/// Seals what changed since it was sealed last.
///
/// # Errors
/// If the place is refused, the installation or the store cannot be used, or the state cannot be
/// written.
pub fn seal(
    job: &SealJob<'_>,
    ask: &impl AskPassphrase,
    observer: &dyn Observer,
) -> Result<Sealing, Error> {
    place::check(job.store.as_ref(), job.forbidden, job.same_mount, observer)?;
    let files = install::read(job.dir).map_err(super::EscrowError::from)?;
    warn_of_files(job.dir, &files, observer);
    let keys = keys::find(&files, job.effective, observer);
    let mut run = Run::begin(job, ask, observer)?;
    let sealed_keys = run.seal_keys(&keys)?;
    let (files, pieces) = match job.key_recipients {
        Some(_) => keys::cut_out(files, &keys),
        None => (files, Vec::new()),
    };
    let sealed_cuts = run.seal_cuts(&pieces)?;
    let index = index_of(&files, &pieces, sealed_keys, sealed_cuts);
    let files = files.into_iter().filter_map(bundle_file);
    let plain = bundle::compose(&index, &files.collect::<Vec<_>>())?;
    run.seal(EscrowKind::Bundle, None, &plain, job.recipients)?;
    run.end()
}

fn warn_of_files(dir: &Path, files: &[InstallFile], observer: &dyn Observer) {
    for file in files {
        let path = dir.join(&file.name);
        let detail = match &file.found {
            Found::Unreadable(reason) => format!("{}: {reason}", path.display()),
            Found::Outside(target) => {
                let (path, target) = (path.display(), target.display());
                format!("{path} is a link to {target}, outside the installation")
            }
            Found::Missing if file.name == ENV_FILE => format!("{} is missing", path.display()),
            Found::File(_) | Found::Missing => continue,
        };
        observer.observe(Event::Warning { code: Code::EscrowIncomplete, detail });
    }
}

fn index_of(
    files: &[InstallFile],
    pieces: &[keys::CutFile],
    keys: Vec<IndexKey>,
    cuts: Vec<ObjectKey>,
) -> Index {
    let cut_len = |name: &str| {
        let cut = pieces.iter().filter(|cut| cut.name == name);
        cut.map(|cut| cut.pieces.len() as u64).sum::<u64>()
    };
    let entry = |file: &InstallFile| {
        let (state, inode) = match &file.found {
            Found::File(inode) => (FileState::Sealed, Some(inode)),
            Found::Missing => (FileState::Missing, None),
            Found::Outside(_) => (FileState::Outside, None),
            Found::Unreadable(_) => (FileState::Unreadable, None),
        };
        let of = |field: fn(&FileBytes) -> u32| inode.map_or(0, field);
        IndexFile {
            name: file.name.clone(),
            state,
            mode: of(|inode| inode.mode),
            uid: of(|inode| inode.uid),
            gid: of(|inode| inode.gid),
            len: inode.map_or(0, |inode| inode.bytes.len() as u64) + cut_len(&file.name),
        }
    };
    let piece = |cut: &keys::CutFile| {
        let piece = |range: &std::ops::Range<usize>| IndexPiece {
            file: cut.name.clone(),
            offset: range.start as u64,
            len: range.len() as u64,
        };
        cut.ranges.iter().map(piece).collect::<Vec<_>>()
    };
    let cuts = IndexCuts { objects: cuts, pieces: pieces.iter().flat_map(piece).collect() };
    let cuts = (!cuts.pieces.is_empty()).then_some(cuts);
    Index { files: files.iter().map(entry).collect(), keys, cuts }
}

fn bundle_file(file: InstallFile) -> Option<BundleFile> {
    match file.found {
        Found::File(FileBytes { mode, uid, gid, bytes }) => {
            Some(BundleFile { name: file.name, mode, uid, gid, bytes })
        }
        _ => None,
    }
}

/// One sealing.
struct Run<'a, A: AskPassphrase> {
    job: &'a SealJob<'a>,
    ask: &'a A,
    observer: &'a dyn Observer,
    state: EscrowState,
    memory: EscrowMemory,
    done: Vec<Remembered>,
    newly: Vec<EscrowObject>,
}

impl<'a, A: AskPassphrase> Run<'a, A> {
    /// Reads what was sealed last; the store's place is made if nothing was ever sealed to it.
    fn begin(job: &'a SealJob<'a>, ask: &'a A, observer: &'a dyn Observer) -> Result<Self, Error> {
        let state = EscrowState::new(job.state_dir, Arc::clone(&job.outside.gate));
        let memory = state.load().unwrap_or_else(|error| {
            let detail = format!("{}; everything is sealed once more", with_causes(&error));
            observer.observe(Event::Warning { code: error.code(), detail });
            None
        });
        let url = job.store.url();
        let mut memory =
            memory.unwrap_or_else(|| EscrowMemory::begin("", job.outside.entropy.as_ref()));
        if memory.store != url {
            job.store.prepare()?;
            memory.store = url.to_owned();
        }
        Ok(Self { job, ask, observer, state, memory, done: Vec::new(), newly: Vec::new() })
    }

    fn seal_keys(&mut self, keys: &[FoundKey]) -> Result<Vec<IndexKey>, Error> {
        let recipients = self.job.key_recipients.unwrap_or(self.job.recipients);
        let mut index = Vec::new();
        for key in keys {
            let of = Some((key.variable.as_str(), key.from.as_slice()));
            let objects = self.seal(EscrowKind::Key, of, &key.value, recipients)?;
            index.push(IndexKey {
                variable: key.variable.clone(),
                from: key.from.clone(),
                objects,
            });
        }
        Ok(index)
    }

    fn seal_cuts(&mut self, files: &[keys::CutFile]) -> Result<Vec<ObjectKey>, Error> {
        let recipients = self.job.key_recipients.unwrap_or(self.job.recipients);
        let len = files.iter().map(|file| file.pieces.len()).sum();
        let mut plain = Zeroizing::new(Vec::with_capacity(len));
        files.iter().for_each(|file| plain.extend_from_slice(&file.pieces));
        match plain.is_empty() {
            true => Ok(Vec::new()),
            false => self.seal(EscrowKind::Cuts, None, &plain, recipients),
        }
    }

    /// Seals a secret unless it is sealed already; returns the objects that hold it.
    fn seal(
        &mut self,
        kind: EscrowKind,
        key: Option<(&str, &[KeySource])>,
        plain: &[u8],
        recipients: &DataRecipients,
    ) -> Result<Vec<ObjectKey>, Error> {
        let (variable, from) = key.unwrap_or_default();
        let fingerprint = self.fingerprint(kind, variable, plain, recipients);
        let objects = match self.sealed_already(fingerprint)? {
            Some(objects) => objects,
            None => {
                let sealed = recipients.seal(plain, self.ask)?;
                sealed
                    .iter()
                    .map(|bytes| self.put(kind, variable, bytes))
                    .collect::<Result<_, _>>()?
            }
        };
        for object in &objects {
            let object = EscrowObject { from: from.to_vec(), ..object.clone() };
            self.done.push(Remembered { fingerprint, object });
        }
        Ok(objects.into_iter().map(|object| object.object).collect())
    }

    fn fingerprint(
        &self,
        kind: EscrowKind,
        variable: &str,
        plain: &[u8],
        recipients: &DataRecipients,
    ) -> Digest {
        let mut to = recipients.digests();
        to.sort_unstable();
        let mut parts =
            vec![self.job.store.url().as_bytes(), kind.name().as_bytes(), variable.as_bytes()];
        parts.extend(to.iter().map(|digest| digest.as_bytes().as_slice()));
        parts.push(plain);
        self.memory.fingerprint(&parts)
    }

    /// Returns the objects with this fingerprint, if the store still has them.
    fn sealed_already(&self, fingerprint: Digest) -> Result<Option<Vec<EscrowObject>>, Error> {
        let known = self.memory.sealed.iter().filter(|one| one.fingerprint == fingerprint);
        let known: Vec<EscrowObject> = known.map(|one| one.object.clone()).collect();
        for one in &known {
            let stat = self.job.store.stat(&one.object)?;
            if stat.is_some_and(|stat| stat.len == one.stored_len) {
                continue;
            }
            let (code, how) = match stat {
                None => (Code::ObjectMissing, "is gone from"),
                Some(_) => (Code::ObjectAltered, "has another length in"),
            };
            let store = self.job.store.name();
            let detail = format!("{} {how} the store {store}; it is sealed again", one.object);
            self.observer.observe(Event::Warning { code, detail });
            return Ok(None);
        }
        Ok((!known.is_empty()).then_some(known))
    }

    fn put(
        &mut self,
        kind: EscrowKind,
        variable: &str,
        bytes: &[u8],
    ) -> Result<EscrowObject, Error> {
        let outside = self.job.outside;
        let random = entropy::draw(outside.entropy.as_ref());
        let id = EscrowId::new(outside.clock.now(), random);
        let object = match kind {
            EscrowKind::Bundle => ObjectKey::EscrowBundle(id),
            EscrowKind::Cuts => ObjectKey::EscrowCuts(id),
            EscrowKind::Key => {
                let label = KeyLabel::of(variable).expect("only such variables are found");
                ObjectKey::EscrowKey(label, id)
            }
        };
        let sha256 = sha256(bytes);
        self.job.store.put_new(&object, Content::Bytes(bytes), &sha256)?;
        let stored_len = bytes.len() as u64;
        let variable = (kind == EscrowKind::Key).then(|| variable.to_owned());
        let object = EscrowObject {
            object,
            sha256,
            stored_len,
            kind,
            variable,
            from: Vec::new(),
            stale: false,
        };
        self.newly.push(object.clone());
        Ok(object)
    }

    /// Remembers what is sealed now.
    fn end(mut self) -> Result<Sealing, Error> {
        let is_unchanged = self.memory.sealed == self.done;
        let needed = self.done.iter().map(|one| one.object.clone()).collect();
        self.memory.sealed = self.done;
        if !is_unchanged {
            self.state.save(&self.memory)?;
        }
        Ok(Sealing { needed, newly: self.newly })
    }
}
