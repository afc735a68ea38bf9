//! Authenticator data: what a key says about a credential and signs (WebAuthn §6.1).

use ciborium::Value;

use super::cbor_item;
use crate::model::{Aaguid, CredentialId};

/// Longer than any key's whole answer: a CTAPHID message has at most 7609 bytes.
pub const MAX_BYTES: usize = 8 * 1024;

/// Longest credential id (WebAuthn §4, "credential ID").
pub const MAX_CREDENTIAL_ID: usize = 1023;

/// The flags byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// UP: somebody touched the key.
    pub fn user_present(self) -> bool {
        self.0 & 0x01 != 0
    }
    /// UV: the key checked a PIN or a finger.
    pub fn user_verified(self) -> bool {
        self.0 & 0x04 != 0
    }
    /// BE: the credential may be copied to other devices.
    pub fn backup_eligible(self) -> bool {
        self.0 & 0x08 != 0
    }
    /// BS: it has been copied.
    pub fn backed_up(self) -> bool {
        self.0 & 0x10 != 0
    }
    /// AT: a credential follows.
    pub fn attested(self) -> bool {
        self.0 & 0x40 != 0
    }
    /// ED: extension outputs follow.
    pub fn extensions(self) -> bool {
        self.0 & 0x80 != 0
    }
}

/// A credential a key has just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestedCredential {
    /// The key's model.
    pub aaguid: Aaguid,
    /// The credential's id.
    pub id: CredentialId,
    /// Its public key: a COSE_Key, byte for byte. [`super::public_key::PublicKey::from_cose`] reads it.
    pub public_key_cose: Vec<u8>,
}

/// What a key says it did with the extensions that were asked for. Absent is absent, not `false`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtensionOutputs {
    /// credProtect: the level in force, 1 to 3.
    pub cred_protect: Option<u64>,
    /// hmac-secret when making a credential: whether the credential has it.
    pub hmac_secret: Option<bool>,
    /// minPinLength: the key's present minimum, in code points.
    pub min_pin_length: Option<u64>,
    /// Names of all outputs, those above included.
    pub names: Vec<String>,
}

/// Authenticator data, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticatorData {
    /// SHA-256 of the RP ID.
    pub rp_id_hash: [u8; 32],
    /// Flags.
    pub flags: Flags,
    /// Signature counter.
    pub sign_count: u32,
    /// With flag AT.
    pub credential: Option<AttestedCredential>,
    /// With flag ED; otherwise empty.
    pub extensions: ExtensionOutputs,
}

/// Why authenticator data can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthDataError {
    /// It ends inside a member.
    #[error("authenticator data of {length} bytes ends inside {inside}")]
    Short {
        /// What was being read.
        inside: &'static str,
        /// Length of the whole, in bytes.
        length: usize,
    },
    /// More than [`MAX_BYTES`].
    #[error("authenticator data of {0} bytes is longer than any key can send")]
    Long(usize),
    /// The credential id's length is 0 or over [`MAX_CREDENTIAL_ID`].
    #[error("the credential id is said to have {0} bytes; 1 to 1023 are allowed")]
    CredentialIdLength(usize),
    /// The public key or the extension outputs are no CBOR map.
    #[error("{0} is not a well-formed CBOR map")]
    Cbor(&'static str),
    /// Bytes after the last member that the flags announce.
    #[error("{0} bytes follow the authenticator data")]
    Trailing(usize),
}

impl AuthenticatorData {
    /// Reads all of `bytes`.
    ///
    /// # Errors
    /// [`AuthDataError`] when a member is missing, too long or malformed, or when something follows the last one.
    pub fn parse(bytes: &[u8]) -> Result<Self, AuthDataError> {
        if bytes.len() > MAX_BYTES {
            return Err(AuthDataError::Long(bytes.len()));
        }
        let mut rest = Rest { left: bytes, length: bytes.len() };
        let rp_id_hash = rest.array("rpIdHash")?;
        let [flags] = rest.array("the flags")?;
        let flags = Flags(flags);
        let sign_count = u32::from_be_bytes(rest.array("signCount")?);
        let credential = if flags.attested() { Some(rest.credential()?) } else { None };
        let extensions = if flags.extensions() { rest.extensions()? } else { ExtensionOutputs::default() };
        match rest.left.len() {
            0 => Ok(Self { rp_id_hash, flags, sign_count, credential, extensions }),
            more => Err(AuthDataError::Trailing(more)),
        }
    }
}

type Members = Vec<(Value, Value)>;

struct Rest<'a> {
    left: &'a [u8],
    length: usize,
}

