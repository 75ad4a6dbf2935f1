//! What a bucket keeps against whoever may write to it: versions and locks.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{
    BucketVersioningStatus, ObjectLockEnabled, ObjectLockMode, ObjectLockRetentionMode,
};
use jiff::SignedDuration;

use super::Run;
use crate::store::Error;
use crate::store::probe::{Capability, Verdict};

/// For how long the one object that is locked is locked; it is longer than any probe.
const LOCK: SignedDuration = SignedDuration::from_hours(1);

impl Run<'_> {
    /// Puts one object over another, and looks for both.
    pub(super) fn versions(&mut self) -> Result<(), Error> {
        let call = self.call("look at", "s3:GetBucketVersioning");
        let versioning = self
            .store
            .inner
            .send(call, |live| live.client.get_bucket_versioning().bucket(self.bucket()).send());
        let claimed = match &versioning {
            Ok(said) => said.status() == Some(&BucketVersioningStatus::Enabled),
            Err(_) => false,
        };
        let first = self.put("d", b"first", |put| put.if_none_match("*"))?;
        self.keep("d", &first);
        let over = self.put("d", b"second", |put| put);
        let was_refused = over.is_err();
        match over {
            Ok(put) => {
                self.keep("d", &put);
                let detail = "one object was put over another";
                self.saw(Capability::PutOverRefused, false, detail);
            }
            Err(failure) if failure.answer.is_none() => return Err(failure.into()),
            Err(failure) => {
                let detail = format!("refused with {} {}", failure.status(), failure.code());
                self.saw(Capability::PutOverRefused, true, detail);
            }
        }
        self.saw_listed_versions()?;
        let id = first.version_id().map(str::to_owned);
        let is_kept = id.is_some() && self.get("d", id).is_ok_and(|bytes| bytes == b"first");
        match versioning {
            Ok(_) => {
                let detail = match (claimed, is_kept) {
                    (true, true) if was_refused => "the bucket says that it is enabled",
                    (true, true) => "what was put over another left that where it was",
                    (true, false) => "the bucket says Enabled, and the first version is gone",
                    (false, _) => "the bucket does not say that it is enabled",
                };
                self.saw(Capability::Versioning, claimed && is_kept, detail);
            }
            Err(failure) => self.judge(Capability::Versioning, failure)?,
        }
        Ok(())
    }

    fn saw_listed_versions(&mut self) -> Result<(), Error> {
        let call = self.call("list", "s3:ListBucketVersions");
        let listed = self.store.inner.send(call, |live| {
            live.client.list_object_versions().bucket(self.bucket()).prefix(self.full("d")).send()
        });
        match listed {
            Ok(page) => {
                let count = page.versions().len();
                let detail = format!("{count} versions of an object were listed");
                self.saw(Capability::ListVersions, count > 0, detail);
                Ok(())
            }
            Err(failure) => self.judge(Capability::ListVersions, failure),
        }
    }

    pub(super) fn lock_configuration(&mut self) -> Result<(), Error> {
        let call = self.call("look at", "s3:GetBucketObjectLockConfiguration");
        let said = self.store.inner.send(call, |live| {
            live.client.get_object_lock_configuration().bucket(self.bucket()).send()
        });
        match said {
            Ok(said) => {
                let configuration = said.object_lock_configuration();
                let is_enabled = configuration.and_then(|it| it.object_lock_enabled())
                    == Some(&ObjectLockEnabled::Enabled);
                let rule = configuration.and_then(|it| it.rule());
                let default = rule.and_then(|rule| rule.default_retention());
                let detail = if is_enabled { "Enabled" } else { "not Enabled" };
                self.saw(Capability::LockConfiguration, is_enabled, detail);
                let detail = match default.map(|it| it.mode().map_or("some", |mode| mode.as_str()))
                {
                    Some(mode) => format!(
                        "the bucket has a default retention in {mode} mode, so nothing was put: \
                         it could not be deleted again"
                    ),
                    None => "the bucket has none".to_owned(),
                };
                self.saw(Capability::NoDefaultRetention, default.is_none(), detail);
                Ok(())
            }
            Err(failure) if failure.code() == "ObjectLockConfigurationNotFoundError" => {
                self.saw(Capability::NoDefaultRetention, true, "the bucket locks nothing");
                self.saw(Capability::LockConfiguration, false, "the bucket has none");
                Ok(())
            }
            Err(failure) => self.judge(Capability::LockConfiguration, failure),
        }
    }

    /// Locks an object, reads its retention, and tries to delete it.
    pub(super) fn lock(&mut self) -> Result<(), Error> {
        if !self.probe.has(Capability::LockConfiguration) {
            self.saw(Capability::Lock, false, "the bucket has no lock configuration");
            return Ok(());
        }
        let until = DateTime::from_secs((self.request.now + LOCK).as_second());
        let put = self.put("e", b"locked for an hour", |put| {
            let put = put.if_none_match("*").object_lock_mode(ObjectLockMode::Governance);
            put.object_lock_retain_until_date(until)
        });
        let put = match put {
            Ok(put) => put,
            Err(failure) => return self.judge(Capability::Lock, failure),
        };
        self.keep("e", &put);
        let Some(id) = put.version_id().map(str::to_owned) else {
            self.saw(Capability::Lock, false, "PUT told no version to look at");
            return Ok(());
        };
        let call = self.call("look at", "s3:GetObjectRetention");
        let said = self.store.inner.send(call, |live| {
            let request = live.client.get_object_retention().bucket(self.bucket());
            request.key(self.full("e")).version_id(&id).send()
        });
        let retention = match said {
            Ok(said) => said,
            Err(failure) => return self.judge(Capability::Lock, failure),
        };
        let is_right = retention.retention().is_some_and(|it| {
            it.mode() == Some(&ObjectLockRetentionMode::Governance)
                && it.retain_until_date().map(DateTime::secs) == Some(until.secs())
        });
        if !is_right {
            let detail = "its retention is not the one that was put";
            self.saw(Capability::Lock, false, detail);
            return Ok(());
        }
        match self.delete(&self.full("e"), Some(&id), false) {
            Ok(()) => self.saw(Capability::Lock, false, "a locked object was deleted"),
            Err(failure) if failure.answer.is_none() => return Err(failure.into()),
            Err(_) => {
                let detail = "its retention is the one that was put, and it withstood a delete";
                self.saw(Capability::Lock, true, detail);
            }
        }
        Ok(())
    }

    pub(super) fn policy(&mut self) -> Result<(), Error> {
        let call = self.call("read", "s3:GetBucketPolicy");
        let said = self
            .store
            .inner
            .send(call, |live| live.client.get_bucket_policy().bucket(self.bucket()).send());
        match said {
            Ok(said) => {
                let policy = said.policy().unwrap_or_default();
                let is_bounded = policy.contains("s3:object-lock-remaining-retention-days");
                let detail = if is_bounded { "the policy does" } else { "the policy does not" };
                self.saw(Capability::RetentionBounded, is_bounded, detail);
            }
            Err(failure) if failure.answer.is_none() => return Err(failure.into()),
            Err(failure) => {
                let detail = format!("its policy cannot be read: {}", failure.code());
                self.probe.saw(Capability::RetentionBounded, Verdict::Unknown, detail);
            }
        }
        Ok(())
    }
}
