//! One message to a key and one back. What carries it (CTAPHID today) and what the message means are other modules'
//! business; that the wire failed is kept apart from what the key answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use zeroize::Zeroizing;

use super::hid::packet::DeviceError;
use crate::world::NoEntropy;

/// How long to wait for what. No call waits longer than `overall` (or `touch`) plus `grace` plus one resynchronisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Silence after which a key counts as stuck: no packet of our channel at all. Keys are asked to send a keepalive
    /// every 100 ms, but some send none while they compute.
    pub idle: Duration,
    /// For a command that needs nobody's hand, keepalives or not.
    pub overall: Duration,
    /// For a command that waits for a touch. Keys give up by themselves after about 30 s.
    pub touch: Duration,
    /// How long a key may take to stop after CANCEL.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(5),
            overall: Duration::from_secs(20),
            touch: Duration::from_secs(65),
            grace: Duration::from_secs(2),
        }
    }
}

/// What a key says while it works (CTAP 2.1 §11.2.9.1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keepalive {
    /// It computes.
    Processing,
    /// It waits for a touch.
    TouchNeeded,
    /// A code of a later specification.
    Other(u8),
}

impl Keepalive {
    /// From the byte on the wire.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            1 => Self::Processing,
            2 => Self::TouchNeeded,
            other => Self::Other(other),
        }
    }
}

/// Looks on while a key works, and may stop it.
pub trait Watcher {
    /// The key's state changed; the same state is not told twice in a row within one command.
    fn saw(&mut self, keepalive: Keepalive);

    /// Asked at least every 150 ms, and every [`REST`] while [`Self::may_rest`] says so. Once true, the key is told to stop, and what it
    /// answers then is the outcome: a touch that came first still counts.
    fn wants_to_stop(&mut self) -> bool {
        false
    }

    /// Whether nobody minds if a touch is seen [`REST`] late: nobody is there. Asked while the key waits for one.
    fn may_rest(&self) -> bool {
        false
    }
}

/// How long a key that waits for nobody's hand is left unlooked-at.
pub const REST: Duration = Duration::from_millis(500);

/// Nobody looks on.
#[derive(Debug, Default, Clone, Copy)]
pub struct Unwatched;

impl Watcher for Unwatched {
    fn saw(&mut self, _: Keepalive) {}
}

/// A function is told of each change; a shared flag stops the key.
pub struct Watching<F: FnMut(Keepalive)> {
    tell: F,
    stop: Arc<AtomicBool>,
}

impl<F: FnMut(Keepalive)> Watching<F> {
    /// Tells `tell`, stops when `stop` becomes true.
    pub fn new(stop: Arc<AtomicBool>, tell: F) -> Self {
        Self { tell, stop }
    }
}

impl<F: FnMut(Keepalive)> Watcher for Watching<F> {
    fn saw(&mut self, keepalive: Keepalive) {
        (self.tell)(keepalive);
    }
    fn wants_to_stop(&mut self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// What kind of message (CTAP 2.1 §11.2.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A CTAP2 message: command byte and CBOR there, status byte and CBOR back.
    Cbor,
    /// Echo.
    Ping,
    /// Blink.
    Wink,
    /// Keep other channels out for so many seconds, at most ten; zero lets them in again.
    Lock,
    /// A vendor's own, 0x40 to 0x7F. Send it only to keys that are known to have it.
    Vendor(u8),
}

impl Kind {
    /// The CTAPHID command, without the bit that marks a first packet.
    pub fn command(self) -> u8 {
        match self {
            Self::Ping => 0x01,
            Self::Lock => 0x04,
            Self::Wink => 0x08,
            Self::Cbor => 0x10,
            Self::Vendor(command) => command & 0x7F,
        }
    }
}

/// Whose time a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Patience {
    /// The key's alone: [`Limits::overall`].
    Key,
    /// A person's: [`Limits::touch`].
    Person,
}

/// What a key said of itself when the channel was opened (CTAP 2.1 §11.2.9.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hello {
    /// CTAPHID protocol version; 2.
    pub protocol: u8,
    /// Major, minor and build, as the vendor pleases.
    pub device_version: [u8; 3],
    /// Capability bits.
    pub capabilities: u8,
}

impl Hello {
    /// The key can blink.
    pub fn can_wink(&self) -> bool {
        self.capabilities & 0x01 != 0
    }
    /// The key speaks CTAP2.
    pub fn has_cbor(&self) -> bool {
        self.capabilities & 0x04 != 0
    }
    /// The key speaks U2F. The bit on the wire says that it does not.
    pub fn has_u2f(&self) -> bool {
        self.capabilities & 0x08 == 0
    }
}

