//! The client of an `s3://` store: its runtime, its TLS, its credentials, its patience.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction, RetryConfig};
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    ProvideCredentials, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
    StalledStreamProtectionConfig, interceptors::InterceptorContext,
};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use super::{Fault, S3Settings};
use crate::store::error::Cause;

/// The environment variable with the certificates to trust, as AWS's own programs have it.
const CA_VARIABLE: &str = "AWS_CA_BUNDLE";
/// The environment variable with an endpoint of S3 alone, as AWS's own programs have it.
const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL_S3";
/// Threads that wait for the network.
const WORKERS: usize = 2;
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for credentials.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait for the answer to one try of a small call.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes a second that a connection must at least move, or the try ends.
const SPEED_MIN: u64 = 32 * 1024;
/// Tries of one call.
const ATTEMPTS: u32 = 4;
/// Region to sign for where a server of one's own is named and no region.
const REGION_DEFAULT: &str = "us-east-1";

/// What has to be made before the first call.
pub struct Live {
    pub runtime: Runtime,
    pub client: Client,
    pub permits: Semaphore,
    pub pace: Pace,
    /// The address of the server, if that is not AWS.
    pub endpoint: Option<String>,
}

/// How long is waited, and how often is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Longest wait for the answer to one try of a small call.
    pub attempt: Duration,
    /// Longest wait for the next bytes of an answer.
    pub stall: Duration,
    /// Bytes a second that an answer must at least bring, once it has had its first wait.
    pub speed_min: u64,
    /// Wait before the second try; it doubles.
    pub backoff: Duration,
    /// Tries of one call.
    pub attempts: u32,
}

impl Default for Pace {
    fn default() -> Self {
        let (attempt, stall) = (ATTEMPT_TIMEOUT, ATTEMPT_TIMEOUT);
        let (speed_min, backoff) = (SPEED_MIN, Duration::from_secs(1));
        Self { attempt, stall, speed_min, backoff, attempts: ATTEMPTS }
    }
}

impl Pace {
    /// Returns the time-outs of a call that moves so many bytes, at most at a rate.
    pub fn timeouts(&self, len: u64, settings: &S3Settings) -> TimeoutConfig {
        let speed = match settings.upload_limit {
            // All uploads in flight share the rate.
            Some(limit) => self.speed_min.min(limit / (2 * u64::from(settings.in_flight()))).max(1),
            None => self.speed_min,
        };
        let attempt = self.attempt + Duration::from_secs(len / speed);
        let whole = attempt.saturating_mul(self.attempts) + self.backoff * 20;
        let whole = settings.timeout.map_or(whole, |patience| whole.min(patience));
        TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(attempt)
            .operation_timeout(whole)
            .build()
    }

    /// Returns how long the next bytes of an answer may take that brought so many in so much time:
    /// none, if it is too slow. The time in which nobody asked for bytes does not count.
    pub fn patience(&self, received: u64, waited: Duration) -> Option<Duration> {
        let allowed = self.stall + Duration::from_secs(received / self.speed_min.max(1));
        allowed.checked_sub(waited).filter(|left| !left.is_zero()).map(|left| left.min(self.stall))
    }
}

/// Why there is no client.
pub type Refusal = (Fault, Cause);

/// Makes the client. Nothing is sent to the store; credentials may be fetched.
pub fn connect(settings: &S3Settings, pace: Pace) -> Result<Live, Refusal> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("s3")
        .enable_all()
        .build()
        .map_err(|error| (Fault::NotS3, error.into()))?;
    let http = http_client(settings)?;
    if let Some(path) = &settings.credentials_file {
        check_credentials_file(path).map_err(|reason| (Fault::NoCredentials, reason))?;
    }
    let shared = runtime.block_on(load(settings, http));
    let region = region_of(settings, &shared)?;
    runtime.block_on(check_credentials(&shared))?;
    let retries = RetryConfig::standard()
        .with_max_attempts(pace.attempts)
        .with_initial_backoff(pace.backoff)
        .with_max_backoff(Duration::from_secs(20));
    let mut config = aws_sdk_s3::config::Builder::from(&shared)
        .region(region)
        .force_path_style(settings.path_style)
        // The SHA-256 is known and sent as a plain header; nothing else is computed or appended.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        // Whoever reads compares with the signed digest.
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .timeout_config(pace.timeouts(0, settings))
        .retry_config(retries)
        .retry_classifier(Conflicts)
        // A wrong clock would date locks wrongly: it is told, not worked around.
        .disable_clock_skew_correction(true)
        // Every read and every try has a time-out of its own.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(endpoint) = &settings.endpoint {
        config = config.endpoint_url(endpoint);
    }
    let client = Client::from_conf(config.build());
    let permits = Semaphore::new(usize::from(settings.in_flight()));
    let configured = settings.endpoint.clone().or_else(|| std::env::var(ENDPOINT_VARIABLE).ok());
    let endpoint = configured.or_else(|| shared.endpoint_url().map(str::to_owned));
    Ok(Live { runtime, client, permits, pace, endpoint })
}

