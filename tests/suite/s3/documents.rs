//! Months of a vault in a bucket that locks, each role by its document alone, on a server whose
//! clock goes on with the vault's. Spec: `capabilities.md` §4.

use std::sync::Arc;

use idswyft_vault::base::{Clock, SnapshotId};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::legal_holds::{self, StoreHeld};
use idswyft_vault::ops::prolong::{self, StoreProlonged};
use idswyft_vault::store::{LockMode, S3Settings, Store, open_with};

use crate::prune::bench::{named_by, prune, renew};
use crate::retention::bench::{ALL, Bench, ending_after, there};
use crate::retention::holds::{operator, place, release, rows};
use crate::support_s3::Server;
use crate::support_s3::clocked::Clocked;
use crate::support_s3::gate::Gate;
use crate::support_s3::place::{Keeping, Place};
use crate::support_s3::proxy::{Proxy, Request};

const DAY_HOURS: i64 = 24;
/// Days after which no lock of what was put, and nobody that leans on it, is left.
const LONG_DAYS: i64 = 46;

/// A vault in a bucket behind the documents.
struct Months {
    server: Clocked,
    place: Place,
    proxy: Proxy,
    bench: Bench,
}

impl Months {
    /// Makes the vault as the operator; none where there are no servers.
    fn start() -> Option<Self> {
        let server = Clocked::start()?;
        let place = Place::at(server.addresses(), Server::MiniStack, Keeping::Locks);
        let proxy = Proxy::before(&place.address());
        Gate::of(&place).stand_in(&proxy);
        let policy = "keep_last = 2\nfloor = '30d'";
        let bench = Bench::written_as(ending_after(None), policy, 0, |clock| {
            set_clock(&server, clock.as_ref());
            vec![open(&place, &proxy, "operator")]
        });
        bench.vault.write("document", b"the same every night");
        Some(Self { server, place, proxy, bench })
    }

    fn pass_days(&self, days: i64) {
        self.bench.vault.clock.pass_hours(DAY_HOURS * days);
        set_clock(&self.server, self.bench.vault.clock.as_ref());
    }

    /// Goes on as a role.
    fn go_on_as(&mut self, role: &str) {
        self.bench.vault.stores = vec![open(&self.place, &self.proxy, role)];
    }

    /// Takes a snapshot as the host, so many days later; what it has of its own is by `seed`.
    fn night(&mut self, seed: u64, days: i64) -> SnapshotId {
        self.pass_days(days);
        self.go_on_as("host");
        renew(&self.bench, seed);
        self.bench.vault.write("document", b"the same every night");
        self.bench.vault.snapshot().snapshot
    }

    fn prolong(&self) -> StoreProlonged {
        let survey = self.bench.survey(&self.bench.vault.stores).unwrap();
        let (now, observer) = (self.bench.vault.clock.now(), self.bench.vault.events.as_ref());
        prolong::prolong(&survey, &[], now, observer).unwrap().remove(0)
    }

    fn settle(&self) -> StoreHeld {
        let survey = self.bench.survey(&self.bench.vault.stores).unwrap();
        let (now, observer) = (self.bench.vault.clock.now(), self.bench.vault.events.as_ref());
        legal_holds::settle(&survey, now, observer).unwrap().remove(0)
    }

    /// Asserts that nothing was asked for that the documents do not allow; but who may not list the
    /// bucket is not told that there is no newer vault note.
    #[track_caller]
    fn assert_none_is_refused(&self) {
        let seen = self.proxy.seen();
        let is_refused = |it: &&Request| it.status == 403 && !it.is_below("vault");
        let refused: Vec<&Request> = seen.iter().filter(is_refused).collect();
        assert!(refused.is_empty() && !seen.is_empty(), "{refused:#?}");
        self.proxy.forget();
    }
}

/// Opens the place as a role, by what its document allows.
fn open(place: &Place, proxy: &Proxy, role: &str) -> Arc<dyn Store> {
    let (endpoint, object_lock) = (Some(proxy.url()), Some(LockMode::Compliance));
    let own = place.settings(&format!("gated-{role}"));
    let settings = S3Settings { endpoint, object_lock, ..own };
    open_with(&place.url(), "bucket", Some(&settings)).unwrap()
}

/// Stops the server's clock at what another shows.
fn set_clock(server: &Clocked, clock: &dyn Clock) {
    server.set_clock(&clock.now().strftime("%Y-%m-%d %H:%M:%S").to_string());
}

/// F-40 F-41 G-13 P-7
#[test]
fn months_of_nights_holds_locks_and_prunes_in_s3_ask_for_nothing_that_the_documents_refuse() {
    let Some(mut months) = Months::start() else { return };
    let held = months.night(1, 1);
    let goes = months.night(2, 1);
    months.go_on_as("operator");
    let key = operator(&months.bench);
    place(&months.bench, &key, held, None).unwrap();
    let settled = months.settle();
    assert!(settled.held_count > 0 && settled.unsettled_count == 0, "{settled:?}");
    months.assert_none_is_refused();

    // While all is locked nothing goes, and what is leaned on is locked for longer.
    let third = months.night(3, 18);
    months.go_on_as("janitor");
    assert_eq!(months.bench.apply(&ALL).unwrap().forgotten, []);
    let prolonged = months.prolong();
    assert!(prolonged.extended_count > 0 && prolonged.short_count == 0, "{prolonged:?}");
    months.assert_none_is_refused();

    let fourth = months.night(4, LONG_DAYS);
    let own = named_by(&months.bench, goes);
    months.go_on_as("janitor");
    assert_eq!(months.bench.apply(&ALL).unwrap().forgotten, [goes]);
    let pruned = prune(&months.bench);
    assert!(pruned.swept[0].deleted.object_count > 0, "{:?}", pruned.swept);
    assert_eq!(pruned.swept[0].left_count, 0);
    let store = &months.bench.vault.stores[0];
    assert!(there(store)[0].is_superset(&[held, third, fourth].into()));
    let left = own.iter().filter(|key| store.remains(key).unwrap().is_nothing());
    assert!(left.count() > 0 && store.remains(&ObjectKey::List(goes)).unwrap().is_nothing());
    assert_eq!(months.prolong().short_count, 0);
    months.assert_none_is_refused();

    months.go_on_as("operator");
    release(&months.bench, &key, rows(&months.bench).remove(0));
    let settled = months.settle();
    assert!(settled.released_count > 0 && settled.unsettled_count == 0, "{settled:?}");
    months.assert_none_is_refused();
    // Now it goes as any other.
    months.go_on_as("janitor");
    assert!(months.bench.apply(&ALL).unwrap().forgotten.contains(&held));
    months.assert_none_is_refused();
}
