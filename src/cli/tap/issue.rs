//! `keybench tap issue`.
//!
//! Promise: everything that forbids a pass is found before one is made; who was identified and how is in the ledger before the
//! code is on the screen; a pass that can't be written down, or whose code was lost on the way to us or to the screen, is deleted again.

use std::time::Duration;

use clap::{ArgGroup, Args};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{delete, moment};
use crate::cli::at_tenant::{AtTenant, name_of, one_line};
use crate::cli::prompt::Custodian;
use crate::cli::{CliError, Context, Exit};
use crate::graph::temporary_access_pass::pass_body;
use crate::graph::{DirectoryUser, ErrorKind, IssuedPass, Privilege};
use crate::ledger::TenantEntry;
use crate::pin::Prompts as _;
use crate::tenant::account_journal::{AccountJournal, Intended};
use crate::tenant::pass::{Allowed, Wanted, Way, allowed};

/// `keybench tap issue`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("use").args(["once", "multi_use"]), after_long_help = "Examples:
  keybench tap issue kim@contoso.com --by call --identified \"called back on the number in HR\"
  keybench tap issue kim@contoso.com --by in-person --identified passport --multi-use --minutes 240
  keybench tap issue kim@contoso.com --by call --identified \"manager on the call\" --dry-run

stdout gets the code and nothing else. A pass that would travel by post or in a message is refused:
whoever holds it and guesses the name owns the account. Send the key; when its receipt is confirmed,
issue a short pass on the phone. `keybench tap advise` says which kind fits.")]
pub struct IssueArgs {
    /// User principal name or object id
    #[arg(value_name = "USER")]
    pub user: String,
    /// How the code gets to its person
    #[arg(long, value_name = "WAY")]
    pub by: ByWay,
    /// How you know that it is them; stands in the ledger [else asked for]
    #[arg(long, value_name = "TEXT")]
    pub identified: Option<String>,
    /// It works once [the default]
    #[arg(long)]
    pub once: bool,
    /// It works until it ends: for Windows set-up, macOS enrolment, phone sign-in from a browser
    #[arg(long)]
    pub multi_use: bool,
    /// How long it lives [else as short as the tenant's policy allows; multi-use: the policy's default]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(10..=43_200))]
    pub minutes: Option<u32>,
    /// From when on it works, e.g. 2026-11-21T14:00+01:00 [else now]; at most a day ahead
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub start: Option<Timestamp>,
    /// Also for people with admin roles, or in groups that roles can be assigned to
    #[arg(long)]
    pub allow_privileged: bool,
    /// Print the code although stdout is not a terminal
    #[arg(long)]
    pub to_stdout: bool,
    /// Check everything, issue nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Ways to hand a code over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ByWay {
    /// Face to face
    InPerson,
    /// Read out on the phone
    Call,
    /// On a video call
    Video,
    /// By post (refused)
    Post,
    /// By e-mail, chat or text message (refused)
    Message,
}

impl From<ByWay> for Way {
    fn from(way: ByWay) -> Self {
        match way {
            ByWay::InPerson => Self::InPerson,
            ByWay::Call => Self::Call,
            ByWay::Video => Self::Video,
            ByWay::Post => Self::Post,
            ByWay::Message => Self::Message,
        }
    }
}

/// An instant, or a local time without a zone.
fn time(text: &str) -> Result<Timestamp, String> {
    let local = || {
        let time: jiff::civil::DateTime = text.parse().ok()?;
        time.to_zoned(jiff::tz::TimeZone::system()).ok().map(|zoned| zoned.timestamp())
    };
    let given: Option<Timestamp> = text.parse().ok();
    given.or_else(local).ok_or_else(|| "write it as 2026-11-21T14:00 (this machine's time) or with a zone".to_owned())
}

/// How long a person who was just made may be unknown to this part of the tenant.
const NEW_PERSON: Duration = Duration::from_secs(60);

