//! Assertions: the proof that a key holds the credential it made (WebAuthn §7.2, as far as there is no browser).

use sha2::{Digest as _, Sha256};

use super::auth_data::{AuthDataError, AuthenticatorData};
use super::public_key::{PublicKey, PublicKeyError};

/// What the flags must say; `None` takes either.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExpectedFlags {
    /// UP.
    pub user_present: Option<bool>,
    /// UV.
    pub user_verified: Option<bool>,
}

impl ExpectedFlags {
    /// The silent proof with a PIN token: nobody touched, the PIN was known.
    pub const SILENT_WITH_PIN: Self = Self { user_present: Some(false), user_verified: Some(true) };
    /// The silent proof without a PIN: only that this is the key.
    pub const SILENT: Self = Self { user_present: Some(false), user_verified: Some(false) };
}

/// Why an assertion proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// The public key that was kept can't be read.
    #[error("the credential's public key: {0}")]
    PublicKey(#[from] PublicKeyError),
    /// The authenticator data can't be read.
    #[error("the key's answer to the proof: {0}")]
    AuthData(#[from] AuthDataError),
    /// For another RP.
    #[error("the key signed for another site than {0}")]
    RpIdHash(String),
    /// A flag is not as asked.
    #[error("the key's answer says {flag} = {found}")]
    Flag {
        /// `UP` or `UV`.
        flag: &'static str,
        /// What the key says.
        found: bool,
    },
    /// The signature does not verify: another key, or a broken one.
    #[error("the key's signature does not belong to the credential it made")]
    Signature,
}

/// Verifies an assertion over `auth_data` and `client_data_hash` with a kept COSE key. Returns the signature counter.
///
/// # Errors
/// [`AssertionError`], as its variants say.
pub fn verify_assertion(
    public_key_cose: &[u8],
    rp_id: &str,
    client_data_hash: &[u8; 32],
    auth_data: &[u8],
    signature: &[u8],
    expected: ExpectedFlags,
) -> Result<u32, AssertionError> {
    let key = PublicKey::from_cose(public_key_cose)?;
    let data = AuthenticatorData::parse(auth_data)?;
    if data.rp_id_hash != <[u8; 32]>::from(Sha256::digest(rp_id)) {
        return Err(AssertionError::RpIdHash(rp_id.to_owned()));
    }
    let flags = [
        ("UP", expected.user_present, data.flags.user_present()),
        ("UV", expected.user_verified, data.flags.user_verified()),
    ];
    for (flag, wanted, found) in flags {
        if wanted.is_some_and(|wanted| wanted != found) {
            return Err(AssertionError::Flag { flag, found });
        }
    }
    key.verify(&[auth_data, client_data_hash].concat(), signature).map_err(|_| AssertionError::Signature)?;
    Ok(data.sign_count)
}

#[cfg(test)]
mod tests;
