//! `keybench sign-ins`: what the sign-in log tells, and which keys are in use.

use std::collections::{BTreeSet, HashMap};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::at_tenant::{AtTenant, name_of};
use super::output::aside;
use super::{CliError, Context, Exit, batch, ledger};
use crate::config::Settings;
use crate::graph::report_pace::ReportPace;
use crate::graph::sign_ins::{KeyUse, Outcome, SignInStory, fold, is_unlicensed};
use crate::ledger::{JobFilter, Ledger as _};
use crate::model::{BatchId, UserId};
use crate::tenant::activation::{Delivered, delivered, first_uses, record};

/// `keybench sign-ins`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench sign-ins kim@contoso.com
  keybench sign-ins kim@contoso.com --since 30 --failed
  keybench sign-ins --batch 2026-11-pilot
  keybench sign-ins --batch 2026-11-pilot --json | jq 'select(.event == \"sign-in\")'

Uses Microsoft Graph's beta, because v1.0 tells neither methods nor last uses. Entries appear in
the log some minutes after a sign-in, and stay about 30 days. The log needs Entra ID P1 and a role
such as Reports Reader; when a key was last used is told without. A batch is read at five people
in ten seconds, which is Microsoft's limit.")]
pub struct SignInsArgs {
    /// User principal name or object id
    #[arg(value_name = "USER", required_unless_present = "batch", conflicts_with = "batch")]
    pub user: Option<String>,
    /// Everybody of this batch who has a finished key
    #[arg(long, value_name = "BATCH")]
    pub batch: Option<String>,
    /// How many days back
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=30))]
    pub since: u16,
    /// Only sign-ins that failed or were not finished
    #[arg(long)]
    pub failed: bool,
    /// Write nothing into the ledger
    #[arg(long)]
    pub dry_run: bool,
}

/// Somebody to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Somebody {
    pub(super) id: UserId,
    pub(super) name: String,
}

/// The people of a batch, each once. Those who were forgotten have an object id for a name.
pub(super) fn people_of_batch(settings: &Settings, name: &str) -> Result<Vec<Somebody>, CliError> {
    let ledger = ledger::to_read(settings)?;
    let names: HashMap<UserId, String> =
        ledger.people()?.into_iter().map(|person| (person.id, person.upn.to_string())).collect();
    let lines = ledger.jobs(&batch::jobs_of(&ledger, Some(name))?)?;
    let ids: BTreeSet<UserId> = lines.into_iter().map(|line| line.user).collect();
    Ok(ids
        .into_iter()
        .map(|id| Somebody { name: names.get(&id).cloned().unwrap_or_else(|| id.to_string()), id })
        .collect())
}

pub(super) fn run(context: &Context<'_>, args: &SignInsArgs) -> Result<Exit, CliError> {
    let at = AtTenant::sign_in(context)?;
    let people = match (&args.user, &args.batch) {
        (_, Some(batch)) => people_of_batch(&at.settings, batch)?,
        (Some(name), None) => {
            let found = at.person(name)?;
            let name = name_of(&found);
            vec![Somebody { id: found.id, name }]
        }
        (None, None) => Vec::new(),
    };
    context.output.progress("Reading last uses and the sign-in log, from Graph's beta …");
    let keys = our_keys(context, args, &at, &people)?;
    let mut seen = Seen { context, args, failures: 0, stories: 0 };
    let pace = ReportPace::of_reports();
    let since = Timestamp::now()
        .checked_sub(SignedDuration::from_hours(24 * i64::from(args.since)))
        .unwrap_or(Timestamp::UNIX_EPOCH);
    if people.len() > 5 {
        let minutes = people.len().saturating_mul(2).div_ceil(60);
        aside(&format!("Reading the sign-in log of {} people: about {minutes} min.", people.len()));
    }
    for (index, person) in people.iter().enumerate() {
        if people.len() > 5 && index > 0 && index % 25 == 0 {
            aside(&format!("  {index} of {} …", people.len()));
        }
        let stories = match at.graph.sign_ins(&person.id, since, &pace) {
            Ok(rows) => fold(rows),
            // What the keys tell was shown already, and is worth having without the log.
            Err(error) if is_unlicensed(&error) => {
                let error = CliError::from(error);
                context.output.warning(&error.to_string());
                context.output.json(&json!({ "event": "no-log", "code": "no-licence", "what": error.fact }));
                break;
            }
            Err(error) => return Err(error.into()),
        };
        seen.person(person, &stories);
    }
    let activated = keys.iter().filter(|key| key.used.is_some()).count();
    context.output.json(&json!({
        "event": "sign-ins", "people": people.len(), "sign_ins": seen.stories, "failed": seen.failures,
        "keys": keys.len(), "activated": activated,
    }));
    if args.batch.is_some() {
        context.output.answer(&format!(
            "{} people: {} sign-ins, {} failed; {activated} of {} keys are in use.",
            people.len(),
            seen.stories,
            seen.failures,
            keys.len()
        ));
    }
    Ok(Exit::Done)
}

