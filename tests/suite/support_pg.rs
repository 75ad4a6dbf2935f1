//! A private PostgreSQL cluster for tests that need a real one.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

/// The password of the role `reader`, with everything that URLs must escape.
pub const READER_PASSWORD: &str = "p@ss/w:rd%?&#";

/// A running cluster; it ends with the value.
pub struct PgCluster {
    bin: PathBuf,
    dir: TempDir,
    user: Option<(u32, u32)>,
}

impl PgCluster {
    /// Starts a cluster with a superuser `postgres`, who needs no password, and a role `reader`
    /// with [`READER_PASSWORD`], who does.
    ///
    /// None when there is no PostgreSQL here, which fails where `CI` is set.
    pub fn start() -> Option<Self> {
        let Some(bin) = newest_bin() else {
            assert!(std::env::var_os("CI").is_none(), "PostgreSQL is missing");
            return None;
        };
        let dir = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let user = rustix::process::getuid().is_root().then(postgres_user);
        for name in ["data", "socket"] {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).unwrap();
            if let Some((uid, gid)) = user {
                chown(&path, Some(uid), Some(gid)).unwrap();
            }
        }
        let cluster = Self { bin, dir, user };
        cluster.initialise();
        Some(cluster)
    }

    fn initialise(&self) {
        let data = self.data();
        let initdb = ["-D", &data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"];
        self.run("initdb", &initdb);
        let hba = self.dir.path().join("data/pg_hba.conf");
        std::fs::write(&hba, "local all reader scram-sha-256\nlocal all all trust\n").unwrap();
        let socket = self.socket_dir();
        let options = format!("-k {} -c listen_addresses= -c fsync=off", socket.display());
        let log = format!("{}/log", socket.display());
        self.run("pg_ctl", &["-D", &data, "-l", &log, "-o", &options, "-w", "start"]);
        self.psql(&format!("CREATE ROLE reader LOGIN SUPERUSER PASSWORD '{READER_PASSWORD}'"));
    }

    /// Returns the directory of the socket.
    pub fn socket_dir(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// Returns the port, which only names the socket.
    pub const fn port(&self) -> u16 {
        5432
    }

    /// Returns the URL of a database for the superuser.
    pub fn url(&self, database: &str) -> String {
        let (socket, port) = (self.socket_dir(), self.port());
        format!("postgresql:///{database}?host={}&port={port}&user=postgres", socket.display())
    }

    /// Runs SQL in the database `postgres` and returns what it prints, unaligned.
    pub fn psql(&self, sql: &str) -> String {
        let url = self.url("postgres");
        let output = self.run("psql", &["-X", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql, &url]);
        String::from_utf8(output.stdout).unwrap()
    }

    fn data(&self) -> String {
        self.dir.path().join("data").to_str().unwrap().to_owned()
    }

    /// Runs a program of PostgreSQL as a user whom the server accepts.
    fn run(&self, program: &str, args: &[&str]) -> Output {
        let output = self.command(program).args(args).output().unwrap();
        // The server inherits no pipe, because `pg_ctl -l` gives it a log.
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {args:?}: {said}");
        output
    }

    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = match self.user {
            None => Command::new(program),
            Some((uid, gid)) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
                command.arg("--clear-groups").arg(program);
                command
            }
        };
        command.current_dir(self.dir.path());
        command
    }
}

impl Drop for PgCluster {
    fn drop(&mut self) {
        // It reads the server's process id from the data directory, and waits for the end.
        let data = self.data();
        let stop = self.command("pg_ctl").args(["-D", &data, "-m", "immediate", "stop"]).output();
        drop(stop);
    }
}

fn newest_bin() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    versions
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            bin.join("postgres").is_file().then_some((version, bin))
        })
        .max()
        .map(|(_, bin)| bin)
}

fn postgres_user() -> (u32, u32) {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|line| line.starts_with("postgres:"));
    let fields: Vec<&str> = line.expect("a user postgres").split(':').collect();
    (fields[2].parse().unwrap(), fields[3].parse().unwrap())
}
