//! Finding the stack by the labels that compose left, never by guessing a name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::inspect::PROJECT_LABEL;
use super::{Container, Docker, DockerError, Volume};

/// How often containers are looked at, because one of them went meanwhile.
const LOOK_ATTEMPT_COUNT_MAX: u32 = 5;

/// Which stack is meant.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    /// The directory from which it was brought up.
    pub dir: Option<PathBuf>,
    /// Its project name, where that is not enough, as given to `-p`.
    pub project: Option<String>,
}

/// A compose project: its containers and volumes.
pub struct Stack {
    /// The project's name.
    pub project: String,
    /// The directory from which it was brought up.
    pub dir: Option<PathBuf>,
    /// Its containers, running or not.
    pub containers: Vec<Container>,
    /// Its volumes.
    pub volumes: Vec<Volume>,
}

impl Stack {
    /// Finds the one stack that is meant.
    ///
    /// # Errors
    /// When none matches, or several do, or the engine does not answer.
    pub fn find(docker: &Docker, selector: &Selector) -> Result<Self, DockerError> {
        let label = match &selector.project {
            Some(project) => format!("{PROJECT_LABEL}={project}"),
            None => PROJECT_LABEL.to_owned(),
        };
        let mut projects: BTreeMap<String, Vec<Container>> = BTreeMap::new();
        for container in containers(docker, &label)? {
            if container.is_one_off() {
                continue;
            }
            if let Some(project) = container.project().filter(|_| matches(&container, selector)) {
                projects.entry(project.to_owned()).or_default().push(container);
            }
        }
        if projects.len() > 1 {
            return Err(DockerError::StackAmbiguous { projects: projects.into_keys().collect() });
        }
        let Some((project, containers)) = projects.pop_first() else {
            return Err(DockerError::StackMissing { sought: sought(selector) });
        };
        let label = format!("{PROJECT_LABEL}={project}");
        let volumes = docker.volumes(&docker.volumes_with(&label)?)?;
        let dir = containers.iter().find_map(|container| container.working_dir());
        let dir = selector.dir.clone().or_else(|| dir.map(Path::to_owned));
        Ok(Self { project, dir, containers, volumes })
    }

    /// Returns the container of a service; of several, one that runs.
    ///
    /// # Errors
    /// When it has none.
    pub fn service(&self, service: &str) -> Result<&Container, DockerError> {
        let mut found: Vec<_> =
            self.containers.iter().filter(|it| it.service() == Some(service)).collect();
        found.sort_by_key(|container| !container.is_running());
        found.first().copied().ok_or_else(|| self.unusable(service, "it has no container"))
    }

    /// Returns the container of a service that runs.
    ///
    /// # Errors
    /// When it has none, or it is stopped, paused or restarting.
    pub fn running(&self, service: &str) -> Result<&Container, DockerError> {
        let container = self.service(service)?;
        match container.is_running() {
            true => Ok(container),
            false => {
                let reason = format!("its container {} is {}", container.name, container.status);
                Err(self.unusable(service, reason))
            }
        }
    }

    /// Returns a volume by its name in the compose file.
    pub fn volume(&self, compose_name: &str) -> Option<&Volume> {
        self.volumes.iter().find(|volume| volume.compose_name() == Some(compose_name))
    }

    /// Makes the error of a service that cannot be used.
    pub fn unusable(&self, service: &str, reason: impl Into<String>) -> DockerError {
        DockerError::ServiceUnusable {
            project: self.project.clone(),
            service: service.to_owned(),
            reason: reason.into(),
        }
    }
}

/// Describes the containers that have a label; one may go between the listing and the look at it.
fn containers(docker: &Docker, label: &str) -> Result<Vec<Container>, DockerError> {
    let mut attempt = 1;
    loop {
        match docker.containers(&docker.containers_with(label)?) {
            Err(DockerError::Failed { .. }) if attempt < LOOK_ATTEMPT_COUNT_MAX => attempt += 1,
            described => return described,
        }
    }
}

fn matches(container: &Container, selector: &Selector) -> bool {
    let is_project =
        selector.project.as_deref().is_none_or(|project| container.project() == Some(project));
    let is_dir = selector.dir.as_deref().is_none_or(|dir| {
        // A name that was given outright is enough: the directory may have moved since.
        selector.project.is_some() || container.working_dir().is_some_and(|it| is_same(it, dir))
    });
    is_project && is_dir
}

fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(one) == real(other)
}

fn sought(selector: &Selector) -> String {
    match (&selector.project, &selector.dir) {
        (Some(project), _) => format!("is named {project}"),
        (None, Some(dir)) => format!("was brought up in {}", dir.display()),
        (None, None) => "is there".to_owned(),
    }
}
