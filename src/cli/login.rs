//! `keybench login`, `logout` and `whoami`: sign in once for the commands that follow, and see what that sign-in may do.
//!
//! Promise: the kept token is in the system's keyring and nowhere else; it is never shown, and never stands in an argument, the
//! environment or a log. Where there is no keyring, that is said before anybody is asked to sign in.

use std::sync::Arc;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::connect::{Kept, over, sign_in};
use super::rights::{self, Rights};
use super::{CliError, Context, Exit};
use crate::config::{Auth, Settings, Tenant};
use crate::graph::roles::{Eligible, EligibleRole, role_name};
use crate::graph::{Account, Cancel, Graph, GraphEvent, Keeper as _};
use crate::platform::keyring;
use crate::world::{Clock, SystemClock};

/// `keybench login`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench login
  keybench login --for run --for sign-ins
  keybench login --as-registered        whatever the app registration lists

Asks for the permissions that the named commands need (docs/PERMISSIONS.md), and no others.
Commands that need more ask Entra for it by the same sign-in, which works where an administrator
has consented. With auth = \"certificate\" or \"secret\" there is nothing to keep: every command signs
in by itself.")]
pub struct LoginArgs {
    /// A command that is to work afterwards; may be given several times [default: run]
    #[arg(long = "for", value_name = "COMMAND", conflicts_with = "as_registered")]
    pub commands: Vec<String>,
    /// Ask for whatever the app registration lists
    #[arg(long)]
    pub as_registered: bool,
}

/// `keybench logout`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench logout

Removes the sign-in from this machine's keyring. Entra itself may hold it good for some time: to end
it there as well, revoke the account's sessions in the Entra admin centre.")]
pub struct LogoutArgs {}

/// `keybench whoami`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench whoami
  keybench whoami --for \"tenant apply\"   what is missing for that command (exit code 1)
  keybench whoami --json | jq -r .roles[]")]
pub struct WhoamiArgs {
    /// A command: say what it needs that this account lacks; may be given several times
    #[arg(long = "for", value_name = "COMMAND")]
    pub commands: Vec<String>,
}

/// Beyond this, tokens and codes fail for their time.
const SKEW: SignedDuration = SignedDuration::from_secs(30);

