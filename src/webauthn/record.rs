//! What the ledger keeps of a credential that was made: enough to send Graph the very same registration again after a crash.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::attestation::{AttestationObject, KeyAnswer};
use super::auth_data::AuthenticatorData;
use super::client_data::ClientData;
use super::creation_options::CredProtect;
use crate::model::base64url;
use crate::model::{Aaguid, CredentialId};

/// One registration, as it goes to Graph and as it is kept. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationRecord {
    /// clientDataJSON: UTF-8; base64url when kept.
    #[serde(rename = "clientDataJSON", with = "crate::model::base64url::text")]
    pub client_data_json: Vec<u8>,
    /// The attestation object: CBOR; base64url when kept.
    #[serde(with = "crate::model::base64url::text")]
    pub attestation_object: Vec<u8>,
    /// The credential.
    pub credential: CredentialId,
    /// Its public key: COSE_Key; base64url when kept.
    #[serde(with = "crate::model::base64url::text")]
    pub public_key_cose: Vec<u8>,
    /// The RP ID it was made for.
    pub rp_id: String,
    /// The key's model.
    pub aaguid: Aaguid,
    /// When the tenant stops accepting it.
    pub expires: Timestamp,
    /// How the key can be reached, from getInfo: `usb`, `nfc` …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transports: Vec<String>,
    /// What was asked of the key; `None` in records from before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
}

/// What a key was asked for beyond what its answer tells: kept, so that the answer is held against it after a restart as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// COSE algorithms that were offered.
    pub algorithms: Vec<i64>,
    /// The level of credProtect, where tenant and key both know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cred_protect: Option<CredProtect>,
    /// hmac-secret.
    pub hmac_secret: bool,
}

/// What tells the key of a held credential again: it signs for it. Nobody can register with this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Witness {
    /// The credential.
    pub credential: CredentialId,
    /// Its public key: COSE_Key; base64url when kept.
    #[serde(with = "crate::model::base64url::text")]
    pub public_key_cose: Vec<u8>,
    /// The RP ID it was made for.
    pub rp_id: String,
}

impl Witness {
    /// The bytes to keep: JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        // infallible: text keys and values only
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads kept bytes: a witness, or a whole record.
    ///
    /// # Errors
    /// [`RecordError`] when they are neither.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        match RegistrationRecord::from_bytes(bytes) {
            Ok(record) => Ok(record.witness()),
            Err(error @ RecordError::Contradiction(_)) => Err(error),
            Err(_) => serde_json::from_slice(bytes).map_err(|error| RecordError::Unreadable(error.to_string())),
        }
    }
}

