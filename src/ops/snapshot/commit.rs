//! From streams to a snapshot: body, list, segment, note, in the order of I2 and I3. Spec: §9.

use std::collections::HashMap;
use std::io::Write;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::lane::StreamEnd;
use super::tree::TreeCounts;
use crate::base::{PackId, SnapshotId, entropy};
use crate::crypto::digest::sha256;
use crate::crypto::seal;
use crate::format::ObjectKey;
use crate::format::body::{Body, BodyWarning, DatabaseStream, Stream, UploadsTree};
use crate::format::event::EventPayload;
use crate::format::event_fields::SnapshotTaken;
use crate::format::frame::{encode_document, padding_after};
use crate::format::list::{self, ListEntry};
use crate::format::recipe::{Piece, Recipe};
use crate::format::segment::{PackUse, SegmentHeader, SegmentRecord};
use crate::format::snapshot_note::{SignedObject, SnapshotNote, tags_digest_input};
use crate::manifest::{Outgoing, PackNumber, PackRow, Payload, SnapshotRow};
use crate::ops::Error;
use crate::ops::rows::RowsCounts;
use crate::policy::Policy;
use crate::source::DumpFacts;
use crate::vault::Writer;
use crate::vault::journal::outgoing;
use crate::vault::sealed_file::SealedFile;
use crate::vault::writer::pack_key;

/// zstd level of bodies and segments.
const DOCUMENT_LEVEL: i32 = 9;
const SEGMENT_LEVEL: i32 = 3;

/// Everything that a snapshot of one vault is made of.
pub struct Contents {
    /// The database stream and what it said of itself.
    pub database: Option<(Value, DumpFacts, StreamEnd, Recipe)>,
    /// The tree stream and its counts.
    pub uploads: Option<(Value, TreeCounts, StreamEnd, Recipe)>,
    /// How much of each pack is used, files included.
    pub used: HashMap<PackNumber, u64>,
    /// What else is recorded of the stack.
    pub facts: Map<String, Value>,
    /// What the run warned of.
    pub warnings: Vec<BodyWarning>,
}

/// What a finished snapshot looks like from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotReport {
    /// The vault's name.
    pub vault: String,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// When its run began.
    pub time: Timestamp,
    /// Stored bytes of all that it needs.
    pub stored_len: u64,
    /// Stored bytes of what it named first.
    pub new_len: u64,
    /// Bytes of dump and files.
    pub content_len: u64,
    /// Regular files.
    pub file_count: u64,
    /// Rows in the dump.
    pub row_count: u64,
    /// How the files fit the rows that name them, if there are any.
    pub rows: Option<RowsCounts>,
    /// The mirrors that do not have it yet.
    pub lagging: Vec<String>,
}

/// The packs that a snapshot names, in the order of its table.
struct Named<'a> {
    rows: Vec<&'a PackRow>,
    index: HashMap<PackNumber, u32>,
}

impl<'a> Named<'a> {
    fn new(packs: &'a [PackRow], used: &HashMap<PackNumber, u64>) -> Self {
        let mut rows: Vec<&PackRow> =
            packs.iter().filter(|pack| used.contains_key(&pack.number)).collect();
        rows.sort_by_key(|pack| pack_key(pack.profile, pack.id));
        let index = (0..).zip(&rows).map(|(index, pack)| (pack.number, index)).collect();
        Self { rows, index }
    }

    fn ids(&self) -> Vec<PackId> {
        self.rows.iter().map(|pack| pack.id).collect()
    }

    fn stream(&self, end: &StreamEnd, recipe: &Recipe) -> Result<Stream, Error> {
        let recipe: Option<Recipe> = recipe
            .pieces()
            .iter()
            .map(|piece| self.index.get(&piece.pack).map(|&pack| Piece { pack, ..*piece }))
            .collect();
        Ok(Stream { len: end.len, b3: end.b3, recipe: recipe.ok_or(Error::Closed)? })
    }

    /// Returns the packs that no snapshot named before, in the order in which they were made.
    fn new_rows(&self) -> Vec<&PackRow> {
        let mut rows: Vec<_> = self.rows.iter().copied().filter(|pack| !pack.is_named).collect();
        rows.sort_by_key(|pack| pack.number);
        rows
    }
}

