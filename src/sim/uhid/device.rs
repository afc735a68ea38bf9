//! One stay of a simulated key on `/dev/uhid`.
//!
//! Promise: the node is gone when the stay is dropped, and when this process dies in any way: the kernel takes the device along with
//! its last file handle. No thread waits for anything but an event.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::UhidError;
use super::event::{self, EVENT_MAX, FromKernel, Introduction};
use crate::ctap2::hid::packet::DeviceError;
use crate::sim::key::{FromKey, Powered, SimKey, ToKey};

/// Where the kernel offers it.
const NODE: &str = "/dev/uhid";
/// How often a thread looks whether its stay is over, should no event tell it.
const LOOK: Duration = Duration::from_millis(500);

/// A key that is plugged in.
pub(super) struct Stay {
    powered: Option<Powered>,
    uhid: Arc<File>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Stay {
    /// Gives the key power and shows it to the system.
    pub(super) fn begin(key: &SimKey, who: &Introduction) -> Result<Self, UhidError> {
        let uhid = open(Path::new(NODE))?;
        let powered = key.power_up();
        let device = powered.open().map_err(|_| UhidError::NoThread)?;
        let (to_key, from_key) = device.split();
        (&uhid).write_all(&event::create(who)).map_err(UhidError::Refused)?;
        let mut stay = Self { powered: Some(powered), uhid: Arc::new(uhid), over: Arc::default(), threads: Vec::new() };
        let (uhid, over) = (Arc::clone(&stay.uhid), Arc::clone(&stay.over));
        stay.run("uhid to key", move || carry_to_key(&uhid, &over, &to_key))?;
        let (uhid, over) = (Arc::clone(&stay.uhid), Arc::clone(&stay.over));
        stay.run("key to uhid", move || carry_from_key(&uhid, &over, &from_key))?;
        Ok(stay)
    }

    fn run(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), UhidError> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(|_| UhidError::NoThread)?;
        self.threads.push(thread);
        Ok(())
    }

    /// Whether the key has left by itself: a fault pulled it.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire) || self.powered.as_ref().is_none_or(Powered::is_gone)
    }

    /// Whether the key waits for a touch.
    pub(super) fn is_blinking(&self) -> bool {
        self.powered.as_ref().is_some_and(Powered::is_blinking)
    }

    /// How many reports it has got.
    pub(super) fn heard(&self) -> u64 {
        self.powered.as_ref().map_or(0, Powered::heard)
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        // First the power, so that no answer comes after the node has gone; the thread that carries answers then ends the device.
        drop(self.powered.take());
        end(&self.uhid, &self.over);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of a virtual USB key failed");
            }
        }
    }
}

/// Takes the device away, once.
fn end(mut uhid: &File, over: &AtomicBool) {
    if !over.swap(true, Ordering::AcqRel) {
        // The kernel refuses only if there is no device any more.
        let _ = uhid.write_all(&event::destroy());
    }
}

fn open(node: &Path) -> Result<File, UhidError> {
    OpenOptions::new().read(true).write(true).open(node).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => UhidError::Missing,
        io::ErrorKind::PermissionDenied => UhidError::NoRight,
        // A node without the driver behind it: ENODEV, ENXIO.
        _ => match error.raw_os_error() {
            Some(6 | 19) => UhidError::Missing,
            _ => UhidError::Refused(error),
        },
    })
}

fn carry_to_key(mut uhid: &File, over: &AtomicBool, key: &ToKey) {
    let mut buffer = [0; EVENT_MAX + 4];
    while !over.load(Ordering::Acquire) {
        let Ok(look) = Timespec::try_from(LOOK) else { return };
        match poll(&mut [PollFd::new(uhid, PollFlags::IN)], Some(&look)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => return,
        }
        let Ok(length) = uhid.read(&mut buffer) else { return };
        match event::read(buffer.get(..length).unwrap_or_default()) {
            // The key is gone: the other thread, which learns it too, ends the device.
            FromKernel::Output(packet) => {
                if key.write(&packet).is_err() {
                    return;
                }
            }
            FromKernel::Refuse(answer) => {
                let _ = uhid.write_all(&answer);
            }
            FromKernel::Stopped => return,
            FromKernel::Other => {}
        }
    }
}

fn carry_from_key(mut uhid: &File, over: &AtomicBool, key: &FromKey) {
    loop {
        match key.read(LOOK) {
            Ok(Some(packet)) => {
                // Nobody has the node open, or it is just going: the report is lost, as on a wire.
                let _ = uhid.write_all(&event::input(&packet));
            }
            Ok(None) => {}
            Err(
                DeviceError::Gone
                | DeviceError::NoRight { .. }
                | DeviceError::NoNode { .. }
                | DeviceError::InUse { .. }
                | DeviceError::Io(_),
            ) => {
                end(uhid, over);
                return;
            }
        }
        if over.load(Ordering::Acquire) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_uhid_is_told_so() {
        let nowhere = Path::new("/dev/there-is-no-such-node");
        assert!(matches!(open(nowhere), Err(UhidError::Missing)));
    }
}
