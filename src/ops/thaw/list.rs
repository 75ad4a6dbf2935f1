//! The list of what was asked for: on disk before the first request. Spec: `thaw.md` §3.
//!
//! It is an aid, and no truth: which packs are ready the store says. Two runs at a time may each
//! write it, and the last one's stays.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::error::ThawError;
use crate::base::OpenGate;
use crate::format::ObjectKey;
use crate::store::{ThawAnswer, ThawTier};
use crate::vault::directories::{make_dir, sync_dir};

/// Longest list that is read: some million packs.
const LIST_LEN_MAX: u64 = 512 * 1024 * 1024;
/// Days beyond those of its copy for which a request stays on the list: longer than any thaw.
const DAYS_KEPT: i64 = 3;

/// What the store said to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// Nothing yet: the request is about to be made, or was cut off.
    Nothing,
    /// It began.
    Begun,
    /// It had begun before.
    UnderWay,
    /// The copy is kept longer.
    Prolonged,
    /// It failed.
    Failed,
}

impl From<ThawAnswer> for Said {
    fn from(answer: ThawAnswer) -> Self {
        match answer {
            ThawAnswer::Begun => Self::Begun,
            ThawAnswer::UnderWay => Self::UnderWay,
            ThawAnswer::Prolonged => Self::Prolonged,
        }
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// How fast.
    pub tier: ThawTier,
    /// For how many days.
    pub days: u32,
    /// When it was made last, in seconds since 1970.
    pub asked: i64,
    /// What the store said.
    pub said: Said,
}

/// Every request to one store of a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestList {
    v: u32,
    /// The store's URL.
    pub url: String,
    /// The requests, by the packs' names.
    pub packs: BTreeMap<String, Request>,
    #[serde(skip)]
    path: PathBuf,
}

impl RequestList {
    /// Reads the list of a store in a directory. One that is not there or not readable is empty:
    /// the second value tells why, if there is something wrong with it.
    pub fn load(dir: &Path, url: &str, now: Timestamp) -> (Self, Option<String>) {
        let name = blake3::hash(url.as_bytes()).to_hex();
        let path = dir.join(format!("{}.json", &name[..16]));
        let empty =
            || Self { v: 1, url: url.to_owned(), packs: BTreeMap::new(), path: path.clone() };
        let len = std::fs::metadata(&path).map(|metadata| metadata.len());
        let bytes = match len {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return (empty(), None),
            Err(cause) => return (empty(), Some(cause.to_string())),
            Ok(len) if len > LIST_LEN_MAX => return (empty(), Some("it is too long".to_owned())),
            Ok(_) => std::fs::read(&path),
        };
        let parsed = bytes.map_err(|cause| cause.to_string()).and_then(|bytes| {
            serde_json::from_slice::<Self>(&bytes).map_err(|cause| cause.to_string())
        });
        match parsed {
            Ok(list) if list.v == 1 && list.url == url => {
                let mut list = Self { path: path.clone(), ..list };
                list.packs.retain(|_, request| request.is_recent(now));
                (list, None)
            }
            Ok(_) => (empty(), Some("it is of another store or version".to_owned())),
            Err(reason) => (empty(), Some(reason)),
        }
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the request for a pack.
    pub fn get(&self, key: &ObjectKey) -> Option<&Request> {
        self.packs.get(&key.to_string())
    }

    /// Notes a request that is about to be made.
    pub fn ask(&mut self, key: &ObjectKey, tier: ThawTier, days: u32, now: Timestamp) {
        let request = Request { tier, days, asked: now.as_second(), said: Said::Nothing };
        self.packs.insert(key.to_string(), request);
    }

    /// Notes what the store said.
    pub fn answer(&mut self, key: &ObjectKey, said: Said) {
        if let Some(request) = self.packs.get_mut(&key.to_string()) {
            request.said = said;
        }
    }

    /// Writes it, durably.
    ///
    /// # Errors
    /// If that fails.
    pub fn save(&self) -> Result<(), ThawError> {
        let wrap = |source| ThawError::List { path: self.path.clone(), source };
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let gate = OpenGate::shared();
        make_dir(dir, &gate).map_err(wrap)?;
        let bytes = serde_json::to_vec(self).map_err(|error| wrap(error.into()))?;
        let mut file = tempfile::NamedTempFile::new_in(dir).map_err(wrap)?;
        file.write_all(&bytes).map_err(wrap)?;
        file.as_file().sync_all().map_err(wrap)?;
        file.persist(&self.path).map_err(|error| wrap(error.error))?;
        sync_dir(dir, &gate).map_err(wrap)
    }
}

impl Request {
    fn is_recent(&self, now: Timestamp) -> bool {
        let kept = SignedDuration::from_hours(24 * (i64::from(self.days) + DAYS_KEPT));
        now.as_second().saturating_sub(self.asked) < kept.as_secs()
    }

    /// Returns when it was made; none if the list gives no possible time.
    pub fn asked(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.asked).ok()
    }
}
