//! What a host must not have any more of a shredded generation. Spec: `generations.md` §1.1.

use super::ShredError;
use crate::base::GenerationId;
use crate::format::ObjectKey;
use crate::manifest::ManifestView;
use crate::ops::Error;
use crate::vault;
use crate::vault::state::{GenerationSlot, StateDir};

/// Refuses a generation of which the state on this machine has a secret, or a file to deliver.
///
/// # Errors
/// What it has, or that it cannot be read.
pub fn check_host(state: &StateDir, generation: GenerationId) -> Result<(), Error> {
    for slot in [GenerationSlot::Open, GenerationSlot::Next] {
        if state.has_generation(slot)? && state.generation(slot)?.id == generation {
            let (path, what) = (state.path().to_owned(), "has its secrets: it is the open one");
            return Err(ShredError::HostHolds { generation, path, what }.into());
        }
    }
    let path = state.file("manifest.sqlite");
    let manifest = ManifestView::open(&path).map_err(vault::Error::from)?;
    let waiting = manifest.waiting_keys().map_err(vault::Error::from)?;
    let is_of = |key: &ObjectKey| matches!(key, ObjectKey::Generation(id, _) if *id == generation);
    if waiting.iter().any(is_of) {
        let what = "has a file of it that waits for a store";
        return Err(ShredError::HostHolds { generation, path, what }.into());
    }
    Ok(())
}
