//! Windows and macOS: `hidapi` lists FIDO interfaces but tells of no changes, and listing them touches every HID device. So
//! the system's events of USB devices are watched instead, and HID is listed again only after one.
//!
//! A port is named by its USB path where the interface can be matched to one USB device, else by what the system calls it.
//! Exception: two keys of one model without serial numbers that were there before the program started can't be told apart
//! this way, and have the system's names.

use std::ffi::CString;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use futures_core::Stream as _;
use hidapi::{HidApi, HidDevice, HidError};
use nusb::MaybeFuture as _;

use crate::ctap2::hid::packet::{DeviceError, PACKET_SIZE, Packet, PacketDevice};
use crate::ctap2::hid::stays::{Seen, Stays};
use crate::model::PortName;
use crate::world::PortsError;

/// The usage page of FIDO keys (CTAP 2.1 §11.2.8.1).
const FIDO: u16 = 0xF1D0;
/// The HID driver comes a moment after the USB device: listed again so often after an event, at these intervals.
const SETTLING: u32 = 5;
const SETTLES: Duration = Duration::from_millis(400);
/// How often a thread that nobody needs any more notices it.
const WAKE: Duration = Duration::from_secs(2);

/// The system's HID layer.
#[derive(Clone)]
pub(in crate::ctap2::hid) struct System {
    api: Arc<Mutex<HidApi>>,
}

impl System {
    /// Gets hold of it.
    pub(in crate::ctap2::hid) fn new() -> Result<Self, PortsError> {
        let api = HidApi::new().map_err(|error| PortsError(error.to_string()))?;
        Ok(Self { api: Arc::new(Mutex::new(api)) })
    }

    /// All keys there are.
    pub(in crate::ctap2::hid) fn list(&self, stays: &Stays) -> Result<Vec<Seen>, PortsError> {
        let devices = usb_devices()?;
        let mut api = self.api.lock().unwrap_or_else(PoisonError::into_inner);
        api.refresh_devices().map_err(|error| PortsError(error.to_string()))?;
        let mut found: Vec<Seen> = Vec::new();
        for hid in api.device_list().filter(|hid| hid.usage_page() == FIDO) {
            let node = hid.path().to_string_lossy().into_owned();
            let usb_serial = hid.serial_number().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
            let port = match stays.port_of(&node) {
                Some(port) => port.clone(),
                None => {
                    let fits: Vec<PortName> = devices
                        .iter()
                        .filter(|usb| usb.vendor_id() == hid.vendor_id() && usb.product_id() == hid.product_id())
                        .filter(|usb| usb_serial.is_none() || usb.serial_number() == usb_serial.as_deref())
                        .map(usb_path)
                        .filter(|port| !stays.takes(port) && !found.iter().any(|other| other.port == *port))
                        .collect();
                    match fits.as_slice() {
                        [only] => only.clone(),
                        _ => PortName::new(node.clone()),
                    }
                }
            };
            found.push(Seen {
                instance: node.clone(),
                node,
                port,
                vendor_id: hid.vendor_id(),
                product_id: hid.product_id(),
                manufacturer: hid.manufacturer_string().unwrap_or_default().to_owned(),
                product: hid.product_string().unwrap_or_default().to_owned(),
                usb_serial,
                // Known only by trying.
                may_open: true,
            });
        }
        Ok(found)
    }

    /// Opens the key. These systems have no lock between programs that we could be polite with.
    pub(in crate::ctap2::hid) fn open(&self, seen: &Seen) -> Result<Box<dyn PacketDevice>, DeviceError> {
        let path = CString::new(seen.node.as_str()).map_err(|_| DeviceError::Gone)?;
        let api = self.api.lock().unwrap_or_else(PoisonError::into_inner);
        match api.open_path(&path) {
            Ok(device) => Ok(Box::new(Opened(device))),
            Err(error) => Err(refusal(&error, &seen.node)),
        }
    }

