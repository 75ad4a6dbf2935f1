//! A plan and what came of it, in words and as JSON.

use serde_json::{Value, json};

use crate::base::{Observer, SnapshotId};
use crate::cli::pruning::PruneOutcome;
use crate::cli::report::table::{Side, Table};
use crate::cli::report::{Failure, words};
use crate::cli::retention::Open;
use crate::cli::session::Session;
use crate::ops::prolong::StoreProlonged;
use crate::ops::retain::{self, Applied, Leftover, Scribe};
use crate::ops::space;
use crate::policy::space::Space;
use crate::policy::{Guard, KeepReason, RetentionPlan, Verdict};

/// What came of one vault.
pub struct Outcome {
    /// The plan.
    pub plan: RetentionPlan,
    /// The vault's name.
    pub vault: String,
    /// The number of the vault note whose policy is in force.
    pub number: u32,
    /// The policy.
    pub policy: String,
    /// What is alarming about it.
    pub guards: Vec<Guard>,
    /// What was recorded before and is not deleted.
    pub unfinished: Vec<Leftover>,
    /// What the snapshots that stand need, and what would be freed.
    pub space: Option<Space>,
    /// What became of locks, if they were looked at.
    pub prolonged: Vec<StoreProlonged>,
    /// What was done, if anything was to be done.
    pub applied: Option<Applied>,
    /// What was pruned after it, if whoever applied it may do that.
    pub pruned: Option<PruneOutcome>,
}

impl Outcome {
    /// Describes a plan that was made.
    ///
    /// # Errors
    /// If a store cannot be listed.
    pub fn of(open: &Open, plan: RetentionPlan, observer: &dyn Observer) -> Result<Self, Failure> {
        let survey = &open.survey;
        let (note, own) = (survey.note(), open.scribe.as_ref().map(Scribe::signer));
        Ok(Self {
            vault: note.name.clone(),
            number: note.number,
            policy: survey.history.in_force().to_string(),
            guards: retain::guards(survey, &plan, own)?,
            unfinished: retain::leftovers(survey, plan.now())?,
            space: space::of_plan(survey, &plan, observer)?,
            prolonged: Vec::new(),
            applied: None,
            pruned: None,
            plan,
        })
    }

    /// Tells whether applying it would delete anything.
    pub fn goes(&self) -> bool {
        self.plan.dropped().next().is_some() || !self.unfinished.is_empty()
    }

    /// Returns it for `--json`.
    pub fn to_json(&self) -> Value {
        let snapshots = self.plan.planned().iter().map(|one| {
            let (keep, reasons) = match &one.verdict {
                Verdict::Keep(reasons) => (
                    true,
                    reasons
                        .iter()
                        .map(|reason| json!({ "name": reason.name(), "text": reason.to_string() }))
                        .collect::<Vec<_>>(),
                ),
                Verdict::Drop(reason) => {
                    (false, vec![json!({ "name": reason.name(), "text": reason.to_string() })])
                }
            };
            let time = one.candidate.time.to_string();
            json!({ "id": one.candidate.id, "time": time, "keep": keep, "reasons": reasons })
        });
        let guards = self.guards.iter();
        let guards = guards
            .map(|guard| json!({ "flag": guard.acceptance().flag(), "text": guard.to_string() }));
        json!({
            "vault": self.vault,
            "number": self.number,
            "policy": self.policy,
            "now": self.plan.now().to_string(),
            "snapshots": snapshots.collect::<Vec<_>>(),
            "dropped_count": self.plan.dropped().count(),
            "guards": guards.collect::<Vec<_>>(),
            "unfinished": self.unfinished.iter().map(leftover_json).collect::<Vec<_>>(),
            "needed_len": self.space.as_ref().map(|space| space.needed_len),
            "freed_len": self.space.as_ref().map(|space| space.freed_len),
            "locks": self.prolonged,
            "applied": self.applied.as_ref().map(applied_json),
            "pruned": self.pruned.as_ref().map(PruneOutcome::to_json),
        })
    }

