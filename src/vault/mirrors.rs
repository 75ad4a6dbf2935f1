//! The stores of a vault: a primary that must take everything, and mirrors that must not hold up
//! a run. Spec: §9, `mirrors.md` §3.
//!
//! What was journaled leaves for each store in the order of the journal. That upholds I1 (secrets
//! before packs), I2 (a list names only durable objects) and I3 (a snapshot exists when its note
//! exists), per store. A mirror that fails, or that the run has waited for too long, gets nothing
//! more in this run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;

use super::Error;
use super::delivery::{Load, Parcel, Taken, remove_file};
use super::state::StateDir;
use crate::base::limits::MIRROR_PATIENCE_S_DEFAULT;
use crate::base::{Clock, Code, Coded, Event, Observer, with_causes};
use crate::format::ObjectKey;
use crate::manifest::{Manifest, Outgoing, Payload};
use crate::store::{self, STAGING_PREFIX, Store};

/// The stores of a vault, the primary first, and how they did in this run. Clones share it.
#[derive(Clone)]
pub struct Mirrors {
    stores: Arc<[Arc<dyn Store>]>,
    clock: Arc<dyn Clock>,
    run: Arc<Mutex<RunState>>,
}

#[derive(Default)]
struct RunState {
    lagging: BTreeSet<String>,
    waited: BTreeMap<String, Duration>,
    told: BTreeSet<&'static str>,
}

/// Who took an object.
pub struct Sent {
    /// What the primary store said.
    pub primary: Taken,
    /// What each mirror said that took it.
    pub mirrors: Vec<(String, Taken)>,
    /// The mirrors that did not.
    pub waiting: Vec<String>,
}

/// What delivering works with.
pub struct Delivery<'a> {
    /// What is on its way.
    pub manifest: &'a mut Manifest,
    /// Where the spool is.
    pub state: &'a StateDir,
    /// Until when what is put now is locked at least.
    pub locked_until: Option<Timestamp>,
    /// Is told of mirrors that lag.
    pub observer: &'a dyn Observer,
}

type Answer = Receiver<Result<Taken, Error>>;

impl Mirrors {
    /// Takes the stores of a vault; the first one is the primary.
    pub fn new(stores: Vec<Arc<dyn Store>>, clock: Arc<dyn Clock>) -> Self {
        Self { stores: stores.into(), clock, run: Arc::default() }
    }

    /// Returns every store, the primary first.
    pub fn all(&self) -> &[Arc<dyn Store>] {
        &self.stores
    }

    /// Returns every store's name.
    pub fn names(&self) -> Vec<String> {
        self.stores.iter().map(|store| store.name().to_owned()).collect()
    }

    /// Returns the primary store.
    ///
    /// # Panics
    /// Never: a config without a store is refused.
    pub fn primary(&self) -> &Arc<dyn Store> {
        self.stores.first().expect("a config without a store is refused")
    }

    /// Returns the mirrors that still answer in this run.
    pub fn mirrors(&self) -> Vec<Arc<dyn Store>> {
        let run = self.run();
        let answering = |store: &&Arc<dyn Store>| !run.lagging.contains(store.name());
        self.stores.iter().skip(1).filter(answering).cloned().collect()
    }

    /// Returns the stores that still answer in this run and may be read.
    pub fn readable(&self) -> Vec<Arc<dyn Store>> {
        let run = self.run();
        let answering = |store: &&Arc<dyn Store>| !run.lagging.contains(store.name());
        self.stores.iter().filter(answering).filter(|store| store.is_readable()).cloned().collect()
    }

    /// Returns every mirror by name, answering or not.
    pub fn mirror_names(&self) -> Vec<String> {
        self.names().split_off(1)
    }

    /// Returns the mirrors that did not answer in this run.
    pub fn lagging(&self) -> Vec<String> {
        self.run().lagging.iter().cloned().collect()
    }

    /// Notes that a mirror does not answer, and tells once.
    pub fn note_lagging(&self, store: &str, cause: &store::Error, observer: &dyn Observer) {
        self.leave_behind(store, Code::MirrorLagging, &with_causes(cause), observer);
    }

    fn leave_behind(&self, store: &str, code: Code, cause: &str, observer: &dyn Observer) {
        let is_new = self.run().lagging.insert(store.to_owned());
        if is_new {
            let detail = format!("store {store}: {cause}");
            observer.observe(Event::Warning { code, detail });
        }
    }

