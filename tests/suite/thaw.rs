//! Cold restore: plan, request, wait. Spec: `thaw.md`.

mod asking;
mod bench;
mod planning;
mod waiting;
