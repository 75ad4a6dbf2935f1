//! A process that dies at its n-th step, where store calls and steps of its own state count alike.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use idswyft_vault::base::{Gate, Step};
use idswyft_vault::store::Store;

use super::image::Image;
use super::{FaultyStore, Mode};

/// When and how a process dies, and what it left on its disks at that moment.
#[derive(Debug)]
pub struct Crash {
    at: u64,
    mode: Mode,
    step_count: AtomicU64,
    call_count: AtomicU64,
    commit_count: AtomicU64,
    dead: AtomicBool,
    // Whether the step under way is done and is to be reported as failed.
    struck: AtomicBool,
    places: Vec<PathBuf>,
    image: Mutex<Option<Image>>,
}

impl Crash {
    /// Dies at the step with this index, from 0; `places` are its disks.
    pub fn new(at: u64, mode: Mode, places: Vec<PathBuf>) -> Arc<Self> {
        Arc::new(Self {
            at,
            mode,
            step_count: AtomicU64::new(0),
            call_count: AtomicU64::new(0),
            commit_count: AtomicU64::new(0),
            dead: AtomicBool::new(false),
            struck: AtomicBool::new(false),
            places,
            image: Mutex::default(),
        })
    }

    /// Wraps a store of the process.
    pub fn store(self: &Arc<Self>, inner: Arc<dyn Store>) -> Arc<dyn Store> {
        let (dead, strikes) = (Arc::clone(self), Arc::clone(self));
        Arc::new(
            FaultyStore::new(inner).fail_calls(Mode::NotDone, move |_| dead.is_dead()).fail_calls(
                self.mode,
                move |_| {
                    strikes.call_count.fetch_add(1, Ordering::SeqCst);
                    strikes.strikes()
                },
            ),
        )
    }

    /// Tells whether the process died.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Returns how many calls of stores there were, up to the death.
    pub fn call_count(&self) -> u64 {
        self.call_count.load(Ordering::SeqCst)
    }

    /// Returns how many transactions of the manifest there were, up to the death.
    pub fn commit_count(&self) -> u64 {
        self.commit_count.load(Ordering::SeqCst)
    }

    /// Returns how many steps of files and directories of the host's own there were.
    pub fn file_step_count(&self) -> u64 {
        let all = self.step_count.load(Ordering::SeqCst);
        all - self.call_count() - self.commit_count()
    }

    /// Returns what the disks held when a step of the host's own died; a call of a store that
    /// failed leaves what the process itself left, once it had seen the failure.
    pub fn image(&self) -> Option<Image> {
        self.image.lock().unwrap().take()
    }

    /// Counts a step, and tells whether it is the one.
    fn strikes(&self) -> bool {
        let strikes = self.step_count.fetch_add(1, Ordering::SeqCst) == self.at;
        if strikes {
            self.dead.store(true, Ordering::SeqCst);
        }
        strikes
    }

    fn keep_image(&self) {
        *self.image.lock().unwrap() = Some(Image::take(&self.places));
    }
}

fn failed() -> io::Error {
    io::Error::other("injected fault")
}

impl Gate for Crash {
    fn before(&self, step: Step<'_>) -> io::Result<()> {
        if self.is_dead() {
            return Err(failed());
        }
        if matches!(step, Step::Commit(_)) {
            self.commit_count.fetch_add(1, Ordering::SeqCst);
        }
        if !self.strikes() {
            return Ok(());
        }
        match (self.mode, step) {
            // Half a file is what a crash before its sync leaves.
            (Mode::Torn, Step::SyncFile(path)) => {
                self.keep_image();
                self.image.lock().unwrap().as_mut().unwrap().halve(path);
                Err(failed())
            }
            (Mode::DoneButReported, _) | (Mode::Torn, Step::Commit(_)) => {
                if let Step::Commit(path) = step {
                    // From here on the log only grows by what is about to be torn.
                    self.keep_image();
                    self.image.lock().unwrap().as_mut().unwrap().mark(&wal(path));
                }
                self.struck.store(true, Ordering::SeqCst);
                Ok(())
            }
            _ => Err(failed()),
        }
    }

    fn after(&self, step: Step<'_>) -> io::Result<()> {
        if !self.struck.swap(false, Ordering::SeqCst) {
            return if self.is_dead() { Err(failed()) } else { Ok(()) };
        }
        let marked = self.image();
        self.keep_image();
        if let (Mode::Torn, Step::Commit(path)) = (self.mode, step) {
            let (marked, mut kept) = (marked.unwrap(), self.image.lock().unwrap());
            kept.as_mut().unwrap().tear(&wal(path), marked.marked_len());
        }
        Err(failed())
    }
}

fn wal(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Returns a directory in memory where there is one: what is tested is order, not the disk.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    match fs::metadata(memory).is_ok_and(|metadata| metadata.is_dir()) {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}
