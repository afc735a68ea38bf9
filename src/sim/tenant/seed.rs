//! Everything random in the simulated tenant follows from its seed, so that a run can be had again.
//! Not fit for real secrets, and not used for any.

use sha2::{Digest as _, Sha256};

/// A source of bytes that are the same for the same seed and label.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seed(pub(super) u64);

impl Seed {
    /// `count` bytes: SHA-256 over seed, label and a counter.
    pub(super) fn bytes(self, label: &str, count: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(count + 32);
        let mut block = 0u64;
        while out.len() < count {
            let mut hash = Sha256::new();
            hash.update(self.0.to_be_bytes());
            hash.update(block.to_be_bytes());
            hash.update(label.as_bytes());
            out.extend_from_slice(&hash.finalize());
            block += 1;
        }
        out.truncate(count);
        out
    }

    /// A GUID of version 4's form.
    pub(super) fn guid(self, label: &str) -> String {
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&self.bytes(label, 16));
        uuid::Builder::from_random_bytes(bytes).into_uuid().hyphenated().to_string()
    }

    /// A number in `0.0..1.0`.
    pub(super) fn fraction(self, label: &str) -> f64 {
        let bytes = self.bytes(label, 4);
        let number = bytes.iter().fold(0u32, |sum, byte| (sum << 8) | u32::from(*byte));
        f64::from(number) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_and_another_gives_another() {
        assert_eq!(Seed(1).bytes("a", 70), Seed(1).bytes("a", 70));
        assert_ne!(Seed(1).bytes("a", 16), Seed(2).bytes("a", 16));
        assert_ne!(Seed(1).bytes("a", 16), Seed(1).bytes("b", 16));
        assert!(uuid::Uuid::parse_str(&Seed(7).guid("x")).is_ok());
        assert!((0.0..1.0).contains(&Seed(7).fraction("x")));
    }
}
