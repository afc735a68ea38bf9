//! `keybench status`. One pass over the ledger's jobs and over what is about no job, and not over their entries; beside a running
//! bench.

use std::collections::HashMap;

use clap::Args;
use serde_json::json;

use super::{CliError, Context, Exit, codes, ledger};
use crate::ledger::{JobFilter, JobLine, Ledger};
use crate::model::{BatchId, JobStatus, Upn, UserId};
use crate::tenant::doors::open_doors;

/// `keybench status`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench status
  keybench status --only failed
  keybench status --json | jq -r 'select(.event == \"job\") | .upn'

Lists whoever needs something done; those who only wait for a key are counted, and listed with
--only waiting.")]
pub struct StatusArgs {
    /// Only jobs that stand here
    #[arg(long, value_name = "STATUS")]
    pub only: Option<Only>,
    /// Only this batch (a run's first event and keybench show name it)
    #[arg(long, value_name = "BATCH")]
    pub batch: Option<String>,
}

/// The states a job can be shown by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Only {
    /// No key yet
    Waiting,
    /// A key has been begun
    Begun,
    /// Done
    Finished,
    /// The last try failed
    Failed,
    /// Not allowed to have a key
    Refused,
    /// Set aside
    Parked,
}

impl From<Only> for JobStatus {
    fn from(only: Only) -> Self {
        match only {
            Only::Waiting => Self::Waiting,
            Only::Begun => Self::Begun,
            Only::Finished => Self::Finished,
            Only::Failed => Self::Failed,
            Only::Refused => Self::Refused,
            Only::Parked => Self::Parked,
        }
    }
}

/// The states in the order in which they are counted out.
const ORDER: [JobStatus; 6] = [
    JobStatus::Finished,
    JobStatus::Begun,
    JobStatus::Waiting,
    JobStatus::Parked,
    JobStatus::Failed,
    JobStatus::Refused,
];

pub(super) fn run(context: &Context<'_>, args: &StatusArgs) -> Result<Exit, CliError> {
    let ledger = ledger::to_read(&context.settings()?)?;
    show(context, args, &ledger)
}

fn show(context: &Context<'_>, args: &StatusArgs, ledger: &dyn Ledger) -> Result<Exit, CliError> {
    let batch = args.batch.as_ref().map(BatchId::new);
    let lines = ledger.jobs(&JobFilter { batch, ..JobFilter::all() })?;
    let names: HashMap<UserId, Upn> = ledger.people()?.into_iter().map(|person| (person.id, person.upn)).collect();
    let only = args.only.map(JobStatus::from);
    let mut counts: HashMap<JobStatus, u64> = HashMap::new();
    let output = context.output;
    let mut listed = false;
    for line in &lines {
        *counts.entry(line.status).or_default() += 1;
        if only.is_some_and(|only| only != line.status) {
            continue;
        }
        let name = names.get(&line.user).map_or_else(|| line.user.to_string(), ToString::to_string);
        let next = what_to_do(line);
        output.json(&json!({
            "event": "job", "job": line.job, "upn": names.get(&line.user), "user": line.user, "key_number": line.ordinal,
            "batch": line.batch, "status": line.status, "attempt": line.attempt, "in_flight": line.in_flight,
            "code": line.code, "next": next, "at": line.at, "activated": line.used,
        }));
        let quiet = only.is_none() && matches!(line.status, JobStatus::Finished | JobStatus::Waiting);
        if !quiet && !output.style().json {
            listed = true;
            output.answer(&for_people(line, &name, next.as_deref()));
        }
    }
    let count = |status| counts.get(&status).copied().unwrap_or(0);
    let head = ledger.head()?;
    let doors = open_doors(ledger, jiff::Timestamp::now())?.len();
    let mut summary = json!({ "event": "status", "jobs": lines.len() });
    for status in ORDER {
        summary[word(status)] = json!(count(status));
    }
    summary["open_passes"] = json!(doors);
    let in_use = lines.iter().filter(|line| line.status == JobStatus::Finished && line.used.is_some()).count();
    summary["activated"] = json!(in_use);
    summary["head"] = json!(head.to_string());
    output.json(&summary);
    if listed {
        output.answer("");
    }
    let total = lines.len();
    let parts: Vec<String> = ORDER
        .iter()
        .filter(|status| count(**status) > 0)
        .map(|status| match (status, in_use) {
            (JobStatus::Finished, 1..) => format!("{} finished ({in_use} activated)", count(*status)),
            _ => format!("{} {}", count(*status), word(*status)),
        })
        .collect();
    if total == 0 {
        output.answer("Nobody is planned yet.");
    } else {
        output.answer(&format!("{} {}: {}", total, if total == 1 { "job" } else { "jobs" }, parts.join(", ")));
    }
    match doors {
        0 => {}
        1 => output
            .answer("1 Temporary Access Pass may still work, an open door: `keybench tap list`, `keybench tap sweep`."),
        _ => output.answer(&format!(
            "{doors} Temporary Access Passes may still work, open doors: `keybench tap list`, `keybench tap sweep`."
        )),
    }
    output.answer(&format!("Ledger head {head}"));
    Ok(Exit::Done)
}

fn for_people(line: &JobLine, name: &str, next: Option<&str>) -> String {
    let mut text = format!("{:<9} {}  {name}", word(line.status), line.job);
    if line.ordinal > 1 {
        text.push_str(&format!(" (key {})", line.ordinal));
    }
    if let Some(code) = &line.code {
        text.push_str(&format!("\n          {}", codes::meaning(code).unwrap_or(code)));
    }
    if let Some(next) = next {
        text.push_str(&format!("\n          Next: {next}"));
    }
    text
}

/// What somebody should do about a job; nothing for those that need nothing.
pub(super) fn what_to_do(line: &JobLine) -> Option<String> {
    const SAME: &str = "Run the same command again.";
    const SAME_KEY: &str = "Run the same command again and put the same key back in; the job settles itself. If it is dead or lost: `--give-up JOB`.";
    let of_code = line.code.as_deref().and_then(codes::next_step);
    let text = match line.status {
        JobStatus::Finished | JobStatus::Waiting => return None,
        JobStatus::Begun => of_code.unwrap_or(SAME_KEY),
        JobStatus::Parked if line.in_flight => of_code.unwrap_or(SAME_KEY),
        JobStatus::Parked | JobStatus::Failed => of_code.unwrap_or(SAME),
        JobStatus::Refused => of_code.unwrap_or("Take the line out of the roster, or mend what stands against it."),
    };
    Some(text.to_owned())
}

pub(super) fn word(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Waiting => "waiting",
        JobStatus::Begun => "begun",
        JobStatus::Finished => "finished",
        JobStatus::Failed => "failed",
        JobStatus::Refused => "refused",
        JobStatus::Parked => "parked",
    }
}
