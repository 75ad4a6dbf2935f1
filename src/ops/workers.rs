//! Doing work on many objects of stores side by side, with few of them in memory.
//!
//! How many at a time is the store's say: a directory wants one, a bucket many.

use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, bounded};

use crate::base::limits::STORE_CALLS_MAX;
use crate::store::Store;

/// Returns how many objects are worth working on at a time between these stores.
pub fn count_for<'a>(stores: impl IntoIterator<Item = &'a dyn Store>) -> usize {
    let most = stores.into_iter().map(Store::calls_at_once).max();
    most.unwrap_or(1).clamp(1, STORE_CALLS_MAX)
}

/// Does `work` on each item with one of `count` workers, in no particular order; the first error
/// of the items or of the work ends it. `work` gets the worker's number.
///
/// # Errors
/// The first that was met.
pub fn work_each<T: Send, E: Send>(
    count: usize,
    items: impl Iterator<Item = Result<T, E>>,
    work: impl Fn(usize, T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let failed = AtomicBool::new(false);
    let (sender, receiver) = bounded::<T>(2 * count);
    let worker = |number: usize, items: Receiver<T>| {
        for item in items {
            // The others end with what they have begun, and let the rest pass.
            if failed.load(Ordering::Relaxed) {
                continue;
            }
            if let Err(error) = work(number, item) {
                failed.store(true, Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let worker = &worker;
        let start = |number| {
            let items = receiver.clone();
            scope.spawn(move || worker(number, items))
        };
        let workers: Vec<_> = (0..count).map(start).collect();
        // Only workers hold it now: once all of them failed, nothing more can be sent.
        drop(receiver);
        let mut sent = Ok(());
        for item in items {
            match item {
                Ok(item) if !failed.load(Ordering::Relaxed) => {
                    if sender.send(item).is_err() {
                        break;
                    }
                }
                Ok(_) => break,
                Err(error) => {
                    sent = Err(error);
                    break;
                }
            }
        }
        drop(sender);
        let join = |handle: std::thread::ScopedJoinHandle<'_, Result<(), E>>| {
            handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let results: Vec<Result<(), E>> = workers.into_iter().map(join).collect();
        results.into_iter().collect::<Result<(), E>>().and(sent)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn every_item_is_worked_on_once() {
        let sum = AtomicUsize::new(0);
        let items = (1..=1000).map(Ok::<usize, ()>);
        let worked = work_each(8, items, |number, item| {
            assert!(number < 8);
            sum.fetch_add(item, Ordering::Relaxed);
            Ok(())
        });
        assert_eq!((worked, sum.into_inner()), (Ok(()), 500_500));
    }

    #[test]
    fn an_error_of_the_work_or_of_the_items_ends_it() {
        let done = AtomicUsize::new(0);
        let count = |_, item| {
            done.fetch_add(1, Ordering::Relaxed);
            if item == 5 { Err("work") } else { Ok(()) }
        };
        assert_eq!(work_each(2, (0..100_000).map(Ok), count), Err("work"));
        assert!(done.into_inner() < 100_000);
        let items = [Ok(1), Err("items"), Ok(2)];
        assert_eq!(work_each(2, items.into_iter(), |_, _| Ok(())), Err("items"));
    }
}
