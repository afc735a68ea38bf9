//! A hostile key: a real conversation's answers, changed. The steps are kept as bytes, so that a find is a file like any other.
//!
//! A step is a tag byte and what belongs to it: `0` wait for our next message; `1` a message (channel, command, two bytes of
//! length, data); `2` one packet as it is; `3` the key is gone; `4` keepalives without end. Any bytes are a conversation.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keybench::ctap2::hid::packet::{DeviceError, Packet, PacketDevice};
use keybench::world::{Clock, Entropy, NoEntropy};

use crate::mutate::{Form, Rng, bytes, mutate as mutate_form};

const INIT: u8 = 0x06;
const CBOR: u8 = 0x10;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Wait,
    Message { channel: [u8; 4], command: u8, data: Vec<u8> },
    Raw(Box<Packet>),
    Gone,
    Endless,
}

pub fn write(steps: &[Step]) -> Vec<u8> {
    let mut out = Vec::new();
    for step in steps {
        match step {
            Step::Wait => out.push(0),
            Step::Message { channel, command, data } => {
                out.push(1);
                out.extend(channel);
                out.push(*command);
                let data = &data[..data.len().min(0xFFFF)];
                out.extend((data.len() as u16).to_be_bytes());
                out.extend(data);
            }
            Step::Raw(packet) => {
                out.push(2);
                out.extend(packet.iter());
            }
            Step::Gone => out.push(3),
            Step::Endless => out.push(4),
        }
    }
    out
}

pub fn read(mut input: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some((tag, rest)) = input.split_first() {
        input = rest;
        steps.push(match tag {
            1 => {
                let Some((head, rest)) = input.split_at_checked(7) else { break };
                let length = usize::from(u16::from_be_bytes([head[5], head[6]])).min(rest.len());
                let (data, rest) = rest.split_at(length);
                input = rest;
                Step::Message { channel: [head[0], head[1], head[2], head[3]], command: head[4], data: data.to_vec() }
            }
            2 => {
                let length = input.len().min(64);
                let (raw, rest) = input.split_at(length);
                input = rest;
                let mut packet = [0; 64];
                packet[..length].copy_from_slice(raw);
                Step::Raw(Box::new(packet))
            }
            3 => Step::Gone,
            4 => Step::Endless,
            _ => Step::Wait,
        });
    }
    steps
}

/// From a recording (`fixtures/ctap2`).
pub fn of_recording(text: &str) -> Vec<u8> {
    let hex = |text: &str| -> Vec<u8> {
        text.as_bytes()
            .chunks(2)
            .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect()
    };
    let mut steps = Vec::new();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a recording");
        if line["from"] == "host" {
            steps.push(Step::Wait);
            continue;
        }
        let channel = hex(line["channel"].as_str().expect("a channel"));
        steps.push(Step::Message {
            channel: channel.try_into().expect("four bytes"),
            command: line["command"].as_u64().expect("a command") as u8,
            data: hex(line["data"].as_str().expect("data")),
        });
    }
    write(&steps)
}

pub fn mutate(rng: &mut Rng, input: &mut Vec<u8>, pool: &[Vec<u8>]) {
    let mut steps = read(input);
    if steps.is_empty() || rng.one_in(12) {
        return bytes(rng, input, pool);
    }
    let at = rng.below(steps.len());
    match rng.below(10) {
        0 => drop(steps.remove(at)),
        1 => steps.insert(at, steps[at].clone()),
        2 => {
            let other = rng.below(steps.len());
            steps.swap(at, other);
        }
        3 => {
            let mut packet = [0; 64];
            packet.iter_mut().for_each(|byte| *byte = rng.byte());
            packet[..4].copy_from_slice(&[0, 0, 0, 1]);
            packet[4] = *rng.pick(&[0x86, 0x90, 0xBB, 0xBF, 0x00, 0x01, 0x7F, 0xC2]);
            if rng.one_in(2) {
                packet[5] = 0;
            }
            steps.insert(at, Step::Raw(Box::new(packet)));
        }
        4 if rng.one_in(6) => steps.insert(at, if rng.one_in(2) { Step::Gone } else { Step::Endless }),
        5 => {
            let status = *rng.pick(&[0x01, 0x2D, 0x2E, 0x31, 0x32, 0x34, 0x37, 0x3F, 0xFF]);
            let channel = [0, 0, 0, 1];
            steps.insert(at, Step::Message { channel, command: CBOR, data: vec![status] });
        }
        _ => {
            if let Step::Message { data, command, channel } = &mut steps[at] {
                if *command == CBOR && !rng.one_in(5) {
                    *data = mutate_form(rng, Form::Cbor(1), data, &[]);
                } else if rng.one_in(8) {
                    *command = rng.byte() & 0x7F;
                } else if rng.one_in(8) {
                    channel[rng.below(4)] = rng.byte();
                } else {
                    bytes(rng, data, pool);
                }
                data.truncate(7609);
            }
        }
    }
    *input = write(&steps);
}

