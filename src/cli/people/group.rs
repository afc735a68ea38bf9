//! `keybench people group`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::plain_group;
use crate::cli::at_tenant::{AtTenant, name_of, one_line, read_file};
use crate::cli::{CliError, Context, Exit};
use crate::graph::new_users::group_body;
use crate::graph::{DirectoryUser, ErrorKind, Group};
use crate::model::UserId;
use crate::tenant::account_journal::{AccountJournal, Intended};

/// `keybench people group …`
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Make a security group; one of this name that is there is left as it is
    Create(MakeArgs),
    /// Put people into a group
    Add(MembersArgs),
    /// Take people out of a group
    Remove(MembersArgs),
}

/// `keybench people group create`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench people group create \"Key pilot\" --description \"Signs in with security keys\"")]
pub struct MakeArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Check, and make nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `keybench people group add` and `remove`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench people group add \"Key pilot\" kim@contoso.com lee@contoso.com
  keybench people group add \"Key pilot\" --roster people.csv --dry-run
  keybench people group remove \"SSPR users\" kim@contoso.com

Not for groups whose members a rule makes, that come from on-premises, or that roles can be
assigned to.")]
pub struct MembersArgs {
    /// Name or object id
    #[arg(value_name = "GROUP")]
    pub group: String,
    /// User principal names or object ids
    #[arg(value_name = "USER", required_unless_present = "roster")]
    pub users: Vec<String>,
    /// The people of this roster
    #[arg(long, value_name = "FILE", conflicts_with = "users")]
    pub roster: Option<PathBuf>,
    /// Show what would be changed
    #[arg(long)]
    pub dry_run: bool,
}

pub(super) fn run(context: &Context<'_>, command: &GroupCommand) -> Result<Exit, CliError> {
    match command {
        GroupCommand::Create(args) => create(context, args),
        GroupCommand::Add(args) => members(context, args, true),
        GroupCommand::Remove(args) => members(context, args, false),
    }
}

/// How long the directory's index may take to show a change.
const INDEX: Duration = Duration::from_secs(30);

