//! The uploads volume of a stack, and how it can be read. Spec: `stack.md` §2, §4.

use std::path::{Path, PathBuf};

use super::{Docker, DockerError, Mount, Stack};

/// The service that holds the uploads, and where it has them.
pub const API_SERVICE: &str = "api";
/// Where the uploads are in the container of the api.
pub const UPLOADS_PLACE: &str = "/app/backend/uploads";
/// The volume's name in the compose file.
const UPLOADS_NAME: &str = "uploads";

/// How a volume is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReadMode {
    /// Directly where that shows what the containers see, else through a helper.
    #[default]
    Auto,
    /// From its directory on this machine.
    Direct,
    /// Through a container that is never started.
    Helper,
}

/// Where the uploads of a stack are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadsVolume {
    /// The volume's name, unless a directory of the engine's machine is mounted.
    pub name: Option<String>,
    /// Where it is on the engine's machine.
    pub directory: PathBuf,
}

/// The way that a volume is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadWay {
    /// From a directory of this machine.
    Directory(PathBuf),
    /// Through a helper container, by the volume's name.
    Helper(String),
}

impl UploadsVolume {
    /// Finds the volume; `named` is what the config calls it (S-5).
    ///
    /// # Errors
    /// When there is none.
    pub fn find(stack: &Stack, named: Option<&str>) -> Result<Self, DockerError> {
        if let Some(name) = named {
            let missing = || stack.unusable(API_SERVICE, format!("it has no volume {name}"));
            return labelled(stack, name).ok_or_else(missing);
        }
        let mounted = stack.service(API_SERVICE).ok();
        let mounted = mounted.and_then(|api| api.mount_at(Path::new(UPLOADS_PLACE)));
        mounted.map(Self::from).or_else(|| labelled(stack, UPLOADS_NAME)).ok_or_else(|| {
            let reason =
                format!("nothing is mounted at {UPLOADS_PLACE}, no volume is {UPLOADS_NAME}");
            stack.unusable(API_SERVICE, reason)
        })
    }

    /// Chooses how to read it (S-10).
    ///
    /// # Errors
    /// When it cannot be read so.
    pub fn way(
        &self,
        docker: &Docker,
        stack: &Stack,
        mode: ReadMode,
    ) -> Result<ReadWay, DockerError> {
        let directly = match mode {
            ReadMode::Direct => true,
            ReadMode::Helper => false,
            ReadMode::Auto => self.name.is_none() || self.is_open_to_us(docker),
        };
        match (directly, &self.name) {
            (true, _) => Ok(ReadWay::Directory(self.directory.clone())),
            (false, Some(name)) => Ok(ReadWay::Helper(name.clone())),
            (false, None) => {
                let reason = format!("{} is a directory, no volume", self.directory.display());
                Err(stack.unusable(API_SERVICE, reason))
            }
        }
    }

    fn is_open_to_us(&self, docker: &Docker) -> bool {
        rustix::process::geteuid().is_root()
            && docker.is_local()
            && !docker.maps_users()
            && std::fs::read_dir(&self.directory).is_ok()
    }
}

impl From<&Mount> for UploadsVolume {
    fn from(mount: &Mount) -> Self {
        Self { name: mount.volume.clone(), directory: mount.source.clone() }
    }
}

fn labelled(stack: &Stack, name: &str) -> Option<UploadsVolume> {
    let volume = stack.volume(name)?;
    Some(UploadsVolume { name: Some(volume.name.clone()), directory: volume.mountpoint.clone() })
}

impl Docker {
    /// Tells whether the engine is on this machine; in doubt it is not.
    fn is_local(&self) -> bool {
        if let Some(host) = std::env::var_os("DOCKER_HOST").filter(|host| !host.is_empty()) {
            return host.to_string_lossy().starts_with("unix://");
        }
        let format = "{{.Endpoints.docker.Host}}";
        match self.call(&["context", "inspect", "--format", format]) {
            Ok(answer) => answer.text().starts_with("unix://"),
            // Podman has no contexts, and is a program of this machine.
            Err(DockerError::Failed { .. }) => std::env::var_os("CONTAINER_HOST").is_none(),
            Err(_) => false,
        }
    }

    /// Tells whether users of a container are other users of this machine.
    fn maps_users(&self) -> bool {
        match self.call(&["info", "--format", "{{json .SecurityOptions}}"]) {
            Ok(answer) => {
                ["name=rootless", "name=userns"].iter().any(|it| answer.text().contains(it))
            }
            // Podman tells it elsewhere; run by root it maps none unless it was told to.
            Err(DockerError::Failed { .. }) => false,
            Err(_) => true,
        }
    }
}
