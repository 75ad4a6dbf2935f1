//! `status`: whether the nights do what they should.

use serde_json::json;

use crate::base::{Code, Coded, Event, Observer};
use crate::cli::args::StatusArgs;
use crate::cli::config::Config;
use crate::cli::places;
use crate::cli::report::{Ending, Failure, words};
use crate::cli::session::Session;
use crate::ops::last_run::{LastRun, RunState};
use crate::ops::schedule::{self, Host, Installed};
use crate::ops::status::{self, Aged, Problem, StatusRequest, VaultStatus};
use crate::vault::state::StateDir;

/// Tells how the vaults stand.
///
/// # Errors
/// If the config or the record of the last run cannot be read. What else is wrong is in the report.
pub fn run(_args: &StatusArgs, session: &Session) -> Result<Ending, Failure> {
    let config = session.config()?;
    let now = session.clock.now();
    let mut vaults = Vec::new();
    for vault in config.select(session.global.vault.as_deref())? {
        let request = StatusRequest {
            state: StateDir::new(&config.state_dir, &vault.name),
            name: vault.name.clone(),
            stores: vault.stores.iter().map(|store| store.name.clone()).collect(),
            rpo_hours: config.nights.rpo_hours_of(vault.policy.every()),
        };
        vaults.push(status::vault_status(&request, now));
    }
    let last_run = LastRun::read(&config.state_dir)?;
    let (schedules, unclear) = match schedule::find(&Host::here()) {
        Ok(schedules) => (schedules, None),
        Err(error) => {
            let detail = format!("failed to {error}");
            (Vec::new(), Some(Problem { code: error.code(), detail }))
        }
    };
    let problems = problems(&config, &vaults, last_run.as_ref(), &schedules);
    for problem in problems.into_iter().chain(unclear) {
        let Problem { code, detail } = problem;
        session.progress.observe(Event::Warning { code, detail });
    }
    let is_stale = vaults.iter().any(|vault| vault.stale);
    let ending = if is_stale { Ending::Stale } else { Ending::Done };
    let object = json!({
        "vaults": vaults,
        "last_run": last_run,
        "schedules": schedules,
        "escrow": config.escrow.is_some(),
    });
    let warnings = session.progress.warnings();
    session.report.deed(object, &warnings, ending, || {
        let mut text: String = vaults.iter().map(vault_text).collect();
        text.push_str(&run_text(last_run.as_ref()));
        text.push_str(&schedule_text(&schedules));
        text
    })
}

fn problems(
    config: &Config,
    vaults: &[VaultStatus],
    last_run: Option<&LastRun>,
    schedules: &[Installed],
) -> Vec<Problem> {
    let mut problems: Vec<Problem> =
        vaults.iter().flat_map(|vault| vault.problems.iter().cloned()).collect();
    problems.extend(last_run.map(status::run_problems).unwrap_or_default());
    if schedules.is_empty() {
        let detail = "nothing of `schedule install` is on this host".to_owned();
        problems.push(Problem { code: Code::ScheduleMissing, detail });
    }
    let places = crate::ops::places::warnings(&places::place_facts(config));
    problems.extend(places.into_iter().map(|(code, detail)| Problem { code, detail }));
    problems
}

fn vault_text(vault: &VaultStatus) -> String {
    let rpo = words::duration(vault.rpo_s * 1000);
    let mut text = match &vault.last_snapshot {
        Some(last) => format!(
            "vault {}: snapshot {} of {} ago{}, at most {rpo} are allowed\n",
            vault.vault,
            last.id,
            age(last),
            if vault.stale { ", TOO OLD" } else { "" },
        ),
        None => format!("vault {}: NO SNAPSHOT, at most {rpo} are allowed\n", vault.vault),
    };
    for store in &vault.stores {
        let last = match &store.last_snapshot {
            Some(last) => format!("has {}", last.id),
            None => "has no snapshot".to_owned(),
        };
        let waiting = match store.waiting_count {
            0 => "nothing waits for it".to_owned(),
            count => format!(
                "{}, {}, wait for it",
                words::count(count, "object"),
                words::bytes(store.waiting_len)
            ),
        };
        text.push_str(&format!("  store {} {last}, {waiting}\n", store.store));
    }
    if vault.spool_len > 0 {
        text.push_str(&format!("  spool: {}\n", words::bytes(vault.spool_len)));
    }
    if let Some(generation) = &vault.generation {
        let due = if vault.roll_due { ", the next snapshot opens another" } else { "" };
        let days = generation.age_s.max(0) / 86_400;
        text.push_str(&format!("  generation {}, {days} days old{due}\n", generation.id));
    }
    if let Some(space) = &vault.generation_space {
        let (stored, retired) = (words::bytes(space.stored_len), words::bytes(space.retired_len));
        let packs = words::count(space.pack_count, "pack");
        text.push_str(&format!("    {packs}, {stored}, of which {retired} are retired\n"));
    }
    if let Some(checkpoint) = &vault.checkpoint {
        text.push_str("  newest checkpoint:\n");
        checkpoint.lines().for_each(|line| text.push_str(&format!("    {line}\n")));
    }
    text
}

fn age<Id>(aged: &Aged<Id>) -> String {
    words::duration(u64::try_from(aged.age_s).unwrap_or(0) * 1000)
}

fn run_text(last_run: Option<&LastRun>) -> String {
    let Some(run) = last_run else { return "no run is recorded\n".to_owned() };
    let began = words::time(run.started);
    match (run.state(), &run.ended) {
        (_, Some(end)) => format!("last run: began {began}, exit {}\n", end.exit),
        (RunState::Running, None) => {
            format!("a run is under way: began {began}, process {}\n", run.process)
        }
        (_, None) => format!("last run: began {began}, CUT OFF\n"),
    }
}

fn schedule_text(schedules: &[Installed]) -> String {
    match schedules {
        [] => "schedule: none\n".to_owned(),
        all => all.iter().map(|installed| format!("schedule: {}\n", installed.line)).collect(),
    }
}
