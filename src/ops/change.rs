//! Why a change of recipients or signers is refused; nothing was changed then.

use std::path::PathBuf;

use jiff::Timestamp;
use thiserror::Error;

use crate::base::{Code, Coded, Digest, SignerId};
use crate::format::event::EventName;
use crate::format::role::Role;

/// A change that cannot be made.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// The directory is not the vault's kit, or cannot be used as it must be.
    #[error("use the recovery kit {}: {reason}", path.display())]
    Kit {
        /// The directory, or a file in it.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A recipient can open the vault already.
    #[error("add recipient {digest}: it is a recipient of the vault already")]
    RecipientThere {
        /// SHA-256 of its text.
        digest: Digest,
    },
    /// No recipient, or more than one, is meant.
    #[error("remove recipient {text:?}: {count} of the vault's {all} recipients match")]
    RecipientUnclear {
        /// What was given.
        text: String,
        /// How many recipients it means.
        count: usize,
        /// How many there are.
        all: usize,
    },
    /// Nobody could open the vault any more.
    #[error("remove every recipient: nobody could open what is sealed from then on")]
    NoneLeft,
    /// A recipient is known by its digest alone.
    #[error(
        "seal to recipient {digest}: the vault note has its digest and the config not its text, \
         so name it in `recipients` of the config"
    )]
    TextMissing {
        /// SHA-256 of its text.
        digest: Digest,
    },
    /// The vault note has the signer already.
    #[error("add signer {signer}: {}", there(*.role, *.retired))]
    SignerThere {
        /// The signer.
        signer: SignerId,
        /// Its role.
        role: Role,
        /// When it was retired, if it was.
        retired: Option<Timestamp>,
    },
    /// The key is not that of a signer of this vault.
    #[error("add signer {signer}: its key is {reason}")]
    KeyForeign {
        /// The signer.
        signer: SignerId,
        /// Whose key it is.
        reason: &'static str,
    },
    /// The vault note does not have the signer.
    #[error("change signer {signer}: the vault note does not have it")]
    SignerUnknown {
        /// The signer.
        signer: SignerId,
    },
    /// The signer was retired before.
    #[error("change signer {signer}: it was retired at {retired}")]
    SignerRetired {
        /// The signer.
        signer: SignerId,
        /// When.
        retired: Timestamp,
    },
    /// The signer is the operator's own.
    #[error(
        "change signer {signer}: it is derived from the root key and records every change, \
         this one included; whoever must not have it must not have the root key"
    )]
    SignerIsOperator {
        /// The signer.
        signer: SignerId,
    },
    /// No signer of that role is ever delegated that event.
    #[error("delegate {event} to {role}s: {}", never(*.role))]
    EventBeyondRole {
        /// The role.
        role: Role,
        /// The event.
        event: EventName,
    },
    /// No generation, or more than one, is meant.
    #[error("find generation {text:?}: {count} of the vault's {all} match")]
    GenerationUnclear {
        /// What was given.
        text: String,
        /// How many generations it means.
        count: usize,
        /// How many there are.
        all: usize,
    },
}

fn there(role: Role, retired: Option<Timestamp>) -> String {
    match retired {
        Some(at) => format!("it was {role} until {at}, and a retired signer never comes back"),
        None => format!("the vault note has it already, as {role}"),
    }
}

fn never(role: Role) -> String {
    use crate::format::event::EventKind;
    let all = EventKind::ALL.iter().filter(|kind| role.may_be_delegated(**kind));
    let names: Vec<&str> = all.map(|kind| kind.name()).collect();
    format!("that role may append {}", names.join(", "))
}

impl Coded for ChangeError {
    fn code(&self) -> Code {
        match self {
            Self::Kit { .. } => Code::KitUnusable,
            Self::RecipientThere { .. }
            | Self::RecipientUnclear { .. }
            | Self::NoneLeft
            | Self::TextMissing { .. } => Code::RecipientsRefused,
            Self::SignerThere { .. }
            | Self::KeyForeign { .. }
            | Self::SignerUnknown { .. }
            | Self::SignerRetired { .. }
            | Self::SignerIsOperator { .. }
            | Self::EventBeyondRole { .. } => Code::SignerRefused,
            Self::GenerationUnclear { .. } => Code::GenerationUnknown,
        }
    }
}
