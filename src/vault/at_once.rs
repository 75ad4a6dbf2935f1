//! Several calls of a store at a time: what waits for a network waits side by side. Spec: §16.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Does `work` on every item, at most `count` at a time; returns the results in order.
///
/// With a count of 1 it is a loop: each item's work ends before the next begins.
pub fn map_at_once<T: Sync, R: Send>(
    count: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let count = count.min(items.len());
    if count < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let worker = || {
        let claim = || {
            let index = next.fetch_add(1, Ordering::Relaxed);
            items.get(index).map(|item| (index, item))
        };
        let mut done = Vec::new();
        while let Some((index, item)) = claim() {
            done.push((index, work(item)));
        }
        done
    };
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(worker)).collect();
        let join = |handle: std::thread::ScopedJoinHandle<'_, _>| {
            handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().flat_map(join).collect()
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn results_are_in_order_and_work_is_side_by_side() {
        let items: Vec<usize> = (0..64).collect();
        // It ends only if four wait for one another at a time.
        let barrier = Barrier::new(4);
        let doubled = map_at_once(4, &items, |item| {
            barrier.wait();
            item * 2
        });
        assert_eq!(doubled, items.iter().map(|item| item * 2).collect::<Vec<_>>());
    }

    #[test]
    fn one_at_a_time_is_a_loop_on_the_callers_thread() {
        let own = std::thread::current().id();
        let threads = map_at_once(1, &[1, 2, 3], |_| std::thread::current().id());
        assert!(threads.iter().all(|thread| *thread == own));
        assert!(map_at_once(8, &[0; 0], |item| *item).is_empty());
    }
}
