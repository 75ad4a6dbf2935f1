//! One file a command: each takes its arguments and the session, and says what came of it.

pub mod completions;
pub mod keygen;
