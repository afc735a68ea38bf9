//! Public keys as COSE writes them, and the signatures they verify (WebAuthn §6.5.5, RFC 9053).

use coset::iana::{self, EnumI64 as _};
use coset::{CborSerializable as _, CoseKey, Label, RegisteredLabelWithPrivate};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
};
use x509_parser::x509::SubjectPublicKeyInfo;

/// A signature algorithm that can be verified here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256: -7.
    Es256,
    /// ECDSA on P-384 with SHA-384: -35.
    Es384,
    /// Ed25519: -8.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256: -257.
    Rs256,
}

impl Algorithm {
    /// By its COSE number; `None` for those that can't be verified here.
    pub fn from_cose(number: i64) -> Option<Self> {
        match number {
            -7 => Some(Self::Es256),
            -35 => Some(Self::Es384),
            -8 => Some(Self::EdDsa),
            -257 => Some(Self::Rs256),
            _ => None,
        }
    }

    /// Its COSE number.
    pub fn cose(self) -> i64 {
        match self {
            Self::Es256 => -7,
            Self::Es384 => -35,
            Self::EdDsa => -8,
            Self::Rs256 => -257,
        }
    }

    fn ring(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Es256 => &ECDSA_P256_SHA256_ASN1,
            Self::Es384 => &ECDSA_P384_SHA384_ASN1,
            Self::EdDsa => &ED25519,
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        }
    }
}

/// Why a public key is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// No COSE_Key.
    #[error("the public key is not a well-formed COSE key")]
    Malformed,
    /// An algorithm that can't be verified here, with its COSE number.
    #[error("the public key's algorithm {0} can't be verified")]
    Unsupported(i64),
    /// The algorithm, the key type, the curve and the lengths don't belong together, or the point is not on its curve.
    #[error("the public key's parts don't belong together")]
    Inconsistent,
}

/// The signature does not belong to the key and the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// A credential's public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: Algorithm,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    /// An uncompressed point, or an Ed25519 key.
    Bytes(Vec<u8>),
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
}

impl PublicKey {
    /// Reads a COSE_Key. WebAuthn demands `alg` in it, and no compressed points.
    ///
    /// # Errors
    /// [`PublicKeyError`], as its variants say.
    pub fn from_cose(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        let key = CoseKey::from_slice(bytes).map_err(|_| PublicKeyError::Malformed)?;
        let number = match key.alg {
            Some(RegisteredLabelWithPrivate::Assigned(algorithm)) => algorithm.to_i64(),
            Some(RegisteredLabelWithPrivate::PrivateUse(number)) => number,
            _ => return Err(PublicKeyError::Malformed),
        };
        let algorithm = Algorithm::from_cose(number).ok_or(PublicKeyError::Unsupported(number))?;
        let parameter =
            |label: i64| key.params.iter().find(|(name, _)| *name == Label::Int(label)).map(|(_, value)| value);
        let bytes = |label: i64| parameter(label).and_then(|value| value.as_bytes());
        let curve = || parameter(-1).and_then(|value| value.as_integer()).and_then(|number| i64::try_from(number).ok());
        let is = |kty: iana::KeyType| key.kty == coset::KeyType::Assigned(kty);
        let ec2 = |wanted: iana::EllipticCurve, width: usize| {
            let (x, y) = (bytes(-2)?, bytes(-3)?);
            let fits =
                is(iana::KeyType::EC2) && curve() == Some(wanted.to_i64()) && x.len() == width && y.len() == width;
            fits.then(|| Material::Bytes([&[0x04][..], x, y].concat()))
        };
        let material = match algorithm {
            Algorithm::Es256 => ec2(iana::EllipticCurve::P_256, 32).filter(
                |point| matches!(point, Material::Bytes(point) if p256::PublicKey::from_sec1_bytes(point).is_ok()),
            ),
            Algorithm::Es384 => ec2(iana::EllipticCurve::P_384, 48),
            Algorithm::EdDsa => bytes(-2)
                .filter(|x| {
                    is(iana::KeyType::OKP) && curve() == Some(iana::EllipticCurve::Ed25519.to_i64()) && x.len() == 32
                })
                .map(|x| Material::Bytes(x.clone())),
            Algorithm::Rs256 => bytes(-1)
                .zip(bytes(-2))
                .filter(|_| is(iana::KeyType::RSA))
                .map(|(n, e)| Material::Rsa { n: n.clone(), e: e.clone() }),
        };
        Ok(Self { algorithm, material: material.ok_or(PublicKeyError::Inconsistent)? })
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Verifies a signature in WebAuthn's form: ECDSA in DER, the others as they are.
    ///
    /// # Errors
    /// [`BadSignature`] when it does not verify.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        match &self.material {
            Material::Bytes(key) => {
                UnparsedPublicKey::new(self.algorithm.ring(), key).verify(message, signature).map_err(|_| BadSignature)
            }
            Material::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .map_err(|_| BadSignature),
        }
    }
}

/// Verifies a signature with a certificate's key, in the algorithm the statement or token names.
pub(super) fn verify_with_certificate(
    algorithm: Algorithm,
    key: &SubjectPublicKeyInfo<'_>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    let kind = &key.algorithm.algorithm;
    let curve = key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
    let fits = match algorithm {
        Algorithm::Es256 => *kind == OID_KEY_TYPE_EC_PUBLIC_KEY && curve == Some(OID_EC_P256),
        Algorithm::Es384 => *kind == OID_KEY_TYPE_EC_PUBLIC_KEY && curve == Some(OID_NIST_EC_P384),
        Algorithm::EdDsa => *kind == OID_SIG_ED25519,
        Algorithm::Rs256 => *kind == OID_PKCS1_RSAENCRYPTION,
    };
    if !fits {
        return Err(BadSignature);
    }
    UnparsedPublicKey::new(algorithm.ring(), &key.subject_public_key.data)
        .verify(message, signature)
        .map_err(|_| BadSignature)
}
