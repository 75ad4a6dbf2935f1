//! The real program and a real server of S3.

mod thaw;