fn create(context: &Context<'_>, args: &MakeArgs) -> Result<Exit, CliError> {
    let name = one_line("NAME", &args.name)?;
    let at = AtTenant::sign_in(context)?;
    let told = |group: Option<&Group>, made: bool| {
        context.output.json(&json!({
            "event": "group", "group": group.map(|group| &group.id), "name": name, "made": made, "dry_run": args.dry_run,
        }));
    };
    match at.graph.find_group(name) {
        Ok(group) => {
            context.output.answer(&format!("The group {name} is there already ({}).", group.id));
            told(Some(&group), false);
            return Ok(Exit::Done);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    if args.dry_run {
        context.output.answer(&format!("Would make the security group {name}."));
        told(None, false);
        return Ok(Exit::Done);
    }
    let ledger = at.ledger()?;
    let journal = at.journal(&ledger);
    let body = group_body(name, args.description.as_deref());
    let change = journal.intend(Intended {
        user: None,
        area: "group",
        call: "POST /groups",
        before: None,
        sent: Some(&body),
    })?;
    match at.graph.create_group(&body) {
        Ok((group, request)) => {
            journal.done(&change, Some(&request), [])?;
            let shown = at.until(&format!("the directory shows the group {name}"), INDEX, || {
                match at.graph.find_group(name) {
                    Ok(group) => Ok(Some(group)),
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(error),
                }
            })?;
            if shown.is_none() {
                context.output.progress("The directory does not show it by name yet; use its id meanwhile.");
            }
            context.output.answer(&format!("The security group {name} is made ({}).", group.id));
            told(Some(&group), true);
            Ok(Exit::Done)
        }
        Err(error) => {
            journal.failed(&change, &error)?;
            Err(error.into())
        }
    }
}

fn members(context: &Context<'_>, args: &MembersArgs, add: bool) -> Result<Exit, CliError> {
    let names = match &args.roster {
        None => args.users.clone(),
        Some(path) => {
            let roster = crate::roster::Roster::read(&path.display().to_string(), &read_file(path)?)?;
            roster.rows.iter().map(|row| row.upn.to_string()).collect()
        }
    };
    let at = AtTenant::sign_in(context)?;
    let group = plain_group(&at, &args.group)?;
    let users = everybody(&at, &names)?;
    let ids: Vec<UserId> = users.iter().map(|user| user.id.clone()).collect();
    let asked = std::collections::BTreeSet::from([group.id.clone()]);
    let within: Vec<bool> =
        at.graph.memberships(&ids, &asked)?.into_iter().map(|groups| groups.contains(&group.id)).collect();
    let ledger = if args.dry_run { None } else { Some(at.ledger()?) };
    let (mut changed, mut same, mut failed) = (Vec::new(), 0u64, 0u64);
    for (user, within) in users.iter().zip(within) {
        at.go_on()?;
        let name = name_of(user);
        let tell = |outcome: &str| {
            context.output.json(&json!({
                "event": "member", "group": group.id, "user": user.id, "upn": name, "outcome": outcome, "dry_run": args.dry_run,
            }));
        };
        if within == add {
            same += 1;
            context.output.answer(&format!("{name}: {}", if add { "in it already" } else { "not in it" }));
            tell("same");
            continue;
        }
        let Some(ledger) = &ledger else {
            changed.push(user.id.clone());
            context.output.answer(&format!("{name}: would be {}", if add { "put in" } else { "taken out" }));
            tell("would-change");
            continue;
        };
        let journal = at.journal(ledger);
        let outcome = if add {
            put_in(&at, &journal, &group, &user.id).map(|()| true)
        } else {
            take_out(&at, &journal, &group, &user.id)
        };
        match outcome {
            Ok(true) => {
                changed.push(user.id.clone());
                context.output.answer(&format!("{name}: {}", if add { "put in" } else { "taken out" }));
                tell("changed");
            }
            Ok(false) => {
                failed += 1;
                context.output.answer(&format!("{name}: in it through another group; take them out of that one"));
                tell("through-another-group");
            }
            Err(error) if matches!(error.code, "graph-refused" | "graph-not-found" | "graph-conflict") => {
                failed += 1;
                context.output.answer(&format!("{name}: FAILED: {}", error.fact));
                tell("failed");
                context.output.error(&error);
            }
            Err(error) => return Err(error),
        }
    }
    if ledger.is_some() && !changed.is_empty() {
        let settled = at.until(&format!("the directory shows the members of {}", group.name), INDEX, || {
            let now = at.graph.memberships(&changed, &asked)?;
            Ok(now.iter().all(|groups| groups.contains(&group.id) == add).then_some(()))
        })?;
        if settled.is_none() {
            context.output.progress("The directory does not show all of it yet; it takes some minutes.");
        }
    }
    let verb = match (args.dry_run, add) {
        (true, true) => "would be put into",
        (true, false) => "would be taken out of",
        (false, true) => "put into",
        (false, false) => "taken out of",
    };
    context.output.answer(&format!("{} {verb} {}, {same} unchanged, {failed} failed.", changed.len(), group.name));
    Ok(if failed > 0 { Exit::SomeFailed } else { Exit::Done })
}

/// Everybody by name; anyone unknown stops it before the first change.
fn everybody(at: &AtTenant, names: &[String]) -> Result<Vec<DirectoryUser>, CliError> {
    let found = at.graph.find_users(names)?;
    let unknown: Vec<String> =
        names.iter().zip(&found).filter(|(_, user)| user.is_none()).map(|(name, _)| name.trim().to_owned()).collect();
    if unknown.is_empty() {
        return Ok(found.into_iter().flatten().collect());
    }
    let fact = format!("The tenant does not know {}.", unknown.join(", "));
    let next = "check the spelling; `keybench people create` makes users.";
    Err(CliError::new(Exit::Usage, "no-such-user", fact, next).because("Nothing was changed."))
}

/// Puts somebody in, written down before and after.
pub(super) fn put_in(
    at: &AtTenant,
    journal: &AccountJournal<'_>,
    group: &Group,
    user: &UserId,
) -> Result<(), CliError> {
    let call = format!("POST /groups/{}/members/$ref", group.id);
    let body = at.graph.member_body(user)?;
    let change =
        journal.intend(Intended { user: Some(user), area: "group", call: &call, before: None, sent: Some(&body) })?;
    match at.graph.add_member(group, user) {
        Ok(request) => Ok(journal.done(&change, Some(&request), [])?),
        Err(error) => {
            journal.failed(&change, &error)?;
            Err(error.into())
        }
    }
}

/// Takes somebody out; `false` when they are in it through another group only.
fn take_out(at: &AtTenant, journal: &AccountJournal<'_>, group: &Group, user: &UserId) -> Result<bool, CliError> {
    let call = format!("DELETE /groups/{}/members/{user}/$ref", group.id);
    let before = json!({ "group": group.id, "member": user });
    let change =
        journal.intend(Intended { user: Some(user), area: "group", call: &call, before: Some(&before), sent: None })?;
    match at.graph.remove_member(group, user) {
        Ok(deleted) => {
            journal.done(&change, Some(&deleted.request), [])?;
            Ok(deleted.by_us)
        }
        Err(error) => {
            journal.failed(&change, &error)?;
            Err(error.into())
        }
    }
}
