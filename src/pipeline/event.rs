//! What can happen to a job: outcomes of effects, answers to questions, and what the bench meets.

use jiff::Timestamp;

use crate::ledger::entry::BlobHash;
use crate::model::{Aaguid, CredentialId, KeyRef, MethodId};

/// A registration record, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRecord {
    /// SHA-256 of the sealed record.
    pub sealed: BlobHash,
    /// SHA-256 of what tells the key again.
    pub witness: BlobHash,
    /// The key's model, as the record says it.
    pub aaguid: Aaguid,
    /// Fingerprints of the activation keys.
    pub to: Vec<String>,
}

/// Why the sealed PIN did not open a key, and what that tells of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotOpened {
    /// It was tried, and the key has another.
    Wrong,
    /// The key has none: it was reset, or it is another key.
    NoPin,
    /// Nobody knows: the key lets it be tried no more, or fewer tries are left than the bench leaves to the key's owner.
    Untried,
    /// It may be right, and opens nothing before its owner has changed it.
    ChangeForced,
}

impl NotOpened {
    /// The code of a try that ends with this.
    pub fn code(self) -> &'static str {
        match self {
            Self::Wrong => "pin-unknown",
            Self::NoPin => "key-changed",
            Self::Untried => "pin-untried",
            Self::ChangeForced => "change-forced",
        }
    }

    /// Whether the key may hold the sealed PIN: only what is certain counts as no.
    pub fn pin_on_key(self) -> bool {
        match self {
            Self::Wrong | Self::NoPin => false,
            Self::Untried | Self::ChangeForced => true,
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A blank, fit key was given to this job.
    KeyGiven(KeyRef),
    /// The job's key is there and can be talked to: go on from wherever the job is.
    Resumed,
    /// A PIN was chosen, sealed and committed, its resume copy kept.
    Sealed,
    /// The key took the PIN.
    PinSet,
    /// The key refused setPIN: it has no PIN of ours.
    PinNotSet {
        /// Why.
        code: String,
    },
    /// getInfo: is a PIN set?
    PinSeen {
        /// `clientPin` is true.
        present: bool,
    },
    /// The sealed PIN opened the key.
    PinProved,
    /// The sealed PIN did not open the key.
    NotOpened(NotOpened),
    /// Creation options are at hand, with enough of their time left.
    OptionsReady,
    /// Graph refuses creation options to this person.
    OptionsRefused {
        /// Why.
        code: String,
    },
    /// The key made a credential, and the record is stored.
    CredentialMade {
        /// Its id.
        credential: CredentialId,
        /// The registration record's hash.
        record: BlobHash,
        /// When the tenant stops accepting it.
        expires: Timestamp,
    },
    /// Nobody touched the key in time: it made nothing.
    TouchTimedOut,
    /// The key or its holder refused: it made nothing, and never will.
    NotMade {
        /// Why.
        code: String,
    },
    /// The touch was called off from our side: the key made nothing.
    TouchCancelled,
    /// The credentials on the key for this tenant and person.
    CredentialsListed(Vec<CredentialId>),
    /// The key can't list its credentials.
    CredentialsUnlistable,
    /// A credential is off the key (or was not on it).
    CredentialRemoved(CredentialId),
    /// The key can't remove single credentials.
    CredentialUnremovable {
        /// Why.
        code: String,
    },
    /// All offline checks passed and the silent assertion verified.
    Proved {
        /// Names of the checks that were made.
        checks: Vec<String>,
    },
    /// A check or the proof failed.
    CheckFailed {
        /// Which.
        code: String,
    },
    /// Graph answered 201.
    Registered {
        /// The method's id.
        method: MethodId,
    },
    /// Graph refused the registration: it has nothing.
    RegistrationRefused {
        /// Why.
        code: String,
    },
    /// The registration was sent and no answer came.
    AnswerLost,
    /// A registration that may have arrived before was refused, and reads don't show it: the first one may have used up
    /// the challenge and not be listed yet, so this proves nothing.
    RefusedAgain,
    /// A read shows the credential.
    MethodFound {
        /// The method's id.
        method: MethodId,
    },
    /// Reads, patiently repeated, don't show the credential.
    MethodMissing,
    /// The method is out of Entra (or was not in it).
    MethodDeleted,
    /// The key took the PIN rules, and this is what getInfo says since.
    RulesTaken {
        /// `minPINLength`, in code points.
        minimum: u32,
        /// `forcePINChange`; false where the key doesn't tell.
        forced: bool,
    },
    /// The key refuses the PIN rules.
    RulesRefused {
        /// Why.
        code: String,
    },
    /// getInfo's word on the PIN rules.
    RulesSeen {
        /// `minPINLength`, in code points.
        minimum: u32,
        /// `forcePINChange`; false where the key doesn't tell.
        forced: bool,
    },
    /// The registration record is sealed to the activation keys; the sealed one goes into the ledger with this.
    RecordSealed(SealedRecord),
    /// The held key has arrived and its person was verified: the record is opened, and is to be sent.
    Received {
        /// Who activates.
        by: String,
    },
    /// The resume key is deleted.
    ResumeKeyDestroyed,
    /// The key is gone, or doesn't answer any more.
    KeyGone,
    /// The effect could not be begun: the tenant is down, or a part of the bench is missing. Nothing was changed by it.
    Blocked {
        /// Why.
        code: String,
    },
}
