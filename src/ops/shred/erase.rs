//! Erasing in one store, and looking at it again. Spec: `generations.md` §1.2.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::StoreShredded;
use crate::base::{Code, Event, GenerationId, Observer, SnapshotId, with_causes};
use crate::format::{Folder, ObjectKey};
use crate::store::{self, Listed, Sight, Store};

/// What a folder holds: objects, and names that are not ours.
type Names = (BTreeSet<ObjectKey>, Vec<String>);

/// A store of which something is erased. No failure ends it: each is told, and the rest goes on.
pub struct Erased<'a> {
    store: &'a Arc<dyn Store>,
    observer: &'a dyn Observer,
}

impl<'a> Erased<'a> {
    /// Begins with a store.
    pub fn begin(store: &'a Arc<dyn Store>, observer: &'a dyn Observer) -> Self {
        Self { store, observer }
    }

    /// Erases key files, then segments, then looks at both again.
    pub fn everything_of(
        &self,
        generation: GenerationId,
        revs: &BTreeSet<u32>,
        segments: &BTreeSet<SnapshotId>,
    ) -> StoreShredded {
        let mut revs = revs.clone();
        let mut erased_count = 0;
        for rev in &revs {
            erased_count += self.erase(ObjectKey::Generation(generation, *rev));
        }
        let here = self.listed(Folder::Segments);
        let wanted: Vec<&SnapshotId> = match &here {
            Some((here, _)) => {
                segments.iter().filter(|id| here.contains(&ObjectKey::Segment(**id))).collect()
            }
            None => segments.iter().collect(),
        };
        let mut segment_count = 0;
        for id in &wanted {
            segment_count += u64::from(self.erase_segment(ObjectKey::Segment(**id)));
        }
        // What was put meanwhile counts as well.
        let found = self.listed(Folder::Generations);
        let named = found.iter().flat_map(|(keys, _)| keys).filter_map(|key| match key {
            ObjectKey::Generation(id, rev) if *id == generation => Some(*rev),
            _ => None,
        });
        revs.extend(named);
        let keys = revs.iter().map(|rev| ObjectKey::Generation(generation, *rev));
        let (mut left, mut sight) = (Vec::new(), found.is_some().then_some(Sight::Whole));
        for key in keys {
            match self.store.remains(&key) {
                Ok(remains) => {
                    sight = sight.map(|sight| sight.min(remains.sight));
                    if !remains.is_nothing() {
                        left.push(key);
                    }
                }
                Err(error) => {
                    self.warn(&key, &error);
                    left.push(key);
                }
            }
        }
        StoreShredded {
            store: self.store.name().to_owned(),
            sight,
            erased_count,
            left,
            foreign: self.foreign_below(generation, found.as_ref()),
            segment_count,
            segments_left: (wanted.len() as u64).saturating_sub(segment_count),
        }
    }

    fn erase(&self, key: ObjectKey) -> u64 {
        match self.store.erase(&key) {
            Ok(count) => count,
            Err(error) => {
                self.warn(&key, &error);
                0
            }
        }
    }

    /// Erases a segment; that a lock keeps it is no failure, for nothing opens it any more.
    fn erase_segment(&self, key: ObjectKey) -> bool {
        match self.store.erase(&key) {
            Ok(_) => true,
            Err(store::Error::Denied { .. }) => false,
            Err(error) => {
                self.warn(&key, &error);
                false
            }
        }
    }

    /// Returns names that are not ours where the generation's key files were: anybody's copies.
    fn foreign_below(&self, generation: GenerationId, found: Option<&Names>) -> Vec<String> {
        let folder = format!("{}/{generation}/", Folder::Generations.name());
        let foreign = found.into_iter().flat_map(|(_, foreign)| foreign);
        // A directory that is empty now is no copy.
        foreign.filter(|name| name.starts_with(&folder) && **name != folder).cloned().collect()
    }

    /// Lists a folder anew; nothing, if the store does not answer.
    fn listed(&self, folder: Folder) -> Option<Names> {
        let keys = || -> Result<Names, store::Error> {
            let (mut keys, mut foreign) = Names::default();
            let mut add = |listed| match listed {
                Listed::Object(key, _) => drop(keys.insert(key)),
                Listed::Foreign(name) => foreign.push(name),
            };
            match self.store.list_versions(folder) {
                Ok(Some(listing)) => {
                    for versioned in listing {
                        add(versioned?.listed);
                    }
                }
                Ok(None) | Err(store::Error::Denied { .. }) => {
                    for listed in self.store.list(folder)? {
                        add(listed?);
                    }
                }
                Err(error) => return Err(error),
            }
            Ok((keys, foreign))
        };
        keys()
            .map_err(|error| {
                let detail =
                    format!("{}/ cannot be listed: {}", folder.name(), with_causes(&error));
                self.observer.observe(Event::Warning { code: Code::ShredWaiting, detail });
            })
            .ok()
    }

    fn warn(&self, key: &ObjectKey, error: &store::Error) {
        let detail = format!("the next run erases {key}: {}", with_causes(error));
        self.observer.observe(Event::Warning { code: Code::ShredWaiting, detail });
    }
}
