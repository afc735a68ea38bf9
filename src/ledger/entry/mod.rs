//! Every kind of entry ever written. Append-only: a kind that falls out of use keeps its variant and its name, and the
//! ledgers in `fixtures/ledgers` must go on loading.
//!
//! An entry holds no PIN, no name, no address and no UPN: people are object ids here, and what belongs to a person lives in
//! a side table that can be emptied. Large or replaceable things are named by the SHA-256 of their bytes ([`BlobHash`]).

mod handover;
mod tenant;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use handover::{HandoverEntry, SelfParcel};
pub use tenant::TenantEntry;

use crate::model::{BatchId, CredentialId, JobId, KeyRef, MethodId, RunId, TenantId, UserId};

/// SHA-256 of a blob in a side table; 64 hexadecimal digits in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobHash(pub [u8; 32]);

impl BlobHash {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0u8; 32];
        for (slot, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *slot = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for BlobHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlobHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a hash is 64 hexadecimal digits"))
    }
}

/// A try to provision one key for one job: jobs count their tries from 1.
pub type Attempt = u32;

/// Something about to be done to a key or to the tenant. Written before it is done, so that a restart knows what to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// clientPIN setPIN.
    SetPin,
    /// authenticatorMakeCredential: the touch.
    MakeCredential,
    /// POST fido2Methods.
    Register,
    /// credentialManagement deleteCredential of a credential that is not in the tenant.
    RemoveCredential,
    /// DELETE fido2Methods/{id} of a method whose key is not going to be delivered.
    DeleteMethod,
    /// authenticatorConfig setMinPINLength, with the forced change.
    SetPinRules,
}

/// Whether the key makes its user change the PIN at first use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForcedChange {
    /// getInfo says so.
    Forced,
    /// Left off by policy.
    NotAsked,
    /// The key can't.
    Unsupported,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunEnd {
    /// Everybody had their turn.
    Complete,
    /// Nothing came for the idle time.
    Idle,
    /// The operator ended it.
    Interrupted,
    /// The tenant, the network or the ledger ended it.
    Stopped,
}

/// Counts of people, and of keys refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// People asked for, times keys a person: the sum of the five below.
    pub planned: u64,
    /// Finished in this run: the bench is done with their keys.
    pub finished: u64,
    /// Finished in an earlier run.
    pub already: u64,
    /// Tried and failed.
    pub failed: u64,
    /// Not allowed to have a key.
    pub refused: u64,
    /// Still open.
    pub parked: u64,
    /// Keys that were not fit, whoever they were for.
    pub keys_refused: u64,
    /// Of those finished and already: their keys are made, and registered only on receipt. No part of the sum.
    #[serde(default, skip_serializing_if = "is_none")]
    pub held: u64,
}

/// Nobody: what most runs have to say of held keys is left out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// A record that was kept beside the ledger before it came into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// Its number, random: it comes into the ledger once.
    pub id: String,
    /// When it was kept.
    pub at: Timestamp,
}

/// The kinds that tell how tries ended (a hold is among the hand-over's), whether their resume keys are gone, and which
/// credentials are watched for.
pub const ENDS_AND_WATCHES: [&str; 6] =
    ["finished", "attempt-failed", "handover", "resume-key-destroyed", "watched", "unwatched"];

