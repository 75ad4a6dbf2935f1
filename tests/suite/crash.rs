//! A run that dies at any of its steps: every store call and every step of the host's own state, in
//! turn, in each of the ways in which it can fail. Spec: §9.2.

mod init;
mod power;
mod reading;
mod snapshot;

use crate::support::Mode;

const MODES: [Mode; 3] = [Mode::NotDone, Mode::DoneButReported, Mode::Torn];
