//! Which PINs the bench gives, and what it then asks of the key. Pure.
//!
//! Two steps: [`PinPolicy::check`] looks at the settings together before any key is touched; [`PinPolicy::for_key`] fits them
//! to one key. A key can make a PIN longer, never shorter.

use std::fmt;

use serde::{Deserialize, Serialize};

/// No key takes a shorter PIN (CTAP 2.1 §6.5.1), in code points.
pub const SHORTEST: u32 = 4;
/// No key takes a longer PIN (CTAP 2.1 §6.5.1): 63 bytes, and our characters take one each.
pub const LONGEST: u32 = 63;
/// Length unless the settings say otherwise, in code points.
pub const DEFAULT_LENGTH: u32 = 6;
/// Keys with a complexity rule of their own want this many characters of a PIN with letters (Token2 PIN+).
const COMPLEX_ALPHANUMERIC: u32 = 10;

/// The characters PINs are made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alphabet {
    /// 0 to 9.
    #[default]
    Digits,
    /// Lower-case letters and digits that are not misread and that sit on the same key everywhere: without a, q, w, y, z and m,
    /// which move between QWERTY, QWERTZ and AZERTY (a lock screen may have another layout than the desk), and without i, l, o,
    /// 0 and 1, which look alike on paper.
    Alphanumeric,
}

impl Alphabet {
    /// Its characters, each one byte in UTF-8; digits last.
    pub const fn symbols(self) -> &'static [u8] {
        match self {
            Self::Digits => b"0123456789",
            Self::Alphanumeric => b"bcdefghjknprstuvx23456789",
        }
    }
}

impl fmt::Display for Alphabet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Digits => "digits",
            Self::Alphanumeric => "alphanumeric",
        })
    }
}

/// Whether the person has to choose a PIN of their own at first use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForceChange {
    /// Where the key can; others go out with the bench's PIN.
    #[default]
    WhenSupported,
    /// Always; a key that can't is refused.
    Require,
    /// Never.
    Never,
}

/// The `[pin]` table of the settings, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PinSettings {
    /// Length in code points; [`DEFAULT_LENGTH`] when missing.
    pub length: Option<u32>,
    /// Characters.
    pub alphabet: Alphabet,
    /// Forced change.
    pub force_change: ForceChange,
    /// The minimum length to set on the key, in code points; [`Self::length`] when missing.
    pub minimum: Option<u32>,
}

/// Why no PIN can be given under these settings, or not to this key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinPolicyError {
    /// `length` below what any key takes.
    #[error("[pin] length = {0} is too short: no key takes fewer than 4 characters. Next: set length to 6 or more")]
    TooShort(u32),
    /// `length` above what any key takes.
    #[error("[pin] length = {0} is too long: no key takes more than 63 characters. Next: set length to 63 or less")]
    TooLong(u32),
    /// `minimum` below what every key has from the start.
    #[error(
        "[pin] minimum = {0} can't be set: a key's minimum is 4 from the start and can only rise. Next: set it to 4 or more, or leave it out"
    )]
    MinimumTooLow(u32),
    /// `minimum` above what any key takes.
    #[error(
        "[pin] minimum = {0} can't be met: no key takes more than 63 characters. Next: set it to 63 or less, or leave it out"
    )]
    MinimumTooHigh(u32),
    /// CTAP 2.1 §6.11.4: a minimum above the present PIN's length forces a change by itself.
    #[error(
        "[pin] minimum = {minimum} is more than length = {length}: the key would then force a change of PIN by itself, but force_change = \"never\". Next: lower minimum, raise length, or allow the forced change"
    )]
    MinimumForces {
        /// The length of the bench's PINs.
        length: u32,
        /// The minimum to set.
        minimum: u32,
    },
    /// The key's PINs are shorter than the policy's.
    #[error(
        "the key takes PINs of at most {key} characters, the policy asks for {wanted}. Next: use another model, or lower [pin] length and minimum"
    )]
    KeyTooShort {
        /// `maxPINLength`.
        key: u32,
        /// What would be needed.
        wanted: u32,
    },
    /// The key tells limits that no PIN meets.
    #[error(
        "the key asks for PINs of {minimum} to {maximum} characters, which no PIN meets. Next: set the key aside; it is not as the specification asks"
    )]
    KeyContradicts {
        /// `minPINLength`.
        minimum: u32,
        /// `maxPINLength`.
        maximum: u32,
    },
    /// `force_change = "require"` and the key can't.
    #[error(
        "the key can't force a change of PIN, and the policy requires it. Next: use a model that can (CTAP 2.1 with setMinPINLength), or set [pin] force_change = \"when-supported\""
    )]
    CannotForce,
}