pub(super) fn login(context: &Context<'_>, args: &LoginArgs) -> Result<Exit, CliError> {
    let settings = context.settings()?;
    let tenant = settings.tenant()?;
    let wanted = if args.commands.is_empty() { vec!["run".to_owned()] } else { args.commands.clone() };
    let wanted = commands(&wanted)?;
    let keeps = asks_a_person(&tenant);
    if keeps && let Err(error) = keyring::check() {
        let fact = "The sign-in can't be kept: there is no keyring here.";
        let next = "unlock or install one (on Linux: GNOME Keyring, KWallet or KeePassXC, in a desktop session); or do without: each command signs in when it needs to.";
        return Err(CliError::new(Exit::Usage, "no-keyring", fact, next)
            .because(format!("{}: {error}.", upper(keyring::name())))
            .because("Nobody was asked to sign in."));
    }
    let mut scopes: Vec<&str> = Vec::new();
    if !args.as_registered {
        scopes.extend(rights::scopes_of(wanted.iter().copied().chain(rights::of("login"))));
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let cancel = Cancel::new();
    let source = Arc::new(sign_in(context, &settings, &tenant, &clock, cancel.clone(), &scopes)?);
    if keeps {
        source.keep()?;
    }
    let graph = over(source, &tenant, &clock, Arc::new(|_: GraphEvent| {}), cancel)?;
    let seen = Seen::of(&graph, &tenant)?;
    context.output.json(&seen.json("login", keeps.then(keyring::name)));
    let kept = if keeps { format!("; kept in {}", keyring::name()) } else { String::new() };
    context.output.answer(&format!("Signed in as {}{kept}.", seen.who()));
    if !keeps {
        context.output.answer("Nothing is kept: with this `auth`, every command signs in by itself.");
    }
    seen.show(context);
    // Signed in and kept is what was asked for; what is missing besides is said, and no failure.
    compare(context, &seen, &wanted);
    seen.warn(context, &tenant);
    Ok(Exit::Done)
}

pub(super) fn logout(context: &Context<'_>, _args: &LogoutArgs) -> Result<Exit, CliError> {
    let settings = context.settings()?;
    let tenant = settings.tenant()?;
    let kept = Kept::of(&tenant);
    let failed = |why: String| {
        let fact = "The kept sign-in can't be removed.";
        CliError::new(Exit::Usage, "no-keyring", fact, "unlock the keyring and run the same command again.")
            .because(format!("{}: {why}.", upper(keyring::name())))
    };
    let was = kept.load().map_err(failed)?.is_some();
    if was {
        kept.forget().map_err(failed)?;
    }
    context.output.json(&json!({ "event": "logout", "was_kept": was }));
    context.output.answer(if was {
        "The sign-in is removed from this machine. To end it at Entra too, revoke the account's sessions there."
    } else {
        "No sign-in was kept for this tenant and application."
    });
    Ok(Exit::Done)
}

pub(super) fn whoami(context: &Context<'_>, args: &WhoamiArgs) -> Result<Exit, CliError> {
    let settings = context.settings()?;
    let tenant = settings.tenant()?;
    let wanted = commands(&args.commands)?;
    // What is asked about must be asked for, or it would seem to be missing.
    let scopes: Vec<&str> = rights::scopes_of(wanted.iter().copied().chain(rights::of("whoami"))).into_iter().collect();
    let graph = quiet(context, &settings, &tenant, &scopes)?;
    let seen = Seen::of(&graph, &tenant)?;
    let kept = asks_a_person(&tenant) && Kept::of(&tenant).load().is_ok_and(|kept| kept.is_some());
    context.output.json(&seen.json("whoami", kept.then(keyring::name)));
    context.output.answer(&format!("Signed in as {}.", seen.who()));
    seen.show(context);
    if asks_a_person(&tenant) {
        context.output.answer(&if kept {
            format!("  Kept         in {}", keyring::name())
        } else {
            "  Kept         no: `keybench login` keeps a sign-in for the next commands".to_owned()
        });
    }
    let lacking = compare(context, &seen, &wanted);
    seen.warn(context, &tenant);
    Ok(if lacking { Exit::SomeFailed } else { Exit::Done })
}

/// A connection by which nobody is bothered while it waits.
fn quiet(context: &Context<'_>, settings: &Settings, tenant: &Tenant, scopes: &[&str]) -> Result<Graph, CliError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let cancel = Cancel::new();
    let source = sign_in(context, settings, tenant, &clock, cancel.clone(), scopes)?;
    over(Arc::new(source), tenant, &clock, Arc::new(|_: GraphEvent| {}), cancel)
}

fn asks_a_person(tenant: &Tenant) -> bool {
    matches!(tenant.auth, Auth::DeviceCode | Auth::Browser)
}

/// The rows of commands given by name. A group's name stands for all that is in it.
pub(super) fn commands(names: &[String]) -> Result<Vec<&'static Rights>, CliError> {
    let mut rows: Vec<&'static Rights> = Vec::new();
    for name in names {
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        let name = name.strip_prefix("keybench ").unwrap_or(&name);
        let found: Vec<&'static Rights> = rights::all()
            .filter(|row| {
                row.command == name || row.command.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '))
            })
            .collect();
        if found.is_empty() && !rights::is_offline(name) {
            let nearest = rights::all().min_by_key(|row| strsim::damerau_levenshtein(row.command, name));
            let next = nearest
                .map_or_else(String::new, |row| format!("write it as in docs/PERMISSIONS.md, e.g. `{}`.", row.command));
            return Err(CliError::new(Exit::Usage, "usage", format!("There is no command `{name}`."), next));
        }
        rows.extend(found.into_iter().filter(|row| !rows.contains(row)).collect::<Vec<_>>());
    }
    Ok(rows)
}

/// Says for each command what is missing; whether anything is.
fn compare(context: &Context<'_>, seen: &Seen, wanted: &[&'static Rights]) -> bool {
    let mut lacking = false;
    for row in wanted {
        // An opaque token tells nothing: then the calls themselves show it.
        let scopes = if seen.account.permissions.is_empty() {
            Vec::new()
        } else {
            row.missing_scopes(&seen.account.permissions)
        };
        let roles = if seen.account.app_only || seen.account.directory_roles.is_empty() {
            Vec::new()
        } else {
            row.missing_roles(&seen.roles)
        };
        lacking |= !scopes.is_empty() || !roles.is_empty();
        context.output.json(&json!({
            "event": "command", "command": row.command, "missing_permissions": scopes,
            "missing_roles": roles.iter().map(|any| any.to_vec()).collect::<Vec<_>>(),
        }));
        if scopes.is_empty() && roles.is_empty() {
            context.output.answer(&format!("  `{}`: nothing is missing", row.command));
        }
        if !scopes.is_empty() {
            context.output.answer(&format!(
                "  `{}`: these permissions are missing: {}\n    Next: `keybench tenant app --for \"{}\"` shows what to add to the app registration.",
                row.command,
                scopes.join(", "),
                row.command
            ));
        }
        for any in roles {
            let next = match any.iter().find(|role| seen.inactive().any(|one| one.name == **role)) {
                Some(role) => format!("activate {role} in Privileged Identity Management, then sign in again."),
                None => "have it assigned in the Entra admin centre, then sign in again.".to_owned(),
            };
            context.output.answer(&format!(
                "  `{}`: no active role {}\n    Next: {next}",
                row.command,
                any.join(" or ")
            ));
        }
    }
    lacking
}

/// What could be learnt of a sign-in.
struct Seen {
    account: Account,
    /// Names of the active roles.
    roles: Vec<String>,
    /// `None` for an application, which has none.
    eligible: Option<Eligible>,
    /// How far this machine's clock is ahead.
    skew: Option<SignedDuration>,
}

