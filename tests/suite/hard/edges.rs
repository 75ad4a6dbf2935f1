//! Nothing at all, one half only, and a target that is not new.

use std::fs;

use crate::support::program::Program;

#[test]
fn an_empty_directory_an_empty_file_and_a_dump_without_rows_are_archived() {
    let program = Program::initialised();
    program.write_dump("");
    let report = program.snapshot(0);
    assert_eq!((&report["file_count"], &report["row_count"]), (&0.into(), &0.into()));
    let out = program.restore(report["id"].as_str().unwrap(), 0);
    assert_eq!(fs::read_dir(out.join("uploads")).unwrap().count(), 0);
    let same = fs::read(out.join("db.sql")).unwrap() == fs::read(program.path("db.sql")).unwrap();
    assert!(same);

    program.write("empty.jpg", b"");
    assert_eq!(program.snapshot(0)["file_count"], 1);
    let out = program.restore("latest", 0);
    assert_eq!(fs::read(out.join("uploads/empty.jpg")).unwrap(), b"");
    program.assert_sound();
}

#[test]
fn a_database_alone_and_uploads_alone_are_archived() {
    let (database, uploads) = (Program::new(), Program::new());
    let dump = database.path("db.sql");
    let source = crate::support::program::command_source(&["cat", dump.to_str().unwrap()]);
    database.configure(&[&database.recipient], "", &source);
    uploads.write("a.jpg", b"contents");
    uploads.configure(&[&uploads.recipient], "", &uploads.uploads_source());
    for (program, restored) in [(database, "db.sql"), (uploads, "uploads")] {
        program.init();
        program.snapshot(0);
        program.snapshot(0);
        program.assert_sound();
        let out = program.restore("latest", 0);
        let names = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        let mut expected = vec![restored, "facts.json"];
        expected.sort_unstable();
        assert_eq!(names, expected);
    }
}

#[test]
fn a_config_without_sources_takes_no_snapshot() {
    let program = Program::initialised();
    program.configure(&[&program.recipient], "", "");
    program.run(&["snapshot", "--json"]).expect_error(2, "usage-invalid");
}

/// V-147
#[test]
fn overwriting_keeps_what_is_not_in_the_snapshot() {
    let program = Program::initialised();
    program.write("documents/a.jpg", b"archived");
    program.write("documents/b.jpg", b"archived too");
    program.snapshot(0);
    let out = program.path("out");
    fs::create_dir_all(out.join("uploads/documents")).unwrap();
    fs::create_dir_all(out.join("elsewhere")).unwrap();
    let kept = ["note.txt", "uploads/mine.jpg", "uploads/documents/mine.jpg", "elsewhere/x"];
    for name in kept {
        fs::write(out.join(name), name).unwrap();
    }
    fs::write(out.join("uploads/documents/a.jpg"), b"a longer text that was here before").unwrap();
    let words = ["restore", "latest", "--json", "-i", "operator.key", "--target", "out"];
    program.run(&words).expect_error(1, "target-not-empty");
    assert!(!out.join("db.sql").exists() && !out.join("uploads/documents/b.jpg").exists());
    program.run(&[&words[..], &["--overwrite"]].concat()).expect(0);
    for name in kept {
        assert_eq!(fs::read(out.join(name)).unwrap(), name.as_bytes());
    }
    assert_eq!(fs::read(out.join("uploads/documents/a.jpg")).unwrap(), b"archived");
    assert_eq!(fs::read(out.join("uploads/documents/b.jpg")).unwrap(), b"archived too");
    assert!(out.join("db.sql").exists());
}
