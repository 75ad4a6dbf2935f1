//! The objects that level `stored` looks at, with what else is known of them.

use jiff::Timestamp;

use super::Scope;
use crate::format::ObjectKey;
use crate::format::snapshot_note::SignedObject;
use crate::manifest::Claim;
use crate::ops::Error;

/// An object that is looked at, with what else is known of it.
pub struct Item {
    /// Its name.
    pub key: ObjectKey,
    /// What is signed.
    pub signed: SignedObject,
    /// Until when it must be locked.
    pub until: Option<Timestamp>,
    /// What the store acknowledged.
    pub claim: Option<Claim>,
}

/// Adds to objects what else is known of them.
///
/// # Errors
/// If what was kept on disk cannot be read.
pub fn items(scope: &Scope, page: &[(ObjectKey, SignedObject)]) -> Result<Vec<Item>, Error> {
    let item = |(key, signed): &(ObjectKey, SignedObject)| {
        let until = match key {
            _ if scope.floors.is_empty() => None,
            ObjectKey::Body(id) | ObjectKey::Segment(id) => {
                scope.floors.get(id).map(|floor| floor.until)
            }
            _ => scope.needed.floor_of(key)?,
        };
        let claim = scope.receipts.as_ref().map(|claims| claims.get(key)).transpose()?.flatten();
        Ok(Item { key: *key, signed: *signed, until, claim })
    };
    page.iter().map(item).collect()
}
