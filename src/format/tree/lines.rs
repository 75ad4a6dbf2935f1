//! A tree's stream cut into its lines. Spec: §7.2.
//!
//! However the stream comes in parts, no more of a line is held than a line may have.

use super::{TreeError, check_line_len};

/// Cuts a stream into lines.
#[derive(Debug, Default)]
pub struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// Makes one that has seen nothing.
    pub const fn new() -> Self {
        Self { begun: Vec::new() }
    }

    /// Takes the next part of the stream and gives every line that it ends to `take`.
    ///
    /// # Errors
    /// If a line is longer than the format allows, or `take` fails.
    pub fn push<E: From<TreeError>>(
        &mut self,
        part: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for piece in part.split_inclusive(|byte| *byte == b'\n') {
            check_line_len(self.begun.len() as u64 + piece.len() as u64)?;
            self.begun.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                take(&self.begun)?;
                self.begun.clear();
            }
        }
        Ok(())
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// If its last line has no end.
    pub fn finish(self) -> Result<(), TreeError> {
        if self.begun.is_empty() { Ok(()) } else { Err(TreeError::Unfinished) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::TREE_LINE_LEN_MAX;
    use crate::base::{Code, Coded};

    #[test]
    fn lines_come_whole_however_the_stream_is_cut() {
        for part_len in 1..8 {
            let (mut lines, mut found) = (Lines::new(), Vec::new());
            for part in b"one\n\ntwo\n".chunks(part_len) {
                let take = |line: &[u8]| {
                    found.push(line.to_vec());
                    Ok::<_, TreeError>(())
                };
                lines.push(part, take).unwrap();
            }
            lines.finish().unwrap();
            assert_eq!(found, [b"one\n".to_vec(), b"\n".to_vec(), b"two\n".to_vec()]);
        }
    }

    /// V-81
    #[test]
    fn a_stream_without_an_end_of_line_is_refused_at_the_limit() {
        let mut lines = Lines::new();
        let part = vec![b'a'; TREE_LINE_LEN_MAX / 4];
        let mut push = || lines.push::<TreeError>(&part, |_| unreachable!("no line ends"));
        (0..4).for_each(|_| push().unwrap());
        assert_eq!(push().unwrap_err().code(), Code::LimitExceeded);
        assert!(lines.begun.capacity() <= 2 * TREE_LINE_LEN_MAX);
        assert_eq!(lines.finish().unwrap_err().code(), Code::FormatInvalid);
    }
}
