//! A security key of a few lines: packed attestation by hand, with every part open to be spoilt.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ciborium::Value as Cbor;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(super) const AAGUID: [u8; 16] = [0x5a; 16];

/// What the key answers with; change what should be wrong.
pub(super) struct Maker {
    pub(super) rp_id: String,
    pub(super) origin: String,
    pub(super) kind: &'static str,
    pub(super) flags: u8,
    pub(super) aaguid: [u8; 16],
    pub(super) credential_id: Vec<u8>,
    pub(super) returned_id: Option<Vec<u8>>,
    pub(super) format: &'static str,
    pub(super) certificates: Option<Vec<Vec<u8>>>,
    pub(super) signer: SigningKey,
    pub(super) key: SigningKey,
    pub(super) cose_alg: i64,
    pub(super) spoil_signature: bool,
    pub(super) trailing: Vec<u8>,
}

impl Maker {
    /// A key that does everything right, with self-attestation.
    pub(super) fn new(number: u8) -> Self {
        let key = SigningKey::from_slice(&[number.max(1); 32]).expect("a key");
        Self {
            rp_id: "login.microsoft.com".into(),
            origin: "https://login.microsoft.com".into(),
            kind: "webauthn.create",
            flags: 0x45,
            aaguid: AAGUID,
            credential_id: vec![number; 32],
            returned_id: None,
            format: "packed",
            certificates: None,
            signer: key.clone(),
            key,
            cose_alg: -7,
            spoil_signature: false,
            trailing: Vec::new(),
        }
    }

    pub(super) fn cose(&self) -> Vec<u8> {
        let point = self.key.verifying_key().to_sec1_point(false);
        let int = |number: i64| Cbor::Integer(number.into());
        cbor(&Cbor::Map(vec![
            (int(1), int(2)),
            (int(3), int(self.cose_alg)),
            (int(-1), int(1)),
            (int(-2), Cbor::Bytes(point.as_bytes()[1..33].to_vec())),
            (int(-3), Cbor::Bytes(point.as_bytes()[33..].to_vec())),
        ]))
    }

    /// The body of a registration for these creation options.
    pub(super) fn answer(&self, options: &Value) -> Value {
        let challenge = options["publicKey"]["challenge"].as_str().expect("a challenge");
        self.answer_challenge(challenge)
    }

    pub(super) fn answer_challenge(&self, challenge: &str) -> Value {
        let client_data =
            json!({ "type": self.kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false })
                .to_string();
        let mut auth_data = Sha256::digest(&self.rp_id).to_vec();
        auth_data.push(self.flags);
        auth_data.extend([0, 0, 0, 1]);
        auth_data.extend(self.aaguid);
        auth_data.extend(u16::try_from(self.credential_id.len()).expect("short").to_be_bytes());
        auth_data.extend(&self.credential_id);
        auth_data.extend(self.cose());
        auth_data.extend(&self.trailing);
        let signed = [auth_data.as_slice(), &Sha256::digest(&client_data)].concat();
        let signature: DerSignature = self.signer.sign(&signed);
        let mut signature = signature.as_bytes().to_vec();
        if self.spoil_signature {
            *signature.last_mut().expect("bytes") ^= 1;
        }
        let text = |text: &str| Cbor::Text(text.into());
        let mut statement = vec![(text("alg"), Cbor::Integer((-7).into())), (text("sig"), Cbor::Bytes(signature))];
        if let Some(certificates) = &self.certificates {
            statement.push((text("x5c"), Cbor::Array(certificates.iter().cloned().map(Cbor::Bytes).collect())));
        }
        if self.format == "none" {
            statement.clear();
        }
        let object = cbor(&Cbor::Map(vec![
            (text("fmt"), text(self.format)),
            (text("attStmt"), Cbor::Map(statement)),
            (text("authData"), Cbor::Bytes(auth_data)),
        ]));
        json!({
            "displayName": "Test key",
            "publicKeyCredential": {
                "id": URL_SAFE_NO_PAD.encode(self.returned_id.as_ref().unwrap_or(&self.credential_id)),
                "response": {
                    "clientDataJSON": URL_SAFE_NO_PAD.encode(&client_data),
                    "attestationObject": URL_SAFE_NO_PAD.encode(object),
                },
            },
        })
    }

    /// Attests with a certificate under this root. `spoil` may change the certificate before it is signed.
    pub(super) fn attest(&mut self, root: &Root, spoil: impl FnOnce(&mut CertificateParams)) {
        let pair = KeyPair::generate().expect("a key pair");
        let mut leaf = CertificateParams::default();
        leaf.distinguished_name.push(DnType::CountryName, "IE");
        leaf.distinguished_name.push(DnType::OrganizationName, "Test");
        leaf.distinguished_name.push(DnType::OrganizationalUnitName, "Authenticator Attestation");
        leaf.distinguished_name.push(DnType::CommonName, "Test key");
        leaf.is_ca = IsCa::ExplicitNoCa;
        leaf.custom_extensions.push(aaguid_extension(self.aaguid));
        spoil(&mut leaf);
        let certificate = leaf.signed_by(&pair, &root.issuer).expect("a certificate");
        self.certificates = Some(vec![certificate.der().to_vec()]);
        // PKCS#8 of a P-256 key has the scalar at this place (RFC 5915 inside RFC 5208).
        self.signer = SigningKey::from_slice(&pair.serialize_der()[36..68]).expect("a P-256 key");
    }
}

pub(super) fn aaguid_extension(aaguid: [u8; 16]) -> CustomExtension {
    let content = [&[0x04, 0x10][..], &aaguid].concat();
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 45724, 1, 1, 4], content)
}

/// An attestation root.
pub(super) struct Root {
    issuer: Issuer<'static, KeyPair>,
    pub(super) pem: String,
}

impl Root {
    pub(super) fn new(name: &str) -> Self {
        let pair = KeyPair::generate().expect("a key pair");
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&pair).expect("a root");
        Self { pem: certificate.pem(), issuer: Issuer::new(params, pair) }
    }
}

fn cbor(value: &Cbor) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("written");
    bytes
}
