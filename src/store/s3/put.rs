//! How an object gets into a bucket: one PUT, never over another (C1 to C4, C6).

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::{BoxError, SdkError};
use aws_sdk_s3::operation::put_object::PutObjectOutput;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::{ByteStream, ByteStreamError, DateTime, DateTimeFormat};
use aws_sdk_s3::types::{
    ObjectLockLegalHoldStatus, ObjectLockMode, ServerSideEncryption, StorageClass as SdkClass,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::said::{Call, Failure};
use super::{S3Store, time_of};
use crate::base::{Clock as _, Digest, SystemClock};
use crate::format::{Folder, ObjectKey};
use crate::store::{Content, Error, LockMode, Receipt, StorageClass, digest_of};

/// Bytes of a file that are hashed at once.
const HASH_LEN: usize = 256 * 1024;

/// What is known of content before it is sent.
struct Known {
    len: u64,
    md5: Option<String>,
}

impl S3Store {
    /// Puts a new object.
    pub(super) fn put(
        &self,
        key: &ObjectKey,
        content: Content<'_>,
        digest: &Digest,
    ) -> Result<Receipt, Error> {
        let known = self.look_at(key, content, digest)?;
        let settings = &self.inner.settings;
        // Whoever may only put cannot look; then readers take the oldest version.
        let looks = settings.quirks.ignores_if_none_match && !settings.put_only;
        if looks && self.head(key)?.is_some() {
            return Err(self.exists(key));
        }
        let place = self.address(key);
        let call = self.call("put", "s3:PutObject", &place);
        let tap = Tap::default();
        let put = self.inner.send(call, |live| {
            let limited = self.inner.throttle.as_ref();
            let mut request = self.request(live.client.put_object(), key, digest, &known);
            let timeouts = live.pace.timeouts(known.len, &self.inner.settings);
            let (tap, owned) = (tap.clone(), Owned::of(content));
            async move {
                let body = owned.body(known.len).await.map_err(SdkError::construction_failure)?;
                let body = match limited {
                    Some(throttle) => ByteStream::new(throttle.limit(body.into_inner())),
                    None => body,
                };
                request = request.body(body);
                let config = aws_sdk_s3::config::Config::builder().timeout_config(timeouts);
                request.customize().config_override(config).interceptor(tap).send().await
            }
        });
        match put {
            Ok(output) => self.receipt(key, call, &output, &tap),
            Err(failure) if failure.status() == 412 && tap.seen().tries > 1 => {
                self.recognise(key, digest)
            }
            Err(failure) => Err(self.put_failed(key, content, digest, failure)),
        }
    }

    fn request(
        &self,
        request: PutObjectFluentBuilder,
        key: &ObjectKey,
        digest: &Digest,
        known: &Known,
    ) -> PutObjectFluentBuilder {
        let settings = &self.inner.settings;
        let length = i64::try_from(known.len).unwrap_or(i64::MAX);
        let mut request = request
            .bucket(&self.inner.place.bucket)
            .key(self.full(key))
            .content_length(length)
            .content_type("application/octet-stream")
            .if_none_match("*");
        request = match &known.md5 {
            Some(md5) => request.content_md5(md5),
            None => request.checksum_sha256(BASE64.encode(digest.as_bytes())),
        };
        if key.folder() == Folder::Packs && settings.pack_class != StorageClass::Standard {
            request = request.storage_class(SdkClass::from(settings.pack_class.name()));
        }
        if let Some(sse) = &settings.sse {
            request = request.server_side_encryption(ServerSideEncryption::from(sse.as_str()));
            request = request.set_ssekms_key_id(settings.sse_kms_key.clone());
        }
        if let Some((mode, until)) = settings.object_lock.zip(self.lock_until) {
            let mode = match (key.folder(), mode) {
                // Only so can the role that shreds remove a key.
                (Folder::Generations, _) | (_, LockMode::Governance) => ObjectLockMode::Governance,
                (_, LockMode::Compliance) => ObjectLockMode::Compliance,
            };
            // Whole seconds, and never a moment too short.
            let second = until.as_second() + i64::from(until.subsec_nanosecond() > 0);
            request = request
                .object_lock_mode(mode)
                .object_lock_retain_until_date(DateTime::from_secs(second));
        }
        match settings.legal_hold {
            true => request.object_lock_legal_hold_status(ObjectLockLegalHoldStatus::On),
            false => request,
        }
    }

    fn receipt(
        &self,
        key: &ObjectKey,
        call: Call<'_>,
        output: &PutObjectOutput,
        tap: &Tap,
    ) -> Result<Receipt, Error> {
        // A page of a proxy has none: without it nothing is known to be stored.
        if output.e_tag().is_none() {
            return Err(self.inner.not_s3(call, "the answer to a PUT has no ETag"));
        }
        let time = match tap.seen().date {
            Some(time) => time,
            None => match self.head(key) {
                Ok(Some(stat)) => stat.modified.unwrap_or_else(|| SystemClock.now()),
                Ok(None) => return Err(self.inner.not_s3(call, "what was put is not there")),
                // It is stored all the same: this host's clock dates it.
                Err(Error::Denied { .. }) => SystemClock.now(),
                Err(error) => return Err(error),
            },
        };
        let checksum = output.checksum_sha256().and_then(digest_from);
        let checksum = checksum.filter(|_| !self.inner.settings.quirks.echoes_checksum);
        Ok(Receipt { time, version_id: output.version_id().map(str::to_owned), checksum })
    }

    /// Looks whether what is there is what an earlier try put, whose answer was lost.
    fn recognise(&self, key: &ObjectKey, digest: &Digest) -> Result<Receipt, Error> {
        let seen = match self.inner.settings.put_only {
            true => None,
            false => match self.head(key) {
                // Some may read what is small and public, and no more.
                Err(Error::Denied { .. }) => None,
                other => other?,
            },
        };
        match seen {
            Some(stat) if stat.checksum == Some(*digest) => {
                let time = stat.modified.unwrap_or_else(|| SystemClock.now());
                Ok(Receipt { time, version_id: None, checksum: stat.checksum })
            }
            _ => Err(self.exists(key)),
        }
    }

    fn put_failed(
        &self,
        key: &ObjectKey,
        content: Content<'_>,
        digest: &Digest,
        failure: Failure,
    ) -> Error {
        match (failure.status(), failure.code()) {
            (412, _) | (_, "PreconditionFailed") => return self.exists(key),
            (_, code) if is_digest_refused(code) => {}
            (_, "InvalidRequest") if failure.error.to_string().contains("hecksum") => {}
            _ if failure.answer.is_none() => {}
            _ => return *failure.error,
        }
        // The file may have changed since it was hashed; else something changed it on the way.
        match content {
            Content::File(path) => match self.hash_file(key, path, digest) {
                Err(changed) => changed,
                Ok(_) => *failure.error,
            },
            Content::Bytes(_) => *failure.error,
        }
    }

    /// Looks at content before it is sent: its length, and its digest where that is cheap.
    fn look_at(
        &self,
        key: &ObjectKey,
        content: Content<'_>,
        digest: &Digest,
    ) -> Result<Known, Error> {
        let quirks = self.inner.settings.quirks;
        match content {
            Content::Bytes(bytes) => {
                self.compare(key, digest, digest_of(bytes))?;
                let md5 = quirks.refuses_checksum_header.then(|| BASE64.encode(Md5::digest(bytes)));
                Ok(Known { len: bytes.len() as u64, md5 })
            }
            Content::File(path) => {
                let unreadable = |error| self.content_unreadable(key, path, error);
                let found = std::fs::metadata(path).map_err(unreadable)?;
                if !found.is_file() {
                    return Err(unreadable(std::io::ErrorKind::InvalidInput.into()));
                }
                if quirks.refuses_checksum_header || quirks.ignores_checksum {
                    let (len, md5) = self.hash_file(key, path, digest)?;
                    return Ok(Known { len, md5: quirks.refuses_checksum_header.then_some(md5) });
                }
                Ok(Known { len: found.len(), md5: None })
            }
        }
    }

    /// Reads a file; returns its length and MD5, or an error if it has another SHA-256.
    fn hash_file(
        &self,
        key: &ObjectKey,
        path: &Path,
        digest: &Digest,
    ) -> Result<(u64, String), Error> {
        let unreadable = |error| self.content_unreadable(key, path, error);
        let mut file = File::open(path).map_err(unreadable)?;
        let (mut sha256, mut md5, mut len) = (Sha256::new(), Md5::new(), 0);
        let mut buffer = vec![0; HASH_LEN];
        loop {
            let read = file.read(&mut buffer).map_err(unreadable)?;
            if read == 0 {
                break;
            }
            sha256.update(&buffer[..read]);
            md5.update(&buffer[..read]);
            len += read as u64;
        }
        self.compare(key, digest, Digest::from_bytes(sha256.finalize().into()))?;
        Ok((len, BASE64.encode(md5.finalize())))
    }

    fn compare(&self, key: &ObjectKey, expected: &Digest, actual: Digest) -> Result<(), Error> {
        if actual == *expected {
            return Ok(());
        }
        let (expected, actual) = (Box::new(*expected), Box::new(actual));
        Err(Error::DigestMismatch { store: self.inner.name.clone(), key: *key, expected, actual })
    }

    fn content_unreadable(&self, key: &ObjectKey, path: &Path, error: std::io::Error) -> Error {
        let (store, path) = (self.inner.name.clone(), path.to_owned());
        Error::ContentUnreadable { store, key: *key, path, source: error.into() }
    }

    fn exists(&self, key: &ObjectKey) -> Error {
        Error::Exists { store: self.inner.name.clone(), key: *key }
    }
}

fn is_digest_refused(code: &str) -> bool {
    matches!(
        code,
        "BadDigest" | "InvalidDigest" | "XAmzContentChecksumMismatch" | "XAmzContentSHA256Mismatch"
    )
}

/// Reads a SHA-256 as S3 prints it; none for the checksum of an upload in parts.
pub fn digest_from(text: &str) -> Option<Digest> {
    let bytes = BASE64.decode(text).ok()?;
    Some(Digest::from_bytes(bytes.try_into().ok()?))
}

/// Content that a request can own.
enum Owned {
    Bytes(Vec<u8>),
    File(std::path::PathBuf),
}

impl Owned {
    fn of(content: Content<'_>) -> Self {
        match content {
            Content::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
            Content::File(path) => Self::File(path.to_owned()),
        }
    }

    async fn body(self, len: u64) -> Result<ByteStream, ByteStreamError> {
        match self {
            Self::Bytes(bytes) => Ok(ByteStream::from(bytes)),
            Self::File(path) => {
                let length = aws_sdk_s3::primitives::Length::Exact(len);
                ByteStream::read_from().path(path).length(length).build().await
            }
        }
    }
}

/// Sees the headers of an answer that the client does not hand on.
#[derive(Debug, Clone, Default)]
struct Tap(Arc<Mutex<Seen>>);

/// What was seen.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// The server's time.
    date: Option<Timestamp>,
    /// How often it was tried.
    tries: u32,
}

impl Tap {
    fn seen(&self) -> Seen {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Tap {
    fn name(&self) -> &'static str {
        "what the client does not tell"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.date = date.as_ref().and_then(time_of);
        Ok(())
    }

    fn read_before_attempt(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).tries += 1;
        Ok(())
    }
}
