//! `keybench report adoption`: as text, CSV, or one HTML file.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::html;
use crate::cli::at_tenant::{AtTenant, name_of};
use crate::cli::export::guarded;
use crate::cli::sign_ins::{Somebody, people_of_batch};
use crate::cli::{CliError, Context, Exit};
use crate::graph::report_pace::ReportPace;
use crate::graph::sign_ins::is_unlicensed;
use crate::graph::user_methods::{AuthenticationMethod, MethodsOfOne};
use crate::graph::{ApiVersion, ErrorKind, Graph};
use crate::model::UserId;
use crate::platform::private::{Readers, write_atomic};
use crate::tenant::adoption::{Adoption, Standing, Tally, in_words};

/// `keybench report adoption`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench report adoption --batch 2026-11-pilot
  keybench report adoption --group \"Key holders\" --html adoption.html --csv adoption.csv

The HTML is one file that asks for nothing else, for a screen, a phone or paper. Both files hold
people's names, so only this account can read them. What Microsoft does not tell (without Entra ID
P1 the registration report) is shown as unknown, never as a no. Last uses are from Graph's beta.")]
pub struct AdoptionArgs {
    /// The people of this batch
    #[arg(long, value_name = "BATCH", required_unless_present = "group", conflicts_with = "group")]
    pub batch: Option<String>,
    /// The people of this group, by name or object id
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Write a page for a manager
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write a table, a person a line
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
}

pub(super) fn run(context: &Context<'_>, args: &AdoptionArgs) -> Result<Exit, CliError> {
    let at = AtTenant::sign_in(context)?;
    let (about, people) = match (&args.batch, &args.group) {
        (Some(batch), _) => (format!("batch {batch}"), people_of_batch(&at.settings, batch)?),
        (None, group) => {
            let group = at.graph.find_group(group.as_deref().unwrap_or_default())?;
            let members =
                at.graph.group_members(&group)?.into_iter().map(|user| Somebody { name: name_of(&user), id: user.id });
            (format!("group {}", group.name), members.collect())
        }
    };
    let ids: Vec<UserId> = people.iter().map(|person| person.id.clone()).collect();
    context.output.progress("Reading what people can sign in with (Graph beta) …");
    let methods = methods(&at.graph, &ids)?;
    context.output.progress("Reading the registration report …");
    let (report, licensed) = match at.graph.registration_details(&ids, usize::MAX, &ReportPace::of_reports()) {
        Ok((report, _)) => (report, true),
        Err(error) if is_unlicensed(&error) => {
            context
                .output
                .warning("without Entra ID P1 there is no registration report: MFA and password reset are unknown.");
            (std::collections::HashMap::new(), false)
        }
        Err(error) => return Err(error.into()),
    };
    let standings = people.into_iter().zip(&methods).map(|(person, methods)| {
        let row = report.get(&person.id);
        Standing::of(person.id, person.name, methods.as_deref(), row)
    });
    let adoption = Adoption::new(standings.collect());
    let now = Timestamp::now();
    show(context, &about, &adoption);
    if let Some(path) = &args.html {
        let page = html::page(&html::Page { about: &about, at: now, adoption: &adoption, licensed });
        write(context, path, page.as_bytes())?;
    }
    if let Some(path) = &args.csv {
        write(context, path, &table(&adoption)?)?;
    }
    Ok(Exit::Done)
}

