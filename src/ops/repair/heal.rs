//! Putting a sound copy in the place of what is missing or damaged. Spec: `repair.md` §3.1.

use std::path::Path;
use std::sync::Arc;

use super::check::State;
use super::{Outcome, Remedy, Repair};
use crate::base::{Digest, with_causes};
use crate::format::ObjectKey;
use crate::ops::Error;
use crate::ops::carrying::{Fetched, fetch};
use crate::ops::locks::Locks;
use crate::store::{self, Content, Store};
use crate::vault::delivery::{hash_stored, put_or_recognise};
use crate::vault::signed::{Expected, proves_damage};

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
    if has_sound_version(request.target, key, expected)? {
        return Ok(Outcome::OlderVersionCounts);
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
        return replace(request, key, from, put);
    }
    put()?;
    Ok(Outcome::Healed { from, aside })
}

/// Deletes the damaged object and puts the sound one, if that was asked for and is allowed.
fn replace(
    request: &Repair<'_>,
    key: &ObjectKey,
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

/// Tells whether the target itself has a version that is the signed one: readers take that.
fn has_sound_version(
    target: &Arc<dyn Store>,
    key: &ObjectKey,
    expected: &Expected,
) -> Result<bool, Error> {
    for version in target.versions(key)? {
        match version.stat(key) {
            Ok(Some(stat)) if stat.checksum.is_some() => {
                let kept = stat.checksum.filter(|found| expected.is_met(found, stat.len));
                if kept.is_some() {
                    return Ok(true);
                }
                continue;
            }
            Ok(_) => {}
            Err(error) if proves_damage(target.as_ref(), &error) => continue,
            Err(error) => return Err(error.into()),
        }
        match hash_stored(version.as_ref(), key) {
            Ok((sha256, len)) if expected.is_met(&sha256, len) => return Ok(true),
            Ok(_) => {}
            Err(error) if proves_damage(target.as_ref(), &error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
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
        match fetch(source, key, Some(expected), path)? {
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
