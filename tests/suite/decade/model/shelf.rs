//! What the store really has, and what the snapshots that stand really need of it.

use idswyft_vault::crypto::seal::sealed_len;
use idswyft_vault::format::padme::padded_len;
use jiff::Timestamp;

use super::source::Content;

/// A pack by its number.
pub type PackNumber = usize;
/// A stored piece by its number: the same content stored twice is two.
pub type Slot = usize;

/// A pack that was put.
pub struct Pack {
    pub generation: usize,
    pub put_at: Timestamp,
    pub stored_len: u64,
    pub is_there: bool,
    /// Snapshots that stand and name it.
    pub owner_count: u32,
}

/// A stored piece.
struct Piece {
    pack: PackNumber,
    content: Content,
    len: u64,
    /// Snapshots that stand and read it.
    owner_count: u32,
}

/// A store, with the bookkeeping of whoever sees everything.
#[derive(Default)]
pub struct Shelf {
    packs: Vec<Pack>,
    there: Vec<PackNumber>,
    slots: Vec<Piece>,
    /// How often each content is needed: more than once, if it was stored again.
    contents: Vec<u32>,
    stored_len: u64,
    needed_len: u64,
    content_len: u64,
    pub put_count: u64,
}

impl Shelf {
    /// Takes a pack with these pieces of a length, and returns its number and its first slot.
    pub fn put(
        &mut self,
        generation: usize,
        pieces: &[Content],
        len: u64,
        now: Timestamp,
    ) -> (PackNumber, Slot) {
        let raw_len = len * u64::try_from(pieces.len()).expect("a length fits");
        let (number, first) = (self.packs.len(), self.slots.len());
        let stored_len = sealed_len(padded_len(raw_len));
        let (put_at, is_there, owner_count) = (now, true, 0);
        self.packs.push(Pack { generation, put_at, stored_len, is_there, owner_count });
        let piece = |content: &Content| Piece { pack: number, content: *content, len, owner_count };
        self.slots.extend(pieces.iter().map(piece));
        self.there.push(number);
        self.stored_len += stored_len;
        self.put_count += 1;
        (number, first)
    }

    /// Deletes a pack.
    ///
    /// # Panics
    /// If a snapshot that stands needs it.
    pub fn delete(&mut self, number: PackNumber) {
        let pack = &mut self.packs[number];
        assert!(pack.is_there, "pack {number} is deleted twice");
        assert_eq!(pack.owner_count, 0, "pack {number} is needed and was deleted");
        pack.is_there = false;
        self.stored_len -= pack.stored_len;
    }

    /// Forgets the numbers of packs that are gone.
    pub fn tidy(&mut self) {
        let packs = &self.packs;
        self.there.retain(|number| packs[*number].is_there);
    }

    /// Lets a snapshot stand on packs and pieces.
    ///
    /// # Panics
    /// If one of the packs is gone.
    pub fn need(&mut self, packs: &[PackNumber], slots: &[Slot]) {
        for number in packs {
            let pack = &mut self.packs[*number];
            assert!(pack.is_there, "a snapshot names pack {number}, which was deleted");
            pack.owner_count += 1;
        }
        for slot in slots {
            let piece = &mut self.slots[*slot];
            piece.owner_count += 1;
            if piece.owner_count == 1 {
                self.needed_len += piece.len;
                let at = index_of(piece.content);
                if self.contents.len() <= at {
                    self.contents.resize(at + 1, 0);
                }
                self.contents[at] += 1;
                if self.contents[at] == 1 {
                    self.content_len += piece.len;
                }
            }
        }
    }

    /// Lets a snapshot stand no more.
    ///
    /// # Panics
    /// If one of the packs is gone: then it could not have been restored.
    pub fn release(&mut self, packs: &[PackNumber], slots: &[Slot]) {
        for number in packs {
            let pack = &mut self.packs[*number];
            assert!(pack.is_there, "pack {number} went before the snapshot that names it");
            pack.owner_count -= 1;
        }
        for slot in slots {
            let piece = &mut self.slots[*slot];
            piece.owner_count -= 1;
            if piece.owner_count == 0 {
                self.needed_len -= piece.len;
                let count = &mut self.contents[index_of(piece.content)];
                *count -= 1;
                if *count == 0 {
                    self.content_len -= piece.len;
                }
            }
        }
    }

    pub fn pack(&self, number: PackNumber) -> &Pack {
        &self.packs[number]
    }

    pub fn pack_of(&self, slot: Slot) -> PackNumber {
        self.slots[slot].pack
    }

    pub fn there(&self) -> &[PackNumber] {
        &self.there
    }

    pub const fn stored_len(&self) -> u64 {
        self.stored_len
    }

    pub const fn needed_len(&self) -> u64 {
        self.needed_len
    }

    /// Returns the bytes that a snapshot reads, each content once, however often it is stored.
    pub const fn content_len(&self) -> u64 {
        self.content_len
    }
}

/// Returns where a content is in a table.
pub fn index_of(content: Content) -> usize {
    usize::try_from(content).expect("numbers of contents are small")
}
