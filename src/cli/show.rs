//! `keybench show`: the whole story of one job, key or person.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use clap::Args;
use serde_json::json;

use super::parcel::{days_left, left_of};
use super::status::word;
use super::story::in_words;
use super::{CliError, Context, Exit, Level, ledger};
use crate::handover::parcel::{Hold, Parcels};
use crate::ledger::{BlobHash, Entry, JobFilter, JobLine, Ledger, Recorded, TenantEntry};
use crate::model::{JobId, JobStatus, Upn, UserId};

/// `keybench show`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench show 7H2KQ0M4XA             a job
  keybench show 19283746               a key, by serial number
  keybench show kim@contoso.com        a person

A PIN is never shown: keybench escrow open does that.")]
pub struct ShowArgs {
    /// A job's id, a key's serial number or credential id, or a person's user principal name or object id
    #[arg(value_name = "JOB|SERIAL|UPN")]
    pub what: String,
}

pub(super) fn run(context: &Context<'_>, args: &ShowArgs) -> Result<Exit, CliError> {
    let ledger = ledger::to_read(&context.settings()?)?;
    tell(context, args.what.trim(), &ledger)
}

fn tell(context: &Context<'_>, what: &str, ledger: &dyn Ledger) -> Result<Exit, CliError> {
    let found = find(ledger, what)?;
    if found.jobs.is_empty() && found.others.is_empty() {
        let fact = format!("The ledger knows no job, key or person {what}.");
        let next = "`keybench status` lists the jobs; a key is named by its serial number.";
        return Err(CliError::new(Exit::Usage, "unknown-job", fact, next));
    }
    for recorded in &found.others {
        entry(context, recorded, None);
    }
    for (index, line) in found.jobs.iter().enumerate() {
        if index > 0 || !found.others.is_empty() {
            context.output.answer("");
        }
        job(context, ledger, line)?;
    }
    Ok(Exit::Done)
}

/// What a name stands for.
#[derive(Default)]
struct Found {
    jobs: Vec<JobLine>,
    /// Entries that belong to no job: a key that was refused, a person who was forgotten.
    others: Vec<Recorded>,
}

fn find(ledger: &dyn Ledger, what: &str) -> Result<Found, CliError> {
    if let Some(line) = ledger.job(&JobId::new(what.to_ascii_uppercase()))? {
        return Ok(Found { jobs: vec![line], others: Vec::new() });
    }
    let upn = Upn::parse(what);
    let person = ledger
        .people()?
        .into_iter()
        .find(|person| upn.as_ref() == Some(&person.upn) || person.id.as_str().eq_ignore_ascii_case(what))
        .map(|person| person.id);
    let user = person.unwrap_or_else(|| UserId::new(what));
    let others = about_account(ledger, &user)?;
    let jobs = ledger.jobs(&JobFilter { user: Some(user), ..JobFilter::all() })?;
    if !jobs.is_empty() || !others.is_empty() {
        return Ok(Found { jobs, others });
    }
    by_key(ledger, what)
}

