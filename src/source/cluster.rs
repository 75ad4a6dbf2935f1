//! A private PostgreSQL: a cluster in a directory of its own, reachable by a unix socket only.
//!
//! - The server is a child of this program and is stopped by its own process id, also when
//!   something fails; its directory goes with it.
//! - PostgreSQL refuses to run as root: then the server, and it alone, runs as another user.
//! - A start and every later step have a bound of time.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

/// What the server and its tools say, and what `psql` says.
const LOG: &str = "log";
const PSQL_LOG: &str = "psql.log";
const DATABASE: &str = "idswyft";
const USER: &str = "idswyft";
const PORT: &str = "5432";
/// The programs that a usable directory holds.
const PROGRAMS: [&str; 4] = ["initdb", "postgres", "psql", "pg_dump"];
/// Where Debian and its kin install one directory a version.
const VERSIONS_DIR: &str = "/usr/lib/postgresql";
/// Users whom the server may run as when this program runs as root.
const SERVER_USERS: [&str; 2] = ["postgres", "nobody"];
/// Longest directory of a socket: the whole address has 107 bytes (unix(7)).
const SOCKET_DIR_LEN_MAX: usize = 90;
const POLL: Duration = Duration::from_millis(10);
/// Polls until a start, or a later script, is given up: 10 seconds.
const POLL_COUNT_MAX: u32 = 1000;
/// Polls until a dump that is loaded is given up: a day.
const LOAD_POLL_COUNT_MAX: u32 = 100 * 24 * 3600;
/// Separates columns of an answer; PostgreSQL names cannot hold it.
const COLUMN_SEPARATOR: char = '\u{1f}';
/// Polls for a server that was told to stop: 3 seconds.
const STOP_POLL_COUNT_MAX: u32 = 300;

/// A running server; dropping it stops it, and removes its directory if it made that.
pub struct Cluster {
    bin: PathBuf,
    dir: PathBuf,
    owner: Option<(u32, u32)>,
    _made: Option<TempDir>,
    server: Child,
}

impl Cluster {
    /// Makes a cluster with an empty database and starts its server.
    ///
    /// # Errors
    /// If no server is installed or any step fails; then nothing is left behind.
    pub fn start() -> io::Result<Self> {
        let made = new_dir()?;
        let dir = made.path().to_owned();
        Self::start_with(&dir, Some(made))
    }

    /// Makes one in an empty directory that is the caller's, and stays when it is dropped.
    ///
    /// # Errors
    /// As [`Self::start`], and if the directory's path is too long for the address of a socket.
    pub fn start_in(dir: &Path) -> io::Result<Self> {
        let real = dir.canonicalize()?;
        if real.as_os_str().as_bytes().len() > SOCKET_DIR_LEN_MAX {
            let reason = format!("{}: too long for a socket", real.display());
            return Err(other(reason));
        }
        Self::start_with(&real, None)
    }

    fn start_with(dir: &Path, made: Option<TempDir>) -> io::Result<Self> {
        let bin = find_programs().ok_or_else(|| other("no PostgreSQL server is installed"))?;
        let owner = server_user()?;
        if let Some((uid, gid)) = owner {
            chown(dir, Some(uid), Some(gid))?;
        }
        let mut initdb = command(&bin, "initdb", dir)?;
        initdb.args(["-D", "data", "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C"]);
        initdb.arg("--no-sync");
        as_user(&mut initdb, owner);
        let mut patience = Patience(POLL_COUNT_MAX);
        run(initdb, dir, &mut patience)?;
        let mut server = command(&bin, "postgres", dir)?;
        server.args(["-D", "data", "-p", PORT, "-c", "listen_addresses="]).arg("-k").arg(dir);
        for setting in ["fsync=off", "full_page_writes=off", "autovacuum=off", "max_connections=8"]
        {
            server.args(["-c", setting]);
        }
        as_user(&mut server, owner);
        let server = server.spawn()?;
        let mut cluster = Self { bin, dir: dir.to_owned(), owner, _made: made, server };
        cluster.wait_until_ready(&mut patience)?;
        cluster.psql("postgres", &format!("CREATE DATABASE {DATABASE};\n"), &mut patience)?;
        Ok(cluster)
    }

    /// Runs a script in the database; the first statement that fails ends it.
    ///
    /// # Errors
    /// If a statement fails.
    pub fn execute(&self, script: &str) -> io::Result<()> {
        self.psql(DATABASE, script, &mut Patience(POLL_COUNT_MAX))
    }

