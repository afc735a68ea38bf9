//! CBOR as CTAP2 uses it: canonical when written, bounded when read (CTAP 2.1 §8).
//!
//! Promise: [`Value::encode`] gives the one canonical form, whatever order members were added in. [`decode`] never
//! panics, never recurses deeper than [`MAX_DEPTH`] and never allocates by a length that only the sender claims. It refuses
//! indefinite lengths, repeated map keys, bad UTF-8 and bytes left over. Exception, for keys that are a little careless: map
//! order and the shortness of integers are not insisted on.

use std::fmt;
use std::ops::Range;

/// Nesting that is still read. CTAP2 allows four levels; attestation statements of other makers have been seen with more.
pub const MAX_DEPTH: usize = 16;

/// One CBOR item.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// Major type 0.
    Unsigned(u64),
    /// Major type 1; the number is `-1 - n`.
    Negative(u64),
    /// Major type 2.
    Bytes(Vec<u8>),
    /// Major type 3.
    Text(String),
    /// Major type 4.
    Array(Vec<Value>),
    /// Major type 5, in the order it was read or built.
    Map(Vec<(Value, Value)>),
    /// Major type 6.
    Tag(u64, Box<Value>),
    /// Major type 7: true and false.
    Bool(bool),
    /// Major type 7: null, undefined, floats and other simple values, by additional information (22 is null) and argument.
    Simple(u8, u64),
}

/// Why bytes are not CBOR that this reader takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// The bytes end inside an item.
    #[error("the CBOR ends in the middle of an item")]
    Short,
    /// Bytes follow the item.
    #[error("{0} bytes follow the CBOR item")]
    Trailing(usize),
    /// Deeper than [`MAX_DEPTH`].
    #[error("the CBOR is nested too deeply")]
    TooDeep,
    /// Indefinite length, which CTAP2 forbids, or a reserved value.
    #[error("the CBOR uses a form that CTAP2 forbids (initial byte 0x{0:02x})")]
    Forbidden(u8),
    /// A text string is not UTF-8.
    #[error("a CBOR text string is not UTF-8")]
    NotUtf8,
    /// A map holds one key twice.
    #[error("a CBOR map holds a key twice")]
    Repeated,
    /// The item is of another type than a map.
    #[error("the CBOR item is not a map")]
    NotAMap,
}

impl Value {
    /// The null value.
    pub const NULL: Self = Self::Simple(22, 22);

    /// An integer of either sign.
    pub fn int(number: i64) -> Self {
        match u64::try_from(number) {
            Ok(number) => Self::Unsigned(number),
            // !number is -1 - number, which is not negative here.
            Err(_) => Self::Negative(u64::from_ne_bytes((!number).to_ne_bytes())),
        }
    }