/// Time that passes only while somebody waits.
#[derive(Debug, Default)]
pub struct Moments(AtomicU64);

impl Moments {
    fn pass(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4), Ordering::Relaxed);
    }
}

impl Clock for Moments {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH + Duration::from_secs(1_795_000_000) + self.monotonic()
    }
    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
    fn sleep(&self, time: Duration) {
        self.pass(time);
    }
}

/// Chance that follows from the seed.
pub struct Chance(pub std::sync::Mutex<Rng>);

impl Entropy for Chance {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
        let mut rng = self.0.lock().map_err(|_| NoEntropy("a poisoned lock".into()))?;
        buffer.iter_mut().for_each(|byte| *byte = rng.byte());
        Ok(())
    }
}

pub struct HostileKey {
    steps: VecDeque<Step>,
    due: VecDeque<Packet>,
    clock: Arc<Moments>,
    /// Of the host's message under way: command, bytes still to come.
    host: Option<usize>,
    nonce: [u8; 8],
    endless: bool,
}

impl HostileKey {
    pub fn new(input: &[u8], clock: Arc<Moments>) -> Self {
        let steps = read(input).into();
        Self { steps, due: VecDeque::new(), clock, host: None, nonce: [0; 8], endless: false }
    }

    /// Our message is complete: the answers up to the next wait are due.
    fn asked(&mut self) {
        let mut waited = false;
        while let Some(step) = self.steps.front() {
            match step {
                Step::Wait if waited => break,
                Step::Wait => waited = true,
                Step::Message { channel, command, data } => {
                    let mut data = data.clone();
                    if *command == INIT {
                        // Without our nonce nothing is ever taken for an answer.
                        data.iter_mut().zip(self.nonce).for_each(|(slot, byte)| *slot = byte);
                    }
                    self.due.extend(packets(*channel, *command, &data));
                }
                Step::Raw(packet) => self.due.push_back(**packet),
                Step::Endless => self.endless = true,
                Step::Gone => break,
            }
            self.steps.pop_front();
        }
    }
}

fn packets(channel: [u8; 4], command: u8, data: &[u8]) -> Vec<Packet> {
    let mut all = Vec::new();
    let (first, mut rest) = data.split_at(data.len().min(57));
    let mut packet = [0; 64];
    packet[..4].copy_from_slice(&channel);
    packet[4] = command | 0x80;
    packet[5..7].copy_from_slice(&(data.len() as u16).to_be_bytes());
    packet[7..7 + first.len()].copy_from_slice(first);
    all.push(packet);
    let mut sequence = 0u8;
    while !rest.is_empty() {
        let (part, after) = rest.split_at(rest.len().min(59));
        let mut packet = [0; 64];
        packet[..4].copy_from_slice(&channel);
        packet[4] = sequence;
        packet[5..5 + part.len()].copy_from_slice(part);
        all.push(packet);
        sequence = sequence.wrapping_add(1);
        rest = after;
    }
    all
}

impl PacketDevice for HostileKey {
    fn write(&mut self, packet: &Packet) -> Result<(), DeviceError> {
        self.clock.pass(Duration::from_micros(50));
        if packet[4] & 0x80 != 0 {
            let length = usize::from(u16::from_be_bytes([packet[5], packet[6]]));
            if packet[4] & 0x7F == INIT {
                self.nonce.copy_from_slice(&packet[7..15]);
            }
            self.host = Some(length.saturating_sub(57));
        } else if let Some(left) = &mut self.host {
            *left = left.saturating_sub(59);
        }
        if self.host == Some(0) {
            self.host = None;
            self.asked();
        }
        Ok(())
    }

    fn read(&mut self, timeout: Duration) -> Result<Option<Packet>, DeviceError> {
        if let Some(packet) = self.due.pop_front() {
            self.clock.pass(Duration::from_micros(50));
            return Ok(Some(packet));
        }
        if self.endless {
            self.clock.pass(Duration::from_millis(100));
            return Ok(Some(packets([0, 0, 0, 1], 0x3B, &[1])[0]));
        }
        if matches!(self.steps.front(), Some(Step::Gone)) {
            return Err(DeviceError::Gone);
        }
        self.clock.pass(timeout);
        Ok(None)
    }
}
