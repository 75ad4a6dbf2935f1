use proptest::prelude::*;

use super::*;

const HEAD: &str = "\\restrict abc\n\n--\n-- PostgreSQL database dump\n--\n\n\
    -- Dumped from database version 15.8 (Debian 15.8-0+deb12u1)\n\
    -- Dumped by pg_dump version 16.1\n\nSET standard_conforming_strings = on;\n\n";
const TAIL: &str = "--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n\n";

fn scan(dump: &[u8], piece_len: usize) -> Result<DumpFacts, DumpError> {
    let mut scanner = DumpScanner::new();
    dump.chunks(piece_len).for_each(|piece| scanner.feed(piece));
    scanner.finish()
}

/// Scans a body in pieces of every small length, which must not matter.
fn rows_of(body: &str) -> Vec<(String, u64)> {
    let dump = format!("{HEAD}{body}{TAIL}");
    let whole = scan(dump.as_bytes(), usize::MAX).unwrap();
    for piece_len in [1, 2, 3, 5, 7, 64] {
        assert_eq!(scan(dump.as_bytes(), piece_len).unwrap(), whole, "pieces of {piece_len}");
    }
    whole.rows.into_iter().collect()
}

fn rows(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(table, rows)| ((*table).to_owned(), *rows)).collect()
}

#[test]
fn rows_are_counted_per_table_as_the_sql_spells_it() {
    let body = "COPY public.users (id, name) FROM stdin;\n1\ta\n2\t\\N\n\\N\tb\n\\.\n\n\n\
        COPY public.\"Weird Table; (x)\" (\"from\", b) FROM stdin;\n1\t2\n\\.\n\
        COPY public.empty (a) FROM stdin;\n\\.\n\
        COPY public.nothing  FROM stdin;\n\n\n\\.\n\
        COPY \"a\"\"b\".\"line\nbreak\" (a) FROM stdin;\n\\\\.\n\\.\n";
    assert_eq!(
        rows_of(body),
        rows(&[
            ("\"a\"\"b\".\"line\nbreak\"", 1),
            ("public.\"Weird Table; (x)\"", 1),
            ("public.empty", 0),
            ("public.nothing", 2),
            ("public.users", 3),
        ])
    );
}

/// V-88
#[test]
fn a_row_that_looks_like_copy_or_like_the_trailer_is_a_row() {
    let body = "COPY public.t (a) FROM stdin;\nCOPY x FROM stdin;\n\
        -- PostgreSQL database dump complete\n\\restrict a\nit's\t\"$$\n/*\n\\.\n";
    assert_eq!(rows_of(body), rows(&[("public.t", 5)]));
}

/// V-89
#[test]
fn copy_inside_bodies_strings_and_comments_is_not_a_copy() {
    let body = "CREATE FUNCTION public.f() RETURNS void LANGUAGE plpgsql AS $_$ BEGIN\n\
        COPY x FROM stdin;\n$$ $a$ -- PostgreSQL database dump complete\n'\nEND $_$;\n\
        COMMENT ON TABLE t IS 'it''s\nCOPY y (a) FROM stdin;\n\\.';\n\
        COMMENT ON TABLE t IS E'a\\'\nCOPY y (a) FROM stdin;\n''\\\\';\n\
        /* /* COPY z FROM stdin; */\nCOPY z FROM stdin;\n*/\n\
        -- COPY z FROM stdin;\nSELECT a$b$c, '$$', $1;\n\
        COPY public.t (a) FROM stdin;\n1\n\\.\n";
    assert_eq!(rows_of(body), rows(&[("public.t", 1)]));
}

#[test]
fn a_semicolon_inside_a_function_body_in_sql_ends_nothing() {
    let body = "CREATE OR REPLACE FUNCTION public.f(a integer) RETURNS void\n LANGUAGE sql\n\
        BEGIN ATOMIC\n SELECT CASE WHEN true THEN 1 END;\nINSERT INTO public.x VALUES (1);\nEND;\n\
        CREATE RULE r AS ON INSERT TO v DO INSTEAD (INSERT INTO public.y VALUES (1);\n\
        INSERT INTO public.y VALUES (2););\n\
        INSERT INTO public.t VALUES (1, 'a;(');\n";
    assert_eq!(rows_of(body), rows(&[("public.t", 1)]));
}

#[test]
fn inserted_rows_are_counted_too() {
    let body = "INSERT INTO public.t VALUES (1, 'x), (y', (2));\n\
        INSERT INTO public.t (a, \"values\") VALUES (2, NULL);\n\
        INSERT INTO public.u (a) VALUES\n\t(1),\n\t(2),\n\t(-3) ON CONFLICT DO NOTHING;\n\
        INSERT INTO public.\"Z z\" DEFAULT VALUES;\n";
    assert_eq!(rows_of(body), rows(&[("public.\"Z z\"", 1), ("public.t", 2), ("public.u", 3)]));
}

