//! What earlier runs left to be done, done before the first key of this one.
//!
//! Two things outlive a run. A resume key whose job ended just before the program did: it must go, or a finished PIN could
//! still be read at the bench. And a credential that was sent to Entra, never shown by it and removed from its key: should
//! it have turned up after all, it opens nothing any more and has to be deleted there.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use jiff::{SignedDuration, Timestamp};

use super::on_tenant::pausing_code;
use crate::graph::{ErrorKind, Graph, GraphError};
use crate::ledger::entry::{Attempt, ENDS_AND_WATCHES, Entry, HandoverEntry};
use crate::ledger::{Append, Ledger, LedgerError};
use crate::model::{CredentialId, JobId, MethodId, UserId};
use crate::pin::ResumeStore;
use crate::pin::resume::ResumeError;

/// How long after it was given up a registration is looked for, by every run. Entra shows a passkey within minutes; a day is
/// longer than any outage after which it might have caught up.
pub const WATCHED_FOR: SignedDuration = SignedDuration::from_hours(24);

/// What was settled.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Resume keys destroyed: job and try.
    pub resume_keys: Vec<(JobId, Attempt)>,
    /// Methods that had turned up late and were deleted.
    pub deleted: Vec<(JobId, MethodId)>,
    /// Credentials that later runs go on looking for.
    pub still_watched: usize,
    /// Jobs whose person's passkeys the tenant does not let us see, and why.
    pub unseen: Vec<(JobId, String)>,
}

/// Why it could not be settled; nothing is lost, the next run begins with it again.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The store of resume keys.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// The tenant.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// What the ledger says is still to be done.
#[derive(Debug, Default)]
struct Left {
    /// Tries that are over, in all.
    ended: BTreeSet<(JobId, Attempt)>,
    /// Those whose resume key is not known to be destroyed.
    undestroyed: BTreeSet<(JobId, Attempt)>,
    /// Those whose resume key is destroyed.
    destroyed: BTreeSet<(JobId, Attempt)>,
    /// Watched credentials: whose, and since when.
    watched: BTreeMap<(JobId, CredentialId), (UserId, Timestamp)>,
}

impl Left {
    fn read(ledger: &dyn Ledger, on_disk: &BTreeSet<(JobId, Attempt)>) -> Result<Self, LedgerError> {
        // Of a hundred thousand jobs' entries few kinds matter, and reading an entry is what takes time.
        let (mut left, mut unread) = (Self::default(), None);
        ledger.visit_rows(&mut |row| {
            let matters = match row.kind() {
                "handover" => row.act() == "held",
                kind => ENDS_AND_WATCHES.contains(&kind),
            };
            if !matters {
                return ControlFlow::Continue(());
            }
            let recorded = match row.understand() {
                Ok(recorded) => recorded,
                Err(error) => {
                    unread = Some(error);
                    return ControlFlow::Break(());
                }
            };
            match recorded.entry {
                Entry::Finished { job, attempt }
                | Entry::AttemptFailed { job, attempt, .. }
                | Entry::Handover(HandoverEntry::Held { job, attempt, .. }) => {
                    let end = (job, attempt);
                    if on_disk.contains(&end) {
                        left.ended.insert(end.clone());
                    }
                    // A held key's try ends twice; what is gone stays gone.
                    if !left.destroyed.contains(&end) {
                        left.undestroyed.insert(end);
                    }
                }
                Entry::ResumeKeyDestroyed { job, attempt } => {
                    let end = (job, attempt);
                    left.undestroyed.remove(&end);
                    left.destroyed.insert(end);
                }
                Entry::Watched { job, user, credential, .. } => {
                    left.watched.insert((job, credential), (user, recorded.at));
                }
                Entry::Unwatched { job, credential, .. } => {
                    left.watched.remove(&(job, credential));
                }
                _ => {}
            }
            ControlFlow::Continue(())
        })?;
        unread.map_or(Ok(left), Err)
    }
}

/// Settles what earlier runs left. Call it after signing in and before [`super::bench::Bench::run`]; reads the whole ledger
/// once. `now` is the ledger's time.
///
/// # Errors
/// [`SettleError`]. What was done until then is in the ledger.
pub fn settle_before_run(
    ledger: &dyn Ledger,
    resume: &dyn ResumeStore,
    graph: &Graph,
    now: Timestamp,
) -> Result<Settled, SettleError> {
    let on_disk: BTreeSet<(JobId, Attempt)> = resume.list()?.into_iter().collect();
    let left = Left::read(ledger, &on_disk)?;
    let mut settled = Settled::default();
    for end in left.ended.union(&left.undestroyed) {
        let (job, attempt) = end;
        // First the key, then the word that it is gone; repeated for as long as it takes.
        resume.destroy(job, *attempt)?;
        if left.undestroyed.contains(end) {
            let destroyed = Entry::ResumeKeyDestroyed { job: job.clone(), attempt: *attempt };
            if !write(ledger, job, destroyed)? {
                continue;
            }
        }
        settled.resume_keys.push(end.clone());
    }
    for ((job, credential), (user, since)) in left.watched {
        let deleted = match find_and_delete(graph, &user, &credential) {
            Ok(deleted) => deleted,
            // The person has left the directory, and the passkeys with them.
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            // About this person alone, who has become an administrator, say: no reason to keep everybody else waiting.
            // Nobody has looked then, so it is looked for again.
            Err(error) if is_about_one(&error) => {
                settled.unseen.push((job, error.to_string()));
                settled.still_watched += 1;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if deleted.is_none() && now < since.saturating_add(WATCHED_FOR).unwrap_or(Timestamp::MAX) {
            settled.still_watched += 1;
            continue;
        }
        let unwatched = Entry::Unwatched { job: job.clone(), credential, deleted: deleted.clone() };
        if !write(ledger, &job, unwatched)? {
            settled.still_watched += 1;
        }
        settled.deleted.extend(deleted.map(|method| (job, method)));
    }
    Ok(settled)
}

/// Whether an error need not meet the next person. A missing permission may be everybody's: then the run finds out at its first call.
fn is_about_one(error: &GraphError) -> bool {
    pausing_code(error).is_none_or(|code| code == "no-permission")
}

fn find_and_delete(graph: &Graph, user: &UserId, credential: &CredentialId) -> Result<Option<MethodId>, GraphError> {
    let Some(method) = graph.passkey_of(user, credential)? else { return Ok(None) };
    graph.remove_passkey(user, &method.id)?;
    Ok(Some(method.id))
}

/// Writes under the job's claim; `false` when another bench holds the job and will see to it.
fn write(ledger: &dyn Ledger, job: &JobId, entry: Entry) -> Result<bool, LedgerError> {
    let claim = match ledger.claim(job) {
        Ok(claim) => claim,
        Err(LedgerError::ClaimedElsewhere { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    ledger.append(Append::entry(entry).under(&claim))?;
    ledger.release(&claim)?;
    Ok(true)
}
