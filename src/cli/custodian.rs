//! `keybench custodian`: who opens PINs, and how that changes.
//!
//! Promise: nobody becomes a custodian without the identity of one; the settings are not written, the lines for them are
//! printed, because a settings file has its owner's comments and order.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;

use super::causes::told;
use super::escrow::line;
use super::prompt::{Custodian, Terminal};
use super::{CliError, Context, Exit, ledger};
use crate::config::Settings;
use crate::ledger::Ledger;
use crate::pin::{Identities, Prompts, Recipients};
use crate::provision::held::{self, RekeyError};
use crate::provision::rotation::{Custody, Rotation, RotationError, custody};
use crate::world::Operator as _;

/// `keybench custodian …`
#[derive(Debug, Subcommand)]
pub enum CustodianCommand {
    /// Who can open PINs, and what is sealed to them
    ///
    /// Reads the ledger only; works beside a running bench.
    List(ListArgs),
    /// Add a custodian, and seal every PIN to them as well
    ///
    /// Takes the identity of a custodian in force, one of each group under dual control.
    Add(AddArgs),
    /// Replace the custodians, and seal every PIN to the new ones
    ///
    /// Takes the identity of a custodian in force, one of each group under dual control. All PINs are sealed again in one
    /// go, or nothing changes. Copies of the ledger and of its mirror made before keep the old seals.
    Rotate(RotateArgs),
    /// Change who activates held keys, and seal their registrations to the new ones (beta)
    ///
    /// Takes the identity of an activation key in force. All registrations are sealed again in one go, or nothing changes.
    Activation(ActivationArgs),
}

/// `keybench custodian activation`
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  keybench custodian activation --recipient age1… --identity activation.txt \\
      --as \"Kim Lee\" --reason \"Sam left\"")]
pub struct ActivationArgs {
    /// Who activates from now on; any one of them can
    #[arg(long, value_name = "AGE1…", required = true, action = clap::ArgAction::Append)]
    pub recipient: Vec<String>,
    /// Who asks, and with what
    #[command(flatten)]
    pub asked: Asked,
}

/// `keybench custodian list`
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  keybench custodian list")]
pub struct ListArgs {}

/// `keybench custodian add`
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  keybench custodian add --recipient age1… --identity kim.txt --as \"Kim Lee\" --reason \"Sam joins\"")]
pub struct AddArgs {
    /// The new custodian's age recipient
    #[arg(long, value_name = "AGE1…")]
    pub recipient: String,
    /// Into the second group
    #[arg(long)]
    pub second: bool,
    /// Who asks, and with what
    #[command(flatten)]
    pub asked: Asked,
}

/// `keybench custodian rotate`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench custodian rotate --recipient age1… --recipient age1… --identity kim.txt \\
      --as \"Kim Lee\" --reason \"Sam left\"
  keybench custodian rotate --recipient age1… --second-recipient age1… --identity kim.txt \\
      --as \"Kim Lee\" --reason \"dual control from here on\"")]
pub struct RotateArgs {
    /// A custodian from now on; with a second group: of the first
    #[arg(long, value_name = "AGE1…", required = true, action = clap::ArgAction::Append)]
    pub recipient: Vec<String>,
    /// A custodian of the second group: from now on it takes one of each to open a PIN
    #[arg(long, value_name = "AGE1…", action = clap::ArgAction::Append)]
    pub second_recipient: Vec<String>,
    /// Who asks, and with what
    #[command(flatten)]
    pub asked: Asked,
}

/// What every change takes.
#[derive(Debug, Args)]
pub struct Asked {
    /// Identity of a custodian in force; under dual control give one of each group
    #[arg(long, value_name = "FILE", required = true, action = clap::ArgAction::Append)]
    pub identity: Vec<PathBuf>,
    /// Who asks for it
    #[arg(long = "as", value_name = "NAME")]
    pub by: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Try everything and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Don't ask; needed where nobody can answer
    #[arg(long)]
    pub yes: bool,
}

pub(super) fn run(context: &Context<'_>, command: &CustodianCommand) -> Result<Exit, CliError> {
    let settings = context.settings()?;
    match command {
        CustodianCommand::List(ListArgs {}) => list(context, &settings),
        CustodianCommand::Add(args) => {
            let (mut first, mut second) = texts(&recipients(&settings)?);
            let group = if args.second { &mut second } else { &mut first };
            group.push(args.recipient.clone());
            if args.second && group.len() == 1 {
                let fact = "There is no second group yet; adding to it would put every PIN under dual control.";
                let next = "if that is meant, say so with `keybench custodian rotate … --second-recipient …`.";
                return Err(CliError::new(Exit::Usage, "usage", fact, next).because("Nothing was changed."));
            }
            change(context, &settings, &new_set(&first, &second)?, &args.asked)
        }
        CustodianCommand::Rotate(args) => {
            change(context, &settings, &new_set(&args.recipient, &args.second_recipient)?, &args.asked)
        }
        CustodianCommand::Activation(args) => change_activation(context, &settings, args),
    }
}