    /// Watches in a thread of its own, as long as anybody holds the stays.
    pub(in crate::ctap2::hid) fn watch(&self, stays: &Arc<Mutex<Stays>>) -> Result<(), PortsError> {
        let system = self.clone();
        let stays = Arc::downgrade(stays);
        let mut events = nusb::watch_devices().map_err(|error| PortsError(error.to_string()))?;
        std::thread::Builder::new()
            .name("hotplug".to_owned())
            .spawn(move || {
                let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
                let mut settling = 0;
                loop {
                    let ended = loop {
                        match Pin::new(&mut events).poll_next(&mut Context::from_waker(&waker)) {
                            Poll::Ready(Some(_)) => settling = SETTLING,
                            Poll::Ready(None) => break true,
                            Poll::Pending => break false,
                        }
                    };
                    // Held for this look alone: what is held while waiting would never end.
                    let Some(held) = stays.upgrade() else { return };
                    let mut known = held.lock().unwrap_or_else(PoisonError::into_inner);
                    if ended {
                        known.blind();
                        return;
                    }
                    if settling > 0 {
                        settling -= 1;
                        // One failed listing is no reason to go blind.
                        if let Ok(seen) = system.list(&known) {
                            known.all(seen, false);
                        }
                    }
                    drop(known);
                    drop(held);
                    // An event that came since the poll has unparked us already: this returns at once then.
                    std::thread::park_timeout(if settling > 0 { SETTLES } else { WAKE });
                }
            })
            .map_err(|error| PortsError(error.to_string()))?;
        Ok(())
    }
}

/// Wakes the watching thread when there is an event.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Why a key did not open. Windows gives a number (its words are in the system's language), macOS words alone.
fn refusal(error: &HidError, node: &str) -> DeviceError {
    if cfg!(windows)
        && let HidError::IoError { error } = error
        && let Some(number) = error.raw_os_error()
    {
        return match number {
            ERROR_ACCESS_DENIED => DeviceError::NoRight { node: node.to_owned() },
            ERROR_SHARING_VIOLATION => DeviceError::InUse { node: node.to_owned() },
            ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND | ERROR_DEVICE_NOT_CONNECTED => DeviceError::Gone,
            _ => DeviceError::Io(error.to_string()),
        };
    }
    let text = error.to_string().to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    // IOReturn.h: kIOReturnNotPermitted, kIOReturnExclusiveAccess.
    if says(&["not permitted", "0xe00002e2"]) {
        DeviceError::NoRight { node: node.to_owned() }
    } else if says(&["exclusive", "0xe00002c5"]) {
        DeviceError::InUse { node: node.to_owned() }
    } else if says(&["not found", "not connected"]) {
        DeviceError::Gone
    } else {
        DeviceError::Io(text)
    }
}

/// winerror.h.
const ERROR_FILE_NOT_FOUND: i32 = 2;
const ERROR_PATH_NOT_FOUND: i32 = 3;
const ERROR_ACCESS_DENIED: i32 = 5;
const ERROR_SHARING_VIOLATION: i32 = 32;
const ERROR_DEVICE_NOT_CONNECTED: i32 = 1167;

/// One opened key. One thread a key: it can be sent to it, not shared.
struct Opened(HidDevice);

impl PacketDevice for Opened {
    fn write(&mut self, packet: &Packet) -> Result<(), DeviceError> {
        // FIDO keys number no reports: the report id in front is 0.
        let mut report = [0; PACKET_SIZE + 1];
        report[1..].copy_from_slice(packet);
        // These systems give a device that left no other sign than a failed report.
        self.0.write(&report).map(drop).map_err(|_| DeviceError::Gone)
    }

    fn read(&mut self, timeout: Duration) -> Result<Option<Packet>, DeviceError> {
        let mut packet = [0; PACKET_SIZE];
        let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        match self.0.read_timeout(&mut packet, milliseconds) {
            Ok(0) => Ok(None),
            // A short report is padded with zeros, as CTAPHID pads them.
            Ok(_) => Ok(Some(packet)),
            Err(HidError::IoError { error }) if error.kind() == std::io::ErrorKind::Interrupted => Ok(None),
            Err(_) => Err(DeviceError::Gone),
        }
    }
}

fn usb_devices() -> Result<Vec<nusb::DeviceInfo>, PortsError> {
    Ok(nusb::list_devices().wait().map_err(|error| PortsError(error.to_string()))?.collect())
}

/// Bus, and the ports down to the device: `0-4.2`.
fn usb_path(device: &nusb::DeviceInfo) -> PortName {
    let ports: Vec<String> = device.port_chain().iter().map(u8::to_string).collect();
    PortName::new(format!("{}-{}", device.bus_id(), ports.join(".")))
}

#[cfg(all(test, windows))]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_known_by_its_number_in_any_language() {
        let told = |number| refusal(&HidError::IoError { error: std::io::Error::from_raw_os_error(number) }, "node");
        assert!(matches!(told(ERROR_ACCESS_DENIED), DeviceError::NoRight { .. }));
        assert!(matches!(told(ERROR_SHARING_VIOLATION), DeviceError::InUse { .. }));
        assert!(matches!(told(ERROR_DEVICE_NOT_CONNECTED), DeviceError::Gone));
        assert!(matches!(told(31), DeviceError::Io(_)));
    }
}
