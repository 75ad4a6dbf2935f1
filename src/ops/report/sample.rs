//! What a verification says that looked at a part: of which packs, who chose them, and what that
//! proves. Spec: `sampling.md`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{LedgerHead, Level, VerifyReport};
use crate::base::Digest;
use crate::crypto::digest::sha256;
use crate::format::envelope;

/// What the value begins with that the ledgers give.
pub(in crate::ops) const OF_LEDGERS: &str = "ledgers ";

/// How the packs of a sample were chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum SampleMethod {
    /// So large that damage is met.
    Confidence {
        /// With this probability.
        confidence: String,
        /// If this share of the packs or more is damaged.
        loss: String,
    },
    /// A share of the packs.
    Share {
        /// The share.
        share: String,
    },
    /// Those whose turn it was.
    Rolling {
        /// Runs after which each had its turn.
        parts: u32,
    },
}

/// The packs that were looked at, as a sample of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleReport {
    /// How they were chosen.
    pub method: SampleMethod,
    /// The packs from which they were.
    pub pack_count: u64,
    /// Stored bytes of those.
    pub pack_len: u64,
    /// The packs of the sample.
    pub sample_count: u64,
    /// Stored bytes of those.
    pub sample_len: u64,
    /// The value from which the choice follows.
    pub public: String,
    /// Whether it was given; else it is the one of the ledgers' heads.
    pub public_given: bool,
    /// The seed that follows from it.
    pub seed: Digest,
    /// What the sample says.
    pub says: String,
    /// What it does not say.
    pub not_said: String,
}

/// One part of a verification that several machines share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardReport {
    /// Which part, from 1 on.
    pub index: u32,
    /// Of how many.
    pub count: u32,
    /// The packs that the parts share among them: all, or the sample.
    pub all_pack_count: u64,
    /// The packs of this part.
    pub pack_count: u64,
    /// Of the objects looked at, those that every part looks at.
    pub shared_object_count: u64,
    /// Of the bytes read, those that every part reads.
    pub shared_read_len: u64,
}

impl ShardReport {
    /// Returns what one part alone leaves out.
    pub fn gap(&self) -> String {
        let Self { index, count, .. } = self;
        format!("the other parts: this is {index} of {count}, and `report merge` joins them")
    }
}

/// Files and dumps whose contents were compared with their digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FileCounts {
    /// Files of all snapshots looked at, each counted with every snapshot that has it.
    pub file_count: u64,
    /// Of those, the ones compared, here or with an earlier snapshot.
    pub checked_file_count: u64,
    /// Database dumps of those snapshots.
    pub dump_count: u64,
    /// Of those, the ones compared.
    pub checked_dump_count: u64,
}

impl FileCounts {
    const fn is_all(&self) -> bool {
        self.file_count == self.checked_file_count && self.dump_count == self.checked_dump_count
    }

    /// Returns what a sample leaves out of them.
    pub fn gap(&self) -> Option<String> {
        let Self { file_count, checked_file_count, dump_count, checked_dump_count } = *self;
        let files = file_count.saturating_sub(checked_file_count);
        let dumps = dump_count.saturating_sub(checked_dump_count);
        (!self.is_all()).then(|| {
            format!(
                "the digests of {} of {} files and {} of {} database dumps: not all of their \
                 packs are in the sample",
                grouped(files),
                grouped(file_count),
                grouped(dumps),
                grouped(dump_count),
            )
        })
    }
}

/// When the packs of a store were last found sound, as far as who verifies remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoverageReport {
    /// The level at which.
    pub level: Level,
    /// The packs that there are.
    pub pack_count: u64,
    /// Those found sound within a month (31 days).
    pub month_count: u64,
    /// Those found sound within three months (92 days), the former included.
    pub quarter_count: u64,
    /// Those found sound within twelve months (366 days), the former included.
    pub year_count: u64,
    /// Those never found sound.
    pub never_count: u64,
    /// The longest ago that a pack was last found sound, of those that ever were.
    #[serde(with = "envelope::optional_time")]
    pub oldest: Option<Timestamp>,
}

impl VerifyReport {
    /// Returns how many packs were looked at, and of how many, where it was not all.
    pub fn looked_at(&self) -> Option<(u64, u64)> {
        let (chosen, all) = match (&self.shard, &self.sample) {
            (None, None) => self.barred.map(|barred| (barred.pack_count, barred.pack_count))?,
            (None, Some(sample)) => (sample.sample_count, sample.pack_count),
            (Some(shard), None) => (shard.pack_count, shard.all_pack_count),
            (Some(shard), Some(sample)) => (shard.pack_count, sample.pack_count),
        };
        let barred_count = self.barred.map_or(0, |barred| barred.barred_pack_count);
        Some((chosen.saturating_sub(barred_count), all))
    }

