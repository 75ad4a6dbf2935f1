//! Telling a watchdog how a night went: one small POST. Spec: `nights.md`.
//!
//! - The path of the URL is a secret: whoever knows it can say that all is well. It is never
//!   printed; errors name the host alone.
//! - What is told are codes, ids and the newest checkpoints: the mailbox that the watchdog writes
//!   to is a witness of the ledger.
//! - Nothing depends on it: a ping that fails is a warning, and it fails within seconds.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use ureq::http::Uri;
use zeroize::Zeroizing;

use crate::base::{Code, Coded};

/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long the ping of a start may take, whose end a short run waits for.
const START_TIME_MAX: Duration = Duration::from_secs(5);
/// How long any other ping may take.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Longest message: the usual watchdogs keep the first 10 to 100 kB.
const MESSAGE_LEN_MAX: usize = 10_000;

/// The URL of a watchdog.
#[derive(Clone)]
pub struct PingUrl {
    url: Arc<Zeroizing<String>>,
    host: String,
}

/// What is told of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It begins.
    Start,
    /// It ended well, warnings included: the message tells them.
    Success,
    /// It failed.
    Failure,
}

/// Why a ping did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("ping {host}: {reason}")]
pub struct PingError {
    host: String,
    reason: String,
}

impl Coded for PingError {
    fn code(&self) -> Code {
        Code::PingFailed
    }
}

impl fmt::Debug for PingUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PingUrl({}/…)", self.host)
    }
}

impl PingUrl {
    /// Parses the URL of a watchdog; what is wrong with one is told without it.
    ///
    /// # Errors
    /// If it is no `http` or `https` URL to whose path `/start` and `/fail` can be appended.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "it is not a URL")?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err("write http:// or https://");
        }
        let authority = uri.authority().ok_or("it names no host")?;
        if authority.as_str().contains('@') {
            return Err("it must not hold a user or a password");
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err("it names no host");
        }
        if uri.query().is_some() || text.contains('#') {
            return Err("it must end with its path: /start and /fail are appended");
        }
        let host = authority.to_string();
        Ok(Self { url: Arc::new(Zeroizing::new(text.trim_end_matches('/').to_owned())), host })
    }

    /// Returns the host, which is no secret.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Sends a signal with a message.
    ///
    /// # Errors
    /// If the watchdog does not take it in time, whatever the reason.
    pub fn send(&self, signal: Signal, message: &str) -> Result<(), PingError> {
        let (suffix, time_max) = match signal {
            Signal::Start => ("/start", START_TIME_MAX),
            Signal::Success => ("", TIME_MAX),
            Signal::Failure => ("/fail", TIME_MAX),
        };
        let url = Zeroizing::new(format!("{}{suffix}", self.url.as_str()));
        let sent = agent(time_max).post(url.as_str()).content_type("text/plain; charset=utf-8");
        let fail = |reason: String| PingError { host: self.host.clone(), reason };
        let response = sent.send(shortened(message)).map_err(|error| fail(reason_of(&error)))?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status if status.is_redirection() => {
                Err(fail(format!("it answers {status}: configure the URL that it leads to")))
            }
            status => Err(fail(format!("it answers {status}"))),
        }
    }
}

/// Makes the client: no redirect is followed, so no answer can lead the message elsewhere.
fn agent(time_max: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_connect(Some(CONNECT_TIME_MAX))
        .timeout_global(Some(time_max))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("idswyft-vault/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// Says why, in words of our own: those of a foreign error may hold the URL.
fn reason_of(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "it did not answer in time".to_owned(),
        ureq::Error::HostNotFound => "the host is not known".to_owned(),
        ureq::Error::ConnectionFailed => "no connection".to_owned(),
        ureq::Error::Io(cause) => format!("the connection failed: {}", cause.kind()),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => "its certificate is not good".to_owned(),
        _ => "it does not speak HTTP as expected".to_owned(),
    }
}

/// Cuts a message that is too long.
fn shortened(message: &str) -> &str {
    let mut end = message.len().min(MESSAGE_LEN_MAX);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N-14
    #[test]
    fn a_url_shows_its_host_and_never_its_path() {
        let url = PingUrl::parse("https://hc-ping.com:444/0123-secret/").unwrap();
        assert_eq!(url.host(), "hc-ping.com:444");
        assert_eq!(format!("{url:?}"), "PingUrl(hc-ping.com:444/…)");
        for wrong in [
            "",
            "hc-ping.com/secret",
            "ftp://host/secret",
            "https://",
            "https:///secret",
            "https://user:secret@host/x",
            "https://host/x?secret=1",
            "https://host/x#secret",
            "https://ho st/secret",
        ] {
            let reason = PingUrl::parse(wrong).unwrap_err();
            assert!(!reason.contains("secret"), "{wrong}: {reason}");
        }
    }

    #[test]
    fn a_long_message_is_cut_between_letters() {
        let text = "ä".repeat(MESSAGE_LEN_MAX);
        assert_eq!(shortened(&text).len(), MESSAGE_LEN_MAX);
        assert_eq!(shortened(&format!("x{text}")).len(), MESSAGE_LEN_MAX - 1);
        assert_eq!(shortened("short"), "short");
    }
}
