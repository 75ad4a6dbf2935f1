//! The stack's secrets, for the commands that seal or open them: what the config says of the
//! escrow, in the words of `ops::escrow`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::args::escrow::{CustodianArgs, EscrowStoreArgs};
use super::config::{Config, EscrowConfig};
use super::places::uploads_of;
use super::report::Failure;
use super::session::Session;
use crate::base::{Code, Event, Observer, Secret};
use crate::crypto::identity::DataIdentities;
use crate::crypto::recipient::DataRecipients;
use crate::ops::escrow::{Forbidden, Role, SameMount, SealJob, Sealing, seal};
use crate::source::docker::{API_SERVICE, Container, Docker, Stack};
use crate::store::{self, Store};

/// The escrow store's name in messages.
const STORE_NAME: &str = "escrow";

/// The environment of the running api, by variable.
pub type Environment = BTreeMap<String, Secret>;

/// Returns the environment that the api of a config's stack runs with, if it can be had.
pub fn environment(config: &Config) -> Option<Environment> {
    let selector = config.sources.stack()?;
    let stack = Stack::find(&Docker::find().ok()?, &selector).ok()?;
    let api = stack.running(API_SERVICE).ok()?.id.clone();
    let is_api = |container: &Container| container.id == api;
    Some(stack.containers.into_iter().find(is_api)?.env)
}

/// Seals for a snapshot what the config wants sealed; whatever fails is a warning.
///
/// # Errors
/// If the config's recipients or store cannot be used at all.
pub fn seal_for_snapshot(
    config: &Config,
    effective: Option<&Environment>,
    session: &Session,
) -> Result<Sealing, Failure> {
    let observer = session.progress.as_ref();
    let Some(escrow) = &config.escrow else {
        if let Some(detail) = lacks_escrow(config) {
            observer.observe(Event::Warning { code: Code::EscrowMissing, detail });
        }
        return Ok(Sealing::default());
    };
    if effective.is_none() && config.sources.stack().is_some() {
        let detail =
            "the environment of the running api is not known: only keys of .env are sealed";
        observer
            .observe(Event::Warning { code: Code::EscrowIncomplete, detail: detail.to_owned() });
    }
    with_job(config, escrow, effective, session, |job| {
        Ok(seal::seal_or_last(job, &session.ask, observer))
    })
}

/// Seals what changed.
///
/// # Errors
/// If the place is refused, or the installation, the store or the state fails.
pub fn seal_now(
    config: &Config,
    escrow: &EscrowConfig,
    effective: Option<&Environment>,
    session: &Session,
) -> Result<Sealing, Failure> {
    let observer = session.progress.as_ref();
    with_job(config, escrow, effective, session, |job| Ok(seal::seal(job, &session.ask, observer)?))
}

/// Says what a config without `[escrow]` leaves out: nothing, unless a stack is archived.
pub fn lacks_escrow(config: &Config) -> Option<String> {
    let dir = config.sources.install_dir()?;
    let dir = dir.display();
    Some(format!("there is no [escrow], so .env and ENCRYPTION_KEY of {dir} are sealed nowhere"))
}

