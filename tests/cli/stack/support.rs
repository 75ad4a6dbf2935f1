//! A running compose stack, shaped like the real one, on the engine of the tests.
//!
//! ```text
//! let Some(stack) = Stack::up("what_the_test_is") else { return };
//! stack.load();                                    // schema and rows
//! stack.stub(["write", "a.jpg"]);                  // an upload and its row
//! stack.run(["snapshot"]).exits(0);                // the real program, in `stack.path("")`
//! ```
//!
//! The engine is the one of `IDSWYFT_VAULT_TEST_DOCKER`; `tests/run` starts it for tests whose
//! names contain `stack`. By hand: `export IDSWYFT_VAULT_TEST_DOCKER=$(tests/stack/engine start
//! /tmp/e)`, in the end `tests/stack/engine stop /tmp/e`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::fs::FlockOperation;
use tempfile::TempDir;

use crate::support::{Outcome, envelope, noise, vault_value};

/// The name of the variable with the address of the engine.
const ENGINE_VARIABLE: &str = "IDSWYFT_VAULT_TEST_DOCKER";
/// The name that the real stack's directory has, and its project by that.
const REAL_NAME: &str = "idswyft-community";

/// A stack that is up; it is removed, volumes and all, with the value.
pub struct Stack {
    dir: TempDir,
    engine: String,
    project: String,
    /// Held while the real name is in use.
    _turn: Option<File>,
}

impl Stack {
    /// Brings up a stack whose project has this name; none where there is no engine, which fails
    /// where `CI` is set.
    pub fn up(project: &str) -> Option<Self> {
        let stack = Self::prepare(project)?;
        stack.start();
        Some(stack)
    }

    /// Brings up a stack with the real name, one at a time.
    pub fn up_with_real_name() -> Option<Self> {
        let mut stack = Self::prepare(REAL_NAME)?;
        let socket = stack.engine.trim_start_matches("unix://").to_owned();
        let turn = File::create(format!("{socket}.{REAL_NAME}")).unwrap();
        rustix::fs::flock(&turn, FlockOperation::LockExclusive).unwrap();
        stack._turn = Some(turn);
        stack.start();
        Some(stack)
    }

    /// Writes the project's directory and starts nothing.
    pub fn prepare(project: &str) -> Option<Self> {
        let Ok(engine) = std::env::var(ENGINE_VARIABLE) else {
            assert!(std::env::var_os("CI").is_none(), "{ENGINE_VARIABLE} is not set");
            return None;
        };
        let dir = tempfile::Builder::new().prefix("stack").tempdir().unwrap();
        let stack = Self { dir, engine, project: project.to_owned(), _turn: None };
        copy(&template(), &stack.install_dir());
        fs::rename(stack.install_dir().join("env"), stack.env_file()).unwrap();
        Some(stack)
    }

    /// Brings it up, again after a change or [`Stack::down`], and waits for the database.
    pub fn start(&self) {
        self.compose(["up", "-d"]);
        self.wait_for_database();
    }

    /// Waits until the database answers over the network, which is after its cluster was made.
    pub fn wait_for_database(&self) {
        let wait = "until pg_isready -q -h 127.0.0.1; do sleep 0.1; done";
        self.exec("postgres", ["timeout", "30", "sh", "-c", wait]);
    }

