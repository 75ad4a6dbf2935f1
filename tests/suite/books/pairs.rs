//! Each way to tamper, and every two of them together.

use std::sync::atomic::{AtomicUsize, Ordering};

use idswyft_vault::base::Code;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::history::{check_since, compare};
use idswyft_vault::vault::Auditor;

use super::fixture::{BOOKS, Objects, found, logs_of, store_of};
use super::table::{Tampering, tamperings};

fn is_named(found: &[(Code, String)], by: &[&Tampering]) -> bool {
    found.iter().any(|(code, _)| by.iter().any(|one| one.codes.contains(code)))
}

/// V-211 V-212 V-214 F-37 F-38
#[test]
fn whatever_is_done_to_the_books_is_found_by_the_code_that_names_it() {
    assert_eq!(found(&BOOKS.objects), [], "nothing is found where nobody did anything");
    for one in tamperings() {
        let mut objects = BOOKS.objects.clone();
        one.apply(&mut objects);
        assert_ne!(objects, BOOKS.objects, "{}", one.name);
        let found = found(&objects);
        match one.codes {
            [] => assert_eq!(found, [], "{}", one.name),
            _ => assert!(is_named(&found, &[&one]), "{}: {found:?}", one.name),
        }
    }
}

/// Returns what a store may show that went back to an earlier moment: nothing that anybody said
/// since, or another thing that one signer says since, and that nobody quotes.
fn earlier() -> Vec<Objects> {
    let last = tamperings().into_iter().filter(|one| one.name == "roll back the operator");
    let also = ["", "roll back the janitor", "sign another history as the janitor"];
    let mut gone = BOOKS.objects.clone();
    last.for_each(|one| one.apply(&mut gone));
    let with = |name: &&str| {
        let mut objects = gone.clone();
        tamperings().iter().filter(|one| one.name == *name).for_each(|one| one.apply(&mut objects));
        objects
    };
    also.iter().map(with).collect()
}

/// V-211
#[test]
fn no_two_things_that_are_done_to_the_books_hide_one_another() {
    let mut all = tamperings();
    all.retain(|one| !one.is_inner);
    let pairs: Vec<(usize, usize)> =
        (0..all.len()).flat_map(|one| (one + 1..all.len()).map(move |two| (one, two))).collect();
    let (next, earlier) = (AtomicUsize::new(0), earlier());
    let work = || {
        while let Some((one, two)) = pairs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (one, two) = (&all[*one], &all[*two]);
            let mut objects = BOOKS.objects.clone();
            one.apply(&mut objects);
            two.apply(&mut objects);
            let (found, names) = (found(&objects), (&one.name, &two.name));
            match found.is_empty() {
                true => assert!(earlier.contains(&objects), "{names:?}"),
                false => assert!(is_named(&found, &[one, two]), "{names:?}: {found:?}"),
            }
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
}

/// V-122 V-210 V-215
#[test]
fn a_store_that_went_back_to_an_earlier_moment_is_told_by_a_checkpoint_or_a_mirror() {
    let then = logs_of(&BOOKS.objects);
    let (operator, janitor) = (BOOKS.operator.signer_id(), BOOKS.janitor.signer_id());
    let changed: [&[_]; 3] = [&[operator], &[operator, janitor], &[operator, janitor]];
    for (objects, changed) in earlier().iter().zip(changed) {
        assert_eq!(found(objects), []);
        let now = logs_of(objects);
        let auditor = Auditor::open(store_of(objects), BOOKS.root.clone()).unwrap();
        for log in &then {
            let kept = log.checkpoint.as_ref().unwrap();
            let since = check_since(&auditor, &now, kept).unwrap();
            assert_eq!(since[0].problem.is_some(), changed.contains(&log.signer));
        }
        let partings = compare(&then, &now);
        assert_eq!(partings.len(), changed.len());
        for parting in partings {
            assert!(changed.contains(&parting.signer));
            assert_eq!(parting.is_fork, parting.here.size == parting.there.size);
        }
    }
}

/// V-122 V-215
#[test]
fn two_histories_of_one_log_in_two_stores_are_a_fork_whichever_is_longer() {
    let forked = "sign another history as the janitor";
    let mut objects = BOOKS.objects.clone();
    tamperings().iter().filter(|one| one.name == forked).for_each(|one| one.apply(&mut objects));
    let (here, there) = (logs_of(&BOOKS.objects), logs_of(&objects));
    for partings in [compare(&here, &there), compare(&there, &here)] {
        assert_eq!(partings.len(), 1);
        assert!(partings[0].is_fork && partings[0].signer == BOOKS.janitor.signer_id());
    }
    // A log of which a store has nothing lags, and is no fork.
    let signer = BOOKS.host.signer_id();
    let mut objects = BOOKS.objects.clone();
    objects.retain(|key, _| {
        !matches!(key, ObjectKey::LedgerEvent(id, _) | ObjectKey::LedgerCheckpoint(id, _)
            if *id == signer)
    });
    let partings = compare(&here, &logs_of(&objects));
    assert!(partings.len() == 1 && !partings[0].is_fork && partings[0].there.size == 0);
    assert_eq!(compare(&here, &here), []);
}
