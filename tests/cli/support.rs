//! An installation to archive, the real program, and what it said.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use idswyft_vault::base::Code;
use serde_json::Value;
use tempfile::TempDir;

#[path = "../suite/support/assurance.rs"]
pub mod assurance;

/// The one vault that most tests need.
pub const NIGHTLY: &str = "[[vault]]\nname = \"nightly\"\nkeep_daily = 30\n\
    [[vault.store]]\nname = \"local\"\nurl = \"file://DIR/store\"\n";
/// A second one, which admits a snapshot a month.
pub const KYC: &str = "[[vault]]\nname = \"kyc\"\nevery = \"month\"\nkeep_monthly = 84\n\
    [[vault.store]]\nname = \"archive\"\nurl = \"file://DIR/archive\"\n";
const SOURCES: &str = "[sources.database]\nkind = \"command\"\nargv = [\"sh\", \"DIR/dump.sh\"]\n\
    [sources.uploads]\nkind = \"path\"\npath = \"DIR/uploads\"\n";
/// What the dump command does unless a test says otherwise; it counts how often it runs.
const DUMP_SCRIPT: &str = "echo run >> DIR/count\ncat DIR/db.sql\n";

/// A directory with uploads, a dump, a config and an identity of the operator.
pub struct Install {
    dir: TempDir,
    recipient: String,
}

impl Install {
    /// Makes one with a config of one vault, which `init` has not made yet.
    pub fn new() -> Self {
        Self::with_vaults(NIGHTLY)
    }

    /// Makes one with these vaults in its config; `DIR` in it is the directory.
    pub fn with_vaults(vaults: &str) -> Self {
        let mut install =
            Self { dir: tempfile::tempdir().unwrap(), recipient: "nobody".to_owned() };
        install.recipient = install.keygen("operator.key");
        install.write("uploads/documents/a.jpg", &noise(1, 70_000));
        install.write("uploads/selfies/b.jpg", &noise(2, 5_000));
        install.write_dump(400);
        install.write_script(DUMP_SCRIPT);
        install.write_config(vaults);
        install
    }

    /// Makes one whose vaults exist and have no snapshot.
    pub fn ready() -> Self {
        let install = Self::new();
        install.run(["init", "--kit", "kit"]).exits(0);
        install
    }

    /// Makes one with a snapshot, and returns that one's id.
    pub fn with_snapshot() -> (Self, String) {
        let install = Self::ready();
        let id = install.snapshot();
        (install, id)
    }

    /// Returns a path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns a path in the directory as text.
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Writes a file, and the directories above it.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Writes what the dump command prints: a dump of so many rows.
    pub fn write_dump(&self, row_count: u32) {
        let rows: String = (0..row_count).map(|row| format!("{row}\tname of {row}\n")).collect();
        let dump = format!(
            "--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.8\n\n\
             COPY public.users (id, name) FROM stdin;\n{rows}\\.\n\n\
             --\n-- PostgreSQL database dump complete\n--\n\n"
        );
        self.write("db.sql", dump.as_bytes());
    }

    /// Writes the dump command; `DIR` in it is the directory.
    pub fn write_script(&self, text: &str) {
        self.write("dump.sh", text.replace("DIR", self.dir.path().to_str().unwrap()).as_bytes());
    }

    /// Lets the dump command print the whole dump again.
    pub fn mend_script(&self) {
        self.write_script(DUMP_SCRIPT);
    }

    /// Writes the config: the usual head and sources, and these vaults.
    pub fn write_config(&self, vaults: &str) {
        let text = format!(
            "state_dir = \"DIR/state\"\nrecipients = [\"{}\"]\n{vaults}{SOURCES}",
            self.recipient
        );
        self.write(
            "config.toml",
            text.replace("DIR", self.dir.path().to_str().unwrap()).as_bytes(),
        );
    }

    /// Makes an unprotected identity and returns its recipient.
    pub fn keygen(&self, name: &str) -> String {
        let made = self.run(["keygen", "--no-passphrase", "--json", "-o", name]).json(0);
        made["recipient"].as_str().unwrap().to_owned()
    }

    /// Returns the program, ready to be run in the directory with nothing of the user's settings.
    pub fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_idswyft-vault"));
        command
            .args(words)
            .current_dir(self.dir.path())
            .env("IDSWYFT_VAULT_CONFIG", self.path("config.toml"))
            .env_remove("IDSWYFT_VAULT_IDENTITY")
            .env_remove("IDSWYFT_VAULT_PASSPHRASE")
            .env("HOME", self.dir.path())
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    /// Runs the program without an identity, as the host does.
    pub fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Outcome {
        Outcome::of(self.command(words).output().unwrap())
    }

    /// Runs the program with the operator's identity.
    pub fn unlock<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Outcome {
        let mut command = self.command(words);
        Outcome::of(command.env("IDSWYFT_VAULT_IDENTITY", "operator.key").output().unwrap())
    }

    /// Takes a snapshot, keeps a copy of what went into it, and returns its id.
    pub fn snapshot(&self) -> String {
        let report = self.run(["snapshot", "--json"]).json(0);
        let id = report["snapshots"][0]["id"].as_str().unwrap().to_owned();
        self.keep(&id);
        id
    }

    /// Keeps a copy of what is archived now, to compare a snapshot with later.
    pub fn keep(&self, id: &str) {
        for (name, bytes) in tree_of(&self.path("uploads")) {
            self.write(&format!("kept/{id}/uploads/{name}"), &bytes);
        }
        self.write(&format!("kept/{id}/db.sql"), &fs::read(self.path("db.sql")).unwrap());
    }

