//! CTAPHID: CTAP2 over USB HID. [`packet`] is the line to the device, [`frame`] cuts and joins, [`channel`] converses;
//! [`usb`] has the machine's ports; `hotplug` sees keys come and go, and opens them; [`transcript`] records and plays back.

pub mod channel;
pub mod frame;
mod hotplug;
#[cfg(target_os = "linux")]
mod node;
pub mod packet;
mod stays;
pub mod tap;
pub mod transcript;
pub mod usb;
