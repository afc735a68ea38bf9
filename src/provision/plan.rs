//! From checked people to jobs in the ledger, and from the ledger to a queue.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use super::ProvisionError;
use super::whom::{refused_job, served};
use crate::ledger::{Append, Entry, JobFilter, Ledger};
use crate::model::{BatchId, JobId, Person, TenantId, Upn, UserId};
use crate::pipeline::queue::{Queue, Slot};
use crate::pipeline::recover::apply;
use crate::pipeline::state::State;
use crate::roster::CheckedRoster;
use crate::roster::check::CheckedPerson;
use crate::roster::plan::{Disposition, KnownJob, Plan, plan};

/// What the ledger already knows of this tenant's jobs.
///
/// # Errors
/// When it can't be read.
pub fn known(ledger: &dyn Ledger, tenant: &TenantId) -> Result<Vec<KnownJob>, ProvisionError> {
    let names: HashMap<UserId, Upn> = ledger.people()?.into_iter().map(|person| (person.id, person.upn)).collect();
    let lines = ledger.jobs(&JobFilter { tenant: Some(tenant.clone()), ..JobFilter::all() })?;
    Ok(lines
        .into_iter()
        .map(|line| KnownJob {
            upn: names.get(&line.user).cloned(),
            job: line.job,
            user: line.user,
            batch: line.batch,
            status: line.status,
        })
        .collect())
}

/// Compares what is wanted with what is known.
pub fn compare(tenant: &TenantId, batch: &BatchId, checked: &CheckedRoster, known: &[KnownJob]) -> Plan {
    let refused: HashSet<UserId> = checked.refused.iter().filter_map(|refusal| refusal.id.clone()).collect();
    plan(tenant, batch, &checked.people, &refused, known)
}

/// Writes what the run begins with and its plan: all of it or nothing.
///
/// # Errors
/// When the ledger can't be written.
pub fn write(
    ledger: &dyn Ledger,
    tenant: &TenantId,
    batch: &BatchId,
    checked: &CheckedRoster,
    plan: &Plan,
    known: &[KnownJob],
    first: Vec<Entry>,
) -> Result<(), ProvisionError> {
    let done: HashSet<&JobId> = served(known).map(|job| &job.job).collect();
    let known: HashSet<&JobId> = known.iter().map(|job| &job.job).collect();
    let mut entries = first;
    let mut people: Vec<Person> = Vec::new();
    let mut named: HashSet<&UserId> = HashSet::new();
    let planned = |job: &JobId, user: &UserId, ordinal: u32| Entry::JobPlanned {
        job: job.clone(),
        tenant: tenant.clone(),
        user: user.clone(),
        ordinal,
        batch: batch.clone(),
    };
    for wanted in &plan.jobs {
        let Some(CheckedPerson { person, .. }) = checked.people.get(wanted.person) else { continue };
        match wanted.disposition {
            Disposition::New => entries.push(planned(&wanted.job, &person.id, wanted.ordinal)),
            Disposition::Resume => entries.push(Entry::JobResumed { job: wanted.job.clone() }),
            Disposition::Adopt | Disposition::Already => {}
        }
        // Finished people keep what is known of them; the others are known as they are now.
        if wanted.disposition != Disposition::Already && named.insert(&person.id) {
            people.push(with_what_is_known(ledger, person)?);
        }
    }
    for gone in &plan.park {
        entries.push(Entry::JobParked { job: gone.job.clone(), code: "left-roster".into() });
    }
    let wanted: HashSet<&JobId> = plan.jobs.iter().map(|wanted| &wanted.job).collect();
    for refusal in &checked.refused {
        let (Some((job, ordinal)), Some(id)) = (refused_job(tenant, refusal, &done), &refusal.id) else { continue };
        // A duplicate's job belongs to its first row, and may have its key.
        if wanted.contains(&job) || done.contains(&job) {
            continue;
        }
        if !known.contains(&job) {
            entries.push(planned(&job, id, ordinal));
            // Whoever is known keeps name, language and addresses: a refusal tells none of them.
            if named.insert(id) && ledger.person(id)?.is_none() {
                people.push(Person::new(id.clone(), refusal.upn.clone(), refusal.upn.to_string()));
            }
        }
        entries.push(Entry::JobRefused { job, code: refusal.code.as_str().to_owned() });
    }
    let mut append = Append::entries(entries);
    append.people = people;
    ledger.append(append)?;
    Ok(())
}

