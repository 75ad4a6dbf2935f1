//! Choosing packs so that nobody chose them. Spec: `sampling.md` §1 to §3.
//!
//! - The choice follows from the vault, a public value, and what is there: everybody who has the
//!   report can make it again.
//! - Packs are ranked and drawn on disk: a million of them take no more memory than a hundred.

use std::cell::Cell;

use super::memory::Memory;
use super::part::{Method, PublicValue};
use crate::base::{Digest, PackId, VaultId};
use crate::crypto::digest::{Sha256Hasher, sha256};
use crate::manifest::{Amount, Needed, Standing};
use crate::ops::Error;
use crate::ops::report::{
    LedgerHead, OF_LEDGERS, SampleMethod, SampleReport, grouped, ledgers_value,
};
use crate::policy::Confidence;
use crate::policy::sampling::sample_count;
use crate::vault;

/// The first line of what a seed is the SHA-256 of.
const SEED_HEADER: &str = "idswyft-vault/v1 sample";

impl PublicValue {
    /// Returns the one that nobody has to give: the heads of all ledgers.
    pub fn of_ledgers(heads: &[LedgerHead]) -> Self {
        Self { text: ledgers_value(heads), is_given: false }
    }

    /// Returns one that somebody names. What the ledgers gave to an earlier run is given by nobody,
    /// also where that run is gone on with.
    pub fn named(text: String) -> Self {
        let is_given = !text.starts_with(OF_LEDGERS);
        Self { text, is_given }
    }

    /// Tells whether the ledgers of some run may have given it, if it begins as such a one.
    pub(super) fn is_well_formed(&self) -> bool {
        let rest = self.text.strip_prefix(OF_LEDGERS);
        rest.is_none_or(|digest| digest.parse::<Digest>().is_ok())
    }

    /// Returns the seed of a vault's sample.
    pub fn seed(&self, vault: VaultId) -> Digest {
        sha256(format!("{SEED_HEADER}\n{vault}\n{}\n", self.text).as_bytes())
    }
}

/// Returns a pack's rank: the lowest are drawn first.
pub fn rank(seed: &Digest, id: &PackId) -> [u8; 32] {
    let mut hasher = Sha256Hasher::new();
    hasher.update(seed.as_bytes());
    hasher.update(id.as_bytes());
    *hasher.finish().as_bytes()
}

/// Draws a sample of the packs and returns what is said of it.
pub(super) fn draw(
    needed: &Needed,
    method: Method,
    public: PublicValue,
    vault: VaultId,
    memory: Option<&Memory>,
) -> Result<SampleReport, Error> {
    let packs = needed.packs().map_err(vault::Error::from)?;
    let seed = public.seed(vault);
    let due = Cell::new(0);
    let turn = |id: &PackId| -> Result<i64, Error> {
        let (Method::Rolling(rolling), Some(memory)) = (method, memory) else { return Ok(0) };
        let turn = memory.turn(id, rolling)?;
        due.set(due.get() + u64::from(turn.is_due()));
        Ok(turn.number())
    };
    let standing =
        |id: &PackId| Ok::<_, Error>(Standing { turn: turn(id)?, rank: rank(&seed, id) });
    // What is due is drawn in any case: so nothing waits for more runs than there are parts.
    let count = || method.count(packs.count).max(due.get());
    needed.draw(standing, count)?;
    let sample = needed.drawn().map_err(vault::Error::from)?;
    let (says, not_said) = words(method, packs, sample, public.is_given);
    Ok(SampleReport {
        method: method.named(),
        pack_count: packs.count,
        pack_len: packs.len,
        sample_count: sample.count,
        sample_len: sample.len,
        public: public.text,
        public_given: public.is_given,
        seed,
        says,
        not_said,
    })
}

impl Method {
    /// Returns how many of some packs are drawn.
    pub fn count(self, pack_count: u64) -> u64 {
        match self {
            Self::Confidence(confidence, loss) => {
                sample_count(pack_count, loss.of(pack_count), confidence)
            }
            Self::Share(share) => share.of(pack_count),
            Self::Rolling(rolling) => rolling.of(pack_count),
        }
    }

    fn named(self) -> SampleMethod {
        match self {
            Self::Confidence(confidence, loss) => SampleMethod::Confidence {
                confidence: confidence.to_string(),
                loss: loss.to_string(),
            },
            Self::Share(share) => SampleMethod::Share { share: share.to_string() },
            Self::Rolling(rolling) => SampleMethod::Rolling { parts: rolling.parts() },
        }
    }
}

