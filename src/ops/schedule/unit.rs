//! The systemd units: a service that can read the sources and write only what it must, and its
//! timer.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::error::ScheduleError;
use super::time::{TimeOfDay, delay_s};
use super::{NightCheck, NightJob, OWN_MARK, SourcePrograms};

/// Directories that `ProtectHome=` hides.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];
/// Directories that `PrivateTmp=` replaces.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

/// What the service may do whatever the config says, with the reason of each group.
const HARDENING: &str = "\
# It is root that nothing is left of: it may read what belongs to others.
NoNewPrivileges=yes
ProtectSystem=strict
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
# AF_UNIX is docker's and PostgreSQL's socket.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
";

/// Composes the service.
///
/// # Errors
/// If a path cannot be written in it.
pub fn service(job: &NightJob) -> Result<String, ScheduleError> {
    let run = format!("{} --config {} --quiet", word(&job.program)?, word(&job.config)?);
    let check = match job.check {
        NightCheck::Verify => format!("ExecStart={run} verify --level stored --ping\n"),
        NightCheck::Nothing => String::new(),
    };
    let mut text = format!(
        "{OWN_MARK}\n[Unit]\nDescription=Snapshot and check of the Idswyft archive\n\
         Wants=network-online.target\n\
         After=network-online.target docker.service postgresql.service\n\n\
         [Service]\nType=oneshot\n\
         ExecStart={run} snapshot\n\
         {check}\
         # Done with warnings, which `status` tells.\nSuccessExitStatus=4\n\
         UMask=0077\nNice=10\nIOSchedulingClass=best-effort\nIOSchedulingPriority=7\n\
         MemoryMax=2G\n\n{HARDENING}"
    );
    write_sandbox(&mut text, job)?;
    if let Some(host) = &job.docker_host {
        let host = setting_word(Path::new(&format!("DOCKER_HOST={host}")))?;
        text.push_str(&format!("Environment={host}\n"));
    }
    for (name, path) in &job.credentials {
        text.push_str(&format!("LoadCredential={name}:{}\n", setting(path)?));
    }
    Ok(text)
}

fn write_sandbox(text: &mut String, job: &NightJob) -> Result<(), ScheduleError> {
    let mut writable = vec![setting_word(&job.state_dir)?];
    // A store whose disk is not mounted must not keep the service from telling so.
    for path in &job.writable {
        writable.push(format!("-{}", setting_word(path)?));
    }
    let mut add = |line: std::fmt::Arguments<'_>| {
        writeln!(text, "{line}").expect("writing to a string does not fail");
    };
    let is_below = |roots: &[&str]| {
        let below = |path: &&PathBuf| roots.iter().any(|root| path.starts_with(root));
        job.paths().any(|path| below(&path))
    };
    // Docker's own settings are in the home of who calls it.
    let needs_home = job.programs == SourcePrograms::Foreign || job.docker_host.is_some();
    add(format_args!(
        "ProtectHome={}",
        if needs_home || is_below(&HOMES) { "read-only" } else { "yes" }
    ));
    // Where they are not replaced, strict protection would leave them unwritable.
    let keeps_tmp = is_below(&TEMPORARY);
    if keeps_tmp {
        writable.extend(TEMPORARY.map(str::to_owned));
    }
    add(format_args!("ReadWritePaths={}", writable.join(" ")));
    add(format_args!("PrivateTmp={}", if keeps_tmp { "no" } else { "yes" }));
    add(format_args!("CapabilityBoundingSet={}", capabilities(job).join(" ")));
    Ok(())
}

/// Returns what of root is left.
fn capabilities(job: &NightJob) -> Vec<&'static str> {
    let mut kept = vec!["CAP_DAC_READ_SEARCH"];
    if job.programs == SourcePrograms::Foreign {
        // The command of the config may have to become the database's user.
        kept.extend(["CAP_SETUID", "CAP_SETGID"]);
    }
    if job.writes_for_others {
        kept.push("CAP_DAC_OVERRIDE");
    }
    kept
}

/// Composes the timer; systemd reads the time in UTC, whatever the host's zone does.
pub fn timer(at: TimeOfDay) -> String {
    format!(
        "{OWN_MARK}\n[Unit]\nDescription=Nightly snapshot of Idswyft\n\n[Timer]\n\
         # Outside the hours in which the stack deletes and restarts, all of it UTC.\n\
         OnCalendar=*-*-* {at}:00 UTC\nRandomizedDelaySec={}\nAccuracySec=1s\n\
         # A night that the machine slept through is made up for.\nPersistent=true\n\n\
         [Install]\nWantedBy=timers.target\n",
        delay_s(at)
    )
}

