//! Which part of a vault is looked at: all of it, a sample, or one of several shards. Spec:
//! `sampling.md`.
//!
//! - Only packs are sampled. Everything else is looked at: it is small, and without it nobody knows
//!   what there should be.
//! - A sample is drawn from all packs, and only then divided: so the parts of one sample join.

use std::collections::BTreeMap;
use std::path::PathBuf;

use thiserror::Error;

use super::keeping::Keeping;
use super::memory::{Memory, each_pack};
use super::{
    Collector, Finding, LedgerHead, Level, Request, Scope, VerifyReport, ledger, sample, stored,
};
use crate::base::limits::FINDINGS_MAX;
use crate::base::{Code, Coded, Digest, Event, Observer, PackId, Silent, SnapshotId};
use crate::crypto::digest::Sha256Hasher;
use crate::format::ObjectKey;
use crate::format::snapshot_note::SnapshotNote;
use crate::manifest::Needed;
use crate::ops::Error;
use crate::ops::report::{SampleReport, ShardReport};
use crate::ops::thaw::Need;
use crate::policy::{Confidence, Loss, Rolling, Shard, Share};
use crate::vault::{self, Auditor};

/// The first line of what a scope's digest is the SHA-256 of.
const SCOPE_HEADER: &str = "idswyft-vault/v1 scope";
/// Characters of a public value at most.
const PUBLIC_LEN_MAX: usize = 1000;

/// How packs are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// As many as it takes to meet damage of this share with this probability.
    Confidence(Confidence, Loss),
    /// This share of them.
    Share(Share),
    /// Those whose turn it is.
    Rolling(Rolling),
}

/// A value from which a choice follows, and which who chooses could not choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicValue {
    /// Its text.
    pub text: String,
    /// Whether somebody gave it; else it is that of the ledgers' heads, now or in the run that is
    /// gone on with.
    pub is_given: bool,
}

/// What is to be looked at, of all that is in scope.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// How a sample is chosen, if one is.
    pub method: Option<Method>,
    /// The public value, if not that of the ledgers.
    pub public: Option<PublicValue>,
    /// The one part of several.
    pub shard: Option<Shard>,
    /// Where what was looked at is remembered.
    pub memory: Option<PathBuf>,
}

/// A part that cannot be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("choose what to look at: {reason}")]
pub struct PartError {
    reason: String,
}

impl PartError {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl Coded for PartError {
    fn code(&self) -> Code {
        Code::UsageInvalid
    }
}

impl Part {
    /// Accepts a part that can be looked at, at a level.
    ///
    /// # Errors
    /// If the level looks at no pack, if nothing is remembered of whose turn it is, or if the
    /// public value is not one line of text.
    pub fn check(&self, level: Level) -> Result<(), PartError> {
        let is_rolling = matches!(self.method, Some(Method::Rolling(_)));
        if level < Level::Stored && (self.method.is_some() || self.shard.is_some()) {
            return Err(PartError::new("level ledger looks at no pack"));
        }
        if is_rolling && level < Level::Bytes {
            let reason = "a rolling verification reads packs: it needs level bytes or contents";
            return Err(PartError::new(reason));
        }
        if is_rolling && self.shard.is_some() {
            let reason = "whose turn it is, is remembered on one machine: a rolling verification \
                          has no shards";
            return Err(PartError::new(reason));
        }
        if is_rolling && self.memory.is_none() {
            let reason =
                "nothing here remembers whose turn it is: name a file for it with --memory";
            return Err(PartError::new(reason));
        }
        let Some(public) = &self.public else { return Ok(()) };
        if self.method.is_none() {
            return Err(PartError::new("a public value chooses a sample, and none is asked for"));
        }
        let text = &public.text;
        let is_line = !text.trim().is_empty() && !text.chars().any(char::is_control);
        if !is_line || text.chars().count() > PUBLIC_LEN_MAX {
            let reason =
                format!("the public value must be one line of 1 to {PUBLIC_LEN_MAX} letters");
            return Err(PartError::new(reason));
        }
        if !public.is_well_formed() {
            let reason = "a public value that begins with `ledgers ` is the one of an earlier run: \
                          64 hex digits follow";
            return Err(PartError::new(reason));
        }
        Ok(())
    }
}

/// What of a scope is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Chosen {
    is_sample: bool,
    shard: Option<Shard>,
    is_remembered: bool,
}

