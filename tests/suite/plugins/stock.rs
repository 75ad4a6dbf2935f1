//! What we seal, stock `age` opens, and the other way round as far as the form is ours.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use idswyft_vault::base::{Code, Coded, SystemEntropy};
use idswyft_vault::crypto::identity::GenerationIdentity;
use idswyft_vault::crypto::seal;

use crate::support::vault::noise;

/// Around one piece of 64 KiB, and several.
const LENS: [usize; 6] = [0, 1, 65_535, 65_536, 65_537, 200_000];

fn age(args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new("age");
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("age is needed by the tests: {e}"));
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "age {args:?}");
    output.stdout
}

fn generation(dir: &Path) -> (GenerationIdentity, String, String) {
    let identity = GenerationIdentity::generate(&SystemEntropy);
    let key = dir.join("generation.key");
    fs::write(&key, identity.to_secret_text().as_bytes()).unwrap();
    let recipient = identity.recipient().to_string();
    (identity, key.to_str().unwrap().to_owned(), recipient)
}

/// V-17
#[test]
fn stock_age_opens_what_we_seal_at_every_length() {
    let dir = tempfile::tempdir().unwrap();
    let (identity, key, _) = generation(dir.path());
    for len in LENS {
        let plain = noise(1, len);
        let sealed = seal::seal(&identity.recipient(), &plain, &SystemEntropy).unwrap();
        assert!(age(&["-d", "-i", &key], &sealed) == plain, "{len} bytes");
    }
}

/// Stock `age` 1.1 writes one X25519 stanza and nothing else, which is exactly our form.
#[test]
fn we_open_what_stock_age_seals_in_our_form() {
    let dir = tempfile::tempdir().unwrap();
    let (identity, _, recipient) = generation(dir.path());
    for len in LENS {
        let plain = noise(2, len);
        let sealed = age(&["-r", &recipient], &plain);
        assert_eq!(sealed.len() as u64, seal::sealed_len(len as u64));
        assert!(*seal::open("object", &sealed, &identity).unwrap() == plain, "{len} bytes");
    }
}

/// V-19
#[test]
fn any_other_form_that_stock_age_writes_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let (identity, _, recipient) = generation(dir.path());
    let other = GenerationIdentity::generate(&SystemEntropy).recipient().to_string();
    let plain = noise(3, 100_000);
    let two = age(&["-r", &recipient, "-r", &other], &plain);
    let armored = age(&["-a", "-r", &recipient], &plain);
    for sealed in [two, armored] {
        let error = seal::open("packs/x", &sealed, &identity).unwrap_err();
        assert_eq!(error.code(), Code::ObjectUnreadable, "{error}");
        assert!(error.to_string().contains("packs/x"), "{error}");
    }
    let foreign = age(&["-r", &other], &plain);
    let error = seal::open("packs/x", &foreign, &identity).unwrap_err();
    assert_eq!(error.code(), Code::ObjectUnreadable, "{error}");
}
