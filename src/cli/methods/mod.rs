//! `keybench methods`: everything a person can sign in with, and taking one of them away.

#[cfg(all(test, feature = "sim"))]
mod tests;

use clap::{Args, Subcommand};
use serde_json::json;

use super::at_tenant::{AtTenant, name_of, one_line};
use super::prompt::Terminal;
use super::{CliError, Context, Exit};
use crate::graph::sign_in_methods::{SignInMethod, SignInMethods};
use crate::ledger::TenantEntry;
use crate::tenant::account_journal::Intended;
use crate::world::Operator as _;

/// `keybench methods`
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_long_help = "Examples:
  keybench methods kim@contoso.com
  keybench methods kim@contoso.com --json
  keybench methods remove kim@contoso.com ID --reason \"phone was sold\"

Hardware tokens are read from Graph's beta version. Strong are passkeys, Windows Hello, platform
credentials and Microsoft Authenticator; a person should have two."
)]
pub struct MethodsArgs {
    /// User principal name or object id
    #[arg(value_name = "USER", required = true)]
    pub user: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<MethodsCommand>,
}

/// `keybench methods …`
#[derive(Debug, Subcommand)]
pub enum MethodsCommand {
    /// Take one way to sign in away
    Remove(RemoveArgs),
}

/// `keybench methods remove`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench methods remove kim@contoso.com 3179e48a-750b-4051-897c-87b9720928f7 --reason sold
  keybench methods remove kim@contoso.com phone --reason \"SMS is not allowed\" --yes
  keybench methods remove kim@contoso.com ID --reason \"key is lost\" --dry-run

A kind (phone, email, softwareOath …) is enough where the person has one of it. A key lost on its
way: remove its passkey, then run the roster again for another.")]
pub struct RemoveArgs {
    /// User principal name or object id
    #[arg(value_name = "USER")]
    pub user: String,
    /// The method's id, or its kind where there is one, as keybench methods USER prints them
    #[arg(value_name = "ID|KIND")]
    pub method: String,
    /// Why; stands in the ledger
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Show what would be removed
    #[arg(long)]
    pub dry_run: bool,
}

pub(super) fn run(context: &Context<'_>, args: &MethodsArgs) -> Result<Exit, CliError> {
    match (&args.command, &args.user) {
        (Some(MethodsCommand::Remove(args)), _) => remove(context, args),
        (None, Some(user)) => show(context, user),
        (None, None) => Err(CliError::new(Exit::Usage, "usage", "Nobody is named.", "name a person.")),
    }
}

fn show(context: &Context<'_>, user: &str) -> Result<Exit, CliError> {
    let at = AtTenant::sign_in(context)?;
    let user = at.person(user)?;
    let name = name_of(&user);
    context.output.progress("Reading methods, and hardware tokens from Graph's beta …");
    let found = at.graph.sign_in_methods(&user.id)?;
    context.output.answer(&format!("{name} can sign in with:"));
    for method in &found.methods {
        context.output.json(&json!({
            "event": "method", "user": user.id, "upn": name, "kind": method.kind.word(), "method": method.id,
            "name": method.name, "strong": method.kind.is_strong(), "created": method.created.map(|time| time.to_string()),
        }));
        context.output.answer(&format!("  {}", line(method)));
    }
    let strong = found.strong();
    context.output.json(&json!({
        "event": "methods", "user": user.id, "upn": name, "methods": found.methods.len(), "strong": strong,
        "tokens_unknown": found.tokens_unknown,
    }));
    if found.tokens_unknown {
        context.output.progress("Hardware tokens (beta) may not be read by this account; there may be one.");
    }
    if strong < 2 {
        context.output.warning(few(strong));
    }
    Ok(Exit::Done)
}

fn few(strong: usize) -> &'static str {
    match strong {
        0 => {
            "no strong method: only a password, a pass or a phone stands between the account and whoever asks. Provision a key."
        }
        _ => "one strong method: when it is lost, the person is locked out. A second key is the plainest remedy.",
    }
}

/// `strong  passkey  "Desk" (YubiKey 5 NFC), since 2026-11-21   id …`
fn line(method: &SignInMethod) -> String {
    let weight = if method.kind.is_strong() { "strong" } else { "      " };
    let mut text = format!("{weight}  {}", method.kind.words());
    if let Some(name) = &method.name {
        text.push_str(&format!(" {name}"));
    }
    if let Some(created) = method.created {
        text.push_str(&format!(", since {}", created.strftime("%Y-%m-%d")));
    }
    format!("{text}\n            {}  {}", method.kind.word(), method.id)
}