impl Scope {
    /// Tells whether a pack or tree object is to be looked at here.
    pub fn is_chosen(&self, key: &ObjectKey) -> Result<bool, vault::Error> {
        let Some(id) = key.pack() else { return Ok(true) };
        Ok(self.is_here(id.as_bytes()) && self.is_sampled(key)?)
    }

    /// Tells whether the object of this SHA-256 is in this part.
    pub fn is_here(&self, sha256: &[u8; 32]) -> bool {
        self.chosen.shard.is_none_or(|shard| shard.has(sha256))
    }

    fn is_sampled(&self, key: &ObjectKey) -> Result<bool, vault::Error> {
        match key {
            ObjectKey::Pack(id) if self.chosen.is_sample => Ok(self.needed.is_drawn(id)?),
            _ => Ok(true),
        }
    }

    /// Tells whether the stream or file in these packs is to be compared with its digest here: its
    /// packs are all in the sample, and the first of them is in this part.
    pub fn is_compared(
        &self,
        packs: impl IntoIterator<Item = PackId>,
    ) -> Result<bool, vault::Error> {
        let mut first = None;
        for id in packs {
            first = first.or(Some(id));
            if !self.is_sampled(&ObjectKey::Pack(id))? {
                return Ok(false);
            }
        }
        // What is in no pack belongs to the first part.
        Ok(self.is_here(first.as_ref().map_or(&[0; 32], PackId::as_bytes)))
    }

    /// Takes note that a pack was proven at a level, if that is remembered.
    pub fn prove(&self, key: &ObjectKey, level: Level) -> Result<(), vault::Error> {
        if self.chosen.is_remembered {
            self.needed.prove(key, level.number())?;
        }
        Ok(())
    }

    /// Returns the digest of what is in scope: two parts of one verification have the same.
    pub fn digest(&self, vault: impl std::fmt::Display) -> Digest {
        let mut hasher = Sha256Hasher::new();
        hasher.update(format!("{SCOPE_HEADER}\n{vault}\n").as_bytes());
        for (id, SnapshotNote { list, body, .. }) in &self.notes {
            hasher.update(format!("{id} {} {}\n", list.sha256, body.sha256).as_bytes());
        }
        hasher.finish()
    }
}

/// What was chosen of a scope, for the report and the memory.
pub(super) struct Choice {
    sample: Option<SampleReport>,
    shard: Option<ShardReport>,
    memory: Option<Memory>,
    rolling: Option<Rolling>,
}

/// Chooses what of a scope is looked at. What went before it is looked at by every part.
pub(super) fn choose(
    scope: &mut Scope,
    request: &Request<'_>,
    level: Level,
    heads: &[LedgerHead],
    collector: &Collector<'_>,
) -> Result<Choice, Error> {
    let mut choice = Choice { sample: None, shard: None, memory: None, rolling: None };
    let Some(part) = request.part else { return Ok(choice) };
    part.check(level)?;
    let auditor = collector.auditor;
    if let Some(Method::Rolling(rolling)) = part.method {
        choice.rolling = Some(rolling);
    }
    let (path, now) = (part.memory.as_ref().filter(|_| level >= Level::Bytes), request.now);
    if let Some((path, now)) = path.zip(now) {
        match Memory::open(path, auditor, level, now) {
            Ok(memory) => choice.memory = Some(memory),
            Err(error) if choice.rolling.is_some() => return Err(error),
            Err(error) => warn(collector.observer, &error),
        }
    }
    choice.sample = draw(scope, part, heads, auditor, choice.memory.as_ref())?;
    scope.chosen.is_remembered = choice.memory.is_some();
    scope.chosen.shard = part.shard;
    if let Some(shard) = part.shard {
        let mut pack_count = 0;
        each_pack(&scope.needed, |id| {
            pack_count += u64::from(scope.is_chosen(&ObjectKey::Pack(*id))?);
            Ok(())
        })?;
        let all = || Ok::<u64, Error>(scope.needed.packs()?.count);
        let (shared_object_count, shared_read_len) = collector.seen();
        choice.shard = Some(ShardReport {
            index: shard.index(),
            count: shard.count(),
            all_pack_count: choice.sample.as_ref().map_or_else(all, |one| Ok(one.sample_count))?,
            pack_count,
            shared_object_count,
            shared_read_len,
        });
    }
    Ok(choice)
}