/// One key, one conversation.
pub trait Transport: Send {
    /// Sends a message and waits for the answer to it.
    ///
    /// # Errors
    /// [`TransportError`]; what the key itself refuses is in the answer. After an error the next call first finds a common
    /// starting point with the key again.
    fn exchange(
        &mut self,
        kind: Kind,
        message: &[u8],
        patience: Patience,
        watch: &mut dyn Watcher,
    ) -> Result<Zeroizing<Vec<u8>>, TransportError>;

    /// Makes the key drop whatever it is doing for us, and forget stale answers.
    ///
    /// # Errors
    /// [`TransportError`] when the key does not answer that either.
    fn resynchronise(&mut self) -> Result<(), TransportError>;

    /// What the key said when the channel was opened.
    fn hello(&self) -> Hello;

    /// The most bytes a message to this key may have (getInfo member 0x05).
    fn set_max_message(&mut self, bytes: usize);
}

/// A CTAPHID error code: the key could not make sense of the packets (CTAP 2.1 §11.2.9.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HidError {
    /// 0x01.
    #[error("it does not know this kind of message (CTAPHID 0x01)")]
    InvalidCommand,
    /// 0x02.
    #[error("a parameter is wrong (CTAPHID 0x02)")]
    InvalidParameter,
    /// 0x03.
    #[error("the message's length is wrong (CTAPHID 0x03)")]
    InvalidLength,
    /// 0x04.
    #[error("packets came out of order (CTAPHID 0x04)")]
    InvalidSequence,
    /// 0x05.
    #[error("the message was not complete in time (CTAPHID 0x05)")]
    Timeout,
    /// 0x06.
    #[error("another program keeps it busy (CTAPHID 0x06)")]
    Busy,
    /// 0x0A.
    #[error("it wants the channel locked first (CTAPHID 0x0A)")]
    LockRequired,
    /// 0x0B.
    #[error("it does not know our channel (CTAPHID 0x0B)")]
    InvalidChannel,
    /// Any other.
    #[error("it gives no reason (CTAPHID 0x{0:02X})")]
    Other(u8),
}

impl HidError {
    /// From the byte on the wire.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            0x01 => Self::InvalidCommand,
            0x02 => Self::InvalidParameter,
            0x03 => Self::InvalidLength,
            0x04 => Self::InvalidSequence,
            0x05 => Self::Timeout,
            0x06 => Self::Busy,
            0x0A => Self::LockRequired,
            0x0B => Self::InvalidChannel,
            other => Self::Other(other),
        }
    }
}

/// The wire failed: what the key did with the message, if it had it, is unknown unless [`Self::surely_undone`] says so.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The device itself.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Not a packet for so long.
    #[error("the key has been silent for {} s", .waited.as_secs())]
    Silent {
        /// How long.
        waited: Duration,
    },
    /// It sent keepalives, but never an answer.
    #[error("the key did not finish within {} s", .waited.as_secs())]
    Deadline {
        /// How long.
        waited: Duration,
        /// The key said that it stopped. Otherwise it may have finished.
        confirmed: bool,
    },
    /// We stopped it.
    #[error("the operation was cancelled")]
    Cancelled {
        /// The key said that it stopped. Otherwise it may have finished.
        confirmed: bool,
    },
    /// The key can't be sent that much.
    #[error("a message of {length} bytes is more than the {max} this key takes")]
    TooLong {
        /// The message.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// The key could not make sense of our packets.
    #[error("the key refused the message: {0}")]
    Hid(HidError),
    /// We could not make sense of the key's packets.
    #[error("the key's packets make no sense: {0}")]
    Garbled(&'static str),
    /// No nonce could be made.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

impl TransportError {
    /// The key has certainly not done what it was asked.
    pub fn surely_undone(&self) -> bool {
        match self {
            Self::TooLong { .. } | Self::Hid(_) | Self::NoEntropy(_) => true,
            Self::Cancelled { confirmed } | Self::Deadline { confirmed, .. } => *confirmed,
            // The device may have been opened and lost in the middle.
            Self::Device(DeviceError::NoRight { .. } | DeviceError::NoNode { .. } | DeviceError::InUse { .. }) => true,
            Self::Device(DeviceError::Gone | DeviceError::Io(_)) | Self::Silent { .. } | Self::Garbled(_) => false,
        }
    }

    /// The key is not in the port any more.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Device(DeviceError::Gone))
    }
}
