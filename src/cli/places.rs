//! What a config says of places on this machine, for the schedule and for `status`.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::args::UsageError;
use super::config::{Config, DatabaseConfig, UploadsConfig};
use super::report::Failure;
use crate::ops::places::{PlaceFacts, VaultPlaces};
use crate::ops::schedule::{NightCheck, NightJob, SourcePrograms};
use crate::source::docker::{Docker, Selector, Stack, UploadsVolume};
use crate::store;

/// Returns where stores and sources are.
pub fn place_facts(config: &Config) -> PlaceFacts {
    let vaults = config.vaults.iter().map(|vault| VaultPlaces {
        name: vault.name.clone(),
        stores: vault
            .stores
            .iter()
            .map(|store| (store.name.clone(), store::directory(&store.url)))
            .collect(),
    });
    let install = config.sources.stack().and_then(|stack| stack.dir);
    PlaceFacts { vaults: vaults.collect(), sources: uploads_of(config), install }
}

/// Returns what the nightly run works with.
///
/// # Errors
/// If a source cannot be read without a person, or the paths of program and config are not known.
pub fn night_job(config: &Config) -> Result<NightJob, Failure> {
    let database = config.sources.database.as_ref();
    if matches!(database, Some(DatabaseConfig::Stdin)) {
        let reason = "sources.database: kind = \"stdin\" needs someone who gives it the dump";
        return Err(UsageError::new("schedule the nights", reason).into());
    }
    let program = std::env::current_exe();
    let program = program.map_err(|cause| Failure::system("find this program", cause))?;
    let path = config.path.canonicalize();
    let wrap = |cause| Failure::system(format!("find {}", config.path.display()), cause);
    let mut job = NightJob::plain(program, path.map_err(wrap)?);
    job.state_dir = config.state_dir.clone();
    let urls = config.vaults.iter().flat_map(|vault| &vault.stores).map(|store| &store.url);
    let urls = urls.chain(config.escrow.iter().map(|escrow| &escrow.store));
    job.writable = urls.filter_map(|url| store::directory(url)).collect();
    job.readable = uploads_of(config);
    // What is sealed is read from there, wherever the rest comes from.
    job.readable.extend(config.sources.install_dir().map(PathBuf::from));
    job.readable.extend(config.escrow.iter().map(|escrow| escrow.dir.clone()));
    for store in config.vaults.iter().flat_map(|vault| &vault.stores) {
        if let Some(path) = store.credentials(None) {
            job.credentials.push((store.credential_name(), path));
        }
    }
    match database {
        None => {}
        Some(DatabaseConfig::Local { url }) => job.readable.extend(socket_dir(url)),
        Some(_) => job.programs = SourcePrograms::Foreign,
    }
    if config.sources.stack().is_some() {
        job.programs = SourcePrograms::Foreign;
    }
    if let Some(DatabaseConfig::Command { argv }) = database {
        job.readable.extend(argv.iter().map(PathBuf::from).filter(|path| path.is_absolute()));
    }
    if job.programs == SourcePrograms::Foreign {
        job.docker_host = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    }
    if !config.vaults.iter().flat_map(|vault| &vault.stores).any(|store| store.is_readable()) {
        job.check = NightCheck::Nothing;
    }
    let ours = rustix::process::geteuid().as_raw();
    let is_others = |path: &PathBuf| path.metadata().is_ok_and(|found| found.uid() != ours);
    job.writes_for_others = job.writable.iter().chain([&job.state_dir]).any(is_others);
    Ok(job)
}

/// Returns where the uploads are, as far as this machine can tell.
pub fn uploads_of(config: &Config) -> Vec<PathBuf> {
    match &config.sources.uploads {
        None => Vec::new(),
        Some(UploadsConfig::Path { path }) => vec![path.clone()],
        // An engine that does not answer now hides where its volume is, and nothing else.
        Some(UploadsConfig::Volume { dir, project, volume, .. }) => {
            let selector = Selector { dir: Some(dir.clone()), project: project.clone() };
            let find = || {
                let stack = Stack::find(&Docker::find()?, &selector)?;
                UploadsVolume::find(&stack, volume.as_deref())
            };
            find().map(|volume| volume.directory).into_iter().collect()
        }
    }
}

/// Returns the directory of the socket that a database URL names, if it names one.
fn socket_dir(url: &str) -> Option<PathBuf> {
    let (_, query) = url.split_once('?')?;
    let host = query.split('&').find_map(|pair| pair.strip_prefix("host="))?;
    let path = PathBuf::from(host.replace("%2F", "/").replace("%2f", "/"));
    path.is_absolute().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_of_a_database_url_is_found() {
        let dir = |url| socket_dir(url);
        assert_eq!(dir("postgresql:///x?host=/tmp&port=1"), Some("/tmp".into()));
        assert_eq!(dir("postgresql:///x?port=1&host=%2Fvar%2frun"), Some("/var/run".into()));
        assert_eq!(dir("postgresql://db/x?host=db2"), None);
        assert_eq!(dir("postgresql:///x"), None);
    }
}
