//! Just enough of HTTP/1.1 to pass a message on byte for byte, knowing where it ends.

use std::io::{self, BufRead, Read};

/// Longest head of a message that is read, in bytes.
const HEAD_LEN_MAX: usize = 64 << 10;

/// A request or a response, as its bytes were.
pub struct Message {
    /// First line and headers, with the empty line.
    pub head: Vec<u8>,
    /// What follows, framed as it came.
    pub body: Vec<u8>,
}

impl Message {
    /// Reads the head of a message; none, if the other side closed the connection before it.
    pub fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let limit = (HEAD_LEN_MAX - head.len()) as u64;
            if reader.by_ref().take(limit).read_until(b'\n', &mut head)? == 0 {
                return if head.is_empty() { Ok(None) } else { Err(cut()) };
            }
        }
        Ok(Some(Self { head, body: Vec::new() }))
    }

    /// Reads what follows the head of a request.
    pub fn read_request_body(&mut self, reader: &mut impl BufRead) -> io::Result<()> {
        match self.len()? {
            Some(len) => self.read_exactly(reader, len),
            None if self.is_chunked() => self.read_chunks(reader),
            None => Ok(()),
        }
    }

    /// Reads what follows the head of the response to a request with this method.
    pub fn read_response_body(
        &mut self,
        reader: &mut impl BufRead,
        method: &str,
    ) -> io::Result<()> {
        match self.len()? {
            _ if method == "HEAD" || matches!(self.status(), 204 | 304) => Ok(()),
            Some(len) => self.read_exactly(reader, len),
            None if self.is_chunked() => self.read_chunks(reader),
            None => reader.read_to_end(&mut self.body).map(drop),
        }
    }

    /// Returns the words of the first line.
    pub fn words(&self) -> Vec<String> {
        let line = self.head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        String::from_utf8_lossy(line).split(' ').map(str::to_owned).collect()
    }

    /// Returns the status of a response.
    pub fn status(&self) -> u16 {
        self.words().get(1).and_then(|word| word.parse().ok()).unwrap_or_default()
    }

    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(&self.head).into_owned();
        let mut lines = text.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_owned())
    }

    /// Tells whether the connection ends with this message.
    pub fn is_last(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    fn is_chunked(&self) -> bool {
        let encoding = self.header("transfer-encoding");
        encoding.is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    }

    fn len(&self) -> io::Result<Option<u64>> {
        let wrong = |_| io::Error::new(io::ErrorKind::InvalidData, "content-length is no number");
        self.header("content-length").map(|text| text.parse().map_err(wrong)).transpose()
    }

    fn read_exactly(&mut self, reader: &mut impl BufRead, len: u64) -> io::Result<()> {
        let read = reader.by_ref().take(len).read_to_end(&mut self.body)?;
        if read as u64 == len { Ok(()) } else { Err(cut()) }
    }

    fn read_chunks(&mut self, reader: &mut impl BufRead) -> io::Result<()> {
        loop {
            let size = self.read_line(reader)?;
            let digits = size.split(';').next().unwrap_or_default().trim();
            let len = u64::from_str_radix(digits, 16).map_err(|_| cut())?;
            if len == 0 {
                // Trailers, up to an empty line.
                while self.read_line(reader)?.trim() != "" {}
                return Ok(());
            }
            self.read_exactly(reader, len + 2)?;
        }
    }

    fn read_line(&mut self, reader: &mut impl BufRead) -> io::Result<String> {
        let start = self.body.len();
        if reader.by_ref().take(HEAD_LEN_MAX as u64).read_until(b'\n', &mut self.body)? == 0 {
            return Err(cut());
        }
        Ok(String::from_utf8_lossy(&self.body[start..]).into_owned())
    }
}

fn cut() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}