    /// Tells once a run, and once of either kind of name, that a delivery is not proven.
    pub fn tell_taken(&self, store: &str, key: &ObjectKey, taken: &Taken, observer: &dyn Observer) {
        if *taken != Taken::Unproven {
            return;
        }
        let (kind, who) = match key {
            ObjectKey::Vault(_)
            | ObjectKey::Generation(..)
            | ObjectKey::LedgerEvent(..)
            | ObjectKey::LedgerCheckpoint(..) => {
                ("predictable", "whoever knows this host's ids could have put another there")
            }
            _ => ("random", "only this host could know it, so an earlier try put it there"),
        };
        if self.run().told.insert(kind) {
            let detail = format!("store {store}: {key} is a name that is taken already: {who}");
            observer.observe(Event::Warning { code: Code::DeliveryUnproven, detail });
        }
    }

    /// Tells once a run what is said only once.
    pub(super) fn tell_once(&self, kind: &'static str, tell: impl FnOnce()) {
        let is_new = self.run().told.insert(kind);
        if is_new {
            tell();
        }
    }

    /// Sends an object to the primary store and to every mirror that answers.
    ///
    /// Side by side, if the primary is one that takes several calls at a time; else one after the
    /// other, as everything about such a store is.
    ///
    /// # Errors
    /// If the primary store fails.
    pub fn send(&self, parcel: &Parcel, observer: &dyn Observer) -> Result<Sent, Error> {
        let (primary, mirrors) = (self.primary(), self.mirrors());
        let mut begun: BTreeMap<usize, Answer> = BTreeMap::new();
        if primary.calls_at_once() > 1 {
            begun.extend(mirrors.iter().map(|mirror| begin(mirror, parcel)).enumerate());
        }
        let taken = parcel.put(primary)?;
        self.tell_taken(primary.name(), &parcel.key, &taken, observer);
        let waiting = self.mirror_names();
        let mut sent = Sent { primary: taken, mirrors: Vec::new(), waiting };
        for (index, mirror) in mirrors.iter().enumerate() {
            if self.run().lagging.contains(mirror.name()) {
                continue;
            }
            let answer = begun.remove(&index).unwrap_or_else(|| begin(mirror, parcel));
            if let Some(taken) = self.wait(mirror.as_ref(), &parcel.key, &answer, observer) {
                sent.waiting.retain(|name| name != mirror.name());
                sent.mirrors.push((mirror.name().to_owned(), taken));
            }
        }
        Ok(sent)
    }

