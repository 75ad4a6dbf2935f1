//! Trying the keys that the api will run with on what was restored. Spec: `apply.md` §1, A-8.

use sha2::{Digest as _, Sha256};

use super::{API, Application, ApplyError, Journal, OtherKeys, POSTGRES};
use crate::base::{Code, Coded, Event};
use crate::ops::Error;
use crate::source::docker::psql::Psql;
use crate::source::docker::{Container, Stack};

/// Digits of the fingerprint that the stack keeps of its `API_KEY_SECRET`.
const FINGERPRINT_LEN: usize = 16;
/// What the stack keeps of it.
const FINGERPRINT_SQL: &str = "SELECT value FROM _system_config \
                               WHERE key = 'api_key_secret_fingerprint';";

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyProof {
    /// The variable.
    pub name: &'static str,
    /// What it was tried on; nothing if there was nothing to try it on.
    pub tried_on: Option<String>,
}

impl Application<'_> {
    /// Tries the keys of the api's own environment.
    pub(super) fn check_keys(
        &self,
        stack: &Stack,
        journal: &Journal,
        other_keys: OtherKeys,
    ) -> Result<Vec<KeyProof>, Error> {
        let Ok(api) = stack.service(API) else { return Ok(Vec::new()) };
        let mut proofs = Vec::new();
        for proof in [self.try_api_key_secret(stack, api, journal)?] {
            match proof {
                Ok(proof) => proofs.push(proof),
                Err(error) if other_keys == OtherKeys::Accept => {
                    let detail = error.to_string();
                    self.observer.observe(Event::Warning { code: error.code(), detail });
                }
                Err(error) => return Err(error.into()),
            }
        }
        for proof in proofs.iter().filter(|proof| proof.tried_on.is_none()) {
            let detail = format!("{}: nothing in the snapshot tells whether it fits", proof.name);
            self.observer.observe(Event::Warning { code: Code::KeyUnproven, detail });
        }
        Ok(proofs)
    }

    fn try_api_key_secret(
        &self,
        stack: &Stack,
        api: &Container,
        journal: &Journal,
    ) -> Result<Result<KeyProof, ApplyError>, Error> {
        const NAME: &str = "API_KEY_SECRET";
        let mut proof = KeyProof { name: NAME, tried_on: None };
        let (Some(names), Some(secret)) = (&journal.database, api.variable(NAME)) else {
            return Ok(Ok(proof));
        };
        let psql = Psql::of(&self.docker, stack.running(POSTGRES)?);
        let there = psql.run(&names.name, "SELECT to_regclass('_system_config') IS NOT NULL;")?;
        if there.into_iter().flatten().next().as_deref() != Some("t") {
            return Ok(Ok(proof));
        }
        let kept = psql.run(&names.name, FINGERPRINT_SQL)?.into_iter().flatten().next();
        let Some(kept) = kept else { return Ok(Ok(proof)) };
        let found = hex::encode(Sha256::digest(secret.expose().as_bytes()));
        let what = "the fingerprint in _system_config".to_owned();
        if kept.trim_matches('"') != &found[..FINGERPRINT_LEN] {
            return Ok(Err(ApplyError::Key { name: NAME, what }));
        }
        proof.tried_on = Some(what);
        Ok(Ok(proof))
    }
}
