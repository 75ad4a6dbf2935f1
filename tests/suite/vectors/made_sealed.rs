//! Sealed objects (§4.1): sound, and wrong in one way each.

use idswyft_vault::base::Code;

use super::age_writer::{KeyPair, PIECE_LEN, header, piece, seal};
use super::file::Vector;

/// Bytes of a header with one X25519 stanza, and of its payload nonce.
const HEADER_LEN: usize = 168;
const NONCE_LEN: usize = 16;

/// Whom the vectors are sealed to.
pub fn owner() -> KeyPair {
    KeyPair::of(1)
}

/// Plaintext that is easy to tell apart.
pub fn pattern(len: usize) -> Vec<u8> {
    b"idswyft-vault ".iter().copied().cycle().take(len).collect()
}

fn vector(name: &str, covers: &str, says: &str, bytes: Vec<u8>) -> Vector {
    Vector::new(&format!("sealed-{name}"), covers, says, bytes)
        .with("identity", owner().identity())
        .refused(Code::ObjectUnreadable)
}

/// Returns the vectors.
pub fn vectors() -> Vec<Vector> {
    let mut all = sound();
    all.extend(bad_headers());
    all.extend(cut_short());
    all.extend(bad_pieces());
    all
}

fn sound() -> Vec<Vector> {
    let sealed = |len| seal(&owner(), &pattern(len));
    vec![
        vector("one-piece", "V-17", "100 bytes: one short piece.", sealed(100))
            .releases(&pattern(100)),
        vector("empty", "V-24", "No bytes: one empty piece.", sealed(0)).releases(b""),
        vector(
            "two-pieces",
            "V-17, V-23",
            "65,537 bytes: a full piece and one byte.",
            sealed(PIECE_LEN + 1),
        )
        .releases(&pattern(PIECE_LEN + 1)),
    ]
}

fn bad_headers() -> Vec<Vector> {
    let mut flipped = seal(&owner(), &pattern(100));
    flipped[HEADER_LEN - 10] ^= 1;
    let with = |stanzas: &[String]| [header(stanzas), piece(0, true, &pattern(100))].concat();
    let (first, second) = (owner().stanza(2), KeyPair::of(3).stanza(4));
    let grease = "-> k-grease h*%J\nbm9ib2R5\n".to_owned();
    vec![
        vector("mac-flipped", "V-21", "The header's MAC is wrong.", flipped),
        vector(
            "two-stanzas",
            "V-19",
            "Two recipients, where the format has one.",
            with(&[first.clone(), second]),
        ),
        vector("grease", "V-19", "A grease stanza beside the one.", with(&[first, grease])),
    ]
}

fn cut_short() -> Vec<Vector> {
    let whole = seal(&owner(), &pattern(100));
    let two = seal(&owner(), &pattern(2 * PIECE_LEN));
    let cut = |name, says, len: usize| vector(name, "V-20, V-22", says, whole[..len].to_vec());
    vec![
        cut("cut-in-header", "Ends before the MAC line.", 120),
        cut("cut-before-nonce", "Ends after the header.", HEADER_LEN),
        cut("cut-before-payload", "Ends after the nonce.", HEADER_LEN + NONCE_LEN),
        cut("cut-in-tag", "Ends within the last tag.", whole.len() - 8),
        vector(
            "cut-in-second-tag",
            "V-20, V-22",
            "Ends within what would be the tag of a second, empty piece.",
            two[..HEADER_LEN + NONCE_LEN + PIECE_LEN + 16 + 8].to_vec(),
        ),
        vector(
            "cut-between-pieces",
            "V-23",
            "Ends after a whole piece that is not the last.",
            two[..HEADER_LEN + NONCE_LEN + PIECE_LEN + 16].to_vec(),
        ),
    ]
}

fn bad_pieces() -> Vec<Vector> {
    let head = header(&[owner().stanza(2)]);
    let full = pattern(PIECE_LEN);
    let with = |pieces: &[Vec<u8>]| [head.clone(), pieces.concat()].concat();
    vec![
        vector(
            "last-flag-missing",
            "V-23",
            "The only piece is not flagged as the last.",
            with(&[piece(0, false, &pattern(100))]),
        ),
        vector(
            "extra-piece",
            "V-23",
            "A piece follows the one that is flagged as the last.",
            with(&[piece(0, true, &full), piece(1, true, b"more")]),
        ),
        vector(
            "empty-final-piece",
            "V-24",
            "An empty piece follows a full one.",
            with(&[piece(0, false, &full), piece(1, true, b"")]),
        ),
        vector(
            "forged-final-piece",
            "V-24, V-22",
            "Cut after a piece that is not the last, with 16 bytes of noise in place of the rest.",
            with(&[piece(0, false, &full), vec![0x5a; 16]]),
        ),
    ]
}
