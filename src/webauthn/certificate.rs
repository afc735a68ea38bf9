//! What WebAuthn §8.2.1 demands of a packed attestation certificate.

use x509_parser::der_parser::Oid;
use x509_parser::der_parser::oid;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Version};

use crate::model::Aaguid;

/// id-fido-gen-ce-aaguid.
const AAGUID_EXTENSION: Oid<'static> = oid!(1.3.6.1.4.1.45724.1.1.4);

/// Why a certificate can't be an attestation certificate, or not this key's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// No X.509 certificate, or bytes after it.
    #[error("the attestation certificate can't be read")]
    Unreadable,
    /// Not version 3.
    #[error("the attestation certificate is not of version 3")]
    Version,
    /// A part of the subject is missing or not as it must be.
    #[error("the attestation certificate's subject has no proper {0}")]
    Subject(&'static str),
    /// It could issue certificates.
    #[error("the attestation certificate is a certificate authority's")]
    IsAuthority,
    /// The AAGUID extension is critical or malformed.
    #[error("the attestation certificate's AAGUID extension is malformed")]
    AaguidExtension,
    /// The certificate is another model's.
    #[error("the attestation certificate is of model {certificate}, but the key says it is {key}")]
    OtherModel {
        /// In the certificate.
        certificate: Aaguid,
        /// In the authenticator data.
        key: Aaguid,
    },
}

/// Checks a packed attestation certificate in DER for a key of model `aaguid`.
///
/// # Errors
/// [`CertificateError`], as its variants say.
pub fn check_packed(der: &[u8], aaguid: Aaguid) -> Result<(), CertificateError> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| CertificateError::Unreadable)?;
    if !rest.is_empty() {
        return Err(CertificateError::Unreadable);
    }
    if certificate.version() != X509Version::V3 {
        return Err(CertificateError::Version);
    }
    let subject = certificate.subject();
    let has = |mut values: Box<dyn Iterator<Item = &str> + '_>, good: fn(&str) -> bool| values.any(good);
    let some = |text: &str| !text.is_empty();
    if !has(Box::new(subject.iter_country().filter_map(|value| value.as_str().ok())), |text| text.len() == 2) {
        return Err(CertificateError::Subject("country (C)"));
    }
    if !has(Box::new(subject.iter_organization().filter_map(|value| value.as_str().ok())), some) {
        return Err(CertificateError::Subject("vendor (O)"));
    }
    if !has(Box::new(subject.iter_organizational_unit().filter_map(|value| value.as_str().ok())), |text| {
        text == "Authenticator Attestation"
    }) {
        return Err(CertificateError::Subject("`Authenticator Attestation` (OU)"));
    }
    if !has(Box::new(subject.iter_common_name().filter_map(|value| value.as_str().ok())), some) {
        return Err(CertificateError::Subject("name (CN)"));
    }
    if certificate.is_ca() {
        return Err(CertificateError::IsAuthority);
    }
    match certificate.get_extension_unique(&AAGUID_EXTENSION) {
        Ok(None) => Ok(()),
        Ok(Some(extension)) if !extension.critical => {
            // An OCTET STRING of 16 bytes inside the extension's own.
            let id = match extension.value {
                [0x04, 0x10, id @ ..] => <[u8; 16]>::try_from(id).map(Aaguid),
                _ => return Err(CertificateError::AaguidExtension),
            };
            match id {
                Ok(id) if id == aaguid => Ok(()),
                Ok(certificate) => Err(CertificateError::OtherModel { certificate, key: aaguid }),
                Err(_) => Err(CertificateError::AaguidExtension),
            }
        }
        _ => Err(CertificateError::AaguidExtension),
    }
}

#[cfg(test)]
mod tests;
