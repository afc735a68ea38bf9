//! CTAPHID framing, written once more for the key's side (CTAP 2.1 §11.2.4): the host's own code must not help here.

use crate::ctap2::hid::packet::{PACKET_SIZE, Packet};

pub(super) const CBOR: u8 = 0x10;
pub(super) const INIT: u8 = 0x06;
pub(super) const KEEPALIVE: u8 = 0x3b;
pub(super) const ERROR: u8 = 0x3f;

const FIRST: usize = 57;
const NEXT: usize = 59;

/// One message in reports.
pub(super) fn split(channel: [u8; 4], command: u8, payload: &[u8]) -> Vec<Packet> {
    let (first, rest) = payload.split_at(payload.len().min(FIRST));
    let mut packet = [0; PACKET_SIZE];
    packet[..4].copy_from_slice(&channel);
    packet[4] = command | 0x80;
    packet[5..7].copy_from_slice(&(payload.len() as u16).to_be_bytes());
    packet[7..7 + first.len()].copy_from_slice(first);
    let mut packets = vec![packet];
    for (sequence, chunk) in rest.chunks(NEXT).enumerate() {
        let mut packet = [0; PACKET_SIZE];
        packet[..4].copy_from_slice(&channel);
        packet[4] = (sequence & 0x7f) as u8;
        packet[5..5 + chunk.len()].copy_from_slice(chunk);
        packets.push(packet);
    }
    packets
}

/// A message put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) channel: [u8; 4],
    pub(super) command: u8,
    pub(super) payload: Vec<u8>,
}

/// Where putting together stands after a report.
pub(super) enum Progress {
    More,
    Whole(Message),
    /// The report does not go on with what was begun.
    Astray,
}

/// Puts one message together.
#[derive(Default)]
pub(super) struct Assembler {
    open: Option<(Message, usize, u8)>,
}

impl Assembler {
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn clear(&mut self) {
        self.open = None;
    }

    pub(super) fn push(&mut self, packet: &Packet) -> Progress {
        let channel = [packet[0], packet[1], packet[2], packet[3]];
        let (mut message, length, next) = match self.open.take() {
            None if packet[4] & 0x80 != 0 => {
                let length = usize::from(u16::from_be_bytes([packet[5], packet[6]]));
                let payload = packet[7..].to_vec();
                (Message { channel, command: packet[4] & 0x7f, payload }, length, 0)
            }
            Some((mut message, length, next)) if message.channel == channel && packet[4] == next => {
                message.payload.extend_from_slice(&packet[5..]);
                (message, length, next + 1)
            }
            _ => return Progress::Astray,
        };
        if message.payload.len() >= length {
            message.payload.truncate(length);
            return Progress::Whole(message);
        }
        if next > 0x7f {
            return Progress::Astray;
        }
        self.open = Some((message, length, next));
        Progress::More
    }
}

/// The message in a complete answer; `None` if it is none.
pub(super) fn join(packets: &[Packet]) -> Option<Message> {
    let mut assembler = Assembler::default();
    for packet in packets {
        match assembler.push(packet) {
            Progress::Whole(message) => return Some(message),
            Progress::More => {}
            Progress::Astray => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_split_joins_again() {
        for length in [0, 1, 57, 58, 57 + 59, 57 + 59 + 1, 1200, 7609] {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let packets = split([1, 2, 3, 4], CBOR, &payload);
            let whole = join(&packets).expect("a message");
            assert_eq!(whole, Message { channel: [1, 2, 3, 4], command: CBOR, payload }, "{length}");
        }
    }

    #[test]
    fn a_gap_is_noticed() {
        let mut packets = split([1; 4], CBOR, &[7; 400]);
        packets.remove(2);
        assert_eq!(join(&packets), None);
    }
}