    /// A text string.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A byte string.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Bytes(bytes.into())
    }

    /// The number, when it is an unsigned integer.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Unsigned(number) => Some(*number),
            _ => None,
        }
    }

    /// The number, when it is an integer that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Unsigned(number) => i64::try_from(*number).ok(),
            Self::Negative(number) => i64::try_from(*number).ok().map(|number| -1 - number),
            _ => None,
        }
    }

    /// The bytes, when it is a byte string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The text, when it is a text string.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, when it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The items, when it is an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The members, when it is a map.
    pub fn as_map(&self) -> Option<&[(Self, Self)]> {
        match self {
            Self::Map(members) => Some(members),
            _ => None,
        }
    }

    /// The member of a map under an integer key.
    pub fn member(&self, key: i64) -> Option<&Self> {
        let key = Self::int(key);
        self.as_map()?.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// The member of a map under a text key.
    pub fn named(&self, key: &str) -> Option<&Self> {
        self.as_map()?.iter().find(|(name, _)| name.as_text() == Some(key)).map(|(_, value)| value)
    }

    /// The canonical encoding: shortest integers, map keys by encoded length and then bytewise (CTAP 2.1 §8).
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Unsigned(number) => write_head(out, 0, *number),
            Self::Negative(number) => write_head(out, 1, *number),
            Self::Bytes(bytes) => {
                write_head(out, 2, bytes.len() as u64);
                out.extend_from_slice(bytes);
            }
            Self::Text(text) => {
                write_head(out, 3, text.len() as u64);
                out.extend_from_slice(text.as_bytes());
            }
            Self::Array(items) => {
                write_head(out, 4, items.len() as u64);
                items.iter().for_each(|item| item.write(out));
            }
            Self::Map(members) => {
                let mut encoded: Vec<(Vec<u8>, &Self)> =
                    members.iter().map(|(key, value)| (key.encode(), value)).collect();
                encoded.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
                write_head(out, 5, encoded.len() as u64);
                for (key, value) in encoded {
                    out.extend_from_slice(&key);
                    value.write(out);
                }
            }
            Self::Tag(number, inner) => {
                write_head(out, 6, *number);
                inner.write(out);
            }
            Self::Bool(value) => out.push(if *value { 0xF5 } else { 0xF4 }),
            Self::Simple(info, argument) => {
                let bytes = argument.to_be_bytes();
                out.push(0xE0 | (info & 0x1F));
                match info {
                    24 => out.extend_from_slice(&bytes[7..]),
                    25 => out.extend_from_slice(&bytes[6..]),
                    26 => out.extend_from_slice(&bytes[4..]),
                    27 => out.extend_from_slice(&bytes),
                    _ => {}
                }
            }
        }
    }
}

fn write_head(out: &mut Vec<u8>, major: u8, number: u64) {
    let major = major << 5;
    let bytes = number.to_be_bytes();
    match number {
        0..=23 => out.push(major | bytes[7]),
        24..=0xFF => out.extend_from_slice(&[major | 24, bytes[7]]),
        0x100..=0xFFFF => {
            out.push(major | 25);
            out.extend_from_slice(&bytes[6..]);
        }
        0x1_0000..=0xFFFF_FFFF => {
            out.push(major | 26);
            out.extend_from_slice(&bytes[4..]);
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&bytes);
        }
    }
}

impl fmt::Debug for Value {
    /// Shape only: requests hold what was encrypted from PINs, and answers hold names of people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(number) => write!(f, "{number}"),
            Self::Negative(number) => write!(f, "-{}", u128::from(*number) + 1),
            Self::Bytes(bytes) => write!(f, "<{} bytes>", bytes.len()),
            Self::Text(text) => write!(f, "<text of {} bytes>", text.len()),
            Self::Array(items) => f.debug_list().entries(items).finish(),
            Self::Map(members) => f.debug_map().entries(members.iter().map(|(k, v)| (k, v))).finish(),
            Self::Tag(number, inner) => write!(f, "{number}({inner:?})"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Simple(info, argument) => write!(f, "simple({info}, {argument})"),
        }
    }
}

/// Builds a request: integer keys, members added in any order, absent ones left out.
#[derive(Default)]
pub struct Members(Vec<(Value, Value)>);

impl Members {
    /// No members yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a member under an integer key.
    #[must_use]
    pub fn with(mut self, key: i64, value: Value) -> Self {
        self.0.push((Value::int(key), value));
        self
    }

    /// Adds a member under a text key.
    #[must_use]
    pub fn with_name(mut self, key: &str, value: Value) -> Self {
        self.0.push((Value::text(key), value));
        self
    }

