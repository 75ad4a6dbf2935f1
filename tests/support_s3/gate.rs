//! Lets through what the documents of `spec/policies` allow, before a server that asks nobody.
//!
//! No server of the tests knows all their conditions: how long a lock may be, whether a name may be
//! put again, that nothing comes without TLS. So a proxy judges each request by the documents, word
//! for word, and the server behind it keeps versions and locks as it really does.
//!
//! ```text
//! let (place, proxy) = gated_place()?;
//! place.settings("gated-host")                  // who is judged by host.json and bucket.json
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::Server;
use super::place::{Keeping, Place};
use super::policy::{Ask, Policy, allows};
use super::proxy::{Act, Proxy, Request};

/// The roles that have a document.
pub const ROLES: [&str; 6] = ["host-strict", "host", "janitor", "operator", "auditor", "shredder"];

/// Returns a place on a server that keeps versions and locks, and the proxy before it that
/// judges by the documents; none, where there is no such server.
pub fn gated_place() -> Option<(Place, Proxy)> {
    let place = Place::on(Server::SeaweedFs, Keeping::Locks)?;
    let proxy = Proxy::before(&place.address());
    Gate::of(&place).stand_in(&proxy);
    Some((place, proxy))
}

/// A bucket's documents, and what is known of its objects.
#[derive(Clone)]
pub struct Gate {
    bucket: String,
    roles: BTreeMap<String, Vec<Policy>>,
    of_bucket: Arc<Policy>,
    /// The bucket's document, as who may read it gets it.
    text: String,
    is_over_tls: bool,
    /// What was put under which key of KMS, by its path.
    encrypted: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Gate {
    /// Makes the gate of a place, by the documents for it.
    pub fn of(place: &Place) -> Self {
        let roles = ROLES.map(|role| (role.to_owned(), vec![Policy::parse(&read(role, place))]));
        let text = read("bucket", place);
        Self {
            bucket: place.bucket.clone(),
            roles: roles.into(),
            of_bucket: Arc::new(Policy::parse(&text)),
            text,
            is_over_tls: true,
            encrypted: Arc::default(),
        }
    }

    /// The same gate, with a further document of a role.
    #[must_use]
    pub fn and_more(mut self, role: &str, text: &str) -> Self {
        self.roles.get_mut(role).unwrap().push(Policy::parse(text));
        self
    }

    /// The same gate, without the bucket's own document.
    #[must_use]
    pub fn without_bucket(self) -> Self {
        let none = "{\"Version\": \"2012-10-17\", \"Statement\": []}";
        Self { of_bucket: Arc::new(Policy::parse(none)), ..self }
    }

    /// The same gate, for who comes without TLS.
    #[must_use]
    pub fn without_tls(self) -> Self {
        Self { is_over_tls: false, ..self }
    }

    /// Stands in a proxy from now on.
    pub fn stand_in(&self, proxy: &Proxy) {
        let gate = self.clone();
        proxy.meddle(move |request| gate.judge(request));
    }

    /// Says what happens to a request.
    fn judge(&self, request: &Request) -> Act {
        let role = request.principal.to_lowercase();
        let role = role.strip_prefix("gated-").and_then(|role| role.strip_suffix("key"));
        // Whoever else it is sees over the tests.
        let Some(role) = role else { return Act::Pass };
        let mut policies: Vec<&Policy> = self.roles[role].iter().collect();
        policies.push(&self.of_bucket);
        let allowed = |ask: &Ask| allows(&policies, ask);
        let asks = self.asks_of(request);
        if asks.is_empty() {
            return Act::error(501, "NotImplemented");
        }
        if !asks.iter().all(allowed) {
            return Act::error(403, "AccessDenied");
        }
        if asks[0].action == "s3:GetBucketPolicy" {
            return Act::Answer(200, "application/json", self.text.clone());
        }
        if let Some(key) = kms_key(request) {
            self.encrypted.lock().unwrap().insert(request.path.clone(), key);
        }
        // Who may not list the bucket is not told that an object is missing.
        match allowed(&self.ask("s3:ListBucket", self.bucket_arn(), [])) {
            true => Act::Pass,
            false => Act::RefuseMissing,
        }
    }

    /// Returns all that a request needs to be allowed; nothing, if none of the roles has a use for
    /// such a request.
    fn asks_of(&self, request: &Request) -> Vec<Ask> {
        let path = request.path.trim_start_matches('/');
        match path.split_once('/').filter(|(_, key)| !key.is_empty()) {
            Some((bucket, key)) => self.asks_of_object(request, bucket, key),
            None => self.asks_of_bucket(request, path.trim_end_matches('/')),
        }
    }

    fn asks_of_bucket(&self, request: &Request, bucket: &str) -> Vec<Ask> {
        let action = match (request.method.as_str(), request.operation().as_str()) {
            (_, "ListObjectVersions") => "s3:ListBucketVersions",
            (_, "ListObjects") | ("HEAD", _) => "s3:ListBucket",
            (_, "GET Bucket versioning") => "s3:GetBucketVersioning",
            (_, "GET Bucket object-lock") => "s3:GetBucketObjectLockConfiguration",
            (_, "GET Bucket policy") => "s3:GetBucketPolicy",
            _ => return Vec::new(),
        };
        let prefix = parameter(request, "prefix").map(|prefix| ("s3:prefix", prefix));
        vec![self.ask(action, arn(bucket), prefix)]
    }

    fn asks_of_object(&self, request: &Request, bucket: &str, key: &str) -> Vec<Ask> {
        let has = |name: &str| request.terms.contains_key(name);
        let of_version = parameter(request, "versionId").is_some();
        let mut actions = match (request.method.as_str(), request.operation().as_str()) {
            ("PUT", "PutObject") => {
                let locks =
                    has("x-amz-object-lock-mode") || has("x-amz-object-lock-retain-until-date");
                let lock = locks.then_some("s3:PutObjectRetention");
                let hold = has("x-amz-object-lock-legal-hold").then_some("s3:PutObjectLegalHold");
                ["s3:PutObject"].into_iter().chain(lock).chain(hold).collect()
            }
            (_, "PUT Object retention") => vec!["s3:PutObjectRetention"],
            (_, "PUT Object legal-hold") => vec!["s3:PutObjectLegalHold"],
            (_, "GET Object retention") => vec!["s3:GetObjectRetention"],
            (_, "GET Object legal-hold") => vec!["s3:GetObjectLegalHold"],
            (_, "GetObject" | "HeadObject") if of_version => vec!["s3:GetObjectVersion"],
            (_, "GetObject" | "HeadObject") => vec!["s3:GetObject"],
            (_, "DeleteObject") if of_version => vec!["s3:DeleteObjectVersion"],
            (_, "DeleteObject") => vec!["s3:DeleteObject"],
            (_, "RestoreObject") => vec!["s3:RestoreObject"],
            _ => return Vec::new(),
        };
        actions.extend(
            has("x-amz-bypass-governance-retention").then_some("s3:BypassGovernanceRetention"),
        );
        let context = context_of(request);
        let resource = arn(&format!("{bucket}/{key}"));
        let ask = |action| self.ask(action, resource.clone(), context.clone());
        let mut asks: Vec<Ask> = actions.into_iter().map(ask).collect();
        asks.extend(self.ask_of_kms(request));
        asks
    }

    /// Returns what a request needs of KMS, if its object is or will be encrypted so.
    fn ask_of_kms(&self, request: &Request) -> Option<Ask> {
        if let Some(key) = kms_key(request) {
            return Some(self.ask("kms:GenerateDataKey", key, []));
        }
        let encrypted = self.encrypted.lock().unwrap();
        let key = encrypted.get(&request.path).filter(|_| request.method == "GET")?;
        Some(self.ask("kms:Decrypt", key.clone(), []))
    }

    fn ask(
        &self,
        action: &'static str,
        resource: String,
        context: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Ask {
        let tls = ("aws:securetransport", self.is_over_tls.to_string());
        Ask { action, resource, context: context.into_iter().chain([tls]).collect() }
    }

    fn bucket_arn(&self) -> String {
        arn(&self.bucket)
    }
}

/// Reads a document for a place.
fn read(name: &str, place: &Place) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/policies");
    let text = std::fs::read_to_string(dir.join(format!("{name}.json"))).unwrap();
    let prefix = place.key("");
    text.replace("BUCKET", &place.bucket).replace("PREFIX", prefix.trim_end_matches('/'))
}

fn arn(name: &str) -> String {
    format!("arn:aws:s3:::{name}")
}

/// Returns the key under which a request has an object encrypted by KMS.
fn kms_key(request: &Request) -> Option<String> {
    let sse = request.terms.get("x-amz-server-side-encryption");
    sse.filter(|sse| request.method == "PUT" && *sse == "aws:kms")?;
    request.terms.get("x-amz-server-side-encryption-aws-kms-key-id").cloned()
}

/// Returns what conditions can ask of a request about an object.
fn context_of(request: &Request) -> Vec<(&'static str, String)> {
    let mut context = Vec::new();
    if request.operation() == "PutObject" {
        context.push(("s3:objectcreationoperation", "true".to_owned()));
    }
    if let Some(value) = request.terms.get("if-none-match") {
        context.push(("s3:if-none-match", value.clone()));
    }
    let mode = request.terms.get("x-amz-object-lock-mode").cloned();
    let date = request.terms.get("x-amz-object-lock-retain-until-date").map(String::as_str);
    let between = |text: &'static str| -> Option<&str> {
        let (_, rest) = request.retention.split_once(&format!("<{text}>"))?;
        Some(rest.split_once(&format!("</{text}>"))?.0)
    };
    if let Some(mode) = mode.or_else(|| between("Mode").map(str::to_owned)) {
        context.push(("s3:object-lock-mode", mode));
    }
    if let Some(date) = date.or_else(|| between("RetainUntilDate")) {
        let until: Timestamp = date.parse().expect("it is a date");
        let hours = until.duration_since(Timestamp::now()).as_hours();
        context.push(("s3:object-lock-remaining-retention-days", (hours / 24).to_string()));
    }
    context
}

/// Returns a parameter of a request's query.
fn parameter(request: &Request, name: &str) -> Option<String> {
    let mut parts = request.query.split('&').filter_map(|part| part.split_once('='));
    let (_, value) = parts.find(|(key, _)| *key == name)?;
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, after) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).unwrap();
                (u8::from_str_radix(digits, 16).unwrap(), after)
            }
            (first, after) => (*first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    Some(String::from_utf8(bytes).unwrap())
}
