//! What is deleted once no snapshot needs it, and what never is: `prune.md`.

mod applying;
pub mod bench;
mod crashes;
mod generations;
mod hosts;
mod limits;
mod model;
mod own;
mod readers;
mod rivals;
mod space;
mod tables;
