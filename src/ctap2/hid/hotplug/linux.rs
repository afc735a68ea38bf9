//! Linux: the kernel tells of nodes in `/dev` (inotify), and `sysfs` tells what they are. No library, no enumeration after the first, no
//! root. What is opened is the kernel's hidraw node itself ([`crate::ctap2::hid::node`]).
//!
//! A virtual key (uhid) has no USB device above it: it is named by HID_PHYS or HID_UNIQ.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Access, access, inotify};
use rustix::io::Errno;

use crate::ctap2::hid::node::{Held, Node};
use crate::ctap2::hid::packet::{DeviceError, PacketDevice};
use crate::ctap2::hid::stays::{Seen, Stays};
use crate::model::PortName;
use crate::platform::lock::FileLock;
use crate::world::PortsError;

/// The usage page of FIDO keys (CTAP 2.1 §11.2.8.1).
const FIDO: u32 = 0xF1D0;
/// How long udev may take to hand a node to the person at the machine, before the key is reported as it is.
const UDEV: Duration = Duration::from_millis(1500);
/// How often the watching thread looks whether anybody still wants to know.
const WAKE: Duration = Duration::from_secs(10);
/// Pauses between tries for the lock; the last one is followed by giving up.
const LOCK_PAUSES_MS: [u64; 7] = [10, 20, 40, 80, 160, 320, 640];

/// Where to look; elsewhere in tests.
#[derive(Debug, Clone)]
pub(in crate::ctap2::hid) struct System {
    class: PathBuf,
    dev: PathBuf,
}

impl System {
    /// Where the kernel has it.
    pub(in crate::ctap2::hid) fn new() -> Result<Self, PortsError> {
        Ok(Self { class: PathBuf::from("/sys/class/hidraw"), dev: PathBuf::from("/dev") })
    }

    /// All keys there are.
    pub(in crate::ctap2::hid) fn list(&self, _: &Stays) -> Result<Vec<Seen>, PortsError> {
        match std::fs::read_dir(&self.class) {
            Ok(entries) => {
                let mut found: Vec<Seen> =
                    entries.flatten().filter_map(|entry| self.look(entry.file_name().to_str()?)).collect();
                found.sort_by(|a, b| a.node.cmp(&b.node));
                Ok(found)
            }
            // No hidraw device has ever been there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(PortsError(format!("{} can't be read: {error}", self.class.display()))),
        }
    }

