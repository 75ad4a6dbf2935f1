//! The real program where it is hard: killed, out of room, under a strange umask, and over trees
//! that nobody would make on purpose.

mod edges;
mod full;
mod kills;
pub mod trees;
mod umask;
