//! `keybench export`: lists for people who were not at the bench.
//!
//! Promise: no list holds a PIN, sealed or not; a list is there wholly or not at all, readable by this account alone; and no
//! cell of a CSV is a formula to a spreadsheet.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::audit::{self, Format};
use super::{CliError, Context, Exit, batch, ledger};
use crate::ledger::{Entry, ForcedChange, HandoverEntry, JobFilter, Ledger, LedgerError};
use crate::model::{JobId, KeyRef, Person, UserId};
use crate::platform::private::{Readers, write_atomic};

mod parcels;

/// `keybench export …`
#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// One line a finished key: whose, which, where to; never a PIN
    Manifest(ManifestArgs),
    /// The same as `keybench audit export --format jsonl`
    Audit(AuditArgs),
    /// The carrier's CSV, one line a parcel, and the packing list; never a PIN
    Carrier(CarrierArgs),
}

/// `keybench export carrier`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench export carrier --out parcels.csv
  keybench export carrier autumn --map dhl.toml --out parcels.csv --packing-list packing.csv

A column map is a TOML file with the carrier's columns and what each is filled from:
docs/LETTERS.md. An address that doesn't fill what the carrier requires is left out and told.")]
pub struct CarrierArgs {
    /// Only this batch [else every finished key]
    #[arg(value_name = "BATCH")]
    pub batch: Option<String>,
    /// The file; replaced if it is there
    #[arg(long, value_name = "FILE.csv")]
    pub out: PathBuf,
    /// The carrier's column map [else handover.carrier, else every part in a column of its own]
    #[arg(long, value_name = "FILE.toml")]
    pub map: Option<PathBuf>,
    /// Also write what goes into which parcel, for the packing table
    #[arg(long, value_name = "FILE.csv")]
    pub packing_list: Option<PathBuf>,
}

/// `keybench export manifest`
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  keybench export manifest --out manifest.csv

The file is CSV in UTF-8, readable by you alone; a cell that a spreadsheet would take for a formula
begins with an apostrophe.")]
pub struct ManifestArgs {
    /// The file; replaced if it is there
    #[arg(long, value_name = "FILE.csv")]
    pub out: PathBuf,
    /// Only this batch
    #[arg(long, value_name = "BATCH")]
    pub batch: Option<String>,
}

/// `keybench export audit`
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  keybench export audit --out audit.jsonl

Each line is one entry of the chain with its hash, and the person's user principal name while the
ledger still knows it. `keybench audit verify` checks it.")]
pub struct AuditArgs {
    /// The file; replaced if it is there
    #[arg(long, value_name = "FILE.jsonl")]
    pub out: PathBuf,
}

pub(super) fn run(context: &Context<'_>, command: &ExportCommand) -> Result<Exit, CliError> {
    let settings = context.settings()?;
    if let ExportCommand::Audit(args) = command {
        return audit::export(context, &settings, &args.out, Format::Jsonl);
    }
    let ledger = ledger::to_read(&settings)?;
    let (content, lines, out) = match command {
        ExportCommand::Carrier(args) => return parcels::run(context, &settings, &ledger, args),
        ExportCommand::Manifest(args) => {
            let (content, keys) = manifest(&ledger, &batch::jobs_of(&ledger, args.batch.as_deref())?)?;
            (content, keys, &args.out)
        }
        ExportCommand::Audit(_) => return Ok(Exit::Done),
    };
    write(out, &content)?;
    let head = ledger.head()?;
    let many = if lines == 1 { "1 key".to_owned() } else { format!("{lines} keys") };
    context.output.answer(&format!("{}: {many}; the ledger's head is {head}.", out.display()));
    context.output.json(&json!({
        "event": "exported", "file": out.display().to_string(), "lines": lines, "head": head.to_string(),
    }));
    Ok(Exit::Done)
}

fn write(out: &Path, content: &[u8]) -> Result<(), CliError> {
    if out.is_dir() {
        let fact = format!("{} is a folder.", out.display());
        return Err(CliError::new(Exit::Usage, "unwritable", fact, "name a file."));
    }
    Ok(write_atomic(out, content, Readers::OnlyMe)?)
}

const COLUMNS: [&str; 20] = [
    "upn",
    "display_name",
    "job",
    "key_number",
    "serial",
    "model",
    "aaguid",
    "firmware",
    "credential_id",
    "method_id",
    "force_change",
    "minimum_pin_length",
    "finished",
    "taken",
    "revoked",
    "batch",
    "tenant",
    "address",
    "country",
    "held_until",
];

