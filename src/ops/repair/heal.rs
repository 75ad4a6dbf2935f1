//! Putting a sound copy in the place of what is missing or damaged. Spec: `repair.md` §3.1.

use std::path::Path;

use super::check::State;
use super::{Depth, Outcome, Remedy, Repair};
use crate::base::{Digest, with_causes};
use crate::format::ObjectKey;
use crate::ops::Error;
use crate::ops::carrying::{Fetched, fetch};
use crate::ops::locks::Locks;
use crate::store::{self, Content, Store};
use crate::vault;
use crate::vault::delivery::{hash_stored, put_or_recognise};
use crate::vault::signed::{Expected, may_pass, proves_damage};

/// Heals an object, if anything can; `path` is the worker's scratch file.
///
/// # Errors
/// If a store does not answer.
pub fn heal(
    request: &Repair<'_>,
    locks: Option<&Locks<'_>>,
    key: &ObjectKey,
    expected: &Expected,
    state: &State,
    path: &Path,
) -> Result<Outcome, Error> {
    if matches!(state, State::Unread(..)) {
        return Ok(run_again());
    }
    match has_sound_version(request, key, expected)? {
        Found::Sound => return Ok(Outcome::OlderVersionCounts),
        Found::Unread => return Ok(run_again()),
        Found::Nothing | Found::Rotten => {}
    }
    let (from, sha256) = match find_sound(request, key, expected, path)? {
        Ok(found) => found,
        Err(reason) => return Ok(Outcome::Unhealed { reason }),
    };
    let Some(locks) = locks.filter(|_| request.remedy != Remedy::Look) else {
        return Ok(Outcome::Healable { from });
    };
    let put = || -> Result<(), Error> {
        let target = locks.store_for(key)?;
        let receipt = put_or_recognise(target.as_ref(), key, Content::File(path), &sha256)?;
        (request.settle)(key, &receipt)
    };
    let aside = match state {
        State::Missing => None,
        _ => request.target.set_aside(key)?,
    };
    if aside.is_none() && *state != State::Missing {
        return replace(request, key, expected, from, put);
    }
    put()?;
    Ok(Outcome::Healed { from, aside })
}

/// Deletes the damaged object and puts the sound one, if that was asked for and is allowed.
fn replace(
    request: &Repair<'_>,
    key: &ObjectKey,
    expected: &Expected,
    from: String,
    put: impl FnOnce() -> Result<(), Error>,
) -> Result<Outcome, Error> {
    if request.remedy != Remedy::Replace {
        let reason = format!(
            "store {from} has a sound copy, and this store does not set aside what is in its \
             place: with the right to delete, `repair --replace` deletes that and puts the copy"
        );
        return Ok(Outcome::Unhealed { reason });
    }
    // One torn answer must not cost a sound object.
    match look_at(request, request.target.as_ref(), key, expected) {
        Ok(Found::Sound) => return Ok(run_again()),
        Err(error) if may_pass(request.target.as_ref(), &error) => return Ok(run_again()),
        _ => {}
    }
    match request.target.delete(key) {
        Ok(()) | Err(store::Error::Missing { .. }) => {}
        Err(error @ store::Error::Denied { .. }) => {
            let reason = format!(
                "store {from} has a sound copy, and the damaged object cannot be deleted (it is \
                 locked, or the credentials do not allow it): {}",
                with_causes(&error)
            );
            return Ok(Outcome::Unhealed { reason });
        }
        Err(error) => return Err(error.into()),
    }
    put()?;
    Ok(Outcome::Replaced { from })
}

/// What became of an object that may be sound: nothing, until somebody can read it (H-15).
fn run_again() -> Outcome {
    let reason = "it could not be read now, which proves no damage; nothing was done to it: run \
                  `repair` again"
        .to_owned();
    Outcome::Unhealed { reason }
}

/// What the versions of an object are.
enum Found {
    /// One of them is the signed one, and readers take that.
    Sound,
    /// None is, as far as was looked.
    Nothing,
    /// Its checksum is the signed one, its bytes are not: who reads a pack takes it all the same.
    Rotten,
    /// One could not be read, which may pass.
    Unread,
}

/// Looks for the signed one among the versions in the target itself.
fn has_sound_version(
    request: &Repair<'_>,
    key: &ObjectKey,
    expected: &Expected,
) -> Result<Found, Error> {
    let target = request.target.as_ref();
    let failed = |error: store::Error| match error {
        error if proves_damage(target, &error) => Ok(Found::Nothing),
        error if may_pass(target, &error) => Ok(Found::Unread),
        error => Err(Error::from(error)),
    };
    let versions = match target.versions(key) {
        Ok(versions) => versions,
        Err(error) => return failed(error),
    };
    for version in versions {
        let found = match look_at(request, version.as_ref(), key, expected) {
            Ok(found) => found,
            Err(error) => failed(error)?,
        };
        match found {
            Found::Nothing => {}
            Found::Rotten if key.pack().is_none() => {}
            other => return Ok(other),
        }
    }
    Ok(Found::Nothing)
}

/// Looks at one version: at its bytes, unless the checksum that the store keeps is enough or all
/// there is.
fn look_at(
    request: &Repair<'_>,
    version: &dyn Store,
    key: &ObjectKey,
    expected: &Expected,
) -> Result<Found, store::Error> {
    let Some(stat) = version.stat(key)? else { return Ok(Found::Nothing) };
    let attested = stat.checksum.map(|kept| expected.is_met(&kept, stat.len));
    let is_sound = match attested {
        Some(false) => false,
        Some(true) if request.depth == Depth::Stored || stat.is_cold() => true,
        _ => {
            let (sha256, len) = hash_stored(version, key)?;
            expected.is_met(&sha256, len)
        }
    };
    Ok(match (is_sound, attested) {
        (true, _) => Found::Sound,
        (false, Some(true)) => Found::Rotten,
        (false, _) => Found::Nothing,
    })
}

/// Fetches a sound copy from the first source that has one; else says how it is with each.
fn find_sound(
    request: &Repair<'_>,
    key: &ObjectKey,
    expected: &Expected,
    path: &Path,
) -> Result<Result<(String, Digest), String>, Error> {
    let mut reasons = Vec::new();
    for source in request.sources {
        let name = source.name();
        let fetched = match fetch(source, key, expected, path) {
            Err(Error::Vault(vault::Error::Store(error))) if may_pass(source.as_ref(), &error) => {
                let why = with_causes(&error);
                reasons.push(format!("in store {name} it could not be read now: {why}; run again"));
                continue;
            }
            other => other?,
        };
        match fetched {
            Fetched::Sound { sha256, .. } => return Ok(Ok((name.to_owned(), sha256))),
            Fetched::Missing => reasons.push(format!("store {name} does not have it")),
            Fetched::Damaged(detail) => reasons.push(format!("in store {name} {detail}")),
            Fetched::Archived => {
                reasons.push(format!(
                    "in store {name} it must be thawed first (`thaw latest --store {name}`)"
                ));
            }
        }
    }
    if reasons.is_empty() {
        reasons.push("there is no other store to take it from".to_owned());
    }
    Ok(Err(reasons.join("; ")))
}
