//! Whether an object in a store is the signed one. Spec: `repair.md` §1.

use super::{Depth, Repair};
use crate::base::{Code, Coded, with_causes};
use crate::format::ObjectKey;
use crate::ops::Error;
use crate::store::{self, Stat, Store};
use crate::vault::delivery::hash_stored;
use crate::vault::signed::{Expected, may_pass, proves_damage};

/// How an object was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// As it was signed, as far as was looked.
    Sound,
    /// Not at all.
    Missing,
    /// Otherwise.
    Damaged(Code, String),
    /// It could not be read, which may pass.
    Unread(Code, String),
}

/// What looking at an object told.
pub struct Seen {
    /// How it was found.
    pub state: State,
    /// Bytes that were read for it.
    pub read_len: u64,
    /// Whether its bytes were to be read and it must be thawed first.
    pub is_archived: bool,
}

impl Seen {
    const fn unread(state: State) -> Self {
        Self { state, read_len: 0, is_archived: false }
    }
}

/// Looks at an object as closely as was asked for.
///
/// # Errors
/// If the store does not answer.
pub fn look(request: &Repair<'_>, key: &ObjectKey, expected: &Expected) -> Result<Seen, Error> {
    let store = request.target.as_ref();
    let stat = match store.stat(key) {
        Ok(Some(stat)) => stat,
        Ok(None) => return Ok(Seen::unread(State::Missing)),
        Err(error) => return failed(store, error),
    };
    if let Some(wrong) = wrong_in(&stat, expected) {
        return Ok(Seen::unread(wrong));
    }
    let is_large = matches!(
        key,
        ObjectKey::Pack(_) | ObjectKey::Tree(_) | ObjectKey::Body(_) | ObjectKey::Segment(_)
    );
    if is_large && request.depth == Depth::Stored {
        return Ok(Seen::unread(State::Sound));
    }
    if stat.is_cold() {
        return Ok(Seen { is_archived: true, ..Seen::unread(State::Sound) });
    }
    match hash_stored(store, key) {
        Ok((sha256, len)) if expected.is_met(&sha256, len) => {
            Ok(Seen { read_len: len, ..Seen::unread(State::Sound) })
        }
        Ok((sha256, len)) => {
            let detail = format!("it has {len} bytes with the SHA-256 {sha256}");
            let state = State::Damaged(Code::ObjectAltered, detail);
            Ok(Seen { read_len: len, ..Seen::unread(state) })
        }
        Err(store::Error::Missing { .. }) => Ok(Seen::unread(State::Missing)),
        Err(store::Error::Archived { .. }) => {
            Ok(Seen { is_archived: true, ..Seen::unread(State::Sound) })
        }
        Err(error) => failed(store, error),
    }
}

/// Says what an error tells of an object.
fn failed(store: &dyn Store, error: store::Error) -> Result<Seen, Error> {
    let (code, detail) = (error.code(), with_causes(&error));
    if proves_damage(store, &error) {
        let is_unreadable = code == Code::StoreUnavailable;
        let code = if is_unreadable { Code::ObjectUnreadable } else { code };
        return Ok(Seen::unread(State::Damaged(code, detail)));
    }
    match may_pass(store, &error) {
        true => Ok(Seen::unread(State::Unread(code, detail))),
        false => Err(error.into()),
    }
}

/// Returns what size and checksum tell against an object.
fn wrong_in(stat: &Stat, expected: &Expected) -> Option<State> {
    if let Some(need) = expected.len.filter(|need| *need != stat.len) {
        let code = if stat.len < need { Code::ObjectTruncated } else { Code::ObjectAltered };
        return Some(State::Damaged(
            code,
            format!("it has {} bytes, {need} were signed", stat.len),
        ));
    }
    let other = stat.checksum.filter(|found| !expected.sha256.contains(found))?;
    let detail = format!("the store keeps the SHA-256 {other} of it, which was not signed");
    Some(State::Damaged(Code::ObjectAltered, detail))
}