    /// Adds a member when there is one.
    #[must_use]
    pub fn maybe(self, key: i64, value: Option<Value>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// Nothing was added.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The map.
    pub fn into_value(self) -> Value {
        Value::Map(self.0)
    }
}

/// Reads exactly one item.
///
/// # Errors
/// [`CborError`] as the module's head says.
pub fn decode(bytes: &[u8]) -> Result<Value, CborError> {
    let mut reader = Reader { bytes, at: 0 };
    let value = reader.value(MAX_DEPTH)?;
    match bytes.len() - reader.at {
        0 => Ok(value),
        left => Err(CborError::Trailing(left)),
    }
}

/// The members of the map that `bytes` is: each key, and where its value's own bytes lie. That is how an attestation
/// statement is kept byte for byte. Everything in it has been walked and is well-formed.
///
/// # Errors
/// [`CborError::NotAMap`], and what [`decode`] says.
pub fn raw_members(bytes: &[u8]) -> Result<Vec<(Value, Range<usize>)>, CborError> {
    let mut reader = Reader { bytes, at: 0 };
    let (major, count, _) = reader.head()?;
    if major != 5 {
        return Err(CborError::NotAMap);
    }
    let mut members: Vec<(Value, Range<usize>)> = Vec::new();
    for _ in 0..count {
        let key = reader.value(MAX_DEPTH - 1)?;
        let start = reader.at;
        reader.value(MAX_DEPTH - 1)?;
        if members.iter().any(|(other, _)| *other == key) {
            return Err(CborError::Repeated);
        }
        members.push((key, start..reader.at));
    }
    match bytes.len() - reader.at {
        0 => Ok(members),
        left => Err(CborError::Trailing(left)),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], CborError> {
        let end = self.at.checked_add(count).ok_or(CborError::Short)?;
        let taken = self.bytes.get(self.at..end).ok_or(CborError::Short)?;
        self.at = end;
        Ok(taken)
    }

    fn number(&mut self, width: usize) -> Result<u64, CborError> {
        Ok(self.take(width)?.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    /// Major type, argument and additional information.
    fn head(&mut self) -> Result<(u8, u64, u8), CborError> {
        let first = self.take(1)?.first().copied().ok_or(CborError::Short)?;
        let (major, info) = (first >> 5, first & 0x1F);
        let argument = match info {
            0..=23 => u64::from(info),
            24 => self.number(1)?,
            25 => self.number(2)?,
            26 => self.number(4)?,
            27 => self.number(8)?,
            _ => return Err(CborError::Forbidden(first)),
        };
        Ok((major, argument, info))
    }

    fn value(&mut self, depth: usize) -> Result<Value, CborError> {
        let depth = depth.checked_sub(1).ok_or(CborError::TooDeep)?;
        let (major, argument, info) = self.head()?;
        // A length that does not fit is a length that is not there.
        let length = || usize::try_from(argument).map_err(|_| CborError::Short);
        Ok(match major {
            0 => Value::Unsigned(argument),
            1 => Value::Negative(argument),
            2 => Value::Bytes(self.take(length()?)?.to_vec()),
            3 => {
                let text = std::str::from_utf8(self.take(length()?)?).map_err(|_| CborError::NotUtf8)?;
                Value::Text(text.to_owned())
            }
            4 => {
                let mut items = Vec::new();
                for _ in 0..argument {
                    items.push(self.value(depth)?);
                }
                Value::Array(items)
            }
            5 => {
                let mut members: Vec<(Value, Value)> = Vec::new();
                for _ in 0..argument {
                    let key = self.value(depth)?;
                    let value = self.value(depth)?;
                    if members.iter().any(|(other, _)| *other == key) {
                        return Err(CborError::Repeated);
                    }
                    members.push((key, value));
                }
                Value::Map(members)
            }
            6 => Value::Tag(argument, Box::new(self.value(depth)?)),
            _ => match info {
                20 => Value::Bool(false),
                21 => Value::Bool(true),
                _ => Value::Simple(info, argument),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::int),
            any::<u64>().prop_map(Value::Unsigned),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
            "[a-zäß]{0,30}".prop_map(Value::Text),
            any::<bool>().prop_map(Value::Bool),
            Just(Value::NULL),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
                proptest::collection::btree_map(-40i64..300, inner, 0..5)
                    .prop_map(|map| Value::Map(map.into_iter().map(|(k, v)| (Value::int(k), v)).collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
            let _ = raw_members(&bytes);
        }

        #[test]
        fn what_is_written_is_read(value in any_value()) {
            let bytes = value.encode();
            let read = decode(&bytes).expect("our own encoding");
            // The canonical form of what was read is what was read.
            prop_assert_eq!(read.encode(), bytes);
        }
    }

    #[test]
    fn map_keys_are_sorted_by_length_and_then_bytes() {
        // CTAP 2.1 §8: 1 before 24 before -1? No: shorter encodings first, then bytewise: 0x01, 0x20 (-1), 0x18 18 (24), "a", "aa".
        let map = Members::new()
            .with_name("aa", Value::NULL)
            .with(24, Value::NULL)
            .with_name("a", Value::NULL)
            .with(-1, Value::NULL)
            .with(1, Value::NULL)
            .into_value();
        assert_eq!(
            map.encode(),
            [0xA5, 0x01, 0xF6, 0x20, 0xF6, 0x18, 0x18, 0xF6, 0x61, b'a', 0xF6, 0x62, b'a', b'a', 0xF6]
        );
    }

    #[test]
    fn integers_take_their_shortest_form() {
        for (number, bytes) in [
            (0i64, &[0x00][..]),
            (23, &[0x17]),
            (24, &[0x18, 24]),
            (256, &[0x19, 1, 0]),
            (65536, &[0x1A, 0, 1, 0, 0]),
            (-1, &[0x20]),
            (-25, &[0x38, 24]),
            (-257, &[0x39, 1, 0]),
            (i64::MIN, &[0x3B, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
        ] {
            assert_eq!(Value::int(number).encode(), bytes);
            assert_eq!(decode(bytes).expect("valid").as_i64(), Some(number));
        }
    }

    #[test]
    fn hostile_bytes_are_refused_cheaply() {
        assert_eq!(decode(&[]), Err(CborError::Short));
        // Claims of gigabytes with nothing behind them.
        assert_eq!(decode(&[0x5B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), Err(CborError::Short));
        assert_eq!(decode(&[0x9B, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), Err(CborError::Short));
        assert_eq!(decode(&[0x81; 5000]), Err(CborError::TooDeep));
        assert_eq!(decode(&[0xC1; 5000]), Err(CborError::TooDeep));
        assert_eq!(decode(&[0x5F, 0x41, 0, 0xFF]), Err(CborError::Forbidden(0x5F)));
        assert_eq!(decode(&[0x61, 0xFF]), Err(CborError::NotUtf8));
        assert_eq!(decode(&[0xA2, 1, 1, 1, 2]), Err(CborError::Repeated));
        assert_eq!(decode(&[0x01, 0x02]), Err(CborError::Trailing(1)));
    }

    #[test]
    fn raw_members_point_at_the_very_bytes() {
        // {1: "packed", 3: {"z": 1, "a": h'00'}}, the inner map in an order that is not canonical.
        let inner = [0xA2, 0x61, b'z', 0x01, 0x61, b'a', 0x41, 0x00];
        let mut bytes = vec![0xA2, 0x01, 0x66];
        bytes.extend_from_slice(b"packed");
        bytes.push(0x03);
        bytes.extend_from_slice(&inner);
        let members = raw_members(&bytes).expect("a map");
        let (_, range) = members.iter().find(|(key, _)| key.as_u64() == Some(3)).expect("member 3");
        assert_eq!(&bytes[range.clone()], inner);
        assert_eq!(raw_members(&[0x80]), Err(CborError::NotAMap));
    }

    #[test]
    fn debug_shows_no_content() {
        let shown = format!("{:?}", Value::Array(vec![Value::text("7345109"), Value::bytes(*b"7345109")]));
        assert!(!shown.contains("7345109"), "{shown}");
    }
}
