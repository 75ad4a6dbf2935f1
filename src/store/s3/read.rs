//! How objects are looked at and read, and what a bucket says of thawed copies.

use std::io::{self, Read};
use std::time::Duration;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use aws_sdk_s3::types::{ChecksumMode, ObjectLockMode};
use bytes::{Buf as _, Bytes};

use super::put::digest_from;
use super::said::Failure;
use super::{S3Store, time_of};
use crate::format::ObjectKey;
use crate::store::{Error, Lock, LockMode, Readiness, Stat, StorageClass};

/// Beyond this no object reaches, so that a range up to it is not even asked for.
const OBJECT_LEN_MAX: u64 = 1 << 50;
/// Times that a broken answer is asked for again from where it broke.
const RESUMES: u32 = 4;

impl S3Store {
    /// Looks at an object; none if it is missing from a bucket that is there.
    pub(super) fn head(&self, key: &ObjectKey) -> Result<Option<Stat>, Error> {
        let place = self.address(key);
        let call = self.call("look at", "s3:GetObject", &place);
        let version = self.version_of(key);
        let head = self.inner.send(call, |live| {
            let request = live.client.head_object().bucket(&self.inner.place.bucket);
            let request = request.key(self.full(key)).set_version_id(version.map(str::to_owned));
            request.checksum_mode(ChecksumMode::Enabled).send()
        });
        match head {
            Ok(output) if output.e_tag().is_none() => {
                Err(self.inner.not_s3(call, "the answer to a HEAD has no ETag"))
            }
            Ok(output) => {
                let mut stat = stat_of(&output);
                stat.checksum =
                    stat.checksum.filter(|_| !self.inner.settings.quirks.echoes_checksum);
                Ok(Some(stat))
            }
            Err(failure) if is_missing(&failure) => {
                self.inner.check_bucket()?;
                Ok(None)
            }
            // An answer to HEAD has no words: another call may have some.
            Err(failure) => Err(self.inner.explain(failure)),
        }
    }

    /// Asks for an object, or a part of it.
    fn fetch(&self, key: &ObjectKey, range: Option<String>) -> Result<GetObjectOutput, Failure> {
        let place = self.address(key);
        let call = self.call("read", "s3:GetObject", &place);
        let version = self.version_of(key);
        let got = self.inner.send(call, |live| {
            let request = live.client.get_object().bucket(&self.inner.place.bucket);
            let request = request.key(self.full(key)).set_version_id(version.map(str::to_owned));
            request.set_range(range.clone()).send()
        })?;
        match got.e_tag() {
            Some(_) => Ok(got),
            None => {
                let error = self.inner.not_s3(call, "the answer to a GET has no ETag");
                Err(Failure { answer: None, error: Box::new(error) })
            }
        }
    }

    /// Returns the error that a failed GET is.
    fn unread(&self, key: &ObjectKey, failure: Failure) -> Error {
        if is_missing(&failure) {
            return match self.inner.check_bucket() {
                Ok(()) => self.missing(key),
                Err(error) => error,
            };
        }
        if failure.code() == "InvalidObjectState" {
            let class = match self.head(key) {
                Ok(Some(stat)) => stat.class,
                _ => self.inner.settings.pack_class,
            };
            return Error::Archived { store: self.inner.name.clone(), key: *key, class };
        }
        *failure.error
    }

    /// Opens an object for reading from its beginning; returns its length too, if it was told.
    pub(super) fn stream(&self, key: &ObjectKey) -> Result<Stream, Error> {
        let got = self.fetch(key, None).map_err(|failure| self.unread(key, failure))?;
        let len = got.content_length().and_then(|len| u64::try_from(len).ok());
        let tag = got.e_tag().map(str::to_owned);
        Ok(Stream::new(self.clone(), *key, got.body, tag, 0, len))
    }

    /// Reads an object whole, if it is not longer than allowed (C5).
    pub(super) fn read_whole(&self, key: &ObjectKey, len_max: u64) -> Result<Vec<u8>, Error> {
        let exceeded = |len| {
            let store = self.inner.name.clone();
            Error::LimitExceeded { store, key: *key, len, max: len_max }
        };
        let stream = self.stream(key)?;
        let told = stream.len.unwrap_or(0);
        if told > len_max {
            return Err(exceeded(told));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(told).unwrap_or(0));
        let mut limited = stream.take(len_max.saturating_add(1));
        limited.read_to_end(&mut bytes).map_err(|error| self.broken(key, error))?;
        match bytes.len() as u64 {
            len if len > len_max => Err(exceeded(len)),
            _ => Ok(bytes),
        }
    }

