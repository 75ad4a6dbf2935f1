//! Ledger events of every kind (§8.4), and leaf hashes and roots (RFC 6962, §2.1).

use idswyft_vault::base::Code;
use sha2::{Digest as _, Sha256};

use super::file::Vector;
use super::made_packs::{VAULT, generation};
use super::made_signed::{signer, snapshot};

/// Returns the vectors.
pub fn vectors() -> Vec<Vector> {
    let mut all = kinds();
    all.extend(envelopes());
    all.push(roots());
    all
}

/// The fields of each event; `{}` stand for what `fields` puts there.
const FIELDS: [(&str, &str); 18] = [
    ("vault.created", "{note}"),
    ("policy.set", r#"{note},"policy":{"keep_daily":30,"time_zone":"UTC"}"#),
    ("signer.added", r#"{note},{subject},"role":"auditor""#),
    ("signer.retired", "{note},{subject}"),
    (
        "generation.opened",
        r#"{generation},"revs":[{"rev":1,"sha256":{digest}}],"recipient_sha256":{digest}"#,
    ),
    ("generation.closed", "{generation}"),
    ("generation.shredded", r#"{generation},"revs":[1],"stores":["local"]"#),
    ("snapshot.taken", r#"{snapshot},"note_sha256":{digest},"stored_len":2,"new_len":1"#),
    ("snapshot.forgotten", r#"{snapshot},"rule":"keep_daily","by":"janitor""#),
    ("packs.deleted", r#""store":"local","objects":[{pack}],"stored_len":65736"#),
    ("hold.placed", "{snapshot},{reason}"),
    ("hold.released", r#"{snapshot},"placed_by":"0123456789abcdef","placed_seq":4,{reason}"#),
    ("secret.sealed", r#""object":"kit","sha256":{digest},"stored_len":300"#),
    ("recipients.changed", r#"{note},"generations":[{{generation},"rev":2,"sha256":{digest}}]"#),
    ("store.completed", r#""store":"mirror",{snapshot}"#),
    (
        "verified",
        concat!(
            r#""scope":{"store":"local","level":"contents","snapshot":null,"sample_percent":100},"#,
            r#""result":{"outcome":"passed","object_count":9,"finding_count":0}"#
        ),
    ),
    (
        "drilled",
        concat!(
            r#""store":"local",{snapshot},"#,
            r#""result":{"outcome":"failed","duration_s":9,"finding_count":1}"#
        ),
    ),
    ("clock.anomaly", r#""known":"2026-11-22T02:30:00Z","found":"2026-11-21T02:30:00Z""#),
];

/// The events' names and fields.
fn fields() -> impl Iterator<Item = (&'static str, String)> {
    let digest = format!("\"{}\"", "33".repeat(32));
    let parts = [
        ("{note}", format!(r#""number":2,"note_sha256":"{}""#, "44".repeat(32))),
        ("{subject}", r#""subject":"0123456789abcdef""#.to_owned()),
        ("{generation}", format!(r#""generation":"{}""#, generation())),
        ("{snapshot}", format!(r#""snapshot":"{}""#, snapshot())),
        ("{reason}", format!(r#""reason_digest":{digest},"reason_sealed":"c2VhbGVk""#)),
        ("{pack}", format!(r#""packs/08/{}""#, "08".repeat(32))),
        ("{digest}", digest),
    ];
    FIELDS.into_iter().map(move |(name, fields)| {
        let put = |text: String, (part, with): &(&str, String)| text.replace(part, with);
        (name, parts.iter().fold(fields.to_owned(), put))
    })
}

fn event(name: &str, fields: &str) -> String {
    let (vault, signer) = (VAULT, signer());
    let fields = if fields.is_empty() { String::new() } else { format!("{fields},") };
    format!(
        concat!(
            r#"{{"v":1,"requires":[],"vault":"{}","signer":"{}","seq":3,"#,
            r#""time":"2026-11-22T02:30:00Z","event":"{}",{}"seen":[]}}"#,
            "\n"
        ),
        vault, signer, name, fields
    )
}

fn vector(name: &str, covers: &str, says: &str, text: String) -> Vector {
    Vector::new(&format!("event-{name}"), covers, says, text.into_bytes())
        .with("vault", VAULT)
        .with("signer", signer())
        .with("seq", 3)
        .in_text()
}

fn kinds() -> Vec<Vector> {
    let mut all = Vec::new();
    for (name, fields) in fields() {
        let text = event(name, &fields);
        let file = name.replace('.', "-");
        let says = format!("The event {name}.");
        all.push(vector(&file, "V-117", &says, text.clone()).releases(text.as_bytes()));
        let (_, field) = fields.split_once('"').expect("a field has a name");
        let cut = text.replacen(&format!("\"{field}"), &format!("\"x{field}"), 1);
        let says = format!("The event {name} without its first field.");
        all.push(vector(&format!("{file}-cut"), "V-9", &says, cut));
    }
    all
}

fn envelopes() -> Vec<Vector> {
    let text = event("generation.closed", &format!(r#""generation":"{}""#, generation()));
    let change = |from: &str, to: &str| text.replacen(from, to, 1);
    let seen = |signers: &[&str]| {
        let root = "07".repeat(32);
        let one = |signer: &&str| format!(r#"{{"signer":"{signer}","size":3,"root":"{root}"}}"#);
        let all: Vec<String> = signers.iter().map(one).collect();
        change(r#""seen":[]"#, &format!(r#""seen":[{}]"#, all.join(",")))
    };
    let (a, b, own) = ("00000000000000aa", "00000000000000bb", signer().to_string());
    let sound = |name, covers, says, text: String| {
        vector(name, covers, says, text.clone()).releases(text.as_bytes())
    };
    let unknown = event("moon.waxed", r#""phase":0.5"#);
    vec![
        sound("unknown", "V-119", "An event that nobody knows.", unknown),
        sound("seen", "V-118", "It saw two other logs.", seen(&[a, b])),
        vector("seen-unsorted", "V-118", "They are not sorted.", seen(&[b, a])),
        vector("seen-twice", "V-118", "One is there twice.", seen(&[a, a])),
        vector("seen-own", "V-118", "It saw its own.", seen(&[&own])),
        vector("name", "V-119", "A name with a digit.", change("generation.closed", "x1")),
        vector("no-line", "V-2", "No LF at its end.", text.trim_end().to_owned()),
        vector("two-lines", "V-2", "An LF within.", change(",", ",\n")),
        vector("crlf", "V-2", "CR LF at its end.", text.replace('\n', "\r\n")),
        vector("seq", "V-13", "Another place in the log.", change(":3,", ":4,"))
            .refused(Code::ObjectForeign),
        vector(
            "newer",
            "V-6, V-7",
            "Version 2, without fields.",
            "{\"v\":2,\"requires\":[]}\n".to_owned(),
        )
        .refused(Code::FormatTooNew),
        vector(
            "requires",
            "V-6",
            "It requires what nobody knows.",
            change(r#""requires":[]"#, r#""requires":["moon"]"#),
        )
        .refused(Code::FormatTooNew),
        vector("old", "V-4", "Version 0.", change(r#""v":1"#, r#""v":0"#)),
        vector("twice", "V-10", "A field twice.", change(r#""seq":3"#, r#""seq":3,"seq":3"#)),
        vector("large", "V-11", "2^53 + 1.", change(":3,", ":9007199254740993,")),
        vector("id-case", "V-1", "An id in capitals.", change(&own, &own.to_uppercase())),
        vector("time-zone", "V-12", "A time with an offset.", change("00Z", "00+00:00")),
        vector("time-zeros", "V-12", "A fraction that says nothing.", change("00Z", "00.0Z")),
        vector(
            "stamp",
            "V-3",
            "A generation of the 31st of November.",
            change("20261122T", "20261131T"),
        ),
    ]
}

/// Eight leaves of certificate transparency's own tests, in hex, and the roots of 1 to 8 of them.
fn roots() -> Vector {
    let leaves = concat!(
        "\n00\n10\n2021\n3031\n40414243\n5051525354555657\n",
        "606162636465666768696a6b6c6d6e6f"
    );
    let hashes: Vec<Vec<u8>> = leaves
        .split('\n')
        .map(|leaf| [&[0], &hex::decode(leaf).expect("it is hex")[..]].concat())
        .map(|leaf| Sha256::digest(leaf).to_vec())
        .collect();
    let roots: Vec<String> = (1..=hashes.len())
        .map(|size| format!("{}\n", hex::encode(root(&hashes[..size]))))
        .collect();
    // As RFC 6962's implementations publish it, for 8.
    assert_eq!(roots[7], "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328\n");
    Vector::new("merkle", "V-117", "The roots of 1 to 8 leaves.", leaves.into())
        .in_text()
        .releases(roots.concat().as_bytes())
}

fn root(hashes: &[Vec<u8>]) -> Vec<u8> {
    let [one] = hashes else {
        let (left, right) = hashes.split_at(hashes.len().next_power_of_two() / 2);
        return Sha256::digest([&[1], &root(left)[..], &root(right)].concat()).to_vec();
    };
    one.clone()
}
