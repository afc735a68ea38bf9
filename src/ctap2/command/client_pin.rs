//! authenticatorClientPIN (CTAP 2.1 §6.5.5).
//!
//! Every function here sends; none decides whether a try may be spent. [`crate::ctap2::session`] does.

use zeroize::Zeroizing;

use super::{Command, bytes_at, call, number_at};
use crate::ctap2::cbor::{Members, Value, decode};
use crate::ctap2::error::{CtapError, Malformed};
use crate::ctap2::pin_protocol::{AgreementError, PinToken, Protocol, SharedSecret, padded, pin_hash};
use crate::ctap2::transport::{Patience, Transport, Unwatched, Watcher};
use crate::model::Pin;
use crate::world::Entropy;

const COMMAND: Command = Command::ClientPin;

const GET_PIN_RETRIES: u64 = 0x01;
const GET_KEY_AGREEMENT: u64 = 0x02;
const SET_PIN: u64 = 0x03;
const CHANGE_PIN: u64 = 0x04;
const GET_PIN_TOKEN: u64 = 0x05;
const GET_UV_RETRIES: u64 = 0x07;
const GET_TOKEN_WITH_PERMISSIONS: u64 = 0x09;

/// What a token may be used for (CTAP 2.1 §6.5.5.7, table of permissions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permissions(pub u8);

impl Permissions {
    /// makeCredential; wants an RP id.
    pub const MAKE_CREDENTIAL: Self = Self(0x01);
    /// getAssertion; wants an RP id.
    pub const GET_ASSERTION: Self = Self(0x02);
    /// credentialManagement.
    pub const CREDENTIAL_MANAGEMENT: Self = Self(0x04);
    /// authenticatorConfig.
    pub const CONFIG: Self = Self(0x20);
}

/// How many PIN tries are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinRetries {
    /// Tries until the key is blocked for good; at most 8.
    pub left: u8,
    /// The key wants to be taken out and put back first; `None` when it does not tell.
    pub needs_replug: Option<bool>,
}

/// Every sub-command carries the protocol: CTAP 2.1 wants it only where it is used, 2.0 (and OpenSK) always.
fn request(protocol: Protocol, subcommand: u64) -> Members {
    Members::new().with(1, Value::Unsigned(protocol.number())).with(2, Value::Unsigned(subcommand))
}

fn send(
    link: &mut dyn Transport,
    members: Members,
    patience: Patience,
    watch: &mut dyn Watcher,
) -> Result<Zeroizing<Vec<u8>>, CtapError> {
    call(link, COMMAND, Some(&members.into_value()), patience, watch)
}

fn malformed(what: Malformed) -> CtapError {
    CtapError::Malformed { command: COMMAND, what }
}

fn answer(raw: &[u8]) -> Result<Value, CtapError> {
    decode(raw).map_err(|error| malformed(error.into()))
}

/// getPINRetries: free, and says how many tries are left.
///
/// # Errors
/// [`CtapError`].
pub fn pin_retries(link: &mut dyn Transport, protocol: Protocol) -> Result<PinRetries, CtapError> {
    let raw = send(link, request(protocol, GET_PIN_RETRIES), Patience::Key, &mut Unwatched)?;
    let answer = answer(&raw)?;
    let left = number_at(&answer, 3)
        .and_then(|left| left.ok_or(Malformed::Missing(3)))
        .and_then(|left| u8::try_from(left).map_err(|_| Malformed::Wrong(3)))
        .map_err(malformed)?;
    Ok(PinRetries { left, needs_replug: answer.member(4).and_then(Value::as_bool) })
}

/// getUVRetries: built-in verification tries left, on keys that have it.
///
/// # Errors
/// [`CtapError`].
pub fn uv_retries(link: &mut dyn Transport, protocol: Protocol) -> Result<u8, CtapError> {
    let raw = send(link, request(protocol, GET_UV_RETRIES), Patience::Key, &mut Unwatched)?;
    number_at(&answer(&raw)?, 5)
        .and_then(|left| left.ok_or(Malformed::Missing(5)))
        .and_then(|left| u8::try_from(left).map_err(|_| Malformed::Wrong(5)))
        .map_err(malformed)
}

