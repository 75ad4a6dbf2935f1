//! The real program, from the outside: transcripts of what a user sees, and whole sessions.
//!
//! Every file of `tests/cmd` is run and compared.
//! `TRYCMD=overwrite cargo test --test cli` writes what the program says now.

#![expect(clippy::unwrap_used, reason = "what a test leans on panics as the test does")]

mod access;
mod attesting;
mod auditing;
mod changes;
mod choices;
mod damage;
mod differing;
mod drills;
mod escrow;
mod evidence;
mod ledgers;
mod lost;
mod mirrors;
mod nights;
mod pings;
mod prune;
mod reports;
mod retention;
mod rooms;
mod rows;
mod s3;
mod sampling;
mod session;
mod shred;
mod sources;
mod space;
mod stack;
mod support;
#[expect(dead_code, reason = "the other test binary uses the rest")]
#[path = "../support_s3/mod.rs"]
mod support_s3;
mod together;
mod vouching;

use std::path::Path;
use std::process::{Command, Stdio};

use age::secrecy::SecretString;
use idswyft_vault::crypto::identity::{AskPassphrase, DataIdentities, NoPassphrase};

const PASSPHRASE: &str = "correct horse battery staple";

#[test]
fn every_message_is_as_it_is_written_down() {
    let scratch = tempfile::tempdir().expect("a temporary directory can be made");
    // The scripts of a transcript run the program as well.
    let program = Path::new(env!("CARGO_BIN_EXE_idswyft-vault"));
    let place = program.parent().unwrap().display();
    let path = format!("{place}:{}", std::env::var("PATH").unwrap_or_default());
    trycmd::TestCases::new()
        .default_bin_name("idswyft-vault")
        // Nothing of the user's own settings may reach the program.
        .env("IDSWYFT_VAULT_CONFIG", "idswyft-vault.toml")
        .env("IDSWYFT_VAULT_PASSPHRASE", PASSPHRASE)
        .env("HOME", scratch.path().to_string_lossy())
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .env("TZ", "UTC")
        .env("PATH", path)
        .env("INSTALL", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cmd/install.sh"))
        .register_bins(["sh", "mv"].map(|name| (name, Path::new("/bin").join(name))))
        .case("tests/cmd/*.trycmd");
}

#[derive(Clone)]
struct Knows;

impl AskPassphrase for Knows {
    fn passphrase(&self, _description: &str) -> Option<SecretString> {
        Some(PASSPHRASE.to_owned().into())
    }

    fn message(&self, _text: &str) {}
}

#[test]
fn keygen_protects_the_identity_with_the_passphrase_of_the_environment() {
    let scratch = tempfile::tempdir().expect("a temporary directory can be made");
    let path = scratch.path().join("operator.key");
    let output = Command::new(env!("CARGO_BIN_EXE_idswyft-vault"))
        .args(["keygen", "--quiet", "-o"])
        .arg(&path)
        .env("IDSWYFT_VAULT_PASSPHRASE", PASSPHRASE)
        .output()
        .expect("the program runs");
    assert!(output.status.success() && output.stderr.is_empty());
    let printed = String::from_utf8(output.stdout).expect("a recipient is text");
    let bytes = std::fs::read(&path).expect("the identity was written");
    assert!(DataIdentities::parse("x", &bytes, &NoPassphrase).is_err());
    assert!(DataIdentities::parse("x", &bytes, &Knows).is_ok());
    assert!(printed.starts_with("age1") && printed.trim().len() == 62, "{printed}");
    assert!(!bytes.windows(15).any(|window| window == b"AGE-SECRET-KEY-"));
}

#[test]
fn without_a_terminal_a_missing_passphrase_is_an_error_and_no_file_is_left() {
    let scratch = tempfile::tempdir().expect("a temporary directory can be made");
    let path = scratch.path().join("operator.key");
    let output = Command::new(env!("CARGO_BIN_EXE_idswyft-vault"))
        .args(["keygen", "-o"])
        .arg(&path)
        .env_remove("IDSWYFT_VAULT_PASSPHRASE")
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error[passphrase-wrong]"));
    assert!(output.stdout.is_empty() && !path.exists());
}