    /// Looks at one node, `hidraw3`; `None` when it is no FIDO key.
    fn look(&self, name: &str) -> Option<Seen> {
        let device = std::fs::canonicalize(self.class.join(name).join("device")).ok()?;
        let descriptor = std::fs::read(device.join("report_descriptor")).ok()?;
        if !has_usage_page(&descriptor, FIDO) {
            return None;
        }
        let uevent = std::fs::read_to_string(device.join("uevent")).unwrap_or_default();
        let told = |key: &str| {
            uevent
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .map(str::trim)
                .filter(|value| !value.is_empty())
        };
        let (vendor_id, product_id) = told("HID_ID").and_then(hid_id).unwrap_or((0, 0));
        let usb = device.ancestors().find(|path| path.file_name().and_then(|n| n.to_str()).is_some_and(is_usb_path));
        let described = |file: &str| {
            let text = std::fs::read_to_string(usb?.join(file)).ok()?;
            let text = text.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let instance = device.file_name()?.to_string_lossy().into_owned();
        let port = usb
            .and_then(|path| path.file_name())
            .and_then(|name| name.to_str())
            .or_else(|| told("HID_PHYS"))
            .or_else(|| told("HID_UNIQ"))
            .unwrap_or(&instance);
        Some(Seen {
            node: self.dev.join(name).to_string_lossy().into_owned(),
            port: PortName::new(port),
            vendor_id,
            product_id,
            manufacturer: described("manufacturer").unwrap_or_default(),
            product: described("product").or_else(|| told("HID_NAME").map(str::to_owned)).unwrap_or_default(),
            usb_serial: described("serial").or_else(|| told("HID_UNIQ").map(str::to_owned)),
            may_open: self.may_open(name),
            instance,
        })
    }

    /// The same key is still behind the node.
    pub(in crate::ctap2::hid) fn is_there(&self, seen: &Seen) -> bool {
        let name = Path::new(&seen.node).file_name();
        name.and_then(|name| name.to_str())
            .and_then(|name| self.look(name))
            .is_some_and(|now| now.instance == seen.instance)
    }

    /// Opens the key's node under the polite lock (libfido2 takes the same).
    pub(in crate::ctap2::hid) fn open(&self, seen: &Seen) -> Result<Box<dyn PacketDevice>, DeviceError> {
        if !self.is_there(seen) {
            return Err(DeviceError::Gone);
        }
        let mut pauses = LOCK_PAUSES_MS.iter();
        let held = loop {
            match FileLock::take(self.open_node(seen)?) {
                Ok(lock) => break Held::Locked(lock),
                Err(TryLockError::WouldBlock) => match pauses.next() {
                    Some(pause) => std::thread::sleep(Duration::from_millis(*pause)),
                    None => return Err(DeviceError::InUse { node: seen.node.clone() }),
                },
                // A lock is a courtesy: where there is none, we go on without.
                Err(TryLockError::Error(_)) => break Held::Free(self.open_node(seen)?),
            }
        };
        // Node numbers are used again: between looking and opening another key may have come.
        if self.is_there(seen) {
            Ok(Box::new(Node::new(held, self.clone(), seen.clone())))
        } else {
            Err(DeviceError::Gone)
        }
    }

    fn open_node(&self, seen: &Seen) -> Result<File, DeviceError> {
        let node = || seen.node.clone();
        OpenOptions::new().read(true).write(true).open(&seen.node).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => DeviceError::NoRight { node: node() },
            _ if !self.is_there(seen) => DeviceError::Gone,
            io::ErrorKind::NotFound => DeviceError::NoNode { node: node() },
            _ => DeviceError::Io(format!("{}: {error}", seen.node)),
        })
    }

    /// Watches in a thread of its own, as long as anybody holds the stays.
    pub(in crate::ctap2::hid) fn watch(&self, stays: &Arc<Mutex<Stays>>) -> Result<(), PortsError> {
        let failed = |error: Errno| PortsError(format!("{} can't be watched: {error}", self.dev.display()));
        let notes = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).map_err(failed)?;
        let wanted = inotify::WatchFlags::CREATE | inotify::WatchFlags::DELETE | inotify::WatchFlags::ATTRIB;
        inotify::add_watch(&notes, &self.dev, wanted).map_err(failed)?;
        let mut watch = Watch { system: self.clone(), stays: Arc::downgrade(stays), waiting: Vec::new() };
        std::thread::Builder::new()
            .name("hotplug".to_owned())
            .spawn(move || watch.run(&notes))
            .map_err(|error| PortsError(error.to_string()))?;
        Ok(())
    }

    fn may_open(&self, name: &str) -> bool {
        access(self.dev.join(name), Access::READ_OK | Access::WRITE_OK).is_ok()
    }
}

struct Watch {
    system: System,
    stays: Weak<Mutex<Stays>>,
    /// Nodes that nobody may open yet, and until when we wait for udev.
    waiting: Vec<(String, Instant)>,
}

enum Note {
    Came(String),
    Left(String),
    /// The kernel lost count.
    Lost,
}

impl Watch {
    fn run(&mut self, notes: &OwnedFd) {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut reader = inotify::Reader::new(notes, &mut buffer);
        loop {
            // Notes are read before any lock is taken, and the stays are held only while one is dealt with.
            let outcome = next_note(&mut reader);
            let Some(stays) = self.stays.upgrade() else { return };
            let mut stays = stays.lock().unwrap_or_else(PoisonError::into_inner);
            match outcome {
                Ok(Some(note)) => self.take(note, &mut stays),
                Ok(None) => {
                    self.overdue(&mut stays);
                    drop(stays);
                    let patience = if self.waiting.is_empty() { WAKE } else { Duration::from_millis(100) };
                    if wait(notes, patience).is_err() {
                        self.give_up();
                        return;
                    }
                }
                Err(_) => {
                    stays.blind();
                    return;
                }
            }
        }
    }

