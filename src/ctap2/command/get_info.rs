//! authenticatorGetInfo (CTAP 2.1 §6.4; members 0x15 to 0x1F from 2.2 and 2.3).
//!
//! Promise: what the key did not tell is `None`, never a zero or a default, and everything it told is kept: members that
//! nobody knows in [`GetInfo::other`], and the answer's very bytes in [`GetInfo::raw`].

use super::{Command, call};
use crate::ctap2::cbor::{Value, decode};
use crate::ctap2::error::{CtapError, Malformed};
use crate::ctap2::transport::{Patience, Transport, TransportError, Unwatched};
use crate::model::Aaguid;

/// Boolean options (CTAP 2.1 §6.4, member 0x04). Absent and false differ: `clientPin` absent is a key that can't have a
/// PIN, false is one that has none yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options(Vec<(String, bool)>);

impl Options {
    /// The option as told.
    pub fn get(&self, name: &str) -> Option<bool> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| *value)
    }

    /// Told, and true.
    pub fn is(&self, name: &str) -> bool {
        self.get(name) == Some(true)
    }

    /// All that were told, in the key's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, bool)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

/// What a key says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetInfo {
    /// 01: `U2F_V2`, `FIDO_2_0`, `FIDO_2_1_PRE`, `FIDO_2_1`, `FIDO_2_3`.
    pub versions: Vec<String>,
    /// 02: extensions; empty when not told, which means none.
    pub extensions: Vec<String>,
    /// 03: the model.
    pub aaguid: Aaguid,
    /// 04.
    pub options: Options,
    /// 05: bytes; see [`GetInfo::max_message`].
    pub max_msg_size: Option<u64>,
    /// 06: the key's favourite first.
    pub pin_protocols: Option<Vec<u64>>,
    /// 07: credentials in one list.
    pub max_credential_count_in_list: Option<u64>,
    /// 08: bytes.
    pub max_credential_id_length: Option<u64>,
    /// 09: `usb`, `nfc`, `ble`, …
    pub transports: Option<Vec<String>>,
    /// 0A: COSE algorithms, the key's favourite first.
    pub algorithms: Option<Vec<i64>>,
    /// 0B: bytes.
    pub max_large_blob_array: Option<u64>,
    /// 0C: no token can be had until the PIN is changed.
    pub force_pin_change: Option<bool>,
    /// 0D: code points; see [`GetInfo::minimum_pin`].
    pub min_pin_length: Option<u64>,
    /// 0E: as the vendor counts.
    pub firmware_version: Option<u64>,
    /// 0F: bytes.
    pub max_cred_blob_length: Option<u64>,
    /// 10: RP ids that setMinPINLength takes.
    pub max_rp_ids_for_min_pin: Option<u64>,
    /// 11: built-in verification tries before the PIN is asked for.
    pub preferred_uv_attempts: Option<u64>,
    /// 12: bits of the FIDO registry.
    pub uv_modality: Option<u64>,
    /// 13: certificates and their levels.
    pub certifications: Option<Vec<(String, u64)>>,
    /// 14: an estimate; OpenSK means it, others do not.
    pub remaining_credentials: Option<u64>,
    /// 15.
    pub vendor_prototype_commands: Option<Vec<u64>>,
    /// 16: `packed` when not told.
    pub attestation_formats: Option<Vec<String>>,
    /// 17.
    pub uv_count_since_pin: Option<u64>,
    /// 18: hold the key for five seconds or more to reset it.
    pub long_touch_for_reset: Option<bool>,
    /// 19: the encrypted device identifier.
    pub enc_identifier: Option<Vec<u8>>,
    /// 1A: transports a reset is possible over.
    pub transports_for_reset: Option<Vec<String>>,
    /// 1B: the key refuses weak PINs.
    pub pin_complexity_policy: Option<bool>,
    /// 1C: where that is explained.
    pub pin_complexity_policy_url: Option<Vec<u8>>,
    /// 1D: bytes of UTF-8 [2.3]; see [`GetInfo::maximum_pin`].
    pub max_pin_length: Option<u64>,
    /// 1E: the encrypted state of the credential store.
    pub enc_cred_store_state: Option<Vec<u8>>,
    /// 1F: sub-commands of authenticatorConfig.
    pub config_commands: Option<Vec<u64>>,
    /// Members that are in no specification known here, or not of the type it says.
    pub other: Vec<(Value, Value)>,
    /// The answer's CBOR as it came.
    pub raw: Vec<u8>,
}

