//! Where a forced PIN change can be done: a table with its sources, `fixtures/first_device/table.toml`.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::model::FirstDevice;

/// Whether a device can change a PIN that must be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CanChange {
    /// Its sign-in or a built-in page does it.
    Yes,
    /// With something installed, or from an account that is signed in already.
    App,
    /// No.
    No,
}

/// How firm an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// By the maker.
    Stated,
    /// By users.
    Reported,
    /// By us, from pages that don't speak of forced changes.
    Inferred,
}

/// What is known of one device.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// For people.
    pub name: String,
    /// Whether it can.
    pub can_change: CanChange,
    /// Where to do it, to follow "the PIN can be changed …".
    pub how: String,
    /// How firm this is.
    pub evidence: Evidence,
    /// Public pages.
    pub sources: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    win11: Device,
    win10: Device,
    mac: Device,
    linux: Device,
    ios: Device,
    android: Device,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    // infallible: compiled in, and parsed by the tests.
    toml::from_str(include_str!("../../fixtures/first_device/table.toml")).expect("the table of first devices")
});

/// What is known of this device.
pub fn device(device: FirstDevice) -> &'static Device {
    match device {
        FirstDevice::Win11 => &TABLE.win11,
        FirstDevice::Win10 => &TABLE.win10,
        FirstDevice::Mac => &TABLE.mac,
        FirstDevice::Linux => &TABLE.linux,
        FirstDevice::Ios => &TABLE.ios,
        FirstDevice::Android => &TABLE.android,
    }
}

/// Reads a cell: `win11`, `Windows 11`, `iPhone`, …
///
/// # Errors
/// What would be right.
pub fn read(text: &str) -> Result<FirstDevice, String> {
    let plain: String = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    Ok(match plain.as_str() {
        "win11" | "windows11" | "w11" => FirstDevice::Win11,
        "win10" | "windows10" | "w10" => FirstDevice::Win10,
        "mac" | "macos" | "osx" | "macosx" | "macbook" => FirstDevice::Mac,
        "linux" | "ubuntu" | "debian" | "fedora" => FirstDevice::Linux,
        "ios" | "iphone" | "ipad" | "ipados" => FirstDevice::Ios,
        "android" => FirstDevice::Android,
        "win" | "windows" => return Err(format!("\"{text}\" could be two: write win11 or win10")),
        _ => return Err(format!("\"{text}\" is none of win11, win10, mac, linux, ios, android")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_has_an_entry_with_sources() {
        for which in [
            FirstDevice::Win11,
            FirstDevice::Win10,
            FirstDevice::Mac,
            FirstDevice::Linux,
            FirstDevice::Ios,
            FirstDevice::Android,
        ] {
            let entry = device(which);
            assert!(!entry.how.is_empty() && !entry.sources.is_empty(), "{which:?}");
            assert!(entry.sources.iter().all(|source| source.starts_with("https://")), "{which:?}");
        }
        assert_eq!(device(FirstDevice::Win11).can_change, CanChange::Yes);
        assert_eq!(device(FirstDevice::Ios).can_change, CanChange::No);
        assert_eq!(device(FirstDevice::Android).can_change, CanChange::No);
    }

    #[test]
    fn cells_are_read_as_people_write_them() {
        assert_eq!(read("Windows 11"), Ok(FirstDevice::Win11));
        assert_eq!(read("iPad OS"), Ok(FirstDevice::Ios));
        assert!(read("Windows").is_err_and(|why| why.contains("two")));
        assert!(read("BeOS").is_err());
    }
}
