//! Where every job stands. Pure: a projection of the entries, kept beside them so that a list of 100,000 jobs is one
//! read. `verify` derives it again and compares.

use jiff::Timestamp;

use super::Recorded;
use super::entry::{Act, Attempt, Entry, HandoverEntry, TenantEntry};
use crate::model::{BatchId, JobId, JobStatus, TenantId, UserId};

/// Where one job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobLine {
    /// The job.
    pub job: JobId,
    /// Tenant.
    pub tenant: TenantId,
    /// Whom for.
    pub user: UserId,
    /// Which of the person's keys, from 1.
    pub ordinal: u32,
    /// The batch that asked for it last.
    pub batch: BatchId,
    /// Where it stands.
    pub status: JobStatus,
    /// The last try; 0 before the first.
    pub attempt: Attempt,
    /// The last code of a refusal, failure, parking or undone act, if it still holds.
    pub code: Option<String>,
    /// A try was started and has neither failed nor finished: a key may hold its PIN.
    pub in_flight: bool,
    /// When the last entry about it was written.
    pub at: Timestamp,
    /// When its last key was first seen used, and not revoked since.
    pub used: Option<Timestamp>,
}

impl JobLine {
    fn stand(&mut self, status: JobStatus, code: Option<&str>) {
        self.status = status;
        self.code = code.map(str::to_owned);
    }
}

/// Which jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only those that this batch asked for last.
    pub batch: Option<BatchId>,
    /// Only this person's.
    pub user: Option<UserId>,
}

impl JobFilter {
    /// Every job.
    pub fn all() -> Self {
        Self::default()
    }

    /// One batch's.
    pub fn batch(batch: BatchId) -> Self {
        Self { batch: Some(batch), ..Self::default() }
    }

    pub(super) fn takes(&self, line: &JobLine) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| *tenant == line.tenant)
            && self.batch.as_ref().is_none_or(|batch| *batch == line.batch)
            && self.user.as_ref().is_none_or(|user| *user == line.user)
    }
}

/// The line after one more entry about its job. `None` stays `None` until the job is planned: an entry about a job that
/// nobody planned is refused before it gets here.
pub(super) fn advance(line: Option<JobLine>, recorded: &Recorded) -> Option<JobLine> {
    if let Entry::JobPlanned { job, tenant, user, ordinal, batch } = &recorded.entry {
        let adopted = line.map(|line| JobLine { batch: batch.clone(), at: recorded.at, ..line });
        return Some(adopted.unwrap_or_else(|| JobLine {
            job: job.clone(),
            tenant: tenant.clone(),
            user: user.clone(),
            ordinal: *ordinal,
            batch: batch.clone(),
            status: JobStatus::Waiting,
            attempt: 0,
            code: None,
            in_flight: false,
            at: recorded.at,
            used: None,
        }));
    }
    let mut line = line?;
    line.at = recorded.at;
    // What came home from another desk counts as what it is.
    match recorded.entry.act() {
        Entry::JobParked { code, .. } => line.stand(JobStatus::Parked, Some(code)),
        Entry::JobRefused { code, .. } => line.stand(JobStatus::Refused, Some(code)),
        // A try that was under way when the job was parked is still to be settled.
        Entry::JobResumed { .. } => {
            let status = if line.in_flight { JobStatus::Begun } else { JobStatus::Waiting };
            line.stand(status, None);
        }
        Entry::AttemptStarted { attempt, .. } => {
            line.attempt = *attempt;
            line.in_flight = true;
            // Another try is another key.
            line.used = None;
            line.stand(JobStatus::Begun, None);
        }
        Entry::AttemptFailed { code, .. } => {
            line.in_flight = false;
            line.stand(JobStatus::Failed, Some(code));
        }
        Entry::Finished { .. } => {
            line.in_flight = false;
            line.stand(JobStatus::Finished, None);
        }
        Entry::Handover(HandoverEntry::ReplacementWanted { attempt, .. }) if *attempt == line.attempt => {
            line.in_flight = false;
            line.stand(JobStatus::Waiting, None);
        }
        Entry::Handover(HandoverEntry::Held { .. }) => {
            line.in_flight = false;
            line.stand(JobStatus::Held, None);
        }
        Entry::Handover(HandoverEntry::HoldEnded { code, .. }) if line.status == JobStatus::Held => {
            line.in_flight = false;
            line.code = Some(code.clone());
        }
        // While it is not known whether the tenant has taken the record, nothing of it may be forgotten.
        Entry::Intent { act: Act::Register, .. } if line.status == JobStatus::Held => line.in_flight = true,
        Entry::ActUndone { act: Act::Register, code, .. } if line.status == JobStatus::Held => {
            line.in_flight = false;
            line.code = Some(code.clone());
        }
        Entry::ActUndone { code, .. } => line.code = Some(code.clone()),
        Entry::Revoked { .. } => line.used = None,
        Entry::Tenant(TenantEntry::KeyUsed { at, .. }) => line.used = line.used.or(Some(*at)),
        _ => {}
    }
    Some(line)
}

