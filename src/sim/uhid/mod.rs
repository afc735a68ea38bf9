//! Simulated keys as real HID devices of this Linux machine, through `/dev/uhid`: any program that can use a security key sees them.
//!
//! Promise: what is in the port is an ordinary key; its past, its touch and its faults are those of [`super::key`]. Unplugging is the end
//! of the kernel's device, plugging in again a new one with the same memory.
//! Exception: there is no USB device above it, so port and serial number come from HID_PHYS and HID_UNIQ.

mod control;
mod device;
mod event;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use self::device::Stay;
use self::event::Introduction;
use super::key::{Model, Probe, SerialBy, SimKey, lock};
use crate::model::PortName;

/// Keys that are brought later are numbered from here, above those of the beginning.
const FRESH_FROM: u32 = 100_000;

/// Why a key can't be put on `/dev/uhid`.
#[derive(Debug, thiserror::Error)]
pub enum UhidError {
    /// The kernel was built without it, or its module is not loaded.
    #[error("this machine has no /dev/uhid")]
    Missing,
    /// Only root may open the node, unless a udev rule says otherwise.
    #[error("this account may not open /dev/uhid")]
    NoRight,
    /// Anything else.
    #[error("/dev/uhid: {0}")]
    Refused(#[source] io::Error),
    /// The system is out of threads.
    #[error("no thread could be started")]
    NoThread,
}

/// Keys and the ports they belong to. Clones are the same.
#[derive(Clone)]
pub struct UhidKeys {
    places: Arc<Vec<Mutex<Place>>>,
    /// Serial numbers above all that were given out.
    next_unit: Arc<AtomicU32>,
}

struct Place {
    port: PortName,
    key: SimKey,
    stay: Option<Stay>,
}

impl Place {
    fn probe(&self) -> Probe {
        self.key.probe()
    }

    /// A stay that a fault ended is over.
    fn settle(&mut self) {
        if self.stay.as_ref().is_some_and(Stay::is_over) {
            self.stay = None;
        }
    }

    fn plug(&mut self) -> Result<(), UhidError> {
        self.settle();
        if self.stay.is_none() {
            let model = self.key.model();
            let serial = self.key.serial().filter(|_| model.serial_by == SerialBy::Usb);
            let who = Introduction {
                name: name_of(model),
                phys: self.port.to_string(),
                uniq: serial.map(|serial| serial.as_str().to_owned()).unwrap_or_default(),
                vendor_id: model.usb.vendor_id,
                product_id: model.usb.product_id,
            };
            self.stay = Some(Stay::begin(&self.key, &who)?);
        }
        Ok(())
    }
}

/// As usbhid names its devices: manufacturer and product.
fn name_of(model: &Model) -> String {
    format!("{} {}", model.usb.manufacturer, model.usb.product).trim().to_owned()
}

impl UhidKeys {
    /// Each key with a port of its own, not plugged in yet.
    pub fn new(keys: impl IntoIterator<Item = (PortName, SimKey)>) -> Self {
        let places = keys.into_iter().map(|(port, key)| Mutex::new(Place { port, key, stay: None })).collect();
        Self { places: Arc::new(places), next_unit: Arc::new(AtomicU32::new(FRESH_FROM)) }
    }

    /// Another key of this model from the factory, for the same finger.
    fn next_like(&self, key: &SimKey) -> SimKey {
        let fresh = SimKey::new(key.model(), self.next_unit.fetch_add(1, Ordering::Relaxed));
        fresh.probe().finger().set(key.probe().finger().rule());
        fresh
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Plugs every key in.
    ///
    /// # Errors
    /// [`UhidError`] of the first that can't be; those before it stay.
    pub fn plug_all(&self) -> Result<(), UhidError> {
        self.places.iter().try_for_each(|place| lock(place).plug())
    }

    /// Does what one line asks and answers with one line of JSON; `None` is the wish to end. The words are described in
    /// `hw-tests/README.md`.
    pub fn obey(&self, line: &str) -> Option<String> {
        control::obey(self, line)
    }

    /// What is there, as one JSON object: `{"keys":[…]}`.
    pub fn describe(&self) -> serde_json::Value {
        let keys: Vec<_> = (1..=self.len()).filter_map(|number| control::describe(self, number)).collect();
        serde_json::json!({ "keys": keys })
    }

    /// The n-th place, from 1.
    fn place(&self, number: usize) -> Option<MutexGuard<'_, Place>> {
        let mut place = lock(self.places.get(number.checked_sub(1)?)?);
        place.settle();
        Some(place)
    }
}

/// The node of the device in this port, `/dev/hidraw3`; the kernel needs a moment to make it.
fn node_of(port: &PortName) -> Option<PathBuf> {
    let wanted = format!("HID_PHYS={port}");
    let entry = std::fs::read_dir("/sys/class/hidraw").ok()?.flatten().find(|entry| {
        let told = std::fs::read_to_string(entry.path().join("device/uevent")).unwrap_or_default();
        told.lines().any(|line| line == wanted)
    })?;
    Some(PathBuf::from("/dev").join(entry.file_name()))
}
