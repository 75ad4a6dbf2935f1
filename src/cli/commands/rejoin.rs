//! `init --rejoin`: a host that lost its state goes on with a new signer.

use serde_json::{Value, json};

use crate::base::{Code, Event, Observer};
use crate::cli::access;
use crate::cli::args::UsageError;
use crate::cli::report::{Ending, Failure};
use crate::cli::session::Session;
use crate::crypto::recipient::DataRecipients;
use crate::ops::rejoin::{self, Rejoin, RejoinReport};
use crate::vault::state::StateLock;

/// Makes a new state for the one vault that is meant.
///
/// # Errors
/// If it has state here, its store cannot be read, or the key is not that vault's.
pub fn run(vault_key: &str, session: &Session) -> Result<Ending, Failure> {
    let config = session.config()?;
    let vaults = config.select(session.global.vault.as_deref())?;
    let [vault] = vaults[..] else {
        let reason = format!("the config has {} vaults: name one with --vault", vaults.len());
        return Err(UsageError::new("rejoin a vault", reason).into());
    };
    let recipients = DataRecipients::parse(&vault.recipients)?;
    let _lock = StateLock::take(&config.state_dir)?;
    let request = Rejoin {
        name: &vault.name,
        root: access::read_key(vault_key)?,
        recipients: &recipients,
        stores: access::stores(vault)?,
    };
    let observer = session.progress.as_ref();
    let outside = session.outside();
    let report = rejoin::rejoin(request, &config.state_dir, &session.ask, &outside, observer)?;
    let detail = format!(
        "vault {}: signer {} of this host is not delegated yet; what it takes is safe and counts \
         once it is",
        report.name, report.signer
    );
    observer.observe(Event::Warning { code: Code::SignerPending, detail });
    let warnings = session.progress.warnings();
    session.report.deed(object_of(&report), &warnings, Ending::Done, || text_of(&report))
}

fn object_of(report: &RejoinReport) -> Value {
    json!({
        "name": report.name,
        "vault": report.vault,
        "signer": report.signer,
        "signer_key": report.signer_key,
        "generation": report.generation,
    })
}

fn text_of(report: &RejoinReport) -> String {
    format!(
        "rejoined vault {}  {}\n\
         signer            {}\n\
         generation        {}\n\
         The operator delegates to this host, where the recovery kit and an identity are:\n  \
         idswyft-vault --vault {} signer add --role writer \\\n      \
         --key '{}' \\\n      \
         --kit DIR --identity FILE\n\
         and retires the signer that was lost with the old state:\n  \
         idswyft-vault --vault {} signer list\n",
        report.name,
        report.vault,
        report.signer,
        report.generation,
        report.name,
        report.signer_key,
        report.name,
    )
}
