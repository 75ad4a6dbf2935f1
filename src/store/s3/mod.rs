//! `s3://` stores. Spec: `stores.md`.
//!
//! - Opening one touches nothing; the client is made for the first call.
//! - An object is one PUT with `If-None-Match: *` and its SHA-256 as a plain header (I5).
//! - What cannot be had says why: a wrong key, region, bucket, clock or certificate never looks
//!   like an empty store (C13).
//! - With `put_only`, nothing but PUT is ever asked for.

mod client;
mod delete;
mod fault;
mod grouped;
mod hold;
mod list;
mod lock;
mod place;
mod probe;
mod put;
mod read;
mod said;
mod settings;
mod thaw;
mod throttle;
mod versions;

use std::collections::HashMap;
use std::future::Future;
use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::DateTime;
use jiff::Timestamp;

pub use fault::Fault;
pub use place::{Place, check_endpoint, parse_query};
pub use settings::{Quirks, REQUESTS_IN_FLIGHT_MAX, S3Settings};
pub use throttle::UPLOAD_LIMIT_MIN;

use self::client::{Live, Pace};
use self::said::{Call, Failure};
use self::throttle::Throttle;
use self::versions::Anomalies;
use crate::base::Digest;
use crate::format::{Folder, ObjectKey};
use crate::store::{
    Content, Error, Listing, Lock, Probe, ProbeRequest, Prolonged, Receipt, Remains, Stat,
    StorageClass, Store, Terms, ThawAnswer, ThawTier, VersionListing, error::Cause,
};

/// Holds objects in a bucket; clones and views share the client.
#[derive(Clone)]
pub struct S3Store {
    inner: Arc<Inner>,
    /// Until when whatever is put is locked.
    lock_until: Option<Timestamp>,
    /// The version that is seen of one object.
    pinned: Option<(ObjectKey, String)>,
}

struct Inner {
    name: String,
    url: String,
    place: Place,
    settings: S3Settings,
    pace: Pace,
    throttle: Option<Arc<Throttle>>,
    live: Mutex<Option<Arc<Live>>>,
    // Whether the bucket has answered as one.
    bucket_seen: AtomicBool,
    // Whether the server turned out not to list versions, or not to these credentials.
    versions_hidden: AtomicBool,
    anomalies: Mutex<HashMap<Folder, Arc<Anomalies>>>,
}

impl S3Store {
    /// Names the store at `s3://bucket/prefix`; nothing is read or written yet.
    ///
    /// # Errors
    /// If that is no such URL.
    pub fn open(url: &str, name: &str, settings: S3Settings) -> Result<Self, Error> {
        Self::with_pace(url, name, settings, Pace::default())
    }

    fn with_pace(url: &str, name: &str, settings: S3Settings, pace: Pace) -> Result<Self, Error> {
        let refuse = |reason| {
            let (store, url) = (name.to_owned(), url.to_owned());
            Error::UrlInvalid { store, url, reason }
        };
        let rest = url.strip_prefix("s3://").unwrap_or_default();
        let place = Place::parse(rest).map_err(refuse)?;
        if let Some(endpoint) = &settings.endpoint {
            check_endpoint(endpoint).map_err(refuse)?;
        }
        let throttle = settings.upload_limit.map(|rate| Arc::new(Throttle::new(rate)));
        let inner = Inner {
            name: name.to_owned(),
            url: url.to_owned(),
            place,
            settings,
            pace,
            throttle,
            live: Mutex::default(),
            bucket_seen: AtomicBool::new(false),
            versions_hidden: AtomicBool::new(false),
            anomalies: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner), lock_until: None, pinned: None })
    }

    /// Returns the settings that the store was opened with.
    pub fn settings(&self) -> &S3Settings {
        &self.inner.settings
    }

    /// Returns the full name of an object in the bucket.
    fn full(&self, key: &ObjectKey) -> String {
        self.inner.place.full(&key.to_string())
    }

    /// Returns the address of an object, for messages.
    fn address(&self, key: &ObjectKey) -> String {
        self.inner.place.address(&key.to_string())
    }

    fn call<'a>(&'a self, action: &'static str, right: &'static str, place: &'a str) -> Call<'a> {
        Call { action, right, place, store: &self.inner.name }
    }

    /// Returns the version that is seen of an object, if that is not the newest.
    fn version_of(&self, key: &ObjectKey) -> Option<&str> {
        self.pinned.as_ref().filter(|(pinned, _)| pinned == key).map(|(_, id)| id.as_str())
    }
}

