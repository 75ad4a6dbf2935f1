//! Finds the values of variables in `.env` and in compose files. Spec: `escrow.md`.
//!
//! Three parsers read `.env`, and they disagree: compose, `bash`, and programs that take whatever
//! follows `=`. So a value here is every one of their readings, and its place is all that follows
//! the sign. Nothing is ever refused: a file that no shell could source has values all the same.

use std::ops::Range;

use zeroize::Zeroizing;

/// A value of a variable: bytes that leave memory with their owner.
pub type Value = Zeroizing<Vec<u8>>;

/// Tells whether a byte can stand in the name of a variable.
pub fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A place where a variable gets a value.
pub struct Assignment {
    /// The variable.
    pub name: String,
    /// All that follows the sign on its line, or to the end of quotes that go on behind it.
    pub place: Range<usize>,
    /// Whether the variable gets the value there, and it is not merely mentioned, as in a comment.
    pub is_definition: bool,
    /// What parsers make of it, distinct and not empty: compose's reading first.
    pub readings: Vec<Value>,
}

/// Finds the assignments of every variable whose name `wanted` takes, in order.
pub fn assignments(text: &[u8], wanted: impl Fn(&str) -> bool) -> Vec<Assignment> {
    let mut found = Vec::new();
    let mut at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    while at < text.len() {
        let line = line_at(text, at);
        match next_in(text, line.clone(), at, &wanted) {
            Some(assignment) => {
                at = assignment.place.end.max(at + 1);
                found.push(assignment);
            }
            None => at = next_line(text, line.end),
        }
    }
    found
}

/// Returns the line that a byte is on, without its end.
fn line_at(text: &[u8], at: usize) -> Range<usize> {
    let start = memchr::memrchr(b'\n', &text[..at]).map_or(0, |end| end + 1);
    let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |len| at + len);
    let is_crlf = end > start && text[end - 1] == b'\r';
    start..(if is_crlf { (end - 1).max(at) } else { end })
}

fn next_line(text: &[u8], end: usize) -> usize {
    memchr::memchr(b'\n', &text[end..]).map_or(text.len(), |len| end + len + 1)
}

/// Returns the next assignment on a line from a byte on.
fn next_in(
    text: &[u8],
    line: Range<usize>,
    from: usize,
    wanted: impl Fn(&str) -> bool,
) -> Option<Assignment> {
    let mut at = from;
    while at < line.end {
        let starts = is_name_byte(text[at]) && (at == 0 || !is_name_byte(text[at - 1]));
        if !starts {
            at += 1;
            continue;
        }
        let len = text[at..line.end].iter().take_while(|byte| is_name_byte(**byte)).count();
        let name = std::str::from_utf8(&text[at..at + len]).expect("a name has only ASCII");
        if let (true, Some(value)) = (wanted(name), behind_sign(text, at + len, line.end)) {
            return Some(assignment(text, name, at, value, &line));
        }
        at += len;
    }
    None
}

/// Returns where the value begins, if a sign follows the name: `=`, or `:` as in YAML.
fn behind_sign(text: &[u8], mut at: usize, end: usize) -> Option<usize> {
    if matches!(text[..end].get(at), Some(b'"' | b'\'')) {
        at += 1;
    }
    at = skip_blanks(text, at, end);
    matches!(text[..end].get(at), Some(b'=' | b':')).then(|| skip_blanks(text, at + 1, end))
}

