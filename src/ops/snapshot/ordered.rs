//! Work done on all cores whose results come out in the order in which it was given.
//!
//! The queue is bounded: whoever submits waits while `capacity` results are not yet taken. That is
//! the back-pressure that bounds the pipeline's memory.

use crossbeam_channel::{Receiver, Sender, bounded};

/// The other end of a queue is gone: an error there is the one to report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed;

/// Gives work.
pub struct Submitter<T> {
    queue: Sender<Receiver<T>>,
}

/// Takes results in the order of submission.
pub struct Results<T> {
    queue: Receiver<Receiver<T>>,
}

/// Makes a queue with room for `capacity` results.
pub fn ordered<T: Send + 'static>(capacity: usize) -> (Submitter<T>, Results<T>) {
    let (sender, receiver) = bounded(capacity);
    (Submitter { queue: sender }, Results { queue: receiver })
}

impl<T: Send + 'static> Submitter<T> {
    /// Runs `work` on any core; waits while the queue is full.
    pub fn submit(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<(), Closed> {
        let (sender, receiver) = bounded(1);
        self.queue.send(receiver).map_err(|_| Closed)?;
        rayon::spawn(move || {
            // Nobody waits for the result once the other end is gone.
            let _ = sender.send(work());
        });
        Ok(())
    }

    /// Puts a value into the queue that needs no work.
    pub fn push(&self, value: T) -> Result<(), Closed> {
        let (sender, receiver) = bounded(1);
        sender.send(value).expect("the channel has room for one value and its receiver is here");
        self.queue.send(receiver).map_err(|_| Closed)
    }
}

impl<T> Results<T> {
    /// Waits for the next result; `None` when everything was taken and nobody submits any more.
    pub fn next(&self) -> Option<T> {
        // Work that panicked dropped its sender: the queue then ends here, as if it were closed,
        // and the panic itself is reported by the pool.
        self.queue.recv().ok()?.recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_submission() {
        let (submitter, results) = ordered(4);
        let producer = std::thread::spawn(move || {
            for index in 0..1000u32 {
                if index % 7 == 0 {
                    submitter.push(index).unwrap();
                } else {
                    submitter
                        .submit(move || {
                            (0..(index * 37) % 500).fold(0, |a, b| std::hint::black_box(a ^ b));
                            index
                        })
                        .unwrap();
                }
            }
        });
        let taken: Vec<u32> = std::iter::from_fn(|| results.next()).collect();
        assert_eq!(taken, (0..1000).collect::<Vec<_>>());
        producer.join().unwrap();
    }

    #[test]
    fn a_dropped_consumer_ends_the_producer() {
        let (submitter, results) = ordered::<u32>(1);
        drop(results);
        assert_eq!(submitter.submit(|| 1), Err(Closed));
        assert_eq!(submitter.push(1), Err(Closed));
    }
}
