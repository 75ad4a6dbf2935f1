//! A server that does on demand what no other one here does.
//!
//! It asks a client to slow down, finds that two of them put one name at a time, tells in listings
//! how far a thaw is, and refuses a tier that is not for a class. Its clock is the test's.

mod contents;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use async_trait::async_trait;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use idswyft_vault::base::Clock;
use s3s::auth::SimpleAuth;
use s3s::dto::{
    CreateBucketInput, CreateBucketOutput, DeleteObjectInput, DeleteObjectOutput, ETag,
    GetBucketVersioningInput, GetBucketVersioningOutput, GetObjectInput, GetObjectOutput,
    HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input,
    ListObjectsV2Output, PutBucketVersioningInput, PutBucketVersioningOutput, PutObjectInput,
    PutObjectOutput, RestoreObjectInput, RestoreObjectOutput, StorageClass, StreamingBlob,
    Timestamp,
};
use s3s::service::S3ServiceBuilder;
use s3s::{Body, S3, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use self::contents::{Contents, Kept};
use super::keys;

/// A running server; it ends with the program.
#[derive(Clone)]
pub struct Fake {
    address: SocketAddr,
    state: State,
}

/// What the handlers share.
#[derive(Clone)]
struct State {
    contents: Arc<Mutex<Contents>>,
    refusals: Arc<Mutex<VecDeque<(&'static str, S3ErrorCode)>>>,
    clock: Arc<dyn Clock>,
}

impl Fake {
    /// Starts one that takes its time from a clock.
    pub fn start(clock: Arc<dyn Clock>) -> Self {
        let state = State { contents: Arc::default(), refusals: Arc::default(), clock };
        let mut service = S3ServiceBuilder::new(state.clone());
        let mut known = SimpleAuth::new();
        let gated = super::gate::ROLES.map(|role| format!("gated-{role}"));
        for principal in
            ["admin", "host", "operator"].into_iter().chain(gated.iter().map(|it| &**it))
        {
            let (key, secret) = keys(principal);
            known.register(key, secret.into());
        }
        service.set_auth(known);
        let service = service.build();
        let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listening.set_nonblocking(true).unwrap();
        let address = listening.local_addr().unwrap();
        std::thread::spawn(move || {
            super::place::wait(async {
                let listener = tokio::net::TcpListener::from_std(listening).unwrap();
                while let Ok((client, _)) = listener.accept().await {
                    let service = service.clone();
                    tokio::spawn(async move {
                        let http = Builder::new(TokioExecutor::new());
                        // A client that goes away is no affair of the test's.
                        drop(http.serve_connection(TokioIo::new(client), service).await);
                    });
                }
            });
        });
        Self { address, state }
    }

    /// Returns its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Refuses the next calls of an operation, such as `PutObject`, with a code of S3's.
    pub fn refuse(&self, operation: &'static str, code: S3ErrorCode, times: usize) {
        let refusals = std::iter::repeat_n((operation, code), times);
        self.state.refusals.lock().unwrap().extend(refusals);
    }

    /// Tells how many refusals were not asked for yet.
    pub fn refusals_left(&self) -> usize {
        self.state.refusals.lock().unwrap().len()
    }
}

impl State {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap()
    }

    /// Refuses the call, if a test said so.
    fn admit(&self, operation: &str) -> S3Result<()> {
        let mut refusals = self.refusals.lock().unwrap();
        let Some(at) = refusals.iter().position(|(refused, _)| *refused == operation) else {
            return Ok(());
        };
        let (_, code) = refusals.remove(at).expect("it was found there");
        let status = match code {
            S3ErrorCode::SlowDown => 503,
            S3ErrorCode::ConditionalRequestConflict => 409,
            _ => 403,
        };
        let mut error = s3s::S3Error::new(code);
        error.set_status_code(status.try_into().expect("it is a status"));
        Err(error)
    }

    fn find(&self, bucket: &str, key: &str) -> S3Result<Kept> {
        let contents = self.contents();
        let found = contents.bucket(bucket)?.get(key).cloned();
        found.ok_or_else(|| s3_error!(NoSuchKey))
    }
}

/// Returns what stands for an object's bytes, in letters that an `ETag` may have.
fn hex_of(checksum: &str) -> String {
    hex::encode(checksum)
}

fn stamp(time: jiff::Timestamp) -> Timestamp {
    Timestamp::from(SystemTime::from(time))
}

#[async_trait]
impl S3 for State {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        self.contents().create(&request.input.bucket);
        Ok(S3Response::new(CreateBucketOutput::default()))
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.contents().bucket(&request.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn put_bucket_versioning(
        &self,
        _request: S3Request<PutBucketVersioningInput>,
    ) -> S3Result<S3Response<PutBucketVersioningOutput>> {
        Err(s3_error!(NotImplemented))
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        self.contents().bucket(&request.input.bucket)?;
        Ok(S3Response::new(GetBucketVersioningOutput::default()))
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        self.admit("PutObject")?;
        let mut input = request.input;
        let body = input.body.take().map(Body::from).unwrap_or_default();
        let bytes = read(body).await?;
        let class = input.storage_class.as_ref().map_or("STANDARD", StorageClass::as_str);
        let kept = Kept::new(bytes, class, self.clock.now());
        if input.checksum_sha256.as_ref().is_some_and(|said| *said != kept.checksum()) {
            return Err(s3_error!(BadDigest));
        }
        let is_new = input.if_none_match.is_some_and(|condition| condition.is_any());
        let checksum = kept.checksum();
        self.contents().put(&input.bucket, &input.key, kept, is_new)?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(ETag::Strong(hex_of(&checksum))),
            checksum_sha256: Some(checksum),
            ..PutObjectOutput::default()
        }))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        self.admit("GetObject")?;
        let input = request.input;
        let kept = self.find(&input.bucket, &input.key)?;
        kept.check_readable(self.clock.now())?;
        let len = kept.bytes.len() as u64;
        let range = input.range.map(|range| range.check(len)).transpose()?;
        let is_whole = range.is_none();
        let content_range =
            range.as_ref().map(|range| format!("bytes {}-{}/{len}", range.start, range.end - 1));
        let range = range.unwrap_or(0..len);
        let place = |at: u64| usize::try_from(at).expect("it is below the length");
        let bytes = kept.bytes[place(range.start)..place(range.end)].to_vec();
        Ok(S3Response::new(GetObjectOutput {
            content_length: i64::try_from(bytes.len()).ok(),
            body: Some(StreamingBlob::from(Body::from(bytes))),
            content_range,
            e_tag: Some(ETag::Strong(hex_of(&kept.checksum()))),
            last_modified: Some(stamp(kept.time)),
            storage_class: Some(kept.class.clone().into()),
            checksum_sha256: is_whole.then(|| kept.checksum()),
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        self.admit("HeadObject")?;
        let kept = self.find(&request.input.bucket, &request.input.key)?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: i64::try_from(kept.bytes.len()).ok(),
            e_tag: Some(ETag::Strong(hex_of(&kept.checksum()))),
            last_modified: Some(stamp(kept.time)),
            restore: kept.restore_header(self.clock.now()),
            storage_class: Some(kept.class.clone().into()),
            checksum_sha256: Some(kept.checksum()),
            ..HeadObjectOutput::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.admit("ListObjectsV2")?;
        let input = request.input;
        let tells_thaws = input.optional_object_attributes.as_ref().is_some_and(|asked| {
            asked.iter().any(|attribute| attribute.as_str() == "RestoreStatus")
        });
        let now = tells_thaws.then(|| self.clock.now());
        let contents = self.contents();
        let page = contents.page(&input, now)?;
        Ok(S3Response::new(page))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.admit("DeleteObject")?;
        self.contents().delete(&request.input.bucket, &request.input.key)?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn restore_object(
        &self,
        request: S3Request<RestoreObjectInput>,
    ) -> S3Result<S3Response<RestoreObjectOutput>> {
        self.admit("RestoreObject")?;
        let input = request.input;
        let asked = input.restore_request.ok_or_else(|| s3_error!(MalformedXML))?;
        let days = asked.days.ok_or_else(|| s3_error!(MalformedXML))?;
        let tier = asked.glacier_job_parameters.map(|job| job.tier).or(asked.tier);
        let tier = tier.as_ref().map_or("Standard", |tier| tier.as_str());
        let was_ready =
            self.contents().thaw(&input.bucket, &input.key, tier, days, self.clock.now())?;
        let mut response = S3Response::new(RestoreObjectOutput::default());
        let status: u16 = if was_ready { 200 } else { 202 };
        response.status = Some(status.try_into().expect("it is a status"));
        Ok(response)
    }
}

/// Reads a whole body.
async fn read(body: Body) -> S3Result<Vec<u8>> {
    use http_body_util::BodyExt as _;
    let collected = body.collect().await;
    let collected = collected.map_err(|_| s3_error!(IncompleteBody))?;
    Ok(collected.to_bytes().to_vec())
}
