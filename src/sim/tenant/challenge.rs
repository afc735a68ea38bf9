//! Challenges: the size and look of the real ones, one person's, one use, five minutes.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;

use super::seed::Seed;
use super::spec::Refusal;

/// Bytes of a challenge: the one captured in public had so many, 6,931 characters in base64url.
const CHALLENGE_BYTES: usize = 5_198;

/// What is known of a challenge.
#[derive(Debug, Clone)]
struct Issued {
    user: String,
    expires: Timestamp,
    used: bool,
}

/// Every challenge issued.
#[derive(Debug, Default)]
pub(super) struct Challenges(HashMap<Vec<u8>, Issued>);

impl Challenges {
    /// A new challenge for a person: the ASCII bytes of what looks like an encrypted token (JWE, compact).
    pub(super) fn issue(&mut self, seed: Seed, user: &str, expires: Timestamp) -> Vec<u8> {
        let number = self.0.len();
        let bytes = jwe(seed, &format!("challenge {number} {user}"));
        self.0.insert(bytes.clone(), Issued { user: user.to_owned(), expires, used: false });
        bytes
    }

    /// Whether this person may answer with this challenge now.
    pub(super) fn check(&self, challenge: &[u8], user: &str, now: Timestamp) -> Result<(), (Refusal, &'static str)> {
        let issued =
            self.0.get(challenge).ok_or((Refusal::WrongChallenge, "The challenge was not issued by this tenant."))?;
        if issued.user != user {
            Err((Refusal::WrongChallenge, "The challenge was issued for another user."))
        } else if now > issued.expires {
            Err((Refusal::ExpiredChallenge, "The challenge has expired."))
        } else if issued.used {
            Err((Refusal::UsedChallenge, "The challenge has been used."))
        } else {
            Ok(())
        }
    }

    /// It has made a passkey.
    pub(super) fn spend(&mut self, challenge: &[u8]) {
        if let Some(issued) = self.0.get_mut(challenge) {
            issued.used = true;
        }
    }
}

fn jwe(seed: Seed, label: &str) -> Vec<u8> {
    let part = |name: &str, count: usize| URL_SAFE_NO_PAD.encode(seed.bytes(&format!("{label} {name}"), count));
    let certificate = STANDARD.encode(seed.bytes("challenge certificate", 1_100));
    let header = format!(
        "{{\"alg\":\"RSA-OAEP-256\",\"enc\":\"A256GCM\",\"x5c\":[\"{certificate}\"],\"x5t\":\"{}\",\"zip\":\"DEF\"}}",
        URL_SAFE_NO_PAD.encode(seed.bytes("challenge certificate's thumbprint", 20))
    );
    let before = format!("{}.{}.{}.", URL_SAFE_NO_PAD.encode(header), part("key", 256), part("iv", 12));
    let after = format!(".{}", part("tag", 16));
    let mut ciphertext = part("text", CHALLENGE_BYTES);
    ciphertext.truncate(CHALLENGE_BYTES.saturating_sub(before.len() + after.len()));
    format!("{before}{ciphertext}{after}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_has_the_real_size_and_is_its_owners_once() {
        let at = |second: i64| Timestamp::from_second(second).expect("a time");
        let mut challenges = Challenges::default();
        let one = challenges.issue(Seed(1), "kim", at(300));
        let two = challenges.issue(Seed(1), "kim", at(300));
        assert_ne!(one, two);
        assert_eq!(URL_SAFE_NO_PAD.encode(&one).len(), 6_931);
        assert_eq!(one.iter().filter(|byte| **byte == b'.').count(), 4);
        assert!(challenges.check(&one, "kim", at(300)).is_ok());
        assert_eq!(challenges.check(&one, "lee", at(1)).map_err(|e| e.0), Err(Refusal::WrongChallenge));
        assert_eq!(challenges.check(b"other", "kim", at(1)).map_err(|e| e.0), Err(Refusal::WrongChallenge));
        assert_eq!(challenges.check(&one, "kim", at(301)).map_err(|e| e.0), Err(Refusal::ExpiredChallenge));
        challenges.spend(&one);
        assert_eq!(challenges.check(&one, "kim", at(1)).map_err(|e| e.0), Err(Refusal::UsedChallenge));
        assert!(challenges.check(&two, "kim", at(1)).is_ok());
    }
}
