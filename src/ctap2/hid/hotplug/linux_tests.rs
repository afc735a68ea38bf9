//! A made-up sysfs and /dev in a temporary directory: the kernel's notes about it are real.

use std::os::unix::fs::symlink;

use super::*;
use crate::world::PortEvent;

/// A YubiKey's FIDO interface begins like this; a keyboard's has another page.
const FIDO_DESCRIPTOR: &[u8] = &[0x06, 0xD0, 0xF1, 0x09, 0x01, 0xA1, 0x01];
const KEYBOARD_DESCRIPTOR: &[u8] = &[0x05, 0x01, 0x09, 0x06, 0xA1, 0x01];

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["class", "dev", "devices"] {
            std::fs::create_dir(dir.path().join(name)).expect("a directory");
        }
        Self { dir }
    }

    fn system(&self) -> System {
        System { class: self.dir.path().join("class"), dev: self.dir.path().join("dev") }
    }

    /// Puts a HID device at a path below `devices` and links it as `name`.
    fn sysfs(&self, name: &str, path: &str, descriptor: &[u8], uevent: &str) {
        let device = self.dir.path().join("devices").join(path);
        std::fs::create_dir_all(&device).expect("a directory");
        std::fs::write(device.join("report_descriptor"), descriptor).expect("written");
        std::fs::write(device.join("uevent"), uevent).expect("written");
        let class = self.dir.path().join("class").join(name);
        let _ = std::fs::remove_dir_all(&class);
        std::fs::create_dir(&class).expect("a directory");
        symlink(&device, class.join("device")).expect("linked");
    }

    fn yubikey(&self, name: &str, instance: &str) {
        let usb = "pci0000:00/usb1/1-4/1-4.2";
        let uevent = "HID_ID=0003:00001050:00000407\nHID_NAME=Yubico YubiKey\nHID_PHYS=usb-0000:00:14.0-4.2/input1\n";
        self.sysfs(name, &format!("{usb}/1-4.2:1.1/{instance}"), FIDO_DESCRIPTOR, uevent);
        let usb = self.dir.path().join("devices").join(usb);
        std::fs::write(usb.join("product"), "YubiKey OTP+FIDO+CCID\n").expect("written");
        std::fs::write(usb.join("manufacturer"), "Yubico\n").expect("written");
    }

    fn node(&self, name: &str) -> PathBuf {
        self.dir.path().join("dev").join(name)
    }
}

#[test]
fn a_key_is_told_by_its_usage_page_and_named_by_its_port() {
    let place = Place::new();
    place.yubikey("hidraw3", "0003:1050:0407.0005");
    place.sysfs("hidraw0", "pci0000:00/usb1/1-1/1-1:1.0/0003:046D:C31C.0001", KEYBOARD_DESCRIPTOR, "");
    let found = place.system().list(&Stays::default()).expect("a list");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].port, PortName::new("1-4.2"));
    assert_eq!((found[0].vendor_id, found[0].product_id), (0x1050, 0x0407));
    assert_eq!((found[0].manufacturer.as_str(), found[0].product.as_str()), ("Yubico", "YubiKey OTP+FIDO+CCID"));
    assert_eq!(found[0].usb_serial, None);
}

#[test]
fn a_virtual_key_is_named_by_what_it_says() {
    let place = Place::new();
    let uevent = "HID_ID=0003:00001915:0000521F\nHID_NAME=virtual key\nHID_PHYS=bench/3\nHID_UNIQ=77\n";
    place.sysfs("hidraw1", "virtual/misc/uhid/0003:1915:521F.0002", FIDO_DESCRIPTOR, uevent);
    place.sysfs("hidraw2", "virtual/misc/uhid/0003:1915:521F.0003", FIDO_DESCRIPTOR, "HID_UNIQ=78\nHID_PHYS=\n");
    let found = place.system().list(&Stays::default()).expect("a list");
    assert_eq!(found[0].port, PortName::new("bench/3"));
    assert_eq!(found[0].usb_serial.as_deref(), Some("77"));
    assert_eq!(found[0].product, "virtual key");
    assert_eq!(found[1].port, PortName::new("78"));
}

#[test]
fn coming_and_going_is_noticed() {
    let place = Place::new();
    let stays = Arc::new(Mutex::new(Stays::default()));
    place.system().watch(&stays).expect("watched");
    let events = stays.lock().expect("short").watch();
    place.yubikey("hidraw3", "0003:1050:0407.0005");
    std::fs::write(place.node("hidraw3"), "").expect("a node");
    std::fs::write(place.node("tty9"), "").expect("another node");
    let patience = Duration::from_secs(10);
    let Ok(PortEvent::Plugged(key)) = events.recv_timeout(patience) else { panic!("nothing came") };
    assert_eq!(key.port, PortName::new("1-4.2"));
    assert!(!key.present_at_start);
    std::fs::remove_file(place.node("hidraw3")).expect("removed");
    let Ok(PortEvent::Unplugged { plug, .. }) = events.recv_timeout(patience) else { panic!("nothing left") };
    assert_eq!(plug, key.plug);
}

#[test]
fn opening_tells_what_is_in_the_way() {
    let place = Place::new();
    let system = place.system();
    place.yubikey("hidraw3", "0003:1050:0407.0005");
    let seen = system.list(&Stays::default()).expect("a list").remove(0);
    // The kernel shows it and nothing has made its node, as in a container.
    assert!(matches!(system.open(&seen), Err(DeviceError::NoNode { .. })));
    std::fs::write(place.node("hidraw3"), "").expect("a node");
    let held = system.open(&seen).expect("opened");
    assert!(matches!(system.open(&seen), Err(DeviceError::InUse { .. })));
    drop(held);
    assert!(system.open(&seen).is_ok());
    // What is opened is that node: a file here, and so a report that is written is read back, with its report id in front.
    let mut key = system.open(&seen).expect("opened");
    key.write(&[7; 64]).expect("written");
    let file = std::fs::read(place.node("hidraw3")).expect("read");
    assert!(file.len() == 65 && file[0] == 0 && file[1..] == [7; 64]);
    drop(key);
    // Another key under the same node: not the one that was asked for.
    place.yubikey("hidraw3", "0003:1050:0407.0006");
    assert!(matches!(system.open(&seen), Err(DeviceError::Gone)));
}

#[test]
fn descriptors_and_names() {
    assert!(has_usage_page(FIDO_DESCRIPTOR, FIDO));
    assert!(!has_usage_page(KEYBOARD_DESCRIPTOR, FIDO));
    // The bytes of the page inside another item's data are not the page.
    assert!(!has_usage_page(&[0x27, 0x06, 0xD0, 0xF1, 0x00], FIDO));
    assert!(!has_usage_page(&[0x06, 0xD0], FIDO));
    assert!(!has_usage_page(&[0xFE], FIDO) && !has_usage_page(&[0xFE, 0xFF, 0x00, 0x06, 0xD0, 0xF1], FIDO));
    for (name, usb) in [("1-4.2", true), ("2-1", true), ("1-4.2:1.0", false), ("usb1", false), ("0-", false)] {
        assert_eq!(is_usb_path(name), usb, "{name}");
    }
    assert_eq!(hid_id("0003:00001050:00000407"), Some((0x1050, 0x0407)));
    assert_eq!(hid_id("nonsense"), None);
}
