//! The line between keybench and a key: 64-byte reports. A real key sits behind it as a HID device, a simulated one as
//! OpenSK; nothing above can tell which.

use std::time::Duration;

/// Bytes in one CTAPHID report (CTAP 2.1 §11.2.4).
pub const PACKET_SIZE: usize = 64;

/// One CTAPHID report, without the report id that some systems put in front.
pub type Packet = [u8; PACKET_SIZE];

/// One opened HID interface of one key.
pub trait PacketDevice: Send {
    /// Sends one report.
    ///
    /// # Errors
    /// [`DeviceError::Gone`] when the key is unplugged.
    fn write(&mut self, packet: &Packet) -> Result<(), DeviceError>;

    /// Waits at most `timeout` for one report; `Ok(None)` when none came.
    ///
    /// # Errors
    /// [`DeviceError::Gone`] when the key is unplugged.
    fn read(&mut self, timeout: Duration) -> Result<Option<Packet>, DeviceError>;
}

impl<D: PacketDevice + ?Sized> PacketDevice for Box<D> {
    fn write(&mut self, packet: &Packet) -> Result<(), DeviceError> {
        (**self).write(packet)
    }
    fn read(&mut self, timeout: Duration) -> Result<Option<Packet>, DeviceError> {
        (**self).read(timeout)
    }
}

/// Why a report could not be sent or had.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The key is not there any more.
    #[error("the key was unplugged")]
    Gone,
    /// This account may not open the device.
    #[error("this account has no right to open {node}")]
    NoRight {
        /// The device's node or path, for people.
        node: String,
    },
    /// The system knows the key and has no node to open it by.
    #[error("there is no {node}, though the system shows the key")]
    NoNode {
        /// The node that should be there.
        node: String,
    },
    /// Another program holds the key's lock.
    #[error("another program is using the key ({node})")]
    InUse {
        /// The device's node or path, for people.
        node: String,
    },
    /// Anything else the operating system says.
    #[error("the operating system refused: {0}")]
    Io(String),
}
