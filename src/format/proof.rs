//! A proof that an event stands in a log, which anyone checks offline. Spec: §8.7; C2SP tlog-proof.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <base64 of the event's bytes>
//! index <number of the event>
//! <base64 of a hash of the inclusion proof>
//! …
//!
//! <checkpoint>
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::envelope::FormatError;
use crate::base::Digest;
use crate::base::limits::{LEDGER_EVENT_LEN_MAX, NOTE_LEN_MAX};

const WHAT: &str = "proof";
const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// Hashes of the proof of any log: one for every bit of its size.
const HASH_COUNT_MAX: usize = 64;

/// A proof as it is handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogProof {
    /// The bytes of the event.
    pub leaf: Vec<u8>,
    /// Its number in the log, from 0.
    pub index: u64,
    /// The inclusion proof, RFC 6962 §2.1.1.
    pub hashes: Vec<Digest>,
    /// The signed checkpoint to which it leads.
    pub checkpoint: Vec<u8>,
}

impl LogProof {
    /// Composes the text.
    pub fn compose(&self) -> Vec<u8> {
        let (extra, index) = (BASE64.encode(&self.leaf), self.index);
        let hashes = self.hashes.iter().map(|hash| format!("{}\n", BASE64.encode(hash.as_bytes())));
        let hashes: String = hashes.collect();
        let text = format!("{FIRST_LINE}\nextra {extra}\nindex {index}\n{hashes}\n");
        [text.into_bytes(), self.checkpoint.clone()].concat()
    }

    /// Parses what [`Self::compose`] made.
    ///
    /// # Errors
    /// If it is malformed, or has no event.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let invalid = |detail: &str| FormatError::invalid(WHAT, detail);
        let len_max = NOTE_LEN_MAX + 2 * LEDGER_EVENT_LEN_MAX;
        if bytes.len() as u64 > len_max {
            return Err(invalid("it is too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8"))?;
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or_else(|| invalid("it has no checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(invalid("its first line is not that of a tlog-proof"));
        }
        let extra = lines.next().and_then(|line| line.strip_prefix("extra "));
        let leaf = extra.and_then(|extra| BASE64.decode(extra).ok());
        let leaf = leaf.ok_or_else(|| invalid("it has no event"))?;
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let number = index.and_then(|index| index.parse::<u64>().ok());
        let number = number.filter(|number| Some(number.to_string().as_str()) == index);
        let index = number.ok_or_else(|| invalid("it has no index"))?;
        let hash = |line: &str| {
            let bytes = BASE64.decode(line).ok()?;
            Some(Digest::from_bytes(bytes.try_into().ok()?))
        };
        let hashes: Option<Vec<Digest>> = lines.take(HASH_COUNT_MAX + 1).map(hash).collect();
        let hashes = hashes.filter(|hashes| hashes.len() <= HASH_COUNT_MAX);
        let hashes = hashes.ok_or_else(|| invalid("it has lines that are no hashes"))?;
        Ok(Self { leaf, index, hashes, checkpoint: checkpoint.as_bytes().to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V-209
    #[test]
    fn a_proof_has_the_form_of_c2sp_and_parses_back() {
        let proof = LogProof {
            leaf: b"{}\n".to_vec(),
            index: 7,
            hashes: vec![Digest::from_bytes([1; 32]), Digest::from_bytes([2; 32])],
            checkpoint: b"origin\n8\nroot\n\n\xe2\x80\x94 name c2ln\n".to_vec(),
        };
        let composed = proof.compose();
        let text = String::from_utf8(composed.clone()).unwrap();
        let lines: Vec<&str> = text.split('\n').collect();
        let first = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        let expected = ["c2sp.org/tlog-proof@v1", "extra e30K", "index 7", first];
        assert_eq!(lines[..4], expected);
        assert_eq!((lines[5], lines[6]), ("", "origin"));
        assert_eq!(LogProof::parse(&composed).unwrap(), proof);
        for (from, to) in [
            ("@v1", "@v2"),
            ("extra ", "extra"),
            ("extra e30K\n", ""),
            ("index 7", "index 07"),
            ("index 7", "index -7"),
            (first, "AQEB"),
            ("\n\n", "\n"),
        ] {
            let bad = text.replace(from, to);
            assert!(LogProof::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let many = text.replace(first, &format!("{first}\n").repeat(65));
        assert!(LogProof::parse(many.as_bytes()).is_err());
    }
}
