//! Whether the nights do what they should, from what the host keeps. Spec: `nights.md`.
//!
//! Nothing is written, locked, opened or sent: a status can be asked for by a monitor every minute,
//! also while a snapshot is taken.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::Error;
use super::last_run::{LastRun, RunState};
use crate::base::{Code, Coded, GenerationId, SnapshotId, with_causes};
use crate::manifest::OpenSpace;
use crate::vault::mirrors::spool_len;
use crate::vault::standing::Standing;
use crate::vault::state::StateDir;

/// A vault that is asked about.
pub struct StatusRequest {
    /// The host's state of it.
    pub state: StateDir,
    /// Its name.
    pub name: String,
    /// Its stores by name, the primary first.
    pub stores: Vec<String>,
    /// How old its newest snapshot may be, in hours.
    pub rpo_hours: u64,
}

/// Something that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What kind of thing.
    pub code: Code,
    /// What, and where.
    pub detail: String,
}

/// A snapshot and its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Aged<Id> {
    /// Its id.
    pub id: Id,
    /// Seconds since its time; less than zero if the clock went back.
    pub age_s: i64,
}

/// Seconds that a snapshot may lie in the future: two clocks never quite agree.
const FUTURE_S_MAX: i64 = 3600;

/// What a store has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreStatus {
    /// The store's name.
    pub store: String,
    /// The newest snapshot that it has whole.
    pub last_snapshot: Option<Aged<SnapshotId>>,
    /// Objects that wait for it.
    pub waiting_count: u64,
    /// Their bytes, as far as the host keeps them.
    pub waiting_len: u64,
}

/// How a vault stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VaultStatus {
    /// The vault's name.
    pub vault: String,
    /// The newest snapshot that the primary store has whole.
    pub last_snapshot: Option<Aged<SnapshotId>>,
    /// How old that may be, in seconds.
    pub rpo_s: u64,
    /// Whether it is older, or there is none.
    pub stale: bool,
    /// Its stores, the primary first.
    pub stores: Vec<StoreStatus>,
    /// Bytes in the spool, which wait for mirrors.
    pub spool_len: u64,
    /// The open generation.
    pub generation: Option<Aged<GenerationId>>,
    /// What it has stored.
    pub generation_space: Option<OpenSpace>,
    /// Whether the next snapshot opens another.
    pub roll_due: bool,
    /// The newest checkpoint of the host's log: a C2SP signed note.
    pub checkpoint: Option<String>,
    /// What is wrong.
    #[serde(skip)]
    pub problems: Vec<Problem>,
}

/// Tells how a vault stands; what cannot be read is a problem of the report.
pub fn vault_status(request: &StatusRequest, now: Timestamp) -> VaultStatus {
    let rpo_s = request.rpo_hours * 3600;
    let mut status = VaultStatus {
        vault: request.name.clone(),
        last_snapshot: None,
        rpo_s,
        stale: true,
        stores: Vec::new(),
        spool_len: spool_len(&request.state.file("spool")),
        generation: None,
        generation_space: None,
        roll_due: false,
        checkpoint: None,
        problems: Vec::new(),
    };
    if let Err(error) = fill(&mut status, request, now) {
        let detail = format!("vault {}: failed to {}", request.name, with_causes(&error));
        status.problems.push(Problem { code: error.code(), detail });
    }
    let stale = staleness(&status);
    status.stale = stale.is_some();
    status.problems.extend(stale);
    status
}

fn fill(status: &mut VaultStatus, request: &StatusRequest, now: Timestamp) -> Result<(), Error> {
    let standing = Standing::read(&request.state)?;
    status.checkpoint = standing.checkpoint().map(str::to_owned);
    let generation = standing.generation()?;
    status.generation = generation.map(|id| Aged { id, age_s: age_s(id.time(), now) });
    status.generation_space = Some(standing.space()?);
    status.roll_due = standing.roll_is_due()? || is_over(&standing, generation, now);
    for store in &request.stores {
        let newest = standing.newest_in(store)?;
        let waiting = standing.waiting(store)?;
        status.stores.push(StoreStatus {
            store: store.clone(),
            last_snapshot: newest.map(|id| Aged { id, age_s: age_s(id.time(), now) }),
            waiting_count: waiting.count,
            waiting_len: waiting.len,
        });
        if waiting.count > 0 {
            let (name, count, len) = (&request.name, waiting.count, waiting.len);
            let detail = format!("vault {name}: {count} objects, {len} bytes, wait for {store}");
            status.problems.push(Problem { code: Code::MirrorLagging, detail });
        }
    }
    status.last_snapshot = status.stores.first().and_then(|store| store.last_snapshot);
    if let Some(last) = status.last_snapshot.filter(|last| last.age_s < 0) {
        let detail = format!("vault {}: snapshot {} is in the future", request.name, last.id);
        status.problems.push(Problem { code: Code::ClockAnomaly, detail });
    }
    Ok(())
}

fn is_over(standing: &Standing, generation: Option<GenerationId>, now: Timestamp) -> bool {
    let days = standing.note().parameters.fields().generation_max_age_days;
    match (generation, days) {
        (Some(id), Some(days)) => {
            now >= id.time() + SignedDuration::from_hours(24 * i64::from(days))
        }
        _ => false,
    }
}

fn staleness(status: &VaultStatus) -> Option<Problem> {
    let detail = match status.last_snapshot {
        None => format!("vault {}: there is no snapshot", status.vault),
        Some(last) if u64::try_from(last.age_s).is_ok_and(|age| age > status.rpo_s) => format!(
            "vault {}: the newest snapshot, {}, is {} h old, at most {} h are allowed",
            status.vault,
            last.id,
            last.age_s / 3600,
            status.rpo_s / 3600
        ),
        Some(last) if last.age_s < -FUTURE_S_MAX => format!(
            "vault {}: the newest snapshot, {}, is in the future: whether nights failed since \
             cannot be told",
            status.vault, last.id
        ),
        Some(_) => return None,
    };
    Some(Problem { code: Code::SnapshotStale, detail })
}

/// Returns what the last run leaves to be told: that it failed, and what it warned of.
pub fn run_problems(run: &LastRun) -> Vec<Problem> {
    let failed = |detail: String| vec![Problem { code: Code::RunFailed, detail }];
    let Some(end) = &run.ended else {
        return match run.state() {
            RunState::CutOff => failed(format!(
                "the run that began at {} has no end: it was killed, or the machine stopped",
                run.started
            )),
            _ => Vec::new(),
        };
    };
    let mut problems = Vec::new();
    if let Some(error) = &end.error {
        let (exit, time) = (end.exit, end.time);
        problems = failed(format!("the last run failed at {time}: {error}, exit {exit}"));
    }
    for (text, count) in &end.warnings {
        // A code of a newer program is told as well, under the name that this one has for runs.
        let known = Code::ALL.iter().find(|code| code.text() == text);
        let code = known.copied().unwrap_or(Code::RunFailed);
        let detail = format!("{text}: {count} in the last run, which ended at {}", end.time);
        problems.push(Problem { code, detail });
    }
    problems
}

fn age_s(time: Timestamp, now: Timestamp) -> i64 {
    now.duration_since(time).as_secs()
}
