//! An attestation object, taken apart and checked against itself (WebAuthn Level 2 §6.5, §8.2, §8.7).
//!
//! Promise: pure, and complete about form: whatever comes out is one well-formed CBOR map in shortest form with nothing behind
//! it, its authenticator data fully accounted for, its public key valid, and its signature, if the format has one, true.
//! Whether a policy wants it is `registration`'s business.

use ciborium::Value;

use super::signature::{self, KeyOf};

/// User present.
pub(super) const UP: u8 = 0x01;
/// User verified.
pub(super) const UV: u8 = 0x04;
/// Backup eligible: a passkey that may be synced.
pub(super) const BE: u8 = 0x08;
const BS: u8 = 0x10;
const AT: u8 = 0x40;
const ED: u8 = 0x80;

/// An attestation object whose form and signature hold.
#[derive(Debug, Clone)]
pub(super) struct Attested {
    /// `fmt`.
    pub(super) format: String,
    /// SHA-256 of the relying party's id.
    pub(super) rp_id_hash: Vec<u8>,
    /// Flags of the authenticator data.
    pub(super) flags: u8,
    /// The model.
    pub(super) aaguid: [u8; 16],
    /// The credential's id.
    pub(super) credential_id: Vec<u8>,
    /// The public key as the key wrote it, COSE.
    pub(super) cose: Vec<u8>,
    /// The public key's algorithm, COSE.
    pub(super) algorithm: i64,
    /// Certificates, leaf first; empty with self-attestation and format `none`.
    pub(super) x5c: Vec<Vec<u8>>,
}

/// Takes an attestation object apart and checks its statement over this client data hash.
///
/// # Errors
/// A sentence that says what is wrong.
pub(super) fn read(bytes: &[u8], client_data_hash: &[u8]) -> Result<Attested, String> {
    let (value, rest) = item(bytes, "The attestation object")?;
    if !rest.is_empty() {
        return Err(format!("{} bytes follow the attestation object.", rest.len()));
    }
    let mut object = Members::of(value, "The attestation object")?;
    let format = text(object.take("fmt")?, "fmt")?;
    let auth_data = bytestring(object.take("authData")?, "authData")?;
    let statement = object.take("attStmt")?;
    object.nothing_left()?;

    let mut attested = auth_data_of(&auth_data)?;
    attested.format = format;
    let statement = Members::of(statement, "attStmt")?;
    match attested.format.as_str() {
        "none" => statement.nothing_left()?,
        "packed" => packed(&mut attested, statement, &auth_data, client_data_hash)?,
        other => return Err(format!("Attestation format '{other}' is not supported.")),
    }
    Ok(attested)
}

/// WebAuthn §8.2.
fn packed(
    attested: &mut Attested,
    mut statement: Members,
    auth_data: &[u8],
    client_data_hash: &[u8],
) -> Result<(), String> {
    let algorithm = integer(&statement.take("alg")?, "alg")?;
    let signature = bytestring(statement.take("sig")?, "sig")?;
    let certificates = statement.take_if("x5c");
    statement.nothing_left()?;
    let signed = [auth_data, client_data_hash].concat();
    let Some(certificates) = certificates else {
        if algorithm != attested.algorithm {
            return Err("Self-attestation: alg differs from the credential's algorithm.".into());
        }
        return signature::verify(&KeyOf::cose(&attested.cose)?, &signed, &signature)
            .map_err(|why| format!("Self-attestation: {why}"));
    };
    let Value::Array(certificates) = certificates else { return Err("x5c is not an array.".into()) };
    attested.x5c = certificates.into_iter().map(|der| bytestring(der, "x5c")).collect::<Result<_, _>>()?;
    let leaf = attested.x5c.first().ok_or("x5c is empty.")?;
    signature::check_leaf(leaf, &attested.aaguid)?;
    signature::verify(&KeyOf::certificate(leaf, algorithm)?, &signed, &signature)
        .map_err(|why| format!("Attestation: {why}"))
}

