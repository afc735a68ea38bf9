//! The attestation statement: the key's proof of which model it is (WebAuthn §8.2 packed, §8.7 none).

use ciborium::Value;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::auth_data::MAX_BYTES;
use super::cbor_item;
use super::public_key::{Algorithm, PublicKey, verify_with_certificate};

/// The most certificates a statement may hold; real ones hold one to three.
pub const MAX_CERTIFICATES: usize = 8;

/// What an attestation proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttestationKind {
    /// Nothing (`none`).
    None,
    /// That the key holds the credential's private key (packed without x5c).
    SelfSigned,
    /// That the key holds the private key of an attestation certificate (packed with x5c).
    Certificate,
}

/// An attestation statement, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// Format `none`.
    None,
    /// Format `packed`.
    Packed {
        /// COSE number of the signature's algorithm.
        algorithm: i64,
        /// The signature, over authenticator data and clientDataHash.
        signature: Vec<u8>,
        /// Certificates in DER, the attestation certificate first; empty for self-attestation.
        x5c: Vec<Vec<u8>>,
    },
}

/// Why a statement can't be read or does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// A format other than `packed` and `none`.
    #[error("the attestation has the format `{0}`; only `packed` and `none` are known here")]
    Format(String),
    /// Not a CBOR map of the format's members.
    #[error("the attestation statement is malformed: {0}")]
    Malformed(&'static str),
    /// An algorithm that can't be verified here.
    #[error("the attestation is signed with algorithm {0}, which can't be verified here")]
    Algorithm(i64),
    /// Self-attestation must use the credential's own algorithm.
    #[error("the attestation names algorithm {statement}, but the credential's is {credential}")]
    OtherAlgorithm {
        /// In the statement.
        statement: i64,
        /// Of the credential's public key.
        credential: i64,
    },
    /// The first certificate is no X.509 certificate.
    #[error("the attestation certificate can't be read")]
    Certificate,
    /// The signature does not verify.
    #[error("the attestation signature does not verify")]
    Signature,
}

impl Statement {
    /// Reads `raw`, the statement's CBOR as the key sent it.
    ///
    /// # Errors
    /// [`StatementError::Format`] and [`StatementError::Malformed`].
    pub fn parse(format: &str, raw: &[u8]) -> Result<Self, StatementError> {
        use StatementError::Malformed;
        if !matches!(format, "packed" | "none") {
            return Err(StatementError::Format(format.chars().take(32).collect()));
        }
        if raw.len() > MAX_BYTES {
            return Err(Malformed("it is longer than any key can send"));
        }
        let Ok(Value::Map(members)) = cbor_item::only(raw) else { return Err(Malformed("it is not one CBOR map")) };
        if format == "none" {
            return if members.is_empty() { Ok(Self::None) } else { Err(Malformed("`none` has members")) };
        }
        let (mut algorithm, mut signature, mut x5c) = (None, None, None);
        for (name, value) in members {
            let first = match name.as_text() {
                Some("alg") => {
                    let number = value.as_integer().and_then(|number| i64::try_from(number).ok());
                    algorithm.replace(number.ok_or(Malformed("`alg` is no number"))?).is_none()
                }
                Some("sig") => {
                    let Value::Bytes(bytes) = value else { return Err(Malformed("`sig` is no byte string")) };
                    signature.replace(bytes).is_none()
                }
                Some("x5c") => x5c.replace(certificates(value)?).is_none(),
                Some("ecdaaKeyId") => return Err(Malformed("ECDAA was withdrawn from WebAuthn")),
                _ => true,
            };
            if !first {
                return Err(Malformed("a member stands in it twice"));
            }
        }
        Ok(Self::Packed {
            algorithm: algorithm.ok_or(Malformed("`alg` is missing"))?,
            signature: signature.ok_or(Malformed("`sig` is missing"))?,
            x5c: x5c.unwrap_or_default(),
        })
    }

    /// What the statement would prove.
    pub fn kind(&self) -> AttestationKind {
        match self {
            Self::None => AttestationKind::None,
            Self::Packed { x5c, .. } if x5c.is_empty() => AttestationKind::SelfSigned,
            Self::Packed { .. } => AttestationKind::Certificate,
        }
    }

