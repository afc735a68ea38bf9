//! Entra's audit log and the ledger, paired both ways: passkeys that were added or deleted and that no ledger knows, and what the
//! ledger says and the log does not show.
//!
//! What one of them can't know is no difference: what is older than the log goes back, what is too new to be in it, and a
//! registration whose outcome the ledger itself calls unknown. Times need not agree to the second: the ledger has the bench's clock.
//! Exception: two passkeys of one model for one person within the same minutes can be told apart by nobody, and any two of them
//! pair.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::graph::directory_audits::{PasskeyAct, PasskeyRow, Source};
use crate::ledger::{Act, Entry, Ledger, LedgerError, TenantEntry};
use crate::model::{Aaguid, JobId, UserId};

/// How far clocks may differ, and how long a call may take.
const SLACK: SignedDuration = SignedDuration::from_mins(10);
/// The two services' rows about one passkey are this close.
const TOGETHER: SignedDuration = SignedDuration::from_mins(2);
/// Rows may appear so late.
pub const LAG: SignedDuration = SignedDuration::from_mins(60);

/// A passkey added or deleted, as Entra tells it; both services' rows in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// When.
    pub at: Timestamp,
    /// What.
    pub act: PasskeyAct,
    /// Whose; `None` where the log tells a name that the ledger doesn't know.
    pub user: Option<UserId>,
    /// Their name, as the log tells it.
    pub upn: Option<String>,
    /// Who did it.
    pub by: Option<String>,
    /// The person did it themself.
    pub themself: bool,
    /// The key's model, where it is told.
    pub aaguid: Option<Aaguid>,
}

/// The same, as the ledger tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// When we began.
    pub from: Timestamp,
    /// When we knew that it was done.
    pub to: Timestamp,
    /// What.
    pub act: PasskeyAct,
    /// Whose.
    pub user: UserId,
    /// The job, where it is about one.
    pub job: Option<JobId>,
    /// The key's model, where it is known.
    pub aaguid: Option<Aaguid>,
    /// It surely happened. What may have happened (a call whose answer was lost) explains a row and need not have one.
    pub certain: bool,
}

/// What came of pairing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paired {
    /// How many belong together.
    pub pairs: usize,
    /// In Entra's log, and in no ledger.
    pub strangers: Vec<Seen>,
    /// In the ledger, and not in Entra's log, which should show it.
    pub missing: Vec<Known>,
    /// In the ledger, and too new to be missed yet.
    pub pending: Vec<Known>,
    /// In the ledger, from before the log goes back.
    pub older: usize,
}