    /// Delivers everything journaled: all of it to the primary, or an error; to a mirror what it
    /// takes, or a warning.
    ///
    /// # Errors
    /// If the primary or the manifest fails.
    pub fn deliver(&self, mut delivery: Delivery<'_>) -> Result<(), Error> {
        let primary = Arc::clone(self.primary());
        let observer = delivery.observer;
        while let Some((position, parcel)) = self.next(&primary, &delivery)? {
            let taken = parcel.put(&primary)?;
            self.tell_taken(primary.name(), &parcel.key, &taken, observer);
            self.keep(position, &primary, &parcel, &taken, &mut delivery)?;
        }
        for mirror in self.mirrors() {
            while let Some((position, parcel)) = self.next(&mirror, &delivery)? {
                let answer = begin(&mirror, &parcel);
                match self.wait(mirror.as_ref(), &parcel.key, &answer, observer) {
                    Some(taken) => {
                        self.keep(position, &mirror, &parcel, &taken, &mut delivery)?;
                    }
                    None => break,
                }
                if self.run().lagging.contains(mirror.name()) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Returns the next object that a store must get.
    fn next(
        &self,
        store: &Arc<dyn Store>,
        delivery: &Delivery<'_>,
    ) -> Result<Option<(i64, Parcel)>, Error> {
        let Some((position, object)) = delivery.manifest.next_outgoing(store.name())? else {
            return Ok(None);
        };
        let Outgoing { key, sha256, payload, locked_until } = object;
        let load = match payload {
            Payload::Bytes(bytes) => Load::Bytes(bytes.into()),
            Payload::File(path) => Load::File(PathBuf::from(path)),
            Payload::Elsewhere => {
                let sources = self.holders(&key, store.name(), delivery.manifest)?;
                let name = format!("{STAGING_PREFIX}{}-{position}", store.name());
                Load::Elsewhere(sources, delivery.state.spool()?.join(name))
            }
        };
        // What comes late is locked for as long as what is put now, if that is longer.
        let locked_until = locked_until.max(delivery.locked_until);
        Ok(Some((position, Parcel { key, sha256, load, locked_until })))
    }

    /// Returns the readable stores that took an object, but for one.
    fn holders(
        &self,
        key: &ObjectKey,
        but: &str,
        manifest: &Manifest,
    ) -> Result<Vec<Arc<dyn Store>>, Error> {
        let mut holders = Vec::new();
        for store in self.readable() {
            if store.name() != but && manifest.has_receipt(store.name(), key)? {
                holders.push(store);
            }
        }
        Ok(holders)
    }

    fn keep(
        &self,
        position: i64,
        store: &Arc<dyn Store>,
        parcel: &Parcel,
        taken: &Taken,
        delivery: &mut Delivery<'_>,
    ) -> Result<(), Error> {
        let row = taken.receipt_row(self.clock.now());
        delivery.manifest.delivered(position, store.name(), &parcel.key, &row)?;
        match &parcel.load {
            Load::File(path) if !delivery.manifest.is_spooled(&path.to_string_lossy())? => {
                remove_file(path)
            }
            _ => Ok(()),
        }
    }

    /// Waits for a mirror's answer; nothing is returned by one that failed or takes too long.
    ///
    /// A call that goes on behind our back can only put these bytes under this name, in its place
    /// in the order: it is found there later.
    fn wait(
        &self,
        mirror: &dyn Store,
        key: &ObjectKey,
        answer: &Answer,
        observer: &dyn Observer,
    ) -> Option<Taken> {
        let patience = mirror.patience().unwrap_or(Duration::from_secs(MIRROR_PATIENCE_S_DEFAULT));
        let waited = self.run().waited.get(mirror.name()).copied().unwrap_or_default();
        let before = self.clock.now();
        let answered = answer.recv_timeout(patience.saturating_sub(waited));
        let took = Duration::try_from(self.clock.now().duration_since(before)).unwrap_or_default();
        let waited = waited.saturating_add(took);
        self.run().waited.insert(mirror.name().to_owned(), waited);
        let (code, cause) = match answered {
            Ok(Ok(taken)) => {
                self.tell_taken(mirror.name(), key, &taken, observer);
                if waited > patience {
                    let cause = too_slow(patience);
                    self.leave_behind(mirror.name(), Code::MirrorLagging, &cause, observer);
                }
                return Some(taken);
            }
            // Whatever fails a mirror never fails the snapshot.
            Ok(Err(error @ Error::Owed { .. })) => (error.code(), with_causes(&error)),
            Ok(Err(error)) => (Code::MirrorLagging, with_causes(&error)),
            Err(RecvTimeoutError::Timeout) => (Code::MirrorLagging, too_slow(patience)),
            Err(RecvTimeoutError::Disconnected) => {
                (Code::MirrorLagging, format!("put {key}: the call never ended"))
            }
        };
        self.leave_behind(mirror.name(), code, &cause, observer);
        None
    }

    fn run(&self) -> MutexGuard<'_, RunState> {
        self.run.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn too_slow(patience: Duration) -> String {
    format!("the run has waited for it for {} s, and waits no longer", patience.as_secs())
}

/// Puts an object in a thread of its own: one that hangs is left behind.
fn begin(mirror: &Arc<dyn Store>, parcel: &Parcel) -> Answer {
    let (sender, answer) = channel();
    let (mirror, parcel) = (Arc::clone(mirror), parcel.clone());
    std::thread::spawn(move || {
        // Nobody listens any more to a mirror that took too long.
        let _ = sender.send(parcel.put(&mirror));
    });
    answer
}

/// Returns the bytes of all that waits in the spools of a host's vaults.
pub fn spooled_len(state_dir: &Path) -> u64 {
    let Ok(vaults) = std::fs::read_dir(state_dir) else { return 0 };
    vaults.filter_map(Result::ok).map(|vault| spool_len(&vault.path().join("spool"))).sum()
}

/// Returns the bytes of all that waits in one spool; what is staged there does not wait.
pub fn spool_len(spool: &Path) -> u64 {
    let Ok(files) = std::fs::read_dir(spool) else { return 0 };
    let is_staged = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(STAGING_PREFIX);
    let waits = files.filter_map(Result::ok).filter(|file| !is_staged(&file.file_name()));
    waits.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).sum()
}
