//! Just enough of Rust's grammar to tell code from comments, strings and tests.

use std::ops::Range;

/// Returns `text` with comments, strings and character literals blanked out, at the same offsets.
pub fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = String::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = at + blank_len(bytes, at);
        if end == at {
            code.push(if bytes[at].is_ascii() { char::from(bytes[at]) } else { ' ' });
            at += 1;
            continue;
        }
        for byte in &bytes[at..end] {
            code.push(if *byte == b'\n' { '\n' } else { ' ' });
        }
        at = end;
    }
    code
}

/// Returns the byte ranges of items under `#[cfg(test)]` in blanked code.
pub fn test_ranges(code: &str) -> Vec<Range<usize>> {
    let attribute = "#[cfg(test)]";
    let starts = code.match_indices(attribute).map(|(at, _)| at);
    starts.map(|at| at..item_end(code, at + attribute.len())).collect()
}

/// Returns blanked code with what is under `#[cfg(test)]` blanked as well.
pub fn code_outside_tests(code: &str) -> String {
    let ranges = test_ranges(code);
    let keep = |at: usize, c: char| c == '\n' || !ranges.iter().any(|range| range.contains(&at));
    code.char_indices().map(|(at, c)| if keep(at, c) { c } else { ' ' }).collect()
}

/// Returns the 1-based line of an offset.
pub fn line_at(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Returns the identifier at the start of `text`, empty if there is none.
pub fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !is_identifier(c)).unwrap_or(text.len());
    &text[..end]
}

/// Tells whether a character may be part of an identifier.
pub fn is_identifier(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Returns the names after `mod`, each with the rest of the code after it.
pub fn declared_modules(code: &str) -> Vec<(&str, &str)> {
    let words = code.match_indices("mod ").filter(|(at, _)| !code[..*at].ends_with(is_identifier));
    let declarations = words.map(|(at, word)| {
        let rest = &code[at + word.len()..];
        rest.split_at(identifier(rest).len())
    });
    declarations.filter(|(name, _)| !name.is_empty()).collect()
}

/// Returns how many bytes at `at` are a comment or a literal; 0 if they are code.
fn blank_len(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment_len(rest),
        [b'"', ..] => quoted_len(rest, b'"'),
        [b'r', b'"' | b'#', ..] if !is_word_end(bytes, at) => raw_string_len(rest),
        [b'\'', b'\\', ..] => quoted_len(rest, b'\''),
        [b'\'', first, ..] => {
            let width = 1
                + usize::from(*first >= 0xC0)
                + usize::from(*first >= 0xE0)
                + usize::from(*first >= 0xF0);
            // Without a closing quote it is a lifetime.
            if rest.get(1 + width) == Some(&b'\'') { width + 2 } else { 0 }
        }
        _ => 0,
    }
}

/// Tells whether the byte before `at` belongs to a longer word than the prefixes `b` and `c`.
fn is_word_end(bytes: &[u8], at: usize) -> bool {
    let before = |n: usize| at.checked_sub(n).map_or(' ', |i| char::from(bytes[i]));
    let is_prefix = matches!(before(1), 'b' | 'c') && !is_identifier(before(2));
    is_identifier(before(1)) && !is_prefix
}

fn block_comment_len(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at + 1 < rest.len() {
        match &rest[at..at + 2] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted_len(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

fn raw_string_len(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let end: Vec<u8> = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    let body = 2 + hashes;
    let found = rest[body..].windows(end.len()).position(|window| window == end);
    found.map_or(rest.len(), |at| body + at + end.len())
}

/// Returns where the item that begins at `from` ends: at its `;`, or with its outermost braces.
fn item_end(code: &str, from: usize) -> usize {
    let (mut braces, mut brackets) = (0, 0);
    for (at, c) in code[from..].char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            '{' => braces += 1,
            '}' => braces -= 1,
            _ => {}
        }
        if (c == '}' && braces == 0) || (c == ';' && braces == 0 && brackets == 0) {
            return from + at + 1;
        }
    }
    code.len()
}

#[test]
fn comments_and_literals_are_not_code() {
    let text =
        "a // x.y()\n/* b /* c */ d */ e \"f\\\" g\" h r#\"i \" j\"# 'k' '\\'' &'l str b\"m\" n";
    let found = code(text);
    assert_eq!(found.len(), text.len());
    let words: Vec<_> = found.split_whitespace().collect();
    assert_eq!(words, ["a", "e", "h", "&'l", "str", "b", "n"]);
}

#[test]
fn items_under_cfg_test_are_not_code_outside_tests() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { c }\n}\nfn d() {}\n\
                #[cfg(test)]\nmod e;\nfn f(x: [u8; 4]) {}";
    let found = code_outside_tests(&code(text));
    assert!(["a", "d", "f"].iter().all(|name| found.contains(&format!("fn {name}("))));
    assert!(!found.contains("fn b") && !found.contains("mod e"));
    assert_eq!(line_at(&found, found.find("fn f").unwrap()), 9);
}

#[test]
fn modules_in_other_files_are_told_from_inline_ones() {
    let names = declared_modules("pub mod a;\nmod b {}\nmod c;\nlet modd = 1;");
    let outside = names.iter().filter(|(_, rest)| rest.starts_with(';'));
    assert_eq!(outside.map(|(name, _)| *name).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(names.len(), 3);
}
