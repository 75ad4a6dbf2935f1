//! Vault notes and snapshot notes that are signed and wrong (§8.1, §8.2), and checkpoints (§8.5).

use idswyft_vault::base::Code;
use idswyft_vault::crypto::signing::{KeyUse, SigningKey};

use super::file::Vector;
use super::made_packs::VAULT;
use super::made_signed::{root, sign, signer, snapshot, snapshot_note, vault_note, writer};

/// Returns the vectors.
pub fn vectors() -> Vec<Vector> {
    let mut all = vault_notes();
    all.extend(parameters());
    all.extend(snapshot_notes());
    all.extend(signatures());
    all.extend(checkpoints());
    all
}

/// A vault note with a text replaced by another.
fn vault(name: &str, covers: &str, says: &str, from: &str, to: &str) -> Vector {
    let text = vault_note().compose().expect("the note is sound");
    assert!(text.contains(from), "{name}");
    Vector::new(
        &format!("vault_note-{name}"),
        covers,
        says,
        sign(&root(), &text.replacen(from, to, 1)),
    )
    .with("vault", VAULT)
    .with("number", 1)
    .with("vkey", root().verification_key())
    .in_text()
}

fn vault_notes() -> Vec<Vector> {
    let digest = "33".repeat(32);
    let twice = format!(r#"["{digest}","{digest}"]"#);
    let one = format!(r#"["{digest}"]"#);
    let signer = signer().to_string();
    let foreign = |vector: Vector| vector.refused(Code::ObjectForeign);
    let newer = |vector: Vector| vector.refused(Code::FormatTooNew);
    vec![
        foreign(vault("number", "V-13", "Its number is 2.", r#""number":1"#, r#""number":2"#)),
        foreign(vault("vault", "V-91", "Of another vault.", &VAULT.to_string(), &"12".repeat(16))),
        newer(vault("first-line", "V-92", "Another version in line 1.", "/v1 ", "/v2 ")),
        newer(vault("newer", "V-6", "Version 2.", r#""v":1"#, r#""v":2"#)),
        vault("program", "V-91", "Another program in line 1.", "idswyft-vault/v1", "else/v1"),
        vault("three-lines", "V-91", "A third line.", "}\n", "}\nmore\n"),
        vault("previous", "V-98", "The first has one before it.", "null", &format!("\"{digest}\"")),
        vault("name", "V-101", "A name with a space.", "nightly", "night ly"),
        vault("no-recipient", "V-102", "No recipient.", &one, "[]"),
        vault("recipient-twice", "V-102", "A recipient twice.", &one, &twice),
        vault("role", "V-103", "A role that there is not.", r#""writer""#, r#""reader""#),
        vault(
            "key",
            "V-104",
            "The key of another id.",
            &format!("\"{signer}\""),
            "\"0123456789abcdef\"",
        ),
        vault(
            "event-twice",
            "V-103",
            "An event twice.",
            r#""verified""#,
            r#""verified","verified""#,
        ),
        vault(
            "no-time-zone",
            "V-9",
            "The time is missing.",
            r#""time":"2026-11-22T02:30:00Z","#,
            "",
        ),
    ]
}

fn parameters() -> Vec<Vector> {
    let of = |name: &str, says, from: &str, to: &str| {
        vault(&format!("parameters-{name}"), "V-107", says, from, to)
    };
    vec![
        of("odd", "An odd length.", r#""avg":4096"#, r#""avg":4097"#),
        of("order", "The least above the average.", r#""min":1024"#, r#""min":8192"#),
        of("small", "An average below 256.", r#""min":1024,"avg":4096"#, r#""min":64,"avg":254"#),
        of("chunk", "A chunk of more than 1 MiB.", r#""max":262144"#, r#""max":1048578"#),
        of("level", "Level 23.", r#""level":9"#, r#""level":23"#),
        of(
            "block",
            "A block of more than 4 MiB.",
            r#""block_len":1048576"#,
            r#""block_len":4194306"#,
        ),
        of(
            "block-short",
            "A block below the greatest chunk.",
            r#""block_len":1048576"#,
            r#""block_len":131072"#,
        ),
        of("pack", "A pack of less than 4 MiB.", r#""pack_len":33554432"#, r#""pack_len":4194303"#),
        of(
            "retire",
            "More than 100 percent.",
            r#""retire_below_percent":25"#,
            r#""retire_below_percent":101"#,
        ),
        of("reuse", "No day of reuse.", r#""reuse_days":30"#, r#""reuse_days":0"#),
        of(
            "age",
            "An age of no day.",
            r#""generation_max_age_days":365"#,
            r#""generation_max_age_days":0"#,
        ),
    ]
}

fn snapshot_text() -> String {
    snapshot_note().compose().expect("the note is sound")
}

fn snapshot_vector(name: &str, covers: &str, says: &str, bytes: Vec<u8>) -> Vector {
    Vector::new(&format!("snapshot_note-{name}"), covers, says, bytes)
        .with("vault", VAULT)
        .with("snapshot", snapshot())
        .with("vkey", writer().verification_key())
        .in_text()
}

fn snapshot_notes() -> Vec<Vector> {
    let text = snapshot_text();
    let change = |name, covers, says, from: &str, to: &str| {
        assert!(text.contains(from), "{name}");
        snapshot_vector(name, covers, says, sign(&writer(), &text.replacen(from, to, 1)))
    };
    vec![
        change(
            "new-len",
            "V-108",
            "More is new than stored.",
            r#""new_len":131472"#,
            r#""new_len":131473"#,
        ),
        change(
            "floor",
            "V-108",
            "A floor before its time.",
            r#""floor":null"#,
            r#""floor":"2026-11-22T02:29:59Z""#,
        ),
        change(
            "body-len",
            "V-108",
            "A body beyond the limit.",
            r#""len":65736"#,
            r#""len":536870913"#,
        )
        .refused(Code::LimitExceeded),
        change(
            "list-len",
            "V-108",
            "A list beyond the limit.",
            r#""len":300"#,
            r#""len":536870913"#,
        )
        .refused(Code::LimitExceeded),
        change("snapshot", "V-13", "Of another snapshot.", "00000002", "0000000f")
            .refused(Code::ObjectForeign),
    ]
}

fn signatures() -> Vec<Vector> {
    let text = snapshot_text();
    let signed = String::from_utf8(sign(&writer(), &text)).expect("a note is text");
    let other = SigningKey::from_seed(VAULT, KeyUse::Signer, &[9; 32]);
    let witness = String::from_utf8(sign(&other, &text)).expect("a note is text");
    let witness = witness.lines().last().expect("a signature").to_owned();
    let line = signed.lines().last().expect("a signature").to_owned();
    let signature = |name: &str, says, note: String| {
        snapshot_vector(name, "V-95", says, note.into_bytes()).refused(Code::SignatureInvalid)
    };
    let witnessed = format!("{signed}{witness}\n");
    vec![
        snapshot_vector("witnessed", "V-97", "Somebody else signed too.", witnessed.into_bytes())
            .releases(text.as_bytes()),
        signature("only-witness", "Only somebody else signed.", format!("{text}\n{witness}\n")),
        signature("unsigned", "Nobody signed.", format!("{text}\n")),
        signature("hyphen", "A hyphen for the dash.", signed.replace('\u{2014}', "-")),
        signature("cut", "Without the last LF.", signed.trim_end().to_owned()),
        signature("no-empty-line", "No empty line.", format!("{text}{line}\n")),
        signature(
            "edited",
            "A digit of the text is another.",
            signed.replacen("131472", "131473", 2),
        ),
    ]
}

fn checkpoints() -> Vec<Vector> {
    let origin = format!("idswyft-vault/v1/ledger/{VAULT}/{}", signer());
    let root_text = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    let vector = |name: &str, says, text: String| {
        Vector::new(&format!("checkpoint-{name}"), "V-121", says, sign(&writer(), &text))
            .with("vault", VAULT)
            .with("signer", signer())
            .with("vkey", writer().verification_key())
            .in_text()
    };
    let foreign = format!("idswyft-vault/v1/ledger/{VAULT}/0123456789abcdef");
    vec![
        vector("foreign", "Of another log.", format!("{foreign}\n3\n{root_text}\n"))
            .refused(Code::ObjectForeign),
        vector(
            "leading-zero",
            "A size with a zero before it.",
            format!("{origin}\n03\n{root_text}\n"),
        ),
        vector("short-root", "A root of 31 bytes.", format!("{origin}\n3\n{}\n", &root_text[..40])),
        vector("no-root", "No root.", format!("{origin}\n3\n")),
        vector(
            "not-canonical",
            "A root whose spare bits are not zero.",
            format!("{origin}\n3\n{}\n", root_text.replace("c=", "d=")),
        ),
    ]
}