    /// Reads exactly a part of an object (C7).
    pub(super) fn read_range(
        &self,
        key: &ObjectKey,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, Error> {
        let need = offset.saturating_add(len as u64);
        let truncated = |found: u64| {
            let store = self.inner.name.clone();
            Error::Truncated { store, key: *key, len: found, need }
        };
        if len == 0 || need > OBJECT_LEN_MAX {
            return match self.head(key)? {
                None => Err(self.missing(key)),
                Some(stat) if stat.len < need => Err(truncated(stat.len)),
                Some(_) => Ok(Vec::new()),
            };
        }
        let got = match self.fetch(key, Some(format!("bytes={offset}-{}", need - 1))) {
            Ok(got) => got,
            Err(failure) if failure.status() == 416 || failure.code() == "InvalidRange" => {
                let stat = self.head(key)?.ok_or_else(|| self.missing(key))?;
                return Err(truncated(stat.len));
            }
            Err(failure) => return Err(self.unread(key, failure)),
        };
        let total = got.content_range().and_then(|range| range.rsplit('/').next()?.parse().ok());
        let told = got.content_length().and_then(|told| u64::try_from(told).ok());
        // A server that does not know ranges answers with the whole object.
        let skip = if got.content_range().is_some() { 0 } else { offset };
        if let Some(found) = total.or(told.filter(|_| got.content_range().is_none()))
            && found < need
        {
            return Err(truncated(found));
        }
        let tag = got.e_tag().map(str::to_owned);
        let read = offset - skip;
        let end = told.map(|told| read.saturating_add(told));
        let mut stream = Stream::new(self.clone(), *key, got.body, tag, read, end);
        let mut bytes = vec![0; len];
        let copied = io::copy(&mut (&mut stream).take(skip), &mut io::sink());
        copied.and_then(|_| stream.read_exact(&mut bytes)).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => truncated(stream.read),
            _ => self.broken(key, error),
        })?;
        Ok(bytes)
    }

    fn broken(&self, key: &ObjectKey, error: io::Error) -> Error {
        let (store, place) = (self.inner.name.clone(), self.address(key));
        Error::Unavailable { store, action: "read", place, source: error.into() }
    }

    pub(super) fn missing(&self, key: &ObjectKey) -> Error {
        Error::Missing { store: self.inner.name.clone(), key: *key }
    }
}

/// Tells whether the answer is that there is no such object, as opposed to no such bucket.
pub fn is_missing(failure: &Failure) -> bool {
    match failure.code() {
        "NoSuchKey" | "NoSuchVersion" | "NotFound" => true,
        // A HEAD has no code; a GET under a delete marker may be 405.
        "" | "MethodNotAllowed" => {
            let is_page = failure.answer.as_ref().is_some_and(|answer| answer.is_page);
            failure.status() == 404 && !is_page
        }
        _ => false,
    }
}

/// Tells whether what was asked of an object's lock or legal hold has no object to be of: a delete
/// marker has neither, and a server says so with 405.
pub fn is_missing_or_hidden(failure: &Failure) -> bool {
    is_missing(failure) || (failure.status(), failure.code()) == (405, "MethodNotAllowed")
}

/// An object that is being read. What breaks is asked for again from there, and as the same object.
pub struct Stream {
    store: S3Store,
    key: ObjectKey,
    body: ByteStream,
    tag: Option<String>,
    ready: Bytes,
    // Where in the object the next byte is, and where the last one was told to end.
    read: u64,
    len: Option<u64>,
    resumes: u32,
    // What this answer brought so far, and how long it was waited for.
    received: u64,
    waited: Duration,
}

impl Stream {
    /// Reads an answer that begins at `read` in the object and was told to end at `len`.
    fn new(
        store: S3Store,
        key: ObjectKey,
        body: ByteStream,
        tag: Option<String>,
        read: u64,
        len: Option<u64>,
    ) -> Self {
        let (ready, resumes, received, waited) = (Bytes::new(), RESUMES, 0, Duration::ZERO);
        Self { store, key, body, tag, ready, read, len, resumes, received, waited }
    }

