//! What the fake server keeps, and how far its thaws are.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::{SignedDuration, Timestamp};
use s3s::dto::{ListObjectsV2Input, ListObjectsV2Output, Object, RestoreStatus};
use s3s::{S3Result, s3_error};
use sha2::{Digest as _, Sha256};

use super::stamp;

/// An object.
#[derive(Clone)]
pub struct Kept {
    pub bytes: Arc<[u8]>,
    pub class: String,
    pub time: Timestamp,
    /// From when to when a thawed copy can be read.
    thawed: Option<(Timestamp, Timestamp)>,
}

impl Kept {
    pub fn new(bytes: Vec<u8>, class: &str, time: Timestamp) -> Self {
        Self { bytes: bytes.into(), class: class.to_owned(), time, thawed: None }
    }

    pub fn checksum(&self) -> String {
        BASE64.encode(Sha256::digest(&self.bytes))
    }

    fn is_archived(&self) -> bool {
        matches!(self.class.as_str(), "GLACIER" | "DEEP_ARCHIVE")
    }

    /// Returns the thaw that is not over: whether it is under way, and when its copy goes.
    fn thaw_at(&self, now: Timestamp) -> Option<(bool, Timestamp)> {
        let (ready, until) = self.thawed.filter(|(_, until)| now < *until)?;
        Some((now < ready, until))
    }

    pub fn check_readable(&self, now: Timestamp) -> S3Result<()> {
        if self.is_archived() && !matches!(self.thaw_at(now), Some((false, _))) {
            return Err(s3_error!(InvalidObjectState, "not for the object's storage class"));
        }
        Ok(())
    }

    /// Returns the header that tells how far a thaw is.
    pub fn restore_header(&self, now: Timestamp) -> Option<String> {
        let (under_way, until) = self.thaw_at(now)?;
        if under_way {
            return Some("ongoing-request=\"true\"".to_owned());
        }
        let until = until.strftime("%a, %d %b %Y %H:%M:%S GMT");
        Some(format!("ongoing-request=\"false\", expiry-date=\"{until}\""))
    }

    fn restore_status(&self, now: Timestamp) -> Option<RestoreStatus> {
        let (under_way, until) = self.thaw_at(now)?;
        Some(RestoreStatus {
            is_restore_in_progress: Some(under_way),
            restore_expiry_date: (!under_way).then(|| stamp(until)),
        })
    }
}

/// The buckets.
#[derive(Default)]
pub struct Contents(BTreeMap<String, BTreeMap<String, Kept>>);

impl Contents {
    pub fn create(&mut self, bucket: &str) {
        self.0.entry(bucket.to_owned()).or_default();
    }

    pub fn bucket(&self, bucket: &str) -> S3Result<&BTreeMap<String, Kept>> {
        self.0.get(bucket).ok_or_else(|| s3_error!(NoSuchBucket))
    }

    fn bucket_mut(&mut self, bucket: &str) -> S3Result<&mut BTreeMap<String, Kept>> {
        self.0.get_mut(bucket).ok_or_else(|| s3_error!(NoSuchBucket))
    }

    pub fn put(&mut self, bucket: &str, key: &str, kept: Kept, is_new: bool) -> S3Result<()> {
        let objects = self.bucket_mut(bucket)?;
        if is_new && objects.contains_key(key) {
            return Err(s3_error!(PreconditionFailed));
        }
        objects.insert(key.to_owned(), kept);
        Ok(())
    }

    pub fn delete(&mut self, bucket: &str, key: &str) -> S3Result<()> {
        self.bucket_mut(bucket)?.remove(key);
        Ok(())
    }

    /// Begins a thaw, or keeps a copy for longer; tells whether there was one.
    pub fn thaw(
        &mut self,
        bucket: &str,
        key: &str,
        tier: &str,
        days: i32,
        now: Timestamp,
    ) -> S3Result<bool> {
        let kept = self.bucket_mut(bucket)?.get_mut(key);
        let kept = kept.ok_or_else(|| s3_error!(NoSuchKey))?;
        let hours = match (kept.class.as_str(), tier) {
            ("GLACIER", "Expedited") => 0,
            ("GLACIER", "Standard") => 4,
            ("GLACIER", "Bulk") | ("DEEP_ARCHIVE", "Standard") => 12,
            ("DEEP_ARCHIVE", "Bulk") => 48,
            ("DEEP_ARCHIVE", _) => {
                return Err(s3_error!(InvalidArgument, "this tier is not for this class"));
            }
            _ => return Err(s3_error!(InvalidObjectState, "its class needs no restore")),
        };
        let (was_ready, ready) = match kept.thaw_at(now) {
            Some((true, _)) => return Err(s3_error!(RestoreAlreadyInProgress)),
            Some((false, _)) => (true, now),
            None => (false, now + SignedDuration::from_hours(hours)),
        };
        let until = ready + SignedDuration::from_hours(24 * i64::from(days));
        kept.thawed = Some((ready, until));
        Ok(was_ready)
    }

    /// Returns one page of a listing; with a time, it tells how far thaws are then.
    pub fn page(
        &self,
        asked: &ListObjectsV2Input,
        now: Option<Timestamp>,
    ) -> S3Result<ListObjectsV2Output> {
        let objects = self.bucket(&asked.bucket)?;
        let prefix = asked.prefix.as_deref().unwrap_or_default();
        let after = asked.continuation_token.as_deref().or(asked.start_after.as_deref());
        let count = usize::try_from(asked.max_keys.unwrap_or(1000)).unwrap_or_default();
        let mut found = objects.iter().filter(|(key, _)| {
            key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after)
        });
        let listed: Vec<Object> = found
            .by_ref()
            .take(count)
            .map(|(key, kept)| Object {
                key: Some(key.clone()),
                last_modified: Some(stamp(kept.time)),
                size: i64::try_from(kept.bytes.len()).ok(),
                storage_class: Some(kept.class.clone().into()),
                restore_status: now.and_then(|now| kept.restore_status(now)),
                ..Object::default()
            })
            .collect();
        let is_cut = found.next().is_some();
        let last = listed.last().and_then(|object| object.key.clone());
        Ok(ListObjectsV2Output {
            name: Some(asked.bucket.clone()),
            is_truncated: Some(is_cut),
            next_continuation_token: last.filter(|_| is_cut),
            key_count: i32::try_from(listed.len()).ok(),
            contents: Some(listed),
            ..ListObjectsV2Output::default()
        })
    }
}
