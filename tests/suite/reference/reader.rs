//! A vault as its store shows it to who brings the root key, and perhaps an identity (§12).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use age::x25519::Identity;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::records::{
    Chunks, Entry, body, checkpoint, event, gather, generation, int, is_recipient, items, list,
    may, merkle_root, segment, snapshot_note, text, tree, vault_note,
};
use super::structures::{
    Checked, FOREIGN, Fields, LIMIT, MISMATCH, Pack, Refused, document, ensure, refused, sha, some,
    unseal,
};

/// What a snapshot holds.
#[derive(Debug)]
pub struct Contents {
    pub body: Value,
    pub db: Vec<u8>,
    /// The uploads by path, the root under the empty one.
    pub files: BTreeMap<Vec<u8>, Entry>,
}

/// A pack's name and stored length, and its generation.
type Place = (String, u64, String);

/// What a reader learned.
pub struct Reference {
    store: PathBuf,
    vault: String,
    identities: Vec<Identity>,
    signers: Vec<Value>,
    events: Vec<Value>,
    notes: BTreeMap<String, Value>,
    opened: RefCell<BTreeMap<Place, Rc<Pack>>>,
    /// What is wrong with notes and ledgers.
    pub findings: BTreeSet<Refused>,
}

impl Reference {
    /// Reads notes and ledgers, which prove themselves.
    pub fn open(store: &Path, root_key: &str, identity: Option<&str>) -> Checked<Self> {
        let vault = some(root_key.split(['/', '+']).nth(1), "the root key's name")?.to_owned();
        let lines = identity.unwrap_or_default().lines();
        let mut reader = Self {
            store: store.to_owned(),
            vault,
            identities: lines.filter_map(|line| line.parse().ok()).collect(),
            signers: Vec::new(),
            events: Vec::new(),
            notes: BTreeMap::new(),
            opened: RefCell::default(),
            findings: BTreeSet::new(),
        };
        reader.follow_chain(root_key)?;
        for id in reader.names("ledger", "") {
            let is_unknown = reader.signers.iter().all(|signer| signer["id"] != id);
            let name = format!("ledger/{id}/0000000000.json");
            let unknown = Some(refused("signer-not-delegated", &name)).filter(|_| is_unknown);
            reader.findings.extend(unknown);
        }
        for signer in reader.signers.clone() {
            let checked = reader.log(&signer);
            reader.findings.extend(checked.err());
        }
        for id in reader.names("snapshots", ".note") {
            match reader.note(&id) {
                Ok(note) => drop(reader.notes.insert(id, note)),
                Err(error) => drop(reader.findings.insert(error)),
            }
        }
        reader.compare_notes_and_ledgers();
        Ok(reader)
    }

    /// §8.2: takes the newest note of an unbroken chain from 1; the first one must be sound.
    fn follow_chain(&mut self, root_key: &str) -> Checked<()> {
        let mut previous = Value::Null;
        for number in 1.. {
            let name = format!("vault/{number}.note");
            let next = self.read(&name, 1_000_000).and_then(|stored| {
                let note = vault_note(&stored, root_key, &self.vault, &number.to_string())?;
                ensure(note["previous"] == previous, MISMATCH, "previous").map(|()| (stored, note))
            });
            match next.map_err(|error| error.of(&name)) {
                Ok((stored, note)) => {
                    previous = sha(&stored).into();
                    self.signers = items(&note["signers"]).cloned().collect();
                }
                Err(error) if number == 1 => return Err(error),
                Err(error) => {
                    self.findings
                        .extend(Some(error).filter(|error| error.code != "object-missing"));
                    break;
                }
            }
        }
        Ok(())
    }

    fn read(&self, name: &str, max: u64) -> Checked<Vec<u8>> {
        let file = fs::symlink_metadata(self.store.join(name)).ok().filter(fs::Metadata::is_file);
        let len = file.ok_or_else(|| refused("object-missing", name))?.len();
        ensure(len <= max, LIMIT, name)?;
        Ok(fs::read(self.store.join(name))?)
    }

    /// §12.1: reads an object that a note signed.
    fn signed(&self, name: &str, signed: &Value) -> Checked<Vec<u8>> {
        let bytes = self.read(name, 1 << 30)?;
        ensure(int(&signed["len"]) <= bytes.len(), "object-truncated", name)?;
        let is_same = signed["len"] == bytes.len() && signed["sha256"] == sha(&bytes);
        ensure(is_same, "object-altered", name).map(|()| bytes)
    }

