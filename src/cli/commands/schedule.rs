//! `schedule`: the nightly run, installed, shown and removed.

use jiff::tz::TimeZone;
use serde_json::json;

use crate::cli::args::{
    ScheduleArgs, ScheduleCommand, ScheduleInstallArgs, ScheduleRootArgs, SchedulerArg,
};
use crate::cli::places;
use crate::cli::report::{Ending, Failure};
use crate::cli::session::Session;
use crate::ops::schedule::{self, Host, Installed, LocalClock, NightCheck, Plan, Scheduler};

/// Installs, shows or removes the schedule.
///
/// # Errors
/// If a time is refused, a file is somebody else's, or the system refuses.
pub fn run(args: &ScheduleArgs, session: &Session) -> Result<Ending, Failure> {
    match &args.command {
        ScheduleCommand::Install(args) => install(args, session),
        ScheduleCommand::Show(args) => show(args, session),
        ScheduleCommand::Remove(args) => remove(args, session),
    }
}

fn host_of(args: &ScheduleRootArgs) -> Host {
    args.root.as_deref().map_or_else(Host::here, Host::below)
}

fn install(args: &ScheduleInstallArgs, session: &Session) -> Result<Ending, Failure> {
    let config = session.config()?;
    let mut host = host_of(&args.root);
    host.forced = args.scheduler.map(|scheduler| match scheduler {
        SchedulerArg::Systemd => Scheduler::Systemd,
        SchedulerArg::CronD => Scheduler::CronD,
        SchedulerArg::Crontab => Scheduler::Crontab,
    });
    let clock = LocalClock::of(&TimeZone::system(), session.clock.now());
    let plan = schedule::plan(&host, &places::night_job(&config)?, args.at, &clock)?;
    if !args.dry_run {
        schedule::install(&host, &plan)?;
    }
    let object = json!({ "installed": !args.dry_run, "schedule": plan });
    session.report.deed(object, &[], Ending::Done, || match args.dry_run {
        true => whole_text(&plan),
        false => summary(&plan),
    })
}

/// Returns every file and line as it would be written.
fn whole_text(plan: &Plan) -> String {
    let mut text: String = plan
        .files
        .iter()
        .map(|file| format!("# {}\n{}\n", file.path.display(), file.text))
        .collect();
    if let Some(lines) = &plan.lines {
        text.push_str(&format!("# crontab\n{lines}\n"));
    }
    text + &format!("nothing was written; {}", when(plan))
}

fn summary(plan: &Plan) -> String {
    let mut text = String::new();
    for file in &plan.files {
        text.push_str(&format!("wrote {}\n", file.path.display()));
    }
    if plan.lines.is_some() {
        text.push_str("wrote the lines of the crontab\n");
    }
    text + &when(plan)
}

/// Says when the night begins, and what a change of clocks does to that.
fn when(plan: &Plan) -> String {
    let Plan { at_utc, at_local, .. } = plan;
    let check = match plan.check {
        NightCheck::Verify => "",
        NightCheck::Nothing => {
            "nothing is verified at night: the credentials here may read no store (put_only), so \
             let an auditor run `verify` elsewhere\n"
        }
    };
    let when = match plan.scheduler {
        Scheduler::Systemd => format!(
            "every night at {at_utc} UTC, delayed by up to {} minutes: {at_local} here today, an \
             hour off when the clocks change\n",
            plan.delay_s / 60
        ),
        Scheduler::CronD | Scheduler::Crontab => format!(
            "every night at {at_local} here: {at_utc} UTC today, outside the stack's hours in \
             summer and winter\n"
        ),
    };
    when + check
}

fn show(args: &ScheduleRootArgs, session: &Session) -> Result<Ending, Failure> {
    let found = schedule::find(&host_of(args))?;
    session.report.result(json!({ "schedules": found }), &[], || match found.is_empty() {
        true => "no schedule is installed\n".to_owned(),
        false => found.iter().map(text_of).collect(),
    })?;
    Ok(Ending::Done)
}

fn text_of(installed: &Installed) -> String {
    let place = match installed.scheduler {
        Scheduler::Crontab => "the crontab".to_owned(),
        _ => installed.files.last().map(|path| path.display().to_string()).unwrap_or_default(),
    };
    format!("{place}: {}\n", installed.line)
}

fn remove(args: &ScheduleRootArgs, session: &Session) -> Result<Ending, Failure> {
    let found = schedule::remove(&host_of(args))?;
    session.report.deed(json!({ "removed": found }), &[], Ending::Done, || match found.is_empty() {
        true => "no schedule was installed\n".to_owned(),
        false => found.iter().map(|installed| format!("removed {}", text_of(installed))).collect(),
    })
}
