//! From when the age of a snapshot is counted.

use super::tables::check;

/// F-28
#[test]
fn a_store_that_tells_an_early_time_ends_no_floor_and_reaches_no_ceiling() {
    let keep = "keep: misdated: its store had it at 1970-01-01T00:00:00Z";
    check(
        "keep_last = 1\nfloor = '30d'\nceiling = '60d'",
        "2026-04-01T12:00:00Z",
        &format!(
            "2026-01-31T11:00:00Z seen=1970-01-01T00:00:00Z | \
             drop: ceiling 60d reached at 2026-04-01T11:00:00Z
             2026-01-31T13:00:00Z seen=1970-01-01T00:00:00Z | {keep}
             2026-02-01T00:00:00Z unseen | keep: misdated: no store tells its time
             2026-03-20T00:00:00Z seen=1970-01-01T00:00:00Z | \
             keep: floor until 2026-04-19T00:00:00Z; misdated: its store had it at \
             1970-01-01T00:00:00Z
             2026-03-21T00:00:00Z unseen | \
             keep: floor until 2026-04-20T00:00:00Z; misdated: no store tells its time
             2026-03-31T00:00:00Z | \
             keep: floor until 2026-04-30T00:00:00Z; newest; keep_last 1 of 1"
        ),
    );
}

/// F-28
#[test]
fn what_a_store_had_later_than_it_says_is_as_young_as_that() {
    check(
        "keep_last = 1\nfloor = '30d'",
        "2026-04-01T12:00:00Z",
        "2026-03-01T00:00:00Z seen=2026-03-01T20:00:00Z | drop: no rule keeps it
         2026-03-02T00:00:00Z seen=2026-03-02T20:00:00Z | keep: floor until 2026-04-01T20:00:00Z
         2026-03-31T00:00:00Z | keep: floor until 2026-04-30T00:00:00Z; newest; keep_last 1 of 1",
    );
}

/// F-3 F-28
#[test]
fn a_note_that_has_another_time_than_its_id_is_an_anomaly_and_as_young_as_the_later_says() {
    check(
        "keep_last = 1\nfloor = '30d'",
        "2026-04-01T12:00:00Z",
        "2026-01-01T00:00:00Z seen=1970-01-01T00:00:00Z id=2026-03-20T00:00:00Z | \
         keep: floor until 2026-04-19T00:00:00Z; misdated: its note is of 2026-01-01T00:00:00Z, \
         its id is not
         2026-01-02T00:00:00Z | drop: no rule keeps it
         2026-03-31T00:00:00Z | keep: floor until 2026-04-30T00:00:00Z; newest; keep_last 1 of 1",
    );
}
