//! Sources against the real thing: file trees with every kind of entry, commands, PostgreSQL.

mod engine;
mod restoring;
mod rows;
mod streams;
mod walking;
