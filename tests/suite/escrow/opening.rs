//! Who opens what: one person, two persons, nobody, and the stock programs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use idswyft_vault::base::{Code, Coded};
use idswyft_vault::ops::escrow::open::{self, Version};

use super::{Custodian, Escrow, KEY, ODD_KEY, names};

/// An `.env` that no shell could source, with the key where no parser would look.
fn hostile_env() -> Vec<u8> {
    let base64 = base64::engine::general_purpose::STANDARD.encode(KEY);
    let raw = base64::engine::general_purpose::STANDARD.encode(hex::decode(KEY).unwrap());
    let upper = KEY.to_uppercase();
    let text = format!(
        "\u{feff}DB_PASSWORD=p$4x@h/db?a=b&c\r\nWATCHTOWER_SCHEDULE=0 0 4 * * *   (6-field)\r\n\
         EMAIL_FROM=Acme <no@x.io>\r\n# old: ENCRYPTION_KEY={ODD_KEY}\r\n\
         # copied: {upper} {base64}\r\nOTHER={raw}\r\nURL=https://u:{KEY}@h/\r\n\
         export ENCRYPTION_KEY={KEY} # mine\r\nX='open\r\n"
    );
    [text.as_bytes(), b"\xff\xfe\0no newline at the end"].concat()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
}

/// E-7, E-10
#[test]
fn one_custodian_gets_every_file_byte_for_byte_and_the_key_alone() {
    let escrow = Escrow::new();
    escrow.write(".env", &hostile_env());
    escrow.write("caddy/certs/key.pem", b"-----BEGIN\n");
    let env = escrow.path("install/.env");
    fs::set_permissions(&env, fs::Permissions::from_mode(0o640)).unwrap();
    escrow.seal();
    let opened = escrow.open(Version::Latest);
    assert!(opened.lacking.is_empty());
    assert_eq!(opened.file(".env").unwrap(), hostile_env());
    assert_eq!(opened.file("caddy/certs/key.pem").unwrap(), b"-----BEGIN\n");
    assert_eq!(opened.files[0].mode, 0o640);
    assert_eq!(opened.keys[0].value.as_slice(), KEY.as_bytes());
}

/// E-12, E-13
#[test]
fn two_persons_together_get_what_one_of_them_cannot() {
    let mut escrow = Escrow::of_two_persons();
    escrow.write(".env", &hostile_env());
    let odd = format!("environment:\n  - \"ENCRYPTION_KEY_PREVIOUS={ODD_KEY}\"\n");
    escrow.write("docker-compose.override.yml", odd.as_bytes());
    escrow.run("ENCRYPTION_KEY", KEY);
    escrow.run("ENCRYPTION_KEY_PREVIOUS", ODD_KEY);
    let sealing = escrow.seal();
    assert!(escrow.seal().newly.is_empty(), "cuts that are unchanged are not sealed again");
    let second = escrow.second.as_ref().unwrap();
    // The first alone: the files without any key.
    let alone = escrow.custodian.identities();
    let opened = open::open(escrow.store.as_ref(), &alone, Version::Latest).unwrap();
    assert!(opened.keys.is_empty() && opened.lacking.len() == 3, "{:?}", opened.lacking);
    let raw = base64::engine::general_purpose::STANDARD.encode(hex::decode(KEY).unwrap());
    let encoded = base64::engine::general_purpose::STANDARD.encode(KEY);
    for object in &sealing.needed {
        let sealed = fs::read(escrow.path("escrow").join(object.object.to_string())).unwrap();
        let Ok(plain) = alone.open("x", &sealed) else { continue };
        for secret in [KEY, ODD_KEY, &raw[..40], &encoded[..80]] {
            assert!(!contains(&plain, secret.as_bytes()), "{secret} is in {}", object.object);
        }
        // What is not a key's is all there.
        assert!(contains(&plain, b"DB_PASSWORD=p$4x@h/db?a=b&c\r\n"));
    }
    assert!(contains(opened.file(".env").unwrap(), b"export ENCRYPTION_KEY=\r\n"));
    // The second alone: the keys and no file.
    let opened = open::open(escrow.store.as_ref(), &second.identities(), Version::Latest).unwrap();
    assert!(opened.files.is_empty() && opened.bundle.is_none() && opened.keys.len() == 2);
    assert_eq!(opened.lacking.len(), 1);
    // Both: every byte.
    let opened = escrow.open(Version::Named(&sealing.needed));
    assert!(opened.lacking.is_empty());
    assert_eq!(opened.file(".env").unwrap(), hostile_env());
    assert_eq!(opened.file("docker-compose.override.yml").unwrap(), odd.as_bytes());
    let values: Vec<_> = opened.keys.iter().map(|key| key.value.as_slice()).collect();
    assert_eq!(values, [KEY.as_bytes(), ODD_KEY.as_bytes()]);
}

