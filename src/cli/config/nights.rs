//! `rpo`, `rto` and `ping`: what is expected of the nights, and who is told.

use toml::Spanned;

use super::error::ConfigError;
use super::tables::ConfigTable;
use super::text::ConfigText;
use crate::ops::ping::PingUrl;
use crate::policy::{Age, Period};

/// How old the newest snapshot may be where the config does not say: a night and some slack.
const RPO_DEFAULT: &str = "26h";
/// How long a restore may take where the config does not say.
const RTO_DEFAULT: &str = "1h";

/// What is expected of the nights.
#[derive(Debug, Clone)]
pub struct NightsConfig {
    /// Hours that the newest snapshot of a vault with a snapshot a day may be old.
    pub rpo_hours: u64,
    /// Hours that putting everything back into service may take.
    pub rto_hours: u64,
    /// The watchdog that is told of every run.
    pub ping: Option<PingUrl>,
}

impl NightsConfig {
    /// Returns how old the newest snapshot of a vault may be that admits one a period.
    ///
    /// A period and some slack, for a run that takes its time or is made up for.
    pub const fn rpo_hours_of(&self, every: Option<Period>) -> u64 {
        match every {
            None | Some(Period::Day) => self.rpo_hours,
            Some(period) => period.hours_with_slack(),
        }
    }
}

/// Checks the three keys.
pub fn check(text: &ConfigText, table: &ConfigTable) -> Result<NightsConfig, ConfigError> {
    let ping = match &table.ping {
        None => None,
        // The reason names nothing of the URL, whose path is a secret.
        Some(url) => Some(
            PingUrl::parse(url.get_ref().trim())
                .map_err(|reason| text.wrong(&url.span(), format!("ping: {reason}")))?,
        ),
    };
    Ok(NightsConfig {
        rpo_hours: hours(text, "rpo", table.rpo.as_ref(), RPO_DEFAULT)?,
        rto_hours: hours(text, "rto", table.rto.as_ref(), RTO_DEFAULT)?,
        ping,
    })
}

fn hours(
    text: &ConfigText,
    key: &str,
    value: Option<&Spanned<String>>,
    default: &str,
) -> Result<u64, ConfigError> {
    let parsed = value.map_or(default, |value| value.get_ref().as_str()).parse::<Age>();
    parsed.map(Age::hours_max).map_err(|_| {
        let span = value.map_or(0..0, Spanned::span);
        text.wrong(&span, format!("{key}: expected a time such as 26h or 8d"))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;
    use super::*;

    const VAULT: &str = "state_dir = \"/s\"\nrecipients = [\"RECIPIENT\"]\n\
                         [[vault]]\nname = \"n\"\n[[vault.store]]\nname = \"l\"\n\
                         url = \"file:///b\"\n";

    fn config(head: &str) -> Result<Config, ConfigError> {
        let now = jiff::Timestamp::UNIX_EPOCH;
        let new = crate::crypto::identity::NewIdentity::generate(now);
        let vault = VAULT.replace("RECIPIENT", &new.recipient);
        Config::parse(Path::new("c.toml"), format!("{head}\n{vault}"))
    }

    /// N-10
    #[test]
    fn a_vault_may_be_as_old_as_its_period_and_some_slack() {
        let nights = config("").unwrap().nights;
        assert_eq!((nights.rpo_hours_of(None), nights.rto_hours), (26, 1));
        assert_eq!(nights.rpo_hours_of(Some(Period::Hour)), 2);
        assert_eq!(nights.rpo_hours_of(Some(Period::Week)), 8 * 24);
        assert_eq!(nights.rpo_hours_of(Some(Period::Month)), 32 * 24);
        let nights = config("rpo = \"2d\"\nrto = \"4h\"").unwrap().nights;
        assert_eq!((nights.rpo_hours_of(Some(Period::Day)), nights.rto_hours), (48, 4));
        let error = config("\nrpo = \"soon\"").unwrap_err().to_string();
        assert!(error.contains("line 2: rpo: expected a time"), "{error}");
    }

    /// M-10
    #[test]
    fn the_spool_is_bounded_by_default_and_as_told() {
        assert_eq!(config("").unwrap().spool_max, 10 * 1024 * 1024 * 1024);
        assert_eq!(config("spool_max = \"2GiB\"").unwrap().spool_max, 2 * 1024 * 1024 * 1024);
        let error = config("\nspool_max = \"much\"").unwrap_err().to_string();
        assert!(error.contains("line 2: spool_max"), "{error}");
    }

    /// N-14
    #[test]
    fn a_wrong_ping_url_is_refused_without_being_shown() {
        let error = config("ping = \"https://host/secret?a\"").unwrap_err().to_string();
        assert!(error.contains("line 1: ping: it must end with its path"), "{error}");
        assert!(!error.contains("secret"), "{error}");
        let config = config("ping = \"https://host/secret\"").unwrap();
        assert!(!format!("{config:?}").contains("secret"));
    }
}
