//! `keybench people create`.
//!
//! Promise: nothing is made before the whole file, the domains, licences and groups are known to be right; each account's password
//! is drawn, sent once and wiped; what is there already is not changed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::plain_group;
use crate::cli::at_tenant::{AtTenant, read_file};
use crate::cli::{CliError, Context, Exit};
use crate::graph::new_users::{NewUser, Sku, licence_body};
use crate::graph::{DirectoryUser, ErrorKind, Group};
use crate::ledger::{BlobHash, TenantEntry};
use crate::model::UserId;
use crate::tenant::account_journal::{AccountJournal, Intended};
use crate::tenant::password::password;
use crate::tenant::people_file::{self, NewPerson};
use crate::world::SystemEntropy;

/// `keybench people create`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench people create new.csv --dry-run
  keybench people create new.csv
  keybench people create new.csv --json

CSV with a header line: upn, display_name, and if you like given_name, surname, usage_location (IE),
licence (SPE_E5), group (Pilot; several with ; between). Nobody gets to know the password: hand out
a key (keybench run) or a pass (keybench tap issue).")]
pub struct CreateArgs {
    /// Who: a CSV file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Check everything and show what would be made
    #[arg(long)]
    pub dry_run: bool,
}

/// How long the directory may take until a new account can be used.
const READY: Duration = Duration::from_secs(120);

/// What a row asks for, looked up.
struct Wish<'a> {
    person: &'a NewPerson,
    existing: Option<DirectoryUser>,
    licences: Vec<Sku>,
    groups: Vec<Group>,
}

/// What was done for a row.
#[derive(Default)]
struct Done {
    made: bool,
    licences: Vec<String>,
    groups: Vec<String>,
    notes: Vec<String>,
}

pub(super) fn run(context: &Context<'_>, args: &CreateArgs) -> Result<Exit, CliError> {
    let people = people_file::read(&args.file.display().to_string(), &read_file(&args.file)?)?;
    let at = AtTenant::sign_in(context)?;
    let wishes = look_up(&at, &people, &args.file.display().to_string())?;
    if args.dry_run {
        return plan(context, &at, &wishes);
    }
    let ledger = at.ledger()?;
    let journal = at.journal(&ledger);
    let (mut made, mut already, mut changed, mut failed) = (0u64, 0u64, 0u64, 0u64);
    for wish in &wishes {
        at.go_on()?;
        let mut done = Done::default();
        let outcome = fulfil(context, &at, &journal, wish, &mut done);
        report(context, wish, &done, outcome.as_ref().err());
        match outcome {
            Ok(()) if done.made => made += 1,
            Ok(()) if done.licences.is_empty() && done.groups.is_empty() => already += 1,
            Ok(()) => changed += 1,
            Err(error) if is_about_one(&error) => failed += 1,
            // The next row would meet the same: what is done stands above, the same command goes on.
            Err(error) => return Err(error),
        }
    }
    context.output.json(&json!({
        "event": "people", "made": made, "already": already, "changed": changed, "failed": failed,
    }));
    context.output.answer(&format!("{made} made, {already} already there, {changed} completed, {failed} failed."));
    if made > 0 {
        context.output.progress("Nobody knows their passwords. Next: `keybench run`, or `keybench tap issue`.");
    }
    Ok(if failed > 0 { Exit::SomeFailed } else { Exit::Done })
}

/// Whether another row may fare better.
fn is_about_one(error: &CliError) -> bool {
    matches!(error.code, "graph-refused" | "graph-not-found" | "graph-conflict" | "graph-unknown-outcome" | "not-ready")
}