    fn give_up(&self) {
        if let Some(stays) = self.stays.upgrade() {
            stays.lock().unwrap_or_else(PoisonError::into_inner).blind();
        }
    }

    fn take(&mut self, note: Note, stays: &mut Stays) {
        match note {
            Note::Came(name) => {
                // Also after a change of rights: udev has handed the node over, or not yet.
                let Some(seen) = self.system.look(&name) else { return };
                if seen.may_open {
                    self.waiting.retain(|(other, _)| *other != name);
                    stays.arrived(seen, false);
                } else if !self.waiting.iter().any(|(other, _)| *other == name) {
                    self.waiting.push((name, Instant::now() + UDEV));
                }
            }
            Note::Left(name) => {
                self.waiting.retain(|(other, _)| *other != name);
                stays.left(&self.system.dev.join(name).to_string_lossy());
            }
            Note::Lost => {
                if let Ok(seen) = self.system.list(stays) {
                    stays.all(seen, false);
                }
            }
        }
    }

    /// Keys that udev did not hand over in time are reported all the same: the operator has to learn why they can't be used. Should
    /// the right come later, that is a new stay.
    fn overdue(&mut self, stays: &mut Stays) {
        let now = Instant::now();
        let (due, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|(_, until)| *until <= now);
        self.waiting = waiting;
        for (name, _) in due {
            if let Some(seen) = self.system.look(&name) {
                stays.arrived(seen, false);
            }
        }
    }
}

fn wait(notes: &OwnedFd, patience: Duration) -> Result<(), Errno> {
    let time = Timespec::try_from(patience).map_err(|_| Errno::INVAL)?;
    match poll(&mut [PollFd::new(notes, PollFlags::IN)], Some(&time)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The next note about a hidraw node; `None` when there is none at the moment.
fn next_note(reader: &mut inotify::Reader<'_, &OwnedFd>) -> Result<Option<Note>, Errno> {
    loop {
        let event = match reader.next() {
            Ok(event) => event,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(error) => return Err(error),
        };
        let kind = event.events();
        if kind.contains(inotify::ReadFlags::QUEUE_OVERFLOW) {
            return Ok(Some(Note::Lost));
        }
        if kind.contains(inotify::ReadFlags::IGNORED) {
            return Err(Errno::NOENT);
        }
        let Some(name) = event.file_name().and_then(|name| name.to_str().ok()) else { continue };
        if !name.starts_with("hidraw") {
            continue;
        }
        let name = name.to_owned();
        return Ok(Some(if kind.contains(inotify::ReadFlags::DELETE) { Note::Left(name) } else { Note::Came(name) }));
    }
}

/// `0003:00001050:00000407`: bus, vendor, product.
fn hid_id(text: &str) -> Option<(u16, u16)> {
    let mut parts = text.split(':').skip(1);
    let mut number = || u32::from_str_radix(parts.next()?, 16).ok().and_then(|number| u16::try_from(number).ok());
    Some((number()?, number()?))
}

/// `1-4.2`: bus, and the ports down to the device. An interface has a colon and is none.
fn is_usb_path(name: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once('-').is_some_and(|(bus, ports)| number(bus) && ports.split('.').all(number))
}

/// Walks a report descriptor (HID 1.11 §6.2.2) for a usage page; nothing else in it matters here.
fn has_usage_page(mut descriptor: &[u8], page: u32) -> bool {
    while let [prefix, rest @ ..] = descriptor {
        // A long item: its data's length, a tag, data.
        if *prefix == 0xFE {
            let length = rest.first().copied().map_or(0, usize::from);
            descriptor = rest.get(2 + length..).unwrap_or_default();
            continue;
        }
        let size = match prefix & 0x03 {
            3 => 4,
            size => usize::from(size),
        };
        let Some((data, rest)) = rest.split_at_checked(size) else { return false };
        let value = data.iter().rev().fold(0u32, |value, byte| (value << 8) | u32::from(*byte));
        if prefix & 0xFC == 0x04 && value == page {
            return true;
        }
        descriptor = rest;
    }
    false
}

#[cfg(test)]
#[path = "linux_tests.rs"]
mod tests;
