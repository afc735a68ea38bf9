//! What a ledger takes and what it refuses. Pure, and the same for every backend.

use std::collections::BTreeMap;

use super::entry::{BlobHash, Entry};
use super::error::LedgerError;
use super::jobs::JobLine;
use super::{Append, Claim};
use crate::model::{JobId, UserId};

/// Whose a document is: gone when its person is forgotten. A tenant's policy is nobody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) job: Option<JobId>,
    pub(super) user: Option<UserId>,
}

/// Checks what can be checked without looking at the ledger, and tells whose each document is.
pub(super) fn check(what: &Append) -> Result<BTreeMap<BlobHash, Owner>, LedgerError> {
    if what.entries.is_empty() && !(what.blobs.is_empty() && what.people.is_empty()) {
        return Err(refused("people and documents come with an entry"));
    }
    let mut owners = BTreeMap::new();
    for entry in &what.entries {
        match entry {
            Entry::LedgerCreated { .. } | Entry::Restored { .. } => {
                return Err(refused("only the ledger itself writes how it began"));
            }
            Entry::PinSealed { .. } => return Err(refused("a PIN is sealed by append_seal")),
            Entry::Claimed { .. } => return Err(refused("a job is claimed by claim")),
            Entry::Forgotten { .. } => return Err(refused("a person is forgotten by forget")),
            _ => {}
        }
        for hash in entry.documents() {
            owners.insert(hash, Owner { job: entry.job().cloned(), user: entry.user().cloned() });
        }
    }
    for (hash, bytes) in &what.blobs {
        if BlobHash::of(bytes) != *hash {
            return Err(LedgerError::BlobMismatch(*hash));
        }
        if !owners.contains_key(hash) {
            return Err(refused("a document must be named by an entry beside it"));
        }
    }
    if let Some(claim) = &what.claim
        && let Some(other) = what.entries.iter().filter_map(Entry::job).find(|job| *job != claim.job())
    {
        return Err(refused(&format!("an entry about job {other} under the claim of job {}", claim.job())));
    }
    Ok(owners)
}

/// An entry may be about a planned job only.
pub(super) fn unplanned(job: &JobId) -> LedgerError {
    refused(&format!("job {job} was never planned"))
}

/// While a key may hold a PIN of the person, it has to stay recoverable.
pub(super) fn may_forget<'a>(jobs: impl IntoIterator<Item = &'a JobLine>) -> Result<(), LedgerError> {
    match jobs.into_iter().find(|line| line.in_flight) {
        Some(line) => Err(refused(&format!("job {} has a key begun; finish or fail it before forgetting", line.job))),
        None => Ok(()),
    }
}

/// New envelopes come with the custodians they are for.
pub(super) fn changes_custodians(set: &Entry) -> Result<(), LedgerError> {
    match set {
        Entry::CustodiansSet { .. } => Ok(()),
        _ => Err(refused("envelopes are replaced when the custodians change, and not otherwise")),
    }
}

pub(super) fn no_such_seal(job: &JobId, attempt: u32) -> LedgerError {
    refused(&format!("job {job}, try {attempt} has no sealed PIN to replace"))
}

pub(super) fn lost(claim: &Claim) -> LedgerError {
    LedgerError::ClaimLost { job: claim.job().clone() }
}

/// Somebody wrote about the job since it was read.
pub(super) fn overtaken(job: Option<&JobId>) -> LedgerError {
    LedgerError::Overtaken { job: job.map_or_else(String::new, ToString::to_string) }
}

/// Only the bench, or whoever has the ledger alone, takes things out of it.
pub(super) fn not_at_a_desk() -> LedgerError {
    refused("sealed PINs are replaced and people forgotten by whoever has the ledger alone")
}

fn refused(why: &str) -> LedgerError {
    LedgerError::NotAllowed(why.to_owned())
}
