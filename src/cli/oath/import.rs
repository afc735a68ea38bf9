//! `keybench oath import`.
//!
//! Promise: nothing goes to the tenant before the whole file is right and every seed is sealed; what is in the inventory afterwards is
//! read from it, not taken from the upload's answer.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::seeds;
use crate::cli::at_tenant::{AtTenant, read_file};
use crate::cli::causes::not_ready;
use crate::cli::{CliError, Context, Exit};
use crate::graph::oath_tokens::{LARGEST_UPLOAD, NewToken, OathDevice};
use crate::ledger::TenantEntry;
use crate::model::{Secret, Upn};
use crate::pin::{Recipients, TokenSeed};
use crate::roster::RosterError;
use crate::tenant::account_journal::{AccountJournal, Intended};
use crate::tenant::gather::{Asking, gather_for_tokens};
use crate::tenant::oath_file::{Defaults, TokenRow, read};
use crate::tenant::preflight::facts::{Mode, Plan};
use crate::tenant::preflight::{Finding, Verdict, examine_for_tokens};

/// `keybench oath import`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench oath import tokens.csv --dry-run
  keybench oath import tokens.csv --manufacturer Contoso --model C200

CSV with a header line, as vendors deliver it for Entra: upn, serial number, secret key, time
interval, manufacturer, model, and hash where it is not SHA-1. Tokens with a upn are given to that
person; activate them with keybench oath activate. Delete the vendor's file afterwards: it holds
every seed.")]
pub struct ImportArgs {
    /// The vendor's file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where the file does not say
    #[arg(long, value_name = "NAME")]
    pub manufacturer: Option<String>,
    /// Where the file does not say
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Check everything, upload nothing
    #[arg(long)]
    pub dry_run: bool,
}

fn wrong_file(error: &RosterError) -> CliError {
    let count =
        if error.problems.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", error.problems.len()) };
    let fact = format!("{} has {count}; nothing was uploaded.", error.source);
    let mut shown =
        CliError::new(Exit::Usage, "token-file", fact, "correct these, or ask the vendor for the file again.");
    shown.causes = error.lines();
    shown
}

