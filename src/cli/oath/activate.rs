//! `keybench oath assign` and `keybench oath activate`.

use std::io::BufRead as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use zeroize::Zeroizing;

use super::{device, method_of, seeds};
use crate::cli::at_tenant::{AtTenant, name_of};
use crate::cli::prompt::Custodian;
use crate::cli::{CliError, Context, Exit};
use crate::graph::DirectoryUser;
use crate::graph::oath_tokens::OathDevice;
use crate::ledger::TenantEntry;
use crate::pin::{Identities, Prompts};
use crate::tenant::account_journal::{AccountJournal, Intended};
use crate::tenant::totp::{Hash, base32, code};

/// `keybench oath assign`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench oath assign 1234567 kim@contoso.com
  keybench oath assign 1234567 kim@contoso.com --dry-run

A person has one hardware token. It works once it is activated.")]
pub struct AssignArgs {
    /// The token's serial number
    #[arg(value_name = "SERIAL")]
    pub serial: String,
    /// User principal name or object id
    #[arg(value_name = "USER")]
    pub user: String,
    /// Check, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `keybench oath activate`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench oath activate 1234567 kim@contoso.com                         asks for the code it shows
  keybench oath activate 1234567 kim@contoso.com --identity custodian.txt
  echo 123456 | keybench oath activate 1234567 kim@contoso.com --code-stdin

With a custodian's identity the code is computed from the sealed seed, and nobody has to read the
token. The sealed seed is deleted once the token works.")]
pub struct ActivateArgs {
    /// The token's serial number
    #[arg(value_name = "SERIAL")]
    pub serial: String,
    /// User principal name or object id
    #[arg(value_name = "USER")]
    pub user: String,
    /// A custodian's identity file, to compute the code; under dual control one of each group
    #[arg(long, value_name = "FILE", conflicts_with = "code_stdin")]
    pub identity: Vec<PathBuf>,
    /// Read the code from stdin
    #[arg(long)]
    pub code_stdin: bool,
    /// Check, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

pub(super) fn assign(context: &Context<'_>, args: &AssignArgs) -> Result<Exit, CliError> {
    let at = AtTenant::sign_in(context)?;
    let user = at.person(&args.user)?;
    let name = name_of(&user);
    let token = device(&at, &args.serial)?;
    let told = |outcome: &str| {
        context.output.json(&json!({
            "event": "token-assigned", "beta": true, "serial": token.serial, "user": user.id, "upn": name, "outcome": outcome,
        }));
    };
    if args.dry_run {
        let theirs = token.assigned_to.as_ref() == Some(&user.id);
        context.output.answer(&match &token.assigned_to {
            Some(_) if theirs => format!("{} is {name}'s already.", token.serial),
            Some(_) => format!("{} is somebody else's.", token.serial),
            None => format!("Would give {} to {name}.", token.serial),
        });
        told("dry-run");
        return Ok(Exit::Done);
    }
    let ledger = at.ledger()?;
    if give(&at, &at.journal(&ledger), &token.serial, &user)? {
        context
            .output
            .answer(&format!("{} is given to {name}. Next: `keybench oath activate {0} {name}`.", token.serial));
        told("assigned");
    } else {
        context.output.answer(&format!("{} is {name}'s already.", token.serial));
        told("already");
    }
    Ok(Exit::Done)
}

/// Gives a token to a person; `false` when it is theirs already.
pub(super) fn give(
    at: &AtTenant,
    journal: &AccountJournal<'_>,
    serial: &str,
    user: &DirectoryUser,
) -> Result<bool, CliError> {
    let token = device(at, serial)?;
    match &token.assigned_to {
        Some(holder) if *holder == user.id => return Ok(false),
        Some(_) => {
            let fact = format!("The token {} is somebody else's.", token.serial);
            let next = "`keybench oath list` says whose; `keybench oath remove --keep` takes it back.";
            return Err(CliError::new(Exit::Usage, "token-taken", fact, next).because("Nothing was changed."));
        }
        None => {}
    }
    let call = format!("POST /users/{}/authentication/hardwareOathMethods", user.id);
    let sent = json!({ "device": { "id": token.id } });
    let intended =
        Intended { user: Some(&user.id), area: "hardware token (beta)", call: &call, before: None, sent: Some(&sent) };
    let change = journal.intend(intended)?;
    match at.graph.assign_oath_token(&user.id, &token.id) {
        Ok(request) => {
            journal.done(&change, Some(&request), [])?;
            Ok(true)
        }
        Err(error) => {
            journal.failed(&change, &error)?;
            Err(error.into())
        }
    }
}

pub(super) fn activate(context: &Context<'_>, args: &ActivateArgs) -> Result<Exit, CliError> {
    let at = AtTenant::sign_in(context)?;
    let user = at.person(&args.user)?;
    let name = name_of(&user);
    let token = device(&at, &args.serial)?;
    let told = |outcome: &str, computed: bool| {
        context.output.json(&json!({
            "event": "token-activated", "beta": true, "serial": token.serial, "user": user.id, "upn": name,
            "outcome": outcome, "computed": computed,
        }));
    };
    if token.is_activated() && token.assigned_to.as_ref() == Some(&user.id) {
        forget_seed(&at, context, &token)?;
        context.output.answer(&format!("{} works for {name} already.", token.serial));
        told("already", false);
        return Ok(Exit::Done);
    }
    let Some(method) = method_of(&at, &user.id, &token)? else {
        let fact = format!("The token {} is not {name}'s.", token.serial);
        let next = format!("`keybench oath assign {} {name}`.", token.serial);
        return Err(CliError::new(Exit::Usage, "token-not-theirs", fact, next).because("Nothing was changed."));
    };
    if args.dry_run {
        context.output.answer(&format!("Would activate {} for {name}.", token.serial));
        told("dry-run", !args.identity.is_empty());
        return Ok(Exit::Done);
    }
    let computed = !args.identity.is_empty();
    let code = if computed { compute(&at, context, args, &token)? } else { typed(context, args, &token)? };
    let ledger = at.ledger()?;
    let journal = at.journal(&ledger);
    let call = format!("POST /users/{}/authentication/hardwareOathMethods/{method}/activate", user.id);
    let before = json!({ "device": token.id, "status": token.status });
    let intended = Intended {
        user: Some(&user.id),
        area: "hardware token (beta)",
        call: &call,
        before: Some(&before),
        sent: None,
    };
    let change = journal.intend(intended)?;
    let request = match at.graph.activate_oath_token(&user.id, &method, &code) {
        Ok(request) => request,
        Err(error) => {
            journal.failed(&change, &error)?;
            return Err(error.into());
        }
    };
    let fact = TenantEntry::TokenActivated {
        tenant: journal.tenant.clone(),
        user: user.id.clone(),
        device: token.id.clone(),
        serial: token.serial.clone(),
        computed,
        by: journal.operator.clone(),
        request: request.clone(),
    };
    journal.done(&change, Some(&request), [fact])?;
    forget_seed(&at, context, &token)?;
    context.output.answer(&format!("{} works for {name} now.", token.serial));
    told("activated", computed);
    Ok(Exit::Done)
}

/// The seed's sealed copy is of no more use.
pub(super) fn forget_seed(at: &AtTenant, context: &Context<'_>, token: &OathDevice) -> Result<(), CliError> {
    let store = seeds(at)?;
    if store.has(&token.serial) {
        store.delete(&token.serial)?;
        context.output.progress("Its sealed seed is deleted.");
    }
    Ok(())
}

/// A code read off the token. Not an option's value: those can be read by every process of the machine.
fn typed(context: &Context<'_>, args: &ActivateArgs, token: &OathDevice) -> Result<Zeroizing<String>, CliError> {
    let line = if args.code_stdin {
        let mut line = Zeroizing::new(String::with_capacity(64));
        let read = std::io::stdin().lock().read_line(&mut line);
        read.ok().filter(|read| *read > 0).map(|_| line)
    } else {
        let person = Custodian::new(context.output.style().stderr_is_terminal);
        person.ask(&format!("The code that token {} shows now", token.serial)).map(Zeroizing::new)
    };
    let Some(line) = line else {
        let fact = "Nobody gave a code, and nobody is here to ask.";
        let next = "run it at a terminal, or with --code-stdin, or compute it with --identity FILE.";
        return Err(CliError::new(Exit::Usage, "usage", fact, next).because("Nothing was changed."));
    };
    let digits = line.trim();
    if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let fact = "That is no code: it has six digits.";
        return Err(CliError::new(Exit::Usage, "usage", fact, "type the digits the token shows.")
            .because("Nothing was changed."));
    }
    Ok(Zeroizing::new(digits.to_owned()))
}

/// A code computed from the sealed seed, for the service's time.
fn compute(
    at: &AtTenant,
    context: &Context<'_>,
    args: &ActivateArgs,
    token: &OathDevice,
) -> Result<Zeroizing<String>, CliError> {
    let mut identities = Identities::new();
    let prompts: Arc<dyn Prompts> = Arc::new(Custodian::new(context.output.style().stderr_is_terminal));
    for path in &args.identity {
        identities.add_file(path, Arc::clone(&prompts))?;
    }
    let unusable =
        |fact: String, next: &str| CliError::new(Exit::Usage, "token-seed", fact, next).because("Nothing was changed.");
    let opened = seeds(at)?.open(&token.serial, at.settings.escrow.dual(), &identities)?.ok_or_else(|| {
        let next = "import the vendor's file again, or type the code that the token shows.";
        unusable(format!("No seed of token {} is kept here.", token.serial), next)
    })?;
    let parts = Hash::parse(&opened.hash).zip(base32(opened.seed.expose()));
    let Some((hash, seed)) = parts.filter(|_| matches!(opened.interval, 30 | 60)) else {
        return Err(unusable(
            format!("The seed of token {} can't be used.", token.serial),
            "import the vendor's file again.",
        ));
    };
    // The service's clock counts, not this machine's.
    let now = u64::try_from(at.graph.server_now().as_second()).unwrap_or_default();
    Ok(code(&seed, hash, opened.interval, 6, now))
}
