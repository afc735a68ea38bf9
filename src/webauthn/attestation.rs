//! The attestation object: the key's answer in the form that Graph takes (WebAuthn §6.5).
//!
//! Promise: the statement and the authenticator data go through byte for byte. The key signed them; nothing is decoded and
//! encoded again.

use ciborium::Value;

use super::auth_data::MAX_BYTES;
use super::cbor_item;

/// What a key answered to authenticatorMakeCredential (CTAP 2.1 §6.1.2, members 1 to 3).
#[derive(Clone, Copy)]
pub struct KeyAnswer<'a> {
    /// Member 1: the format's name.
    pub fmt: &'a str,
    /// Member 3: the attestation statement, CBOR as received.
    pub att_stmt: &'a [u8],
    /// Member 2: the content of the byte string.
    pub auth_data: &'a [u8],
}

/// Why no attestation object can be made, or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttestationError {
    /// A member is empty or larger than any key's answer.
    #[error("the key's {0} is empty or longer than any key can send")]
    Length(&'static str),
    /// The statement is not exactly one CBOR item.
    #[error("the key's attestation statement is not well-formed CBOR")]
    Statement,
    /// Kept bytes are no attestation object.
    #[error("these bytes are not an attestation object")]
    NotAnObject,
}

/// An attestation object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationObject {
    /// The format's name.
    pub fmt: String,
    /// The attestation statement, CBOR as the key sent it.
    pub att_stmt: Vec<u8>,
    /// The authenticator data.
    pub auth_data: Vec<u8>,
}

impl AttestationObject {
    /// Takes the key's answer over.
    ///
    /// # Errors
    /// [`AttestationError`] when a member is missing or out of bounds, or the statement is not one CBOR item.
    pub fn of(answer: &KeyAnswer<'_>) -> Result<Self, AttestationError> {
        let fits = |length: usize, most: usize| (1..=most).contains(&length);
        if !fits(answer.fmt.len(), 32) {
            return Err(AttestationError::Length("attestation format"));
        }
        if !fits(answer.att_stmt.len(), MAX_BYTES) {
            return Err(AttestationError::Length("attestation statement"));
        }
        if !fits(answer.auth_data.len(), MAX_BYTES) {
            return Err(AttestationError::Length("authenticator data"));
        }
        cbor_item::only(answer.att_stmt).map_err(|_| AttestationError::Statement)?;
        Ok(Self {
            fmt: answer.fmt.to_owned(),
            att_stmt: answer.att_stmt.to_vec(),
            auth_data: answer.auth_data.to_vec(),
        })
    }