fn draw(
    scope: &mut Scope,
    part: &Part,
    heads: &[LedgerHead],
    auditor: &Auditor,
    memory: Option<&Memory>,
) -> Result<Option<SampleReport>, Error> {
    let Some(method) = part.method else { return Ok(None) };
    let public = part.public.clone().unwrap_or_else(|| PublicValue::of_ledgers(heads));
    let drawn = sample::draw(&scope.needed, method, public, auditor.vault(), memory)?;
    scope.chosen.is_sample = true;
    Ok(Some(drawn))
}

impl Choice {
    /// Remembers what was proven, and adds to a report what was chosen and what that says.
    pub fn describe(
        self,
        report: &mut VerifyReport,
        scope: &Scope,
        request: &Request<'_>,
        observer: &dyn Observer,
    ) {
        report.scope_sha256 = Some(scope.digest(&report.vault));
        let is_named = all_are_named(report);
        if !is_named && self.memory.is_some() {
            let gap = "what this run found sound is not remembered: not every finding is named";
            report.not_covered.push(gap.to_owned());
        }
        if let Some(memory) = self.memory.as_ref().filter(|_| is_named) {
            // How it is kept says nothing of its bytes.
            let is_kept = |one: &&Finding| matches!(one.code, Code::ClassWrong | Code::LockCut);
            let damaging = report.findings.iter().filter(|one| !is_kept(one));
            let damaged = damaging.filter_map(|one| one.object.parse().ok()).collect();
            let is_whole = request.only.is_none();
            match memory.remember(&scope.needed, &damaged, self.rolling, is_whole) {
                Ok(coverage) => report.coverage = Some(coverage),
                Err(error) => warn(observer, &error),
            }
        }
        report.sample = self.sample;
        report.shard = self.shard;
        report.proves = report.proven();
        let mut gaps = report.sample_gaps();
        gaps.extend(report.shard.as_ref().filter(|shard| shard.count > 1).map(ShardReport::gap));
        report.not_covered.splice(0..0, gaps);
    }
}

/// Tells whether every finding is named, so that it is known which packs have none.
fn all_are_named(report: &VerifyReport) -> bool {
    let mut counts: BTreeMap<Code, usize> = BTreeMap::new();
    report.findings.iter().for_each(|one| *counts.entry(one.code).or_default() += 1);
    counts.values().all(|count| *count < FINDINGS_MAX)
}

fn warn(observer: &dyn Observer, error: &Error) {
    use std::error::Error as _;
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let causes: String = causes.map(|cause| format!(": {cause}")).collect();
    let detail = format!("what was found sound is not remembered: failed to {error}{causes}");
    observer.observe(Event::Warning { code: error.code(), detail });
}

/// The packs that a request reads, and what chooses the same ones again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The packs.
    pub need: Need,
    /// The public value, if there is a sample.
    pub public: Option<PublicValue>,
    /// The newest snapshot in scope: packs of newer ones are not drawn from.
    pub newest: Option<SnapshotId>,
}

/// Returns the packs that a request reads, before it reads them; what is wrong with notes, lists
/// and ledgers is for [`super::verify_as`] to say.
///
/// # Errors
/// If the store cannot be read, or the part cannot be looked at.
pub fn reading(auditor: &Auditor, request: &Request<'_>) -> Result<Reading, Error> {
    let level = request.level;
    let collector = Collector::new(auditor, level, Keeping::default(), &Silent);
    let wanted = |id: &SnapshotId| request.only.is_none_or(|only| only.contains(id));
    let notes = auditor.snapshots()?.sound.into_iter().filter(|(id, _)| wanted(id));
    let mut scope = Scope::new(notes.collect(), Needed::new()?);
    stored::read_lists(auditor, &mut scope, &collector)?;
    let heads = ledger::heads_of(&crate::vault::ledger::read_all(auditor)?);
    let choice = choose(&mut scope, request, level, &heads, &collector)?;
    // A file is compared where its first pack is, and may go on in packs of other parts.
    if level == Level::Contents {
        scope.chosen.shard = None;
    }
    let mut need = Need::new();
    each_pack(&scope.needed, |id| {
        let key = ObjectKey::Pack(*id);
        if scope.is_chosen(&key)? {
            need.insert(key);
        }
        Ok(())
    })?;
    let public =
        choice.sample.map(|one| PublicValue { text: one.public, is_given: one.public_given });
    let newest = scope.notes.last_key_value().map(|(id, _)| *id);
    Ok(Reading { need, public, newest })
}
