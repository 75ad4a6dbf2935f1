//! The sources that a config names, opened, and what is known of the stack behind them.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::json;

use crate::base::{Code, Event, Observer};
use crate::cli::args::UsageError;
use crate::cli::config::{Config, DatabaseConfig, UploadsConfig};
use crate::cli::report::Failure;
use crate::cli::session::Session;
use crate::ops::snapshot::{SnapshotReport, Sources, Uploads, UploadsPath, UploadsReader};
use crate::policy::in_stack_hours;
use crate::source::StreamSource;
use crate::source::command::CommandSource;
use crate::source::docker::{
    API_SERVICE, ComposeSource, Docker, DockerError, ReadMode, ReadWay, Selector, Stack,
    StackFacts, UploadsVolume, VolumeStream,
};
use crate::source::postgres::LocalSource;
use crate::source::stream::StdinSource;
use crate::store;

/// Opens the sources of a config, gathers the facts of its stack, and warns of what they show.
///
/// # Errors
/// If there are no sources, or the stack that they name cannot be used.
pub fn open(config: &Config, session: &Session) -> Result<(Sources, StackFacts), Failure> {
    let (database, uploads) = (&config.sources.database, &config.sources.uploads);
    if database.is_none() && uploads.is_none() {
        let reason = format!("{} names no [sources]", config.path.display());
        return Err(UsageError::new("take a snapshot", reason).into());
    }
    let facts = match config.sources.stack() {
        Some(selector) => {
            if let Some(detail) = busy(session.clock.now()) {
                session.progress.observe(Event::Warning { code: Code::StackHours, detail });
            }
            facts_of(&selector, database.as_ref())?
        }
        None => StackFacts::default(),
    };
    if let Some(provider) = &facts.provider {
        let detail = format!("the api stores files with provider {provider}, not in the uploads");
        session.progress.observe(Event::Warning { code: Code::UploadsElsewhere, detail });
    }
    let sources = Sources {
        database: database.as_ref().map(open_database).transpose()?,
        uploads: uploads.as_ref().map(|uploads| open_uploads(uploads, config)).transpose()?,
        facts: facts.object.clone(),
        sealed: Vec::new(),
    };
    Ok((sources, facts))
}

/// Tells what the stack does at this time of its day, if that changes what a snapshot reads.
fn busy(now: Timestamp) -> Option<String> {
    let job = in_stack_hours(now)?;
    Some(format!("the snapshot begins at {now}, when the stack {job}"))
}

/// Warns of a snapshot without a file although rows name some (S-14).
pub fn warn_of_no_files(facts: &StackFacts, reports: &[SnapshotReport], session: &Session) {
    let Some(count @ 1..) = facts.file_row_count else { return };
    if facts.provider.is_none() && reports.iter().any(|report| report.file_count == 0) {
        let detail = format!("no file was archived, and {count} rows of the database name one");
        session.progress.observe(Event::Warning { code: Code::UploadsEmpty, detail });
    }
}

fn facts_of(
    selector: &Selector,
    database: Option<&DatabaseConfig>,
) -> Result<StackFacts, DockerError> {
    let docker = Docker::find()?;
    let stack = Stack::find(&docker, selector)?;
    let service = match database {
        Some(DatabaseConfig::Compose { service, .. }) => Some(service.as_str()),
        _ => None,
    };
    Ok(StackFacts::gather(&docker, &stack, service))
}

fn open_database(config: &DatabaseConfig) -> Result<Box<dyn StreamSource>, Failure> {
    Ok(match config {
        DatabaseConfig::Command { argv } => Box::new(CommandSource::new(argv)?),
        DatabaseConfig::Stdin => Box::new(StdinSource),
        DatabaseConfig::Local { url } => Box::new(LocalSource::new(url)?),
        DatabaseConfig::Compose { dir, project, service } => {
            let selector = Selector { dir: Some(dir.clone()), project: project.clone() };
            Box::new(ComposeSource::new(Docker::find()?, selector, service.clone()))
        }
    })
}

/// Opens the uploads; a store or state inside them is left out.
fn open_uploads(uploads: &UploadsConfig, config: &Config) -> Result<Uploads, Failure> {
    match uploads {
        UploadsConfig::Path { path } => {
            Ok(UploadsPath { root: path.clone(), exclusions: exclusions(config) }.into())
        }
        UploadsConfig::Volume { dir, project, volume, read } => {
            let selector = Selector { dir: Some(dir.clone()), project: project.clone() };
            open_volume(&selector, volume.as_deref(), *read, config)
        }
    }
}

fn open_volume(
    selector: &Selector,
    volume: Option<&str>,
    read: ReadMode,
    config: &Config,
) -> Result<Uploads, Failure> {
    let docker = Docker::find()?;
    let stack = Stack::find(&docker, selector)?;
    let volume = UploadsVolume::find(&stack, volume)?;
    let description = |read: &str| {
        json!({
            "kind": "volume",
            "project": stack.project,
            "volume": volume.name,
            "path": volume.directory.to_string_lossy(),
            "read": read,
        })
    };
    Ok(match volume.way(&docker, &stack, read)? {
        ReadWay::Directory(root) => {
            let path = UploadsPath { root, exclusions: exclusions(config) };
            Uploads::new(description("direct"), UploadsReader::Directory(path))
        }
        ReadWay::Helper(name) => {
            let api = stack.service(API_SERVICE).ok().or(stack.containers.first());
            let image = api.map(|container| container.image_id.clone());
            let source = VolumeStream::new(docker, name, image.unwrap_or_default());
            Uploads::new(description("helper"), UploadsReader::Archive(Box::new(source)))
        }
    })
}

fn exclusions(config: &Config) -> Vec<PathBuf> {
    let stores = config.vaults.iter().flat_map(|vault| &vault.stores);
    let places = stores.filter_map(|store| store::directory(&store.url));
    places.chain([config.state_dir.clone()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S-14
    #[test]
    fn a_snapshot_that_begins_in_the_hours_of_the_stack_is_warned_of() {
        let told = busy("2026-07-01T02:05:00Z".parse().unwrap()).unwrap();
        assert!(told.contains("02:05") && told.contains("deletes expired"), "{told}");
        assert!(busy("2026-07-01T02:40:00Z".parse().unwrap()).is_none());
    }
}
