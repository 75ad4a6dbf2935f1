//! Every number of the contract on every S3 server, and which of them the liar breaks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use idswyft_vault::base::SystemClock;
use idswyft_vault::store::open_with;

use super::ONLY;
use super::fixtures::Fixture;
use crate::support_s3::fake::Fake;
use crate::support_s3::place::{Keeping, Place};
use crate::support_s3::{Addresses, Server};

/// A number of the contract, and its test.
type Number = (&'static str, fn());

/// Every test of `conformance.rs`.
const NUMBERS: [Number; 14] = [
    ("c1", super::c1_put_new_refuses_an_existing_key),
    ("c2", super::c2_an_object_is_never_seen_half_written),
    ("c2 failed", super::c2_a_failed_put_new_leaves_nothing_visible),
    ("c3", super::c3_put_new_refuses_content_with_another_digest),
    ("c5", super::c5_get_returns_the_whole_object_or_limit_exceeded),
    ("c6", super::c6_concurrent_put_new_has_one_winner),
    ("c7", super::c7_get_range_is_exact_or_truncated),
    ("c8", super::c8_what_put_new_acknowledged_is_there_for_the_next_call),
    ("c9", super::c9_list_shows_each_of_thousands_once_and_no_other_folder),
    ("c10", super::c10_foreign_names_are_shown_and_hide_nothing),
    ("c11", super::c11_delete_removes_one_object_and_a_missing_one_is_an_error),
    ("c14", super::c14_the_callers_file_stays_where_it_is),
    ("c15", super::c15_prepare_may_be_repeated_and_changes_nothing),
    ("c19 c20", super::c19_c20_erase_leaves_nothing_of_what_remains_counts),
];

/// More than one page of a listing, and no more than it takes.
const MANY: u32 = 1005;
/// Less than a page, where another way to the same server has turned pages.
const FEW: u32 = 50;

/// A store in a place of its own.
fn fixture(label: &'static str, place: Place, many: u32) -> Fixture {
    let store = open_with(&place.url(), label, Some(&place.settings("admin"))).unwrap();
    store.prepare().unwrap();
    let checksums = label != Server::MiniStack.name();
    let plant = Box::new(move |name: &str, bytes: &[u8]| place.plant(name, bytes));
    Fixture { label, store, plant, many, slack: 2, checksums, _scratch: None }
}

/// Runs a number on what `make` makes.
fn run(number: Number, make: impl Fn() -> Fixture + 'static) {
    ONLY.set(Some(Box::new(make)));
    (number.1)();
}

fn run_all(server: Server, keeping: Keeping, many: u32) {
    let Some(addresses) = Addresses::of_this_run() else { return };
    for number in NUMBERS {
        let addresses = addresses.clone();
        run(number, move || fixture(server.name(), Place::at(&addresses, server, keeping), many));
    }
}

#[test]
fn no_number_is_left_out_on_s3_servers() {
    let tests = include_str!("../conformance.rs").matches("\n#[test]\nfn c").count();
    assert_eq!(tests, NUMBERS.len());
}

#[test]
fn every_number_holds_on_s3_of_seaweedfs() {
    run_all(Server::SeaweedFs, Keeping::Newest, FEW);
}

#[test]
fn every_number_holds_on_s3_of_seaweedfs_with_versions() {
    run_all(Server::SeaweedFs, Keeping::Versions, MANY);
}

#[test]
fn every_number_holds_on_s3_of_seaweedfs_over_tls() {
    run_all(Server::SeaweedFsTls, Keeping::Versions, FEW);
}

#[test]
fn every_number_holds_on_s3_of_localstack() {
    run_all(Server::LocalStack, Keeping::Versions, MANY);
}

#[test]
fn every_number_holds_on_s3_of_ministack() {
    run_all(Server::MiniStack, Keeping::Versions, MANY);
}

#[test]
fn every_number_holds_on_the_s3_fake() {
    let fake = Fake::start(Arc::new(SystemClock));
    for number in NUMBERS {
        let url = fake.url();
        run(number, move || fixture("fake", Place::make(&url, None, Keeping::Newest), MANY));
    }
}

#[test]
fn an_s3_server_that_lies_breaks_the_numbers_that_it_is_known_to() {
    let Some(addresses) = Addresses::of_this_run() else { return };
    // The others differ in nothing that it lies about.
    let numbers = NUMBERS.into_iter().filter(|(name, _)| ["c1", "c5", "c6", "c7"].contains(name));
    let broken: Vec<&str> = numbers
        .filter(|number| {
            let addresses = addresses.clone();
            let make = move || {
                let place = Place::at(&addresses, Server::Rclone, Keeping::Newest);
                fixture("rclone", place, FEW)
            };
            catch_unwind(AssertUnwindSafe(|| run(*number, make))).is_err()
        })
        .map(|number| number.0)
        .collect();
    assert_eq!(broken, ["c1", "c6"]);
}
