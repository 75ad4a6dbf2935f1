//! What is done to a damaged vault by whoever reads it, and what must come of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use idswyft_vault::base::{Coded, Family, SnapshotId};
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops::restore::{self, Existing, Loss, RestoreRequest};
use idswyft_vault::ops::{self, read};
use idswyft_vault::store::Store;

use super::fixture::{Fixture, Shot, auditor, files_of, unlocked};
use super::harm::{Change, Harm, Harmed};
use super::product::Cell;
use super::promise::{self, Promise};
use crate::support::is_long;
use crate::support::vault::TestVault;

/// What one look at a damaged vault got wrong, in words.
pub type Wrong = Result<(), String>;

/// A vault with a harmed store, and what is known of both.
pub struct Bench<'a> {
    pub fixture: &'a Fixture,
    pub vault: &'a TestVault,
    pub store: Arc<dyn Store>,
    pub harmed: &'a Harmed,
    pub cell: Cell,
}

impl Bench<'_> {
    pub fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        let changed = self.harmed.changes.iter().filter(|(_, change)| *change != Change::Added);
        changed.map(|(key, _)| key)
    }

    /// Tells whether a snapshot needs something that is not as it was.
    pub fn touches(&self, shot: &Shot) -> bool {
        self.keys().any(|key| shot.needs.contains(key)) || self.refuses_all()
    }

    /// Returns the snapshots that are looked at: the oldest and the newest; at length, all.
    pub fn shots(&self) -> impl Iterator<Item = (usize, &Shot)> {
        let last = self.fixture.shots.len() - 1;
        let all = self.fixture.shots.iter().enumerate();
        all.filter(move |(index, _)| is_long() || *index == 0 || *index == last)
    }

    /// Tells whether no reader gets by: a vault note is unreadable, or the first one damaged.
    pub fn refuses_all(&self) -> bool {
        let refused = |(key, change): &(ObjectKey, Change)| {
            matches!(promise::of(self.fixture, self.cell.0, key, *change), Promise::Refused(_))
        };
        self.harmed.changes.iter().any(refused)
    }

    /// Checks that an error is of damage and names what was damaged.
    pub fn blames(&self, error: &impl Coded) -> Wrong {
        let text = chain(error);
        let family = error.code().family();
        let is_right = match self.cell.2 {
            Harm::Unreadable => matches!(family, Family::Damaged | Family::Unavailable),
            _ => family == Family::Damaged && error.code().exit() == 1,
        };
        match self.keys().any(|key| is_named(key, &text)) && is_right {
            true => Ok(()),
            false => Err(format!("{} does not blame what was damaged: {text}", error.code())),
        }
    }

    pub fn list(&self) -> Wrong {
        let listed = auditor(self.vault, &self.store).and_then(|auditor| auditor.snapshots());
        let checked = match listed {
            Ok(checked) => checked,
            Err(error) if self.refuses_all() => return self.blames(&error),
            Err(error) => return Err(format!("refused: {error}")),
        };
        let of_note = |key: &ObjectKey| matches!(key, ObjectKey::Note(_));
        let hurt: BTreeSet<&ObjectKey> = self.keys().filter(|key| of_note(key)).collect();
        for shot in &self.fixture.shots {
            let is_there = checked.sound.contains_key(&shot.id);
            if is_there == hurt.contains(&ObjectKey::Note(shot.id)) {
                return Err(format!("snapshot {}: listed is {is_there}", shot.id));
            }
        }
        let told: BTreeSet<ObjectKey> = checked.problems.iter().map(|(key, _)| *key).collect();
        let listable = |(key, change): &&(ObjectKey, Change)| {
            of_note(key) && !matches!(change, Change::Gone | Change::NotAFile)
        };
        let owed: BTreeSet<ObjectKey> =
            self.harmed.changes.iter().filter(listable).map(|(key, _)| *key).collect();
        if told != owed { Err(format!("problems of {told:?}, not of {owed:?}")) } else { Ok(()) }
    }

    pub fn show(&self, shot: &Shot) -> Wrong {
        let mut paths = BTreeSet::new();
        let shown = unlocked(self.vault, &self.store).map_err(ops::Error::from).and_then(|open| {
            open.body(&open.auditor().snapshot(shot.id)?)?;
            read::visit_tree(&open, shot.id, |entry| {
                paths.insert(String::from_utf8(entry.path).unwrap());
                Ok(())
            })
        });
        match shown {
            Ok(()) if shot.uploads.keys().all(|path| paths.contains(path)) => Ok(()),
            Ok(()) => Err(format!("shows {paths:?}")),
            Err(error) if self.touches(shot) => self.blames(&error),
            Err(error) => Err(format!("refused: {error}")),
        }
    }

    pub fn cat(&self, shot: &Shot) -> Wrong {
        let open = match unlocked(self.vault, &self.store) {
            Ok(open) => open,
            Err(error) if self.refuses_all() => return self.blames(&error),
            Err(error) => return Err(format!("refused: {error}")),
        };
        let judge =
            |what: &str, out: Vec<u8>, need: &[u8], done: Result<u64, ops::Error>| match done {
                // It was streamed, so a pack of the same generation shows at the end that it was
                // put in the place of another.
                Err(error) if self.cell.2 == Harm::Swap => self.blames(&error),
                _ if !need.starts_with(&out) => Err(format!("{what}: wrong bytes were written")),
                Ok(_) if out.len() != need.len() => Err(format!("{what}: cut short")),
                Ok(_) => Ok(()),
                Err(error) if self.touches(shot) => self.blames(&error),
                Err(error) => Err(format!("{what}: refused: {error}")),
            };
        let mut out = Vec::new();
        let done = read::cat_database(&open, shot.id, &mut out);
        judge("db.sql", out, &shot.dump, done)?;
        // At length every file; else the newest one, and one under its further name.
        let chosen = |path: &str| is_long() || path == shot.newest || path.contains("again");
        for (path, need) in shot.uploads.iter().filter(|(path, _)| chosen(path)) {
            let mut out = Vec::new();
            let done = read::cat_file(&open, shot.id, path.as_bytes(), &mut out);
            judge(path, out, need, done)?;
        }
        Ok(())
    }

    pub fn restore(&self, shot: &Shot) -> Wrong {
        let target = self.vault.path("target");
        let restored = self.restore_into(shot.id, &target);
        let outcome = self.judge_restored(shot, &target, restored);
        fs::remove_dir_all(&target).or_else(ignore_missing).unwrap();
        outcome
    }

    fn restore_into(&self, snapshot: SnapshotId, target: &Path) -> Result<Vec<Loss>, ops::Error> {
        let open = unlocked(self.vault, &self.store)?;
        let existing = Existing::Refuse;
        let request = RestoreRequest { snapshot, target, only: None, paths: None, existing };
        Ok(restore::restore(&open, &request, self.vault.events.as_ref())?.losses)
    }

    fn judge_restored(
        &self,
        shot: &Shot,
        target: &Path,
        restored: Result<Vec<Loss>, ops::Error>,
    ) -> Wrong {
        let losses = match restored {
            Ok(losses) => losses,
            Err(_) if files_of(target).into_keys().next().is_some() => {
                return Err("refused, and something was put in place".to_owned());
            }
            Err(error) if self.touches(shot) => return self.blames(&error),
            Err(error) => return Err(format!("refused: {error}")),
        };
        let mut owed: Vec<(String, &[u8])> = vec![("db.sql".to_owned(), &shot.dump)];
        owed.extend(shot.uploads.iter().map(|(path, need)| (format!("uploads/{path}"), &need[..])));
        let found = files_of(target);
        for (what, need) in &owed {
            let is_lost = losses.iter().any(|loss| covers(loss, what));
            match found.get(what) {
                Some(bytes) if is_lost || bytes != need => {
                    return Err(format!("{what} is wrong or lost, and in place"));
                }
                None if !is_lost => return Err(format!("{what} is missing, and no loss")),
                _ => {}
            }
        }
        for loss in &losses {
            let is_named = self.keys().any(|key| is_named(key, &loss.detail));
            if !self.touches(shot) || !is_named || loss.code.family() != Family::Damaged {
                return Err(format!("a loss that blames another: {loss:?}"));
            }
        }
        Ok(())
    }
}

/// Tells whether a loss is of a file: on its own, or with all uploads.
fn covers(loss: &Loss, what: &str) -> bool {
    loss.what == what || loss.what == "uploads" && what != "db.sql"
}

/// Tells whether a text names an object: a generation's file also by its generation, the first
/// vault note by what it is, and an object that a test store fails to read as that prints it.
fn is_named(key: &ObjectKey, text: &str) -> bool {
    let otherwise = match key {
        ObjectKey::Generation(id, _) => text.contains(&format!("open generation {id}")),
        ObjectKey::Vault(1) => text.contains("find the vault note"),
        _ => false,
    };
    otherwise || text.contains(&key.to_string()) || text.contains(&format!("{key:?}"))
}

/// Returns an error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn ignore_missing(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