/// Why there is no record to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The key's answer can't be turned into an attestation object.
    #[error(transparent)]
    Attestation(#[from] super::attestation::AttestationError),
    /// The authenticator data can't be read.
    #[error(transparent)]
    AuthData(#[from] super::auth_data::AuthDataError),
    /// There is no credential in it.
    #[error("the key's answer holds no credential")]
    NoCredential,
    /// Kept bytes are no record.
    #[error("the registration record can't be read: {0}")]
    Unreadable(String),
    /// Its parts are of different credentials.
    #[error("the registration record contradicts itself: its {0} is not the attestation's")]
    Contradiction(&'static str),
}

impl RegistrationRecord {
    /// What is to be kept of a key's answer. This says nothing of whether the answer is any good: see [`super::checks`].
    ///
    /// # Errors
    /// [`RecordError`] when the answer can't be read or holds no credential.
    pub fn new(
        answer: &KeyAnswer<'_>,
        client_data: &ClientData,
        rp_id: &str,
        expires: Timestamp,
        transports: Vec<String>,
    ) -> Result<Self, RecordError> {
        let object = AttestationObject::of(answer)?;
        let data = AuthenticatorData::parse(answer.auth_data)?;
        let credential = data.credential.ok_or(RecordError::NoCredential)?;
        Ok(Self {
            client_data_json: client_data.json().to_vec(),
            attestation_object: object.to_bytes(),
            credential: credential.id,
            public_key_cose: credential.public_key_cose,
            rp_id: rp_id.to_owned(),
            aaguid: credential.aaguid,
            expires,
            transports,
            asked: None,
        })
    }

    /// With what was asked.
    #[must_use]
    pub fn answering(mut self, asked: Asked) -> Self {
        self.asked = Some(asked);
        self
    }

    /// What its key was asked for. Of a record from before that was kept only the answer is known, and it is not held against more.
    pub fn was_asked(&self) -> Asked {
        let told = || {
            let object = AttestationObject::take_apart(&self.attestation_object).ok()?;
            let data = AuthenticatorData::parse(&object.auth_data).ok()?;
            data.extensions.cred_protect.and_then(CredProtect::of_level)
        };
        self.asked.clone().unwrap_or_else(|| Asked {
            algorithms: vec![-7, -257],
            cred_protect: told(),
            hmac_secret: false,
        })
    }

    /// The bytes to keep: JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        // infallible: text keys and values only
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads kept bytes and checks that the parts belong together.
    ///
    /// # Errors
    /// [`RecordError`] when they can't be read or contradict each other.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let record: Self = serde_json::from_slice(bytes).map_err(|error| RecordError::Unreadable(error.to_string()))?;
        let object = AttestationObject::take_apart(&record.attestation_object)?;
        let data = AuthenticatorData::parse(&object.auth_data)?;
        let credential = data.credential.ok_or(RecordError::NoCredential)?;
        if credential.id != record.credential {
            return Err(RecordError::Contradiction("credential id"));
        }
        if credential.public_key_cose != record.public_key_cose {
            return Err(RecordError::Contradiction("public key"));
        }
        if credential.aaguid != record.aaguid {
            return Err(RecordError::Contradiction("AAGUID"));
        }
        Ok(record)
    }

    /// What tells its key again.
    pub fn witness(&self) -> Witness {
        Witness {
            credential: self.credential.clone(),
            public_key_cose: self.public_key_cose.clone(),
            rp_id: self.rp_id.clone(),
        }
    }

    /// The client data, with its hash.
    pub fn client_data(&self) -> ClientData {
        ClientData::kept(self.client_data_json.clone())
    }

    /// `response.clientDataJSON` for Graph: base64url without padding.
    pub fn client_data_base64url(&self) -> String {
        base64url::encode(&self.client_data_json)
    }

    /// `response.attestationObject` for Graph: base64url without padding.
    pub fn attestation_base64url(&self) -> String {
        base64url::encode(&self.attestation_object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webauthn::attestation::samples;
    use proptest::prelude::*;

    fn record() -> RegistrationRecord {
        let object = samples::accepted();
        RegistrationRecord::new(
            &object.answer(),
            &ClientData::create(b"0123456789abcdef", "login.microsoft.com"),
            "login.microsoft.com",
            "2026-01-07T12:00:00Z".parse().expect("a time"),
            vec!["usb".to_owned()],
        )
        .expect("a record")
    }

    #[test]
    fn the_same_bytes_go_to_graph_after_a_crash() {
        let record = record();
        let kept = RegistrationRecord::from_bytes(&record.to_bytes()).expect("a record");
        assert_eq!(kept, record);
        assert_eq!(kept.attestation_object, samples::accepted_bytes());
        assert_eq!(kept.attestation_base64url(), samples::json()["attestationObject_b64url"]);
        assert_eq!(kept.client_data().json(), record.client_data_json);
        assert_eq!(kept.client_data_base64url(), base64url::encode(&record.client_data_json));
    }

    #[test]
    fn what_was_asked_is_known_after_a_restart_and_of_old_records_what_was_told() {
        let asked =
            Asked { algorithms: vec![-7], cred_protect: Some(CredProtect::OptionalWithList), hmac_secret: true };
        let kept = RegistrationRecord::from_bytes(&record().answering(asked.clone()).to_bytes()).expect("a record");
        assert_eq!(kept.was_asked(), asked);
        // Before this was kept.
        let old = RegistrationRecord::from_bytes(&record().to_bytes()).expect("a record");
        assert_eq!(old.asked, None);
        let data = AuthenticatorData::parse(samples::accepted().answer().auth_data).expect("data");
        assert_eq!(
            old.was_asked().cred_protect.map(|level| u64::from(level.level())),
            data.extensions.cred_protect,
            "it is not held against less than its key told"
        );
        assert!(!old.was_asked().hmac_secret);
    }

    #[test]
    fn a_record_that_contradicts_itself_is_refused() {
        let refused = |change: fn(&mut RegistrationRecord)| {
            let mut record = record();
            change(&mut record);
            RegistrationRecord::from_bytes(&record.to_bytes()).expect_err("refused")
        };
        assert_eq!(
            refused(|record| record.credential = CredentialId::new([1; 32])),
            RecordError::Contradiction("credential id")
        );
        assert_eq!(refused(|record| record.public_key_cose[10] ^= 1), RecordError::Contradiction("public key"));
        assert_eq!(refused(|record| record.aaguid = Aaguid::ZERO), RecordError::Contradiction("AAGUID"));
        assert!(matches!(RegistrationRecord::from_bytes(b"{}"), Err(RecordError::Unreadable(_))));
    }

    #[test]
    fn a_witness_tells_the_key_and_registers_nothing() {
        let record = record();
        let witness = record.witness();
        assert_eq!(Witness::from_bytes(&witness.to_bytes()), Ok(witness.clone()));
        assert_eq!(Witness::from_bytes(&record.to_bytes()), Ok(witness.clone()), "a record is one as well");
        let text = String::from_utf8(witness.to_bytes()).expect("JSON");
        for part in [record.client_data_base64url(), record.attestation_base64url()] {
            assert!(!text.contains(&part));
        }
        assert!(RegistrationRecord::from_bytes(&witness.to_bytes()).is_err());
        assert!(Witness::from_bytes(b"{}").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Witness::from_bytes(&bytes);
            let _ = RegistrationRecord::from_bytes(&bytes);
        }
    }
}
