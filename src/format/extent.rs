//! Where bytes are: a run of a pack's raw stream. Spec: §7.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::PackId;
use crate::base::limits::JSON_INTEGER_MAX;

/// A run of bytes in the raw stream of a pack, in JSON `["<64 hex>", offset, len]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Extent {
    /// The pack.
    pub pack: PackId,
    /// First byte, counted in the pack's raw stream.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
}

impl Extent {
    /// Returns the offset after the last byte; none when no JSON reader could hold it.
    pub fn end(&self) -> Option<u64> {
        self.offset.checked_add(self.len).filter(|end| *end <= JSON_INTEGER_MAX)
    }
}

impl Serialize for Extent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.pack, self.offset, self.len).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Extent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (pack, offset, len) = Deserialize::deserialize(deserializer)?;
        let extent = Self { pack, offset, len };
        match extent.end() {
            Some(_) => Ok(extent),
            None => Err(D::Error::custom(format_args!(
                "extent of pack {pack} ends beyond {JSON_INTEGER_MAX}: offset {offset}, len {len}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extent_is_a_json_array_of_three() {
        let extent = Extent { pack: PackId::from_bytes([7; 32]), offset: 5, len: 9 };
        let json = format!("[\"{}\",5,9]", "07".repeat(32));
        assert_eq!(serde_json::to_string(&extent).unwrap(), json);
        assert_eq!(serde_json::from_str::<Extent>(&json).unwrap(), extent);
    }

    /// V-77
    #[test]
    fn an_extent_beyond_json_integers_is_refused() {
        let pack = "07".repeat(32);
        for (offset, len) in [(1_u64 << 53, 1), (u64::MAX, 1), (0, (1_u64 << 53) + 1)] {
            let json = format!("[\"{pack}\",{offset},{len}]");
            assert!(serde_json::from_str::<Extent>(&json).is_err(), "{json}");
        }
        for json in [format!("[\"{pack}\",-1,1]"), format!("[\"{pack}\",1]"), "[1,2,3]".into()] {
            assert!(serde_json::from_str::<Extent>(&json).is_err(), "{json}");
        }
    }
}