/// Checked settings: there are PINs that meet them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinPolicy {
    length: u32,
    alphabet: Alphabet,
    force_change: ForceChange,
    minimum: u32,
}

impl Default for PinPolicy {
    fn default() -> Self {
        Self {
            length: DEFAULT_LENGTH,
            alphabet: Alphabet::Digits,
            force_change: ForceChange::WhenSupported,
            minimum: DEFAULT_LENGTH,
        }
    }
}

impl PinPolicy {
    /// Checks the settings together.
    ///
    /// # Errors
    /// Everything that is wrong with them, at once.
    pub fn check(settings: &PinSettings) -> Result<Self, Vec<PinPolicyError>> {
        let length = settings.length.unwrap_or(DEFAULT_LENGTH);
        let mut wrong = Vec::new();
        match length {
            n if n < SHORTEST => wrong.push(PinPolicyError::TooShort(n)),
            n if n > LONGEST => wrong.push(PinPolicyError::TooLong(n)),
            _ => {}
        }
        match settings.minimum {
            Some(n) if n < SHORTEST => wrong.push(PinPolicyError::MinimumTooLow(n)),
            Some(n) if n > LONGEST => wrong.push(PinPolicyError::MinimumTooHigh(n)),
            Some(minimum) if minimum > length && settings.force_change == ForceChange::Never => {
                wrong.push(PinPolicyError::MinimumForces { length, minimum });
            }
            _ => {}
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self {
            length,
            alphabet: settings.alphabet,
            force_change: settings.force_change,
            minimum: settings.minimum.unwrap_or(length),
        })
    }

    /// Length in code points, before a key asks for more.
    pub fn length(&self) -> u32 {
        self.length
    }

    /// Characters.
    pub fn alphabet(&self) -> Alphabet {
        self.alphabet
    }

    /// Forced change.
    pub fn force_change(&self) -> ForceChange {
        self.force_change
    }

    /// The minimum to set on keys that can, in code points.
    pub fn minimum(&self) -> u32 {
        self.minimum
    }

    /// Fits the policy to one key.
    ///
    /// # Errors
    /// [`PinPolicyError::KeyTooShort`], [`PinPolicyError::KeyContradicts`] or [`PinPolicyError::CannotForce`].
    pub fn for_key(&self, key: &KeyPinFacts) -> Result<KeyPinPlan, PinPolicyError> {
        let key_minimum = key.min_pin_length.unwrap_or(SHORTEST).max(SHORTEST);
        let key_maximum = key.max_pin_length.unwrap_or(LONGEST).min(LONGEST);
        if key_minimum > key_maximum {
            return Err(PinPolicyError::KeyContradicts { minimum: key_minimum, maximum: key_maximum });
        }
        let mut length = self.length.max(key_minimum);
        if key.complexity && self.alphabet == Alphabet::Alphanumeric {
            length = length.max(COMPLEX_ALPHANUMERIC);
        }
        let forced = match (self.force_change, key.can_set_pin_rules) {
            (ForceChange::Require, false) => return Err(PinPolicyError::CannotForce),
            (ForceChange::Never, _) => PlannedChange::NotAsked,
            (ForceChange::WhenSupported, false) => PlannedChange::Unsupported,
            (ForceChange::WhenSupported | ForceChange::Require, true) => PlannedChange::Force,
        };
        // Nobody could choose a PIN on a key whose minimum is above its maximum: refused as the PIN itself would be.
        let minimum = if key.can_set_pin_rules { self.minimum.max(key_minimum) } else { key_minimum };
        let wanted = length.max(minimum);
        if wanted > key_maximum {
            return Err(PinPolicyError::KeyTooShort { key: key_maximum, wanted });
        }
        Ok(KeyPinPlan { length, alphabet: self.alphabet, forced, minimum, key_minimum, complexity: key.complexity })
    }
}

