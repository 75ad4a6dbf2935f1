//! What the engine tells of containers and volumes.
//!
//! The environment of a container is what it really runs with; `.env` is only what compose was
//! given once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Docker, DockerError};
use crate::base::Secret;

/// The label that names a container's or volume's project.
pub const PROJECT_LABEL: &str = "com.docker.compose.project";
const SERVICE_LABEL: &str = "com.docker.compose.service";
const VOLUME_LABEL: &str = "com.docker.compose.volume";
const DIR_LABEL: &str = "com.docker.compose.project.working_dir";
const ONE_OFF_LABEL: &str = "com.docker.compose.oneoff";
const FILES_LABEL: &str = "com.docker.compose.project.config_files";

/// A container as the engine describes it.
pub struct Container {
    /// Its full id.
    pub id: String,
    /// Its name, without a slash.
    pub name: String,
    /// `running`, `exited`, `paused`, `restarting`, …
    pub status: String,
    /// `healthy`, `unhealthy`, `starting`, or nothing if it has no health check.
    pub health: Option<String>,
    /// The image as it was named when the container was made.
    pub image: String,
    /// The id of the image.
    pub image_id: String,
    /// The environment that it runs with.
    pub env: BTreeMap<String, Secret>,
    /// What is mounted into it.
    pub mounts: Vec<Mount>,
    labels: BTreeMap<String, String>,
}

/// Something that is mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The volume's name, unless a directory of the host is mounted.
    pub volume: Option<String>,
    /// Where it is on the engine's machine.
    pub source: PathBuf,
    /// Where it is in the container.
    pub destination: PathBuf,
}

/// A volume as the engine describes it.
#[derive(Debug, Clone)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Where it is on the engine's machine.
    pub mountpoint: PathBuf,
    labels: BTreeMap<String, String>,
}

impl Container {
    /// Returns the compose project.
    pub fn project(&self) -> Option<&str> {
        self.label(PROJECT_LABEL)
    }

    /// Returns the compose service.
    pub fn service(&self) -> Option<&str> {
        self.label(SERVICE_LABEL)
    }

    /// Returns the directory from which compose made it.
    pub fn working_dir(&self) -> Option<&Path> {
        self.label(DIR_LABEL).map(Path::new)
    }

    /// Returns the files of which compose made it.
    pub fn config_files(&self) -> Vec<PathBuf> {
        let files = self.label(FILES_LABEL).unwrap_or_default();
        files.split(',').filter(|file| !file.is_empty()).map(PathBuf::from).collect()
    }

    /// Returns a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }

    /// Tells whether it was made by `compose run`, beside the service's own.
    pub fn is_one_off(&self) -> bool {
        self.label(ONE_OFF_LABEL).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Tells whether it runs, neither paused nor restarting.
    pub fn is_running(&self) -> bool {
        self.status == "running"
    }

    /// Returns a variable of its environment, if it is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&Secret> {
        self.env.get(name).filter(|value| !value.expose().is_empty())
    }

    /// Returns what is mounted at a place of the container.
    pub fn mount_at(&self, destination: &Path) -> Option<&Mount> {
        self.mounts.iter().find(|mount| mount.destination == destination)
    }
}

impl Volume {
    /// Returns the compose project.
    pub fn project(&self) -> Option<&str> {
        self.labels.get(PROJECT_LABEL).map(String::as_str)
    }

    /// Returns its name in the compose file.
    pub fn compose_name(&self) -> Option<&str> {
        self.labels.get(VOLUME_LABEL).map(String::as_str)
    }
}

impl Docker {
    /// Describes containers by id or name.
    ///
    /// # Errors
    /// When one of them is gone, or the engine does not answer.
    pub fn containers(&self, names: &[String]) -> Result<Vec<Container>, DockerError> {
        let described: Vec<ContainerJson> = self.inspect(&["container", "inspect"], names)?;
        Ok(described.into_iter().map(Container::from).collect())
    }

    /// Describes volumes by name.
    ///
    /// # Errors
    /// When one of them is gone, or the engine does not answer.
    pub fn volumes(&self, names: &[String]) -> Result<Vec<Volume>, DockerError> {
        let described: Vec<VolumeJson> = self.inspect(&["volume", "inspect"], names)?;
        Ok(described.into_iter().map(Volume::from).collect())
    }

