//! Real keys: the only file that opens a device.
//!
//! Promises: the ports are enumerated once, not at each opening; a key is opened by the stay it was seen in, so that another
//! key in the same port or under the same node is never taken for it; on Linux the node is locked while we have it.
//! One thread per key: a `UsbKey` can be sent to it, not shared.

use std::ffi::CString;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hidapi::{HidApi, HidDevice, HidError};

use super::hotplug::system::{Held, System};
use super::packet::{DeviceError, PACKET_SIZE, Packet, PacketDevice};
use super::stays::{Seen, Stays};
use crate::model::PlugId;
use crate::world::{KeyPorts, PluggedKey, PortEvent, PortsError};

/// This machine's ports.
pub struct UsbPorts {
    api: Arc<Mutex<HidApi>>,
    system: System,
    stays: Arc<Mutex<Stays>>,
    watching: Mutex<bool>,
}

impl std::fmt::Debug for UsbPorts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UsbPorts").finish_non_exhaustive()
    }
}

impl UsbPorts {
    /// Gets hold of the operating system's HID layer.
    ///
    /// # Errors
    /// [`PortsError`] when there is none.
    pub fn new() -> Result<Self, PortsError> {
        let api = HidApi::new().map_err(|error| PortsError(error.to_string()))?;
        let api = Arc::new(Mutex::new(api));
        let system = System::new(api.clone());
        Ok(Self { api, system, stays: Arc::default(), watching: Mutex::new(false) })
    }

    /// Looks at everything there is.
    fn enumerate(&self) -> Result<MutexGuard<'_, Stays>, PortsError> {
        let mut stays = locked(&self.stays);
        let seen = self.system.list(&stays)?;
        let at_start = !*locked(&self.watching);
        stays.all(seen, at_start);
        Ok(stays)
    }
}

/// What was being done when a thread failed is bookkeeping that stays true.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl KeyPorts for UsbPorts {
    fn list(&self) -> Result<Vec<PluggedKey>, PortsError> {
        // While we watch, the list is kept by events.
        if *locked(&self.watching) { Ok(locked(&self.stays).list()) } else { Ok(self.enumerate()?.list()) }
    }

    fn watch(&self) -> Result<Receiver<PortEvent>, PortsError> {
        if !*locked(&self.watching) {
            // Watching begins before looking: what comes in between is seen twice, which does no harm, not never.
            self.system.watch(&self.stays)?;
            drop(self.enumerate()?);
            *locked(&self.watching) = true;
        }
        Ok(locked(&self.stays).watch())
    }

    fn open(&self, plug: PlugId) -> Result<Box<dyn PacketDevice>, DeviceError> {
        let seen = locked(&self.stays).find(plug).cloned().ok_or(DeviceError::Gone)?;
        let open = |path: &CString| locked(&self.api).open_path(path).map_err(|error| error.to_string());
        let (device, held) = self.system.open(&seen, open)?;
        Ok(Box::new(UsbKey { device, system: self.system.clone(), seen, held }))
    }
}

/// One opened key.
struct UsbKey {
    device: HidDevice,
    system: System,
    seen: Seen,
    /// Kept for its lock.
    #[expect(dead_code, reason = "held for its lock")]
    held: Held,
}

impl UsbKey {
    fn trouble(&self, error: &HidError) -> DeviceError {
        if self.system.is_there(&self.seen) {
            DeviceError::Io(format!("{}: {error}", self.seen.node))
        } else {
            DeviceError::Gone
        }
    }
}

impl PacketDevice for UsbKey {
    fn write(&mut self, packet: &Packet) -> Result<(), DeviceError> {
        // FIDO keys number no reports: the report id in front is 0.
        let mut report = [0; PACKET_SIZE + 1];
        report[1..].copy_from_slice(packet);
        self.device.write(&report).map(drop).map_err(|error| self.trouble(&error))
    }

    fn read(&mut self, timeout: Duration) -> Result<Option<Packet>, DeviceError> {
        let mut packet = [0; PACKET_SIZE];
        let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        match self.device.read_timeout(&mut packet, milliseconds) {
            Ok(0) => Ok(None),
            // A short report is padded with zeros, as CTAPHID pads them.
            Ok(_) => Ok(Some(packet)),
            Err(HidError::IoError { error }) if error.kind() == std::io::ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(self.trouble(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is plugged in here is looked at and left alone.
    #[test]
    fn this_machines_ports_can_be_listed_and_watched() {
        let ports = UsbPorts::new().expect("a HID layer");
        let listed = ports.list().expect("a list");
        let events = ports.watch().expect("watched");
        let seen: Vec<PluggedKey> = events
            .try_iter()
            .filter_map(|event| match event {
                PortEvent::Plugged(key) => Some(key),
                PortEvent::Unplugged { .. } => None,
            })
            .collect();
        assert_eq!(seen, listed, "the same stays, with the same numbers");
        assert!(matches!(ports.open(PlugId(u64::MAX)), Err(DeviceError::Gone)));
    }
}
