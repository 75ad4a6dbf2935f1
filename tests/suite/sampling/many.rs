//! A sample of very many packs.

use std::fs;
use std::time::Instant;

use idswyft_vault::base::{Clock, PackId, Silent};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::manifest::{self, Needed, Standing};
use idswyft_vault::ops::verify::{self, Level, Method, Part, Request, rank};

use super::bench::sample_of;
use crate::reading::vast::{made_up, put_made_up, size_kib, vast};
use crate::support::vault::TestVault;
use crate::support::{is_long, sha256};

/// How much drawing and looking may need beyond what the process has: as much as looking at all.
const GROWTH_KIB_MAX: u64 = 32 * 1024;

#[test]
fn a_sample_of_very_many_packs_is_drawn_in_bounded_memory() {
    let pack_count: u32 = if is_long() { 1_000_000 } else { 20_000 };
    let vault = TestVault::new();
    put_made_up(&vault, pack_count);
    let auditor = vault.auditor(&vast(&vault, pack_count));
    let (confidence, loss) = ("99%".parse().unwrap(), "0.1%".parse().unwrap());
    let needed = Needed::new().unwrap();
    let fill = |needed: &Needed| {
        let add = |index| needed.add(&ObjectKey::Pack(made_up(index)), 1);
        (0..pack_count).try_for_each(add)
    };
    needed.attempt::<_, manifest::Error>(fill).unwrap();
    let (seed, begun) = (sha256(b"seed"), Instant::now());
    let standing = |id: &PackId| Ok(Standing { turn: 0, rank: rank(&seed, id) });
    needed.draw::<manifest::Error>(standing, || 4593).unwrap();
    println!("4593 of {pack_count} packs: drawn in {} ms", begun.elapsed().as_millis());
    drop(needed);
    let run = |method: Method| {
        let part = Part { method: Some(method), ..Part::default() };
        let now = Some(vault.clock.now());
        let request = Request { now, part: Some(&part), ..Request::of(Level::Stored) };
        fs::write("/proc/self/clear_refs", "5").unwrap();
        let (before, begun) = (size_kib("VmRSS"), Instant::now());
        let report = verify::verify_as(&auditor, None, &request, &Silent).unwrap();
        let (took, growth) = (begun.elapsed(), size_kib("VmHWM").saturating_sub(before));
        let count = sample_of(&report).sample_count;
        println!("{count} of {pack_count} packs: {growth} KiB, {} ms", took.as_millis());
        assert!(growth < GROWTH_KIB_MAX, "{growth} KiB");
        assert_eq!(report.object_count, count + 9);
        count
    };
    let count = run(Method::Confidence(confidence, loss));
    assert!((3_000..5_000).contains(&count), "{count}");
    assert_eq!(run(Method::Share("50%".parse().unwrap())), u64::from(pack_count / 2));
}
