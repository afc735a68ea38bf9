//! Batches, by the names that people type.

use std::collections::BTreeMap;

use super::{CliError, Exit};
use crate::ledger::{JobFilter, JobLine, Ledger};
use crate::model::BatchId;

/// How many names an error tells.
const MOST: usize = 12;

/// The jobs of a batch, or all. A batch that the ledger does not know is a slip of the hand, not a batch of nobody.
pub(super) fn jobs_of(ledger: &dyn Ledger, batch: Option<&str>) -> Result<JobFilter, CliError> {
    let Some(name) = batch.map(str::trim) else { return Ok(JobFilter::all()) };
    let filter = JobFilter::batch(BatchId::new(name));
    if !ledger.jobs(&filter)?.is_empty() {
        return Ok(filter);
    }
    let counts = counts(&ledger.jobs(&JobFilter::all())?);
    let mut known: Vec<&str> = counts.keys().map(|batch| batch.as_str()).take(MOST).collect();
    if counts.len() > MOST {
        known.push("…");
    }
    let next = match known.as_slice() {
        [] => "plan people first: `keybench run`.".to_owned(),
        known => format!("name one of those that it knows: {}.", known.join(", ")),
    };
    Err(CliError::new(Exit::Usage, "no-such-batch", format!("The ledger knows no batch {name}."), next))
}

/// How many jobs each batch has.
pub(super) fn counts(lines: &[JobLine]) -> BTreeMap<BatchId, usize> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(line.batch.clone()).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use crate::cli::Exit;
    use crate::cli::testing::Desk;

    #[test]
    fn a_batch_that_nobody_planned_is_told_with_those_that_there_are() {
        let desk = Desk::new(1);
        desk.story();
        let out = desk.path("out").display().to_string();
        let identity = desk.path("custodian-0.txt").display().to_string();
        for line in [
            vec!["status", "--batch", "spring"],
            vec!["letters", "make", "spring", "--identity", &identity, "--out", &out],
            vec!["export", "manifest", "--batch", "spring", "--out", &out],
            vec!["custody", "export", "--batch", "spring", "--out", &out],
            vec!["notify", "--batch", "spring", "--text"],
        ] {
            let ran = desk.run(&line);
            assert_eq!(ran.exit, Exit::Usage, "{line:?}: {}{}", ran.out, ran.err);
            assert!(ran.err.contains("knows no batch spring") && ran.err.contains("batch-1"), "{}", ran.err);
        }
        assert!(!desk.path("out").exists());
        assert!(desk.run(&["status"]).out.contains("batch-1 (4)"));
        assert_eq!(desk.run(&["status", "--batch", "batch-1"]).exit, Exit::Done);
    }
}