fn with_job(
    config: &Config,
    escrow: &EscrowConfig,
    effective: Option<&Environment>,
    session: &Session,
    work: impl FnOnce(&SealJob<'_>) -> Result<Sealing, Failure>,
) -> Result<Sealing, Failure> {
    let recipients = DataRecipients::parse(&escrow.recipients)?;
    let key_recipients = match escrow.key_recipients.is_empty() {
        true => None,
        false => Some(DataRecipients::parse(&escrow.key_recipients)?),
    };
    let outside = session.outside();
    work(&SealJob {
        store: store::open(&escrow.store, STORE_NAME)?,
        recipients: &recipients,
        key_recipients: key_recipients.as_ref(),
        dir: &escrow.dir,
        effective,
        state_dir: &config.state_dir,
        forbidden: &forbidden(config, &escrow.dir),
        same_mount: if escrow.allow_same_mount { SameMount::Warn } else { SameMount::Refuse },
        outside: &outside,
    })
}

/// Returns every place that the escrow store must keep away from.
fn forbidden(config: &Config, install: &Path) -> Vec<Forbidden> {
    let place = |what: &str, path: &Path| Forbidden {
        what: what.to_owned(),
        path: path.to_owned(),
        role: Role::Other,
    };
    let stores = config.vaults.iter().flat_map(|vault| &vault.stores);
    let stores = stores.filter_map(|one| {
        let what = format!("store {}", one.name);
        Some(Forbidden { what, path: store::directory(&one.url)?, role: Role::ArchiveStore })
    });
    let mut places: Vec<Forbidden> = stores.collect();
    places.push(place("the state directory", &config.state_dir));
    places.push(place("the install directory", install));
    places.extend(uploads_of(config).iter().map(|path| place("the uploads", path)));
    places
}

/// Opens the escrow store that is named, else that of the config.
///
/// # Errors
/// If there is none.
pub fn store_of(session: &Session, args: &EscrowStoreArgs) -> Result<Arc<dyn Store>, Failure> {
    let url = match &args.escrow_store {
        Some(url) => url.clone(),
        None => escrow_of(&session.config()?)?.store.clone(),
    };
    Ok(store::open(&url, STORE_NAME)?)
}

/// Returns what the config says of the escrow.
///
/// # Errors
/// If it says nothing.
pub fn escrow_of(config: &Config) -> Result<&EscrowConfig, Failure> {
    config.escrow.as_ref().ok_or_else(|| {
        let reason = format!("{} has no [escrow]; or name --escrow-store", config.path.display());
        super::args::UsageError::new("find the escrow store", reason).into()
    })
}

/// Reads the identities of the custodians.
///
/// # Errors
/// If a file cannot be read or opened.
pub fn custodians(session: &Session, args: &CustodianArgs) -> Result<DataIdentities, Failure> {
    session.read_identities(&args.escrow_identity, "open the escrow")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::identity::NewIdentity;

    fn config(sources: &str) -> Config {
        let recipient = NewIdentity::generate(jiff::Timestamp::UNIX_EPOCH).recipient;
        let text = format!(
            "state_dir = \"/s\"\nrecipients = [\"{recipient}\"]\n[[vault]]\nname = \"nightly\"\n\
             [[vault.store]]\nname = \"local\"\nurl = \"file:///b\"\n{sources}"
        );
        Config::parse(Path::new("config.toml"), text).unwrap()
    }

    #[test]
    fn only_the_archive_of_a_stack_lacks_an_escrow_store() {
        let stack = config("[sources.database]\nkind = \"compose\"\ndir = \"/opt/idswyft\"\n");
        assert!(lacks_escrow(&stack).unwrap().contains("/opt/idswyft"));
        let volume = config("[sources.uploads]\nkind = \"volume\"\ndir = \"/opt/idswyft\"\n");
        assert!(lacks_escrow(&volume).is_some());
        let plain = config("[sources.uploads]\nkind = \"path\"\npath = \"/srv/uploads\"\n");
        assert_eq!(lacks_escrow(&plain), None);
    }

    /// E-1
    #[test]
    fn the_escrow_keeps_away_from_every_place_of_the_config() {
        let plain = config("[sources.uploads]\nkind = \"path\"\npath = \"/srv/uploads\"\n");
        let found = forbidden(&plain, Path::new("/opt/idswyft"));
        let found: Vec<_> =
            found.iter().map(|one| (one.path.to_str().unwrap(), one.role)).collect();
        assert_eq!(
            found,
            [
                ("/b", Role::ArchiveStore),
                ("/s", Role::Other),
                ("/opt/idswyft", Role::Other),
                ("/srv/uploads", Role::Other),
            ]
        );
    }
}
