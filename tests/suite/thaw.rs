//! Cold restore: plan, request, wait. Spec: `thaw.md`.

mod asking;
pub mod bench;
mod planning;
mod waiting;
