//! Why a server cannot be used as it is configured, in words and with a code each.

use std::fmt;

use crate::base::Code;

/// What stands between the program and an object, other than the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No credentials are to be found, or their file cannot be used.
    NoCredentials,
    /// The server does not accept the credentials.
    CredentialsRefused,
    /// There is no such bucket.
    BucketMissing,
    /// The bucket is in another region, or the configured one does not exist.
    RegionWrong {
        /// The right one, if the server told.
        right: Option<String>,
    },
    /// This host's clock and the server's differ too much.
    ClockSkewed,
    /// What answers is no S3 server.
    NotS3,
    /// The connection cannot be made secret and authentic.
    Tls,
    /// The file with the certificates cannot be used.
    CaFile,
    /// The environment names a proxy that cannot be used.
    Proxy,
    /// The bucket locks nothing.
    NoObjectLock,
    /// The server refuses the header with the SHA-256.
    ChecksumRefused,
    /// The server asks for fewer requests, and did after every try.
    Busy,
    /// The encryption key of the bucket cannot be used.
    EncryptionKey,
}

impl Fault {
    /// Returns the code of an error that has this cause.
    pub const fn code(&self) -> Code {
        match self {
            Self::NoCredentials => Code::CredentialsMissing,
            Self::CredentialsRefused => Code::CredentialsRefused,
            Self::BucketMissing => Code::BucketMissing,
            Self::RegionWrong { .. } => Code::RegionWrong,
            Self::ClockSkewed => Code::ClockSkewed,
            Self::NotS3 => Code::EndpointForeign,
            Self::Tls | Self::CaFile => Code::EndpointUntrusted,
            Self::Proxy => Code::ConfigInvalid,
            Self::NoObjectLock => Code::LockUnavailable,
            Self::ChecksumRefused => Code::ChecksumRefused,
            Self::Busy => Code::StoreBusy,
            Self::EncryptionKey => Code::EncryptionKeyUnusable,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCredentials => f.write_str("there are no credentials to use"),
            Self::CredentialsRefused => f.write_str("the server does not accept the credentials"),
            Self::BucketMissing => f.write_str("there is no such bucket"),
            Self::RegionWrong { right: Some(region) } => {
                write!(f, "the region is wrong, the bucket is in {region}")
            }
            Self::RegionWrong { right: None } => f.write_str("the region is wrong"),
            Self::ClockSkewed => {
                f.write_str("the clocks of this host and of the server differ too much")
            }
            Self::NotS3 => f.write_str("what answers is not an S3 server"),
            Self::Tls => f.write_str("the endpoint does not prove who it is"),
            Self::CaFile => f.write_str("ca_file holds no certificates to check the endpoint by"),
            Self::Proxy => f.write_str("the proxy that the environment names cannot be used"),
            Self::NoObjectLock => f.write_str("the bucket has no Object Lock"),
            Self::ChecksumRefused => f.write_str("the server refuses the checksum header"),
            Self::Busy => f.write_str("the server asks for fewer requests, after every try"),
            Self::EncryptionKey => f.write_str("the encryption key cannot be used"),
        }
    }
}
