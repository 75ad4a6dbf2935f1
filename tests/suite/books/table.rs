//! Every way to tamper with the books, and by which code it is found.

use idswyft_vault::base::{Code, SignerId};
use idswyft_vault::crypto::signing::SigningKey;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::format::event::EventPayload;
use idswyft_vault::format::event_fields::{HoldReleased, SnapshotForgotten};
use jiff::SignedDuration;

use super::fixture::{BOOKS, Books, Objects, deleted, verified};

/// One thing that somebody does.
pub struct Tampering {
    pub name: String,
    /// Any of these names it; none, where one store alone cannot show it.
    pub codes: &'static [Code],
    /// Whether it is done in the middle of a log: what that shows, its ends show as well.
    pub is_inner: bool,
    /// What there is instead; nothing where the object is gone.
    change: Vec<(ObjectKey, Option<Vec<u8>>)>,
}

impl Tampering {
    /// Does it.
    pub fn apply(&self, objects: &mut Objects) {
        for (key, bytes) in &self.change {
            match bytes {
                Some(bytes) => drop(objects.insert(*key, bytes.clone())),
                None => drop(objects.remove(key)),
            }
        }
    }
}

const MISSING: &[Code] = &[Code::ObjectMissing];
const BROKEN: &[Code] = &[Code::LedgerBroken];
const ALTERED: &[Code] = &[Code::ObjectAltered, Code::ObjectTruncated];
const FOREIGN: &[Code] = &[Code::ObjectForeign];
const UNSIGNED: &[Code] = &[Code::SignatureInvalid, Code::FormatInvalid];
/// The last checkpoint may not be there yet.
const PENDING: &[Code] = &[Code::RecordPending, Code::LedgerBroken];
/// Whoever was added by a vault note that is gone signs for nobody.
const UNKNOWN: &[Code] = &[Code::SignerNotDelegated, Code::ObjectMissing];

/// Returns all of them.
pub fn tamperings() -> Vec<Tampering> {
    let books = &*BOOKS;
    let mut all = Vec::new();
    for key in [&books.host, &books.operator, &books.janitor] {
        of_log(books, key.signer_id(), &mut all);
    }
    of_vault_notes(books, &mut all);
    of_snapshots(books, &mut all);
    of_generations(books, &mut all);
    of_rollbacks(books, &mut all);
    of_signers(books, &mut all);
    all
}

fn add(
    all: &mut Vec<Tampering>,
    name: impl Into<String>,
    codes: &'static [Code],
    change: impl IntoIterator<Item = (ObjectKey, Option<Vec<u8>>)>,
) {
    let (name, change) = (name.into(), change.into_iter().collect());
    all.push(Tampering { name, codes, is_inner: false, change });
}

/// Puts the bytes of two objects into each other's place.
fn swapped(books: &Books, a: ObjectKey, b: ObjectKey) -> [(ObjectKey, Option<Vec<u8>>); 2] {
    [(a, Some(books.objects[&b].clone())), (b, Some(books.objects[&a].clone()))]
}

/// Replaces the first of some text.
fn rewritten(books: &Books, key: ObjectKey, from: &str, to: &str) -> (ObjectKey, Option<Vec<u8>>) {
    let text = String::from_utf8(books.objects[&key].clone()).unwrap();
    assert!(text.contains(from), "{key} has no {from}");
    (key, Some(text.replacen(from, to, 1).into_bytes()))
}

/// Flips a bit of what is not text, or of a signature.
fn flipped(books: &Books, key: ObjectKey) -> (ObjectKey, Option<Vec<u8>>) {
    let mut bytes = books.objects[&key].clone();
    let at = bytes.len() - 12;
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    (key, Some(bytes))
}

fn of_log(books: &Books, signer: SignerId, all: &mut Vec<Tampering>) {
    let last = books.size(signer) - 1;
    let event = |seq| ObjectKey::LedgerEvent(signer, seq);
    let checkpoint = |seq| ObjectKey::LedgerCheckpoint(signer, seq);
    for seq in [0, last / 2, last] {
        let first = all.len();
        let at = |what: &str| format!("{what} {}", event(seq));
        let (is_last, next) = (seq == last, if seq == last { seq - 1 } else { seq + 1 });
        add(all, at("delete"), BROKEN, [(event(seq), None)]);
        let gone = if is_last { PENDING } else { BROKEN };
        add(all, at("delete the checkpoint of"), gone, [(checkpoint(seq), None)]);
        if !is_last {
            let gap = [(event(seq), None), (checkpoint(seq), None)];
            add(all, at("cut out"), BROKEN, gap);
        }
        let dated = rewritten(books, event(seq), "\"time\":\"2026", "\"time\":\"2025");
        add(all, at("back-date"), BROKEN, [dated]);
        let changed = rewritten(books, event(seq), "\"v\":1", "\"v\":01");
        add(all, at("damage"), &[Code::FormatInvalid], [changed]);
        add(all, at("rewrite the checkpoint of"), UNSIGNED, [flipped(books, checkpoint(seq))]);
        let swap = swapped(books, event(seq), event(next));
        add(all, at("reorder"), FOREIGN, swap);
        let swap = swapped(books, checkpoint(seq), checkpoint(next));
        add(all, at("reorder the checkpoint of"), BROKEN, swap);
        let is_inner = seq != 0 && !is_last;
        all[first..].iter_mut().for_each(|one| one.is_inner = is_inner);
    }
}

