//! A run of the host from its beginning to its end: the lock, the record of it, and the watchdog.
//! Spec: `nights.md`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::thread::JoinHandle;

use super::config::Config;
use super::report::{Ending, Failure};
use super::session::Session;
use crate::base::{Code, Coded, Event, Observer, OpenGate, SnapshotId};
use crate::ops::last_run::{LastRun, RunEnd};
use crate::ops::ping::{PingError, PingUrl, Signal};
use crate::vault::standing::Standing;
use crate::vault::state::{StateDir, StateLock};

/// One run of the host, from [`Night::begin`] by [`Night::tell`] to [`Night::end`].
pub struct Night<'a> {
    config: &'a Config,
    session: &'a Session,
    lock: Option<StateLock>,
    run: LastRun,
    start: Option<JoinHandle<Result<(), PingError>>>,
    snapshots: BTreeMap<String, SnapshotId>,
}

impl<'a> Night<'a> {
    /// Tells the watchdog that a run begins, beside whatever follows.
    pub fn begin(config: &'a Config, session: &'a Session) -> Self {
        let start = config.nights.ping.clone().map(|url| {
            let message = format!("{} begins\n", program());
            std::thread::spawn(move || url.send(Signal::Start, &message))
        });
        let run = LastRun::begin(session.clock.now());
        Self { config, session, lock: None, run, start, snapshots: BTreeMap::new() }
    }

    /// Takes the lock of the state, and records that a run is under way.
    ///
    /// # Errors
    /// If another run holds the lock, or the state cannot be written.
    pub fn lock(&mut self) -> Result<(), Failure> {
        let dir = &self.config.state_dir;
        self.lock = Some(StateLock::take(dir)?);
        Ok(self.run.write(dir, &OpenGate::shared())?)
    }

    /// Takes note of a snapshot.
    pub fn took(&mut self, vault: &str, snapshot: SnapshotId) {
        self.snapshots.insert(vault.to_owned(), snapshot);
    }

    /// Tells the watchdog how the run went, and records it.
    pub fn tell(&mut self, failure: Option<&Failure>) {
        let (exit, error) = (self.exit(failure), failure.map(|failure| failure.code().text()));
        if let Some(url) = &self.config.nights.ping {
            // Signals must arrive in their order, and a start that did not is told here.
            let started = self.start.take().map(JoinHandle::join);
            if let Some(Ok(Err(error))) = started {
                warn(self.session, &error);
            }
            let signal = if failure.is_none() { Signal::Success } else { Signal::Failure };
            send(self.session, url, signal, &self.message(exit, error));
        }
        self.record(failure);
    }

    /// Records what was added to it since, and gives the lock back.
    pub fn end(mut self, failure: Option<&Failure>) {
        self.record(failure);
    }

    fn record(&mut self, failure: Option<&Failure>) {
        if self.lock.is_none() {
            return; // Whoever holds the lock writes its own record.
        }
        self.run.ended = Some(RunEnd {
            time: self.session.clock.now(),
            exit: self.exit(failure),
            error: failure.map(|failure| failure.code().text().to_owned()),
            warnings: self.warnings(),
            snapshots: self.snapshots.clone(),
        });
        if let Err(error) = self.run.write(&self.config.state_dir, &OpenGate::shared()) {
            warn(self.session, &error);
        }
    }

    fn exit(&self, failure: Option<&Failure>) -> u8 {
        match failure {
            Some(failure) => failure.code().exit(),
            None => Ending::Done.exit(self.session.progress.warnings().len()),
        }
    }

    fn warnings(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for warning in self.session.progress.warnings() {
            *counts.entry(warning.code.text().to_owned()).or_default() += 1;
        }
        counts
    }

    fn message(&self, exit: u8, error: Option<&str>) -> String {
        let how = match exit {
            0 => "is done",
            4 => "is done, with warnings",
            _ => "FAILED",
        };
        let mut text = format!("{} {how}, exit {exit}\n", program());
        for (vault, snapshot) in &self.snapshots {
            add(&mut text, format_args!("snapshot {vault}: {snapshot}"));
        }
        if let Some(error) = error {
            add(&mut text, format_args!("error: {error}"));
        }
        for (code, count) in self.warnings() {
            add(&mut text, format_args!("warning: {code}, {count}"));
        }
        text + &checkpoints(self.config)
    }
}

/// Tells the watchdog that a check failed or found damage, with the codes of what it found.
pub fn tell_failure(config: &Config, session: &Session, what: &str, exit: u8, codes: &[Code]) {
    let Some(url) = &config.nights.ping else { return };
    let mut text = format!("{} {what} FAILED, exit {exit}\n", program());
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for code in codes {
        *counts.entry(code.text()).or_default() += 1;
    }
    for (code, count) in counts {
        add(&mut text, format_args!("finding: {code}, {count}"));
    }
    send(session, url, Signal::Failure, &(text + &checkpoints(config)));
}

/// Returns the newest checkpoint of every vault's log on this host, as far as they can be read.
fn checkpoints(config: &Config) -> String {
    let mut text = String::new();
    for vault in &config.vaults {
        let standing = Standing::read(&StateDir::new(&config.state_dir, &vault.name));
        if let Ok(standing) = standing
            && let Some(checkpoint) = standing.checkpoint()
        {
            add(&mut text, format_args!("\ncheckpoint {}:\n{checkpoint}", vault.name));
        }
    }
    text
}

fn program() -> String {
    format!("idswyft-vault {}", env!("CARGO_PKG_VERSION"))
}

fn add(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("writing to a string does not fail");
}

fn send(session: &Session, url: &PingUrl, signal: Signal, message: &str) {
    if let Err(error) = url.send(signal, message) {
        warn(session, &error);
    }
}

fn warn(session: &Session, error: &impl Coded) {
    session.progress.observe(Event::Warning { code: error.code(), detail: error.to_string() });
}