fn change_activation(context: &Context<'_>, settings: &Settings, args: &ActivationArgs) -> Result<Exit, CliError> {
    let asked = &args.asked;
    let (by, reason) = (line("--as", &asked.by)?, line("--reason", &asked.reason)?);
    let to = new_set(&args.recipient, &[])?;
    let ledger = ledger::alone(settings)?;
    let identities = identities(context, asked)?;
    let keys = to.fingerprints().0;
    if !asked.dry_run && !asked.yes {
        let question = format!("From now on held keys are activated by {}. Type `change`", keys.join(", "));
        if !Terminal::new(context.output).confirm(&question, "change") {
            let next = "type the word at a terminal, or add --yes where nobody can answer.";
            return Err(CliError::new(Exit::Usage, "not-confirmed", "The activation keys were not changed.", next));
        }
    }
    let now = jiff::Timestamp::now();
    let count = held::change_keys(&ledger, &to, &identities, (format!("{by}: {reason}"), now, !asked.dry_run))
        .map_err(not_rekeyed)?;
    let head = ledger.head()?;
    if asked.dry_run {
        let all =
            format!("{count} held registrations would be sealed again; every one of them opens. Nothing was written.");
        context.output.answer(&all);
    } else {
        let list: String = args.recipient.iter().map(|text| format!("  \"{}\",\n", text.trim())).collect();
        context.output.answer(&format!(
            "The activation keys are changed; {count} held registrations are sealed to them. The ledger's head is {head}."
        ));
        context.output.answer(&format!("Put this into {}; until then no run holds keys:", settings.file.display()));
        context.output.answer(&format!("[handover]\nactivation_recipients = [\n{list}]"));
    }
    context.output.json(&json!({
        "event": "activation-keys-changed", "dry_run": asked.dry_run, "resealed": count, "keys": keys,
        "head": head.to_string(),
    }));
    Ok(Exit::Done)
}

fn not_rekeyed(error: RekeyError) -> CliError {
    let text = error.to_string();
    let shown = match error {
        RekeyError::Run(error) => return error.into(),
        RekeyError::Seal(error) => error.into(),
        RekeyError::NoneYet => told(Exit::Usage, "usage", &text, "put them into handover.activation_recipients."),
        RekeyError::Same => told(Exit::Usage, "usage", &text, "`keybench custodian list` shows them."),
        RekeyError::Stuck { .. } => {
            told(Exit::Usage, "identity", &text, "give the identity of an activation key in force, with --identity.")
        }
    };
    shown.because("Nothing was changed.")
}

fn identities(context: &Context<'_>, asked: &Asked) -> Result<Identities, CliError> {
    let mut identities = Identities::new();
    let prompts: Arc<dyn Prompts> = Arc::new(Custodian::new(context.output.style().stderr_is_terminal));
    for path in &asked.identity {
        identities.add_file(path, Arc::clone(&prompts))?;
    }
    Ok(identities)
}

fn recipients(settings: &Settings) -> Result<Recipients, CliError> {
    let escrow = settings.custodians()?;
    Recipients::from_settings(&escrow.first, &escrow.second, escrow.dual()).map_err(CliError::from)
}

fn new_set(first: &[String], second: &[String]) -> Result<Recipients, CliError> {
    let set = if second.is_empty() { Recipients::single(first) } else { Recipients::dual(first, second) };
    set.map_err(CliError::from)
}

fn texts(set: &Recipients) -> (Vec<String>, Vec<String>) {
    let of = |group: &[crate::pin::Recipient]| group.iter().map(|one| one.as_str().to_owned()).collect();
    (of(set.first()), of(set.second()))
}

fn list(context: &Context<'_>, settings: &Settings) -> Result<Exit, CliError> {
    let ledger = ledger::to_read(settings)?;
    let Some(custody) = custody(&ledger)? else {
        context.output.answer("No PIN was sealed yet; the first run takes the custodians of the settings.");
        context.output.json(&json!({
            "event": "custodians", "first": [], "second": [], "by": null, "since": null, "sealed": 0, "sealed_to_earlier": 0,
            "activation_keys": [], "held": 0,
        }));
        return Ok(Exit::Done);
    };
    let named = recipients(settings).ok();
    let mut lines = Vec::new();
    for (title, group, ours) in [
        ("Custodians", &custody.first, named.as_ref().map(Recipients::first)),
        ("Second group", &custody.second, named.as_ref().map(Recipients::second)),
    ] {
        for (number, print) in group.iter().enumerate() {
            let title = if number == 0 { title } else { "" };
            let text = ours.and_then(|ours| ours.iter().find(|one| one.fingerprint() == *print));
            let text = text.map_or("not in the settings", |one| one.as_str());
            lines.push(format!("{title:<13} {print}  {text}"));
        }
    }
    lines.push(format!(
        "{:<13} {}{}",
        "Set by",
        custody.by,
        custody.since.map_or(String::new(), |at| format!(", {at}"))
    ));
    lines.push(format!("{:<13} {}", "Sealed PINs", sealed_in_words(&custody)));
    let activation = held::keys_in_force(&ledger)?.unwrap_or_default();
    let held = if activation.is_empty() { 0 } else { held::all_held(&ledger)?.len() };
    if !activation.is_empty() {
        lines.push(format!("{:<13} {}", "Activation", activation.join(", ")));
        lines.push(format!("{:<13} {held}", "Held keys"));
    }
    lines.iter().for_each(|line| context.output.answer(line));
    context.output.json(&json!({
        "event": "custodians", "first": custody.first, "second": custody.second, "by": custody.by,
        "since": custody.since.map(|at| at.to_string()), "sealed": custody.current, "sealed_to_earlier": custody.earlier,
        "activation_keys": activation, "held": held,
    }));
    Ok(Exit::Done)
}

