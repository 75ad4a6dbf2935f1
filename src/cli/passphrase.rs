//! Passphrases: from the environment, else typed on the terminal without being shown.
//!
//! Nothing is asked where nobody could answer: in a cron job a missing passphrase is an error and
//! not a process that waits for ever.

use std::io::IsTerminal;

use age::secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use super::report::{say, words};
use crate::base::{Code, Coded};
use crate::crypto::identity::AskPassphrase;

/// The environment variable that holds the passphrase.
pub const PASSPHRASE_VARIABLE: &str = "IDSWYFT_VAULT_PASSPHRASE";
/// How `crypto::identity` describes the passphrase of an identity file. A plugin describes its PIN
/// otherwise, and a token that gets a wrong PIN too often locks itself.
const FILE_PASSPHRASE: &str = "Passphrase for ";

/// Takes passphrases from the environment or the terminal.
#[derive(Debug, Clone, Copy)]
pub struct Terminal;

impl AskPassphrase for Terminal {
    fn passphrase(&self, description: &str) -> Option<SecretString> {
        let from_variable = description.starts_with(FILE_PASSPHRASE).then(variable).flatten();
        from_variable.or_else(|| ask(description))
    }

    fn message(&self, text: &str) {
        say(&format!("{}\n", words::printable(text)));
    }
}

/// Why there is no new passphrase.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NewPassphraseError {
    /// Nobody is there to type one.
    #[error(
        "protect {name}: there is no terminal to type a passphrase on and \
         {PASSPHRASE_VARIABLE} is not set"
    )]
    Nobody {
        /// The file to protect.
        name: String,
    },
    /// It is empty.
    #[error("protect {name}: the passphrase is empty")]
    Empty {
        /// The file to protect.
        name: String,
    },
    /// Two different ones were typed.
    #[error("protect {name}: the two passphrases differ")]
    Differ {
        /// The file to protect.
        name: String,
    },
}

impl Coded for NewPassphraseError {
    fn code(&self) -> Code {
        match self {
            Self::Nobody { .. } => Code::PassphraseWrong,
            Self::Empty { .. } | Self::Differ { .. } => Code::UsageInvalid,
        }
    }
}

/// Returns a new passphrase for a file: from the environment, else typed twice.
///
/// # Errors
/// If there is none, it is empty, or the two differ.
pub fn new_passphrase(name: &str) -> Result<SecretString, NewPassphraseError> {
    let nobody = || NewPassphraseError::Nobody { name: name.to_owned() };
    if let Some(passphrase) = variable() {
        return check(name, passphrase, None);
    }
    let first = ask(&format!("New passphrase for {name}")).ok_or_else(nobody)?;
    let second = ask("The same again").ok_or_else(nobody)?;
    check(name, first, Some(&second))
}

fn check(
    name: &str,
    passphrase: SecretString,
    again: Option<&SecretString>,
) -> Result<SecretString, NewPassphraseError> {
    if passphrase.expose_secret().is_empty() {
        return Err(NewPassphraseError::Empty { name: name.to_owned() });
    }
    match again {
        Some(again) if again.expose_secret() != passphrase.expose_secret() => {
            Err(NewPassphraseError::Differ { name: name.to_owned() })
        }
        _ => Ok(passphrase),
    }
}

fn variable() -> Option<SecretString> {
    std::env::var(PASSPHRASE_VARIABLE).ok().map(SecretString::from)
}

/// Asks on the terminal, if a person sees standard error there.
fn ask(question: &str) -> Option<SecretString> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let answer = rpassword::prompt_password(format!("{}: ", words::printable(question)));
    answer.ok().map(SecretString::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_passphrase_is_not_empty_and_typed_the_same_twice() {
        let secret = |text: &str| SecretString::from(text.to_owned());
        assert!(check("k", secret("a"), None).is_ok());
        assert!(check("k", secret("a"), Some(&secret("a"))).is_ok());
        let empty = check("k", secret(""), None).unwrap_err();
        assert_eq!(empty, NewPassphraseError::Empty { name: "k".into() });
        let differ = check("k", secret("a"), Some(&secret("b"))).unwrap_err();
        assert_eq!(differ, NewPassphraseError::Differ { name: "k".into() });
    }
}
