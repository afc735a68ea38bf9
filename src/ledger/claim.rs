//! A bench's hold on a job: it expires, and it is fenced.
//!
//! The fence is a number that grows with each claim of the job. A bench that slept through its claim's end and wakes up
//! later holds an older number, and the ledger takes nothing from it.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::{BenchId, JobId};

/// How long a claim lasts when its bench is never heard of again. Longer than the longest journey of one key (minutes),
/// shorter than a lunch break after which another bench should be able to help out.
pub const LASTS: Duration = Duration::from_secs(30 * 60);

/// A hold on a job. Only the ledger makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    job: JobId,
    fence: u64,
    expires: Timestamp,
}

impl Claim {
    pub(in crate::ledger) fn new(job: JobId, fence: u64, expires: Timestamp) -> Self {
        Self { job, fence, expires }
    }

    /// The job.
    pub fn job(&self) -> &JobId {
        &self.job
    }

    /// Grows with each claim of this job.
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// After this another bench may take the job.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
}

/// The hold on a job as a backend keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hold {
    pub fence: u64,
    pub bench: BenchId,
    /// Which opening of the ledger took it.
    pub session: String,
    pub expires: Timestamp,
    pub released: bool,
}

/// What the name of a desk's session begins with.
pub(super) const DESK: &str = "desk-";

impl Hold {
    /// Whether a desk took it, and no bench.
    pub(super) fn is_a_desks(&self) -> bool {
        self.session.starts_with(DESK)
    }
}

/// What to do when a job is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// This process holds it and has time enough.
    Keep(Claim),
    /// Take it under this fence.
    Take(Claim),
    /// Another bench has it.
    Leave { bench: BenchId, expires: Timestamp },
}

/// Pure: who gets the job? `lives` tells of another session of this bench's name that holds it: one that is dead loses it at
/// once.
pub(super) fn decide(
    job: &JobId,
    hold: Option<&Hold>,
    (bench, session): (&BenchId, &str),
    now: Timestamp,
    lives: bool,
) -> Decision {
    // A clock at the end of time makes a claim that is over at once, which is safe.
    let expires = now.checked_add(LASTS).unwrap_or(now);
    let Some(hold) = hold else {
        return Decision::Take(Claim::new(job.clone(), 1, expires));
    };
    if !hold.released && hold.expires > now {
        if hold.bench != *bench || (lives && hold.session != session) {
            return Decision::Leave { bench: hold.bench.clone(), expires: hold.expires };
        }
        let enough = now.checked_add(LASTS / 2).is_ok_and(|half| hold.expires > half);
        if hold.session == session && enough {
            return Decision::Keep(Claim::new(job.clone(), hold.fence, hold.expires));
        }
    }
    Decision::Take(Claim::new(job.clone(), hold.fence.saturating_add(1), expires))
}

/// Pure: is this claim still the last one? One that expired and that nobody took since is.
pub(super) fn holds(claim: &Claim, hold: Option<&Hold>, bench: &BenchId, session: &str) -> bool {
    hold.is_some_and(|hold| {
        hold.fence == claim.fence && hold.bench == *bench && hold.session == session && !hold.released
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    fn hold(bench: &str, session: &str, expires: Timestamp) -> Hold {
        Hold { fence: 7, bench: BenchId::new(bench), session: session.to_owned(), expires, released: false }
    }

    #[test]
    fn who_gets_a_job() {
        let job = JobId::new("J");
        let us = BenchId::new("us");
        let ask = |hold: Option<Hold>| decide(&job, hold.as_ref(), (&us, "now"), at(0), false);
        let fence = |decision| match decision {
            Decision::Take(claim) => Some(claim.fence),
            _ => None,
        };
        assert_eq!(fence(ask(None)), Some(1));
        assert_eq!(fence(ask(Some(hold("us", "dead", at(1000))))), Some(8), "our dead process's claim is retaken");
        assert_eq!(fence(ask(Some(hold("us", "now", at(60))))), Some(8), "renewed when little time is left");
        assert_eq!(fence(ask(Some(hold("them", "x", at(0))))), Some(8), "expired");
        let left = Hold { released: true, ..hold("them", "x", at(1000)) };
        assert_eq!(fence(ask(Some(left))), Some(8), "released");
        assert!(matches!(ask(Some(hold("us", "now", at(1700)))), Decision::Keep(claim) if claim.fence == 7));
        assert!(matches!(ask(Some(hold("them", "x", at(1)))), Decision::Leave { .. }));
        let beside = |session| decide(&job, Some(&hold("us", session, at(1700))), (&us, "now"), at(0), true);
        assert!(matches!(beside("desk-1"), Decision::Leave { .. }), "a desk of ours that lives keeps it");
        assert!(matches!(beside("now"), Decision::Keep(_)));
    }

    #[test]
    fn an_older_fence_is_void() {
        let us = BenchId::new("us");
        let claim = Claim::new(JobId::new("J"), 7, at(0));
        assert!(holds(&claim, Some(&hold("us", "now", at(-5))), &us, "now"), "expired, but nobody took it");
        assert!(!holds(&claim, Some(&Hold { fence: 8, ..hold("us", "now", at(9)) }), &us, "now"));
        assert!(!holds(&claim, Some(&hold("them", "now", at(9))), &us, "now"));
        assert!(!holds(&claim, None, &us, "now"));
    }
}