    /// Lists the ids of containers, running or not, that have a label.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub fn containers_with(&self, label: &str) -> Result<Vec<String>, DockerError> {
        self.list(&["ps", "--all", "--quiet", "--no-trunc"], label)
    }

    /// Lists the names of volumes that have a label.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub fn volumes_with(&self, label: &str) -> Result<Vec<String>, DockerError> {
        self.list(&["volume", "ls", "--quiet"], label)
    }

    fn list(&self, words: &[&str], label: &str) -> Result<Vec<String>, DockerError> {
        let filter = format!("label={label}");
        let words = [words, &["--filter", &filter]].concat();
        Ok(self.call(&words)?.text().lines().map(|line| line.trim().to_owned()).collect())
    }

    fn inspect<T: DeserializeOwned>(
        &self,
        words: &[&str],
        names: &[String],
    ) -> Result<Vec<T>, DockerError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut words: Vec<&str> = words.to_vec();
        words.extend(names.iter().map(String::as_str));
        let answer = self.call(&words)?;
        serde_json::from_slice(&answer.stdout).map_err(|error| {
            // The error may quote the environment, so only its place is told.
            let reason = format!("line {}, column {}", error.line(), error.column());
            DockerError::Unreadable { what: words[..2].join(" "), reason }
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerJson {
    id: String,
    name: String,
    #[serde(default)]
    image: String,
    state: StateJson,
    config: ConfigJson,
    #[serde(default, deserialize_with = "or_default")]
    mounts: Vec<MountJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StateJson {
    status: String,
    #[serde(default)]
    paused: bool,
    #[serde(default)]
    restarting: bool,
    #[serde(default)]
    health: Option<HealthJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HealthJson {
    #[serde(default)]
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigJson {
    #[serde(default)]
    image: String,
    #[serde(default, deserialize_with = "or_default")]
    env: Vec<Secret>,
    #[serde(default, deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MountJson {
    #[serde(default, rename = "Type")]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    source: PathBuf,
    destination: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VolumeJson {
    name: String,
    #[serde(default)]
    mountpoint: PathBuf,
    #[serde(default, deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
}

/// Reads null, which the engine writes for what is empty, as empty.
fn or_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

impl From<ContainerJson> for Container {
    fn from(json: ContainerJson) -> Self {
        let status = match &json.state {
            state if state.restarting => "restarting".to_owned(),
            state if state.paused => "paused".to_owned(),
            state => state.status.clone(),
        };
        let env = json.config.env.iter().map(|variable| {
            let (name, value) =
                variable.expose().split_once('=').unwrap_or((variable.expose(), ""));
            (name.to_owned(), Secret::new(value.to_owned()))
        });
        let mounts = json.mounts.into_iter().map(|mount| Mount {
            volume: (mount.kind == "volume").then_some(mount.name),
            source: mount.source,
            destination: mount.destination,
        });
        Self {
            id: json.id,
            name: json.name.trim_start_matches('/').to_owned(),
            status,
            health: json.state.health.map(|health| health.status).filter(|text| !text.is_empty()),
            image: json.config.image,
            image_id: json.image,
            env: env.collect(),
            mounts: mounts.collect(),
            labels: json.config.labels,
        }
    }
}

impl From<VolumeJson> for Volume {
    fn from(json: VolumeJson) -> Self {
        Self { name: json.name, mountpoint: json.mountpoint, labels: json.labels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_null_or_missing_in_a_description_is_empty() {
        let text = r#"{"Id":"1","Name":"/a_api_1","Image":"sha256:00",
            "State":{"Status":"running","Paused":true},
            "Config":{"Image":"api:1","Env":null,"Labels":null},"Mounts":null}"#;
        let container = Container::from(serde_json::from_str::<ContainerJson>(text).unwrap());
        assert_eq!((container.name.as_str(), container.status.as_str()), ("a_api_1", "paused"));
        assert!(container.env.is_empty() && container.mounts.is_empty() && !container.is_running());
    }

    #[test]
    fn a_variable_ends_at_its_first_equals_sign() {
        let text = r#"{"Id":"1","Name":"a","State":{"Status":"running"},
            "Config":{"Env":["URL=postgres://u:p@h/d?a=b","EMPTY="]}}"#;
        let container = Container::from(serde_json::from_str::<ContainerJson>(text).unwrap());
        assert_eq!(container.variable("URL").unwrap().expose(), "postgres://u:p@h/d?a=b");
        assert!(container.variable("EMPTY").is_none());
    }
}
