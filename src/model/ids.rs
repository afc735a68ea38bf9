//! Identifiers. Each is its own type, so that a user id can't be handed in where a job id is wanted.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::text::text_type;

text_type! {
    /// An Entra tenant: a GUID in lower case.
    TenantId
}
text_type! {
    /// An Entra user's object id: a GUID in lower case. It survives a change of UPN.
    UserId
}
text_type! {
    /// One import of a roster or group.
    BatchId
}
text_type! {
    /// One bench: a machine and an account that provision keys.
    BenchId
}
text_type! {
    /// One `keybench run`, from its first entry in the ledger to its summary.
    RunId
}
text_type! {
    /// One change that was made to a tenant's policies: what is undone by it.
    ChangeId
}
text_type! {
    /// An authentication method's id in Graph: opaque here; see [`super::credential_id`] for how it follows from a credential id.
    MethodId
}
text_type! {
    /// One piece of work: the `ordinal`-th key for one person in one tenant.
    JobId
}

/// Crockford's base32 without I, L, O and U: nothing in it is misread over a phone.
const JOB_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl JobId {
    /// The id of a person's `ordinal`-th key (the first is 1): ten characters that are the same on every run,
    /// so that running a roster again finds the jobs it made before. 50 bits of SHA-256 over tenant, user and ordinal.
    pub fn derive(tenant: &TenantId, user: &UserId, ordinal: u32) -> Self {
        let mut hash = Sha256::new();
        for part in [tenant.as_str(), user.as_str(), &ordinal.to_string()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.to_ascii_lowercase().as_bytes());
        }
        let digest = hash.finalize();
        let mut bits = u64::from_be_bytes([
            digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7],
        ]) >> 14;
        let mut text = [0u8; 10];
        for slot in text.iter_mut().rev() {
            *slot = JOB_ALPHABET[(bits & 31) as usize];
            bits >>= 5;
        }
        Self(String::from_utf8_lossy(&text).into_owned())
    }
}

/// A WebAuthn credential id, as the key made it: 16 to 1023 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId(Vec<u8>);

impl CredentialId {
    /// Wraps the bytes as they stand.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// base64url without padding: the form WebAuthn uses in JSON.
    pub fn to_base64url(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.0)
    }

    /// Reads [`Self::to_base64url`]'s form; `None` when the text is something else.
    pub fn from_base64url(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok().map(Self)
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64url())
    }
}

impl fmt::Debug for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialId({self})")
    }
}

impl Serialize for CredentialId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_base64url())
    }
}

impl<'de> Deserialize<'de> for CredentialId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_base64url(&text)
            .ok_or_else(|| serde::de::Error::custom("a credential id is base64url without padding"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_id_depends_on_each_part_and_on_nothing_else() {
        let tenant = TenantId::new("72f988bf-86f1-41af-91ab-2d7cd011db47");
        let user = UserId::new("AAAAAAAA-0000-0000-0000-000000000001");
        let id = JobId::derive(&tenant, &user, 1);
        assert_eq!(id.as_str().len(), 10);
        assert_eq!(id, JobId::derive(&tenant, &UserId::new(user.as_str().to_lowercase()), 1));
        assert_ne!(id, JobId::derive(&tenant, &user, 2));
        assert_ne!(id, JobId::derive(&TenantId::new("other"), &user, 1));
        // The length prefixes keep ("a", "bc") and ("ab", "c") apart.
        assert_ne!(
            JobId::derive(&TenantId::new("a"), &UserId::new("bc"), 1),
            JobId::derive(&TenantId::new("ab"), &UserId::new("c"), 1)
        );
    }

    #[test]
    fn a_credential_id_survives_json() {
        let id = CredentialId::new(vec![0xfb, 0xff, 0x00]);
        let json = serde_json::to_string(&id).expect("serializes");
        assert_eq!(json, "\"-_8A\"");
        assert_eq!(serde_json::from_str::<CredentialId>(&json).expect("reads back"), id);
        assert!(serde_json::from_str::<CredentialId>("\"a+b\"").is_err());
    }
}
