//! The rows of a file of comma-separated values (RFC 4180), in memory that does not grow with what
//! a file says: a quote that is never closed ends as an error.

use std::io::{self, Read};

/// Bytes of a field at most, on average over the fields of a row: names have 1024, escaped 3072.
pub const FIELD_LEN_MAX: usize = 10_000;
/// Fields of a row at most.
pub const FIELDS_MAX: usize = 8;
/// Bytes that are read at a time.
const INPUT_LEN: usize = 64 * 1024;

/// Why there is no next row.
#[derive(Debug)]
pub enum RowError {
    /// The file cannot be read.
    Read(io::Error),
    /// A row has more, or longer, fields than any that is meant.
    TooLong,
}

/// Reads rows.
pub struct Rows<R> {
    reader: R,
    parser: csv_core::Reader,
    input: Vec<u8>,
    at: usize,
    len: usize,
    fields: Vec<u8>,
    ends: [usize; FIELDS_MAX],
    /// The number of the line on which the last row began.
    pub line: u64,
}

impl<R: Read> Rows<R> {
    /// Reads the rows of a file.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            parser: csv_core::Reader::new(),
            input: vec![0; INPUT_LEN],
            at: 0,
            len: 0,
            fields: vec![0; FIELD_LEN_MAX * FIELDS_MAX],
            ends: [0; FIELDS_MAX],
            line: 1,
        }
    }

    /// Returns what reads the file.
    pub fn into_reader(self) -> R {
        self.reader
    }

    /// Returns the fields of the next row; none at the end.
    ///
    /// # Errors
    /// If the file cannot be read, or is no such file.
    pub fn next(&mut self) -> Result<Option<Vec<&[u8]>>, RowError> {
        use csv_core::ReadRecordResult::{End, InputEmpty, OutputEndsFull, OutputFull, Record};
        let (mut written, mut count) = (0, 0);
        self.line = self.parser.line();
        loop {
            if self.at == self.len {
                self.len = self.reader.read(&mut self.input).map_err(RowError::Read)?;
                self.at = 0;
            }
            let (result, read, out, ends) = self.parser.read_record(
                &self.input[self.at..self.len],
                &mut self.fields[written..],
                &mut self.ends[count..],
            );
            self.at += read;
            written += out;
            count += ends;
            match result {
                InputEmpty => {}
                OutputFull | OutputEndsFull => return Err(RowError::TooLong),
                End => return Ok(None),
                Record => break,
            }
        }
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let ranges = starts.zip(&self.ends[..count]);
        Ok(Some(ranges.map(|(start, end)| &self.fields[start..*end]).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &[u8]) -> Result<Vec<Vec<String>>, RowError> {
        let mut rows = Rows::new(text);
        let mut found = Vec::new();
        while let Some(fields) = rows.next()? {
            let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
            found.push(fields.into_iter().map(text).collect());
        }
        Ok(found)
    }

    /// W-14
    #[test]
    fn quotes_commas_and_line_ends_are_those_of_rfc_4180() {
        let found = rows(b"a,\"b,\"\"c\"\"\",\r\n\r\nd,\"e\nf\"\ng").unwrap();
        assert_eq!(found, [vec!["a", "b,\"c\"", ""], vec!["d", "e\nf"], vec!["g"]]);
        assert!(rows(b"").unwrap().is_empty());
    }

    /// W-14
    #[test]
    fn what_does_not_end_is_not_read_into_memory() {
        let endless = [b"a,\"".to_vec(), vec![b'x'; 1_000_000]].concat();
        assert!(matches!(rows(&endless), Err(RowError::TooLong)));
        assert!(matches!(rows(&b",".repeat(100)), Err(RowError::TooLong)));
    }
}
