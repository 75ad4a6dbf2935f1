//! A generation's secrets as an age identity file. Spec: §5.
//!
//! ```text
//! # idswyft-vault/v1 generation <vault> <generation>
//! # created: <RFC 3339 time>
//! # dedup-secret: <64 hex digits>
//! AGE-SECRET-KEY-1…
//! ```
//!
//! Stock `age -d -i` reads it as it stands, so a pack can be opened without this program.

use jiff::Timestamp;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::base::{Code, Coded, GenerationId, VaultId};

/// The parsed lines of a generation file; the secrets are still text.
pub struct GenerationFile {
    /// The vault.
    pub vault: VaultId,
    /// The generation.
    pub generation: GenerationId,
    /// When it was opened.
    pub created: Timestamp,
    /// The dedup secret in hex.
    pub dedup_secret: Zeroizing<String>,
    /// The `AGE-SECRET-KEY-1…` line.
    pub identity: Zeroizing<String>,
}

/// A generation file that does not follow the format. Never holds what the file holds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("read a generation file: {0}")]
pub struct GenerationFileError(&'static str);

impl Coded for GenerationFileError {
    fn code(&self) -> Code {
        Code::FormatInvalid
    }
}

impl GenerationFile {
    /// Composes the file's text.
    pub fn compose(&self) -> Zeroizing<String> {
        let Self { vault, generation, created, .. } = self;
        Zeroizing::new(format!(
            "# idswyft-vault/v1 generation {vault} {generation}\n\
             # created: {created}\n\
             # dedup-secret: {}\n\
             {}\n",
            self.dedup_secret.as_str(),
            self.identity.as_str(),
        ))
    }

    /// Parses the file's bytes.
    ///
    /// # Errors
    /// If a line is missing, malformed or spelled otherwise than [`Self::compose`] spells it.
    pub fn parse(bytes: &[u8]) -> Result<Self, GenerationFileError> {
        let text = std::str::from_utf8(bytes).map_err(|_| GenerationFileError("not UTF-8"))?;
        let mut lines = text.lines();
        let mut next = |prefix: &str, missing| {
            let line = lines.next().and_then(|line| line.strip_prefix(prefix));
            line.ok_or(GenerationFileError(missing))
        };
        let owner = next("# idswyft-vault/v1 generation ", "its first line is another kind's")?;
        let (vault, generation) =
            owner.split_once(' ').ok_or(GenerationFileError("its first line is cut short"))?;
        let created = next("# created: ", "the time is missing")?;
        let dedup_secret = next("# dedup-secret: ", "the dedup secret is missing")?;
        let identity = next("", "the identity is missing")?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if dedup_secret.len() != 64 || !dedup_secret.bytes().all(is_digit) {
            return Err(GenerationFileError("the dedup secret is malformed"));
        }
        let file = Self {
            vault: vault.parse().map_err(|_| GenerationFileError("the vault id is malformed"))?,
            generation: generation
                .parse()
                .map_err(|_| GenerationFileError("the generation id is malformed"))?,
            created: created.parse().map_err(|_| GenerationFileError("the time is malformed"))?,
            dedup_secret: Zeroizing::new(dedup_secret.to_owned()),
            identity: Zeroizing::new(identity.to_owned()),
        };
        // Composing is the only authority on the form: four lines, ended by LF alone.
        if file.compose().as_bytes() != bytes {
            return Err(GenerationFileError("its lines are not as the format has them"));
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V-52, V-53
    #[test]
    fn a_generation_file_parses_back_and_refuses_other_text() {
        let file = GenerationFile {
            vault: VaultId::from_bytes([1; 16]),
            generation: "20261122T023000Z-00000001".parse().unwrap(),
            created: Timestamp::UNIX_EPOCH,
            dedup_secret: Zeroizing::new("ab".repeat(32)),
            identity: Zeroizing::new("AGE-SECRET-KEY-1XYZ".to_owned()),
        };
        let text = file.compose();
        let parsed = GenerationFile::parse(text.as_bytes()).unwrap();
        assert_eq!(parsed.compose(), text);
        for line in 0..4 {
            let cut: Vec<&str> = text.lines().take(line).collect();
            assert!(GenerationFile::parse(cut.join("\n").as_bytes()).is_err());
        }
        assert!(GenerationFile::parse(&[0xff, 0xfe]).is_err());
    }

    /// V-1, V-12, V-53
    #[test]
    fn a_generation_file_in_another_spelling_is_refused() {
        let text = format!(
            "# idswyft-vault/v1 generation {} 20261122T023000Z-00000001\n\
             # created: 2026-11-22T02:30:00Z\n# dedup-secret: {}\nAGE-SECRET-KEY-1XYZ\n",
            "11".repeat(16),
            "ab".repeat(32)
        );
        assert!(GenerationFile::parse(text.as_bytes()).is_ok());
        for other in [
            text.replace('\n', "\r\n"),
            text.trim_end().to_owned(),
            format!("{text}\n"),
            format!("{text}# more\n"),
            text.replace("abab", "ABAB"),
            text.replacen("ab", "", 1),
            text.replace("02:30:00Z", "02:30:00.0Z"),
            text.replace("02:30:00Z", "02:30:00+00:00"),
        ] {
            assert!(GenerationFile::parse(other.as_bytes()).is_err(), "{other}");
        }
    }
}