    /// Returns how many percent of the packs were looked at, as a ledger records it: 100 only if
    /// all were and nothing else was left out, else rounded down and 99 at most.
    pub fn sample_percent(&self) -> u8 {
        let is_part =
            self.barred.is_some() || self.shard.as_ref().is_some_and(|shard| shard.count > 1);
        match self.looked_at() {
            None => 100,
            Some((looked, all)) if looked >= all && !is_part => 100,
            Some((looked, all)) => {
                let percent = u128::from(looked) * 100 / u128::from(all.max(1));
                u8::try_from(percent.min(99)).unwrap_or(99)
            }
        }
    }

    /// Returns what each level up to this one proves, no more than of what was looked at.
    pub(in crate::ops) fn proven(&self) -> Vec<String> {
        let reached = Level::ALL.into_iter().filter(|one| *one <= self.level);
        let proven = reached.map(|level| match self.limits_of(level) {
            Some(limits) => format!("Of {limits}: {}", self.proven_at(level)),
            None => self.proven_at(level),
        });
        let counts = self.stored.as_ref();
        proven.chain(counts.and_then(|counts| Some(counts.provider.as_ref()?.proves()))).collect()
    }

    /// Returns of which snapshots and packs alone something is proven, where it is not all.
    fn limits_of(&self, level: Level) -> Option<String> {
        let looked = self.looked_at().filter(|_| self.sample_percent() < 100);
        let packs = looked.filter(|_| level > Level::Ledger).map(|(looked, all)| match looked {
            0 if self.barred.is_some() => format!(
                "none of {} packs, which these credentials may not look at, and of the rest only \
                 what they may",
                grouped(all)
            ),
            _ => format!("{} of {} packs, and of those alone", grouped(looked), grouped(all)),
        });
        let count = grouped(self.snapshot_count);
        match (self.is_of_named(), packs) {
            (true, Some(packs)) => Some(format!("{count} snapshots that were named, of {packs}")),
            (true, None) => Some(format!("{count} snapshots that were named, and of those alone")),
            (false, packs) => packs,
        }
    }

    /// Returns what a level proves, of files and dumps no more than were compared.
    fn proven_at(&self, level: Level) -> String {
        match self.files_compared().filter(|_| level == Level::Contents) {
            Some(compared) => format!(
                "What is stored was decrypted, and {compared} came out bit for bit as they were \
                 archived."
            ),
            None => level.proves().to_owned(),
        }
    }

    /// Returns of how many files and dumps the digests were compared, where it was not all.
    pub fn files_compared(&self) -> Option<String> {
        let FileCounts { file_count, checked_file_count, dump_count, checked_dump_count } =
            self.files.filter(|files| !files.is_all())?;
        Some(format!(
            "{} of {} files and {} of {} database dumps",
            grouped(checked_file_count),
            grouped(file_count),
            grouped(checked_dump_count),
            grouped(dump_count),
        ))
    }

    /// Returns the value from which a sample follows, and whose it is.
    pub fn chosen_by(&self) -> Option<(&str, &'static str)> {
        let sample = self.sample.as_ref()?;
        let whose = match sample.public_given {
            true => "given",
            false if sample.public == ledgers_value(&self.ledgers) => "the heads of the ledgers",
            false => "said to be the heads of the ledgers in an earlier run",
        };
        Some((&sample.public, whose))
    }

    /// Returns what the sample leaves out.
    pub(in crate::ops) fn sample_gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        if let Some(sample) = &self.sample {
            let left = sample.pack_count.saturating_sub(sample.sample_count);
            let all = grouped(sample.pack_count);
            if left > 0 {
                gaps.push(format!("{} of {all} packs: they are not in the sample", grouped(left)));
            }
            gaps.extend((!sample.not_said.is_empty()).then(|| sample.not_said.clone()));
        }
        // Of one part, the others compare the rest.
        let files = self.files.as_ref().filter(|_| self.sample.is_some() && self.shard.is_none());
        gaps.extend(files.and_then(FileCounts::gap));
        gaps
    }
}

/// Returns the value that the heads of all ledgers give, from which a sample follows.
pub(in crate::ops) fn ledgers_value(heads: &[LedgerHead]) -> String {
    let line = |head: &LedgerHead| format!("{} {} {}\n", head.signer, head.size, head.root);
    let mut lines: Vec<String> = heads.iter().map(line).collect();
    lines.sort_unstable();
    format!("{OF_LEDGERS}{}", sha256(lines.concat().as_bytes()))
}

/// Returns a number with its thousands apart, such as `12,345`.
pub(in crate::ops) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(first);
    let mut text = head.to_owned();
    for (at, digit) in tail.char_indices() {
        if at % 3 == 0 && !text.is_empty() {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let texts = [0, 12, 999, 1000, 41_203, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "12", "999", "1,000", "41,203", "1,234,567"]);
    }
}