    /// Returns the command that dumps the database in plain format.
    ///
    /// # Errors
    /// If `pg_dump` does not run.
    pub fn dump_argv(&self) -> io::Result<Vec<String>> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let pg_dump = self.bin.join("pg_dump");
        let help = Command::new(&pg_dump).arg("--help").stdin(Stdio::null()).output()?;
        let mut argv = vec![text(&pg_dump)];
        argv.push(format!("--host={}", text(&self.dir)));
        argv.extend([format!("--port={PORT}"), format!("--username={USER}")]);
        let options = ["--no-password", "--clean", "--if-exists", "--no-owner", "--no-acl"];
        argv.extend(options.map(str::to_owned));
        argv.push("--no-tablespaces".to_owned());
        // Otherwise every dump would hold another random key.
        if String::from_utf8_lossy(&help.stdout).contains("--restrict-key") {
            argv.push("--restrict-key=idswyftvault".to_owned());
        }
        argv.push(DATABASE.to_owned());
        Ok(argv)
    }

    /// Returns the server's major version, if it can be told.
    pub fn major(&self) -> Option<u32> {
        self.version().split('.').next()?.parse().ok()
    }

    /// Returns the server's major version as its files name it.
    pub fn version(&self) -> String {
        let version = fs::read_to_string(self.dir.join("data/PG_VERSION"));
        version.map(|text| text.trim().to_owned()).unwrap_or_default()
    }

    /// Loads a dump in one transaction that ends at the first statement that fails.
    ///
    /// # Errors
    /// If one fails; nothing of the dump is there then. What is told holds no row.
    pub fn load(&self, dump: File) -> io::Result<()> {
        let mut psql = self.psql_command(DATABASE)?;
        psql.args(["--single-transaction", "--set=VERBOSITY=terse"]).stdin(dump);
        run(psql, &self.dir, &mut Patience(LOAD_POLL_COUNT_MAX))
    }

    /// Returns the rows that a statement gives.
    ///
    /// # Errors
    /// If it fails.
    pub fn query(&self, sql: &str) -> io::Result<Vec<Vec<String>>> {
        let (script, answer) = (self.dir.join("query.sql"), self.dir.join("answer"));
        fs::write(&script, sql)?;
        let mut psql = self.psql_command(DATABASE)?;
        psql.args(["--tuples-only", "--no-align"]);
        psql.arg(format!("--field-separator={COLUMN_SEPARATOR}"));
        psql.stdin(File::open(&script)?).stdout(File::create(&answer)?);
        run(psql, &self.dir, &mut Patience(LOAD_POLL_COUNT_MAX))?;
        let text = fs::read_to_string(&answer)?;
        let rows = text.lines().filter(|line| !line.is_empty());
        Ok(rows.map(|row| row.split(COLUMN_SEPARATOR).map(str::to_owned).collect()).collect())
    }

    fn psql(&self, database: &str, script: &str, patience: &mut Patience) -> io::Result<()> {
        let path = self.dir.join("script.sql");
        fs::write(&path, script)?;
        let mut psql = self.psql_command(database)?;
        psql.stdin(File::open(&path)?);
        run(psql, &self.dir, patience)
    }

    /// Its words go into a log of their own: those of the server quote rows.
    fn psql_command(&self, database: &str) -> io::Result<Command> {
        let mut psql = command(&self.bin, "psql", &self.dir)?;
        // What a dump makes psql do, it does with no more rights than the server has.
        as_user(&mut psql, self.owner);
        let log = File::create(self.dir.join(PSQL_LOG))?;
        psql.stdout(log.try_clone()?).stderr(log);
        psql.args(["-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-p", PORT, "-U", USER]);
        psql.args(["-d", database, "-h"]).arg(&self.dir);
        Ok(psql)
    }

    fn wait_until_ready(&mut self, patience: &mut Patience) -> io::Result<()> {
        // The last line of this file is the server's state (since PostgreSQL 10).
        let state = self.dir.join("data/postmaster.pid");
        loop {
            if let Some(status) = self.server.try_wait()? {
                return Err(failed("postgres", &status.to_string(), &self.dir));
            }
            let text = fs::read_to_string(&state).unwrap_or_default();
            if text.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
                return Ok(());
            }
            if !patience.pause() {
                return Err(failed("postgres", "not ready in time", &self.dir));
            }
        }
    }

    fn stop(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.server.try_wait()? {
            return Ok(status);
        }
        // A fast shutdown: sessions end, nothing is waited for.
        kill_process(Pid::from_child(&self.server), Signal::INT)?;
        Patience(STOP_POLL_COUNT_MAX).wait(&mut self.server)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What is left to stop is a private server with made-up rows.
        let _ = self.stop();
    }
}

