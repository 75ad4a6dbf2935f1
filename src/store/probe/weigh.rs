//! What follows from what an endpoint does not do: the table of `capabilities.md` §3.

use serde::Serialize;

use super::{Capability, Probe, Verdict, Wanted};
use crate::store::StorageClass;

/// How much something matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// The store cannot be used as it is configured.
    Refused,
    /// A promise does not hold there.
    Warning,
    /// There is a fallback, or it could not be seen.
    Note,
}

/// Something that is not as it is best.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shortfall {
    /// How much it matters.
    pub weight: Weight,
    /// What it is about.
    pub capability: Capability,
    /// How it showed.
    pub detail: String,
    /// What follows, and what to do.
    pub remedy: &'static str,
}

impl Probe {
    /// Returns what is not as it is best, the weightiest first.
    pub fn shortfalls(&self, wanted: &Wanted) -> Vec<Shortfall> {
        let mut found: Vec<Shortfall> = Capability::ALL
            .iter()
            .filter_map(|&capability| self.shortfall(capability, wanted))
            .collect();
        found.sort_by_key(|shortfall| (shortfall.weight, shortfall.capability));
        found
    }

    fn shortfall(&self, capability: Capability, wanted: &Wanted) -> Option<Shortfall> {
        let verdict = self.verdict(capability);
        if verdict == Verdict::Yes || (!self.is_tried() && !self.seen.contains_key(&capability)) {
            return None;
        }
        let (weight, remedy) = self.weigh(capability, verdict, wanted)?;
        let seen = self.seen.get(&capability);
        let detail = seen.map_or("it was not tried".to_owned(), |seen| seen.detail.clone());
        Some(Shortfall { weight, capability, detail, remedy })
    }

    /// Weighs a capability that was not seen to work: the table of `capabilities.md` §3.
    fn weigh(
        &self,
        capability: Capability,
        verdict: Verdict,
        wanted: &Wanted,
    ) -> Option<(Weight, &'static str)> {
        use Capability as C;
        use Weight::{Note, Refused, Warning};
        let locks = wanted.object_lock.is_some();
        let is_unknown = verdict == Verdict::Unknown;
        // What keeps an old version keeps it from whoever puts another over it as well.
        let is_versioned = self.has(C::Versioning);
        Some(match capability {
            C::BytesKept => {
                (Refused, "do not use this endpoint: what is put does not come back as it was")
            }
            C::PackLen => (Refused, "lower pack_len of the vault, or use another endpoint"),
            C::Versioning | C::LockConfiguration | C::VersionId | C::Lock if locks => (
                Refused,
                "object_lock is configured and cannot be relied on: make a bucket with Object \
                 Lock, or take object_lock out of the config",
            ),
            C::NoDefaultRetention if verdict == Verdict::No && locks => (
                Refused,
                "remove the bucket's default retention: its dates would override those of the \
                 vault",
            ),
            C::NoDefaultRetention if verdict == Verdict::No => (
                Warning,
                "remove the bucket's default retention: nothing could be pruned before it ends; \
                 then see with `store check` what the endpoint does",
            ),
            C::NoDefaultRetention => return None,
            C::Class if wanted.pack_class != StorageClass::Standard => (
                Refused,
                "the endpoint does not keep packs in the class of pack_class: choose another \
                 class or endpoint",
            ),
            C::Encryption if wanted.encryption => (
                Refused,
                "the endpoint does not say that it encrypts: take sse out of the config (packs \
                 are sealed without it), or use another endpoint",
            ),
            C::Clock if verdict == Verdict::No => (
                Warning,
                "set the clocks: requests are refused and lock dates are wrong when they differ",
            ),
            C::PutNew | C::PutNewAtOnce if is_versioned => (
                Note,
                "names are looked at before they are put; versioning keeps what is put over, and \
                 readers take the oldest version that verifies",
            ),
            C::PutNew | C::PutNewAtOnce => (
                Warning,
                "names are looked at before they are put; two runs at a time could overwrite each \
                 other: switch versioning on",
            ),
            C::ChecksumTaken => (Note, "an MD5 is sent instead of the SHA-256"),
            C::ChecksumChecked => (
                Warning,
                "the endpoint does not notice bytes that were changed on the way: every file is \
                 hashed before it is sent, and `verify --level bytes` is what proves it",
            ),
            C::ChecksumReturned => (
                Note,
                "`verify --level stored` compares sizes alone here; use --level bytes now and then",
            ),
            C::Versioning if self.has(C::PutOverRefused) => (
                Note,
                "nothing is put over an object, but what is deleted is gone: versioning would \
                 keep it",
            ),
            C::Versioning => (
                Warning,
                "a hostile host can overwrite what it wrote: switch versioning on, or let the \
                 bucket's policy require s3:if-none-match",
            ),
            C::PutOverRefused if is_versioned => return None,
            C::PutOverRefused => return None,
            C::VersionId if is_versioned => {
                (Note, "receipts name no version; versions are told apart by their times")
            }
            C::ListVersions if is_versioned => (
                Warning,
                "older versions cannot be found by readers: give them s3:ListBucketVersions",
            ),
            C::RetentionBounded if locks => (
                if is_unknown { Note } else { Warning },
                "bound s3:PutObjectRetention with s3:object-lock-remaining-retention-days in the \
                 bucket's policy: a hostile host could lock objects for a hundred years",
            ),
            C::RestoreStatus if wanted.pack_class.is_archive() => {
                (Note, "each pack is asked for by itself while a thaw is waited for")
            }
            C::Delete if verdict == Verdict::No => {
                (Note, "retention needs credentials that may delete; a janitor's will do")
            }
            _ => return None,
        })
    }
}
