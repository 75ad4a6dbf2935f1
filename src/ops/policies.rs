//! Putting a retention policy in force: signed with the root key. Spec: `retention.md` §4.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Error;
use super::desk::Desk;
use crate::base::Observer;
use crate::format::vault_note::VaultNote;
use crate::policy::Policy;
use crate::store::Store;

/// What became of a change of the policy.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyReport {
    /// The vault note in force.
    pub number: u32,
    /// The policy before it, if this run or an interrupted one changed it.
    pub before: Option<Map<String, Value>>,
    /// Whether an earlier run had signed the change, and this one completed it.
    pub completed: bool,
    /// Days for which anything stays readable at most; none if there is no bound.
    pub longest_readable_days: Option<u32>,
}

/// Returns the days for which anything stays readable at most under a policy; none if there is no
/// bound.
pub fn longest_readable_days(policy: &Policy, note: &VaultNote) -> Option<u32> {
    let fields = note.parameters.fields();
    let reuse_and_grace = fields.reuse_days + fields.grace_days;
    policy.longest_readable_days(fields.generation_max_age_days, reuse_and_grace)
}

/// Signs a policy. What snapshots were promised before it stays: their notes have their floors.
///
/// # Errors
/// If a store locks packs beyond the ceiling, or the primary store fails.
pub fn set(
    desk: &mut Desk,
    policy: &Policy,
    stores: &[Arc<dyn Store>],
    observer: &dyn Observer,
) -> Result<PolicyReport, Error> {
    if stores.iter().any(|store| store.locking(Timestamp::MAX).is_some()) {
        policy.check_locked(desk.operator.note().parameters.fields().generation_max_age_days)?;
    }
    let wanted = policy.to_json();
    let is_signed = desk.operator.note().policy == wanted;
    let before = match is_signed {
        false => Some(desk.operator.note().policy.clone()),
        true => desk.operator.note_before().map(|note| note.policy.clone()),
    };
    let completed = desk.operator.complete()? && is_signed;
    if !is_signed {
        desk.operator.publish(&[], |note| note.policy.clone_from(&wanted))?;
    }
    desk.settle(observer)?;
    let note = desk.operator.note();
    Ok(PolicyReport {
        number: note.number,
        before: before.filter(|before| *before != wanted && (completed || !is_signed)),
        completed,
        longest_readable_days: longest_readable_days(policy, note),
    })
}
