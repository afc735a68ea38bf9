//! The audit report: who, which key, when, by which bench; never a PIN, because an entry can't hold one.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use jiff::Timestamp;
use serde::Serialize;

use super::entry::BlobHash;
use super::error::LedgerError;
use super::jobs::JobFilter;
use super::{Ledger, Recorded};
use crate::model::{BenchId, JobId, Upn, UserId};

/// One line of the report: one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// Position in the chain.
    pub seq: u64,
    /// When, UTC.
    pub at: Timestamp,
    /// By which bench.
    pub bench: BenchId,
    /// The entry's kind, e.g. `pin-sealed`.
    pub kind: String,
    /// The job, if it is about one.
    pub job: Option<JobId>,
    /// The person's object id, if it is about one.
    pub user: Option<UserId>,
    /// The person's UPN as last planned; none once forgotten.
    pub upn: Option<Upn>,
    /// Everything else the entry says, as JSON.
    pub detail: String,
    /// Its link in the chain, in hexadecimal digits.
    pub hash: BlobHash,
}

/// Gives every entry from a position on to `take`, in order, with the person's UPN where the ledger still has it. One pass.
///
/// # Errors
/// [`LedgerError`] when the ledger can't be read.
pub fn audit(
    ledger: &dyn Ledger,
    from_seq: u64,
    take: &mut dyn FnMut(AuditRow) -> ControlFlow<()>,
) -> Result<(), LedgerError> {
    let users: BTreeMap<JobId, UserId> =
        ledger.jobs(&JobFilter::all())?.into_iter().map(|line| (line.job, line.user)).collect();
    let upns: BTreeMap<UserId, Upn> = ledger.people()?.into_iter().map(|person| (person.id, person.upn)).collect();
    let mut broken = None;
    ledger.visit(from_seq, &mut |recorded| match row(recorded, &users, &upns) {
        Ok(row) => take(row),
        Err(error) => {
            broken = Some(error);
            ControlFlow::Break(())
        }
    })?;
    broken.map_or(Ok(()), Err)
}

fn row(
    recorded: Recorded,
    users: &BTreeMap<JobId, UserId>,
    upns: &BTreeMap<UserId, Upn>,
) -> Result<AuditRow, LedgerError> {
    let seq = recorded.seq;
    let unreadable = |error: serde_json::Error| LedgerError::UnknownEntry { seq, what: error.to_string() };
    let mut detail = serde_json::to_value(&recorded.entry).map_err(unreadable)?;
    let mut kind = String::new();
    if let Some(members) = detail.as_object_mut() {
        if let Some(serde_json::Value::String(text)) = members.shift_remove("kind") {
            kind = text;
        }
        members.shift_remove("job");
    }
    let job = recorded.entry.job().cloned();
    let user = match &recorded.entry {
        entry if entry.user().is_some() => entry.user().cloned(),
        _ => job.as_ref().and_then(|job| users.get(job)).cloned(),
    };
    let upn = user.as_ref().and_then(|user| upns.get(user)).cloned();
    Ok(AuditRow {
        seq,
        at: recorded.at,
        bench: recorded.bench,
        kind,
        job,
        user,
        upn,
        detail: detail.to_string(),
        hash: BlobHash(recorded.hash),
    })
}