/// One entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Entry {
    /// The first entry of every ledger.
    LedgerCreated {
        /// Random, so that two ledgers never share a chain.
        nonce: String,
        /// Version of keybench that made it.
        version: String,
    },
    /// The recipients that PINs are sealed to from here on.
    CustodiansSet {
        /// First group: age recipients' fingerprints (SHA-256 of the recipient's text, first 16 hexadecimal digits).
        first: Vec<String>,
        /// Second group; empty unless PINs are under dual control.
        second: Vec<String>,
        /// Who changed it; `config` for the first set.
        by: String,
    },
    /// A `keybench run` began.
    RunStarted {
        /// This run.
        run: RunId,
        /// The batch it works on.
        batch: BatchId,
        /// Tenant.
        tenant: TenantId,
        /// SHA-256 of the roster's bytes, or of the group's member ids.
        roster: BlobHash,
        /// The name of the roster's file, without its folder, or of the group. Not told by early versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
        /// The operating system's name for who started it.
        operator: String,
        /// Object id of the signed-in account, or the application's id.
        account: String,
        /// Version of keybench.
        version: String,
    },
    /// A run ended as it should; a run without this entry was cut off.
    RunEnded {
        /// That run.
        run: RunId,
        /// Why.
        end: RunEnd,
        /// What came of it.
        counts: Counts,
    },
    /// A person is to get a key.
    JobPlanned {
        /// The job.
        job: JobId,
        /// Tenant.
        tenant: TenantId,
        /// Whom for.
        user: UserId,
        /// Which of the person's keys, from 1.
        ordinal: u32,
        /// The batch that asked for it.
        batch: BatchId,
    },
    /// A job was set aside; the same roster takes it up again.
    JobParked {
        /// The job.
        job: JobId,
        /// A short code, e.g. `left-roster`.
        code: String,
    },
    /// A job that was parked or refused is wanted again.
    JobResumed {
        /// The job.
        job: JobId,
    },
    /// The person can't have a key.
    JobRefused {
        /// The job.
        job: JobId,
        /// A short code, e.g. `guest`.
        code: String,
    },
    /// A bench holds the job. The fence grows with each claim; an older one is void.
    Claimed {
        /// The job.
        job: JobId,
        /// Grows with each claim of this job.
        fence: u64,
        /// After this anybody may take it.
        expires: Timestamp,
    },
    /// A key was begun for a job.
    AttemptStarted {
        /// The job.
        job: JobId,
        /// Which try.
        attempt: Attempt,
        /// The key.
        key: KeyRef,
    },
    /// The key's PIN is sealed; the envelope is in the side table under its hash.
    PinSealed {
        /// The job.
        job: JobId,
        /// Which try.
        attempt: Attempt,
        /// SHA-256 of the custodians' envelope.
        envelope: BlobHash,
        /// SHA-256 of the resume copy.
        resume: BlobHash,
        /// Sealed to two groups, one inside the other.
        dual: bool,
    },
    /// About to act: what follows says how it went; where nothing follows, the outcome is unknown.
    Intent {
        /// The job.
        job: JobId,
        /// Which try.
        attempt: Attempt,
        /// What is about to be done.
        act: Act,
    },
    /// The key has the sealed PIN.
    PinSet {
        /// The job.
        job: JobId,
        /// Which try.
        attempt: Attempt,
    },
    /// The intended act did not happen: the key or the tenant is as it was before.
    ActUndone {
        /// The job.
        job: JobId,
        /// Which try.
        attempt: Attempt,
        /// What did not happen.
        act: Act,
        /// A short code, e.g. `touch-timeout`.
        code: String,
    },
    /// The key made a credential. What Graph must be sent is in the side table.
    CredentialMade {
        /// The job.
        job: JobId,
        /// Which try.
        attempt: Attempt,
        /// The new credential.
        credential: CredentialId,
        /// SHA-256 of the registration record (client data and attestation object).
        record: BlobHash,
        /// When the tenant stops accepting it.
        expires: Timestamp,
    },
    /// The record passed the offline checks and the key signed a challenge of ours with the new credential.
    CredentialProved {
        /// The job.
        job: JobId,
        /// Which try.
        attempt: Attempt,
        /// The checks that were made, by name; those that could not be made are missing.
        checks: Vec<String>,
    },
    /// Graph holds the credential.
    Registered {
        /// The job.
        job: JobId,
        /// Which try.
        attempt: Attempt,
        /// Its id there.
        method: MethodId,
        /// Found by reading, not told in the answer to our POST.
        found: bool,
    },
    /// A read by credential id showed the method.
    ReadBack {
        /// The job.
        job: JobId,
        /// Which try.
        attempt: Attempt,
    },
    /// getInfo shows the PIN rules that were wanted.
    PinRulesSet {
        /// The job.
        job: JobId,
        /// Which try.
        attempt: Attempt,
        /// `minPINLength` as the key tells it now, in code points.
        minimum: u32,
        /// Whether a change is forced.
        forced: ForcedChange,
    },
    /// The job is finished. The resume key may go.
    Finished {
        /// The job.
        job: JobId,
        /// Which try.
        attempt: Attempt,
    },
    /// The job's resume key is deleted: nobody at the bench can read this PIN any more.
    ResumeKeyDestroyed {
        /// The job.
        job: JobId,
        /// Which try.
        attempt: Attempt,
    },
    /// The label was confirmed by taking the finished key out.
    KeyTaken {
        /// The job.
        job: JobId,
        /// Which try.
        attempt: Attempt,
    },
    /// An orphaned credential is off the key.
    CredentialRemoved {
        /// The job.
        job: JobId,
        /// Which try.
        attempt: Attempt,
        /// Which.
        credential: CredentialId,
    },
    /// An orphaned method is out of the tenant.
    MethodDeleted {
        /// The job.
        job: JobId,
        /// Which try.
        attempt: Attempt,
        /// Which.
        method: MethodId,
    },
    /// A credential was sent to Graph, never shown by it, and removed from the key: later runs look for it and delete it.
    Watched {
        /// The job.
        job: JobId,
        /// Which try.
        attempt: Attempt,
        /// Whose.
        user: UserId,
        /// Which.
        credential: CredentialId,
    },
    /// A watched credential was looked for after its settling time and is gone for good.
    Unwatched {
        /// The job.
        job: JobId,
        /// Which.
        credential: CredentialId,
        /// The method that had appeared and was deleted.
        deleted: Option<MethodId>,
    },
    /// This try is over without a finished key. The person needs another key, or this one reset.
    AttemptFailed {
        /// The job.
        job: JobId,
        /// Which try.
        attempt: Attempt,
        /// A short code, e.g. `pin-unknown`.
        code: String,
        /// The key holds a PIN of ours, or may: false only where it certainly does not. The custodian can open it.
        pin_on_key: bool,
    },
    /// A key was not fit and nothing was done to it.
    KeyRefused {
        /// The key.
        key: KeyRef,
        /// A short code, e.g. `has-pin`.
        code: String,
    },
    /// A custodian opened a PIN.
    PinOpened {
        /// The job.
        job: JobId,
        /// Which try.
        attempt: Attempt,
        /// Who, as they named themselves.
        by: String,
        /// Why.
        reason: String,
        /// When, and under which number, if it was while another program wrote the ledger; else it was when the entry was
        /// written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        noted: Option<Noted>,
    },
    /// What belonged to a person was removed from the side tables.
    Forgotten {
        /// Whom.
        user: UserId,
        /// Why.
        reason: String,
    },
    /// A method registered by this bench was deleted on request.
    Revoked {
        /// The job.
        job: JobId,
        /// Its id in the tenant.
        method: MethodId,
        /// Why.
        reason: String,
    },
    /// The ledger was rebuilt from its mirror.
    Restored {
        /// Number of entries taken over.
        entries: u64,
    },
    /// Something was done to the tenant beside registering keys.
    Tenant(TenantEntry),
    /// Something happened between bench and hand.
    Handover(HandoverEntry),
}

