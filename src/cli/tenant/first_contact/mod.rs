//! `keybench tenant first-contact`: a trial with one key and one test person against a live tenant, which answers what Microsoft's
//! documentation leaves open, and keeps what was seen, blanked, for others to build on.
//!
//! Promise: nothing of it stays. Every registration is deleted again and every passkey removed from the key, also when the trial
//! fails half-way; what could not be removed is named. Only the person that was named is touched.

mod blank;
mod key;
mod trial;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use self::key::TestKey;
use self::trial::{Finding, Trial};
use crate::cli::connect::connect;
use crate::cli::interrupt::{Patience, interrupted};
use crate::cli::key::{Which, tools};
use crate::cli::output::aside;
use crate::cli::prompt::Terminal;
use crate::cli::{CliError, Context, Exit};
use crate::ctap2::hid::usb::UsbPorts;
use crate::graph::{Cancel, DirectoryUser, Graph, GraphEvent};
use crate::ledger::{Append, BlobHash, Entry, Ledger as _, TenantEntry};
use crate::model::{ChangeId, Pin, TenantId};
use crate::platform::private::{Readers, write_atomic};
use crate::platform::who;
use crate::world::{Clock, KeyPorts, Operator, SystemClock};

/// `keybench tenant first-contact`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench tenant first-contact --user test1@contoso.com --serial 19283746
  keybench tenant first-contact --user test1@contoso.com --port 1-4 --other test2@contoso.com
  keybench tenant first-contact --user test1@contoso.com --port 1-4 --dry-run

