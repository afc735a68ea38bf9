//! authenticatorGetAssertion (CTAP 2.1 §6.2), also silent: `up` false, nobody touches anything.

use super::{AUTHORISATION, Command, authorised_members, bytes_at, call, descriptor, message, number_at};
use crate::ctap2::cbor::{Members, Value, decode};
use crate::ctap2::error::{CtapError, Malformed};
use crate::ctap2::pin_protocol::PinToken;
use crate::ctap2::transport::{Patience, Transport, Watcher};
use crate::model::CredentialId;

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetAssertion {
    /// The server's domain.
    pub rp_id: String,
    /// SHA-256 of the client data.
    pub client_data_hash: [u8; 32],
    /// One of these; empty for any passkey of the RP.
    pub allow: Vec<CredentialId>,
    /// False for a silent assertion.
    pub touch: bool,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// 01: who signed. Keys may leave it out when one credential was asked for; then it is that one.
    pub credential: CredentialId,
    /// 02: authenticator data as it came.
    pub auth_data: Vec<u8>,
    /// 03: over authenticator data and client data hash.
    pub signature: Vec<u8>,
    /// 04: the user's id, from a passkey.
    pub user_id: Option<Vec<u8>>,
    /// 05: credentials that fit; `None` is one.
    pub count: Option<u64>,
}

impl GetAssertion {
    /// Bytes of the message, with what a token adds to it.
    pub(in crate::ctap2) fn length(&self) -> usize {
        message(Command::GetAssertion, Some(&self.parameters(None))).len() + AUTHORISATION
    }

    pub(in crate::ctap2) fn parameters(&self, token: Option<&PinToken>) -> Value {
        let mut members = Members::new().with(1, Value::text(&self.rp_id)).with(2, Value::bytes(self.client_data_hash));
        if !self.allow.is_empty() {
            members = members.with(3, Value::Array(self.allow.iter().map(descriptor).collect()));
        }
        if !self.touch {
            members = members.with(5, Members::new().with_name("up", Value::Bool(false)).into_value());
        }
        if let Some(token) = token {
            members = authorised_members(members, token, &[&self.client_data_hash], 6, 7);
        }
        members.into_value()
    }
}

impl Assertion {
    /// Reads the answer to a request with this allow list.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(raw: &[u8], allowed: &[CredentialId]) -> Result<Self, Malformed> {
        let answer = decode(raw)?;
        let told = match answer.member(1) {
            Some(descriptor) => Some(descriptor.named("id").and_then(Value::as_bytes).ok_or(Malformed::Wrong(1))?),
            None => None,
        };
        let credential = match (told, allowed) {
            (Some(id), _) => CredentialId::new(id),
            (None, [only]) => only.clone(),
            (None, _) => return Err(Malformed::Missing(1)),
        };
        Ok(Self {
            credential,
            auth_data: bytes_at(&answer, 2)?,
            signature: bytes_at(&answer, 3)?,
            user_id: answer.member(4).and_then(|user| user.named("id")).and_then(Value::as_bytes).map(<[u8]>::to_vec),
            count: number_at(&answer, 5)?,
        })
    }
}

/// Sends the request.
///
/// # Errors
/// [`CtapError`]; [`crate::ctap2::Status::NoCredentials`] when none of those asked for is on the key.
pub fn get_assertion(
    link: &mut dyn Transport,
    request: &GetAssertion,
    token: Option<&PinToken>,
    watch: &mut dyn Watcher,
) -> Result<Assertion, CtapError> {
    const COMMAND: Command = Command::GetAssertion;
    let patience = if request.touch { Patience::Person } else { Patience::Key };
    let raw = call(link, COMMAND, Some(&request.parameters(token)), patience, watch)?;
    Assertion::parse(&raw, &request.allow).map_err(|what| CtapError::Malformed { command: COMMAND, what })
}