/// WebAuthn §6.1.
fn auth_data_of(bytes: &[u8]) -> Result<Attested, String> {
    let short = || format!("authData is too short: {} bytes.", bytes.len());
    let (rp_id_hash, rest) = bytes.split_at_checked(32).ok_or_else(short)?;
    let (&flags, rest) = rest.split_first().ok_or_else(short)?;
    let (_sign_count, rest) = rest.split_at_checked(4).ok_or_else(short)?;
    if flags & AT == 0 {
        return Err("authData has no attested credential data.".into());
    }
    if flags & BS != 0 && flags & BE == 0 {
        return Err("authData: backed up, but not eligible for backup.".into());
    }
    let (aaguid, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let length = usize::from(u16::from_be_bytes(*length));
    if !(16..=1023).contains(&length) {
        return Err(format!("authData: a credential id has 16 to 1023 bytes, not {length}."));
    }
    let (credential_id, rest) = rest.split_at_checked(length).ok_or_else(short)?;
    let (key, after_key) = item(rest, "The credential public key")?;
    let cose = rest.get(..rest.len() - after_key.len()).unwrap_or_default().to_vec();
    let algorithm = cose_algorithm(key)?;
    // Also proves that the key is a point on the curve, or an RSA modulus of a decent length.
    KeyOf::cose(&cose)?;
    let after_extensions = if flags & ED == 0 {
        after_key
    } else {
        let (extensions, rest) = item(after_key, "The extension outputs")?;
        if !extensions.is_map() {
            return Err("The extension outputs are not a map.".into());
        }
        rest
    };
    if !after_extensions.is_empty() {
        return Err(format!("{} bytes follow authData.", after_extensions.len()));
    }
    Ok(Attested {
        format: String::new(),
        rp_id_hash: rp_id_hash.to_vec(),
        flags,
        aaguid: *aaguid,
        credential_id: credential_id.to_vec(),
        cose,
        algorithm,
        x5c: Vec::new(),
    })
}

fn cose_algorithm(key: Value) -> Result<i64, String> {
    let Value::Map(members) = key else { return Err("The credential public key is not a map.".into()) };
    let found = members.iter().find(|(name, _)| integer(name, "").is_ok_and(|name| name == 3));
    found.map_or(Err("The credential public key names no algorithm.".into()), |(_, value)| integer(value, "alg"))
}

/// Reads one CBOR item in shortest form without repeated keys, and what follows it.
pub(super) fn item<'a>(bytes: &'a [u8], what: &str) -> Result<(Value, &'a [u8]), String> {
    let mut rest = bytes;
    let value: Value = ciborium::from_reader(&mut rest).map_err(|_| format!("{what} is not well-formed CBOR."))?;
    let used = bytes.get(..bytes.len() - rest.len()).unwrap_or_default();
    let mut again = Vec::with_capacity(used.len());
    // CTAP 2.1 §8: definite lengths and shortest integers. Writing it again gives those.
    if ciborium::into_writer(&value, &mut again).is_err() || again != used {
        return Err(format!("{what} is not canonical CBOR."));
    }
    if repeats_a_key(&value) {
        return Err(format!("{what} has a key twice."));
    }
    Ok((value, rest))
}

fn repeats_a_key(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(repeats_a_key),
        Value::Map(members) => members.iter().enumerate().any(|(index, (key, value))| {
            repeats_a_key(value) || members.iter().skip(index + 1).any(|(other, _)| other == key)
        }),
        _ => false,
    }
}

/// A map with text keys, used up member by member, so that one nobody expected is noticed.
struct Members {
    what: &'static str,
    members: Vec<(Value, Value)>,
}

impl Members {
    fn of(value: Value, what: &'static str) -> Result<Self, String> {
        match value {
            Value::Map(members) => Ok(Self { what, members }),
            _ => Err(format!("{what} is not a map.")),
        }
    }

    fn take_if(&mut self, name: &str) -> Option<Value> {
        let index = self.members.iter().position(|(key, _)| key.as_text() == Some(name))?;
        Some(self.members.swap_remove(index).1)
    }

    fn take(&mut self, name: &str) -> Result<Value, String> {
        self.take_if(name).ok_or_else(|| format!("{} has no '{name}'.", self.what))
    }

    fn nothing_left(&self) -> Result<(), String> {
        match self.members.first() {
            None => Ok(()),
            Some((key, _)) => Err(format!("{} has a member that does not belong there: {key:?}.", self.what)),
        }
    }
}

fn text(value: Value, name: &str) -> Result<String, String> {
    value.into_text().map_err(|_| format!("{name} is not a text."))
}

fn bytestring(value: Value, name: &str) -> Result<Vec<u8>, String> {
    value.into_bytes().map_err(|_| format!("{name} is not a byte string."))
}

pub(super) fn integer(value: &Value, name: &str) -> Result<i64, String> {
    value.as_integer().and_then(|number| i64::try_from(number).ok()).ok_or_else(|| format!("{name} is not a number."))
}