async fn load(settings: &S3Settings, http: SharedHttpClient) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http.clone());
    loader = match (&settings.region, &settings.endpoint) {
        (Some(region), _) => loader.region(Region::new(region.clone())),
        // A server of one's own does not care, and nobody should wait for EC2's metadata.
        (None, Some(_)) => loader.region(
            RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                .or_else(Region::from_static(REGION_DEFAULT)),
        ),
        (None, None) => loader,
    };
    if let Some(path) = &settings.credentials_file {
        loader =
            loader.credentials_provider(file_provider(path, settings.profile.as_deref(), http));
    } else if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    loader.load().await
}

#[expect(deprecated, reason = "the new name is that of a crate which is needed for nothing else")]
fn file_provider(
    path: &Path,
    profile: Option<&str>,
    http: SharedHttpClient,
) -> ProfileFileCredentialsProvider {
    use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
    let files = ProfileFiles::builder().with_file(ProfileFileKind::Credentials, path).build();
    // A profile may name a role that is fetched.
    let config = ProviderConfig::without_region().with_http_client(http);
    let provider = ProfileFileCredentialsProvider::builder().configure(&config);
    let provider = provider.profile_files(files);
    match profile {
        Some(profile) => provider.profile_name(profile).build(),
        None => provider.build(),
    }
}

fn region_of(settings: &S3Settings, shared: &SdkConfig) -> Result<Region, Refusal> {
    if let Some(region) = shared.region() {
        return Ok(region.clone());
    }
    if settings.endpoint.is_some() || shared.endpoint_url().is_some() {
        return Ok(Region::from_static(REGION_DEFAULT));
    }
    let reason = "none is configured: neither `region` nor AWS_REGION nor a profile names one";
    Err((Fault::RegionWrong { right: None }, reason.into()))
}

/// Finds out early whether there are credentials, and says why not.
async fn check_credentials(shared: &SdkConfig) -> Result<(), Refusal> {
    let Some(provider) = shared.credentials_provider() else {
        return Err((Fault::NoCredentials, "no provider of credentials is configured".into()));
    };
    let asked = tokio::time::timeout(CREDENTIALS_TIMEOUT, provider.provide_credentials()).await;
    match asked {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err((Fault::NoCredentials, super::said::chain(&error).into())),
        Err(_) => Err((Fault::NoCredentials, "their provider does not answer".into())),
    }
}

/// Refuses a file that is not there, cannot be read, or that others can read or change.
fn check_credentials_file(path: &Path) -> Result<(), Cause> {
    let name = path.display();
    let found = fs::metadata(path).map_err(|error| format!("credentials_file {name}: {error}"))?;
    if !found.is_file() {
        return Err(format!("credentials_file {name}: it is no file").into());
    }
    let mode = found.permissions().mode() & 0o7777;
    if mode & 0o027 != 0 {
        let reason = format!(
            "credentials_file {name}: its mode is {mode:04o}, so others can read or change it; \
             make it 0600"
        );
        return Err(reason.into());
    }
    match fs::File::open(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("credentials_file {name}: {error}").into()),
    }
}

