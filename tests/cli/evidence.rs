//! `verify` with evidence from elsewhere, and `store receipts`, with the real program.

use crate::support::{Install, KYC, NIGHTLY};

#[test]
fn evidence_that_cannot_be_of_what_is_verified_is_refused() {
    let (install, _) = Install::with_snapshot();
    install.write("report.csv", b"bucket,name,,succeeded,200,,{}\n");
    for (words, why) in [
        (
            &["--level", "ledger", "--class", "GLACIER"][..],
            "level ledger looks at no stored object",
        ),
        (&["--level", "ledger", "--receipts", "x"], "level ledger looks at no stored object"),
        (&["--lock", "compliance"], "a directory locks nothing"),
        (&["--write-batch-manifest", "job.csv"], "it is in no bucket"),
        (&["--provider-report", "report.csv"], "store local is in no bucket"),
        (&["--receipts", "report.csv"], "line 1: it does not begin as what `store receipts`"),
    ] {
        let words = ["verify"].iter().chain(words);
        install.run(words).fails(2, "usage-invalid", &[why]);
    }
    let wrong = install.run(["verify", "--class", "COLD"]).exits(2);
    assert!(wrong.err.contains("INTELLIGENT_TIERING"), "{wrong}");
    assert!(!install.path("job.csv").exists());
    install.run(["verify", "--class", "STANDARD"]).exits(0);
    install.run(["verify", "--class", "GLACIER"]).exits(4);
}

#[test]
fn receipts_of_a_store_that_gives_none_or_that_nobody_has_are_refused() {
    let (install, _) = Install::with_snapshot();
    let words = ["store", "receipts", "--out", "receipts.txt", "--store"];
    let of = |store| install.run(words.iter().chain(&[store]));
    of("local").fails(2, "usage-invalid", &["a directory gives none"]);
    of("moon").fails(2, "usage-invalid", &["no vault has a store moon"]);
    assert!(!install.path("receipts.txt").exists());
    install.write("receipts.txt", b"the only copy");
    of("local").fails(1, "file-exists", &["receipts receipts.txt: it is there already"]);
    let job = install.run(["verify", "--write-batch-manifest", "receipts.txt"]);
    job.fails(1, "file-exists", &["job receipts.txt: it is there already"]);
    let nowhere = install.run(["verify", "--write-batch-manifest", "none/job.csv"]);
    nowhere.fails(1, "system-failed", &["none/job.csv"]);
    assert_eq!(std::fs::read(install.path("receipts.txt")).unwrap(), b"the only copy");
}

#[test]
fn evidence_of_one_vault_is_not_taken_for_that_of_two() {
    let install = Install::with_vaults(&(NIGHTLY.to_owned() + KYC));
    install.run(["init", "--kit", "kit"]).exits(0);
    let words = ["verify", "--receipts", "receipts.txt"];
    install.run(words).fails(2, "usage-invalid", &["it is of one vault: name it with --vault"]);
}
