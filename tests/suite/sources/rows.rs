//! Rows out of the dumps of a real server, however hostile the values are.

use std::io::Read;
use std::process::Command;

use idswyft_vault::source::{DumpFacts, DumpScanner, Field, Watch};

use crate::support_pg::PgCluster;

const WATCHES: &[Watch] = &[Watch { table: "documents", columns: &["id", "file_path", "my \"c,"] }];

/// Values that end rows, fields, strings or the program that is careless with them.
const VALUES: &str = "ARRAY[NULL, '', E'\\\\N', E'\\\\.', E'a\\tb\\nc\\rd\\be\\ff\\vg', \
    E'\\\\', E'\\\\\\\\n', E'it''s ''''', '\"x\"', 'ä€😀', 'COPY documents FROM stdin;', \
    E'\\n\\\\.\\n', '),(1,''x'');', '-- x', '/* x', '$$ $a$', 'NULL', \
    '{\"a\": \"\\\\u0041\\\\\"\"}', E'\\x01\\x7f', repeat('long ', 3000)]";

fn scan(dump: &[u8]) -> (Vec<Vec<String>>, DumpFacts) {
    let (mut scanner, mut rows) = (DumpScanner::watching(WATCHES), Vec::new());
    for piece in dump.chunks(4093) {
        scanner.feed_rows(piece, &mut |row| {
            let fields = [0, 1, 2].map(|index| match row.field(index) {
                Field::Null => "null".to_owned(),
                Field::Text(text) => hex::encode(text),
                other => format!("{other:?}"),
            });
            rows.push(fields.to_vec());
        });
    }
    (rows, scanner.finish().unwrap())
}

///
#[test]
fn rows_of_a_real_dump_are_those_of_the_server() {
    let Some(cluster) = PgCluster::start() else { return };
    cluster.psql(&format!(
        "CREATE SCHEMA \"s.s\"; CREATE TABLE \"s.s\".documents \
         (\"my \"\"c,\" text, number numeric DEFAULT -1.5, id int, flag bool, file_path text); \
         INSERT INTO \"s.s\".documents (id, file_path, \"my \"\"c,\") \
         SELECT n, value, value || n FROM unnest({VALUES}) WITH ORDINALITY AS t (value, n)"
    ));
    let as_hex = |column: &str| {
        format!("coalesce(encode(convert_to({column}::text, 'UTF8'), 'hex'), 'null')")
    };
    let columns = ["id", "file_path", "\"my \"\"c,\""].map(as_hex).join(", ");
    let expected = cluster.psql(&format!("SELECT {columns} FROM \"s.s\".documents ORDER BY id"));
    let expected: Vec<Vec<&str>> = expected.lines().map(|line| line.split('|').collect()).collect();
    assert_eq!(expected.len(), 20);
    let url = cluster.url("postgres");
    let styles: [&[&str]; 3] =
        [&[], &["--column-inserts"], &["--column-inserts", "--rows-per-insert=7"]];
    for style in styles {
        let (rows, facts) = scan(&dump(style, &url));
        assert_eq!(rows, expected, "{style:?}");
        assert!(facts.columns_unknown.is_empty());
    }
    let (rows, facts) = scan(&dump(&["--inserts"], &url));
    assert!(rows.is_empty());
    assert!(facts.columns_unknown.contains("documents"));
}

fn dump(style: &[&str], url: &str) -> Vec<u8> {
    let mut child = Command::new("pg_dump")
        .args(style)
        .args(["-d", url])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut bytes = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
    assert!(child.wait().unwrap().success());
    bytes
}

/// How fast a dump is scanned; by hand, over a dump of one's own.
///
/// `IDSWYFT_VAULT_DUMP=file cargo nextest run --run-ignored only throughput --no-capture`
#[test]
#[ignore = "it measures, and needs a large dump"]
fn throughput_of_the_scanner() {
    let path = std::env::var_os("IDSWYFT_VAULT_DUMP").unwrap();
    let dump = std::fs::read(path).unwrap();
    for watches in [&[] as &[Watch], WATCHES] {
        let start = std::time::Instant::now();
        let (mut scanner, mut count) = (DumpScanner::watching(watches), 0u64);
        for piece in dump.chunks(1 << 20) {
            scanner.feed_rows(piece, &mut |_| count += 1);
        }
        scanner.finish().unwrap();
        let rate = dump.len() as f64 / 1e6 / start.elapsed().as_secs_f64();
        let count_watched = watches.len();
        eprintln!("{count_watched} tables watched: {rate:.0} MB/s, {count} rows handed out");
    }
}