    /// Waits for the next bytes; none at the end.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let live = self.store.inner.live().map_err(io::Error::other)?;
        let Some(patience) = live.pace.patience(self.received, self.waited) else {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the answer comes too slowly"));
        };
        let (next, waited) = live.runtime.block_on(async {
            // Two moments that are as far beyond the wait as it is long differ by what it took.
            let began = tokio::time::sleep(patience).deadline();
            let next = tokio::time::timeout(patience, self.body.next()).await;
            (next, tokio::time::sleep(patience).deadline() - began)
        });
        self.waited += waited;
        match next {
            Ok(Some(Ok(bytes))) => {
                self.received += bytes.len() as u64;
                Ok(Some(bytes))
            }
            Ok(Some(Err(error))) => Err(io::Error::other(super::said::chain(&error))),
            Ok(None) if self.len.is_some_and(|len| self.read < len) => {
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Ok(None) => Ok(None),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Asks for the rest.
    fn resume(&mut self, broke: io::Error) -> io::Result<()> {
        if self.resumes == 0 || self.len.is_none() || self.tag.is_none() {
            return Err(broke);
        }
        self.resumes -= 1;
        let end = self.len.map_or(String::new(), |len| len.saturating_sub(1).to_string());
        let range = format!("bytes={}-{end}", self.read);
        let got = self.store.fetch(&self.key, Some(range));
        let got = got.map_err(|failure| io::Error::other(Error::from(failure)))?;
        if got.e_tag() != self.tag.as_deref() || got.content_range().is_none() {
            return Err(broke);
        }
        self.body = got.body;
        (self.received, self.waited) = (0, Duration::ZERO);
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() && !buffer.is_empty() {
            match self.next() {
                Ok(Some(bytes)) => self.ready = bytes,
                Ok(None) => return Ok(0),
                Err(broke) => self.resume(broke)?,
            }
        }
        let len = buffer.len().min(self.ready.len());
        self.ready.copy_to_slice(&mut buffer[..len]);
        self.read += len as u64;
        // A server that says more than it promised is not believed.
        match self.len {
            Some(end) if self.read > end => Err(io::ErrorKind::InvalidData.into()),
            _ => Ok(len),
        }
    }
}

fn stat_of(output: &HeadObjectOutput) -> Stat {
    let len = output.content_length().and_then(|len| u64::try_from(len).ok()).unwrap_or(0);
    let modified = output.last_modified().and_then(time_of);
    let class = output.storage_class().map(|class| class.as_str());
    let class = class.and_then(StorageClass::parse).unwrap_or_default();
    let mode = output.object_lock_mode().and_then(mode_of);
    let until = output.object_lock_retain_until_date().and_then(time_of);
    let is_archived = class.is_archive() || output.archive_status().is_some();
    Stat {
        len,
        modified,
        class,
        readiness: readiness_of(is_archived, output.restore()),
        checksum: output.checksum_sha256().and_then(digest_from),
        lock: mode.zip(until).map(|(mode, until)| Lock { mode, until }),
    }
}

fn mode_of(mode: &ObjectLockMode) -> Option<LockMode> {
    match mode {
        ObjectLockMode::Compliance => Some(LockMode::Compliance),
        ObjectLockMode::Governance => Some(LockMode::Governance),
        _ => None,
    }
}

/// Reads `x-amz-restore`, such as `ongoing-request="false", expiry-date="Fri, 21 …"`.
fn readiness_of(is_archived: bool, restore: Option<&str>) -> Readiness {
    let Some(restore) = restore else {
        return if is_archived { Readiness::Frozen } else { Readiness::Ready };
    };
    let value = |name: &str| {
        let rest = restore.split_once(&format!("{name}=\""))?.1;
        Some(rest.split_once('"')?.0)
    };
    match value("ongoing-request") {
        Some("true") => Readiness::Thawing,
        _ if !is_archived => Readiness::Ready,
        Some("false") => match value("expiry-date") {
            Some(date) => {
                let until = DateTime::from_str(date, DateTimeFormat::HttpDate).ok();
                Readiness::Thawed(until.as_ref().and_then(time_of))
            }
            None => Readiness::Frozen,
        },
        _ => Readiness::Frozen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_bucket_says_of_a_thaw_is_understood() {
        let said = "ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\"";
        let until = "2012-12-21T00:00:00Z".parse().unwrap();
        for (is_archived, restore, expected) in [
            (false, None, Readiness::Ready),
            (true, None, Readiness::Frozen),
            (true, Some("ongoing-request=\"true\""), Readiness::Thawing),
            (true, Some(said), Readiness::Thawed(Some(until))),
            (true, Some("ongoing-request=\"false\""), Readiness::Frozen),
            (true, Some("nonsense"), Readiness::Frozen),
            (false, Some(said), Readiness::Ready),
            (
                true,
                Some("ongoing-request=\"false\", expiry-date=\"soon\""),
                Readiness::Thawed(None),
            ),
        ] {
            assert_eq!(readiness_of(is_archived, restore), expected, "{restore:?}");
        }
    }
}
