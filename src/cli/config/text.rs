//! The config's text, which knows on which line everything stands; and values of several keys.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::error::ConfigError;
use crate::crypto::recipient::DataRecipients;
use crate::policy::Age;

/// A config file's name and text.
pub struct ConfigText {
    pub path: PathBuf,
    pub text: String,
}

impl ConfigText {
    /// Returns the 1-based line on which a span begins.
    pub fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// Makes an error of what is wrong at a span.
    pub fn wrong(&self, span: &Range<usize>, reason: impl Into<String>) -> ConfigError {
        ConfigError::Line { path: self.path.clone(), line: self.line(span), reason: reason.into() }
    }

    /// Makes an error of what the TOML reader says.
    pub fn unreadable(&self, error: &toml::de::Error) -> ConfigError {
        let reason = error.message().trim().replace('\n', ", ").replace('`', "");
        self.wrong(&error.span().unwrap_or(0..0), reason)
    }

    /// Parses recipients one by one, so that a wrong one is found on its own line.
    pub fn recipients(
        &self,
        key: &str,
        texts: &[Spanned<String>],
    ) -> Result<Vec<String>, ConfigError> {
        let mut recipients: Vec<String> = Vec::with_capacity(texts.len());
        for spanned in texts {
            let text = spanned.get_ref().trim();
            DataRecipients::parse(&[text]).map_err(|source| ConfigError::Recipient {
                path: self.path.clone(),
                line: self.line(&spanned.span()),
                key: key.to_owned(),
                source: Box::new(source),
            })?;
            if recipients.iter().any(|earlier| earlier == text) {
                return Err(self.wrong(&spanned.span(), format!("{key}: {text} is there twice")));
            }
            recipients.push(text.to_owned());
        }
        Ok(recipients)
    }

    /// Parses a path that does not depend on where the program is run.
    pub fn absolute(&self, key: &str, text: &Spanned<String>) -> Result<PathBuf, ConfigError> {
        let path = Path::new(text.get_ref());
        if path.is_absolute() {
            return Ok(path.components().collect());
        }
        let reason = format!("{key} = {:?}: a path must be absolute", text.get_ref());
        Err(self.wrong(&text.span(), reason))
    }

    /// Parses a length such as `32MiB` or `4096`.
    pub fn len(&self, key: &str, text: &Spanned<String>) -> Result<u64, ConfigError> {
        parse_len(text.get_ref()).ok_or_else(|| {
            let reason =
                format!("{key} = {:?}: expected a length such as 32MiB or 64KiB", text.get_ref());
            self.wrong(&text.span(), reason)
        })
    }

    /// Parses a number of days such as `30d` or `1y`.
    pub fn days(&self, key: &str, text: &Spanned<String>) -> Result<u32, ConfigError> {
        text.get_ref().parse::<Age>().map(Age::days_max).map_err(|_| {
            let reason = format!("{key} = {:?}: expected days such as 30d", text.get_ref());
            self.wrong(&text.span(), reason)
        })
    }
}

/// Parses digits and a unit of bytes; a space between them is allowed.
pub fn parse_len(text: &str) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(digits);
    let shift = match unit.trim_start() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    count.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_counted_in_powers_of_two_and_nothing_else() {
        assert_eq!(parse_len("32MiB"), Some(32 * 1024 * 1024));
        assert_eq!(parse_len("64 KiB"), Some(64 * 1024));
        assert_eq!(parse_len("4096"), Some(4096));
        for wrong in ["", "MiB", "32MB", "32M", "-1", "1.5MiB", "99999999999999999999", "1TiB"] {
            assert_eq!(parse_len(wrong), None, "{wrong}");
        }
        assert_eq!(parse_len("99999999999GiB"), None);
    }
}
