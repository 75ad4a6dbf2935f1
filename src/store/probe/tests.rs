//! What follows from what was seen.

use super::*;

fn all_yes() -> Probe {
    let mut probe = Probe::new("s3://b/p", Timestamp::UNIX_EPOCH);
    for &capability in Capability::ALL {
        probe.saw(capability, Verdict::Yes, "seen");
    }
    probe
}

fn worst(probe: &Probe, wanted: &Wanted) -> Option<Weight> {
    probe.shortfalls(wanted).first().map(|shortfall| shortfall.weight)
}

const LOCKED: Wanted = Wanted {
    object_lock: Some(LockMode::Compliance),
    pack_class: StorageClass::DeepArchive,
    encryption: true,
};

/// K-3
#[test]
fn a_lock_is_claimed_only_if_all_four_things_were_seen() {
    assert!(all_yes().can_lock());
    for capability in [
        Capability::Versioning,
        Capability::LockConfiguration,
        Capability::VersionId,
        Capability::Lock,
    ] {
        for verdict in [Verdict::No, Verdict::Unknown] {
            let mut probe = all_yes();
            probe.saw(capability, verdict, "x");
            assert!(!probe.can_lock());
            assert_eq!(worst(&probe, &LOCKED), Some(Weight::Refused), "{capability:?}");
            assert_ne!(worst(&probe, &Wanted::default()), Some(Weight::Refused));
        }
    }
}

/// K-4
#[test]
fn every_capability_that_is_missing_is_told_where_it_matters() {
    assert_eq!(all_yes().shortfalls(&LOCKED), []);
    // That versioning keeps what is put over makes up for it.
    let silent = [Capability::PutOverRefused];
    for &capability in Capability::ALL.iter().filter(|one| !silent.contains(one)) {
        let mut probe = all_yes();
        probe.saw(capability, Verdict::No, "it was seen not to");
        let found = probe.shortfalls(&LOCKED);
        assert_eq!(found.len(), 1, "{capability:?}");
        assert_eq!(found[0].capability, capability);
        assert!(found[0].remedy.len() > 20 && found[0].detail.contains("seen not to"));
    }
    // Who could see nothing is told so, and a lock is refused.
    let blind = Probe::new("s3://b/p", Timestamp::UNIX_EPOCH);
    assert_eq!(worst(&blind, &LOCKED), Some(Weight::Refused));
}

/// K-7
#[test]
fn a_bucket_in_which_nothing_was_tried_is_told_for_that_alone() {
    let mut probe = Probe::new("s3://b/p", Timestamp::UNIX_EPOCH);
    probe.saw(Capability::LockConfiguration, Verdict::Yes, "Enabled");
    probe.saw(Capability::NoDefaultRetention, Verdict::No, "COMPLIANCE");
    assert!(!probe.is_tried() && all_yes().is_tried());
    for (wanted, weight) in [(LOCKED, Weight::Refused), (Wanted::default(), Weight::Warning)] {
        let found = probe.shortfalls(&wanted);
        let found: Vec<_> = found.iter().map(|short| (short.weight, short.capability)).collect();
        assert_eq!(found, [(weight, Capability::NoDefaultRetention)]);
    }
}

/// K-5
#[test]
fn a_record_is_read_as_it_was_written() {
    let mut probe = all_yes();
    probe.left.push("probe/1/a".to_owned());
    let text = serde_json::to_string(&probe).unwrap();
    assert!(text.contains("\"put-new\":{\"verdict\":\"yes\""), "{text}");
    for capability in Capability::ALL {
        assert_eq!(serde_json::to_value(capability).unwrap(), capability.to_string());
    }
    assert_eq!(serde_json::from_str::<Probe>(&text).unwrap(), probe);
}

/// K-6
#[test]
fn a_clock_that_is_a_minute_off_is_told() {
    let here = Timestamp::UNIX_EPOCH;
    let mut probe = all_yes();
    probe.saw_clock(Timestamp::from_second(60).unwrap(), here);
    assert!(probe.has(Capability::Clock));
    for second in [61, -61] {
        probe.saw_clock(Timestamp::from_second(second).unwrap(), here);
        assert_eq!(worst(&probe, &Wanted::default()), Some(Weight::Warning));
    }
}
