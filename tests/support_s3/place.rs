//! A place of one test's own in a bucket, seen by whoever may do everything.
//!
//! Tests share the buckets of a server, one for each way of keeping: a bucket is dear on some.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketVersioningStatus, CreateBucketConfiguration, VersioningConfiguration,
};
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode};
use idswyft_vault::store::S3Settings;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::proxy::Proxy;
use super::{Addresses, Server, keys};

/// The region that every server of the tests is in.
const REGION: &str = "eu-central-1";

/// What a bucket keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// The newest of every name.
    Newest,
    /// Every version.
    Versions,
    /// Every version, and it can lock them.
    Locks,
}

/// A prefix in a bucket that nothing was put below.
pub struct Place {
    address: String,
    ca_file: Option<PathBuf>,
    /// The bucket's name.
    pub bucket: String,
    prefix: String,
    client: Client,
    scratch: TempDir,
}

impl Place {
    /// Finds a new place; none where there are no servers, which fails where `CI` is set.
    pub fn on(server: Server, keeping: Keeping) -> Option<Self> {
        Some(Self::at(&Addresses::of_this_run()?, server, keeping))
    }

    /// Finds one in a bucket of its own, for who changes what a bucket does.
    pub fn alone_on(server: Server, keeping: Keeping) -> Option<Self> {
        let mut place = Self::on(server, keeping)?;
        place.bucket = format!("tests-{}", place.prefix);
        place.create(keeping);
        Some(place)
    }

    /// Finds one on the server at one of these addresses.
    pub fn at(addresses: &Addresses, server: Server, keeping: Keeping) -> Self {
        let ca_file = (server == Server::SeaweedFsTls).then(|| addresses.ca_file());
        Self::make(addresses.of(server), ca_file, keeping)
    }

