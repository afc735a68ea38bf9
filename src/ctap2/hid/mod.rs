//! CTAPHID: CTAP2 over USB HID. [`packet`] is the line to the device, [`frame`] cuts and joins, [`channel`] converses;
//! [`usb`] is the only file that opens a device; `hotplug` sees keys come and go; [`transcript`] records and plays back.

pub mod channel;
pub mod frame;
mod hotplug;
pub mod packet;
mod stays;
pub mod tap;
pub mod transcript;
pub mod usb;
