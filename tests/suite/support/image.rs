//! What is on a disk, kept in memory, so that it can be put back as often as is needed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::WalkDir;

/// The bytes of a file, which many images share.
pub type Bytes = Arc<[u8]>;

/// A few directories with all that is in them.
#[derive(Debug, Clone, Default)]
pub struct Image {
    places: Vec<PathBuf>,
    // Directories have no bytes.
    entries: BTreeMap<PathBuf, (u32, Option<Bytes>)>,
    marked_len: usize,
}

impl Image {
    /// Takes what is there; a file that vanishes meanwhile is left out.
    pub fn take(places: &[PathBuf]) -> Self {
        let mut image = Self { places: places.to_vec(), ..Self::default() };
        for entry in places.iter().flat_map(WalkDir::new).filter_map(Result::ok) {
            let Ok(metadata) = entry.metadata() else { continue };
            let mode = metadata.permissions().mode();
            let bytes = match metadata.is_dir() {
                true => None,
                false => match fs::read(entry.path()) {
                    Ok(bytes) => Some(bytes.into()),
                    Err(_) => continue,
                },
            };
            image.entries.insert(entry.into_path(), (mode, bytes));
        }
        image
    }

    /// Makes an image of what a file system kept.
    pub fn of(places: &[PathBuf], entries: BTreeMap<PathBuf, (u32, Option<Bytes>)>) -> Self {
        Self { places: places.to_vec(), entries, marked_len: 0 }
    }

    /// Puts everything back as it was, and removes what was not there.
    pub fn put_back(&self) {
        for place in &self.places {
            match fs::remove_dir_all(place) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
                _ => {}
            }
        }
        for (path, (mode, bytes)) in &self.entries {
            match bytes {
                None => fs::create_dir_all(path).unwrap(),
                Some(bytes) => fs::write(path, bytes).unwrap(),
            }
            fs::set_permissions(path, PermissionsExt::from_mode(*mode)).unwrap();
        }
    }

    /// Cuts a file in half.
    pub fn halve(&mut self, path: &Path) {
        let bytes = self.bytes(path);
        *bytes = bytes[..bytes.len() / 2].into();
    }

    /// Notes how long a file is that may be missing.
    pub fn mark(&mut self, path: &Path) {
        let entry = self.entries.get(path).and_then(|(_, bytes)| bytes.as_ref());
        self.marked_len = entry.map_or(0, |bytes| bytes.len());
    }

    /// Returns the length that was noted.
    pub fn marked_len(&self) -> usize {
        self.marked_len
    }

    /// Cuts off half of what a file has beyond a length.
    pub fn tear(&mut self, path: &Path, len: usize) {
        let bytes = self.bytes(path);
        assert!(bytes.len() > len, "{} did not grow", path.display());
        *bytes = bytes[..len.midpoint(bytes.len())].into();
    }

    fn bytes(&mut self, path: &Path) -> &mut Bytes {
        self.entries.get_mut(path).unwrap().1.as_mut().unwrap()
    }
}
