//! What a run has to do: the checked roster against the jobs that the ledger knows. Pure.
//!
//! A job is tenant + person + ordinal, so the same roster finds its jobs again. Only jobs of the same batch are parked
//! when their person has left the roster: another file's people are none of this one's business.

use std::collections::{BTreeMap, HashMap, HashSet};

use sha2::{Digest as _, Sha256};

use super::check::CheckedPerson;
use crate::model::{BatchId, JobId, JobStatus, TenantId, Upn, UserId};

/// The batch that a roster file or a group belongs to: the same each time the same file (or group) of the same tenant is
/// run, whatever was changed in it. `source` is the file's full path, or the group's object id.
pub fn batch_of(tenant: &TenantId, source: &str) -> BatchId {
    let mut hash = Sha256::new();
    for part in [tenant.as_str(), source] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    BatchId::new(digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// A job as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownJob {
    /// The job.
    pub job: JobId,
    /// Whom for.
    pub user: UserId,
    /// The name the person had when it was planned; `None` once it was forgotten.
    pub upn: Option<Upn>,
    /// The batch that asked for it first.
    pub batch: BatchId,
    /// How far it got.
    pub status: JobStatus,
}

/// What becomes of one wanted key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// No job yet: plan one.
    New,
    /// Waiting or begun: go on.
    Adopt,
    /// Parked, refused or failed before: take it up again.
    Resume,
    /// Finished in an earlier run.
    Already,
}

/// One wanted key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedJob {
    /// The job.
    pub job: JobId,
    /// Index into the checked people.
    pub person: usize,
    /// Which of the person's keys, from 1.
    pub ordinal: u32,
    /// What becomes of it.
    pub disposition: Disposition,
}

/// A job whose person is no longer asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToPark {
    /// The job.
    pub job: JobId,
    /// The person's last known name.
    pub upn: Option<Upn>,
    /// A key has been begun: it may hold a PIN and a credential that the ledger will settle when the job is resumed.
    pub begun: bool,
}

/// The same account under another name since the job was planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// Index into the checked people.
    pub person: usize,
    /// The name in the ledger.
    pub was: Upn,
    /// The name now.
    pub now: Upn,
}

/// What a run has to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Every wanted key, in the roster's order; a person's keys follow each other.
    pub jobs: Vec<PlannedJob>,
    /// To be parked, code `left-roster`.
    pub park: Vec<ToPark>,
    /// To be asked about before anything is done for these people.
    pub renamed: Vec<Renamed>,
}

impl Plan {
    /// How many jobs have this disposition.
    pub fn count(&self, disposition: Disposition) -> usize {
        self.jobs.iter().filter(|job| job.disposition == disposition).count()
    }
}

