//! Sealed objects (§4.1) wrong in the ways that the age test vectors of CCTV are, and what those
//! accept: made here, so that each differs in one thing from an object of this format.

use idswyft_vault::base::Code;

use super::age_writer::{FILE_KEY, KeyPair, PIECE_LEN, finish, header, piece, seal, stanza_of};
use super::file::Vector;
use super::made_sealed::{owner, pattern};

/// Bytes of a header with one X25519 stanza, and of its payload nonce.
const HEADER_LEN: usize = 168;
const NONCE_LEN: usize = 16;

/// What stock `age` does with a file.
#[derive(Clone, Copy)]
enum Stock {
    Opens,
    Refuses,
}

fn vector(name: &str, covers: &str, says: &str, stock: Stock, bytes: Vec<u8>) -> Vector {
    let stock = match stock {
        Stock::Opens => "ok",
        Stock::Refuses => "refuse",
    };
    Vector::new(&format!("sealed-{name}"), covers, says, bytes)
        .with("identity", owner().identity())
        .with("stock", stock)
        .refused(Code::ObjectUnreadable)
}

/// Returns the vectors.
pub fn vectors() -> Vec<Vector> {
    let mut all = macs();
    all.extend(first_lines());
    all.extend(shares());
    all.extend(file_keys());
    all.extend(stanzas());
    all.extend(spellings());
    all.extend(streams());
    all.extend(long_streams());
    all
}

/// An object of a header, with a payload of 100 bytes.
fn object(header: Vec<u8>) -> Vec<u8> {
    [header, piece(0, true, &pattern(100))].concat()
}

/// An object whose MAC line is another.
fn with_mac(after: impl FnOnce(&str) -> String) -> Vec<u8> {
    let text = format!("age-encryption.org/v1\n{}---", owner().stanza(2));
    object(finish(&text, &FILE_KEY, after))
}

/// Replaces the last letter by one that decodes to the same bytes and has other spare bits.
fn not_canonical(base64: &str) -> String {
    let (rest, last) = base64.split_at(base64.len() - 1);
    let next = char::from(last.as_bytes()[0] + 1);
    format!("{rest}{next}")
}

fn macs() -> Vec<Vector> {
    let refused = |name: &str, says, bytes| {
        vector(&format!("hmac-{name}"), "V-21", says, Stock::Refuses, bytes)
    };
    vec![
        refused("bad", "Another MAC.", with_mac(|mac| format!(" A{}", &mac[1..]))),
        refused("missing", "No MAC.", with_mac(|_| String::new())),
        refused("extra-space", "Two spaces before it.", with_mac(|mac| format!("  {mac}"))),
        refused("garbage", "More after it.", with_mac(|mac| format!(" {mac}AAAA"))),
        refused("no-space", "No space before it.", with_mac(|mac| mac.to_owned())),
        refused(
            "not-canonical",
            "Its spare bits are not zero.",
            with_mac(|mac| format!(" {}", not_canonical(mac))),
        ),
        refused("trailing-space", "A space after it.", with_mac(|mac| format!(" {mac} "))),
        refused("truncated", "A letter is missing.", with_mac(|mac| format!(" {}", &mac[1..]))),
    ]
}

fn first_lines() -> Vec<Vector> {
    let with = |line: &str| {
        let text = format!("{line}{}---", owner().stanza(2));
        object(finish(&text, &FILE_KEY, |mac| format!(" {mac}")))
    };
    let sound = seal(&owner(), &pattern(100));
    let crlf = String::from_utf8(header(&[owner().stanza(2)])[..HEADER_LEN].to_vec());
    let crlf = crlf.expect("a header is text").replace('\n', "\r\n").into_bytes();
    let crlf = [crlf, sound[HEADER_LEN..].to_vec()].concat();
    let refused = |name: &str, says, bytes| vector(name, "V-19", says, Stock::Refuses, bytes);
    vec![
        refused("no-bytes", "Nothing at all.", Vec::new()),
        refused("version", "Another version.", with("age-encryption.org/v1234\n")),
        refused("header-crlf", "Lines end with CR LF.", crlf),
        vector("armor", "V-17", "Armored.", Stock::Opens, armored(&sound)),
    ]
}

