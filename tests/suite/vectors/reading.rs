//! This program's readers, one for each kind of vector: bytes in; what is released, or a code.

use std::sync::Arc;

use idswyft_vault::base::{ChunkParameters, Code, Coded, Profile, SystemClock};
use idswyft_vault::chunk::{Cutter, Ending, GearTable};
use idswyft_vault::crypto::identity::GenerationIdentity;
use idswyft_vault::crypto::keys::DedupSecret;
use idswyft_vault::crypto::merkle::{Frontier, TreeHead};
use idswyft_vault::crypto::signing::{VerificationKey, verify};
use idswyft_vault::crypto::{digest::sha256, seal};
use idswyft_vault::format::body::Body;
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::frame::decode_block;
use idswyft_vault::format::generation::GenerationFile;
use idswyft_vault::format::ledger::LedgerEvent;
use idswyft_vault::format::pack::{
    Blocks, Footer, PackError, PackOwner, check_padding, parse_chunks,
};
use idswyft_vault::format::padme::padded_len;
use idswyft_vault::format::segment::{SegmentError, SegmentReader};
use idswyft_vault::format::snapshot_note::SnapshotNote;
use idswyft_vault::format::tree::TreeEntry;
use idswyft_vault::format::vault_note::VaultNote;
use idswyft_vault::format::{FormatError, ObjectKey, list};
use idswyft_vault::policy::Policy;
use idswyft_vault::store::{Content, MemoryStore, Store};
use idswyft_vault::vault::pack_reader::OpenPack;

use super::file::Vector;
use super::made_text::counting;

/// Reads a vector with the reader of its kind.
///
/// # Errors
/// The code of the reader's error.
pub fn open(vector: &Vector) -> Result<Vec<u8>, Code> {
    match vector.kind.as_str() {
        "sealed" => {
            seal::open("vector", &vector.bytes, &identity(vector)).map(|p| p.to_vec()).map_err(code)
        }
        "pack" => pack(&vector.bytes),
        "object" => object(vector),
        "vault_note" => {
            let (vault, number) = (vector.context("vault"), vector.context("number"));
            let note = VaultNote::parse(&signed(vector)?, vault, number).map_err(code)?;
            text(note.compose())
        }
        "snapshot_note" => {
            let (vault, snapshot) = (vector.context("vault"), vector.context("snapshot"));
            let note = SnapshotNote::parse(&signed(vector)?, vault, snapshot).map_err(code)?;
            text(note.compose())
        }
        "checkpoint" => {
            let (vault, signer) = (vector.context("vault"), vector.context("signer"));
            let head = TreeHead::parse_checkpoint(&signed(vector)?, vault, signer).map_err(code)?;
            Ok(head.compose_checkpoint(vault, signer).into_bytes())
        }
        "list" => {
            let (vault, snapshot) = (vector.context("vault"), vector.context("snapshot"));
            let (entries, _) = list::parse(&vector.bytes, vault, snapshot).map_err(code)?;
            text(list::compose(vault, snapshot, entries).map(|(text, _)| text))
        }
        "body" => {
            let (vault, generation) = (vector.context("vault"), vector.context("generation"));
            let snapshot = vector.context("snapshot");
            let body = Body::parse(&vector.bytes, vault, generation, snapshot).map_err(code)?;
            text(body.compose())
        }
        "generation" => {
            let file = GenerationFile::parse(&vector.bytes).map_err(code)?;
            Ok(file.compose().as_bytes().to_vec())
        }
        "segment" => segment(&vector.bytes).map_err(code),
        "event" => {
            let (vault, signer) = (vector.context("vault"), vector.context("signer"));
            let seq = vector.context("seq");
            let event = LedgerEvent::parse(&vector.bytes, vault, signer, seq).map_err(code)?;
            match event.payload {
                EventPayload::Unknown(_) => Ok(vector.bytes.clone()),
                _ => event.compose().map_err(code),
            }
        }
        "tree" => {
            let entry = TreeEntry::parse_line(&vector.bytes).map_err(code)?;
            entry.to_line().map_err(code)
        }
        "merkle" => Ok(merkle(&vector.bytes)),
        "padme" => Ok(numbers(&vector.bytes, padded_len)),
        "policy" => {
            let map = serde_json::from_slice(&vector.bytes).expect("the vector is JSON");
            let policy = Policy::from_json(&map).map_err(code)?;
            Ok(serde_json::to_vec(&policy.to_json()).expect("it is JSON"))
        }
        "keys" => Ok(keys(&vector.bytes)),
        other => panic!("{}: no reader reads {other}", vector.name),
    }
}

fn code(error: impl Coded) -> Code {
    error.code()
}

