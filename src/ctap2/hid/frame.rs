//! Messages cut into packets and put together again (CTAP 2.1 §11.2.4). Pure: no device, no clock.

use zeroize::Zeroizing;

use super::packet::{PACKET_SIZE, Packet};

/// Bytes of a message in its first packet.
pub const INIT_DATA: usize = PACKET_SIZE - 7;
/// Bytes of a message in each further packet.
pub const NEXT_DATA: usize = PACKET_SIZE - 5;
/// The longest message: one first packet and 128 further ones.
pub const MAX_MESSAGE: usize = INIT_DATA + 128 * NEXT_DATA;

/// A channel on one key. It dies when the key is unplugged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChannelId(pub [u8; 4]);

impl ChannelId {
    /// Where new channels are asked for.
    pub const BROADCAST: Self = Self([0xFF; 4]);
}

/// The first packet of a message.
#[derive(Clone, PartialEq, Eq)]
pub struct InitPacket {
    /// The channel.
    pub channel: ChannelId,
    /// The CTAPHID command, without the bit that marks a first packet.
    pub command: u8,
    /// Bytes of the whole message.
    pub length: u16,
    /// The message's beginning, padded.
    pub data: [u8; INIT_DATA],
}

impl InitPacket {
    /// The message's beginning without the padding.
    pub fn payload(&self) -> &[u8] {
        self.data.get(..usize::from(self.length)).unwrap_or(&self.data)
    }
}

/// A further packet. It can't carry a command, and so can't be taken for a first one.
#[derive(Clone, PartialEq, Eq)]
pub struct ContinuationPacket {
    /// The channel.
    pub channel: ChannelId,
    /// 0 to 127, from 0 in each message.
    pub sequence: u8,
    /// More of the message, padded.
    pub data: [u8; NEXT_DATA],
}

/// A packet of either kind.
#[derive(Clone, PartialEq, Eq)]
pub enum AnyPacket {
    /// A first one.
    Init(InitPacket),
    /// A further one.
    Next(ContinuationPacket),
}

impl AnyPacket {
    /// Any 64 bytes are a packet of one kind or the other.
    pub fn read(packet: &Packet) -> Self {
        // The patterns below take the array apart, so that no index can be out of range.
        let [c0, c1, c2, c3, tag, rest @ ..] = packet;
        let channel = ChannelId([*c0, *c1, *c2, *c3]);
        if tag & 0x80 != 0 {
            let [high, low, data @ ..] = rest;
            Self::Init(InitPacket {
                channel,
                command: tag & 0x7F,
                length: u16::from_be_bytes([*high, *low]),
                data: *data,
            })
        } else {
            Self::Next(ContinuationPacket { channel, sequence: *tag, data: *rest })
        }
    }

    /// The channel.
    pub fn channel(&self) -> ChannelId {
        match self {
            Self::Init(packet) => packet.channel,
            Self::Next(packet) => packet.channel,
        }
    }
}

/// A message has more than [`MAX_MESSAGE`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message has at most 7609 bytes")]
pub struct MessageTooLong;

/// Cuts a message into packets.
///
/// # Errors
/// [`MessageTooLong`].
pub fn split(channel: ChannelId, command: u8, message: &[u8]) -> Result<Vec<Packet>, MessageTooLong> {
    let length = u16::try_from(message.len()).map_err(|_| MessageTooLong)?;
    if message.len() > MAX_MESSAGE {
        return Err(MessageTooLong);
    }
    let (first, rest) = message.split_at(message.len().min(INIT_DATA));
    let mut packets = vec![pack(channel, &[&[command | 0x80], &length.to_be_bytes()[..], first])];
    // At most 128 chunks (MAX_MESSAGE), so that the sequence number never wraps.
    packets.extend(rest.chunks(NEXT_DATA).zip(0u8..).map(|(chunk, sequence)| pack(channel, &[&[sequence], chunk])));
    Ok(packets)
}

fn pack(channel: ChannelId, parts: &[&[u8]]) -> Packet {
    let mut packet = [0; PACKET_SIZE];
    let bytes = channel.0.iter().chain(parts.iter().copied().flatten());
    packet.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = *byte);
    packet
}

/// Packets that don't make a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The first packet claims more than [`MAX_MESSAGE`].
    #[error("a message claims to be longer than CTAPHID allows")]
    TooLong,
    /// A further packet has the wrong number.
    #[error("a packet of the message is missing or out of order")]
    Sequence,
}

/// How far a message has come.
pub enum Progress {
    /// All of it.
    Done(Zeroizing<Vec<u8>>),
    /// More packets are due.
    More(Assembler),
}