/// Everybody's methods; `None` for who is gone, and for whom this account may not look at. Where it may look at nobody, that is
/// the answer.
fn methods(graph: &Graph, ids: &[UserId]) -> Result<Vec<Option<Vec<AuthenticationMethod>>>, CliError> {
    let answers = graph.methods_of_each(ApiVersion::Beta, ids)?;
    let seen = answers.iter().any(|answer| !matches!(answer, Err(error) if error.kind() == ErrorKind::Forbidden));
    let one = |answer: MethodsOfOne| match answer {
        Ok(methods) => Ok(Some(methods)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::Forbidden && seen => Ok(None),
        Err(error) => Err(error.into()),
    };
    answers.into_iter().map(one).collect()
}

fn write(context: &Context<'_>, path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    write_atomic(path, bytes, Readers::OnlyMe)?;
    context.output.progress(&format!("Written: {}", path.display()));
    Ok(())
}

/// The questions of the report, in its order.
pub(super) fn questions(adoption: &Adoption) -> [(&'static str, &'static str, Tally); 6] {
    [
        ("key", "Key registered", adoption.keys()),
        ("key_used", "Key used to sign in", adoption.used()),
        ("two_strong", "Second strong authenticator", adoption.two()),
        ("mfa_registered", "MFA registered", adoption.mfa()),
        ("pass_left", "Temporary Access Pass left over", adoption.passes()),
        ("sspr", "Password reset still on", adoption.sspr()),
    ]
}

fn show(context: &Context<'_>, about: &str, adoption: &Adoption) {
    let output = context.output;
    for person in &adoption.people {
        output.json(&json!({
            "event": "person", "user": person.user, "upn": person.name, "key": person.key, "key_used": person.key_used,
            "strong_methods": person.strong, "pass_left": person.live_pass, "sspr": person.sspr, "mfa_registered": person.mfa,
            "last_method": person.last.as_ref().map(|(kind, _)| kind.word()), "last_used": person.last.as_ref().map(|(_, at)| at),
            "to_do": person.to_do(),
        }));
    }
    let total = adoption.people.len();
    let mut summary = json!({ "event": "adoption", "about": about, "people": total });
    output.answer(&format!("Adoption of {about}: {total} {}", if total == 1 { "person" } else { "people" }));
    for (name, title, tally) in questions(adoption) {
        summary[name] = json!({ "yes": tally.yes, "no": tally.no, "unknown": tally.unknown });
        let unknown = if tally.unknown > 0 { format!(", {} unknown", tally.unknown) } else { String::new() };
        output.answer(&format!("  {title:<32} {:>5} of {total}{unknown}", tally.yes));
    }
    output.json(&summary);
    let last: Vec<String> = adoption
        .last_methods()
        .into_iter()
        .map(|(kind, count)| format!("{} {count}", kind.as_ref().map_or("nothing known", in_words)))
        .collect();
    if !last.is_empty() {
        output.answer(&format!("  Last method used: {}", last.join(", ")));
    }
    let open: Vec<&Standing> = adoption.people.iter().filter(|person| !person.to_do().is_empty()).collect();
    if !open.is_empty() {
        output.answer(&format!("Something is left to do for {}:", open.len()));
    }
    for person in open.iter().take(MOST_LISTED) {
        output.answer(&format!("  {}: {}", person.name, person.to_do().join("; ")));
    }
    if let Some(more) = open.len().checked_sub(MOST_LISTED).filter(|more| *more > 0) {
        output.answer(&format!("  and {more} more; --csv and --html list everybody"));
    }
}

/// A terminal's worth of names.
const MOST_LISTED: usize = 40;

fn table(adoption: &Adoption) -> Result<Vec<u8>, CliError> {
    let failed = |error: csv::Error| {
        CliError::new(Exit::Usage, "unwritable", "The table can't be made.", "report this.").because(error.to_string())
    };
    let mut table = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
    table
        .write_record([
            "upn",
            "user",
            "key",
            "key_used",
            "strong_methods",
            "pass_left",
            "sspr",
            "mfa_registered",
            "last_method",
            "last_used",
            "to_do",
        ])
        .map_err(failed)?;
    let word = |answer: Option<bool>| match answer {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    };
    for person in &adoption.people {
        let row = [
            person.name.clone(),
            person.user.to_string(),
            word(person.key).to_owned(),
            word(person.key_used).to_owned(),
            person.strong.map_or_else(|| "unknown".to_owned(), |count| count.to_string()),
            word(person.live_pass).to_owned(),
            word(person.sspr).to_owned(),
            word(person.mfa).to_owned(),
            person.last.as_ref().map(|(kind, _)| kind.word().to_owned()).unwrap_or_default(),
            person.last.as_ref().map(|(_, at)| at.to_string()).unwrap_or_default(),
            person.to_do().join("; "),
        ];
        table.write_record(row.map(|cell| guarded(&cell))).map_err(failed)?;
    }
    table.into_inner().map_err(|error| {
        CliError::new(Exit::Usage, "unwritable", "The table can't be made.", "report this.").because(error.to_string())
    })
}
