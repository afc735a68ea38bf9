//! Everything keybench asks of the outside, other than files and HTTP: the time, randomness, keys in ports, and a person
//! who answers. There is a real world and a simulated one, and no third way in.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use jiff::Timestamp;

use crate::ctap2::hid::packet::{DeviceError, PacketDevice};
use crate::model::{PlugId, PortName};

/// The time.
pub trait Clock: Send + Sync {
    /// Wall-clock time, UTC.
    fn now(&self) -> Timestamp;
    /// Time since some fixed instant; never goes back.
    fn monotonic(&self) -> Duration;
    /// Blocks this thread.
    fn sleep(&self, time: Duration);
}

/// Randomness fit for PINs and nonces.
pub trait Entropy: Send + Sync {
    /// Fills the buffer.
    ///
    /// # Errors
    /// When the operating system has none to give; nothing secret may be made then.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy>;
}

/// The operating system's source of randomness failed.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes: {0}")]
pub struct NoEntropy(pub String);

/// A key in a port, as USB describes it; nothing has been said to it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluggedKey {
    /// The port.
    pub port: PortName,
    /// This stay in the port.
    pub plug: PlugId,
    /// USB vendor id.
    pub vendor_id: u16,
    /// USB product id.
    pub product_id: u16,
    /// The descriptor's manufacturer, or empty.
    pub manufacturer: String,
    /// The descriptor's product name, or empty.
    pub product: String,
    /// The descriptor's serial number, if it has one.
    pub usb_serial: Option<String>,
    /// It was there before watching began.
    pub present_at_start: bool,
}

/// What happens at the ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortEvent {
    /// A key came.
    Plugged(PluggedKey),
    /// A key left.
    Unplugged {
        /// The port.
        port: PortName,
        /// The stay that ended.
        plug: PlugId,
    },
}

/// Why the ports can't be watched at all.
#[derive(Debug, thiserror::Error)]
#[error("security keys can't be watched: {0}")]
pub struct PortsError(pub String);

/// The ports of this machine, real or simulated.
pub trait KeyPorts: Send + Sync {
    /// The keys there now. Enumerates once.
    ///
    /// # Errors
    /// [`PortsError`] when the operating system's list can't be read.
    fn list(&self) -> Result<Vec<PluggedKey>, PortsError>;

    /// Events from now on. The keys already there come first, marked [`PluggedKey::present_at_start`].
    /// The channel ends when the ports can't be watched any longer.
    ///
    /// # Errors
    /// [`PortsError`] when the system offers no way to watch.
    fn watch(&self) -> Result<Receiver<PortEvent>, PortsError>;

    /// Opens the key of one stay.
    ///
    /// # Errors
    /// [`DeviceError::Gone`] when that stay is over, [`DeviceError::NoRight`] and [`DeviceError::InUse`] as they say.
    fn open(&self, plug: PlugId) -> Result<Box<dyn PacketDevice>, DeviceError>;
}

/// A person who can be asked. Where nobody is, every question gets its safe answer at once.
pub trait Operator: Send + Sync {
    /// Asks for a word to be typed to go on; a bare Enter is never a yes. `false` is the safe answer.
    fn confirm(&self, question: &str, word: &str) -> bool {
        self.confirm_unless(question, word, &|| false)
    }
    /// The same for a question that may end unanswered: `given_up` is asked over and over, and once it is true the answer is the safe one.
    fn confirm_unless(&self, question: &str, word: &str, given_up: &dyn Fn() -> bool) -> bool;
    /// Something to show now: a warning, an instruction. Not an answer to a command.
    fn tell(&self, message: &str);
    /// Whether a person can answer at all.
    fn is_present(&self) -> bool;
}

/// The system's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: std::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn new() -> Self {
        Self { start: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// The system's randomness.
#[derive(Debug, Clone, Copy)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
        getrandom::fill(buffer).map_err(|error| NoEntropy(error.to_string()))
    }
}
