//! FIDO devices as the kernel lists them. None is opened.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

/// One device.
pub struct Device {
    /// `/dev/hidraw3`; it may not be there.
    pub node: PathBuf,
    /// As keybench names it.
    pub port: String,
    /// `1050:0407`.
    pub usb: String,
}

/// All there are.
pub fn devices() -> Vec<Device> {
    let Ok(entries) = fs::read_dir("/sys/class/hidraw") else { return Vec::new() };
    let look = |name: std::ffi::OsString| {
        let device = fs::canonicalize(Path::new("/sys/class/hidraw").join(&name).join("device")).ok()?;
        let descriptor = fs::read(device.join("report_descriptor")).ok()?;
        let uevent = fs::read_to_string(device.join("uevent")).unwrap_or_default();
        let port = port_of(&device, &uevent);
        is_fido(&descriptor).then(|| Device { node: Path::new("/dev").join(name), port, usb: usb_ids(&uevent) })
    };
    entries.flatten().filter_map(|entry| look(entry.file_name())).collect()
}

/// The one in this port, where it has its node.
pub fn in_port(port: &str) -> Option<Device> {
    let has_node = |device: &Device| fs::metadata(&device.node).is_ok_and(|node| node.file_type().is_char_device());
    devices().into_iter().find(|device| device.port == port && has_node(device))
}

/// Walks the items of a report descriptor (HID 1.11 §6.2.2) for usage page 0xF1D0. Data of other items may look like one.
pub fn is_fido(mut descriptor: &[u8]) -> bool {
    while let [prefix, rest @ ..] = descriptor {
        let length = match (prefix, prefix & 3) {
            // A long item: its data's length, a tag, data.
            (0xFE, _) => 2 + rest.first().copied().map_or(0, usize::from),
            (_, 3) => 4,
            (_, size) => usize::from(size),
        };
        let Some((data, rest)) = rest.split_at_checked(length) else { return false };
        // Global item 0, of two bytes or four.
        if prefix & 0xFC == 0x04 && matches!(data, [0xD0, 0xF1] | [0xD0, 0xF1, 0, 0]) {
            return true;
        }
        descriptor = rest;
    }
    false
}

/// The USB path that is deepest, for hubs above have one too; a virtual key has none, and is named by HID_PHYS.
pub fn port_of(device: &Path, uevent: &str) -> String {
    let names = device.ancestors().filter_map(|part| part.file_name()?.to_str());
    let instance = names.clone().next().unwrap_or_default();
    let usb = names.clone().find(|name| is_usb_path(name));
    usb.or_else(|| told(uevent, "HID_PHYS")).or_else(|| told(uevent, "HID_UNIQ")).unwrap_or(instance).to_owned()
}

/// `HID_ID=0003:00001050:00000407`: bus, vendor, product.
pub fn usb_ids(uevent: &str) -> String {
    let numbers = told(uevent, "HID_ID").unwrap_or_default().split(':').skip(1);
    let short = numbers.map(|number| number.trim_start_matches('0').to_ascii_lowercase());
    short.map(|number| format!("{number:0>4}")).collect::<Vec<_>>().join(":")
}

fn told<'a>(uevent: &'a str, key: &str) -> Option<&'a str> {
    let value = uevent.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?.trim();
    (!value.is_empty()).then_some(value)
}

/// `1-4.2`: bus, and the ports down to the device. An interface has a colon and is none.
fn is_usb_path(name: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once('-').is_some_and(|(bus, ports)| number(bus) && ports.split('.').all(number))
}
