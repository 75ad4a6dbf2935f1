//! Rebuilding a manifest by replaying what a store holds. Spec: §9.4, §10.
//!
//! What this writer did is done again in a new manifest, by the same transactions and in the same
//! order, so there is one code that says what a manifest looks like after a snapshot or a roll.

use std::collections::HashMap;
use std::io::Read;

use serde_json::json;

use super::state::OpenGeneration;
use super::{Auditor, Error, Unlocked};
use crate::base::{Coded, Event, Family, Observer, PackId, SignerId};
use crate::crypto::identity::GenerationIdentity;
use crate::crypto::keys::DedupSecret;
use crate::format::ObjectKey;
use crate::format::segment::{SegmentHeader, SegmentPack, SegmentReader, SegmentRecord};
use crate::format::snapshot_note::SnapshotNote;
use crate::manifest::{Commit, Manifest, NewPack, PackNumber, SnapshotRow};
use crate::vault::sealed_reader::SealedReader;

/// What a manifest is rebuilt from.
pub struct Replay<'a> {
    /// The store.
    pub auditor: &'a Auditor,
    /// Whose manifest it is.
    pub signer: SignerId,
    /// The generation in the host's state, whose segments the host opens.
    pub open: &'a OpenGeneration,
    /// What opens the segments of closed generations, if it is there.
    pub unlocked: Option<&'a Unlocked>,
}

/// How much came back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Snapshots of this writer.
    pub snapshot_count: usize,
    /// Those whose tags and counts stay unknown.
    pub unknown_count: usize,
    /// Packs of the open generation.
    pub pack_count: usize,
}

/// What a segment said, once its packs are in the manifest.
struct Segment {
    record: SegmentRecord,
    used: Vec<(PackId, u64)>,
}