pub(super) fn run(context: &Context<'_>, args: &IssueArgs) -> Result<Exit, CliError> {
    let way = Way::from(args.by);
    if let Some(why) = way.objection() {
        let fact = format!("A pass is not sent by {}.", way.word());
        let next = "send the key; when the person confirms that it has arrived, issue a short pass with --by call.";
        return Err(CliError::new(Exit::Usage, "tap-way", fact, next).because(why).because("Nothing was issued."));
    }
    if !args.to_stdout && !args.dry_run && !context.output.style().stdout_is_terminal {
        let fact = "stdout is not a terminal; the code would go to a pipe or a file.";
        let next = "run it at a terminal, or add --to-stdout if that is meant.";
        return Err(CliError::new(Exit::Usage, "not-a-terminal", fact, next).because("Nothing was issued."));
    }
    let identified = identified(context, args)?;
    let at = AtTenant::sign_in(context)?;
    let user = at.person(&args.user)?;
    let name = name_of(&user);
    let allowed = check(&at, &user, &name, args)?;
    let asked = || match at.graph.passes(&user.id) {
        Ok(passes) => Ok(Some(passes)),
        // The directory knows the person; this part of it does not, yet.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let old = at.until(&format!("{name} can be given a pass"), NEW_PERSON, asked)?.ok_or_else(|| too_new(&name))?;
    if args.dry_run {
        context.output.progress(&format!("Would issue {} for {name}. Nothing was issued.", in_words(&allowed, &at)));
        for pass in &old {
            context
                .output
                .progress(&format!("Would delete the pass they have ({}).", super::in_words(pass, at.clock.now())));
        }
        return Ok(Exit::Done);
    }
    let ledger = at.ledger()?;
    let journal = at.journal(&ledger);
    for pass in &old {
        delete(&at, &journal, &user.id, pass, "replaced by a new pass")?;
        context.output.progress("The pass they had is deleted.");
    }
    let issued = issue(&at, &journal, &user, &name, &allowed, &format!("{}: {identified}", way.word()))?;
    let until = issued.pass.ends().map_or_else(String::new, |end| format!(", until {}", moment(end)));
    context.output.progress(&format!("{} for {name}{until}. This is the only time it is shown:", kind(&allowed)));
    let code = issued.code.expose();
    // One allocation of the full size: growing would leave a copy behind.
    let mut shown = Zeroizing::new(Vec::with_capacity(code.len() + 1));
    shown.extend_from_slice(code.as_bytes());
    shown.push(b'\n');
    if let Err(error) = context.output.once(&shown) {
        return Err(unseen(&at, &journal, &user, &issued, error));
    }
    context.output.progress("When the key is registered: `keybench tap sweep`.");
    Ok(Exit::Done)
}

fn kind(allowed: &Allowed) -> &'static str {
    if allowed.one_time { "One-time pass" } else { "Multi-use pass" }
}

fn in_words(allowed: &Allowed, at: &AtTenant) -> String {
    let kind = if allowed.one_time { "a one-time pass" } else { "a multi-use pass" };
    let from = allowed.starts.unwrap_or_else(|| at.clock.now());
    format!("{kind} of {} minutes from {}", allowed.minutes, moment(from))
}

/// What the operator says of how they know the person; nobody there to say it is a refusal.
fn identified(context: &Context<'_>, args: &IssueArgs) -> Result<String, CliError> {
    if let Some(text) = &args.identified {
        return one_line("--identified", text).map(str::to_owned);
    }
    let person = Custodian::new(context.output.style().stderr_is_terminal);
    let Some(text) = person.ask("How do you know that it is them? (stands in the ledger)") else {
        let fact = "Nobody said how the person was identified, and nobody is here to ask.";
        let next = "add --identified, e.g. --identified \"called back on the number in HR\".";
        return Err(CliError::new(Exit::Usage, "usage", fact, next).because("Nothing was issued."));
    };
    one_line("The answer", &text).map(str::to_owned)
}

/// Everything that forbids it, before anything is done.
fn check(at: &AtTenant, user: &DirectoryUser, name: &str, args: &IssueArgs) -> Result<Allowed, CliError> {
    let not_for = |why: String, next: &str| {
        let fact = format!("{name} can't be given a pass: {why}.");
        CliError::new(Exit::Usage, "not-for-this-person", fact, next).because("Nothing was issued.")
    };
    let caller = at.graph.whoami()?;
    if caller.object_id.as_ref() == Some(&user.id) {
        return Err(not_for(
            "it is your own account".into(),
            "have a colleague do it: nobody can issue a pass for themselves.",
        ));
    }
    if user.enabled == Some(false) {
        return Err(not_for("the account is disabled".into(), "enable the account first."));
    }
    if user.guest == Some(true) {
        return Err(not_for("guests sign in where they belong".into(), "issue the pass in their home tenant."));
    }
    if !args.allow_privileged {
        let held = at.graph.privileges(std::slice::from_ref(&user.id))?;
        if let Some(held) = held.into_iter().flatten().next() {
            let why = match held {
                Privilege::Role(role) => format!("they hold the role {role}"),
                Privilege::RoleAssignableGroup(group) => format!("they are in {group}, which roles can be assigned to"),
            };
            return Err(not_for(why, "if that is meant, add --allow-privileged."));
        }
    }
    let policy = at.graph.pass_policy()?;
    let wanted = Wanted {
        one_time: if args.multi_use { Some(false) } else { args.once.then_some(true) },
        minutes: args.minutes,
        starts: args.start,
    };
    let allowed = allowed(&policy, &wanted, at.graph.server_now()).map_err(|error| {
        let next = error.next();
        let fact = format!("The pass can't be issued: {error}.");
        CliError::new(Exit::Usage, "tap-not-allowed", fact, next).because("Nothing was issued.")
    })?;
    let groups = at.graph.memberships(std::slice::from_ref(&user.id), &policy.groups())?;
    if !policy.covers(&user.id, &groups.into_iter().next().unwrap_or_default()) {
        let next = "add them to a group that the Temporary Access Pass policy is for: `keybench people group add`.";
        return Err(not_for(
            "the tenant's policy for passes is not for them, and the pass would not work".into(),
            next,
        ));
    }
    Ok(allowed)
}

