//! PIN/UV auth protocols one and two: how a PIN reaches a key unread, and how we show that we know it (CTAP 2.1 §6.5.4 to
//! §6.5.7).
//!
//! Promise: shared secrets, tokens and the ephemeral private key are wiped when dropped and never printed.

use std::fmt;

use aes::cipher::{Array, BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::cbor::{Members, Value};
use super::error::Malformed;
use crate::world::{Entropy, NoEntropy};

const BLOCK: usize = 16;

/// Which protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// CTAP 2.0's.
    One,
    /// CTAP 2.1's; FIPS keys insist on it.
    Two,
}

impl Protocol {
    /// `pinUvAuthProtocol` on the wire.
    pub fn number(self) -> u64 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// The key's favourite among those we speak. A key that tells no list is a CTAP 2.0 key with protocol one.
    pub fn choose(told: Option<&[u64]>) -> Option<Self> {
        let Some(told) = told else { return Some(Self::One) };
        told.iter().find_map(|number| match number {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            _ => None,
        })
    }
}

/// What we share with a key for one conversation.
pub struct SharedSecret {
    protocol: Protocol,
    /// Protocol one: SHA-256 of Z, for both uses. Two: HKDF with its own label for each use.
    hmac_key: Zeroizing<[u8; 32]>,
    aes_key: Zeroizing<[u8; 32]>,
    /// Our half of the key agreement, as COSE.
    ours: Value,
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedSecret({:?}, …)", self.protocol)
    }
}

/// Why no secret could be agreed on.
#[derive(Debug, thiserror::Error)]
pub enum AgreementError {
    /// The key's half is not a point on P-256.
    #[error(transparent)]
    Theirs(#[from] Malformed),
    /// No randomness for ours.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

impl SharedSecret {
    /// Agrees with the key on a secret (`encapsulate`). `theirs` is the COSE key of getKeyAgreement.
    ///
    /// # Errors
    /// [`AgreementError`].
    pub fn agree(protocol: Protocol, theirs: &Value, entropy: &dyn Entropy) -> Result<Self, AgreementError> {
        let theirs = public_key(theirs)?;
        let mut scalar = Zeroizing::new([0; 32]);
        // Out of range once in 2^32 tries; a source that fails this often is broken.
        for _ in 0..16 {
            entropy.fill(&mut *scalar)?;
            if let Ok(ours) = p256::SecretKey::from_slice(&*scalar) {
                return Ok(Self::derive(protocol, &ours, &theirs));
            }
        }
        Err(NoEntropy("sixteen draws in a row were no P-256 scalar".to_owned()).into())
    }

    fn derive(protocol: Protocol, ours: &p256::SecretKey, theirs: &p256::PublicKey) -> Self {
        let z = p256::ecdh::diffie_hellman(ours.to_nonzero_scalar(), theirs.as_affine());
        let (hmac_key, aes_key) = match protocol {
            Protocol::One => {
                let key = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(z.raw_secret_bytes())));
                (key.clone(), key)
            }
            Protocol::Two => {
                let hkdf = hkdf::Hkdf::<Sha256>::new(Some(&[0; 32]), z.raw_secret_bytes());
                let expand = |label: &[u8]| {
                    let mut key = Zeroizing::new([0; 32]);
                    hkdf.expand(label, &mut *key).expect("32 bytes is one block"); // infallible: HKDF gives up to 255 blocks
                    key
                };
                (expand(b"CTAP2 HMAC key"), expand(b"CTAP2 AES key"))
            }
        };
        Self { protocol, hmac_key, aes_key, ours: cose(&ours.public_key()) }
    }

    /// The protocol this secret belongs to.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Our half, for the request's `keyAgreement`.
    pub fn key_agreement(&self) -> Value {
        self.ours.clone()
    }

    /// Encrypts whole blocks of 16 bytes.
    ///
    /// # Errors
    /// [`NoEntropy`] when no initialisation vector can be made (protocol two).
    pub fn encrypt(&self, plain: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>, NoEntropy> {
        debug_assert_eq!(plain.len() % BLOCK, 0, "callers pad");
        let mut iv = [0; BLOCK];
        let mut out = Vec::with_capacity(BLOCK + plain.len());
        if self.protocol == Protocol::Two {
            entropy.fill(&mut iv)?;
            out.extend_from_slice(&iv);
        }
        let start = out.len();
        out.extend_from_slice(plain);
        let mut cipher = cbc::Encryptor::<aes::Aes256>::new(&(*self.aes_key).into(), &iv.into());
        let (blocks, _) = Array::slice_as_chunks_mut(out.get_mut(start..).unwrap_or_default());
        cipher.encrypt_blocks(blocks);
        Ok(out)
    }

    /// Decrypts what the key encrypted.
    ///
    /// # Errors
    /// [`Malformed`] when the length is not that of whole blocks.
    pub fn decrypt(&self, cipher_text: &[u8]) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        const WRONG: Malformed = Malformed::Other("an encrypted value has an impossible length");
        let (iv, body) = match self.protocol {
            Protocol::One => ([0; BLOCK], cipher_text),
            Protocol::Two => {
                let (iv, body) = cipher_text.split_first_chunk::<BLOCK>().ok_or(WRONG)?;
                (*iv, body)
            }
        };
        if body.is_empty() || body.len() % BLOCK != 0 {
            return Err(WRONG);
        }
        let mut plain = Zeroizing::new(body.to_vec());
        let mut cipher = cbc::Decryptor::<aes::Aes256>::new(&(*self.aes_key).into(), &iv.into());
        let (blocks, _) = Array::slice_as_chunks_mut(plain.as_mut_slice());
        cipher.decrypt_blocks(blocks);
        Ok(plain)
    }

