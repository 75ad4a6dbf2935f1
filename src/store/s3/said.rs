//! What a server said instead of doing what it was asked, and which error that is.

use std::error::Error as StdError;
use std::fmt::{self, Write as _};

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::Fault;
use crate::store::Error;
use crate::store::error::Cause;

/// Most bytes of a server's words that are shown.
const WORDS_LEN_MAX: usize = 400;

/// A call, as messages name it.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// What is done, as a verb.
    pub action: &'static str,
    /// The right that it needs, by its name in policies.
    pub right: &'static str,
    /// The address of what it is done to.
    pub place: &'a str,
    /// The name of the store.
    pub store: &'a str,
}

/// An answer that is not success.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The error's code, such as `NoSuchKey`; empty where the answer has none.
    pub code: String,
    /// The words that came with it.
    pub message: String,
    /// The region of the bucket, if the server told it.
    pub region: Option<String>,
    /// Whether it is a web page.
    pub is_page: bool,
}

/// A call that failed: what was answered, if anything was, and the error that it amounts to.
pub struct Failure {
    pub answer: Option<Box<Answer>>,
    pub error: Box<Error>,
}

impl Failure {
    /// Returns the HTTP status of the answer; 0 if there was none.
    pub fn status(&self) -> u16 {
        self.answer.as_ref().map_or(0, |answer| answer.status)
    }

    /// Returns the code of the answer.
    pub fn code(&self) -> &str {
        self.answer.as_ref().map_or("", |answer| answer.code.as_str())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        *failure.error
    }
}

impl Answer {
    fn of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Option<Self> {
        let raw = error.raw_response()?;
        let service = error.as_service_error();
        let (code, message) = match service {
            Some(service) => (service.code(), service.message()),
            None => (None, None),
        };
        let body = raw.body().bytes().unwrap_or_default();
        let start =
            String::from_utf8_lossy(&body[..body.len().min(64)]).trim_start().to_lowercase();
        let typed = raw.headers().get("content-type").is_some_and(|it| it.starts_with("text/html"));
        let message = message.unwrap_or_default().to_owned();
        let region = raw.headers().get("x-amz-bucket-region").map(str::to_owned);
        Some(Self {
            status: raw.status().as_u16(),
            code: code.unwrap_or_default().to_owned(),
            region: region.or_else(|| expected_region(&message)),
            message,
            is_page: typed || start.starts_with("<!doctype html") || start.starts_with("<html"),
        })
    }

    /// Returns the error that this answer to a call is.
    fn into_error(self, call: Call<'_>, unparsable: Option<String>) -> Error {
        let kind = kind_of(&self, unparsable.is_some());
        let source = Said { right: call.right, answer: self, unparsable }.into();
        kind.into_error(call, source)
    }
}

/// Reads the right region out of words such as `the region 'a' is wrong; expecting 'b'`.
fn expected_region(message: &str) -> Option<String> {
    let rest = message.split_once("expecting '")?.1;
    let region = rest.split_once('\'')?.0;
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (!region.is_empty() && region.chars().all(sound)).then(|| region.to_owned())
}

/// Which of the errors an answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Denied,
    Full,
    Unavailable,
    Fault(Fault),
}

impl Kind {
    fn into_error(self, call: Call<'_>, source: Cause) -> Error {
        let (store, action, place) = (call.store.to_owned(), call.action, call.place.to_owned());
        match self {
            Self::Denied => Error::Denied { store, action, place, source },
            Self::Full => Error::Full { store, action, place, source },
            Self::Unavailable => Error::Unavailable { store, action, place, source },
            Self::Fault(fault) => Error::Server { store, action, place, fault, source },
        }
    }
}

