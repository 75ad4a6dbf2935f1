//! One test binary; a file here that is not listed fails `tidy`.

#![expect(clippy::unwrap_used, reason = "what a test leans on panics as the test does")]

mod archive;
mod auditing;
mod bombs;
mod books;
mod bounds;
mod by_hand;
mod compat;
mod conformance;
mod crafted;
mod crash;
mod damage;
mod decade;
mod escrow;
mod evidence;
mod faults;
mod hard;
mod isolation;
mod leaning;
mod mirrors;
mod nights;
mod operating;
mod packs;
mod parsers;
mod plugins;
mod prune;
mod reading;
mod rebuild;
mod reference;
mod repairs;
mod replicas;
mod reports;
mod retention;
mod review;
mod rows;
mod rules;
mod s3;
mod sampling;
mod simulation;
mod sources;
mod standard_files;
mod support;
mod support_pg;
#[expect(dead_code, reason = "the other test binary uses the rest")]
#[path = "../support_s3/mod.rs"]
mod support_s3;
mod thaw;
mod tidy;
mod vectors;
