//! Answers of invented keys, for the tests of this module: made by hand here, byte by byte, not with the code under test.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use sha2::{Digest as _, Sha256};

use super::attestation::KeyAnswer;
use crate::model::Aaguid;

pub(super) const RP_ID: &str = "login.microsoft.com";
pub(super) const HASH: [u8; 32] = [0xC1; 32];
/// `Good Key` in `fixtures/mds/test-payload.json`.
pub(super) const GOOD: Aaguid = model(0x0a);
/// UP, UV, AT and ED.
pub(super) const FLAGS: u8 = 0xC5;

pub(super) const fn model(number: u8) -> Aaguid {
    Aaguid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number])
}

pub(super) struct P256(EcdsaKeyPair);

impl P256 {
    pub(super) fn new() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).expect("a key");
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).expect("a key"))
    }

    pub(super) fn cose(&self) -> Vec<u8> {
        let point = self.0.public_key().as_ref();
        [b"\xA5\x01\x02\x03\x26\x20\x01\x21\x58\x20", &point[1..33], b"\x22\x58\x20", &point[33..]].concat()
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec()
    }
}

/// The parts of an answer; change one, then [`Self::auth_data`].
pub(super) struct Parts {
    pub(super) rp_id: &'static str,
    pub(super) flags: u8,
    pub(super) aaguid: Aaguid,
    pub(super) id: Vec<u8>,
    pub(super) cose: Vec<u8>,
    /// CBOR.
    pub(super) extensions: Vec<u8>,
}

impl Parts {
    pub(super) fn of(key: &P256) -> Self {
        Self {
            rp_id: RP_ID,
            flags: FLAGS,
            aaguid: GOOD,
            id: vec![0x1d; 48],
            cose: key.cose(),
            extensions: extensions(Some(1), Some(true)),
        }
    }

    pub(super) fn auth_data(&self) -> Vec<u8> {
        let mut data = Sha256::digest(self.rp_id).to_vec();
        data.push(self.flags);
        data.extend(9u32.to_be_bytes());
        if self.flags & 0x40 != 0 {
            data.extend(self.aaguid.0);
            data.extend(u16::try_from(self.id.len()).expect("short").to_be_bytes());
            data.extend(&self.id);
            data.extend(&self.cose);
        }
        if self.flags & 0x80 != 0 {
            data.extend(&self.extensions);
        }
        data
    }
}

pub(super) fn extensions(cred_protect: Option<u8>, hmac_secret: Option<bool>) -> Vec<u8> {
    let mut map = vec![0xA0 + u8::from(cred_protect.is_some()) + u8::from(hmac_secret.is_some())];
    if let Some(level) = cred_protect {
        map.extend(b"\x6BcredProtect");
        map.push(level);
    }
    if let Some(made) = hmac_secret {
        map.extend(b"\x6Bhmac-secret");
        map.push(if made { 0xF5 } else { 0xF4 });
    }
    map
}

/// A key's whole answer.
pub(super) struct Answer {
    pub(super) fmt: &'static str,
    pub(super) att_stmt: Vec<u8>,
    pub(super) auth_data: Vec<u8>,
}

impl Answer {
    pub(super) fn get(&self) -> KeyAnswer<'_> {
        KeyAnswer { fmt: self.fmt, att_stmt: &self.att_stmt, auth_data: &self.auth_data }
    }

    pub(super) fn none(parts: &Parts) -> Self {
        Self { fmt: "none", att_stmt: vec![0xA0], auth_data: parts.auth_data() }
    }

    /// Packed self-attestation.
    pub(super) fn by_itself(key: &P256, parts: &Parts) -> Self {
        let auth_data = parts.auth_data();
        let signature = key.sign(&[&auth_data[..], &HASH].concat());
        Self { fmt: "packed", att_stmt: packed(&signature, &[]), auth_data }
    }
}

pub(super) fn packed(signature: &[u8], x5c: &[Vec<u8>]) -> Vec<u8> {
    let bytes = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).expect("short").to_be_bytes();
        [&[0x59, length[0], length[1]], bytes].concat()
    };
    let mut map = vec![if x5c.is_empty() { 0xA2 } else { 0xA3 }];
    map.extend(b"\x63alg\x26\x63sig");
    map.extend(bytes(signature));
    if !x5c.is_empty() {
        map.extend(b"\x63x5c");
        map.push(0x80 + u8::try_from(x5c.len()).expect("short"));
        x5c.iter().for_each(|certificate| map.extend(bytes(certificate)));
    }
    map
}

/// Certificates made on the spot.
#[cfg(feature = "sim")]
pub(super) mod pki {
    use rcgen::{
        BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
        SigningKey as _,
    };

    use super::{Aaguid, Answer, HASH, Parts, packed};

    pub(crate) struct Authority {
        pub(crate) der: Vec<u8>,
        issuer: Issuer<'static, KeyPair>,
    }

    impl Authority {
        pub(crate) fn root(name: &str) -> Self {
            let key = KeyPair::generate().expect("a key");
            let params = authority(name);
            let der = params.self_signed(&key).expect("a certificate").der().to_vec();
            Self { der, issuer: Issuer::new(params, key) }
        }

        pub(crate) fn below(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
            let key = KeyPair::generate().expect("a key");
            let mut params = authority(name);
            change(&mut params);
            let der = params.signed_by(&key, &self.issuer).expect("a certificate").der().to_vec();
            Self { der, issuer: Issuer::new(params, key) }
        }

        pub(crate) fn leaf(&self, params: &CertificateParams) -> (Vec<u8>, KeyPair) {
            let key = KeyPair::generate().expect("a key");
            (params.signed_by(&key, &self.issuer).expect("a certificate").der().to_vec(), key)
        }
    }

    fn authority(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    /// A certificate as WebAuthn §8.2.1 wants it.
    pub(crate) fn attestation(aaguid: Aaguid) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::ExplicitNoCa;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "SE");
        params.distinguished_name.push(DnType::OrganizationName, "Test Vendor");
        params.distinguished_name.push(DnType::OrganizationalUnitName, "Authenticator Attestation");
        params.distinguished_name.push(DnType::CommonName, "Test Key");
        params.custom_extensions = vec![aaguid_extension([&[0x04, 0x10], &aaguid.0[..]].concat())];
        params
    }

    pub(crate) fn aaguid_extension(content: Vec<u8>) -> CustomExtension {
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 45724, 1, 1, 4], content)
    }

    /// Packed attestation with a certificate under `authority`.
    pub(crate) fn attested(parts: &Parts, authority: &Authority) -> Answer {
        let (leaf, key) = authority.leaf(&attestation(parts.aaguid));
        let auth_data = parts.auth_data();
        let signature = key.sign(&[&auth_data[..], &HASH].concat()).expect("a signature");
        Answer { fmt: "packed", att_stmt: packed(&signature, &[leaf]), auth_data }
    }
}
