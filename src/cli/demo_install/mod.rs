//! A small made-up Idswyft installation to try things on: uploads, and a database beside them.
//!
//! Folders, names, tables and the circle of foreign keys are those of the stack. The database is a
//! private PostgreSQL where a server is installed, else a generated dump. Everything is the same at
//! every run, and nothing outlives the value but the directory that it was given.

mod dump_file;
mod noise;
mod pictures;
mod records;

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use self::records::{State, Verification};
use super::report::{Failure, SystemError};
use crate::source::cluster::Cluster;

const SCHEMA: &str = include_str!("schema.sql");
const KEYS: &str = include_str!("keys.sql");

/// Verifications at the beginning; only the newest still have their files.
const FIRST_COUNT: u64 = 1200;
/// How many of them still have their files.
const PRESENT_COUNT: u64 = 150;
/// How many come, are decided and are erased on a day.
const NEW_COUNT: u64 = 20;
const DECIDED_COUNT: usize = 15;
const ERASED_COUNT: usize = 10;

/// A made-up installation in a directory of its own.
pub struct DemoInstall {
    uploads: PathBuf,
    database: Database,
    verifications: Vec<Verification>,
    day: u64,
}

enum Database {
    Server(Cluster),
    File { path: PathBuf, reason: String },
}

/// What a day changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayChanges {
    /// Verifications that came, each with two files.
    pub new_count: usize,
    /// Verifications that were decided.
    pub decided_count: usize,
    /// Verifications that were erased, and two files of each.
    pub erased_count: usize,
    /// Files that were overwritten in place.
    pub overwritten_count: usize,
}

impl DemoInstall {
    /// Makes an installation in a directory that exists.
    ///
    /// # Errors
    /// If the directory cannot be written. A server that does not start is no error: then there is
    /// a generated dump, and [`Self::database`] says why.
    pub fn build(dir: &Path) -> Result<Self, Failure> {
        Self::build_with(dir, start_server)
    }

    fn build_with(
        dir: &Path,
        start: impl FnOnce(&[Verification]) -> io::Result<Cluster>,
    ) -> Result<Self, Failure> {
        let verifications: Vec<Verification> =
            (0..FIRST_COUNT).map(|number| Verification::new(number, first_state(number))).collect();
        let uploads = dir.join("uploads");
        write_uploads(&uploads, &verifications).map_err(|error| failed(&uploads, error))?;
        let database = match start(&verifications) {
            Ok(cluster) => Database::Server(cluster),
            Err(error) => {
                let path = dir.join("database.sql");
                fs::write(&path, dump_file::generate(&verifications))
                    .map_err(|error| failed(&path, error))?;
                Database::File { path, reason: error.to_string() }
            }
        };
        Ok(Self { uploads, database, verifications, day: 0 })
    }

    /// Returns the directory of the uploads.
    pub fn uploads(&self) -> &Path {
        &self.uploads
    }

    /// Returns in words what the database is, and why it is not a server if it is none.
    pub fn database(&self) -> String {
        match &self.database {
            Database::Server(cluster) => {
                format!("a private PostgreSQL {} on a unix socket", cluster.version())
            }
            Database::File { reason, .. } => format!("a generated dump ({reason})"),
        }
    }

    /// Returns the command that writes a plain-format dump to its standard output.
    ///
    /// # Errors
    /// If `pg_dump` does not run.
    pub fn dump_argv(&self) -> Result<Vec<String>, Failure> {
        match &self.database {
            Database::Server(cluster) => cluster
                .dump_argv()
                .map_err(|error| SystemError::new("ask pg_dump what it can", error).into()),
            Database::File { path, .. } => {
                Ok(vec!["cat".to_owned(), path.to_string_lossy().into_owned()])
            }
        }
    }

    /// Lets a day pass: new verifications, decisions, erasures, and an avatar overwritten.
    ///
    /// # Errors
    /// If files cannot be written or the server does not take the changes.
    pub fn day_passes(&mut self) -> Result<DayChanges, Failure> {
        self.day += 1;
        let first = FIRST_COUNT + (self.day - 1) * NEW_COUNT;
        let new: Vec<Verification> =
            (first..first + NEW_COUNT).map(|n| Verification::new(n, State::Review)).collect();
        let in_review = |one: &&mut Verification| one.state == State::Review;
        let mut changed = Vec::new();
        for one in self.verifications.iter_mut().filter(in_review).take(DECIDED_COUNT) {
            (one.state, one.change_count) = (State::Verified, one.change_count + 1);
            changed.push(one.clone());
        }
        let decided_count = changed.len();
        let present = |one: &&mut Verification| one.state != State::Erased;
        let mut erased = Vec::new();
        for one in self.verifications.iter_mut().filter(present).take(ERASED_COUNT) {
            (one.state, one.change_count) = (State::Erased, one.change_count + 1);
            erased.push(one.clone());
        }
        let changes = DayChanges {
            new_count: new.len(),
            decided_count,
            erased_count: erased.len(),
            overwritten_count: 1,
        };
        self.change_uploads(&new, &erased).map_err(|error| failed(&self.uploads, error))?;
        self.verifications.extend(new.iter().cloned());
        changed.extend(erased);
        self.change_database(&new, &changed)?;
        Ok(changes)
    }

    fn change_uploads(&self, new: &[Verification], erased: &[Verification]) -> io::Result<()> {
        new.iter().try_for_each(|one| pictures::write_files(&self.uploads, one))?;
        erased.iter().try_for_each(|one| pictures::remove_files(&self.uploads, one))?;
        pictures::write_avatar(&self.uploads, self.day % records::DEVELOPER_COUNT, self.day)
    }

    fn change_database(
        &self,
        new: &[Verification],
        changed: &[Verification],
    ) -> Result<(), Failure> {
        match &self.database {
            Database::Server(cluster) => cluster
                .execute(&records::day_script(new, changed))
                .map_err(|error| Failure::system("change the database", error)),
            Database::File { path, .. } => {
                fs::write(path, dump_file::generate(&self.verifications))
                    .map_err(|error| failed(path, error))
            }
        }
    }
}

fn failed(path: &Path, error: io::Error) -> Failure {
    Failure::system(format!("write {}", path.display()), error)
}

fn first_state(number: u64) -> State {
    match number {
        _ if number < FIRST_COUNT - PRESENT_COUNT => State::Erased,
        _ if number.is_multiple_of(5) => State::Review,
        _ => State::Verified,
    }
}

fn write_uploads(uploads: &Path, all: &[Verification]) -> io::Result<()> {
    pictures::write_assets(uploads)?;
    let present = all.iter().filter(|one| one.state != State::Erased);
    for one in present {
        pictures::write_files(uploads, one)?;
    }
    Ok(())
}

fn start_server(all: &[Verification]) -> io::Result<Cluster> {
    let cluster = Cluster::start()?;
    let developers = records::copy_developers();
    let rows = records::copy_verifications(all);
    cluster.execute(&format!("{SCHEMA}\n{developers}{rows}{KEYS}"))?;
    Ok(cluster)
}
