//! The signature of a report: a note that names the files it covers. Spec: `report.md` §3.
//!
//! The note lies beside the files. It names each by its last part, length and SHA-256, so they may
//! be moved together, and nothing outside their directory is ever read for it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::envelope::{self, FormatError};
use super::note::{self, NoteKind};
use crate::base::{Digest, SignerId, VaultId};

const WHAT: &str = NoteKind::Report.what();

/// A file that a signature covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportFile {
    /// The last part of its path.
    pub name: String,
    /// Its length in bytes.
    #[serde(with = "envelope::integer")]
    pub len: u64,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
}

/// What the signature of a report says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportNote {
    /// The vault that the report is about.
    pub vault: VaultId,
    /// Who signs.
    pub signer: SignerId,
    /// When, by the signer's clock.
    #[serde(with = "envelope::time")]
    pub time: Timestamp,
    /// What is signed, the report in JSON first.
    pub files: Vec<ReportFile>,
}

impl ReportNote {
    /// Composes the text, ready to be signed.
    ///
    /// # Errors
    /// If a name is none of a file, or the text is too long.
    pub fn compose(&self) -> Result<String, FormatError> {
        self.check()?;
        note::compose(NoteKind::Report, self.vault, self)
    }

    /// Parses the verified text of a signature of this vault.
    ///
    /// # Errors
    /// As [`note::parse`], and if it names no file, or one that is none of a directory's own.
    pub fn parse(text: &[u8], vault: VaultId) -> Result<Self, FormatError> {
        let parsed: Self = note::parse(text, NoteKind::Report, vault)?;
        FormatError::check_place(WHAT, "vault", &vault, &parsed.vault)?;
        parsed.check()?;
        Ok(parsed)
    }

    fn check(&self) -> Result<(), FormatError> {
        if self.files.is_empty() {
            return Err(FormatError::invalid(WHAT, "it covers no file"));
        }
        let is_name = |name: &str| {
            !matches!(name, "" | "." | "..") && !name.contains(|c: char| c == '/' || c.is_control())
        };
        match self.files.iter().find(|file| !is_name(&file.name)) {
            Some(file) => Err(FormatError::invalid(WHAT, format!("{:?} is no name", file.name))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Code, Coded};

    const VAULT: VaultId = VaultId::from_bytes([0xab; 16]);

    fn named(name: &str) -> ReportNote {
        let file = ReportFile { name: name.into(), len: 3, sha256: Digest::from_bytes([7; 32]) };
        let (signer, time) = (SignerId::from_bytes([2; 8]), Timestamp::UNIX_EPOCH);
        ReportNote { vault: VAULT, signer, time, files: vec![file] }
    }

    ///
    #[test]
    fn a_signature_is_a_note_of_two_lines_and_parses_back() {
        let note = named("2026.json");
        let text = note.compose().unwrap();
        assert!(
            text.starts_with(&format!("idswyft-vault/v1 report {VAULT}\n{{\"v\":1,")),
            "{text}"
        );
        assert_eq!(text.lines().count(), 2);
        assert_eq!(ReportNote::parse(text.as_bytes(), VAULT).unwrap(), note);
        let other = VaultId::from_bytes([1; 16]);
        let error = ReportNote::parse(text.as_bytes(), other).unwrap_err();
        assert_eq!(error.code(), Code::ObjectForeign);
        let newer = text.replace("\"v\":1", "\"v\":2");
        let error = ReportNote::parse(newer.as_bytes(), VAULT).unwrap_err();
        assert_eq!(error.code(), Code::FormatTooNew);
    }

    ///
    #[test]
    fn a_signature_names_files_of_its_own_directory_only() {
        for name in ["", ".", "..", "../a.json", "/etc/passwd", "a\nb"] {
            assert!(named(name).compose().is_err(), "{name:?}");
            let text = named("x").compose().unwrap();
            let name = serde_json::to_string(name).unwrap();
            let text = text.replace("\"x\"", &name);
            assert!(ReportNote::parse(text.as_bytes(), VAULT).is_err(), "{name}");
        }
        let none = ReportNote { files: Vec::new(), ..named("x") };
        assert_eq!(none.compose().unwrap_err().code(), Code::FormatInvalid);
    }
}
