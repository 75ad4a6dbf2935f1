//! A volume as a tar stream, through a container that is never started. Spec: `stack.md` §4.2.

use std::io::{self, Read};

use serde_json::{Value, json};

use super::{Docker, DockerError};
use crate::source::command::Running;
use crate::source::stream::{Error, OpenStream, StreamSource};

/// The label of helper containers; its value is the volume.
const HELPER_LABEL: &str = "app.idswyft.vault.volume";
/// Where the volume is in a helper; no image has anything there that could be copied into it.
const PLACE: &str = "/idswyft-vault-volume";

/// A volume, read through a helper container.
#[derive(Debug, Clone)]
pub struct VolumeStream {
    docker: Docker,
    volume: String,
    image: String,
}

impl VolumeStream {
    /// Makes a source of a volume and of an image that is there already.
    pub fn new(docker: Docker, volume: String, image: String) -> Self {
        Self { docker, volume, image }
    }

    /// Removes what a killed run left (S-11).
    fn remove_leftovers(&self) -> Result<(), DockerError> {
        for container in self.docker.containers_with(&self.label())? {
            self.docker.call(&["rm", "--force", "--volumes", &container])?;
        }
        Ok(())
    }

    fn create(&self) -> Result<String, DockerError> {
        let (label, mount) = (self.label(), format!("{}:{PLACE}:ro", self.volume));
        let words = ["create", "--network", "none", "--label", &label, "--volume", &mount];
        // It is never started, but an image may name no program.
        let words = [&words[..], &[&self.image, "true"]].concat();
        Ok(self.docker.call(&words)?.text())
    }

    fn label(&self) -> String {
        format!("{HELPER_LABEL}={}", self.volume)
    }
}

impl StreamSource for VolumeStream {
    fn describe(&self) -> Value {
        json!({"kind": "volume", "volume": self.volume, "read": "helper"})
    }

    fn open(&self) -> Result<Box<dyn OpenStream>, Error> {
        self.remove_leftovers()?;
        let helper = Helper { docker: self.docker.clone(), container: self.create()? };
        let place = format!("{}:{PLACE}/.", helper.container);
        let running = Running::start(&self.docker.words(&["cp", &place, "-"]), &[])?;
        Ok(Box::new(Archive { running, helper }))
    }
}

/// A helper container; it is removed with the value.
struct Helper {
    docker: Docker,
    container: String,
}

impl Drop for Helper {
    fn drop(&mut self) {
        // What cannot be removed now is removed by its label at the next run.
        let _ = self.docker.call(&["rm", "--force", "--volumes", &self.container]);
    }
}

struct Archive {
    // Ends before the helper is removed.
    running: Running,
    helper: Helper,
}

impl Read for Archive {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.running.read(buf)
    }
}

impl OpenStream for Archive {
    fn finish(self: Box<Self>) -> Result<(), Error> {
        let Self { running, helper } = *self;
        let ended = Box::new(running).finish();
        drop(helper);
        ended
    }
}
