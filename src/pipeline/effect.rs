//! What a job can ask for. Each effect that changes a key or the tenant says how to tell later whether it happened.

use crate::ledger::entry::Act;
use crate::model::{CredentialId, MethodId};

/// One thing for the driver to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Choose a PIN, seal it for the custodians and for resuming, commit both.
    /// Later: is the sealed PIN in the ledger?
    Seal,
    /// setPIN with the sealed PIN. Later: [`Effect::LookAtPin`].
    SetPin,
    /// Question: does getInfo say that a PIN is set?
    LookAtPin,
    /// Question: does the sealed PIN open the key? Costs one of its tries.
    ProvePin,
    /// Have creation options with enough time left. Harmless to repeat.
    FetchOptions,
    /// makeCredential: the touch. Later: [`Effect::ListCredentials`].
    MakeCredential,
    /// Question: which credentials does the key hold for this tenant and person?
    ListCredentials,
    /// deleteCredential. Later: repeat it; a missing credential counts as removed.
    RemoveCredential(CredentialId),
    /// Check the record offline, then have the key sign with the new credential. Harmless to repeat.
    Prove,
    /// POST the record. Later: [`Effect::FindMethod`].
    Register {
        /// It was sent before and the answer was lost: a refusal may mean that the first one arrived, so it is believed
        /// only after a read.
        again: bool,
    },
    /// Question: does Entra list this credential? Asked patiently.
    FindMethod,
    /// DELETE the method. Later: repeat it; a missing method counts as deleted.
    DeleteMethod(MethodId),
    /// Minimum length and forced change, in one command. Later: [`Effect::LookAtRules`].
    SetPinRules,
    /// Question: what does getInfo say of the PIN rules?
    LookAtRules,
    /// Seal the registration record to the activation keys. Nothing but bytes of ours; harmless to repeat.
    SealRecord,
    /// Delete the job's resume key. Repeated until done.
    DestroyResumeKey,
}

impl Effect {
    /// The intent that stands in the ledger before this effect is performed; `None` for questions and what is harmless.
    pub fn act(&self) -> Option<Act> {
        match self {
            Self::SetPin => Some(Act::SetPin),
            Self::MakeCredential => Some(Act::MakeCredential),
            Self::RemoveCredential(_) => Some(Act::RemoveCredential),
            Self::Register { .. } => Some(Act::Register),
            Self::DeleteMethod(_) => Some(Act::DeleteMethod),
            Self::SetPinRules => Some(Act::SetPinRules),
            Self::Seal
            | Self::LookAtPin
            | Self::ProvePin
            | Self::FetchOptions
            | Self::ListCredentials
            | Self::Prove
            | Self::FindMethod
            | Self::LookAtRules
            | Self::SealRecord
            | Self::DestroyResumeKey => None,
        }
    }

    /// Whether it needs the key.
    pub fn needs_key(&self) -> bool {
        !matches!(
            self,
            Self::Seal
                | Self::FetchOptions
                | Self::Register { .. }
                | Self::FindMethod
                | Self::DeleteMethod(_)
                | Self::SealRecord
                | Self::DestroyResumeKey
        )
    }
}
