//! What went over the wire, written down, and played back.
//!
//! Promise: secrets are blanked before anything is written, not when it is read: PINs (which never travel in the clear), what
//! was encrypted from them, key agreement, tokens, the proofs made with them, large-blob keys, and people's names. What this
//! module does not understand is blanked whole. Packets of other programs are not written at all.
//!
//! The form is one JSON object a line, one line a message: `{"ms":12,"from":"host","channel":"00000007","command":16,
//! "data":"04"}`, times from the recording's start, bytes in hexadecimal. A message in which something was blanked is
//! encoded anew; every other one is byte for byte as it was. Lengths stay as they were. A line that begins with `#` is a remark;
//! [`remark`] says which key it was, because a key can't be asked for its serial number by who does not know its maker.
//!
//! Blanked key agreement becomes the curve's generator, so that a played-back key can still be agreed with.

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::frame::{AnyPacket, Assembler, ChannelId, Progress, split};
use super::packet::{DeviceError, Packet, PacketDevice};
use crate::ctap2::cbor::{Members, Value, decode};
use crate::world::{Clock, PluggedKey};

const INIT: u8 = 0x06;
const CBOR: u8 = 0x10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum From {
    Host,
    Key,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    ms: u64,
    from: From,
    channel: String,
    command: u8,
    data: String,
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() {
        return None;
    }
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Messages put together from one side's packets.
#[derive(Default)]
struct Joiner(HashMap<ChannelId, (u8, Assembler)>);

impl Joiner {
    fn take(&mut self, packet: &Packet) -> Option<(ChannelId, u8, Vec<u8>)> {
        let packet = AnyPacket::read(packet);
        let channel = packet.channel();
        let (command, progress) = match packet {
            // Keepalives may come between an answer's packets, and are whole by themselves.
            AnyPacket::Init(packet) if packet.command == 0x3B => {
                return Some((channel, 0x3B, packet.payload().to_vec()));
            }
            AnyPacket::Init(packet) => (packet.command, Assembler::start(&packet).ok()?),
            AnyPacket::Next(packet) => {
                let (command, assembler) = self.0.remove(&channel)?;
                (command, assembler.push(&packet).ok()?)
            }
        };
        match progress {
            Progress::Done(message) => Some((channel, command, message.to_vec())),
            Progress::More(assembler) => {
                self.0.insert(channel, (command, assembler));
                None
            }
        }
    }
}

/// The line that says which key a transcript is of.
pub fn remark(key: &PluggedKey) -> String {
    let product: String = key.product.trim().chars().filter(|letter| !letter.is_control()).collect();
    format!("# usb {:04x}:{:04x} {product}\n", key.vendor_id, key.product_id)
}

/// A device that writes down what goes through it.
pub struct Recording<D> {
    device: D,
    out: Box<dyn Write + Send>,
    clock: Arc<dyn Clock>,
    start: Duration,
    host: Joiner,
    key: Joiner,
    /// Channels we spoke on, and the last CTAP2 command on each.
    ours: HashMap<ChannelId, Option<u8>>,
}

impl<D> Recording<D> {
    /// Writes to `out` from now on. A full disk ends the transcript, not the work.
    pub fn new(device: D, out: Box<dyn Write + Send>, clock: Arc<dyn Clock>) -> Self {
        let start = clock.monotonic();
        let (host, key) = (Joiner::default(), Joiner::default());
        Self { device, out, clock, start, host, key, ours: HashMap::new() }
    }

    fn note(&mut self, from: From, packet: &Packet) {
        let channel = AnyPacket::read(packet).channel();
        let joiner = match from {
            From::Host => &mut self.host,
            From::Key if self.ours.contains_key(&channel) => &mut self.key,
            From::Key => return,
        };
        if from == From::Host {
            self.ours.entry(channel).or_default();
        }
        let Some((channel, command, message)) = joiner.take(packet) else { return };
        if from == From::Host && command == CBOR {
            self.ours.insert(channel, message.first().copied());
        }
        let asked = self.ours.get(&channel).copied().flatten();
        let line = Line {
            ms: u64::try_from(self.clock.monotonic().saturating_sub(self.start).as_millis()).unwrap_or(u64::MAX),
            from,
            channel: to_hex(&channel.0),
            command,
            data: to_hex(&blanked(from, command, asked, message)),
        };
        if let Ok(text) = serde_json::to_string(&line) {
            let _ = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
        }
    }
}

impl<D: PacketDevice> PacketDevice for Recording<D> {
    fn write(&mut self, packet: &Packet) -> Result<(), DeviceError> {
        self.note(From::Host, packet);
        self.device.write(packet)
    }

    fn read(&mut self, timeout: Duration) -> Result<Option<Packet>, DeviceError> {
        let packet = self.device.read(timeout)?;
        if let Some(packet) = &packet {
            self.note(From::Key, packet);
        }
        Ok(packet)
    }
}

/// The message as it may be written.
fn blanked(from: From, command: u8, asked: Option<u8>, message: Vec<u8>) -> Vec<u8> {
    match command {
        CBOR => blanked_cbor(from, asked, message),
        // INIT, WINK, CANCEL, KEEPALIVE, ERROR, and the vendor commands that tell serial numbers.
        INIT | 0x08 | 0x11 | 0x3B | 0x3F | 0x42 | 0x61 | 0x62 => message,
        _ => vec![0; message.len()],
    }
}

/// Members that are secret, by command and side: key agreement, and byte strings.
fn secret_members(from: From, asked: u8) -> Option<(&'static [i64], &'static [i64])> {
    Some(match (from, asked) {
        (From::Host, 0x01) => (&[], &[8]),
        (From::Key, 0x01) => (&[], &[5]),
        (From::Host, 0x02) => (&[], &[6]),
        (From::Key, 0x02 | 0x08) => (&[], &[7]),
        (From::Host, 0x06) => (&[3], &[4, 5, 6]),
        (From::Key, 0x06) => (&[1], &[2]),
        (From::Host, 0x0A | 0x41 | 0x0D) => (&[], &[4]),
        (From::Key, 0x0A | 0x41) => (&[], &[11]),
        (_, 0x04 | 0x07 | 0x0B) | (From::Host, 0x08) | (From::Key, 0x0D) => (&[], &[]),
        _ => return None,
    })
}

fn blanked_cbor(from: From, asked: Option<u8>, message: Vec<u8>) -> Vec<u8> {
    let Some((first, body)) = message.split_first() else { return message };
    if body.is_empty() {
        return message;
    }
    let understood = asked.and_then(|asked| secret_members(from, asked)).zip(decode(body).ok());
    let Some(((agreements, bytes), mut value)) = understood else {
        return std::iter::once(*first).chain(body.iter().map(|_| 0)).collect();
    };
    let mut changed = blank_names(&mut value);
    if let Value::Map(members) = &mut value {
        for (key, value) in members {
            let Some(key) = key.as_i64() else { continue };
            if agreements.contains(&key) {
                *value = generator();
                changed = true;
            } else if bytes.contains(&key) {
                blank(value);
                changed = true;
            } else if from == From::Host && asked == Some(0x02) && key == 4 {
                // getAssertion's extensions: hmac-secret carries a key agreement and salts.
                blank(value);
                changed = true;
            }
        }
    }
    if changed { std::iter::once(*first).chain(value.encode()).collect() } else { message }
}

/// Zeros for bytes, dots for text, all the way down.
fn blank(value: &mut Value) {
    match value {
        Value::Bytes(bytes) => bytes.fill(0),
        Value::Text(text) => *text = ".".repeat(text.len()),
        Value::Array(items) => items.iter_mut().for_each(blank),
        Value::Map(members) => members.iter_mut().for_each(|(_, value)| blank(value)),
        Value::Tag(_, inner) => blank(inner),
        Value::Unsigned(_) | Value::Negative(_) | Value::Bool(_) | Value::Simple(..) => {}
    }
}

/// Blanks what stands under `name` and `displayName`, wherever it stands.
fn blank_names(value: &mut Value) -> bool {
    match value {
        Value::Array(items) => items.iter_mut().fold(false, |changed, item| blank_names(item) | changed),
        Value::Map(members) => members.iter_mut().fold(false, |changed, (key, value)| match key.as_text() {
            Some("name" | "displayName") => {
                blank(value);
                true
            }
            _ => blank_names(value) | changed,
        }),
        _ => false,
    }
}

/// P-256's generator as COSE.
fn generator() -> Value {
    const X: &str = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
    const Y: &str = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
    Members::new()
        .with(1, Value::int(2))
        .with(3, Value::int(-25))
        .with(-1, Value::int(1))
        .with(-2, Value::Bytes(from_hex(X).unwrap_or_default()))
        .with(-3, Value::Bytes(from_hex(Y).unwrap_or_default()))
        .into_value()
}

/// A key made of a transcript: it answers as it did, if it is asked as it was. Nonces and proofs may differ.
pub struct Replay {
    lines: VecDeque<Line>,
    joiner: Joiner,
    due: VecDeque<Packet>,
}

/// A transcript can't be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the transcript is not a recorded message")]
pub struct NotATranscript {
    /// From 1.
    pub line: usize,
}

impl Replay {
    /// Reads a transcript.
    ///
    /// # Errors
    /// [`NotATranscript`].
    pub fn new(text: &str) -> Result<Self, NotATranscript> {
        let lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
            .map(|(at, line)| serde_json::from_str(line).map_err(|_| NotATranscript { line: at + 1 }))
            .collect::<Result<_, _>>()?;
        Ok(Self { lines, joiner: Joiner::default(), due: VecDeque::new() })
    }

    /// How many messages there are in it, both ways.
    pub fn messages(&self) -> usize {
        self.lines.len()
    }

    fn asked(&mut self, command: u8, message: &[u8]) -> Result<(), DeviceError> {
        let other = || DeviceError::Io("the transcript goes on with something else".to_owned());
        let recorded = self.lines.pop_front().ok_or(DeviceError::Gone)?;
        let same = recorded.from == From::Host
            && recorded.command == command
            && (command != CBOR
                || from_hex(&recorded.data).and_then(|data| data.first().copied()) == message.first().copied());
        if !same {
            return Err(other());
        }
        while self.lines.front().is_some_and(|line| line.from == From::Key) {
            let Some(line) = self.lines.pop_front() else { break };
            let mut data = from_hex(&line.data).ok_or_else(other)?;
            if line.command == INIT {
                data.iter_mut().zip(message).take(8).for_each(|(slot, nonce)| *slot = *nonce);
            }
            let channel = from_hex(&line.channel).and_then(|id| <[u8; 4]>::try_from(id).ok()).ok_or_else(other)?;
            self.due.extend(split(ChannelId(channel), line.command, &data).map_err(|_| other())?);
        }
        Ok(())
    }
}

impl PacketDevice for Replay {
    fn write(&mut self, packet: &Packet) -> Result<(), DeviceError> {
        match self.joiner.take(packet) {
            Some((_, command, message)) => self.asked(command, &message),
            None => Ok(()),
        }
    }

    fn read(&mut self, timeout: Duration) -> Result<Option<Packet>, DeviceError> {
        match self.due.pop_front() {
            Some(packet) => Ok(Some(packet)),
            None if self.lines.is_empty() => Err(DeviceError::Gone),
            None => {
                std::thread::sleep(timeout.min(Duration::from_millis(1)));
                Ok(None)
            }
        }
    }
}

/// Reads what [`remark`] wrote: USB ids and product; `None` where no line says so.
#[cfg(all(test, feature = "sim"))]
pub fn remarked(text: &str) -> Option<(u16, u16, &str)> {
    let told = text.lines().find_map(|line| line.strip_prefix("# usb "))?;
    let (ids, product) = told.split_once(' ')?;
    let (vendor, product_id) = ids.split_once(':')?;
    let id = |text| u16::from_str_radix(text, 16).ok();
    Some((id(vendor)?, id(product_id)?, product))
}

/// The lines, from 1, in which something would be blanked that is not: where everything is, blanking once more changes nothing.
#[cfg(all(test, feature = "sim"))]
pub fn unblanked(text: &str) -> Vec<usize> {
    let mut asked = HashMap::new();
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#'));
    let holds = |line: &Line| {
        let data = from_hex(&line.data).unwrap_or_default();
        if line.from == From::Host && line.command == CBOR {
            asked.insert(line.channel.clone(), data.first().copied());
        }
        blanked(line.from, line.command, asked.get(&line.channel).copied().flatten(), data.clone()) != data
    };
    let mut holds = holds;
    lines
        .filter_map(|(at, line)| serde_json::from_str(line).map_or(true, |line| holds(&line)).then_some(at + 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(members: Members) -> Vec<u8> {
        members.into_value().encode()
    }

    fn written(from: From, asked: u8, first: u8, members: Members) -> Value {
        let message: Vec<u8> = std::iter::once(first).chain(map(members)).collect();
        let written = blanked(from, CBOR, Some(asked), message.clone());
        assert_eq!(written.first(), Some(&first));
        decode(&written[1..]).expect("still CBOR")
    }

    #[test]
    fn secrets_never_reach_the_file() {
        let secret = || Value::bytes([0xA5; 32]);
        let request = written(
            From::Host,
            0x06,
            0x06,
            Members::new()
                .with(2, Value::int(3))
                .with(3, secret())
                .with(4, secret())
                .with(5, secret())
                .with(6, secret()),
        );
        assert_eq!(request.member(3), Some(&generator()));
        for key in 4..=6 {
            assert_eq!(request.member(key), Some(&Value::bytes([0; 32])));
        }
        assert_eq!(request.member(2), Some(&Value::int(3)));
        let answer = written(From::Key, 0x06, 0, Members::new().with(1, secret()).with(2, secret()));
        assert_eq!((answer.member(1), answer.member(2)), (Some(&generator()), Some(&Value::bytes([0; 32]))));
        for (command, key) in [(0x01, 8), (0x02, 6), (0x0A, 4), (0x41, 4), (0x0D, 4)] {
            let request = written(From::Host, command, command, Members::new().with(key, secret()));
            assert_eq!(request.member(key), Some(&Value::bytes([0; 32])), "{command}");
        }
        let user = Members::new().with_name("id", Value::bytes([1])).with_name("name", Value::text("kim@contoso.com"));
        let request = written(From::Host, 0x01, 0x01, Members::new().with(3, user.into_value()));
        assert_eq!(
            request.member(3).and_then(|user| user.named("name")).and_then(Value::as_text),
            Some("...............")
        );
    }

    #[test]
    fn what_is_not_understood_is_blanked_whole() {
        assert_eq!(blanked(From::Host, CBOR, Some(0x06), vec![0x06, 1, 2, 3]), [0x06, 0, 0, 0]);
        assert_eq!(blanked(From::Host, CBOR, Some(0x09), vec![0x09, 0xA0]), [0x09, 0]);
        assert_eq!(blanked(From::Key, CBOR, None, vec![0x00, 0xA0]), [0x00, 0]);
        assert_eq!(blanked(From::Host, 0x43, None, vec![1, 2]), [0, 0]);
    }

    #[test]
    fn what_holds_no_secret_stays_as_it_was() {
        // getInfo's answer, map keys in an order of the key's own.
        let answer = [0x00, 0xA2, 0x03, 0x01, 0x01, 0x02];
        assert_eq!(blanked(From::Key, CBOR, Some(0x04), answer.to_vec()), answer);
    }

    #[test]
    fn nonsense_is_named_by_its_line() {
        assert_eq!(Replay::new("\n{}").err().map(|error| error.line), Some(2));
        assert!(Replay::new("# a remark\n").is_ok());
    }
}
