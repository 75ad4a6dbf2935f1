//! Commands and dumps: what fails in whatever way never ends well.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use idswyft_vault::base::{Code, Coded};
use idswyft_vault::source::command::CommandSource;
use idswyft_vault::source::postgres::LocalSource;
use idswyft_vault::source::stream::{Error, StdinSource};
use idswyft_vault::source::{DumpFacts, DumpScanner, OpenStream, StreamSource};

use crate::support_pg::{PgCluster, READER_PASSWORD};

fn shell(script: &str) -> CommandSource {
    CommandSource::new(["sh", "-c", script]).unwrap()
}

fn read(source: &dyn StreamSource) -> (Vec<u8>, Result<(), Error>) {
    let mut stream = source.open().unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    (bytes, stream.finish())
}

/// Reads a dump as a snapshot does: both the command and the dump must be whole.
fn take_dump(source: &dyn StreamSource) -> Result<DumpFacts, Code> {
    let (bytes, end) = read(source);
    end.map_err(|error| error.code())?;
    let mut scanner = DumpScanner::new();
    scanner.feed(&bytes);
    scanner.finish().map_err(|error| error.code())
}

#[test]
fn a_command_that_ends_well_gives_its_output_and_nothing_else() {
    let (bytes, end) = read(&shell("printf hello; printf noise >&2; cat"));
    assert_eq!(bytes, b"hello");
    end.unwrap();
}

#[test]
fn words_are_not_given_to_a_shell() {
    let (bytes, _) = read(&CommandSource::new(["printf", "%s", "$(id); *"]).unwrap());
    assert_eq!(bytes, b"$(id); *");
}

#[test]
fn a_failed_command_tells_its_status_and_what_it_said_without_passwords() {
    let (bytes, end) =
        read(&shell("echo part; echo 'connect postgresql://u:hunter2@h/db: refused' >&2; exit 3"));
    assert_eq!(bytes, b"part\n");
    let error = end.unwrap_err();
    assert_eq!(error.code(), Code::SourceFailed);
    assert!(matches!(&error, Error::Failed { status: 3, .. }));
    let text = error.to_string();
    assert!(text.contains("status 3") && text.contains("postgresql://u:***@h/db"), "{text}");
    assert!(!text.contains("hunter2"));
}

#[test]
fn a_command_killed_half_way_is_an_error() {
    let (bytes, end) = read(&shell("echo part; kill -9 $$"));
    assert_eq!(bytes, b"part\n");
    assert!(matches!(end.unwrap_err(), Error::Killed { signal: 9, .. }));
}

#[test]
fn a_command_that_talks_a_lot_does_not_block_and_only_its_last_words_are_kept() {
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i of noise >&2; i=$((i+1)); done; \
        echo out; exit 1";
    let (bytes, end) = read(&shell(script));
    assert_eq!(bytes, b"out\n");
    let text = end.unwrap_err().to_string();
    assert!(text.ends_with("line 19999 of noise") && text.len() < 5000, "{}", text.len());
    assert!(!text.contains("line 1 of"));
}

#[test]
fn a_program_that_is_missing_and_an_empty_command_are_told() {
    let missing = CommandSource::new(["/nowhere/pg_dump"]).unwrap().open().err().unwrap();
    assert!(matches!(missing, Error::NotStarted { .. }));
    assert!(matches!(CommandSource::new(Vec::<String>::new()), Err(Error::CommandEmpty)));
}

#[test]
fn a_stream_dropped_unfinished_ends_the_whole_group() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, fifo, mode, 0).unwrap();
    // A grandchild holds the pipe open for writing; its end is seen when both are gone.
    let script = format!("sleep 600 >{0} & echo started; wait", pipe.display());
    let mut stream = shell(&script).open().unwrap();
    let mut held = std::fs::File::open(&pipe).unwrap();
    let mut word = [0; 8];
    stream.read_exact(&mut word).unwrap();
    drop(stream);
    assert_eq!(held.read_to_end(&mut Vec::new()).unwrap(), 0);
}

#[test]
fn finishing_early_does_not_wait_for_a_command_that_still_writes() {
    let mut stream = shell("yes").open().unwrap();
    stream.read_exact(&mut [0; 100]).unwrap();
    assert!(stream.finish().is_err());
}

