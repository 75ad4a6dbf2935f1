//! People who were erased after the snapshot was taken. Spec: `apply.md` §3.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::journal::DatabaseNames;
use super::uploads::VolumeSwap;
use super::{Application, ApplyError, Erased};
use crate::base::{Code, Coded, Event, SnapshotId, with_causes};
use crate::ops::Error;
use crate::ops::erase::{UserId, erase_sql, paths_sql, tree_paths};
use crate::ops::rows::{self, ErasedPerson};
use crate::source::docker::psql::{Psql, literal};
use crate::vault::Unlocked;

/// Ids that one statement asks for.
const IDS_AT_ONCE: usize = 500;
/// People who are told one by one; the count tells of the others.
const TOLD_COUNT_MAX: usize = 100;

const IS_THERE: &str = "SELECT to_regclass('verification_requests') IS NOT NULL;";
const ERASED: &str = "SELECT id FROM verification_requests \
                      WHERE manual_review_reason = '[GDPR deleted]' AND user_id IS NULL;";

impl Application<'_> {
    /// Finds who was erased since, by the newest snapshot and by what the stack serves now; tells
    /// of them or erases them again in what is staged.
    pub(super) fn find_erased(
        &self,
        unlocked: &Unlocked,
        (snapshot, erased): (SnapshotId, Erased),
        (psql, names): (&Psql<'_>, &DatabaseNames),
        dump: &Path,
        uploads: Option<&VolumeSwap<'_>>,
    ) -> Result<Vec<ErasedPerson>, Error> {
        let older = File::open(dump).map_err(|cause| Error::file("read", dump, cause))?;
        let scratch = self.dir.path();
        let newest = rows::erased_in_newest(unlocked, snapshot, rows::all_of(older), scratch);
        let newest = match (newest, erased) {
            (Ok(newest), _) => newest,
            // A newer snapshot that is damaged keeps nobody from this one (I8).
            (Err(error), Erased::Tell) => {
                self.warn_unknown(&error);
                None
            }
            (Err(error), Erased::Again) => return Err(error),
        };
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for person in newest.into_iter().flat_map(|(_, people)| people) {
            found.entry(person.user_id).or_default().extend(person.verification_ids);
        }
        let now = match (erased_now(psql, names), erased) {
            (Ok(now), _) => now,
            // A database that is damaged is what this is run for.
            (Err(error), Erased::Tell) => {
                self.warn_unknown(&error);
                Vec::new()
            }
            (Err(error), Erased::Again) => return Err(error),
        };
        for (verification, user) in now {
            found.entry(user).or_default().insert(verification);
        }
        let people: Vec<ErasedPerson> = found
            .into_iter()
            .map(|(user_id, ids)| ErasedPerson {
                user_id,
                verification_ids: ids.into_iter().collect(),
            })
            .collect();
        match erased {
            Erased::Tell => self.tell(&people),
            Erased::Again => erase_again(&people, psql, names, uploads)?,
        }
        Ok(people)
    }

    fn warn_unknown(&self, error: &Error) {
        let detail = format!("who was erased since is not wholly known: {}", with_causes(error));
        self.observer.observe(Event::Warning { code: error.code(), detail });
    }

    fn tell(&self, people: &[ErasedPerson]) {
        let warn = |detail| {
            self.observer.observe(Event::Warning { code: Code::ErasedSince, detail });
        };
        for ErasedPerson { user_id, verification_ids } in people.iter().take(TOLD_COUNT_MAX) {
            let verifications = verification_ids.join(", ");
            warn(format!(
                "user {user_id} (verifications {verifications}) was erased after the snapshot was \
                 taken, and is served again"
            ));
        }
        if let Some(count @ 1..) = people.len().checked_sub(TOLD_COUNT_MAX) {
            warn(format!("and {count} more users"));
        }
    }
}

/// Returns the verifications that are erased where the stack serves, and not in what is staged,
/// each with its user.
fn erased_now(psql: &Psql<'_>, names: &DatabaseNames) -> Result<Vec<(String, String)>, Error> {
    let has = |database: &str| -> Result<bool, Error> {
        let there = psql.run(database, IS_THERE)?.into_iter().flatten().next();
        Ok(there.as_deref() == Some("t"))
    };
    let serves = "SELECT datname FROM pg_database;";
    let serves = psql.run(names.elsewhere(), serves)?.into_iter().flatten();
    if !serves.into_iter().any(|name| name == names.name)
        || !has(&names.name)?
        || !has(&names.staged)?
    {
        return Ok(Vec::new());
    }
    let ids: Vec<String> = psql.run(&names.name, ERASED)?.into_iter().flatten().collect();
    let mut found = Vec::new();
    for some in ids.chunks(IDS_AT_ONCE) {
        let list: Vec<String> = some.iter().map(|id| literal(id)).collect();
        let sql = format!(
            "SELECT id, user_id FROM verification_requests \
             WHERE user_id IS NOT NULL AND id IN ({});",
            list.join(", ")
        );
        for row in psql.run(&names.staged, &sql)? {
            if let [verification, user] = &row[..] {
                found.push((verification.clone(), user.clone()));
            }
        }
    }
    Ok(found)
}

/// Removes a file below a directory; no symbolic link on the way is followed.
fn remove_below(root: &Path, path: &Path) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(root, flags | OFlags::NOFOLLOW, Mode::empty())?;
    let above = match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let above = rustix::fs::openat2(&root, above, flags, Mode::empty(), within)?;
    rustix::fs::unlinkat(&above, path.file_name().ok_or(Errno::NOENT)?, AtFlags::empty())
}

fn erase_again(
    people: &[ErasedPerson],
    psql: &Psql<'_>,
    names: &DatabaseNames,
    uploads: Option<&VolumeSwap<'_>>,
) -> Result<(), Error> {
    if people.is_empty() {
        return Ok(());
    }
    let unusable = |error: crate::ops::erase::IdError| ApplyError::Id { reason: error.to_string() };
    let users = UserId::of(people).map_err(unusable)?;
    let printed = psql.run(&names.staged, &paths_sql(&users))?;
    let printed: Vec<String> = printed.into_iter().flatten().collect();
    // Files first: as long as the rows are there, the same call finds them again.
    for path in tree_paths(&printed.join("\n")) {
        let Some(uploads) = uploads else { break };
        let root = uploads.restored();
        match remove_below(&root, Path::new(OsStr::from_bytes(&path))) {
            Err(Errno::NOENT) | Ok(()) => {}
            Err(errno) => {
                let place = root.join(OsStr::from_bytes(&path));
                return Err(Error::file("erase", place, errno.into()));
            }
        }
    }
    psql.run(&names.staged, &erase_sql(&users))?;
    Ok(())
}
