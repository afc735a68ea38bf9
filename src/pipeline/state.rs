//! Where a job can be, with exactly the data that place has.
//!
//! A state named after a doing (`SettingPin`, `Making`, `Registering`, …) means: the intent is in the ledger, the outcome
//! is not. While the program runs, the outcome is on its way; after a restart or a pulled key it has to be asked for.

use jiff::Timestamp;

use crate::ledger::entry::{Attempt, BlobHash};
use crate::model::{CredentialId, JobStatus, KeyRef, MethodId};

/// One try: the key that was begun for the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    /// Which, from 1.
    pub attempt: Attempt,
    /// The key as it was when the try began.
    pub key: KeyRef,
}

/// A credential that the key has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its id.
    pub credential: CredentialId,
    /// The registration record in the ledger's side table.
    pub record: BlobHash,
    /// When the tenant stops accepting the record.
    pub expires: Timestamp,
}

/// What is known of a held key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The sealed registration record; `None` once it is destroyed, and then the key opens nothing any more.
    pub sealed: Option<BlobHash>,
    /// What tells the key again.
    pub witness: BlobHash,
    /// The bench can't read the PIN any more.
    pub resume_key_gone: bool,
    /// The key was taken out with its label.
    pub taken: bool,
}

/// Where a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// No key is begun. `tries` of them have been used up.
    Waiting {
        /// Tries that ended without a finished key.
        tries: Attempt,
    },
    /// A blank key is chosen; nothing is done to it.
    Begun {
        /// This try.
        at: Try,
    },
    /// The PIN is sealed; the key does not have it.
    Sealed {
        /// This try.
        at: Try,
    },
    /// setPIN is on its way, or was when the program or the key went.
    SettingPin {
        /// This try.
        at: Try,
    },
    /// The key has the sealed PIN and no credential of ours.
    PinSet {
        /// This try.
        at: Try,
    },
    /// makeCredential is on its way: the key may hold a credential that nobody knows.
    Making {
        /// This try.
        at: Try,
    },
    /// The key has made a credential; its record is kept. Entra knows nothing.
    Made {
        /// This try.
        at: Try,
        /// The credential.
        made: Made,
    },
    /// The registration is on its way: Entra may have it.
    Registering {
        /// This try.
        at: Try,
        /// The credential.
        made: Made,
    },
    /// Entra says that it holds the credential.
    Registered {
        /// This try.
        at: Try,
        /// The credential.
        made: Made,
        /// Its id in Entra.
        method: MethodId,
    },
    /// A read by credential id agreed.
    ReadBack {
        /// This try.
        at: Try,
        /// The credential.
        made: Made,
        /// Its id in Entra.
        method: MethodId,
    },
    /// The PIN rules are on their way to the key.
    SettingRules {
        /// This try.
        at: Try,
        /// The credential.
        made: Made,
        /// Its id in Entra.
        method: MethodId,
    },
    /// The key refused the PIN rules for good: what was made has to be undone, in Entra first.
    Unruly {
        /// This try.
        at: Try,
        /// The credential.
        made: Made,
        /// Its id in Entra.
        method: MethodId,
        /// Why.
        code: String,
    },
    /// The method's deletion is on its way.
    DeletingMethod {
        /// This try.
        at: Try,
        /// The credential.
        made: Made,
        /// Its id in Entra.
        method: MethodId,
        /// Why.
        code: String,
    },
    /// Entra does not have the credential and won't: it has to go from the key.
    Unwanted {
        /// This try.
        at: Try,
        /// The credential.
        made: Made,
        /// Why; `None` when a new credential is to be made on the same key.
        code: Option<String>,
    },
    /// The orphan's removal is on its way.
    Removing {
        /// This try.
        at: Try,
        /// The credential.
        made: Made,
        /// As in [`State::Unwanted`].
        code: Option<String>,
    },
    /// Proved, and to be registered on receipt: the PIN rules come next, and Entra hears nothing.
    Proved {
        /// This try.
        at: Try,
        /// The credential.
        made: Made,
    },
    /// The PIN rules are on their way to a key that is going to be held.
    Hardening {
        /// This try.
        at: Try,
        /// The credential.
        made: Made,
    },
    /// The rules are on the key: what is left is to seal the registration record.
    Hardened {
        /// This try.
        at: Try,
        /// The credential.
        made: Made,
    },
    /// The bench is done. The record lies sealed, and Entra knows nothing, until the person has received the key.
    Held {
        /// This try.
        at: Try,
        /// The credential. Its record is gone; the sealed one is in `hold`.
        made: Made,
        /// The hold.
        hold: Hold,
    },
    /// The held key's registration is on its way: Entra may have it.
    Activating {
        /// This try.
        at: Try,
        /// The credential.
        made: Made,
        /// The hold.
        hold: Hold,
    },
    /// Entra says that it holds the held key's credential.
    Activated {
        /// This try.
        at: Try,
        /// The credential.
        made: Made,
        /// The hold.
        hold: Hold,
        /// Its id in Entra.
        method: MethodId,
    },
    /// Registered, read back, hardened, confirmed.
    Finished {
        /// This try.
        at: Try,
        /// The credential.
        made: Made,
        /// Its id in Entra.
        method: MethodId,
        /// The bench can't read the PIN any more.
        resume_key_gone: bool,
        /// The key was taken out with its label.
        taken: bool,
    },
    /// The try is over; the person waits for another key.
    Failed {
        /// That try.
        at: Try,
        /// Why.
        code: String,
        /// The key holds a PIN that the custodian can open.
        pin_on_key: bool,
        /// The bench can't read that PIN any more.
        resume_key_gone: bool,
    },
}

