//! The models a simulated key can be, read from `fixtures/models/*.toml`; the format is described in the README there.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::model::Aaguid;

/// How a model tells its serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SerialBy {
    /// CTAPHID vendor command 0xC2, TLV tag 2 (Yubico).
    Yubikey,
    /// CTAPHID vendor command 0xE2: 16 bytes (SoloKeys 2, Nitrokey 3).
    Uuid,
    /// The USB descriptor.
    Usb,
    /// Not at all.
    None,
}

/// What the USB descriptor says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usb {
    /// Vendor id.
    pub vendor_id: u16,
    /// Product id.
    pub product_id: u16,
    /// Manufacturer string.
    pub manufacturer: String,
    /// Product string.
    pub product: String,
}

/// Where a model differs from OpenSK.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CtapRules {
    /// No CTAP2 at all.
    pub u2f_only: bool,
    /// It has no light that it could flash on request (capability WINK).
    pub cannot_wink: bool,
    /// getInfo 0x01, in this order.
    pub versions: Vec<String>,
    /// getInfo 0x02. An extension that isn't named is ignored when asked for.
    pub extensions: Vec<String>,
    /// Options OpenSK has and this model has not. What they stand for is refused too.
    pub options_removed: Vec<String>,
    /// Options told beside or instead of OpenSK's.
    pub options_added: BTreeMap<String, bool>,
    /// getInfo 0x06.
    pub pin_protocols: Vec<u64>,
    /// getInfo 0x05; 1024 to 7609.
    pub max_msg_size: usize,
    /// Room for discoverable credentials.
    pub capacity: usize,
    /// getInfo members this model does not send, e.g. `"0x14"`.
    pub members_removed: Vec<String>,
    /// getInfo members OpenSK does not know, e.g. `"0x1D" = 63`.
    pub members_added: BTreeMap<String, toml::Value>,
    /// Enterprise attestation is there, switched off.
    pub enterprise: bool,
    /// Credential management only by the preview command 0x41.
    pub preview_credential_management: bool,
    /// PINs refused for being weak (0x37), whatever their length.
    pub refused_pins: Vec<String>,
    /// A right PIN while a change is forced: this status instead of 0x31 (CTAP leaves it open; the second firmware says 0x37).
    pub forced_token_status: Option<u8>,
    /// Any assertion while a change is forced: this status.
    pub forced_assertion_status: Option<u8>,
    /// enumerateRPsBegin on an empty key answers OK and 0, not 0x2E.
    pub empty_rps_ok: bool,
    /// getPINRetries tells powerCycleState.
    pub power_cycle_state: bool,
    /// KEEPALIVE with status 1 PROCESSING comes before every answer.
    pub processing_keepalive: bool,
    /// Time each CTAP2 command takes on top, in milliseconds.
    pub answer_delay_ms: u64,
    /// Statuses said instead of OpenSK's, e.g. `"0x2F" = 0x3A`.
    pub statuses: BTreeMap<String, u8>,
    /// enumerateRPs tells the relying parties' names, not only their ids.
    pub rp_names: bool,
    /// So many bytes more in the attestation certificate, 256 to 900: answers as long as those of keys with long certificates.
    pub certificate_padding: usize,
}

impl Default for CtapRules {
    fn default() -> Self {
        let text = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Self {
            u2f_only: false,
            cannot_wink: false,
            versions: text(&["U2F_V2", "FIDO_2_0", "FIDO_2_1"]),
            extensions: text(&["hmac-secret", "credProtect", "minPinLength", "credBlob", "largeBlobKey"]),
            options_removed: Vec::new(),
            options_added: BTreeMap::new(),
            pin_protocols: vec![2, 1],
            max_msg_size: 1200,
            capacity: 25,
            members_removed: Vec::new(),
            members_added: BTreeMap::new(),
            enterprise: false,
            preview_credential_management: false,
            refused_pins: Vec::new(),
            forced_token_status: None,
            forced_assertion_status: None,
            empty_rps_ok: false,
            power_cycle_state: true,
            processing_keepalive: false,
            answer_delay_ms: 0,
            statuses: BTreeMap::new(),
            rp_names: false,
            certificate_padding: 0,
        }
    }
}

/// One model of key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What scenarios call it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Model id.
    pub aaguid: Aaguid,
    /// Firmware as people write it; getInfo 0x0E gets its three numbers, one byte each.
    #[serde(default)]
    pub firmware: Option<String>,
    /// How it tells its serial number.
    pub serial_by: SerialBy,
    /// The first serial number; units count from there.
    #[serde(default)]
    pub first_serial: u32,
    /// The USB descriptor.
    pub usb: Usb,
    /// Where it differs from OpenSK.
    #[serde(default)]
    pub ctap: CtapRules,
}

