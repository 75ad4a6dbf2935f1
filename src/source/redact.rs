//! Takes passwords out of what others print.

/// What stands where a password was.
const STAND_IN: &str = "***";

/// Replaces the passwords of URLs and the values of `password=` settings in `text`.
///
/// What stands before the last `@` of a URL counts as credentials, so too much may go, never too
/// little.
pub fn redact(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        result.push_str(before);
        let end = after.find(ends_word).unwrap_or(after.len());
        let (url, behind) = after.split_at(end);
        result.push_str(&redact_authority(url));
        rest = behind;
    }
    result.push_str(rest);
    redact_settings(&result)
}

fn redact_authority(url: &str) -> String {
    let Some(at) = url.rfind('@') else { return url.to_owned() };
    match url[..at].find(':') {
        Some(colon) => format!("{}:{STAND_IN}{}", &url[..colon], &url[at..]),
        None => url.to_owned(),
    }
}

fn redact_settings(text: &str) -> String {
    const KEY: &str = "password=";
    let lower = text.to_ascii_lowercase();
    let mut result = String::with_capacity(text.len());
    let mut from = 0;
    while let Some(at) = lower[from..].find(KEY).map(|at| from + at + KEY.len()) {
        result.push_str(&text[from..at]);
        result.push_str(STAND_IN);
        // A quoted value ends at its quote, any other where the word does.
        let value = &text[at..];
        let quoted = value.chars().next().filter(|first| matches!(first, '\'' | '"'));
        let len = match quoted {
            Some(quote) => value[1..].find(quote).map_or(value.len(), |end| end + 2),
            None => value.find(|c| c == '&' || ends_word(c)).unwrap_or(value.len()),
        };
        from = at + len;
    }
    result.push_str(&text[from..]);
    result
}

fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V-65, V-90
    #[test]
    fn passwords_do_not_survive_in_any_usual_form() {
        for (text, expected) in [
            ("postgresql://u:secret@h/db failed", "postgresql://u:***@h/db failed"),
            ("\"postgres://u:se@cr/et@h:5432/db?x=1\"", "\"postgres://u:***@h:5432/db?x=1\""),
            ("a://u@h b://u:secret@h, c", "a://u@h b://u:***@h, c"),
            ("postgresql:///db?user=u&password=secret&host=/run", {
                "postgresql:///db?user=u&password=***&host=/run"
            }),
            ("host=h password='my secret' user=u", "host=h password=*** user=u"),
            ("PGPASSWORD=secret pg_dump", "PGPASSWORD=*** pg_dump"),
            ("nothing here: at all", "nothing here: at all"),
        ] {
            assert_eq!(redact(text), expected);
        }
    }
}
