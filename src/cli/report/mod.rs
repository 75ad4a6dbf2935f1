//! What the program says: data on standard output, everything else on standard error.
//!
//! - With `--json`, standard output gets exactly one JSON object: the result, or the error.
//! - Text that comes from outside, such as a file's name, cannot drive the terminal.
//! - Colours only on a terminal, and not when `NO_COLOR` is set.

mod audited;
pub mod evidence;
mod failure;
mod sampled;
pub mod table;
pub mod verification;
pub mod words;

use std::io::{ErrorKind, IsTerminal, Write};

use serde::Serialize;
use serde_json::{Value, json};

pub use failure::{Failure, SystemError};

use super::args::GlobalArgs;
use crate::base::Code;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Everything that was asked for is done; exit 0, or 4 with warnings.
    Done,
    /// `verify` found damage, or `restore` left out what is damaged; exit 3.
    Damaged,
    /// `verify` found what only a newer program can read; exit 7.
    TooNew,
    /// `verify` found only what interrupted runs left over; exit 4.
    LeftOver,
    /// What is needed is archived or being thawed; exit 8.
    Frozen,
    /// `store check` found a store that cannot be used as it is configured; exit 1.
    Unfit,
    /// Something goes, and nobody here may record it: nothing was done; exit 2.
    Elsewhere,
    /// `status` found a vault without a snapshot that is new enough; exit 1.
    Stale,
}

impl Ending {
    /// Returns the exit code, given how many warnings there were.
    pub const fn exit(self, warning_count: usize) -> u8 {
        match self {
            Self::Damaged => 3,
            Self::TooNew => 7,
            Self::LeftOver => 4,
            Self::Stale | Self::Unfit => 1,
            Self::Frozen => 8,
            Self::Elsewhere => 2,
            Self::Done if warning_count > 0 => 4,
            Self::Done => 0,
        }
    }
}

/// What is said in which colour.
#[derive(Debug, Clone, Copy)]
enum Tone {
    Error,
    Warning,
    Hint,
}

impl Tone {
    const fn escape(self) -> &'static str {
        match self {
            Self::Error => "\x1b[1;31m",
            Self::Warning => "\x1b[1;33m",
            Self::Hint => "\x1b[1;36m",
        }
    }
}

/// Says things, as the global options and the terminal want them.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    json: bool,
    quiet: bool,
    coloured: bool,
}

impl Report {
    /// Looks at the options, the environment and the terminal.
    pub fn new(global: &GlobalArgs) -> Self {
        Self::of(global.json, global.quiet)
    }

    /// Makes a report of two of the options.
    pub fn of(json: bool, quiet: bool) -> Self {
        let variable = |name| std::env::var_os(name).unwrap_or_default();
        let coloured = std::io::stderr().is_terminal()
            && variable("NO_COLOR").is_empty()
            && variable("TERM") != "dumb";
        Self { json, quiet, coloured }
    }

    /// Tells whether standard output gets JSON.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Tells whether success is to be silent.
    pub const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Writes the result: one JSON object with `--json`, else the words.
    ///
    /// Warnings are added to the object as `warnings`, if there were any.
    ///
    /// # Errors
    /// If standard output cannot be written; a reader that went away is no error.
    pub fn result(
        &self,
        object: impl Serialize,
        warnings: &[Warning],
        words: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if !self.json {
            return self.data(words().as_bytes());
        }
        let mut value = serde_json::to_value(object)
            .map_err(|error| Failure::system("write the result as JSON", error.into()))?;
        if let (Value::Object(map), false) = (&mut value, warnings.is_empty()) {
            map.insert("warnings".to_owned(), json!(warnings));
        }
        self.data(format!("{value}\n").as_bytes())
    }

    /// Writes what a command did, as [`Self::result`] does; with `--quiet`, success has no words.
    ///
    /// # Errors
    /// As [`Self::result`].
    pub fn deed(
        &self,
        object: impl Serialize,
        warnings: &[Warning],
        ending: Ending,
        words: impl FnOnce() -> String,
    ) -> Result<Ending, Failure> {
        let is_silent = self.quiet && ending == Ending::Done;
        self.result(object, warnings, || if is_silent { String::new() } else { words() })?;
        Ok(ending)
    }