For a test person and a test key that has a PIN already (it is asked for, and one good try of it is
spent for each passkey). The key is touched once for v1.0 and once for beta. Everything that is made
is removed again. The file holds no name, id, key or challenge: read it, then send it to us.")]
pub struct FirstContactArgs {
    /// A test person, by user principal name or object id
    #[arg(long, value_name = "USER")]
    pub user: String,
    /// Another test person, to see whether a challenge is bound to its person
    #[arg(long, value_name = "USER")]
    pub other: Option<String>,
    /// The key
    #[command(flatten)]
    pub which: Which,
    /// Where to keep what was seen, blanked
    #[arg(long, value_name = "FILE", default_value = "first-contact.json")]
    pub out: PathBuf,
    /// Also let a challenge run out (one touch and some five minutes more)
    #[arg(long)]
    pub expired: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

const STEPS: &str = "For v1.0 and for beta, one touch each:
  GET    …/fido2Methods/creationOptions, plain and with challengeTimeoutInMinutes
  POST   …/fido2Methods with names of 256, 64, 31 and 30 characters, until one is taken
  GET    …/creationOptions again, for the form of the excluded id
  POST   …/fido2Methods, the same passkey again
  GET    …/fido2Methods, the list and the one
  PATCH  …/fido2Methods/{id}, another name
  DELETE …/fido2Methods/{id}
  POST   …/fido2Methods, the same challenge again; and for the other person, where one is named
Whatever was made is deleted again, in the tenant and on the key.";

pub(super) fn run(context: &Context<'_>, args: &FirstContactArgs) -> Result<Exit, CliError> {
    if args.dry_run {
        context.output.json(&json!({ "event": "first-contact", "dry_run": true, "steps": STEPS }));
        context.output.answer(STEPS);
        context.output.answer("Nothing was done.");
        return Ok(Exit::Done);
    }
    if args.which.port.is_none() && args.which.serial.is_none() {
        let fact = "Which key is to be used has to be said.";
        return Err(CliError::new(
            Exit::Usage,
            "usage",
            fact,
            "name it with --serial or --port; see `keybench key list`.",
        ));
    }
    let terminal = Terminal::new(context.output);
    let ask_pin = || {
        let mut typed = terminal.ask_secret("The PIN of the test key").map(|secret| secret.expose().clone())?;
        Pin::new(Zeroizing::new(std::mem::take(&mut typed))).ok()
    };
    let ports = UsbPorts::new()?;
    carry_out(context, args, &ports, &terminal, &ask_pin)
}

/// The trial, with these ports and this person.
fn carry_out(
    context: &Context<'_>,
    args: &FirstContactArgs,
    ports: &dyn KeyPorts,
    operator: &dyn Operator,
    ask_pin: &dyn Fn() -> Option<Pin>,
) -> Result<Exit, CliError> {
    let settings = context.settings()?;
    let tenant = settings.tenant()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let cancel = Cancel::new();
    let _patience = Patience::with(interrupted(), cancel.clone());
    let told = Arc::new(|event: GraphEvent| {
        if let GraphEvent::Throttled { seconds, .. } = event {
            aside(&format!("Graph asks to slow down: {seconds} s."));
        }
    });
    let graph = connect(context, &settings, &tenant, &clock, told, cancel.clone())?;
    let account = graph.sign_in()?;
    let user = find(&graph, &args.user)?;
    let other = args.other.as_deref().map(|name| find(&graph, name)).transpose()?;
    let name = user.upn.as_ref().map_or_else(|| user.id.to_string(), ToString::to_string);
    let mut key = TestKey::open(ports, &args.which, &tools())?;
    let question = format!(
        "A trial: passkeys for {name} are made, registered and deleted again, with the key in port {}.\n{STEPS}",
        key.port()
    );
    if !operator.confirm(&question, "try") {
        let fact = "Nothing was done: nobody agreed.";
        return Err(CliError::new(Exit::Usage, "not-confirmed", fact, "run it at a terminal and type the word."));
    }
    let Some(pin) = ask_pin() else {
        let fact = "Without its PIN the key makes no passkey.";
        return Err(CliError::new(Exit::Usage, "no-pin", fact, "run it at a terminal and type the key's PIN."));
    };
    let ledger = crate::cli::tenant::app::ledger_to_begin(&settings)?;
    let account = account.object_id.as_ref().map(ToString::to_string).or(account.app_id).unwrap_or_default();
    let change = begin(&ledger, &tenant.id, &user, account)?;
    let mut trial = Trial::new(&graph, &user, other.as_ref(), operator, &*clock, cancel);
    let ended = trial.run(&mut key, &pin, args.expired);
    let left = trial.clear(&mut key, &pin);
    let fixture = trial.fixture(&key);
    let text = serde_json::to_string_pretty(&fixture).unwrap_or_default();
    let document = text.clone().into_bytes();
    let entry = match (&ended, left.is_empty()) {
        (Ok(()), true) => TenantEntry::ChangeDone { change, after: Some(BlobHash::of(&document)), request: None },
        _ => TenantEntry::ChangeFailed { change, code: "graph-refused".into(), request: None },
    };
    let named = matches!(entry, TenantEntry::ChangeDone { .. });
    let append = Append::entry(Entry::Tenant(entry));
    ledger.append(if named { append.with_document(document) } else { append })?;
    write_atomic(&args.out, text.as_bytes(), Readers::OnlyMe)?;
    show(context, args, &trial.findings(), &left);
    ended?;
    Ok(if left.is_empty() { Exit::Done } else { Exit::SomeFailed })
}

fn find(graph: &Graph, name: &str) -> Result<DirectoryUser, CliError> {
    graph.find_user(name.trim())?.ok_or_else(|| {
        let fact = format!("The tenant has nobody by the name {}.", name.trim());
        CliError::new(Exit::Usage, "no-such-user", fact, "check the spelling and the tenant.")
    })
}

fn begin(
    ledger: &crate::ledger::SqliteLedger,
    tenant: &TenantId,
    user: &DirectoryUser,
    account: String,
) -> Result<ChangeId, CliError> {
    let change = super::app::new_change();
    let entry = TenantEntry::ChangeIntended {
        change: change.clone(),
        tenant: tenant.clone(),
        area: "first-contact".into(),
        call: format!("POST, PATCH and DELETE /users/{}/authentication/fido2Methods, as a trial", user.id),
        before: None,
        sent: None,
        operator: who::operator(),
        account,
    };
    ledger.append(Append::entry(Entry::Tenant(entry)))?;
    Ok(change)
}

fn show(context: &Context<'_>, args: &FirstContactArgs, findings: &[Finding], left: &[String]) {
    let output = context.output;
    for finding in findings {
        output.json(&json!({
            "event": "finding", "question": finding.question, "api": finding.api, "answer": finding.answer, "evidence": finding.evidence,
        }));
        output.answer(&format!(
            "{:<4} {:<5} {}\n           {}",
            finding.question, finding.api, finding.answer, finding.evidence
        ));
    }
    let left_json: Vec<Value> = left.iter().map(|what| json!(what)).collect();
    output.json(&json!({ "event": "first-contact", "file": args.out.display().to_string(), "findings": findings.len(), "left_over": left_json }));
    for what in left {
        output.warning(&format!("left over: {what}; remove it by hand."));
    }
    output.answer(&format!(
        "\nWhat was seen stands in {}, without names, ids, keys or challenges. Read it, and please send it to us: README, \u{201c}A first\u{201d}.",
        args.out.display()
    ));
}

#[cfg(all(test, feature = "sim"))]
mod tests;
