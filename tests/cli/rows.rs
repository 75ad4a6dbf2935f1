//! What is told of rows: files that they name, and people who were erased since.

use std::fs;

use crate::support::{Install, fields};

const HEAD: &str = "--\n-- PostgreSQL database dump\n--\n\n";
const TAIL: &str = "--\n-- PostgreSQL database dump complete\n--\n\n";

/// Writes a dump with two documents and one verification.
fn write_dump(install: &Install, verification: &str) {
    let dump = format!(
        "{HEAD}COPY public.documents (id, file_path, file_size) FROM stdin;\n\
         1\tuploads/documents/a.jpg\t5\n2\tuploads/documents/gone.jpg\t5\n\\.\n\n\
         COPY public.verification_requests (id, user_id, manual_review_reason) FROM stdin;\n\
         {verification}\n\\.\n\n{TAIL}"
    );
    install.write("db.sql", dump.as_bytes());
}

///
#[test]
fn a_file_that_is_missing_and_a_person_who_was_erased_are_told() {
    let install = Install::ready();
    install.write("uploads/documents/a.jpg", b"12345");
    write_dump(&install, "v1\tuser-1\t\\N");
    let taken = install.run(["snapshot", "--json"]).json(4);
    let (first, warning) = (&taken["snapshots"][0], &taken["warnings"][0]);
    assert_eq!(
        (&first["rows_files"]["matched"], &first["rows_files"]["missing"]),
        (&1.into(), &1.into())
    );
    assert_eq!(warning["code"], "file-missing");
    let id = first["id"].as_str().unwrap();
    let newest = install.unlock(["restore", id, "--target", "newest", "--json"]).json(4);
    assert!(newest.get("erased_since").is_none(), "it is the newest itself");
    write_dump(&install, "v1\t\\N\t[GDPR deleted]");
    install.run(["snapshot"]).exits(4).warns("file-missing", &["documents/gone.jpg"]);

    let restored = install.unlock(["restore", id, "--target", "out", "--json"]).json(4);
    let person = serde_json::json!({ "user_id": "user-1", "verification_ids": ["v1"] });
    assert_eq!(restored["erased_since"], serde_json::json!([person]));
    assert_eq!(restored["rows_files"]["missing"], 1);
    assert!(fields(&restored).contains(&"warnings"));
    let said = install.unlock(["restore", id, "--target", "said"]).exits(4);
    said.says(&["warning[file-missing]", "warning[erased-since]", "user-1", "v1"]);
    assert!(said.out.contains("rows name 2 files: 1 as they say, 0 erased"), "{said}");
    let without = install.unlock(["restore", id, "--target", "not", "--no-erased-check"]).exits(4);
    assert!(!format!("{}{}", without.out, without.err).contains("erased-since"), "{without}");
    assert!(fs::read(install.path("not/db.sql")).unwrap().starts_with(HEAD.as_bytes()));
    let only = install.unlock(["restore", id, "--target", "only", "--only", "uploads"]).exits(0);
    assert!(!only.out.contains("rows name"), "{only}");
}
