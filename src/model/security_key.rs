//! Which key this is.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::text::text_type;

/// An authenticator model's id: 16 bytes, written as a GUID (WebAuthn §6.5.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aaguid(pub [u8; 16]);

impl Aaguid {
    /// All zeros: the key tells no model.
    pub const ZERO: Self = Self([0; 16]);

    /// Reads a GUID with or without dashes, in either case.
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::try_parse(text.trim()).ok().map(|id| Self(*id.as_bytes()))
    }
}

impl fmt::Display for Aaguid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for Aaguid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aaguid({self})")
    }
}

impl Serialize for Aaguid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Aaguid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("an AAGUID is a GUID"))
    }
}

text_type! {
    /// A key's serial number as its maker prints it: from a vendor command or the USB descriptor.
    Serial
}
text_type! {
    /// A USB port by a name that lasts across unplugging: the port path (`1-4.2`), else HID_PHYS or the instance id.
    PortName
}
text_type! {
    /// A firmware version as people write it, e.g. `5.7.1`.
    Firmware
}

/// One stay of a key in a port: a number that is never used twice while the program runs. The same key pulled and put
/// back is another plug, so that what was true of the first is not believed of the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlugId(pub u64);

/// What the ledger keeps of a key to recognise it by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRef {
    /// Model id from getInfo.
    pub aaguid: Aaguid,
    /// Serial number, when the key tells one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// Firmware, when the key tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<Firmware>,
    /// Model name from metadata or the USB product string; for people only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The port it was in.
    pub port: PortName,
}

impl KeyRef {
    /// Whether `self` and `other` can be one key: the same serial number, or, where neither tells one, the same model
    /// and firmware in the same port. Only the first is proof.
    pub fn resembles(&self, other: &Self) -> bool {
        match (&self.serial, &other.serial) {
            (Some(a), Some(b)) => a == b && self.aaguid == other.aaguid,
            (None, None) => self.aaguid == other.aaguid && self.firmware == other.firmware && self.port == other.port,
            _ => false,
        }
    }

    /// How the operator is told of this key: `YubiKey 5 NFC, serial 19283746`.
    pub fn for_people(&self) -> String {
        let model = self.model.as_deref().unwrap_or("key");
        match &self.serial {
            Some(serial) => format!("{model}, serial {serial}"),
            None => format!("{model} in port {}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aaguids_read_and_write_as_guids() {
        let id = Aaguid::parse("2FC0579F-8113-47EA-B116-BB5A8DB9202A").expect("a GUID");
        assert_eq!(id.to_string(), "2fc0579f-8113-47ea-b116-bb5a8db9202a");
        assert_eq!(Aaguid::parse("2fc0579f811347eab116bb5a8db9202a"), Some(id));
        assert_eq!(Aaguid::parse("2fc0579f"), None);
    }

    #[test]
    fn keys_are_recognised_by_serial_first() {
        let key = |serial: Option<&str>, port: &str| KeyRef {
            aaguid: Aaguid::ZERO,
            serial: serial.map(Serial::new),
            firmware: None,
            model: None,
            port: PortName::new(port),
        };
        assert!(key(Some("1"), "1-1").resembles(&key(Some("1"), "1-4")));
        assert!(!key(Some("1"), "1-1").resembles(&key(Some("2"), "1-1")));
        assert!(key(None, "1-1").resembles(&key(None, "1-1")));
        assert!(!key(None, "1-1").resembles(&key(None, "1-2")));
        assert!(!key(Some("1"), "1-1").resembles(&key(None, "1-1")));
    }
}