/// Commits a snapshot: from here on it happens, now or at the next run.
pub fn commit(
    writer: &mut Writer,
    snapshot: SnapshotId,
    time: Timestamp,
    tags: &[String],
    contents: Contents,
) -> Result<SnapshotReport, Error> {
    let packs = writer.manifest().packs()?;
    let named = Named::new(&packs, &contents.used);
    let salt: [u8; 16] = entropy::draw(writer.outside().entropy.as_ref());
    let body = compose_body(writer, snapshot, time, (tags, &salt), &contents, &named)?;
    let (list, totals) = list::compose(
        writer.vault(),
        snapshot,
        named.rows.iter().map(|pack| ListEntry {
            key: pack_key(pack.profile, pack.id),
            stored_len: pack.stored_len,
        }),
    )?;
    let body = outgoing(ObjectKey::Body(snapshot), seal_body(writer, &body)?);
    let list = outgoing(ObjectKey::List(snapshot), list.into_bytes());
    let new_len = named.new_rows().iter().map(|pack| pack.stored_len).sum();
    let report = report(writer, snapshot, time, &contents, totals.stored_len, new_len);
    let record = SegmentRecord { tags: tags.to_vec(), facts: facts_of(&report) };
    let (segment, segment_len) = write_segment(writer, snapshot, &record, &named, &contents.used)?;
    let policy = Policy::from_json(&writer.note().policy)?;
    let note = SnapshotNote {
        vault: writer.vault(),
        snapshot,
        generation: writer.generation().id,
        time,
        signer: writer.key().signer_id(),
        body: signed(&body),
        list: signed(&list),
        segment: SignedObject { sha256: segment.sha256, len: segment_len },
        pack_count: totals.pack_count,
        tree_count: totals.tree_count,
        stored_len: totals.stored_len,
        new_len,
        floor: policy.floor_at(time),
        tags_digest: sha256(&tags_digest_input(&salt, tags)),
        keep_tag: tags.iter().any(|tag| policy.keep_tags().contains(tag)),
    };
    let note = outgoing(ObjectKey::Note(snapshot), writer.key().sign(&note.compose()?)?);
    let row = SnapshotRow {
        id: snapshot,
        time,
        generation: writer.generation().id,
        tags: json!(tags).to_string(),
        note: bytes_of(&note).to_vec(),
        facts: json!(record.facts).to_string(),
    };
    let used: Vec<(PackNumber, u64)> = contents.used.into_iter().collect();
    let stored_len = totals.stored_len;
    let taken = SnapshotTaken { snapshot, note_sha256: note.sha256, stored_len, new_len };
    // I2: what the note names goes before it; I3: the note makes the snapshot.
    let objects = vec![segment, body, list, note];
    writer.commit(&row, &used, objects, EventPayload::SnapshotTaken(taken))?;
    Ok(report)
}

fn signed(object: &Outgoing) -> SignedObject {
    SignedObject { sha256: object.sha256, len: bytes_of(object).len() as u64 }
}

fn bytes_of(object: &Outgoing) -> &[u8] {
    match &object.payload {
        Payload::Bytes(bytes) => bytes,
        Payload::File(_) | Payload::Elsewhere => &[],
    }
}

fn compose_body(
    writer: &Writer,
    snapshot: SnapshotId,
    time: Timestamp,
    (tags, salt): (&[String], &[u8; 16]),
    contents: &Contents,
    named: &Named<'_>,
) -> Result<Body, Error> {
    let database = match &contents.database {
        Some((source, facts, end, recipe)) => Some(DatabaseStream {
            source: source.clone(),
            stream: named.stream(end, recipe)?,
            rows: facts.rows.clone(),
            server_version: facts.server_version.clone(),
            dump_version: facts.dump_version.clone(),
        }),
        None => None,
    };
    let uploads = match &contents.uploads {
        Some((source, counts, end, recipe)) => Some(UploadsTree {
            source: source.clone(),
            file_count: counts.file_count,
            dir_count: counts.dir_count,
            other_count: counts.other_count,
            content_len: counts.content_len,
            tree: named.stream(end, recipe)?,
        }),
        None => None,
    };
    Ok(Body {
        vault: writer.vault(),
        generation: writer.generation().id,
        snapshot,
        time,
        tags: tags.to_vec(),
        tags_salt: hex::encode(salt),
        packs: named.ids(),
        database,
        uploads,
        facts: contents.facts.clone(),
        warnings: contents.warnings.clone(),
    })
}

