//! How long a restore would take from each store. Spec: `drill.md` §3.
//!
//! The drilled store is measured whole. Another is measured by reading some of the packs that the
//! restore would read; nothing makes up for a restore from it, and the report says which is which.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::base::Clock;
use crate::format::ObjectKey;
use crate::format::list::ListEntry;
use crate::store::Store;
use crate::vault::delivery::hash_stored;

/// Bytes of packs that are read of a store that is not drilled.
const SAMPLE_LEN_MAX: u64 = 64 * 1024 * 1024;
/// Packs that are read at most.
const SAMPLE_COUNT_MAX: usize = 16;
/// After how long reading ends, so that a slow store is measured and not waited for.
const SAMPLE_TIME_MAX: Duration = Duration::from_secs(20);

/// A store that is not drilled.
pub struct OtherStore {
    /// Its name.
    pub name: String,
    /// The store, or why it cannot be opened.
    pub store: Result<Arc<dyn Store>, String>,
    /// The class of its packs, if those must be thawed before they can be read.
    pub cold_class: Option<String>,
}

/// How a projection was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// The drill itself.
    Drilled,
    /// Some packs were read, and the rest is the drill's.
    Sampled,
    /// It cannot be told.
    None,
}

/// How long a restore from a store takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Projection {
    /// The store's name.
    pub store: String,
    /// How it was come by.
    pub basis: Basis,
    /// Stored bytes a second that were read.
    pub bytes_per_s: Option<u64>,
    /// Seconds until the database is loaded and every file is there.
    pub projected_s: Option<u64>,
    /// Whether that is within the target.
    pub within: bool,
    /// Why it cannot be told, or is impossible.
    pub reason: Option<String>,
}

/// What the drill measured of the store that it read.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Milliseconds from the first read until every byte was restored and proven.
    pub restore_ms: u64,
    /// Milliseconds of everything after that.
    pub after_ms: u64,
    /// Stored bytes that the snapshot needs.
    pub stored_len: u64,
}

impl Measured {
    /// Returns the projection of the store that was drilled.
    pub fn drilled(&self, store: &str, target_s: u64) -> Projection {
        let projected_s = (self.restore_ms + self.after_ms).div_ceil(1000);
        Projection {
            store: store.to_owned(),
            basis: Basis::Drilled,
            bytes_per_s: Some(rate(self.stored_len, self.restore_ms)),
            projected_s: Some(projected_s),
            within: projected_s <= target_s,
            reason: None,
        }
    }

    /// Reads some packs of another store and projects a restore from it.
    pub fn other(
        &self,
        other: &OtherStore,
        needed: &[ListEntry],
        target_s: u64,
        clock: &dyn Clock,
    ) -> Projection {
        let unknown = |reason: String| Projection {
            store: other.name.clone(),
            basis: Basis::None,
            bytes_per_s: None,
            projected_s: None,
            within: false,
            reason: Some(reason),
        };
        if let Some(class) = &other.cold_class {
            return unknown(format!("packs of class {class} must be thawed first: hours to days"));
        }
        let store = match &other.store {
            Ok(store) => store.as_ref(),
            Err(reason) => return unknown(reason.clone()),
        };
        match sample(store, needed, clock) {
            Err(reason) => unknown(reason),
            Ok((len, ms)) => {
                let bytes_per_s = rate(len, ms);
                let transfer_ms = self.stored_len.saturating_mul(1000) / bytes_per_s.max(1);
                // Opening and writing take what they took, however fast the store is.
                let projected_ms = transfer_ms.max(self.restore_ms) + self.after_ms;
                let projected_s = projected_ms.div_ceil(1000);
                Projection {
                    store: other.name.clone(),
                    basis: Basis::Sampled,
                    bytes_per_s: Some(bytes_per_s),
                    projected_s: Some(projected_s),
                    within: projected_s <= target_s,
                    reason: None,
                }
            }
        }
    }
}

/// Reads needed objects of a store, evenly spread, until there is enough; returns bytes and time.
fn sample(
    store: &dyn Store,
    needed: &[ListEntry],
    clock: &dyn Clock,
) -> Result<(u64, u64), String> {
    let begun = clock.now();
    let (mut len, mut ms) = (0, 0);
    let step = needed.len().div_ceil(SAMPLE_COUNT_MAX).max(1);
    for entry in needed.iter().step_by(step) {
        let read = hash_stored(store, &entry.key).map_err(|error| error.to_string())?;
        let named = match entry.key {
            ObjectKey::Pack(id) | ObjectKey::Tree(id) => *id.as_bytes(),
            _ => continue,
        };
        if *read.0.as_bytes() != named {
            return Err(format!("{} is not what was signed: run `verify`", entry.key));
        }
        len += read.1;
        ms = since(begun, clock);
        if len >= SAMPLE_LEN_MAX || Duration::from_millis(ms) >= SAMPLE_TIME_MAX {
            break;
        }
    }
    match len {
        0 => Err("the snapshot needs no packs".to_owned()),
        len => Ok((len, ms)),
    }
}

/// Returns the milliseconds since a time, at least one.
pub fn since(begun: jiff::Timestamp, clock: &dyn Clock) -> u64 {
    let ms = clock.now().duration_since(begun).as_millis();
    u64::try_from(ms).unwrap_or(0).max(1)
}

fn rate(len: u64, ms: u64) -> u64 {
    len.saturating_mul(1000) / ms.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SystemClock;

    const MEASURED: Measured =
        Measured { restore_ms: 10_000, after_ms: 5_000, stored_len: 1 << 30 };

    /// D-7
    #[test]
    fn the_drilled_store_is_projected_by_what_it_took() {
        let projection = MEASURED.drilled("local", 15);
        assert_eq!((projection.projected_s, projection.within), (Some(15), true));
        assert_eq!(projection.bytes_per_s, Some((1 << 30) / 10));
        assert!(!MEASURED.drilled("local", 14).within);
    }

    /// D-8
    #[test]
    fn a_cold_store_is_not_projected_and_never_within_the_target() {
        let cold = OtherStore {
            name: "glacier".into(),
            store: Err("not asked".into()),
            cold_class: Some("DEEP_ARCHIVE".into()),
        };
        let projection = MEASURED.other(&cold, &[], u64::MAX, &SystemClock);
        assert_eq!((projection.basis, projection.within), (Basis::None, false));
        assert!(projection.reason.unwrap().contains("DEEP_ARCHIVE must be thawed"));
    }
}
