//! A key's PIN, in the clear and sealed.
//!
//! Promise: a [`Pin`] is wiped when dropped and is never printed, cloned or serialized. [`SealedPin`] is the only form
//! that may be stored. The one way to the digits is [`Pin::expose`].

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// The most bytes CTAP2 lets a PIN have in UTF-8 (CTAP 2.1 §6.5.1); a key may allow fewer (`maxPINLength`).
pub const MAX_PIN_BYTES: usize = 63;

/// A PIN in the clear: UTF-8, Unicode NFC, 1 to 63 bytes, no NUL.
pub struct Pin(Zeroizing<String>);

/// Why a text can't be a PIN on any key. It says nothing of the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAPin {
    /// Nothing was given.
    #[error("a PIN can't be empty")]
    Empty,
    /// More than [`MAX_PIN_BYTES`] in UTF-8.
    #[error("a PIN has at most 63 bytes in UTF-8")]
    TooLong,
    /// CTAP2 pads PINs with NUL, so they can't contain it.
    #[error("a PIN can't contain a NUL character")]
    Nul,
}

impl Pin {
    /// Normalizes to NFC (CTAP 2.1 §6.5.1) and checks what holds on every key.
    ///
    /// # Errors
    /// [`NotAPin`] when the text is empty, longer than 63 bytes or holds a NUL.
    pub fn new(text: Zeroizing<String>) -> Result<Self, NotAPin> {
        // Decomposed and composed length can differ by a small factor; one allocation, so that none is left behind unwiped.
        let mut nfc = Zeroizing::new(String::with_capacity(text.len().saturating_mul(3)));
        nfc.extend(text.nfc());
        match nfc.len() {
            0 => Err(NotAPin::Empty),
            n if n > MAX_PIN_BYTES => Err(NotAPin::TooLong),
            _ if nfc.contains('\0') => Err(NotAPin::Nul),
            _ => Ok(Self(nfc)),
        }
    }

    /// The PIN itself. Pass it straight on to the key or the envelope; don't store it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Length in Unicode code points: the unit of `minPINLength` (CTAP 2.1 §6.4, member 0x0D).
    pub fn code_points(&self) -> usize {
        self.0.chars().count()
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(…)")
    }
}

/// A PIN that only its custodian can read, and, until the job is finished, the bench that made it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedPin {
    /// An age file for the custodians. With [`Self::dual`] it holds another age file: opening it takes one identity of
    /// each group.
    pub custodian: Vec<u8>,
    /// An age file for the job's resume key, which lives outside the ledger and is deleted when the job is finished.
    pub resume: Vec<u8>,
    /// Sealed to two groups, one inside the other.
    pub dual: bool,
}

impl fmt::Debug for SealedPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SealedPin {{ custodian: {} bytes, resume: {} bytes, dual: {} }}",
            self.custodian.len(),
            self.resume.len(),
            self.dual
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(text: &str) -> Result<Pin, NotAPin> {
        Pin::new(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn a_pin_is_nfc_and_bounded() {
        // e + combining acute becomes one code point of two bytes.
        let composed = pin("e\u{301}123").expect("a PIN");
        assert_eq!(composed.expose(), "\u{e9}123");
        assert_eq!(composed.code_points(), 4);
        assert_eq!(pin("").err(), Some(NotAPin::Empty));
        assert_eq!(pin(&"1".repeat(64)).err(), Some(NotAPin::TooLong));
        assert!(pin(&"1".repeat(63)).is_ok());
        assert_eq!(pin("12\u{0}4").err(), Some(NotAPin::Nul));
    }

    #[test]
    fn debug_shows_nothing() {
        let shown = format!("{:?}", pin("7345109").expect("a PIN"));
        assert!(!shown.contains('7'), "{shown}");
    }
}
