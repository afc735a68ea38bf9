//! What was done to the tenant beside registering keys: policies, passes, people, tokens, and what an admin told us of
//! settings that have no API.
//!
//! As everywhere in the chain: object ids and hashes, never a name, a pass, a password or a seed. What was there before
//! and what was sent are documents in the side table, named by their hash.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::BlobHash;
use crate::model::{ChangeId, JobId, MethodId, TenantId, UserId};

/// One act on the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TenantEntry {
    /// About to write to the tenant. `ChangeDone` or `ChangeFailed` tells how it went; where neither follows, it is not known.
    ChangeIntended {
        /// This change: `ID.N`, the N-th of one application; `undo` is given this or the ID alone.
        change: ChangeId,
        /// Tenant.
        tenant: TenantId,
        /// The operator's word for what is changed, e.g. `fido2`.
        area: String,
        /// Method and path with the version, e.g. `PATCH /v1.0/policies/authenticationMethodsPolicy`.
        call: String,
        /// The document as it was; none where there was none.
        before: Option<BlobHash>,
        /// The document as sent; none for a DELETE.
        sent: Option<BlobHash>,
        /// The operating system's name for who did it.
        operator: String,
        /// Object id of the signed-in account, or the application's id.
        account: String,
    },
    /// As `ChangeIntended`, about one person's account or devices: their documents go when the person is forgotten.
    AccountChangeIntended {
        /// This change.
        change: ChangeId,
        /// Tenant.
        tenant: TenantId,
        /// Whom it is about; none for an account that does not exist yet, and for a token in the inventory.
        user: Option<UserId>,
        /// The operator's word for what is changed, e.g. `pass`.
        area: String,
        /// Method and path below the version, ids only.
        call: String,
        /// What was there before.
        before: Option<BlobHash>,
        /// What is sent, without what is secret in it.
        sent: Option<BlobHash>,
        /// The operating system's name for who did it.
        operator: String,
        /// Object id of the signed-in account, or the application's id.
        account: String,
    },
    /// The change is in the tenant: read back, or, of an account, answered for.
    ChangeDone {
        /// Which.
        change: ChangeId,
        /// The document as it was read back; none after a DELETE.
        after: Option<BlobHash>,
        /// client-request-id of the write; none when the change was found made.
        request: Option<String>,
    },
    /// The tenant refused the change, or the read-back differs.
    ChangeFailed {
        /// Which.
        change: ChangeId,
        /// A short code.
        code: String,
        /// client-request-id of the write.
        request: Option<String>,
    },
    /// What an admin said of a setting that has no API.
    Stated {
        /// Tenant.
        tenant: TenantId,
        /// Which setting, e.g. `sspr-scope`.
        about: String,
        /// What they said, e.g. `done`.
        answer: String,
        /// The operating system's name for who said it.
        by: String,
    },
    /// A Temporary Access Pass was issued. Its code is nowhere.
    PassIssued {
        /// Tenant.
        tenant: TenantId,
        /// Whom for.
        user: UserId,
        /// Its id.
        method: MethodId,
        /// It works once.
        one_time: bool,
        /// Minutes that it lives.
        minutes: u32,
        /// From when on.
        starts: Timestamp,
        /// How the person was identified, in the operator's words.
        identified: String,
        /// The operating system's name for who issued it.
        by: String,
        /// client-request-id.
        request: String,
    },
    /// A sign-in method was deleted: a pass that is not needed any more, or whatever else was asked for.
    MethodRemoved {
        /// Tenant.
        tenant: TenantId,
        /// Whose.
        user: UserId,
        /// Its kind, e.g. `temporaryAccessPass`.
        method_kind: String,
        /// Its id.
        method: MethodId,
        /// Why.
        reason: String,
        /// The operating system's name for who did it.
        by: String,
        /// client-request-id.
        request: String,
    },
    /// A user was made, with a password that nobody knows.
    PersonCreated {
        /// Tenant.
        tenant: TenantId,
        /// Whom.
        user: UserId,
        /// The account as sent, without its password.
        #[serde(default)]
        sent: Option<BlobHash>,
        /// The operating system's name for who did it.
        by: String,
        /// client-request-id.
        request: String,
    },
    /// A hardware OATH token is in the tenant's inventory. Its seed is sealed outside the ledger.
    TokenImported {
        /// Tenant.
        tenant: TenantId,
        /// The tenant's id for it.
        device: String,
        /// As printed on it.
        serial: String,
        /// The operating system's name for who did it.
        by: String,
        /// client-request-id.
        request: String,
    },
    /// A hardware OATH token works for a person. Its sealed seed is deleted.
    TokenActivated {
        /// Tenant.
        tenant: TenantId,
        /// Whose.
        user: UserId,
        /// The tenant's id for it.
        device: String,
        /// As printed on it.
        serial: String,
        /// The code was computed from the seed, by a custodian; else it was read off the token.
        computed: bool,
        /// The operating system's name for who did it.
        by: String,
        /// client-request-id.
        request: String,
    },
    /// The person has signed in with the key of this job: by Entra's `lastUsedDateTime`, not before this time.
    KeyUsed {
        /// The job.
        job: JobId,
        /// As Entra tells it.
        at: Timestamp,
    },
}

impl TenantEntry {
    /// The job it is about, if it is about one.
    pub fn job(&self) -> Option<&JobId> {
        match self {
            Self::KeyUsed { job, .. } => Some(job),
            _ => None,
        }
    }

    /// The person it is about, if it is about one and names no job.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::PassIssued { user, .. } | Self::MethodRemoved { user, .. } | Self::PersonCreated { user, .. } => {
                Some(user)
            }
            Self::TokenActivated { user, .. } => Some(user),
            Self::AccountChangeIntended { user, .. } => user.as_ref(),
            _ => None,
        }
    }

    /// Documents in the side table that it names.
    pub fn documents(&self) -> Vec<BlobHash> {
        match self {
            Self::ChangeIntended { before, sent, .. } | Self::AccountChangeIntended { before, sent, .. } => {
                before.iter().chain(sent).copied().collect()
            }
            Self::ChangeDone { after, .. } => after.iter().copied().collect(),
            Self::PersonCreated { sent, .. } => sent.iter().copied().collect(),
            _ => Vec::new(),
        }
    }
}
