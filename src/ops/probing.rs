//! Probing stores, and keeping what was seen. Spec: `capabilities.md`.

use std::path::{Path, PathBuf};

use super::Error;
use crate::base::entropy;
use crate::store::probe::{Probe, ProbeRequest, Shortfall, Wanted, Weight};
use crate::store::{S3Settings, Store};
use crate::vault::Outside;
use crate::vault::state::StateDir;

/// The directory of the records in a vault's state.
const RECORDS: &str = "stores";

/// Probes a store; none, for one that has nothing to find out or whose credentials may only put.
///
/// # Errors
/// If it cannot be reached, or not even put to.
pub fn probe(store: &dyn Store, pack_len: u64, outside: &Outside) -> Result<Option<Probe>, Error> {
    let random: [u8; 8] = entropy::draw(outside.entropy.as_ref());
    let name = hex::encode(random);
    let request = ProbeRequest { name: &name, now: outside.clock.now(), pack_len };
    Ok(store.probe(&request)?)
}

/// Returns what a config wants of a store.
pub fn wanted(settings: &S3Settings) -> Wanted {
    let S3Settings { object_lock, pack_class, .. } = *settings;
    Wanted { object_lock, pack_class, encryption: settings.sse.is_some() }
}

/// Refuses a store that cannot be used as it is configured.
///
/// # Errors
/// If the weightiest shortfall says so.
pub fn refuse(store: &str, shortfalls: &[Shortfall]) -> Result<(), Error> {
    match shortfalls.iter().find(|shortfall| shortfall.weight == Weight::Refused) {
        None => Ok(()),
        Some(Shortfall { capability, detail, remedy, .. }) => Err(Error::StoreUnfit {
            store: store.to_owned(),
            reason: format!("{capability}: {detail}; {remedy}"),
        }),
    }
}

/// Returns where what was seen of a store of a vault is kept.
pub fn record_of(state_dir: &Path, vault: &str, store: &str) -> PathBuf {
    state_dir.join(vault).join(RECORDS).join(format!("{store}.json"))
}

/// Keeps what was seen of a store of a vault.
///
/// # Errors
/// If it cannot be written.
pub fn record(state: &StateDir, store: &str, probe: &Probe) -> Result<(), Error> {
    let records = StateDir::new(state.path(), RECORDS).gated(state.gate().clone());
    records.make()?;
    Ok(records.write_json(&format!("{store}.json"), probe)?)
}

/// Returns what a record says, if there is one and it is of the store's place.
///
/// # Errors
/// If it cannot be read or does not parse.
pub fn recorded(record: &Path, url: &str) -> Result<Option<Probe>, Error> {
    let name = record.file_name().and_then(|name| name.to_str());
    let (Some(dir), Some(name)) = (record.parent(), name) else { return Ok(None) };
    if !record.exists() {
        return Ok(None);
    }
    let probe: Probe = StateDir::new(dir, "").read_json(name)?;
    Ok(Some(probe).filter(|probe| probe.url == url))
}
