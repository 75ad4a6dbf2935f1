//! Finding out what a bucket really does, by doing it. Spec: `capabilities.md` §1.

mod kept;
mod locks;

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::operation::put_object::PutObjectOutput;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::said::{Call, Failure};
use super::{Fault, S3Store, time_of};
use crate::base::with_causes;
use crate::store::probe::{Capability, Probe, ProbeRequest, Verdict};
use crate::store::{Error, digest_of};

/// PUTs of one name at the same time.
const AT_ONCE: usize = 8;
impl S3Store {
    /// Probes the store; none, with credentials that may only put.
    pub(super) fn find_out(&self, request: &ProbeRequest<'_>) -> Result<Option<Probe>, Error> {
        if self.inner.settings.put_only {
            return Ok(None);
        }
        let probe = Probe::new(&self.inner.url, request.now);
        let dir = format!("probe/{}", request.name);
        let mut run = Run { store: self, request, dir, probe, made: Vec::new(), digests: true };
        let done = run.all();
        run.clean();
        done.map(|()| Some(run.probe))
    }
}

/// One probe.
struct Run<'a> {
    store: &'a S3Store,
    request: &'a ProbeRequest<'a>,
    dir: String,
    probe: Probe,
    /// Every object that was put, with its version.
    made: Vec<(String, Option<String>)>,
    /// Whether the server takes the header with the SHA-256.
    digests: bool,
}

type Put = Result<PutObjectOutput, Failure>;