    /// Waits until the health check of a service says so.
    pub fn wait_until_healthy(&self, service: &str) {
        let format = "{{.State.Health.Status}}";
        for _ in 0..150 {
            let container = self.container(service);
            if self.docker(["inspect", "--format", format, &container]).trim() == "healthy" {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        panic!("{service} did not become healthy");
    }

    /// Loads the schema and the rows of the test stack, and writes the files that rows name.
    pub fn load(&self) {
        for name in ["schema.sql", "rows.sql"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stack").join(name);
            self.psql(&fs::read_to_string(&path).unwrap());
        }
        let secret = self.env("API_KEY_SECRET");
        let secret = format!("left(encode(sha256('{secret}'), 'hex'), 16)");
        self.psql(&format!(
            "UPDATE _system_config SET value = {secret} WHERE key = 'api_key_secret_fingerprint'"
        ));
        let listed = self.psql(
            "SELECT file_size || ' ' || file_path FROM documents WHERE file_path IS NOT NULL \
             UNION ALL \
             SELECT file_size || ' ' || file_path FROM selfies WHERE file_path IS NOT NULL \
             UNION ALL SELECT '3000 uploads' || substr(url, 19) FROM developers, \
             unnest(ARRAY[avatar_url, branding_logo_url]) AS url WHERE url LIKE '/api/%'",
        );
        let key = self.env("ENCRYPTION_KEY");
        let value = vault_value(&key, b"a name");
        self.psql(&format!("UPDATE identity_vault SET encrypted_data = '{value}'"));
        for (seed, line) in (1..).zip(listed.lines()) {
            let (len, path) = line.split_once(' ').unwrap();
            let name = path.strip_prefix("uploads/").unwrap();
            let plain = noise(seed, len.parse().unwrap());
            // One file was written while storage encryption was on, as it is in the field.
            let bytes = if seed == 1 { envelope(&key, &plain) } else { plain };
            self.write_upload(name, &bytes);
        }
    }

    /// Writes a file into the uploads volume, owned as the application would own it.
    pub fn write_upload(&self, name: &str, bytes: &[u8]) {
        let root = self.volume_path("uploads");
        let owner = root.metadata().unwrap();
        let own = |path: &Path| chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
        let path = root.join(name);
        for directory in path.parent().unwrap().ancestors().take_while(|dir| **dir != root) {
            fs::create_dir_all(directory).unwrap();
            own(directory);
        }
        fs::write(&path, bytes).unwrap();
        own(&path);
    }

    /// Returns a value of `.env`.
    pub fn env(&self, name: &str) -> String {
        let text = fs::read_to_string(self.env_file()).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.expect("the variable is in .env").to_owned()
    }

    /// Removes containers, networks and volumes: what is lost when a stack is destroyed.
    pub fn down(&self) {
        self.compose(["down", "-v", "--remove-orphans", "-t", "1"]);
    }

    /// Returns the install directory, which is named as the real one.
    pub fn install_dir(&self) -> PathBuf {
        self.dir.path().join(REAL_NAME)
    }

    /// Returns the `.env` of the stack.
    pub fn env_file(&self) -> PathBuf {
        self.install_dir().join(".env")
    }

    /// Returns a path beside the install directory, where configs and archives may be.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns the compose project.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Returns the address of the engine, for `DOCKER_HOST`.
    pub fn engine(&self) -> &str {
        &self.engine
    }

    /// Returns the volume of the project with this short name.
    pub fn volume_name(&self, volume: &str) -> String {
        format!("{}_{volume}", self.project)
    }

    /// Returns where a volume is on the host.
    pub fn volume_path(&self, volume: &str) -> PathBuf {
        let name = self.volume_name(volume);
        let path = self.docker(["volume", "inspect", "--format", "{{.Mountpoint}}", &name]);
        PathBuf::from(path.trim())
    }

    /// Returns the container of a service, running or not.
    pub fn container(&self, service: &str) -> String {
        let project = format!("label=com.docker.compose.project={}", self.project);
        let service = format!("label=com.docker.compose.service={service}");
        let listed = self.docker(["ps", "-aq", "--filter", &project, "--filter", &service]);
        let mut lines = listed.lines();
        let container = lines.next().expect("the service has a container").to_owned();
        assert_eq!(lines.next(), None, "the service has one container");
        container
    }

    /// Runs SQL in the stack's database and returns what it prints, unaligned.
    pub fn psql(&self, sql: &str) -> String {
        self.psql_in("idswyft", sql)
    }

    /// Runs SQL in a database of the stack and returns what it prints, unaligned.
    pub fn psql_in(&self, database: &str, sql: &str) -> String {
        let container = self.container("postgres");
        let program = ["exec", "-i", &container, "psql", "-XAtq", "-v", "ON_ERROR_STOP=1"];
        let role = ["-U", "idswyft", "-d", database];
        let mut command = self.docker_command([&program[..], &role[..]].concat());
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let sql = sql.to_owned();
        let writer = std::thread::spawn(move || input.write_all(sql.as_bytes()));
        let printed = succeeded(child.wait_with_output().unwrap(), "psql");
        writer.join().unwrap().unwrap();
        printed
    }

    /// Waits until a count that SQL gives is not 0.
    pub fn wait_for(&self, sql: &str) {
        for _ in 0..300 {
            if self.psql(sql).trim() != "0" {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("{sql} stays 0");
    }

    /// Runs the application's stand-in: `["write", NAME]`, `["read", NAME]`.
    pub fn stub<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> String {
        self.exec("api", ["stub"].into_iter().chain(words))
    }

    /// Runs a program in the container of a service and returns what it prints.
    pub fn exec<'a>(&self, service: &str, words: impl IntoIterator<Item = &'a str>) -> String {
        let mut line = vec!["exec".to_owned(), self.container(service)];
        line.extend(words.into_iter().map(str::to_owned));
        self.docker(line)
    }

    /// Runs `docker-compose`, or `docker compose`, on the project.
    #[track_caller]
    pub fn compose<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> String {
        let words: Vec<&str> = words.into_iter().collect();
        let old = Command::new("docker-compose").arg("version").output().is_ok();
        let mut command = match old {
            true => Command::new("docker-compose"),
            false => self.docker_command(["compose"]),
        };
        command.args(&words).current_dir(self.install_dir()).env("DOCKER_HOST", &self.engine);
        // The real name comes from the directory, as it does for who follows the instructions.
        match self.project.as_str() {
            REAL_NAME => command.env_remove("COMPOSE_PROJECT_NAME"),
            project => command.env("COMPOSE_PROJECT_NAME", project),
        };
        succeeded(command.stdin(Stdio::null()).output().unwrap(), &words.join(" "))
    }

    /// Runs `docker` and returns what it prints.
    #[track_caller]
    pub fn docker<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> String {
        let mut command = self.docker_command(words);
        let text = format!("{command:?}");
        succeeded(command.stdin(Stdio::null()).output().unwrap(), &text)
    }

    fn docker_command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new("docker");
        command.args(words).env("DOCKER_HOST", &self.engine);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Returns the real program, ready to be run beside the install directory.
    pub fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_idswyft-vault"));
        command
            .args(words)
            .current_dir(self.dir.path())
            .env("DOCKER_HOST", &self.engine)
            .env("IDSWYFT_VAULT_CONFIG", self.path("config.toml"))
            .env_remove("IDSWYFT_VAULT_IDENTITY")
            .env_remove("IDSWYFT_VAULT_PASSPHRASE")
            .env_remove("COMPOSE_PROJECT_NAME")
            .env("HOME", self.dir.path())
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    /// Returns the program where `docker` is a script first and then itself; `$real` is itself.
    pub fn with_fake_docker<const N: usize>(&self, words: [&str; N], script: &str) -> Command {
        let bin = self.path("bin");
        fs::create_dir_all(&bin).unwrap();
        let real = Command::new("sh").args(["-c", "command -v docker"]).output().unwrap();
        let real = String::from_utf8(real.stdout).unwrap();
        let text = format!("#!/bin/sh\nreal={}\n{script}\nexec $real \"$@\"\n", real.trim());
        fs::write(bin.join("docker"), text).unwrap();
        fs::set_permissions(bin.join("docker"), PermissionsExt::from_mode(0o755)).unwrap();
        let mut command = self.command(words);
        command.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()));
        command
    }

    /// Runs the real program without an identity, as the host does.
    pub fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Outcome {
        but_for_the_usual(Outcome::of(self.command(words).output().unwrap()))
    }

    /// Runs the real program with the operator's identity, `operator.key`.
    pub fn unlock<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Outcome {
        let mut command = self.command(words);
        command.env("IDSWYFT_VAULT_IDENTITY", "operator.key");
        but_for_the_usual(Outcome::of(command.output().unwrap()))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let project = format!("label=com.docker.compose.project={}", self.project);
        // By label, so that what a broken compose file made goes too.
        for (list, remove) in [
            (&["ps", "-aq"][..], &["rm", "-fv"][..]),
            (&["network", "ls", "-q"], &["network", "rm"]),
            (&["volume", "ls", "-q"], &["volume", "rm", "-f"]),
        ] {
            let filter = ["--filter", project.as_str()];
            let Ok(listed) = self.docker_command([list, &filter[..]].concat()).output() else {
                return;
            };
            let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
            if !listed.is_empty() {
                let words = remove.iter().copied().chain(listed.lines());
                let _ = self.docker_command(words).output();
            }
        }
    }
}

#[track_caller]
fn succeeded(output: Output, what: &str) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Forgives warnings that have nothing to do with most tests: these run at any hour, and few of
/// them have an escrow store.
pub fn but_for_the_usual(mut outcome: Outcome) -> Outcome {
    const USUAL: [&str; 2] = ["stack-hours", "escrow-missing"];
    let codes = outcome.err.split("warning[").skip(1);
    let mut codes = codes.map(|rest| rest.split(']').next().unwrap_or_default());
    if outcome.exit == 4 && codes.all(|code| USUAL.contains(&code)) {
        outcome.exit = 0;
    }
    outcome
}

fn template() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stack/compose")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}
