//! Which keys fit a `key_kind` cell: the one with that AAGUID, or those whose model's name contains every word of it, in
//! any order and case. `5 nfc` fits "YubiKey 5 NFC" and not "YubiKey 5C"; a word must be whole.

use crate::model::{Aaguid, KeyKind};

/// A model that exists, from the metadata or seen in a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Its id.
    pub aaguid: Aaguid,
    /// Its name.
    pub name: String,
}

/// Whether a key of this model is of the kind asked for. Without a name only an AAGUID can fit.
pub fn fits(kind: &KeyKind, aaguid: Aaguid, name: Option<&str>) -> bool {
    if let Some(wanted) = Aaguid::parse(&kind.0) {
        return wanted == aaguid;
    }
    let has: Vec<String> = name.map(words).unwrap_or_default();
    let wanted = words(&kind.0);
    !wanted.is_empty() && wanted.iter().all(|word| has.contains(word))
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '+')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_fit_by_id_or_by_whole_words() {
        let id = Aaguid([7; 16]);
        let fits = |kind: &str, name: &str| super::fits(&KeyKind(kind.to_owned()), id, Some(name));
        assert!(fits("5 nfc", "YubiKey 5 NFC"));
        assert!(fits("NFC yubikey", "YubiKey 5 NFC"));
        assert!(!fits("5 nfc", "YubiKey 5C NFC"));
        assert!(!fits("", "YubiKey 5 NFC"));
        assert!(!fits("-", "YubiKey 5 NFC"));
        assert!(fits(&id.to_string(), "anything"));
        assert!(super::fits(&KeyKind(id.to_string().to_uppercase()), id, None));
        assert!(!super::fits(&KeyKind("5".to_owned()), id, None));
    }
}
