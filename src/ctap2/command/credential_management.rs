//! authenticatorCredentialManagement (CTAP 2.1 §6.8), and the preview of it (0x41) that older keys have: same bytes, other
//! command number.
//!
//! An empty key may say so in two ways, 0x2E or a total of 0; both are an empty list here.

use super::{Command, authorised_members, bytes_at, call, descriptor, number_at};
use crate::ctap2::cbor::{Members, Value, decode, raw_members};
use crate::ctap2::error::{CtapError, Malformed};
use crate::ctap2::pin_protocol::PinToken;
use crate::ctap2::status::Status;
use crate::ctap2::transport::{Patience, Transport, Unwatched};
use crate::model::CredentialId;

/// More passkeys than any key has room for: a key that claims more is not believed.
const MOST: u64 = 10_000;

/// Passkeys on the key, and room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// On the key now.
    pub existing: u64,
    /// At most so many more.
    pub remaining: u64,
}

/// An RP that has passkeys on the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRp {
    /// Its domain; some keys cut it to 32 bytes, some leave it out.
    pub id: Option<String>,
    /// SHA-256 of its domain.
    pub id_hash: [u8; 32],
}

/// A passkey on the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCredential {
    /// Its id.
    pub id: CredentialId,
    /// The user's id.
    pub user_id: Vec<u8>,
    /// Its COSE public key as it came.
    pub public_key: Vec<u8>,
    /// credProtect level, when told.
    pub cred_protect: Option<u64>,
}

/// One token, one command number: what every call here needs.
pub(in crate::ctap2) struct Manager<'a> {
    pub link: &'a mut dyn Transport,
    pub token: &'a PinToken,
    pub preview: bool,
}

impl Manager<'_> {
    fn command(&self) -> Command {
        if self.preview { Command::CredentialManagementPreview } else { Command::CredentialManagement }
    }

    fn malformed(&self, what: Malformed) -> CtapError {
        CtapError::Malformed { command: self.command(), what }
    }

    /// A sub-command with the token's proof over it; `None` is "the key has none".
    fn ask(&mut self, subcommand: u8, parameters: Option<Value>) -> Result<Option<Vec<u8>>, CtapError> {
        let request = request(self.token, subcommand, parameters);
        self.send(&request)
    }

    /// The follow-up to a list, which carries no proof.
    fn next(&mut self, subcommand: u8) -> Result<Vec<u8>, CtapError> {
        let request = Members::new().with(1, Value::Unsigned(subcommand.into())).into_value();
        self.send(&request)?.ok_or_else(|| self.malformed(Malformed::Other("the list ends before its announced end")))
    }

    fn send(&mut self, request: &Value) -> Result<Option<Vec<u8>>, CtapError> {
        let command = self.command();
        match call(self.link, command, Some(request), Patience::Key, &mut Unwatched) {
            Ok(raw) => Ok(Some(raw.to_vec())),
            Err(CtapError::Refused { status: Status::NoCredentials, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// getCredsMetadata.
    pub fn metadata(&mut self) -> Result<Metadata, CtapError> {
        let raw = self.ask(0x01, None)?.ok_or_else(|| self.malformed(Malformed::Other("it has no metadata")))?;
        let read = || {
            let answer = decode(&raw)?;
            let number = |key| number_at(&answer, key)?.ok_or(Malformed::Missing(key));
            Ok(Metadata { existing: number(1)?, remaining: number(2)? })
        };
        read().map_err(|what| self.malformed(what))
    }

    /// enumerateRPsBegin and its follow-ups.
    pub fn relying_parties(&mut self) -> Result<Vec<StoredRp>, CtapError> {
        let Some(first) = self.ask(0x02, None)? else { return Ok(Vec::new()) };
        let total = self.total(&first, 5)?;
        let mut found = Vec::new();
        let mut raw = first;
        for at in 0..total {
            if at > 0 {
                raw = self.next(0x03)?;
            }
            found.push(stored_rp(&raw).map_err(|what| self.malformed(what))?);
        }
        Ok(found)
    }

    /// enumerateCredentialsBegin and its follow-ups.
    pub fn credentials_of(&mut self, rp_id_hash: &[u8; 32]) -> Result<Vec<StoredCredential>, CtapError> {
        let parameters = Members::new().with(1, Value::bytes(*rp_id_hash)).into_value();
        let Some(first) = self.ask(0x04, Some(parameters))? else { return Ok(Vec::new()) };
        let total = self.total(&first, 9)?;
        let mut found = Vec::new();
        let mut raw = first;
        for at in 0..total {
            if at > 0 {
                raw = self.next(0x05)?;
            }
            found.push(stored_credential(&raw).map_err(|what| self.malformed(what))?);
        }
        Ok(found)
    }

    /// deleteCredential; `false` when it was not there.
    pub fn delete(&mut self, id: &CredentialId) -> Result<bool, CtapError> {
        let parameters = Members::new().with(2, descriptor(id)).into_value();
        Ok(self.ask(0x06, Some(parameters))?.is_some())
    }

    fn total(&self, raw: &[u8], key: u8) -> Result<u64, CtapError> {
        // An empty key may answer OK with an empty map, or with nothing at all.
        if raw.is_empty() {
            return Ok(0);
        }
        let answer = decode(raw).map_err(|error| self.malformed(error.into()))?;
        match number_at(&answer, key).map_err(|what| self.malformed(what))? {
            None if answer.as_map().is_some_and(<[_]>::is_empty) => Ok(0),
            None => Err(self.malformed(Malformed::Missing(key))),
            Some(total) if total > MOST => Err(self.malformed(Malformed::Wrong(key))),
            Some(total) => Ok(total),
        }
    }
}

/// `pinUvAuthParam` is over the sub-command's byte and its parameters.
fn request(token: &PinToken, subcommand: u8, parameters: Option<Value>) -> Value {
    let encoded = parameters.as_ref().map(Value::encode).unwrap_or_default();
    let members = Members::new().with(1, Value::Unsigned(subcommand.into())).maybe(2, parameters);
    authorised_members(members, token, &[&[subcommand], &encoded], 4, 3).into_value()
}

fn stored_rp(raw: &[u8]) -> Result<StoredRp, Malformed> {
    let answer = decode(raw)?;
    let id = answer.member(3).and_then(|rp| rp.named("id")).and_then(Value::as_text).map(str::to_owned);
    let id_hash = bytes_at(&answer, 4)?.try_into().map_err(|_| Malformed::Wrong(4))?;
    Ok(StoredRp { id, id_hash })
}

fn stored_credential(raw: &[u8]) -> Result<StoredCredential, Malformed> {
    let answer = decode(raw)?;
    let user = answer.member(6).ok_or(Malformed::Missing(6))?;
    let id = answer.member(7).ok_or(Malformed::Missing(7))?;
    let public_key = raw_members(raw)?
        .into_iter()
        .find(|(key, _)| key.as_u64() == Some(8))
        .and_then(|(_, range)| raw.get(range))
        .ok_or(Malformed::Missing(8))?;
    Ok(StoredCredential {
        id: CredentialId::new(id.named("id").and_then(Value::as_bytes).ok_or(Malformed::Wrong(7))?),
        user_id: user.named("id").and_then(Value::as_bytes).ok_or(Malformed::Wrong(6))?.to_vec(),
        public_key: public_key.to_vec(),
        cred_protect: number_at(&answer, 10)?,
    })
}
