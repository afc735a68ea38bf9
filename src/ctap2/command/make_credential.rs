//! authenticatorMakeCredential (CTAP 2.1 §6.1).
//!
//! Promise: `attStmt` is kept byte for byte as the key wrote it, whatever its format.

use super::{AUTHORISATION, Command, authorised_members, bytes_at, call, descriptor, message};
use crate::ctap2::cbor::{Members, Value, decode, raw_members};
use crate::ctap2::error::{CtapError, Malformed};
use crate::ctap2::pin_protocol::PinToken;
use crate::ctap2::transport::{Patience, Transport, Watcher};
use crate::model::CredentialId;

/// Whom the credential is for, on the server's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    /// A domain.
    pub id: String,
    /// For people; some keys show it.
    pub name: Option<String>,
}

/// Whom the credential is for, on the person's side.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// 1 to 64 bytes, opaque.
    pub id: Vec<u8>,
    /// The account's name; a key may cut it, or refuse more than 64 bytes.
    pub name: Option<String>,
    /// The person's name; likewise.
    pub display_name: Option<String>,
}

impl std::fmt::Debug for User {
    /// Names of people stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "User(…)")
    }
}

/// credProtect (CTAP 2.1 §12.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialProtection {
    /// Level 1.
    UvOptional,
    /// Level 2: listed without a PIN only to who knows the credential id.
    UvOptionalWithList,
    /// Level 3: never without a PIN. A silent assertion without PIN can't find it.
    UvRequired,
}

impl CredentialProtection {
    /// The level on the wire.
    pub fn level(self) -> u64 {
        match self {
            Self::UvOptional => 1,
            Self::UvOptionalWithList => 2,
            Self::UvRequired => 3,
        }
    }
}

/// Extensions asked for. Whether the key has them is the caller's to check in getInfo.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extensions {
    /// hmac-secret: Windows and Entra want it for offline sign-in.
    pub hmac_secret: bool,
    /// credProtect.
    pub cred_protect: Option<CredentialProtection>,
    /// minPinLength: the key tells its minimum in authData, to RP ids that setMinPINLength named.
    pub min_pin_length: bool,
}

/// Enterprise attestation (CTAP 2.1 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EnterpriseAttestation {
    /// 1: when the RP id is in the key's own list.
    VendorFacilitated,
    /// 2: the platform decides.
    PlatformManaged,
}

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MakeCredential {
    /// SHA-256 of the client data.
    pub client_data_hash: [u8; 32],
    /// The server.
    pub rp: RelyingParty,
    /// The person.
    pub user: User,
    /// COSE algorithms, the favourite first.
    pub algorithms: Vec<i64>,
    /// Credentials that must not be on the key already.
    pub exclude: Vec<CredentialId>,
    /// A passkey: found without its id.
    pub resident: bool,
    /// Extensions.
    pub extensions: Extensions,
    /// Enterprise attestation.
    pub enterprise_attestation: Option<EnterpriseAttestation>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCredential {
    /// 01: the attestation statement's format.
    pub format: String,
    /// 02: authenticator data as it came.
    pub auth_data: Vec<u8>,
    /// 03: the attestation statement's CBOR as it came.
    pub att_stmt: Vec<u8>,
    /// 04: enterprise attestation was given; `None` when not told, which means no.
    pub enterprise: Option<bool>,
}

impl MakeCredential {
    /// Bytes of the message, with what a token adds to it.
    pub(in crate::ctap2) fn length(&self) -> usize {
        message(Command::MakeCredential, Some(&self.parameters(None))).len() + AUTHORISATION
    }

    pub(in crate::ctap2) fn parameters(&self, token: Option<&PinToken>) -> Value {
        let rp = Members::new().with_name("id", Value::text(&self.rp.id));
        let rp = match &self.rp.name {
            Some(name) => rp.with_name("name", Value::text(name)),
            None => rp,
        };
        let mut user = Members::new().with_name("id", Value::bytes(self.user.id.clone()));
        if let Some(name) = &self.user.name {
            user = user.with_name("name", Value::text(name));
        }
        if let Some(name) = &self.user.display_name {
            user = user.with_name("displayName", Value::text(name));
        }
        let algorithms = self.algorithms.iter().map(|algorithm| {
            Members::new()
                .with_name("alg", Value::int(*algorithm))
                .with_name("type", Value::text("public-key"))
                .into_value()
        });
        let mut extensions = Members::new();
        if self.extensions.hmac_secret {
            extensions = extensions.with_name("hmac-secret", Value::Bool(true));
        }
        if let Some(level) = self.extensions.cred_protect {
            extensions = extensions.with_name("credProtect", Value::Unsigned(level.level()));
        }
        if self.extensions.min_pin_length {
            extensions = extensions.with_name("minPinLength", Value::Bool(true));
        }
        let mut members = Members::new()
            .with(1, Value::bytes(self.client_data_hash))
            .with(2, rp.into_value())
            .with(3, user.into_value())
            .with(4, Value::Array(algorithms.collect()));
        // Empty lists and maps are left out: some keys refuse them.
        if !self.exclude.is_empty() {
            members = members.with(5, Value::Array(self.exclude.iter().map(descriptor).collect()));
        }
        if !extensions.is_empty() {
            members = members.with(6, extensions.into_value());
        }
        if self.resident {
            members = members.with(7, Members::new().with_name("rk", Value::Bool(true)).into_value());
        }
        if let Some(token) = token {
            members = authorised_members(members, token, &[&self.client_data_hash], 8, 9);
        }
        members
            .maybe(
                10,
                self.enterprise_attestation.map(|kind| match kind {
                    EnterpriseAttestation::VendorFacilitated => Value::Unsigned(1),
                    EnterpriseAttestation::PlatformManaged => Value::Unsigned(2),
                }),
            )
            .into_value()
    }
}

impl NewCredential {
    /// Reads an answer. Only its outer shape is checked; what is in it is `webauthn`'s to judge.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(raw: &[u8]) -> Result<Self, Malformed> {
        let answer = decode(raw)?;
        let statement = raw_members(raw)?
            .into_iter()
            .find(|(key, _)| key.as_u64() == Some(3))
            .and_then(|(_, range)| raw.get(range))
            .ok_or(Malformed::Missing(3))?;
        if answer.member(3).and_then(Value::as_map).is_none() {
            return Err(Malformed::Wrong(3));
        }
        let format = answer.member(1).ok_or(Malformed::Missing(1))?.as_text().ok_or(Malformed::Wrong(1))?;
        Ok(Self {
            format: format.to_owned(),
            auth_data: bytes_at(&answer, 2)?,
            att_stmt: statement.to_vec(),
            enterprise: answer.member(4).and_then(Value::as_bool),
        })
    }
}

/// Sends the request; the key waits for a touch.
///
/// # Errors
/// [`CtapError`]. Unless [`CtapError::surely_undone`], the credential may be on the key.
pub fn make_credential(
    link: &mut dyn Transport,
    request: &MakeCredential,
    token: Option<&PinToken>,
    watch: &mut dyn Watcher,
) -> Result<NewCredential, CtapError> {
    const COMMAND: Command = Command::MakeCredential;
    let raw = call(link, COMMAND, Some(&request.parameters(token)), Patience::Person, watch)?;
    NewCredential::parse(&raw).map_err(|what| CtapError::Malformed { command: COMMAND, what })
}
