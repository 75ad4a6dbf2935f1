//! The auditor's view of a vault: `compliance.md`, and planted faults of every kind.

mod compared;
mod faults;
mod hostile;
mod record;
mod shown;

/// In one process, as the vault takes seconds to make.
#[test]
fn two_hundred_snapshots_are_told_in_full_and_what_is_wrong_with_them_once() {
    faults::of_a_clean_vault_with_two_hundred_snapshots_no_level_finds_anything();
    record::every_snapshot_that_ever_was_has_a_row_with_all_that_became_of_it();
    record::a_missing_night_among_two_hundred_is_found_between_and_at_the_end();
    faults::each_fault_of_the_books_is_found_by_them_alone_and_named_once();
    faults::each_fault_of_a_store_is_found_without_reading_a_pack_and_by_no_level_below();
}
