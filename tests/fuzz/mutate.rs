//! Inputs made from inputs: bytes, CBOR trees, JSON trees, lines of text. Everything follows from the seed.

use ciborium::Value as Cbor;
use serde_json::Value as Json;

/// SplitMix64: small, and the same everywhere.
#[derive(Clone)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `end`; 0 when there is nothing below it.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() % end as u64) as usize }
    }

    pub fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    pub fn byte(&mut self) -> u8 {
        self.next() as u8
    }

    fn some_bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1);
        (0..length).map(|_| self.byte()).collect()
    }
}

/// What an input is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// So many bytes of steering, then anything.
    Bytes(usize),
    /// So many bytes of steering, then one CBOR item.
    Cbor(usize),
    /// So many bytes of steering, then one JSON value.
    Json(usize),
    /// Lines and cells, with words that mean something.
    Text(&'static [&'static str]),
    /// A key's side of a conversation; see `conversation.rs`.
    Conversation,
}

/// One to four changes of one input. `pool` are the inputs known so far.
pub fn mutate(rng: &mut Rng, form: Form, input: &[u8], pool: &[Vec<u8>]) -> Vec<u8> {
    let mut input = input.to_vec();
    for _ in 0..=rng.below(4) {
        match form {
            Form::Bytes(steering) => tail(rng, &mut input, steering, |rng, body| bytes(rng, body, pool)),
            Form::Cbor(steering) => tail(rng, &mut input, steering, |rng, body| cbor(rng, body, pool)),
            Form::Json(steering) => tail(rng, &mut input, steering, |rng, body| json(rng, body, pool)),
            Form::Text(words) => text(rng, &mut input, words, pool),
            Form::Conversation => crate::conversation::mutate(rng, &mut input, pool),
        }
    }
    input.truncate(1 << 17);
    input
}

fn tail(rng: &mut Rng, input: &mut Vec<u8>, steering: usize, change: impl FnOnce(&mut Rng, &mut Vec<u8>)) {
    let steering = steering.min(input.len());
    if steering > 0 && rng.one_in(2) {
        let at = rng.below(steering);
        input[at] = rng.byte();
    }
    let mut body = input.split_off(steering);
    change(rng, &mut body);
    input.append(&mut body);
}

const LENGTHS: [u64; 14] = [0, 1, 2, 23, 24, 127, 128, 255, 256, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, u64::MAX];

pub fn bytes(rng: &mut Rng, input: &mut Vec<u8>, pool: &[Vec<u8>]) {
    let at = rng.below(input.len());
    let end = at + rng.below(input.len() - at + 1).min(64);
    match rng.below(11) {
        0 | 1 if !input.is_empty() => input[at] ^= 1 << rng.below(8),
        2 if !input.is_empty() => input[at] = *rng.pick(&[0, 1, 0x17, 0x1B, 0x3B, 0x5B, 0x7F, 0x80, 0x9B, 0xBB, 0xFF]),
        3 => drop(input.drain(at..end)),
        4 => {
            let more = rng.some_bytes(16);
            input.splice(at..at, more);
        }
        5 => {
            let copy = input[at..end].to_vec();
            input.splice(at..at, copy);
        }
        6 => input.truncate(at),
        7 => {
            // A length or number, big- or little-endian, in one, two, four or eight bytes.
            let number = rng.pick(&LENGTHS).wrapping_add(rng.next() % 3);
            let width = 1 << rng.below(4);
            let mut number = number.to_be_bytes()[8 - width..].to_vec();
            if rng.one_in(3) {
                number.reverse();
            }
            for (slot, byte) in input.iter_mut().skip(at).zip(number) {
                *slot = byte;
            }
        }
        8 if !pool.is_empty() => {
            let other = rng.pick(pool);
            let from = rng.below(other.len());
            let to = from + rng.below(other.len() - from + 1);
            let part = other[from..to].to_vec();
            input.splice(at..end, part);
        }
        9 if rng.one_in(4) => {
            let byte = *rng.pick(&[0x81, 0xA1, 0x9F, 0xBF, 0x5F, 0xD8, b'[', b'{', b'"', b' ', 0, 0xFF]);
            let count = 1 << rng.below(14);
            input.splice(at..at, std::iter::repeat_n(byte, count));
        }
        _ => input.push(rng.byte()),
    }
}