/// A group tells no addresses and no languages: those that `addresses import` brought stay.
fn with_what_is_known(ledger: &dyn Ledger, person: &Person) -> Result<Person, ProvisionError> {
    let mut person = person.clone();
    if (person.address.is_none() || person.language.is_none() || person.spare_address.is_none())
        && let Some(known) = ledger.person(&person.id)?
    {
        person.address = person.address.or(known.address);
        person.language = person.language.or(known.language);
        person.spare_address = person.spare_address.or(known.spare_address);
    }
    Ok(person)
}

/// The queue: every wanted job with the state that the ledger tells of it. One pass over the ledger.
///
/// # Errors
/// When the ledger can't be read, or its account of a job makes no sense.
pub fn queue(ledger: &dyn Ledger, checked: &CheckedRoster, plan: &Plan) -> Result<Queue, ProvisionError> {
    let mut states: HashMap<JobId, State> =
        plan.jobs.iter().map(|wanted| (wanted.job.clone(), State::Waiting { tries: 0 })).collect();
    let mut broken = None;
    ledger.visit(1, &mut |recorded| {
        let Some(state) = recorded.entry.job().and_then(|job| states.get_mut(job)) else {
            return ControlFlow::Continue(());
        };
        match apply(std::mem::replace(state, State::Waiting { tries: 0 }), &recorded.entry) {
            Ok(next) => {
                *state = next;
                ControlFlow::Continue(())
            }
            Err(error) => {
                broken = recorded.entry.job().cloned().map(|job| (job, error.to_string()));
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some((job, what)) = broken {
        return Err(ProvisionError::BrokenAccount { job, what });
    }
    let slots = plan
        .jobs
        .iter()
        .filter_map(|wanted| {
            let person = checked.people.get(wanted.person)?;
            let state = states.remove(&wanted.job)?;
            Some(Slot::new(wanted.job.clone(), wanted.ordinal, person.person.clone(), state))
        })
        .collect();
    Ok(Queue::new(slots))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ledger::MemoryStore;
    use crate::model::BenchId;
    use crate::roster::check::{Refusal, RefusalCode};
    use crate::world::SystemClock;

    #[test]
    fn who_is_refused_keeps_what_is_known_of_them() {
        let ledger = MemoryStore::new().open(BenchId::new("bench-1"), Arc::new(SystemClock::new()));
        let (tenant, user) = (TenantId::new("72f988bf-86f1-41af-91ab-2d7cd011db47"), UserId::new("kim"));
        let upn = Upn::parse("kim@contoso.com").expect("a UPN");
        let kim = Person::new(user.clone(), upn.clone(), "Kim Vos".to_owned());
        let (job, batch) = (JobId::derive(&tenant, &user, 2), BatchId::new("b"));
        let second =
            Entry::JobPlanned { job, tenant: tenant.clone(), user: user.clone(), ordinal: 2, batch: batch.clone() };
        ledger.append(Append { people: vec![kim], ..Append::entry(second) }).expect("kept");
        let refusal = |id: &str, upn: &Upn| Refusal {
            line: Some(2),
            upn: upn.clone(),
            id: Some(UserId::new(id)),
            keys: 1,
            code: RefusalCode::Disabled,
            reason: String::new(),
            next: String::new(),
        };
        let lee = Upn::parse("lee@contoso.com").expect("a UPN");
        let checked = CheckedRoster { refused: vec![refusal("kim", &upn), refusal("lee", &lee)], ..Default::default() };
        let nobody = Plan { jobs: Vec::new(), park: Vec::new(), renamed: Vec::new() };
        write(&ledger, &tenant, &batch, &checked, &nobody, &[], Vec::new()).expect("written");
        let name = |id: &str| ledger.person(&UserId::new(id)).expect("read").map(|person| person.display_name);
        assert_eq!(name("kim").as_deref(), Some("Kim Vos"));
        assert_eq!(name("lee").as_deref(), Some("lee@contoso.com"), "whom nobody knew");
    }
}
