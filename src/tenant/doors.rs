//! Temporary Access Passes that are live as far as this ledger knows: open doors. Pure but for reading the ledger.
//!
//! A pass that somebody else issued, or that was used or deleted elsewhere, is not known here: `keybench tap list` asks the
//! tenant.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use jiff::{SignedDuration, Timestamp};

use crate::ledger::{Entry, Ledger, LedgerError, TenantEntry};
use crate::model::{MethodId, UserId};

/// A pass that may still work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenDoor {
    /// Whose account it opens.
    pub user: UserId,
    /// Its id.
    pub method: MethodId,
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// It works once.
    pub one_time: bool,
}

/// When a pass ends by itself.
pub fn end(starts: Timestamp, minutes: u32) -> Timestamp {
    starts.saturating_add(SignedDuration::from_mins(i64::from(minutes))).unwrap_or(Timestamp::MAX)
}

/// Passes issued from here that have neither ended, nor been deleted, nor replaced. One that starts later counts: its code is
/// out already.
///
/// # Errors
/// When the ledger can't be read.
pub fn open_doors(ledger: &dyn Ledger, now: Timestamp) -> Result<Vec<OpenDoor>, LedgerError> {
    // A person has one pass at a time: a later one replaces it.
    let mut doors: BTreeMap<UserId, OpenDoor> = BTreeMap::new();
    ledger.visit_jobless(&mut |recorded| {
        match recorded.entry {
            Entry::Tenant(TenantEntry::PassIssued { user, method, one_time, minutes, starts, .. }) => {
                let until = end(starts, minutes);
                doors.insert(user.clone(), OpenDoor { user, method, from: starts, until, one_time });
            }
            Entry::Tenant(TenantEntry::MethodRemoved { user, method, .. })
                if doors.get(&user).is_some_and(|door| door.method == method) =>
            {
                doors.remove(&user);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(doors.into_values().filter(|door| door.until > now).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::ledger::{Append, MemoryStore};
    use crate::model::{BenchId, TenantId};
    use crate::world::SystemClock;

    fn issued(user: &str, method: &str, starts: &str, minutes: u32) -> Entry {
        Entry::Tenant(TenantEntry::PassIssued {
            tenant: TenantId::new("t"),
            user: UserId::new(user),
            method: MethodId::new(method),
            one_time: true,
            minutes,
            starts: starts.parse().expect("a time"),
            identified: "in person: passport".into(),
            by: "op".into(),
            request: "r".into(),
        })
    }

    fn removed(user: &str, method: &str) -> Entry {
        Entry::Tenant(TenantEntry::MethodRemoved {
            tenant: TenantId::new("t"),
            user: UserId::new(user),
            method_kind: "temporaryAccessPass".into(),
            method: MethodId::new(method),
            reason: "swept".into(),
            by: "op".into(),
            request: "r".into(),
        })
    }

    #[test]
    fn only_what_may_still_work_is_open() {
        let ledger = MemoryStore::new().open(BenchId::new("bench"), Arc::new(SystemClock::new()));
        let noon = "2026-11-21T12:00:00Z";
        for entry in [
            issued("ended", "1", "2026-11-21T10:00:00Z", 60),
            issued("live", "2", "2026-11-21T11:30:00Z", 60),
            issued("later", "3", "2026-11-21T20:00:00Z", 60),
            issued("swept", "4", noon, 60),
            removed("swept", "4"),
            // Replaced: the second counts, and removing the first again changes nothing.
            issued("twice", "5", noon, 60),
            issued("twice", "6", noon, 60),
            removed("twice", "5"),
        ] {
            ledger.append(Append::entry(entry)).expect("kept");
        }
        let doors = open_doors(&ledger, noon.parse().expect("a time")).expect("read");
        let found: Vec<(&str, &str)> = doors.iter().map(|door| (door.user.as_str(), door.method.as_str())).collect();
        assert_eq!(found, [("later", "3"), ("live", "2"), ("twice", "6")]);
    }
}
