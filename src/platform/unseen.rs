//! Why no security key is seen on this machine: what else can be seen of it tells. [`why`] is pure; [`signs`] looks.

/// A cause and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// Why, in one sentence.
    pub cause: String,
    /// What to do, without a full stop.
    pub next: String,
}

/// What the machine shows instead of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signs {
    /// HID devices of any kind; `None` when the kernel has no list of them.
    pub hid: Option<usize>,
    /// USB devices by makers of security keys: ids and name.
    pub makers: Vec<String>,
    /// What the machine calls itself, if it is a virtual one.
    pub virtual_machine: Option<String>,
    /// It is a container.
    pub container: bool,
    /// It is Windows' subsystem for Linux.
    pub wsl: bool,
}

/// The likeliest reason; `None` when there is nothing to say but that no key is plugged in.
pub fn why(signs: &Signs) -> Option<Unseen> {
    let unseen = |cause: String, next: &str| Some(Unseen { cause, next: next.to_owned() });
    if signs.wsl {
        return unseen(
            "this is Windows' subsystem for Linux, which sees a USB device only once Windows has handed it over."
                .to_owned(),
            "run keybench on Windows itself, from an elevated terminal",
        );
    }
    if let Some(device) = signs.makers.first() {
        return unseen(
            format!(
                "USB shows {device}, by a maker of security keys, and it has no FIDO interface: FIDO over USB is switched off on it, or it is another \
                 kind of device."
            ),
            "switch FIDO2 over USB on with its maker's manager, or use another key",
        );
    }
    if signs.container {
        return unseen(
            "this is a container, which sees a key only when its device node is passed in, under another name at each insertion.".to_owned(),
            "run keybench on the machine itself",
        );
    }
    if let Some(name) = &signs.virtual_machine {
        return unseen(
            format!(
                "this is a virtual machine ({name}), which sees a key only when its host passes the USB device through."
            ),
            "pass the key through to this machine, better the whole USB controller, and put it in again",
        );
    }
    match signs.hid {
        Some(0) | None => None,
        Some(count) => unseen(
            format!("of {count} HID devices here (keyboards, mice and the like) none is a FIDO device."),
            "put a FIDO2 security key in",
        ),
    }
}

/// What this machine shows.
pub fn signs() -> Signs {
    #[cfg(target_os = "linux")]
    {
        linux::signs(std::path::Path::new("/"))
    }
    #[cfg(not(target_os = "linux"))]
    {
        Signs::default()
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::path::Path;

    use super::Signs;

    /// USB vendor ids of makers whose devices are all, or nearly all, security keys: Yubico, Feitian, Token2, Nitrokey.
    const MAKERS: [&str; 4] = ["1050", "096e", "349e", "20a0"];

    pub(super) fn signs(root: &Path) -> Signs {
        let text = |place: &str| fs::read_to_string(root.join(place)).unwrap_or_default();
        let is_virtual = text("proc/cpuinfo")
            .lines()
            .any(|line| line.starts_with("flags") && line.split_whitespace().any(|flag| flag == "hypervisor"));
        let name = text("sys/class/dmi/id/product_name").trim().to_owned();
        let groups = text("proc/1/cgroup");
        let container = root.join(".dockerenv").exists()
            || root.join("run/.containerenv").exists()
            || root.join("run/systemd/container").exists()
            || ["docker", "kubepods", "/lxc"].iter().any(|word| groups.contains(word));
        Signs {
            hid: fs::read_dir(root.join("sys/class/hidraw")).ok().map(|entries| entries.flatten().count()),
            makers: makers(&root.join("sys/bus/usb/devices")),
            virtual_machine: is_virtual.then(|| if name.is_empty() { "of some kind".to_owned() } else { name }),
            container,
            wsl: text("proc/version").to_lowercase().contains("microsoft"),
        }
    }

    fn makers(devices: &Path) -> Vec<String> {
        let mut found: Vec<String> = fs::read_dir(devices)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|device| {
                let told =
                    |file: &str| fs::read_to_string(device.path().join(file)).unwrap_or_default().trim().to_owned();
                let vendor = told("idVendor");
                MAKERS
                    .contains(&vendor.as_str())
                    .then(|| format!("{vendor}:{} {}", told("idProduct"), told("product")).trim().to_owned())
            })
            .collect();
        found.sort();
        found
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_machine_is_read_from_its_files() {
            let root = tempfile::tempdir().expect("a directory");
            let put = |place: &str, text: &str| {
                let path = root.path().join(place);
                fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                fs::write(path, text).expect("written");
            };
            assert_eq!(signs(root.path()), Signs::default(), "nothing there");
            put("proc/cpuinfo", "processor : 0\nflags\t\t: fpu hypervisor sse\n");
            put("sys/class/dmi/id/product_name", "VirtualBox\n");
            put("sys/class/hidraw/hidraw0/dev", "");
            put("sys/bus/usb/devices/1-4/idVendor", "1050\n");
            put("sys/bus/usb/devices/1-4/idProduct", "0401\n");
            put("sys/bus/usb/devices/1-4/product", "YubiKey OTP\n");
            put("sys/bus/usb/devices/1-1/idVendor", "046d\n");
            let seen = signs(root.path());
            assert_eq!((seen.hid, seen.container, seen.wsl), (Some(1), false, false));
            assert_eq!(seen.virtual_machine.as_deref(), Some("VirtualBox"));
            assert_eq!(seen.makers, ["1050:0401 YubiKey OTP"]);
            put(".dockerenv", "");
            put("proc/version", "Linux version 6.6 (Microsoft@Microsoft.com)\n");
            let seen = signs(root.path());
            assert!(seen.container && seen.wsl);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(signs: &Signs) -> String {
        why(signs).map(|unseen| unseen.cause).unwrap_or_default()
    }

    #[test]
    fn what_is_nearest_to_a_key_is_named_first() {
        let mut signs = Signs::default();
        assert_eq!(why(&signs), None);
        signs.hid = Some(0);
        assert_eq!(why(&signs), None);
        signs.hid = Some(3);
        assert!(cause(&signs).contains("of 3 HID devices"));
        signs.virtual_machine = Some("VirtualBox".to_owned());
        assert!(cause(&signs).contains("virtual machine (VirtualBox)"));
        signs.container = true;
        assert!(cause(&signs).contains("container"));
        signs.makers = vec!["1050:0401 YubiKey OTP".to_owned()];
        assert!(cause(&signs).contains("1050:0401 YubiKey OTP"));
        signs.wsl = true;
        assert!(cause(&signs).contains("subsystem"));
    }

    #[test]
    fn every_cause_is_a_sentence_and_every_next_step_is_not() {
        let plain = Signs { hid: Some(1), ..Signs::default() };
        for signs in [
            plain.clone(),
            Signs { virtual_machine: Some("KVM".into()), ..plain.clone() },
            Signs { container: true, ..plain.clone() },
            Signs { makers: vec!["096e:0858".into()], ..plain.clone() },
            Signs { wsl: true, ..plain },
        ] {
            let unseen = why(&signs).expect("a reason");
            assert!(unseen.cause.ends_with('.') && !unseen.next.ends_with('.'), "{unseen:?}");
        }
    }
}