/// What a key's getInfo says of PINs. `None` is "not told".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyPinFacts {
    /// `minPINLength` (0x0D), in code points.
    pub min_pin_length: Option<u32>,
    /// `maxPINLength` (0x1D).
    pub max_pin_length: Option<u32>,
    /// `pinComplexityPolicy` (0x1B) is true: the key refuses PINs that it finds weak with 0x37.
    pub complexity: bool,
    /// The options `authnrCfg` and `setMinPINLength` are true: minimum and forced change can be set.
    pub can_set_pin_rules: bool,
}

/// What will be asked of a key about changing the PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlannedChange {
    /// `forceChangePin`.
    Force,
    /// Left off by policy or for the person's first device.
    NotAsked,
    /// The key can't.
    Unsupported,
}

/// The policy as one key can have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPinPlan {
    length: u32,
    alphabet: Alphabet,
    forced: PlannedChange,
    minimum: u32,
    key_minimum: u32,
    complexity: bool,
}

impl KeyPinPlan {
    /// Length of the PIN to draw, in code points.
    pub fn length(&self) -> u32 {
        self.length
    }

    /// Characters to draw from.
    pub fn alphabet(&self) -> Alphabet {
        self.alphabet
    }

    /// What to ask about changing it.
    pub fn forced(&self) -> PlannedChange {
        self.forced
    }

    /// The minimum length the key has in the end, in code points: `minPINLength` must then be at least this.
    pub fn minimum(&self) -> u32 {
        self.minimum
    }

    /// `newMinPINLength` to send, when the key's present minimum is lower.
    pub fn minimum_to_set(&self) -> Option<u32> {
        (self.minimum > self.key_minimum).then_some(self.minimum)
    }

    /// Whether `setMinPINLength` has anything to do.
    pub fn has_rules_to_set(&self) -> bool {
        self.minimum_to_set().is_some() || self.forced == PlannedChange::Force
    }

    /// The key judges PINs by a rule of its own. Ours keep every published rule ([`super::weak`]); should it still answer 0x37
    /// to a PIN of the right length, drawing and sealing another one is all there is to do.
    pub fn key_may_refuse(&self) -> bool {
        self.complexity
    }

