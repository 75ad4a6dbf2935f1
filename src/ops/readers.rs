//! Reading packs side by side, with few of them in memory. Spec: §12.
//!
//! What is done with several blocks of a pack at a time runs on all cores already. So a few readers
//! keep the cores busy while others wait for the store, and more would only hold more in memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::base::limits::READERS_MAX;
use crate::format::ObjectKey;
use crate::store::{self, Store};

/// Does `work` on every item, a few at a time, in no particular order; an error ends it.
///
/// The readers are threads of their own: one of the pool's would, while it waits for its blocks to
/// be decoded, begin with another pack.
///
/// # Errors
/// The first that any reader met.
pub fn read_each<T: Sync, E: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    each_at_once(rayon::current_num_threads().min(READERS_MAX), items, work)
}

/// Returns how many cores there are for each of the readers: with one for each, none needs to share
/// its blocks with others.
pub fn cores_each() -> usize {
    rayon::current_num_threads().div_ceil(READERS_MAX)
}

/// Does `work` on every item, those first that a store has ready; it may wait for the others.
///
/// # Errors
/// The first that any reader met, and if the store cannot say what is ready.
pub fn read_ready<T: Sync, E: Send + From<store::Error>>(
    store: &dyn Store,
    mut items: Vec<T>,
    key: impl Fn(&T) -> ObjectKey,
    work: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    while !items.is_empty() {
        let keys: Vec<ObjectKey> = items.iter().map(&key).collect();
        let mut ready = store.await_readable(&keys)?.into_iter();
        let (now, later): (Vec<T>, Vec<T>) =
            items.into_iter().partition(|_| ready.next().unwrap_or(true));
        read_each(&now, &work)?;
        items = later;
    }
    Ok(())
}

/// Does `work` on every item, so many at a time, in no particular order; an error ends it.
///
/// # Errors
/// The first that any of them met.
pub fn each_at_once<T: Sync, E: Send>(
    count: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let reader = || {
        let claim = || items.get(next.fetch_add(1, Ordering::Relaxed));
        while let Some(item) = claim() {
            if let Err(error) = work(item) {
                // The others end with what they have begun.
                next.store(items.len(), Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    };
    let count = count.max(1).min(items.len());
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..count).map(|_| scope.spawn(reader)).collect();
        let join = |handle: std::thread::ScopedJoinHandle<'_, _>| {
            handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let results: Vec<Result<(), E>> = readers.into_iter().map(join).collect();
        results.into_iter().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_read_once_by_a_few_at_a_time() {
        let (reading, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let items: Vec<AtomicUsize> = (0..200).map(|_| AtomicUsize::new(0)).collect();
        let read = read_each(&items, |item| {
            let now = reading.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            item.fetch_add(1, Ordering::SeqCst);
            reading.fetch_sub(1, Ordering::SeqCst);
            Ok::<(), ()>(())
        });
        assert_eq!(read, Ok(()));
        assert!(items.iter().all(|item| item.load(Ordering::SeqCst) == 1));
        assert!((1..=READERS_MAX).contains(&most.into_inner()));
        assert_eq!(read_each(&[(); 0], |()| Err(())), Ok(()));
    }

    #[test]
    fn an_error_ends_the_reading() {
        let items: Vec<usize> = (0..10_000).collect();
        let read_count = AtomicUsize::new(0);
        let read = read_each(&items, |item| {
            read_count.fetch_add(1, Ordering::SeqCst);
            if *item == 10 { Err(*item) } else { Ok(()) }
        });
        assert_eq!(read, Err(10));
        assert!(read_count.into_inner() < 10_000);
    }
}
