//! Who gets a key.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::UserId;

/// A user principal name, `name@domain`. Compared without regard to case, shown as it was written.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Upn(String);

impl Upn {
    /// Wraps the text, trimmed; `None` unless it has the form `name@domain` without blanks or control characters.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (name, domain) = text.split_once('@')?;
        let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
        (plain && !name.is_empty() && !domain.is_empty() && !domain.contains('@')).then(|| Self(text.to_owned()))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Upn {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_lowercase() == other.0.to_lowercase()
    }
}
impl Eq for Upn {}
impl std::hash::Hash for Upn {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_lowercase().hash(state);
    }
}
impl fmt::Display for Upn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Upn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upn({})", self.0)
    }
}

/// The device a person will use the key on first. Not every one can change a forced PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FirstDevice {
    /// Windows 11.
    Win11,
    /// Windows 10.
    Win10,
    /// macOS.
    Mac,
    /// Linux.
    Linux,
    /// iOS or iPadOS.
    Ios,
    /// Android.
    Android,
}

/// The kind of key a person is to get: free text that is compared with a model's name, or an AAGUID.
/// See `roster` for how it is matched.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyKind(pub String);

/// Where a parcel goes. Free text, as HR systems hold it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostalAddress {
    /// Everything between the name and the country, line by line.
    pub lines: Vec<String>,
    /// Country, as written.
    pub country: Option<String>,
    /// The same, by its parts, where the roster had a column for each; carriers ask for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<AddressParts>,
}

/// An address by its parts, as far as they are known. Free text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressParts {
    /// Company or department.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<String>,
    /// Street and number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub street: Option<String>,
    /// Second line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub street2: Option<String>,
    /// Postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// City.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// State, province, region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// A person as the directory knows them and the roster asks for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Object id in the directory.
    pub id: UserId,
    /// User principal name in the directory.
    pub upn: Upn,
    /// Display name in the directory.
    pub display_name: String,
    /// From the roster.
    pub address: Option<PostalAddress>,
    /// From the roster.
    pub first_device: Option<FirstDevice>,
    /// From the roster.
    pub key_kind: Option<KeyKind>,
    /// The serial number the roster assigns to this person's key, if any.
    pub serial: Option<super::Serial>,
    /// The language of letters to this person, from the roster: a code such as `de` or `pt-br`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Where the second key and those after it go, where that is another place than the first key's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spare_address: Option<PostalAddress>,
}

impl Person {
    /// Of whom the roster says nothing but who it is.
    pub fn new(id: UserId, upn: Upn, display_name: impl Into<String>) -> Self {
        Self {
            id,
            upn,
            display_name: display_name.into(),
            address: None,
            first_device: None,
            key_kind: None,
            serial: None,
            language: None,
            spare_address: None,
        }
    }

    /// Where the person's key of this number goes, from 1.
    pub fn address_for(&self, ordinal: u32) -> Option<&PostalAddress> {
        match ordinal {
            0 | 1 => self.address.as_ref(),
            _ => self.spare_address.as_ref().or(self.address.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upns() {
        assert!(Upn::parse(" kim@contoso.com ").is_some());
        for bad in ["", "kim", "@contoso.com", "kim@", "k im@contoso.com", "a@b@c"] {
            assert!(Upn::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(Upn::parse("Kim@Contoso.com"), Upn::parse("kim@contoso.COM"));
    }
}