/// What the entries tell of one job's last key.
#[derive(Default)]
struct Told {
    key: Option<KeyRef>,
    credential: String,
    method: String,
    forced: &'static str,
    minimum: String,
    finished: String,
    taken: bool,
    revoked: bool,
    held_until: String,
}

/// The manifest, and how many keys are in it. One pass over the ledger.
fn manifest(ledger: &dyn Ledger, filter: &JobFilter) -> Result<(Vec<u8>, u64), CliError> {
    let mut told: HashMap<JobId, Told> = HashMap::new();
    ledger.visit(1, &mut |recorded| {
        let at = recorded.at;
        if let Some(job) = recorded.entry.job() {
            let told = told.entry(job.clone()).or_default();
            match recorded.entry {
                Entry::AttemptStarted { key, .. } => *told = Told { key: Some(key), ..Told::default() },
                Entry::CredentialMade { credential, .. } => told.credential = credential.to_base64url(),
                Entry::Registered { method, .. } => told.method = method.to_string(),
                Entry::PinRulesSet { minimum, forced, .. } => {
                    told.minimum = minimum.to_string();
                    told.forced = forced_word(forced);
                }
                // A held key leaves the bench long before it is registered.
                Entry::Finished { .. } if told.finished.is_empty() => told.finished = at.to_string(),
                Entry::Handover(HandoverEntry::Held { expires, .. }) => {
                    told.finished = at.to_string();
                    told.held_until = expires.to_string();
                }
                Entry::Handover(HandoverEntry::HoldEnded { code, .. }) => {
                    told.held_until.clear();
                    told.revoked |= code != "activated";
                }
                Entry::KeyTaken { .. } => told.taken = true,
                Entry::Revoked { .. } => told.revoked = true,
                _ => {}
            }
        }
        ControlFlow::Continue(())
    })?;
    let people: HashMap<UserId, Person> =
        ledger.people()?.into_iter().map(|person| (person.id.clone(), person)).collect();
    let mut table = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
    let mut keys = 0;
    let failed = |error: csv::Error| LedgerError::NotAllowed(error.to_string());
    table.write_record(COLUMNS).map_err(failed)?;
    for line in ledger.jobs(filter)? {
        let Some(told) = told.get(&line.job).filter(|told| !told.finished.is_empty()) else { continue };
        let Some(key) = &told.key else { continue };
        let person = people.get(&line.user);
        let address = person.and_then(|person| person.address_for(line.ordinal));
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let yes = |is: bool| if is { "yes" } else { "" }.to_owned();
        let row = [
            // A person who was forgotten has an object id and no name.
            person.map_or_else(|| line.user.to_string(), |person| person.upn.to_string()),
            text(person.map(|person| person.display_name.as_str())),
            line.job.to_string(),
            line.ordinal.to_string(),
            text(key.serial.as_ref().map(|serial| serial.as_str())),
            text(key.model.as_deref()),
            key.aaguid.to_string(),
            text(key.firmware.as_ref().map(|firmware| firmware.as_str())),
            told.credential.clone(),
            told.method.clone(),
            told.forced.to_owned(),
            told.minimum.clone(),
            told.finished.clone(),
            yes(told.taken),
            yes(told.revoked),
            line.batch.to_string(),
            line.tenant.to_string(),
            address.map(|address| address.lines.join(", ")).unwrap_or_default(),
            text(address.and_then(|address| address.country.as_deref())),
            told.held_until.clone(),
        ];
        table.write_record(row.map(|cell| guarded(&cell))).map_err(failed)?;
        keys += 1;
    }
    let bytes = table.into_inner().map_err(|error| LedgerError::NotAllowed(error.to_string()))?;
    Ok((bytes, keys))
}

fn forced_word(forced: ForcedChange) -> &'static str {
    match forced {
        ForcedChange::Forced => "true",
        ForcedChange::NotAsked => "false",
        ForcedChange::Unsupported => "unsupported",
    }
}

/// A cell on one line that no spreadsheet takes for a formula (OWASP, "CSV Injection"; the wide forms count as well, because
/// spreadsheets of East Asian systems read them so).
pub(super) fn guarded(cell: &str) -> String {
    let one_line: String = cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let starts =
        |text: &str| text.starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}', '|', '%']);
    if starts(&one_line) || starts(one_line.trim_start()) || cell.starts_with(['\t', '\r', '\n']) {
        format!("'{one_line}")
    } else {
        one_line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, written) in [
            ("=HYPERLINK(\"x\")", "'=HYPERLINK(\"x\")"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "' =1"),
            ("  =1", "'  =1"),
            ("a\r\n=1", "a  =1"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("Kim = Lee", "Kim = Lee"),
            ("", ""),
        ] {
            assert_eq!(guarded(cell), written);
        }
    }
}
