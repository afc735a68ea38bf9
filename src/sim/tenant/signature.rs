//! Public keys, signatures and certificates, by `ring` and `x509-parser`; nothing of our own WebAuthn layer.

use ciborium::Value;
use ring::signature::{ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use x509_parser::prelude::{ASN1Time, FromDer as _, X509Certificate, X509Version};

use super::attestation::{integer, item};

/// COSE's ES256.
pub(super) const ES256: i64 = -7;
/// COSE's RS256.
pub(super) const RS256: i64 = -257;
/// id-fido-gen-ce-aaguid (WebAuthn §8.2.1).
const AAGUID_EXTENSION: &str = "1.3.6.1.4.1.45724.1.1.4";

/// A public key that can check a signature.
#[derive(Debug)]
pub(super) enum KeyOf {
    /// P-256, an uncompressed point.
    P256(Vec<u8>),
    /// RSA: modulus and exponent, big-endian.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// RSA as a certificate holds it: PKCS#1.
    RsaPkcs1(Vec<u8>),
}

impl KeyOf {
    /// Reads a COSE key: exactly the members its kind has (RFC 9053 §7.1, RFC 8230 §4).
    pub(super) fn cose(bytes: &[u8]) -> Result<Self, String> {
        let (value, _) = item(bytes, "The credential public key")?;
        let Value::Map(members) = value else { return Err("The credential public key is not a map.".into()) };
        let number = |label: i64| {
            let found = members.iter().find(|(key, _)| integer(key, "").is_ok_and(|key| key == label));
            found.map(|(_, value)| value).ok_or_else(|| format!("The credential public key has no member {label}."))
        };
        let octets = |label: i64| {
            number(label)?.as_bytes().ok_or_else(|| format!("The credential public key's member {label} is not bytes."))
        };
        let (key_type, algorithm) = (integer(number(1)?, "kty")?, integer(number(3)?, "alg")?);
        match (key_type, algorithm, members.len()) {
            (2, ES256, 5) => {
                if integer(number(-1)?, "crv")? != 1 {
                    return Err("The credential public key is not on P-256.".into());
                }
                let (x, y) = (octets(-2)?, octets(-3)?);
                if x.len() != 32 || y.len() != 32 {
                    return Err("The credential public key's coordinates have 32 bytes each.".into());
                }
                let point = [&[4u8][..], x, y].concat();
                p256::PublicKey::from_sec1_bytes(&point)
                    .map_err(|_| "The credential public key is not a point of P-256.".to_owned())?;
                Ok(Self::P256(point))
            }
            (3, RS256, 4) => {
                let (n, e) = (octets(-1)?.clone(), octets(-2)?.clone());
                if n.len() < 256 {
                    return Err("The credential public key is shorter than RSA-2048.".into());
                }
                Ok(Self::Rsa { n, e })
            }
            (2 | 3, ES256 | RS256, _) => Err("The credential public key's members don't fit its type.".into()),
            _ => Err(format!("The credential public key's algorithm {algorithm} was not offered.")),
        }
    }

    /// A certificate's key, which must fit this COSE algorithm.
    pub(super) fn certificate(der: &[u8], algorithm: i64) -> Result<Self, String> {
        let certificate = parse(der)?;
        let key = certificate.public_key();
        let bytes = key.subject_public_key.data.to_vec();
        let kind = key.algorithm.algorithm.to_id_string();
        match (kind.as_str(), algorithm) {
            ("1.2.840.10045.2.1", ES256) => Ok(Self::P256(bytes)),
            ("1.2.840.113549.1.1.1", RS256) => Ok(Self::RsaPkcs1(bytes)),
            _ => Err(format!("alg {algorithm} does not fit the attestation certificate's key.")),
        }
    }
}

/// Checks a signature.
pub(super) fn verify(key: &KeyOf, message: &[u8], signature: &[u8]) -> Result<(), String> {
    let answer = match key {
        KeyOf::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature),
        KeyOf::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
        KeyOf::RsaPkcs1(key) => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(message, signature),
    };
    answer.map_err(|_| "the signature does not verify.".to_owned())
}

/// WebAuthn §8.2.1: what an attestation certificate must be.
pub(super) fn check_leaf(der: &[u8], aaguid: &[u8; 16]) -> Result<(), String> {
    let certificate = parse(der)?;
    let wrong = |what: &str| Err(format!("Attestation certificate: {what} (WebAuthn §8.2.1)."));
    if certificate.version() != X509Version::V3 {
        return wrong("the version is not 3");
    }
    let subject = certificate.subject();
    if subject.iter_country().next().is_none()
        || subject.iter_organization().next().is_none()
        || subject.iter_common_name().next().is_none()
    {
        return wrong("the subject needs a country, an organization and a common name");
    }
    let unit = subject.iter_organizational_unit().next().and_then(|unit| unit.as_str().ok());
    if unit != Some("Authenticator Attestation") {
        return wrong("the subject's unit is not 'Authenticator Attestation'");
    }
    if certificate.is_ca() {
        return wrong("it is a certificate authority's");
    }
    for extension in certificate.extensions() {
        if extension.oid.to_id_string() == AAGUID_EXTENSION {
            if extension.critical {
                return wrong("the AAGUID extension is critical");
            }
            // An octet string in the extension's octet string.
            if extension.value.strip_prefix(&[0x04, 0x10]) != Some(&aaguid[..]) {
                return wrong("its AAGUID differs from the authenticator data's");
            }
        }
    }
    Ok(())
}

/// Whether the certificates, leaf first, reach one of these roots, each valid now.
pub(super) fn reaches_a_root(x5c: &[Vec<u8>], roots: &[Vec<u8>], now: i64) -> Result<(), String> {
    let now = ASN1Time::from_timestamp(now).map_err(|_| "The time is out of range.".to_owned())?;
    let chain = x5c.iter().map(|der| parse(der)).collect::<Result<Vec<_>, _>>()?;
    let roots = roots.iter().map(|der| parse(der)).collect::<Result<Vec<_>, _>>()?;
    for certificate in &chain {
        if !certificate.validity().is_valid_at(now) {
            return Err("An attestation certificate is not valid now.".into());
        }
    }
    let issued_by = |child: &X509Certificate<'_>, parent: &X509Certificate<'_>| {
        child.issuer() == parent.subject()
            && parent.is_ca()
            && child.verify_signature(Some(parent.public_key())).is_ok()
    };
    for (child, parent) in chain.iter().zip(chain.iter().skip(1)) {
        if !issued_by(child, parent) {
            return Err("The attestation certificates don't form a chain.".into());
        }
    }
    let last = chain.last().ok_or("There is no attestation certificate.")?;
    let ends = roots.iter().any(|root| root.as_raw() == last.as_raw() || issued_by(last, root));
    if ends { Ok(()) } else { Err("The attestation certificates reach no trusted root.".into()) }
}

/// SHA-1 of each certificate in hex, as `attestationCertificates` lists them.
pub(super) fn thumbprints(x5c: &[Vec<u8>]) -> Vec<String> {
    let sha1 = |der: &Vec<u8>| ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, der);
    x5c.iter().map(|der| sha1(der).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()).collect()
}

pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err("A certificate can't be read.".into()),
    }
}
