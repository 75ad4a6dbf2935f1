//! Identity files: plain and protected by a passphrase, ours and those of stock `age`.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use idswyft_vault::crypto::identity::NewIdentity;

use crate::support::program::{Program, Ran};

const PASSPHRASE: &str = "correct horse battery staple";

fn keygen(program: &Program, file: &str, passphrase: Option<&str>) -> String {
    let mut command = program.command(&["keygen", "-q", "-o", file]);
    match passphrase {
        Some(passphrase) => command.env("IDSWYFT_VAULT_PASSPHRASE", passphrase),
        None => command.arg("--no-passphrase"),
    };
    let ran = Ran::of(command.output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.stdout.trim().to_owned()
}

/// Reads `db` out of the newest snapshot.
fn cat(program: &Program, identity: &str, passphrase: Option<&str>) -> Ran {
    let mut command = program.command(&["cat", "latest", "db", "-i", identity]);
    if let Some(passphrase) = passphrase {
        command.env("IDSWYFT_VAULT_PASSPHRASE", passphrase);
    }
    Ran::of(command.output().unwrap())
}

fn archived_to(program: &Program, recipients: &[&str]) {
    program.configure(recipients, "", &program.usual_sources());
    program.init();
    program.snapshot(0);
}

#[test]
fn only_the_right_passphrase_opens_a_protected_identity() {
    let program = Program::new();
    let plain = keygen(&program, "plain.key", None);
    let protected = keygen(&program, "protected.key", Some(PASSPHRASE));
    archived_to(&program, &[&plain, &protected]);
    let dump = fs::read_to_string(program.path("db.sql")).unwrap();
    for (identity, passphrase) in [("plain.key", None), ("protected.key", Some(PASSPHRASE))] {
        let ran = cat(&program, identity, passphrase);
        assert_eq!((ran.code, &ran.stdout), (0, &dump), "{}", ran.stderr);
    }
    for passphrase in [Some("wrong"), Some(""), None] {
        let ran = cat(&program, "protected.key", passphrase);
        assert_eq!((ran.code, ran.stdout.as_str()), (6, ""), "{passphrase:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("error[passphrase-wrong]"), "{}", ran.stderr);
    }
}

#[test]
fn an_identity_that_stock_age_protects_opens_the_vault() {
    let program = Program::new();
    archived_to(&program, &[&program.recipient]);
    let args = ["-p", "-o", "protected.key", "operator.key"];
    age_on_a_terminal(program.dir.path(), &args, 2);
    let ran = cat(&program, "protected.key", Some(PASSPHRASE));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.stdout, fs::read_to_string(program.path("db.sql")).unwrap());
    assert_eq!(cat(&program, "protected.key", Some("wrong")).code, 6);
}

#[test]
fn stock_age_opens_with_an_identity_that_we_protect() {
    let program = Program::new();
    let recipient = keygen(&program, "protected.key", Some(PASSPHRASE));
    archived_to(&program, &[&recipient]);
    let objects = program.objects().into_iter().map(|(path, _)| path);
    let generation = objects.into_iter().find(|path| path.starts_with("generations")).unwrap();
    let sealed = program.store.join(generation);
    let args = ["-d", "-i", "protected.key", "-o", "generation.key", sealed.to_str().unwrap()];
    age_on_a_terminal(program.dir.path(), &args, 1);
    let opened = fs::read_to_string(program.path("generation.key")).unwrap();
    assert!(opened.contains("\nAGE-SECRET-KEY-1"), "{}", opened.lines().next().unwrap());
}

#[test]
fn what_is_no_identity_file_is_refused_as_such() {
    let program = Program::new();
    archived_to(&program, &[&program.recipient]);
    let secret = fs::read(program.path("operator.key")).unwrap();
    let new = NewIdentity::generate(jiff::Timestamp::UNIX_EPOCH);
    let recipient: age::x25519::Recipient = new.recipient.parse().unwrap();
    fs::write(program.path("sealed"), age::encrypt(&recipient, &secret).unwrap()).unwrap();
    fs::write(program.path("noise"), b"\0\xffnoise").unwrap();
    fs::write(program.path("empty"), b"").unwrap();
    fs::write(program.path("cut"), &secret[..secret.len() - 9]).unwrap();
    fs::write(program.path("header"), b"age-encryption.org/v1\n").unwrap();
    for name in ["sealed", "noise", "empty", "cut", "header"] {
        let ran = cat(&program, name, Some(PASSPHRASE));
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains("error[identity-invalid]"), "{name}: {}", ran.stderr);
        assert!(!ran.stderr.contains("AGE-SECRET-KEY-1"), "{}", ran.stderr);
    }
    let ran = cat(&program, "absent", None);
    assert_eq!(ran.code, 6);
}

/// Runs stock `age`, which takes a passphrase from a terminal only, on one that types it.
///
/// `script` comes with every Debian; it ends the input only when `age` ended, because this end of
/// the pipe stays open.
fn age_on_a_terminal(dir: &Path, args: &[&str], times: usize) {
    let quoted = args.iter().map(|arg| format!(" '{arg}'")).collect::<String>();
    let mut child = Command::new("script")
        .args(["-qec", &format!("age{quoted}"), "/dev/null"])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut said, mut byte) = (Vec::new(), [0]);
    for _ in 0..times {
        // Typed only when asked for, since asking may throw away what was typed before.
        while output.read(&mut byte).unwrap() == 1 {
            said.push(byte[0]);
            if said.ends_with(b": ") {
                break;
            }
        }
        writeln!(input, "{PASSPHRASE}").unwrap();
    }
    output.read_to_end(&mut said).unwrap();
    let status = child.wait().unwrap();
    assert!(status.success(), "age {args:?}: {}", String::from_utf8_lossy(&said));
    drop(input);
}
