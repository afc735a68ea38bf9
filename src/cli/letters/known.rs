//! What the ledger knows that paper needs: finished keys, whose they are, and which letters and labels there are.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use crate::cli::{CliError, batch};
use crate::handover::letter::Letters;
use crate::ledger::{Attempt, Entry, ForcedChange, HandoverEntry, JobLine, Ledger, LedgerError};
use crate::model::{JobId, JobStatus, KeyRef, Person, UserId};

/// One try's key.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Facts {
    pub attempt: Attempt,
    pub key: KeyRef,
    pub minimum: u32,
    pub forced: bool,
    /// Lost, returned, replaced or revoked: nobody is to get its PIN any more.
    pub gone: bool,
    /// Its PIN was handed over.
    pub released: bool,
}

/// A key that was refused or failed.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Unfit {
    pub seq: u64,
    pub key: KeyRef,
    pub code: String,
}

/// One pass over the ledger.
#[derive(Debug, Default)]
pub(in crate::cli) struct Known {
    pub keys: HashMap<JobId, Facts>,
    pub letters: Letters,
    /// Codes of labels that were printed.
    pub labels: HashSet<String>,
    pub unfit: Vec<Unfit>,
}

/// Reads it.
pub(in crate::cli) fn facts_of_keys(ledger: &dyn Ledger) -> Result<Known, LedgerError> {
    let mut known = Known::default();
    ledger.visit(1, &mut |mut recorded| {
        // What was done at another desk counts as if it had been done here.
        if let Entry::Handover(HandoverEntry::Elsewhere { done, .. }) = recorded.entry {
            recorded.entry = *done;
        }
        known.letters.add(&recorded);
        let seq = recorded.seq;
        match recorded.entry {
            Entry::AttemptStarted { job, attempt, key } => {
                known.keys.insert(job, Facts { attempt, key, minimum: 4, forced: false, gone: false, released: false });
            }
            Entry::PinRulesSet { job, minimum, forced, .. } => {
                if let Some(facts) = known.keys.get_mut(&job) {
                    facts.minimum = minimum;
                    facts.forced = forced == ForcedChange::Forced;
                }
            }
            Entry::AttemptFailed { job, code, .. } => {
                if let Some(facts) = known.keys.get(&job) {
                    known.unfit.push(Unfit { seq, key: facts.key.clone(), code });
                }
            }
            Entry::KeyRefused { key, code } => known.unfit.push(Unfit { seq, key, code }),
            Entry::Revoked { job, .. } => {
                if let Some(facts) = known.keys.get_mut(&job) {
                    facts.gone = true;
                }
            }
            Entry::Handover(
                HandoverEntry::KeyLost { job, attempt, .. }
                | HandoverEntry::KeyReturned { job, attempt, .. }
                | HandoverEntry::ReplacementWanted { job, attempt, .. },
            ) => {
                if let Some(facts) = known.keys.get_mut(&job).filter(|facts| facts.attempt == attempt) {
                    facts.gone = true;
                }
            }
            Entry::Handover(HandoverEntry::PinReleased { job, attempt, .. }) => {
                if let Some(facts) = known.keys.get_mut(&job).filter(|facts| facts.attempt == attempt) {
                    facts.released = true;
                }
            }
            Entry::Handover(HandoverEntry::LabelPrinted { code, .. }) => {
                known.labels.insert(code);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(known)
}

/// A finished key and its person, in the order of planning. People who were forgotten are left out.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Finished {
    pub line: JobLine,
    /// Its address is this key's: a spare may go somewhere else than the first.
    pub person: Person,
    pub facts: Facts,
    /// How many keys the person gets.
    pub of: u32,
}

/// Finished and held keys that are not gone.
pub(in crate::cli) fn finished(
    ledger: &dyn Ledger,
    of_batch: Option<&str>,
    known: &Known,
) -> Result<Vec<Finished>, CliError> {
    let people: HashMap<UserId, Person> =
        ledger.people()?.into_iter().map(|person| (person.id.clone(), person)).collect();
    let lines = ledger.jobs(&batch::jobs_of(ledger, of_batch)?)?;
    let mut of: HashMap<UserId, u32> = HashMap::new();
    for line in lines.iter().filter(|line| !matches!(line.status, JobStatus::Parked | JobStatus::Refused)) {
        let most = of.entry(line.user.clone()).or_default();
        *most = line.ordinal.max(*most);
    }
    Ok(lines
        .into_iter()
        .filter(|line| matches!(line.status, JobStatus::Finished | JobStatus::Held))
        .filter_map(|line| {
            let facts = known.keys.get(&line.job).filter(|facts| !facts.gone)?.clone();
            let mut person = people.get(&line.user)?.clone();
            person.address = person.address_for(line.ordinal).cloned();
            let of = of.get(&line.user).copied().unwrap_or(line.ordinal);
            Some(Finished { line, person, facts, of })
        })
        .collect())
}

impl Finished {
    /// Which of the person's keys it is, of how many.
    pub fn number(&self) -> (u32, u32) {
        (self.line.ordinal, self.of)
    }

    /// Named by this text: the job's id or the person's user principal name, in either case.
    pub fn is(&self, name: &str) -> bool {
        let name = name.trim();
        self.line.job.as_str().eq_ignore_ascii_case(name)
            || self.person.upn.as_str().to_lowercase() == name.to_lowercase()
    }
}
