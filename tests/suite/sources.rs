//! Sources against the real thing: file trees with every kind of entry, commands, PostgreSQL.
#![expect(clippy::unwrap_used, reason = "what a test leans on panics as the test does")]

mod restoring;
mod streams;
mod walking;
