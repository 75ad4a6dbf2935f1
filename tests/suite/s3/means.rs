//! The servers, the proxy and the fake do what the tests take them to do.

use std::sync::Arc;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{GlacierJobParameters, OptionalObjectAttributes, RestoreRequest, Tier};
use idswyft_vault::base::SystemClock;
use s3s::S3ErrorCode;

use crate::support_s3::Server;
use crate::support_s3::clocked::Clocked;
use crate::support_s3::fake::Fake;
use crate::support_s3::place::{Keeping, Place, wait};
use crate::support_s3::proxy::{Act, Proxy};

/// Returns what was answered, or the code of the refusal.
fn said<T, E: ProvideErrorMetadata>(answer: Result<T, SdkError<E>>) -> Result<T, String> {
    answer.map_err(|error| {
        let code = error.as_service_error().and_then(|error| error.code());
        code.unwrap_or("none").to_owned()
    })
}

#[test]
fn every_s3_server_keeps_what_is_put_but_only_the_liar_overwrites() {
    let servers = [
        (Server::SeaweedFs, false),
        (Server::SeaweedFsTls, false),
        (Server::LocalStack, false),
        (Server::MiniStack, false),
        (Server::Rclone, true),
    ];
    for (server, lies) in servers {
        let Some(place) = Place::on(server, Keeping::Newest) else { return };
        place.plant("vault/1.note", b"first");
        let put = place.client().put_object().bucket(&place.bucket).key(place.key("vault/1.note"));
        let put = put.if_none_match("*").body(ByteStream::from_static(b"second"));
        assert_eq!(wait(put.send()).is_ok(), lies, "{server:?}");
        let kept: &[u8] = if lies { b"second" } else { b"first" };
        assert_eq!(place.get("vault/1.note"), kept, "{server:?}");
        assert_eq!(place.names(), ["vault/1.note"], "{server:?}");
    }
}

#[test]
fn the_s3_proxy_remembers_who_asked_for_what() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Newest) else { return };
    let proxy = Proxy::before(&place.address());
    let seen_through = Place::make(&proxy.url(), None, Keeping::Newest);
    assert_eq!(proxy.seen()[0].operation(), "PutBucket");
    proxy.forget();
    seen_through.plant("packs/aa/b", b"pack");
    assert_eq!(seen_through.get("packs/aa/b"), b"pack");
    let seen = proxy.seen();
    let operations: Vec<String> = seen.iter().map(|request| request.operation()).collect();
    assert_eq!(operations, ["PutObject", "GetObject"]);
    assert!(seen.iter().all(|request| request.principal == "ADMINKEY" && request.status == 200));
    assert!(seen[1].is_below("packs") && !seen[1].is_below("vault"));
    let head = seen_through.client().head_object().bucket(&seen_through.bucket);
    assert!(wait(head.key("none").send()).is_err());
    assert_eq!(proxy.seen()[2].status, 404);
}

#[test]
fn the_s3_proxy_meddles_as_it_is_told() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Newest) else { return };
    let proxy = Proxy::before(&place.address());
    let through = Place::make(&proxy.url(), None, Keeping::Newest);
    through.plant("note", &[7; 1000]);
    let client = || through.client();
    // Whatever is answered, the client gets it once: its retries would hide it.
    let get = || {
        let config = aws_sdk_s3::config::Builder::default()
            .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled());
        let get = client().get_object().bucket(&through.bucket).key(through.key("note"));
        wait(async {
            let answer = said(get.customize().config_override(config).send().await)?;
            Ok::<_, String>(answer.body.collect().await.map(|body| body.to_vec()))
        })
    };
    for (act, code) in [
        (Act::error(503, "SlowDown"), "SlowDown"),
        (Act::error_after(500, "InternalError"), "InternalError"),
        (Act::Drop, "none"),
        (Act::DropAnswer, "none"),
    ] {
        proxy.meddle(move |_| act.clone());
        assert_eq!(get().unwrap_err(), code);
    }
    proxy.meddle(|_| Act::CutAnswer);
    assert!(get().unwrap().is_err());
    proxy.meddle(|_| Act::FlipAnswer);
    assert_ne!(get().unwrap().ok(), Some(vec![7; 1000]));
    proxy.behave();
    assert_eq!(get().unwrap().unwrap(), [7; 1000]);
}

