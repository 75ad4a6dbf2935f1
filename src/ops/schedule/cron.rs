//! Lines of cron: what is written, and how it gets into a crontab that belongs to somebody.

use std::path::Path;

use super::error::ScheduleError;
use super::time::TimeOfDay;
use super::{NightCheck, NightJob};

/// First line of what is ours in a crontab.
pub const BEGIN: &str = "# idswyft-vault: begin; `schedule remove` takes out these lines";
/// Last line of it.
pub const END: &str = "# idswyft-vault: end";
/// Where cron looks for programs: its own default has no sbin and no local directories.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Whether a line names the user that it runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserField {
    /// A file of `/etc/cron.d`: root.
    Root,
    /// A user's own crontab has no such field.
    None,
}

/// Composes the line that runs the night at a local time.
///
/// # Errors
/// If a path cannot be written in it.
pub fn line(job: &NightJob, at: TimeOfDay, user: UserField) -> Result<String, ScheduleError> {
    let user = match user {
        UserField::Root => "root ",
        UserField::None => "",
    };
    let run =
        format!("{} --config {} --quiet", shell_word(&job.program)?, shell_word(&job.config)?);
    let host = match &job.docker_host {
        Some(host) => format!("DOCKER_HOST={} ", shell_word(Path::new(host))?),
        None => String::new(),
    };
    // A snapshot with warnings ends with 4, and what there is must be verified all the same.
    let check = match job.check {
        NightCheck::Verify => format!("; nice -n 10 {run} verify --level stored --ping"),
        NightCheck::Nothing => String::new(),
    };
    let command = format!("umask 077; export PATH={PATH}; {host}nice -n 10 {run} snapshot{check}");
    // To cron a percent sign is the end of the line.
    let command = command.replace('%', "\\%");
    Ok(format!("{} {} * * * {user}{command}\n", at.minute_of_hour(), at.hour()))
}

/// Returns a crontab with our lines in it: in the place of those that are there, else at its end.
/// Every other byte stays.
///
/// # Errors
/// If our marks in it are not a pair.
pub fn with_lines(crontab: &[u8], lines: &str) -> Result<Vec<u8>, ScheduleError> {
    let block = format!("{BEGIN}\n{lines}{END}\n");
    let (before, after) = match find(crontab)? {
        Some(ours) => (&crontab[..ours.start], &crontab[ours.end..]),
        None => (crontab, &[][..]),
    };
    let mut whole = before.to_vec();
    // Only a crontab that cron itself would refuse ends without a line feed.
    if !whole.is_empty() && !whole.ends_with(b"\n") {
        whole.push(b'\n');
    }
    whole.extend_from_slice(block.as_bytes());
    whole.extend_from_slice(after);
    Ok(whole)
}

/// Returns a crontab without our lines; nothing if there are none.
///
/// # Errors
/// If our marks in it are not a pair.
pub fn without_lines(crontab: &[u8]) -> Result<Option<Vec<u8>>, ScheduleError> {
    Ok(find(crontab)?.map(|ours| [&crontab[..ours.start], &crontab[ours.end..]].concat()))
}

/// Returns our own lines in a crontab, without the marks.
///
/// # Errors
/// If our marks in it are not a pair.
pub fn own_lines(crontab: &[u8]) -> Result<Option<String>, ScheduleError> {
    let Some(ours) = find(crontab)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&crontab[ours]).into_owned();
    let inside = text.lines().filter(|line| *line != BEGIN && *line != END);
    Ok(Some(inside.map(|line| format!("{line}\n")).collect()))
}

/// Finds our lines, marks included.
fn find(crontab: &[u8]) -> Result<Option<std::ops::Range<usize>>, ScheduleError> {
    let (mut begin, mut end, mut at) = (Vec::new(), Vec::new(), 0);
    for line in crontab.split_inclusive(|&byte| byte == b'\n') {
        match line.strip_suffix(b"\n").unwrap_or(line) {
            text if text == BEGIN.as_bytes() => begin.push(at),
            text if text == END.as_bytes() => end.push(at + line.len()),
            _ => {}
        }
        at += line.len();
    }
    match (begin.as_slice(), end.as_slice()) {
        ([], []) => Ok(None),
        ([begin], [end]) if begin < end => Ok(Some(*begin..*end)),
        _ => Err(ScheduleError::Marks {
            reason: "the lines that mark what is ours are not one pair: mend it by hand",
        }),
    }
}

/// Quotes a path for the shell.
fn shell_word(path: &Path) -> Result<String, ScheduleError> {
    let text = super::plain(path)?;
    Ok(format!("'{}'", text.replace('\'', "'\\''")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert_eq, proptest};

    const LINES: &str = "1 2 * * * x\n";

    /// N-4
    #[test]
    fn what_is_not_ours_in_a_crontab_stays_byte_for_byte() {
        let own = b"# m h\nPATH=/x\n\xff 5 * * * * /opt/a%b\n\n\n".to_vec();
        let with = with_lines(&own, LINES).unwrap();
        assert!(with.starts_with(&own));
        assert_eq!(with_lines(&with, LINES).unwrap(), with, "a second time changes nothing");
        let later = [with.as_slice(), b"7 7 * * * later\n"].concat();
        let replaced = with_lines(&later, "3 3 * * * y\n").unwrap();
        assert!(replaced.ends_with(b"end\n7 7 * * * later\n"));
        assert_eq!(own_lines(&replaced).unwrap().unwrap(), "3 3 * * * y\n");
        let without = without_lines(&replaced).unwrap().unwrap();
        assert_eq!(without, [own.as_slice(), b"7 7 * * * later\n"].concat());
        assert_eq!(without_lines(&own).unwrap(), None);
    }

    /// N-4
    #[test]
    fn marks_that_are_no_pair_are_refused() {
        for wrong in [
            format!("{BEGIN}\n1 2 * * * x\n"),
            format!("{END}\n{BEGIN}\n"),
            format!("{BEGIN}\n{BEGIN}\n{END}\n"),
            format!("{END}\n"),
        ] {
            assert!(with_lines(wrong.as_bytes(), LINES).is_err(), "{wrong}");
            assert!(without_lines(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    proptest! {
        /// N-4
        #[test]
        fn any_crontab_comes_back_as_it_was(lines in "([ -~\\xe9]{0,20}\n){0,6}") {
            let with = with_lines(lines.as_bytes(), LINES).unwrap();
            prop_assert_eq!(without_lines(&with).unwrap().unwrap(), lines.as_bytes());
        }
    }

    #[test]
    fn a_line_of_cron_quotes_for_the_shell_and_for_cron() {
        let mut job = NightJob::plain("/opt/it's/idswyft-vault", "/etc/50%.toml");
        let line = line(&job, "03:40".parse().unwrap(), UserField::Root).unwrap();
        assert!(line.starts_with("40 3 * * * root umask 077; "), "{line}");
        assert!(line.contains(r"'/opt/it'\''s/idswyft-vault' --config '/etc/50\%.toml'"), "{line}");
        assert_eq!(line.lines().count(), 1);
        job.config = "/etc/a\nb".into();
        assert!(super::line(&job, TimeOfDay::of_minute(0), UserField::None).is_err());
    }
}