/// Compares. `refused` are people who are on the roster and can't have a key now: their open jobs are not parked as
/// "left the roster", they are the caller's to refuse.
pub fn plan(
    tenant: &TenantId,
    batch: &BatchId,
    people: &[CheckedPerson],
    refused: &HashSet<UserId>,
    known: &[KnownJob],
) -> Plan {
    let by_id: HashMap<&JobId, &KnownJob> = known.iter().map(|job| (&job.job, job)).collect();
    let mut plan = Plan::default();
    let mut wanted: HashSet<JobId> = HashSet::new();
    for (index, checked) in people.iter().enumerate() {
        let mut was: Option<&Upn> = None;
        for ordinal in 1..=checked.keys {
            let job = JobId::derive(tenant, &checked.person.id, ordinal);
            let earlier = by_id.get(&job);
            let disposition = match earlier.map(|job| job.status) {
                None => Disposition::New,
                Some(JobStatus::Waiting | JobStatus::Begun) => Disposition::Adopt,
                Some(JobStatus::Parked | JobStatus::Refused | JobStatus::Failed) => Disposition::Resume,
                Some(JobStatus::Finished | JobStatus::Held) => Disposition::Already,
            };
            // A finished key is with the person; only what is still to be done is worth the question.
            if disposition != Disposition::Already
                && let Some(name) = earlier.and_then(|job| job.upn.as_ref())
                && *name != checked.person.upn
            {
                was = Some(name);
            }
            wanted.insert(job.clone());
            plan.jobs.push(PlannedJob { job, person: index, ordinal, disposition });
        }
        if let Some(was) = was {
            plan.renamed.push(Renamed { person: index, was: was.clone(), now: checked.person.upn.clone() });
        }
    }
    let left: BTreeMap<&JobId, &KnownJob> = known
        .iter()
        .filter(|job| {
            job.batch == *batch
                && matches!(job.status, JobStatus::Waiting | JobStatus::Begun)
                && !wanted.contains(&job.job)
                && !refused.contains(&job.user)
        })
        .map(|job| (&job.job, job))
        .collect();
    plan.park = left
        .into_values()
        .map(|job| ToPark { job: job.job.clone(), upn: job.upn.clone(), begun: job.status == JobStatus::Begun })
        .collect();
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Person;

    fn tenant() -> TenantId {
        TenantId::new("72f988bf-86f1-41af-91ab-2d7cd011db47")
    }

    fn batch() -> BatchId {
        batch_of(&tenant(), "/bench/people.csv")
    }

    fn person(name: &str, keys: u32) -> CheckedPerson {
        CheckedPerson {
            line: None,
            person: Person::new(
                UserId::new(format!("id-{name}")),
                Upn::parse(&format!("{name}@contoso.com")).expect("a UPN"),
                name.to_owned(),
            ),
            keys,
            force_change: true,
        }
    }

    fn known(name: &str, ordinal: u32, status: JobStatus) -> KnownJob {
        let user = UserId::new(format!("id-{name}"));
        KnownJob {
            job: JobId::derive(&tenant(), &user, ordinal),
            user,
            upn: Upn::parse(&format!("{name}@contoso.com")),
            batch: batch(),
            status,
        }
    }

    fn plan_for(people: &[CheckedPerson], known: &[KnownJob]) -> Plan {
        plan(&tenant(), &batch(), people, &HashSet::new(), known)
    }

    #[test]
    fn each_wanted_key_finds_its_job() {
        use JobStatus::{Begun, Failed, Finished, Parked, Refused, Waiting};
        let people = [
            person("ann", 2),
            person("bob", 1),
            person("cyd", 1),
            person("dee", 1),
            person("eve", 1),
            person("fay", 1),
        ];
        let known = [
            known("ann", 1, Finished),
            known("bob", 1, Waiting),
            known("cyd", 1, Begun),
            known("dee", 1, Parked),
            known("eve", 1, Failed),
            known("fay", 1, Refused),
        ];
        let plan = plan_for(&people, &known);
        let found: Vec<Disposition> = plan.jobs.iter().map(|job| job.disposition).collect();
        use Disposition::{Adopt, Already, New, Resume};
        assert_eq!(found, [Already, New, Adopt, Adopt, Resume, Resume, Resume]);
        assert_eq!((plan.park.len(), plan.renamed.len(), plan.count(Resume)), (0, 0, 3));
        assert_eq!(plan.jobs.iter().map(|job| job.ordinal).take(3).collect::<Vec<_>>(), [1, 2, 1]);
    }

    #[test]
    fn who_left_the_roster_is_parked_and_others_are_not() {
        let mut elsewhere = known("zoe", 1, JobStatus::Waiting);
        elsewhere.batch = batch_of(&tenant(), "/bench/other.csv");
        let jobs = [
            known("ann", 1, JobStatus::Waiting),
            known("ann", 2, JobStatus::Begun),
            known("bob", 1, JobStatus::Waiting),
            known("cyd", 1, JobStatus::Finished),
            known("dee", 1, JobStatus::Waiting),
            elsewhere,
        ];
        let refused = HashSet::from([UserId::new("id-dee")]);
        // Ann now gets one key instead of two; Bob and Cyd are gone; Dee is refused.
        let plan = plan(&tenant(), &batch(), &[person("ann", 1)], &refused, &jobs);
        let mut parked: Vec<(&JobId, bool)> = plan.park.iter().map(|job| (&job.job, job.begun)).collect();
        parked.sort_unstable();
        let mut wanted = vec![(&jobs[1].job, true), (&jobs[2].job, false)];
        wanted.sort_unstable();
        assert_eq!(parked, wanted);
    }

    #[test]
    fn a_changed_name_is_asked_about_while_a_key_is_due() {
        let mut renamed = person("ann", 1);
        renamed.person.upn = Upn::parse("ann.lee@contoso.com").expect("a UPN");
        let open = plan_for(&[renamed.clone()], &[known("ann", 1, JobStatus::Waiting)]);
        assert_eq!(open.renamed[0].was.as_str(), "ann@contoso.com");
        assert_eq!(open.renamed[0].now.as_str(), "ann.lee@contoso.com");
        let finished = plan_for(&[renamed], &[known("ann", 1, JobStatus::Finished)]);
        assert!(finished.renamed.is_empty());
    }

    #[test]
    fn a_batch_is_its_source_in_its_tenant() {
        assert_eq!(batch(), batch());
        assert_ne!(batch(), batch_of(&tenant(), "/bench/people2.csv"));
        assert_ne!(batch(), batch_of(&TenantId::new("other"), "/bench/people.csv"));
    }
}
