//! Samples, turns and parts of a verification. Spec: `sampling.md`.

mod archived;
mod bench;
mod drawing;
mod joining;
mod many;
mod turns;
