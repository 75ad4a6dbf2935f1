//! Restoring the dump.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Mutex;

use super::scatter::{self, Job, Scatter};
use super::{Damage, Loss, Opened, RestoreReport};
use crate::base::limits::WINDOW_LEN;
use crate::base::{Digest, Event, Observer, Profile};
use crate::format::body::{DatabaseStream, Stream};
use crate::ops::Error;
use crate::vault;

const NAME: &str = "db.sql";

struct DumpFile<'a> {
    file: File,
    path: &'a Path,
    loss: Mutex<Option<Loss>>,
    observer: &'a dyn Observer,
}

impl Scatter for DumpFile<'_> {
    fn write(&self, _file: u32, at: u64, bytes: &[u8]) -> Result<(), Error> {
        let written = self.file.write_all_at(bytes, at);
        written.map_err(|cause| Error::file("write", self.path, cause))?;
        self.observer.observe(Event::Advanced { len: bytes.len() as u64 });
        Ok(())
    }

    fn lose(&self, _file: u32, damage: &Damage) {
        let mut loss = self.loss.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        loss.get_or_insert_with(|| Loss::of(NAME, damage));
    }
}

/// Writes the dump and checks it against its digest; a damaged one is left out.
pub fn restore(
    opened: &Opened<'_>,
    database: &DatabaseStream,
    staging: &Path,
    report: &mut RestoreReport,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let path = staging.join(NAME);
    let wrap = |cause| Error::file("write", &path, cause);
    let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path);
    let file = file.map_err(wrap)?;
    file.set_len(database.stream.len).map_err(wrap)?;
    let dump = DumpFile { file, path: &path, loss: Mutex::new(None), observer };
    let jobs = jobs_of(&database.stream);
    let Opened { unlocked, body, .. } = opened;
    scatter::run(opened, Profile::Stream, &body.packs, jobs, &dump)?;
    let mut loss = dump.loss.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    if loss.is_none()
        && let Some(error) = check(&dump.file, &database.stream).map_err(wrap)?
    {
        let pieces = database.stream.recipe.pieces().iter();
        let packs = pieces.map(|piece| body.packs[piece.pack as usize]);
        let error = unlocked.blame(error, Profile::Stream, packs);
        loss = Some(Loss::of(NAME, &Damage::of(unlocked, error)?));
    }
    match loss {
        Some(loss) => {
            std::fs::remove_file(&path).map_err(wrap)?;
            report.losses.push(loss);
        }
        None => {
            dump.file.sync_all().map_err(wrap)?;
            report.database_len = database.stream.len;
        }
    }
    Ok(())
}

fn jobs_of(stream: &Stream) -> Vec<Job> {
    let mut at = 0;
    let job = |piece: &crate::format::recipe::Piece| {
        at += piece.len;
        Job { pack: piece.pack, offset: piece.offset, len: piece.len, file: 0, at: at - piece.len }
    };
    stream.recipe.pieces().iter().map(job).collect()
}

fn check(file: &File, stream: &Stream) -> std::io::Result<Option<vault::Error>> {
    let mut hasher = blake3::Hasher::new();
    let mut window = Vec::with_capacity(WINDOW_LEN);
    loop {
        window.clear();
        if file.take(WINDOW_LEN as u64).read_to_end(&mut window)? == 0 {
            break;
        }
        hasher.update_rayon(&window);
    }
    let found = Digest::from_bytes(*hasher.finalize().as_bytes());
    let differs = || vault::Error::Contents {
        what: NAME.to_owned(),
        found: Box::new(found),
        expected: Box::new(stream.b3),
    };
    Ok((found != stream.b3).then(differs))
}
