//! What `verify` must say of a damaged vault: no less than promised, and nothing of anything else.

use idswyft_vault::base::Code;
use idswyft_vault::format::ObjectKey;
use idswyft_vault::ops;
use idswyft_vault::ops::verify::{self, Finding, Level, VerifyReport};

use super::bench::{Bench, Wrong};
use super::fixture::{Shot, auditor, unlocked};
use super::harm::Change;
use super::kinds::Kind;
use super::promise::{self, Promise};

impl Bench<'_> {
    pub fn verify(&self, level: Level, with_key: bool) -> Wrong {
        let events = self.vault.events.as_ref();
        let report = if with_key {
            unlocked(self.vault, &self.store)
                .map_err(ops::Error::from)
                .and_then(|open| verify::verify(open.auditor(), Some(&open), level, None, events))
        } else {
            let opened = auditor(self.vault, &self.store).map_err(ops::Error::from);
            opened.and_then(|auditor| verify::verify(&auditor, None, level, None, events))
        };
        let reached = if with_key { level } else { level.min(Level::Bytes) };
        if self.refuses_all() {
            return match report {
                Err(error) => self.blames(&error),
                Ok(report) => Err(format!("not refused: {:?}", report.findings)),
            };
        }
        for (key, change) in self.owed() {
            let promise = promise::of(self.fixture, self.cell.0, key, *change);
            match &report {
                Ok(report) => self.judge_report(report, reached, &promise)?,
                Err(error) => return Err(format!("refused, {promise:?} was owed: {error}")),
            }
        }
        Ok(())
    }

    /// Returns the changes that are to be found. Nothing ties what follows a broken event to what
    /// came before, so of two exchanged in a ledger it is the first.
    fn owed(&self) -> Vec<&(ObjectKey, Change)> {
        let mut changes: Vec<_> = self.harmed.changes.iter().collect();
        if matches!(self.cell.0, Kind::Event | Kind::Checkpoint) {
            changes.sort();
            changes.truncate(1);
        }
        changes
    }

    fn judge_report(&self, report: &VerifyReport, reached: Level, promise: &Promise) -> Wrong {
        // What a log that breaks off does not tell is said beside it, as is what a lost list hides.
        let is_beside =
            |gap: &str| ["breaks off", "no signed list names"].iter().any(|it| gap.contains(it));
        let own = report.not_covered.iter().filter(|gap| !is_beside(gap));
        let covers = own.count() == 4 - reached as usize;
        if report.level != reached || !covers {
            return Err(format!("says {:?} was reached: {:?}", report.level, report.not_covered));
        }
        let Promise::Found(level, codes, object) = promise else {
            let sound = report.findings.is_empty();
            return if sound { Ok(()) } else { Err(format!("accuses: {:?}", report.findings)) };
        };
        if reached < *level {
            // Of two that were exchanged one may be found earlier.
            let sound = report.findings.is_empty() || self.harmed.changes.len() > 1;
            return if sound { Ok(()) } else { Err(format!("found early: {:?}", report.findings)) };
        }
        let fits = |finding: &&Finding| {
            finding.object.starts_with(object.as_str()) && codes.contains(&finding.code)
        };
        let Some(finding) = report.findings.iter().find(fits) else {
            return Err(format!("{codes:?} of {object} was not found: {:?}", report.findings));
        };
        let is_leftover = matches!(finding.code, Code::RecordPending | Code::ObjectUnreferenced);
        if report.is_sound() && !is_leftover {
            return Err(format!("says sound: {:?}", report.findings));
        }
        self.accuses_nobody_else(report)
    }

    /// Checks that every finding is about what was damaged, or about what leans on it.
    fn accuses_nobody_else(&self, report: &VerifyReport) -> Wrong {
        let of_ledger = |key: &ObjectKey| {
            matches!(key, ObjectKey::LedgerEvent(..) | ObjectKey::LedgerCheckpoint(..))
        };
        let all: Vec<&ObjectKey> = self.harmed.changes.iter().map(|(key, _)| key).collect();
        let excused = |finding: &&Finding| {
            let leans = |shot: &Shot| {
                let of_shot = finding.object.contains(&shot.id.to_string());
                of_shot && (self.touches(shot) || all.iter().any(|key| of_ledger(key)))
            };
            let is_left =
                finding.code == Code::ObjectUnreferenced && self.keys().any(leaves_orphans);
            all.iter().any(|key| finding.object.starts_with(stem(key).as_str()))
                || self.fixture.shots.iter().any(leans)
                || finding.object == "packs and trees" && is_left
                || finding.code == Code::ObjectUnreferenced
                    && all.iter().any(|key| key.pack().is_some())
        };
        match report.findings.iter().find(|finding| !excused(finding)) {
            Some(finding) => Err(format!("accuses another: {finding:?}")),
            None => Ok(()),
        }
    }
}

/// Tells whether nothing names the packs of a snapshot any more once this is damaged.
const fn leaves_orphans(key: &ObjectKey) -> bool {
    matches!(key, ObjectKey::List(_) | ObjectKey::Note(_))
}

/// Returns what the names of findings about an object begin with; of an event, its ledger.
fn stem(key: &ObjectKey) -> String {
    let name = key.to_string();
    match key {
        ObjectKey::LedgerEvent(..) | ObjectKey::LedgerCheckpoint(..) => {
            name.rsplit_once('/').map_or(name.clone(), |(folder, _)| folder.to_owned())
        }
        _ => name,
    }
}