    /// `pinUvAuthParam` under the shared secret: for setPIN and changePIN.
    pub fn authenticate(&self, message: &[&[u8]]) -> Vec<u8> {
        mac(self.protocol, &*self.hmac_key, message)
    }
}

/// A pinUvAuthToken: whoever has it can use the key until it expires.
pub struct PinToken {
    protocol: Protocol,
    token: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for PinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PinToken({:?}, …)", self.protocol)
    }
}

impl PinToken {
    /// Takes a decrypted token.
    ///
    /// # Errors
    /// [`Malformed`]: protocol one has 16 or 32 bytes, two has 32 (CTAP 2.1 §6.5.6, §6.5.7).
    pub fn new(protocol: Protocol, token: Zeroizing<Vec<u8>>) -> Result<Self, Malformed> {
        match (protocol, token.len()) {
            (Protocol::One, 16 | 32) | (Protocol::Two, 32) => Ok(Self { protocol, token }),
            _ => Err(Malformed::Other("the PIN token has an impossible length")),
        }
    }

    /// The protocol it was got by.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// `pinUvAuthParam` for a command.
    pub fn authenticate(&self, message: &[&[u8]]) -> Vec<u8> {
        mac(self.protocol, &self.token, message)
    }
}

fn mac(protocol: Protocol, key: &[u8], message: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length will do"); // infallible: HMAC takes any key length
    message.iter().for_each(|part| mac.update(part));
    let full = mac.finalize().into_bytes();
    match protocol {
        Protocol::One => full.iter().copied().take(16).collect(),
        Protocol::Two => full.to_vec(),
    }
}

/// LEFT(SHA-256(PIN), 16): what changePIN and the token commands send, encrypted.
pub fn pin_hash(pin: &crate::model::Pin) -> Zeroizing<[u8; 16]> {
    let digest = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(pin.expose().as_bytes())));
    let mut half = Zeroizing::new([0; 16]);
    half.iter_mut().zip(digest.iter()).for_each(|(slot, byte)| *slot = *byte);
    half
}

/// The PIN padded with zeros to 64 bytes: what setPIN and changePIN send, encrypted.
pub fn padded(pin: &crate::model::Pin) -> Zeroizing<[u8; 64]> {
    let mut padded = Zeroizing::new([0; 64]);
    // A Pin has at most 63 bytes, so that the zip never cuts it.
    padded.iter_mut().zip(pin.expose().bytes()).for_each(|(slot, byte)| *slot = byte);
    padded
}

fn cose(key: &p256::PublicKey) -> Value {
    let point = key.to_sec1_point(false);
    let coordinate = |bytes: Option<&p256::FieldBytes>| Value::bytes(bytes.map(|b| b.to_vec()).unwrap_or_default());
    Members::new()
        .with(1, Value::int(2))
        // -25 is ECDH-ES+HKDF-256; it is there by decree, and not what is done (CTAP 2.1 §6.5.6).
        .with(3, Value::int(-25))
        .with(-1, Value::int(1))
        .with(-2, coordinate(point.x()))
        .with(-3, coordinate(point.y()))
        .into_value()
}

fn public_key(cose: &Value) -> Result<p256::PublicKey, Malformed> {
    const WRONG: Malformed = Malformed::Other("its key-agreement key is not a point on P-256");
    let number = |key| cose.member(key).and_then(Value::as_i64);
    // The algorithm is not looked at: keys differ in what they put there.
    if number(1) != Some(2) || number(-1) != Some(1) {
        return Err(WRONG);
    }
    let coordinate = |key| cose.member(key).and_then(Value::as_bytes).filter(|bytes| bytes.len() == 32).ok_or(WRONG);
    let mut point = vec![0x04];
    point.extend_from_slice(coordinate(-2)?);
    point.extend_from_slice(coordinate(-3)?);
    p256::PublicKey::from_sec1_bytes(&point).map_err(|_| WRONG)
}

#[cfg(test)]
#[path = "pin_protocol_tests.rs"]
mod tests;
