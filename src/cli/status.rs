//! `keybench status`. One pass over the ledger's jobs and over what is about no job; of entries about jobs it reads only until when
//! held keys can be activated. Beside a running bench.

use std::collections::{BTreeMap, HashMap};

use clap::Args;
use serde_json::json;

use super::parcel::{days_left, left_of};
use super::{CliError, Context, Exit, batch, codes, ledger};
use crate::ledger::{JobLine, Ledger};
use crate::model::{JobStatus, Upn, UserId};
use crate::tenant::doors::open_doors;

/// `keybench status`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench status
  keybench status --only failed
  keybench status --json | jq -r 'select(.event == \"job\") | .upn'

Lists whoever needs something done; those who only wait for a key are counted, and listed with
--only waiting. Held keys are listed in their last seven days, and all with --only held.")]
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
    /// Made, and to be activated on receipt
    Held,
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
            Only::Held => Self::Held,
            Only::Failed => Self::Failed,
            Only::Refused => Self::Refused,
            Only::Parked => Self::Parked,
        }
    }
}

/// The states in the order in which they are counted out.
const ORDER: [JobStatus; 7] = [
    JobStatus::Finished,
    JobStatus::Held,
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
    let lines = ledger.jobs(&batch::jobs_of(ledger, args.batch.as_deref())?)?;
    let names: HashMap<UserId, Upn> = ledger.people()?.into_iter().map(|person| (person.id, person.upn)).collect();
    let only = args.only.map(JobStatus::from);
    let mut counts: HashMap<JobStatus, u64> = HashMap::new();
    let output = context.output;
    let mut listed = false;
    let now = jiff::Timestamp::now();
    // Asked only where some key is held.
    let any_held = lines.iter().any(|line| line.status == JobStatus::Held);
    let held_until = if any_held { ledger.held_until()? } else { BTreeMap::new() };
    let expires_of = |line: &JobLine| held_until.get(&line.job).copied();
    let (mut overdue, mut first) = (0u64, None);
    // Held keys that run out come first, overdue before the rest.
    let mut in_order: Vec<&JobLine> = lines.iter().collect();
    in_order.sort_by_key(|line| expires_of(line).unwrap_or(jiff::Timestamp::MAX));
    for line in in_order {
        *counts.entry(line.status).or_default() += 1;
        if only.is_some_and(|only| only != line.status) {
            continue;
        }
        let name = names.get(&line.user).map_or_else(|| line.user.to_string(), ToString::to_string);
        let expires = expires_of(line);
        let is_overdue = expires.is_some_and(|expires| expires <= now);
        overdue += u64::from(is_overdue);
        let next = if is_overdue { Some(OVERDUE.to_owned()) } else { what_to_do(line) };
        output.json(&json!({
            "event": "job", "job": line.job, "upn": names.get(&line.user), "user": line.user, "key_number": line.ordinal,
            "batch": line.batch, "status": line.status, "attempt": line.attempt, "in_flight": line.in_flight,
            "code": line.code, "next": next, "at": line.at, "activated": line.used,
            "hold_expires": expires, "hold_days_left": expires.map(|expires| days_left(expires, now)),
        }));
        let time =
            expires.is_some_and(|expires| days_left(expires, now) > SOON) && !line.in_flight && line.code.is_none();
        first = first.or(expires.filter(|_| !is_overdue));
        let needs_nothing = matches!(line.status, JobStatus::Finished | JobStatus::Waiting);
        let quiet = only.is_none() && (needs_nothing || line.status == JobStatus::Held && time);
        if !quiet && !output.style().json {
            listed = true;
            let left = expires.map(|expires| left_of(expires, now));
            output.answer(&for_people(line, &name, (left.as_deref(), next.as_deref())));
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
    summary["overdue"] = json!(overdue);
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
        let batches: Vec<String> =
            batch::counts(&lines).iter().map(|(batch, count)| format!("{batch} ({count})")).collect();
        output.answer(&format!("{}: {}", if batches.len() == 1 { "Batch" } else { "Batches" }, batches.join(", ")));
    }
    if let Some(first) = first {
        output.answer(&format!("Of the held keys the first runs out next: {}.", left_of(first, now)));
    }
    if overdue > 0 {
        output.answer(&format!(
            "{overdue} held keys were not activated in time: `keybench receipt list --only on-the-way` and the next run."
        ));
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

/// Held keys that have no more days left than these are listed.
const SOON: i64 = 7;
const OVERDUE: &str = "Its hold ran out: the next run gives its person another key; `keybench return` wipes this one.";

fn for_people(line: &JobLine, name: &str, (left, next): (Option<&str>, Option<&str>)) -> String {
    let mut text = format!("{:<9} {}  {name}", word(line.status), line.job);
    if line.ordinal > 1 {
        text.push_str(&format!(" (key {})", line.ordinal));
    }
    if let Some(left) = left {
        text.push_str(&format!("\n          {left}"));
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
        JobStatus::Held => of_code.unwrap_or(match line.in_flight {
            true => "Its registration was sent and not answered: run `keybench activate` again, which asks first.",
            false => "`keybench receipt list` shows where it is; `keybench activate` when its person holds it.",
        }),
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
        JobStatus::Held => "held",
        JobStatus::Failed => "failed",
        JobStatus::Refused => "refused",
        JobStatus::Parked => "parked",
    }
}
