//! The codes on paper: what a scanner at the packing table reads.
//!
//! Promise: a code is 24 digits and nothing else, because a scanner types like a keyboard and only digits survive most
//! keyboard layouts; those that they don't survive (French, Belgian, Czech, Slovak, Hungarian) are read back. The last two
//! digits are a check over all others (ISO 7064, MOD 97-10), which finds every single wrong digit and every swap of two.
//! A code holds no secret and no name: the job's id, which is a hash, and counters.
//!
//! ```text
//! 73  0123456789012345  01  01  42
//! │   │                 │   │   └ check
//! │   │                 │   └ issue: which print of this paper
//! │   │                 └ try
//! │   └ the job
//! └ what the code is on
//! ```

use std::fmt;

use crate::model::JobId;

/// What a code is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CodeKind {
    /// A key, or the bag it is in.
    Key,
    /// A parcel.
    Parcel,
    /// The sheet of a PIN letter that has the address.
    AddressSheet,
    /// The sheet of a PIN letter that has the PIN.
    PinSheet,
}

impl CodeKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Key, Self::Parcel, Self::AddressSheet, Self::PinSheet];

    /// The first two digits of its codes.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Key => "71",
            Self::Parcel => "72",
            Self::AddressSheet => "73",
            Self::PinSheet => "74",
        }
    }

    /// As the packing table calls it.
    pub fn for_people(self) -> &'static str {
        match self {
            Self::Key => "key label",
            Self::Parcel => "parcel label",
            Self::AddressSheet => "address sheet of a PIN letter",
            Self::PinSheet => "PIN sheet of a PIN letter",
        }
    }
}

/// A code on paper.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Code {
    kind: CodeKind,
    job: JobId,
    attempt: u32,
    issue: u32,
    digits: String,
}

/// Why a text is no code of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotACode {
    /// The job's id was not made by this version.
    #[error("a job with this id can't have a code")]
    Job,
    /// A try or an issue above 99.
    #[error("a code counts tries and issues to 99")]
    Count,
    /// Not 24 digits, in any keyboard layout we know.
    #[error("a code has 24 digits; this is something else")]
    Form,
    /// The check digits don't fit.
    #[error("the check digits don't fit: it was misread or mistyped")]
    Check,
    /// Digits and check are right, and it begins with a prefix that we don't use.
    #[error("it begins with {0:02}, which is on no paper of ours")]
    Prefix(u8),
}

const LENGTH: usize = 24;
/// Crockford's base32: the alphabet of [`JobId`].
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// What the row of digits types in other layouts, from 1 to 9 and then 0.
const LAYOUTS: [[char; 10]; 5] = [
    ['&', 'é', '"', '\'', '(', '-', 'è', '_', 'ç', 'à'],
    ['&', 'é', '"', '\'', '(', '§', 'è', '!', 'ç', 'à'],
    ['+', 'ě', 'š', 'č', 'ř', 'ž', 'ý', 'á', 'í', 'é'],
    ['+', 'ľ', 'š', 'č', 'ť', 'ž', 'ý', 'á', 'í', 'é'],
    ['1', '2', '3', '4', '5', '6', '7', '8', '9', 'ö'],
];

impl Code {
    /// The code of a job's paper. `issue` counts the prints of one paper from 1; labels have 1.
    ///
    /// # Errors
    /// [`NotACode::Job`], [`NotACode::Count`].
    pub fn new(kind: CodeKind, job: &JobId, attempt: u32, issue: u32) -> Result<Self, NotACode> {
        let number = number_of(job).ok_or(NotACode::Job)?;
        if attempt > 99 || issue > 99 {
            return Err(NotACode::Count);
        }
        let body = format!("{}{number:016}{attempt:02}{issue:02}", kind.prefix());
        let check = 98_u32.saturating_sub(remainder(&format!("{body}00")));
        Ok(Self { kind, job: job.clone(), attempt, issue, digits: format!("{body}{check:02}") })
    }

    /// Reads what a scanner or a person typed: blanks and dashes don't count, and the layout is found by the check digits.
    ///
    /// # Errors
    /// [`NotACode`].
    pub fn parse(text: &str) -> Result<Self, NotACode> {
        let typed: Vec<char> = text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
        let plain: String = typed.iter().filter(|c| !matches!(c, '-' | '.')).collect();
        if plain.len() == LENGTH && plain.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::from_digits(&plain);
        }
        let mut error = NotACode::Form;
        for layout in LAYOUTS {
            let digits: Option<String> = typed
                .iter()
                .map(|c| layout.iter().position(|typed| typed == c).map(|at| DIGITS_BY_KEY[at.min(9)]))
                .collect();
            match digits.filter(|digits| digits.len() == LENGTH).map(|digits| Self::from_digits(&digits)) {
                Some(Ok(code)) => return Ok(code),
                Some(Err(why)) => error = why,
                None => {}
            }
        }
        Err(error)
    }

    fn from_digits(digits: &str) -> Result<Self, NotACode> {
        if remainder(digits) != 1 {
            return Err(NotACode::Check);
        }
        let part = |from: usize, to: usize| digits.get(from..to).and_then(|part| part.parse::<u64>().ok());
        let (Some(prefix), Some(number), Some(attempt), Some(issue)) =
            (digits.get(..2), part(2, 18), part(18, 20), part(20, 22))
        else {
            return Err(NotACode::Form);
        };
        let kind = CodeKind::ALL
            .into_iter()
            .find(|kind| kind.prefix() == prefix)
            .ok_or_else(|| NotACode::Prefix(prefix.parse().unwrap_or_default()))?;
        let job = job_of(number).ok_or(NotACode::Job)?;
        let small = |number: u64| u32::try_from(number).map_err(|_| NotACode::Count);
        Ok(Self { kind, job, attempt: small(attempt)?, issue: small(issue)?, digits: digits.to_owned() })
    }

    /// What it is on.
    pub fn kind(&self) -> CodeKind {
        self.kind
    }

    /// The job.
    pub fn job(&self) -> &JobId {
        &self.job
    }

    /// The try.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Which print of this paper, from 1.
    pub fn issue(&self) -> u32 {
        self.issue
    }

    /// The 24 digits, as the symbol holds them and the ledger writes them.
    pub fn digits(&self) -> &str {
        &self.digits
    }

    /// In groups of four, for reading aloud.
    pub fn for_people(&self) -> String {
        let mut text = String::with_capacity(30);
        for (at, digit) in self.digits.chars().enumerate() {
            if at > 0 && at % 4 == 0 {
                text.push(' ');
            }
            text.push(digit);
        }
        text
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.for_people())
    }
}

