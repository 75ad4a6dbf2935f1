//! Statements and dumps for the database in a container, by its own `psql`. Spec: `apply.md` §1.

use std::fs::File;
use std::time::Duration;

use zeroize::Zeroizing;

use super::{Answer, Container, Docker, DockerError, Input};

/// Separates columns of an answer; PostgreSQL names cannot hold it.
const COLUMN_SEPARATOR: char = '\u{1f}';
/// Longest that a statement may take, and that loading a dump may.
const STATEMENT_PATIENCE: Duration = Duration::from_secs(10 * 60);
const LOAD_PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Runs a program with the container's own password, which so never leaves it.
pub(super) const WITH_PASSWORD: &str = "PGPASSWORD=\"$POSTGRES_PASSWORD\" exec \"$@\"";

/// The database server of a container, spoken to as its superuser.
pub struct Psql<'a> {
    docker: &'a Docker,
    container: &'a str,
    /// The role.
    pub user: String,
}

impl<'a> Psql<'a> {
    /// Speaks to the server of a container of the official image, or one that behaves like it.
    pub fn of(docker: &'a Docker, container: &'a Container) -> Self {
        let user = container.variable("POSTGRES_USER").map_or("postgres", |user| user.expose());
        Self { docker, container: &container.id, user: user.to_owned() }
    }

    /// Tells whether the server takes connections.
    pub fn is_ready(&self) -> bool {
        let words = ["exec", self.container, "pg_isready", "--quiet", "--username", &self.user];
        self.docker.call(&words).is_ok()
    }

    /// Runs statements one by one, up to the first that fails; returns the rows that they gave.
    ///
    /// # Errors
    /// When one fails, or the engine does.
    pub fn run(&self, database: &str, sql: &str) -> Result<Vec<Vec<String>>, DockerError> {
        self.run_secret(database, Zeroizing::new(sql.to_owned()))
    }

    /// Runs statements of which one holds a secret.
    ///
    /// # Errors
    /// As [`run`](Self::run); the error of the server does not quote the statement.
    pub fn run_secret(
        &self,
        database: &str,
        sql: Zeroizing<String>,
    ) -> Result<Vec<Vec<String>>, DockerError> {
        let separator = format!("--field-separator={COLUMN_SEPARATOR}");
        let options = ["--tuples-only", "--no-align", &separator];
        let answer = self.psql(database, &options, Input::Text(sql), STATEMENT_PATIENCE)?;
        let text = String::from_utf8_lossy(&answer.stdout);
        let rows = text.lines().filter(|line| !line.is_empty());
        Ok(rows.map(|row| row.split(COLUMN_SEPARATOR).map(str::to_owned).collect()).collect())
    }

    /// Loads a dump in one transaction that ends at the first error.
    ///
    /// # Errors
    /// When a statement of it fails; nothing of it is there then.
    pub fn load(&self, database: &str, dump: File) -> Result<(), DockerError> {
        let options = ["--single-transaction", "--output=/dev/null"];
        self.psql(database, &options, Input::File(dump), LOAD_PATIENCE).map(drop)
    }

    fn psql(
        &self,
        database: &str,
        options: &[&str],
        input: Input,
        patience: Duration,
    ) -> Result<Answer, DockerError> {
        let mut words = vec!["exec", "--interactive", self.container, "sh", "-c", WITH_PASSWORD];
        words.extend(["sh", "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]);
        // An error is not to quote the row or the statement that it is about.
        words.extend(["--set=VERBOSITY=terse", "--set=SHOW_CONTEXT=never"]);
        words.extend(["--username", &self.user, "--dbname", database]);
        words.extend(options);
        words.extend(["--file", "-"]);
        self.docker.call_with(&words, input, patience)
    }
}

/// Returns a name as SQL spells it.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns a string as SQL spells it, whatever the server takes backslashes for.
pub fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "''");
    format!("E'{escaped}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_strings_cannot_end_their_quotes() {
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's \\ \\'"), "E'it''s \\\\ \\\\'''");
    }
}
