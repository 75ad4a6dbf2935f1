//! What a vault and its source are like.

use idswyft_vault::base::limits::{
    GENERATION_MAX_AGE_DAYS_DEFAULT, GENERATION_MAX_AGE_DAYS_KEPT_DEFAULT, GRACE_DAYS_DEFAULT,
    PACK_LEN_DEFAULT, RETIRE_BELOW_PERCENT_DEFAULT, REUSE_DAYS_DEFAULT, REUSE_DAYS_MONTHLY_DEFAULT,
};
use idswyft_vault::policy::{Policy, PolicyFields};

use super::cost::Prices;

/// For how long a pack is kept for a writer that may lean on it (I9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaning {
    /// `reuse` and `grace` from the day of the newest snapshot that named it.
    AsNamed,
    /// Likewise, but no longer than its generation is open: nobody leans on a closed one.
    UntilClosed,
}

/// What changes from night to night; lengths are stored bytes.
#[derive(Debug, Clone)]
pub struct SourceSetup {
    /// Pieces of the dump, and their length.
    pub stream: (usize, u64),
    /// How many of a thousand pieces of the dump are others the next night. 1 to 2 % of the rows
    /// are some 7 % of the chunks.
    pub stream_permille: u64,
    /// Files that come each night, and their length.
    pub files: (usize, u64),
    /// Nights after which a file goes; never, if there are none.
    pub file_nights: Option<usize>,
    /// Pieces of the tree for a thousand files, and their length.
    pub tree: (usize, u64),
    /// How often in a thousand nights a file comes back that went before.
    pub comeback_permille: u64,
}

impl SourceSetup {
    /// Returns a small installation: a dump of 92 MB, 17 MB of uploads a day that live 90 days.
    ///
    /// `scale` divides all counts.
    pub const fn usual(scale: usize) -> Self {
        Self {
            stream: (2800 / scale, 32 * 1024),
            stream_permille: 70,
            files: (52 / scale, 330 * 1024),
            file_nights: Some(90),
            tree: (10, 4 * 1024),
            comeback_permille: 20,
        }
    }

    /// Returns the same, where every file stays.
    pub const fn kept(scale: usize) -> Self {
        Self { file_nights: None, ..Self::usual(scale) }
    }
}

/// A vault, its source and its luck.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What it is called in tables and curves.
    pub name: &'static str,
    /// The retention policy.
    pub policy: Policy,
    /// Days after which a generation closes.
    pub max_age_days: Option<u32>,
    /// Percent of a pack below which nothing leans on it.
    pub retire_below_percent: u64,
    /// Days for which a writer leans on what it named.
    pub reuse_days: u32,
    /// Days beyond those for which a prune waits.
    pub grace_days: u32,
    /// Stored bytes at which a pack is closed.
    pub pack_len: u64,
    /// How I9 is read.
    pub leaning: Leaning,
    /// What the store of the packs costs.
    pub prices: Prices,
    /// What is archived.
    pub source: SourceSetup,
    /// How often in a thousand nights the host dies, and how often the janitor.
    pub crash_permille: u64,
    /// Nights between two plans of the janitor.
    pub plan_nights: usize,
    /// Where chance begins.
    pub seed: u64,
}

impl Setup {
    /// Makes a vault of the defaults with a policy, as a config has it.
    ///
    /// # Panics
    /// If the policy is none.
    pub fn of(name: &'static str, policy: &str, source: SourceSetup) -> Self {
        let fields: PolicyFields = toml::from_str(policy).expect("it is a policy");
        Self {
            name,
            policy: Policy::new(fields).expect("it does not contradict itself"),
            max_age_days: Some(GENERATION_MAX_AGE_DAYS_DEFAULT),
            retire_below_percent: u64::from(RETIRE_BELOW_PERCENT_DEFAULT),
            reuse_days: REUSE_DAYS_DEFAULT,
            grace_days: GRACE_DAYS_DEFAULT,
            pack_len: PACK_LEN_DEFAULT,
            leaning: Leaning::UntilClosed,
            prices: Prices::STANDARD,
            source,
            crash_permille: 20,
            plan_nights: 1,
            seed: 1,
        }
    }

    /// Returns the policies that are looked at, at a scale.
    pub fn all(scale: usize) -> Vec<Self> {
        let usual = || SourceSetup::usual(scale);
        let daily = |name| Self::of(name, "keep_daily = 30", usual());
        let monthly = |name| Self {
            prices: Prices::DEEP_ARCHIVE,
            ..Self::of(name, "every = 'month'\nkeep_monthly = 84\nfloor = '5y'", usual())
        };
        let mut all = vec![
            daily("daily 30"),
            Self { leaning: Leaning::AsNamed, ..daily("daily 30, waits after closing") },
            Self { retire_below_percent: 0, ..daily("daily 30, nothing retired") },
            Self::of(
                "14 daily, 8 weekly, 12 monthly",
                "keep_daily = 14\nkeep_weekly = 8\nkeep_monthly = 12\nfloor = '7d'",
                usual(),
            ),
            // A month is longer than the 30 days for which a writer leans by default.
            Self { reuse_days: REUSE_DAYS_MONTHLY_DEFAULT, ..monthly("84 months, cold") },
            monthly("84 months, cold, leans 30 d"),
        ];
        let everything = [
            ("everything, 180 d", Some(180)),
            ("everything, 1 y", Some(365)),
            ("everything, 2 y", Some(730)),
            ("everything, 5 y", Some(GENERATION_MAX_AGE_DAYS_KEPT_DEFAULT)),
            ("everything, never", None),
        ];
        for (name, max_age_days) in everything {
            all.push(Self::everything(name, max_age_days, scale));
        }
        for (name, nth) in [("everything, 1 y, cold", 1), ("everything, 5 y, cold", 3)] {
            let prices = Prices::DEEP_ARCHIVE;
            all.push(Self { prices, ..Self::everything(name, everything[nth].1, scale) });
        }
        all
    }

    /// Makes a vault that keeps every snapshot of files that stay; a plan is made once a month,
    /// as nothing goes by it.
    pub fn everything(name: &'static str, max_age_days: Option<u32>, scale: usize) -> Self {
        let (retire_below_percent, plan_nights) = (0, 30);
        let plain = Self::of(name, "every = 'week'", SourceSetup::kept(scale));
        Self { retire_below_percent, plan_nights, max_age_days, ..plain }
    }
}