fn armored(bytes: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    let lines = text.as_bytes().chunks(64).map(|line| [line, b"\n"].concat());
    let lines: Vec<u8> = lines.flatten().collect();
    let (begin, end) =
        ("-----BEGIN AGE ENCRYPTED FILE-----\n", "-----END AGE ENCRYPTED FILE-----\n");
    [begin.as_bytes(), &lines, end.as_bytes()].concat()
}

/// Wrong shares; each wraps the file key as if it were right.
fn shares() -> Vec<Vector> {
    let refused = |name: &str, says, stanza: String| {
        let name = format!("x25519-{name}");
        vector(&name, "V-17, V-19", says, Stock::Refuses, object(header(&[stanza])))
    };
    let (share, body) = owner().wrap(2, &FILE_KEY);
    let zero_shared =
        |share: [u8; 32]| stanza_of(&share, &owner().wrap_with(&share, &[0; 32], &FILE_KEY));
    // A point of order 8 (RFC 7748, §6.1, and the lists of small orders).
    let low_order: [u8; 32] =
        hex::decode("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")
            .expect("it is hex")
            .try_into()
            .expect("32 bytes");
    let sound = stanza_of(&share, &body);
    let (line, rest) = sound.split_once('\n').expect("a stanza has two lines");
    let rest = rest.trim_end();
    vec![
        refused("identity", "The share is the neutral point.", zero_shared([0; 32])),
        refused("low-order", "The share has a small order.", zero_shared(low_order)),
        refused("long-share", "33 bytes.", stanza_of(&[&share[..], &[0]].concat(), &body)),
        refused("short-share", "31 bytes.", stanza_of(&share[..31], &body)),
        refused(
            "not-canonical-share",
            "Its spare bits are not zero.",
            format!("{}\n{rest}\n", not_canonical(line)),
        ),
        refused(
            "not-canonical-body",
            "The wrapped key's spare bits are not zero.",
            format!("{line}\n{}\n", not_canonical(rest)),
        ),
        refused("lowercase", "The type is x25519.", sound.replacen("X25519", "x25519", 1)),
        refused("extra-argument", "A second argument.", format!("{line} 1234\n{rest}\n")),
    ]
}

fn file_keys() -> Vec<Vector> {
    let refused = |name: &str, says, bytes| {
        vector(&format!("x25519-{name}"), "V-17", says, Stock::Refuses, bytes)
    };
    let (share, mut body) = owner().wrap(2, &FILE_KEY);
    body[20] ^= 1;
    let flipped = object(header(&[stanza_of(&share, &body)]));
    let long_key = [0x42; 24];
    let (share, body) = owner().wrap(2, &long_key);
    let text = format!("age-encryption.org/v1\n{}---", stanza_of(&share, &body));
    let long = object(finish(&text, &long_key, |mac| format!(" {mac}")));
    let stranger = object(header(&[KeyPair::of(3).stanza(2)]));
    vec![
        refused("bad-tag", "The tag of the wrapped key is wrong.", flipped),
        refused("long-file-key", "The file key has 24 bytes.", long),
        refused("no-match", "Sealed to somebody else.", stranger),
    ]
}

/// More stanzas than the one: age takes them, an object of this format has none.
fn stanzas() -> Vec<Vector> {
    let own = owner().stanza(2);
    let also = |name: &str, says, other: &str, stock| {
        let bytes = object(header(&[other.to_owned(), own.clone()]));
        vector(&format!("stanza-{name}"), "V-19", says, stock, bytes)
    };
    let (opens, refuses) = (Stock::Opens, Stock::Refuses);
    let full = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB";
    let stranger = KeyPair::of(3).stanza(4);
    vec![
        also("other-recipient", "Another recipient first.", &stranger, opens),
        also("empty-body", "A stanza without a body.", "-> empty\n\n", opens),
        also(
            "empty-last-line",
            "A full line, an empty one.",
            &format!("-> full\n{full}\n\n"),
            opens,
        ),
        also("valid-characters", "All characters.", "-> !\"#$%&' ()*+,-./ [\\]^_` {|}~\n\n", opens),
        also("missing-body", "No line for a body.", "-> missing\n", refuses),
        also(
            "missing-final-line",
            "A full line and no more.",
            &format!("-> full\n{full}\n"),
            refuses,
        ),
        also("long-line", "65 letters in a line.", &format!("-> long\n{full}A\n\n"), refuses),
        also("multiple-short-lines", "Two short lines.", "-> short\nQUFB\nQUFB\n", refuses),
        also("no-arguments", "A stanza without a type.", "->\n\n", refuses),
        also("bad-start", "It begins with an arrow of its own.", "-- X\n\n", refuses),
        also("empty-argument", "Two spaces.", "-> a  b\n\n", refuses),
        also("invalid-character", "A character that is not ASCII.", "-> \u{e8}\n\n", refuses),
        also("spurious-cr", "A carriage return.", "-> a\nQUFB\r\n", refuses),
        also("base64-padding", "Padded base64.", "-> a\nQUE=\n", refuses),
        also("not-canonical", "Its spare bits are not zero.", "-> a\nQUF\n", refuses),
    ]
}

