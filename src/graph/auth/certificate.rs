//! Signing in as the application with a certificate: a client assertion, PS256 over a JWT with `x5t#S256`
//! (Microsoft identity platform, "certificate credentials"; RFC 7523).
//!
//! Promise: a certificate that can't work (expired, not yet valid, not RSA, another key's) is refused before anything is sent.
//! The private key is wiped from every buffer of ours; ring holds its own copy.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PSS_SHA256, RsaKeyPair};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;
use zeroize::Zeroizing;

use crate::graph::error::{ErrorKind, Fixer, GraphError};
use crate::model::Secret;

/// A certificate with its private key.
pub struct ClientCertificate {
    key: RsaKeyPair,
    thumbprint: String,
    not_before: Timestamp,
    not_after: Timestamp,
    subject: String,
}

fn unusable(fact: &str, cause: impl Into<String>) -> GraphError {
    GraphError::new(ErrorKind::Settings, Fixer::Operator, fact).because(cause).advise(
        "Give an RSA certificate of at least 2048 bits as PEM in `certificate_file`, and its key as unencrypted PEM (PKCS#8 or \
         PKCS#1) in `key_file`; upload the same certificate to the app registration.",
    )
}

impl ClientCertificate {
    /// Reads both from PEM and checks that they fit together. `now` decides whether the certificate is valid.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] naming what is wrong with the certificate or the key.
    pub fn from_pem(certificate: &[u8], key: &Secret<Vec<u8>>, now: Timestamp) -> Result<Self, GraphError> {
        const CERTIFICATE: &str = "The certificate in `certificate_file` can't be used";
        let blocks =
            pem::parse_many(certificate).map_err(|error| unusable(CERTIFICATE, format!("It is not PEM: {error}.")))?;
        let block = blocks.iter().find(|block| block.tag() == "CERTIFICATE").ok_or_else(|| {
            unusable(
                CERTIFICATE,
                "There is no block BEGIN CERTIFICATE in it. A .pfx or .p12 file must be converted to PEM first.",
            )
        })?;
        let der = block.contents();
        let (_, parsed) = X509Certificate::from_der(der)
            .map_err(|_| unusable(CERTIFICATE, "Its content is no X.509 certificate."))?;
        let time = |seconds: i64| {
            Timestamp::from_second(seconds).map_err(|_| unusable(CERTIFICATE, "Its dates are outside any calendar."))
        };
        let not_before = time(parsed.validity().not_before.timestamp())?;
        let not_after = time(parsed.validity().not_after.timestamp())?;
        let PublicKey::RSA(public) =
            parsed.public_key().parsed().map_err(|_| unusable(CERTIFICATE, "Its public key can't be read."))?
        else {
            return Err(unusable(CERTIFICATE, "Its key is not RSA; Entra accepts only RSA certificates for this."));
        };
        let key = private_key(key)?;
        let ours = key.public();
        let same = |a: &[u8], b: &[u8]| trim(a) == trim(b);
        let mine: ring::rsa::PublicKeyComponents<Vec<u8>> = ours.into();
        if !same(&mine.n, public.modulus) || !same(&mine.e, public.exponent) {
            return Err(unusable(
                "`certificate_file` and `key_file` don't belong together",
                "The key is not the certificate's.",
            ));
        }
        let certificate = Self {
            key,
            thumbprint: URL_SAFE_NO_PAD.encode(Sha256::digest(der)),
            not_before,
            not_after,
            subject: crate::graph::error::one_line(&parsed.subject().to_string(), 120),
        };
        certificate.check_dates(now)?;
        Ok(certificate)
    }

    /// Whose it is, for people.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// When it ends.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    fn check_dates(&self, now: Timestamp) -> Result<(), GraphError> {
        let day = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M UTC").to_string();
        let subject = &self.subject;
        if now >= self.not_after {
            return Err(GraphError::new(ErrorKind::Settings, Fixer::TenantAdmin, format!("The certificate {subject} expired on {}", day(self.not_after)))
                .because("Entra does not accept it any longer; nothing was sent.")
                .advise("Make a new certificate, upload it to the app registration, and point `certificate_file` and `key_file` to it."));
        }
        if now < self.not_before {
            return Err(GraphError::new(
                ErrorKind::Settings,
                Fixer::Operator,
                format!("The certificate {subject} is valid from {} only", day(self.not_before)),
            )
            .because(format!("This machine's clock says {}.", day(now)))
            .advise("Check this machine's date and time, or wait until then."));
        }
        Ok(())
    }

    /// A client assertion for one token request, good for ten minutes around `now`.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] when the certificate has expired meanwhile, or the system has no randomness for the signature.
    pub fn assertion(&self, audience: &str, client_id: &str, now: Timestamp) -> Result<Secret<String>, GraphError> {
        self.check_dates(now)?;
        let seconds = now.as_second();
        let header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint });
        let claims = json!({
            "aud": audience,
            "iss": client_id,
            "sub": client_id,
            "jti": uuid::Uuid::new_v4().to_string(),
            "iat": seconds,
            // A little early, for a clock a little ahead.
            "nbf": seconds.saturating_sub(60),
            "exp": seconds.saturating_add(SignedDuration::from_mins(9).as_secs()),
        });
        let mut jwt = URL_SAFE_NO_PAD.encode(header.to_string());
        jwt.push('.');
        jwt.push_str(&URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0u8; self.key.public().modulus_len()];
        self.key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), jwt.as_bytes(), &mut signature).map_err(|_| {
            GraphError::new(ErrorKind::Settings, Fixer::Operator, "The client assertion could not be signed")
                .because("The operating system gave no random bytes, or the key is damaged.")
                .advise("Run the same command again; if it stays, make a new certificate and key.")
        })?;
        jwt.push('.');
        jwt.push_str(&URL_SAFE_NO_PAD.encode(&signature));
        Ok(Secret::new(jwt))
    }
}

/// Without the leading zeros DER puts before a set top bit.
fn trim(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn private_key(pem: &Secret<Vec<u8>>) -> Result<RsaKeyPair, GraphError> {
    const KEY: &str = "The key in `key_file` can't be used";
    // The parser's error could quote the file, so it isn't passed on.
    let blocks = pem::parse_many(pem.expose()).map_err(|_| unusable(KEY, "It is not PEM."))?;
    for block in blocks {
        let tag = block.tag().to_owned();
        let der = Zeroizing::new(block.into_contents());
        let key = match tag.as_str() {
            "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&der),
            "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der),
            "ENCRYPTED PRIVATE KEY" => return Err(unusable(KEY, "It is encrypted with a passphrase.")),
            "EC PRIVATE KEY" => {
                return Err(unusable(KEY, "It is an elliptic-curve key; Entra accepts only RSA for this."));
            }
            _ => continue,
        };
        return key.map_err(|rejected| unusable(KEY, format!("It is no usable RSA key ({rejected}).")));
    }
    Err(unusable(KEY, "There is no block BEGIN PRIVATE KEY in it."))
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCertificate({}, until {})", self.subject, self.not_after)
    }
}
