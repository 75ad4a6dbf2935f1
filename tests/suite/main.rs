//! One test binary; a file here that is not listed fails `tidy`.

mod archive;
mod conformance;
mod packs;
mod rules;
mod sources;
mod support;
mod support_pg;
mod tidy;
mod vectors;
