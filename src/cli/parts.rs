//! Which part of a vault a verification looks at, from its arguments. Spec: `sampling.md`.

use std::path::PathBuf;

use serde_json::json;

use super::args::{PartArgs, UsageError};
use super::cold::Note;
use super::report::{Failure, words};
use super::session::Session;
use crate::base::{Code, Coded, SnapshotId};
use crate::ops;
use crate::ops::verify::{Level, Method, Part, PublicValue};
use crate::vault::Auditor;
use crate::vault::state::StateDir;

/// The memory of verifications, in a vault's state.
const MEMORY_FILE: &str = "coverage.sqlite";

/// Puts together what of a vault is looked at, and where that is remembered.
///
/// # Errors
/// If there is a config and it is wrong, or such a part cannot be looked at.
pub fn part_of(
    args: &PartArgs,
    level: Level,
    session: &Session,
    auditor: &Auditor,
) -> Result<Part, Failure> {
    if args.memory.is_some() && level < Level::Bytes {
        let reason = "only what was read is remembered: --memory needs level bytes or contents";
        return Err(UsageError::new("choose what to look at", reason).into());
    }
    let by_confidence = args.confidence.zip(args.loss);
    let method = by_confidence
        .map(|(confidence, loss)| Method::Confidence(confidence, loss))
        .or_else(|| args.sample.map(Method::Share))
        .or_else(|| args.rolling.map(Method::Rolling));
    let memory = match &args.memory {
        Some(path) => Some(path.clone()),
        None => memory_of(session, auditor)?,
    };
    let public = args.public.clone().map(PublicValue::named);
    let part = Part { method, public, shard: args.shard, memory };
    part.check(level).map_err(ops::Error::from)?;
    Ok(part)
}

/// Returns where this host remembers what it verified of a vault, if this is the vault's host.
fn memory_of(session: &Session, auditor: &Auditor) -> Result<Option<PathBuf>, Failure> {
    let config = match session.config() {
        Ok(config) => config,
        Err(error) if error.code() == Code::ConfigMissing => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let state = StateDir::new(&config.state_dir, &auditor.note().name);
    let is_host = state.anchor().is_ok_and(|anchor| anchor.vault == auditor.vault());
    Ok(is_host.then(|| state.file(MEMORY_FILE)))
}

/// Returns what makes the same choice again, for whoever has to wait until packs are thawed: the
/// next event of a ledger changes the value by which packs are chosen, and the next snapshot what
/// they are chosen from.
pub fn note_of(public: Option<&PublicValue>, until: Option<SnapshotId>) -> Option<Note> {
    let text = |public: &PublicValue| words::printable(&public.text).replace('\'', r"'\''");
    let public_words = public.map(|public| format!(" --public '{}'", text(public)));
    let until_words = until.map(|id| format!(" --until {id}"));
    let again = [public_words, until_words].into_iter().flatten().collect::<String>();
    (!again.is_empty()).then(|| Note {
        words: format!("to go on with the same packs, run it again with{again}\n"),
        object: json!({ "public": public.map(|public| &public.text), "until": until }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_typed_again() {
        let public = PublicValue { text: "the king's speech".to_owned(), is_given: true };
        let until: SnapshotId = "20261122T023000Z-1a2b3c4d".parse().unwrap();
        let note = note_of(Some(&public), Some(until)).unwrap();
        let expected = "to go on with the same packs, run it again with \
                        --public 'the king'\\''s speech' --until 20261122T023000Z-1a2b3c4d\n";
        assert_eq!(note.words, expected);
        assert_eq!(note.object["public"], "the king's speech");
        assert!(note_of(None, None).is_none());
    }
}
