//! The real program as its users run it: a host with a config, an operator with an identity file.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use idswyft_vault::crypto::identity::NewIdentity;
use serde_json::Value;
use tempfile::TempDir;

use crate::reference;

/// What a dump begins with, up to its first row.
pub const DUMP_HEAD: &str = "--\n-- PostgreSQL database dump\n--\n\n\
    -- Dumped from database version 15.8\n-- Dumped by pg_dump version 15.8\n\n\
    COPY public.users (id) FROM stdin;\n";
/// What a dump ends with, from the end of its rows on.
pub const DUMP_TAIL: &str = "\\.\n\n--\n-- PostgreSQL database dump complete\n--\n\n";

/// A host and its operator in a temporary directory.
pub struct Program {
    /// Where everything is.
    pub dir: TempDir,
    /// The operator's recipient.
    pub recipient: String,
    /// The state directory.
    pub state: PathBuf,
    /// The store's directory.
    pub store: PathBuf,
}

impl Program {
    /// Makes a host with uploads and a dump of three rows; `init` has not run yet.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("program").tempdir().unwrap();
        let new = NewIdentity::generate(jiff::Timestamp::UNIX_EPOCH);
        fs::write(dir.path().join("operator.key"), new.file.as_bytes()).unwrap();
        fs::create_dir(dir.path().join("uploads")).unwrap();
        let (state, store) = (dir.path().join("state"), dir.path().join("store"));
        let program = Self { dir, recipient: new.recipient, state, store };
        program.write_dump("1\n2\n3\n");
        program.configure(&[&program.recipient], "", &program.usual_sources());
        program
    }

    /// Makes such a host and runs `init`.
    pub fn initialised() -> Self {
        let program = Self::new();
        program.init();
        program
    }

    /// Returns a path in the temporary directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a dump with rows of one column.
    pub fn write_dump(&self, rows: &str) {
        fs::write(self.path("db.sql"), format!("{DUMP_HEAD}{rows}{DUMP_TAIL}")).unwrap();
    }

    /// Writes an upload.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path("uploads").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Returns the sources of a config: the dump and the uploads.
    pub fn usual_sources(&self) -> String {
        let dump = self.path("db.sql");
        format!("{}{}", command_source(&["cat", dump.to_str().unwrap()]), self.uploads_source())
    }

    /// Returns the uploads as a source of a config.
    pub fn uploads_source(&self) -> String {
        format!("[sources.uploads]\nkind = \"path\"\npath = {:?}\n", self.path("uploads"))
    }

    /// Writes the config; packs are small, so that there are several.
    pub fn configure(&self, recipients: &[&str], vault: &str, sources: &str) {
        let (state, url) = (&self.state, format!("file://{}", self.store.display()));
        let text = format!(
            "state_dir = {state:?}\nrecipients = {recipients:?}\n\
             [[vault]]\nname = \"nightly\"\npack_len = \"4MiB\"\n{vault}\n\
             [[vault.store]]\nname = \"local\"\nurl = {url:?}\n{sources}"
        );
        fs::write(self.path("config.toml"), text).unwrap();
    }

    /// Returns the command that runs the program with the config and the operator's identity.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_idswyft-vault"));
        command.current_dir(self.dir.path());
        for name in ["IDSWYFT_VAULT_PASSPHRASE", "IDSWYFT_VAULT_IDENTITY"] {
            command.env_remove(name);
        }
        command.env("IDSWYFT_VAULT_CONFIG", self.path("config.toml"));
        command.args(args).stdin(Stdio::null());
        command
    }

    /// Runs the program.
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Runs `init` with a kit beside everything else.
    pub fn init(&self) -> Value {
        self.run(&["init", "--json", "--kit", "kit"]).expect(0)
    }

    /// Takes a snapshot that ends with an exit code; returns its object.
    pub fn snapshot(&self, exit: i32) -> Value {
        let mut report = self.run(&["snapshot", "--json"]).expect(exit);
        report["snapshots"][0].take()
    }

    /// Restores a snapshot into a new directory and returns that.
    pub fn restore(&self, id: &str, exit: i32) -> PathBuf {
        let target = tempfile::Builder::new().prefix("restored").tempdir_in(self.dir.path());
        let target = target.unwrap().keep();
        let args = ["restore", id, "--json", "-i", "operator.key", "--target"];
        let words = [&args[..], &[target.to_str().unwrap()]].concat();
        self.run(&words).expect(exit);
        target
    }

    /// Asserts that verifying everything finds nothing wrong; objects that nothing names yet are
    /// not wrong. The reference reader has to say the same.
    pub fn assert_sound(&self) {
        let args = ["verify", "--json", "--level", "contents", "-i", "operator.key"];
        let ran = self.run(&args);
        assert!(matches!(ran.code, 0 | 4), "{ran:?}");
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        let findings = report["vaults"][0]["findings"].as_array().unwrap();
        let left_over = ["object-unreferenced", "record-pending"].map(Value::from);
        let damage = findings.iter().filter(|finding| !left_over.contains(&finding["code"]));
        assert_eq!(damage.count(), 0, "{ran:?}");
        let state = fs::read(self.state.join("nightly/vault.json")).unwrap();
        let state: Value = serde_json::from_slice(&state).unwrap();
        let identity = fs::read_to_string(self.path("operator.key")).unwrap();
        let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
        let found = findings.iter().map(|found| (text(found, "code"), text(found, "object")));
        let root_key = state["root_key"].as_str().unwrap();
        reference::confirms(&self.store, root_key, &identity, found.collect());
    }

    /// Returns how many files the newest snapshot has.
    pub fn newest_file_count(&self) -> usize {
        let ran = self.run(&["show", "latest", "--json", "-i", "operator.key"]);
        let count = ran.expect(0)["uploads"]["file_count"].as_u64().unwrap();
        usize::try_from(count).unwrap()
    }

    /// Returns the paths of all objects in the store and the inodes of their files.
    pub fn objects(&self) -> Vec<(PathBuf, u64)> {
        let files = walkdir::WalkDir::new(&self.store).sort_by_file_name().into_iter();
        let files = files.map(Result::unwrap).filter(|entry| entry.file_type().is_file());
        files
            .map(|entry| {
                let path = entry.path().strip_prefix(&self.store).unwrap().to_owned();
                (path, entry.metadata().unwrap().ino())
            })
            .filter(|(path, _)| !path.starts_with(".idswyft-vault-staging"))
            .collect()
    }

    /// Writes an executable script and returns its path.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }
}