    /// The object in CBOR: `{"fmt", "attStmt", "authData"}`, in the order canonical CBOR gives them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let name = |text: &str| [cbor_item::head(3, text.len()), text.as_bytes().to_vec()].concat();
        [
            cbor_item::head(5, 3),
            name("fmt"),
            name(&self.fmt),
            name("attStmt"),
            self.att_stmt.clone(),
            name("authData"),
            cbor_item::head(2, self.auth_data.len()),
            self.auth_data.clone(),
        ]
        .concat()
    }

    /// Reads an attestation object; members in any order, none twice and none besides.
    ///
    /// # Errors
    /// [`AttestationError::NotAnObject`].
    pub fn take_apart(bytes: &[u8]) -> Result<Self, AttestationError> {
        Self::read(bytes).ok_or(AttestationError::NotAnObject)
    }

    /// The object as a key's answer.
    pub fn answer(&self) -> KeyAnswer<'_> {
        KeyAnswer { fmt: &self.fmt, att_stmt: &self.att_stmt, auth_data: &self.auth_data }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(&[0xA3])?;
        if rest.len() > 2 * MAX_BYTES + 64 {
            return None;
        }
        let (mut fmt, mut att_stmt, mut auth_data) = (None, None, None);
        for _ in 0..3 {
            let (name, _) = cbor_item::take(&mut rest).ok()?;
            let (value, raw) = cbor_item::take(&mut rest).ok()?;
            let first = match (name.as_text()?, value) {
                ("fmt", Value::Text(text)) => fmt.replace(text).is_none(),
                ("attStmt", Value::Map(_)) => att_stmt.replace(raw.to_vec()).is_none(),
                ("authData", Value::Bytes(bytes)) => auth_data.replace(bytes).is_none(),
                _ => return None,
            };
            if !first {
                return None;
            }
        }
        rest.is_empty().then_some(Self { fmt: fmt?, att_stmt: att_stmt?, auth_data: auth_data? })
    }
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use crate::model::base64url;

    pub(in crate::webauthn) fn json() -> serde_json::Value {
        serde_json::from_str(include_str!("../../fixtures/webauthn/accepted-attestation.json")).expect("JSON")
    }

    pub(in crate::webauthn) fn accepted_bytes() -> Vec<u8> {
        base64url::decode(json()["attestationObject_b64url"].as_str().expect("text")).expect("base64url")
    }

    /// A real key's attestation that Graph accepted.
    pub(crate) fn accepted() -> AttestationObject {
        AttestationObject::take_apart(&accepted_bytes()).expect("an attestation object")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::credential_id;
    use crate::model::{CredentialId, MethodId};
    use crate::webauthn::auth_data::AuthenticatorData;
    use proptest::prelude::*;

    #[test]
    fn an_accepted_object_is_rebuilt_byte_for_byte() {
        let object = samples::accepted();
        assert_eq!(object.fmt, "packed");
        let rebuilt = AttestationObject::of(&object.answer()).expect("an object").to_bytes();
        assert_eq!(rebuilt, samples::accepted_bytes());
    }

    #[test]
    fn graph_s_method_id_follows_from_it() {
        let data = AuthenticatorData::parse(&samples::accepted().auth_data).expect("authenticator data");
        let id: CredentialId = data.credential.expect("a credential").id;
        let method = MethodId::new(samples::json()["returned_fido2Method_id"].as_str().expect("text"));
        assert_eq!(credential_id::method_id_of(&id), method);
    }

    #[test]
    fn a_statement_that_is_not_canonical_is_not_tidied_up() {
        // {"alg": -7 in two bytes, "sig": h'00'}
        let att_stmt = b"\xA2\x63alg\x38\x06\x63sig\x41\x00";
        let answer = KeyAnswer { fmt: "packed", att_stmt, auth_data: &[1; 300] };
        let bytes = AttestationObject::of(&answer).expect("an object").to_bytes();
        assert!(bytes.windows(att_stmt.len()).any(|window| window == att_stmt));
        assert_eq!(AttestationObject::take_apart(&bytes).expect("an object").att_stmt, att_stmt);
    }

    #[test]
    fn broken_answers_are_refused() {
        let good = samples::accepted();
        let refused = |fmt: &str, att_stmt: &[u8], auth_data: &[u8]| {
            AttestationObject::of(&KeyAnswer { fmt, att_stmt, auth_data }).expect_err("refused")
        };
        assert_eq!(refused("", &good.att_stmt, &good.auth_data), AttestationError::Length("attestation format"));
        assert_eq!(refused("packed", &good.att_stmt, &[]), AttestationError::Length("authenticator data"));
        assert_eq!(refused("packed", &good.att_stmt[..20], &good.auth_data), AttestationError::Statement);
        assert_eq!(refused("packed", b"\xA0\xA0", &good.auth_data), AttestationError::Statement);
        let bytes = samples::accepted_bytes();
        for length in 0..bytes.len() {
            assert!(AttestationObject::take_apart(&bytes[..length]).is_err(), "cut at {length}");
        }
        assert!(AttestationObject::take_apart(&[&bytes[..], &[0]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = AttestationObject::take_apart(&bytes);
            bytes.insert(0, 0xA3);
            let _ = AttestationObject::take_apart(&bytes);
        }

        #[test]
        fn what_is_built_is_read_back(auth_data in proptest::collection::vec(any::<u8>(), 1..600)) {
            let answer = KeyAnswer { fmt: "none", att_stmt: &[0xA0], auth_data: &auth_data };
            let object = AttestationObject::of(&answer).expect("an object");
            prop_assert_eq!(AttestationObject::take_apart(&object.to_bytes()).expect("an object"), object);
        }
    }
}
