//! Signing a report, and checking one that is signed. Spec: `report.md` §3.
//!
//! - A host cannot vouch for itself, nor a janitor for what it left: their signatures are refused.
//! - The time in a signature is its signer's word. Of a signer that was retired since, nothing
//!   proves that it signed before.

use jiff::Timestamp;
use thiserror::Error;

use super::{Finding, Report};
use crate::base::{Code, Coded, SignerId};
use crate::crypto::signing::{SigningError, SigningKey, VerificationKey, verify};
use crate::format::event::{EventKind, EventPayload};
use crate::format::ledger::LedgerEvent;
use crate::format::report_note::{ReportFile, ReportNote};
use crate::format::role::Role;
use crate::format::vault_note::VaultNote;
use crate::format::{FormatError, ObjectKey};
use crate::policy::plan::SKEW_MAX;
use crate::vault::ledger::SignerLog;
use crate::vault::notes;

/// A report that is not signed, or whose signature counts for nothing.
#[derive(Debug, Error)]
pub enum SignedError {
    /// The signer may not vouch for the vault.
    #[error("accept {signer} as the signer of a report: {reason}")]
    Signer {
        /// The signer.
        signer: SignerId,
        /// Why not.
        reason: String,
    },
    /// The signature does not verify, or is malformed.
    #[error(transparent)]
    Signature(#[from] SigningError),
    /// The signed text is not the signature of a report of this vault.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The vault's signers cannot be read.
    #[error(transparent)]
    Vault(#[from] crate::vault::Error),
    /// The report is not about this vault alone.
    #[error("sign the report: it is about {found}, the signer is of vault {expected}")]
    Elsewhere {
        /// The signer's vault.
        expected: String,
        /// The vaults of the report.
        found: String,
    },
}

impl Coded for SignedError {
    fn code(&self) -> Code {
        match self {
            Self::Signer { .. } => Code::SignerNotDelegated,
            Self::Signature(error) => error.code(),
            Self::Format(error) => error.code(),
            Self::Vault(error) => error.code(),
            Self::Elsewhere { .. } => Code::UsageInvalid,
        }
    }
}

/// A signature that verified, of a signer that may; only [`check`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedReport {
    note: ReportNote,
    role: Role,
    retired: Option<Timestamp>,
}

impl SignedReport {
    /// Returns what was signed.
    pub const fn note(&self) -> &ReportNote {
        &self.note
    }

    /// Returns what the signer is for.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Returns since when the signer is retired, if it is: only its own word says that it signed
    /// before.
    pub const fn retired(&self) -> Option<Timestamp> {
        self.retired
    }

    /// Compares a file that was signed with what was found.
    pub fn check_file(file: &ReportFile, found: Option<&ReportFile>) -> Option<Finding> {
        let detail = match found {
            None => "it is signed and not there".to_owned(),
            Some(found) if found.len != file.len => {
                format!("it has {} bytes, {} were signed", found.len, file.len)
            }
            Some(found) if found.sha256 != file.sha256 => {
                format!("its SHA-256 is {}, that of {} was signed", found.sha256, file.sha256)
            }
            Some(_) => return None,
        };
        Some(Finding { code: Code::ReportMismatch, object: file.name.clone(), detail })
    }

