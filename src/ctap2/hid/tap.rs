//! Ports whose keys' conversations are written down: one transcript a stay, secrets blanked as they are written
//! (see [`super::transcript`]).

use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::packet::{DeviceError, PacketDevice};
use super::transcript::Recording;
use crate::model::PlugId;
use crate::world::{Clock, KeyPorts, PluggedKey, PortEvent, PortsError};

/// Where the transcript of a stay goes; `None` when it can't be written, which stops nothing.
pub type Writer = dyn Fn(PlugId) -> Option<Box<dyn Write + Send>> + Send + Sync;

/// Ports with a tap on them.
pub struct Tapped<'p> {
    ports: &'p dyn KeyPorts,
    clock: Arc<dyn Clock>,
    writer: Box<Writer>,
}

impl<'p> Tapped<'p> {
    /// Taps these ports.
    pub fn new(ports: &'p dyn KeyPorts, clock: Arc<dyn Clock>, writer: Box<Writer>) -> Self {
        Self { ports, clock, writer }
    }
}

impl KeyPorts for Tapped<'_> {
    fn list(&self) -> Result<Vec<PluggedKey>, PortsError> {
        self.ports.list()
    }

    fn watch(&self) -> Result<Receiver<PortEvent>, PortsError> {
        self.ports.watch()
    }

    fn open(&self, plug: PlugId) -> Result<Box<dyn PacketDevice>, DeviceError> {
        let device = self.ports.open(plug)?;
        Ok(match (self.writer)(plug) {
            Some(out) => Box::new(Recording::new(device, out, Arc::clone(&self.clock))),
            None => device,
        })
    }
}