impl<'a> Rest<'a> {
    fn bytes(&mut self, count: usize, inside: &'static str) -> Result<&'a [u8], AuthDataError> {
        let (taken, left) =
            self.left.split_at_checked(count).ok_or(AuthDataError::Short { inside, length: self.length })?;
        self.left = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, inside: &'static str) -> Result<[u8; N], AuthDataError> {
        let (taken, left) =
            self.left.split_first_chunk::<N>().ok_or(AuthDataError::Short { inside, length: self.length })?;
        self.left = left;
        Ok(*taken)
    }

    fn map(&mut self, what: &'static str) -> Result<(Members, &'a [u8]), AuthDataError> {
        if self.left.is_empty() {
            return Err(AuthDataError::Short { inside: what, length: self.length });
        }
        match cbor_item::take(&mut self.left) {
            Ok((Value::Map(members), raw)) => Ok((members, raw)),
            _ => Err(AuthDataError::Cbor(what)),
        }
    }

    fn credential(&mut self) -> Result<AttestedCredential, AuthDataError> {
        let aaguid = Aaguid(self.array("the AAGUID")?);
        let length = usize::from(u16::from_be_bytes(self.array("the credential id's length")?));
        if !(1..=MAX_CREDENTIAL_ID).contains(&length) {
            return Err(AuthDataError::CredentialIdLength(length));
        }
        let id = CredentialId::new(self.bytes(length, "the credential id")?);
        let (_, raw) = self.map("the credential's public key")?;
        Ok(AttestedCredential { aaguid, id, public_key_cose: raw.to_vec() })
    }

    fn extensions(&mut self) -> Result<ExtensionOutputs, AuthDataError> {
        let (members, _) = self.map("the extension outputs")?;
        let mut outputs = ExtensionOutputs::default();
        for (name, value) in members {
            let Value::Text(name) = name else { return Err(AuthDataError::Cbor("the extension outputs")) };
            let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
            match name.as_str() {
                "credProtect" => outputs.cred_protect = number,
                "hmac-secret" => outputs.hmac_secret = value.as_bool(),
                "minPinLength" => outputs.min_pin_length = number,
                _ => {}
            }
            outputs.names.push(name);
        }
        Ok(outputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webauthn::attestation::samples;
    use proptest::prelude::*;

    #[test]
    fn a_real_key_s_data_is_taken_apart() {
        let sample = samples::accepted();
        let data = AuthenticatorData::parse(&sample.auth_data).expect("authenticator data");
        assert_eq!(data.flags, Flags(0xC5));
        assert!(data.flags.user_present() && data.flags.user_verified());
        assert!(!data.flags.backup_eligible() && !data.flags.backed_up());
        assert_eq!(data.sign_count, 1);
        let credential = data.credential.expect("a credential");
        assert_eq!(credential.aaguid.to_string(), "73402251-f2a8-4f03-873e-3cb6db604b03");
        assert_eq!(credential.id.as_bytes().len(), 32);
        assert_eq!(credential.public_key_cose.len(), 77);
        assert_eq!(data.extensions.cred_protect, Some(1));
        assert_eq!(data.extensions.hmac_secret, None);
        assert_eq!(data.extensions.names, ["credProtect"]);
    }

    #[test]
    fn every_cut_says_what_was_cut() {
        let whole = samples::accepted().auth_data;
        for length in 0..whole.len() {
            let error = AuthenticatorData::parse(&whole[..length]).expect_err("cut short");
            match length {
                0..=31 => assert_eq!(error, AuthDataError::Short { inside: "rpIdHash", length }),
                33..=36 => assert_eq!(error, AuthDataError::Short { inside: "signCount", length }),
                37..=52 => assert_eq!(error, AuthDataError::Short { inside: "the AAGUID", length }),
                55..=86 => assert_eq!(error, AuthDataError::Short { inside: "the credential id", length }),
                _ => {}
            }
        }
        let mut longer = whole.clone();
        longer.extend([0, 0]);
        assert_eq!(AuthenticatorData::parse(&longer), Err(AuthDataError::Trailing(2)));
        assert_eq!(AuthenticatorData::parse(&[0; MAX_BYTES + 1]), Err(AuthDataError::Long(MAX_BYTES + 1)));
    }

    #[test]
    fn wrong_lengths_and_types_are_named() {
        let mut data = samples::accepted().auth_data;
        data[53..55].copy_from_slice(&1024u16.to_be_bytes());
        assert_eq!(AuthenticatorData::parse(&data), Err(AuthDataError::CredentialIdLength(1024)));
        data[53..55].copy_from_slice(&0u16.to_be_bytes());
        assert_eq!(AuthenticatorData::parse(&data), Err(AuthDataError::CredentialIdLength(0)));
        data[53..55].copy_from_slice(&32u16.to_be_bytes());
        data[87] = 0x85; // an array where the key's map should be
        assert_eq!(AuthenticatorData::parse(&data), Err(AuthDataError::Cbor("the credential's public key")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), attested: bool) {
            if let (true, Some(flags)) = (attested, bytes.get_mut(32)) {
                *flags |= 0xC0;
            }
            let _ = AuthenticatorData::parse(&bytes);
        }

        #[test]
        fn any_change_to_real_data_is_read_or_refused(at in 0usize..178, value: u8) {
            let mut bytes = samples::accepted().auth_data;
            bytes[at] = value;
            let _ = AuthenticatorData::parse(&bytes);
        }
    }
}
