//! One test binary; a file here that is not listed fails `tidy`.

mod tidy;
mod conformance;
mod support;
