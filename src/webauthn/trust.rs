//! Certificate chains: from a key's attestation certificate, or the metadata's signer, to a root we trust (RFC 5280 §6.1,
//! without names' constraints, policies and revocation, which attestation does not use).

use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::Oid;
use x509_parser::error::X509Error;
use x509_parser::oid_registry::{
    OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA, OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_CERTIFICATE_POLICIES,
    OID_X509_EXT_EXTENDED_KEY_USAGE, OID_X509_EXT_KEY_USAGE, OID_X509_EXT_SUBJECT_ALT_NAME,
};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Name;

use super::statement::MAX_CERTIFICATES;

/// The roots that the FIDO Alliance's metadata may chain to; see `roots/README.md` for where they come from.
const FIDO_ROOTS: [&str; 2] =
    [include_str!("roots/globalsign-root-r46.pem"), include_str!("roots/globalsign-root-ca-r3.pem")];

const UNDERSTOOD: [Oid<'static>; 5] = [
    OID_X509_EXT_BASIC_CONSTRAINTS,
    OID_X509_EXT_KEY_USAGE,
    OID_X509_EXT_EXTENDED_KEY_USAGE,
    OID_X509_EXT_CERTIFICATE_POLICIES,
    OID_X509_EXT_SUBJECT_ALT_NAME,
];

/// Trusted certificates, in DER: authorities, or attestation certificates listed as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anchors(Vec<Vec<u8>>);

impl Anchors {
    /// None: no chain holds.
    pub fn none() -> Self {
        Self::default()
    }

    /// The roots of the FIDO Alliance's metadata.
    pub fn fido() -> Self {
        Self(FIDO_ROOTS.iter().filter_map(|text| pem::parse(text).ok()).map(pem::Pem::into_contents).collect())
    }

    /// These and one more, in DER. A simulator's root belongs here only while everything is on loopback; the caller decides.
    #[must_use]
    pub fn and(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.0.push(der.into());
        self
    }

    /// These certificates.
    pub fn of(ders: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self(ders.into_iter().collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The certificates.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }
}

/// Why a chain does not hold. `at` counts certificates from the first, which is 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No certificates, or more than [`MAX_CERTIFICATES`].
    #[error("a chain of {0} certificates")]
    Length(usize),
    /// Not X.509.
    #[error("certificate {at} of the chain can't be read")]
    Unreadable {
        /// Which.
        at: usize,
    },
    /// Outside its validity.
    #[error("certificate {at} of the chain is valid from {from} to {until}, not at {now}")]
    Dates {
        /// Which.
        at: usize,
        /// First instant.
        from: String,
        /// Last instant.
        until: String,
        /// The instant asked for.
        now: Timestamp,
    },
    /// Not issued by the next one.
    #[error("certificate {at} of the chain was not issued by the one after it")]
    NotIssued {
        /// Which.
        at: usize,
    },
    /// It issued another certificate without the right to.
    #[error("certificate {at} of the chain has no right to issue certificates")]
    NotAnAuthority {
        /// Which.
        at: usize,
    },
    /// It has a critical extension that is not understood here.
    #[error("certificate {at} of the chain has an unknown critical extension {oid}")]
    CriticalExtension {
        /// Which.
        at: usize,
        /// Its object identifier.
        oid: String,
    },
    /// Signed in a way that can't be verified here: this proves nothing, for or against the key.
    #[error("certificate {at} of the chain is signed with {algorithm}, which can't be verified here")]
    Unsupported {
        /// Which.
        at: usize,
        /// The algorithm's object identifier.
        algorithm: String,
    },
    /// The chain ends elsewhere.
    #[error("the chain ends at `{issuer}`, which is not among the trusted roots")]
    NoAnchor {
        /// Issuer of the last certificate.
        issuer: String,
    },
}

