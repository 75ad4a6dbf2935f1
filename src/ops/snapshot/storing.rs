//! The lane's end: a pack becomes durable, then the manifest finds its chunks.

use std::sync::Mutex;

use crossbeam_channel::Receiver;

use super::lane::Pending;
use crate::base::{Event, Observer};
use crate::manifest::PackNumber;
use crate::ops::Error;
use crate::vault::Writer;
use crate::vault::pack_writer::FinishedPack;

/// Stores packs until the packer is done.
///
/// A pack that was stored stays stored and known, whatever fails later: the next run reuses it.
pub fn run(
    packs: &Receiver<(PackNumber, FinishedPack)>,
    pending: &Pending,
    writer: &Mutex<Writer>,
    observer: &dyn Observer,
) -> Result<(), Error> {
    for (number, pack) in packs {
        let mut writer = writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        writer.store_pack(number, &pack, observer)?;
        drop(writer);
        let entry = pack.entry();
        observer.observe(Event::PackStored { pack: entry.id, stored_len: entry.stored_len });
        let mut pending = pending.lock();
        for chunk in &entry.chunks {
            pending.remove(&chunk.id);
        }
    }
    Ok(())
}