/// A message that is not complete yet.
pub struct Assembler {
    length: usize,
    next: u8,
    message: Zeroizing<Vec<u8>>,
}

impl Assembler {
    /// Begins a message. The caller has checked channel and command.
    ///
    /// # Errors
    /// [`FrameError::TooLong`].
    pub fn start(packet: &InitPacket) -> Result<Progress, FrameError> {
        let length = usize::from(packet.length);
        if length > MAX_MESSAGE {
            return Err(FrameError::TooLong);
        }
        // Bounded by MAX_MESSAGE: one allocation, so that no unwiped copy is left behind by growing.
        let mut message = Zeroizing::new(Vec::with_capacity(length));
        message.extend_from_slice(packet.payload());
        Ok(Self { length, next: 0, message }.progress())
    }

    /// Takes the next packet.
    ///
    /// # Errors
    /// [`FrameError::Sequence`].
    pub fn push(mut self, packet: &ContinuationPacket) -> Result<Progress, FrameError> {
        if packet.sequence != self.next {
            return Err(FrameError::Sequence);
        }
        self.next = self.next.wrapping_add(1);
        let wanted = self.length.saturating_sub(self.message.len());
        self.message.extend(packet.data.iter().take(wanted));
        Ok(self.progress())
    }

    fn progress(self) -> Progress {
        if self.message.len() >= self.length { Progress::Done(self.message) } else { Progress::More(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHANNEL: ChannelId = ChannelId([1, 2, 3, 4]);

    fn join(packets: &[Packet]) -> Result<Option<Vec<u8>>, FrameError> {
        let mut under_way: Option<Assembler> = None;
        for packet in packets {
            let progress = match (AnyPacket::read(packet), under_way.take()) {
                (AnyPacket::Init(packet), _) => Assembler::start(&packet)?,
                (AnyPacket::Next(packet), Some(assembler)) => assembler.push(&packet)?,
                (AnyPacket::Next(_), None) => return Err(FrameError::Sequence),
            };
            match progress {
                Progress::Done(message) => return Ok(Some(message.to_vec())),
                Progress::More(assembler) => under_way = Some(assembler),
            }
        }
        Ok(None)
    }

    proptest! {
        #[test]
        fn what_is_split_is_joined(message in proptest::collection::vec(any::<u8>(), 0..=MAX_MESSAGE), command in 0u8..0x80) {
            let packets = split(CHANNEL, command, &message).expect("not too long");
            match AnyPacket::read(&packets[0]) {
                AnyPacket::Init(first) => {
                    prop_assert_eq!(first.command, command);
                    prop_assert_eq!(usize::from(first.length), message.len());
                }
                AnyPacket::Next(_) => prop_assert!(false, "the first packet is a continuation"),
            }
            prop_assert_eq!(join(&packets).expect("our own packets"), Some(message));
        }

        #[test]
        fn arbitrary_packets_never_panic(packets in proptest::collection::vec(proptest::array::uniform32(any::<u8>()), 0..40)) {
            let packets: Vec<Packet> = packets
                .chunks_exact(2)
                .map(|halves| std::array::from_fn(|at| if at < 32 { halves[0][at] } else { halves[1][at - 32] }))
                .collect();
            let _ = join(&packets);
        }
    }

    #[test]
    fn the_limits_are_the_specifications() {
        assert_eq!(MAX_MESSAGE, 7609);
        assert_eq!(split(CHANNEL, 0x10, &vec![0; MAX_MESSAGE]).expect("just fits").len(), 129);
        assert_eq!(split(CHANNEL, 0x10, &vec![0; MAX_MESSAGE + 1]), Err(MessageTooLong));
        let mut packet = split(CHANNEL, 0x10, &[]).expect("empty is fine")[0];
        packet[5] = 0xFF;
        assert_eq!(join(&[packet]), Err(FrameError::TooLong));
    }

    #[test]
    fn golden_packets() {
        let packets = split(CHANNEL, 0x10, &[0xAB; 60]).expect("short");
        assert_eq!(packets.len(), 2);
        assert_eq!(packets[0][..9], [1, 2, 3, 4, 0x90, 0, 60, 0xAB, 0xAB]);
        assert_eq!(packets[1][..9], [1, 2, 3, 4, 0, 0xAB, 0xAB, 0xAB, 0]);
    }

    #[test]
    fn order_matters() {
        let packets = split(CHANNEL, 0x10, &[7; 200]).expect("short");
        assert_eq!(packets.len(), 4);
        assert_eq!(join(&[packets[0], packets[2]]), Err(FrameError::Sequence));
        assert_eq!(join(&[packets[0], packets[1], packets[1]]), Err(FrameError::Sequence));
        assert_eq!(join(&packets[..3]), Ok(None));
    }
}
