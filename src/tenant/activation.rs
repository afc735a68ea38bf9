//! First use of the keys we provisioned: beta tells of each method when it was last used, the ledger keeps the first time we saw that.
//!
//! The sign-in log can't tell two keys of one person apart; `lastUsedDateTime` of the method's id can. It is the *last* use, so
//! what the ledger keeps as first is "used, at the latest, then".

use std::collections::HashMap;

use crate::graph::sign_ins::KeyUse;
use crate::ledger::{Append, Entry, JobFilter, Ledger, LedgerError, TenantEntry};
use crate::model::{JobId, JobStatus, MethodId, UserId};

/// A key of ours that is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Its job.
    pub job: JobId,
    /// Whose.
    pub user: UserId,
    /// Its id in Entra.
    pub method: MethodId,
    /// The first use that the ledger knows.
    pub used: Option<jiff::Timestamp>,
}

/// The finished, not revoked keys among these jobs, with what is known of their use.
///
/// # Errors
/// When the ledger can't be read.
pub fn delivered(ledger: &dyn Ledger, filter: &JobFilter) -> Result<Vec<Delivered>, LedgerError> {
    let mut found = Vec::new();
    for line in ledger.jobs(filter)? {
        if line.status != JobStatus::Finished {
            continue;
        }
        let (mut method, mut used) = (None, None);
        for recorded in ledger.entries_of(&line.job)? {
            match recorded.entry {
                // Another try is another key.
                Entry::AttemptStarted { .. } | Entry::Revoked { .. } => (method, used) = (None, None),
                Entry::Registered { method: id, .. } => method = Some(id),
                Entry::Tenant(TenantEntry::KeyUsed { at, .. }) => used = used.or(Some(at)),
                _ => {}
            }
        }
        if let Some(method) = method {
            found.push(Delivered { job: line.job, user: line.user, method, used });
        }
    }
    Ok(found)
}

/// What is to be written down: the keys whose use Entra tells of and the ledger doesn't know yet.
pub fn first_uses(keys: &[Delivered], seen: &HashMap<UserId, Vec<KeyUse>>) -> Vec<(JobId, jiff::Timestamp)> {
    keys.iter()
        .filter(|key| key.used.is_none())
        .filter_map(|key| {
            let method = seen.get(&key.user)?.iter().find(|method| method.method == key.method)?;
            Some((key.job.clone(), method.last_used?))
        })
        .collect()
}

/// Writes them down.
///
/// # Errors
/// When the ledger can't be written.
pub fn record(ledger: &dyn Ledger, uses: &[(JobId, jiff::Timestamp)]) -> Result<(), LedgerError> {
    if uses.is_empty() {
        return Ok(());
    }
    let entry =
        |(job, at): &(JobId, jiff::Timestamp)| Entry::Tenant(TenantEntry::KeyUsed { job: job.clone(), at: *at });
    ledger.append(Append::entries(uses.iter().map(entry))).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_written_down_once_and_for_the_right_key() {
        let at: jiff::Timestamp = "2026-09-02T08:15:00Z".parse().expect("a time");
        let key = |job: &str, method: &str, used| Delivered {
            job: JobId::new(job),
            user: UserId::new("kim"),
            method: MethodId::new(method),
            used,
        };
        let keys = [key("A", "m1", None), key("B", "m2", None), key("C", "m3", Some(at))];
        let seen = |method: &str, last_used| KeyUse { method: MethodId::new(method), name: None, last_used };
        let uses = vec![seen("m1", None), seen("m2", Some(at)), seen("m3", Some(at)), seen("other", Some(at))];
        let seen = HashMap::from([(UserId::new("kim"), uses)]);
        assert_eq!(first_uses(&keys, &seen), [(JobId::new("B"), at)]);
        assert_eq!(first_uses(&keys, &HashMap::new()), []);
    }
}
