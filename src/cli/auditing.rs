//! What an auditor brings along: what was kept of ledgers, and how often nights are expected.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::access;
use super::args::{UsageError, VerifyArgs};
use super::report::Failure;
use super::session::Session;
use crate::base::limits::KEPT_LEN_MAX;
use crate::ops::verify::{Kept, Rpo};
use crate::policy::Age;

/// Returns how long a vault may go without a snapshot: what is given, else what the config says
/// where it is used.
///
/// # Errors
/// If what is given is no time, or a config is used and does not parse.
pub fn rpo(args: &VerifyArgs, session: &Session) -> Result<Rpo, Failure> {
    if let Some(text) = &args.audit.rpo {
        let age = text.parse::<Age>().map_err(|_| {
            let reason = format!("{text:?} is no time such as 26h or 8d");
            UsageError::new("read --rpo", reason)
        })?;
        return Ok(Rpo::Given { hours: age.hours_max() });
    }
    match access::is_standalone(&args.access)? {
        true => Ok(Rpo::Derived),
        false => Ok(Rpo::Config { hours: session.config()?.nights.rpo_hours }),
    }
}

/// Reads what was kept of the ledgers.
///
/// # Errors
/// If a file cannot be read or is too long, or several vaults are meant: what was kept is of one.
pub fn kept(args: &VerifyArgs, vault_count: usize) -> Result<Vec<Kept>, Failure> {
    let refuse = |reason: String| UsageError::new("compare with --since", reason);
    if vault_count > 1 && !args.audit.since.is_empty() {
        let reason = format!("{vault_count} vaults are meant: name one with --vault");
        return Err(refuse(reason).into());
    }
    let mut all = Vec::new();
    for path in &args.audit.since {
        let name = path.display().to_string();
        let bytes = read(path).map_err(|error| refuse(format!("{name}: {error}")))?;
        if bytes.len() as u64 > KEPT_LEN_MAX {
            let reason = format!("{name}: it is longer than {KEPT_LEN_MAX} bytes");
            return Err(refuse(reason).into());
        }
        all.push(Kept { name, bytes });
    }
    Ok(all)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(KEPT_LEN_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
