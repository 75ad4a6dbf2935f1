//! The database server of a stack: which it is, and whether a dump of it would be whole.
//! Spec: `stack.md` §2, §3.

use std::ffi::OsString;

use super::psql::WITH_PASSWORD;
use super::{Container, Docker, DockerError, Stack};

/// Statuses with which `pg_isready` and shells end.
const READY_REJECTED: i32 = 1;
const READY_SILENT: i32 = 2;
/// What a server must answer before it is dumped: whether it is in recovery, and a table whose rows
/// are hidden from this role, if there is one.
const HEALTH_QUERY: &str = "SELECT pg_is_in_recovery(), coalesce((SELECT c.oid::regclass::text \
    FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity \
    AND row_security_active(c.oid) ORDER BY 1 LIMIT 1), '')";

/// The database that a container serves.
pub struct Server<'a> {
    docker: &'a Docker,
    stack: &'a Stack,
    service: &'a str,
    container: &'a Container,
    /// The role that owns everything.
    pub role: String,
    /// The database.
    pub database: String,
}

impl<'a> Server<'a> {
    /// Takes the server of a service that runs (S-6, S-7).
    ///
    /// # Errors
    /// When the service has no container, or it does not run.
    pub fn running(
        docker: &'a Docker,
        stack: &'a Stack,
        service: &'a str,
    ) -> Result<Self, DockerError> {
        Ok(Self::of(docker, stack, service, stack.running(service)?))
    }

    /// Takes the server of a container, running or not.
    pub fn of(
        docker: &'a Docker,
        stack: &'a Stack,
        service: &'a str,
        container: &'a Container,
    ) -> Self {
        let variable = |name| container.variable(name).map(|value| value.expose().to_owned());
        let role = variable("POSTGRES_USER").unwrap_or_else(|| "postgres".to_owned());
        let database = variable("POSTGRES_DB").unwrap_or_else(|| role.clone());
        Self { docker, stack, service, container, role, database }
    }

    /// Returns the id of the container.
    pub fn container(&self) -> &str {
        &self.container.id
    }

    /// Tells whether the container is the stand-in of a database that is elsewhere.
    pub fn is_stand_in(&self) -> bool {
        self.container.image.split(['/', ':', '@']).any(|part| part == "busybox")
    }

    /// Returns the engine's words for a program of the container, and what the program connects to.
    pub fn words(&self, application: &str, program: &[&str]) -> Vec<OsString> {
        let name = format!("PGAPPNAME={application}");
        let mut words = vec!["exec", "--env", &name, self.container()];
        words.extend(["sh", "-c", WITH_PASSWORD, "sh"]);
        words.extend(program);
        words.extend(["--no-password", "--username", &self.role, "--dbname", &self.database]);
        self.docker.words(&words)
    }

    /// Returns what `pg_dump --help` of the container prints.
    ///
    /// # Errors
    /// When there is no `pg_dump`, which the external-database mode looks like.
    pub fn pg_dump_help(&self) -> Result<String, DockerError> {
        match self.docker.call(&["exec", self.container(), "pg_dump", "--help"]) {
            Ok(answer) => Ok(answer.text()),
            Err(DockerError::Failed { status: 126 | 127, .. }) => Err(self.elsewhere()),
            Err(error) => Err(error),
        }
    }

    /// Makes the error of a stack whose database is elsewhere.
    pub fn elsewhere(&self) -> DockerError {
        let reason = format!(
            "its image {} has no pg_dump: the database is elsewhere; archive it with kind = \
             \"local\" and the DATABASE_URL of the api as url",
            self.container.image
        );
        self.stack.unusable(self.service, reason)
    }

    /// Checks that a dump can be taken and would hold every row (S-7).
    ///
    /// # Errors
    /// When it could not or would not.
    pub fn check(&self) -> Result<(), DockerError> {
        let unusable = |reason: &str| Err(self.stack.unusable(self.service, reason));
        let ready = ["exec", self.container(), "pg_isready", "--username", &self.role];
        match self.docker.call(&ready) {
            Ok(_) => {}
            Err(DockerError::Failed { status: READY_REJECTED, .. }) => {
                return unusable("its database takes no connections: it starts, stops or recovers");
            }
            Err(DockerError::Failed { status: READY_SILENT, .. }) => {
                return unusable("its database does not answer");
            }
            Err(error) => return Err(error),
        }
        let answer = self.query(HEALTH_QUERY)?;
        let (recovers, hidden) = answer.split_once('|').unwrap_or((&answer, ""));
        if recovers == "t" {
            return unusable(
                "its database is in recovery, a standby or not yet whole: dump the primary",
            );
        }
        match hidden {
            "" => Ok(()),
            table => {
                Err(DockerError::RoleBlind { role: self.role.clone(), table: table.to_owned() })
            }
        }
    }

    /// Asks the database and returns the answer, columns between bars.
    ///
    /// # Errors
    /// When the server or the engine fails.
    pub fn query(&self, sql: &str) -> Result<String, DockerError> {
        let program = ["psql", "-XAtq", "--set=ON_ERROR_STOP=1", "--command", sql];
        let words = self.words("idswyft-vault", &program);
        Ok(self.docker.call(&words[1..])?.text())
    }

    /// Ends the sessions of an application, as far as that can be done (S-9).
    pub fn terminate(&self, application: &str) {
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = '{application}'"
        );
        let _ = self.query(&sql);
    }
}