impl Run<'_> {
    fn all(&mut self) -> Result<(), Error> {
        self.lock_configuration()?;
        if self.probe.verdict(Capability::NoDefaultRetention) == Verdict::No {
            // It would lock what the probe puts, for as long as it says.
            return Ok(());
        }
        self.one_object()?;
        self.taken_names()?;
        self.wrong_digest()?;
        self.versions()?;
        self.lock()?;
        self.policy()?;
        self.class()?;
        self.encryption()?;
        self.pack_len()
    }

    fn saw(&mut self, capability: Capability, is_so: bool, detail: impl Into<String>) {
        let verdict = if is_so { Verdict::Yes } else { Verdict::No };
        self.probe.saw(capability, verdict, detail);
    }

    /// Keeps what a call that failed tells of a capability; one that was not answered ends it.
    fn judge(&mut self, capability: Capability, failure: Failure) -> Result<(), Error> {
        let detail = with_causes(failure.error.as_ref());
        if failure.answer.is_none() {
            return Err(failure.into());
        }
        let verdict = match *failure.error {
            Error::Denied { .. } => Verdict::Unknown,
            _ => Verdict::No,
        };
        self.probe.saw(capability, verdict, detail);
        Ok(())
    }

    fn full(&self, name: &str) -> String {
        self.store.inner.place.full(&format!("{}/{name}", self.dir))
    }

    fn bucket(&self) -> &str {
        &self.store.inner.place.bucket
    }

    fn call(&self, action: &'static str, right: &'static str) -> Call<'_> {
        Call { action, right, place: &self.store.inner.url, store: &self.store.inner.name }
    }

    /// Puts bytes under a name of the probe, with its SHA-256 where the server takes that.
    fn put(
        &self,
        name: &str,
        bytes: &[u8],
        shape: impl Fn(PutObjectFluentBuilder) -> PutObjectFluentBuilder,
    ) -> Put {
        let sha256 = self.digests.then(|| BASE64.encode(digest_of(bytes).as_bytes()));
        self.store.inner.send(self.call("put", "s3:PutObject"), |live| {
            let request = live.client.put_object().bucket(self.bucket()).key(self.full(name));
            let request = request.set_checksum_sha256(sha256);
            shape(request.body(ByteStream::from(bytes.to_vec()))).send()
        })
    }

    fn keep(&mut self, name: &str, put: &PutObjectOutput) {
        self.made.push((self.full(name), put.version_id().map(str::to_owned)));
    }

    fn one_object(&mut self) -> Result<(), Error> {
        let bytes = format!("a probe of idswyft-vault, {}\n", self.request.name).into_bytes();
        let new = |put: PutObjectFluentBuilder| put.if_none_match("*");
        let put = match self.put("a", &bytes, new) {
            Err(Failure { error, .. })
                if matches!(*error, Error::Server { fault: Fault::ChecksumRefused, .. }) =>
            {
                self.digests = false;
                self.saw(Capability::ChecksumTaken, false, with_causes(error.as_ref()));
                self.put("a", &bytes, new)?
            }
            other => {
                let put = other?;
                self.saw(Capability::ChecksumTaken, true, "a PUT with it was taken");
                put
            }
        };
        self.keep("a", &put);
        let id = put.version_id().filter(|id| !id.is_empty() && *id != "null");
        let told = if id.is_some() { "PUT told one" } else { "PUT told none" };
        self.saw(Capability::VersionId, id.is_some(), told);
        self.read_back(&bytes)
    }

    fn read_back(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match self.head("a") {
            Ok(head) => {
                let right = BASE64.encode(digest_of(bytes).as_bytes());
                let told = head.checksum_sha256();
                let detail = told.map_or("HEAD told none".to_owned(), |it| format!("HEAD: {it}"));
                self.saw(Capability::ChecksumReturned, told == Some(&right), detail);
                if let Some(server) = head.last_modified().and_then(time_of) {
                    self.probe.saw_clock(server, self.request.now);
                }
            }
            Err(failure) => self.judge(Capability::ChecksumReturned, failure)?,
        }
        match self.get("a", None) {
            Ok(found) => {
                self.saw(Capability::BytesKept, found == bytes, "what was put was read again");
            }
            Err(failure) => self.judge(Capability::BytesKept, failure)?,
        }
        Ok(())
    }

    fn head(&self, name: &str) -> Result<HeadObjectOutput, Failure> {
        self.store.inner.send(self.call("look at", "s3:GetObject"), |live| {
            let request = live.client.head_object().bucket(self.bucket()).key(self.full(name));
            request.checksum_mode(ChecksumMode::Enabled).send()
        })
    }

    fn get(&self, name: &str, version: Option<String>) -> Result<Vec<u8>, Failure> {
        let call = self.call("read", "s3:GetObject");
        let got = self.store.inner.send(call, |live| {
            let request = live.client.get_object().bucket(self.bucket()).key(self.full(name));
            request.set_version_id(version).send()
        })?;
        let live = self.store.inner.live().map_err(unanswered)?;
        let body = live.runtime.block_on(got.body.collect());
        body.map(|body| body.to_vec()).map_err(|source| {
            let (store, place) = (call.store.to_owned(), call.place.to_owned());
            let source = source.into();
            unanswered(Error::Unavailable { store, action: "read", place, source })
        })
    }

    /// Puts a name again, and one name from several threads at once.
    fn taken_names(&mut self) -> Result<(), Error> {
        let new = |put: PutObjectFluentBuilder| put.if_none_match("*");
        match self.put("a", b"something else", new) {
            Ok(put) => {
                self.keep("a", &put);
                let detail = "a name that was taken was put again with If-None-Match: *";
                self.saw(Capability::PutNew, false, detail);
            }
            Err(failure) if failure.status() == 412 => {
                self.saw(Capability::PutNew, true, "412 for a name that was taken");
            }
            Err(failure) => self.judge(Capability::PutNew, failure)?,
        }
        let this: &Self = self;
        let one = |number: usize| this.put("b", format!("{number}").as_bytes(), new);
        let one = &one;
        let puts: Vec<Put> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..AT_ONCE).map(|number| scope.spawn(move || one(number))).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, Put>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            threads.into_iter().map(join).collect()
        });
        let mut won = 0;
        for put in puts.iter().flatten() {
            won += 1;
            self.keep("b", put);
        }
        let detail = format!("{won} of {AT_ONCE} at the same time won");
        let verdict = match won {
            0 => Verdict::Unknown,
            1 => Verdict::Yes,
            _ => Verdict::No,
        };
        self.probe.saw(Capability::PutNewAtOnce, verdict, detail);
        Ok(())
    }

    fn wrong_digest(&mut self) -> Result<(), Error> {
        let other = BASE64.encode(digest_of(b"other bytes").as_bytes());
        if !self.digests {
            let detail = "no SHA-256 is taken at all";
            self.saw(Capability::ChecksumChecked, false, detail);
            return Ok(());
        }
        match self.put("c", b"these bytes", |put| put.if_none_match("*").checksum_sha256(&other)) {
            Ok(put) => {
                self.keep("c", &put);
                let detail = "bytes were taken that do not have the SHA-256 sent with them";
                self.saw(Capability::ChecksumChecked, false, detail);
                if self.head("c").is_ok_and(|head| head.checksum_sha256() == Some(&other)) {
                    let detail = "HEAD tells the SHA-256 that was sent, and the bytes have another";
                    self.saw(Capability::ChecksumReturned, false, detail);
                }
            }
            Err(failure) if (400..500).contains(&failure.status()) && failure.status() != 403 => {
                let detail = format!("refused with {} {}", failure.status(), failure.code());
                self.saw(Capability::ChecksumChecked, true, detail);
            }
            Err(failure) => self.judge(Capability::ChecksumChecked, failure)?,
        }
        Ok(())
    }

    fn delete(&self, full: &str, version: Option<&str>, bypass: bool) -> Result<(), Failure> {
        let call = self.call("delete", "s3:DeleteObjectVersion");
        let deleted = self.store.inner.send(call, |live| {
            let request = live.client.delete_object().bucket(self.bucket()).key(full);
            let request = request.set_version_id(version.map(str::to_owned));
            request.set_bypass_governance_retention(bypass.then_some(true)).send()
        });
        deleted.map(drop)
    }

    /// Deletes what was put; what cannot be deleted is told.
    fn clean(&mut self) {
        let made = std::mem::take(&mut self.made);
        if made.is_empty() {
            return;
        }
        let mut refused = None;
        for (full, version) in made {
            let bypass = full.ends_with("/e");
            if let Err(failure) = self.delete(&full, version.as_deref(), bypass) {
                refused.get_or_insert(with_causes(failure.error.as_ref()));
                if !self.probe.left.contains(&full) {
                    self.probe.left.push(full);
                }
            }
        }
        match refused {
            None => self.saw(Capability::Delete, true, "what was put was deleted"),
            Some(detail) => self.saw(Capability::Delete, false, detail),
        }
    }
}

fn unanswered(error: Error) -> Failure {
    Failure { answer: None, error: Box::new(error) }
}