    /// The certificates in DER, the attestation certificate first.
    pub fn x5c(&self) -> &[Vec<u8>] {
        match self {
            Self::None => &[],
            Self::Packed { x5c, .. } => x5c,
        }
    }

    /// Verifies the signature over authenticator data and clientDataHash, with the attestation certificate's key or, without
    /// one, with the credential's. `none` has no signature and passes.
    ///
    /// # Errors
    /// [`StatementError`], from [`StatementError::Algorithm`] on.
    pub fn verify(
        &self,
        auth_data: &[u8],
        client_data_hash: &[u8; 32],
        credential: &PublicKey,
    ) -> Result<(), StatementError> {
        let Self::Packed { algorithm: number, signature, x5c } = self else { return Ok(()) };
        let message = [auth_data, client_data_hash].concat();
        let verified = match x5c.first() {
            None if *number != credential.algorithm().cose() => {
                return Err(StatementError::OtherAlgorithm {
                    statement: *number,
                    credential: credential.algorithm().cose(),
                });
            }
            None => credential.verify(&message, signature),
            Some(der) => {
                let algorithm = Algorithm::from_cose(*number).ok_or(StatementError::Algorithm(*number))?;
                let (_, certificate) = X509Certificate::from_der(der).map_err(|_| StatementError::Certificate)?;
                verify_with_certificate(algorithm, certificate.public_key(), &message, signature)
            }
        };
        verified.map_err(|_| StatementError::Signature)
    }
}

fn certificates(value: Value) -> Result<Vec<Vec<u8>>, StatementError> {
    const WRONG: StatementError = StatementError::Malformed("`x5c` is no list of certificates");
    let Value::Array(items) = value else { return Err(WRONG) };
    if items.is_empty() || items.len() > MAX_CERTIFICATES {
        return Err(WRONG);
    }
    items.into_iter().map(|item| item.into_bytes().map_err(|_| WRONG)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webauthn::attestation::samples;
    use proptest::prelude::*;

    #[test]
    fn a_real_statement_is_taken_apart() {
        let sample = samples::accepted();
        let statement = Statement::parse("packed", &sample.att_stmt).expect("a statement");
        assert_eq!(statement.kind(), AttestationKind::Certificate);
        assert_eq!(statement.x5c().len(), 1);
        assert!(matches!(statement, Statement::Packed { algorithm: -7, .. }));
    }

    #[test]
    fn formats_and_members_are_checked() {
        assert_eq!(Statement::parse("none", &[0xA0]), Ok(Statement::None));
        assert!(matches!(Statement::parse("none", &[0xA1, 1, 1]), Err(StatementError::Malformed(_))));
        assert!(matches!(Statement::parse("fido-u2f", &[0xA0]), Err(StatementError::Format(f)) if f == "fido-u2f"));
        assert_eq!(Statement::parse("packed", &[0xA0]), Err(StatementError::Malformed("`alg` is missing")));
        // {"alg": -7, "alg": -7, "sig": h''}
        let twice = [&[0xA3][..], b"\x63alg\x26\x63alg\x26\x63sig\x40"].concat();
        assert_eq!(Statement::parse("packed", &twice), Err(StatementError::Malformed("a member stands in it twice")));
        let empty_chain = [&[0xA3][..], b"\x63alg\x26\x63sig\x40\x63x5c\x80"].concat();
        assert!(matches!(Statement::parse("packed", &empty_chain), Err(StatementError::Malformed(_))));
        let with_tail = [&samples::accepted().att_stmt[..], &[0]].concat();
        assert!(matches!(Statement::parse("packed", &with_tail), Err(StatementError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Statement::parse("packed", &bytes);
        }

        #[test]
        fn any_change_to_a_real_statement_is_read_or_refused(at in 0usize..800, value: u8) {
            let mut bytes = samples::accepted().att_stmt;
            let at = at % bytes.len();
            bytes[at] = value;
            let _ = Statement::parse("packed", &bytes);
        }
    }
}
