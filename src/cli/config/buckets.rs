//! What a `[[vault.store]]` in a bucket needs besides its URL, checked. Spec: `stores.md` §1.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::error::ConfigError;
use super::tables::StoreTable;
use super::text::ConfigText;
use crate::store::s3::{REQUESTS_IN_FLIGHT_MAX, UPLOAD_LIMIT_MIN, check_endpoint};
use crate::store::{LockMode, S3Settings, StorageClass};

/// Encryption by keys of the store itself.
const SSE_S3: &str = "AES256";
/// Encryption by keys of its key service.
const SSE_KMS: &str = "aws:kms";

/// Checks what only a store in a bucket has.
pub fn check(text: &ConfigText, table: &StoreTable) -> Result<S3Settings, ConfigError> {
    let plain = |value: &Option<Spanned<String>>| value.as_ref().map(|text| text.get_ref().clone());
    let path = |key: &str, value: &Option<Spanned<String>>| {
        value.as_ref().map(|path| text.absolute(key, path)).transpose()
    };
    let is_set = |value: &Option<Spanned<bool>>| value.as_ref().is_some_and(|set| *set.get_ref());
    if let Some(endpoint) = &table.endpoint {
        check_endpoint(endpoint.get_ref())
            .map_err(|reason| text.wrong(&endpoint.span(), format!("endpoint: {reason}")))?;
    }
    Ok(S3Settings {
        region: plain(&table.region),
        endpoint: plain(&table.endpoint),
        path_style: is_set(&table.path_style),
        ca_file: path("ca_file", &table.ca_file)?,
        credentials_file: path("credentials_file", &table.credentials_file)?,
        profile: plain(&table.profile),
        pack_class: check_class(text, table)?,
        sse: check_sse(text, table)?,
        sse_kms_key: plain(&table.sse_kms_key),
        object_lock: check_lock(text, table)?,
        legal_hold: is_set(&table.legal_hold),
        put_only: is_set(&table.put_only),
        requests_in_flight: check_requests(text, table)?,
        timeout: table.timeout.as_ref().map(|timeout| check_timeout(text, timeout)).transpose()?,
        upload_limit: check_upload_limit(text, table)?,
        ..S3Settings::default()
    })
}

fn check_lock(text: &ConfigText, table: &StoreTable) -> Result<Option<LockMode>, ConfigError> {
    let Some(mode) = &table.object_lock else { return Ok(None) };
    let found = LockMode::parse(mode.get_ref()).ok_or_else(|| {
        let other = mode.get_ref();
        let reason = format!("object_lock = {other:?}: expected compliance or governance");
        text.wrong(&mode.span(), reason)
    });
    found.map(Some)
}

fn check_class(text: &ConfigText, table: &StoreTable) -> Result<StorageClass, ConfigError> {
    let Some(name) = &table.pack_class else { return Ok(StorageClass::Standard) };
    StorageClass::parse(name.get_ref()).ok_or_else(|| {
        let known = StorageClass::ALL.map(StorageClass::name).join(", ");
        let reason = format!("pack_class = {:?}: expected one of {known}", name.get_ref());
        text.wrong(&name.span(), reason)
    })
}

fn check_sse(text: &ConfigText, table: &StoreTable) -> Result<Option<String>, ConfigError> {
    let sse = table.sse.as_ref().map(|sse| sse.get_ref().as_str());
    if let Some(spanned) = &table.sse
        && !matches!(sse, Some(SSE_S3 | SSE_KMS))
    {
        let reason = format!("sse = {:?}: expected {SSE_S3} or {SSE_KMS}", spanned.get_ref());
        return Err(text.wrong(&spanned.span(), reason));
    }
    match &table.sse_kms_key {
        Some(key) if sse != Some(SSE_KMS) => {
            Err(text.wrong(&key.span(), format!("sse_kms_key: only sse = \"{SSE_KMS}\" has one")))
        }
        _ => Ok(sse.map(str::to_owned)),
    }
}

fn check_requests(text: &ConfigText, table: &StoreTable) -> Result<Option<u16>, ConfigError> {
    let Some(count) = &table.requests_in_flight else { return Ok(None) };
    match *count.get_ref() {
        sound @ 1..=REQUESTS_IN_FLIGHT_MAX => Ok(Some(sound)),
        other => {
            let reason =
                format!("requests_in_flight = {other}: expected 1 to {REQUESTS_IN_FLIGHT_MAX}");
            Err(text.wrong(&count.span(), reason))
        }
    }
}

fn check_upload_limit(text: &ConfigText, table: &StoreTable) -> Result<Option<u64>, ConfigError> {
    let Some(limit) = &table.upload_limit else { return Ok(None) };
    match text.len("upload_limit", limit)? {
        rate if rate < UPLOAD_LIMIT_MIN => {
            let reason = format!("upload_limit: at least {UPLOAD_LIMIT_MIN} bytes a second");
            Err(text.wrong(&limit.span(), reason))
        }
        rate => Ok(Some(rate)),
    }
}

fn check_timeout(text: &ConfigText, timeout: &Spanned<String>) -> Result<Duration, ConfigError> {
    parse_span(timeout.get_ref()).ok_or_else(|| {
        let reason = format!("timeout = {:?}: expected a span such as 10m", timeout.get_ref());
        text.wrong(&timeout.span(), reason)
    })
}

/// Parses digits and `s`, `m` or `h`; none of no time at all, or of more than a week.
fn parse_span(text: &str) -> Option<Duration> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (count, unit) = text.split_at(digits);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let seconds = count.parse::<u64>().ok()?.checked_mul(seconds)?;
    (1..=7 * 24 * 3600).contains(&seconds).then(|| Duration::from_secs(seconds))
}

/// Refuses settings that would have no effect on a store that is not a bucket.
pub fn refuse(text: &ConfigText, table: &StoreTable) -> Result<(), ConfigError> {
    fn span<T>(value: &Option<Spanned<T>>) -> Option<Range<usize>> {
        value.as_ref().map(Spanned::span)
    }
    let spans = [
        ("region", span(&table.region)),
        ("endpoint", span(&table.endpoint)),
        ("path_style", span(&table.path_style)),
        ("ca_file", span(&table.ca_file)),
        ("credentials_file", span(&table.credentials_file)),
        ("profile", span(&table.profile)),
        ("pack_class", span(&table.pack_class)),
        ("sse", span(&table.sse)),
        ("sse_kms_key", span(&table.sse_kms_key)),
        ("object_lock", span(&table.object_lock)),
        ("legal_hold", span(&table.legal_hold)),
        ("put_only", span(&table.put_only)),
        ("requests_in_flight", span(&table.requests_in_flight)),
        ("timeout", span(&table.timeout)),
        ("upload_limit", span(&table.upload_limit)),
    ];
    match spans.into_iter().find_map(|(key, span)| Some((key, span?))) {
        Some((key, span)) => Err(text.wrong(&span, format!("{key}: only an s3:// store has it"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_a_number_and_a_unit() {
        assert_eq!(parse_span("10m"), Some(Duration::from_secs(600)));
        assert_eq!(parse_span("90s"), Some(Duration::from_secs(90)));
        assert_eq!(parse_span("2h"), Some(Duration::from_secs(7200)));
        for wrong in ["", "10", "m", "0s", "-1m", "1.5h", "1d", "10 m", "200h", "99999999999999h"] {
            assert_eq!(parse_span(wrong), None, "{wrong}");
        }
    }
}
