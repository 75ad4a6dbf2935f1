//! The dump of a stack's database, by the `pg_dump` of its own container. Spec: `stack.md` §3.

use std::io::{self, Read};

use serde_json::{Value, json};

use super::server::Server;
use super::{Docker, Selector, Stack};
use crate::source::command::Running;
use crate::source::postgres::pg_dump_arguments;
use crate::source::stream::{Error, OpenStream, StreamSource};

/// The database of a compose stack.
#[derive(Debug, Clone)]
pub struct ComposeSource {
    docker: Docker,
    selector: Selector,
    service: String,
}

impl ComposeSource {
    /// Makes a source of the service that holds the database.
    pub fn new(docker: Docker, selector: Selector, service: String) -> Self {
        Self { docker, selector, service }
    }
}

impl StreamSource for ComposeSource {
    fn describe(&self) -> Value {
        let dir = self.selector.dir.as_ref().map(|dir| dir.to_string_lossy());
        json!({
            "kind": "compose",
            "dir": dir,
            "project": self.selector.project,
            "service": self.service,
        })
    }

    fn open(&self) -> Result<Box<dyn OpenStream>, Error> {
        let stack = Stack::find(&self.docker, &self.selector)?;
        let server = Server::running(&self.docker, &stack, &self.service)?;
        let help = server.pg_dump_help()?;
        server.check()?;
        // Its own name in the server, by which it can be ended there.
        let application = format!("idswyft-vault-dump-{}", std::process::id());
        let program: Vec<&str> =
            std::iter::once("pg_dump").chain(pg_dump_arguments(&help)).collect();
        let running = Running::start(&server.words(&application, &program), &[])?;
        let source = self.clone();
        Ok(Box::new(Dump { running: Some(running), application, source }))
    }
}

/// A dump that has begun.
struct Dump {
    running: Option<Running>,
    application: String,
    source: ComposeSource,
}

impl Read for Dump {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.running.as_mut().map_or(Ok(0), |running| running.read(buf))
    }
}

impl OpenStream for Dump {
    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        self.running.take().map_or(Ok(()), |running| Box::new(running).finish())
    }
}

impl Drop for Dump {
    /// Ends a dump that nobody reads to its end: the engine would let it go on (S-9).
    fn drop(&mut self) {
        if self.running.take().is_none() {
            return;
        }
        let ComposeSource { docker, selector, service } = &self.source;
        if let Ok(stack) = Stack::find(docker, selector)
            && let Ok(server) = Server::running(docker, &stack, service)
        {
            server.terminate(&self.application);
        }
    }
}