impl State {
    /// The try this state belongs to.
    pub fn current(&self) -> Option<&Try> {
        match self {
            Self::Waiting { .. } => None,
            Self::Begun { at }
            | Self::Sealed { at }
            | Self::SettingPin { at }
            | Self::PinSet { at }
            | Self::Making { at }
            | Self::Made { at, .. }
            | Self::Registering { at, .. }
            | Self::Registered { at, .. }
            | Self::ReadBack { at, .. }
            | Self::SettingRules { at, .. }
            | Self::Unruly { at, .. }
            | Self::DeletingMethod { at, .. }
            | Self::Unwanted { at, .. }
            | Self::Removing { at, .. }
            | Self::Proved { at, .. }
            | Self::Hardening { at, .. }
            | Self::Hardened { at, .. }
            | Self::Held { at, .. }
            | Self::Activating { at, .. }
            | Self::Activated { at, .. }
            | Self::Finished { at, .. }
            | Self::Failed { at, .. } => Some(at),
        }
    }

    /// The credential this state knows of.
    pub fn made(&self) -> Option<&Made> {
        match self {
            Self::Made { made, .. }
            | Self::Registering { made, .. }
            | Self::Registered { made, .. }
            | Self::ReadBack { made, .. }
            | Self::SettingRules { made, .. }
            | Self::Unruly { made, .. }
            | Self::DeletingMethod { made, .. }
            | Self::Unwanted { made, .. }
            | Self::Removing { made, .. }
            | Self::Proved { made, .. }
            | Self::Hardening { made, .. }
            | Self::Hardened { made, .. }
            | Self::Held { made, .. }
            | Self::Activating { made, .. }
            | Self::Activated { made, .. }
            | Self::Finished { made, .. } => Some(made),
            _ => None,
        }
    }

    /// A key is begun and not yet finished or given up: the same key has to come back.
    pub fn is_open(&self) -> bool {
        !matches!(self, Self::Waiting { .. } | Self::Finished { .. } | Self::Failed { .. }) && self.hold().is_none()
    }

    /// The hold, while the key's registration waits for receipt or is being made up for.
    pub fn hold(&self) -> Option<&Hold> {
        match self {
            Self::Held { hold, .. } | Self::Activating { hold, .. } | Self::Activated { hold, .. } => Some(hold),
            _ => None,
        }
    }

    pub(super) fn hold_mut(&mut self) -> Option<&mut Hold> {
        match self {
            Self::Held { hold, .. } | Self::Activating { hold, .. } | Self::Activated { hold, .. } => Some(hold),
            _ => None,
        }
    }

    /// Whether the key holds the sealed PIN: `None` while that is not known.
    pub fn pin_on_key(&self) -> Option<bool> {
        match self {
            Self::Waiting { .. } | Self::Begun { .. } | Self::Sealed { .. } => Some(false),
            Self::SettingPin { .. } => None,
            Self::Failed { pin_on_key, .. } => Some(*pin_on_key),
            _ => Some(true),
        }
    }

    /// As reports show it.
    pub fn status(&self) -> JobStatus {
        match self {
            Self::Waiting { .. } => JobStatus::Waiting,
            Self::Finished { .. } => JobStatus::Finished,
            Self::Held { .. } | Self::Activating { .. } | Self::Activated { .. } => JobStatus::Held,
            Self::Failed { .. } => JobStatus::Failed,
            _ => JobStatus::Begun,
        }
    }
}
