//! PINs that are not chosen, although the alphabet and the length allow them, and how many are left. Pure.
//!
//! The rules are those that keys are known to refuse by, so that no key answers 0x37 to a PIN of ours, plus the published
//! lists of what thieves try first (`fixtures/pins/`, which names the sources). They are the same for every key.
//! Dates are not excluded: a PIN drawn uniformly is not a birthday.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::policy::Alphabet;
use crate::model::Serial;

const TRIVIAL: &str = include_str!("../../fixtures/pins/trivial.txt");

/// Why a PIN is not chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// 123456, 654321, bcdefg; digits also across the end (8901234).
    Run,
    /// 111111, 121212, 123123, 1212121.
    Repeated,
    /// 123321.
    Palindrome,
    /// One character more often than [`most_of_one`] allows.
    OneTooOften,
    /// Letters and digits were asked for, and it has only one kind.
    OneKind,
    /// On a published list.
    Listed,
    /// Part of the number printed on the key.
    InSerial,
}

/// How often one character may occur in a PIN of this length. Token2's PIN+ keys allow three of six; the rule for much longer
/// PINs is ours: a quarter.
pub fn most_of_one(length: usize) -> usize {
    (length / 4).max(3)
}

/// The published list, without comments.
fn listed() -> impl Iterator<Item = &'static str> {
    static LIST: LazyLock<Vec<&str>> = LazyLock::new(|| {
        TRIVIAL.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
    });
    LIST.iter().copied()
}

/// What is wrong with this PIN; `None` when it may be given. `pin` is ASCII in lower case, as the alphabets are.
pub fn weakness(pin: &[u8], alphabet: Alphabet, serial: Option<&Serial>) -> Option<Weakness> {
    if is_run(pin) {
        return Some(Weakness::Run);
    }
    if is_repeated(pin) {
        return Some(Weakness::Repeated);
    }
    if pin.iter().eq(pin.iter().rev()) {
        return Some(Weakness::Palindrome);
    }
    if alphabet.symbols().iter().any(|symbol| pin.iter().filter(|s| *s == symbol).count() > most_of_one(pin.len())) {
        return Some(Weakness::OneTooOften);
    }
    if alphabet == Alphabet::Alphanumeric && !mixed(pin) {
        return Some(Weakness::OneKind);
    }
    if listed().any(|entry| entry.as_bytes() == pin) {
        return Some(Weakness::Listed);
    }
    if let Some(serial) = serial {
        let printed = serial.as_str().to_ascii_lowercase();
        if !pin.is_empty() && printed.as_bytes().windows(pin.len()).any(|part| part == pin) {
            return Some(Weakness::InSerial);
        }
    }
    None
}

fn mixed(pin: &[u8]) -> bool {
    pin.iter().any(u8::is_ascii_digit) && pin.iter().any(u8::is_ascii_lowercase)
}

/// Each character follows the one before, all upwards or all downwards; after 9 comes 0.
fn is_run(pin: &[u8]) -> bool {
    let follows = |a: u8, b: u8| next(a) == Some(b);
    pin.len() > 1
        && (pin.windows(2).all(|pair| matches!(pair, [a, b] if follows(*a, *b)))
            || pin.windows(2).all(|pair| matches!(pair, [a, b] if follows(*b, *a))))
}

fn next(symbol: u8) -> Option<u8> {
    match symbol {
        b'9' => Some(b'0'),
        b'0'..=b'8' | b'a'..=b'y' => Some(symbol + 1),
        _ => None,
    }
}

/// A block that fits at least twice, over and over; the last time perhaps cut off.
fn is_repeated(pin: &[u8]) -> bool {
    (1..=pin.len() / 2).any(|period| pin.iter().zip(pin.iter().skip(period)).all(|(a, b)| a == b))
}

/// Up to this many halves are listed one by one to count exactly.
const COUNTABLE: f64 = 100_000.0;

