//! What the packs of a vault cost, with fees: list prices of one region, in millionths of a dollar.

use super::run::Night;

/// Bytes that are billed as one GB.
const GB: u64 = 1 << 30;
/// Days of a month, as it is billed.
const MONTH_DAYS: u64 = 30;

/// What a storage class costs, in millionths of a dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prices {
    /// A GB for a month.
    pub gb_month: u64,
    /// A thousand objects put.
    pub put_1000: u64,
    /// Bytes that are billed for each object besides its own, at this class.
    pub object_len: u64,
    /// Bytes that are billed for each object besides, as `STANDARD`.
    pub index_len: u64,
    /// Days for which an object is paid for at least.
    pub days_min: u32,
}

impl Prices {
    /// `STANDARD`.
    pub const STANDARD: Self =
        Self { gb_month: 23_000, put_1000: 5_000, object_len: 0, index_len: 0, days_min: 0 };
    /// `DEEP_ARCHIVE`.
    pub const DEEP_ARCHIVE: Self = Self {
        gb_month: 990,
        put_1000: 50_000,
        object_len: 32 * 1024,
        index_len: 8 * 1024,
        days_min: 180,
    };

    /// Returns what a night costs: a day of storage, what was put, and what was deleted too early.
    pub fn of(&self, night: &Night) -> u64 {
        let share = |len: u64, price: u64| {
            let product = u128::from(len) * u128::from(price);
            u64::try_from(product / u128::from(GB * MONTH_DAYS)).unwrap_or(u64::MAX)
        };
        let stored = night.stored_len + night.pack_count * self.object_len;
        share(stored, self.gb_month)
            + share(night.pack_count * self.index_len, Self::STANDARD.gb_month)
            + night.put_count * self.put_1000 / 1000
            + share(night.early_byte_days, self.gb_month)
    }
}