fn too_new(name: &str) -> CliError {
    let fact = format!("The directory knows {name}, but their sign-in methods can't be reached yet.");
    CliError::new(Exit::Tenant, "graph-not-found", fact, "wait some minutes and run it again: new accounts take time.")
}

/// Issues it and writes it down; either both or neither.
fn issue(
    at: &AtTenant,
    journal: &AccountJournal<'_>,
    user: &DirectoryUser,
    name: &str,
    allowed: &Allowed,
    identified: &str,
) -> Result<IssuedPass, CliError> {
    let call = format!("POST /users/{}/authentication/temporaryAccessPassMethods", user.id);
    let body = pass_body(allowed.one_time, allowed.minutes, allowed.starts);
    let change = journal.intend(Intended {
        user: Some(&user.id),
        area: "pass",
        call: &call,
        before: None,
        sent: Some(&body),
    })?;
    let issued = match at.graph.issue_pass(&user.id, &body) {
        Ok(issued) => issued,
        Err(error) if error.kind() == ErrorKind::Unknown => return Err(lost(at, journal, user, name, error)),
        Err(error) => {
            journal.failed(&change, &error)?;
            return Err(error.into());
        }
    };
    let fact = TenantEntry::PassIssued {
        tenant: journal.tenant.clone(),
        user: user.id.clone(),
        method: issued.pass.id.clone(),
        one_time: issued.pass.one_time.unwrap_or(allowed.one_time),
        minutes: issued.pass.minutes.unwrap_or(allowed.minutes),
        starts: issued.pass.starts.or(allowed.starts).unwrap_or_else(|| at.clock.now()),
        identified: identified.to_owned(),
        by: journal.operator.clone(),
        request: issued.request.clone(),
    };
    if let Err(error) = journal.done(&change, Some(&issued.request), [fact]) {
        let gone = at.graph.revoke_pass(&user.id, &issued.pass.id).is_ok();
        let what = if gone {
            "The pass was deleted again, unseen."
        } else {
            "The pass could not be deleted again: delete it with `keybench tap revoke`."
        };
        return Err(CliError::from(error).because(format!("The ledger could not be told of the pass. {what}")));
    }
    Ok(issued)
}

/// The code did not reach a screen: a full disk, a pipe whose reader has gone. Nobody can use the pass, so it goes.
fn unseen(
    at: &AtTenant,
    journal: &AccountJournal<'_>,
    user: &DirectoryUser,
    issued: &IssuedPass,
    error: CliError,
) -> CliError {
    match delete(at, journal, &user.id, &issued.pass, "its code could not be shown") {
        Ok(_) => error.because("The pass was deleted again: its code was not shown whole."),
        Err(second) => error
            .because(format!("The pass could not be deleted again: {}", second.fact))
            .because("Delete it with `keybench tap revoke`."),
    }
}

/// No answer came: whatever was made has a code that nobody knows. It is looked for and deleted.
fn lost(
    at: &AtTenant,
    journal: &AccountJournal<'_>,
    user: &DirectoryUser,
    name: &str,
    error: crate::graph::GraphError,
) -> CliError {
    let found = at.graph.passes(&user.id).map_err(CliError::from).and_then(|passes| {
        for pass in &passes {
            delete(at, journal, &user.id, pass, "its code was lost on the way")?;
        }
        Ok(passes.len())
    });
    let shown = CliError::from(error);
    let (what, next) = match found {
        Ok(0) => ("The tenant shows no pass for them.", "run the same command again."),
        Ok(_) => ("A pass had been made; it was deleted, since nobody has its code.", "run the same command again."),
        Err(_) => (
            "Whether a pass was made could not be found out.",
            "run `keybench tap revoke` for them, then the same command again.",
        ),
    };
    let fact = format!("No answer came when a pass for {name} was asked for; there is no code to show.");
    let mut lost = CliError::new(Exit::Tenant, "tap-lost", fact, next).because(what);
    lost.causes.extend(shown.causes);
    lost
}
