//! Drawing a PIN.
//!
//! Promise: every PIN that the plan allows is equally likely. Bytes that would favour some characters are thrown away, and a
//! weak PIN is thrown away whole, never mended.

use zeroize::Zeroizing;

use super::policy::{Alphabet, KeyPinPlan};
use super::weak;
use crate::model::pin::NotAPin;
use crate::model::{Pin, Serial};
use crate::world::{Entropy, NoEntropy};

/// Why no PIN came out.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The system gave no random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// A thousand weak ones in a row: what comes is not random.
    #[error(
        "the random bytes of this system make no usable PIN, so they can't be random. Next: don't provision on this machine; look at its random number generator"
    )]
    NotRandom,
    /// The plan asks for what no key takes; settings that were checked never do.
    #[error(transparent)]
    NotAPin(#[from] NotAPin),
}

/// More than one in ten is never weak, so this many in a row don't happen.
const TRIES: usize = 1000;

/// Draws a PIN for one key. `serial` is the number printed on it: the PIN is no part of that.
///
/// # Errors
/// [`GenerateError`]; nothing may be set on the key then.
pub fn generate(entropy: &dyn Entropy, plan: &KeyPinPlan, serial: Option<&Serial>) -> Result<Pin, GenerateError> {
    let length = plan.length() as usize;
    for _ in 0..TRIES {
        let text = draw(entropy, plan.alphabet(), length)?;
        if weak::weakness(text.as_bytes(), plan.alphabet(), serial).is_none() {
            return Ok(Pin::new(text)?);
        }
    }
    Err(GenerateError::NotRandom)
}

/// The entropy of what [`generate`] returns, in bits.
pub fn entropy_bits(plan: &KeyPinPlan) -> f64 {
    weak::entropy_bits(plan.alphabet(), plan.length())
}

fn draw(entropy: &dyn Entropy, alphabet: Alphabet, length: usize) -> Result<Zeroizing<String>, GenerateError> {
    let symbols = alphabet.symbols();
    // The largest multiple of the alphabet's size that fits a byte: what lies above would make the first characters likelier.
    let fair = 256 - 256 % symbols.len();
    let mut text = Zeroizing::new(String::with_capacity(length));
    let mut bytes = Zeroizing::new([0u8; 64]);
    for _ in 0..TRIES {
        entropy.fill(bytes.as_mut_slice())?;
        for byte in bytes.iter().map(|b| usize::from(*b)).filter(|b| *b < fair) {
            if text.len() == length {
                return Ok(text);
            }
            if let Some(symbol) = symbols.get(byte % symbols.len()) {
                text.push(char::from(*symbol));
            }
        }
        if text.len() == length {
            return Ok(text);
        }
    }
    Err(GenerateError::NotRandom)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::pin::policy::{KeyPinFacts, PinPolicy, PinSettings};

    /// The same bytes on every run: SHA-256 of a counter.
    struct Seeded(Mutex<u64>);

    impl Entropy for Seeded {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
            let mut counter = self.0.lock().map_err(|_| NoEntropy("poisoned".into()))?;
            for chunk in buffer.chunks_mut(32) {
                *counter += 1;
                let block = Sha256::digest(counter.to_be_bytes());
                chunk.copy_from_slice(&block[..chunk.len()]);
            }
            Ok(())
        }
    }

    struct Constant(u8);

    impl Entropy for Constant {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
            buffer.fill(self.0);
            Ok(())
        }
    }

    fn plan(alphabet: Alphabet, length: u32) -> KeyPinPlan {
        let settings = PinSettings { alphabet, length: Some(length), ..PinSettings::default() };
        PinPolicy::check(&settings).expect("valid").for_key(&KeyPinFacts::default()).expect("fits")
    }

    #[test]
    fn characters_are_uniform_at_every_place() {
        for (alphabet, length) in [(Alphabet::Digits, 6), (Alphabet::Alphanumeric, 10)] {
            let symbols = alphabet.symbols();
            let (entropy, plan) = (Seeded(Mutex::new(7)), plan(alphabet, length));
            let mut counts = vec![vec![0u32; symbols.len()]; length as usize];
            const DRAWS: u32 = 5000;
            for _ in 0..DRAWS {
                let pin = generate(&entropy, &plan, None).expect("a PIN");
                assert_eq!(pin.code_points(), length as usize);
                for (place, byte) in pin.expose().bytes().enumerate() {
                    counts[place][symbols.iter().position(|s| *s == byte).expect("in the alphabet")] += 1;
                }
            }
            let expected = f64::from(DRAWS) / symbols.len() as f64;
            for place in counts {
                assert!(place.iter().all(|count| *count > 0));
                let chi: f64 = place.iter().map(|c| (f64::from(*c) - expected).powi(2) / expected).sum();
                // The 99.99th percentile for 9 and for 24 degrees of freedom. Small bias is the next test's affair.
                let limit = if symbols.len() == 10 { 34.0 } else { 59.0 };
                assert!(chi < limit, "{alphabet}: chi² {chi}");
            }
        }
    }

    /// 0, 1, 2 … 255 and again.
    struct Counting(Mutex<u8>);

    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
            let mut next = self.0.lock().map_err(|_| NoEntropy("poisoned".into()))?;
            for byte in buffer {
                *byte = *next;
                *next = next.wrapping_add(1);
            }
            Ok(())
        }
    }

    #[test]
    fn equal_bytes_make_equal_characters() {
        for (alphabet, length) in [(Alphabet::Digits, 250), (Alphabet::Alphanumeric, 250)] {
            // Every byte comes once: then every character comes equally often, exactly.
            let text = draw(&Counting(Mutex::new(0)), alphabet, length).expect("a text");
            let each = length / alphabet.symbols().len();
            for symbol in alphabet.symbols() {
                assert_eq!(text.bytes().filter(|byte| byte == symbol).count(), each, "{alphabet}");
            }
        }
    }

    #[test]
    fn a_biased_byte_is_thrown_away() {
        // 250..=255 would favour the digits 0 to 5.
        assert!(matches!(draw(&Constant(250), Alphabet::Digits, 6), Err(GenerateError::NotRandom)));
        assert!(draw(&Constant(249), Alphabet::Digits, 6).is_ok());
        assert!(matches!(draw(&Constant(255), Alphabet::Alphanumeric, 6), Err(GenerateError::NotRandom)));
    }

    #[test]
    fn no_weak_pin_comes_out() {
        let entropy = Seeded(Mutex::new(1));
        let plan = plan(Alphabet::Digits, 4);
        let serial = Serial::new("19283746");
        let mut different = std::collections::BTreeSet::new();
        for _ in 0..30_000 {
            let pin = generate(&entropy, &plan, Some(&serial)).expect("a PIN");
            assert_eq!(weak::weakness(pin.expose().as_bytes(), Alphabet::Digits, Some(&serial)), None);
            different.insert(pin.expose().to_owned());
        }
        // Nearly all of those that are allowed have come; with 30,000 draws some 4 % are still missing.
        let allowed = weak::allowed(Alphabet::Digits, 4);
        assert!(different.len() as f64 > allowed * 0.93 && different.len() as f64 <= allowed);
    }

    #[test]
    fn a_source_that_is_not_random_gives_no_pin() {
        let result = generate(&Constant(3), &plan(Alphabet::Digits, 6), None);
        assert!(matches!(result, Err(GenerateError::NotRandom)));
    }
}
