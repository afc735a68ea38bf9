//! A password that nobody keeps: long, random, sent once, wiped.
//!
//! Promise: drawn uniformly from the system's randomness; it leaves as a [`Secret`] and is in no error. It is never shown and
//! never stored: the account is used by key or pass, and a password nobody has can't be phished.

use zeroize::Zeroizing;

use crate::model::Secret;
use crate::world::{Entropy, NoEntropy};

/// Characters of a password: 96 × 6.4 bits, within Entra's 256.
pub const LENGTH: usize = 96;

/// Printable and plain in JSON: none needs an escape.
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&()*+,-./:;<=>?@[]^_{|}~";

/// Draws one. Entra asks for three of upper case, lower case, digits and signs; all four are in it.
///
/// # Errors
/// [`NoEntropy`]; no account may be made then.
pub fn password(entropy: &dyn Entropy) -> Result<Secret<String>, NoEntropy> {
    // Bytes above would make the first characters likelier.
    let fair = 256 - 256 % ALPHABET.len();
    let mut bytes = Zeroizing::new([0u8; 128]);
    for _ in 0..64 {
        // One allocation of the full size: growing would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(LENGTH));
        while text.len() < LENGTH {
            entropy.fill(bytes.as_mut_slice())?;
            let before = text.len();
            for byte in bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair) {
                if text.len() < LENGTH
                    && let Some(symbol) = ALPHABET.get(byte % ALPHABET.len())
                {
                    text.push(char::from(*symbol));
                }
            }
            if text.len() == before {
                return Err(NoEntropy("what it gives is not random".into()));
            }
        }
        let has = |is: fn(&char) -> bool| text.chars().any(|c| is(&c));
        if has(char::is_ascii_uppercase)
            && has(char::is_ascii_lowercase)
            && has(char::is_ascii_digit)
            && has(char::is_ascii_punctuation)
        {
            return Ok(Secret::new(std::mem::take(&mut *text)));
        }
    }
    Err(NoEntropy("what it gives is not random".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::SystemEntropy;

    struct Constant(u8);

    impl Entropy for Constant {
        fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
            buffer.fill(self.0);
            Ok(())
        }
    }

    #[test]
    fn it_is_long_different_each_time_and_needs_no_escape() {
        let first = password(&SystemEntropy).expect("random");
        let second = password(&SystemEntropy).expect("random");
        assert_eq!(first.expose().len(), LENGTH);
        assert_ne!(first.expose(), second.expose());
        let json = serde_json::to_string(first.expose()).expect("JSON");
        assert_eq!(json.len(), LENGTH + 2, "no escapes");
    }

    #[test]
    fn what_is_not_random_makes_none() {
        assert!(password(&Constant(0)).is_err());
        assert!(password(&Constant(255)).is_err());
    }
}