fn kind_of(answer: &Answer, is_unparsable: bool) -> Kind {
    let words = answer.message.to_lowercase();
    let wrong_region = || Kind::Fault(Fault::RegionWrong { right: answer.region.clone() });
    match answer.code.as_str() {
        _ if answer.is_page && answer.status < 500 => Kind::Fault(Fault::NotS3),
        "NoSuchBucket" => Kind::Fault(Fault::BucketMissing),
        "PermanentRedirect" | "TemporaryRedirect" | "Redirect" => wrong_region(),
        "IllegalLocationConstraintException" | "InvalidRegionName" => wrong_region(),
        "AuthorizationHeaderMalformed" if answer.region.is_some() || words.contains("region") => {
            wrong_region()
        }
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "InvalidToken"
        | "TokenRefreshRequired"
        | "AuthorizationHeaderMalformed"
        | "NotSignedUp"
        | "InvalidSecurity"
        | "InvalidClientTokenId" => Kind::Fault(Fault::CredentialsRefused),
        "RequestTimeTooSkewed" | "RequestExpired" => Kind::Fault(Fault::ClockSkewed),
        "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequests"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded" => Kind::Fault(Fault::Busy),
        "QuotaExceeded" | "XMinioStorageFull" | "InsufficientStorage" => Kind::Full,
        "ObjectLockConfigurationNotFoundError" => Kind::Fault(Fault::NoObjectLock),
        code if code.starts_with("KMS") => Kind::Fault(Fault::EncryptionKey),
        "InvalidRequest" if words.contains("object lock") || words.contains("objectlock") => {
            Kind::Fault(Fault::NoObjectLock)
        }
        "InvalidRequest" | "InvalidArgument" | "NotImplemented" if words.contains("checksum") => {
            Kind::Fault(Fault::ChecksumRefused)
        }
        _ => match answer.status {
            301 | 307 | 308 => wrong_region(),
            400 if answer.code.is_empty() && answer.region.is_some() => wrong_region(),
            401 | 403 => Kind::Denied,
            429 => Kind::Fault(Fault::Busy),
            507 => Kind::Full,
            200..=299 if is_unparsable => Kind::Fault(Fault::NotS3),
            _ => Kind::Unavailable,
        },
    }
}

/// A server's words, and the right that the call needed.
#[derive(Debug)]
struct Said {
    right: &'static str,
    answer: Answer,
    unparsable: Option<String>,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer { status, code, message, is_page, .. } = &self.answer;
        write!(f, "{}: HTTP {status}", self.right)?;
        match (is_page, code.as_str()) {
            (true, _) => f.write_str(", a web page")?,
            (false, "") => {}
            (false, code) => write!(f, " {}", shown(code))?,
        }
        match (message.as_str(), &self.unparsable) {
            ("", None) => Ok(()),
            ("", Some(why)) => write!(f, ": {}", shown(why)),
            (message, _) => write!(f, ": {}", shown(message)),
        }
    }
}

impl StdError for Said {}

/// Cuts and cleans a server's words: they may hold anything.
fn shown(words: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = words.chars().map(clean).take(WORDS_LEN_MAX).collect();
    if words.chars().count() > WORDS_LEN_MAX {
        shown.push('…');
    }
    shown.trim().to_owned()
}

/// Returns the words of an error and of those beneath it.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_words = cause.to_string();
        // Several layers repeat what the one beneath them says.
        if !words.contains(&cause_words) {
            let _ = write!(words, ": {cause_words}");
        }
        next = cause.source();
    }
    shown(&words)
}

/// Returns the failure that an error of the client is.
pub fn failure<E>(call: Call<'_>, error: SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    if let Some(answer) = Answer::of(&error) {
        let unparsable = matches!(error, SdkError::ResponseError(_)).then(|| chain(&error));
        let told = Box::new(answer.clone());
        let error = answer.into_error(call, unparsable);
        return Failure { answer: Some(told), error: Box::new(error) };
    }
    let words = match &error {
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        _ => chain(&error),
    };
    let kind = kind_of_words(&words);
    Failure { answer: None, error: Box::new(kind.into_error(call, words.into())) }
}

/// Tells by the client's words what is wrong where no server answered.
fn kind_of_words(words: &str) -> Kind {
    const TLS: [&str; 4] =
        ["certificate", "received fatal alert", "corrupt message", "HandshakeFailure"];
    if TLS.iter().any(|word| words.contains(word)) {
        return Kind::Fault(Fault::Tls);
    }
    if words.contains("credential") || words.contains("identity") {
        return Kind::Fault(Fault::NoCredentials);
    }
    Kind::Unavailable
}