fn cbor(rng: &mut Rng, input: &mut Vec<u8>, pool: &[Vec<u8>]) {
    let parsed = ciborium::from_reader::<Cbor, _>(&input[..]);
    let Ok(mut value) = parsed else { return bytes(rng, input, pool) };
    if rng.one_in(5) {
        return bytes(rng, input, pool);
    }
    let mut left = rng.below(count_cbor(&value));
    at_cbor(&mut value, &mut left, &mut |value| change_cbor(rng, value));
    input.clear();
    // infallible: into memory, and no tree here nests so deep that it is refused
    let _ = ciborium::into_writer(&value, &mut *input);
}

fn count_cbor(value: &Cbor) -> usize {
    1 + match value {
        Cbor::Array(items) => items.iter().map(count_cbor).sum(),
        Cbor::Map(members) => members.iter().map(|(key, value)| count_cbor(key) + count_cbor(value)).sum(),
        Cbor::Tag(_, inner) => count_cbor(inner),
        _ => 0,
    }
}

fn at_cbor(value: &mut Cbor, left: &mut usize, change: &mut dyn FnMut(&mut Cbor)) -> bool {
    if *left == 0 {
        change(value);
        return true;
    }
    *left -= 1;
    match value {
        Cbor::Array(items) => items.iter_mut().any(|item| at_cbor(item, left, change)),
        Cbor::Map(members) => {
            members.iter_mut().any(|(key, value)| at_cbor(key, left, change) || at_cbor(value, left, change))
        }
        Cbor::Tag(_, inner) => at_cbor(inner, left, change),
        _ => false,
    }
}

fn change_cbor(rng: &mut Rng, value: &mut Cbor) {
    match value {
        Cbor::Bytes(content) if !rng.one_in(4) => return bytes(rng, content, &[]),
        Cbor::Map(members) if !members.is_empty() && !rng.one_in(4) => {
            let at = rng.below(members.len());
            match rng.below(4) {
                0 => drop(members.remove(at)),
                1 => members.push(members[at].clone()),
                2 => members[at].0 = Cbor::from(rng.below(40) as i64 - 8),
                _ => {
                    let other = rng.below(members.len());
                    members.swap(at, other);
                }
            }
            return;
        }
        Cbor::Array(items) if !items.is_empty() && !rng.one_in(4) => {
            let at = rng.below(items.len());
            match rng.below(3) {
                0 => drop(items.remove(at)),
                1 => items.extend(std::iter::repeat_n(items[at].clone(), 1 << rng.below(8))),
                _ => items.clear(),
            }
            return;
        }
        _ => {}
    }
    *value = match rng.below(9) {
        0 => Cbor::from(*rng.pick(&LENGTHS)),
        1 => Cbor::from(-1 - (rng.next() >> rng.below(64)) as i128 as i64),
        2 => Cbor::Bytes(rng.some_bytes(80)),
        3 => Cbor::Text("\u{1F511}a\u{0}\u{202E}".repeat(rng.below(40))),
        4 => Cbor::Bool(rng.one_in(2)),
        5 => Cbor::Null,
        6 => Cbor::Float(f64::from_bits(rng.next())),
        7 => Cbor::Array(vec![std::mem::replace(value, Cbor::Null)]),
        _ => {
            let mut deep = Cbor::Null;
            for _ in 0..rng.below(40) {
                deep = Cbor::Map(vec![(Cbor::from(1), deep)]);
            }
            deep
        }
    };
}

fn json(rng: &mut Rng, input: &mut Vec<u8>, pool: &[Vec<u8>]) {
    let parsed = serde_json::from_slice::<Json>(input);
    let Ok(mut value) = parsed else { return bytes(rng, input, pool) };
    if rng.one_in(6) {
        return bytes(rng, input, pool);
    }
    let mut left = rng.below(count_json(&value));
    at_json(&mut value, &mut left, &mut |value| change_json(rng, value));
    *input = serde_json::to_vec(&value).unwrap_or_default();
}

