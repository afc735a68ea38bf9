//! Linux: one opened hidraw node (Documentation/hid/hidraw.rst). A report is one `write` or one `read`; whether one is there, `poll` tells.
//!
//! Promise: no call waits longer than it was told to, and a key that was pulled is told from a node that fails.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::hotplug::system::System;
use super::packet::{DeviceError, PACKET_SIZE, Packet, PacketDevice};
use super::stays::Seen;
use crate::platform::lock::FileLock;

/// An open node, under its lock where it has one; dropping it gives the key back to others.
#[derive(Debug)]
pub(super) enum Held {
    /// Nobody polite uses it meanwhile.
    Locked(FileLock),
    /// There are no locks here.
    Free(File),
}

impl Held {
    fn file(&self) -> &File {
        match self {
            Self::Locked(lock) => lock.file(),
            Self::Free(file) => file,
        }
    }
}

/// One opened key.
pub(super) struct Node {
    held: Held,
    system: System,
    seen: Seen,
}

impl Node {
    /// The node of this key.
    pub(super) fn new(held: Held, system: System, seen: Seen) -> Self {
        Self { held, system, seen }
    }

    fn trouble(&self, what: &dyn std::fmt::Display) -> DeviceError {
        if self.system.is_there(&self.seen) {
            DeviceError::Io(format!("{}: {what}", self.seen.node))
        } else {
            DeviceError::Gone
        }
    }
}

impl PacketDevice for Node {
    fn write(&mut self, packet: &Packet) -> Result<(), DeviceError> {
        // FIDO keys number no reports: the report id in front is 0.
        let mut report = [0; PACKET_SIZE + 1];
        report[1..].copy_from_slice(packet);
        match self.held.file().write(&report) {
            Ok(length) if length == report.len() => Ok(()),
            Ok(length) => Err(self.trouble(&format_args!("only {length} bytes of a report were taken"))),
            Err(error) => Err(self.trouble(&error)),
        }
    }

    fn read(&mut self, timeout: Duration) -> Result<Option<Packet>, DeviceError> {
        let time = Timespec::try_from(timeout).ok();
        let mut ready = [PollFd::new(self.held.file(), PollFlags::IN)];
        match poll(&mut ready, time.as_ref()) {
            Ok(0) | Err(Errno::INTR) => return Ok(None),
            Ok(_) if ready[0].revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL) => {
                return Err(self.trouble(&"the device was taken away"));
            }
            Ok(_) => {}
            Err(error) => return Err(self.trouble(&error)),
        }
        let mut packet = [0; PACKET_SIZE];
        match self.held.file().read(&mut packet) {
            // A short report is padded with zeros, as CTAPHID pads them.
            Ok(1..) => Ok(Some(packet)),
            Ok(0) => Err(self.trouble(&"it has ended")),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(self.trouble(&error)),
        }
    }
}