fn sealed_in_words(custody: &Custody) -> String {
    match custody.earlier {
        0 => format!("{}, all to these custodians", custody.current),
        earlier => format!("{} to these custodians, {earlier} to earlier ones", custody.current),
    }
}

fn change(context: &Context<'_>, settings: &Settings, to: &Recipients, asked: &Asked) -> Result<Exit, CliError> {
    let (by, reason) = (line("--as", &asked.by)?, line("--reason", &asked.reason)?);
    let from = recipients(settings)?;
    let ledger = ledger::alone(settings)?;
    let identities = identities(context, asked)?;
    let seeds = super::oath::seed_folder(settings);
    let rotation = Rotation { from: &from, to, identities: &identities, by: format!("{by}: {reason}"), seeds: &seeds };
    let (first, second) = to.fingerprints();
    if !asked.dry_run && !asked.yes {
        let groups = if second.is_empty() {
            first.join(", ")
        } else {
            format!("{}; second group: {}", first.join(", "), second.join(", "))
        };
        let question = format!(
            "From now on PINs are opened by {groups}. Whoever lost those identities lost the PINs. Type `change`"
        );
        if !Terminal::new(context.output).confirm(&question, "change") {
            let next = "type the word at a terminal, or add --yes where nobody can answer.";
            return Err(CliError::new(Exit::Usage, "not-confirmed", "The custodians were not changed.", next));
        }
    }
    let told = &mut |done: usize, all: usize| {
        if done > 0 && (done.is_multiple_of(250) || done == all) {
            context.output.progress(&format!("{done} of {all} PINs sealed again"));
        }
    };
    let rotated = rotation.carry_out(&ledger as &dyn Ledger, !asked.dry_run, told).map_err(refused)?;
    let Some(head) = rotated.head else {
        let n = rotated.resealed;
        context.output.answer(&format!(
            "{n} PINs{} would be sealed again; every one of them opens. Nothing was written.",
            and_seeds(rotated.seeds)
        ));
        context.output.json(&json!({
            "event": "custodians-changed", "dry_run": true, "resealed": n, "seeds": rotated.seeds,
        }));
        return Ok(Exit::Done);
    };
    let n = rotated.resealed;
    context.output.answer(&format!(
        "The custodians are changed; {n} PINs{} are sealed to them. The ledger's head is {head}.",
        and_seeds(rotated.seeds)
    ));
    context.output.answer(&format!("Put this into {}; until then no run starts:", settings.file.display()));
    context.output.answer(&settings_lines(to));
    context.output.json(&json!({
        "event": "custodians-changed", "dry_run": false, "resealed": n, "seeds": rotated.seeds, "head": head.to_string(),
        "first": first, "second": second, "settings": settings_lines(to),
    }));
    context.output.progress(
        "Backups of the ledger, of its mirror and of sealed seeds made before now keep the old seals, and the old identities \
         open those. Destroy them, or replace the keys of whoever must not know their PINs.",
    );
    Ok(Exit::Done)
}

fn and_seeds(seeds: usize) -> String {
    match seeds {
        0 => String::new(),
        1 => " and 1 seed of a hardware token".to_owned(),
        n => format!(" and {n} seeds of hardware tokens"),
    }
}

/// `[escrow]`, as the settings have to say it.
fn settings_lines(set: &Recipients) -> String {
    let list = |texts: &[String]| texts.iter().map(|text| format!("  \"{text}\",\n")).collect::<String>();
    let (first, second) = texts(set);
    let mut lines = format!("[escrow]\nrecipients = [\n{}]", list(&first));
    if set.is_dual() {
        lines.push_str(&format!("\nsecond_recipients = [\n{}]\ndual = true", list(&second)));
    }
    lines
}

fn refused(error: RotationError) -> CliError {
    let (code, next) = match error {
        RotationError::Ledger(error) => return error.into(),
        RotationError::NotTheirs(_) => (
            "identity",
            "give the identity file of a custodian in force, one of each group under dual control; see `keybench custodian list`.",
        ),
        RotationError::NotInForce(_) => (
            "custodians-changed",
            "put the settings back to the custodians in force first; `keybench custodian list` shows them.",
        ),
        RotationError::Seeds(_) => (
            "identity",
            "add the identity that opens it, with another --identity, or import the vendor's file again after the change.",
        ),
        RotationError::Stuck { .. } => ("identity", "add the identity that opens it, with another --identity."),
        _ => ("usage", "`keybench custodian list` shows who is in force."),
    };
    told(Exit::Usage, code, &error.to_string(), next).because("Nothing was changed.")
}