fn http_client(settings: &S3Settings) -> Result<SharedHttpClient, Refusal> {
    let named = std::env::var_os(CA_VARIABLE).filter(|_| settings.ca_file.is_none());
    let trust = match settings.ca_file.clone().or(named.map(PathBuf::from)) {
        None => TrustStore::default(),
        Some(path) => {
            let pem = read_ca_file(&path).map_err(|reason| (Fault::CaFile, reason.into()))?;
            TrustStore::empty().with_pem_certificate(pem)
        }
    };
    let context = TlsContext::builder().with_trust_store(trust).build();
    let context = context.map_err(|error| (Fault::CaFile, error.into()))?;
    let provider = tls::Provider::Rustls(CryptoMode::Ring);
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let proxy = proxy_of(variable).map_err(|reason| (Fault::Proxy, reason.into()))?;
    let client = aws_smithy_http_client::Builder::new();
    Ok(client.build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder();
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.set_proxy_config(Some(proxy.clone()));
        connector.tls_provider(provider.clone()).tls_context(context.clone()).build()
    }))
}

/// Returns the proxy that the environment names for HTTPS. What is asked for without TLS goes
/// straight: the metadata of a cloud's machine, and servers of one's own.
fn proxy_of(variable: impl Fn(&str) -> Option<String>) -> Result<ProxyConfig, String> {
    let named = |names: [&str; 2]| names.into_iter().find_map(&variable);
    let Some(url) = named(["https_proxy", "HTTPS_PROXY"]) else {
        return Ok(ProxyConfig::disabled());
    };
    let url = if url.contains("://") { url } else { format!("http://{url}") };
    // The URL may hold a password, so it is not told.
    let proxy = ProxyConfig::https(url).map_err(|_| "HTTPS_PROXY is no URL of a proxy")?;
    Ok(match named(["no_proxy", "NO_PROXY"]) {
        Some(rules) => proxy.no_proxy(rules),
        None => proxy,
    })
}

/// Reads a bundle of certificates; the client would panic if one of them did not parse.
fn read_ca_file(path: &Path) -> Result<Vec<u8>, String> {
    let name = path.display();
    let pem = fs::read(path).map_err(|error| format!("ca_file {name}: {error}"))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| format!("ca_file {name}: {error}"))?;
        roots.add(certificate).map_err(|error| format!("ca_file {name}: {error}"))?;
    }
    match roots.is_empty() {
        true => Err(format!("ca_file {name}: it has no PEM certificate")),
        false => Ok(pem),
    }
}

/// Lets a PUT be tried again that ran into another PUT of the same name.
#[derive(Debug)]
struct Conflicts;

impl ClassifyRetry for Conflicts {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = match context.output_or_error() {
            Some(Err(error)) => error.as_operation_error(),
            _ => None,
        };
        match error.and_then(|error| error.downcast_ref::<PutObjectError>()).map(|it| it.code()) {
            Some(Some("ConditionalRequestConflict")) => RetryAction::transient_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "conditional request conflicts"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_of_the_environment_is_for_https_and_is_never_told() {
        let environment = |pairs: &'static [(&str, &str)]| {
            proxy_of(move |name| {
                let found = pairs.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(environment(&[]).unwrap().is_disabled());
        assert!(environment(&[("HTTP_PROXY", "http://p:1")]).unwrap().is_disabled());
        for url in ["http://u:secret@p:3128", "p:3128"] {
            let pairs: &'static [(&str, &str)] = Box::leak(Box::new([("HTTPS_PROXY", url)]));
            assert!(!environment(pairs).unwrap().is_disabled());
        }
        let refused = environment(&[("https_proxy", "http://u:secret@ p")]).unwrap_err();
        assert!(!refused.contains("secret"), "{refused}");
    }

    /// B-18
    #[test]
    fn an_answer_that_drips_is_given_up_and_one_that_is_slow_is_not() {
        let pace = Pace::default();
        let seconds = Duration::from_secs;
        assert_eq!(pace.patience(0, Duration::ZERO), Some(pace.stall));
        // A byte a second, forever.
        assert_eq!(pace.patience(59, seconds(59)), Some(seconds(1)));
        assert_eq!(pace.patience(61, seconds(61)), None);
        // Twice the least speed, for an hour.
        assert_eq!(pace.patience(2 * SPEED_MIN * 3600, seconds(3600)), Some(pace.stall));
    }
}