/// The keys of these people that were provisioned here; first uses go into the ledger.
fn our_keys(
    context: &Context<'_>,
    args: &SignInsArgs,
    at: &AtTenant<'_>,
    people: &[Somebody],
) -> Result<Vec<Delivered>, CliError> {
    let ids: Vec<UserId> = people.iter().map(|person| person.id.clone()).collect();
    let uses: HashMap<UserId, Vec<KeyUse>> =
        ids.iter().cloned().zip(at.graph.key_uses(&ids)?).filter_map(|(id, uses)| Some((id, uses?))).collect();
    let filter = match (&args.batch, ids.first()) {
        (Some(batch), _) => JobFilter::batch(BatchId::new(batch)),
        (None, Some(user)) => JobFilter { user: Some(user.clone()), ..JobFilter::all() },
        (None, None) => return Ok(Vec::new()),
    };
    // A bench that has provisioned nothing yet has no ledger, and may look at people all the same.
    let mut keys = if at.settings.ledger.path.exists() {
        delivered(&ledger::to_read(&at.settings)?, &filter)?
    } else {
        Vec::new()
    };
    let new = first_uses(&keys, &uses);
    if !new.is_empty() && !args.dry_run {
        record(&ledger::to_write(&at.settings)?, &new)?;
    }
    for key in &mut keys {
        let first = new.iter().find(|(job, _)| *job == key.job).map(|(_, at)| *at);
        let last = uses
            .get(&key.user)
            .and_then(|uses| uses.iter().find(|method| method.method == key.method))
            .and_then(|method| method.last_used);
        context.output.json(&json!({
            "event": "key", "job": key.job, "user": key.user, "method": key.method, "last_used": last,
            "activated": first.or(key.used), "new": first.is_some(),
        }));
        if args.batch.is_none() || first.is_some() {
            let name = people.iter().find(|person| person.id == key.user).map_or("", |person| person.name.as_str());
            let text = match (first, key.used, last) {
                (Some(at), ..) if args.dry_run => {
                    format!("is in use, last on {}; not written down (--dry-run)", day(at))
                }
                (Some(at), ..) => format!("is activated: in use, last on {}", day(at)),
                (None, Some(_), Some(at)) => format!("is in use, last on {}", day(at)),
                (None, Some(at), None) => format!("was in use on {}, and is not listed any more", day(at)),
                (None, None, _) => "has not been used yet".to_owned(),
            };
            context.output.answer(&format!("Key of job {} ({name}) {text}.", key.job));
        }
        key.used = key.used.or(first);
    }
    Ok(keys)
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%MZ").to_string()
}

/// Shows people's sign-ins and counts them.
struct Seen<'a, 'c> {
    context: &'a Context<'c>,
    args: &'a SignInsArgs,
    failures: usize,
    stories: usize,
}