/// How long is still waited; the steps of one start share it.
struct Patience(u32);

impl Patience {
    /// Waits a little, unless it is over.
    fn pause(&mut self) -> bool {
        let Some(left) = self.0.checked_sub(1) else { return false };
        self.0 = left;
        thread::sleep(POLL);
        true
    }

    /// Waits for a child, and kills it when patience is over.
    fn wait(&mut self, child: &mut Child) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if !self.pause() {
                child.kill()?;
                return child.wait();
            }
        }
    }
}

fn other(reason: impl Into<String>) -> io::Error {
    io::Error::other(reason.into())
}

/// Says what failed, with the last lines that the programs wrote.
fn failed(program: &str, how: &str, dir: &Path) -> io::Error {
    let name = if program == "psql" { PSQL_LOG } else { LOG };
    let log = fs::read_to_string(dir.join(name)).unwrap_or_default();
    let lines: Vec<&str> = log.lines().rev().take(3).collect();
    let last: Vec<&str> = lines.into_iter().rev().collect();
    other(format!("{program}: {how}: {}", last.join("; ")))
}

/// Stops a server that a program which was killed left running in a directory, if there is one.
///
/// It is told by its own file, and only if it works there: the number may be another's by now.
pub fn stop_orphan(dir: &Path) {
    let data = dir.join("data");
    let text = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let number: Option<i32> = text.lines().next().and_then(|line| line.trim().parse().ok());
    let Some(process) = number.and_then(Pid::from_raw) else { return };
    let place = PathBuf::from(format!("/proc/{}", process.as_raw_nonzero()));
    let works_there = || {
        let place = fs::read_link(place.join("cwd")).ok();
        place.is_some() && place == data.canonicalize().ok()
    };
    // An immediate shutdown: nothing of it is wanted. Then, if it does not, an end.
    for signal in [Signal::QUIT, Signal::KILL] {
        if works_there() {
            let _ = kill_process(process, signal);
        }
        let mut patience = Patience(STOP_POLL_COUNT_MAX);
        while works_there() && patience.pause() {}
    }
}

/// Makes the directory where the address of a socket in it is short enough.
fn new_dir() -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("idswyft-vault-pg-");
    let dir = builder.tempdir()?;
    let real = dir.path().canonicalize()?;
    if real.as_os_str().as_bytes().len() <= SOCKET_DIR_LEN_MAX {
        return Ok(dir);
    }
    builder.tempdir_in("/tmp")
}

/// Finds the programs beside one another: on `PATH`, else of the newest installed version.
fn find_programs() -> Option<PathBuf> {
    let is_complete = |dir: &PathBuf| PROGRAMS.iter().all(|name| dir.join(name).is_file());
    let path = std::env::var_os("PATH").unwrap_or_default();
    // A link on PATH leads to the directory that has all of them.
    let linked = std::env::split_paths(&path)
        .filter_map(|dir| dir.join("initdb").canonicalize().ok()?.parent().map(Path::to_owned));
    let mut installed: Vec<(u32, PathBuf)> = fs::read_dir(VERSIONS_DIR)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    installed.sort_unstable_by(|a, b| b.cmp(a));
    linked.chain(installed.into_iter().map(|(_, dir)| dir)).find(is_complete)
}

/// Returns whom the server runs as, if it cannot be who we are.
fn server_user() -> io::Result<Option<(u32, u32)>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let number = |user: &str, option: &str| -> Option<u32> {
        let output = Command::new("id").args([option, user]).stdin(Stdio::null()).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    let found =
        SERVER_USERS.iter().find_map(|user| Some((number(user, "-u")?, number(user, "-g")?)));
    let found = found.filter(|(uid, _)| *uid != 0);
    found.map(Some).ok_or_else(|| other("there is no user postgres or nobody to run a server as"))
}

fn as_user(command: &mut Command, user: Option<(u32, u32)>) {
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
}

/// Makes a command whose settings come from here alone, and whose words go into the log.
fn command(bin: &Path, program: &str, dir: &Path) -> io::Result<Command> {
    let log = File::options().append(true).create(true).open(dir.join(LOG))?;
    let mut command = Command::new(bin.join(program));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("LC_ALL", "C").env("HOME", dir).current_dir(dir);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(command)
}

fn run(mut command: Command, dir: &Path, patience: &mut Patience) -> io::Result<()> {
    let status = patience.wait(&mut command.spawn()?)?;
    if status.success() {
        return Ok(());
    }
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    Err(failed(&program.to_string_lossy(), &status.to_string(), dir))
}
