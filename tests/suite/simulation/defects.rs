//! What the simulation found, each as a test of its own.

use crate::support::vault::{TestVault, noise};

#[test]
fn snapshots_of_one_second_sort_in_their_order_also_after_the_clock_went_back() {
    let vault = TestVault::new();
    vault.write("a.jpg", &noise(1, 1000));
    vault.snapshot();
    vault.clock.pass_hours(-30);
    let taken: Vec<_> =
        (0..6).map(|_| vault.try_snapshot(&vault.sources()).unwrap().snapshot).collect();
    assert!(taken.is_sorted(), "{taken:?}");
}