impl Seen<'_, '_> {
    fn person(&mut self, person: &Somebody, stories: &[SignInStory]) {
        let shown: Vec<&SignInStory> =
            stories.iter().filter(|story| !self.args.failed || story.outcome != Outcome::Success).collect();
        self.stories = self.stories.saturating_add(stories.len());
        let failed = stories.iter().filter(|story| matches!(story.outcome, Outcome::Failure(_))).count();
        self.failures = self.failures.saturating_add(failed);
        let output = self.context.output;
        output.answer(&match (stories.len(), shown.len()) {
            (0, _) => format!("{}: no sign-in in the last {} days", person.name, self.args.since),
            (count, 0) => format!("{}: {count} sign-ins, none failed", person.name),
            _ => format!("{}:", person.name),
        });
        for story in shown {
            self.story(person, story);
        }
    }

    fn story(&self, person: &Somebody, story: &SignInStory) {
        let last = &story.last;
        let methods: Vec<String> = story
            .used
            .iter()
            .map(|step| {
                if step.detail.is_empty() {
                    step.method.clone()
                } else {
                    format!("{} \u{201c}{}\u{201d}", step.method, step.detail)
                }
            })
            .collect();
        let (word, code) = match story.outcome {
            Outcome::Success => ("signed-in", 0),
            Outcome::Unfinished(code) => ("not-finished", code),
            Outcome::Failure(code) => ("failed", code),
        };
        let meaning = story.meaning();
        self.context.output.json(&json!({
            "event": "sign-in", "user": person.id, "upn": person.name, "at": last.at, "outcome": word, "error": code,
            "meaning": meaning.map(|meaning| meaning.meaning), "next": meaning.map(|meaning| meaning.next).filter(|next| !next.is_empty()),
            "reason": last.reason, "methods": story.used.iter().map(|step| &step.method).collect::<Vec<_>>(),
            "app": last.app, "place": last.place, "ip": last.ip, "device": last.device, "blocked_by": last.blocked_by,
            "correlation": last.correlation, "rows": story.rows,
        }));
        let words = match story.outcome {
            Outcome::Success => "signed in",
            Outcome::Unfinished(_) => "not finished",
            Outcome::Failure(_) => "FAILED",
        };
        let with = if methods.is_empty() { String::new() } else { format!(" with {}", methods.join(", ")) };
        let app = last.app.as_deref().map_or_else(String::new, |app| format!(" to {app}"));
        let from: Vec<&str> = [&last.place, &last.ip, &last.device].into_iter().flatten().map(String::as_str).collect();
        let from = if from.is_empty() { String::new() } else { format!("; {}", from.join(", ")) };
        self.context.output.answer(&format!("  {}  {words}{with}{app}{from}", day(last.at)));
        let answer = |text: &str| self.context.output.answer(&format!("      {text}"));
        if code != 0 {
            let own = last
                .reason
                .as_deref()
                .map_or_else(String::new, |reason| format!(" Microsoft: \u{201c}{reason}\u{201d}"));
            match meaning {
                Some(meaning) => answer(&format!("{} ({code}){own}", meaning.meaning)),
                None => answer(&format!("Error {code}.{own}")),
            }
        }
        for policy in &last.blocked_by {
            answer(&format!("Blocked by the Conditional Access rule {policy}."));
        }
        if let Some(meaning) = meaning.filter(|meaning| !meaning.next.is_empty()) {
            answer(&format!("Next: {}", meaning.next));
        }
        // A claim of ID Protection's registration policy, which has no API of its own.
        if last.demanded_by.iter().any(|by| by == "mfaRegistrationRequiredByIdentityProtectionPolicy") {
            answer(
                "The MFA registration policy of ID Protection asked this person to register. Except people with new keys from it (Entra admin centre > ID Protection > Multifactor authentication registration policy).",
            );
        }
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests;
