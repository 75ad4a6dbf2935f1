//! How many threads work at a time.

use std::num::NonZero;
use std::thread::available_parallelism;

use crate::base::limits::THREADS_MAX;

/// The variable by which an operator names another number, for the pool's own use.
const THREADS_VARIABLE: &str = "RAYON_NUM_THREADS";

/// Limits the pool of this process to [`THREADS_MAX`] threads. A program calls it before anything
/// else; a pool that works already stays as it is.
pub fn limit() {
    if std::env::var_os(THREADS_VARIABLE).is_some() {
        return;
    }
    let cores = available_parallelism().map_or(1, NonZero::get);
    // It fails only for a pool that is there, which does its work as well.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(cores.min(THREADS_MAX)).build_global();
}
