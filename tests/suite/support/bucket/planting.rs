//! What happens to a bucket behind the back of whoever uses it, and what it would hold without.

use std::sync::Arc;

use idswyft_vault::store::{Lock, StorageClass};

use super::{Bucket, Contents, Inner, Version};

impl Bucket {
    /// Puts a version over whatever is there: what a hostile host does where nothing forbids it.
    pub fn plant(&self, name: &str, bytes: &[u8]) {
        self.add_planted(name, Some(bytes.into()));
    }

    /// Puts an archived version over whatever is there.
    pub fn plant_cold(&self, name: &str, bytes: &[u8]) {
        self.plant(name, bytes);
        let mut contents = self.lock();
        let versions = contents.names.get_mut(name).into_iter().flatten();
        versions.last().expect("it was added").class = StorageClass::DeepArchive;
    }

    /// Lets all that there is of a name be these bytes, as a disk that fails does.
    pub fn damage(&self, name: &str, bytes: &[u8]) {
        let mut contents = self.lock();
        contents.names.remove(name);
        self.add_version(&mut contents, name, Some(bytes.into()), None);
    }

    /// Lets all that there is of a name be these bytes, with class, time and lock of another name.
    pub fn put_like(&self, name: &str, like: &str, bytes: &[u8]) {
        let mut contents = self.lock();
        let like = contents.names.get(like).and_then(|versions| versions.last());
        let version = Version { bytes: Some(bytes.into()), ..like.expect("it is there").clone() };
        contents.names.insert(name.to_owned(), vec![version]);
    }

    /// Puts a delete marker over a name.
    pub fn hide(&self, name: &str) {
        self.add_planted(name, None);
    }

    fn add_planted(&self, name: &str, bytes: Option<Arc<[u8]>>) {
        let mut contents = self.lock();
        self.add_version(&mut contents, name, bytes, None);
        let versions = contents.names.get_mut(name).into_iter().flatten();
        versions.last().expect("it was added").is_planted = true;
    }

    /// Removes every version of a name, as whoever may do that.
    pub fn erase(&self, name: &str) {
        self.lock().names.remove(name);
    }

    /// Takes the locks off every version of a name, as no server does.
    pub fn unlock(&self, name: &str) {
        for version in self.lock().names.get_mut(name).into_iter().flatten() {
            version.lock = None;
        }
    }

    /// Gives every version of a name another lock, as no server does that locks.
    pub fn relock(&self, name: &str, lock: Lock) {
        for version in self.lock().names.get_mut(name).into_iter().flatten() {
            version.lock = Some(lock);
        }
    }

    /// Moves every version of a name to another class, as a rule of the bucket does.
    pub fn move_to(&self, name: &str, class: StorageClass) {
        for version in self.lock().names.get_mut(name).into_iter().flatten() {
            version.class = class;
        }
    }

    /// Returns a bucket apart that holds the same, and nothing of it archived.
    pub fn thawed_whole(&self) -> Self {
        self.apart(|_| true)
    }

    /// Returns a bucket apart that holds what the vault's own programs put, and nothing of it
    /// archived.
    pub fn as_written(&self) -> Self {
        self.apart(|version| !version.is_planted)
    }

    /// Returns a bucket apart that holds the same, with classes, versions and locks.
    pub fn copied(&self) -> Self {
        let contents = self.lock().clone();
        self.holding(contents, self.inner.pack_class)
    }

    fn apart(&self, is_meant: impl Fn(&Version) -> bool) -> Self {
        let mut contents = self.lock().clone();
        for versions in contents.names.values_mut() {
            versions.retain(&is_meant);
            versions.iter_mut().for_each(|version| version.class = StorageClass::Standard);
        }
        contents.names.retain(|_, versions| !versions.is_empty());
        self.holding(contents, StorageClass::Standard)
    }

    /// Returns a bucket like this one with other contents.
    fn holding(&self, mut contents: Contents, pack_class: StorageClass) -> Self {
        contents.calls.clear();
        let Inner { name, clock, lock_mode, .. } = self.inner.as_ref();
        let (name, clock, lock_mode) = (name.clone(), Arc::clone(clock), *lock_mode);
        let contents = contents.into();
        let inner = Arc::new(Inner { name, clock, contents, pack_class, lock_mode });
        Self { inner, ..self.clone() }
    }
}