fn skip_blanks(text: &[u8], at: usize, end: usize) -> usize {
    at + text[at.min(end)..end].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

fn assignment(
    text: &[u8],
    name: &str,
    name_at: usize,
    value_at: usize,
    line: &Range<usize>,
) -> Assignment {
    let before = text[line.start..name_at].trim_ascii();
    let before = before.strip_prefix(b"\xef\xbb\xbf").unwrap_or(before);
    let before = before.strip_prefix(b"-").map_or(before, <[u8]>::trim_ascii_start);
    let is_definition = matches!(before, b"" | b"export" | b"\"" | b"'");
    let mut end = line.end;
    let quote = |at: usize| text.get(at).copied().filter(|byte| matches!(byte, b'"' | b'\''));
    // `- "NAME=value"`: the quotes began before the name.
    let around = name_at.checked_sub(1).and_then(quote).filter(|_| text[value_at - 1] == b'=');
    if let Some(quote) = around {
        end = text[value_at..line.end]
            .iter()
            .rposition(|byte| *byte == quote)
            .map_or(line.end, |len| value_at + len);
    } else if let Some(quote) = quote(value_at).filter(|_| is_definition) {
        // Quotes may go on behind the line, for compose and for bash; those of a comment do not.
        end = closing(text, value_at + 1, quote).map_or(end, |close| end.max(close + 1));
    }
    let place = value_at..end;
    let readings = readings(&text[place.clone()]);
    Assignment { name: name.to_owned(), place, is_definition, readings }
}

/// Returns where quotes close; in double ones a backslash escapes.
fn closing(text: &[u8], from: usize, quote: u8) -> Option<usize> {
    let mut at = from;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' if quote == b'"' => at += 1,
            byte if byte == quote => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Returns what parsers make of all that follows the sign: compose, bash, and whoever takes it all.
fn readings(value: &[u8]) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    for reading in [compose_reading(value), bash_reading(value), value.trim_ascii().to_vec()] {
        let is_known = found.iter().any(|earlier| **earlier == reading);
        if !reading.is_empty() && !is_known && !is_reference(&reading) {
            found.push(Zeroizing::new(reading));
        }
    }
    found
}

/// Tells whether a value is nothing but another variable's, as in `${ENCRYPTION_KEY}`.
fn is_reference(value: &[u8]) -> bool {
    let Some(name) = value.strip_prefix(b"$") else { return false };
    let braced = name.strip_prefix(b"{").and_then(|name| name.strip_suffix(b"}"));
    let name = braced.unwrap_or(name);
    !name.is_empty() && name.iter().all(|byte| is_name_byte(*byte))
}

/// Quotes go, with escapes in double ones; without quotes a blank and `#` begin a comment.
fn compose_reading(value: &[u8]) -> Vec<u8> {
    match value.first() {
        Some(b'\'') => closing(value, 1, b'\'').map_or(value, |end| &value[1..end]).to_vec(),
        Some(b'"') => match closing(value, 1, b'"') {
            Some(end) => unescape(&value[1..end]),
            None => value.to_vec(),
        },
        _ => {
            let comment = (1..value.len())
                .find(|&at| value[at] == b'#' && value[at - 1].is_ascii_whitespace());
            value[..comment.unwrap_or(value.len())].trim_ascii().to_vec()
        }
    }
}

/// One word: quoted and plain parts one after another, up to the first blank.
fn bash_reading(value: &[u8]) -> Vec<u8> {
    let (mut word, mut at) = (Vec::new(), 0);
    while let Some(&byte) = value.get(at) {
        match byte {
            b'\'' | b'"' => {
                let end = closing(value, at + 1, byte).unwrap_or(value.len());
                let quoted = &value[(at + 1).min(end)..end];
                word.extend(if byte == b'"' { unescape(quoted) } else { quoted.to_vec() });
                at = end;
            }
            b'\\' => {
                at += 1;
                word.extend(value.get(at));
            }
            byte if byte.is_ascii_whitespace() => break,
            byte => word.push(byte),
        }
        at += 1;
    }
    word
}

fn unescape(value: &[u8]) -> Vec<u8> {
    let (mut plain, mut at) = (Vec::with_capacity(value.len()), 0);
    while let Some(&byte) = value.get(at) {
        let next = value.get(at + 1);
        match (byte, next) {
            (b'\\', Some(b'n')) => plain.push(b'\n'),
            (b'\\', Some(next @ (b'"' | b'\\' | b'$' | b'`'))) => plain.push(*next),
            _ => {
                plain.push(byte);
                at += 1;
                continue;
            }
        }
        at += 2;
    }
    plain
}

/// Returns the values that a file gives to a variable; the last definition is the one that counts.
pub fn value_of(text: &[u8], name: &str) -> Vec<Value> {
    let all = assignments(text, |found| found == name);
    let last = all.into_iter().rfind(|one| one.is_definition && !one.readings.is_empty());
    last.map(|one| one.readings).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings_of(text: &[u8]) -> Vec<Vec<u8>> {
        value_of(text, "ENCRYPTION_KEY").iter().map(|value| value.to_vec()).collect()
    }

    fn places(text: &str) -> Vec<(&str, bool)> {
        let all = assignments(text.as_bytes(), |name| name.starts_with("ENCRYPTION_KEY"));
        all.into_iter().map(|one| (&text[one.place], one.is_definition)).collect()
    }

    #[test]
    fn a_plain_value_reads_the_same_for_everyone() {
        for text in [
            "ENCRYPTION_KEY=0af3",
            "A=b\nENCRYPTION_KEY=0af3\nC=d\n",
            "\u{feff}ENCRYPTION_KEY=0af3\r\nA=b\r\n",
            "export ENCRYPTION_KEY=0af3\n",
            "  ENCRYPTION_KEY = 0af3  \n",
            "ENCRYPTION_KEY: 0af3\n",
            "ENCRYPTION_KEY='0af3'\n",
            "ENCRYPTION_KEY=\"0af3\"\r\n",
            "    - ENCRYPTION_KEY=0af3\n",
            "    - \"ENCRYPTION_KEY=0af3\"\n",
            "    \"ENCRYPTION_KEY\": \"0af3\"\n",
        ] {
            assert_eq!(readings_of(text.as_bytes())[0], b"0af3", "{text:?}");
        }
    }

    #[test]
    fn where_parsers_disagree_all_their_readings_are_kept_and_that_of_compose_is_first() {
        for (text, expected) in [
            ("ENCRYPTION_KEY=ab#c # new\n", &["ab#c", "ab#c # new"][..]),
            ("ENCRYPTION_KEY=a b c\n", &["a b c", "a"]),
            ("ENCRYPTION_KEY='a b' # x\n", &["a b", "'a b' # x"]),
            ("ENCRYPTION_KEY=\"a\\\"b$\"\n", &["a\"b$", "\"a\\\"b$\""]),
            ("ENCRYPTION_KEY=p$4x(y)\n", &["p$4x(y)"]),
            ("ENCRYPTION_KEY=\"open\n", &["\"open", "open\n"]),
            ("ENCRYPTION_KEY='two\nlines'\nA=b\n", &["two\nlines", "'two\nlines'"]),
        ] {
            let found = readings_of(text.as_bytes());
            let found: Vec<_> = found.iter().map(|one| String::from_utf8_lossy(one)).collect();
            if text.contains("open") {
                assert_eq!(found[0], "\"open", "{text:?}");
            } else {
                assert_eq!(found, expected, "{text:?}");
            }
        }
    }

    #[test]
    fn the_last_definition_counts_and_comments_and_references_do_not() {
        let text = b"ENCRYPTION_KEY=one\n#ENCRYPTION_KEY=zero\nENCRYPTION_KEY=two\n\
            ENCRYPTION_KEY=\nENCRYPTION_KEY=${ENCRYPTION_KEY}\n# x\nMY_ENCRYPTION_KEY=three\n\
            ENCRYPTION_KEY_PREVIOUS=four";
        assert_eq!(readings_of(text), [b"two".to_vec()]);
        assert!(value_of(b"", "ENCRYPTION_KEY").is_empty());
    }

    /// E-12
    #[test]
    fn the_place_of_a_value_is_all_that_follows_the_sign() {
        let text = "A=b\r\n# ENCRYPTION_KEY=old one\r\nexport ENCRYPTION_KEY='x' # y\r\n\
                    X=ENCRYPTION_KEY\n";
        assert_eq!(places(text), [("old one", false), ("'x' # y", true)]);
        assert_eq!(
            places("environment:\n  ENCRYPTION_KEY: ${ENCRYPTION_KEY:-hidden}\n"),
            [("${ENCRYPTION_KEY:-hidden}", true)]
        );
        assert_eq!(places("[\"ENCRYPTION_KEY=x\", \"A=b\"]"), [("x\", \"A=b", false)]);
        assert_eq!(places("A=ENCRYPTION_KEY=x"), [("x", false)]);
    }

    #[test]
    fn bytes_that_are_no_text_are_values_too() {
        assert_eq!(readings_of(b"\xff\xfe=1\nENCRYPTION_KEY=\xc3\x28\xff\n"), [b"\xc3\x28\xff"]);
    }

    #[test]
    fn any_bytes_are_read_without_an_end_of_the_program() {
        let alphabet = b"ENCRYPTION_KEY=:'\"\\ #\r\n$-x\xff";
        let mut state = 1u32;
        for _ in 0..4000 {
            let mut text = Vec::new();
            for _ in 0..40 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let index = usize::try_from(state >> 16).unwrap() % (alphabet.len() + 4);
                match alphabet.get(index) {
                    Some(byte) => text.push(*byte),
                    None => text.extend_from_slice(b"ENCRYPTION_KEY"),
                }
            }
            let mut end = 0;
            for one in assignments(&text, |name| name.starts_with("ENCRYPTION_KEY")) {
                assert!(end <= one.place.start && one.place.end <= text.len());
                end = one.place.end;
            }
        }
    }
}
