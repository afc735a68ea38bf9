//! Who vouches for a simulated key: a root that says by its name that it is none.
//!
//! The batch certificates follow WebAuthn §8.2.1: version 3, C, O, OU "Authenticator Attestation", CN, CA false, and the
//! AAGUID in extension 1.3.6.1.4.1.45724.1.1.4.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::line::lock;
use crate::model::Aaguid;

/// The root's common name.
pub const SIMULATOR_ROOT_NAME: &str = "keybench simulator root — not a real authenticator";

/// SHA-256 of the root's SubjectPublicKeyInfo (DER). Code that must refuse simulated keys without the simulator compiled in
/// compares with this: 201d1148beeb591092bdfbf9a4aa13c255803f914f032f7551dc96c9587e8035.
pub const SIMULATOR_ROOT_SPKI_SHA256: [u8; 32] = [
    0x20, 0x1d, 0x11, 0x48, 0xbe, 0xeb, 0x59, 0x10, 0x92, 0xbd, 0xfb, 0xf9, 0xa4, 0xaa, 0x13, 0xc2, 0x55, 0x80, 0x3f,
    0x91, 0x4f, 0x03, 0x2f, 0x75, 0x51, 0xdc, 0x96, 0xc9, 0x58, 0x7e, 0x80, 0x35,
];

const ROOT: &[u8] = include_bytes!("simulator-root.der");
const ROOT_KEY: &str = include_str!("simulator-root.key.pem");

/// id-fido-gen-ce-aaguid.
const AAGUID_EXTENSION: [u64; 9] = [1, 3, 6, 1, 4, 1, 45724, 1, 1];

/// An extension that means nothing (an arc for examples, 2.999 of X.660).
const PADDING_EXTENSION: [u64; 3] = [2, 999, 1];

/// The root's certificate, DER.
pub fn simulator_root_der() -> &'static [u8] {
    ROOT
}

/// Whether a certificate (DER) carries the simulator root's public key.
pub fn is_simulator_root(der: &[u8]) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_, certificate)| {
        Sha256::digest(certificate.public_key().raw).as_slice() == SIMULATOR_ROOT_SPKI_SHA256
    })
}

/// A model's attestation key, shared by all keys of the model as FIDO wants it.
#[derive(Clone)]
pub(super) struct Batch {
    /// The P-256 scalar, big-endian.
    pub(super) scalar: [u8; 32],
    /// The certificate, DER.
    pub(super) certificate: Vec<u8>,
}

/// The model's batch, made at its first key and kept while the program runs. The certificate is so much longer.
pub(super) fn batch(name: &str, aaguid: Aaguid, padding: usize) -> Batch {
    static BATCHES: OnceLock<Mutex<HashMap<(Aaguid, usize), Batch>>> = OnceLock::new();
    let batches = BATCHES.get_or_init(Mutex::default);
    lock(batches).entry((aaguid, padding)).or_insert_with(|| make(name, aaguid, padding)).clone()
}

fn make(name: &str, aaguid: Aaguid, padding: usize) -> Batch {
    let root_key = KeyPair::from_pem(ROOT_KEY).expect("infallible: checked in beside this file");
    let mut root = CertificateParams::default();
    root.distinguished_name = DistinguishedName::new();
    root.distinguished_name.push(DnType::OrganizationName, "keybench");
    root.distinguished_name.push(DnType::CommonName, SIMULATOR_ROOT_NAME);
    root.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let issuer = Issuer::new(root, root_key);

    let key =
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("infallible: ring has P-256 and the system randomness");
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2119, 12, 31);
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "ZZ");
    params.distinguished_name.push(DnType::OrganizationName, "keybench simulator");
    params.distinguished_name.push(DnType::OrganizationalUnitName, "Authenticator Attestation");
    params.distinguished_name.push(DnType::CommonName, format!("Simulated {name}"));
    params.is_ca = IsCa::ExplicitNoCa;
    // The extension's value is itself an OCTET STRING of 16 bytes (WebAuthn §8.2.1).
    let mut value = vec![0x04, 0x10];
    value.extend_from_slice(&aaguid.0);
    let mut oid = AAGUID_EXTENSION.to_vec();
    oid.push(4);
    params.custom_extensions = vec![CustomExtension::from_oid_content(&oid, value)];
    if padding > 0 {
        // Makers put ids and links of their own here (1.3.6.1.4.1.41482.2 and the like): not critical, nobody has to read it.
        // An IA5String; lengths of 256 to 65535 are written in two bytes.
        let mut text = vec![0x16, 0x82];
        text.extend_from_slice(&u16::try_from(padding).unwrap_or(u16::MAX).to_be_bytes());
        text.resize(text.len() + padding, b'x');
        params.custom_extensions.push(CustomExtension::from_oid_content(&PADDING_EXTENSION, text));
    }
    let certificate = params.signed_by(&key, &issuer).expect("infallible: a complete certificate of ours");
    Batch { scalar: scalar(&key.serialize_der()), certificate: certificate.der().to_vec() }
}

/// The scalar in a PKCS#8 P-256 key: ECPrivateKey (RFC 5915) begins with version 1 and an OCTET STRING of 32 bytes.
fn scalar(pkcs8: &[u8]) -> [u8; 32] {
    const HEAD: [u8; 5] = [0x02, 0x01, 0x01, 0x04, 0x20];
    let start = pkcs8.windows(HEAD.len()).position(|window| window == HEAD);
    let bytes = start.and_then(|start| pkcs8.get(start + HEAD.len()..start + HEAD.len() + 32));
    bytes.and_then(|bytes| bytes.try_into().ok()).expect("infallible: rcgen made this key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_known_by_its_key() {
        assert!(is_simulator_root(simulator_root_der()));
        let batch = batch("test", Aaguid([7; 16]), 0);
        assert!(!is_simulator_root(&batch.certificate));
        assert!(!is_simulator_root(b"not a certificate"));
    }

    #[test]
    fn a_batch_certificate_chains_to_the_root_and_names_the_model() {
        let aaguid = Aaguid([9; 16]);
        let batch = batch("Model", aaguid, 300);
        assert!(batch.certificate.len() > 700, "{}", batch.certificate.len());
        let (_, root) = X509Certificate::from_der(ROOT).expect("the root");
        let (_, leaf) = X509Certificate::from_der(&batch.certificate).expect("the batch certificate");
        assert_eq!(leaf.issuer().as_raw(), root.subject().as_raw());
        leaf.verify_signature(Some(root.public_key())).expect("signed by the root");
        root.verify_signature(None).expect("self-signed");
        let units: Vec<_> = leaf.subject().iter_organizational_unit().filter_map(|unit| unit.as_str().ok()).collect();
        assert_eq!(units, ["Authenticator Attestation"]);
        let extension = leaf
            .extensions()
            .iter()
            .find(|extension| extension.oid.to_id_string() == "1.3.6.1.4.1.45724.1.1.4")
            .expect("the AAGUID extension");
        assert!(!extension.critical);
        assert_eq!(extension.value.get(2..), Some(&aaguid.0[..]));
        assert!(!leaf.is_ca());
    }
}