/// V-65
#[test]
fn descriptions_hold_no_arguments() {
    let text = shell("echo secret").describe().to_string();
    assert_eq!(text, r#"{"kind":"command","program":"sh"}"#);
    assert_eq!(StdinSource.describe().to_string(), r#"{"kind":"stdin"}"#);
    let local = LocalSource::new("postgresql://u:secret@h/db?password=secret").unwrap();
    assert_eq!(local.describe()["url"], "postgresql://u@h/db");
}

#[test]
fn failed_pg_dump_never_becomes_a_dump() {
    const HEAD: &str = "printf -- '--\\n-- PostgreSQL database dump\\n--\\n\\n'";
    const TAIL: &str = "printf -- '--\\n-- PostgreSQL database dump complete\\n--\\n'";
    assert!(take_dump(&shell(&format!("{HEAD}; {TAIL}"))).is_ok());
    assert_eq!(take_dump(&shell("true")), Err(Code::DumpEmpty));
    assert_eq!(take_dump(&shell("echo hello")), Err(Code::DumpHeaderMissing));
    assert_eq!(take_dump(&shell(HEAD)), Err(Code::DumpTrailerMissing));
    assert_eq!(take_dump(&shell(&format!("{HEAD}; {TAIL}; exit 1"))), Err(Code::SourceFailed));
    assert_eq!(take_dump(&shell(&format!("{HEAD}; kill -15 $$"))), Err(Code::SourceFailed));
}

/// Writes a stand-in for `pg_dump` that prints how it was called.
fn stand_in(dir: &Path, help: &str) -> PathBuf {
    let path = dir.join("pg_dump");
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = --help ] && {{ echo '{help}'; exit; }}\n\
         echo \"$@\"; echo \"PGPASSWORD is $PGPASSWORD\"\n\
         echo \"said $PGPASSWORD\" >&2; exit $FAIL\n"
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

/// V-90
#[test]
fn the_password_reaches_pg_dump_only_by_its_environment() {
    let dir = tempfile::tempdir().unwrap();
    let program = stand_in(dir.path(), "  --restrict-key=RESTRICT_KEY");
    let source = LocalSource::new("postgresql://u:p%40ss@h/db").unwrap().with_pg_dump(program);
    let (bytes, end) = read(&source);
    end.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (arguments, environment) = text.split_once('\n').unwrap();
    assert!(!arguments.contains("p@ss") && !arguments.contains("p%40ss"), "{arguments}");
    assert!(
        arguments.ends_with(
            "--restrict-key=idswyftvault --no-password \
        --dbname=postgresql://u@h/db"
        ),
        "{arguments}"
    );
    assert_eq!(environment.trim(), "PGPASSWORD is p@ss");
}

#[test]
fn a_password_that_pg_dump_says_aloud_is_taken_out() {
    let dir = tempfile::tempdir().unwrap();
    let program = stand_in(dir.path(), "");
    let script = std::fs::read_to_string(&program).unwrap().replace("$FAIL", "1");
    std::fs::write(&program, script).unwrap();
    let source = LocalSource::new("postgresql://u:hunter2@h/db").unwrap().with_pg_dump(program);
    let text = read(&source).1.unwrap_err().to_string();
    assert!(text.ends_with(": said ***"), "{text}");
}

#[test]
fn a_real_database_is_dumped_and_its_rows_counted() {
    let Some(cluster) = PgCluster::start() else { return };
    cluster.psql(
        "CREATE TABLE users (id int, name text);
         INSERT INTO users SELECT n, E'a\\\\b\\n\\t' || n FROM generate_series(1, 5000) n;
         CREATE TABLE \"Weird; Table\" (\"from\" text);
         INSERT INTO \"Weird; Table\" VALUES ('COPY x FROM stdin;'), ('\\.'), (NULL), ('');
         CREATE TABLE empty ();
         COMMENT ON TABLE empty IS E'it''s \\\\ COPY y FROM stdin;\n\\\\.\n';
         CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $f$ BEGIN
           RETURN 'COPY public.z (a) FROM stdin;
'; END $f$;
         CREATE FUNCTION g() RETURNS void LANGUAGE sql BEGIN ATOMIC
           INSERT INTO users VALUES (CASE WHEN true THEN 1 END, 'x'); SELECT NULL; END;",
    );
    let source = LocalSource::new(&cluster.url("postgres")).unwrap();
    let (first, end) = read(&source);
    end.unwrap();
    let facts = take_dump(&source).unwrap();
    assert_eq!(facts.rows["public.users"], 5000);
    assert_eq!(facts.rows["public.\"Weird; Table\""], 4);
    assert!(!facts.rows.contains_key("public.z") && facts.rows.len() <= 3, "{:?}", facts.rows);
    let version = cluster.psql("SHOW server_version");
    let version = version.split_whitespace().next();
    assert_eq!(
        (facts.server_version.as_deref(), facts.dump_version.as_deref()),
        (version, version)
    );
    if first.starts_with(b"\\restrict idswyftvault") {
        assert!(read(&source).0 == first, "dumps of an idle database are equal");
    }
}

#[test]
fn a_dump_by_inserts_counts_the_same_rows() {
    let Some(cluster) = PgCluster::start() else { return };
    cluster.psql(
        "CREATE TABLE t (a int, b text);
         INSERT INTO t SELECT n, 'it''s (' || n || '); VALUES (' FROM generate_series(1, 500) n",
    );
    let url = cluster.url("postgres");
    for option in ["--inserts", "--column-inserts", "--rows-per-insert=7"] {
        let source = CommandSource::new(["pg_dump", option, &url]).unwrap();
        assert_eq!(take_dump(&source).unwrap().rows["public.t"], 500, "{option}");
    }
}

#[test]
fn a_password_is_given_to_a_server_that_asks_and_a_missing_one_fails() {
    let Some(cluster) = PgCluster::start() else { return };
    let escaped: String = READER_PASSWORD.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let place = format!("postgres?host={}&port={}", cluster.socket_dir().display(), cluster.port());
    for url in [
        format!("postgresql://reader:{escaped}@/{place}"),
        format!("postgresql:///{place}&user=reader&password={escaped}"),
    ] {
        take_dump(&LocalSource::new(&url).unwrap()).unwrap();
    }
    let without = LocalSource::new(&format!("postgresql://reader@/{place}")).unwrap();
    assert_eq!(take_dump(&without), Err(Code::SourceFailed));
    let missing = LocalSource::new(&cluster.url("nowhere")).unwrap();
    let error = read(&missing).1.unwrap_err().to_string();
    assert!(error.contains("\"nowhere\" does not exist"), "{error}");
}

#[test]
fn an_open_stream_can_go_to_another_thread() {
    let stream: Box<dyn OpenStream> = shell("echo x").open().unwrap();
    std::thread::spawn(move || stream.finish()).join().unwrap().ok();
}
