//! One event of a signer's log: the leaf bytes, and what they say. Spec: §8.4.
//!
//! ```text
//! {"v":1,"requires":[],"vault":…,"signer":…,"seq":0,"time":…,"event":"snapshot.taken",…}
//! ```
//!
//! - `seen`, the last field, quotes the newest checkpoints of the other logs.
//! - The leaf is the stored object byte for byte: one line of JSON and its newline.
//! - An event says its own place (vault, signer, number), so it cannot stand anywhere else.
//! - An event of an unknown kind is still an event: a newer program's log stays verifiable.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::envelope::{self, FormatError, integer, time};
use super::event::{EventName, EventPayload};
use crate::base::limits::LEDGER_EVENT_LEN_MAX;
use crate::base::{Digest, SignerId, VaultId};

const WHAT: &str = "ledger event";

/// The newest checkpoint of another log that a signer had seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenCheckpoint {
    /// Whose log.
    pub signer: SignerId,
    /// Its number of events.
    #[serde(with = "integer")]
    pub size: u64,
    /// Its RFC 6962 root.
    pub root: Digest,
}

/// One event of a log.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerEvent {
    /// The vault.
    pub vault: VaultId,
    /// Whose log.
    pub signer: SignerId,
    /// The event's number in that log, from 0.
    pub seq: u64,
    /// When it was written, by the signer's clock.
    pub time: Timestamp,
    /// What it says.
    pub payload: EventPayload,
    /// The newest checkpoints that the signer had seen of the other logs.
    pub seen: Vec<SeenCheckpoint>,
}

#[derive(Serialize)]
struct Composed<'a> {
    vault: VaultId,
    signer: SignerId,
    #[serde(with = "integer")]
    seq: u64,
    #[serde(with = "time")]
    time: Timestamp,
    #[serde(flatten)]
    payload: &'a EventPayload,
    seen: &'a [SeenCheckpoint],
}

#[derive(Deserialize)]
struct Parsed {
    vault: VaultId,
    signer: SignerId,
    #[serde(with = "integer")]
    seq: u64,
    #[serde(with = "time")]
    time: Timestamp,
    event: EventName,
    seen: Vec<SeenCheckpoint>,
}

impl LedgerEvent {
    /// Composes the event's stored bytes, which are also its leaf.
    ///
    /// # Errors
    /// If the kind is unknown to this program, a number is above 2^53 or the event is too long.
    pub fn compose(&self) -> Result<Vec<u8>, FormatError> {
        let Self { vault, signer, seq, time, payload, seen } = self;
        if let EventPayload::Unknown(name) = payload {
            return Err(FormatError::invalid(WHAT, format!("its kind {name:?} is unknown")));
        }
        check_seen(*signer, seen)?;
        let (vault, signer, seq, time) = (*vault, *signer, *seq, *time);
        let event = Composed { vault, signer, seq, time, payload, seen };
        let mut line = envelope::compose(WHAT, &event)?;
        line.push('\n');
        FormatError::check_len(WHAT, line.len(), LEDGER_EVENT_LEN_MAX)?;
        Ok(line.into_bytes())
    }

    /// Parses the stored event number `seq` of a signer's log.
    ///
    /// # Errors
    /// [`FormatError::Foreign`] if the event names another place, [`FormatError::TooNew`] if it
    /// needs a newer program, else [`FormatError::TooLong`] or [`FormatError::Invalid`].
    pub fn parse(
        bytes: &[u8],
        vault: VaultId,
        signer: SignerId,
        seq: u64,
    ) -> Result<Self, FormatError> {
        FormatError::check_len(WHAT, bytes.len(), LEDGER_EVENT_LEN_MAX)?;
        let line = bytes
            .strip_suffix(b"\n")
            .ok_or_else(|| FormatError::invalid(WHAT, "the line has no end"))?;
        let parsed: Parsed = envelope::parse(WHAT, line)?;
        FormatError::check_place(WHAT, "vault", &vault, &parsed.vault)?;
        FormatError::check_place(WHAT, "signer", &signer, &parsed.signer)?;
        FormatError::check_place(WHAT, "seq", &seq, &parsed.seq)?;
        check_seen(signer, &parsed.seen)?;
        let payload = match parsed.event {
            EventName::Known(_) => envelope::parse(WHAT, line)?,
            EventName::Unknown(name) => EventPayload::Unknown(name),
        };
        Ok(Self { vault, signer, seq, time: parsed.time, payload, seen: parsed.seen })
    }
}

fn check_seen(signer: SignerId, seen: &[SeenCheckpoint]) -> Result<(), FormatError> {
    let sorted = seen.windows(2).all(|pair| pair[0].signer < pair[1].signer);
    if sorted && seen.iter().all(|checkpoint| checkpoint.signer != signer) {
        return Ok(());
    }
    Err(FormatError::invalid(WHAT, "seen does not name other signers, each once, in order"))
}