const EMBEDDED: [&str; 8] = [
    include_str!("../../../fixtures/models/yubikey-5-nfc.toml"),
    include_str!("../../../fixtures/models/yubikey-5-nfc-old.toml"),
    include_str!("../../../fixtures/models/security-key-nfc.toml"),
    include_str!("../../../fixtures/models/token2-pin-plus.toml"),
    include_str!("../../../fixtures/models/feitian-epass.toml"),
    include_str!("../../../fixtures/models/titan-v2.toml"),
    include_str!("../../../fixtures/models/nitrokey-3.toml"),
    include_str!("../../../fixtures/models/utrust.toml"),
];

impl Model {
    /// Reads a model file.
    ///
    /// # Errors
    /// The file's first mistake, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let model: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for member in model.ctap.members_removed.iter().chain(model.ctap.members_added.keys()) {
            member_number(member).ok_or_else(|| format!("`{member}` is no getInfo member; write it like \"0x14\""))?;
        }
        for status in model.ctap.statuses.keys() {
            byte(status).ok_or_else(|| format!("`{status}` is no status; write it like \"0x2F\""))?;
        }
        if !matches!(model.ctap.certificate_padding, 0 | 256..=900) {
            return Err("certificate_padding must be 0, or 256 to 900".to_owned());
        }
        if !(1024..=7609).contains(&model.ctap.max_msg_size) {
            return Err("max_msg_size must be 1024 to 7609".to_owned());
        }
        Ok(model)
    }

    /// The eight models that come with the program.
    pub fn all() -> &'static [Arc<Self>] {
        static ALL: OnceLock<Vec<Arc<Model>>> = OnceLock::new();
        ALL.get_or_init(|| {
            let read = |text| Arc::new(Self::parse(text).expect("infallible: a test reads every embedded file"));
            EMBEDDED.into_iter().map(read).collect()
        })
    }

    /// A model by its id.
    pub fn by_id(id: &str) -> Option<Arc<Self>> {
        Self::all().iter().find(|model| model.id == id).cloned()
    }

    /// The model used where none is asked for: a current YubiKey 5 NFC.
    pub fn usual() -> Arc<Self> {
        Arc::clone(&Self::all()[0])
    }

    /// getInfo 0x0E: major, minor and patch as one number.
    pub(super) fn firmware_number(&self) -> Option<u64> {
        let parts = self.firmware.as_deref()?.split('.').map(|part| part.parse::<u64>().ok());
        parts.collect::<Option<Vec<_>>>().map(|parts| parts.iter().fold(0, |number, part| number << 8 | (part & 0xff)))
    }

    pub(super) fn lacks(&self, option: &str) -> bool {
        self.ctap.options_removed.iter().any(|removed| removed == option)
    }

    pub(super) fn knows_ctap21(&self) -> bool {
        self.ctap.versions.iter().any(|version| version == "FIDO_2_1")
    }

    /// What this model says where OpenSK says `status`.
    pub(super) fn says(&self, status: u8) -> u8 {
        let other = self.ctap.statuses.iter().find(|(from, _)| byte(from) == Some(status));
        other.map_or(status, |(_, to)| *to)
    }

    /// Whether the PIN with this hash (SHA-256, left 16 bytes) is on the model's list of weak ones.
    pub(super) fn refuses_pin(&self, hash: &[u8; 16]) -> bool {
        self.ctap.refused_pins.iter().any(|pin| Sha256::digest(pin.as_bytes()).starts_with(hash))
    }
}

/// `"0x14"` as a number.
pub(super) fn member_number(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// `"0x2F"` as a byte.
fn byte(text: &str) -> Option<u8> {
    u8::try_from(member_number(text)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_models_read_and_differ() {
        let mut aaguids = std::collections::BTreeSet::new();
        let mut ids = std::collections::BTreeSet::new();
        for text in EMBEDDED {
            let model = Model::parse(text).expect("a model");
            assert!(aaguids.insert(model.aaguid), "{}", model.id);
            assert!(ids.insert(model.id.clone()), "{}", model.id);
        }
        assert_eq!(ids.len(), 8);
    }

    #[test]
    fn firmware_is_one_byte_a_part() {
        let mut model = (*Model::usual()).clone();
        model.firmware = Some("5.7.1".into());
        assert_eq!(model.firmware_number(), Some(0x05_07_01));
        model.firmware = None;
        assert_eq!(model.firmware_number(), None);
    }

    #[test]
    fn mistakes_in_a_model_are_named() {
        let text = EMBEDDED[0].replacen("[ctap]", "[ctap]\nmembers_removed = [\"14\"]", 1);
        assert!(Model::parse(&text).expect_err("not a member").contains("14"));
        assert!(Model::parse(&EMBEDDED[0].replacen("name", "nome", 1)).is_err());
        let text = EMBEDDED[0].replacen("[ctap]", "[ctap]\nstatuses = { \"0x2FF\" = 1 }", 1);
        assert!(Model::parse(&text).expect_err("no status").contains("0x2FF"));
        let text = EMBEDDED[0].replacen("[ctap]", "[ctap]\ncertificate_padding = 5000", 1);
        assert!(Model::parse(&text).expect_err("too long").contains("900"));
    }
}