    /// Finds one on a server that is none of those, such as the fake.
    pub fn make(address: &str, ca_file: Option<PathBuf>, keeping: Keeping) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let bucket = format!("tests-{}", format!("{keeping:?}").to_lowercase());
        let prefix = format!("t{}-{}-{count}", std::process::id(), now.as_nanos());
        let client = client(address, ca_file.as_deref(), "admin");
        let scratch = tempfile::tempdir().unwrap();
        let place = Self { address: address.to_owned(), ca_file, bucket, prefix, client, scratch };
        place.create(keeping);
        place
    }

    /// Makes the bucket, unless another test did.
    fn create(&self, keeping: Keeping) {
        let locks = keeping == Keeping::Locks;
        let here = CreateBucketConfiguration::builder().location_constraint(REGION.into()).build();
        let request = self.client.create_bucket().bucket(&self.bucket);
        let request = request.create_bucket_configuration(here);
        let made = wait(request.set_object_lock_enabled_for_bucket(locks.then_some(true)).send());
        if let Err(error) = made {
            let code = error.as_service_error().and_then(|error| error.code());
            let is_there = code.is_some_and(|code| code.starts_with("BucketAlready"));
            assert!(is_there, "{error:?}");
        }
        if keeping != Keeping::Newest {
            let versions = VersioningConfiguration::builder();
            let versions = versions.status(BucketVersioningStatus::Enabled).build();
            let request = self.client.put_bucket_versioning().bucket(&self.bucket);
            wait(request.versioning_configuration(versions).send()).unwrap();
        }
    }

    /// Returns the address of the server.
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// Returns the client of whoever may do everything.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the client of another principal.
    pub fn client_of(&self, principal: &str) -> Client {
        client(&self.address, self.ca_file.as_deref(), principal)
    }

    /// Returns the client of another principal, whose calls go through a proxy.
    pub fn client_through(&self, principal: &str, proxy: &Proxy) -> Client {
        client(&proxy.url(), None, principal)
    }

    /// Returns the URL of a store there.
    pub fn url(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }

    /// Writes the file with a principal's credentials and returns where it is.
    pub fn credentials_file(&self, principal: &str) -> PathBuf {
        let (path, (key, secret)) = (self.scratch.path().join(principal), keys(principal));
        let text =
            format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Returns what the environment says to a command line that names this store.
    pub fn environment(&self, principal: &str, proxy: Option<&Proxy>) -> Vec<(String, String)> {
        let (key, secret) = keys(principal);
        let endpoint = proxy.map_or_else(|| self.address.clone(), Proxy::url);
        let mut said = vec![
            ("AWS_ACCESS_KEY_ID", key),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ];
        if let Some(path) = &self.ca_file {
            said.push(("AWS_CA_BUNDLE", path.display().to_string()));
        }
        said.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Returns what a store needs to be opened by a principal.
    pub fn settings(&self, principal: &str) -> S3Settings {
        S3Settings {
            region: Some(REGION.to_owned()),
            endpoint: Some(self.address.clone()),
            path_style: true,
            ca_file: self.ca_file.clone(),
            credentials_file: Some(self.credentials_file(principal)),
            ..S3Settings::default()
        }
    }

    /// Returns the keys of a `[[vault.store]]` for a principal, perhaps through a proxy.
    pub fn table(&self, principal: &str, proxy: Option<&Proxy>) -> String {
        let mut text = String::new();
        let endpoint = proxy.map_or_else(|| self.address.clone(), Proxy::url);
        writeln!(text, "url = {:?}", self.url()).unwrap();
        writeln!(text, "region = {REGION:?}\npath_style = true\nendpoint = {endpoint:?}").unwrap();
        writeln!(text, "credentials_file = {:?}", self.credentials_file(principal)).unwrap();
        if let Some(path) = &self.ca_file {
            writeln!(text, "ca_file = {path:?}").unwrap();
        }
        text
    }

    /// Returns the URL that says all of it, for a command line without a config.
    pub fn url_in_full(&self, principal: &str, proxy: Option<&Proxy>) -> String {
        let endpoint = proxy.map_or_else(|| self.address.clone(), Proxy::url);
        let credentials = self.credentials_file(principal);
        let mut url = format!(
            "{}?region={REGION}&path_style=true&endpoint={endpoint}&credentials_file={}",
            self.url(),
            credentials.display()
        );
        if let Some(path) = &self.ca_file {
            write!(url, "&ca_file={}", path.display()).unwrap();
        }
        url
    }

    /// Returns the key in the bucket of an object of the store.
    pub fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    /// Puts bytes under any name of the store, whatever is there.
    pub fn plant(&self, name: &str, bytes: &[u8]) {
        let request = self.client.put_object().bucket(&self.bucket).key(self.key(name));
        wait(request.body(ByteStream::from(bytes.to_vec())).send()).unwrap();
    }

    /// Returns the bytes of an object.
    pub fn get(&self, name: &str) -> Vec<u8> {
        let request = self.client.get_object().bucket(&self.bucket).key(self.key(name));
        wait(async { request.send().await.unwrap().body.collect().await }).unwrap().to_vec()
    }

    /// Deletes an object as who names no version does: in a bucket that keeps them, a marker hides
    /// it.
    pub fn hide(&self, name: &str) {
        let request = self.client.delete_object().bucket(&self.bucket).key(self.key(name));
        wait(request.send()).unwrap();
    }

    /// Returns the id of every version of an object, the newest first.
    pub fn versions(&self, name: &str) -> Vec<String> {
        let key = self.key(name);
        let request = self.client.list_object_versions().bucket(&self.bucket).prefix(&key);
        let page = wait(request.send()).unwrap();
        let versions = page.versions().iter().filter(|it| it.key() == Some(&key));
        versions.map(|it| it.version_id().unwrap().to_owned()).collect()
    }

    /// Deletes an object with every version of it.
    pub fn destroy(&self, name: &str) {
        for version in self.versions(name) {
            let request = self.client.delete_object().bucket(&self.bucket).key(self.key(name));
            wait(request.version_id(version).send()).unwrap();
        }
    }

    /// Returns the name of every object of the store.
    pub fn names(&self) -> Vec<String> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(self.key(""));
        let mut pages = request.into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = wait(pages.next()) {
            let page = page.unwrap();
            let keys = page.contents().iter().filter_map(|object| object.key());
            names.extend(keys.map(|key| key[self.prefix.len() + 1..].to_owned()));
        }
        // What a probe may not remove, it leaves.
        names.retain(|name| !name.starts_with("probe/"));
        names.sort();
        names
    }
}

/// Waits for an answer of a server.
pub fn wait<T>(answer: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap()).block_on(answer)
}

/// Returns the client of a principal.
fn client(address: &str, ca_file: Option<&Path>, principal: &str) -> Client {
    let mut trusted = TrustStore::empty();
    if let Some(path) = ca_file {
        trusted = trusted.with_pem_certificate(std::fs::read(path).unwrap());
    }
    let context = TlsContext::builder().with_trust_store(trusted).build().unwrap();
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .tls_context(context)
        .build_https();
    let (key, secret) = keys(principal);
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(address)
        .force_path_style(true)
        .credentials_provider(Credentials::new(key, secret, None, None, "tests"))
        .http_client(http)
        .build();
    Client::from_conf(config)
}