impl Inner {
    /// Returns the client, which is made for the first call.
    fn live(&self) -> Result<Arc<Live>, Error> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(live) = &*live {
            return Ok(Arc::clone(live));
        }
        let made = client::connect(&self.settings, self.pace).map_err(|(fault, source)| {
            let (store, place) = (self.name.clone(), self.url.clone());
            Error::Server { store, action: "open", place, fault, source }
        })?;
        Ok(Arc::clone(live.insert(Arc::new(made))))
    }

    /// Makes a request, when there is room for one more.
    fn send<T, E, F>(&self, call: Call<'_>, request: impl FnOnce(&Live) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let refused = |error| Failure { answer: None, error: Box::new(error) };
        if self.settings.put_only && call.right != "s3:PutObject" {
            return Err(refused(self.not_allowed(call)));
        }
        let live = self.live().map_err(refused)?;
        let answer = live.runtime.block_on(async {
            // The semaphore is never closed.
            let _permit = live.permits.acquire().await;
            request(&live).await
        });
        answer.map_err(|error| said::failure(call, error))
    }

    /// Says that a store of `put_only` is asked for something else.
    fn not_allowed(&self, call: Call<'_>) -> Error {
        let source = format!("put_only is set for it, so {} is not asked for", call.right).into();
        let (store, place) = (self.name.clone(), call.place.to_owned());
        Error::Denied { store, action: call.action, place, source }
    }

    /// Says that what answered is no S3 server.
    fn not_s3(&self, call: Call<'_>, reason: &'static str) -> Error {
        let (store, place, source) =
            (self.name.clone(), call.place.to_owned(), Cause::from(reason));
        Error::Server { store, action: call.action, place, fault: Fault::NotS3, source }
    }

    /// Makes sure that there is a bucket, so that a missing object is not a missing bucket (C13).
    fn check_bucket(&self) -> Result<(), Error> {
        if self.bucket_seen.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.peek() {
            Ok(()) => {}
            // Whoever may not list the bucket was told by it.
            Err(failure) if matches!(*failure.error, Error::Denied { .. }) => {}
            Err(failure) => return Err(failure.into()),
        }
        self.bucket_seen.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Asks for a listing of one name: an answer to it has words.
    fn peek(&self) -> Result<(), Failure> {
        let call =
            Call { action: "list", right: "s3:ListBucket", place: &self.url, store: &self.name };
        let listed = self.send(call, |live| {
            let request = live.client.list_objects_v2().bucket(&self.place.bucket);
            let prefix =
                if self.place.prefix.is_empty() { String::new() } else { self.place.full("") };
            request.prefix(prefix).max_keys(1).send()
        })?;
        // Any XML would do for a listing: one that does not name the bucket is not its own.
        match listed.name() {
            Some(_) => Ok(()),
            None => {
                let error = self.not_s3(call, "the answer to a listing does not name the bucket");
                Err(Failure { answer: None, error: Box::new(error) })
            }
        }
    }

    /// Finds words for a refusal that came without any.
    fn explain(&self, failure: Failure) -> Error {
        let is_mute = failure.answer.as_ref().is_some_and(|answer| {
            answer.code.is_empty() && (300..500).contains(&answer.status) && !answer.is_page
        });
        match is_mute.then(|| self.peek()) {
            Some(Err(told)) if matches!(*told.error, Error::Server { .. }) => told.into(),
            _ => failure.into(),
        }
    }
}

/// Converts a time of the client; none beyond what can be told.
fn time_of(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}

impl Store for S3Store {
    fn name(&self) -> &str {
        &self.inner.name
    }

    fn url(&self) -> &str {
        &self.inner.url
    }