    /// Returns it for people.
    pub fn to_text(&self) -> String {
        let mut table =
            Table::new(&[("id", Side::Left), ("verdict", Side::Left), ("why", Side::Left)]);
        for one in self.plan.planned() {
            let (verdict, why) = match &one.verdict {
                Verdict::Keep(reasons) => ("stays", listed(reasons)),
                Verdict::Drop(reason) => ("goes", reason.to_string()),
            };
            table.row([one.candidate.id.to_string(), verdict.to_owned(), why]);
        }
        for one in &self.unfinished {
            let (verdict, why) = match one.goes() {
                true => ("goes", one.told()),
                false => ("stays", format!("{}; {}", listed(&one.promises), one.told())),
            };
            // The rule is in the words of whoever forgot it.
            let why = words::printable(&why);
            table.row([one.candidate.id.to_string(), verdict.to_owned(), why]);
        }
        let (vault, policy, number) = (&self.vault, &self.policy, self.number);
        let head = format!("vault {vault}: {policy} (vault note {number})\n");
        let (head, space) = (words::printable(head.trim_end()), self.space_line());
        format!("{head}\n{table}{space}{}", self.end())
    }

    fn space_line(&self) -> String {
        let Some(space) = &self.space else { return String::new() };
        let (needed, freed) = (words::bytes(space.needed_len), words::bytes(space.freed_len));
        format!("{needed} are needed, {freed} of them by nothing that stays\n")
    }

    fn end(&self) -> String {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let total = words::count(count(self.plan.planned().len()), "snapshot");
        let Some(applied) = &self.applied else {
            let dropped = words::number(count(self.plan.dropped().count()));
            let late = match self.unfinished.len() {
                0 => String::new(),
                late => {
                    format!("; {} that went before are to be deleted", words::number(count(late)))
                }
            };
            return format!("{dropped} of {total} go{late}; nothing was changed\n");
        };
        let forgotten = words::number(count(applied.forgotten.len()));
        let mut text = format!("{forgotten} of {total} forgotten, recorded in every store\n");
        if !applied.waiting.is_empty() {
            let stores = applied.waiting.join(", ");
            text = format!(
                "{forgotten} of {total} recorded, and nothing deleted: waits for {stores}\n"
            );
        }
        for store in applied.deleted.iter().filter(|store| store.object_count > 0) {
            let objects = words::count(store.object_count, "object");
            text.push_str(&format!("deleted {objects} in store {}\n", store.store));
        }
        match &self.pruned {
            Some(pruned) => text.push_str(&pruned.to_line()),
            None if applied.deleted.iter().any(|store| store.object_count > 0) => {
                text.push_str("packs stay until they are pruned\n");
            }
            None => {}
        }
        self.locks().for_each(|line| text.push_str(&format!("{line}\n")));
        text
    }

    /// Tells what became of locks in a run that fails: they were extended all the same.
    pub fn note_locks(&self, session: &Session) {
        self.locks().for_each(|line| session.report.note(&line));
    }

    fn locks(&self) -> impl Iterator<Item = String> {
        let extended = self.prolonged.iter().filter(|store| store.extended_count > 0);
        extended.map(|store| {
            let locks = words::count(store.extended_count, "lock");
            format!("extended {locks} in store {}", store.store)
        })
    }
}

fn listed(reasons: &[KeepReason]) -> String {
    reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn leftover_json(one: &Leftover) -> Value {
    let reasons = one.promises.iter().map(ToString::to_string);
    json!({
        "id": one.candidate.id,
        "forgotten_by": one.forgotten.signer,
        "rule": one.forgotten.rule,
        "keep": !one.goes(),
        "reasons": reasons.collect::<Vec<_>>(),
    })
}

fn applied_json(applied: &Applied) -> Value {
    let deleted = applied.deleted.iter().map(|store| {
        json!({
            "store": store.store,
            "snapshots": store.snapshots,
            "object_count": store.object_count,
        })
    });
    let refused: Vec<SnapshotId> = applied.refused.iter().map(|(id, _)| *id).collect();
    json!({
        "forgotten": applied.forgotten,
        "deleted": deleted.collect::<Vec<_>>(),
        "waiting": applied.waiting,
        "refused": refused,
    })
}