/// How many different PINs can come out, given alphabet and length: exact for up to ten digits or six mixed characters, above
/// that a lower bound that is off by less than one in ten thousand. A serial takes away a handful more.
pub fn allowed(alphabet: Alphabet, length: u32) -> f64 {
    let n = length as usize;
    let symbols = alphabet.symbols();
    let half = u32::try_from(n.div_ceil(2)).unwrap_or(u32::MAX);
    let sound = spread(alphabet, n);
    let halves = (symbols.len() as f64).powi(i32::try_from(half).unwrap_or(i32::MAX));
    let others = listed().filter(|entry| entry.len() == n).map(|entry| entry.as_bytes().to_vec()).chain(runs(n));
    let patterned = if halves <= COUNTABLE {
        let patterned: BTreeSet<Vec<u8>> = others.chain(palindromes_and_repeats(symbols, n)).collect();
        // Those that break the rules on frequency or kind are not in `sound` to begin with.
        let in_sound = |pin: &&Vec<u8>| {
            pin.iter().all(|symbol| symbols.contains(symbol))
                && symbols.iter().all(|s| pin.iter().filter(|x| *x == s).count() <= most_of_one(n))
                && (alphabet == Alphabet::Digits || mixed(pin))
        };
        patterned.iter().filter(in_sound).count() as f64
    } else {
        let repeats: f64 = (1..=n / 2).map(|p| (symbols.len() as f64).powi(i32::try_from(p).unwrap_or(i32::MAX))).sum();
        halves + repeats + others.count() as f64
    };
    (sound - patterned).max(0.0)
}

/// The entropy of a PIN drawn by [`super::generate()`], in bits: log2 of [`allowed`].
pub fn entropy_bits(alphabet: Alphabet, length: u32) -> f64 {
    allowed(alphabet, length).max(1.0).log2()
}

/// All runs of this length over digits and letters.
fn runs(n: usize) -> impl Iterator<Item = Vec<u8>> {
    (b'0'..=b'9')
        .chain(b'a'..=b'z')
        .flat_map(move |start| {
            let up: Vec<u8> = std::iter::successors(Some(start), |s| next(*s)).take(n).collect();
            let down: Vec<u8> = up.iter().rev().copied().collect();
            [up, down]
        })
        .filter(move |run| run.len() == n)
}

fn palindromes_and_repeats(symbols: &'static [u8], n: usize) -> impl Iterator<Item = Vec<u8>> {
    let mirrored = words(symbols, n.div_ceil(2)).map(move |half| {
        let mut word = half.clone();
        word.extend(half.iter().rev().skip(n % 2));
        word
    });
    let repeated =
        (1..=n / 2).flat_map(move |p| words(symbols, p).map(move |w| w.iter().copied().cycle().take(n).collect()));
    mirrored.chain(repeated)
}

/// Every word of this length.
fn words(symbols: &'static [u8], n: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut digits = Some(vec![0usize; n]);
    std::iter::from_fn(move || {
        let now = digits.clone()?;
        let mut following = now.clone();
        let room = following.iter_mut().rev().any(|place| {
            *place = (*place + 1) % symbols.len();
            *place != 0
        });
        digits = room.then_some(following);
        Some(now.iter().filter_map(|i| symbols.get(*i)).copied().collect())
    })
}

/// Words in which no character is too frequent and, with letters, both kinds occur.
fn spread(alphabet: Alphabet, n: usize) -> f64 {
    let symbols = alphabet.symbols();
    let all = limited(symbols.len(), n);
    if alphabet == Alphabet::Digits {
        return all;
    }
    let digits = symbols.iter().filter(|s| s.is_ascii_digit()).count();
    all - limited(digits, n) - limited(symbols.len() - digits, n)
}

/// Words of length `n` over `k` characters with none more often than [`most_of_one`]: fill the places one character after another.
fn limited(k: usize, n: usize) -> f64 {
    let most = most_of_one(n);
    let mut ways = vec![0.0; n + 1];
    if let Some(first) = ways.first_mut() {
        *first = 1.0;
    }
    for _ in 0..k {
        ways = (0..=n)
            .map(|filled| {
                (0..=most.min(filled))
                    .map(|count| ways.get(filled - count).copied().unwrap_or(0.0) * choose(n - (filled - count), count))
                    .sum()
            })
            .collect();
    }
    ways.last().copied().unwrap_or(0.0)
}