/// The one stanza, spelled otherwise.
fn spellings() -> Vec<Vector> {
    let own = owner().stanza(2);
    let refused = |name: &str, says, stanza: String| {
        let bytes = object(header(&[stanza]));
        vector(&format!("spelled-{name}"), "V-17, V-19", says, Stock::Refuses, bytes)
    };
    vec![
        refused("space", "Two spaces before the share.", own.replacen("X25519 ", "X25519  ", 1)),
        refused("start", "Three characters of an arrow.", own.replacen("->", "-->", 1)),
        refused("cr", "A carriage return.", own.replacen('\n', "\r\n", 1)),
        refused("padding", "A padded body.", format!("{}=\n", own.trim_end())),
        refused("cut", "Without a body.", own.split_inclusive('\n').take(1).collect()),
    ]
}

fn streams() -> Vec<Vector> {
    let head = || header(&[owner().stanza(2)]);
    let sound = seal(&owner(), &pattern(100));
    let mut flipped = sound.clone();
    flipped[HEADER_LEN + NONCE_LEN + 100] ^= 1;
    let refused = |name: &str, covers, says, bytes| {
        vector(&format!("stream-{name}"), covers, says, Stock::Refuses, bytes)
    };
    let pieces = |pieces: &[Vec<u8>]| [head(), pieces.concat()].concat();
    let hundred = |index, is_last| piece(index, is_last, &pattern(100));
    vec![
        refused("short-nonce", "V-20", "15 bytes of nonce.", sound[..HEADER_LEN + 15].to_vec()),
        refused("bad-tag", "V-22", "The tag is wrong.", flipped),
        refused("garbage-short", "V-22", "A byte more.", [&sound[..], b"x"].concat()),
        refused("garbage-long", "V-22", "50 bytes more.", [&sound[..], &[0x5a; 50]].concat()),
        refused(
            "short-chunk",
            "V-23",
            "Two short pieces.",
            pieces(&[hundred(0, false), hundred(1, true)]),
        ),
        refused(
            "two-final",
            "V-23",
            "Two last pieces.",
            pieces(&[hundred(0, true), hundred(1, true)]),
        ),
        refused("counter", "V-22", "The counter begins with 1.", pieces(&[hundred(1, true)])),
    ]
}

/// What needs full pieces.
fn long_streams() -> Vec<Vector> {
    let sound = |name: &str, says, len| {
        let bytes = seal(&owner(), &pattern(len));
        vector(&format!("stream-{name}"), "V-17, V-23", says, Stock::Opens, bytes)
            .releases(&pattern(len))
    };
    let refused = |name: &str, covers, says, bytes| {
        vector(&format!("stream-{name}"), covers, says, Stock::Refuses, bytes)
    };
    let two = seal(&owner(), &pattern(PIECE_LEN + 100));
    let mut bad = two.clone();
    let last = bad.len() - 1;
    bad[last] ^= 1;
    let first = HEADER_LEN + NONCE_LEN;
    let second = first + PIECE_LEN + 16;
    let swapped = [&two[..first], &two[second..], &two[first..second]].concat();
    let full = seal(&owner(), &pattern(PIECE_LEN));
    vec![
        sound("last-chunk-full", "One full piece.", PIECE_LEN),
        sound("three-chunks", "Two full pieces and a short one.", 2 * PIECE_LEN + 100),
        refused("bad-tag-second", "V-22", "The second piece's tag is wrong.", bad),
        refused("swapped", "V-22", "The second piece first.", swapped),
        refused(
            "garbage-full",
            "V-22",
            "Bytes after a full piece.",
            [&full[..], &[0x5a; 20]].concat(),
        ),
    ]
}