/// Domains, licences and groups, and who is there: all that is wrong at once, by line.
fn look_up<'a>(at: &AtTenant, people: &'a [NewPerson], file: &str) -> Result<Vec<Wish<'a>>, CliError> {
    let upns: Vec<&str> = people.iter().map(|person| person.upn.as_str()).collect();
    let existing = at.graph.find_users(&upns)?;
    let domains = at.graph.domains()?;
    let skus = if people.iter().any(|person| !person.licences.is_empty()) { at.graph.skus()? } else { Vec::new() };
    let mut problems: Vec<String> = Vec::new();
    let mut groups: HashMap<String, Option<Group>> = HashMap::new();
    let mut seats: HashMap<String, u64> = HashMap::new();
    let mut wishes = Vec::new();
    for (person, existing) in people.iter().zip(existing) {
        let mut problem = |field: &str, what: String| problems.push(format!("{file}:{}: {field}: {what}", person.line));
        if existing.is_none() {
            match domains.iter().find(|domain| domain.name == person.domain()) {
                None => {
                    let known: Vec<&str> = domains.iter().map(|domain| domain.name.as_str()).collect();
                    problem(
                        "upn",
                        format!("{} is no domain of this tenant; there are {}", person.domain(), known.join(", ")),
                    );
                }
                Some(domain) if !domain.verified => {
                    problem("upn", format!("the domain {} is not verified", domain.name))
                }
                Some(domain) if domain.federated => {
                    problem(
                        "upn",
                        format!("{} is federated: make its people in the directory that signs them in", domain.name),
                    );
                }
                Some(_) => {}
            }
        }
        let held = match &existing {
            Some(user) => at.graph.account_facts(&user.id)?.licences,
            None => Vec::new(),
        };
        let mut licences = Vec::new();
        for name in &person.licences {
            match skus.iter().find(|sku| sku.name.eq_ignore_ascii_case(name) || sku.id.eq_ignore_ascii_case(name)) {
                None => {
                    let known: Vec<&str> = skus.iter().map(|sku| sku.name.as_str()).collect();
                    problem("licence", format!("this tenant has no {name}; there are {}", known.join(", ")));
                }
                Some(sku) => {
                    if !held.contains(&sku.id) {
                        *seats.entry(sku.id.clone()).or_default() += 1;
                    }
                    licences.push(sku.clone());
                }
            }
        }
        let mut found = Vec::new();
        for name in &person.groups {
            if !groups.contains_key(name) {
                let group = match plain_group(at, name) {
                    Ok(group) => Some(group),
                    Err(error) if matches!(error.code, "graph-not-found" | "graph-ambiguous" | "group-not-plain") => {
                        problem("group", error.fact.trim_end_matches('.').to_owned());
                        None
                    }
                    Err(error) => return Err(error),
                };
                groups.insert(name.clone(), group);
            }
            found.extend(groups.get(name).cloned().flatten());
        }
        wishes.push(Wish { person, existing, licences, groups: found });
    }
    for (id, wanted) in seats {
        if let Some(sku) = skus.iter().find(|sku| sku.id == id && sku.free() < wanted) {
            problems.push(format!(
                "{file}: licence: {wanted} seats of {} are needed and {} are free",
                sku.name,
                sku.free()
            ));
        }
    }
    if problems.is_empty() {
        return Ok(wishes);
    }
    let fact = format!("{file} asks for what this tenant does not have.");
    let mut error = CliError::new(Exit::Usage, "people-file", fact, "correct these; nobody was made.");
    error.causes = problems;
    Err(error)
}

fn plan(context: &Context<'_>, at: &AtTenant, wishes: &[Wish<'_>]) -> Result<Exit, CliError> {
    let (mut new, mut open) = (0u64, 0u64);
    for wish in wishes {
        let (licences, groups) = match &wish.existing {
            None => (wish.licences.clone(), wish.groups.clone()),
            Some(user) => missing(at, wish, &user.id)?,
        };
        let names = |list: Vec<String>| list.join(", ");
        let mut parts = Vec::new();
        if wish.existing.is_none() {
            new += 1;
            parts.push("would be made".to_owned());
        } else {
            parts.push("is there already".to_owned());
            open += u64::from(!licences.is_empty() || !groups.is_empty());
        }
        if !licences.is_empty() {
            parts.push(format!("would get {}", names(licences.iter().map(|sku| sku.name.clone()).collect())));
        }
        if !groups.is_empty() {
            parts.push(format!("would be put into {}", names(groups.iter().map(|group| group.name.clone()).collect())));
        }
        context.output.json(&json!({
            "event": "person", "line": wish.person.line, "upn": wish.person.upn, "dry_run": true,
            "exists": wish.existing.is_some(), "licences": licences.iter().map(|sku| &sku.name).collect::<Vec<_>>(),
            "groups": groups.iter().map(|group| &group.name).collect::<Vec<_>>(),
        }));
        context.output.answer(&format!("line {}: {} {}", wish.person.line, wish.person.upn, parts.join("; ")));
    }
    context.output.answer(&format!("{new} would be made, {open} completed. Nothing was changed."));
    Ok(Exit::Done)
}

