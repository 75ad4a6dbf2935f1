//! Bytes that look random and are the same at every run.

/// A stream of pseudo-random numbers (SplitMix64, Steele et al. 2014); good enough for pictures.
#[derive(Debug, Clone)]
pub struct Noise(u64);

impl Noise {
    /// Begins the stream of a subject and a number within it.
    pub fn of(subject: &str, number: u64) -> Self {
        let seed = subject.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut noise = Self(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        noise.next();
        noise
    }

    /// Returns the next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number of `from..to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from)
    }

    /// Returns one of several.
    pub fn pick<'a, T>(&mut self, values: &'a [T]) -> &'a T {
        let count = u64::try_from(values.len()).unwrap_or(u64::MAX);
        let at = usize::try_from(self.between(0, count)).unwrap_or(0);
        &values[at]
    }

    /// Appends so many bytes.
    pub fn fill(&mut self, bytes: &mut Vec<u8>, len: usize) {
        let end = bytes.len() + len;
        while bytes.len() < end {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(end);
    }

    /// Returns a random UUID.
    pub fn uuid(&mut self) -> String {
        let high = (self.next() & !0xf000) | 0x4000;
        let low = (self.next() & (u64::MAX >> 2)) | (1 << 63);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_repeats_itself_and_differs_between_subjects_and_numbers() {
        let bytes = |subject, number| {
            let mut bytes = Vec::new();
            Noise::of(subject, number).fill(&mut bytes, 33);
            bytes
        };
        assert_eq!((bytes("a", 1), bytes("a", 1).len()), (bytes("a", 1), 33));
        assert_ne!(bytes("a", 1), bytes("a", 2));
        assert_ne!(bytes("a", 1), bytes("b", 1));
        let uuid = Noise::of("a", 1).uuid();
        assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"));
        assert!(matches!(&uuid[19..20], "8" | "9" | "a" | "b"));
    }
}