#[test]
fn backslashes_escape_where_the_server_says_so() {
    let body = "SET standard_conforming_strings = off;\n\
        COMMENT ON TABLE t IS 'a\\'; COPY x FROM stdin;\n';\n\
        SET standard_conforming_strings = on;\nCOMMENT ON TABLE t IS 'a\\';\n\
        COPY public.t (a) FROM stdin;\n1\n\\.\n";
    assert_eq!(rows_of(body), rows(&[("public.t", 1)]));
}

#[test]
fn versions_are_the_dumps_own() {
    let facts = scan(format!("{HEAD}{TAIL}").as_bytes(), 10).unwrap();
    assert_eq!(facts.server_version.as_deref(), Some("15.8"));
    assert_eq!(facts.dump_version.as_deref(), Some("16.1"));
}

#[test]
fn a_dump_without_restrict_lines_and_last_newline_is_whole() {
    let dump = "--\n-- PostgreSQL database dump\n--\n\nSELECT 1;\n\
        -- PostgreSQL database dump complete";
    assert!(scan(dump.as_bytes(), usize::MAX).is_ok());
}

/// V-86, V-87
#[test]
fn what_is_empty_or_lacks_header_or_trailer_is_refused() {
    let check = |dump: &str| scan(dump.as_bytes(), 9).unwrap_err().code();
    assert_eq!(check(""), Code::DumpEmpty);
    assert_eq!(check("\n"), Code::DumpHeaderMissing);
    assert_eq!(check("hello\n"), Code::DumpHeaderMissing);
    assert_eq!(check(TAIL), Code::DumpHeaderMissing);
    assert_eq!(check(&format!("using config x\n{HEAD}{TAIL}")), Code::DumpHeaderMissing);
    assert_eq!(check(&format!("{}{HEAD}{TAIL}", "--\n".repeat(3000))), Code::DumpHeaderMissing);
    assert_eq!(check(HEAD), Code::DumpTrailerMissing);
    assert_eq!(check(&format!("{HEAD}{TAIL}done\n")), Code::DumpTrailerMissing);
    assert_eq!(check(&format!("{HEAD}{TAIL}\\connect x\n")), Code::DumpTrailerMissing);
    let in_rows = format!("{HEAD}COPY public.t (a) FROM stdin;\n{TAIL}");
    assert_eq!(check(&in_rows), Code::DumpTrailerMissing);
    let in_string = format!("{HEAD}COMMENT ON TABLE t IS '{TAIL}");
    assert_eq!(check(&in_string), Code::DumpTrailerMissing);
    let in_body = format!("{HEAD}CREATE FUNCTION f() AS $$ {TAIL}");
    assert_eq!(check(&in_body), Code::DumpTrailerMissing);
}

/// V-88
#[test]
fn every_truncation_of_a_dump_before_its_trailer_is_refused() {
    let body = "COPY public.t (a) FROM stdin;\n1\n\\.\nINSERT INTO public.u VALUES (1);\n";
    let dump = format!("{HEAD}{body}{TAIL}");
    let whole = dump.find("complete").unwrap() + "complete".len();
    for len in 0..whole {
        assert!(scan(&dump.as_bytes()[..len], 11).is_err(), "{len}");
    }
    assert!(scan(dump.as_bytes(), 11).is_ok());
}

#[test]
fn a_long_row_costs_no_memory() {
    let mut scanner = DumpScanner::new();
    scanner.feed(HEAD.as_bytes());
    scanner.feed(b"COPY public.t (a) FROM stdin;\n");
    let piece = vec![b'x'; 1 << 16];
    (0..256).for_each(|_| scanner.feed(&piece));
    assert!(scanner.lexer.kept_len() < 4096);
    scanner.feed(b"\n\\.\nSELECT '");
    (0..256).for_each(|_| scanner.feed(&piece));
    scanner.feed(b"', \"");
    (0..256).for_each(|_| scanner.feed(&piece));
    assert!(scanner.lexer.kept_len() < 4096);
    scanner.feed(format!("\";\n{TAIL}").as_bytes());
    assert_eq!(scanner.finish().unwrap().rows["public.t"], 1);
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_scan_alike(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "COPY t (a) FROM stdin;\n", "\\.\n", "\n", "\\", ".", "'", "\"", "$$", "$a$", "$", "E'",
            "--", "/*", "*/", ";", "(", ")", "x", "\t1\n", "INSERT INTO t VALUES (1);", HEAD, TAIL,
        ]), 0..40),
        piece_len in 1_usize..9,
    ) {
        let dump = format!("{HEAD}{}", pieces.concat());
        prop_assert_eq!(scan(dump.as_bytes(), piece_len), scan(dump.as_bytes(), usize::MAX));
    }
}