impl Seen {
    fn of(graph: &Graph, tenant: &Tenant) -> Result<Self, CliError> {
        graph.sign_in()?;
        let account = graph.whoami()?;
        // Also the first answer of Graph's, whose time is compared.
        let eligible = if account.app_only { None } else { Some(graph.eligible_roles()?) };
        if account.app_only {
            // Whatever it answers: only its Date is wanted.
            let _ = graph.find_user(tenant.client_id.as_str());
        }
        let roles = account.directory_roles.iter().filter_map(|template| role_name(template)).collect();
        Ok(Self { roles, eligible, skew: graph.clock_skew(), account })
    }

    fn who(&self) -> String {
        let name = self.account.name.clone().or_else(|| self.account.object_id.as_ref().map(ToString::to_string));
        match name {
            Some(name) if self.account.app_only => format!("the application {name}"),
            Some(name) => name,
            None => "an account whose name the token does not tell".to_owned(),
        }
    }

    /// Roles that could be active, and aren't.
    fn inactive(&self) -> impl Iterator<Item = &EligibleRole> {
        let all = match &self.eligible {
            Some(Eligible::Roles(roles)) => roles.as_slice(),
            _ => &[],
        };
        all.iter()
            .filter(|one| !self.account.directory_roles.iter().any(|active| active.eq_ignore_ascii_case(&one.template)))
    }

    fn show(&self, context: &Context<'_>) {
        let answer = |name: &str, text: &str| context.output.answer(&format!("  {name:<12} {text}"));
        if let Some(tenant) = &self.account.tenant {
            answer("Tenant", tenant.as_str());
        }
        let mut permissions = self.account.permissions.clone();
        permissions.sort();
        for (index, permission) in permissions.iter().enumerate() {
            answer(if index == 0 { "Permissions" } else { "" }, permission);
        }
        if permissions.is_empty() {
            answer("Permissions", "unknown: the token does not tell them");
        }
        if self.account.app_only {
            answer("Roles", "an application needs none");
        } else {
            let mut heading = "Roles";
            for role in &self.roles {
                answer(heading, role);
                heading = "";
            }
            for role in self.inactive() {
                let until =
                    role.until.map_or_else(String::new, |until| format!(", until {}", until.strftime("%Y-%m-%d")));
                answer(heading, &format!("{} is NOT active: it could be activated{until}", role.name));
                heading = "";
            }
            match &self.eligible {
                _ if heading.is_empty() => {}
                Some(Eligible::NotAllowed) => {
                    answer(heading, "none that the token tells; those that could be activated may not be read")
                }
                _ => answer(heading, "none"),
            }
        }
        answer(
            "Clock",
            &match self.skew {
                None => "Graph told no time".to_owned(),
                Some(skew) if skew.abs() < SignedDuration::from_secs(2) => "agrees with Graph's".to_owned(),
                Some(skew) if skew.is_positive() => format!("{} s ahead of Graph's", skew.as_secs()),
                Some(skew) => format!("{} s behind Graph's", skew.abs().as_secs()),
            },
        );
    }

    fn warn(&self, context: &Context<'_>, tenant: &Tenant) {
        if let Some(found) = &self.account.tenant
            && uuid::Uuid::try_parse(tenant.id.as_str()).is_ok()
            && !found.as_str().eq_ignore_ascii_case(tenant.id.as_str())
        {
            context.output.warning(&format!("the sign-in is to tenant {found}, but the settings name {}.", tenant.id));
        }
        if self.skew.is_some_and(|skew| skew.abs() > SKEW) {
            context
                .output
                .warning("this machine's clock is wrong; set it: challenges, certificates and codes go by the time.");
        }
    }

    fn json(&self, event: &str, kept: Option<&str>) -> Value {
        let (eligible, told) = match &self.eligible {
            Some(Eligible::Roles(_)) => ("read", Some(self.inactive().collect::<Vec<_>>())),
            Some(Eligible::NoLicence) => ("no-licence", None),
            Some(Eligible::NotAllowed) => ("not-allowed", None),
            None => ("application", None),
        };
        let inactive: Vec<Value> = told
            .into_iter()
            .flatten()
            .map(|role| json!({ "name": role.name, "template": role.template, "until": role.until.map(|at: Timestamp| at.to_string()) }))
            .collect();
        json!({
            "event": event, "account": self.account.name, "object_id": self.account.object_id, "tenant": self.account.tenant,
            "application": self.account.app_id, "app_only": self.account.app_only, "permissions": self.account.permissions,
            "roles": self.roles, "roles_not_active": inactive, "eligibility": eligible,
            "clock_ahead_seconds": self.skew.map(|skew| skew.as_secs()), "kept": kept,
        })
    }
}

fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), chars.as_str()))
}

#[cfg(all(test, feature = "sim"))]
pub(super) mod tests;
