//! `keybench audit`: what auditors get, and how they check it.

mod entra;
mod file;
#[cfg(all(test, unix))]
mod tests;

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::ledger::{seen_head, to_read};
use super::{CliError, Context, Exit, heads};
use crate::config::Settings;
use crate::ledger::audit_file::{Checked, check};
use crate::ledger::export::audit;
use crate::ledger::{BlobHash, Ledger, LedgerError, SeenHead};
use crate::platform::private::{Readers, write_atomic};

/// `keybench audit …`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Write the whole chain as rows: who, which key, when, by whom, which checks passed; never a PIN
    ///
    /// Each row holds its entry as it was hashed, so that `audit verify FILE` checks it on another machine, without the ledger.
    Export(ExportArgs),
    /// Check the ledger, an exported file, or the ledger against Entra's own audit log
    ///
    /// In a file every altered, missing or moved row is named by its line. Heads that were printed elsewhere (summaries, packing
    /// lists, custody exports, the system's log) find what was cut off the end or written anew.
    Verify(VerifyArgs),
}

/// A table's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Comma-separated, for a spreadsheet
    Csv,
    /// One JSON object a line
    Jsonl,
}

/// `keybench audit export`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench audit export --out audit.csv
  keybench audit export --out audit.jsonl

The columns are in docs/AUDIT.md. The file is readable by you alone. User principal names are in it
as long as the ledger knows them; they are outside the chain, so note the file's SHA-256, which is
printed, if they matter.")]
pub struct ExportArgs {
    /// The file; replaced if it is there
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// [else by the file's name, .csv or .jsonl]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
}

/// `keybench audit verify`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench audit verify                                       the ledger
  keybench audit verify audit.csv --head 412:5b1c09ae77d0f3e2
  keybench audit verify --against-entra --days 7

A head is given as it was printed; give as many as you have. A file needs no settings and no ledger.
Entra keeps its audit log 30 days with P1 or P2 and seven days without, and shows what happened some
minutes later. Ends with 5 where a file or the ledger was changed, with 1 where Entra's log and the
ledger differ.")]
pub struct VerifyArgs {
    /// An exported file [else the ledger]
    #[arg(value_name = "FILE", conflicts_with = "against_entra")]
    pub file: Option<PathBuf>,
    /// A head noted earlier, which must be in it
    #[arg(long, value_name = "N:HASH", value_parser = seen_head, action = clap::ArgAction::Append)]
    pub head: Vec<SeenHead>,
    /// Also pair Entra's audit log with the ledger, both ways
    #[arg(long)]
    pub against_entra: bool,
    /// How many days of Entra's log
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=30), requires = "against_entra")]
    pub days: u16,
}

pub(super) fn run(context: &Context<'_>, command: &AuditCommand) -> Result<Exit, CliError> {
    match command {
        AuditCommand::Export(args) => {
            let settings = context.settings()?;
            let format = args.format.unwrap_or_else(|| file::format_of(&args.out));
            export(context, &settings, &args.out, format)
        }
        AuditCommand::Verify(args) => match &args.file {
            Some(path) => {
                let rows = file::read(path)?;
                told(context, path, &check(&rows, &args.head), &args.head)
            }
            None => {
                let settings = context.settings()?;
                let whole = ledger(context, &settings, &args.head)?;
                if args.against_entra { entra::run(context, &settings, args.days) } else { Ok(whole) }
            }
        },
    }
}

/// Writes the whole audit to a file.
pub(super) fn export(
    context: &Context<'_>,
    settings: &Settings,
    out: &std::path::Path,
    format: Format,
) -> Result<Exit, CliError> {
    let ledger = to_read(settings)?;
    let mut table = file::Writer::new(format).map_err(|error| unwritable(&error))?;
    let (mut entries, mut failed) = (0_u64, None);
    let mut last = None;
    audit(&ledger, &mut |row| match table.add(&row) {
        Ok(()) => {
            entries += 1;
            last = Some(crate::ledger::Head { seq: row.seq, hash: row.hash.0 });
            ControlFlow::Continue(())
        }
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failed.map_or(Ok(()), Err).map_err(|error| unwritable(&error))?;
    let content = table.finish().map_err(|error| unwritable(&error))?;
    if out.is_dir() {
        let fact = format!("{} is a folder.", out.display());
        return Err(CliError::new(Exit::Usage, "unwritable", fact, "name a file."));
    }
    write_atomic(out, &content, Readers::OnlyMe)?;
    let sha256 = BlobHash::of(&content).to_string();
    // What was exported, also where a bench has gone on meanwhile.
    let head = last.map_or_else(|| ledger.head(), Ok)?;
    heads::announce(context.output, settings, &head, "audit export");
    let count = if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") };
    context.output.answer(&format!("{}: {count}; the ledger's head is {head}.", out.display()));
    context.output.answer(&format!("SHA-256 of the file: {sha256}"));
    context.output.json(&json!({
        "event": "audit-exported", "file": out.display().to_string(), "lines": entries, "head": head.to_string(),
        "sha256": sha256,
    }));
    Ok(Exit::Done)
}

fn unwritable(error: &std::io::Error) -> LedgerError {
    LedgerError::NotAllowed(error.to_string())
}

/// The ledger itself: every link, every side table, every head.
pub(super) fn ledger(context: &Context<'_>, settings: &Settings, seen: &[SeenHead]) -> Result<Exit, CliError> {
    let ledger = to_read(settings)?;
    let head = ledger.verify(seen.first().copied())?;
    for one in seen.iter().skip(1) {
        ledger.verify(Some(*one))?;
    }
    let path = settings.ledger.path.display();
    context.output.answer(&format!("{path} is whole: {} entries, head {head}.", head.seq));
    match seen.len() {
        0 => {}
        1 => context.output.answer("The head noted earlier is in it."),
        n => context.output.answer(&format!("All {n} heads noted earlier are in it.")),
    }
    context.output.json(&json!({
        "event": "verified", "ledger": path.to_string(), "entries": head.seq, "head": head.to_string(),
        "seen": seen.first().map(ToString::to_string),
    }));
    Ok(Exit::Done)
}

fn told(context: &Context<'_>, path: &std::path::Path, checked: &Checked, seen: &[SeenHead]) -> Result<Exit, CliError> {
    let Checked { head, faults } = checked;
    let path = path.display();
    for fault in faults {
        let (line, entry) = fault.place();
        context.output.answer(&format!("{path}: {fault}."));
        context.output.json(&json!({
            "event": "audit-fault", "what": fault.word(), "line": line, "entry": entry, "says": fault.to_string(),
        }));
    }
    context.output.json(&json!({
        "event": "audit-verified", "file": path.to_string(), "entries": head.seq, "head": head.to_string(),
        "faults": faults.len(), "seen": seen.iter().map(ToString::to_string).collect::<Vec<_>>(),
    }));
    if faults.is_empty() {
        context.output.answer(&format!("{path} is whole: {} entries, head {head}.", head.seq));
        if seen.is_empty() {
            context.output.progress(
                "What was cut off its end, or written anew, shows only against a head that was printed elsewhere: --head.",
            );
        } else {
            context.output.answer("Every head given is in it.");
        }
        return Ok(Exit::Done);
    }
    let fact = match faults.len() {
        1 => format!("{path} is not what was exported: one thing is wrong with it."),
        n => format!("{path} is not what was exported: {n} things are wrong with it."),
    };
    let next = "keep the file as evidence, and compare with the ledger: `keybench audit verify`, then export anew.";
    Err(CliError::new(Exit::Ledger, "audit-altered", fact, next))
}
