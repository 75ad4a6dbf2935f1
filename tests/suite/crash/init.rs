//! An `init` that dies: run again, it is finished, and the kit that goes with the vault is whole.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use idswyft_vault::base::{Code, Coded, Gate, OpenGate, SystemEntropy};
use idswyft_vault::crypto::identity::{DataIdentities, NewIdentity, NoPassphrase};
use idswyft_vault::crypto::recipient::DataRecipients;
use idswyft_vault::crypto::signing::SigningKey;
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::ops;
use idswyft_vault::ops::init::{self, InitReport, Kit, NewVault};
use idswyft_vault::policy::{Policy, PolicyFields};
use idswyft_vault::store::Store;
use idswyft_vault::vault::Outside;
use idswyft_vault::vault::state::StateDir;
use tempfile::TempDir;

use super::MODES;
use crate::support::crash::{Crash, scratch};
use crate::support::image::Image;
use crate::support::invariants::{Invariants, objects_of};
use crate::support::vault::{Events, FixedClock, TestVault, local};
use crate::support::{Figure, Mode, is_long};

/// Where the kit goes: none of these directories is there before.
const KIT: &str = "kit/for/this/vault";

/// What follows an `init` that was finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Nothing,
    Snapshot,
}

/// What `init` is told, and where it works; the stores are `local` and `mirror`.
pub struct Beginning {
    dir: TempDir,
    identity: String,
    recipient: String,
    clock: Arc<FixedClock>,
    events: Arc<Events>,
}

impl Beginning {
    pub fn new() -> Self {
        let new = NewIdentity::generate(jiff::Timestamp::UNIX_EPOCH);
        let dir = scratch();
        fs::create_dir(dir.path().join("uploads")).unwrap();
        fs::write(dir.path().join("uploads/a.jpg"), b"contents").unwrap();
        Self {
            dir,
            identity: new.file.to_string(),
            recipient: new.recipient,
            clock: FixedClock::new(),
            events: Arc::default(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn places(&self) -> Vec<PathBuf> {
        ["local", "mirror", "state", "kit"].map(|name| self.path(name)).into()
    }

    pub fn stores(&self) -> Vec<Arc<dyn Store>> {
        ["local", "mirror"].map(|name| local(&self.path(name), name)).into()
    }

    pub fn init(
        &self,
        stores: Vec<Arc<dyn Store>>,
        gate: Arc<dyn Gate>,
    ) -> Result<InitReport, ops::Error> {
        let new = NewVault {
            name: "nightly",
            policy: &Policy::new(PolicyFields::default()).unwrap(),
            parameters: Parameters::initial(),
            recipients: &DataRecipients::parse(&[&self.recipient]).unwrap(),
            stores,
        };
        let state = self.path("state");
        let kit = Kit {
            dir: &self.path(KIT),
            forbidden: vec![state.clone()],
            identities: Vec::new(),
            config: None,
        };
        let outside = Outside { clock: self.clock.clone(), entropy: Arc::new(SystemEntropy), gate };
        init::create(new, &state, &kit, &NoPassphrase, &outside, self.events.as_ref())
    }

    /// Asserts what holds however far `init` came.
    pub fn assert_left(&self) {
        let state = StateDir::new(&self.path("state"), "nightly");
        match state.exists() {
            true => self.assert_kit(&state.anchor().unwrap().root_key),
            false => {
                let stores = self.stores();
                let there = stores.iter().filter(|store| self.path(store.name()).exists());
                let none = there.map(|store| objects_of(store.as_ref())).all(|all| all.is_empty());
                assert!(none, "a store has objects of a vault that its host does not know");
            }
        }
    }

    /// Runs `init` again, and perhaps a snapshot after it; everything must be there.
    pub fn finish(self, then: Then) -> Self {
        match self.init(self.stores(), OpenGate::shared()) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.code(), Code::VaultExists, "{error}"),
        }
        let anchor = StateDir::new(&self.path("state"), "nightly").anchor().unwrap();
        self.assert_kit(&anchor.root_key);
        if then == Then::Nothing {
            return self;
        }
        let report = InitReport {
            name: anchor.name,
            vault: anchor.vault,
            root_key: anchor.root_key,
            kit: None,
            longest_readable_days: None,
        };
        let vault = TestVault {
            stores: self.stores(),
            dir: self.dir,
            clock: self.clock,
            events: self.events,
            identity: self.identity,
            recipient: self.recipient,
            report,
            gate: OpenGate::shared(),
        };
        let invariants = Invariants::before_run(&vault, Default::default());
        let taken = vault.snapshot();
        assert!(taken.lagging.is_empty());
        assert_eq!(invariants.assert_hold(&vault), [taken.snapshot]);
        let TestVault { dir, clock, events, identity, recipient, .. } = vault;
        Self { dir, identity, recipient, clock, events }
    }

    /// Exactly one kit is of the vault, and it gives the root key back.
    fn assert_kit(&self, root_key: &str) {
        let kits = fs::read_dir(self.path(KIT)).unwrap().map(|kit| kit.unwrap().path());
        let named = |kit: &PathBuf| {
            fs::read_to_string(kit.join("vault.key")).unwrap_or_default().trim_end() == root_key
        };
        let kits: Vec<_> = kits.filter(named).collect();
        assert_eq!(kits.len(), 1, "{root_key}");
        let read = |name| fs::read(kits[0].join(name)).unwrap();
        let identities =
            DataIdentities::parse("operator", self.identity.as_bytes(), &NoPassphrase).unwrap();
        let root = identities.open("root.age", &read("root.age")).unwrap();
        let text = std::str::from_utf8(&root).unwrap().trim_end();
        let key = SigningKey::from_secret_text(text).unwrap();
        assert_eq!(key.verification_key().to_string(), root_key);
        assert!(!read("checkpoint").is_empty() && read("README.txt").ends_with(b"holds.\n"));
    }
}

/// V-46, V-138
#[test]
fn an_init_that_dies_at_any_step_is_finished_by_running_it_again() {
    let mut points = 0;
    for mode in MODES {
        let mut beginning = Beginning::new();
        for at in 0.. {
            Image::of(&beginning.places(), Default::default()).put_back();
            let (next, crash) = crash_at(beginning, at, mode);
            beginning = next;
            if !crash.is_dead() {
                break;
            }
            points += 1;
        }
    }
    let what = "steps of init that fail: kit, state, commits, store calls";
    Figure { what, test: "an_init_that_dies" }.record(points);
}

fn crash_at(beginning: Beginning, at: u64, mode: Mode) -> (Beginning, Arc<Crash>) {
    let crash = Crash::new(at, mode, beginning.places());
    let stores = beginning.stores().into_iter().map(|store| crash.store(store)).collect();
    let died = beginning.init(stores, crash.clone());
    // A mirror alone that fails is no failure of `init`.
    assert!(died.is_err() || !crash.is_dead() || lags(&beginning), "{mode:?} at {at}: {died:?}");
    if let Some(image) = crash.image() {
        image.put_back();
    }
    beginning.assert_left();
    let then = if is_long() || at.is_multiple_of(4) { Then::Snapshot } else { Then::Nothing };
    (beginning.finish(then), crash)
}

fn lags(beginning: &Beginning) -> bool {
    beginning.events.warnings().contains(&Code::MirrorLagging)
}