    fn location(&self) -> String {
        let configured = || self.inner.settings.endpoint.clone();
        let endpoint =
            self.inner.live().map_or_else(|_| configured(), |live| live.endpoint.clone());
        match endpoint {
            Some(endpoint) => {
                format!("{}?endpoint={}", self.inner.url, place::without_keys(&endpoint))
            }
            // AWS, where a bucket's name is that of one bucket.
            None => self.inner.url.clone(),
        }
    }

    /// Makes sure that the bucket is there; this program makes none.
    fn prepare(&self) -> Result<(), Error> {
        match self.inner.settings.put_only {
            // Its credentials cannot tell.
            true => Ok(()),
            false => Ok(self.inner.peek()?),
        }
    }

    fn put_new(
        &self,
        key: &ObjectKey,
        content: Content<'_>,
        digest: &Digest,
    ) -> Result<Receipt, Error> {
        self.put(key, content, digest)
    }

    fn get(&self, key: &ObjectKey, len_max: u64) -> Result<Vec<u8>, Error> {
        self.read_whole(key, len_max)
    }

    fn get_range(&self, key: &ObjectKey, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        self.read_range(key, offset, len)
    }

    fn open(&self, key: &ObjectKey) -> Result<Box<dyn Read + Send>, Error> {
        Ok(Box::new(self.stream(key)?))
    }

    fn stat(&self, key: &ObjectKey) -> Result<Option<Stat>, Error> {
        self.head(key)
    }

    fn list(&self, folder: Folder) -> Result<Listing<'_>, Error> {
        self.names(folder)
    }

    fn delete(&self, key: &ObjectKey) -> Result<(), Error> {
        self.remove(key)
    }

    fn remains(&self, key: &ObjectKey) -> Result<Remains, Error> {
        self.left_of(key)
    }

    fn erase(&self, key: &ObjectKey) -> Result<u64, Error> {
        self.erase_all(key)
    }

    fn lock(&self, key: &ObjectKey) -> Result<Option<Lock>, Error> {
        self.lock_of(key)
    }

    fn tells_locks(&self, key: &ObjectKey) -> Result<bool, Error> {
        self.is_told_locks(key)
    }

    fn terms(&self) -> Terms {
        let S3Settings { pack_class, object_lock, .. } = self.settings();
        // Most who move packs by a rule of the bucket name no class, which is STANDARD.
        let pack_class = Some(*pack_class).filter(|class| *class != StorageClass::Standard);
        Terms { pack_class, lock: *object_lock }
    }

    fn seen_version(&self, key: &ObjectKey) -> Option<String> {
        self.version_of(key).map(str::to_owned)
    }

    fn prolong(&self, key: &ObjectKey, until: Timestamp) -> Result<Prolonged, Error> {
        self.extend_lock(key, until)
    }

    fn is_held(&self, key: &ObjectKey) -> Result<bool, Error> {
        self.legal_hold(key)
    }

    fn set_held(&self, key: &ObjectKey, is_held: bool) -> Result<(), Error> {
        self.put_legal_hold(key, is_held)
    }

    fn staging_dir(&self) -> Option<PathBuf> {
        None
    }

    fn clean_staging(&self, _before: Timestamp) -> Result<u64, Error> {
        Ok(0)
    }

    fn is_readable(&self) -> bool {
        !self.inner.settings.put_only
    }

    fn calls_at_once(&self) -> usize {
        usize::from(self.inner.settings.in_flight())
    }

    fn patience(&self) -> Option<Duration> {
        self.inner.settings.timeout
    }

    fn locking(&self, until: Timestamp) -> Option<Arc<dyn Store>> {
        self.inner.settings.object_lock?;
        Some(Arc::new(Self { lock_until: Some(until), ..self.clone() }))
    }

    fn versions(&self, key: &ObjectKey) -> Result<Vec<Arc<dyn Store>>, Error> {
        self.views(key)
    }

    fn list_versions(&self, folder: Folder) -> Result<Option<VersionListing<'_>>, Error> {
        self.names_with_versions(folder)
    }

    fn probe(&self, request: &ProbeRequest<'_>) -> Result<Option<Probe>, Error> {
        self.find_out(request)
    }

    fn thaw(&self, key: &ObjectKey, tier: ThawTier, days: u32) -> Result<ThawAnswer, Error> {
        self.ask_to_thaw(key, tier, days)
    }
}
