//! The file of one vector: header lines, an empty line, the bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use idswyft_vault::base::Code;
use idswyft_vault::crypto::digest::sha256;

/// What a reader must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Release bytes of this SHA-256.
    Released(String),
    /// Refuse with this code.
    Refused(String),
}

/// How the bytes stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Text,
    Base64,
}

/// One scenario.
#[derive(Debug, Clone)]
pub struct Vector {
    /// The file's name.
    pub name: String,
    /// What it is about, in a sentence.
    says: String,
    /// The rules it tests, as `V-1, V-2`.
    covers: String,
    /// Which reader reads it.
    pub kind: String,
    /// What the reader must know, such as its identity.
    context: Vec<(String, String)>,
    /// What the reader must do.
    pub expected: Expected,
    encoding: Encoding,
    /// What is read.
    pub bytes: Vec<u8>,
}

impl Vector {
    /// Begins a vector that is given in base64 and must be refused as invalid until told else.
    pub fn new(name: &str, covers: &str, says: &str, bytes: Vec<u8>) -> Self {
        let kind = name.split_once('-').map_or(name, |(kind, _)| kind).to_owned();
        Self {
            name: format!("{name}.txt"),
            says: says.to_owned(),
            covers: covers.to_owned(),
            kind,
            context: Vec::new(),
            expected: Expected::Refused(Code::FormatInvalid.text().to_owned()),
            encoding: Encoding::Base64,
            bytes,
        }
    }

    /// Adds something that the reader must know.
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.context.push((key.to_owned(), value.to_string()));
        self
    }

    /// Names other rules than those given before.
    pub fn covering(mut self, covers: &str) -> Self {
        self.covers = covers.to_owned();
        self
    }

    /// Has the bytes written as text.
    pub const fn in_text(mut self) -> Self {
        self.encoding = Encoding::Text;
        self
    }

    /// Expects these bytes to be released.
    pub fn releases(mut self, bytes: &[u8]) -> Self {
        self.expected = Expected::Released(sha256(bytes).to_string());
        self
    }

    /// Expects a refusal with this code.
    pub fn refused(mut self, code: Code) -> Self {
        self.expected = Expected::Refused(code.text().to_owned());
        self
    }

    /// Returns what stock `age` does with it: `ok` or `refuse`, where that is told.
    pub fn stock(&self) -> Option<&str> {
        self.context.iter().find(|(name, _)| name == "stock").map(|(_, verdict)| verdict.as_str())
    }

    /// Returns what the reader must know under a key.
    pub fn context<T: std::str::FromStr>(&self, key: &str) -> T {
        let value = self.context.iter().find(|(name, _)| name == key);
        let value = value.unwrap_or_else(|| panic!("{}: no {key}", self.name));
        value.1.parse().unwrap_or_else(|_| panic!("{}: {key} does not parse", self.name))
    }

    /// Returns the file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("says: {}\ncovers: {}\n", self.says, self.covers);
        text.push_str(&format!("kind: {}\n", self.kind));
        for (key, value) in &self.context {
            text.push_str(&format!("{key}: {value}\n"));
        }
        text.push_str(&match &self.expected {
            Expected::Released(sha256) => format!("expect: ok\nsha256: {sha256}\n"),
            Expected::Refused(code) => format!("expect: refuse\ncode: {code}\n"),
        });
        let mut bytes = text.into_bytes();
        match self.encoding {
            Encoding::Text => {
                bytes.extend_from_slice(b"encoding: text\n\n");
                bytes.extend_from_slice(&self.bytes);
            }
            Encoding::Base64 => {
                bytes.extend_from_slice(b"encoding: base64\n\n");
                for line in STANDARD.encode(&self.bytes).as_bytes().chunks(76) {
                    bytes.extend_from_slice(line);
                    bytes.push(b'\n');
                }
            }
        }
        bytes
    }

    /// Reads a file.
    pub fn parse(name: &str, file: &[u8]) -> Self {
        let end = file.windows(2).position(|pair| pair == b"\n\n").expect("a header ends");
        let header = std::str::from_utf8(&file[..end]).expect("a header is text");
        let body = &file[end + 2..];
        let mut context: Vec<(String, String)> = Vec::new();
        for line in header.lines() {
            let (key, value) = line.split_once(": ").expect("a header line is `key: value`");
            context.push((key.to_owned(), value.to_owned()));
        }
        let mut vector = Self::new(name, "", "", Vec::new());
        vector.name = name.to_owned();
        vector.context = context;
        vector.kind = vector.context("kind");
        vector.expected = match vector.context::<String>("expect").as_str() {
            "ok" => Expected::Released(vector.context("sha256")),
            _ => Expected::Refused(vector.context("code")),
        };
        vector.bytes = match vector.context::<String>("encoding").as_str() {
            "text" => body.to_vec(),
            _ => {
                let text: Vec<u8> = body.iter().copied().filter(|byte| *byte != b'\n').collect();
                STANDARD.decode(text).expect("the body is base64")
            }
        };
        vector
    }
}