impl GetInfo {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`Malformed`] when it is not a map, when versions or AAGUID are missing, or when a member that decisions hang on
    /// (01 to 06, 0C, 0D) has the wrong type. Others of the wrong type go to [`GetInfo::other`].
    pub fn parse(raw: &[u8]) -> Result<Self, Malformed> {
        let answer = decode(raw)?;
        let members = answer.as_map().ok_or(Malformed::Other("the answer is not a map"))?;
        let mut info = Self::empty(raw);
        let (mut versions, mut aaguid) = (None, None);
        for (key, value) in members {
            let known = key.as_u64().and_then(|key| u8::try_from(key).ok());
            let taken = match known {
                Some(0x01) => keep(&mut versions, texts(value)),
                Some(0x02) => texts(value).map(|list| info.extensions = list).is_some(),
                Some(0x03) => {
                    keep(&mut aaguid, value.as_bytes().and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()).map(Aaguid))
                }
                Some(0x04) => options(value).map(|options| info.options = options).is_some(),
                Some(0x05) => keep(&mut info.max_msg_size, value.as_u64()),
                Some(0x06) => keep(&mut info.pin_protocols, numbers(value)),
                Some(0x07) => keep(&mut info.max_credential_count_in_list, value.as_u64()),
                Some(0x08) => keep(&mut info.max_credential_id_length, value.as_u64()),
                Some(0x09) => keep(&mut info.transports, texts(value)),
                Some(0x0A) => keep(&mut info.algorithms, algorithms(value)),
                Some(0x0B) => keep(&mut info.max_large_blob_array, value.as_u64()),
                Some(0x0C) => keep(&mut info.force_pin_change, value.as_bool()),
                Some(0x0D) => keep(&mut info.min_pin_length, value.as_u64()),
                Some(0x0E) => keep(&mut info.firmware_version, value.as_u64()),
                Some(0x0F) => keep(&mut info.max_cred_blob_length, value.as_u64()),
                Some(0x10) => keep(&mut info.max_rp_ids_for_min_pin, value.as_u64()),
                Some(0x11) => keep(&mut info.preferred_uv_attempts, value.as_u64()),
                Some(0x12) => keep(&mut info.uv_modality, value.as_u64()),
                Some(0x13) => keep(&mut info.certifications, certifications(value)),
                Some(0x14) => keep(&mut info.remaining_credentials, value.as_u64()),
                Some(0x15) => keep(&mut info.vendor_prototype_commands, numbers(value)),
                Some(0x16) => keep(&mut info.attestation_formats, texts(value)),
                Some(0x17) => keep(&mut info.uv_count_since_pin, value.as_u64()),
                Some(0x18) => keep(&mut info.long_touch_for_reset, value.as_bool()),
                Some(0x19) => keep(&mut info.enc_identifier, value.as_bytes().map(<[u8]>::to_vec)),
                Some(0x1A) => keep(&mut info.transports_for_reset, texts(value)),
                Some(0x1B) => keep(&mut info.pin_complexity_policy, value.as_bool()),
                Some(0x1C) => keep(&mut info.pin_complexity_policy_url, value.as_bytes().map(<[u8]>::to_vec)),
                Some(0x1D) => keep(&mut info.max_pin_length, value.as_u64()),
                Some(0x1E) => keep(&mut info.enc_cred_store_state, value.as_bytes().map(<[u8]>::to_vec)),
                Some(0x1F) => keep(&mut info.config_commands, numbers(value)),
                _ => false,
            };
            match known {
                _ if taken => {}
                Some(key @ (0x01..=0x06 | 0x0C | 0x0D)) => return Err(Malformed::Wrong(key)),
                _ => info.other.push((key.clone(), value.clone())),
            }
        }
        info.versions = versions.ok_or(Malformed::Missing(0x01))?;
        info.aaguid = aaguid.ok_or(Malformed::Missing(0x03))?;
        Ok(info)
    }

    fn empty(raw: &[u8]) -> Self {
        Self {
            versions: Vec::new(),
            extensions: Vec::new(),
            aaguid: Aaguid::ZERO,
            options: Options::default(),
            max_msg_size: None,
            pin_protocols: None,
            max_credential_count_in_list: None,
            max_credential_id_length: None,
            transports: None,
            algorithms: None,
            max_large_blob_array: None,
            force_pin_change: None,
            min_pin_length: None,
            firmware_version: None,
            max_cred_blob_length: None,
            max_rp_ids_for_min_pin: None,
            preferred_uv_attempts: None,
            uv_modality: None,
            certifications: None,
            remaining_credentials: None,
            vendor_prototype_commands: None,
            attestation_formats: None,
            uv_count_since_pin: None,
            long_touch_for_reset: None,
            enc_identifier: None,
            transports_for_reset: None,
            pin_complexity_policy: None,
            pin_complexity_policy_url: None,
            max_pin_length: None,
            enc_cred_store_state: None,
            config_commands: None,
            other: Vec::new(),
            raw: raw.to_vec(),
        }
    }

    /// The key speaks CTAP2, not U2F alone.
    pub fn is_fido2(&self) -> bool {
        self.versions.iter().any(|version| version.starts_with("FIDO_2_"))
    }

    /// The key has the extension.
    pub fn has_extension(&self, name: &str) -> bool {
        self.extensions.iter().any(|extension| extension == name)
    }

    /// A PIN is set; `None` when the key can't have one.
    pub fn pin_is_set(&self) -> Option<bool> {
        self.options.get("clientPin")
    }

    /// Passkeys can be stored on it.
    pub fn has_resident_keys(&self) -> bool {
        self.options.is("rk")
    }

    /// A PIN change is forced; a key that tells nothing forces nothing.
    pub fn forces_pin_change(&self) -> bool {
        self.force_pin_change == Some(true)
    }

    /// The fewest code points the key lets a PIN have (CTAP 2.1 §6.4: 4 when not told).
    pub fn minimum_pin(&self) -> u64 {
        self.min_pin_length.unwrap_or(4)
    }

    /// The most bytes of UTF-8 the key lets a PIN have (63 when not told).
    pub fn maximum_pin(&self) -> u64 {
        self.max_pin_length.unwrap_or(63)
    }

    /// The most bytes a message to the key may have (CTAP 2.1 §6.4: 1024 when not told, and never less).
    pub fn max_message(&self) -> usize {
        self.max_msg_size.map_or(1024, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX)).max(1024)
    }

    /// PIN rules can be set: authenticatorConfig with setMinPINLength.
    pub fn has_pin_rules(&self) -> bool {
        self.options.is("authnrCfg") && self.options.is("setMinPINLength")
    }

    /// Tokens with permissions (0x09); older keys have the plain token (0x05) alone.
    pub fn has_permissions(&self) -> bool {
        self.options.is("pinUvAuthToken")
    }
}

