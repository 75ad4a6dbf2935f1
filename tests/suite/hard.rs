//! The real program where it is hard: killed, out of room, on failing disks, under a strange umask,
//! and over trees that nobody would make on purpose.

mod disks;
mod edges;
mod full;
mod kills;
pub mod trees;
mod umask;
