//! What sealing and opening can fail with.

use thiserror::Error;

use crate::base::{Code, Coded};

/// A failure of sealing, opening or a key.
#[derive(Debug, Error)]
pub enum Error {
    /// The text is not an age recipient.
    #[error("parse recipient {text:?}: {reason}")]
    Recipient {
        /// The text, which is public.
        text: String,
        /// Why not.
        reason: String,
    },
    /// No recipient was given.
    #[error("seal: no recipient is given")]
    NoRecipient,
    /// A recipient's plugin is missing or refused.
    #[error("seal to the recipients: {0}")]
    Wrap(String),
    /// An identity's plugin is missing or refused.
    #[error("{action} {what}: {reason}")]
    Plugin {
        /// What was being done.
        action: &'static str,
        /// An identity file, or a sealed object.
        what: String,
        /// What the plugin, or the search for it, said.
        reason: String,
    },
    /// The text is not an age identity file.
    #[error("read identity file {name}: {reason}")]
    Identity {
        /// The file's name.
        name: String,
        /// Why not; never the contents.
        reason: String,
    },
    /// The passphrase of an identity file is wrong or was not given.
    #[error("open identity file {name}: the passphrase is {}", passphrase_is(*.given))]
    Passphrase {
        /// The file's name.
        name: String,
        /// Whether one was given.
        given: bool,
    },
    /// None of the identities matches a sealed object.
    #[error("open {object}: none of the {count} identities given matches")]
    NoMatch {
        /// The object.
        object: String,
        /// How many were tried.
        count: usize,
    },
    /// A sealed object's header or payload is not authentic.
    #[error("open {object}: {reason}")]
    Unreadable {
        /// The object.
        object: String,
        /// What did not verify, and where.
        reason: String,
    },
    /// A generation file's identity does not belong to the generation.
    #[error("open {object}: its identity does not derive the recipient of generation {generation}")]
    ForeignIdentity {
        /// The object.
        object: String,
        /// The generation.
        generation: String,
    },
}

/// Returns what an error of the `age` crate says: in one line, and without the invisible marks that
/// it puts around names.
pub(super) fn words_of(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string().replace(['\u{2068}', '\u{2069}'], "");
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

const fn passphrase_is(given: bool) -> &'static str {
    if given { "wrong" } else { "missing" }
}

impl Coded for Error {
    fn code(&self) -> Code {
        match self {
            Self::Recipient { .. } | Self::NoRecipient => Code::RecipientInvalid,
            Self::Wrap(_) | Self::Plugin { .. } => Code::PluginFailed,
            Self::Identity { .. } => Code::IdentityInvalid,
            Self::Passphrase { .. } => Code::PassphraseWrong,
            Self::NoMatch { .. } => Code::IdentityWrong,
            Self::Unreadable { .. } => Code::ObjectUnreadable,
            Self::ForeignIdentity { .. } => Code::ObjectForeign,
        }
    }
}