impl Replay<'_> {
    /// Replays every snapshot of the writer into an empty manifest.
    ///
    /// A segment that is missing or altered costs deduplication, and a warning.
    ///
    /// # Errors
    /// If the store does not answer, a sound segment is malformed, or the manifest cannot be
    /// written.
    pub fn run(&self, manifest: &mut Manifest, observer: &dyn Observer) -> Result<Replayed, Error> {
        let mut replayed = Replayed::default();
        let mut numbers: HashMap<PackId, PackNumber> = HashMap::new();
        let mut generation = None;
        let own = self.auditor.sound_snapshots()?;
        for note in own.values().filter(|note| note.signer == self.signer) {
            if generation.replace(note.generation).is_some_and(|last| last != note.generation) {
                manifest.roll(&[], &[], &[])?;
                numbers.clear();
            }
            let segment = self.segment(note, manifest, &mut numbers, observer)?;
            replayed.snapshot_count += 1;
            replayed.unknown_count += usize::from(segment.is_none());
            self.commit(note, segment, &numbers, manifest)?;
        }
        if generation.is_some_and(|last| last != self.open.id) {
            manifest.roll(&[], &[], &[])?;
            numbers.clear();
        }
        replayed.pack_count = numbers.len();
        Ok(replayed)
    }

    fn commit(
        &self,
        note: &SnapshotNote,
        segment: Option<Segment>,
        numbers: &HashMap<PackId, PackNumber>,
        manifest: &mut Manifest,
    ) -> Result<(), Error> {
        let known = |(id, used_len): &(PackId, u64)| numbers.get(id).map(|n| (*n, *used_len));
        let named: Vec<(PackNumber, u64)> =
            segment.iter().flat_map(|segment| &segment.used).filter_map(known).collect();
        let (tags, facts) = match &segment {
            Some(Segment { record, .. }) => (json!(record.tags), json!(record.facts)),
            None => (json!(null), json!({"stored_len": note.stored_len, "new_len": note.new_len})),
        };
        let row = SnapshotRow {
            id: note.snapshot,
            time: note.time,
            generation: note.generation,
            tags: tags.to_string(),
            note: self.auditor.stored_note(note.snapshot)?,
            facts: facts.to_string(),
        };
        manifest.commit(&Commit {
            snapshot: &row,
            named: &named,
            retire_below_percent: self.auditor.note().parameters.fields().retire_below_percent,
            stores: &[],
            objects: &[],
            notes: &[],
        })?;
        Ok(())
    }

    /// Reads a segment, and adds its packs if they are of the open generation.
    fn segment(
        &self,
        note: &SnapshotNote,
        manifest: &mut Manifest,
        numbers: &mut HashMap<PackId, PackNumber>,
        observer: &dyn Observer,
    ) -> Result<Option<Segment>, Error> {
        let key = ObjectKey::Segment(note.snapshot);
        let identity = self.index_identity(note);
        let checked = identity.and_then(|identity| match &identity {
            Some(_) => {
                self.auditor.check_signed(key, &note.segment).map(|view| identity.zip(Some(view)))
            }
            None => Ok(None),
        });
        let (identity, view) = match checked {
            Ok(Some(opening)) => opening,
            Ok(None) => return Ok(None),
            Err(error) if error.code().family() == Family::Unavailable => return Err(error),
            Err(error) => {
                let code = error.code();
                observer.observe(Event::Warning { code, detail: error.to_string() });
                return Ok(None);
            }
        };
        let sealed = SealedReader::open(view.as_ref(), key, note.segment.len, &identity)?;
        let malformed = |error: crate::format::segment::SegmentError| Error::format(key, error);
        let decoder = zstd::Decoder::new(sealed).map_err(|cause| malformed(cause.into()))?;
        let mut reader = SegmentReader::open(decoder).map_err(malformed)?;
        check_place(key, note, reader.header())?;
        while let Some(pack) = reader.next_pack().map_err(malformed)? {
            if note.generation == self.open.id {
                numbers.insert(pack.id, add_pack(manifest, note, &pack)?);
            }
        }
        read_rest(reader).map(Some).map_err(malformed)
    }

    /// Returns what opens the note's segment, if this host or the operator's identity can.
    fn index_identity(&self, note: &SnapshotNote) -> Result<Option<GenerationIdentity>, Error> {
        if note.generation == self.open.id {
            return Ok(Some(self.open.dedup_secret.index_identity()));
        }
        let Some(unlocked) = self.unlocked else { return Ok(None) };
        let secrets = unlocked.generation(note.generation)?;
        Ok(secrets.dedup_secret.as_ref().map(DedupSecret::index_identity))
    }
}

fn read_rest<R: Read>(
    mut reader: SegmentReader<R>,
) -> Result<Segment, crate::format::segment::SegmentError> {
    let mut used = Vec::new();
    while let Some(entry) = reader.next_use()? {
        used.push((entry.id, entry.used_len));
    }
    Ok(Segment { record: reader.record().clone(), used })
}

fn check_place(key: ObjectKey, note: &SnapshotNote, found: &SegmentHeader) -> Result<(), Error> {
    if (found.vault, found.generation, found.snapshot)
        == (note.vault, note.generation, note.snapshot)
    {
        return Ok(());
    }
    let text = |vault, generation, snapshot| {
        format!("vault {vault}, generation {generation}, snapshot {snapshot}")
    };
    let expected = text(note.vault, note.generation, note.snapshot);
    let found = text(found.vault, found.generation, found.snapshot);
    Err(Error::Foreign { key, found, expected })
}

fn add_pack(
    manifest: &mut Manifest,
    note: &SnapshotNote,
    pack: &SegmentPack,
) -> Result<PackNumber, Error> {
    let number = manifest.next_pack_number()?;
    let chunks: Vec<_> = pack.chunks.iter().map(|chunk| (chunk.id, chunk.raw_len)).collect();
    manifest.add_pack(&NewPack {
        number,
        id: pack.id,
        profile: pack.profile,
        stored_len: pack.stored_len,
        raw_len: pack.raw_len,
        made_at: note.time,
        chunks: &chunks,
        segment_entry: &pack.compose(),
    })?;
    Ok(number)
}
