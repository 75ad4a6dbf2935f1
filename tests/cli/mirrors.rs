//! `replicate`, `repair` and `store list`, with the real program.

use std::fs;

use crate::support::{Install, NIGHTLY, fields};

const TWO: &str = "[[vault]]\nname = \"nightly\"\nkeep_daily = 30\n\
    [[vault.store]]\nname = \"local\"\nurl = \"file://DIR/store\"\n\
    [[vault.store]]\nname = \"mirror\"\nurl = \"file://DIR/mirror\"\n";

#[test]
fn a_new_mirror_gets_everything_and_the_next_nights_as_well() {
    let (install, old) = Install::with_snapshot();
    install.write_config(TWO);
    install.run(["snapshot"]).fails(1, "store-foreign", &["replicate --to mirror"]);
    let report = install.run(["replicate", "--to", "mirror", "--json"]).json(0);
    let report = &report["vaults"][0];
    assert_eq!(fields(report), ["from", "stores", "vault"]);
    let expected = [
        "archived_count",
        "damaged",
        "damaged_count",
        "held_back",
        "object_count",
        "store",
        "stored_len",
        "unsigned_count",
    ];
    assert_eq!(fields(&report["stores"][0]), expected);
    assert_eq!((&report["from"], &report["vault"]), (&"local".into(), &"nightly".into()));
    let new = install.snapshot();
    install.unlock(["verify", "--level", "contents", "--store", "mirror"]).exits(0);
    let said = install.run(["replicate"]).exits(0);
    assert!(said.out.contains("store mirror of nightly lacks nothing"), "{said}");
    fs::remove_dir_all(install.path("store")).unwrap();
    for id in [&old, &new] {
        let target = install.text(&format!("out-{id}"));
        install.unlock(["restore", id, "--target", &target, "--store", "mirror"]).exits(0);
    }
}

#[test]
fn what_a_mirror_missed_is_no_longer_owed_once_it_was_copied() {
    let install = Install::with_vaults(TWO);
    install.run(["init", "--kit", "kit"]).exits(0);
    fs::rename(install.path("mirror"), install.path("away")).unwrap();
    install.run(["snapshot"]).warns("mirror-lagging", &["mirror"]);
    let waiting = |install: &Install| {
        let listed = install.run(["store", "list", "--json"]).json(0);
        let store = listed["stores"][1].clone();
        assert_eq!(store["name"], "mirror");
        (store["waiting"].as_u64().unwrap(), store["last_receipt"].is_string())
    };
    assert!(waiting(&install).0 > 5);
    let spool = || fs::read_dir(install.path("state/nightly/spool")).unwrap().count();
    assert!(spool() > 0);
    install.run(["replicate"]).exits(1).says(&["mirror", "not be mounted"]);
    fs::rename(install.path("away"), install.path("mirror")).unwrap();
    install.run(["replicate"]).exits(0);
    assert_eq!((waiting(&install), spool()), ((0, true), 0));
    install.unlock(["verify", "--level", "contents", "--store", "mirror"]).exits(0);
    let text = install.run(["store", "list"]).exits(0).out;
    assert!(text.contains("file://") && text.contains("nightly"), "{text}");
}

#[test]
fn a_pack_that_was_deleted_is_healed_and_one_that_nobody_has_is_told() {
    let install = Install::with_vaults(TWO);
    install.run(["init", "--kit", "kit"]).exits(0);
    let id = install.snapshot();
    let packs = install.objects("packs");
    fs::remove_file(install.path(&format!("store/{}", packs[0]))).unwrap();
    install.change(&format!("store/snapshots/{id}.note"), |bytes| bytes[40] ^= 1);
    install.run(["verify"]).exits(3);
    let dry = install.run(["repair", "--dry-run"]).exits(4);
    assert!(dry.out.contains("store mirror has a sound copy"), "{dry}");
    install.run(["verify"]).exits(3);
    let healed = install.run(["repair", "--json"]).json(0);
    let healed = &healed["vaults"][0];
    assert_eq!((&healed["case_count"], &healed["unhealed_count"]), (&2.into(), &0.into()));
    let aside = healed["cases"][1]["aside"].as_str().unwrap();
    assert!(aside.ends_with(&format!(".idswyft-vault-aside-1-{id}.note")), "{aside}");
    install.unlock(["verify", "--level", "contents"]).exits(0);
    for store in ["store", "mirror"] {
        for pack in &packs {
            fs::remove_file(install.path(&format!("{store}/{pack}"))).unwrap();
        }
    }
    let told = install.unlock(["repair", "--level", "bytes"]).exits(3);
    let names = ["NOT HEALED: store mirror does not have it", &format!("snapshot {id} lacks")];
    for name in names.into_iter().chain(["uploads/documents/a.jpg", "DAMAGED: 2 of 2"]) {
        assert!(told.out.contains(name), "{name:?}: {told}");
    }
    let keyless = install.run(["repair"]).exits(3);
    assert!(keyless.out.contains("is told with --identity"), "{keyless}");
}

#[test]
fn stores_that_are_wrong_are_refused() {
    let install = Install::with_vaults(TWO);
    install.run(["init", "--kit", "kit"]).exits(0);
    install.snapshot();
    install.run(["replicate", "--to", "nowhere"]).fails(2, "usage-invalid", &["local, mirror"]);
    install.run(["replicate", "--to", "local"]).fails(2, "usage-invalid", &["besides local"]);
    let other = Install::with_vaults(NIGHTLY);
    other.run(["init", "--kit", "kit"]).exits(0);
    let url = format!("file://{}", other.text("store"));
    let named = ["it holds vault"];
    install.run(["replicate", "--to", &url]).fails(1, "store-foreign", &named);
    install.run(["repair", "--store", &url]).fails(1, "store-foreign", &named);
}