    /// Lists the names of this ending in a folder, without it.
    fn names(&self, folder: &str, ending: &str) -> BTreeSet<String> {
        let entries = fs::read_dir(self.store.join(folder)).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| Some(name.strip_suffix(ending)?.to_owned())).collect()
    }

    /// §8.4, §8.5: takes the events of a log as far as they are signed and allowed.
    fn log(&mut self, signer: &Value) -> Checked<()> {
        let (id, mut leaves) = (text(&signer["id"]), Vec::new());
        let names = self.names(&format!("ledger/{id}"), ".json");
        for (seq, found) in (0_u64..).zip(&names) {
            let name = format!("ledger/{id}/{seq:010}.json");
            ensure(name.ends_with(&format!("/{found}.json")), "ledger-broken", &name)?;
            let leaf = self.read(&name, 262_144)?;
            let event = event(&leaf, &self.vault, id, &seq.to_string());
            let event = event.map_err(|error| error.of(&name))?;
            leaves.push(Sha256::digest([b"\0", &leaf[..]].concat()).to_vec());
            let is_last = seq + 1 == names.len() as u64;
            let missing = if is_last { "record-pending" } else { "ledger-broken" };
            let place = format!("ledger/{id}/{seq:010}.checkpoint");
            let stored = self
                .read(&place, 1_000_000)
                .map_err(|_| refused(missing, if is_last { &name } else { &place }))?;
            let head = checkpoint(&stored, id, text(&signer["key"]), &self.vault);
            let head = head.map_err(|error| error.of(&place))?;
            ensure(head == (seq + 1, merkle_root(&leaves)), "ledger-broken", &place)?;
            ensure(may(signer, &event["event"], &event["time"]), "signer-not-delegated", &name)?;
            self.events.push(event);
        }
        Ok(())
    }

    /// §8.2: a snapshot note of a signer that may take snapshots.
    fn note(&self, id: &str) -> Checked<Value> {
        let name = format!("snapshots/{id}.note");
        let keys = self.signers.iter().map(|signer| text(&signer["key"]));
        let parsed = self.read(&name, 1_000_000).and_then(|stored| {
            let (note, names) = snapshot_note(&stored, &self.vault, id, keys)?;
            let is_its_own = |name: &String| note["signer"] == name[name.len() - 16..];
            let is_allowed = self.signers.iter().any(|signer| {
                let taken = &Value::from("snapshot.taken");
                signer["id"] == note["signer"] && may(signer, taken, &note["time"])
            });
            ensure(is_allowed && names.iter().any(is_its_own), "signer-not-delegated", "")?;
            Ok(note)
        });
        parsed.map_err(|error| error.of(&name))
    }

    fn events(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(move |event| event["event"] == name)
    }

    /// §12.3: what is needed is what ledgers and notes say together.
    fn compare_notes_and_ledgers(&mut self) {
        let (mut findings, place) = (Vec::new(), |id: &str| format!("snapshots/{id}.note"));
        for taken in self.events("snapshot.taken") {
            let name = place(text(&taken["snapshot"]));
            let mut gone = self.events("snapshot.forgotten");
            match self.read(&name, 1_000_000) {
                Ok(note) if taken["note_sha256"] != sha(&note) => {
                    findings.push(refused(MISMATCH, &name));
                }
                Err(error) if !gone.any(|gone| gone["snapshot"] == taken["snapshot"]) => {
                    findings.push(error);
                }
                _ => {}
            }
        }
        let taken = |id: &str| self.events("snapshot.taken").any(|taken| taken["snapshot"] == id);
        for (id, note) in self.notes.iter().filter(|(id, _)| !taken(id)) {
            let is_own = |of: &Value| of["signer"] == note["signer"];
            let others = self.notes.iter().filter(|(id, note)| is_own(note) && !taken(id));
            let last = self.events("snapshot.taken").filter(|event| is_own(event)).last();
            let is_behind = last.is_none_or(|last| text(&last["snapshot"]) < id.as_str());
            let is_pending = is_behind && others.count() == 1;
            findings
                .push(refused(if is_pending { "record-pending" } else { MISMATCH }, &place(id)));
        }
        for opened in self.events("generation.opened") {
            let id = text(&opened["generation"]);
            if self.events("generation.shredded").any(|gone| gone["generation"] == id) {
                continue;
            }
            let mut revs: BTreeMap<String, Vec<(&Value, String)>> = BTreeMap::new();
            for (name, digest, event) in self.revs(id) {
                revs.entry(name).or_default().push((digest, event));
            }
            for (name, recorded) in revs {
                let found = self.read(&name, 1 << 20).map(|rev| sha(&rev));
                let (right, wrong): (Vec<_>, Vec<_>) = recorded
                    .into_iter()
                    .partition(|(digest, _)| found.as_ref().is_ok_and(|found| *digest == found));
                let is_right = ensure(!right.is_empty(), "object-altered", &name);
                findings.extend(found.and(is_right).err());
                if !right.is_empty() {
                    findings.extend(wrong.iter().map(|(_, event)| refused(MISMATCH, event)));
                }
            }
        }
        self.findings.extend(findings);
    }

    /// Returns the ids of the snapshots, the oldest first.
    pub fn snapshots(&self) -> Vec<String> {
        self.notes.keys().cloned().collect()
    }

    /// §5.2, §5.4: the identity and the dedup secret of a generation.
    fn generation(&self, id: &str) -> Checked<(Identity, [u8; 32])> {
        let opened = self.events("generation.opened").filter(|opened| opened["generation"] == id);
        let opened: Vec<&Value> = opened.collect();
        let signed: Vec<(String, &Value, String)> = self.revs(id).collect();
        let listed = self.names(&format!("generations/{id}"), ".age").into_iter();
        let listed = listed.map(|rev| format!("generations/{id}/{rev}.age"));
        let mut refusal = refused("identity-wrong", id);
        for name in listed.chain(signed.iter().map(|rev| rev.0.clone())).collect::<BTreeSet<_>>() {
            let secrets = self.read(&name, 1 << 20).and_then(|sealed| {
                let mut of_name = signed.iter().filter(|rev| rev.0 == name).peekable();
                let found = sha(&sealed);
                let is_signed = of_name.peek().is_none() || of_name.any(|rev| *rev.1 == found);
                ensure(is_signed, "object-altered", "")?;
                let (vault, found, identity, secret) = generation(&self.open_secrets(&sealed)?)?;
                let is_its_own = vault == self.vault && found == id;
                let mut recorded = opened.iter().map(|opened| &opened["recipient_sha256"]);
                let is_recipient =
                    opened.is_empty() || recorded.any(|to| is_recipient(&identity, to));
                ensure(is_its_own && is_recipient, FOREIGN, "").map(|()| (identity, secret))
            });
            match secrets {
                Ok(secrets) => return Ok(secrets),
                Err(error) if error.code == "identity-wrong" => {}
                Err(error) if error.what == name => refusal = error,
                Err(error) => refusal = error.of(&name),
            }
        }
        Err(refusal)
    }

    /// The names of a generation's files, their digests as ledgers say, and which event does.
    fn revs<'a>(&'a self, id: &'a str) -> impl Iterator<Item = (String, &'a Value, String)> {
        let opened = self.events("generation.opened").filter(move |all| all["generation"] == id);
        let opened = opened.flat_map(|event| items(&event["revs"]).map(move |rev| (event, rev)));
        let changed = self
            .events("recipients.changed")
            .flat_map(|event| items(&event["generations"]).map(move |rev| (event, rev)));
        let changed = changed.filter(move |(_, rev)| rev["generation"] == id);
        opened.chain(changed).map(move |(event, rev)| {
            let of = format!("ledger/{}/{:010}.json", text(&event["signer"]), int(&event["seq"]));
            (format!("generations/{id}/{}.age", rev["rev"]), &rev["sha256"], of)
        })
    }

    fn open_secrets(&self, sealed: &[u8]) -> Checked<Vec<u8>> {
        let identities = self.identities.iter().map(|identity| identity as &dyn age::Identity);
        let open = || {
            let mut plain = Vec::new();
            age::Decryptor::new(sealed)?.decrypt(identities)?.read_to_end(&mut plain)?;
            Ok(plain)
        };
        open().map_err(|error: Refused| Refused { code: "identity-wrong", ..error })
    }

    /// Returns everything of a snapshot, every chunk, stream and file of it checked.
    pub fn snapshot(&self, id: &str) -> Checked<Contents> {
        let (body, packs) = self.packs(id)?;
        let table: Vec<&str> = items(&body["packs"]).map(text).collect();
        let name = format!("snapshots/{id}.age");
        let is_listed = table.iter().all(|pack| packs.contains_key(*pack));
        ensure(is_listed && table.len() == packs.len(), MISMATCH, &name)?;
        let stream = |of: &Value, profile| {
            let extents = items(&of["recipe"]);
            let extents = extents.map(|e| (table[int(&e[0])], int(&e[1]), int(&e[2])));
            gather(&packs, profile, extents, of).map_err(|error| error.of(&name))
        };
        let (database, uploads) = (&body["database"], &body["uploads"]);
        let db = if database.is_null() { Vec::new() } else { stream(database, 1)? };
        let mut files = BTreeMap::new();
        if !uploads.is_null() {
            let entries = tree(&stream(&uploads["tree"], 3)?);
            for mut entry in entries.map_err(|error| error.of(&name))? {
                if entry.line["kind"] == "file" {
                    let extents = items(&entry.line["extents"]);
                    let extents = extents.map(|e| (text(&e[0]), int(&e[1]), int(&e[2])));
                    let bytes = gather(&packs, 2, extents, &entry.line);
                    entry.bytes = bytes.map_err(|error| error.of(&name))?;
                }
                files.insert(entry.path.clone(), entry);
            }
        }
        Ok(Contents { body, db, files })
    }

    /// §8.3
    fn list(&self, id: &str, note: &Value) -> Checked<BTreeMap<String, u64>> {
        let name = format!("snapshots/{id}.sha256");
        let listed = list(&self.signed(&name, &note["list"])?, &self.vault, id);
        let listed = listed.map_err(|error| error.of(&name))?;
        let tree_count = listed.keys().filter(|name| name.starts_with("trees/")).count();
        let is_same = note["tree_count"] == tree_count
            && note["pack_count"] == listed.len() - tree_count
            && note["stored_len"] == listed.values().sum::<u64>();
        ensure(is_same, MISMATCH, &name).map(|()| listed)
    }

    /// §7.1: the body, and the packs of the list by id.
    pub fn packs(&self, id: &str) -> Checked<(Value, BTreeMap<String, Rc<Pack>>)> {
        let note = self.notes.get(id).ok_or_else(|| refused("snapshot-unknown", id))?;
        let listed = self.list(id, note)?;
        let (name, generation) = (format!("snapshots/{id}.age"), text(&note["generation"]));
        let (identity, secret) = self.generation(generation)?;
        let sealed = self.signed(&name, &note["body"])?;
        let parse = |plain: &[u8]| body(&document(plain, 1 << 29)?, &self.vault, generation, id);
        let body = unseal(&sealed, &identity).and_then(|plain| parse(&plain));
        let body = body.map_err(|error| error.of(&name))?;
        let salt = hex::decode(text(&body["tags_salt"]))?;
        let tags = sha(&[&salt, body["tags"].to_string().as_bytes()].concat());
        ensure(note["tags_digest"] == tags, MISMATCH, &name)?;
        let mut packs = BTreeMap::new();
        for (name, len) in &listed {
            let place = (name.clone(), *len, generation.to_owned());
            let known = self.opened.borrow().get(&place).cloned();
            let pack = match known {
                Some(pack) => pack,
                None => Rc::new(self.pack(&place, &identity, &secret)?),
            };
            self.opened.borrow_mut().insert(place, Rc::clone(&pack));
            packs.insert(name[9..].to_owned(), pack);
        }
        Ok((body, packs))
    }

    /// §4.3, §5.3: a pack of a list, every chunk of it checked.
    fn pack(&self, place: &Place, identity: &Identity, secret: &[u8; 32]) -> Checked<Pack> {
        let (name, len, generation) = place;
        let sealed = self.signed(name, &serde_json::json!({"sha256": name[9..], "len": len}))?;
        let pack = unseal(&sealed, identity).and_then(|plain| Pack::parse(&plain));
        let pack = pack.map_err(|error| error.of(name))?;
        let (vault, of, profile) = (&pack.owner.0, &pack.owner.1, pack.owner.2);
        let is_in_place = name.starts_with("trees/") == (profile == 3);
        let is_its_own = *vault == self.vault && of == generation && is_in_place;
        ensure(is_its_own, FOREIGN, name)?;
        let profile = ["stream", "file", "meta"][profile - 1];
        let key = blake3::derive_key(&format!("idswyft-vault/v1 chunk id {profile}"), secret);
        let mut raw = Fields(&pack.raw);
        for (id, len) in &pack.chunks {
            let is_its_own = blake3::keyed_hash(&key, raw.take(*len)?) == *id;
            ensure(is_its_own, "contents-altered", name)?;
        }
        Ok(pack)
    }

    /// Returns a segment as it is stored, once it is the one that was signed.
    pub fn sealed_segment(&self, id: &str) -> Checked<Vec<u8>> {
        let note = self.notes.get(id).ok_or_else(|| refused("snapshot-unknown", id))?;
        self.signed(&format!("segments/{id}"), &note["segment"])
    }

    /// §9.1: the chunks of the packs that a snapshot is the first to name.
    pub fn segment(&self, id: &str) -> Checked<Vec<(String, Chunks)>> {
        let sealed = self.sealed_segment(id)?;
        let generation = text(&self.notes[id]["generation"]);
        let secret = self.generation(generation)?.1;
        let index = blake3::derive_key("idswyft-vault/v1 index identity", &secret);
        let prefix = bech32::Hrp::parse("age-secret-key-")?;
        let index = bech32::encode::<bech32::Bech32>(prefix, &index)?.to_uppercase();
        let index = index.parse().map_err(|error| refused(FOREIGN, error))?;
        let places = [self.vault.as_str(), generation, id];
        segment(&document(&unseal(&sealed, &index)?, 1 << 30)?, places)
    }
}