fn remove(context: &Context<'_>, args: &RemoveArgs) -> Result<Exit, CliError> {
    let reason = one_line("--reason", &args.reason)?;
    let at = AtTenant::sign_in(context)?;
    let user = at.person(&args.user)?;
    let name = name_of(&user);
    if at.graph.whoami()?.object_id.as_ref() == Some(&user.id) {
        let fact = format!("{name} is your own account.");
        let next = "have a colleague do it, or use My Sign-ins.";
        return Err(CliError::new(Exit::Usage, "not-for-this-person", fact, next).because("Nothing was removed."));
    }
    let found = at.graph.sign_in_methods(&user.id)?;
    let method = choose(&found, &args.method, &name)?;
    if !method.is_removable() {
        let fact = format!("A {} can't be removed by Graph.", method.kind.words());
        let next = "use the Entra admin centre: Users > the person > Authentication methods.";
        return Err(CliError::new(Exit::Usage, "method-not-removable", fact, next).because("Nothing was removed."));
    }
    let what = method
        .name
        .as_ref()
        .map_or_else(|| method.kind.words().to_owned(), |called| format!("{} {called}", method.kind.words()));
    let left = found.strong().saturating_sub(usize::from(method.kind.is_strong()));
    let told = |event: &str, request: Option<&str>| {
        context.output.json(&json!({
            "event": event, "user": user.id, "upn": name, "kind": method.kind.word(), "method": method.id, "reason": reason,
            "strong_left": left, "request": request,
        }));
    };
    if args.dry_run {
        context.output.answer(&format!("Would remove the {what} of {name}; {left} strong would be left."));
        told("method-would-be-removed", None);
        return Ok(Exit::Done);
    }
    if !args.yes {
        let mut question = format!("This removes the {what} of {name}; {left} strong left.");
        if method.kind.is_strong() && left == 0 {
            question.push_str("\n  It is their last strong one: without a key or a pass they are locked out.");
        }
        if !Terminal::new(context.output).confirm(&question, "remove") {
            let fact = "Nothing was removed: the word was not typed.";
            return Err(CliError::new(Exit::Usage, "not-confirmed", fact, "run it again at a terminal, or add --yes."));
        }
    }
    let ledger = at.ledger()?;
    let journal = at.journal(&ledger);
    let call = method.removal(&user.id);
    let intended =
        Intended { user: Some(&user.id), area: "sign-in method", call: &call, before: Some(&method.json), sent: None };
    let change = journal.intend(intended)?;
    let deleted = match at.graph.remove_method(&user.id, method) {
        Ok(deleted) => deleted,
        Err(error) => {
            journal.failed(&change, &error)?;
            return Err(error.into());
        }
    };
    let fact = TenantEntry::MethodRemoved {
        tenant: journal.tenant.clone(),
        user: user.id.clone(),
        method_kind: method.kind.word().to_owned(),
        method: method.id.clone(),
        reason: reason.to_owned(),
        by: journal.operator.clone(),
        request: deleted.request.clone(),
    };
    journal.done(&change, Some(&deleted.request), [fact])?;
    let gone =
        at.until(&format!("the tenant no longer shows the {what}"), std::time::Duration::from_secs(30), || {
            let now = at.graph.sign_in_methods(&user.id)?;
            Ok((!now.methods.iter().any(|other| other.id == method.id)).then_some(()))
        })?;
    if gone.is_none() {
        context.output.progress("The tenant still shows it; that takes some minutes.");
    }
    let how = if deleted.by_us { "is removed" } else { "was gone already" };
    context.output.answer(&format!("The {what} of {name} {how}."));
    told("method-removed", Some(&deleted.request));
    if left < 2 {
        context.output.warning(few(left));
    }
    Ok(Exit::Done)
}

/// The method by id, or by its kind where there is one of it.
fn choose<'a>(found: &'a SignInMethods, wanted: &str, name: &str) -> Result<&'a SignInMethod, CliError> {
    if let Some(method) = found.methods.iter().find(|method| method.id.as_str() == wanted.trim()) {
        return Ok(method);
    }
    let of_kind: Vec<&SignInMethod> =
        found.methods.iter().filter(|method| method.kind.word().eq_ignore_ascii_case(wanted.trim())).collect();
    match of_kind.as_slice() {
        [one] => Ok(one),
        [] => {
            let fact = format!("{name} has no sign-in method {}.", wanted.trim());
            let next = format!("`keybench methods {name}` lists them.");
            Err(CliError::new(Exit::Usage, "no-such-method", fact, next).because("Nothing was removed."))
        }
        several => {
            let fact = format!("{name} has {} of the kind {}.", several.len(), wanted.trim());
            let mut error = CliError::new(Exit::Usage, "no-such-method", fact, "name one by its id.");
            error.causes = several.iter().map(|method| line(method)).collect();
            Err(error.because("Nothing was removed."))
        }
    }
}
