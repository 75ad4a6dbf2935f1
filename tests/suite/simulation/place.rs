//! One store of a vault, as whoever meets it sees it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use idswyft_vault::store::{StorageClass, Store};

use super::world::World;
use crate::support::bucket::{Bucket, Rights};
use crate::support::names_in;
use crate::support::vault::{FixedClock, local};

/// One store of a vault.
pub struct Place {
    /// Its name.
    pub name: &'static str,
    /// Its directory; of a bucket, where it is written to for whoever reads directories.
    pub dir: PathBuf,
    /// The bucket, if it is one.
    pub bucket: Option<Bucket>,
    /// What the host may do there.
    pub rights: Rights,
    /// Whether it answers.
    pub is_up: bool,
    /// Whether something that was committed may not be in it.
    pub lags: bool,
    /// Whether every write to it went well, so that nothing in it is left over.
    pub is_clean: bool,
    /// What somebody else put something over, hid or planted.
    pub touched: BTreeSet<String>,
}

impl Place {
    /// Makes a directory.
    pub fn directory_in(name: &'static str, dir: PathBuf) -> Self {
        let (is_up, lags, is_clean) = (true, false, true);
        let (bucket, rights, touched) = (None, Rights::ALL, BTreeSet::new());
        Self { name, dir, bucket, rights, is_up, lags, is_clean, touched }
    }

    /// Makes a bucket, in which the host has these rights.
    pub fn bucket_in(
        name: &'static str,
        dir: PathBuf,
        rights: Rights,
        (clock, class): (&Arc<FixedClock>, StorageClass),
    ) -> Self {
        let bucket = Some(Bucket::new(name, clock.clone(), class));
        Self { bucket, rights, ..Self::directory_in(name, dir) }
    }

    /// Makes it a mirror: what init leaves undone in one, the next run does.
    pub fn mirror(self) -> Self {
        Self { lags: true, is_clean: false, ..self }
    }

    /// Returns the store as its owner sees it.
    pub fn store(&self) -> Arc<dyn Store> {
        match &self.bucket {
            Some(bucket) => Arc::new(bucket.clone()),
            None => local(&self.dir, self.name),
        }
    }

    /// Returns the store as the host sees it.
    pub fn host_store(&self) -> Arc<dyn Store> {
        match &self.bucket {
            Some(bucket) => Arc::new(bucket.seen_by(self.rights)),
            None => local(&self.dir, self.name),
        }
    }

    /// Returns the store as its owner would see it with everything in it thawed.
    pub fn thawed_store(&self) -> Arc<dyn Store> {
        match &self.bucket {
            Some(bucket) => Arc::new(bucket.thawed_whole()),
            None => self.store(),
        }
    }

    /// Returns the store as it would be if nobody else had touched it, everything thawed.
    pub fn written_store(&self) -> Arc<dyn Store> {
        match &self.bucket {
            Some(bucket) => Arc::new(bucket.as_written()),
            None => self.store(),
        }
    }

    /// Tells whether its packs are archived.
    pub fn is_cold(&self) -> bool {
        self.bucket.as_ref().is_some_and(|bucket| bucket.pack_class().is_archive())
    }

    /// Returns a directory with the objects of the store.
    pub fn directory(&self) -> &Path {
        if self.bucket.is_some() {
            drop(fs::remove_dir_all(&self.dir));
            fs::create_dir_all(&self.dir).unwrap();
            let store = self.written_store();
            for name in names_in(store.as_ref()) {
                let path = self.dir.join(&name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, store.get(&name.parse().unwrap(), u64::MAX).unwrap()).unwrap();
            }
        }
        &self.dir
    }
}

impl World {
    /// Returns every store of which something is true, as vault and place.
    pub fn places_where(&self, is_meant: impl Fn(&Place) -> bool) -> Vec<(usize, usize)> {
        let of_vault = |(vault, places): (usize, &Vec<Place>)| {
            let at = places.iter().enumerate().filter(|(_, place)| is_meant(place));
            at.map(|(place, _)| (vault, place)).collect::<Vec<_>>()
        };
        let places = self.vaults.iter().map(|vault| &vault.places).enumerate();
        places.flat_map(of_vault).collect()
    }
}
