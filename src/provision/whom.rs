//! Who of the checked people gets a key now: what the tenant's policy, the ledger and the person at the bench have to say besides
//! the directory. Pure, but for the one question.
//!
//! Promise: whoever is taken out of the people here is among the refused, with the reason; and nobody is refused for a key that
//! they have already.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::plan::compare;
use super::policy::Known;
use crate::model::{BatchId, JobId, JobStatus, TenantId, UserId};
use crate::roster::CheckedRoster;
use crate::roster::check::{CheckedPerson, Refusal, RefusalCode};
use crate::roster::plan::{KnownJob, Plan, Renamed};
use crate::world::Operator;

/// People whom the passkey policy leaves out are refused like those whom the directory refuses.
pub fn refuse_by_policy(checked: &mut CheckedRoster, fido2: &Known, groups: &HashMap<UserId, BTreeSet<String>>) {
    let none = BTreeSet::new();
    refuse(checked, |_, CheckedPerson { person, .. }| {
        let objection = fido2.objection_to(&person.id, groups.get(&person.id).unwrap_or(&none))?;
        Some((RefusalCode::OutsidePolicy, format!("{objection}."), objection.remedy().to_owned()))
    });
}

/// The plan. A changed UPN is asked about: the same account under another name, or a mix-up in the roster? Without a yes these
/// people are refused, and the others go on.
pub fn plan_confirmed(
    checked: &mut CheckedRoster,
    (tenant, batch): (&TenantId, &BatchId),
    known: &[KnownJob],
    operator: &dyn Operator,
) -> Plan {
    let plan = compare(tenant, batch, checked, known);
    if plan.renamed.is_empty() || operator.confirm(&question(&plan.renamed), "renamed") {
        return plan;
    }
    let renamed: HashMap<usize, &Renamed> = plan.renamed.iter().map(|renamed| (renamed.person, renamed)).collect();
    refuse(checked, |number, _| {
        let Renamed { was, now, .. } = renamed.get(&number)?;
        let reason = format!(
            "{now} was called {was} when the job was planned, and nobody confirmed that this is the same person."
        );
        let next = "Check that it is, then run the same command at a terminal and type `renamed`.";
        Some((RefusalCode::RenamedUnconfirmed, reason, next.to_owned()))
    });
    compare(tenant, batch, checked, known)
}

/// So many names stand in a question.
const NAMED: usize = 10;

fn question(renamed: &[Renamed]) -> String {
    let mut names: Vec<String> =
        renamed.iter().take(NAMED).map(|renamed| format!("{} is now {}", renamed.was, renamed.now)).collect();
    if renamed.len() > NAMED {
        names.push(format!("and {} others", renamed.len() - NAMED));
    }
    format!(
        "The directory has renamed people since their jobs were planned: {}. A passkey does not follow a change of name. \
         Type `renamed` to go on under the new names; without it these people are left out",
        names.join("; ")
    )
}

/// Keys of refused people that were made before.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// All of them.
    pub keys: u64,
    /// Those that are held.
    pub held: u64,
}

/// Whoever is refused now and has a key of this roster already, from before: those keys count as made, and whoever misses none
/// is refused nothing.
pub fn count_what_is_served(checked: &mut CheckedRoster, tenant: &TenantId, known: &[KnownJob]) -> Served {
    let done: HashMap<&JobId, JobStatus> = served(known).map(|job| (&job.job, job.status)).collect();
    let mut all = Served::default();
    checked.refused.retain_mut(|refusal| {
        // A second row of a person asks for nothing that the first does not have.
        let Some(id) = refusal.id.as_ref().filter(|_| refusal.code != RefusalCode::Duplicate) else { return true };
        for ordinal in 1..=refusal.keys {
            if let Some(status) = done.get(&JobId::derive(tenant, id, ordinal)) {
                all.keys += 1;
                all.held += u64::from(*status == JobStatus::Held);
                refusal.keys -= 1;
            }
        }
        refusal.keys > 0
    });
    all
}

/// The job that a refusal is about, with its number among the person's: the first that has no key. A second row of a person is
/// about the job that the first row has. `None` where the directory does not know the person.
pub fn refused_job(tenant: &TenantId, refusal: &Refusal, done: &HashSet<&JobId>) -> Option<(JobId, u32)> {
    let id = refusal.id.as_ref()?;
    if refusal.code == RefusalCode::Duplicate {
        return Some((JobId::derive(tenant, id, 1), 1));
    }
    (1..=crate::roster::file::MOST_KEYS)
        .map(|ordinal| (JobId::derive(tenant, id, ordinal), ordinal))
        .find(|(job, _)| !done.contains(job))
}

/// Jobs whose key is made: finished, or held.
pub fn served(known: &[KnownJob]) -> impl Iterator<Item = &KnownJob> {
    known.iter().filter(|job| matches!(job.status, JobStatus::Finished | JobStatus::Held))
}

