//! From entries back to the state. Pure: the ledger's account is all that is known after a restart.

use std::ops::ControlFlow;

use super::state::{Hold, Made, State, Try};
use super::step::EXPIRED;
use crate::ledger::entry::{Act, Attempt, Entry, HandoverEntry};

/// An entry that can't follow those before it: the ledger was written by something else, or tampered with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the ledger's account of this job breaks off: {found} can't follow {before}")]
pub struct BrokenAccount {
    /// The state before it.
    pub before: String,
    /// The entry's kind.
    pub found: String,
}

/// The state after all these entries of one job, oldest first. Entries of other jobs must not be among them.
///
/// # Errors
/// [`BrokenAccount`] names the first entry that makes no sense.
pub fn recover<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Result<State, BrokenAccount> {
    entries.into_iter().try_fold(State::Waiting { tries: 0 }, apply)
}

/// The state after one more entry.
///
/// # Errors
/// [`BrokenAccount`] when the entry can't follow.
pub fn apply(state: State, entry: &Entry) -> Result<State, BrokenAccount> {
    let broken = |state: &State| BrokenAccount { before: name_of(state), found: kind_of(entry) };
    // What came home from another desk counts as what it is.
    let entry = entry.act();
    let state = match of_held(state, entry) {
        ControlFlow::Break(next) => return Ok(next),
        ControlFlow::Continue(state) => state,
    };
    Ok(match (state, entry) {
        // About the job, not about its journey.
        (
            state,
            Entry::JobPlanned { .. }
            | Entry::JobParked { .. }
            | Entry::JobResumed { .. }
            | Entry::JobRefused { .. }
            | Entry::Claimed { .. }
            | Entry::PinOpened { .. }
            | Entry::PinRulesSet { .. }
            | Entry::Unwatched { .. }
            | Entry::Revoked { .. },
        ) => state,

        (State::Waiting { .. } | State::Failed { .. }, Entry::AttemptStarted { attempt, key, .. }) => {
            State::Begun { at: Try { attempt: *attempt, key: key.clone() } }
        }
        // A crash between the seal and its use leaves an older seal behind; the newest counts.
        (State::Begun { at } | State::Sealed { at }, Entry::PinSealed { attempt, .. }) if *attempt == at.attempt => {
            State::Sealed { at }
        }
        // Sealed again, to other custodians: of whatever try and wherever the job is, its journey stays as it was.
        (state, Entry::PinSealed { attempt, .. }) if state.current().is_some_and(|at| *attempt <= at.attempt) => state,
        (State::Sealed { at } | State::SettingPin { at }, Entry::Intent { act: Act::SetPin, .. }) => {
            State::SettingPin { at }
        }
        (State::SettingPin { at }, Entry::PinSet { .. }) => State::PinSet { at },
        (State::SettingPin { at }, Entry::ActUndone { act: Act::SetPin, .. }) => State::Sealed { at },

        (State::PinSet { at }, Entry::Intent { act: Act::MakeCredential, .. }) => State::Making { at },
        (State::Making { at }, Entry::ActUndone { act: Act::MakeCredential, .. }) => State::PinSet { at },
        (State::Making { at }, Entry::Intent { act: Act::RemoveCredential, .. } | Entry::CredentialRemoved { .. }) => {
            State::Making { at }
        }
        (State::Making { at }, Entry::CredentialMade { credential, record, expires, .. }) => {
            State::Made { at, made: Made { credential: credential.clone(), record: *record, expires: *expires } }
        }

        (state @ State::Made { .. }, Entry::CredentialProved { .. }) => state,
        (State::Made { at, made } | State::Registering { at, made }, Entry::Intent { act: Act::Register, .. }) => {
            State::Registering { at, made }
        }
        (
            State::Made { at, made } | State::Registering { at, made },
            Entry::ActUndone { act: Act::Register, code, .. },
        ) => State::Unwanted { at, made, code: (code != EXPIRED).then(|| code.clone()) },
        (State::Registering { at, made }, Entry::Watched { .. }) => State::Unwanted { at, made, code: None },
        (State::Registering { at, made }, Entry::Registered { method, .. }) => {
            State::Registered { at, made, method: method.clone() }
        }
        (State::Registered { at, made, method }, Entry::ReadBack { .. }) => State::ReadBack { at, made, method },

        (
            State::ReadBack { at, made, method } | State::SettingRules { at, made, method },
            Entry::Intent { act: Act::SetPinRules, .. },
        ) => State::SettingRules { at, made, method },
        (
            State::ReadBack { at, made, method } | State::SettingRules { at, made, method },
            Entry::ActUndone { act: Act::SetPinRules, code, .. },
        ) => State::Unruly { at, made, method, code: code.clone() },
        (State::ReadBack { at, made, method } | State::SettingRules { at, made, method }, Entry::Finished { .. }) => {
            State::Finished { at, made, method, resume_key_gone: false, taken: false }
        }

        (State::Unruly { at, made, method, code }, Entry::Intent { act: Act::DeleteMethod, .. }) => {
            State::DeletingMethod { at, made, method, code }
        }
        // Given up by the person at the bench: the key won't come back, so what it registered goes.
        (
            State::Registered { at, made, method }
            | State::ReadBack { at, made, method }
            | State::SettingRules { at, made, method },
            Entry::Intent { act: Act::DeleteMethod, .. },
        ) => State::DeletingMethod { at, made, method, code: "given-up".into() },
        (State::DeletingMethod { at, made, code, .. }, Entry::MethodDeleted { .. }) => {
            State::Unwanted { at, made, code: Some(code) }
        }
        (State::Unwanted { at, made, code }, Entry::Intent { act: Act::RemoveCredential, .. }) => {
            State::Removing { at, made, code }
        }
        (
            State::Removing { at, code: None, .. },
            Entry::CredentialRemoved { .. } | Entry::ActUndone { act: Act::RemoveCredential, .. },
        ) => State::PinSet { at },
        (
            state @ State::Removing { code: Some(_), .. },
            Entry::CredentialRemoved { .. } | Entry::ActUndone { act: Act::RemoveCredential, .. },
        ) => state,

        (state, Entry::AttemptFailed { code, pin_on_key, .. }) => match state.current() {
            Some(at) if state.is_open() => {
                State::Failed { at: at.clone(), code: code.clone(), pin_on_key: *pin_on_key, resume_key_gone: false }
            }
            _ => return Err(broken(&state)),
        },
        (State::Finished { at, made, method, taken, .. }, Entry::ResumeKeyDestroyed { .. }) => {
            State::Finished { at, made, method, resume_key_gone: true, taken }
        }
        (State::Failed { at, code, pin_on_key, .. }, Entry::ResumeKeyDestroyed { .. }) => {
            State::Failed { at, code, pin_on_key, resume_key_gone: true }
        }
        (State::Finished { at, made, method, resume_key_gone, .. }, Entry::KeyTaken { .. }) => {
            State::Finished { at, made, method, resume_key_gone, taken: true }
        }

        // Its method is deleted and the key is lost or wiped: as if the try had failed, the next key may be begun.
        (
            State::Finished { at, resume_key_gone, .. },
            Entry::Handover(HandoverEntry::ReplacementWanted { attempt, code, .. }),
        ) if at.attempt == *attempt => State::Failed { at, code: code.clone(), pin_on_key: true, resume_key_gone },
        // What happens to tenant and parcel beside the journey.
        (state, Entry::Tenant(_) | Entry::Handover(_)) => state,

        // An earlier try's key, destroyed late.
        (state, Entry::ResumeKeyDestroyed { attempt, .. })
            if state.current().is_some_and(|at| at.attempt > *attempt) =>
        {
            state
        }

        (state, _) => return Err(broken(&state)),
    })
}

