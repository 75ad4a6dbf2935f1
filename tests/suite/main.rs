//! One test binary; a file here that is not listed fails `tidy`.

#![expect(clippy::unwrap_used, reason = "what a test leans on panics as the test does")]

mod archive;
mod bounds;
mod compat;
mod conformance;
mod crafted;
mod damage;
mod faults;
mod hard;
mod leaning;
mod packs;
mod plugins;
mod reference;
mod review;
mod rules;
mod sources;
mod standard_files;
mod support;
mod support_pg;
mod tidy;
mod vectors;
