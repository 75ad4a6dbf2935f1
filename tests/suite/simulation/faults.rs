//! What goes wrong, as configuration: how often, and in which way.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use idswyft_vault::base::{Gate, Step};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::store::Store;

use crate::support::{Call, FaultyStore, Mode, Random, sha256};

const MODES: [Mode; 3] = [Mode::NotDone, Mode::DoneButReported, Mode::Torn];

/// How often what fails in one world; a seed draws it.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// Of a thousand calls of the primary store, how many fail while something is written.
    pub primary_permille: u64,
    /// The same of a mirror.
    pub mirror_permille: u64,
    /// Of a thousand calls, how many fail while something is read.
    pub read_permille: u64,
    /// Of a hundred attempts to write, how many die.
    pub crash_percent: u64,
    /// Of a hundred dumps, how many end half-way.
    pub dump_percent: u64,
    /// Of a hundred attempts to create a vault, how many die.
    pub init_percent: u64,
}

impl Faults {
    /// Returns a world in which nothing fails.
    pub const fn none() -> Self {
        Self {
            primary_permille: 0,
            mirror_permille: 0,
            read_permille: 0,
            crash_percent: 0,
            dump_percent: 0,
            init_percent: 0,
        }
    }

    /// Draws how often what fails; in one world of four nothing does.
    pub fn draw(random: &mut Random) -> Self {
        let is_calm = random.below(4) == 0;
        let mut often = |of: &[u64]| if is_calm { 0 } else { *random.pick(of) };
        Self {
            primary_permille: often(&[0, 0, 2, 10, 30]),
            mirror_permille: often(&[0, 5, 30, 100]),
            read_permille: often(&[0, 5, 30]),
            crash_percent: often(&[0, 15, 30, 60]),
            dump_percent: often(&[0, 0, 5, 15]),
            init_percent: often(&[0, 50]),
        }
    }
}

/// Where an attempt dies: at which of its calls of any store and steps of the host's own state,
/// and in which way.
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    /// Its index, counted from 0.
    pub at: u64,
    /// What becomes of it.
    pub mode: Mode,
}

impl Crash {
    /// Draws whether an attempt dies, and where.
    pub fn draw(percent: u64, random: &mut Random) -> Option<Self> {
        let strikes = random.below(100) < percent;
        // Early calls decide most; late ones must be reached too.
        let (at, mode) = (random.below(90).min(random.below(90)), *random.pick(&MODES));
        strikes.then_some(Self { at, mode })
    }
}

/// Which calls an attempt counts and may lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    Every,
    /// Calls of stores, but for those that store packs: two vaults store theirs, and take their own
    /// steps for it, at the same time and in any order.
    InOrder,
}

/// One attempt of the program to do something: it may meet faults, and it may die.
///
/// Whether a call fails depends on the call and the seed alone, not on when it is made: several
/// threads may make it.
#[derive(Debug)]
pub struct Attempt {
    seed: u64,
    crash: Option<Crash>,
    scope: Scope,
    call_count: AtomicU64,
    is_dead: AtomicBool,
}

impl Attempt {
    /// Starts an attempt.
    pub fn new(seed: u64, crash: Option<Crash>, scope: Scope) -> Arc<Self> {
        let (call_count, is_dead) = (AtomicU64::new(0), AtomicBool::new(false));
        Arc::new(Self { seed, crash, scope, call_count, is_dead })
    }

    /// Tells whether it died.
    pub fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::SeqCst)
    }

    /// Wraps a store as this attempt meets it.
    pub fn meet(self: &Arc<Self>, store: Arc<dyn Store>, permille: u64) -> Arc<FaultyStore> {
        let name = store.name().to_owned();
        let attempt = Arc::clone(self);
        let mut faulty = FaultyStore::new(store)
            .fail_calls(Mode::NotDone, move |call| attempt.is_dead() && !looks_for_a_note(call));
        if let Some(crash) = self.crash {
            let attempt = Arc::clone(self);
            faulty = faulty.fail_calls(crash.mode, move |call| attempt.dies_at(crash.at, call));
        }
        for mode in MODES {
            let (attempt, name) = (Arc::clone(self), name.clone());
            faulty = faulty
                .fail_calls(mode, move |call| attempt.strikes(&name, call, permille) == Some(mode));
        }
        Arc::new(faulty)
    }

    fn is_counted(&self, call: &Call) -> bool {
        let is_in_order =
            self.scope == Scope::Every || call.key().is_none_or(|key| key.pack().is_none());
        is_in_order && !looks_for_a_note(call)
    }

    fn dies_at(&self, index: u64, call: &Call) -> bool {
        self.is_counted(call) && self.counts_to(index)
    }

    fn counts_to(&self, index: u64) -> bool {
        if self.call_count.fetch_add(1, Ordering::SeqCst) != index {
            return false;
        }
        self.is_dead.store(true, Ordering::SeqCst);
        true
    }

    fn strikes(&self, store: &str, call: &Call, permille: u64) -> Option<Mode> {
        if permille == 0 || !self.is_counted(call) {
            return None;
        }
        let digest = sha256(format!("{} {store} {call:?}", self.seed).as_bytes());
        let mut drawn =
            Random::from_seed(u64::from_le_bytes(digest.as_bytes()[..8].try_into().unwrap()));
        (drawn.below(1000) < permille).then(|| *drawn.pick(&MODES))
    }
}

/// Tells whether a host asks for a later vault note: it goes on where it gets no answer, so this
/// call tells nothing of how an attempt ends.
fn looks_for_a_note(call: &Call) -> bool {
    matches!(call, Call::Get(ObjectKey::Vault(2..)))
}

/// The host's own disk under one vault, as an attempt meets it.
#[derive(Debug)]
pub struct Disk {
    attempt: Arc<Attempt>,
    // Whether the step under way is done and is to be reported as failed.
    is_struck: AtomicBool,
    fault_count: AtomicU64,
}

impl Disk {
    /// Makes the disk of an attempt.
    pub fn new(attempt: &Arc<Attempt>) -> Arc<Self> {
        let (is_struck, fault_count) = (AtomicBool::new(false), AtomicU64::new(0));
        Arc::new(Self { attempt: Arc::clone(attempt), is_struck, fault_count })
    }

    /// Returns how many steps failed.
    pub fn fault_count(&self) -> u64 {
        self.fault_count.load(Ordering::SeqCst)
    }

    fn fail(&self) -> io::Result<()> {
        self.fault_count.fetch_add(1, Ordering::SeqCst);
        Err(io::Error::other("injected fault"))
    }
}

impl Gate for Disk {
    fn before(&self, _step: Step<'_>) -> io::Result<()> {
        if self.attempt.is_dead() {
            return self.fail();
        }
        let crash = self.attempt.crash.filter(|_| self.attempt.scope == Scope::Every);
        match crash {
            Some(crash) if self.attempt.counts_to(crash.at) => match crash.mode {
                Mode::DoneButReported => {
                    self.is_struck.store(true, Ordering::SeqCst);
                    Ok(())
                }
                Mode::NotDone | Mode::Torn => self.fail(),
            },
            _ => Ok(()),
        }
    }

    fn after(&self, _step: Step<'_>) -> io::Result<()> {
        if self.is_struck.swap(false, Ordering::SeqCst) { self.fail() } else { Ok(()) }
    }
}