    /// Writes bytes to standard output.
    ///
    /// # Errors
    /// If it cannot be written; a reader that went away is no error.
    pub fn data(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Failure::system("write to standard output", error))
            }
            _ => Ok(()),
        }
    }

    /// Says what goes well, unless success is to be silent.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            say(&format!("{}\n", words::printable(text)));
        }
    }

    /// Returns the line of a warning, for whoever must draw around it.
    pub fn warning_line(&self, warning: &Warning) -> String {
        let label = self.label(Tone::Warning, &format!("warning[{}]", warning.code));
        format!("{label}: {}\n", words::printable(&warning.detail))
    }

    /// Returns the line that says what to do about a code.
    pub fn hint_line(&self, code: Code) -> String {
        format!("{}: {}\n", self.label(Tone::Hint, "hint"), code.hint())
    }

    /// Says why the command failed: once, with what caused it and a hint.
    pub fn failure(&self, failure: &Failure) {
        if self.json {
            let object = json!({ "error": failure.to_json() });
            // There is nothing left to say if even this cannot be written.
            let _ = self.data(format!("{object}\n").as_bytes());
        } else {
            say(&self.failure_lines(failure));
        }
    }

    fn failure_lines(&self, failure: &Failure) -> String {
        let mut chain = failure.chain().into_iter().map(|text| words::printable(&text));
        let label = self.label(Tone::Error, &format!("error[{}]", failure.code()));
        let mut lines = format!("{label}: failed to {}\n", chain.next().unwrap_or_default());
        for cause in chain {
            lines.push_str(&format!("  caused by: {cause}\n"));
        }
        lines + &self.hint_line(failure.code())
    }

    fn label(&self, tone: Tone, text: &str) -> String {
        if self.coloured { format!("{}{text}\x1b[0m", tone.escape()) } else { text.to_owned() }
    }
}

/// Something that needs a person's attention but did not stop the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// What kind of thing.
    #[serde(serialize_with = "code_text")]
    pub code: Code,
    /// What, on which object, and what is safe.
    pub detail: String,
}

fn code_text<S: serde::Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(code.text())
}

/// Writes to standard error; where that is closed nobody listens.
pub(super) fn say(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::UsageError;

    const PLAIN: Report = Report { json: false, quiet: false, coloured: false };

    #[test]
    fn a_failure_is_one_chain_and_a_hint() {
        let cause = std::io::Error::other("disk on fire");
        let failure = Failure::system("write the report", cause);
        let expected = "error[system-failed]: failed to write the report\n  \
                        caused by: disk on fire\nhint: see the cause above\n";
        assert_eq!(PLAIN.failure_lines(&failure), expected);
        let coloured = Report { coloured: true, ..PLAIN };
        assert!(coloured.failure_lines(&failure).starts_with("\x1b[1;31merror[system-failed]\x1b"));
    }

    #[test]
    fn text_from_outside_cannot_drive_the_terminal() {
        let failure = Failure::from(UsageError::new("read \x1b]0;x\x07", "a\nb\r\u{202e}c"));
        let lines = PLAIN.failure_lines(&failure);
        assert!(!lines.contains('\x1b') && !lines.contains('\r') && !lines.contains('\u{202e}'));
        assert_eq!(lines.lines().count(), 2, "{lines}");
    }

    #[test]
    fn a_warning_is_one_line_and_makes_the_exit_code_four() {
        let warning = Warning { code: Code::FileVanished, detail: "selfies/a.jpg".into() };
        assert_eq!(PLAIN.warning_line(&warning), "warning[file-vanished]: selfies/a.jpg\n");
        let object = json!(warning);
        assert_eq!(object, json!({"code": "file-vanished", "detail": "selfies/a.jpg"}));
        assert_eq!(
            (Ending::Done.exit(0), Ending::Done.exit(1), Ending::Damaged.exit(1)),
            (0, 4, 3)
        );
    }
}
