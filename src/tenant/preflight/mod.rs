//! IS THE TENANT READY? The checks PF01 to PF36: from facts to verdicts, each with evidence and a remedy. Pure.
//!
//! Promise: a check that misses a fact says UNKNOWN and why; it never passes for want of an answer. `docs/PREFLIGHT.md` is
//! written from [`CHECKS`], and a test compares.
//!
//! Where to look: [`facts`] what is known · [`verdict`] what comes of it · [`catalogue`] which checks there are · one file per
//! area (`caller`, `people`, `passkeys`, `passes`, `access`, `settings`) with one function per check.

mod access;
pub(super) mod caller;
pub mod catalogue;
pub mod coverage;
pub mod facts;
pub mod page;
mod passes;
mod passkeys;
pub(super) mod people;
mod settings;
#[cfg(test)]
mod tests;
pub mod verdict;

pub use catalogue::{CHECKS, Check};
pub use facts::{Asked, Facts, Gap, Mode, Plan, Purpose, Why};
pub use verdict::{Evidence, Finding, Found, Id, Outcome, Remedy, Report, Verdict};

use crate::model::Upn;

/// What a check says; `Err` is a fact that is missing for all of it.
type Judged = Result<Vec<Found>, Gap>;

/// Weighs everything that the plan is for.
pub fn examine(facts: &Facts) -> Report {
    examine_some(facts, |check| check.purposes.iter().any(|purpose| facts.plan.is_for(*purpose)))
}

/// Weighs what a run needs before its first key.
pub fn examine_for_run(facts: &Facts) -> Report {
    examine_some(facts, |check| check.in_run)
}

/// Weighs what an import of tokens needs: PF34.
pub fn examine_for_tokens(facts: &Facts) -> Report {
    examine_some(facts, |check| check.id == Id(34))
}

fn examine_some(facts: &Facts, wanted: impl Fn(&Check) -> bool) -> Report {
    Report::new(CHECKS.iter().filter(|check| wanted(check)).flat_map(|check| findings(check, facts)).collect())
}

/// What one check says.
pub fn findings(check: &Check, facts: &Facts) -> Vec<Finding> {
    let found = (check.judge)(facts).unwrap_or_else(|gap| vec![Found::unknown(&gap)]);
    found
        .into_iter()
        .map(|found| Finding {
            id: check.id,
            name: check.name,
            verdict: found.verdict,
            what: found.what,
            people: found.people,
            evidence: found.evidence,
            remedy: found.remedy,
            why: found.why,
        })
        .collect()
}

/// People in a sentence: a few by name, more by number.
fn names(people: &[Upn]) -> String {
    match people {
        [] => "Nobody".to_owned(),
        [one] => one.to_string(),
        [first, second] => format!("{first} and {second}"),
        [first, second, third] => format!("{first}, {second} and {third}"),
        [first, second, rest @ ..] => format!("{first}, {second} and {} others", rest.len()),
    }
}

/// Several facts of the same kind, one per person: those who have it, those who don't, and those of whom it is not known.
#[derive(Debug, Default)]
struct Sorted<'a> {
    yes: Vec<Upn>,
    no: Vec<Upn>,
    unknown: Vec<Upn>,
    gap: Option<&'a Gap>,
}

impl<'a> Sorted<'a> {
    fn sort<T: 'a>(
        people: impl IntoIterator<Item = &'a facts::PersonFacts>,
        fact: impl Fn(&'a facts::PersonFacts) -> Result<T, &'a Gap>,
        has: impl Fn(&T) -> bool,
    ) -> Self {
        let mut sorted = Self::default();
        for person in people {
            match fact(person) {
                Ok(value) if has(&value) => sorted.yes.push(person.name.clone()),
                Ok(_) => sorted.no.push(person.name.clone()),
                Err(gap) => {
                    sorted.gap.get_or_insert(gap);
                    sorted.unknown.push(person.name.clone());
                }
            }
        }
        sorted
    }

    /// The finding for those of whom it is not known.
    fn unknowns(&mut self) -> Option<Found> {
        self.gap.map(|gap| Found::unknown(gap).about(std::mem::take(&mut self.unknown)))
    }
}

/// Where a check needs people and no roster was given.
fn no_people() -> Gap {
    Gap::new(
        Why::NotAsked,
        facts::calls::PLAN,
        "it depends on who the people are, and no roster was named",
        "Name one: `keybench tenant check --roster people.csv`.",
    )
}