pub(super) fn run(context: &Context<'_>, args: &ImportArgs) -> Result<Exit, CliError> {
    let defaults = Defaults { manufacturer: args.manufacturer.clone(), model: args.model.clone() };
    let bytes = Zeroizing::new(read_file(&args.file)?);
    let tokens = read(&args.file.display().to_string(), &bytes, &defaults).map_err(|error| wrong_file(&error))?;
    drop(bytes);
    let at = AtTenant::sign_in(context)?;
    let custodians = at.settings.custodians()?;
    let recipients = Recipients::from_settings(&custodians.first, &custodians.second, custodians.dual())?;
    let stock = inventory(&at)?;
    let names: Vec<&str> = tokens.iter().filter_map(|token| token.upn.as_ref().map(|upn| upn.as_str())).collect();
    let people = at.graph.find_users(&names)?;
    let unknown: Vec<String> =
        names.iter().zip(&people).filter(|(_, user)| user.is_none()).map(|(name, _)| (*name).to_owned()).collect();
    if !unknown.is_empty() {
        let fact = format!("The tenant does not know {}.", unknown.join(", "));
        let next = "correct the file, or leave the column upn empty there.";
        return Err(CliError::new(Exit::Usage, "no-such-user", fact, next).because("Nothing was uploaded."));
    }
    weigh(context, &at, &names)?;
    let new: Vec<&TokenRow> = tokens.iter().filter(|token| !stock.contains_key(&key(&token.serial))).collect();
    if args.dry_run {
        for token in &tokens {
            let there = stock.contains_key(&key(&token.serial));
            report(context, token, if there { "already" } else { "would-add" }, None);
        }
        let (added, already) = (new.len(), tokens.len().saturating_sub(new.len()));
        summary(context, [added as u64, already as u64, 0, 0], true);
        context.output.answer(&format!(
            "{} tokens in the file: {} would be uploaded, {} are in the inventory already, {} are for a person.",
            tokens.len(),
            new.len(),
            tokens.len() - new.len(),
            names.len()
        ));
        return Ok(Exit::Done);
    }
    let ledger = at.ledger()?;
    // A settings file can't change who opens what is sealed.
    crate::provision::custodians::agree(&ledger, &recipients)?;
    let journal = at.journal(&ledger);
    let store = seeds(&at)?;
    for token in &tokens {
        // One that works needs no seed any more.
        if stock.get(&key(&token.serial)).is_some_and(OathDevice::is_activated) {
            continue;
        }
        let seed = TokenSeed {
            seed: Secret::new(token.seed.expose().clone()),
            interval: token.interval,
            hash: token.hash.word().to_owned(),
        };
        store.seal(&recipients, &token.serial, &seed)?;
    }
    let (added, failed) = upload(context, &at, &journal, &new)?;
    for token in tokens.iter().filter(|token| stock.contains_key(&key(&token.serial))) {
        report(context, token, "already", None);
        context.output.answer(&format!("line {}: {} is in the inventory already", token.line, token.serial));
    }
    let mut refused = 0u64;
    for (token, user) in tokens.iter().filter(|token| token.upn.is_some()).zip(people.iter().flatten()) {
        match super::activate::give(&at, &journal, &token.serial, user) {
            Ok(true) => context.output.answer(&format!(
                "line {}: {} is given to {}",
                token.line,
                token.serial,
                crate::cli::at_tenant::name_of(user)
            )),
            Ok(false) => {}
            Err(error)
                if matches!(error.code, "graph-refused" | "graph-conflict" | "no-such-token" | "token-taken") =>
            {
                refused += 1;
                context.output.error(&error);
            }
            Err(error) => return Err(error),
        }
    }
    let already = tokens.len() - new.len();
    summary(context, [added, already as u64, failed, refused], false);
    context.output.answer(&format!("{added} added, {already} already there, {failed} failed."));
    context.output.warning(&format!("{} holds every seed: delete it, and every copy.", args.file.display()));
    Ok(if failed + refused > 0 { Exit::SomeFailed } else { Exit::Done })
}

/// PF34 before anything is uploaded, in the words of `tenant check`: who can't use a token is given none. With nobody to give one
/// to, the inventory may be filled first and the method switched on later.
fn weigh(context: &Context<'_>, at: &AtTenant<'_>, names: &[&str]) -> Result<(), CliError> {
    let facts = gather_for_tokens(Asking {
        graph: &at.graph,
        account: at.account.clone(),
        plan: Plan::of(Mode::Oath),
        people: names.iter().filter_map(|name| Some((Upn::parse(name)?, 0))).collect(),
        statements: Vec::new(),
        progress: &|what| context.output.progress(what),
    })?;
    let stands_against = |finding: &Finding| matches!(finding.verdict, Verdict::Fail | Verdict::Unknown);
    let (stops, told): (Vec<Finding>, Vec<Finding>) = examine_for_tokens(&facts)
        .findings
        .into_iter()
        .filter(stands_against)
        .partition(|finding| finding.verdict == Verdict::Fail && !names.is_empty());
    for finding in &told {
        let next = finding.remedy.as_ref().map_or("", |remedy| remedy.text.as_str());
        context.output.warning(&format!("{} {}: {} {next}", finding.id, finding.name, finding.what));
    }
    if stops.is_empty() { Ok(()) } else { Err(not_ready(&stops, false).because("Nothing was uploaded.")) }
}

/// Serial numbers are compared without regard to case.
fn key(serial: &str) -> String {
    serial.to_ascii_lowercase()
}

fn inventory(at: &AtTenant) -> Result<HashMap<String, OathDevice>, CliError> {
    Ok(at.graph.oath_devices()?.into_iter().map(|device| (key(&device.serial), device)).collect())
}