/// Everything the ledger knows of passkeys added and deleted. One pass.
///
/// # Errors
/// When the ledger can't be read.
pub fn known(ledger: &dyn Ledger) -> Result<Vec<Known>, LedgerError> {
    let mut teller = Teller::default();
    ledger.visit(1, &mut |recorded| {
        teller.take(recorded.at, recorded.entry);
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(teller.finish())
}

#[derive(Default)]
struct Teller {
    users: HashMap<JobId, UserId>,
    models: HashMap<JobId, Aaguid>,
    /// Calls that were begun.
    begun: HashMap<(JobId, PasskeyAct), Timestamp>,
    known: Vec<Known>,
}

impl Teller {
    fn take(&mut self, at: Timestamp, entry: Entry) {
        match entry {
            Entry::JobPlanned { job, user, .. } => drop(self.users.insert(job, user)),
            Entry::AttemptStarted { job, key, .. } => {
                self.uncertain(&job, PasskeyAct::Added);
                self.models.insert(job, key.aaguid);
            }
            Entry::Intent { job, act: Act::Register, .. } => {
                self.begun.entry((job, PasskeyAct::Added)).or_insert(at);
            }
            Entry::Intent { job, act: Act::DeleteMethod, .. } => {
                self.begun.entry((job, PasskeyAct::Deleted)).or_insert(at);
            }
            Entry::Registered { job, .. } => self.done(&job, PasskeyAct::Added, at, true),
            // The method may have been gone already, deleted by somebody else: then theirs is the row.
            Entry::MethodDeleted { job, .. } | Entry::Revoked { job, .. } => {
                self.done(&job, PasskeyAct::Deleted, at, true);
            }
            Entry::Unwatched { job, deleted: Some(_), .. } => self.done(&job, PasskeyAct::Deleted, at, true),
            Entry::Tenant(TenantEntry::MethodRemoved { user, method_kind, .. })
                if method_kind.eq_ignore_ascii_case("passkey") || method_kind.eq_ignore_ascii_case("fido2") =>
            {
                let act = PasskeyAct::Deleted;
                self.known.push(Known { from: at, to: at, act, user, job: None, aaguid: None, certain: true });
            }
            _ => {}
        }
    }

    fn done(&mut self, job: &JobId, act: PasskeyAct, at: Timestamp, certain: bool) {
        let from = self.begun.remove(&(job.clone(), act)).unwrap_or(at);
        let Some(user) = self.users.get(job).cloned() else { return };
        let aaguid = self.models.get(job).copied();
        self.known.push(Known { from, to: at, act, user, job: Some(job.clone()), aaguid, certain });
    }

    /// A call was begun and its end is not known.
    fn uncertain(&mut self, job: &JobId, act: PasskeyAct) {
        if let Some(from) = self.begun.get(&(job.clone(), act)).copied() {
            self.done(job, act, from.saturating_add(SLACK).unwrap_or(from), false);
        }
    }

    fn finish(mut self) -> Vec<Known> {
        let open: Vec<(JobId, PasskeyAct)> = self.begun.keys().cloned().collect();
        for (job, act) in open {
            self.uncertain(&job, act);
        }
        self.known.sort_by_key(|one| one.to);
        self.known
    }
}

/// Puts the rows of the two services together. `names` are the people that the ledger knows, by user principal name in small
/// letters.
pub fn fold(rows: Vec<PasskeyRow>, names: &HashMap<String, UserId>) -> Vec<Seen> {
    let (mut methods, mut devices): (Vec<PasskeyRow>, Vec<PasskeyRow>) =
        rows.into_iter().partition(|row| row.source == Source::Methods);
    // The log itself tells which name is whose.
    let mut names = names.clone();
    for row in &methods {
        if let (Some(user), Some(upn)) = (&row.user, &row.upn) {
            names.entry(upn.to_lowercase()).or_insert_with(|| user.clone());
        }
    }
    let whose = |row: &PasskeyRow| {
        row.user.clone().or_else(|| row.upn.as_ref().and_then(|upn| names.get(&upn.to_lowercase())).cloned())
    };
    methods.sort_by_key(|row| row.at);
    devices.sort_by_key(|row| row.at);
    let mut seen = Vec::new();
    for row in methods {
        let near = devices
            .iter()
            .enumerate()
            .filter(|(_, other)| other.act == row.act && whose(other) == whose(&row) && whose(&row).is_some())
            .map(|(index, other)| (other.at.duration_since(row.at).abs(), index))
            .filter(|(apart, _)| *apart <= TOGETHER)
            .min();
        let other = near.map(|(_, index)| devices.remove(index));
        seen.push(Seen {
            at: row.at,
            act: row.act,
            user: whose(&row),
            themself: row.themself,
            aaguid: other.and_then(|other| other.aaguid).or(row.aaguid),
            upn: row.upn,
            by: row.by,
        });
    }
    seen.extend(devices.into_iter().map(|row| Seen {
        at: row.at,
        act: row.act,
        user: whose(&row),
        themself: row.themself,
        aaguid: row.aaguid,
        upn: row.upn,
        by: row.by,
    }));
    seen.sort_by_key(|one| one.at);
    seen
}

/// Pairs both. `since`: how far back the log was read; `now`: when.
pub fn pair(known: &[Known], seen: Vec<Seen>, since: Timestamp, now: Timestamp) -> Paired {
    let mut paired = Paired::default();
    let mut taken = vec![false; known.len()];
    for one in seen {
        let best = known
            .iter()
            .enumerate()
            .filter(|(index, known)| !taken.get(*index).copied().unwrap_or(true) && fits(known, &one))
            // What surely happened goes first, then what is nearest.
            .min_by_key(|(_, known)| (!known.certain, known.to.duration_since(one.at).abs()));
        match best {
            Some((index, _)) => {
                if let Some(slot) = taken.get_mut(index) {
                    *slot = true;
                }
                paired.pairs += 1;
            }
            None => paired.strangers.push(one),
        }
    }
    let since = since.saturating_add(SLACK).unwrap_or(since);
    let settled = now.saturating_sub(LAG).unwrap_or(now);
    for (one, taken) in known.iter().zip(taken) {
        if one.from < since {
            paired.older += usize::from(!taken && one.certain);
        } else if !taken && one.certain {
            if one.to > settled { paired.pending.push(one.clone()) } else { paired.missing.push(one.clone()) }
        }
    }
    paired
}

fn fits(known: &Known, seen: &Seen) -> bool {
    let from = known.from.saturating_sub(SLACK).unwrap_or(known.from);
    let to = known.to.saturating_add(SLACK).unwrap_or(known.to);
    known.act == seen.act
        && seen.user.as_ref().is_some_and(|user| user.as_str().eq_ignore_ascii_case(known.user.as_str()))
        && (from..=to).contains(&seen.at)
        && match (known.aaguid, seen.aaguid) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MethodId;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minute).expect("a time")
    }

    fn row(id: &str, minute: i64, act: PasskeyAct, source: Source, upn: &str) -> PasskeyRow {
        let user = (source == Source::Methods).then(|| UserId::new(format!("id-{upn}")));
        let aaguid = (source == Source::Devices).then_some(Aaguid([7; 16]));
        let (upn, by) = (Some(upn.to_owned()), Some("bench".to_owned()));
        PasskeyRow { id: id.to_owned(), at: at(minute), act, source, user, upn, by, themself: false, aaguid }
    }

    fn both(minute: i64, act: PasskeyAct, upn: &str) -> Vec<PasskeyRow> {
        vec![row("m", minute, act, Source::Methods, upn), row("d", minute, act, Source::Devices, &upn.to_uppercase())]
    }

    fn ours(minute: i64, upn: &str, certain: bool) -> Known {
        Known {
            from: at(minute),
            to: at(minute),
            act: PasskeyAct::Added,
            user: UserId::new(format!("id-{upn}")),
            job: Some(JobId::new("J")),
            aaguid: Some(Aaguid([7; 16])),
            certain,
        }
    }

    #[test]
    fn the_rows_of_two_services_are_one() {
        let rows = [
            both(0, PasskeyAct::Added, "kim"),
            both(1, PasskeyAct::Deleted, "kim"),
            both(60, PasskeyAct::Added, "kim"),
        ];
        let seen = fold(rows.concat(), &HashMap::new());
        assert_eq!(seen.len(), 3);
        assert!(seen.iter().all(|one| one.aaguid.is_some() && one.user == Some(UserId::new("id-kim"))));
        // A row of the device service alone is a passkey too, whoever's it is.
        let alone = fold(vec![row("d", 0, PasskeyAct::Added, Source::Devices, "lee")], &HashMap::new());
        assert_eq!((alone.len(), alone[0].user.clone()), (1, None));
        let known = HashMap::from([("lee".to_owned(), UserId::new("id-lee"))]);
        let alone = fold(vec![row("d", 0, PasskeyAct::Added, Source::Devices, "LEE")], &known);
        assert_eq!(alone[0].user, Some(UserId::new("id-lee")));
    }

    #[test]
    fn what_either_side_alone_knows_is_named() {
        let rows = [both(100, PasskeyAct::Added, "kim"), both(101, PasskeyAct::Added, "eve")];
        let seen = fold(rows.concat(), &HashMap::new());
        let known = [
            ours(1, "old", true),
            ours(99, "kim", true),
            ours(110, "sam", true),
            ours(111, "lost", false),
            ours(995, "new", true),
        ];
        let paired = pair(&known, seen, at(50), at(1000));
        assert_eq!(paired.pairs, 1);
        assert_eq!(paired.strangers.iter().map(|one| one.upn.as_deref()).collect::<Vec<_>>(), [Some("eve")]);
        assert_eq!(paired.missing, [ours(110, "sam", true)]);
        assert_eq!(paired.pending, [ours(995, "new", true)]);
        assert_eq!(paired.older, 1);
        // Another model, or much later, is another passkey.
        let seen = fold(both(100, PasskeyAct::Added, "kim"), &HashMap::new());
        let other = Known { aaguid: Some(Aaguid([8; 16])), ..ours(100, "kim", true) };
        for known in [other, ours(130, "kim", true)] {
            assert_eq!(pair(&[known], seen.clone(), at(0), at(1000)).strangers.len(), 1);
        }
    }

    #[test]
    fn the_ledger_tells_what_was_done_and_what_may_have_been() {
        let (job, user) = (JobId::new("J"), UserId::new("u"));
        let planned = Entry::JobPlanned {
            job: job.clone(),
            tenant: crate::model::TenantId::new("t"),
            user,
            ordinal: 1,
            batch: crate::model::BatchId::new("b"),
        };
        let intent = |act| Entry::Intent { job: job.clone(), attempt: 1, act };
        let method = MethodId::new("m");
        let mut teller = Teller::default();
        for (minute, entry) in [
            (0, planned),
            (1, intent(Act::Register)),
            (2, Entry::Registered { job: job.clone(), attempt: 1, method: method.clone(), found: false }),
            (5, intent(Act::DeleteMethod)),
            (6, Entry::MethodDeleted { job: job.clone(), attempt: 1, method }),
            (9, intent(Act::Register)),
        ] {
            teller.take(at(minute), entry);
        }
        let told: Vec<(Timestamp, PasskeyAct, bool)> =
            teller.finish().into_iter().map(|one| (one.from, one.act, one.certain)).collect();
        assert_eq!(
            told,
            [(at(1), PasskeyAct::Added, true), (at(5), PasskeyAct::Deleted, true), (at(9), PasskeyAct::Added, false)]
        );
    }
}