fn seal_body(writer: &Writer, body: &Body) -> Result<Vec<u8>, Error> {
    let plain = encode_document(body.compose()?.as_bytes(), DOCUMENT_LEVEL);
    let recipient = &writer.generation().recipient;
    Ok(seal::seal(recipient, &plain, writer.outside().entropy.as_ref())?)
}

/// Writes what the host alone reads again: the record of the snapshot, the chunk index of every
/// pack that no snapshot named before, and how much is used of every pack.
fn write_segment(
    writer: &Writer,
    snapshot: SnapshotId,
    record: &SegmentRecord,
    named: &Named<'_>,
    used: &HashMap<PackNumber, u64>,
) -> Result<(Outgoing, u64), Error> {
    let recipient = writer.generation().dedup_secret.index_identity().recipient();
    let path = writer.state().spool()?.join(format!("segment-{snapshot}"));
    let sealed = SealedFile::create(path, &recipient, writer.outside().entropy.as_ref())?;
    let wrap = |cause| Error::file("write", writer.state().path(), cause);
    let mut encoder = zstd::Encoder::new(sealed, SEGMENT_LEVEL).map_err(wrap)?;
    let (record, new_rows) = (record.compose()?, named.new_rows());
    let count = |len: usize| u32::try_from(len).map_err(|_| Error::Closed);
    let header = SegmentHeader {
        vault: writer.vault(),
        generation: writer.generation().id,
        snapshot,
        pack_count: count(new_rows.len())?,
        use_count: count(named.rows.len())?,
        record_len: count(record.len())?,
    };
    encoder.write_all(&header.compose()).map_err(wrap)?;
    encoder.write_all(&record).map_err(wrap)?;
    for pack in new_rows {
        let entry = writer.manifest().segment_entry(pack.number)?.unwrap_or_default();
        encoder.write_all(&entry).map_err(wrap)?;
    }
    for pack in &named.rows {
        let used_len = used.get(&pack.number).copied().unwrap_or(0);
        encoder.write_all(&PackUse { id: pack.id, used_len }.compose()).map_err(wrap)?;
    }
    let mut sealed = encoder.finish().map_err(wrap)?;
    let padding = padding_after(sealed.plain_len());
    sealed.write(&padding)?;
    let file = sealed.finish()?;
    writer.state().sync_spooled(&file.path)?;
    let payload = Payload::File(file.path.to_string_lossy().into_owned());
    let key = ObjectKey::Segment(snapshot);
    let object = Outgoing { key, sha256: file.sha256, payload, locked_until: None };
    Ok((object, file.stored_len))
}

fn report(
    writer: &Writer,
    snapshot: SnapshotId,
    time: Timestamp,
    contents: &Contents,
    stored_len: u64,
    new_len: u64,
) -> SnapshotReport {
    let dump_len = contents.database.as_ref().map_or(0, |(_, _, end, _)| end.len);
    let counts = contents.uploads.as_ref().map(|(_, counts, _, _)| *counts).unwrap_or_default();
    let rows = contents.database.as_ref().map(|(_, facts, _, _)| facts.rows.values().sum());
    SnapshotReport {
        vault: writer.name().to_owned(),
        snapshot,
        time,
        stored_len,
        new_len,
        content_len: dump_len + counts.content_len,
        file_count: counts.file_count,
        row_count: rows.unwrap_or(0),
        rows: None,
        lagging: Vec::new(),
    }
}

fn facts_of(report: &SnapshotReport) -> Map<String, Value> {
    let facts = [
        ("stored_len", report.stored_len),
        ("new_len", report.new_len),
        ("content_len", report.content_len),
        ("file_count", report.file_count),
        ("row_count", report.row_count),
    ];
    facts.into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect()
}