/// Returns what a sample says, and what it does not.
fn words(method: Method, packs: Amount, sample: Amount, is_given: bool) -> (String, String) {
    let (all, count) = (grouped(packs.count), grouped(sample.count));
    if sample.count == packs.count {
        return (format!("every pack was looked at: all {all} of them"), String::new());
    }
    let (says, damaged_count) = match method {
        Method::Rolling(rolling) => {
            let parts = rolling.parts();
            let says = format!(
                "these {count} of {all} packs were those whose turn it was: the ones never looked \
                 at, then the ones looked at longest ago; {parts} such runs look at each of them"
            );
            let not_said = "anything of the packs whose turn it was not, but when they were last \
                            found sound; a rolling verification is no random sample";
            return (says, not_said.to_owned());
        }
        Method::Confidence(confidence, loss) => {
            let says = format!(
                "if {loss} or more of the {all} packs were damaged, a sample of {count} would \
                 have met one with {} probability",
                confidence
            );
            (says, loss.of(packs.count))
        }
        Method::Share(_) => {
            let damaged_count = sample_count(packs.count, sample.count, Confidence::USUAL);
            let says = format!(
                "if {} or more of the {all} packs were damaged, a sample of {count} would have \
                 met one with {} probability",
                grouped(damaged_count),
                Confidence::USUAL
            );
            (says, damaged_count)
        }
    };
    let mut not_said = format!(
        "damage of fewer than {} packs, which the sample may well have missed, and the state of \
         any one pack that is not in it",
        grouped(damaged_count)
    );
    if !is_given {
        not_said.push_str(
            "; nor what somebody damaged who writes a ledger and could add events until the sample \
             missed it (--public takes a value that nobody knew before)",
        );
    }
    (says, not_said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_of(method: Method, packs: u64, sample: u64) -> (String, String) {
        let amount = |count| Amount { count, len: 0 };
        words(method, amount(packs), amount(sample), true)
    }

    /// Y-3
    #[test]
    fn a_report_says_in_one_sentence_what_a_sample_means() {
        let method = Method::Confidence("99%".parse().unwrap(), "0.1%".parse().unwrap());
        let count = method.count(41_203);
        let (says, not_said) = words_of(method, 41_203, count);
        let expected = format!(
            "if 0.1 % or more of the 41,203 packs were damaged, a sample of {} would have met one \
             with 99 % probability",
            grouped(count)
        );
        assert_eq!(says, expected);
        assert!(not_said.starts_with("damage of fewer than 42 packs, "), "{not_said}");
        let share = Method::Share("10%".parse().unwrap());
        let (says, _) = words_of(share, 1000, 100);
        assert!(
            says.starts_with("if 43 or more of the 1,000 packs were damaged, a sample of 100 ")
        );
        let (says, not_said) = words_of(share, 7, 7);
        assert_eq!(
            (says.as_str(), not_said.as_str()),
            ("every pack was looked at: all 7 of them", "")
        );
    }

    /// Y-6
    #[test]
    fn a_value_of_the_ledgers_is_given_by_nobody_also_where_a_run_is_gone_on_with() {
        let public = PublicValue::of_ledgers(&[]);
        assert_eq!(PublicValue::named(public.text.clone()), public);
        let invented = PublicValue::named("ledgers of the king".to_owned());
        assert!(!invented.is_given, "who could choose it is believed no more than a host");
        assert!(PublicValue::named("the closing price".to_owned()).is_given);
    }

    /// Y-4
    #[test]
    fn the_seed_and_the_ranks_are_those_of_the_spec() {
        let head = |signer: &str, size| LedgerHead {
            signer: signer.to_owned(),
            size,
            root: "00".repeat(32),
        };
        let heads = [head("bb", 2), head("aa", 10)];
        let public = PublicValue::of_ledgers(&heads);
        let lines = format!("aa 10 {0}\nbb 2 {0}\n", "00".repeat(32));
        assert_eq!(public.text, format!("ledgers {}", sha256(lines.as_bytes())));
        let vault = VaultId::from_bytes([7; 16]);
        let seed = public.seed(vault);
        let text = format!("idswyft-vault/v1 sample\n{}\n{}\n", "07".repeat(16), public.text);
        assert_eq!(seed, sha256(text.as_bytes()));
        let joined = [*seed.as_bytes(), [9; 32]].concat();
        assert_eq!(rank(&seed, &PackId::from_bytes([9; 32])), *sha256(&joined).as_bytes());
    }
}
