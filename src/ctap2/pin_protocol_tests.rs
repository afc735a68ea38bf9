//! Vectors made by Python's `cryptography`: see fixtures/vectors/README.md.

use super::*;
use crate::model::Pin;

const VECTORS: &str = include_str!("../../fixtures/vectors/pin_protocols.json");

/// Gives out prepared bytes, in order.
struct Prepared(std::sync::Mutex<Vec<Vec<u8>>>);

impl Entropy for Prepared {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoEntropy> {
        let next = self.0.lock().expect("one thread").remove(0);
        buffer.copy_from_slice(&next);
        Ok(())
    }
}

fn hex(value: &serde_json::Value) -> Vec<u8> {
    let text = value.as_str().expect("hex");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

fn point(x: Vec<u8>, y: Vec<u8>) -> Value {
    Members::new()
        .with(1, Value::int(2))
        .with(3, Value::int(-25))
        .with(-1, Value::int(1))
        .with(-2, Value::Bytes(x))
        .with(-3, Value::Bytes(y))
        .into_value()
}

#[test]
fn known_answers() {
    let vectors: Vec<serde_json::Value> = serde_json::from_str(VECTORS).expect("JSON");
    assert_eq!(vectors.len(), 2);
    for vector in vectors {
        let protocol = if vector["protocol"] == 1 { Protocol::One } else { Protocol::Two };
        let iv = hex(&vector["iv"]);
        let entropy = Prepared(vec![hex(&vector["platform_scalar"]), iv.clone(), iv].into());
        let theirs = point(hex(&vector["authenticator_x"]), hex(&vector["authenticator_y"]));
        let secret = SharedSecret::agree(protocol, &theirs, &entropy).expect("agreed");
        assert_eq!(secret.key_agreement(), point(hex(&vector["platform_x"]), hex(&vector["platform_y"])));

        let pin = Pin::new(zeroize::Zeroizing::new(vector["pin"].as_str().expect("text").to_owned())).expect("a PIN");
        let new_pin = secret.encrypt(&*padded(&pin), &entropy).expect("encrypted");
        assert_eq!(new_pin, hex(&vector["new_pin_enc"]));
        assert_eq!(secret.authenticate(&[&new_pin]), hex(&vector["pin_uv_auth_param"]));
        assert_eq!(secret.encrypt(&*pin_hash(&pin), &entropy).expect("encrypted"), hex(&vector["pin_hash_enc"]));

        let token = secret.decrypt(&hex(&vector["token_enc"])).expect("decrypted");
        assert_eq!(*token, hex(&vector["token"]));
        let token = PinToken::new(protocol, token).expect("32 bytes");
        let message = hex(&vector["message"]);
        let (head, tail) = message.split_at(3);
        assert_eq!(token.authenticate(&[head, tail]), hex(&vector["token_mac"]));
    }
}

#[test]
fn hostile_key_agreement_is_refused() {
    let agree = |theirs: Value| {
        SharedSecret::agree(Protocol::Two, &theirs, &crate::world::SystemEntropy).map(drop).map_err(|e| e.to_string())
    };
    // Not on the curve, the point at infinity's stand-in, too short, not a key at all.
    for bad in
        [point(vec![1; 32], vec![2; 32]), point(vec![0; 32], vec![0; 32]), point(vec![1; 31], vec![2; 32]), Value::NULL]
    {
        assert!(agree(bad).is_err());
    }
}

#[test]
fn impossible_lengths_are_refused() {
    let generator = p256::SecretKey::from_slice(&[1; 32]).expect("a scalar");
    for (protocol, bad) in [(Protocol::One, &[0usize, 15, 17][..]), (Protocol::Two, &[0, 16, 31, 33])] {
        let secret = SharedSecret::derive(protocol, &generator, &generator.public_key());
        for length in bad {
            assert!(secret.decrypt(&vec![0; *length]).is_err(), "{protocol:?} {length}");
        }
    }
    assert!(PinToken::new(Protocol::One, vec![0; 16].into()).is_ok());
    assert!(PinToken::new(Protocol::Two, vec![0; 16].into()).is_err());
    assert!(PinToken::new(Protocol::One, vec![0; 48].into()).is_err());
}

#[test]
fn the_keys_favourite_is_taken() {
    assert_eq!(Protocol::choose(None), Some(Protocol::One));
    assert_eq!(Protocol::choose(Some(&[2, 1])), Some(Protocol::Two));
    assert_eq!(Protocol::choose(Some(&[9, 1, 2])), Some(Protocol::One));
    assert_eq!(Protocol::choose(Some(&[9])), None);
    assert_eq!(Protocol::choose(Some(&[])), None);
}

#[test]
fn secrets_are_not_shown() {
    let generator = p256::SecretKey::from_slice(&[1; 32]).expect("a scalar");
    let secret = SharedSecret::derive(Protocol::One, &generator, &generator.public_key());
    assert_eq!(format!("{secret:?}"), "SharedSecret(One, …)");
    let token = PinToken::new(Protocol::One, vec![7; 16].into()).expect("16 bytes");
    assert_eq!(format!("{token:?}"), "PinToken(One, …)");
}