impl Entry {
    /// The job this entry is about, if it is about one.
    pub fn job(&self) -> Option<&JobId> {
        match self {
            Self::Tenant(entry) => entry.job(),
            Self::Handover(entry) => entry.job(),
            Self::LedgerCreated { .. }
            | Self::CustodiansSet { .. }
            | Self::RunStarted { .. }
            | Self::RunEnded { .. }
            | Self::KeyRefused { .. }
            | Self::Forgotten { .. }
            | Self::Restored { .. } => None,
            Self::JobPlanned { job, .. }
            | Self::JobParked { job, .. }
            | Self::JobResumed { job }
            | Self::JobRefused { job, .. }
            | Self::Claimed { job, .. }
            | Self::AttemptStarted { job, .. }
            | Self::PinSealed { job, .. }
            | Self::Intent { job, .. }
            | Self::PinSet { job, .. }
            | Self::ActUndone { job, .. }
            | Self::CredentialMade { job, .. }
            | Self::CredentialProved { job, .. }
            | Self::Registered { job, .. }
            | Self::ReadBack { job, .. }
            | Self::PinRulesSet { job, .. }
            | Self::Finished { job, .. }
            | Self::ResumeKeyDestroyed { job, .. }
            | Self::KeyTaken { job, .. }
            | Self::CredentialRemoved { job, .. }
            | Self::MethodDeleted { job, .. }
            | Self::Watched { job, .. }
            | Self::Unwatched { job, .. }
            | Self::AttemptFailed { job, .. }
            | Self::PinOpened { job, .. }
            | Self::Revoked { job, .. } => Some(job),
        }
    }

    /// What happened, wherever it did: an act that came home in another desk's log is taken out of its wrapping.
    pub fn act(&self) -> &Self {
        match self {
            Self::Handover(HandoverEntry::Elsewhere { done, .. }) => done.act(),
            other => other,
        }
    }

    /// The person this entry names, if it names one. The person of its job is in the job's line.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::JobPlanned { user, .. } | Self::Watched { user, .. } | Self::Forgotten { user, .. } => Some(user),
            Self::Tenant(entry) => entry.user(),
            Self::Handover(entry) => entry.user(),
            _ => None,
        }
    }

    /// A document of its job that goes with this entry: the ledger removes it, and what its log still has of it.
    pub fn removes(&self) -> Option<(&JobId, BlobHash)> {
        match self {
            Self::Handover(entry) => entry.removes(),
            _ => None,
        }
    }

    /// Documents in the side table that this entry names and that are kept with it. Sealed PINs have a table of their own.
    pub fn documents(&self) -> Vec<BlobHash> {
        match self {
            Self::CredentialMade { record, .. } => vec![*record],
            Self::Tenant(entry) => entry.documents(),
            Self::Handover(entry) => entry.documents(),
            _ => Vec::new(),
        }
    }
}