/// What an account lacks of what its row asks for.
fn missing(at: &AtTenant, wish: &Wish<'_>, user: &UserId) -> Result<(Vec<Sku>, Vec<Group>), CliError> {
    let mut licences = wish.licences.clone();
    if !licences.is_empty() {
        let held = at.graph.account_facts(user)?.licences;
        licences.retain(|sku| !held.contains(&sku.id));
    }
    let ids = wish.groups.iter().map(|group| group.id.clone()).collect();
    let within = at.graph.memberships(std::slice::from_ref(user), &ids)?.into_iter().next().unwrap_or_default();
    let groups = wish.groups.iter().filter(|group| !within.contains(&group.id)).cloned().collect();
    Ok((licences, groups))
}

fn fulfil(
    context: &Context<'_>,
    at: &AtTenant,
    journal: &AccountJournal<'_>,
    wish: &Wish<'_>,
    done: &mut Done,
) -> Result<(), CliError> {
    let upn = wish.person.upn.as_str();
    let user = match &wish.existing {
        Some(user) => {
            if user.display_name.as_deref().is_some_and(|name| name != wish.person.display_name) {
                done.notes.push("has another display name; left as it is".to_owned());
            }
            if user.enabled == Some(false) {
                done.notes.push("is disabled; left as it is".to_owned());
            }
            user.id.clone()
        }
        None => {
            let id = make(at, journal, wish.person)?;
            done.made = true;
            let ready = at.until(&format!("{upn} can be used"), READY, || {
                Ok(at.graph.find_user(id.as_str())?.is_some().then_some(()))
            })?;
            let ready = match ready {
                Some(()) => at.until(&format!("{upn} can be given a key or a pass"), READY, || {
                    Ok(at.graph.is_ready(&id)?.then_some(()))
                })?,
                None => None,
            };
            if ready.is_none() {
                let fact = format!("{upn} was made, and the directory does not show them everywhere yet.");
                return Err(CliError::new(
                    Exit::Tenant,
                    "not-ready",
                    fact,
                    "run the same command again in some minutes.",
                ));
            }
            id
        }
    };
    let (licences, groups) = missing(at, wish, &user)?;
    if !licences.is_empty() {
        locate(at, journal, &user, wish.person)?;
    }
    for sku in licences {
        let call = format!("POST /users/{user}/assignLicense");
        let body = licence_body(&sku.id);
        let change = journal.intend(Intended {
            user: Some(&user),
            area: "licence",
            call: &call,
            before: None,
            sent: Some(&body),
        })?;
        let request = at.graph.assign_licence(&user, &sku.id);
        settle(journal, &change, request)?;
        done.licences.push(sku.name);
    }
    for group in groups {
        super::group::put_in(at, journal, &group, &user)?;
        done.groups.push(group.name);
    }
    context.output.detail(crate::cli::Level::Detailed, &format!("{upn}: done."));
    Ok(())
}

/// Writes down how a write went.
fn settle(
    journal: &AccountJournal<'_>,
    change: &crate::model::ChangeId,
    outcome: Result<String, crate::graph::GraphError>,
) -> Result<(), CliError> {
    match outcome {
        Ok(request) => Ok(journal.done(change, Some(&request), [])?),
        Err(error) => {
            journal.failed(change, &error)?;
            Err(error.into())
        }
    }
}

