//! The report of a verification: what was proven, what was not, and what the books say of every
//! snapshot that ever was. Spec: `report.md`.
//!
//! One report covers the vaults of one run. It is JSON (`report.schema.json`), and all that a
//! person is shown is made of it and of nothing else.

mod counts;
pub mod merge;
mod record;
mod sample;
pub mod signed;
mod touched;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use counts::{BarredCounts, ProviderCounts, ReceiptCounts, StoredCounts};
pub use record::{
    DrillRow, GapRow, GoneRow, HoldRow, PolicyRow, RecordReport, RpoRow, RpoSource, SinceRow,
    SnapshotRow, SnapshotState, VerifiedRow,
};

pub(in crate::ops) use record::snapshot_of;
pub use sample::{CoverageReport, FileCounts, SampleMethod, SampleReport, ShardReport};
pub(in crate::ops) use sample::{OF_LEDGERS, grouped, ledgers_value};
pub use touched::{Came, TouchedRow};

use crate::base::{Code, Digest, Family, SnapshotId};
use crate::format::envelope::{self, FormatError};

/// What a report is called in errors.
const WHAT: &str = "verification report";

/// Letters of a code at most.
const CODE_LEN_MAX: usize = 64;

/// What is not covered where only some snapshots were asked for.
pub(in crate::ops) const NOT_NAMED: &str = "snapshots that were not named";

/// How much is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Histories are append-only and signed by whoever may.
    Ledger,
    /// Every object is there, at its signed size.
    Stored,
    /// Every object has its signed bytes.
    Bytes,
    /// Everything opens, and every digest matches.
    Contents,
}

impl Level {
    /// Every level, each proving more than the one before.
    pub const ALL: [Self; 4] = [Self::Ledger, Self::Stored, Self::Bytes, Self::Contents];

    /// Returns its name on the command line, in ledgers and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Stored => "stored",
            Self::Bytes => "bytes",
            Self::Contents => "contents",
        }
    }

    /// Returns its place among the levels.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns what it proves beyond the one before, for somebody who is not a programmer.
    pub const fn proves(self) -> &'static str {
        match self {
            Self::Ledger => {
                "The records are complete, unaltered and signed by those who were entitled to \
                 sign; nothing was taken out or changed afterwards, and every deletion was allowed."
            }
            Self::Stored => {
                "Everything that the records name is in the store, with its recorded size and, \
                 where the store keeps one, its recorded fingerprint. Nothing was read or thawed."
            }
            Self::Bytes => {
                "What is stored was read to the end, and is bit for bit what was recorded on the \
                 day it was written. It was not decrypted."
            }
            Self::Contents => {
                "What is stored was decrypted, and every file and every database dump came out bit \
                 for bit as it was archived."
            }
        }
    }
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of thing.
    #[serde(with = "code_text")]
    pub code: Code,
    /// The object.
    pub object: String,
    /// What is wrong.
    pub detail: String,
}

/// `#[serde(with = "code_text")]`: a code by its text.
mod code_text {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::base::Code;

    pub(super) fn serialize<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(code.text())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Code, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known = Code::ALL.iter().find(|code| code.text() == text);
        known.copied().ok_or_else(|| de::Error::custom(format!("{text:?} is no code")))
    }
}

/// Size and root of one ledger, to be kept and compared later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerHead {
    /// Whose.
    pub signer: String,
    /// Number of events.
    pub size: u64,
    /// RFC 6962 root.
    pub root: String,
}

/// What a verification comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All that was looked at is as it must be.
    Sound,
    /// Nothing is damaged, and there is something to look at.
    Remarks,
    /// Something needs a newer program.
    Unread,
    /// Something is not as it must be.
    Damaged,
}

impl Verdict {
    /// Returns what findings come to: damage is worse than what only a newer program can read, and
    /// that is worse than what was left over.
    pub fn of(findings: &[Finding]) -> Self {
        let of_one = |finding: &Finding| match finding.code.family() {
            Family::Damaged if finding.code.exit() == 1 => Self::Damaged,
            Family::Unsupported => Self::Unread,
            _ => Self::Remarks,
        };
        findings.iter().map(of_one).max().unwrap_or(Self::Sound)
    }
}

/// What was proven of one vault in one store, and what was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// The vault.
    pub vault: String,
    /// The store.
    pub store: String,
    /// Where the store is: two of one name are told apart by it, and it holds no credentials. None
    /// in reports of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The level.
    pub level: Level,
    /// What it comes to.
    pub verdict: Verdict,
    /// What each level up to this one proves, in words for everybody.
    pub proves: Vec<String>,
    /// Snapshots looked at.
    pub snapshot_count: u64,
    /// Objects looked at.
    pub object_count: u64,
    /// Bytes read to the end.
    pub read_len: u64,
    /// What the store says of the objects, from level `stored` on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<StoredCounts>,
    /// What these credentials may not look at, if there is any of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barred: Option<BarredCounts>,
    /// Every ledger as far as it verified.
    pub ledgers: Vec<LedgerHead>,
    /// What the ledgers were compared with, that somebody kept.
    #[serde(default)]
    pub since: Vec<SinceRow>,
    /// What is not as it must be.
    pub findings: Vec<Finding>,
    /// The snapshots that damage touches.
    #[serde(default)]
    pub touched: Vec<TouchedRow>,
    /// What came of each snapshot that was named, where that is to be recorded; no file has it.
    #[serde(skip)]
    pub each: BTreeMap<SnapshotId, Came>,
    /// What this run does not cover.
    pub not_covered: Vec<String>,
    /// What the books say of every snapshot that ever was.
    #[serde(default)]
    pub record: RecordReport,
    /// The digest of what was in scope: the same for each part of one verification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_sha256: Option<Digest>,
    /// The sample, if not every pack was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<SampleReport>,
    /// Which of several parts this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardReport>,
    /// Files and dumps, at level `contents`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<FileCounts>,
    /// When packs were last found sound, if somebody remembers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<CoverageReport>,
    /// Of how many parts it was joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<u32>,
}

