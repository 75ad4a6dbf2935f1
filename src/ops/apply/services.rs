//! Stopping and starting what uses the database and the uploads. Spec: `apply.md` §1.

use std::time::Duration;

use zeroize::Zeroizing;

use super::{ApplyError, POSTGRES, WATCHTOWER};
use crate::ops::Error;
use crate::source::docker::psql::{Psql, identifier, literal};
use crate::source::docker::{API_SERVICE, ComposeProgram, Container, Docker, Input, Stack};
use crate::source::postgres::percent_decode;

/// Seconds that the api gets to finish its requests; it drains for up to 25.
const STOP_SECONDS: u64 = 30;
const STOP_PATIENCE: Duration = Duration::from_secs(2 * STOP_SECONDS);
/// How long compose may take to make containers anew.
const COMPOSE_PATIENCE: Duration = Duration::from_secs(10 * 60);
/// How long the api may take to be healthy: it migrates on its first start.
const HEALTH_PATIENCE: Duration = Duration::from_secs(10 * 60);
const HEALTH_PAUSE: Duration = Duration::from_secs(1);

/// Returns the services to stop and to start again: the api in any case, watchtower if it runs,
/// because it would start the api in the middle.
pub fn to_stop(stack: &Stack) -> Vec<String> {
    let watchtower = stack.running(WATCHTOWER).is_ok().then(|| WATCHTOWER.to_owned());
    let api = stack.service(API_SERVICE).is_ok().then(|| API_SERVICE.to_owned());
    api.into_iter().chain(watchtower).collect()
}

/// Stops services; one that does not run is left.
///
/// # Errors
/// If the engine fails.
pub fn stop(docker: &Docker, stack: &Stack, services: &[String]) -> Result<(), Error> {
    for container in of(stack, services) {
        if !matches!(container.status.as_str(), "exited" | "created" | "dead") {
            let seconds = STOP_SECONDS.to_string();
            let words = ["stop", "--time", &seconds, &container.id];
            docker.call_with(&words, Input::Nothing, STOP_PATIENCE)?;
        }
    }
    Ok(())
}

/// Makes the containers anew that the files of the install changed; none is started.
///
/// The database's container is left as it is: its password is in its volume.
///
/// # Errors
/// If compose is missing or fails.
pub fn remake(docker: &Docker, stack: &Stack) -> Result<(), Error> {
    let mut words = vec!["up", "--no-start", "--no-deps"];
    words.extend(remade(stack));
    ComposeProgram::find(docker)?.call(stack, &words, COMPOSE_PATIENCE)?;
    Ok(())
}

/// Starts services, with compose where containers were made anew.
///
/// # Errors
/// If the engine or compose fails.
pub fn start(
    docker: &Docker,
    stack: &Stack,
    services: &[String],
    is_remade: bool,
) -> Result<(), Error> {
    if is_remade {
        let mut words = vec!["up", "--detach", "--no-deps"];
        words.extend(remade(stack));
        ComposeProgram::find(docker)?.call(stack, &words, COMPOSE_PATIENCE)?;
    }
    for container in of(stack, services) {
        docker.call(&["start", &container.id])?;
    }
    Ok(())
}

/// Returns those services of which a container runs.
pub fn that_run(stack: &Stack, services: &[String]) -> Vec<String> {
    let runs = |service: &&String| stack.running(service).is_ok();
    services.iter().filter(runs).cloned().collect()
}

/// Returns every container of these services: a service may have several.
fn of<'a>(stack: &'a Stack, services: &'a [String]) -> impl Iterator<Item = &'a Container> {
    let is_meant = |container: &&Container| {
        container.service().is_some_and(|name| services.iter().any(|service| service == name))
    };
    stack.containers.iter().filter(is_meant)
}

fn remade(stack: &Stack) -> Vec<&str> {
    let mut services: Vec<&str> =
        stack.containers.iter().filter_map(|container| container.service()).collect();
    services.retain(|service| !matches!(*service, POSTGRES | WATCHTOWER));
    services.sort_unstable();
    services.dedup();
    services
}

/// Waits until the api is healthy.
///
/// # Errors
/// If it is not within the time that a migration may take.
pub fn await_health(
    find: impl Fn() -> Result<Stack, Error>,
    patience: Option<Duration>,
) -> Result<(), Error> {
    let patience = patience.unwrap_or(HEALTH_PATIENCE);
    let mut waited = Duration::ZERO;
    loop {
        let stack = find()?;
        let Ok(api) = stack.service(API_SERVICE) else { return Ok(()) };
        match (api.is_running(), api.health.as_deref()) {
            (true, Some("healthy") | None) => return Ok(()),
            (is_running, health) if waited >= patience => {
                let state = health.filter(|_| is_running).unwrap_or(&api.status).to_owned();
                let (container, seconds) = (api.name.clone(), patience.as_secs());
                return Err(ApplyError::NotHealthy { container, state, seconds }.into());
            }
            _ => {
                std::thread::sleep(HEALTH_PAUSE);
                waited += HEALTH_PAUSE;
            }
        }
    }
}

/// Makes the password of the database's role the one that the api's environment holds.
///
/// # Errors
/// If the role cannot be changed.
pub fn align_password(stack: &Stack, psql: &Psql<'_>) -> Result<(), Error> {
    let Some((role, password)) = credentials(stack.service(API_SERVICE)?) else { return Ok(()) };
    // The server is not to write the statement to its log, whatever comes of it.
    let sql = format!(
        "SET log_statement = 'none'; SET log_min_error_statement = panic; \
         SET log_min_duration_statement = -1; ALTER ROLE {} PASSWORD {};",
        identifier(&role),
        literal(&password)
    );
    let sql = Zeroizing::new(sql);
    Ok(psql.run_secret("template1", sql).map(drop)?)
}

/// Returns role and password of a container's `DATABASE_URL`.
fn credentials(api: &Container) -> Option<(String, Zeroizing<String>)> {
    let url = api.variable("DATABASE_URL")?.expose();
    let (_, rest) = url.split_once("://")?;
    let (credentials, _) = rest.rsplit_once('@')?;
    let (role, password) = credentials.split_once(':')?;
    let decode = |text| percent_decode(text).ok();
    Some((decode(role)?, Zeroizing::new(decode(password)?)))
}