/// getKeyAgreement, and our half of it.
///
/// # Errors
/// [`CtapError`].
pub fn agree(link: &mut dyn Transport, protocol: Protocol, entropy: &dyn Entropy) -> Result<SharedSecret, CtapError> {
    let members = request(protocol, GET_KEY_AGREEMENT);
    let raw = send(link, members, Patience::Key, &mut Unwatched)?;
    let answer = answer(&raw)?;
    let theirs = answer.member(1).ok_or_else(|| malformed(Malformed::Missing(1)))?;
    SharedSecret::agree(protocol, theirs, entropy).map_err(|error| match error {
        AgreementError::Theirs(what) => malformed(what),
        AgreementError::NoEntropy(error) => CtapError::NoEntropy(error),
    })
}

/// setPIN on a key that has none.
///
/// # Errors
/// [`CtapError`]. Unless [`CtapError::surely_undone`], the key may have the PIN.
pub fn set_pin(
    link: &mut dyn Transport,
    secret: &SharedSecret,
    pin: &Pin,
    entropy: &dyn Entropy,
    watch: &mut dyn Watcher,
) -> Result<(), CtapError> {
    let new_pin = secret.encrypt(&*padded(pin), entropy)?;
    let members = request(secret.protocol(), SET_PIN)
        .with(3, secret.key_agreement())
        .with(4, Value::Bytes(secret.authenticate(&[&new_pin])))
        .with(5, Value::Bytes(new_pin));
    send(link, members, Patience::Key, watch).map(drop)
}

/// changePIN. Spends a try when the old PIN is wrong.
///
/// # Errors
/// [`CtapError`]. Unless [`CtapError::surely_undone`], the key may have the new PIN.
pub fn change_pin(
    link: &mut dyn Transport,
    secret: &SharedSecret,
    old: &Pin,
    new: &Pin,
    entropy: &dyn Entropy,
) -> Result<(), CtapError> {
    let new_pin = secret.encrypt(&*padded(new), entropy)?;
    let old_hash = secret.encrypt(&*pin_hash(old), entropy)?;
    let members = request(secret.protocol(), CHANGE_PIN)
        .with(3, secret.key_agreement())
        .with(4, Value::Bytes(secret.authenticate(&[&new_pin, &old_hash])))
        .with(5, Value::Bytes(new_pin))
        .with(6, Value::Bytes(old_hash));
    send(link, members, Patience::Key, &mut Unwatched).map(drop)
}

/// A pinUvAuthToken for these permissions, or, from a key without permissions, the plain token. Spends a try when the PIN
/// is wrong, and ends every earlier token.
///
/// # Errors
/// [`CtapError`].
pub fn token(
    link: &mut dyn Transport,
    secret: &SharedSecret,
    pin: &Pin,
    asked: Option<(Permissions, Option<&str>)>,
    entropy: &dyn Entropy,
) -> Result<PinToken, CtapError> {
    let subcommand = if asked.is_some() { GET_TOKEN_WITH_PERMISSIONS } else { GET_PIN_TOKEN };
    let mut members = request(secret.protocol(), subcommand)
        .with(3, secret.key_agreement())
        .with(6, Value::Bytes(secret.encrypt(&*pin_hash(pin), entropy)?));
    if let Some((permissions, rp_id)) = asked {
        members = members.with(9, Value::Unsigned(permissions.0.into())).maybe(10, rp_id.map(Value::text));
    }
    let raw = send(link, members, Patience::Key, &mut Unwatched)?;
    bytes_at(&answer(&raw)?, 2)
        .and_then(|encrypted| secret.decrypt(&encrypted))
        .and_then(|token| PinToken::new(secret.protocol(), token))
        .map_err(malformed)
}