/// Follows `chain` (DER, the leaf first) until a certificate is one of `anchors` or is issued by one. What follows after that
/// in the chain is not looked at: senders add cross-signed certificates for other verifiers.
///
/// # Errors
/// [`ChainError`], for the first certificate that breaks the chain.
pub fn validate(chain: &[Vec<u8>], anchors: &Anchors, now: Timestamp) -> Result<(), ChainError> {
    if !(1..=MAX_CERTIFICATES).contains(&chain.len()) {
        return Err(ChainError::Length(chain.len()));
    }
    let roots: Vec<X509Certificate<'_>> = anchors.iter().filter_map(read).collect();
    let mut current: Option<X509Certificate<'_>> = None;
    let mut unsupported = None;
    for (index, der) in chain.iter().enumerate() {
        let at = index + 1;
        let certificate = read(der).ok_or(ChainError::Unreadable { at })?;
        if let Some(issued) = &current {
            match link(issued, &certificate) {
                Link::Holds => {}
                Link::Broken => return Err(ChainError::NotIssued { at: index }),
                Link::Unsupported(algorithm) => return Err(ChainError::Unsupported { at: index, algorithm }),
            }
            may_issue(&certificate, index.saturating_sub(1), false).map_err(|()| ChainError::NotAnAuthority { at })?;
        }
        check_dates(&certificate, at, now)?;
        if anchors.iter().any(|anchor| anchor == der.as_slice()) {
            return Ok(());
        }
        check_critical(&certificate, at)?;
        for root in &roots {
            match link(&certificate, root) {
                Link::Holds if may_issue(root, index, true).is_ok() && check_dates(root, at + 1, now).is_ok() => {
                    return Ok(());
                }
                Link::Unsupported(algorithm) => unsupported = Some(ChainError::Unsupported { at, algorithm }),
                _ => {}
            }
        }
        current = Some(certificate);
    }
    let issuer = current.map(|last| last.issuer().to_string()).unwrap_or_default();
    Err(unsupported.unwrap_or(ChainError::NoAnchor { issuer }))
}

/// One certificate and nothing after it.
fn read(der: &[u8]) -> Option<X509Certificate<'_>> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Some(certificate),
        _ => None,
    }
}

/// What becomes of "this one issued that one".
enum Link {
    Holds,
    Broken,
    /// The names fit, but the signature is of a kind that can't be verified here: its object identifier.
    Unsupported(String),
}

fn link(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> Link {
    if !same_name(certificate.issuer(), issuer.subject()) {
        return Link::Broken;
    }
    let algorithm = &certificate.signature_algorithm.algorithm;
    // SHA-1 no longer proves anything; the library would still take it.
    if [OID_SHA1_WITH_RSA, OID_PKCS1_SHA1WITHRSA].contains(algorithm) {
        return Link::Unsupported(algorithm.to_string());
    }
    match certificate.verify_signature(Some(issuer.public_key())) {
        Ok(()) => Link::Holds,
        Err(X509Error::SignatureUnsupportedAlgorithm) => Link::Unsupported(algorithm.to_string()),
        Err(_) => Link::Broken,
    }
}

/// The same bytes or, because vendors mix string types (RFC 5280 §7.1), the same text.
fn same_name(a: &X509Name<'_>, b: &X509Name<'_>) -> bool {
    a.as_raw() == b.as_raw() || a.to_string().eq_ignore_ascii_case(&b.to_string())
}

/// `below` counts the authorities between this one and the leaf. A root in an old version has no extensions to say anything.
fn may_issue(certificate: &X509Certificate<'_>, below: usize, is_root: bool) -> Result<(), ()> {
    match certificate.basic_constraints() {
        Ok(Some(constraints)) => {
            let deep = constraints.value.path_len_constraint.is_some_and(|most| below > most as usize);
            if !constraints.value.ca || deep {
                return Err(());
            }
        }
        Ok(None) if is_root => {}
        _ => return Err(()),
    }
    match certificate.key_usage() {
        Ok(Some(usage)) if !usage.value.key_cert_sign() => Err(()),
        Ok(_) => Ok(()),
        Err(_) => Err(()),
    }
}

fn check_dates(certificate: &X509Certificate<'_>, at: usize, now: Timestamp) -> Result<(), ChainError> {
    let validity = certificate.validity();
    if (validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now.as_second()) {
        return Ok(());
    }
    Err(ChainError::Dates { at, from: validity.not_before.to_string(), until: validity.not_after.to_string(), now })
}

fn check_critical(certificate: &X509Certificate<'_>, at: usize) -> Result<(), ChainError> {
    match certificate.extensions().iter().find(|one| one.critical && !UNDERSTOOD.contains(&one.oid)) {
        Some(unknown) => Err(ChainError::CriticalExtension { at, oid: unknown.oid.to_string() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
