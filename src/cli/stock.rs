//! `keybench stock`: what keys there are, and which a supplier sent.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{CliError, Context, Exit, ledger};
use crate::config::Settings;
use crate::handover::stock::{KeyState, Stock, from_document, read_list, to_document};
use crate::ledger::{Append, BlobHash, Entry, HandoverEntry, Ledger};
use crate::model::Serial;
use crate::platform::who;

/// `keybench stock …`
#[derive(Debug, Subcommand)]
pub enum StockCommand {
    /// Keys by model and state
    ///
    /// Reads the ledger only; works beside a running bench. Keys without a serial number can't be told apart and are not listed.
    List(ListArgs),
    /// Take in a supplier's list of serial numbers
    ///
    /// With `[bench] only_expected = true`, a run refuses every key that is on no list: it may have been exchanged on the way.
    Expect(ExpectArgs),
}

/// `keybench stock list`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench stock list
  keybench stock list --only expected")]
pub struct ListArgs {
    /// Each key in this state: expected, blank, begun, finished, out, refused, not-wiped, lost
    #[arg(long, value_name = "STATE")]
    pub only: Option<String>,
}

/// `keybench stock expect`
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  keybench stock expect delivery-4711.csv --serial \"Serial No\"")]
pub struct ExpectArgs {
    /// The supplier's file
    #[arg(value_name = "FILE.csv")]
    pub file: PathBuf,
    /// The column with the serial numbers
    #[arg(long, value_name = "COLUMN")]
    pub serial: String,
    /// Show and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

pub(super) fn run(context: &Context<'_>, command: &StockCommand) -> Result<Exit, CliError> {
    let settings = context.settings()?;
    match command {
        StockCommand::List(args) => list(context, &settings, args),
        StockCommand::Expect(args) => expect(context, &settings, args),
    }
}

fn stock(ledger: &dyn Ledger) -> Result<Stock, CliError> {
    let mut stock = Stock::default();
    ledger.visit(1, &mut |recorded| {
        stock.add(&recorded);
        ControlFlow::Continue(())
    })?;
    for list in stock.lists().to_vec() {
        stock.take_in(ledger.blob(list)?.as_deref().map(from_document).unwrap_or_default());
    }
    Ok(stock)
}

/// The serial numbers of every supplier's list; `None` where the settings don't ask for them.
pub(super) fn expected(settings: &Settings, ledger: &dyn Ledger) -> Result<Option<BTreeSet<Serial>>, CliError> {
    if !settings.bench.only_expected {
        return Ok(None);
    }
    let mut lists = Vec::new();
    ledger.visit(1, &mut |recorded| {
        if let Entry::Handover(HandoverEntry::StockExpected { list, .. }) = recorded.entry {
            lists.push(list);
        }
        ControlFlow::Continue(())
    })?;
    let mut all = BTreeSet::new();
    for list in lists {
        all.extend(ledger.blob(list)?.as_deref().map(from_document).unwrap_or_default());
    }
    if all.is_empty() {
        let fact = "[bench] only_expected is set, and no supplier's list was taken in.";
        let next = "take one in with `keybench stock expect`, or take the setting out.";
        return Err(CliError::new(Exit::Usage, "no-list", fact, next).because("Every key would be refused."));
    }
    Ok(Some(all))
}

fn list(context: &Context<'_>, settings: &Settings, args: &ListArgs) -> Result<Exit, CliError> {
    let only = match &args.only {
        None => None,
        Some(word) => match KeyState::ALL.into_iter().find(|state| state.word() == word.trim()) {
            Some(state) => Some(state),
            None => {
                let words: Vec<&str> = KeyState::ALL.iter().map(|state| state.word()).collect();
                let fact = format!("--only takes one of {}.", words.join(", "));
                return Err(CliError::new(Exit::Usage, "usage", fact, "choose one, or leave it out."));
            }
        },
    };
    let ledger = ledger::to_read(settings)?;
    let stock = stock(&ledger)?;
    let mut counts: BTreeMap<(String, KeyState), u64> = BTreeMap::new();
    for (serial, one) in stock.keys() {
        let key = one.key.as_ref();
        let model = key.map_or("not seen yet".to_owned(), |key| {
            let firmware = key.firmware.as_ref().map_or(String::new(), |firmware| format!(" {firmware}"));
            format!("{}{firmware}", key.model.clone().unwrap_or_else(|| key.aaguid.to_string()))
        });
        if only == Some(one.state) {
            context.output.answer(&format!("{serial:<16} {model}"));
            context.output.json(&json!({
                "event": "stocked", "serial": serial, "state": one.state.word(), "model": key.and_then(|key| key.model.clone()),
                "aaguid": key.map(|key| key.aaguid),
            }));
        }
        *counts.entry((model, one.state)).or_default() += 1;
    }
    if only.is_none() {
        for ((model, state), count) in &counts {
            context.output.answer(&format!("{count:>6}  {:<10} {model}", state.word()));
            context.output.json(&json!({ "event": "stock", "model": model, "state": state.word(), "keys": count }));
        }
    }
    let all: u64 = counts.values().sum();
    let head = ledger.head()?;
    context.output.answer(&format!("{all} keys with a serial number. The ledger's head is {head}."));
    context.output.json(&json!({ "event": "stock-summary", "keys": all, "head": head.to_string() }));
    Ok(Exit::Done)
}

fn expect(context: &Context<'_>, settings: &Settings, args: &ExpectArgs) -> Result<Exit, CliError> {
    let wrong = |why: &str| {
        let fact = format!("{}: {why}.", args.file.display());
        let next = "correct what is named, or ask the supplier for the file again.";
        CliError::new(Exit::Usage, "supplier-file", fact, next).because("No key was noted.")
    };
    let bytes = std::fs::read(&args.file).map_err(|error| wrong(&error.to_string()))?;
    let serials = read_list(&bytes, &args.serial).map_err(|error| wrong(&error.to_string()))?;
    if serials.is_empty() {
        return Err(wrong("there is no serial number in it"));
    }
    let ledger = ledger::to_write(settings)?;
    let stock = stock(&ledger)?;
    let known = stock.keys().filter(|(serial, _)| serials.contains(*serial)).count();
    let (count, new) = (serials.len(), serials.len().saturating_sub(known));
    let document = to_document(&serials);
    let list = BlobHash::of(&document);
    if !args.dry_run && !stock.lists().contains(&list) {
        let entry = HandoverEntry::StockExpected { list, count: count as u64, by: who::operator() };
        ledger.append(Append::entry(Entry::Handover(entry)).with_document(document))?;
    }
    let head = ledger.head()?;
    context.output.answer(&format!("{count} serial numbers, {new} of them new. The ledger's head is {head}."));
    context.output.json(&json!({
        "event": "stock-expected", "serials": count, "new": new, "dry_run": args.dry_run, "head": head.to_string(),
    }));
    Ok(Exit::Done)
}