/// Moves people to the refused, in the roster's order.
fn refuse(
    checked: &mut CheckedRoster,
    mut objection: impl FnMut(usize, &CheckedPerson) -> Option<(RefusalCode, String, String)>,
) {
    let before = checked.refused.len();
    let mut kept = Vec::with_capacity(checked.people.len());
    for (number, person) in checked.people.drain(..).enumerate() {
        match objection(number, &person) {
            None => kept.push(person),
            Some((code, reason, next)) => checked.refused.push(Refusal {
                line: person.line,
                upn: person.person.upn,
                id: Some(person.person.id),
                keys: person.keys,
                code,
                reason,
                next,
            }),
        }
    }
    checked.people = kept;
    if checked.refused.len() > before {
        checked.refused.sort_by_key(|refusal| refusal.line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Person, Upn};
    use crate::roster::plan::batch_of;

    struct Says(bool);

    impl Operator for Says {
        fn confirm_unless(&self, question: &str, word: &str, _: &dyn Fn() -> bool) -> bool {
            assert!(question.contains("ann@contoso.com is now ann.lee@contoso.com") && word == "renamed", "{question}");
            self.0
        }
        fn tell(&self, _: &str) {}
        fn is_present(&self) -> bool {
            self.0
        }
    }

    fn tenant() -> TenantId {
        TenantId::new("72f988bf-86f1-41af-91ab-2d7cd011db47")
    }

    fn upn(text: &str) -> Upn {
        Upn::parse(&format!("{text}@contoso.com")).expect("a UPN")
    }

    fn person(line: u32, id: &str, name: &str) -> CheckedPerson {
        let person = Person::new(UserId::new(id), upn(name), name.to_owned());
        CheckedPerson { line: Some(line), person, keys: 1, force_change: true }
    }

    fn known(id: &str, ordinal: u32, status: JobStatus, name: &str) -> KnownJob {
        let job = JobId::derive(&tenant(), &UserId::new(id), ordinal);
        let batch = batch_of(&tenant(), "/bench/people.csv");
        KnownJob { job, user: UserId::new(id), upn: Some(upn(name)), batch, status }
    }

    fn refusal(line: u32, id: &str, keys: u32, code: RefusalCode) -> Refusal {
        let (reason, next) = (String::new(), String::new());
        Refusal { line: Some(line), upn: upn(id), id: Some(UserId::new(id)), keys, code, reason, next }
    }

    #[test]
    fn whoever_nobody_confirms_is_left_out_and_the_others_go_on() {
        let batch = batch_of(&tenant(), "/bench/people.csv");
        let before = CheckedRoster {
            people: vec![person(2, "a", "ann.lee"), person(3, "b", "bob")],
            refused: vec![refusal(4, "g", 1, RefusalCode::Guest)],
            warnings: Vec::new(),
        };
        let known = [known("a", 1, JobStatus::Waiting, "ann"), known("b", 1, JobStatus::Begun, "bob")];

        let mut checked = before.clone();
        let plan = plan_confirmed(&mut checked, (&tenant(), &batch), &known, &Says(true));
        assert_eq!((plan.jobs.len(), plan.park.len()), (2, 0));
        assert_eq!(checked, before);

        let plan = plan_confirmed(&mut checked, (&tenant(), &batch), &known, &Says(false));
        assert_eq!(plan.jobs.iter().map(|job| &job.job).collect::<Vec<_>>(), [&known[1].job]);
        assert!(plan.park.is_empty() && plan.renamed.is_empty(), "refused, not gone from the roster: {plan:?}");
        let told: Vec<(Option<u32>, RefusalCode)> = checked.refused.iter().map(|one| (one.line, one.code)).collect();
        assert_eq!(told, [(Some(2), RefusalCode::RenamedUnconfirmed), (Some(4), RefusalCode::Guest)]);
        assert!(checked.refused[0].reason.contains("was called ann@contoso.com"), "{:?}", checked.refused[0]);
    }

    #[test]
    fn nobody_is_refused_for_a_key_that_they_have() {
        let known = [
            known("a", 1, JobStatus::Finished, "a"),
            known("b", 1, JobStatus::Held, "b"),
            known("c", 1, JobStatus::Waiting, "c"),
        ];
        let mut checked = CheckedRoster {
            refused: vec![
                refusal(2, "a", 1, RefusalCode::Disabled),
                refusal(3, "b", 3, RefusalCode::Privileged),
                refusal(4, "c", 1, RefusalCode::Disabled),
                refusal(5, "a", 1, RefusalCode::Duplicate),
            ],
            ..CheckedRoster::default()
        };
        assert_eq!(count_what_is_served(&mut checked, &tenant(), &known), Served { keys: 2, held: 1 });
        let left: Vec<(Option<u32>, u32)> = checked.refused.iter().map(|one| (one.line, one.keys)).collect();
        assert_eq!(left, [(Some(3), 2), (Some(4), 1), (Some(5), 1)]);

        let done: HashSet<&JobId> = served(&known).map(|job| &job.job).collect();
        let of = |at: usize| refused_job(&tenant(), &checked.refused[at], &done).map(|(_, ordinal)| ordinal);
        assert_eq!([of(0), of(1)], [Some(2), Some(1)], "what is made stays as it is");
        assert_eq!(of(2), Some(1), "a second row asks for no second key");
    }
}