/// Uploads in parts, and reads back which are there.
fn upload(
    context: &Context<'_>,
    at: &AtTenant,
    journal: &AccountJournal<'_>,
    tokens: &[&TokenRow],
) -> Result<(u64, u64), CliError> {
    let (mut added, mut failed) = (0, 0);
    for part in tokens.chunks(LARGEST_UPLOAD) {
        let new: Vec<NewToken<'_>> = part
            .iter()
            .map(|token| NewToken {
                serial: &token.serial,
                manufacturer: &token.manufacturer,
                model: &token.model,
                seed: &token.seed,
                interval: token.interval,
                hash: token.hash.word(),
            })
            .collect();
        let sent: Vec<Value> = part.iter().map(|token| described(token)).collect();
        let intended = Intended {
            user: None,
            area: "hardware tokens (beta)",
            call: "PATCH /directory/authenticationMethodDevices/hardwareOathDevices",
            before: None,
            sent: Some(&Value::Array(sent)),
        };
        let change = journal.intend(intended)?;
        let (refused, request) = match at.graph.upload_oath_devices(&new) {
            Ok(uploaded) => (uploaded.refused, uploaded.request),
            Err(error) if error.kind() == crate::graph::ErrorKind::Unknown => {
                let request = error.ids().client_request_id.clone().unwrap_or_default();
                (Vec::new(), request)
            }
            Err(error) => {
                journal.failed(&change, &error)?;
                return Err(error.into());
            }
        };
        let refused: HashMap<usize, String> = refused.into_iter().collect();
        let wanted = part.len().saturating_sub(refused.len());
        let shown = at.until("the inventory shows the tokens", Duration::from_secs(30), || {
            let stock = at.graph.oath_devices()?;
            let there =
                part.iter().filter(|token| stock.iter().any(|device| key(&device.serial) == key(&token.serial)));
            Ok((there.count() >= wanted).then_some(stock))
        })?;
        let stock = match shown {
            Some(stock) => stock,
            None => at.graph.oath_devices()?,
        };
        let mut facts = Vec::new();
        for (index, token) in part.iter().enumerate() {
            match stock.iter().find(|device| key(&device.serial) == key(&token.serial)) {
                Some(device) => {
                    added += 1;
                    facts.push(TenantEntry::TokenImported {
                        tenant: journal.tenant.clone(),
                        device: device.id.clone(),
                        serial: token.serial.clone(),
                        by: journal.operator.clone(),
                        request: request.clone(),
                    });
                    report(context, token, "added", None);
                    context.output.answer(&format!("line {}: {} is added", token.line, token.serial));
                }
                None => {
                    failed += 1;
                    let why = refused.get(&index).map_or("the inventory does not show it", String::as_str);
                    report(context, token, "failed", Some(why));
                    context.output.answer(&format!("line {}: {} FAILED: {why}", token.line, token.serial));
                }
            }
        }
        journal.done(&change, Some(&request), facts)?;
    }
    Ok((added, failed))
}

/// A token as it is written down: without its seed, and without its person.
fn described(token: &TokenRow) -> Value {
    json!({
        "serialNumber": token.serial, "manufacturer": token.manufacturer, "model": token.model,
        "timeIntervalInSeconds": token.interval, "hashFunction": token.hash.word(),
    })
}

fn summary(context: &Context<'_>, [added, already, failed, not_given]: [u64; 4], dry_run: bool) {
    context.output.json(&json!({
        "event": "tokens-imported", "beta": true, "added": added, "already": already, "failed": failed,
        "not_given": not_given, "dry_run": dry_run,
    }));
}

fn report(context: &Context<'_>, token: &TokenRow, outcome: &str, why: Option<&str>) {
    context.output.json(&json!({
        "event": "token", "beta": true, "line": token.line, "serial": token.serial, "outcome": outcome, "why": why,
    }));
}
