//! `keybench stock`: what keys there are, and which a supplier sent.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::parcel::{acting, alarm};
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
    /// Scan a delivery in
    ///
    /// One serial number after the other, as a scanner types them. A key that no supplier's list names stops loudly where there are
    /// lists: it may have been exchanged on the way.
    Receive(ReceiveArgs),
}

/// `keybench stock list`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench stock list
  keybench stock list --only expected")]
pub struct ListArgs {
    /// Each key in this state: expected, in-stock, blank, begun, finished, out, refused, not-wiped, lost
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

/// `keybench stock receive`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench stock receive --as \"Robin Roe\"      scan the keys' serial numbers; `end` to stop
  keybench stock receive --json < scans.txt")]
pub struct ReceiveArgs {
    /// Take in keys that no supplier's list names
    #[arg(long)]
    pub unlisted: bool,
    /// Who scans [else the system's name for you]
    #[arg(long = "as", value_name = "NAME")]
    pub by: Option<String>,
    /// Compare and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

pub(super) fn run(context: &Context<'_>, command: &StockCommand) -> Result<Exit, CliError> {
    let settings = context.settings()?;
    match command {
        StockCommand::List(args) => list(context, &settings, args),
        StockCommand::Expect(args) => expect(context, &settings, args),
        StockCommand::Receive(args) => receive(context, &settings, args, &mut std::io::stdin().lock()),
    }
}

/// Every key that the ledger knows.
pub(super) fn stock(ledger: &dyn Ledger) -> Result<Stock, CliError> {
    let mut stock = Stock::default();
    ledger.visit(1, &mut |recorded| {
        stock.add(&recorded);
        ControlFlow::Continue(())
    })?;
    for list in stock.received().to_vec() {
        stock.take_received(ledger.blob(list)?.as_deref().map(from_document).unwrap_or_default());
    }
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
                "aaguid": key.map(|key| key.aaguid), "firmware": key.and_then(|key| key.firmware.as_ref()),
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
    // Deliveries come before the first run.
    let ledger = ledger::to_begin(settings)?;
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

/// What a scanned serial number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scan {
    New,
    Known(KeyState),
    Unlisted,
    NoNumber,
}

fn judge(stock: &Stock, lists: bool, unlisted: bool, text: &str) -> Scan {
    if text.len() > 64 || !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Scan::NoNumber;
    }
    match stock.with_serial(&Serial::new(text)).map(|known| known.state) {
        Some(KeyState::Expected) => Scan::New,
        Some(state) => Scan::Known(state),
        None if lists && !unlisted => Scan::Unlisted,
        None => Scan::New,
    }
}

fn receive(
    context: &Context<'_>,
    settings: &Settings,
    args: &ReceiveArgs,
    lines: &mut dyn BufRead,
) -> Result<Exit, CliError> {
    let by = acting(args.by.as_deref())?;
    let ledger = ledger::to_begin(settings)?;
    let stock = stock(&ledger)?;
    let lists = !stock.lists().is_empty();
    let (mut taken, mut known, mut stopped) = (BTreeSet::new(), 0u64, 0u64);
    let mut line = String::new();
    loop {
        context.output.progress("Scan a key's serial number (`end` to stop):");
        line.clear();
        if lines.read_line(&mut line).is_ok_and(|read| read == 0) {
            break;
        }
        let text = line.trim();
        match text {
            "" => continue,
            "end" => break,
            _ => {}
        }
        let refuse = |code: &'static str, fact: String, next: &str| {
            context.output.error(&CliError::new(Exit::SomeFailed, code, fact, next));
        };
        match judge(&stock, lists, args.unlisted, text) {
            Scan::New => {
                // A scanner bounces: the same number twice is one key.
                if taken.insert(Serial::new(text)) {
                    context.output.answer(&format!("in  {text}"));
                    context.output.json(&json!({ "event": "stock-scanned", "serial": text }));
                }
            }
            Scan::Known(state) => {
                known += 1;
                context.output.warning(&format!("{text} is noted already, as {}; nothing was changed.", state.word()));
            }
            Scan::Unlisted => {
                stopped += 1;
                alarm(context.output);
                let next = "put it aside and ask the supplier; `--unlisted` takes in keys that are on no list.";
                refuse("unlisted-key", format!("{text} is on no supplier's list: it may have been exchanged."), next);
            }
            Scan::NoNumber => {
                stopped += 1;
                refuse(
                    "usage",
                    format!("{text} is no serial number."),
                    "scan the key's own number: letters, digits, dashes.",
                );
            }
        }
    }
    let count = taken.len();
    if count > 0 && !args.dry_run {
        let document = to_document(&taken);
        let entry = HandoverEntry::StockReceived { list: BlobHash::of(&document), count: count as u64, by };
        ledger.append(Append::entry(Entry::Handover(entry)).with_document(document))?;
    }
    let missing =
        stock.keys().filter(|(serial, one)| one.state == KeyState::Expected && !taken.contains(*serial)).count();
    let head = ledger.head()?;
    context.output.answer(&format!(
        "{count} taken in, {known} known already, {stopped} stopped; {missing} of the suppliers' lists are still expected. \
         The ledger's head is {head}."
    ));
    context.output.json(&json!({
        "event": "stock-received", "taken": count, "known": known, "stopped": stopped, "missing": missing,
        "dry_run": args.dry_run, "head": head.to_string(),
    }));
    Ok(if stopped == 0 { Exit::Done } else { Exit::SomeFailed })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::cli::testing::{Desk, output};
    use crate::cli::{Global, testing::Ran};
    use crate::config::Overrides;

    fn scan(desk: &Desk, unlisted: bool, lines: &str) -> Ran {
        let (output, out, err) = output(false);
        let global = Global { config: Some(desk.path("config.toml")), ..Global::default() };
        let context = Context { global: &global, output: &output, environment: &|_| None };
        let settings = context.settings_with(&Overrides::new()).expect("settings");
        let args = ReceiveArgs { unlisted, by: Some("Robin".into()), dry_run: false };
        let exit = receive(&context, &settings, &args, &mut lines.as_bytes()).expect("scanned");
        Ran { exit, out: out.text(), err: err.text() }
    }

    #[test]
    fn a_delivery_is_scanned_in_and_a_key_on_no_list_stops() {
        let desk = Desk::new(1);
        desk.story();
        desk.write("list.csv", "Serial\n100\n200\n300\n");
        let list = desk.path("list.csv").display().to_string();
        assert_eq!(desk.run(&["stock", "expect", &list, "--serial", "Serial"]).exit, Exit::Done);
        let ran = scan(&desk, false, "100\n100\n999\n19283746\n1 2\nend\n200\n");
        assert_eq!(ran.exit, Exit::SomeFailed);
        assert!(ran.out.contains("1 taken in, 1 known already, 2 stopped; 2 of the suppliers' lists"), "{}", ran.out);
        assert!(ran.err.contains("999 is on no supplier's list") && ran.err.contains("as finished"), "{}", ran.err);
        let again = scan(&desk, true, "100\n999\n");
        assert!(again.out.contains("1 taken in, 1 known already, 0 stopped"), "{}", again.out);
        let listed = desk.run(&["stock", "list", "--only", "in-stock"]).out;
        assert!(listed.contains("100") && listed.contains("999"), "{listed}");
        assert!(desk.run(&["stock", "list"]).out.contains("2  expected"));
    }
}