#[cfg(test)]
mod tests {
    use super::super::event::EventKind;
    use super::super::event_fields::{
        ClockAnomaly, DELETED_COUNT_MAX, Drilled, DrilledResult, GenerationOpened, GenerationRef,
        GenerationRev, GenerationShredded, HoldPlaced, HoldReleased, NoteRef, Outcome,
        PacksDeleted, PolicySet, RecipientsChanged, ResealedGeneration, SecretSealed, SignerAdded,
        SignerRetired, SnapshotForgotten, SnapshotTaken, StoreCompleted, Verified, VerifiedResult,
        VerifiedScope,
    };
    use super::super::role::Role;
    use super::*;
    use crate::base::{Code, Coded, GenerationId, PackId, SnapshotId};
    use crate::format::ObjectKey;

    const VAULT: VaultId = VaultId::from_bytes([1; 16]);
    const SIGNER: SignerId = SignerId::from_bytes([2; 8]);
    const DIGEST: Digest = Digest::from_bytes([3; 32]);

    fn now() -> Timestamp {
        Timestamp::from_second(1_700_000_000).unwrap()
    }

    fn event(payload: EventPayload) -> LedgerEvent {
        let seen = SeenCheckpoint { signer: SignerId::from_bytes([9; 8]), size: 4, root: DIGEST };
        LedgerEvent { vault: VAULT, signer: SIGNER, seq: 7, time: now(), payload, seen: vec![seen] }
    }

    fn parse(bytes: &[u8]) -> Result<LedgerEvent, FormatError> {
        LedgerEvent::parse(bytes, VAULT, SIGNER, 7)
    }

    fn taken() -> EventPayload {
        EventPayload::SnapshotTaken(SnapshotTaken {
            snapshot: SnapshotId::new(now(), [5; 4]),
            note_sha256: DIGEST,
            stored_len: 10,
            new_len: 4,
        })
    }

    fn deleted(count: usize) -> EventPayload {
        let objects = vec![ObjectKey::Pack(PackId::from_bytes([8; 32])); count];
        EventPayload::PacksDeleted(PacksDeleted { store: "local".into(), objects, stored_len: 3 })
    }

