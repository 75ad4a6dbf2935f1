//! The stack that a first config archives: found, and told to the operator.

use std::path::PathBuf;

use super::args::{InitArgs, StackArgs, UsageError};
use super::config::{DATABASE_SERVICE, StackFlags};
use super::report::Failure;
use super::session::Session;
use crate::source::docker::{
    Docker, DockerError, Selector, Server, Stack, UploadsVolume, find_install,
};

/// Finds the stack that the options leave to be archived; none where they name everything else.
///
/// # Errors
/// If a directory is named whose stack cannot be found or used.
pub fn find(args: &InitArgs, session: &Session) -> Result<Option<StackFlags>, Failure> {
    let needs_database = args.database_url.is_none() && args.dump_argv.is_empty();
    let Some(dir) = directory(&args.stack, needs_database && args.uploads.is_none())? else {
        return Ok(None);
    };
    let (docker, project) = (Docker::find()?, args.stack.project.clone());
    let selector = Selector { dir: Some(dir.clone()), project: project.clone() };
    let stack = Stack::find(&docker, &selector)?;
    let mut told = format!("found project {} of {}", stack.project, dir.display());
    if needs_database {
        told = format!("{told}; {}", database_of(&docker, &stack)?);
    }
    if args.uploads.is_none() {
        told = format!("{told}; {}", uploads_of(&stack)?);
    }
    session.report.note(&told);
    Ok(Some(StackFlags { dir, project }))
}

/// Returns the directory that is named, else the first usual one if the stack is all there is.
fn directory(args: &StackArgs, is_all: bool) -> Result<Option<PathBuf>, Failure> {
    if let Some(dir) = args.full_dir("find the stack")? {
        return Ok(Some(dir));
    }
    if !is_all {
        return Ok(None);
    }
    let here = std::env::current_dir().map_err(|error| {
        UsageError::new("find the stack", format!("the working directory is gone: {error}"))
    })?;
    Ok(find_install(&here))
}

fn database_of(docker: &Docker, stack: &Stack) -> Result<String, DockerError> {
    let container = stack.service(DATABASE_SERVICE)?;
    let server = Server::of(docker, stack, DATABASE_SERVICE, container);
    if server.is_stand_in() {
        return Err(server.elsewhere());
    }
    let (database, role, name) = (&server.database, &server.role, &container.name);
    Ok(match container.is_running() {
        true => format!("database {database} as role {role} in container {name}"),
        // A config may be written now and used when the stack is up.
        false => format!("database {database} as role {role} in {name}, {}", container.status),
    })
}

fn uploads_of(stack: &Stack) -> Result<String, DockerError> {
    let volume = UploadsVolume::find(stack, None)?;
    Ok(match volume.name {
        Some(name) => format!("uploads in volume {name}"),
        None => format!("uploads in {}", volume.directory.display()),
    })
}
