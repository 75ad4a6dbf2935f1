//! One test binary; a file here that is not listed fails `tidy`.

mod sources;
mod support_pg;
