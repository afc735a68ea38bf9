//! The client data: what the key signs over, besides its own data.
//!
//! There is no browser here, so we write what a browser would (WebAuthn §5.8.1.1), with the origin that Graph wants:
//! `https://` and the RP ID it sent.

use sha2::{Digest as _, Sha256};

use crate::model::base64url;

/// The client data of one ceremony, as JSON, with its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientData {
    json: Vec<u8>,
    hash: [u8; 32],
}

impl ClientData {
    /// For making a credential. `challenge` is the decoded challenge: it is written base64url without padding, which is what
    /// Graph sent, less any padding.
    pub fn create(challenge: &[u8], rp_id: &str) -> Self {
        Self::build("webauthn.create", challenge, rp_id)
    }

    /// For an assertion: the silent proof that a key holds the credential it made.
    pub fn get(challenge: &[u8], rp_id: &str) -> Self {
        Self::build("webauthn.get", challenge, rp_id)
    }

    /// Client data that was kept; the bytes are hashed as they stand.
    pub fn kept(json: Vec<u8>) -> Self {
        let hash = Sha256::digest(&json).into();
        Self { json, hash }
    }

    fn build(kind: &str, challenge: &[u8], rp_id: &str) -> Self {
        // `Value`'s text form escapes the one part that comes from outside.
        let origin = serde_json::Value::from(format!("https://{rp_id}"));
        let challenge = base64url::encode(challenge);
        let json = format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":{origin},"crossOrigin":false}}"#);
        Self::kept(json.into_bytes())
    }

    /// clientDataJSON: UTF-8.
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// clientDataHash: SHA-256 of the JSON.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_a_browser_writes() {
        let data = ClientData::create(&[0xfb, 0xff, 0x00, 0x01], "login.microsoft.com");
        assert_eq!(
            std::str::from_utf8(data.json()),
            Ok(
                r#"{"type":"webauthn.create","challenge":"-_8AAQ","origin":"https://login.microsoft.com","crossOrigin":false}"#
            )
        );
        assert_eq!(data.hash(), &<[u8; 32]>::from(Sha256::digest(data.json())));
        assert_eq!(ClientData::kept(data.json().to_vec()), data);
        assert!(ClientData::get(&[1], "x.example").json().starts_with(br#"{"type":"webauthn.get""#));
    }

    #[test]
    fn a_hostile_rp_id_stays_inside_its_quotes() {
        let data = ClientData::create(&[1], r#"x","type":"webauthn.get"#);
        let json: serde_json::Value = serde_json::from_slice(data.json()).expect("JSON");
        assert_eq!(json["type"], "webauthn.create");
    }
}
