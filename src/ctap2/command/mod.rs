//! CTAP commands, one per file: the request's bytes and the answer's meaning. Nothing here keeps state; the legal order is
//! [`super::session`]'s.

pub mod client_pin;
pub mod config;
pub mod credential_management;
pub mod get_assertion;
pub mod get_info;
pub mod make_credential;
pub mod reset;
pub mod selection;
pub mod vendor;
pub mod wink;

use std::fmt;

use zeroize::Zeroizing;

use super::cbor::{Members, Value};
use super::error::{CtapError, Malformed};
use super::pin_protocol::PinToken;
use super::status::Status;
use super::transport::{Kind, Patience, Transport, Watcher};

/// What a key can be asked (CTAP 2.1 §6 and §11.2.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// 0x01.
    MakeCredential,
    /// 0x02.
    GetAssertion,
    /// 0x04.
    GetInfo,
    /// 0x06.
    ClientPin,
    /// 0x07.
    Reset,
    /// 0x0A.
    CredentialManagement,
    /// 0x41: what keys had before 0x0A was settled.
    CredentialManagementPreview,
    /// 0x0B.
    Selection,
    /// 0x0D.
    Config,
    /// CTAPHID_WINK.
    Wink,
    /// A vendor's own CTAPHID command.
    Vendor,
}

impl Command {
    /// The command byte of a CTAP2 message; `None` for what goes beside CTAP2.
    pub fn byte(self) -> Option<u8> {
        Some(match self {
            Self::MakeCredential => 0x01,
            Self::GetAssertion => 0x02,
            Self::GetInfo => 0x04,
            Self::ClientPin => 0x06,
            Self::Reset => 0x07,
            Self::CredentialManagement => 0x0A,
            Self::CredentialManagementPreview => 0x41,
            Self::Selection => 0x0B,
            Self::Config => 0x0D,
            Self::Wink | Self::Vendor => return None,
        })
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MakeCredential => "authenticatorMakeCredential",
            Self::GetAssertion => "authenticatorGetAssertion",
            Self::GetInfo => "authenticatorGetInfo",
            Self::ClientPin => "authenticatorClientPIN",
            Self::Reset => "authenticatorReset",
            Self::CredentialManagement | Self::CredentialManagementPreview => "authenticatorCredentialManagement",
            Self::Selection => "authenticatorSelection",
            Self::Config => "authenticatorConfig",
            Self::Wink => "CTAPHID_WINK",
            Self::Vendor => "a vendor command",
        })
    }
}

/// Sends a CTAP2 command and takes the status off its answer. The answer's CBOR is empty for many commands.
pub(super) fn call(
    link: &mut dyn Transport,
    command: Command,
    parameters: Option<&Value>,
    patience: Patience,
    watch: &mut dyn Watcher,
) -> Result<Zeroizing<Vec<u8>>, CtapError> {
    let message = message(command, parameters);
    let mut answer = link.exchange(Kind::Cbor, &message, patience, watch)?;
    match answer.first().copied().map(Status::from_byte) {
        None => Err(CtapError::Malformed { command, what: Malformed::Empty }),
        Some(Some(status)) => Err(CtapError::Refused { command, status }),
        Some(None) => {
            answer.drain(..1);
            Ok(answer)
        }
    }
}

/// Command byte and canonical parameters.
pub(super) fn message(command: Command, parameters: Option<&Value>) -> Vec<u8> {
    let mut message: Vec<u8> = command.byte().into_iter().collect();
    if let Some(parameters) = parameters {
        message.extend(parameters.encode());
    }
    message
}

/// The most bytes that [`authorised_members`] adds: two keys, up to 32 bytes behind their two of length, and the protocol's number.
pub(super) const AUTHORISATION: usize = 1 + 2 + 32 + 1 + 1;

/// Adds `pinUvAuthParam` and `pinUvAuthProtocol` to a request; where they go differs by command.
pub(super) fn authorised_members(
    members: Members,
    token: &PinToken,
    message: &[&[u8]],
    parameter_at: i64,
    protocol_at: i64,
) -> Members {
    members
        .with(parameter_at, Value::Bytes(token.authenticate(message)))
        .with(protocol_at, Value::Unsigned(token.protocol().number()))
}

/// A `PublicKeyCredentialDescriptor` (WebAuthn §5.8.3).
pub(super) fn descriptor(id: &crate::model::CredentialId) -> Value {
    Members::new()
        .with_name("id", Value::bytes(id.as_bytes()))
        .with_name("type", Value::text("public-key"))
        .into_value()
}

/// Bytes of a [`descriptor`], at most.
pub(super) fn descriptor_length(id: &crate::model::CredentialId) -> usize {
    // A map of two, "id" and the length of its bytes, "type" and "public-key".
    1 + 3 + 3 + id.as_bytes().len() + 5 + 11
}

/// A required byte string of an answer.
pub(super) fn bytes_at(answer: &Value, key: u8) -> Result<Vec<u8>, Malformed> {
    let member = answer.member(key.into()).ok_or(Malformed::Missing(key))?;
    Ok(member.as_bytes().ok_or(Malformed::Wrong(key))?.to_vec())
}

/// An unsigned integer of an answer, when it is there.
pub(super) fn number_at(answer: &Value, key: u8) -> Result<Option<u64>, Malformed> {
    answer.member(key.into()).map(|member| member.as_u64().ok_or(Malformed::Wrong(key))).transpose()
}

#[cfg(test)]
mod tests;