    /// Compares a report with whose signature it has, and with the ledgers of a store: each must go
    /// on from what it was.
    ///
    /// # Errors
    /// If its signer was retired, and the report knows of something that came later.
    pub fn compare(
        &self,
        report: &Report,
        logs: &[SignerLog],
    ) -> Result<Vec<Finding>, SignedError> {
        if let Some(at) = self.retired.filter(|at| knows_of_later(report, logs, &self.note, *at)) {
            let (signer, time) = (self.note.signer, self.note.time);
            let reason = format!(
                "it was retired at {at}, says that it signed at {time}, and the report has events \
                 that were recorded after it was retired"
            );
            return Err(SignedError::Signer { signer, reason });
        }
        let vault = self.note.vault.to_string();
        let mut findings: Vec<Finding> = of_other_vault(report, &vault).into_iter().collect();
        findings.extend(compare(report, logs));
        Ok(findings)
    }
}

/// Refuses a signer that cannot vouch for a vault.
///
/// # Errors
/// If the vault note does not have it, it is a host or a janitor, or `verified` is not delegated to
/// it.
pub fn check_signer(note: &VaultNote, signer: SignerId) -> Result<Role, SignedError> {
    let refuse = |reason: String| Err(SignedError::Signer { signer, reason });
    match note.delegate(signer) {
        None => refuse(format!("vault note {} does not have it", note.number)),
        Some(one) if one.role == Role::Writer => {
            refuse("it is a host, which cannot vouch for what it wrote itself".to_owned())
        }
        Some(one) if one.role == Role::Janitor => {
            refuse("it is a janitor, which cannot vouch for what its own deletions left".to_owned())
        }
        Some(one) if !one.may_append(EventKind::Verified) => {
            refuse(format!("vault note {} does not delegate verified to it", note.number))
        }
        Some(one) => Ok(one.role),
    }
}

/// Signs files of a report; the first is the report in JSON.
///
/// # Errors
/// If the report is about another vault, or about several.
pub fn sign(
    key: &SigningKey,
    report: &Report,
    files: Vec<ReportFile>,
    time: Timestamp,
) -> Result<Vec<u8>, SignedError> {
    let vault = key.verification_key().vault();
    let expected = vault.to_string();
    if report.vaults.is_empty() || report.vaults.iter().any(|one| one.vault != expected) {
        let found: Vec<&str> = report.vaults.iter().map(|one| one.vault.as_str()).collect();
        let found = if found.is_empty() { "no vault".to_owned() } else { found.join(", ") };
        return Err(SignedError::Elsewhere { expected, found });
    }
    let text = ReportNote { vault, signer: key.signer_id(), time, files }.compose()?;
    Ok(key.sign(&text)?)
}

/// Checks the signature of a report by the vault's chain.
///
/// # Errors
/// If no signer of the vault signed it, or one that may not, or not before it was retired.
pub fn check(
    root: &VerificationKey,
    newest: &VaultNote,
    bytes: &[u8],
) -> Result<SignedReport, SignedError> {
    let keys = notes::signer_keys(newest)?;
    let verified = verify(bytes, &keys.iter().collect::<Vec<_>>())?;
    let signer = verified.key().signer_id();
    let note = ReportNote::parse(verified.text(), root.vault())?;
    FormatError::check_place("report signature", "signer", &signer, &note.signer)?;
    let role = check_signer(newest, signer)?;
    let retired = newest.delegate(signer).and_then(|one| one.retired);
    if let Some(at) = retired.filter(|at| note.time >= *at) {
        let reason = format!("it was retired at {at}, and signed at {}", note.time);
        return Err(SignedError::Signer { signer, reason });
    }
    Ok(SignedReport { note, role, retired })
}

/// Returns what a report says that is not about the vault of its signer, or that it says nothing.
fn of_other_vault(report: &Report, vault: &str) -> Option<Finding> {
    let detail = match report.vaults.iter().find(|one| one.vault != vault) {
        Some(other) => format!("it is about vault {}, its signer is of {vault}", other.vault),
        None if report.vaults.is_empty() => "it is about no vault".to_owned(),
        None => return None,
    };
    Some(Finding { code: Code::ReportMismatch, object: "report".to_owned(), detail })
}

/// Tells whether a report has events that were recorded after its signer was retired: whoever has
/// the key can date a signature back, and cannot know less than the report says.
fn knows_of_later(
    report: &Report,
    logs: &[SignerLog],
    note: &ReportNote,
    retired: Timestamp,
) -> bool {
    let is_later = |event: &LedgerEvent| match &event.payload {
        EventPayload::SignerRetired(said) if said.subject == note.signer => true,
        _ => event.time.duration_since(retired) > SKEW_MAX,
    };
    let heads = report.vaults.iter().flat_map(|vault| &vault.ledgers);
    heads.into_iter().any(|head| {
        let log = logs.iter().find(|log| log.signer.to_string() == head.signer);
        let size = usize::try_from(head.size).unwrap_or(usize::MAX);
        log.is_some_and(|log| log.events.iter().take(size).any(is_later))
    })
}

/// Compares the ledgers of a report with those of a store: each must go on from what it was.
fn compare(report: &Report, logs: &[SignerLog]) -> Vec<Finding> {
    let heads = report.vaults.iter().flat_map(|vault| &vault.ledgers);
    let mut findings = Vec::new();
    for head in heads.filter(|head| head.size > 0) {
        let log = logs.iter().find(|log| log.signer.to_string() == head.signer);
        let there = log.map_or(0, |log| log.head.size);
        let then = log.and_then(|log| log.hashes.head_at(head.size));
        let detail = match then {
            Some(then) if then.root.to_string() == head.root => continue,
            Some(then) => format!(
                "at size {} its root is {}, the report has {}: it was rewritten",
                head.size, then.root, head.root
            ),
            None => format!(
                "it has {there} events, the report has {}: it was rolled back, or this store lags",
                head.size
            ),
        };
        let at = log.map(|log| ObjectKey::LedgerEvent(log.signer, head.size - 1));
        let object = at.map_or_else(|| format!("ledger/{}", head.signer), |key| key.to_string());
        findings.push(Finding { code: Code::ReportMismatch, object, detail });
    }
    findings
}
