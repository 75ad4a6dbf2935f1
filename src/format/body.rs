//! The sealed body of a snapshot: what was archived and how to rebuild it. Spec: §7.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::envelope::{self, FormatError};
use super::recipe::Recipe;
use crate::base::{Digest, GenerationId, PackId, SnapshotId, VaultId};

const WHAT: &str = "snapshot body";

/// The body of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// The vault.
    pub vault: VaultId,
    /// The generation that the body and its packs are sealed to.
    pub generation: GenerationId,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// When the run began.
    #[serde(with = "envelope::time")]
    pub time: Timestamp,
    /// Tags, in the order given.
    pub tags: Vec<String>,
    /// 16 random bytes in hex, so that the note's digest of the tags tells nothing.
    pub tags_salt: String,
    /// The packs and trees that recipes index.
    pub packs: Vec<PackId>,
    /// The database dump, if a database is configured.
    pub database: Option<DatabaseStream>,
    /// The uploads tree, if uploads are configured.
    pub uploads: Option<UploadsTree>,
    /// What else was recorded about the stack.
    pub facts: serde_json::Map<String, serde_json::Value>,
    /// What the run warned of.
    pub warnings: Vec<BodyWarning>,
}

/// A stream of bytes and how to rebuild it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Length in bytes.
    #[serde(with = "envelope::integer")]
    pub len: u64,
    /// Plain BLAKE3 of the bytes, as `b3sum` prints it.
    pub b3: Digest,
    /// The extents that rebuild it, over [`Body::packs`].
    pub recipe: Recipe,
}

/// A database dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseStream {
    /// How it was made; holds no secret.
    pub source: serde_json::Value,
    /// The dump's bytes.
    #[serde(flatten)]
    pub stream: Stream,
    /// Rows per table, as counted in the dump.
    pub rows: BTreeMap<String, u64>,
    /// The server's version, as the dump says.
    pub server_version: Option<String>,
    /// The version of `pg_dump`, as the dump says.
    pub dump_version: Option<String>,
}

/// The uploads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadsTree {
    /// Where they were read; holds no secret.
    pub source: serde_json::Value,
    /// How many regular files, first names only.
    #[serde(with = "envelope::integer")]
    pub file_count: u64,
    /// How many directories, the root included.
    #[serde(with = "envelope::integer")]
    pub dir_count: u64,
    /// How many entries of other kinds.
    #[serde(with = "envelope::integer")]
    pub other_count: u64,
    /// Bytes of all regular files.
    #[serde(with = "envelope::integer")]
    pub content_len: u64,
    /// The tree: JSON Lines.
    pub tree: Stream,
}

/// One warning of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyWarning {
    /// The code, as in `codes.md`.
    pub code: String,
    /// What it is about.
    pub detail: String,
}

impl Body {
    /// Composes the body's JSON.
    ///
    /// # Errors
    /// If an integer is above 2^53.
    pub fn compose(&self) -> Result<String, FormatError> {
        envelope::compose(WHAT, self)
    }

    /// Parses a body and checks that it belongs where it was found and can be followed.
    ///
    /// # Errors
    /// If it is malformed, of a later format, of another vault, generation or snapshot, or a
    /// recipe does not add up.
    pub fn parse(
        bytes: &[u8],
        vault: VaultId,
        generation: GenerationId,
        snapshot: SnapshotId,
    ) -> Result<Self, FormatError> {
        let body: Self = envelope::parse(WHAT, bytes)?;
        FormatError::check_place(WHAT, "vault", &vault, &body.vault)?;
        FormatError::check_place(WHAT, "generation", &generation, &body.generation)?;
        FormatError::check_place(WHAT, "snapshot", &snapshot, &body.snapshot)?;
        for stream in body.streams() {
            stream
                .recipe
                .check(stream.len, body.packs.len())
                .map_err(|error| FormatError::invalid(WHAT, error))?;
        }
        Ok(body)
    }

    /// Returns the streams that the body holds.
    pub fn streams(&self) -> impl Iterator<Item = &Stream> {
        let dump = self.database.as_ref().map(|database| &database.stream);
        dump.into_iter().chain(self.uploads.as_ref().map(|uploads| &uploads.tree))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Code, Coded};
    use crate::format::recipe::Piece;

    fn body() -> Body {
        let recipe: Recipe = [Piece { pack: 0, offset: 3, len: 9 }].into_iter().collect();
        let stream = Stream { len: 9, b3: Digest::from_bytes([5; 32]), recipe };
        Body {
            vault: VaultId::from_bytes([1; 16]),
            generation: "20261122T023000Z-00000001".parse().unwrap(),
            snapshot: "20261122T023000Z-00000002".parse().unwrap(),
            time: Timestamp::UNIX_EPOCH,
            tags: vec!["nightly".to_owned()],
            tags_salt: "00".repeat(16),
            packs: vec![PackId::from_bytes([2; 32])],
            database: Some(DatabaseStream {
                source: serde_json::json!({"kind": "stdin"}),
                stream: stream.clone(),
                rows: BTreeMap::from([("public.users".to_owned(), 3)]),
                server_version: Some("15.8".to_owned()),
                dump_version: None,
            }),
            uploads: Some(UploadsTree {
                source: serde_json::json!({"kind": "path"}),
                file_count: 1,
                dir_count: 1,
                other_count: 0,
                content_len: 4,
                tree: stream,
            }),
            facts: serde_json::Map::new(),
            warnings: Vec::new(),
        }
    }

    fn parse(text: &str) -> Result<Body, FormatError> {
        let body = body();
        Body::parse(text.as_bytes(), body.vault, body.generation, body.snapshot)
    }

    #[test]
    fn a_body_parses_back() {
        assert_eq!(parse(&body().compose().unwrap()).unwrap(), body());
    }

    /// V-62
    #[test]
    fn a_body_of_another_vault_or_snapshot_is_foreign() {
        for field in ["vault", "generation", "snapshot"] {
            let mut other = body();
            match field {
                "vault" => other.vault = VaultId::from_bytes([9; 16]),
                "generation" => other.generation = "20261122T023000Z-0000000f".parse().unwrap(),
                _ => other.snapshot = "20261122T023000Z-0000000f".parse().unwrap(),
            }
            let error = parse(&other.compose().unwrap()).unwrap_err();
            assert_eq!(error.code(), Code::ObjectForeign, "{field}");
        }
    }

    /// V-63
    #[test]
    fn a_recipe_that_does_not_add_up_is_refused() {
        let mut other = body();
        other.packs.clear();
        assert!(parse(&other.compose().unwrap()).is_err());
        let text = body().compose().unwrap().replace("[[0,3,9]]", "[[0,3,8]]");
        assert!(parse(&text).is_err());
    }
}
