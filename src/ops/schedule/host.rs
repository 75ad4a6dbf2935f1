//! The host that a schedule is installed on: its files, `systemctl` and `crontab`.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde::Serialize;

use super::error::ScheduleError;
use super::{OWN_MARK, Plan, Scheduler, cron};

/// The service, below the root.
pub const SERVICE: &str = "etc/systemd/system/idswyft-vault.service";
/// The timer.
pub const TIMER: &str = "etc/systemd/system/idswyft-vault.timer";
/// What makes the timer start with the machine.
const WANTED: &str = "etc/systemd/system/timers.target.wants/idswyft-vault.timer";
/// The file of cron.
pub const CRON_FILE: &str = "etc/cron.d/idswyft-vault";
/// There while systemd runs the machine (sd_booted(3)).
const SYSTEMD_RUNS: &str = "run/systemd/system";
const CRON_DIR: &str = "etc/cron.d";
const UNIT: &str = "idswyft-vault.timer";

/// Whether the system is told of what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effects {
    /// `systemctl` and `crontab` are run.
    System,
    /// Only files are written: the root is that of an image or a package.
    Files,
}

/// A host, or the tree of one.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its root directory, usually `/`.
    pub root: PathBuf,
    /// Whether we are its root user.
    pub is_root: bool,
    /// What runs the night, if that is not to be found out.
    pub forced: Option<Scheduler>,
    /// Whether the system is told.
    pub effects: Effects,
    /// The program `systemctl`.
    pub systemctl: PathBuf,
    /// The program `crontab`.
    pub crontab: PathBuf,
}

/// A schedule that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// What runs the night.
    pub scheduler: Scheduler,
    /// Our files.
    pub files: Vec<PathBuf>,
    /// What says when: the line of the timer, or that of cron.
    pub line: String,
}

impl Host {
    /// Returns this machine.
    pub fn here() -> Self {
        Self {
            root: "/".into(),
            is_root: rustix::process::geteuid().is_root(),
            forced: None,
            effects: Effects::System,
            systemctl: "systemctl".into(),
            crontab: "crontab".into(),
        }
    }

    /// Returns the tree of a host below a directory; only its files are looked at and written.
    pub fn below(root: &Path) -> Self {
        let (root, effects) = (root.to_owned(), Effects::Files);
        Self { root, effects, is_root: true, ..Self::here() }
    }

    /// Returns a path below the root.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Returns what is to run the night here.
    pub fn scheduler(&self) -> Option<Scheduler> {
        if self.forced.is_some() {
            return self.forced;
        }
        if self.is_root && self.path(SYSTEMD_RUNS).is_dir() {
            return Some(Scheduler::Systemd);
        }
        if self.is_root && self.path(CRON_DIR).is_dir() {
            return Some(Scheduler::CronD);
        }
        let has_crontab = self.effects == Effects::System && self.read_crontab().is_ok();
        has_crontab.then_some(Scheduler::Crontab)
    }

    /// Reads the crontab of who we are.
    ///
    /// That there is none is told by an exit status and in words; anything else must not be taken
    /// for an empty one, because it will be written back.
    fn has_crontab(&self) -> bool {
        let output = Command::new(&self.crontab).arg("-l").stdin(Stdio::null()).output();
        !matches!(output, Err(cause) if cause.kind() == std::io::ErrorKind::NotFound)
    }

    fn read_crontab(&self) -> Result<Vec<u8>, ScheduleError> {
        let output = run(Command::new(&self.crontab).arg("-l").env("LC_ALL", "C"), None)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_none = said.contains("no crontab for") || said.contains("No such file");
        match (output.status.success(), output.stdout.is_empty() && is_none) {
            (true, _) => Ok(output.stdout),
            (false, true) => Ok(Vec::new()),
            (false, false) => Err(failed("crontab -l", &output)),
        }
    }

    fn write_crontab(&self, text: &[u8]) -> Result<(), ScheduleError> {
        let output = run(Command::new(&self.crontab).arg("-").env("LC_ALL", "C"), Some(text))?;
        if !output.status.success() {
            return Err(failed("crontab -", &output));
        }
        // What cron took is what counts.
        if self.read_crontab()? != text {
            let said = "the crontab is not as it was written".to_owned();
            return Err(ScheduleError::Program { program: "crontab".to_owned(), said });
        }
        Ok(())
    }

    fn systemctl(&self, words: &[&str]) -> Result<(), ScheduleError> {
        if self.effects == Effects::Files {
            return Ok(());
        }
        let output = run(Command::new(&self.systemctl).args(words), None)?;
        match output.status.success() {
            true => Ok(()),
            false => Err(failed(&format!("systemctl {}", words.join(" ")), &output)),
        }
    }
}

/// Finds the schedules that are installed.
///
/// # Errors
/// If a file of ours, or the crontab, cannot be read.
pub fn find(host: &Host) -> Result<Vec<Installed>, ScheduleError> {
    let mut found = Vec::new();
    if let Some(text) = own_text(&host.path(TIMER))? {
        let line = text.lines().find(|line| line.starts_with("OnCalendar="));
        found.push(Installed {
            scheduler: Scheduler::Systemd,
            files: vec![host.path(SERVICE), host.path(TIMER)],
            line: line.unwrap_or_default().to_owned(),
        });
    }
    if let Some(text) = own_text(&host.path(CRON_FILE))? {
        found.push(Installed {
            scheduler: Scheduler::CronD,
            files: vec![host.path(CRON_FILE)],
            line: text.lines().last().unwrap_or_default().to_owned(),
        });
    }
    // Where there is no crontab program there are no lines of ours; one that fails says nothing.
    if host.effects == Effects::System
        && host.has_crontab()
        && let Some(lines) = cron::own_lines(&host.read_crontab()?)?
    {
        let line = lines.trim_end().to_owned();
        found.push(Installed { scheduler: Scheduler::Crontab, files: Vec::new(), line });
    }
    Ok(found)
}