/// What was done to a person's account beside their keys: passes, groups, methods.
fn about_account(ledger: &dyn Ledger, user: &UserId) -> Result<Vec<Recorded>, CliError> {
    let (mut changes, mut found) = (BTreeSet::new(), Vec::new());
    ledger.visit(1, &mut |recorded| {
        let theirs = match &recorded.entry {
            Entry::Tenant(TenantEntry::AccountChangeIntended { user: Some(whose), change, .. }) if whose == user => {
                changes.insert(change.clone())
            }
            Entry::Tenant(TenantEntry::ChangeDone { change, .. } | TenantEntry::ChangeFailed { change, .. }) => {
                changes.contains(change)
            }
            Entry::Tenant(entry) => entry.user() == Some(user),
            // Parcels for people who register themselves have no job.
            Entry::Handover(entry) => entry.job().is_none() && entry.user() == Some(user),
            _ => false,
        };
        if theirs {
            found.push(recorded);
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// One pass over everything: a key's serial number or credential, or a forgotten person's object id.
fn by_key(ledger: &dyn Ledger, what: &str) -> Result<Found, CliError> {
    let mut jobs: BTreeSet<JobId> = BTreeSet::new();
    let mut others = Vec::new();
    ledger.visit(1, &mut |recorded| {
        match &recorded.entry {
            Entry::AttemptStarted { job, key, .. }
                if key.serial.as_ref().is_some_and(|serial| serial.as_str().eq_ignore_ascii_case(what)) =>
            {
                jobs.insert(job.clone());
            }
            Entry::KeyRefused { key, .. }
                if key.serial.as_ref().is_some_and(|serial| serial.as_str().eq_ignore_ascii_case(what)) =>
            {
                others.push(recorded);
            }
            Entry::CredentialMade { job, credential, .. } if credential.to_base64url() == what => {
                jobs.insert(job.clone());
            }
            Entry::Registered { job, method, .. } if method.as_str() == what => {
                jobs.insert(job.clone());
            }
            Entry::Forgotten { user, .. } if user.as_str().eq_ignore_ascii_case(what) => others.push(recorded),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    let mut lines = Vec::new();
    for job in jobs {
        lines.extend(ledger.job(&job)?);
    }
    lines.sort_by_key(|line| line.at);
    Ok(Found { jobs: lines, others })
}

fn job(context: &Context<'_>, ledger: &dyn Ledger, line: &JobLine) -> Result<(), CliError> {
    let person = ledger.person(&line.user)?;
    let entries = ledger.entries_of(&line.job)?;
    let used = line.status == JobStatus::Finished && line.used.is_some();
    let upn = person.as_ref().map(|person| &person.upn);
    let mut parcels = Parcels::default();
    entries.iter().for_each(|recorded| parcels.add(recorded));
    let expires = match parcels.get(&line.job).map(|parcel| parcel.hold) {
        Some(Some(Hold::Waits { expires })) if line.status == JobStatus::Held => Some(expires),
        _ => None,
    };
    let now = jiff::Timestamp::now();
    context.output.json(&json!({
        "event": "job", "job": line.job, "upn": upn, "user": line.user, "key_number": line.ordinal, "batch": line.batch,
        "status": line.status, "attempt": line.attempt, "in_flight": line.in_flight, "code": line.code,
        "next": super::status::what_to_do(line), "at": line.at, "activated": used, "hold_expires": expires,
        "hold_days_left": expires.map(|expires| days_left(expires, now)),
    }));
    let name = person.as_ref().map_or_else(
        || format!("{} (forgotten, or known by object id only)", line.user),
        |person| format!("{} ({})", person.upn, person.display_name),
    );
    context.output.answer(&format!("Job {}: {name}, key {}", line.job, line.ordinal));
    let mut stands = format!("  Now: {}", word(line.status));
    if used {
        stands.push_str("; activated: the person has signed in with the key");
    }
    if let Some(expires) = expires {
        stands.push_str(&format!("; {}", left_of(expires, now)));
    }
    if line.in_flight {
        stands.push_str("; a key may hold its PIN");
    }
    context.output.answer(&stands);
    if let Some(next) = super::status::what_to_do(line) {
        context.output.answer(&format!("  Next: {next}"));
    }
    for recorded in entries {
        entry(context, &recorded, upn);
    }
    Ok(())
}

fn entry(context: &Context<'_>, recorded: &Recorded, upn: Option<&Upn>) {
    let words = in_words(&recorded.entry);
    context.output.json(&json!({
        "event": "entry", "seq": recorded.seq, "at": recorded.at, "bench": recorded.bench, "job": recorded.entry.job(),
        "upn": upn, "entry": recorded.entry, "hash": BlobHash(recorded.hash), "words": words,
    }));
    // Holds matter to benches, not to people.
    let dull = matches!(recorded.entry, Entry::Claimed { .. }) && context.output.style().level < Level::Detailed;
    if !dull {
        let at = recorded.at.strftime("%Y-%m-%d %H:%M:%SZ");
        context.output.answer(&format!("  {at}  {words}"));
    }
}
