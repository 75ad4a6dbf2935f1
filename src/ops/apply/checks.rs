//! Trying the keys that the api will run with on what is restored. Spec: `apply.md` §1, A-8.

use super::{Application, ApplyError, OtherKeys};
use crate::base::{Code, Coded, Event, SnapshotId};
use crate::ops::Error;
use crate::ops::escrow::proof::{self, Candidates, KeyToProve, Proof, Subject, Verdict};
use crate::source::docker::{API_SERVICE, Stack};
use crate::vault::Unlocked;

/// The key that the stack encrypts with, and the one before it, which opens files alone.
const KEY: &str = "ENCRYPTION_KEY";
const KEY_BEFORE: &str = "ENCRYPTION_KEY_PREVIOUS";
const API_KEY_SECRET: &str = "API_KEY_SECRET";

impl Application<'_> {
    /// Tries the keys of the api's own environment on the snapshot.
    pub(super) fn check_keys(
        &self,
        unlocked: &Unlocked,
        snapshot: SnapshotId,
        stack: &Stack,
        other_keys: OtherKeys,
    ) -> Result<Vec<Proof>, Error> {
        let Ok(api) = stack.service(API_SERVICE) else { return Ok(Vec::new()) };
        let value = |name: &str| Some(api.variable(name)?.expose().as_bytes());
        let key = |name: &str| {
            let is_current = name == KEY;
            value(name).map(|value| KeyToProve { name: name.to_owned(), is_current, value })
        };
        let candidates = Candidates {
            keys: [KEY, KEY_BEFORE].into_iter().filter_map(key).collect(),
            api_key_secrets: value(API_KEY_SECRET).into_iter().collect(),
        };
        let proofs = proof::prove(unlocked, snapshot, &candidates)?;
        for proof in &proofs {
            let name = variable_of(proof.subject);
            match (proof.verdict, other_keys) {
                (Verdict::Fits, _) => {}
                (Verdict::Unproven, _) => {
                    let detail = format!("{name}: {}", proof.detail);
                    self.observer.observe(Event::Warning { code: Code::KeyUnproven, detail });
                }
                (Verdict::DoesNotFit, OtherKeys::Refuse) => {
                    let what = proof.detail.clone();
                    return Err(ApplyError::Key { name, what }.into());
                }
                (Verdict::DoesNotFit, OtherKeys::Accept) => {
                    let error = ApplyError::Key { name, what: proof.detail.clone() };
                    let (code, detail) = (error.code(), error.to_string());
                    self.observer.observe(Event::Warning { code, detail });
                }
            }
        }
        Ok(proofs)
    }
}

/// Returns the variable that a proof is about.
pub const fn variable_of(subject: Subject) -> &'static str {
    match subject {
        Subject::Uploads | Subject::IdentityVault => KEY,
        Subject::ApiKeySecret => API_KEY_SECRET,
    }
}
