//! Assertions of every algorithm, and what spoils them.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};

use super::*;
use crate::model::base64url;
use crate::webauthn::public_key::Algorithm;
use crate::webauthn::testing::{P256, RP_ID};

const HASH: [u8; 32] = [7; 32];

fn auth_data(flags: u8) -> Vec<u8> {
    [&Sha256::digest(RP_ID)[..], &[flags], &3u32.to_be_bytes()].concat()
}

fn message(auth_data: &[u8]) -> Vec<u8> {
    [auth_data, &HASH].concat()
}

#[test]
fn a_silent_proof_holds_only_for_its_key_site_hash_and_flags() {
    let key = P256::new();
    let data = auth_data(0x04);
    let signature = key.sign(&message(&data));
    let verify = |cose: &[u8], rp_id: &str, hash: &[u8; 32], data: &[u8], signature: &[u8], flags: ExpectedFlags| {
        verify_assertion(cose, rp_id, hash, data, signature, flags)
    };
    let cose = key.cose();
    let silent = ExpectedFlags::SILENT_WITH_PIN;
    assert_eq!(verify(&cose, RP_ID, &HASH, &data, &signature, silent), Ok(3));
    assert_eq!(verify(&cose, RP_ID, &HASH, &data, &signature, ExpectedFlags::default()), Ok(3));
    assert_eq!(verify(&P256::new().cose(), RP_ID, &HASH, &data, &signature, silent), Err(AssertionError::Signature));
    assert_eq!(
        verify(&cose, "evil.example", &HASH, &data, &signature, silent),
        Err(AssertionError::RpIdHash("evil.example".into()))
    );
    assert_eq!(verify(&cose, RP_ID, &[8; 32], &data, &signature, silent), Err(AssertionError::Signature));
    assert_eq!(
        verify(&cose, RP_ID, &HASH, &data, &signature, ExpectedFlags::SILENT),
        Err(AssertionError::Flag { flag: "UV", found: true })
    );
    assert_eq!(
        verify(&cose, RP_ID, &HASH, &auth_data(0x05), &signature, silent),
        Err(AssertionError::Flag { flag: "UP", found: true })
    );
    let mut counted = data.clone();
    counted[36] = 4;
    assert_eq!(verify(&cose, RP_ID, &HASH, &counted, &signature, silent), Err(AssertionError::Signature));
    assert!(matches!(
        verify(&cose, RP_ID, &HASH, &data[..36], &signature, silent),
        Err(AssertionError::AuthData(AuthDataError::Short { .. }))
    ));
    assert_eq!(verify(&cose, RP_ID, &HASH, &data, &[], silent), Err(AssertionError::Signature));
    assert!(matches!(
        verify(&[0xA0], RP_ID, &HASH, &data, &signature, silent),
        Err(AssertionError::PublicKey(PublicKeyError::Malformed))
    ));
}

#[test]
fn rs256_is_verified() {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("../../../fixtures/webauthn/rs256-assertion.json")).expect("JSON");
    let part = |name: &str| base64url::decode(file[name].as_str().expect("text")).expect("base64url");
    let hash: [u8; 32] = Sha256::digest("client data").into();
    let verify = |signature: &[u8]| {
        let flags = ExpectedFlags::SILENT_WITH_PIN;
        verify_assertion(&part("publicKeyCose"), RP_ID, &hash, &part("authData"), signature, flags)
    };
    let mut signature = part("signature");
    assert_eq!(verify(&signature), Ok(7));
    signature[100] ^= 1;
    assert_eq!(verify(&signature), Err(AssertionError::Signature));
}

#[test]
fn es384_and_ed25519_are_verified() {
    let random = SystemRandom::new();
    let data = auth_data(0);
    let verify =
        |cose: &[u8], signature: &[u8]| verify_assertion(cose, RP_ID, &HASH, &data, signature, ExpectedFlags::SILENT);

    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &random).expect("a key");
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, pkcs8.as_ref(), &random).expect("a key");
    let point = key.public_key().as_ref();
    let cose = [b"\xA5\x01\x02\x03\x38\x22\x20\x02\x21\x58\x30", &point[1..49], b"\x22\x58\x30", &point[49..]].concat();
    let signature = key.sign(&random, &message(&data)).expect("a signature");
    assert_eq!(PublicKey::from_cose(&cose).expect("a key").algorithm(), Algorithm::Es384);
    assert_eq!(verify(&cose, signature.as_ref()), Ok(3));

    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
    let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key");
    let cose = [b"\xA4\x01\x01\x03\x27\x20\x06\x21\x58\x20", key.public_key().as_ref()].concat();
    let signature = key.sign(&message(&data));
    assert_eq!(PublicKey::from_cose(&cose).expect("a key").algorithm(), Algorithm::EdDsa);
    assert_eq!(verify(&cose, signature.as_ref()), Ok(3));
    assert_eq!(verify(&cose, &signature.as_ref()[..63]), Err(AssertionError::Signature));
}

#[test]
fn keys_whose_parts_don_t_belong_together_are_refused() {
    let good = P256::new().cose();
    let with = |at: usize, value: u8| {
        let mut cose = good.clone();
        cose[at] = value;
        PublicKey::from_cose(&cose)
    };
    assert!(PublicKey::from_cose(&good).is_ok());
    assert_eq!(with(2, 0x01), Err(PublicKeyError::Inconsistent), "an OKP key with an EC algorithm");
    assert_eq!(with(4, 0x27), Err(PublicKeyError::Inconsistent), "EdDSA on an EC2 key");
    assert_eq!(with(6, 0x02), Err(PublicKeyError::Inconsistent), "P-384 of 32 bytes");
    assert_eq!(with(20, good[20] ^ 1), Err(PublicKeyError::Inconsistent), "a point off its curve");
    assert_eq!(with(4, 0x28), Err(PublicKeyError::Unsupported(-9)));
    assert_eq!(PublicKey::from_cose(&good[..60]), Err(PublicKeyError::Malformed));
    // {1: 2}: no algorithm.
    assert_eq!(PublicKey::from_cose(&[0xA1, 1, 2]), Err(PublicKeyError::Malformed));
}
