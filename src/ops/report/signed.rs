//! Signing a report, and checking one that is signed. Spec: `report.md` §3.
//!
//! - A host cannot vouch for itself: a writer's signature is refused.
//! - The time in a signature is its signer's word. Of a signer that was retired since, nothing
//!   proves that it signed before.

use jiff::Timestamp;
use thiserror::Error;

use super::{Finding, Report};
use crate::base::{Code, Coded, SignerId};
use crate::crypto::digest::sha256;
use crate::crypto::signing::{SigningError, SigningKey, VerificationKey, verify};
use crate::format::event::EventKind;
use crate::format::report_note::{ReportFile, ReportNote};
use crate::format::role::Role;
use crate::format::vault_note::VaultNote;
use crate::format::{FormatError, ObjectKey};
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

    /// Compares a file with what was signed of it.
    pub fn check_file(file: &ReportFile, bytes: Option<&[u8]>) -> Option<Finding> {
        let wide = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        let detail = match bytes {
            None => "it is signed and not there".to_owned(),
            Some(bytes) if wide(bytes.len()) != file.len => {
                format!("it has {} bytes, {} were signed", bytes.len(), file.len)
            }
            Some(bytes) if sha256(bytes) != file.sha256 => {
                format!("its SHA-256 is {}, that of {} was signed", sha256(bytes), file.sha256)
            }
            Some(_) => return None,
        };
        Some(Finding { code: Code::ReportMismatch, object: file.name.clone(), detail })
    }
}

/// Refuses a signer that cannot vouch for a vault.
///
/// # Errors
/// If the vault note does not have it, it is a host, or `verified` is not delegated to it.
pub fn check_signer(note: &VaultNote, signer: SignerId) -> Result<Role, SignedError> {
    let refuse = |reason: String| Err(SignedError::Signer { signer, reason });
    match note.delegate(signer) {
        None => refuse(format!("vault note {} does not have it", note.number)),
        Some(one) if one.role == Role::Writer => {
            refuse("it is a host, which cannot vouch for what it wrote itself".to_owned())
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
    files: &[(String, Vec<u8>)],
    time: Timestamp,
) -> Result<Vec<u8>, SignedError> {
    let vault = key.verification_key().vault();
    let expected = vault.to_string();
    if report.vaults.is_empty() || report.vaults.iter().any(|one| one.vault != expected) {
        let found: Vec<&str> = report.vaults.iter().map(|one| one.vault.as_str()).collect();
        let found = if found.is_empty() { "no vault".to_owned() } else { found.join(", ") };
        return Err(SignedError::Elsewhere { expected, found });
    }
    let covered = files.iter().map(|(name, bytes)| ReportFile {
        name: name.clone(),
        len: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        sha256: sha256(bytes),
    });
    let (signer, files) = (key.signer_id(), covered.collect());
    let text = ReportNote { vault, signer, time, files }.compose()?;
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

/// Compares the ledgers of a report with those of a store: each must go on from what it was.
pub fn compare(report: &Report, logs: &[SignerLog]) -> Vec<Finding> {
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
