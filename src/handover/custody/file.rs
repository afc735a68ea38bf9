//! The file: four lines of text, an empty line, JSON; signed with Ed25519 (RFC 8032).
//!
//! ```text
//! keybench custody 1
//! signer   <32 bytes, base64>
//! signature <64 bytes over everything after the empty line, base64>
//!
//! {"kind":"bundle",…}
//! ```

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::Content;
use crate::ledger::BlobHash;

const FIRST_LINE: &str = "keybench custody 1";
/// Said before what is signed, so that the signature is good for nothing else.
const CONTEXT: &[u8] = b"keybench custody 1\n";

/// Why a file is not taken. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Something else.
    #[error("it is no file of `keybench custody`: line {line} should be {wanted}")]
    NotOurs {
        /// Which line.
        line: usize,
        /// What it should be.
        wanted: &'static str,
    },
    /// A later version's.
    #[error("it was written by a newer keybench: {0}")]
    Newer(String),
    /// Changed on the way.
    #[error("its signature is wrong: the file was changed after it was written, or cut off")]
    Altered,
    /// Signed, and not understood.
    #[error("its content can't be read: {0}")]
    Content(String),
    /// A key that is none.
    #[error("the signing key is damaged")]
    Key,
}

/// The key that a desk signs its files with.
pub struct SigningKey(Ed25519KeyPair);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.fingerprint())
    }
}

impl SigningKey {
    /// A new one, as PKCS #8 (RFC 8410) to be kept by its desk alone.
    ///
    /// # Errors
    /// [`FileError::Key`] when the system has no randomness.
    pub fn generate() -> Result<Zeroizing<Vec<u8>>, FileError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| FileError::Key)?;
        Ok(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// Reads one that [`SigningKey::generate`] made.
    ///
    /// # Errors
    /// [`FileError::Key`].
    pub fn parse(pkcs8: &[u8]) -> Result<Self, FileError> {
        Ed25519KeyPair::from_pkcs8(pkcs8).map(Self).map_err(|_| FileError::Key)
    }

    /// What people compare: SHA-256 of the public key, first 16 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        fingerprint(self.0.public_key().as_ref())
    }
}

fn fingerprint(key: &[u8]) -> String {
    Sha256::digest(key).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn signed(body: &[u8]) -> Vec<u8> {
    [CONTEXT, body].concat()
}

/// Writes a file.
///
/// # Errors
/// [`FileError::Content`] for what JSON can't hold.
pub fn sign(content: &Content, key: &SigningKey) -> Result<Vec<u8>, FileError> {
    let mut body = serde_json::to_vec(content).map_err(|error| FileError::Content(error.to_string()))?;
    body.push(b'\n');
    let signature = key.0.sign(&signed(&body));
    let (signer, signature) = (STANDARD.encode(key.0.public_key()), STANDARD.encode(signature));
    let mut file = format!("{FIRST_LINE}\nsigner {signer}\nsignature {signature}\n\n").into_bytes();
    file.extend_from_slice(&body);
    Ok(file)
}

/// A file whose signature is good. Whether its signer is wanted is the taker's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What is in it.
    pub content: Content,
    /// Fingerprint of the key that signed it.
    pub signer: String,
    /// SHA-256 of the file.
    pub file: BlobHash,
}

/// Reads a file.
///
/// # Errors
/// [`FileError`].
pub fn open(file: &[u8]) -> Result<Opened, FileError> {
    let mut rest = file;
    let mut next = |line: usize, wanted: &'static str| {
        let end = rest.iter().position(|byte| *byte == b'\n').filter(|end| *end < 200);
        let (text, after) = end.map(|end| rest.split_at(end)).ok_or(FileError::NotOurs { line, wanted })?;
        rest = after.get(1..).unwrap_or_default();
        std::str::from_utf8(text).map(str::to_owned).map_err(|_| FileError::NotOurs { line, wanted })
    };
    let first = next(1, "`keybench custody 1`")?;
    if first != FIRST_LINE {
        return Err(match first.strip_prefix("keybench custody ") {
            Some(version) => FileError::Newer(format!("version {version}")),
            None => FileError::NotOurs { line: 1, wanted: "`keybench custody 1`" },
        });
    }
    let decode = |line: usize, wanted: &'static str, name: &str, text: &str| {
        let bytes = text.strip_prefix(name).and_then(|text| STANDARD.decode(text.trim()).ok());
        bytes.ok_or(FileError::NotOurs { line, wanted })
    };
    let signer = decode(2, "`signer …`", "signer ", &next(2, "`signer …`")?)?;
    let signature = decode(3, "`signature …`", "signature ", &next(3, "`signature …`")?)?;
    if !next(4, "empty")?.is_empty() {
        return Err(FileError::NotOurs { line: 4, wanted: "empty" });
    }
    UnparsedPublicKey::new(&ED25519, &signer).verify(&signed(rest), &signature).map_err(|_| FileError::Altered)?;
    let content = serde_json::from_slice(rest).map_err(|error| FileError::Content(error.to_string()))?;
    Ok(Opened { content, signer: fingerprint(&signer), file: BlobHash::of(file) })
}
