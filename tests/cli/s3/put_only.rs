//! A host whose credentials may do nothing but put, which the server sees to.

use super::{assert_puts_alone, assert_restores_elsewhere, in_bucket};
use crate::support::{Install, noise};
use crate::support_s3::Server;
use crate::support_s3::place::{Keeping, Place};
use crate::support_s3::proxy::Proxy;

#[test]
fn a_host_that_may_only_put_to_s3_archives_with_puts_alone_and_none_is_refused() {
    for keeping in [Keeping::Versions, Keeping::Locks] {
        let Some(place) = Place::on(Server::SeaweedFs, keeping) else { return };
        let proxy = Proxy::before(&place.address());
        let vault = in_bucket(&place, "role-host-strict", Some(&proxy));
        let install = Install::with_vaults(&format!("{vault}put_only = true\n"));
        // It warns: what the endpoint does cannot be found out with these credentials.
        install.run(["init", "--kit", "kit"]).exits(4);
        let first = install.snapshot();
        install.write("uploads/documents/c.jpg", &noise(3, 20_000));
        let second = install.snapshot();
        assert_puts_alone(&proxy, "role-host-strict");
        for id in [&first, &second] {
            let store = place.url_in_full("role-operator", None);
            assert_restores_elsewhere(&install, id, &store);
        }
    }
}

#[test]
fn without_put_only_a_host_that_may_only_put_to_s3_is_refused_and_told_why() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
    let install = Install::with_vaults(&in_bucket(&place, "role-host-strict", None));
    let refused = install.run(["init", "--kit", "kit"]);
    assert!(refused.exit != 0 && refused.err.contains("hint: "), "{refused}");
    assert_eq!(place.names(), Vec::<String>::new());
}
