//! Real keys, in the ports of this machine.
//!
//! Promises: the ports are enumerated once, not at each opening; a key is opened by the stay it was seen in, so that another
//! key in the same port or under the same node is never taken for it; on Linux the node is locked while we have it.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::hotplug::system::System;
use super::packet::{DeviceError, PacketDevice};
use super::stays::Stays;
use crate::model::PlugId;
use crate::world::{KeyPorts, PluggedKey, PortEvent, PortsError};

/// This machine's ports.
pub struct UsbPorts {
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
        Ok(Self { system: System::new()?, stays: Arc::default(), watching: Mutex::new(false) })
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
        self.system.open(&seen)
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