fn choose(n: usize, k: usize) -> f64 {
    (0..k).fold(1.0, |product, i| product * (n - i) as f64 / (i + 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(pin: &str) -> Option<Weakness> {
        weakness(pin.as_bytes(), Alphabet::Digits, None)
    }

    #[test]
    fn patterns() {
        for (pin, why) in [
            ("123456", Weakness::Run),
            ("654321", Weakness::Run),
            ("789012", Weakness::Run),
            ("210987", Weakness::Run),
            ("000000", Weakness::Repeated),
            ("121212", Weakness::Repeated),
            ("123123", Weakness::Repeated),
            ("4747474", Weakness::Repeated),
            ("123321", Weakness::Palindrome),
            ("69233296", Weakness::Palindrome),
            ("7294927", Weakness::Palindrome),
            ("111123", Weakness::OneTooOften),
            ("990000", Weakness::OneTooOften),
            ("112233", Weakness::Listed),
            ("159753", Weakness::Listed),
            ("8675309", Weakness::Listed),
            ("2580", Weakness::Listed),
        ] {
            assert_eq!(digits(pin), Some(why), "{pin}");
        }
        for fine in ["123457", "902417", "121213", "9081726354", "111223"] {
            assert_eq!(digits(fine), None, "{fine}");
        }
        let mixed = |pin: &str| weakness(pin.as_bytes(), Alphabet::Alphanumeric, None);
        assert_eq!(mixed("bcdefg"), Some(Weakness::Run));
        assert_eq!(mixed("kdxrpt"), Some(Weakness::OneKind));
        assert_eq!(mixed("742958"), Some(Weakness::OneKind));
        assert_eq!(mixed("kd2rp9"), None);
    }

    #[test]
    fn the_whole_list_is_refused() {
        assert!(listed().count() >= 40);
        for entry in listed() {
            assert!(weakness(entry.as_bytes(), Alphabet::Digits, None).is_some(), "{entry}");
            assert_eq!(entry, entry.to_ascii_lowercase());
        }
    }

    #[test]
    fn what_is_printed_on_the_key_is_refused() {
        let serial = Serial::new("FT19283746X");
        let of = |pin: &str| weakness(pin.as_bytes(), Alphabet::Digits, Some(&serial));
        assert_eq!(of("283746"), Some(Weakness::InSerial));
        assert_eq!(of("192837"), Some(Weakness::InSerial));
        assert_eq!(of("283747"), None);
        assert_eq!(weakness(b"ft1928", Alphabet::Alphanumeric, Some(&serial)), Some(Weakness::InSerial));
        assert_eq!(weakness(b"928374655", Alphabet::Digits, Some(&Serial::new("12"))), None);
    }

    #[test]
    fn the_count_is_that_of_trying_them_all() {
        let tried = |alphabet: Alphabet, n: u32| {
            words(alphabet.symbols(), n as usize).filter(|pin| weakness(pin, alphabet, None).is_none()).count() as f64
        };
        for n in 4..=5 {
            assert_eq!(allowed(Alphabet::Digits, n), tried(Alphabet::Digits, n), "{n} digits");
        }
        assert_eq!(allowed(Alphabet::Alphanumeric, 3), tried(Alphabet::Alphanumeric, 3));
    }

    #[test]
    fn entropy_as_stated() {
        let six = entropy_bits(Alphabet::Digits, 6);
        assert_eq!(allowed(Alphabet::Digits, 6), 985_747.0);
        assert!((19.85..19.94).contains(&six), "{six}");
        let ten = entropy_bits(Alphabet::Alphanumeric, 10);
        assert!((46.2..46.44).contains(&ten), "{ten}");
        // Longer is never weaker, and the longest still counts.
        for alphabet in [Alphabet::Digits, Alphabet::Alphanumeric] {
            for n in 4..63 {
                assert!(entropy_bits(alphabet, n) < entropy_bits(alphabet, n + 1), "{alphabet} {n}");
            }
        }
    }
}