fn of_vault_notes(books: &Books, all: &mut Vec<Tampering>) {
    for number in 1..=3 {
        let key = ObjectKey::Vault(number);
        let gone = if number == 2 { UNKNOWN } else { MISSING };
        add(all, format!("delete {key}"), gone, [(key, None)]);
        add(all, format!("rewrite {key}"), UNSIGNED, [flipped(books, key)]);
        let dated = rewritten(books, key, "\"time\":\"2026", "\"time\":\"2025");
        add(all, format!("back-date {key}"), UNSIGNED, [dated]);
    }
    let swap = swapped(books, ObjectKey::Vault(2), ObjectKey::Vault(3));
    add(all, "reorder the vault notes", FOREIGN, swap);
}

fn of_snapshots(books: &Books, all: &mut Vec<Tampering>) {
    let last = books.taken[5];
    for id in [books.held, last] {
        let (note, list) = (ObjectKey::Note(id), ObjectKey::List(id));
        add(all, format!("delete {note}"), MISSING, [(note, None)]);
        add(all, format!("rewrite {note}"), UNSIGNED, [flipped(books, note)]);
        let dated = rewritten(books, note, "\"time\":\"2026", "\"time\":\"2025");
        add(all, format!("back-date {note}"), UNSIGNED, [dated]);
        add(all, format!("delete {list}"), MISSING, [(list, None)]);
        add(all, format!("rewrite {list}"), ALTERED, [flipped(books, list)]);
        add(all, format!("reorder {list}"), ALTERED, [reordered(books, list)]);
    }
    let swap = swapped(books, ObjectKey::Note(books.held), ObjectKey::Note(last));
    add(all, "swap the notes of two snapshots", FOREIGN, swap);
    let swap = swapped(books, ObjectKey::List(books.held), ObjectKey::List(last));
    add(all, "swap the lists of two snapshots", ALTERED, swap);
}

/// Puts the first two entries of a list, or of what it has, in another order.
fn reordered(books: &Books, key: ObjectKey) -> (ObjectKey, Option<Vec<u8>>) {
    let text = String::from_utf8(books.objects[&key].clone()).unwrap();
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let len = lines.len();
    lines.swap(len - 1, len - 2);
    (key, Some(lines.concat().into_bytes()))
}

fn of_generations(books: &Books, all: &mut Vec<Tampering>) {
    let is_file = |key: &&ObjectKey| matches!(key, ObjectKey::Generation(..));
    let key = *books.objects.keys().find(is_file).unwrap();
    add(all, format!("delete {key}"), MISSING, [(key, None)]);
    add(all, format!("rewrite {key}"), ALTERED, [flipped(books, key)]);
}

/// The newest events of a log gone, with the notes and lists of which they speak.
fn of_rollbacks(books: &Books, all: &mut Vec<Tampering>) {
    for (who, key, codes) in [
        ("host", &books.host, BROKEN),
        ("janitor", &books.janitor, BROKEN),
        // Nobody quotes who speaks last: only a checkpoint or a mirror shows what is gone.
        ("operator", &books.operator, &[]),
    ] {
        let (signer, last) = (key.signer_id(), books.size(key.signer_id()) - 1);
        let mut gone = vec![ObjectKey::LedgerEvent(signer, last)];
        gone.push(ObjectKey::LedgerCheckpoint(signer, last));
        if who == "host" {
            let id = books.taken[5];
            gone.extend([ObjectKey::Note(id), ObjectKey::List(id)]);
        }
        add(all, format!("roll back the {who}"), codes, gone.into_iter().map(|key| (key, None)));
    }
}

/// What who has a signer's key can do.
fn of_signers(books: &Books, all: &mut Vec<Tampering>) {
    let put = |objects: [(ObjectKey, Vec<u8>); 2]| objects.map(|(key, bytes)| (key, Some(bytes)));
    let (signer, standing) = (books.operator.signer_id(), books.taken[4]);
    let events = books.events(|payload| matches!(payload, EventPayload::HoldPlaced(_)));
    let EventPayload::HoldPlaced(placed) = &events[0].payload else { panic!("that is a hold") };
    let released = EventPayload::HoldReleased(HoldReleased {
        snapshot: books.held,
        placed_by: signer,
        placed_seq: events[0].seq,
        reason_digest: placed.reason_digest,
        reason_sealed: placed.reason_sealed.clone(),
    });
    let undue = &[Code::SignerNotDelegated];
    add(all, "end a hold as the janitor", undue, put(books.appended(&books.janitor, released)));
    let forgets = |snapshot| {
        let (rule, by) = ("none".to_owned(), "me".to_owned());
        EventPayload::SnapshotForgotten(SnapshotForgotten { snapshot, rule, by })
    };
    let early = &[Code::ForgottenEarly];
    let said = |payload| put(books.appended(&books.janitor, payload));
    add(all, "forget before the floor", early, said(forgets(standing)));
    add(all, "forget under a hold", early, said(forgets(books.held)));
    let list = String::from_utf8(books.objects[&ObjectKey::List(standing)].clone()).unwrap();
    let needed = list.lines().filter_map(|line| line.rsplit(' ').next()?.parse().ok());
    let needed: Vec<ObjectKey> = needed.filter(|key: &ObjectKey| key.pack().is_some()).collect();
    add(all, "delete what is needed", &[Code::NeededDeleted], said(deleted(needed)));
    let size = |key: &SigningKey| books.size(key.signer_id());
    let earlier = books.now - SignedDuration::from_hours(24 * 30);
    let dated = books.signed(&books.janitor, size(&books.janitor), earlier, verified(), Vec::new());
    add(all, "date an event back", &[Code::RecordBackdated], put(dated));
    for (who, key) in [("host", &books.host), ("janitor", &books.janitor)] {
        let forked = books.signed(key, size(key) - 1, books.now, verified(), Vec::new());
        add(all, format!("sign another history as the {who}"), BROKEN, put(forked));
    }
}