fn text(composed: Result<String, FormatError>) -> Result<Vec<u8>, Code> {
    composed.map(String::into_bytes).map_err(code)
}

fn identity(vector: &Vector) -> GenerationIdentity {
    let text: String = vector.context("identity");
    GenerationIdentity::parse(&text).expect("the vector's identity parses")
}

fn signed(vector: &Vector) -> Result<Vec<u8>, Code> {
    let key: VerificationKey = vector.context("vkey");
    Ok(verify(&vector.bytes, &[&key]).map_err(code)?.text().to_vec())
}

/// Reads a pack's plaintext whole, as level `contents` does.
fn pack(plain: &[u8]) -> Result<Vec<u8>, Code> {
    let at = |offset: u64| usize::try_from(offset).expect("vectors are short");
    let directory = || -> Result<(Footer, Blocks), PackError> {
        let footer = Footer::parse(plain, plain.len() as u64)?;
        let blocks = Blocks::parse(&footer, plain)?;
        parse_chunks(&footer, &blocks, plain)?;
        check_padding(&footer, &plain[at(footer.frames_len)..])?;
        Ok((footer, blocks))
    };
    let (_, blocks) = directory().map_err(code)?;
    let (mut raw, mut block) = (Vec::new(), Vec::new());
    for index in 0..blocks.len() {
        let (frame, range) = (blocks.frame_range(index), blocks.raw_range(index));
        let frame = &plain[at(frame.start)..at(frame.end)];
        decode_block(frame, at(range.end - range.start), &mut block).map_err(code)?;
        raw.extend_from_slice(&block);
    }
    Ok(raw)
}

/// Reads a pack from a store, by its name and for its owner.
fn object(vector: &Vector) -> Result<Vec<u8>, Code> {
    let owner = PackOwner {
        vault: vector.context("vault"),
        generation: vector.context("generation"),
        profile: vector.context::<Profile>("profile"),
    };
    let store = MemoryStore::new("vectors", Arc::new(SystemClock));
    let digest = sha256(&vector.bytes);
    let id = digest.to_string().parse().expect("a pack id is a SHA-256");
    let key = ObjectKey::Pack(id);
    store.put_new(&key, Content::Bytes(&vector.bytes), &digest).map_err(code)?;
    let pack = OpenPack::open(&store, key, &identity(vector), owner).map_err(code)?;
    pack.chunks().map_err(code)?;
    Ok(pack.read_blocks(0..pack.blocks().len()).map_err(code)?.concat())
}

fn segment(bytes: &[u8]) -> Result<Vec<u8>, SegmentError> {
    let mut reader = SegmentReader::open(bytes)?;
    let mut composed = reader.header().compose();
    composed.extend(reader.record().compose()?);
    while let Some(pack) = reader.next_pack()? {
        composed.extend(pack.compose());
    }
    while let Some(used) = reader.next_use()? {
        composed.extend(used.compose());
    }
    Ok(composed)
}

/// The roots of the first leaf, the first two, and so on.
fn merkle(leaves: &[u8]) -> Vec<u8> {
    let mut frontier = Frontier::empty();
    let roots = leaves.split(|byte| *byte == b'\n').map(|leaf| {
        frontier.append(&hex::decode(leaf).expect("leaves are hex"));
        format!("{}\n", frontier.head().root).into_bytes()
    });
    roots.collect::<Vec<_>>().concat()
}

/// Applies a function to each line's number.
pub fn numbers(lines: &[u8], of: fn(u64) -> u64) -> Vec<u8> {
    let lines = std::str::from_utf8(lines).expect("the lines are text").lines();
    let results = lines.map(|line| of(line.parse().expect("a line is a number")));
    results.map(|result| format!("{result}\n")).collect::<String>().into_bytes()
}

fn keys(secret: &[u8]) -> Vec<u8> {
    let secret = std::str::from_utf8(secret).expect("the secret is text");
    let secret = DedupSecret::from_hex(secret).expect("the secret is hex");
    let ids = Profile::ALL.map(|p| format!("{p} {}\n", secret.chunk_id_key(p).id(b"chunk")));
    let gear = secret.gear_material();
    let gear_b3 = blake3::hash(gear.as_slice()).to_hex();
    let index = secret.index_identity().to_secret_text();
    let table = Arc::new(GearTable::from_material(&gear));
    let cutter = Cutter::new(ChunkParameters::default_for(Profile::Stream), table);
    let cuts = cutter.cut(&counting(), Ending::Last);
    let index = index.as_str();
    format!("{}gear {gear_b3}\nindex {index}\ncuts {cuts:?}\n", ids.concat()).into_bytes()
}