fn keep<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
    let told = value.is_some();
    if told {
        *slot = value;
    }
    told
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_text().map(str::to_owned)).collect()
}

fn numbers(value: &Value) -> Option<Vec<u64>> {
    value.as_array()?.iter().map(Value::as_u64).collect()
}

fn options(value: &Value) -> Option<Options> {
    let members = value.as_map()?;
    // An option of another type than boolean is no option.
    Some(Options(members.iter().filter_map(|(name, on)| Some((name.as_text()?.to_owned(), on.as_bool()?))).collect()))
}

fn algorithms(value: &Value) -> Option<Vec<i64>> {
    value.as_array()?.iter().map(|item| item.named("alg").and_then(Value::as_i64)).collect()
}

fn certifications(value: &Value) -> Option<Vec<(String, u64)>> {
    value.as_map()?.iter().map(|(name, level)| Some((name.as_text()?.to_owned(), level.as_u64()?))).collect()
}

/// Asks the key; a second time where packets were lost, since asking changes nothing.
///
/// # Errors
/// [`CtapError`].
pub fn get_info(link: &mut dyn Transport) -> Result<GetInfo, CtapError> {
    const COMMAND: Command = Command::GetInfo;
    let ask = |link: &mut dyn Transport| call(link, COMMAND, None, Patience::Key, &mut Unwatched);
    let raw = match ask(link) {
        Err(CtapError::Wire(TransportError::Garbled(_) | TransportError::Silent { .. })) => ask(link)?,
        outcome => outcome?,
    };
    GetInfo::parse(&raw).map_err(|what| CtapError::Malformed { command: COMMAND, what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctap2::cbor::Members;
    use proptest::prelude::*;

    fn least() -> Members {
        Members::new()
            .with(1, Value::Array(vec![Value::text("FIDO_2_1"), Value::text("U2F_V2")]))
            .with(3, Value::bytes([7; 16]))
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = GetInfo::parse(&bytes);
        }

        #[test]
        fn members_of_any_type_never_panic(key in 0i64..40, pick in 0u8..6) {
            let value = match pick {
                0 => Value::Bool(true),
                1 => Value::Unsigned(u64::MAX),
                2 => Value::Array(vec![Value::NULL]),
                3 => Value::Map(vec![(Value::NULL, Value::NULL)]),
                4 => Value::text("x"),
                _ => Value::bytes([1]),
            };
            let mut members = match least().into_value() { Value::Map(members) => members, _ => Vec::new() };
            members.retain(|(name, _)| *name != Value::int(key));
            members.push((Value::int(key), value));
            let _ = GetInfo::parse(&Value::Map(members).encode());
        }
    }

    #[test]
    fn what_is_absent_is_not_zero() {
        let raw = least().into_value().encode();
        let info = GetInfo::parse(&raw).expect("the least a key may say");
        assert_eq!(info.raw, raw);
        assert_eq!(info.remaining_credentials, None);
        assert_eq!(info.pin_is_set(), None);
        assert_eq!(info.force_pin_change, None);
        assert_eq!((info.minimum_pin(), info.maximum_pin(), info.max_message()), (4, 63, 1024));
        assert!(info.is_fido2());
    }

    #[test]
    fn what_nobody_knows_is_kept() {
        let info = GetInfo::parse(
            &least()
                .with(0x14, Value::Unsigned(0))
                .with(0x77, Value::text("news"))
                .with(0x13, Value::text("not a map"))
                .with(4, Members::new().with_name("clientPin", Value::Bool(false)).into_value())
                .into_value()
                .encode(),
        )
        .expect("valid");
        assert_eq!(info.remaining_credentials, Some(0));
        assert_eq!(info.pin_is_set(), Some(false));
        assert_eq!(info.certifications, None);
        assert_eq!(info.other, [(Value::int(0x13), Value::text("not a map")), (Value::int(0x77), Value::text("news"))]);
    }

    #[test]
    fn what_decisions_hang_on_must_be_right() {
        let with = |key, value| GetInfo::parse(&least().with(key, value).into_value().encode());
        assert_eq!(with(0x0C, Value::Unsigned(1)).err(), Some(Malformed::Wrong(0x0C)));
        assert_eq!(with(0x06, Value::text("1")).err(), Some(Malformed::Wrong(0x06)));
        let no_versions = Members::new().with(3, Value::bytes([0; 16])).into_value().encode();
        assert_eq!(GetInfo::parse(&no_versions).err(), Some(Malformed::Missing(1)));
        let short_aaguid =
            Members::new().with(1, Value::Array(vec![])).with(3, Value::bytes([0; 15])).into_value().encode();
        assert_eq!(GetInfo::parse(&short_aaguid).err(), Some(Malformed::Wrong(3)));
        assert_eq!(GetInfo::parse(&[0x80]).err(), Some(Malformed::Other("the answer is not a map")));
    }
}
