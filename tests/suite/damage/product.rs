//! Everything that may happen × every kind of object × everything that a reader or a host does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::verify::Level;

use super::bench::{Bench, Wrong};
use super::fixture::Fixture;
use super::harm::{Harm, Harmed};
use super::kinds::Kind;
use crate::support::vault::TestVault;
use crate::support::{Figure, is_long};

const LEVELS: [Level; 4] = [Level::Ledger, Level::Stored, Level::Bytes, Level::Contents];

/// V-136, V-146, V-148, V-151
#[test]
fn whatever_happens_to_any_object_is_found_and_costs_only_what_it_touches() {
    let fixture = Fixture::new();
    let cells = cells(&fixture);
    let (next, tried) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        let (vault, mut wrong) = (fixture.copy(), Vec::new());
        while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (count, complaints) = look(&fixture, &vault, *cell);
            tried.fetch_add(count, Ordering::Relaxed);
            wrong.extend(complaints);
        }
        wrong
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
    Figure {
        what: "things that happen to an object × kinds × what is then done",
        test: "whatever_happens_to_any_object",
    }
    .record(tried.into_inner());
}

/// An object and what happens to it.
pub type Cell = (Kind, ObjectKey, Harm);

/// Returns every harm of every kind, to its oldest object and to its newest one in turn; at length,
/// to every object.
fn cells(fixture: &Fixture) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (index, kind) in Kind::ALL.into_iter().enumerate() {
        let keys = &fixture.objects[&kind];
        assert!(keys.len() > 1, "{kind:?} has no sibling");
        for (turn, harm) in Harm::ALL.into_iter().enumerate() {
            let is_newest = (index + turn) % 2 == 0 || harm == Harm::Older;
            let one = if is_newest { keys.last() } else { keys.first() };
            let chosen: Vec<&ObjectKey> =
                if is_long() { keys.iter().collect() } else { one.into_iter().collect() };
            cells.extend(chosen.into_iter().map(|key| (kind, *key, harm)));
        }
    }
    cells
}

/// Does one harm, everything to the vault that is harmed, and undoes it; returns how many things
/// were done and which went wrong.
fn look(fixture: &Fixture, vault: &TestVault, (kind, key, harm): Cell) -> (usize, Vec<String>) {
    let root = vault.path("store");
    let Some(harmed) = Harmed::apply(fixture, &root, (kind, key), harm) else {
        return (0, Vec::new());
    };
    let store = harm.store(vault, key);
    let bench = Bench { fixture, vault, store, harmed: &harmed, cell: (kind, key, harm) };
    let mut wrong = Vec::new();
    let mut count = 0;
    let mut attempt = |what: String, act: &dyn Fn() -> Wrong| {
        count += 1;
        let outcome = catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| Err("a panic".into()));
        if let Err(complaint) = outcome {
            wrong.push(format!("{kind:?} {key} {harm:?}: {what}: {complaint}"));
        }
    };
    attempt("list".into(), &|| bench.list());
    for (index, shot) in bench.shots() {
        attempt(format!("show {index}"), &|| bench.show(shot));
        attempt(format!("cat {index}"), &|| bench.cat(shot));
        attempt(format!("restore {index}"), &|| bench.restore(shot));
    }
    for level in LEVELS {
        attempt(format!("verify {level:?} without a key"), &|| bench.verify(level, false));
        attempt(format!("verify {level:?}"), &|| bench.verify(level, true));
    }
    attempt("snapshot".into(), &|| bench.snapshot());
    harmed.undo();
    (count, wrong)
}
