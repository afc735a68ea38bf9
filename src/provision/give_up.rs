//! `--give-up JOB`: the key that a job was begun with is dead or lost, and the person gets another one.
//!
//! Promise: what Entra holds of the given-up key is deleted before the person waits for another, and what it does not show is
//! watched for by later runs. The key's PIN stays sealed to the custodians: the key may be found again.

use super::{Listener, ProvisionError};
use crate::graph::{ErrorKind, Graph};
use crate::ledger::entry::{Act, Entry};
use crate::ledger::{Append, Claim, Ledger};
use crate::model::{JobId, MethodId, TenantId, UserId};
use crate::pin::ResumeStore;
use crate::pipeline::recover::recover;
use crate::pipeline::state::State;
use crate::world::Operator;

/// The code of a try that was given up.
const GIVEN_UP: &str = "given-up";

/// Refuses what can't be given up, before anything starts.
///
/// # Errors
/// [`ProvisionError::NotBegun`] for a job that is unknown, another tenant's, or has no key begun.
pub fn check(ledger: &dyn Ledger, tenant: &TenantId, jobs: &[JobId]) -> Result<(), ProvisionError> {
    for job in jobs {
        let not_begun = |why: &str| ProvisionError::NotBegun { job: job.clone(), why: why.to_owned() };
        let line = ledger.job(job)?.ok_or_else(|| not_begun("the ledger does not know it"))?;
        if line.tenant != *tenant {
            return Err(not_begun("it is another tenant's"));
        }
        match state_of(ledger, job)? {
            State::Finished { .. } => return Err(not_begun("it is finished")),
            state if state.hold().is_some() => {
                return Err(not_begun("its key is held: `keybench lost` or `keybench replace` ends that"));
            }
            state if !state.is_open() => return Err(not_begun("it waits for a key already")),
            _ => {}
        }
    }
    Ok(())
}

/// Gives up the jobs that the person at the bench confirms; without a person the option, which names the job, is the decision.
///
/// # Errors
/// [`ProvisionError`]. What was done until then is in the ledger, and the same command goes on.
pub fn give_up_named(
    ledger: &dyn Ledger,
    resume: &dyn ResumeStore,
    graph: &Graph,
    operator: &dyn Operator,
    listener: &dyn Listener,
    jobs: &[JobId],
) -> Result<(), ProvisionError> {
    for job in jobs {
        let question = format!(
            "Job {job} has a key begun. Given up, that key is never asked for again and its passkey, if there is one, is \
             deleted from the tenant. Type `give-up` if the key is dead or lost"
        );
        let asked = operator.is_present();
        if asked && !operator.confirm(&question, "give-up") {
            listener.note(&format!("Job {job} was not given up; it goes on waiting for its key."));
            continue;
        }
        let deleted = give_up(ledger, resume, graph, job)?;
        let tenant = match deleted {
            Some(method) => format!("its passkey was deleted from the tenant ({method})"),
            None => "the tenant shows no passkey of it".to_owned(),
        };
        let by = if asked { "" } else { " by --give-up alone, with no terminal to confirm at" };
        listener.note(&format!(
            "Job {job} was given up{by}: {tenant}, and the person gets another key. The PIN of the given-up key stays sealed \
             for the custodian."
        ));
    }
    Ok(())
}

/// Gives up one job; the method that was deleted for it. A job that is not open (named twice, say) is left alone.
///
/// # Errors
/// [`ProvisionError`].
pub fn give_up(
    ledger: &dyn Ledger,
    resume: &dyn ResumeStore,
    graph: &Graph,
    job: &JobId,
) -> Result<Option<MethodId>, ProvisionError> {
    let claim = ledger.claim(job)?;
    let outcome = give_up_claimed(ledger, resume, graph, &claim);
    let released = ledger.release(&claim);
    let deleted = outcome?;
    released?;
    Ok(deleted)
}

fn give_up_claimed(
    ledger: &dyn Ledger,
    resume: &dyn ResumeStore,
    graph: &Graph,
    claim: &Claim,
) -> Result<Option<MethodId>, ProvisionError> {
    let job = claim.job();
    // Read under the claim: nobody else moves it now.
    let state = state_of(ledger, job)?;
    let Some(attempt) = state.current().map(|at| at.attempt).filter(|_| state.is_open()) else { return Ok(None) };
    let Some(line) = ledger.job(job)? else { return Ok(None) };
    let write = |entries: Vec<Entry>| ledger.append(Append::entries(entries).under(claim));
    let intent = || Entry::Intent { job: job.clone(), attempt, act: Act::DeleteMethod };

    let mut last = Vec::new();
    let method = match &state {
        State::Registering { made, .. } => {
            let found = match graph.passkey_of(&line.user, &made.credential) {
                Ok(found) => found,
                // The person has left the directory, and the passkeys with them.
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(error.into()),
            };
            if let Some(method) = found {
                let registered =
                    Entry::Registered { job: job.clone(), attempt, method: method.id.clone(), found: true };
                write(vec![registered, intent()])?;
                Some(method.id)
            } else {
                // Not being listed proves nothing: later runs look for it.
                last.push(Entry::Watched {
                    job: job.clone(),
                    attempt,
                    user: line.user.clone(),
                    credential: made.credential.clone(),
                });
                None
            }
        }
        State::Registered { method, .. }
        | State::ReadBack { method, .. }
        | State::SettingRules { method, .. }
        | State::Unruly { method, .. } => {
            write(vec![intent()])?;
            Some(method.clone())
        }
        // The intent is written already.
        State::DeletingMethod { method, .. } => Some(method.clone()),
        _ => None,
    };
    if let Some(method) = &method {
        delete(graph, &line.user, method)?;
        last.push(Entry::MethodDeleted { job: job.clone(), attempt, method: method.clone() });
    }
    last.push(Entry::AttemptFailed {
        job: job.clone(),
        attempt,
        code: GIVEN_UP.to_owned(),
        // Where nobody knows, the key may turn up with it.
        pin_on_key: state.pin_on_key().unwrap_or(true),
    });
    write(last)?;
    // First the key, then the word that it is gone.
    resume.destroy(job, attempt)?;
    write(vec![Entry::ResumeKeyDestroyed { job: job.clone(), attempt }])?;
    Ok(method)
}

/// One that is gone already is as good as deleted.
fn delete(graph: &Graph, user: &UserId, method: &MethodId) -> Result<(), ProvisionError> {
    graph.remove_passkey(user, method)?;
    Ok(())
}

fn state_of(ledger: &dyn Ledger, job: &JobId) -> Result<State, ProvisionError> {
    let entries: Vec<Entry> = ledger.entries_of(job)?.into_iter().map(|recorded| recorded.entry).collect();
    recover(&entries).map_err(|error| ProvisionError::BrokenAccount { job: job.clone(), what: error.to_string() })
}
