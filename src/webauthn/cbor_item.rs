//! One CBOR item, together with exactly the bytes it was written in.
//!
//! What a key signed must be passed on as it stands, so nothing here is ever encoded again.

use ciborium::Value;

/// Deeper nesting than any attestation has; keeps hostile input off the stack.
const MAX_DEPTH: usize = 16;

/// The bytes are no CBOR item, or an item nested deeper than [`MAX_DEPTH`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed CBOR")]
pub struct MalformedCbor;

/// Takes the first item off `input`: its value and its bytes.
pub(super) fn take<'a>(input: &mut &'a [u8]) -> Result<(Value, &'a [u8]), MalformedCbor> {
    let whole = *input;
    let mut rest = whole;
    let value: Value =
        ciborium::de::from_reader_with_recursion_limit(&mut rest, MAX_DEPTH).map_err(|_| MalformedCbor)?;
    let used = whole.len().checked_sub(rest.len()).ok_or(MalformedCbor)?;
    let raw = whole.get(..used).ok_or(MalformedCbor)?;
    *input = rest;
    Ok((value, raw))
}

/// The one item that `input` consists of; anything after it is malformed.
pub(super) fn only(input: &[u8]) -> Result<Value, MalformedCbor> {
    let mut rest = input;
    let (value, _) = take(&mut rest)?;
    if rest.is_empty() { Ok(value) } else { Err(MalformedCbor) }
}

/// The head of an item of `major` type (0 to 7) whose argument is `length`, in the shortest form (RFC 8949 §4.2.1).
pub(super) fn head(major: u8, length: usize) -> Vec<u8> {
    let major = major << 5;
    match length as u64 {
        n @ 0..=23 => vec![major | n as u8],
        n @ 24..=0xff => vec![major | 24, n as u8],
        n @ 0x100..=0xffff => [&[major | 25][..], &(n as u16).to_be_bytes()].concat(),
        n @ 0x1_0000..=0xffff_ffff => [&[major | 26][..], &(n as u32).to_be_bytes()].concat(),
        n => [&[major | 27][..], &n.to_be_bytes()].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_taken_with_its_own_bytes() {
        // The integer 1 in two bytes (not canonical), then "a".
        let input = [0x18, 0x01, 0x61, b'a'];
        let mut rest = &input[..];
        let (value, raw) = take(&mut rest).expect("an item");
        assert_eq!((value, raw), (Value::from(1), &input[..2]));
        assert_eq!(rest, &input[2..]);
        assert_eq!(only(&input), Err(MalformedCbor));
        assert_eq!(only(&input[2..]), Ok(Value::from("a")));
    }

    #[test]
    fn hostile_items_are_refused() {
        assert_eq!(only(&[0x81; 4000]), Err(MalformedCbor));
        // Claims 2^63 elements, and 2^63 bytes.
        assert_eq!(only(&[0x9b, 0x80, 0, 0, 0, 0, 0, 0, 0, 1]), Err(MalformedCbor));
        assert_eq!(only(&[0x5b, 0x80, 0, 0, 0, 0, 0, 0, 0, 1]), Err(MalformedCbor));
        assert_eq!(only(&[]), Err(MalformedCbor));
    }

    #[test]
    fn heads_are_shortest() {
        assert_eq!(head(2, 23), [0x57]);
        assert_eq!(head(2, 24), [0x58, 24]);
        assert_eq!(head(2, 178), [0x58, 178]);
        assert_eq!(head(2, 256), [0x59, 1, 0]);
        assert_eq!(head(2, 0x1_0000), [0x5a, 0, 1, 0, 0]);
    }
}
