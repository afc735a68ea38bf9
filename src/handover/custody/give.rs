//! Writing: what another desk needs of our ledger, and what ours has to tell of theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::{BatchRule, Content, Custodians, Happened, JobPart, Kind, Seal, is_act, is_of_self_parcel};
use crate::ledger::{Entry, HandoverEntry, JobFilter, JobLine, Ledger, LedgerError, Recorded};
use crate::model::{BatchId, Person, ReleaseRule, UserId};

/// The jobs of a batch, or all, with their stories, people and sealed PINs.
///
/// # Errors
/// [`LedgerError`] when the ledger can't be read.
pub fn bundle(ledger: &dyn Ledger, batch: Option<&BatchId>, now: Timestamp) -> Result<Content, LedgerError> {
    let mut jobs = Vec::new();
    for line in lines(ledger, batch)? {
        let story = ledger.entries_of(&line.job)?;
        let mut seals = Vec::new();
        for attempt in 1..=line.attempt {
            if let Some(sealed) = ledger.envelope(&line.job, attempt)? {
                seals.push(Seal { attempt, custodian: STANDARD.encode(&sealed.custodian), dual: sealed.dual });
            }
        }
        let person = ledger.person(&line.user)?;
        jobs.push(JobPart { job: line.job, person, entries: story.into_iter().map(happened).collect(), seals });
    }
    content(ledger, Kind::Bundle, batch, jobs, now)
}

/// What is about no job: parcels for people who register themselves, whatever their batch, for they have none.
struct Jobless {
    custodians: Option<Custodians>,
    rules: BTreeMap<BatchId, ReleaseRule>,
    parcels: Vec<Happened>,
}

impl Jobless {
    fn read(ledger: &dyn Ledger, kind: Kind) -> Result<Self, LedgerError> {
        let mut read = Self { custodians: None, rules: BTreeMap::new(), parcels: Vec::new() };
        ledger.visit_jobless(&mut |recorded| {
            // A log tells what was done here; what came from elsewhere is wrapped.
            let told = if kind == Kind::Log { &recorded.entry } else { recorded.entry.act() };
            match told {
                Entry::CustodiansSet { first, second, .. } => {
                    read.custodians = Some(Custodians { first: first.clone(), second: second.clone() });
                }
                Entry::Handover(HandoverEntry::BatchRuled { batch, release, .. }) => {
                    read.rules.insert(batch.clone(), *release);
                }
                entry if is_of_self_parcel(entry) => read.parcels.push(happened(recorded)),
                _ => {}
            }
            ControlFlow::Continue(())
        })?;
        Ok(read)
    }

    /// The people whom parcels went to, each once.
    fn people(&self, ledger: &dyn Ledger) -> Result<Vec<Person>, LedgerError> {
        let ids: BTreeSet<&UserId> = self.parcels.iter().filter_map(|one| one.entry.user()).collect();
        let mut people = Vec::with_capacity(ids.len());
        for id in ids {
            people.extend(ledger.person(id)?);
        }
        Ok(people)
    }
}

/// What was done here to jobs that came in a bundle.
///
/// # Errors
/// [`LedgerError`] when the ledger can't be read.
pub fn log(ledger: &dyn Ledger, batch: Option<&BatchId>, now: Timestamp) -> Result<Content, LedgerError> {
    let mut jobs = Vec::new();
    for line in lines(ledger, batch)? {
        let entries: Vec<Happened> = done_here(ledger.entries_of(&line.job)?).into_iter().map(happened).collect();
        if !entries.is_empty() {
            jobs.push(JobPart { job: line.job, person: None, entries, seals: Vec::new() });
        }
    }
    content(ledger, Kind::Log, batch, jobs, now)
}

/// A job's acts without those that were copied: a `CustodyTaken` says how many before it were.
fn done_here(story: Vec<Recorded>) -> Vec<Recorded> {
    let mut here: Vec<Recorded> = Vec::with_capacity(story.len());
    for recorded in story {
        if let Entry::Handover(HandoverEntry::CustodyTaken { entries, .. }) = &recorded.entry {
            let copied = usize::try_from(*entries).unwrap_or(usize::MAX);
            here.truncate(here.len().saturating_sub(copied));
        } else {
            here.push(recorded);
        }
    }
    here.retain(|recorded| is_act(&recorded.entry));
    here
}

fn lines(ledger: &dyn Ledger, batch: Option<&BatchId>) -> Result<Vec<JobLine>, LedgerError> {
    ledger.jobs(&batch.map_or_else(JobFilter::all, |batch| JobFilter::batch(batch.clone())))
}

fn happened(recorded: Recorded) -> Happened {
    Happened { seq: recorded.seq, at: recorded.at, entry: recorded.entry }
}

fn content(
    ledger: &dyn Ledger,
    kind: Kind,
    batch: Option<&BatchId>,
    jobs: Vec<JobPart>,
    made: Timestamp,
) -> Result<Content, LedgerError> {
    let jobless = Jobless::read(ledger, kind)?;
    let people = jobless.people(ledger)?;
    let of_these: BTreeSet<BatchId> = match kind {
        Kind::Bundle => lines(ledger, batch)?.into_iter().map(|line| line.batch).collect(),
        Kind::Log => BTreeSet::new(),
    };
    let Jobless { custodians, rules, parcels } = jobless;
    let rules = rules.into_iter().filter(|(batch, _)| of_these.contains(batch));
    let rules = rules.map(|(batch, release)| BatchRule { batch, release }).collect();
    let custodians = custodians.filter(|_| kind == Kind::Bundle);
    let (desk, head) = (ledger.bench().clone(), ledger.head()?.to_string());
    Ok(Content { kind, desk, made, head, batch: batch.cloned(), custodians, jobs, rules, parcels, people })
}
