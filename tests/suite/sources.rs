//! Sources against the real thing: file trees with every kind of entry, commands, PostgreSQL.

mod restoring;
mod rows;
mod streams;
mod walking;
