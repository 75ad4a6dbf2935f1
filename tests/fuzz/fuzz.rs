//! Runs the target that `FUZZ_TARGET` names under libFuzzer; see `run`.
//!
//! With `FUZZ_SEEDS` set it writes the target's seeds into that directory and ends. Memory is
//! bounded too: what a single input makes the program hold is counted.

#![no_main]

mod seeds;
mod targets;

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use libfuzzer_sys::fuzz_target;

use targets::{TARGETS, Target};

/// Most bytes that one input may make the program hold beyond what it held before.
const HELD_LEN_MAX: usize = 256 << 20;

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static HELD_MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came; the counters change nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        HELD_MOST.fetch_max(held, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

fn begin() {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        std::process::exit(2);
    };
    if let Some(directory) = std::env::var_os("FUZZ_SEEDS").map(PathBuf::from) {
        for (index, seed) in seeds::of(&name).iter().enumerate() {
            std::fs::write(directory.join(index.to_string()), seed).expect("a writable directory");
        }
        std::process::exit(0);
    }
    TARGET.get_or_init(|| target);
}

fuzz_target!(init: begin(), |data: &[u8]| {
    let before = HELD.load(Ordering::Relaxed);
    HELD_MOST.store(before, Ordering::Relaxed);
    (TARGET.get().expect("begun").run)(data);
    let held = HELD_MOST.load(Ordering::Relaxed).saturating_sub(before);
    assert!(held < HELD_LEN_MAX, "{} bytes made it hold {held}", data.len());
});
