//! Notes, checkpoints and lists (§8): what is signed, and what signatures cover.

use idswyft_vault::base::{Code, Digest, PackId, SignerId, SnapshotId};
use idswyft_vault::crypto::merkle::TreeHead;
use idswyft_vault::crypto::signing::{KeyUse, SigningKey};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::event::EventName;
use idswyft_vault::format::list::{self, ListEntry};
use idswyft_vault::format::parameters::Parameters;
use idswyft_vault::format::role::Role;
use idswyft_vault::format::snapshot_note::{SignedObject, SnapshotNote};
use idswyft_vault::format::vault_note::{Delegate, VaultNote};

use super::file::Vector;
use super::made_packs::{VAULT, generation};

/// The snapshot of every vector.
pub fn snapshot() -> SnapshotId {
    "20261122T023000Z-00000002".parse().expect("the id is well formed")
}

/// The root key of every vector.
pub fn root() -> SigningKey {
    SigningKey::from_seed(VAULT, KeyUse::Root, &[5; 32])
}

/// The writer's key of every vector.
pub fn writer() -> SigningKey {
    SigningKey::from_seed(VAULT, KeyUse::Signer, &[6; 32])
}

/// The signer of every vector.
pub fn signer() -> SignerId {
    writer().signer_id()
}

/// Signs a text.
pub fn sign(key: &SigningKey, text: &str) -> Vec<u8> {
    key.sign(text).expect("the text can be signed")
}

/// Returns the vectors.
pub fn vectors() -> Vec<Vector> {
    let mut all = vault_notes();
    all.extend(snapshot_notes());
    all.extend(checkpoints());
    all.extend(lists());
    all
}

/// The vault note of every vector.
pub fn vault_note() -> VaultNote {
    let role = Role::Writer;
    let delegate = Delegate {
        id: signer(),
        role,
        key: writer().verification_key().to_string(),
        events: role.usual_events().into_iter().map(EventName::Known).collect(),
        retired: None,
    };
    // Its key is derived from the root key of the vectors.
    let key = root().operator_signer().verification_key().clone();
    let operator = Delegate::usual(key.signer_id(), key, Role::Operator);
    VaultNote {
        vault: VAULT,
        number: 1,
        previous: None,
        time: snapshot().time(),
        name: "nightly".to_owned(),
        signers: vec![delegate, operator],
        policy: serde_json::from_str(r#"{"keep_daily":30,"time_zone":"UTC"}"#).expect("JSON"),
        parameters: Parameters::initial(),
        recipients: vec![Digest::from_bytes([0x33; 32])],
    }
}

fn vault_text() -> String {
    vault_note().compose().expect("the note is sound")
}

fn vault_notes() -> Vec<Vector> {
    let text = vault_text();
    let vector = |name: &str, covers, says, bytes| {
        Vector::new(&format!("vault_note-{name}"), covers, says, bytes)
            .with("vault", VAULT)
            .with("number", 1)
            .with("vkey", root().verification_key())
            .in_text()
    };
    let kem = text.replace("\"x25519\"", "\"mlkem768x25519\"");
    let delegated = text.replace("\"snapshot.taken\"", "\"snapshot.taken\",\"hold.released\"");
    vec![
        vector("sound", "V-95, V-91", "The first vault note.", sign(&root(), &text))
            .releases(text.as_bytes()),
        vector("kem", "V-100", "Another key encapsulation.", sign(&root(), &kem))
            .refused(Code::FormatTooNew),
        vector(
            "delegation",
            "V-106",
            "A writer is delegated the release of holds.",
            sign(&root(), &delegated),
        ),
        vector("signed-by-writer", "V-95", "Signed by a writer.", sign(&writer(), &text))
            .refused(Code::SignatureInvalid),
    ]
}

/// The snapshot note of every vector.
pub fn snapshot_note() -> SnapshotNote {
    let object = |byte, len| SignedObject { sha256: Digest::from_bytes([byte; 32]), len };
    SnapshotNote {
        vault: VAULT,
        snapshot: snapshot(),
        generation: generation(),
        time: snapshot().time(),
        signer: signer(),
        body: object(1, 65_736),
        list: object(2, 300),
        segment: object(3, 65_736),
        pack_count: 1,
        tree_count: 1,
        stored_len: 131_472,
        new_len: 131_472,
        floor: None,
        tags_digest: Digest::from_bytes([4; 32]),
        keep_tag: false,
    }
}

fn snapshot_text() -> String {
    snapshot_note().compose().expect("the note is sound")
}

fn snapshot_notes() -> Vec<Vector> {
    let text = snapshot_text();
    let signed = sign(&writer(), &text);
    let mut flipped = signed.clone();
    let at = flipped.len() - 20;
    flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
    let vector = |name: &str, covers, says, bytes| {
        Vector::new(&format!("snapshot_note-{name}"), covers, says, bytes)
            .with("vault", VAULT)
            .with("snapshot", snapshot())
            .with("vkey", writer().verification_key())
            .in_text()
    };
    let confused = sign(&writer(), &vault_text());
    vec![
        vector("sound", "V-95, V-91", "A snapshot note.", signed).releases(text.as_bytes()),
        vector("flipped", "V-96", "A letter of the signature is another.", flipped)
            .refused(Code::SignatureInvalid),
        vector("kind", "V-91", "A vault note in its place.", confused).refused(Code::ObjectForeign),
    ]
}

fn checkpoints() -> Vec<Vector> {
    let head = TreeHead { size: 3, root: Digest::from_bytes([7; 32]) };
    let text = head.compose_checkpoint(VAULT, signer());
    let extended = format!("{text}extension\n");
    let vector = |name: &str, says, text: &str| {
        Vector::new(&format!("checkpoint-{name}"), "V-121", says, sign(&writer(), text))
            .with("vault", VAULT)
            .with("signer", signer())
            .with("vkey", writer().verification_key())
            .in_text()
    };
    vec![
        vector("sound", "A checkpoint of three events.", &text).releases(text.as_bytes()),
        vector("extended", "It has an extension line.", &extended),
    ]
}

fn lists() -> Vec<Vector> {
    let entries = [
        ListEntry { key: ObjectKey::Pack(PackId::from_bytes([8; 32])), stored_len: 65_736 },
        ListEntry { key: ObjectKey::Tree(PackId::from_bytes([7; 32])), stored_len: 65_736 },
    ];
    let (text, _) = list::compose(VAULT, snapshot(), entries).expect("the list is sound");
    let vector = |name: &str, covers, says, text: String| {
        Vector::new(&format!("list-{name}"), covers, says, text.into_bytes())
            .with("vault", VAULT)
            .with("snapshot", snapshot())
            .in_text()
    };
    let lines: Vec<&str> = text.lines().collect();
    let turned = format!("{}\n", [lines[0], lines[3], lines[4], lines[1], lines[2]].join("\n"));
    let other = text.replacen(&"08".repeat(32), &"09".repeat(32), 1);
    vec![
        vector("sound", "V-111, V-114", "A pack and a tree object.", text.clone())
            .releases(text.as_bytes()),
        vector("unsorted", "V-111", "The tree object first.", turned),
        vector("digest", "V-112", "A digest is not the one in the name.", other),
    ]
}
