//! The reference reader reads every vector as it says.

use super::records::{
    Entry, body, checkpoint, event, generation, list, merkle_root, segment, snapshot_note,
    vault_note,
};
use sha2::{Digest as _, Sha256};

use super::structures::{Checked, FOREIGN, Pack, ensure, key, sha, unseal, verified};
use crate::support::Figure;
use crate::vectors::file::{Expected, Vector};

fn open(vector: &Vector) -> Checked<Vec<u8>> {
    let text = |key: &str| vector.context::<String>(key);
    let (bytes, vault) = (vector.bytes.as_slice(), || text("vault"));
    let unsealed = || unseal(bytes, &text("identity").parse().expect("it parses"));
    let signed = |signer: Option<&str>| {
        let key = key(&text("vkey"), &vault(), signer)?;
        Ok(verified(bytes, vec![key])?.0.into_bytes())
    };
    match vector.kind.as_str() {
        "sealed" => unsealed(),
        "pack" => Ok(Pack::parse(bytes)?.raw),
        "object" => {
            let pack = Pack::parse(&unsealed()?)?;
            let profile = ["stream", "file", "meta"][pack.owner.2 - 1];
            let owner = (pack.owner.0, pack.owner.1, profile.to_owned());
            let is_its_own = owner == (vault(), text("generation"), text("profile"));
            ensure(is_its_own, FOREIGN, "the owner").map(|()| pack.raw)
        }
        "vault_note" => {
            vault_note(bytes, &text("vkey"), &vault(), &text("number"))?;
            signed(None)
        }
        "snapshot_note" => {
            let vkey = text("vkey");
            let keys = std::iter::once(vkey.as_str());
            snapshot_note(bytes, &vault(), &text("snapshot"), keys)?;
            signed(vkey.split(['/', '+']).nth(2))
        }
        "checkpoint" => {
            checkpoint(bytes, &text("signer"), &text("vkey"), &vault())?;
            signed(Some(&text("signer")))
        }
        "list" => list(bytes, &vault(), &text("snapshot")).map(|_| bytes.to_vec()),
        "body" => {
            let of = body(bytes, &vault(), &text("generation"), &text("snapshot"));
            of.map(|_| bytes.to_vec())
        }
        "generation" => generation(bytes).map(|_| bytes.to_vec()),
        "segment" => segment(bytes, ["", "", ""]).map(|_| bytes.to_vec()),
        "event" => event(bytes, &vault(), &text("signer"), &text("seq")).map(|_| bytes.to_vec()),
        "tree" => Entry::parse(bytes).map(|_| bytes.to_vec()),
        "merkle" => {
            let leaves = bytes.split(|byte| *byte == b'\n');
            let leaf = |leaf| Sha256::digest([&[0], &hex::decode(leaf).unwrap()[..]].concat());
            let leaves: Vec<Vec<u8>> = leaves.map(|text| leaf(text).to_vec()).collect();
            let roots = (1..=leaves.len()).map(|size| hex::encode(merkle_root(&leaves[..size])));
            Ok(roots.map(|root| root + "\n").collect::<String>().into_bytes())
        }
        other => panic!("{}: no reader reads {other}", vector.name),
    }
}

#[test]
fn the_reference_reader_releases_or_refuses_every_vector_as_it_says() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for vector in crate::vectors::all() {
        // Who writes pads and cuts, and who deletes applies policies; this one only reads.
        if ["keys", "padme", "policy"].contains(&vector.kind.as_str()) {
            continue;
        }
        let outcome = match open(&vector) {
            Ok(released) => Expected::Released(sha(&released)),
            Err(refused) => Expected::Refused(refused.code.to_owned()),
        };
        count += 1;
        if outcome != vector.expected {
            wrong.push(format!("{}: {outcome:?}, not {:?}", vector.name, vector.expected));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    let what = "Vectors that the reference reader releases or refuses as the program does";
    Figure { what, test: "the_reference_reader_releases" }.record(count);
}
