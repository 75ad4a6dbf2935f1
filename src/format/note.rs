//! The text of a signed note: what it is, whose it is, and one JSON object. Spec: §8.1.
//!
//! ```text
//! idswyft-vault/v1 <kind> <vault-id>
//! {"v":1,"requires":[],…}
//! ```
//!
//! One key signs several kinds of notes for one vault, so the first line says which kind it is:
//! no note can be taken for another. Signatures are made and checked elsewhere.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::envelope::{self, FormatError};
use crate::base::VaultId;
use crate::base::limits::NOTE_LEN_MAX;

/// What the first line of every note and list begins with.
pub const MAGIC: &str = "idswyft-vault/v1";

const FAMILY: &str = "idswyft-vault/";

/// What a note is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoteKind {
    /// `vault/<n>.note`, signed by the root key.
    Vault,
    /// `snapshots/<id>.note`, signed by a writer.
    Snapshot,
    /// `<report>.sig`, signed by an auditor or an operator.
    Report,
}

impl NoteKind {
    /// Returns the word in the note's first line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vault => "vault",
            Self::Snapshot => "snapshot",
            Self::Report => "report",
        }
    }

    /// Returns the words that errors use.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Vault => "vault note",
            Self::Snapshot => "snapshot note",
            Self::Report => "report signature",
        }
    }
}

impl fmt::Display for NoteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Composes the text of a note, ready to be signed.
///
/// # Errors
/// If `body` holds an integer above 2^53 or the text is too long.
pub fn compose<T: Serialize>(
    kind: NoteKind,
    vault: VaultId,
    body: &T,
) -> Result<String, FormatError> {
    let text = format!("{MAGIC} {kind} {vault}\n{}\n", envelope::compose(kind.what(), body)?);
    FormatError::check_len(kind.what(), text.len(), NOTE_LEN_MAX)?;
    Ok(text)
}

/// Parses the text of a note of the expected kind and vault.
///
/// # Errors
/// [`FormatError::Foreign`] for another kind or vault, [`FormatError::TooNew`] for another
/// version, else [`FormatError::Invalid`].
pub fn parse<T: DeserializeOwned>(
    text: &[u8],
    kind: NoteKind,
    vault: VaultId,
) -> Result<T, FormatError> {
    let what = kind.what();
    let invalid = |detail: &str| FormatError::invalid(what, detail);
    FormatError::check_len(what, text.len(), NOTE_LEN_MAX)?;
    let text = std::str::from_utf8(text).map_err(|_| invalid("the text is not UTF-8"))?;
    let (first, rest) =
        text.split_once('\n').ok_or_else(|| invalid("the first line has no end"))?;
    check_first_line(what, first, kind.name(), &vault.to_string())?;
    let json = rest.strip_suffix('\n').ok_or_else(|| invalid("the second line has no end"))?;
    envelope::parse(what, json.as_bytes())
}

/// Accepts the line `idswyft-vault/v1 <kind> <id> …` that names this kind and these ids.
///
/// # Errors
/// As [`parse`].
pub(super) fn check_first_line(
    what: &'static str,
    line: &str,
    kind: &str,
    ids: &str,
) -> Result<(), FormatError> {
    let Some((version, rest)) = line.strip_prefix(FAMILY).and_then(|rest| rest.split_once(' '))
    else {
        return Err(FormatError::invalid(what, format!("the first line is {line:?}")));
    };
    if format!("{FAMILY}{version}") != MAGIC {
        let needs: String = format!("format {version:?}").chars().take(40).collect();
        return Err(FormatError::TooNew { what, needs });
    }
    let Some((found_kind, found_ids)) = rest.split_once(' ') else {
        return Err(FormatError::invalid(what, format!("the first line is {line:?}")));
    };
    let quoted = |text: &str| text.chars().take(80).collect::<String>();
    FormatError::check_place(what, "kind", &kind.to_owned(), &quoted(found_kind))?;
    FormatError::check_place(what, "id", &ids.to_owned(), &quoted(found_ids))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Code, Coded};
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample {
        name: String,
    }

    const VAULT: VaultId = VaultId::from_bytes([0xab; 16]);

    fn code_of(text: &str) -> Code {
        parse::<Sample>(text.as_bytes(), NoteKind::Snapshot, VAULT).unwrap_err().code()
    }

    #[test]
    fn a_note_is_two_lines_and_parses_back() {
        let body = Sample { name: "a\nb".into() };
        let text = compose(NoteKind::Snapshot, VAULT, &body).unwrap();
        let expected = format!(
            "idswyft-vault/v1 snapshot {}\n{{\"v\":1,\"requires\":[],\"name\":\"a\\nb\"}}\n",
            "ab".repeat(16)
        );
        assert_eq!(text, expected);
        let parsed: Sample = parse(text.as_bytes(), NoteKind::Snapshot, VAULT).unwrap();
        assert_eq!(parsed, body);
    }

    /// V-91
    #[test]
    fn a_note_of_another_kind_or_vault_is_foreign() {
        let body = Sample { name: "a".into() };
        let other = VaultId::from_bytes([0xac; 16]);
        for (kind, vault) in [(NoteKind::Vault, VAULT), (NoteKind::Snapshot, other)] {
            assert_eq!(code_of(&compose(kind, vault, &body).unwrap()), Code::ObjectForeign);
        }
    }

    /// V-92
    #[test]
    fn a_note_of_another_version_is_too_new() {
        let text = compose(NoteKind::Snapshot, VAULT, &Sample { name: "a".into() }).unwrap();
        assert_eq!(code_of(&text.replace("vault/v1", "vault/v2")), Code::FormatTooNew);
    }

    /// V-91, V-93
    #[test]
    fn text_around_or_between_the_two_lines_is_refused() {
        let text = compose(NoteKind::Snapshot, VAULT, &Sample { name: "a".into() }).unwrap();
        let cut = text.strip_suffix('\n').unwrap();
        for bad in [
            String::new(),
            "\n".into(),
            "idswyft-vault/v1\n{}\n".into(),
            "idswyft-vault/v1 snapshot\n{}\n".into(),
            format!("\n{text}"),
            format!("{text}\n"),
            format!("{text}{{}}\n"),
            cut.into(),
            text.replacen('\n', "\n\n", 1),
        ] {
            assert_eq!(code_of(&bad), Code::FormatInvalid, "{bad:?}");
        }
        for bad in [format!(" {text}"), text.replacen('\n', " \n", 1), text.to_uppercase()] {
            assert!(parse::<Sample>(bad.as_bytes(), NoteKind::Snapshot, VAULT).is_err());
        }
        let long = vec![b'a'; 1_000_001];
        let error = parse::<Sample>(&long, NoteKind::Snapshot, VAULT).unwrap_err();
        assert_eq!(error.code(), Code::LimitExceeded);
    }
}
