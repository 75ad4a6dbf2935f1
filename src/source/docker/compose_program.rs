//! The program that makes containers of a compose file, where one is needed.
//!
//! Only putting a stack back into service needs it; a snapshot does without.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::{Answer, Container, Docker, DockerError, Input, Stack, run};

/// Variables of ours that compose may see; any other could stand in for one of `.env`.
const KEPT_VARIABLES: [&str; 6] =
    ["PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "XDG_RUNTIME_DIR"];

/// Files that compose finds by itself; an override may have come after the containers were made.
const FOUND_FILES: [&str; 8] = [
    "docker-compose.yml",
    "docker-compose.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
    "compose.yml",
    "compose.yaml",
    "compose.override.yml",
    "compose.override.yaml",
];

/// `docker compose` or `docker-compose`.
#[derive(Debug, Clone)]
pub struct ComposeProgram {
    words: Vec<OsString>,
}

impl ComposeProgram {
    /// Finds one that works.
    ///
    /// # Errors
    /// When there is neither.
    pub fn find(docker: &Docker) -> Result<Self, DockerError> {
        let plugin = docker.words(&["compose"]);
        let standalone = vec![OsString::from("docker-compose")];
        let works = |words: &Vec<OsString>| {
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]).arg("version");
            run(command, Input::Nothing, docker.patience).is_ok()
        };
        let words = [plugin, standalone].into_iter().find(works);
        words.map(|words| Self { words }).ok_or(DockerError::ComposeMissing)
    }

    /// Runs it on a stack, with the files of which the stack was made and no variable of ours
    /// that could stand in for one of `.env`.
    ///
    /// # Errors
    /// When it fails or does not end in time, or the stack's directory is not known.
    pub fn call<W: AsRef<OsStr>>(
        &self,
        stack: &Stack,
        arguments: &[W],
        patience: Duration,
    ) -> Result<Answer, DockerError> {
        let unknown = || stack.unusable("api", "the directory of its compose file is not known");
        let dir = stack.dir.as_ref().ok_or_else(unknown)?;
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]).arg("--project-name").arg(&stack.project);
        for file in named_files(stack) {
            command.arg("--file").arg(dir.join(file));
        }
        command.arg("--project-directory").arg(dir).args(arguments).current_dir(dir);
        command.env_clear();
        let kept = KEPT_VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.envs(kept);
        run(command, Input::Nothing, patience)
    }
}

/// Returns the files that must be named, because they are others than compose finds by itself.
fn named_files(stack: &Stack) -> Vec<PathBuf> {
    let files = stack.containers.first().map(Container::config_files).unwrap_or_default();
    let is_found = |file: &PathBuf| {
        file.file_name().is_some_and(|name| FOUND_FILES.iter().any(|found| name == *found))
    };
    if files.iter().all(is_found) { Vec::new() } else { files }
}