/// A licence needs a usage location; one that is there is left.
fn locate(at: &AtTenant, journal: &AccountJournal<'_>, user: &UserId, person: &NewPerson) -> Result<(), CliError> {
    let Some(location) = &person.usage_location else { return Ok(()) };
    if at.graph.account_facts(user)?.usage_location.is_some() {
        return Ok(());
    }
    let call = format!("PATCH /users/{user}");
    let (before, sent) = (json!({ "usageLocation": null }), json!({ "usageLocation": location }));
    let intended =
        Intended { user: Some(user), area: "usage location", call: &call, before: Some(&before), sent: Some(&sent) };
    let change = journal.intend(intended)?;
    settle(journal, &change, at.graph.set_usage_location(user, location))
}

/// Makes the account. The password is in nobody's hands after this.
fn make(at: &AtTenant, journal: &AccountJournal<'_>, person: &NewPerson) -> Result<UserId, CliError> {
    let nickname = person.mail_nickname();
    let user = NewUser {
        account_enabled: true,
        display_name: &person.display_name,
        mail_nickname: if nickname.is_empty() { "user" } else { &nickname },
        user_principal_name: person.upn.as_str(),
        usage_location: person.usage_location.as_deref(),
        given_name: person.given_name.as_deref(),
        surname: person.surname.as_deref(),
    };
    // The document comes with the outcome: a name stands in it, and nobody owns it before there is an account.
    let change =
        journal.intend(Intended { user: None, area: "person", call: "POST /users", before: None, sent: None })?;
    let secret = password(&SystemEntropy)?;
    let outcome = at.graph.create_user(&user, &secret);
    drop(secret);
    let (id, request) = match outcome {
        Ok((made, request)) => (made.id, request),
        Err(error) if error.kind() == ErrorKind::Unknown => {
            // Whoever is there now by this name is the one just made: nobody was a moment ago.
            let request = error.ids().client_request_id.clone().unwrap_or_default();
            let found =
                at.until(&format!("it is known whether {} was made", person.upn), Duration::from_secs(20), || {
                    at.graph.find_user(person.upn.as_str())
                })?;
            match found {
                Some(found) => (found.id, request),
                None => return Err(error.into()),
            }
        }
        Err(error) => {
            journal.failed(&change, &error)?;
            return Err(error.into());
        }
    };
    // The account as sent; its password is no part of this.
    let document = serde_json::to_vec(&user).unwrap_or_default();
    let fact = TenantEntry::PersonCreated {
        tenant: journal.tenant.clone(),
        user: id.clone(),
        sent: Some(BlobHash::of(&document)),
        by: journal.operator.clone(),
        request: request.clone(),
    };
    journal.done_with(&change, Some(&request), [fact], Some(document))?;
    Ok(id)
}

fn report(context: &Context<'_>, wish: &Wish<'_>, done: &Done, error: Option<&CliError>) {
    let mut parts = Vec::new();
    if done.made {
        parts.push("made".to_owned());
    } else if error.is_none() && done.licences.is_empty() && done.groups.is_empty() {
        parts.push("already there; nothing changed".to_owned());
    } else if wish.existing.is_some() {
        parts.push("already there".to_owned());
    }
    if !done.licences.is_empty() {
        parts.push(format!("licence {}", done.licences.join(", ")));
    }
    if !done.groups.is_empty() {
        parts.push(format!("put into {}", done.groups.join(", ")));
    }
    parts.extend(done.notes.iter().cloned());
    if let Some(error) = error {
        parts.push(format!("FAILED: {}", error.fact));
    }
    context.output.json(&json!({
        "event": "person", "line": wish.person.line, "upn": wish.person.upn, "made": done.made, "licences": done.licences,
        "groups": done.groups, "notes": done.notes, "code": error.map(|error| error.code),
        "what": error.map(|error| &error.fact), "next": error.map(|error| &error.next),
    }));
    context.output.answer(&format!("line {}: {} {}", wish.person.line, wish.person.upn, parts.join("; ")));
    if let Some(error) = error {
        for cause in &error.causes {
            context.output.answer(&format!("    {cause}"));
        }
        context.output.answer(&format!("    Next: {}", error.next));
    }
}
