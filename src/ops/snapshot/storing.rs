//! The lane's end: a pack becomes durable, then the manifest finds its chunks.

use std::sync::{Mutex, MutexGuard};

use crossbeam_channel::{Receiver, Sender, bounded, select};

use super::lane::Pending;
use crate::base::{Event, Observer};
use crate::manifest::PackNumber;
use crate::ops::Error;
use crate::vault::Writer;
use crate::vault::pack_writer::FinishedPack;
use crate::vault::sending::Courier;

/// A pack and its number.
type Numbered = (PackNumber, FinishedPack);

/// What stores the packs of a lane.
#[derive(Clone, Copy)]
struct Storing<'a> {
    pending: &'a Pending,
    writer: &'a Mutex<Writer>,
    observer: &'a dyn Observer,
}

/// Stores packs until the packer is done, as many at a time as are worth it.
///
/// A pack that was stored stays stored and known, whatever fails later: the next run reuses it.
pub fn run(
    packs: &Receiver<Numbered>,
    pending: &Pending,
    writer: &Mutex<Writer>,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let courier = lock(writer).courier()?;
    let storing = Storing { pending, writer, observer };
    let thread_count = courier.packs_at_once();
    if thread_count == 1 {
        return packs.iter().try_for_each(|pack| storing.store(&courier, pack));
    }
    let (stop, stopped) = bounded(0);
    let stop = Mutex::new(Some(stop));
    let each = std::thread::scope(|scope| {
        let work = || storing.store_until(&courier, packs, &stopped, &stop);
        let threads: Vec<_> = (0..thread_count).map(|_| scope.spawn(work)).collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.collect::<Vec<_>>()
    });
    each.into_iter().collect()
}

impl Storing<'_> {
    /// Stores packs until there is none, or one failed in any thread.
    fn store_until(
        self,
        courier: &Courier,
        packs: &Receiver<Numbered>,
        stopped: &Receiver<()>,
        stop: &Mutex<Option<Sender<()>>>,
    ) -> Result<(), Error> {
        loop {
            select! {
                recv(stopped) -> _ => return Ok(()),
                recv(packs) -> pack => {
                    let Ok(pack) = pack else { return Ok(()) };
                    if let Err(error) = self.store(courier, pack) {
                        // Whoever waits learns of it when the sender is gone.
                        drop(lock(stop).take());
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Sends a pack without the writer's lock, and records it with it.
    fn store(self, courier: &Courier, (number, pack): Numbered) -> Result<(), Error> {
        let sent = courier.send(&pack, self.observer)?;
        lock(self.writer).record_pack(number, &pack, &sent, self.observer)?;
        let entry = pack.entry();
        self.observer.observe(Event::PackStored { pack: entry.id, stored_len: entry.stored_len });
        let mut pending = self.pending.lock();
        for chunk in &entry.chunks {
            pending.remove(&chunk.id);
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