    /// The same without a forced change, for a person whose first device can't do one. A minimum above the PIN's length
    /// would force a change by itself, so it is lowered to that length.
    #[must_use]
    pub fn without_forced_change(self) -> Self {
        let forced = match self.forced {
            PlannedChange::Force => PlannedChange::NotAsked,
            other => other,
        };
        Self { forced, minimum: self.minimum.min(self.length), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(length: Option<u32>, minimum: Option<u32>, force: ForceChange) -> Result<PinPolicy, Vec<PinPolicyError>> {
        PinPolicy::check(&PinSettings { length, minimum, force_change: force, alphabet: Alphabet::Digits })
    }

    const ABLE: KeyPinFacts =
        KeyPinFacts { min_pin_length: Some(4), max_pin_length: Some(63), complexity: false, can_set_pin_rules: true };

    #[test]
    fn defaults_are_six_digits_and_the_same_minimum() {
        let policy = PinPolicy::check(&PinSettings::default()).expect("valid");
        assert_eq!(policy, PinPolicy::default());
        let plan = policy.for_key(&ABLE).expect("fits");
        assert_eq!((plan.length(), plan.minimum_to_set(), plan.forced()), (6, Some(6), PlannedChange::Force));
    }

    #[test]
    fn impossible_settings_are_refused_all_at_once() {
        use ForceChange::{Never, Require, WhenSupported};
        assert_eq!(check(Some(3), None, Never), Err(vec![PinPolicyError::TooShort(3)]));
        assert_eq!(
            check(Some(64), Some(99), Require),
            Err(vec![PinPolicyError::TooLong(64), PinPolicyError::MinimumTooHigh(99)])
        );
        assert_eq!(check(None, Some(0), Never), Err(vec![PinPolicyError::MinimumTooLow(0)]));
        assert_eq!(check(None, Some(8), Never), Err(vec![PinPolicyError::MinimumForces { length: 6, minimum: 8 }]));
        // The person has to choose a longer one anyhow.
        assert!(check(None, Some(8), Require).is_ok());
        assert!(check(None, Some(8), WhenSupported).is_ok());
        assert!(check(Some(63), Some(63), Never).is_ok());
        assert!(check(Some(8), Some(4), Never).is_ok());
    }

    #[test]
    fn settings_read_as_documented() {
        let read = |text: &str| toml::from_str::<PinSettings>(text);
        let settings = read("length = 8\nalphabet = \"alphanumeric\"\nforce_change = \"when-supported\"\nminimum = 6")
            .expect("reads");
        assert_eq!(settings.alphabet, Alphabet::Alphanumeric);
        assert_eq!((settings.length, settings.minimum), (Some(8), Some(6)));
        assert_eq!(read("").expect("reads"), PinSettings::default());
        assert!(read("force_change = \"sometimes\"").is_err());
    }

    #[test]
    fn a_key_makes_a_pin_longer_and_never_shorter() {
        let policy = PinPolicy::default();
        let plan = policy.for_key(&KeyPinFacts { min_pin_length: Some(8), ..ABLE }).expect("fits");
        assert_eq!((plan.length(), plan.minimum(), plan.minimum_to_set()), (8, 8, None));
        assert!(plan.has_rules_to_set(), "the forced change");
        assert_eq!(
            policy.for_key(&KeyPinFacts { max_pin_length: Some(5), ..ABLE }),
            Err(PinPolicyError::KeyTooShort { key: 5, wanted: 6 })
        );
        assert!(matches!(
            policy.for_key(&KeyPinFacts { min_pin_length: Some(u32::MAX), ..ABLE }),
            Err(PinPolicyError::KeyContradicts { .. })
        ));
        // A minimum that no PIN on this key could meet.
        let strict = check(Some(6), Some(20), ForceChange::Require).expect("valid");
        assert_eq!(
            strict.for_key(&KeyPinFacts { max_pin_length: Some(16), ..ABLE }),
            Err(PinPolicyError::KeyTooShort { key: 16, wanted: 20 })
        );
    }

    #[test]
    fn a_key_that_cannot_force() {
        let facts = KeyPinFacts::default();
        let plan = PinPolicy::default().for_key(&facts).expect("fits");
        assert_eq!(plan.forced(), PlannedChange::Unsupported);
        assert!(!plan.has_rules_to_set());
        let require = check(None, None, ForceChange::Require).expect("valid");
        assert_eq!(require.for_key(&facts), Err(PinPolicyError::CannotForce));
    }

    #[test]
    fn leaving_the_forced_change_off_does_not_force_by_the_minimum() {
        let policy = check(Some(6), Some(8), ForceChange::WhenSupported).expect("valid");
        let plan = policy.for_key(&ABLE).expect("fits").without_forced_change();
        assert_eq!((plan.forced(), plan.minimum_to_set()), (PlannedChange::NotAsked, Some(6)));
    }

    #[test]
    fn keys_with_rules_of_their_own_get_longer_mixed_pins() {
        let policy = PinPolicy::check(&PinSettings { alphabet: Alphabet::Alphanumeric, ..PinSettings::default() })
            .expect("valid");
        let complex = KeyPinFacts { complexity: true, ..ABLE };
        assert_eq!(policy.for_key(&complex).expect("fits").length(), 10);
        assert_eq!(policy.for_key(&ABLE).expect("fits").length(), 6);
        assert_eq!(PinPolicy::default().for_key(&complex).expect("fits").length(), 6);
    }

    #[test]
    fn the_alphabets_leave_out_what_is_misread_or_moves() {
        for symbol in b"aqwyzmilo01" {
            assert!(!Alphabet::Alphanumeric.symbols().contains(symbol), "{symbol}");
        }
        for alphabet in [Alphabet::Digits, Alphabet::Alphanumeric] {
            let mut sorted = alphabet.symbols().to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), alphabet.symbols().len());
            assert!(sorted.iter().all(|s| s.is_ascii_lowercase() || s.is_ascii_digit()));
        }
    }
}
