//! A stream as extents of packs: what rebuilds it without any chunk index. Spec: §7.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::base::limits::JSON_INTEGER_MAX;
use crate::base::{Code, Coded};

/// Consecutive bytes of one pack; `pack` is an index into a table of packs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u32, u64, u64)", into = "(u32, u64, u64)")]
pub struct Piece {
    /// Index of the pack in the table.
    pub pack: u32,
    /// Offset in the pack's raw bytes.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
}

impl From<(u32, u64, u64)> for Piece {
    fn from((pack, offset, len): (u32, u64, u64)) -> Self {
        Self { pack, offset, len }
    }
}

impl From<Piece> for (u32, u64, u64) {
    fn from(piece: Piece) -> Self {
        (piece.pack, piece.offset, piece.len)
    }
}

/// The pieces of a stream in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Recipe {
    pieces: Vec<Piece>,
}

/// A recipe that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecipeError {
    /// A piece names a pack that the table does not have.
    #[error("read a recipe: piece {index} names pack {pack} of {pack_count}")]
    Pack {
        /// Which piece.
        index: usize,
        /// The pack it names.
        pack: u32,
        /// How many packs the table has.
        pack_count: usize,
    },
    /// The pieces do not add up to the stream.
    #[error("read a recipe: its pieces add up to {sum} bytes, the stream has {len}")]
    Len {
        /// Sum of the pieces.
        sum: u64,
        /// Length of the stream.
        len: u64,
    },
}

impl Coded for RecipeError {
    fn code(&self) -> Code {
        Code::FormatInvalid
    }
}

impl Recipe {
    /// Appends a piece, merged with the last one where they touch.
    pub fn push(&mut self, piece: Piece) {
        if let Some(last) = self.pieces.last_mut()
            && last.pack == piece.pack
            && last.offset + last.len == piece.offset
        {
            last.len += piece.len;
        } else {
            self.pieces.push(piece);
        }
    }

    /// Returns the pieces in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Checks that a recipe for `len` bytes over `pack_count` packs can be followed.
    ///
    /// # Errors
    /// If a piece names no pack, or the pieces do not add up.
    pub fn check(&self, len: u64, pack_count: usize) -> Result<(), RecipeError> {
        let mut sum = 0u64;
        for (index, piece) in self.pieces.iter().enumerate() {
            if piece.pack as usize >= pack_count {
                return Err(RecipeError::Pack { index, pack: piece.pack, pack_count });
            }
            let end = piece.offset.checked_add(piece.len).filter(|&end| end <= JSON_INTEGER_MAX);
            sum = end.and(sum.checked_add(piece.len)).ok_or(RecipeError::Len { sum, len })?;
        }
        if sum == len { Ok(()) } else { Err(RecipeError::Len { sum, len }) }
    }
}

impl FromIterator<Piece> for Recipe {
    fn from_iter<I: IntoIterator<Item = Piece>>(pieces: I) -> Self {
        let mut recipe = Self::default();
        pieces.into_iter().for_each(|piece| recipe.push(piece));
        recipe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V-64
    #[test]
    fn neighbouring_pieces_merge_and_print_as_triples() {
        let recipe: Recipe =
            [(0, 0, 10), (0, 10, 5), (0, 20, 1), (1, 21, 1)].into_iter().map(Piece::from).collect();
        assert_eq!(serde_json::to_string(&recipe).unwrap(), "[[0,0,15],[0,20,1],[1,21,1]]");
        assert!(recipe.check(17, 2).is_ok());
        assert!(recipe.check(16, 2).is_err());
        assert!(recipe.check(17, 1).is_err());
    }

    /// V-63
    #[test]
    fn offsets_beyond_the_json_limit_are_refused() {
        let recipe: Recipe = [Piece { pack: 0, offset: u64::MAX, len: 1 }].into_iter().collect();
        assert!(recipe.check(1, 1).is_err());
    }
}
