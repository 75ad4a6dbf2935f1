//! Stock `age` opens what it must, and refuses what is no age file.

use std::fs;
use std::process::Command;

use idswyft_vault::crypto::digest::sha256;

use super::file::Expected;

/// V-17
#[test]
fn stock_age_opens_or_refuses_every_sealed_vector_as_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let (key, object) = (dir.path().join("key"), dir.path().join("object"));
    let mut wrong = Vec::new();
    for vector in super::all().iter().filter(|vector| vector.kind == "sealed") {
        fs::write(&key, vector.context::<String>("identity")).unwrap();
        fs::write(&object, &vector.bytes).unwrap();
        let opened = Command::new("age").arg("-d").arg("-i").arg(&key).arg(&object).output();
        let opened = opened.expect("age is needed by the tests");
        let digest = Expected::Released(sha256(&opened.stdout).to_string());
        let is_released = matches!(vector.expected, Expected::Released(_));
        let expected = match vector.stock() {
            Some(verdict) => verdict == "ok",
            None if is_released => true,
            None => continue,
        };
        let is_ok = opened.status.success();
        if is_ok != expected || (is_released && vector.expected != digest) {
            let said = String::from_utf8_lossy(&opened.stderr).into_owned();
            wrong.push(format!("{}: opens {is_ok}: {said}", vector.name));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