/// Until when a held key can be registered, after one more entry about its job; `None` once its hold has ended.
pub(super) fn hold_after(before: Option<Timestamp>, entry: &Entry) -> Option<Timestamp> {
    match entry.act() {
        Entry::Handover(HandoverEntry::Held { expires, .. }) => Some(*expires),
        Entry::Handover(HandoverEntry::HoldEnded { .. }) => None,
        _ => before,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Aaguid, BenchId, KeyRef, PortName};

    fn story(entries: Vec<Entry>) -> Option<JobLine> {
        entries.into_iter().enumerate().fold(None, |line, (index, entry)| {
            let at = Timestamp::from_second(1_800_000_000 + i64::try_from(index).expect("small")).expect("a time");
            advance(line, &Recorded { seq: 1, at, bench: BenchId::new("b"), entry, hash: [0; 32] })
        })
    }

    #[test]
    fn a_job_stands_where_its_last_entries_put_it() {
        let job = JobId::new("J");
        let planned = |batch: &str| Entry::JobPlanned {
            job: job.clone(),
            tenant: TenantId::new("t"),
            user: UserId::new("u"),
            ordinal: 1,
            batch: BatchId::new(batch),
        };
        let key =
            KeyRef { aaguid: Aaguid::ZERO, serial: None, firmware: None, model: None, port: PortName::new("1-1") };
        let begun = Entry::AttemptStarted { job: job.clone(), attempt: 2, key };
        let parked = Entry::JobParked { job: job.clone(), code: "left-roster".into() };
        let resumed = Entry::JobResumed { job: job.clone() };
        let status = |entries: Vec<Entry>| story(entries).map(|line| (line.status, line.code, line.in_flight));

        assert_eq!(status(vec![begun.clone()]), None, "nobody planned it");
        assert_eq!(status(vec![planned("a")]), Some((JobStatus::Waiting, None, false)));
        assert_eq!(
            status(vec![planned("a"), begun.clone(), parked.clone()]),
            Some((JobStatus::Parked, Some("left-roster".into()), true))
        );
        assert_eq!(
            status(vec![planned("a"), begun.clone(), parked.clone(), resumed.clone()]),
            Some((JobStatus::Begun, None, true))
        );
        assert_eq!(status(vec![planned("a"), parked, resumed]), Some((JobStatus::Waiting, None, false)));
        let failed = Entry::AttemptFailed { job: job.clone(), attempt: 2, code: "x".into(), pin_on_key: true };
        assert_eq!(
            status(vec![planned("a"), begun.clone(), failed]),
            Some((JobStatus::Failed, Some("x".into()), false))
        );
        let line = story(vec![planned("a"), begun, Entry::Finished { job: job.clone(), attempt: 2 }, planned("b")])
            .expect("a line");
        assert_eq!((line.status, line.batch.as_str(), line.attempt), (JobStatus::Finished, "b", 2));
    }

    #[test]
    fn a_use_counts_until_the_key_is_another_or_revoked() {
        let job = JobId::new("J");
        let time = |second| Timestamp::from_second(second).expect("a time");
        let used = |second| Entry::Tenant(TenantEntry::KeyUsed { job: job.clone(), at: time(second) });
        let planned = Entry::JobPlanned {
            job: job.clone(),
            tenant: TenantId::new("t"),
            user: UserId::new("u"),
            ordinal: 1,
            batch: BatchId::new("b"),
        };
        let key =
            KeyRef { aaguid: Aaguid::ZERO, serial: None, firmware: None, model: None, port: PortName::new("1-1") };
        let begun = Entry::AttemptStarted { job: job.clone(), attempt: 1, key };
        let revoked =
            Entry::Revoked { job: job.clone(), method: crate::model::MethodId::new("m"), reason: "lost".into() };
        let ends = |more: &[Entry]| {
            let all = [planned.clone(), begun.clone()].into_iter().chain(more.iter().cloned());
            story(all.collect()).expect("a line").used
        };
        assert_eq!(ends(&[]), None);
        assert_eq!(ends(&[used(1), used(2)]), Some(time(1)), "the first that was seen");
        assert_eq!(ends(&[used(1), revoked.clone()]), None);
        assert_eq!(ends(&[used(1), begun.clone()]), None);
        assert_eq!(ends(&[used(1), revoked, begun.clone(), used(3)]), Some(time(3)));
    }
}