/// The half of the table that is about held keys: breaks off with the next state, and goes on with the state as it was where
/// the entry belongs to the other half.
fn of_held(mut state: State, entry: &Entry) -> ControlFlow<State, State> {
    let attempt = state.current().map(|at| at.attempt);
    if let Some(hold) = state.hold_mut()
        && changes(hold, entry, attempt)
    {
        return ControlFlow::Break(state);
    }
    ControlFlow::Break(match (state, entry) {
        (State::Made { at, made }, Entry::Handover(HandoverEntry::HoldChosen { .. })) => State::Proved { at, made },
        (State::Proved { at, made } | State::Hardening { at, made }, Entry::Intent { act: Act::SetPinRules, .. }) => {
            State::Hardening { at, made }
        }
        (
            State::Proved { at, made } | State::Hardening { at, made },
            Entry::ActUndone { act: Act::SetPinRules, code, .. },
        ) => State::Unwanted { at, made, code: Some(code.clone()) },
        (State::Proved { at, made } | State::Hardening { at, made }, Entry::PinRulesSet { .. }) => {
            State::Hardened { at, made }
        }
        (State::Hardened { at, made }, Entry::Handover(HandoverEntry::Held { sealed, witness, .. })) => {
            let hold = Hold { sealed: Some(*sealed), witness: *witness, resume_key_gone: false, taken: false };
            State::Held { at, made, hold }
        }
        (
            State::Held { at, made, hold } | State::Activating { at, made, hold },
            Entry::Intent { act: Act::Register, .. },
        ) => State::Activating { at, made, hold },
        (State::Activating { at, made, hold }, Entry::ActUndone { act: Act::Register, .. }) => {
            State::Held { at, made, hold }
        }
        (State::Activating { at, made, hold }, Entry::Registered { method, .. }) => {
            State::Activated { at, made, hold, method: method.clone() }
        }
        // Nobody took it off the key: should the tenant show it after all, a later run deletes it there.
        (state @ State::Activating { .. }, Entry::Watched { .. }) => state,
        (state @ State::Activated { .. }, Entry::ReadBack { .. }) => state,
        (State::Activated { at, made, hold, method }, Entry::Finished { .. }) => {
            State::Finished { at, made, method, resume_key_gone: hold.resume_key_gone, taken: hold.taken }
        }
        (
            State::Held { at, hold, .. } | State::Activating { at, hold, .. } | State::Activated { at, hold, .. },
            Entry::Handover(HandoverEntry::ReplacementWanted { attempt, code, .. }),
        ) if at.attempt == *attempt => {
            State::Failed { at, code: code.clone(), pin_on_key: true, resume_key_gone: hold.resume_key_gone }
        }
        (state, _) => return ControlFlow::Continue(state),
    })
}

