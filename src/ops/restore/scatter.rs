//! Reading each pack once and writing its bytes to wherever they belong. Spec: §12.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{Damage, Opened};
use crate::base::{PackId, Profile};
use crate::format::ObjectKey;
use crate::ops::readers::read_ready;
use crate::vault::pack_reader::{OpenPack, Room};
use crate::vault::writer::pack_key;
use crate::vault::{self, Unlocked};

/// Blocks of a pack that are in memory at once.
const BLOCKS_AT_ONCE: usize = 8;

/// A piece of a pack and where its bytes belong.
#[derive(Debug, Clone, Copy)]
pub struct Job {
    /// Index of the pack.
    pub pack: u32,
    /// Offset in the pack's raw bytes.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
    /// Index of the file.
    pub file: u32,
    /// Offset in the file.
    pub at: u64,
}

/// Where the bytes of a file go.
pub trait Scatter: Sync {
    /// Writes bytes of a file at an offset.
    fn write(&self, file: u32, at: u64, bytes: &[u8]) -> Result<(), crate::ops::Error>;

    /// Is told that a file cannot be complete, because a pack that it needs is damaged.
    fn lose(&self, file: u32, damage: &Damage);
}

/// Runs every job: packs side by side, blocks of each in order.
pub fn run(
    opened: &Opened<'_>,
    profile: Profile,
    packs: &[PackId],
    mut jobs: Vec<Job>,
    target: &impl Scatter,
) -> Result<(), crate::ops::Error> {
    let Opened { unlocked, body, fetching } = opened;
    jobs.par_sort_unstable_by_key(|job| (job.pack, job.offset));
    let by_pack: Vec<&[Job]> = jobs.chunk_by(|a, b| a.pack == b.pack).collect();
    let id_of = |jobs: &[Job]| packs[jobs[0].pack as usize];
    let store = unlocked.auditor().store().as_ref();
    let key = |jobs: &&[Job]| pack_key(profile, id_of(jobs));
    read_ready(store, by_pack, key, |jobs| {
        let id = id_of(jobs);
        match fetching.pack(unlocked, body.generation, profile, id, len_of(jobs)) {
            Ok(pack) => run_pack(unlocked, &pack, pack_key(profile, id), jobs, target),
            Err(error) => {
                let loss = Damage::of(unlocked, error)?;
                jobs.iter().for_each(|job| target.lose(job.file, &loss));
                Ok(())
            }
        }
    })
}

/// Returns how many bytes of a pack jobs need, which are in the order of their offsets.
fn len_of(jobs: &[Job]) -> u64 {
    let (mut len, mut end) = (0, 0);
    for job in jobs {
        let job_end = job.offset.saturating_add(job.len);
        len += job_end.saturating_sub(end.max(job.offset));
        end = end.max(job_end);
    }
    len
}

fn run_pack(
    unlocked: &Unlocked,
    pack: &OpenPack<'_>,
    key: ObjectKey,
    jobs: &[Job],
    target: &impl Scatter,
) -> Result<(), crate::ops::Error> {
    let mut by_block: BTreeMap<usize, Vec<&Job>> = BTreeMap::new();
    let len = pack.blocks().raw_len();
    for job in jobs {
        let need = job.offset + job.len;
        if need > len {
            let error = vault::Error::Extent { key, len, need };
            target.lose(job.file, &Damage::of(unlocked, error)?);
            continue;
        }
        if job.len > 0 {
            let last = pack.blocks().at_raw(need - 1);
            for block in pack.blocks().at_raw(job.offset)..=last {
                by_block.entry(block).or_default().push(job);
            }
        }
    }
    let needed: Vec<usize> = by_block.keys().copied().collect();
    let (runs, mut room) = (needed.chunk_by(|a, b| a + 1 == *b), Room::default());
    for run in runs.flat_map(|run| run.chunks(BLOCKS_AT_ONCE)) {
        let (first, end) = (run[0], run[run.len() - 1] + 1);
        match pack.read_blocks_to(first..end, &mut room) {
            Ok(blocks) => {
                for (block, raw) in (first..end).zip(blocks) {
                    write_block(pack, block, raw, &by_block[&block], target)?;
                }
            }
            Err(error) => {
                let damage = Damage::of(unlocked, error)?;
                let lost = run.iter().flat_map(|block| &by_block[block]);
                lost.for_each(|job| target.lose(job.file, &damage));
            }
        }
    }
    Ok(())
}

fn write_block(
    pack: &OpenPack<'_>,
    block: usize,
    raw: &[u8],
    jobs: &[&Job],
    target: &impl Scatter,
) -> Result<(), crate::ops::Error> {
    let range = pack.blocks().raw_range(block);
    let slice = |at: u64| usize::try_from(at - range.start).expect("blocks are bounded");
    for job in jobs {
        let start = job.offset.max(range.start);
        let end = (job.offset + job.len).min(range.end);
        target.write(job.file, job.at + (start - job.offset), &raw[slice(start)..slice(end)])?;
    }
    Ok(())
}