/// Installs what was planned, and then removes what another scheduler had of ours.
///
/// # Errors
/// If a file of that name is somebody else's, or the system refuses; what was there runs on.
pub fn install(host: &Host, plan: &Plan) -> Result<(), ScheduleError> {
    for file in &plan.files {
        if file.path.exists() && own_text(&file.path)?.is_none() {
            return Err(ScheduleError::Foreign { path: file.path.clone() });
        }
    }
    let before = find(host)?;
    for file in &plan.files {
        write_whole(&file.path, file.text.as_bytes())?;
    }
    match (plan.scheduler, &plan.lines) {
        (Scheduler::Systemd, _) => enable(host)?,
        (Scheduler::Crontab, Some(lines)) => {
            let crontab = host.read_crontab()?;
            let with = cron::with_lines(&crontab, lines)?;
            if with != crontab {
                host.write_crontab(&with)?;
            }
        }
        _ => {}
    }
    let others = before.iter().filter(|installed| installed.scheduler != plan.scheduler);
    others.map(|installed| installed.scheduler).try_for_each(|other| take_away(host, other))
}

/// Removes what is ours, and returns it.
///
/// # Errors
/// If the system refuses.
pub fn remove(host: &Host) -> Result<Vec<Installed>, ScheduleError> {
    let found = find(host)?;
    found.iter().try_for_each(|installed| take_away(host, installed.scheduler))?;
    Ok(found)
}

fn enable(host: &Host) -> Result<(), ScheduleError> {
    if host.effects == Effects::System {
        host.systemctl(&["daemon-reload"])?;
        host.systemctl(&["enable", UNIT])?;
        // One that runs already would keep the time that it had.
        return host.systemctl(&["restart", UNIT]);
    }
    let link = host.path(WANTED);
    make_parent(&link)?;
    let target = Path::new("/").join(TIMER);
    match std::os::unix::fs::symlink(&target, &link) {
        Err(cause) if cause.kind() != ErrorKind::AlreadyExists => {
            Err(ScheduleError::File { action: "link", path: link, cause })
        }
        _ => Ok(()),
    }
}

fn take_away(host: &Host, scheduler: Scheduler) -> Result<(), ScheduleError> {
    match scheduler {
        Scheduler::Systemd => {
            host.systemctl(&["disable", "--now", UNIT])?;
            remove_file(&host.path(WANTED))?;
            if own_text(&host.path(SERVICE))?.is_some() {
                remove_file(&host.path(SERVICE))?;
            }
            remove_file(&host.path(TIMER))?;
            host.systemctl(&["daemon-reload"])
        }
        Scheduler::CronD => remove_file(&host.path(CRON_FILE)),
        Scheduler::Crontab => match cron::without_lines(&host.read_crontab()?)? {
            Some(without) => host.write_crontab(&without),
            None => Ok(()),
        },
    }
}

/// Reads a file that is ours; nothing if there is none, or it is somebody else's.
fn own_text(path: &Path) -> Result<Option<String>, ScheduleError> {
    match fs::read(path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Ok(Some(text).filter(|text| text.starts_with(OWN_MARK)))
        }
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(ScheduleError::File { action: "read", path: path.to_owned(), cause }),
    }
}

/// Writes a file whole or not at all; cron and systemd take no notice of the name before it.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ScheduleError> {
    make_parent(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let staged = path.with_file_name(format!(".{name}.new"));
    let write = || {
        let mut options = File::options();
        let mut file = options.write(true).create(true).truncate(true).mode(0o644).open(&staged)?;
        // Cron ignores a file that others may write, whatever the umask was.
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&staged, path)
    };
    write().map_err(|cause| ScheduleError::File { action: "write", path: path.to_owned(), cause })
}

fn make_parent(path: &Path) -> Result<(), ScheduleError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let made = fs::create_dir_all(parent);
    made.map_err(|cause| ScheduleError::File { action: "create", path: parent.to_owned(), cause })
}

fn remove_file(path: &Path) -> Result<(), ScheduleError> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => {
            Err(ScheduleError::File { action: "remove", path: path.to_owned(), cause })
        }
        _ => Ok(()),
    }
}

/// Runs a program to its end.
fn run(command: &mut Command, input: Option<&[u8]>) -> Result<Output, ScheduleError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let wrap = |cause: std::io::Error| ScheduleError::Program {
        program: program.clone(),
        said: cause.to_string(),
    };
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(wrap)?;
    if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), input) {
        // A program that does not read tells why by its exit status.
        let _ = pipe.write_all(bytes);
    }
    child.wait_with_output().map_err(wrap)
}

fn failed(program: &str, output: &Output) -> ScheduleError {
    let said = String::from_utf8_lossy(&output.stderr);
    let said = format!("{}: {}", output.status, said.trim());
    ScheduleError::Program { program: program.to_owned(), said }
}
