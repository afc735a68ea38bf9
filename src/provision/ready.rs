//! Is the tenant ready for this run? The preflight's checks, as far as a run needs them before its first key.
//!
//! Promise: what `keybench tenant check` says and what a run says are the same words from the same place. What is about
//! single people refuses those people and no others; what is about the tenant stops.

use std::collections::BTreeSet;

use super::{Listener, ProvisionError};
use crate::graph::{Account, Graph};
use crate::model::Upn;
use crate::roster::Roster;
use crate::tenant::gather::{Asking, gather_for_run};
use crate::tenant::preflight::facts::{Facts, Mode, Plan};
use crate::tenant::preflight::{Finding, Id, Verdict, examine_for_run};

/// Checks about single people, whom the roster's own check refuses one by one: own account, accounts, people in scope.
const ONE_BY_ONE: [Id; 3] = [Id(3), Id(4), Id(7)];
/// The caller's role against people's: only those whom a run was told to serve in spite of their role.
const ROLE: Id = Id(2);

/// Asks, weighs, and tells. Gives the facts for what the run decides itself.
///
/// # Errors
/// What Graph can't be asked; what stops the run, and with `strict` also warnings and what is not known.
pub fn weigh(
    graph: &Graph,
    account: &Account,
    roster: &Roster,
    (allowed_group, allow_privileged): (Option<&str>, &[Upn]),
    strict: bool,
    listener: &dyn Listener,
) -> Result<Facts, ProvisionError> {
    let gathered = gather_for_run(
        Asking {
            graph,
            account: account.clone(),
            plan: Plan::of(Mode::Provision),
            people: roster.rows.iter().map(|row| (row.upn.clone(), row.keys)).collect(),
            statements: Vec::new(),
            progress: &|what| listener.note(what),
        },
        &allowed_group.map(str::to_ascii_lowercase).into_iter().collect::<BTreeSet<_>>(),
    )?;
    let mut report = examine_for_run(&gathered.facts);
    report.findings.retain(|finding| concerns_the_run(finding, allow_privileged));
    let (stops, told): (Vec<Finding>, Vec<Finding>) = report
        .findings
        .into_iter()
        .filter(|finding| matches!(finding.verdict, Verdict::Fail | Verdict::Warn | Verdict::Unknown))
        .partition(|finding| finding.verdict == Verdict::Fail);
    if !stops.is_empty() {
        return Err(ProvisionError::NotReady { findings: stops, strict: false });
    }
    if strict && !told.is_empty() {
        return Err(ProvisionError::NotReady { findings: told, strict: true });
    }
    for group in crate::tenant::preflight::verdict::together(&told) {
        listener.weighed(&group);
    }
    Ok(gathered.facts)
}

fn concerns_the_run(finding: &Finding, allow_privileged: &[Upn]) -> bool {
    if finding.people.is_empty() {
        // Without people there is nobody to refuse, and an empty roster is told by the plan.
        return !(ONE_BY_ONE.contains(&finding.id) && finding.verdict == Verdict::Unknown);
    }
    match finding.id {
        id if ONE_BY_ONE.contains(&id) => false,
        // The others who hold a role are refused for that.
        ROLE => finding.people.iter().any(|person| allow_privileged.contains(person)),
        _ => true,
    }
}
