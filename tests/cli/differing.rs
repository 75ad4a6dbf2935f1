//! `diff`, as a person runs it.

use std::fs;

use crate::retention::install;
use crate::support::noise;

#[test]
fn diff_tells_packs_without_an_identity_and_files_with_one() {
    let (install, _) = install("keep_last = 9", 0);
    let first = install.snapshot();
    install.write("uploads/selfies/new.jpg", &noise(7, 40_000));
    let second = install.snapshot();
    let words = install.run(["diff", &first, &second]);
    assert!(words.out.starts_with("packs: ") && words.out.contains(&second), "{}", words.out);
    let keyless = install.run(["diff", &first, &second, "--json"]).json(0);
    assert!(keyless["packs"]["only_second"]["len"].as_u64() > Some(40_000), "{keyless}");
    assert!(keyless["contents"].is_null());
    let identity = install.path("operator.key").display().to_string();
    let told = install.run(["diff", &first, &second, "--identity", &identity]);
    assert!(told.out.contains("+ uploads/selfies/new.jpg\n"), "{}", told.out);
    assert!(told.out.contains("files: 1 added, 0 removed, 0 changed"), "{}", told.out);
    let told = install.run(["diff", &first, &second, "--identity", &identity, "--json"]).json(0);
    assert_eq!(told["paths"]["added"][0], "selfies/new.jpg", "{told}");
    assert_eq!(told["contents"]["files"]["added"]["len"], 40_000, "{told}");
}

#[test]
fn diff_refuses_rows_without_an_identity_and_snapshots_that_are_not_there() {
    let (install, _) = install("keep_last = 9", 0);
    let id = install.snapshot();
    let refused = install.run(["diff", &id, "latest", "--rows"]);
    refused.fails(2, "usage-invalid", &["--identity"]);
    install.run(["diff", &id, "1999"]).fails(1, "snapshot-unknown", &["1999"]);
    install.run(["diff", &id, "../x"]).fails(2, "id-invalid", &["../x"]);
    fs::remove_dir_all(install.path("store/snapshots")).unwrap();
    install.run(["diff", &id, &id]).fails(1, "snapshot-unknown", &[&id]);
}