#[test]
fn an_identity_of_neither_opens_nothing() {
    let escrow = Escrow::of_two_persons();
    let sealing = escrow.seal();
    for version in [Version::Latest, Version::Named(&sealing.needed)] {
        let stranger = Custodian::new().identities();
        let error = open::open(escrow.store.as_ref(), &stranger, version).err().unwrap();
        assert_eq!((error.code(), error.code().exit()), (Code::IdentityWrong, 6));
    }
    let empty = crate::support::vault::local(&escrow.path("empty"), "empty");
    empty.prepare().unwrap();
    let known = escrow.custodian.identities();
    let error = open::open(empty.as_ref(), &known, Version::Latest).err().unwrap();
    assert_eq!(error.code(), Code::EscrowUnknown);
}

/// E-20
#[test]
fn an_object_that_is_not_the_one_that_was_named_is_not_opened() {
    let escrow = Escrow::new();
    let sealing = escrow.seal();
    for name in names(&sealing.needed) {
        let path = escrow.path("escrow").join(&name);
        let sound = fs::read(&path).unwrap();
        for at in [10, 100, sound.len() / 2, sound.len() - 1] {
            let mut altered = sound.clone();
            altered[at] ^= 1;
            fs::write(&path, &altered).unwrap();
            let known = escrow.custodian.identities();
            let open = |version| open::open(escrow.store.as_ref(), &known, version);
            let error = open(Version::Named(&sealing.needed)).err().unwrap();
            assert_eq!(error.code(), Code::ObjectAltered, "{name} at {at}: {error}");
            assert!(open(Version::Latest).is_err(), "{name} at {at}");
        }
        fs::write(&path, sound).unwrap();
    }
    // Somebody who can write to the store seals a bundle of their own, to the same recipient.
    escrow.write(".env", b"ENCRYPTION_KEY=of somebody who could write to the store\n");
    escrow.seal();
    let opened = escrow.open(Version::Named(&sealing.needed));
    assert_eq!(opened.keys[0].value.as_slice(), KEY.as_bytes());
    fs::remove_file(escrow.path("escrow").join(&names(&sealing.needed)[0])).unwrap();
    let known = escrow.custodian.identities();
    let version = Version::Named(&sealing.needed);
    let error = open::open(escrow.store.as_ref(), &known, version).err().unwrap();
    assert_eq!(error.code(), Code::ObjectMissing);
}

/// E-21
#[test]
fn what_is_opened_is_for_its_owner_only_and_goes_over_nothing() {
    let escrow = Escrow::new();
    escrow.write("caddy/certs/key.pem", b"key");
    escrow.seal();
    let opened = escrow.open(Version::Latest);
    let target = escrow.path("opened");
    fs::create_dir(&target).unwrap();
    let written = open::write(&opened, &target).unwrap();
    assert_eq!(written.len(), 4, "{written:?}");
    for entry in walkdir::WalkDir::new(&target) {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        let expected = if entry.file_type().is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, expected, "{}", entry.path().display());
    }
    assert_eq!(fs::read_to_string(target.join("keys/ENCRYPTION_KEY")).unwrap(), KEY);
    let error = open::write(&opened, &target).unwrap_err();
    assert_eq!(error.code(), Code::TargetNotEmpty);
}

/// Runs a stock program that the tests install; a missing one fails the test.
fn run(dir: &Path, program: &str, args: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(args).current_dir(dir).output();
    let output = output.unwrap_or_else(|e| panic!("{program} is needed by the tests: {e}"));
    assert!(output.status.success(), "{program} {args:?}");
    output.stdout
}

/// E-5, E-7, E-9
#[test]
fn stock_programs_open_the_bundle_and_the_key_and_put_a_cut_back() {
    let escrow = Escrow::of_two_persons();
    let sealing = escrow.seal();
    let dir = escrow.dir.path();
    fs::write(dir.join("one.key"), &escrow.custodian.file).unwrap();
    fs::write(dir.join("two.key"), &escrow.second.as_ref().unwrap().file).unwrap();
    let names = names(&sealing.needed);
    let [key, cuts, bundle] = [0, 1, 2].map(|index| format!("escrow/{}", names[index]));
    assert_eq!(run(dir, "age", &["-d", "-i", "two.key", &key]), KEY.as_bytes());
    fs::write(dir.join("b.tar"), run(dir, "age", &["-d", "-i", "one.key", &bundle])).unwrap();
    fs::create_dir(dir.join("out")).unwrap();
    run(dir, "tar", &["-x", "-f", "b.tar", "-C", "out"]);
    let listed = run(dir, "tar", &["-t", "-f", "b.tar"]);
    assert!(listed.starts_with(b".idswyft-vault-escrow.json\n.env\n"));
    // The lines of the spec, word by word.
    let piece = run(dir, "jq", &[".cuts.pieces[0].offset", "out/.idswyft-vault-escrow.json"]);
    let offset: usize = String::from_utf8(piece).unwrap().trim().parse().unwrap();
    let script = format!(
        "{{ head -c {offset} out/.env; age -d -i two.key {cuts}\n tail -c +$(({offset} + 1)) \
         out/.env; }}"
    );
    let whole = run(dir, "sh", &["-c", &script]);
    assert_eq!(whole, fs::read(dir.join("install/.env")).unwrap());
}
