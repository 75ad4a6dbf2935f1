//! Cuts a key out of the files of a bundle, wherever it stands, and puts it back. Spec:
//! `escrow.md`.
//!
//! A value is found in any case of its letters, in hex, and in base64 at any of the three places
//! that a value within encoded bytes can begin at.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem;
use zeroize::Zeroizing;

/// Bytes that a value must have to be looked for anywhere: a shorter one stands everywhere.
pub const SOUGHT_LEN_MIN: usize = 8;

/// Text that is looked for.
struct Spelling {
    text: Zeroizing<Vec<u8>>,
    ignores_case: bool,
}

/// Returns where any of the values stands in a text in any spelling, and these `places` besides:
/// in order, not overlapping, not empty.
pub fn find(text: &[u8], values: &[&[u8]], places: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let lower = Zeroizing::new(text.to_ascii_lowercase());
    let mut found = places;
    for spelling in values.iter().flat_map(|value| spellings(value)) {
        let haystack = if spelling.ignores_case { lower.as_slice() } else { text };
        let finder = memmem::Finder::new(spelling.text.as_slice());
        let mut from = 0;
        while let Some(at) = haystack.get(from..).and_then(|rest| finder.find(rest)) {
            found.push(from + at..from + at + spelling.text.len());
            from += at + 1;
        }
    }
    merged(found)
}

fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

fn spellings(value: &[u8]) -> Vec<Spelling> {
    if value.len() < SOUGHT_LEN_MIN {
        return Vec::new();
    }
    let caseless = |text: Vec<u8>| Spelling {
        text: Zeroizing::new(text.to_ascii_lowercase()),
        ignores_case: true,
    };
    let mut all = vec![caseless(value.to_vec()), caseless(hex::encode(value).into_bytes())];
    all.extend(in_base64(value));
    if let Ok(bytes) = hex::decode(value).map(Zeroizing::new)
        && bytes.len() >= SOUGHT_LEN_MIN
    {
        all.extend(in_base64(&bytes));
    }
    all
}

/// Returns the characters that stand for a value in base64 whatever is around it.
fn in_base64(value: &[u8]) -> Vec<Spelling> {
    let mut all = Vec::new();
    for before in 0..3 {
        let mut bytes = Zeroizing::new(vec![0; before]);
        bytes.extend_from_slice(value);
        // A character that holds bits of what is around it may be any.
        let start = (before * 8).div_ceil(6);
        let end = bytes.len() * 8 / 6;
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = Zeroizing::new(engine.encode(bytes.as_slice()));
            let text = Zeroizing::new(text.as_bytes()[start..end].to_vec());
            all.push(Spelling { text, ignores_case: false });
        }
    }
    all
}

/// Splits a text into what is left without some ranges, and what was in them.
pub fn cut(text: &[u8], ranges: &[Range<usize>]) -> (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>) {
    let (mut left, mut pieces) = (Zeroizing::default(), Zeroizing::default());
    let (left_bytes, piece_bytes): (&mut Vec<u8>, &mut Vec<u8>) = (&mut left, &mut pieces);
    let mut at = 0;
    for range in ranges {
        left_bytes.extend_from_slice(&text[at..range.start]);
        piece_bytes.extend_from_slice(&text[range.clone()]);
        at = range.end;
    }
    left_bytes.extend_from_slice(&text[at..]);
    (left, pieces)
}

/// Puts pieces back, each at its offset in the whole; nothing if they do not fit.
pub fn put_back(left: &[u8], pieces: &[(u64, &[u8])]) -> Option<Zeroizing<Vec<u8>>> {
    let mut whole = Zeroizing::new(Vec::with_capacity(
        left.len() + pieces.iter().map(|(_, piece)| piece.len()).sum::<usize>(),
    ));
    let mut rest = left;
    for (offset, piece) in pieces {
        let offset = usize::try_from(*offset).ok()?;
        let (before, behind) = rest.split_at_checked(offset.checked_sub(whole.len())?)?;
        whole.extend_from_slice(before);
        whole.extend_from_slice(piece);
        rest = behind;
    }
    whole.extend_from_slice(rest);
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"00c1e7f2A9b0d4c6e8f0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6";

    fn left_of(text: &[u8]) -> Vec<u8> {
        let ranges = find(text, &[KEY], Vec::new());
        let (left, pieces) = cut(text, &ranges);
        let (mut parts, mut rest) = (Vec::new(), pieces.as_slice());
        for range in &ranges {
            let (piece, behind) = rest.split_at(range.len());
            parts.push((range.start as u64, piece));
            rest = behind;
        }
        assert_eq!(put_back(&left, &parts).unwrap().as_slice(), text);
        left.to_vec()
    }

    /// E-12, E-13
    #[test]
    fn a_value_goes_in_every_spelling_and_comes_back_byte_for_byte() {
        let standard = &base64::engine::general_purpose::STANDARD;
        let raw = hex::decode(KEY).unwrap();
        let around = |before: &[u8]| standard.encode([before, KEY, b"behind"].concat());
        for text in [
            KEY.to_vec(),
            KEY.to_ascii_lowercase(),
            KEY.to_ascii_uppercase(),
            hex::encode(KEY).into_bytes(),
            hex::encode_upper(KEY).into_bytes(),
            standard.encode(KEY).into_bytes(),
            URL_SAFE_NO_PAD.encode(KEY).into_bytes(),
            standard.encode(&raw).into_bytes(),
        ] {
            let line = [b"A=".as_slice(), &text, b" # ", &text, b"\r\nB=c"].concat();
            let left = left_of(&line);
            // Of base64 the last character and the padding may hold bits of what follows.
            assert!(left.len() <= b"A= # \r\nB=c".len() + 6, "{}", String::from_utf8_lossy(&left));
        }
        for before in [&b""[..], b"u", b"us", b"use", b"user:"] {
            let left = left_of(around(before).as_bytes());
            assert!(left.len() < 20, "{before:?}: {}", String::from_utf8_lossy(&left));
        }
    }

    #[test]
    fn neighbours_and_overlaps_are_one_cut_and_a_short_value_is_cut_only_where_it_is_defined() {
        let pairs = |text: &[u8], value: &[u8], places: &[(usize, usize)]| -> Vec<(usize, usize)> {
            let places = places.iter().map(|(start, end)| *start..*end).collect();
            find(text, &[value], places).into_iter().map(|one| (one.start, one.end)).collect()
        };
        let twice = [KEY, KEY].concat();
        assert_eq!(pairs(&twice, KEY, &[(0, 3)]), [(0, twice.len())]);
        assert_eq!(pairs(b"aaaa aaaaaaaaa", b"aaaaaaaa", &[]), [(5, 14)]);
        assert_eq!(pairs(b"K=abc abc", b"abc", &[(2, 5), (9, 9)]), [(2, 5)]);
    }

    #[test]
    fn pieces_that_do_not_fit_are_refused() {
        assert_eq!(put_back(b"ab", &[(1, b"x"), (3, b"y")]).unwrap().as_slice(), b"axby");
        assert!(put_back(b"ab", &[(3, b"x")]).is_none());
        assert!(put_back(b"ab", &[(1, b"xy"), (2, b"z")]).is_none());
    }
}
