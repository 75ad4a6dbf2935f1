//! The S3 servers of the tests, who may do what on them, and what stands between.
//!
//! ```text
//! let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
//! let proxy = Proxy::before(&place.address());          // remembers, or meddles
//! place.settings("host")                                 // S3Settings, as that principal
//! place.table("host", Some(&proxy))                      // the same for a config
//! ```
//!
//! The servers are those of `IDSWYFT_VAULT_TEST_S3`; `tests/run` starts them for tests whose names
//! contain `s3`. By hand: `tests/s3/servers start /tmp/s3; export IDSWYFT_VAULT_TEST_S3=/tmp/s3`,
//! in the end `tests/s3/servers stop /tmp/s3`. Both test binaries include this directory.

pub mod clocked;
pub mod fake;
pub mod gate;
mod http;
pub mod place;
pub mod policy;
pub mod proxy;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The name of the variable with the directory of the servers.
const SERVERS_VARIABLE: &str = "IDSWYFT_VAULT_TEST_S3";

/// The servers that `tests/s3/servers` starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// A distributed store with principals, policies, conditions and locks.
    SeaweedFs,
    /// The same over TLS, with a certificate of the tests' own authority.
    SeaweedFsTls,
    /// Checksums, archive classes and locks as AWS has them; nobody is refused.
    LocalStack,
    /// Thawing as AWS has it; nobody is refused.
    MiniStack,
    /// Ignores conditions, checks nothing, and says that it locks.
    Rclone,
}

impl Server {
    /// Returns its name in the file of addresses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SeaweedFs => "seaweedfs",
            Self::SeaweedFsTls => "seaweedfs-tls",
            Self::LocalStack => "localstack",
            Self::MiniStack => "ministack",
            Self::Rclone => "rclone",
        }
    }
}

/// Where servers listen, by their names.
#[derive(Debug, Clone)]
pub struct Addresses(BTreeMap<String, String>);

impl Addresses {
    /// Returns those of this run; none where there are no servers, which fails where `CI` is set.
    pub fn of_this_run() -> Option<Self> {
        let Some(dir) = std::env::var_os(SERVERS_VARIABLE) else {
            assert!(std::env::var_os("CI").is_none(), "{SERVERS_VARIABLE} is not set");
            return None;
        };
        Some(Self::below(Path::new(&dir)))
    }

    /// Reads what `tests/s3/servers` wrote below a directory.
    pub fn below(dir: &Path) -> Self {
        let text = std::fs::read_to_string(dir.join("env")).expect("the servers were started");
        let lines = text.lines().filter_map(|line| line.split_once('='));
        Self(lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Returns the address of a server.
    pub fn of(&self, server: Server) -> &str {
        self.0.get(server.name()).expect("the server was started")
    }

    /// Returns the file with the tests' own authority.
    pub fn ca_file(&self) -> PathBuf {
        PathBuf::from(self.0.get("ca").expect("the server was started"))
    }

    /// Returns the file from which MiniStack takes its time.
    pub fn clock_file(&self) -> PathBuf {
        PathBuf::from(self.0.get("ministack-clock").expect("the server was started"))
    }
}

/// Returns the keys of a principal of `tests/s3/principals.py`.
pub fn keys(principal: &str) -> (String, String) {
    let name = principal.to_uppercase();
    (format!("{name}KEY"), format!("{name}SECRET"))
}
