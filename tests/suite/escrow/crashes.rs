//! A sealing that dies at any of its steps.

use idswyft_vault::base::OpenGate;
use idswyft_vault::ops::escrow::open::Version;

use super::{Escrow, KEY, names};
use crate::support::crash::{Crash, scratch};
use crate::support::image::Image;
use crate::support::vault::local;
use crate::support::{Figure, Mode};

/// E-16
#[test]
fn a_sealing_that_dies_at_any_step_is_made_up_for_by_the_next() {
    let mut escrow = Escrow::within(scratch());
    let before = escrow.seal();
    escrow.write(".env", format!("ENCRYPTION_KEY=x{KEY}\n").as_bytes());
    let places = vec![escrow.path("escrow"), escrow.path("state")];
    let image = Image::take(&places);
    let mut swept = 0;
    for mode in [Mode::NotDone, Mode::DoneButReported, Mode::Torn] {
        for at in 0.. {
            image.put_back();
            let crash = Crash::new(at, mode, places.clone());
            escrow.store = crash.store(local(&places[0], "escrow"));
            escrow.gate = crash.clone();
            let died = escrow.try_seal();
            assert_eq!(died.is_err(), crash.is_dead(), "{mode:?} at {at}");
            if let Some(image) = crash.image() {
                image.put_back();
            }
            escrow.store = local(&places[0], "escrow");
            escrow.gate = OpenGate::shared();
            // What earlier snapshots name is still there and opens.
            let old = escrow.open(Version::Named(&before.needed));
            assert_eq!(old.keys[0].value.as_slice(), KEY.as_bytes());
            let next = escrow.seal();
            let opened = escrow.open(Version::Named(&next.needed));
            assert_eq!(opened.keys[0].value.as_slice(), format!("x{KEY}").as_bytes());
            assert!(escrow.seal().newly.is_empty(), "{mode:?} at {at}");
            // Two old objects, two new ones, and at most those two once more.
            assert!(escrow.objects().len() <= 6, "{mode:?} at {at}: {:?}", escrow.objects());
            assert!(escrow.events.warnings().is_empty(), "{mode:?} at {at}");
            if !crash.is_dead() {
                assert!(at > 5, "{at} steps were swept");
                assert_eq!(names(&next.needed).len(), 2);
                break;
            }
            swept += 1;
        }
    }
    Figure {
        what: "Steps at which a sealing of the stack's secrets died and the next made up for it",
        test: "a_sealing_that_dies_at_any_step_is_made_up_for_by_the_next",
    }
    .record(swept);
}

/// E-16
#[test]
fn a_state_that_was_lost_or_damaged_costs_another_sealing() {
    let escrow = Escrow::new();
    escrow.seal();
    let state = escrow.path("state/escrow.json");
    std::fs::write(&state, "{\"v\":1").unwrap();
    assert_eq!(escrow.seal().newly.len(), 2);
    assert_eq!(escrow.events.warnings().len(), 1);
    std::fs::remove_file(&state).unwrap();
    assert_eq!(escrow.seal().newly.len(), 2);
    assert!(escrow.events.warnings().is_empty());
}
