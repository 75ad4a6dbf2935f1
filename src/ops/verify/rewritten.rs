//! What somebody put over an object, or hid: a finding also where a sound version is left. Spec:
//! §12.1.

use super::{Collector, Scope, held};
use crate::base::limits::VERSIONS_READ_MAX;
use crate::base::{Code, Digest};
use crate::format::ObjectKey;
use crate::ops::Error;
use crate::store::Stat;
use crate::vault::versions::Rewritten;
use crate::vault::{self, Auditor};

/// A version of an object that is as it must be.
pub struct Sound {
    /// What the store says of it.
    pub stat: Stat,
    /// What was done to the object.
    pub rewritten: Rewritten,
}

/// Finds the oldest version of an object whose stat is as it must be.
pub fn find_sound(
    auditor: &Auditor,
    key: ObjectKey,
    is_sound: impl Fn(&Stat) -> bool,
) -> Result<Option<Sound>, vault::Error> {
    let views = auditor.versions().views(key)?;
    for view in &views {
        if let Some(stat) = view.stat(&key)?.filter(|stat| is_sound(stat)) {
            let known = auditor.versions().rewritten_of(key);
            let one = Rewritten { version_count: views.len() as u64, is_hidden: false };
            return Ok(Some(Sound { stat, rewritten: known.unwrap_or(one) }));
        }
    }
    Ok(None)
}

/// Reports what listing a folder showed, if that is more than one version of an object.
pub fn report_any(
    auditor: &Auditor,
    key: ObjectKey,
    version_count: u64,
    is_hidden: bool,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    match is_hidden || version_count > 1 {
        true => report(auditor, key, Rewritten { version_count, is_hidden }, collector),
        false => Ok(()),
    }
}

/// Reports what was done to an object. The same bytes put twice are nothing that was done to it: a
/// store that ignores the condition of a put makes such a version of a put that is repeated.
pub fn report(
    auditor: &Auditor,
    key: ObjectKey,
    rewritten: Rewritten,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    let Rewritten { version_count, is_hidden } = rewritten;
    if is_hidden {
        let detail = format!(
            "a delete marker hides it; {version_count} of its versions are there, and the oldest \
             that verifies counts"
        );
        collector.add(Code::ObjectHidden, key, detail);
    } else if !are_alike(auditor, key)? {
        let detail = format!(
            "{version_count} versions of it are there; the oldest that verifies counts, whatever \
             was put over it"
        );
        collector.add(Code::ObjectOverwritten, key, detail);
    }
    Ok(())
}

/// Tells whether a store attests that all versions of an object have the same bytes.
fn are_alike(auditor: &Auditor, key: ObjectKey) -> Result<bool, vault::Error> {
    let views = auditor.versions().views(key)?;
    let mut first: Option<Digest> = None;
    for view in &views {
        let checksum = view.stat(&key)?.and_then(|stat| stat.checksum);
        match (checksum, first) {
            (Some(checksum), None) => first = Some(checksum),
            (Some(checksum), Some(first)) if checksum == first => {}
            _ => return Ok(false),
        }
    }
    Ok(views.len() < VERSIONS_READ_MAX)
}

/// Reports everything of the vault's own records that was met: notes, ledgers, generation files.
pub fn report_met(
    auditor: &Auditor,
    scope: &Scope,
    collector: &Collector<'_>,
) -> Result<(), Error> {
    for (key, rewritten) in auditor.versions().rewritten() {
        if scope.names(&key) {
            report(auditor, key, rewritten, collector)?;
        }
        let is_needed = scope.needed.contains(&key).map_err(vault::Error::from)?;
        if is_needed || scope.names(&key) {
            held(&collector.counts).rewritten_count += 1;
        }
    }
    if auditor.versions().is_denied() {
        let gap = "whether objects were overwritten or hidden: these credentials may not list \
                   versions";
        collector.leave_out(gap.to_owned());
    }
    Ok(())
}