/// Returns a dump command as a source of a config.
pub fn command_source(argv: &[&str]) -> String {
    format!("[sources.database]\nkind = \"command\"\nargv = {argv:?}\n")
}

/// What a run of the program left behind.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; -1 for a signal.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Ran {
    /// Takes what a process left behind.
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asserts the exit code and returns the JSON object.
    pub fn expect(&self, exit: i32) -> Value {
        assert_eq!(self.code, exit, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// Asserts the exit code and the code of the error.
    pub fn expect_error(&self, exit: i32, code: &str) {
        assert_eq!(self.expect(exit)["error"]["code"], code, "{self:?}");
    }
}

/// Runs a command to its end and returns its greatest resident size in KiB besides.
///
/// The kernel keeps the peak itself, so looking now and then misses only what a process grew by
/// just before its end, when it has nothing left to do.
pub fn run_measured(mut command: Command) -> (Ran, u64) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let reader = |pipe: Box<dyn std::io::Read + Send>| {
        std::thread::spawn(move || {
            let lines = BufReader::new(pipe).lines().map(Result::unwrap);
            lines.map(|line| line + "\n").collect::<String>()
        })
    };
    let (out, err) = (reader(Box::new(out)), reader(Box::new(err)));
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        peak = peak_kib(&child).unwrap_or(0).max(peak);
        std::thread::sleep(Duration::from_millis(5));
    };
    let (stdout, stderr) = (out.join().unwrap(), err.join().unwrap());
    (Ran { code: status.code().unwrap_or(-1), stdout, stderr }, peak)
}

fn peak_kib(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// A file system of limited size that is mounted until it goes out of scope.
pub struct Tmpfs(pub PathBuf);

impl Tmpfs {
    /// Mounts an empty one on a new directory; nothing where that is not allowed, which CI may
    /// not be.
    pub fn mount(path: &Path, size: &str) -> Option<Self> {
        fs::create_dir(path).unwrap();
        let options = format!("mode=0700,size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(path)
            .output()
            .is_ok_and(|output| output.status.success());
        assert!(mounted || std::env::var_os("CI").is_none(), "CI must let this test mount a tmpfs");
        mounted.then(|| Self(path.to_owned()))
    }

    /// Gives it another size.
    pub fn resize(&self, size: &str) {
        self.run("mount", &["-o", &format!("remount,size={size}")]);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let status = Command::new(program).args(arguments).arg(&self.0).status();
        assert!(status.is_ok_and(|status| status.success()), "{program} works once it has");
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        self.run("umount", &[]);
    }
}