    fn one_of_each() -> Vec<EventPayload> {
        use EventPayload as P;
        let (number, note_sha256) = (2, DIGEST);
        let generation = GenerationId::new(now(), [4; 4]);
        let snapshot = SnapshotId::new(now(), [5; 4]);
        let (store, sealed) = (String::from("local"), String::from("YWdl"));
        let policy = serde_json::from_str(r#"{"keep_daily":30}"#).unwrap();
        let level = String::from("stored");
        let (outcome, finding_count) = (Outcome::Passed, 0);
        vec![
            P::VaultCreated(NoteRef { number, note_sha256 }),
            P::PolicySet(PolicySet { number, note_sha256, policy }),
            P::SignerAdded(SignerAdded {
                number,
                note_sha256,
                subject: SIGNER,
                role: Role::Janitor,
            }),
            P::SignerRetired(SignerRetired { number, note_sha256, subject: SIGNER }),
            P::GenerationOpened(GenerationOpened {
                generation,
                revs: vec![GenerationRev { rev: 1, sha256: DIGEST }],
                recipient_sha256: DIGEST,
            }),
            P::GenerationClosed(GenerationRef { generation }),
            P::GenerationShredded(GenerationShredded {
                generation,
                revs: vec![1],
                stores: vec![store.clone()],
                certificate: None,
            }),
            taken(),
            P::SnapshotForgotten(SnapshotForgotten {
                snapshot,
                rule: "older than 30 daily".into(),
                by: "retain".into(),
            }),
            deleted(2),
            P::HoldPlaced(HoldPlaced {
                until: Some(now()),
                snapshot,
                reason_digest: DIGEST,
                reason_sealed: sealed.clone(),
            }),
            P::HoldReleased(HoldReleased {
                snapshot,
                placed_by: SIGNER,
                placed_seq: 3,
                reason_digest: DIGEST,
                reason_sealed: sealed,
            }),
            P::SecretSealed(SecretSealed { object: "env".into(), sha256: DIGEST, stored_len: 9 }),
            P::RecipientsChanged(RecipientsChanged {
                number,
                note_sha256,
                generations: vec![ResealedGeneration { generation, rev: 2, sha256: DIGEST }],
            }),
            P::StoreCompleted(StoreCompleted {
                store: store.clone(),
                snapshot,
                receipts_sha256: Some(DIGEST),
            }),
            P::Verified(Verified {
                scope: VerifiedScope {
                    store: store.clone(),
                    level,
                    snapshot: None,
                    sample_percent: 100,
                    until: Some(Timestamp::UNIX_EPOCH),
                },
                result: VerifiedResult { outcome, object_count: 8, finding_count },
            }),
            P::Drilled(Drilled {
                store,
                snapshot,
                result: DrilledResult { outcome, duration_s: 60, finding_count },
            }),
            P::ClockAnomaly(ClockAnomaly { known: now(), found: now() }),
        ]
    }

    #[test]
    fn every_kind_of_event_composes_and_parses_back_under_its_name() {
        let payloads = one_of_each();
        let kinds: Vec<_> = payloads.iter().map(EventPayload::name).collect();
        let all: Vec<_> = EventKind::ALL.iter().map(|kind| EventName::Known(*kind)).collect();
        assert_eq!(kinds, all);
        for payload in payloads {
            let event = event(payload);
            let bytes = event.compose().unwrap();
            let name = format!(r#""event":"{}""#, event.payload.name());
            assert_eq!(std::str::from_utf8(&bytes).unwrap().matches(&name).count(), 1);
            assert_eq!(parse(&bytes).unwrap(), event);
        }
    }

    #[test]
    fn an_event_is_one_line_with_its_fields_in_the_order_of_the_spec() {
        let text = String::from_utf8(event(taken()).compose().unwrap()).unwrap();
        let digest = "03".repeat(32);
        let expected = format!(
            concat!(
                r#"{{"v":1,"requires":[],"vault":"{}","signer":"{}","seq":7,"#,
                r#""time":"2023-11-14T22:13:20Z","event":"snapshot.taken","#,
                r#""snapshot":"20231114T221320Z-05050505","note_sha256":"{}","#,
                r#""stored_len":10,"new_len":4,"#,
                r#""seen":[{{"signer":"{}","size":4,"root":"{}"}}]}}"#,
                "\n"
            ),
            VAULT,
            SIGNER,
            digest,
            "09".repeat(8),
            digest
        );
        assert_eq!(text, expected);
    }

    /// V-119
    #[test]
    fn an_event_of_an_unknown_kind_is_kept_by_its_name() {
        let text = String::from_utf8(event(taken()).compose().unwrap()).unwrap();
        let parsed = parse(text.replace("snapshot.taken", "moon.waxed").as_bytes()).unwrap();
        assert_eq!(parsed.payload, EventPayload::Unknown("moon.waxed".into()));
        assert!(parsed.compose().is_err());
        for name in ["Moon", "", "moon\\n", &"m".repeat(65)] {
            assert!(parse(text.replace("snapshot.taken", name).as_bytes()).is_err(), "{name}");
        }
    }

    /// V-13
    #[test]
    fn an_event_at_another_place_is_foreign() {
        let bytes = event(taken()).compose().unwrap();
        let (vault, signer) = (VaultId::from_bytes([0; 16]), SignerId::from_bytes([0; 8]));
        for found in [
            LedgerEvent::parse(&bytes, vault, SIGNER, 7),
            LedgerEvent::parse(&bytes, VAULT, signer, 7),
            LedgerEvent::parse(&bytes, VAULT, SIGNER, 8),
        ] {
            assert_eq!(found.unwrap_err().code(), Code::ObjectForeign);
        }
    }

    /// V-116, V-120
    #[test]
    fn the_largest_deletion_fits_and_a_larger_one_is_refused() {
        let bytes = event(deleted(DELETED_COUNT_MAX)).compose().unwrap();
        assert!(parse(&bytes).is_ok());
        let bytes = String::from_utf8(bytes).unwrap();
        let first = bytes.find("\"packs/").unwrap();
        let name = &bytes[first..][..75];
        let larger = bytes.replacen(name, &format!("{name},{name}"), 1);
        assert_eq!(parse(larger.as_bytes()).unwrap_err().code(), Code::FormatInvalid);
        assert!(event(deleted(DELETED_COUNT_MAX + 1)).compose().is_err());
        let long = vec![b' '; 256 * 1024 + 1];
        assert_eq!(parse(&long).unwrap_err().code(), Code::LimitExceeded);
    }

    /// V-118
    #[test]
    fn broken_events_are_refused() {
        let text = String::from_utf8(event(taken()).compose().unwrap()).unwrap();
        for (from, to) in [
            ("\n", ""),
            ("}\n", "}\n\n"),
            ("}\n", "} x\n"),
            (r#""stored_len":10"#, r#""stored_len":-1"#),
            (r#""stored_len":10"#, r#""stored_len":9007199254740993"#),
            (r#""stored_len":10,"#, ""),
            (r#""seq":7"#, r#""seq":7,"seq":7"#),
            (r#""seen":"#, r#""sean":"#),
            (r#""signer":"0909090909090909""#, r#""signer":"0202020202020202""#),
            ("packs/", "packs/../"),
        ] {
            let bad = text.replacen(from, to, 1);
            assert!(bad == text || parse(bad.as_bytes()).is_err(), "{from:?} -> {to:?}");
        }
        assert!(parse(b"").is_err());
        assert!(parse(&[0xff, b'\n']).is_err());
    }
}
