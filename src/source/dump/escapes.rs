//! Backslashes in the rows of a `COPY` and in strings of the form `E'…'`.

use memchr::memchr;

/// Whose rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// Those of the text format of `COPY`.
    Copy,
    /// Those of `E'…'`.
    String,
}

/// What an escape stands for.
struct Meant {
    bytes: [u8; 4],
    len: usize,
    /// Bytes that it takes behind the backslash.
    used: usize,
}

/// Replaces every escape by what it stands for, which is never longer.
pub(super) fn unescape(text: &mut Vec<u8>, escapes: Escapes) {
    let Some(first) = memchr(b'\\', text) else { return };
    let (mut read, mut write) = (first, first);
    while let Some(byte) = text.get(read).copied() {
        read += 1;
        if byte != b'\\' {
            text[write] = byte;
            write += 1;
            continue;
        }
        let meant = meaning(&text[read..], escapes);
        read += meant.used;
        text[write..write + meant.len].copy_from_slice(&meant.bytes[..meant.len]);
        write += meant.len;
    }
    text.truncate(write);
}

fn meaning(rest: &[u8], escapes: Escapes) -> Meant {
    let one = |byte, used| Meant { bytes: [byte, 0, 0, 0], len: 1, used };
    let Some(first) = rest.first().copied() else { return one(b'\\', 0) };
    match first {
        b'b' => one(8, 1),
        b't' => one(b'\t', 1),
        b'n' => one(b'\n', 1),
        b'v' if escapes == Escapes::Copy => one(11, 1),
        b'f' => one(12, 1),
        b'r' => one(b'\r', 1),
        b'0'..=b'7' => {
            let (value, used) = number(rest, 8, 3);
            one(value.to_le_bytes()[0], used)
        }
        b'x' => match number(&rest[1..], 16, 2) {
            (_, 0) => one(b'x', 1),
            (value, used) => one(value.to_le_bytes()[0], used + 1),
        },
        b'u' if escapes == Escapes::String => character(rest, 4),
        b'U' if escapes == Escapes::String => character(rest, 8),
        other => one(other, 1),
    }
}

/// Reads at most so many digits; returns their value and how many there are.
fn number(text: &[u8], radix: u32, len_max: usize) -> (u32, usize) {
    let digits = text.iter().take(len_max).map_while(|byte| char::from(*byte).to_digit(radix));
    digits.fold((0, 0), |(value, len), digit| (value.wrapping_mul(radix) + digit, len + 1))
}

fn character(rest: &[u8], digit_count: usize) -> Meant {
    let (value, len) = number(&rest[1..], 16, digit_count);
    let mut bytes = [0; 4];
    match char::from_u32(value).filter(|_| len == digit_count) {
        Some(meant) => {
            let len = meant.encode_utf8(&mut bytes).len();
            Meant { bytes, len, used: digit_count + 1 }
        }
        None => Meant { bytes: [rest[0], 0, 0, 0], len: 1, used: 1 },
    }
}