fn count_json(value: &Json) -> usize {
    1 + match value {
        Json::Array(items) => items.iter().map(count_json).sum(),
        Json::Object(members) => members.values().map(count_json).sum(),
        _ => 0,
    }
}

fn at_json(value: &mut Json, left: &mut usize, change: &mut dyn FnMut(&mut Json)) -> bool {
    if *left == 0 {
        change(value);
        return true;
    }
    *left -= 1;
    match value {
        Json::Array(items) => items.iter_mut().any(|item| at_json(item, left, change)),
        Json::Object(members) => members.values_mut().any(|item| at_json(item, left, change)),
        _ => false,
    }
}

fn change_json(rng: &mut Rng, value: &mut Json) {
    match value {
        Json::Object(members) if !members.is_empty() && !rng.one_in(4) => {
            let at = rng.below(members.len());
            let Some(name) = members.keys().nth(at).cloned() else { return };
            let member = members.remove(&name).unwrap_or_default();
            match rng.below(3) {
                0 => {}
                1 => drop(members.insert(name.to_uppercase(), member)),
                _ => drop(members.insert(format!("{name}@odata.x"), member)),
            }
            return;
        }
        Json::Array(items) if !items.is_empty() && !rng.one_in(4) => {
            let at = rng.below(items.len());
            match rng.below(3) {
                0 => drop(items.remove(at)),
                1 => items.extend(std::iter::repeat_n(items[at].clone(), 1 << rng.below(8))),
                _ => items.clear(),
            }
            return;
        }
        Json::String(content) if !rng.one_in(3) => {
            let mut raw = std::mem::take(content).into_bytes();
            bytes(rng, &mut raw, &[]);
            *content = String::from_utf8_lossy(&raw).into_owned();
            return;
        }
        _ => {}
    }
    *value = match rng.below(9) {
        0 => Json::Null,
        1 => Json::from(*rng.pick(&LENGTHS)),
        2 => Json::from(-((rng.next() >> 1) as i64)),
        3 => Json::from(1e300),
        4 => Json::from(rng.one_in(2)),
        5 => Json::from("\u{1F511}\u{0}\u{202E}\r\n\u{1b}[2J".repeat(rng.below(60))),
        6 => Json::from(""),
        7 => Json::Array(vec![value.take()]),
        _ => {
            let mut deep = Json::Null;
            for _ in 0..rng.below(100) {
                deep = Json::Array(vec![deep]);
            }
            deep
        }
    };
}

fn text(rng: &mut Rng, input: &mut Vec<u8>, words: &[&str], pool: &[Vec<u8>]) {
    match rng.below(8) {
        0 | 1 => {
            let at = rng.below(input.len() + 1);
            let word = rng.pick(words).as_bytes().to_vec();
            input.splice(at..at, word);
        }
        2 | 3 => {
            let mut lines: Vec<Vec<u8>> = input.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            let (at, other) = (rng.below(lines.len()), rng.below(lines.len()));
            match rng.below(4) {
                0 => drop(lines.remove(at)),
                1 => lines.insert(other, lines[at].clone()),
                2 => lines.swap(at, other),
                _ => lines.extend(std::iter::repeat_n(lines[at].clone(), 1 << rng.below(8))),
            }
            *input = lines.join(&b'\n');
        }
        4 => {
            // One character for another: quotes, separators, ends of lines.
            let from = *rng.pick(b",;\t\"'=[]\n");
            let to = *rng.pick(b",;\t\"'=[]\n\r\0");
            for byte in input.iter_mut().filter(|byte| **byte == from) {
                if rng.one_in(3) {
                    *byte = to;
                }
            }
        }
        5 if rng.one_in(4) => {
            let text = String::from_utf8_lossy(input).into_owned();
            *input = if rng.one_in(2) {
                [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
            } else {
                [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect()
            };
        }
        _ => bytes(rng, input, pool),
    }
}
