use proptest::prelude::*;

use super::*;

const HEAD: &str = "--\n-- PostgreSQL database dump\n--\n\nSET standard_conforming_strings = on;\n";
const TAIL: &str = "--\n-- PostgreSQL database dump complete\n--\n\n";
const WATCHES: &[Watch] = &[
    Watch { table: "documents", columns: &["file_path", "file_size"] },
    Watch { table: "Odd \"t", columns: &["from", "A,b"] },
];

/// A row as the scanner hands it out, kept.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kept {
    Absent,
    Null,
    Text(String),
    TooLong,
}

fn kept(field: Field<'_>) -> Kept {
    match field {
        Field::Absent => Kept::Absent,
        Field::Null => Kept::Null,
        Field::Text(text) => Kept::Text(String::from_utf8_lossy(text).into_owned()),
        Field::TooLong => Kept::TooLong,
    }
}

type Rows = Vec<(&'static str, Kept, Kept)>;

fn scan(dump: &str, piece_len: usize) -> (Rows, Result<DumpFacts, DumpError>) {
    let (mut scanner, mut rows) = (DumpScanner::watching(WATCHES), Rows::new());
    for piece in dump.as_bytes().chunks(piece_len) {
        scanner.feed_rows(piece, &mut |row| {
            rows.push((row.table(), kept(row.field(0)), kept(row.field(1))));
        });
    }
    (rows, scanner.finish())
}

/// Scans a body in pieces of every small length, which must not matter.
fn rows_of(body: &str) -> (Rows, DumpFacts) {
    let dump = format!("{HEAD}{body}{TAIL}");
    let (rows, facts) = scan(&dump, usize::MAX);
    for piece_len in [1, 2, 3, 5, 7, 64] {
        assert_eq!(scan(&dump, piece_len), (rows.clone(), facts.clone()), "pieces of {piece_len}");
    }
    (rows, facts.unwrap())
}

fn text(text: &str) -> Kept {
    Kept::Text(text.to_owned())
}

/// R-1, R-2
#[test]
fn wanted_columns_are_found_in_any_order_schema_and_quotes() {
    let body = "COPY public.users (id, file_path) FROM stdin;\n1\tx\n\\.\n\
        COPY public.documents (id, file_path, note, file_size) FROM stdin;\n\
        1\ta\tb\t7\n2\t\\N\t\t\\N\n\\.\n\
        COPY \"my schema\".\"documents\" (\"file_size\", FILE_PATH) FROM stdin;\n9\tz\n\\.\n\
        COPY public.\"Odd \"\"t\" (\"A,b\", \"from\") FROM stdin;\n1\t2\n\\.\n\
        INSERT INTO documents (file_size,file_path) VALUES (3, 'c');\n\
        COPY public.\"DOCUMENTS\" (file_path) FROM stdin;\nno\n\\.\n";
    let (rows, facts) = rows_of(body);
    let documents = "documents";
    assert_eq!(
        rows,
        [
            (documents, text("a"), text("7")),
            (documents, Kept::Null, Kept::Null),
            (documents, text("z"), text("9")),
            ("Odd \"t", text("2"), text("1")),
            (documents, text("c"), text("3")),
        ]
    );
    assert_eq!(facts.rows["public.documents"], 2);
    assert!(facts.columns_unknown.is_empty());
}

/// R-3
#[test]
fn a_field_is_the_text_that_the_server_would_print() {
    let body = "COPY public.documents (file_path, file_size) FROM stdin;\n\
        a\\tb\\nc\\\\d\\re\\bf\\fg\\vh\\.i\t\\\\N\n\\101\\x42\\x\\8\\7z\t\\Nx\n\t\n\\.\n";
    let rows = rows_of(body).0;
    let first = "a\tb\nc\\d\re\u{8}f\u{c}g\u{b}h.i";
    assert_eq!(rows[0], ("documents", text(first), text("\\N")));
    assert_eq!(rows[1], ("documents", text("ABx8\u{7}z"), text("Nx")));
    assert_eq!(rows[2], ("documents", text(""), text("")));
}

/// R-3
#[test]
fn strings_numbers_and_nulls_of_an_insert_are_read() {
    let body = "INSERT INTO public.documents (file_path, file_size) VALUES ('it''s', -12.5),\n\
        ('a\\nb), (', NULL), (E'a\\nb\\'c''\\\\\\u00e4\\U0001F600\\x41\\101', null ),\n\
        ('', true), ('x' , B'101'), ('''', DEFAULT), ((1 + 2), now());\n\
        INSERT INTO public.documents VALUES_OF (file_path);\n\
        INSERT INTO public.documents (id) OVERRIDING SYSTEM VALUE VALUES (1);\n\
        INSERT INTO public.documents DEFAULT VALUES;\n";
    let (rows, facts) = rows_of(body);
    let row = |path: &str, size| ("documents", text(path), size);
    assert_eq!(
        rows,
        [
            row("it's", text("-12.5")),
            row("a\\nb), (", Kept::Null),
            row("a\nb'c'\\\u{e4}\u{1F600}AA", Kept::Null),
            row("", text("true")),
            row("x", text("101")),
            row("'", Kept::Absent),
            row("(1 + 2)", text("now()")),
            ("documents", Kept::Absent, Kept::Absent),
        ]
    );
    assert!(facts.columns_unknown.is_empty());
}

/// R-1
#[test]
fn what_only_looks_like_a_row_is_not_handed_out() {
    let body = "CREATE FUNCTION f() RETURNS void AS $$\n\
        COPY public.documents (file_path) FROM stdin;\na\n\\.\n\
        INSERT INTO documents (file_path) VALUES ('a');\n$$;\n\
        COMMENT ON TABLE t IS 'INSERT INTO documents (file_path) VALUES (1);';\n\
        -- INSERT INTO documents (file_path) VALUES ('a');\n\
        COPY public.t (a) FROM stdin;\nINSERT INTO documents (file_path) VALUES ('a');\n\\.\n\
        COPY public.documents (file_path) FROM stdin;\n\\\\.\n\\.\n";
    assert_eq!(rows_of(body).0, [("documents", text("\\."), Kept::Absent)]);
}

/// R-4
#[test]
fn a_table_whose_columns_are_not_said_is_named_once() {
    let body = "INSERT INTO public.documents VALUES ('a', 1), ('b', 2);\n\
        INSERT INTO public.documents VALUES ('a', 1);\n\
        COPY \"Odd \"\"t\" FROM stdin;\na\n\\.\nINSERT INTO public.other VALUES (1);\n";
    let (rows, facts) = rows_of(body);
    assert!(rows.is_empty());
    assert_eq!(Vec::from_iter(facts.columns_unknown), ["Odd \"t", "documents"]);
    let many = (0..20_000).map(|n| format!("c{n}, ")).collect::<String>();
    let body = format!("COPY public.documents ({many}file_path) FROM stdin;\na\n\\.\n");
    let dump = format!("{HEAD}{body}{TAIL}");
    assert_eq!(scan(&dump, 999).1.unwrap().columns_unknown.len(), 1);
}

/// R-2
#[test]
fn many_columns_before_a_wanted_one_are_no_matter() {
    let columns = (0..200).map(|n| format!("\"a rather long name {n}\", ")).collect::<String>();
    let values = "1, ".repeat(200);
    let body = format!(
        "COPY public.documents ({columns}file_path) FROM stdin;\n{}a\n\\.\n\
         INSERT INTO public.documents ({columns}file_path) VALUES ({values}'b');\n",
        "1\t".repeat(200),
    );
    let rows = rows_of(&body).0;
    assert_eq!([&rows[0].1, &rows[1].1], [&text("a"), &text("b")]);
}

/// R-5
#[test]
fn a_field_that_is_too_long_is_told_and_costs_no_memory() {
    let mut scanner = DumpScanner::watching(WATCHES);
    let mut rows = Rows::new();
    let piece = "x".repeat(1 << 16);
    let mut feed = |scanner: &mut DumpScanner, text: &str| {
        scanner.feed_rows(text.as_bytes(), &mut |row| {
            rows.push((row.table(), kept(row.field(0)), kept(row.field(1))));
        });
    };
    feed(&mut scanner, HEAD);
    feed(&mut scanner, "COPY documents (file_path, file_size) FROM stdin;\n");
    (0..64).for_each(|_| feed(&mut scanner, &piece));
    let kept_len = |scanner: &DumpScanner| {
        scanner.lexer.kept_len() + scanner.copy.as_ref().map_or(0, CopyReader::kept_len)
    };
    assert!(kept_len(&scanner) < 2 * FIELD_LEN_MAX);
    feed(&mut scanner, &format!("\t1\n{}\t2\n", "y".repeat(FIELD_LEN_MAX)));
    feed(&mut scanner, "\\.\nINSERT INTO documents (file_path, file_size) VALUES ('");
    (0..64).for_each(|_| feed(&mut scanner, &piece));
    assert!(kept_len(&scanner) < 2 * FIELD_LEN_MAX);
    feed(&mut scanner, "', 3), ('z', 4);\n");
    feed(&mut scanner, TAIL);
    assert_eq!(scanner.finish().unwrap().rows["documents"], 4);
    let whole = text(&"y".repeat(FIELD_LEN_MAX));
    let lens = [Kept::TooLong, whole, Kept::TooLong, text("z")];
    let rows: Vec<_> = rows.into_iter().map(|row| (row.1, row.2)).collect();
    assert_eq!(rows, lens.into_iter().zip(["1", "2", "3", "4"].map(text)).collect::<Vec<_>>());
}

/// Writes a field as `COPY` does.
fn copied(field: Option<&str>) -> String {
    let Some(field) = field else { return "\\N".to_owned() };
    let escaped = |c| match c {
        '\\' => "\\\\".to_owned(),
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        '\r' => "\\r".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        c => c.to_string(),
    };
    field.chars().map(escaped).collect()
}

/// Writes a field as `pg_dump --inserts` does, or with escapes.
fn inserted(field: Option<&str>, with_escapes: bool) -> String {
    let Some(field) = field else { return "NULL".to_owned() };
    let doubled = field.replace('\'', "''");
    if with_escapes {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

fn a_field() -> impl Strategy<Value = Option<String>> {
    let hostile = prop::sample::select(vec![
        "\\N",
        "\\.",
        "\\",
        "'",
        "''",
        "\t",
        "\n",
        "\r\n",
        "\u{b}",
        "),(",
        ";",
        "--",
        "$$",
        "/*",
        "\"",
        "ä",
        "\u{1F600}",
        "NULL",
        "COPY t FROM stdin;",
        "E'",
        "",
    ]);
    prop::option::weighted(0.8, prop::collection::vec(hostile, 0..5).prop_map(|v| v.concat()))
}

proptest! {
    /// R-3
    #[test]
    fn rows_are_what_was_written(
        rows in prop::collection::vec((a_field(), a_field(), a_field()), 0..8),
        piece_len in 1_usize..40,
    ) {
        let mut body = "COPY public.documents (file_path, x, file_size) FROM stdin;\n".to_owned();
        let mut expected = Rows::new();
        let model = |field: &Option<String>| field.clone().map_or(Kept::Null, Kept::Text);
        for (path, other, size) in &rows {
            let fields = [path, other, size].map(|field| copied(field.as_deref()));
            body += &(fields.join("\t") + "\n");
            expected.push(("documents", model(path), model(size)));
        }
        body += "\\.\n";
        for (number, (path, other, size)) in rows.iter().enumerate() {
            let with = |field: &Option<String>| inserted(field.as_deref(), number % 2 == 1);
            let (path, other, size) = (with(path), with(other), with(size));
            body += &format!("INSERT INTO documents (file_size, x, file_path) VALUES \
                ({size}, {other}, {path});\n");
        }
        expected.extend(expected.clone());
        let dump = format!("{HEAD}{body}{TAIL}");
        let (found, facts) = scan(&dump, piece_len);
        prop_assert_eq!(found, expected);
        prop_assert_eq!(facts.unwrap().rows.values().sum::<u64>(), 2 * rows.len() as u64);
    }

    /// R-1
    #[test]
    fn any_bytes_in_any_pieces_give_the_same_rows(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "COPY documents (a, file_path) FROM stdin;\n", "\\.\n", "\n", "\\", ".", "'", "\"",
            "$$", "\t", "E'", "--", "/*", "*/", ";", "(", ")", ",", "x", "\t1\n",
            "INSERT INTO documents ", "(file_path) VALUES (", "NULL", "1", TAIL,
        ]), 0..40),
        piece_len in 1_usize..9,
    ) {
        let dump = format!("{HEAD}{}", pieces.concat());
        prop_assert_eq!(scan(&dump, piece_len), scan(&dump, usize::MAX));
    }
}
