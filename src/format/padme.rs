//! Padmé: padded lengths that reveal little of the true one. Spec: §4.
//!
//! Source: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with
//! PURBs", PoPETs 2019, §4. Of a length L only O(log log L) bits show; at most 12 % is added.

use crate::base::limits::PADDED_LEN_MIN;

/// Returns the padded length of `len` bytes: the next Padmé length, and the minimum at least.
pub fn padded_len(len: u64) -> u64 {
    if len <= PADDED_LEN_MIN {
        return PADDED_LEN_MIN;
    }
    let exponent = len.ilog2();
    let kept_bits = exponent.ilog2() + 1;
    let mask = (1u64 << (exponent - kept_bits)) - 1;
    (len + mask) & !mask
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V-28
    #[test]
    fn padded_lengths_are_pinned() {
        for (len, padded) in [
            (0, 65_536),
            (1, 65_536),
            (65_536, 65_536),
            (65_537, 67_584),
            (100_000, 100_352),
            (1_000_000, 1_015_808),
            (33_554_433, 34_603_008),
        ] {
            assert_eq!(padded_len(len), padded, "{len}");
        }
    }

    /// V-28
    #[test]
    fn padding_adds_at_most_twelve_percent_and_is_stable() {
        for step in 0..5_000u64 {
            let len = PADDED_LEN_MIN + step * 7_919;
            let padded = padded_len(len);
            assert!(padded >= len && (padded - len) * 100 <= len * 12);
            assert_eq!(padded_len(padded), padded);
        }
    }
}
