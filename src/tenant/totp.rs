//! Time-based one-time codes (RFC 6238 over RFC 4226), so that a token can be activated by whoever may open its seed. Pure.
//!
//! Exception to wiping: the HMAC library keeps its key schedule on the stack while a code is computed.

use ring::hmac;
use zeroize::{Zeroize as _, Zeroizing};

/// The hash of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// HMAC-SHA-1, what most tokens have.
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
}

impl Hash {
    /// Graph's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sha1 => "hmacsha1",
            Self::Sha256 => "hmacsha256",
        }
    }

    /// Reads Graph's word, or a vendor's.
    pub fn parse(text: &str) -> Option<Self> {
        let plain: String = text.chars().filter(|c| c.is_ascii_alphanumeric()).flat_map(char::to_lowercase).collect();
        match plain.as_str() {
            "hmacsha1" | "sha1" => Some(Self::Sha1),
            "hmacsha256" | "sha256" => Some(Self::Sha256),
            _ => None,
        }
    }
}

/// The code for a moment: `digits` of them, at most 8, in the step of `interval` seconds that `unix_seconds` falls into.
pub fn code(seed: &[u8], hash: Hash, interval: u32, digits: u32, unix_seconds: u64) -> Zeroizing<String> {
    let counter = unix_seconds / u64::from(interval.max(1));
    let algorithm = match hash {
        Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => hmac::HMAC_SHA256,
    };
    let tag = hmac::sign(&hmac::Key::new(algorithm, seed), &counter.to_be_bytes());
    let bytes = tag.as_ref();
    // RFC 4226 §5.3: the last nibble says where the four bytes begin; the tag has at least 20.
    let start = bytes.last().map_or(0, |last| usize::from(last & 0x0f));
    let four = bytes.get(start..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
    let number = u32::from_be_bytes(four) & 0x7fff_ffff;
    let digits = digits.clamp(1, 8);
    let width = usize::try_from(digits).unwrap_or(6);
    Zeroizing::new(format!("{:0width$}", number % 10u32.pow(digits)))
}

/// Base32 (RFC 4648 §6) to bytes; case, blanks, dashes and padding are no matter. `None` for anything else.
pub fn base32(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let (mut bits, mut held) = (0u32, 0u32);
    for c in text.trim_end_matches('=').bytes().filter(|c| !matches!(c, b' ' | b'-')) {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a',
            b'2'..=b'7' => c - b'2' + 26,
            _ => return None,
        };
        held = held << 5 | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            // infallible: masked to a byte
            bytes.push(u8::try_from(held >> bits & 0xff).unwrap_or_default());
            held &= (1 << bits) - 1;
        }
    }
    held.zeroize();
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 6238, appendix B.
    #[test]
    fn the_vectors_of_the_rfc() {
        const SHA1: &[u8] = b"12345678901234567890";
        const SHA256: &[u8] = b"12345678901234567890123456789012";
        for (time, sha1, sha256) in [
            (59, "94287082", "46119246"),
            (1_111_111_109, "07081804", "68084774"),
            (1_111_111_111, "14050471", "67062674"),
            (1_234_567_890, "89005924", "91819424"),
            (2_000_000_000, "69279037", "90698825"),
            (20_000_000_000, "65353130", "77737706"),
        ] {
            assert_eq!(code(SHA1, Hash::Sha1, 30, 8, time).as_str(), sha1, "{time}");
            assert_eq!(code(SHA256, Hash::Sha256, 30, 8, time).as_str(), sha256, "{time}");
        }
        // Six digits are the last six of the eight.
        assert_eq!(code(SHA1, Hash::Sha1, 30, 6, 1_111_111_109).as_str(), "081804");
    }

    /// RFC 4648 §10.
    #[test]
    fn base32_as_vendors_write_it() {
        for (text, bytes) in [
            ("MZXW6YTBOI======", "foobar"),
            ("mzxw6ytboi", "foobar"),
            ("MZXW 6YTB-OI", "foobar"),
            ("MY======", "f"),
            ("MZXQ====", "fo"),
            ("MZXW6===", "foo"),
        ] {
            assert_eq!(base32(text).map(|found| found.to_vec()).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        for bad in ["", "====", "A1", "M0", "MZXW8"] {
            assert_eq!(base32(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(seed: Vec<u8>, interval: u32, digits: u32, time: u64, text in "\\PC{0,60}") {
            for hash in [Hash::Sha1, Hash::Sha256] {
                let code = code(&seed, hash, interval, digits, time);
                prop_assert!((1..=8).contains(&code.len()) && code.bytes().all(|c| c.is_ascii_digit()));
            }
            let _ = base32(&text);
        }
    }
}