/// Quotes one word of a command line: `$` and `%` mean something there.
fn word(path: &Path) -> Result<String, ScheduleError> {
    let text = super::plain(path)?.replace('%', "%%").replace('$', "$$");
    Ok(quote(&text))
}

/// Quotes one word of a list of paths: only `%` means something there.
fn setting_word(path: &Path) -> Result<String, ScheduleError> {
    Ok(quote(&setting(path)?))
}

/// Writes a path that is a whole setting, which is not quoted.
fn setting(path: &Path) -> Result<String, ScheduleError> {
    Ok(super::plain(path)?.replace('%', "%%"))
}

fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.:=%$@+,".contains(c);
    match text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> NightJob {
        NightJob::plain("/usr/bin/idswyft-vault", "/etc/idswyft-vault/config.toml")
    }

    fn has(text: &str, line: &str) -> bool {
        text.lines().any(|found| found == line)
    }

    /// N-7
    #[test]
    fn the_service_may_write_only_what_the_config_names() {
        let mut job = job();
        job.state_dir = "/var/lib/idswyft-vault".into();
        job.writable = vec!["/var/backups/a b".into(), "/mnt/50%$x".into()];
        let text = service(&job).unwrap();
        let paths = r#"ReadWritePaths=/var/lib/idswyft-vault -"/var/backups/a b" -/mnt/50%%$x"#;
        assert!(has(&text, paths), "{text}");
        for line in [
            "ProtectSystem=strict",
            "NoNewPrivileges=yes",
            "PrivateTmp=yes",
            "ProtectHome=yes",
            "UMask=0077",
            "LockPersonality=yes",
            "CapabilityBoundingSet=CAP_DAC_READ_SEARCH",
            "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
        ] {
            assert!(has(&text, line), "{line}: {text}");
        }
    }

    /// N-7
    #[test]
    fn what_the_config_leans_on_is_not_hidden_from_the_service() {
        let mut job = job();
        job.readable = vec!["/root/idswyft-community".into()];
        assert!(has(&service(&job).unwrap(), "ProtectHome=read-only"));
        job.readable = vec!["/tmp".into()];
        assert!(has(&service(&job).unwrap(), "PrivateTmp=no"));
        job.programs = SourcePrograms::Foreign;
        job.writes_for_others = true;
        let text = service(&job).unwrap();
        let set =
            "CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_SETUID CAP_SETGID CAP_DAC_OVERRIDE";
        assert!(has(&text, set), "{text}");
        job.docker_host = Some("unix:///run/user/1000/docker.sock".into());
        let text = service(&job).unwrap();
        assert!(has(&text, "Environment=DOCKER_HOST=unix:///run/user/1000/docker.sock"), "{text}");
    }

    /// N-8
    #[test]
    fn credentials_are_handed_over_by_name_and_the_commands_hold_no_identity() {
        let mut job = job();
        job.credentials = vec![("store-glacier".into(), "/etc/idswyft-vault/s3.ini".into())];
        let text = service(&job).unwrap();
        assert!(has(&text, "LoadCredential=store-glacier:/etc/idswyft-vault/s3.ini"), "{text}");
        let starts: Vec<&str> = text.lines().filter(|line| line.starts_with("Exec")).collect();
        let run = "/usr/bin/idswyft-vault --config /etc/idswyft-vault/config.toml --quiet";
        let expected = [
            format!("ExecStart={run} snapshot"),
            format!("ExecStart={run} verify --level stored --ping"),
        ];
        assert_eq!(starts, expected);
        job.check = NightCheck::Nothing;
        assert!(!service(&job).unwrap().contains("verify"));
    }

    #[test]
    fn a_command_line_keeps_spaces_dollars_and_percent_signs() {
        assert_eq!(word(Path::new("/a b/$c%d\"e")).unwrap(), r#""/a b/$$c%%d\"e""#);
        assert!(word(Path::new("/a\nExecStart=/bin/sh")).is_err());
    }

    /// N-1 N-3
    #[test]
    fn the_timer_is_in_utc_and_bounded() {
        let text = timer("02:40".parse().unwrap());
        assert!(has(&text, "OnCalendar=*-*-* 02:40:00 UTC"));
        assert!(has(&text, "RandomizedDelaySec=900") && has(&text, "Persistent=true"));
        assert!(has(&timer("01:50".parse().unwrap()), "RandomizedDelaySec=240"));
    }
}
