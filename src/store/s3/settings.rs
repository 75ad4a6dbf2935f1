//! What an `s3://` store needs besides its URL. Spec: `stores.md` §1.

use std::path::PathBuf;
use std::time::Duration;

use crate::store::{LockMode, StorageClass};

/// Requests at a time, unless configured.
pub const REQUESTS_IN_FLIGHT_DEFAULT: u16 = 8;
/// Most requests at a time that can be configured.
pub const REQUESTS_IN_FLIGHT_MAX: u16 = 64;

/// The settings of an `s3://` store.
#[derive(Debug, Clone, Default)]
pub struct S3Settings {
    /// Region, such as `eu-central-1`.
    pub region: Option<String>,
    /// Address of a server that is not AWS.
    pub endpoint: Option<String>,
    /// Whether the bucket is named in the path and not in the host name.
    pub path_style: bool,
    /// PEM file with the certificates that the endpoint's is checked against; absolute.
    pub ca_file: Option<PathBuf>,
    /// File with the credentials; absolute.
    pub credentials_file: Option<PathBuf>,
    /// Which of the file's credentials to use.
    pub profile: Option<String>,
    /// Storage class of packs; everything else is `STANDARD`.
    pub pack_class: StorageClass,
    /// Server-side encryption, `AES256` or `aws:kms`.
    pub sse: Option<String>,
    /// The key of `aws:kms`, if not the bucket's default one.
    pub sse_kms_key: Option<String>,
    /// How objects are locked, if at all.
    pub object_lock: Option<LockMode>,
    /// Whether objects get a legal hold as well.
    pub legal_hold: bool,
    /// Whether the credentials may do nothing but put.
    pub put_only: bool,
    /// Most requests at a time.
    pub requests_in_flight: Option<u16>,
    /// For how long the store may hold up a run in all, if it is a mirror.
    pub timeout: Option<Duration>,
    /// Most bytes a second that are sent, from `--limit-upload`.
    pub upload_limit: Option<u64>,
    /// What the endpoint was found to get wrong.
    pub quirks: Quirks,
}

impl S3Settings {
    /// Returns how many requests may be made at a time; at least one.
    pub fn in_flight(&self) -> u16 {
        self.requests_in_flight.unwrap_or(REQUESTS_IN_FLIGHT_DEFAULT).max(1)
    }
}

/// What an endpoint gets wrong, as a probe found it; nothing, unless it was probed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quirks {
    /// It overwrites in spite of `If-None-Match: *`. Then `put_new` looks first whether the name
    /// is taken, which does not exclude two writers who look at the same time.
    pub ignores_if_none_match: bool,
    /// It refuses `x-amz-checksum-sha256`. Then `Content-MD5` is sent instead.
    pub refuses_checksum_header: bool,
    /// It takes bytes that do not have the checksum sent with them. Then a file is hashed here
    /// before it is sent.
    pub ignores_checksum: bool,
    /// It tells of an object the checksum that was sent along, whatever the bytes have, or none.
    /// Then none that it tells counts.
    pub echoes_checksum: bool,
}
