//! `keybench oath list` and `keybench oath remove`.

use std::collections::HashMap;

use clap::Args;
use serde_json::json;

use super::activate::forget_seed;
use super::{device, method_of, seeds};
use crate::cli::at_tenant::{AtTenant, one_line};
use crate::cli::{CliError, Context, Exit};
use crate::ledger::TenantEntry;
use crate::model::UserId;
use crate::tenant::account_journal::Intended;

/// `keybench oath list`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench oath list
  keybench oath list --json

Never a seed: Graph gives none back. Tokens of the portal's old CSV upload don't show.")]
pub struct ListArgs {}

/// `keybench oath remove`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench oath remove 1234567 --reason \"lost\"
  keybench oath remove 1234567 --reason \"Kim has left\" --keep
  keybench oath remove 1234567 --reason \"lost\" --dry-run")]
pub struct RemoveArgs {
    /// The token's serial number
    #[arg(value_name = "SERIAL")]
    pub serial: String,
    /// Why; stands in the ledger
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Only take it from its person; it stays in the inventory for somebody else
    #[arg(long)]
    pub keep: bool,
    /// Show what would be removed
    #[arg(long)]
    pub dry_run: bool,
}

pub(super) fn list(context: &Context<'_>, _args: &ListArgs) -> Result<Exit, CliError> {
    let at = AtTenant::sign_in(context)?;
    let devices = at.graph.oath_devices()?;
    let holders: Vec<UserId> = devices.iter().filter_map(|device| device.assigned_to.clone()).collect();
    let keys: Vec<&str> = holders.iter().map(UserId::as_str).collect();
    let names: HashMap<UserId, String> = at
        .graph
        .find_users(&keys)?
        .into_iter()
        .flatten()
        .map(|user| (user.id.clone(), crate::cli::at_tenant::name_of(&user)))
        .collect();
    let store = seeds(&at)?;
    for device in &devices {
        let holder = device.assigned_to.as_ref().map(|id| names.get(id).cloned().unwrap_or_else(|| id.to_string()));
        let sealed = store.has(&device.serial);
        context.output.json(&json!({
            "event": "token", "beta": true, "serial": device.serial, "device": device.id, "manufacturer": device.manufacturer,
            "model": device.model, "interval": device.interval, "hash": device.hash, "status": device.status,
            "user": device.assigned_to, "upn": holder, "seed_sealed": sealed,
        }));
        let mut text = format!("{}  {}", device.serial, device.status.as_deref().unwrap_or("state not told"));
        if let Some(holder) = holder {
            text.push_str(&format!(", {holder}"));
        }
        if sealed {
            text.push_str(" (seed sealed here)");
        }
        context.output.answer(&text);
    }
    context.output.json(&json!({ "event": "tokens", "beta": true, "tokens": devices.len() }));
    let count = if devices.len() == 1 { "1 token".to_owned() } else { format!("{} tokens", devices.len()) };
    context.output.answer(&format!("{count} in the inventory."));
    Ok(Exit::Done)
}

pub(super) fn remove(context: &Context<'_>, args: &RemoveArgs) -> Result<Exit, CliError> {
    let reason = one_line("--reason", &args.reason)?;
    let at = AtTenant::sign_in(context)?;
    let token = device(&at, &args.serial)?;
    let serial = &token.serial;
    let told = |dry_run: bool| {
        context.output.json(&json!({
            "event": "token-removed", "beta": true, "serial": serial, "kept": args.keep, "reason": reason, "dry_run": dry_run,
        }));
    };
    if args.dry_run {
        let from = if token.assigned_to.is_some() { " from its person" } else { "" };
        let out = if args.keep { "" } else { " and out of the inventory" };
        context.output.answer(&format!("Would take {serial}{from}{out}."));
        told(true);
        return Ok(Exit::Done);
    }
    let ledger = at.ledger()?;
    let journal = at.journal(&ledger);
    let before = json!({
        "id": token.id, "serialNumber": serial, "manufacturer": token.manufacturer, "model": token.model, "status": token.status,
        "assignedTo": token.assigned_to,
    });
    if let Some(user) = &token.assigned_to
        && let Some(method) = method_of(&at, user, &token)?
    {
        let call = format!("DELETE /users/{user}/authentication/hardwareOathMethods/{method}");
        let intended = Intended {
            user: Some(user),
            area: "hardware token (beta)",
            call: &call,
            before: Some(&before),
            sent: None,
        };
        let change = journal.intend(intended)?;
        let deleted = match at.graph.unassign_oath_token(user, &method) {
            Ok(deleted) => deleted,
            Err(error) => {
                journal.failed(&change, &error)?;
                return Err(error.into());
            }
        };
        let fact = TenantEntry::MethodRemoved {
            tenant: journal.tenant.clone(),
            user: user.clone(),
            method_kind: "hardwareOath".to_owned(),
            method,
            reason: reason.to_owned(),
            by: journal.operator.clone(),
            request: deleted.request.clone(),
        };
        journal.done(&change, Some(&deleted.request), [fact])?;
        context.output.answer(&format!("{serial} is taken from its person."));
    }
    if !args.keep {
        let call = format!("DELETE /directory/authenticationMethodDevices/hardwareOathDevices/{}", token.id);
        let intended =
            Intended { user: None, area: "hardware tokens (beta)", call: &call, before: Some(&before), sent: None };
        let change = journal.intend(intended)?;
        match at.graph.delete_oath_device(&token.id) {
            Ok(deleted) => journal.done(&change, Some(&deleted.request), [])?,
            Err(error) => {
                journal.failed(&change, &error)?;
                return Err(error.into());
            }
        }
        forget_seed(&at, context, &token)?;
        context.output.answer(&format!("{serial} is out of the inventory."));
    }
    told(false);
    Ok(Exit::Done)
}