impl VerifyReport {
    /// Returns the store's name, and where it is if that is known.
    pub fn store_text(&self) -> String {
        let place = self.location.as_ref().map(|location| format!(" ({location})"));
        format!("{}{}", self.store, place.unwrap_or_default())
    }

    /// Tells whether only some snapshots were asked for, by name or up to one.
    pub fn is_of_named(&self) -> bool {
        self.not_covered.iter().any(|gap| gap == NOT_NAMED)
    }

    /// Returns the level's name, and whether the provider computed every pack at rest.
    pub fn level_text(&self) -> String {
        let provider = self.stored.as_ref().and_then(|counts| counts.provider.as_ref());
        match provider {
            Some(provider) if self.level == Level::Stored && provider.is_whole() => {
                format!("{} with provider digests", self.level.name())
            }
            _ => self.level.name().to_owned(),
        }
    }

    /// Tells whether nothing is damaged; what interrupted runs and wrong clocks leave is no damage.
    pub fn is_sound(&self) -> bool {
        self.verdict <= Verdict::Remarks
    }
}

/// The report of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The version of this structure.
    pub v: u64,
    /// What a reader must know beyond it.
    pub requires: Vec<String>,
    /// The program that made it, with its version.
    pub program: String,
    /// When the run began.
    #[serde(with = "envelope::time")]
    pub began: Timestamp,
    /// When it ended.
    #[serde(with = "envelope::time")]
    pub ended: Timestamp,
    /// One for each vault.
    pub vaults: Vec<VerifyReport>,
}

impl Report {
    /// Makes the report of a run of this program.
    pub fn new(began: Timestamp, ended: Timestamp, vaults: Vec<VerifyReport>) -> Self {
        let program = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned();
        Self { v: envelope::VERSION, requires: Vec::new(), program, began, ended, vaults }
    }

    /// Returns what the vault that is worst off comes to.
    pub fn verdict(&self) -> Verdict {
        self.vaults.iter().map(|vault| vault.verdict).max().unwrap_or(Verdict::Sound)
    }

    /// Parses a report.
    ///
    /// # Errors
    /// [`FormatError::TooNew`] if a newer program wrote it, else [`FormatError::Invalid`].
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        envelope::check_header(WHAT, bytes)?;
        serde_json::from_slice(bytes).map_err(|error| match unknown_code(bytes) {
            Some(code) => FormatError::TooNew { what: WHAT, needs: format!("the code {code}") },
            None => FormatError::invalid(WHAT, error),
        })
    }

    /// Parses of a report which ledgers it has of which vaults, whatever else newer programs say.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_heads(bytes: &[u8]) -> Result<Vec<(String, Vec<LedgerHead>)>, FormatError> {
        envelope::check_header(WHAT, bytes)?;
        let Outline { vaults } =
            serde_json::from_slice(bytes).map_err(|error| FormatError::invalid(WHAT, error))?;
        Ok(vaults.into_iter().map(|one| (one.vault, one.ledgers)).collect())
    }
}

/// What is read of a report that may have more than this program knows.
#[derive(Deserialize)]
struct Outline {
    vaults: Vec<VaultOutline>,
}

#[derive(Deserialize)]
struct VaultOutline {
    vault: String,
    ledgers: Vec<LedgerHead>,
    findings: Vec<FindingOutline>,
}

#[derive(Deserialize)]
struct FindingOutline {
    code: String,
}

/// Returns a code of a report that only newer programs know.
fn unknown_code(bytes: &[u8]) -> Option<String> {
    let Outline { vaults } = serde_json::from_slice(bytes).ok()?;
    let is_letter = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '-');
    let is_new = |code: &String| {
        (1..=CODE_LEN_MAX).contains(&code.len())
            && code.chars().all(is_letter)
            && Code::ALL.iter().all(|known| known.text() != code)
    };
    let findings = vaults.into_iter().flat_map(|vault| vault.findings);
    findings.map(|finding| finding.code).find(is_new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict_of(codes: &[Code]) -> Verdict {
        let finding = |code: &Code| Finding { code: *code, object: "x".into(), detail: "y".into() };
        Verdict::of(&codes.iter().map(finding).collect::<Vec<_>>())
    }

    #[test]
    fn the_worst_finding_decides_the_verdict() {
        let (left, new) = (Code::ObjectUnreferenced, Code::FormatTooNew);
        assert_eq!(verdict_of(&[]), Verdict::Sound);
        assert_eq!(verdict_of(&[left]), Verdict::Remarks);
        assert_eq!(verdict_of(&[left, new]), Verdict::Unread);
        assert_eq!(verdict_of(&[left, new, Code::ObjectMissing]), Verdict::Damaged);
    }
}