    /// Asserts that a snapshot restores byte for byte: whatever failed, nothing was lost.
    #[track_caller]
    pub fn assert_restores(&self, id: &str) {
        self.assert_restores_of("nightly", id);
    }

    /// Asserts that a snapshot of a vault restores byte for byte.
    #[track_caller]
    pub fn assert_restores_of(&self, vault: &str, id: &str) {
        let target = tempfile::tempdir_in(self.dir.path()).unwrap();
        let target_text = target.path().to_str().unwrap();
        let words = ["restore", id, "--target", target_text, "--vault", vault];
        self.unlock(words).exits(0);
        let mut restored = tree_of(target.path());
        restored.remove("facts.json").expect("the facts are there");
        assert_eq!(restored, tree_of(&self.path("kept").join(id)), "snapshot {id}");
    }

    /// Asserts that there is no snapshot but these.
    #[track_caller]
    pub fn assert_snapshots(&self, ids: &[&str]) {
        let words = ["snapshots", "--json", "--store", "local"];
        let listed = self.run(words).json(0)["snapshots"].as_array().unwrap().clone();
        let listed: Vec<&str> = listed.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(listed, ids);
    }

    /// Returns the names of the objects below a folder of the store, sorted.
    pub fn objects(&self, folder: &str) -> Vec<String> {
        let names = tree_of(&self.path("store").join(folder)).into_keys();
        names.map(|name| format!("{folder}/{name}")).collect()
    }

    /// Changes the bytes of a file.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path(name)).unwrap();
        change(&mut bytes);
        fs::write(self.path(name), bytes).unwrap();
    }
}

/// Returns every file below a directory by its path from there.
pub fn tree_of(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    files
}

/// Tells whether the rounds that take long were asked for.
pub fn is_long() -> bool {
    std::env::var_os("IDSWYFT_VAULT_TEST_LONG").is_some()
}

/// Returns bytes that look random and depend on a seed alone.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Returns a file of the uploads as the stack encrypts it under a key.
pub fn envelope(key: &str, plain: &[u8]) -> Vec<u8> {
    let mut storage = [0; 32];
    let parameters = scrypt::Params::new(14, 8, 1).unwrap();
    scrypt::scrypt(key.as_bytes(), b"idswyft-storage-salt", &parameters, &mut storage).unwrap();
    let (file_key, nonces) = ([9; 32], [[1; 12], [2; 12]]);
    let seal = |key: &[u8; 32], nonce: [u8; 12], plain: &[u8]| {
        let (tag, text) = encrypt(key, nonce, plain);
        [nonce.as_slice(), &tag, &text].concat()
    };
    let sealed_key = seal(&storage, nonces[0], &file_key);
    [b"IDSW\x01".to_vec(), sealed_key, seal(&file_key, nonces[1], plain)].concat()
}

/// Returns a value of `identity_vault` as the stack encrypts it under a key of 64 hex digits.
pub fn vault_value(key: &str, plain: &[u8]) -> String {
    let (key, nonce) = (hex::decode(key).unwrap().try_into().unwrap(), [3; 12]);
    let (tag, text) = encrypt(&key, nonce, plain);
    [hex::encode(nonce), hex::encode(tag), hex::encode(text)].join(":")
}

fn encrypt(key: &[u8; 32], nonce: [u8; 12], plain: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let sealed = Aes256Gcm::new(key.into()).encrypt(&Nonce::from(nonce), plain).unwrap();
    let (text, tag) = sealed.split_at(plain.len());
    (tag.to_vec(), text.to_vec())
}

/// How a run of the program ended and what it said.
pub struct Outcome {
    /// The exit code.
    pub exit: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Outcome {
    /// Reads what a process left.
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let exit = output.status.code().expect("the program was not killed");
        Self { exit, out: text(output.stdout), err: text(output.stderr) }
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn exits(self, exit: i32) -> Self {
        assert_eq!(self.exit, exit, "{self}");
        self
    }

    /// Asserts the exit code, and that standard output is one JSON object and nothing else.
    #[track_caller]
    pub fn json(self, exit: i32) -> Value {
        assert_eq!(self.exit, exit, "{self}");
        assert_eq!(self.out.lines().count(), 1, "{self}");
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// Asserts a failure: its exit code, its code, that it names what it is about, and its hint.
    #[track_caller]
    pub fn fails(self, exit: i32, code: &str, named: &[&str]) -> Self {
        assert_eq!(self.exit, exit, "{self}");
        assert!(self.err.contains(&format!("error[{code}]: failed to ")), "{self}");
        self.says(named);
        let known = Code::ALL.iter().find(|known| known.text() == code).expect("a known code");
        let hint = format!("hint: {}\n", known.hint());
        assert!(self.err.ends_with(&hint), "{self}");
        assert_eq!(self.out, "", "data went out beside a failure");
        self
    }

    /// Asserts a warning and its hint, of a command that does its work.
    #[track_caller]
    pub fn warns(self, code: &str, named: &[&str]) -> Self {
        self.exits(4).warned(code, named)
    }

    /// Asserts a warning and its hint.
    #[track_caller]
    pub fn warned(self, code: &str, named: &[&str]) -> Self {
        assert!(self.err.contains(&format!("warning[{code}]: ")), "{self}");
        assert!(self.err.contains("\nhint: "), "{self}");
        self.says(named);
        self
    }

    /// Asserts that standard error names things.
    #[track_caller]
    pub fn says(&self, named: &[&str]) {
        for name in named {
            assert!(self.err.contains(name), "{name:?} is not in: {self}");
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {}\n--- out\n{}--- err\n{}", self.exit, self.out, self.err)
    }
}

/// Returns the names of an object's fields, sorted.
pub fn fields(object: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}
