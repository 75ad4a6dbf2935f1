//! Erasing again, against a real server with a schema like the stack's.

use std::collections::BTreeSet;
use std::process::Command;

use idswyft_vault::ops::erase::{UserId, erase_sql, paths_sql, tree_paths};
use idswyft_vault::ops::rows;

use crate::support_pg::PgCluster;

const SCHEMA: &str = include_str!("../../stack/schema.sql");
const ROWS: &str = include_str!("../../stack/rows.sql");

/// Tables that keep nothing of somebody, with the column that names a verification.
const EMPTIED: [(&str, &str); 10] = [
    ("documents", "verification_request_id"),
    ("selfies", "verification_request_id"),
    ("verification_contexts", "verification_id"),
    ("verification_risk_scores", "verification_request_id"),
    ("expiry_alerts", "verification_request_id"),
    ("reverification_schedules", "verification_request_id"),
    ("phone_otp_codes", "verification_request_id"),
    ("phone_otp_rate_limits", "verification_request_id"),
    ("dedup_fingerprints", "verification_request_id"),
    ("aml_screenings", "verification_request_id"),
];

fn one(id: &str) -> BTreeSet<UserId> {
    BTreeSet::from([UserId::parse(id.trim()).unwrap()])
}

fn dump(cluster: &PgCluster) -> Vec<u8> {
    let output = Command::new("pg_dump").args(["-d", &cluster.url("postgres")]).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn number(cluster: &PgCluster, sql: &str) -> u64 {
    cluster.psql(sql).trim().parse().unwrap()
}

///
#[test]
fn somebody_erased_again_is_gone_as_the_stack_would_have_it_and_nobody_else_is() {
    let Some(cluster) = PgCluster::start() else { return };
    cluster.psql(SCHEMA);
    cluster.psql(ROWS);
    let user = cluster.psql("SELECT md5('user 2')::uuid");
    let ids = "(md5('verification 1')::uuid, md5('verification 13')::uuid)";
    let before = dump(&cluster);
    let paths = tree_paths(&cluster.psql(&paths_sql(&one(&user))));
    assert_eq!(paths.len(), 4);
    assert!(
        paths.iter().all(|path| path.starts_with(b"documents/") || path.starts_with(b"selfies/"))
    );
    let counts = |filter: &str| {
        EMPTIED.map(|(table, column)| {
            let sql = format!("SELECT count(*) FROM {table} WHERE {column} {filter} {ids}");
            number(&cluster, &sql)
        })
    };
    let others = counts("NOT IN");
    assert!(counts("IN").iter().all(|count| *count > 0));
    for _ in 0..2 {
        cluster.psql(&erase_sql(&one(&user)));
        assert_eq!(counts("IN"), [0; 10]);
        assert_eq!(counts("NOT IN"), others);
    }
    let kept = format!(
        "SELECT count(*) FROM verification_requests WHERE id IN {ids} AND user_id IS NULL \
         AND manual_review_reason = '[GDPR deleted]' AND document_id IS NULL"
    );
    assert_eq!(number(&cluster, &kept), 2);
    let blank = "SELECT count(*) FROM users WHERE email IS NULL AND first_name IS NULL \
        AND last_name IS NULL AND phone IS NULL";
    assert_eq!(number(&cluster, blank), 2, "and the one who was erased before");
    let payloads = format!(
        "SELECT count(*) FROM webhook_deliveries \
         WHERE (payload = '{{}}') <> (verification_request_id IN {ids})"
    );
    assert_eq!(number(&cluster, &payloads), 0);
    // What the next dump says is what an erasure by the stack says.
    let (older, newer) = (rows::all_of(&before[..]), dump(&cluster));
    let scratch = tempfile::tempdir().unwrap();
    let people = rows::erased_since(older, rows::all_of(&newer[..]), scratch.path()).unwrap();
    assert_eq!(people.len(), 1);
    assert_eq!((people[0].user_id.as_str(), people[0].verification_ids.len()), (user.trim(), 2));
    assert_eq!(UserId::of(&people).unwrap(), one(&user));
}

///
#[test]
fn what_an_older_schema_lacks_is_passed_over_and_a_failure_changes_nothing() {
    let Some(cluster) = PgCluster::start() else { return };
    cluster.psql(SCHEMA);
    cluster.psql(ROWS);
    cluster.psql(
        "DROP TABLE phone_otp_codes, phone_otp_rate_limits, dedup_fingerprints, aml_screenings, \
         verification_contexts, webhook_deliveries; ALTER TABLE users DROP COLUMN phone; \
         UPDATE users SET first_name = '' WHERE first_name IS NULL; \
         ALTER TABLE users ALTER COLUMN first_name SET NOT NULL; \
         ALTER TABLE selfies DROP COLUMN file_path; \
         ALTER TABLE users ADD CONSTRAINT later CHECK (last_name IS NOT NULL) NOT VALID",
    );
    let user = cluster.psql("SELECT md5('user 3')::uuid");
    assert_eq!(tree_paths(&cluster.psql(&paths_sql(&one(&user)))).len(), 2);
    let count = || number(&cluster, "SELECT count(*) FROM documents");
    let psql = ["-X", "-v", "ON_ERROR_STOP=1", "-c", &erase_sql(&one(&user)), "-d"];
    let failed = Command::new("psql").args(psql).arg(cluster.url("postgres")).output().unwrap();
    let said = String::from_utf8_lossy(&failed.stderr);
    assert!(!failed.status.success() && said.contains("\"later\""), "{said}");
    assert_eq!(count(), 23);
    cluster.psql("ALTER TABLE users DROP CONSTRAINT later");
    cluster.psql(&erase_sql(&one(&user)));
    assert_eq!(count(), 21);
    let blank = format!(
        "SELECT count(*) FROM users WHERE id = '{}' AND email IS NULL AND first_name = ''",
        user.trim()
    );
    assert_eq!(number(&cluster, &blank), 1);
    cluster.psql("DROP TABLE verification_requests, documents, selfies, users CASCADE");
    let without = Command::new("psql").args(psql).arg(cluster.url("postgres")).output().unwrap();
    assert!(!without.status.success(), "users belong to every schema");
}