#[test]
fn the_s3_fake_refuses_on_demand_and_tells_in_listings_how_far_a_thaw_is() {
    let fake = Fake::start(Arc::new(SystemClock));
    let place = Place::make(&fake.url(), None, Keeping::Newest);
    let put = |class: &str| {
        let put = place.client().put_object().bucket(&place.bucket).key("packs/a");
        put.storage_class(class.into()).body(ByteStream::from_static(b"pack")).send()
    };
    fake.refuse("PutObject", S3ErrorCode::ConditionalRequestConflict, 1);
    assert_eq!(said(wait(put("DEEP_ARCHIVE"))).unwrap_err(), "ConditionalRequestConflict");
    fake.refuse("PutObject", S3ErrorCode::SlowDown, 1);
    wait(put("DEEP_ARCHIVE")).unwrap();
    assert_eq!(fake.refusals_left(), 0);
    let get = place.client().get_object().bucket(&place.bucket).key("packs/a");
    assert_eq!(said(wait(get.clone().send())).unwrap_err(), "InvalidObjectState");
    let thaw = |tier: Tier| {
        let job = GlacierJobParameters::builder().tier(tier).build().unwrap();
        let request = RestoreRequest::builder().days(3).glacier_job_parameters(job).build();
        let thaw = place.client().restore_object().bucket(&place.bucket).key("packs/a");
        said(wait(thaw.restore_request(request).send()))
    };
    assert_eq!(thaw(Tier::Expedited).unwrap_err(), "InvalidArgument");
    thaw(Tier::Bulk).unwrap();
    assert_eq!(thaw(Tier::Bulk).unwrap_err(), "RestoreAlreadyInProgress");
    let list = place.client().list_objects_v2().bucket(&place.bucket);
    let asked = list.optional_object_attributes(OptionalObjectAttributes::RestoreStatus);
    let page = wait(asked.send()).unwrap();
    let status = page.contents()[0].restore_status().unwrap();
    assert_eq!(status.is_restore_in_progress(), Some(true));
    wait(put("STANDARD")).unwrap();
    assert_eq!(thaw(Tier::Bulk).unwrap_err(), "InvalidObjectState");
    assert!(wait(get.send()).is_ok());
}

#[test]
fn an_s3_server_with_a_clock_of_its_own_thaws_and_lets_expire() {
    let Some(server) = Clocked::start() else { return };
    let place = Place::at(server.addresses(), Server::MiniStack, Keeping::Versions);
    let put = place.client().put_object().bucket(&place.bucket).key("packs/a");
    let put = put.storage_class("DEEP_ARCHIVE".into()).body(ByteStream::from_static(b"pack"));
    wait(put.send()).unwrap();
    let get = place.client().get_object().bucket(&place.bucket).key("packs/a");
    let get = || said(wait(get.clone().send()));
    assert_eq!(get().unwrap_err(), "InvalidObjectState");
    let job = GlacierJobParameters::builder().tier(Tier::Bulk).build().unwrap();
    let request = RestoreRequest::builder().days(3).glacier_job_parameters(job).build();
    let thaw = place.client().restore_object().bucket(&place.bucket).key("packs/a");
    wait(thaw.restore_request(request).send()).unwrap();
    assert_eq!(get().unwrap_err(), "InvalidObjectState");
    server.set_clock("+50h");
    assert!(get().is_ok());
    server.set_clock("+9d");
    assert_eq!(get().unwrap_err(), "InvalidObjectState");
}

#[test]
fn principals_of_an_s3_server_may_do_what_they_are_for_and_nothing_else() {
    let Some(place) = Place::on(Server::SeaweedFs, Keeping::Versions) else { return };
    place.plant("vault/1.note", b"note");
    place.plant("packs/aa/b", b"pack");
    // May it put, read what is small, read packs, list, delete?
    for (principal, may) in [
        ("host", [true, false, false, false, false]),
        ("host2", [true, true, false, true, false]),
        ("auditor", [false, true, true, true, false]),
        ("operator", [true, true, true, true, false]),
        ("janitor", [true, true, true, true, true]),
        ("nobody", [false; 5]),
    ] {
        let client = place.client_of(principal);
        let (bucket, key) = (&place.bucket, |name: &str| place.key(name));
        let put = client.put_object().bucket(bucket).key(key(&format!("segments/{principal}")));
        let read = |name: &str| client.get_object().bucket(bucket).key(key(name)).send();
        let delete = client.delete_object().bucket(bucket).key(key("packs/aa/b"));
        let did = [
            wait(put.send()).is_ok(),
            wait(read("vault/1.note")).is_ok(),
            wait(read("packs/aa/b")).is_ok(),
            wait(client.list_objects_v2().bucket(bucket).send()).is_ok(),
            wait(delete.send()).is_ok(),
        ];
        assert_eq!(did, may, "{principal}");
    }
}