const DIGITS_BY_KEY: [char; 10] = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '0'];

/// How a key is called on its label and in its owner's PIN letter: `7H2KQ-0M4XA`, with the try where it is not the first.
/// It says whose key it is to nobody but the ledger.
pub fn key_reference(job: &JobId, attempt: u32) -> String {
    let (first, second) = job.as_str().split_at_checked(5).unwrap_or((job.as_str(), ""));
    let mut text = if second.is_empty() { first.to_owned() } else { format!("{first}-{second}") };
    if attempt > 1 {
        text.push_str(&format!("/{attempt}"));
    }
    text
}

/// The remainder by 97 of a number of any length; 0 for what is no digit.
fn remainder(digits: &str) -> u32 {
    digits.chars().filter_map(|digit| digit.to_digit(10)).fold(0, |rest, digit| (rest * 10 + digit) % 97)
}

fn number_of(job: &JobId) -> Option<u64> {
    let text = job.as_str().as_bytes();
    if text.len() != 10 {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let value = ALPHABET.iter().position(|letter| letter == byte)?;
        Some(number * 32 + value as u64)
    })
}

fn job_of(mut number: u64) -> Option<JobId> {
    let mut text = [b'0'; 10];
    for slot in text.iter_mut().rev() {
        *slot = ALPHABET[(number % 32) as usize];
        number /= 32;
    }
    (number == 0).then(|| JobId::new(String::from_utf8_lossy(&text).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> Code {
        Code::new(CodeKind::PinSheet, &JobId::new("7H2KQ0M4XA"), 1, 2).expect("a code")
    }

    #[test]
    fn a_code_is_read_back() {
        for kind in CodeKind::ALL {
            for job in ["7H2KQ0M4XA", "0000000000", "ZZZZZZZZZZ"] {
                let made = Code::new(kind, &JobId::new(job), 12, 3).expect("a code");
                assert_eq!((made.digits().len(), Code::parse(made.digits())), (LENGTH, Ok(made.clone())));
                assert_eq!(Code::parse(&format!(" {}\r\n", made.for_people())), Ok(made));
            }
        }
    }

    #[test]
    fn every_wrong_digit_and_every_swap_is_found() {
        let right = code();
        let digits: Vec<char> = right.digits().chars().collect();
        for at in 0..digits.len() {
            for other in '0'..='9' {
                let mut wrong = digits.clone();
                wrong[at] = other;
                let read = Code::parse(&wrong.iter().collect::<String>());
                assert_eq!(read == Ok(right.clone()), other == digits[at], "{wrong:?}");
            }
            let mut swapped = digits.clone();
            swapped.swap(at, (at + 1) % digits.len());
            if swapped != digits && at + 1 < digits.len() {
                assert_eq!(Code::parse(&swapped.iter().collect::<String>()), Err(NotACode::Check));
            }
        }
    }

    /// A scanner presses the keys of the row of digits; what they type is the layout's affair.
    #[test]
    fn other_keyboard_layouts_are_read() {
        let made = code();
        for layout in LAYOUTS {
            let typed: String = made
                .digits()
                .chars()
                .map(|digit| layout[(digit.to_digit(10).expect("a digit") as usize + 9) % 10])
                .collect();
            assert_eq!(Code::parse(&typed), Ok(made.clone()), "{typed}");
        }
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for (text, why) in [
            ("", NotACode::Form),
            ("19283746", NotACode::Form),
            ("jgbjgbvcvcvcvcvcvcvcvcvc", NotACode::Form),
            ("740000000000000000010100", NotACode::Check),
        ] {
            assert_eq!(Code::parse(text), Err(why), "{text}");
        }
        let stranger = "990000000000000000010100";
        let check = 98 - remainder(stranger);
        assert_eq!(Code::parse(&format!("{}{check:02}", &stranger[..22])), Err(NotACode::Prefix(99)));
        assert_eq!(Code::new(CodeKind::Key, &JobId::new("J"), 1, 1), Err(NotACode::Job));
        assert_eq!(Code::new(CodeKind::Key, &JobId::new("0000000000"), 100, 1), Err(NotACode::Count));
    }

    #[test]
    fn a_key_reference_tells_tries_apart() {
        assert_eq!(key_reference(&JobId::new("7H2KQ0M4XA"), 1), "7H2KQ-0M4XA");
        assert_eq!(key_reference(&JobId::new("7H2KQ0M4XA"), 2), "7H2KQ-0M4XA/2");
    }
}