/// What happens to a hold wherever its job is; `false` where the entry is not about it.
fn changes(hold: &mut Hold, entry: &Entry, of: Option<Attempt>) -> bool {
    match entry {
        Entry::Handover(HandoverEntry::HoldResealed { sealed, .. }) => hold.sealed = Some(*sealed),
        Entry::Handover(HandoverEntry::HoldEnded { .. }) => hold.sealed = None,
        Entry::ResumeKeyDestroyed { attempt, .. } if Some(*attempt) == of => hold.resume_key_gone = true,
        Entry::KeyTaken { .. } => hold.taken = true,
        _ => return false,
    }
    true
}

/// The variant's name, without its data.
fn name_of(state: &State) -> String {
    let shown = format!("{state:?}");
    shown.split([' ', '{']).next().unwrap_or_default().to_owned()
}

/// The entry's `kind`, as it stands in the ledger.
fn kind_of(entry: &Entry) -> String {
    serde_json::to_value(entry)
        .ok()
        .and_then(|value| value.get("kind").and_then(|kind| kind.as_str().map(str::to_owned)))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::entry::{BlobHash, TenantEntry};
    use crate::model::{Aaguid, CredentialId, JobId, KeyRef, MethodId, PortName};

    fn finished() -> State {
        let port = PortName::new("1-1");
        let key = KeyRef { aaguid: Aaguid::ZERO, serial: None, firmware: None, model: None, port };
        let credential = CredentialId::new(vec![1; 16]);
        let made = Made { credential, record: BlobHash::of(b"record"), expires: jiff::Timestamp::UNIX_EPOCH };
        let at = Try { attempt: 1, key };
        State::Finished { at, made, method: MethodId::new("method"), resume_key_gone: true, taken: true }
    }

    fn handover(entry: HandoverEntry) -> Entry {
        Entry::Handover(entry)
    }

    #[test]
    fn what_happens_after_the_bench_breaks_no_account() {
        let job = JobId::new("7H2KQ0M4XA");
        let used = TenantEntry::KeyUsed { job: job.clone(), at: jiff::Timestamp::UNIX_EPOCH };
        for entry in [
            Entry::Tenant(used),
            handover(HandoverEntry::PackingStopped { job: job.clone(), code: "x".into(), by: "op".into() }),
            handover(HandoverEntry::KeyLost { job, attempt: 1, reason: "post".into(), by: "op".into() }),
        ] {
            assert_eq!(apply(finished(), &entry), Ok(finished()));
        }
    }

    #[test]
    fn a_replaced_key_leaves_the_job_to_the_next_one() {
        let job = JobId::new("7H2KQ0M4XA");
        let wanted =
            |attempt| handover(HandoverEntry::ReplacementWanted { job: job.clone(), attempt, code: "lost".into() });
        assert_eq!(apply(finished(), &wanted(2)), Ok(finished()), "of another try");
        let waits = apply(finished(), &wanted(1)).expect("waits");
        assert!(!waits.is_open(), "{waits:?}");
        let State::Finished { at: Try { key, .. }, .. } = finished() else { panic!("finished") };
        let begun = apply(waits, &Entry::AttemptStarted { job: job.clone(), attempt: 2, key });
        assert!(matches!(begun, Ok(State::Begun { at: Try { attempt: 2, .. } })), "{begun:?}");
    }
}
