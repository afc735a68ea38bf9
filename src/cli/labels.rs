//! `keybench labels`: labels for keys and parcels.
//!
//! Promise: a finished key gets one label; what is refused or failed gets REJECT. A label has no PIN on it, so printing one
//! again does no harm and needs no reason; `--again` asks for it.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::error::sentence;
use super::letters::{JOB_NAME, facts_of_keys, finished, load_template};
use super::{CliError, Context, Exit, codes, ledger};
use crate::handover::carrier::which_of;
use crate::handover::code::{Code, CodeKind};
use crate::handover::label::zpl::{Roll, stream};
use crate::handover::label::{Label, LabelError, LabelSheet, on_sheets, sheet};
use crate::handover::letter::Letter;
use crate::handover::paper::write;
use crate::handover::printer::{Kind, Printer, PrinterError};
use crate::ledger::{Append, Entry, HandoverEntry, Ledger};
use crate::model::{JobId, KeyRef};
use crate::platform::private::{Readers, write_atomic};

/// `keybench labels …`
#[derive(Debug, Subcommand)]
pub enum LabelsCommand {
    /// Labels for finished keys, for their parcels, or REJECT for keys that are not fit
    ///
    /// Takes what has no label yet. The code on a label is 24 digits, as QR and as Code 128; the packing table scans it.
    Make(LabelsArgs),
    /// The sheets of labels that are known
    Sheets(SheetsArgs),
}

/// What labels are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Finished keys, or the bags they are in.
    Key,
    /// Their parcels, with name and address.
    Parcel,
    /// Keys that were refused or failed.
    Reject,
}

/// How labels are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Sheets of labels.
    Pdf,
    /// A label printer's rolls.
    Zpl,
}

/// `keybench labels make`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench labels make --for key --sheet L7651 --out keys.pdf
  keybench labels make autumn --for parcel --sheet L7165 --start 3 --out parcels.pdf
  keybench labels make --for key --format zpl --size 57x32 --printer raw://10.0.0.7:9100
  keybench labels make --for reject --sheet L7160 --out reject.pdf")]
pub struct LabelsArgs {
    /// Only this batch [else every finished key]
    #[arg(value_name = "BATCH")]
    pub batch: Option<String>,
    /// What they are for
    #[arg(long = "for", value_name = "WHAT", value_enum, default_value = "key")]
    pub what: What,
    /// Sheets of labels as PDF, or ZPL for a label printer
    #[arg(long, value_enum, default_value = "pdf")]
    pub format: Format,
    /// Avery's number, or a file with a sheet of your own
    #[arg(long, value_name = "NUMBER|FILE", default_value = "L7160")]
    pub sheet: String,
    /// The first free label of a sheet that was begun, from 1
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub start: u32,
    /// Move everything, in millimetres, for a printer that pulls paper askew
    #[arg(long, value_name = "X,Y", allow_hyphen_values = true)]
    pub shift: Option<String>,
    /// ZPL: a label's size in millimetres
    #[arg(long, value_name = "WxH", default_value = "57x32")]
    pub size: String,
    /// ZPL: the printer's resolution: 152, 203, 300 or 600
    #[arg(long, value_name = "DPI", default_value_t = 203)]
    pub dpi: u32,
    /// The file; replaced if it is there
    #[arg(long, value_name = "FILE", conflicts_with = "printer")]
    pub out: Option<PathBuf>,
    /// Print: raw://HOST:9100, ipp://…, windows:NAME [else handover.label_printer]
    #[arg(long, value_name = "PRINTER")]
    pub printer: Option<String>,
    /// Those that have a label, too
    #[arg(long)]
    pub again: bool,
    /// Only this person or job
    #[arg(long, value_name = "UPN|JOB")]
    pub only: Vec<String>,
    /// Say what would be printed
    #[arg(long)]
    pub dry_run: bool,
}

/// `keybench labels sheets`
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  keybench labels sheets")]
pub struct SheetsArgs {}

pub(super) fn run(context: &Context<'_>, command: &LabelsCommand) -> Result<Exit, CliError> {
    match command {
        LabelsCommand::Make(args) => make(context, args),
        LabelsCommand::Sheets(_) => {
            for (name, sheet) in sheet::built_in().map_err(|error| wrong(&error.to_string()))? {
                context.output.answer(&format!("{name:<6}  {}", sheet.about));
                context.output.json(&json!({
                    "event": "label-sheet", "name": name, "about": sheet.about, "labels": sheet.count(),
                    "width": sheet.width, "height": sheet.height,
                }));
            }
            Ok(Exit::Done)
        }
    }
}

/// Reads a printer's name.
pub(super) fn printer(text: &str) -> Result<Printer, CliError> {
    Printer::parse(text).map_err(|error| {
        let text = error.to_string();
        let (fact, next) = text.split_once(": ").unwrap_or((&text, "see docs/LETTERS.md"));
        CliError::new(Exit::Usage, "printer", sentence(fact), format!("{}.", next.trim_end_matches('.')))
    })
}

/// What a printer said, for people.
pub(super) fn printer_error(error: &PrinterError) -> CliError {
    let next = match error {
        PrinterError::NotHere(_) => "run this on Windows, or use ipp:// or raw://.",
        PrinterError::Unreachable { .. } => {
            "check that it is on and that the name is right; then run the same command again."
        }
        _ => "see to the printer; then run the same command again.",
    };
    CliError::new(Exit::Usage, "printer", sentence(&error.to_string()), next)
}

fn wrong(what: &str) -> CliError {
    CliError::new(
        Exit::Usage,
        "labels",
        sentence(what),
        "`keybench labels sheets` lists the sheets; docs/LETTERS.md has the rest.",
    )
}

fn label_error(error: &LabelError) -> CliError {
    wrong(&error.to_string())
}

/// A label, and how the ledger notes it.
struct Due {
    label: Label,
    job: Option<JobId>,
    code: String,
    whose: String,
}

fn make(context: &Context<'_>, args: &LabelsArgs) -> Result<Exit, CliError> {
    let settings = context.settings()?;
    let printer = match (&args.out, args.printer.as_deref().or(settings.handover.label_printer.as_deref())) {
        (Some(_), _) => None,
        (None, Some(text)) => Some(printer(text)?),
        (None, None) if args.dry_run => None,
        (None, None) => {
            let fact = "It is not said where the labels go.";
            let next = "add --out FILE or --printer, or set handover.label_printer.";
            return Err(CliError::new(Exit::Usage, "usage", fact, next));
        }
    };
    let reader = ledger::to_read(&settings)?;
    let (template, fonts) = load_template(Some(&settings), None)?;
    let (due, mut held) = due(&reader, args, &template.sender, &template.home)?;
    // A label printer writes with its own font, which is no larger than ours.
    let (due, unwritten): (Vec<Due>, Vec<Due>) = due.into_iter().partition(|one| one.label.missing(&fonts).is_empty());
    held.extend(unwritten.into_iter().map(|one| {
        let missing: String = one.label.missing(&fonts).into_iter().collect();
        let why = format!("the font can't write {missing}; [fonts] of the letter template names one that can");
        (one.whose, why)
    }));
    drop(reader);
    for (whose, why) in &held {
        context.output.warning(&format!("{whose}: {why}."));
    }
    let labels: Vec<Label> = due.iter().map(|one| one.label.clone()).collect();
    let bytes = match args.format {
        Format::Pdf => {
            let on = label_sheet(&args.sheet)?;
            if args.start == 0 || args.start > on.count() {
                return Err(wrong(&format!("--start {} is not on a sheet of {} labels", args.start, on.count())));
            }
            let sheets = on_sheets(&fonts, &labels, &on, args.start.saturating_sub(1), shift(args.shift.as_deref())?)
                .map_err(|error| label_error(&error))?;
            write(&fonts, &sheets).map_err(|error| wrong(&error.to_string()))?.to_vec()
        }
        Format::Zpl => {
            let dots = Roll::dots_of_dpi(args.dpi).ok_or_else(|| {
                wrong(&format!("{} is no resolution of label printers: 152, 203, 300, 600", args.dpi))
            })?;
            let (width, height) = size(&args.size)?;
            stream(&fonts, &labels, &Roll { width, height, dots }).map_err(|error| label_error(&error))?.into_bytes()
        }
    };
    if !args.dry_run && !due.is_empty() {
        // Open before printing: what can't be noted is not printed.
        let ledger = ledger::to_write(&settings)?;
        let kind = if args.format == Format::Pdf { Kind::Pdf } else { Kind::Zpl };
        match (&args.out, &printer) {
            (Some(out), _) => write_atomic(out, &bytes, Readers::OnlyMe)?,
            (None, Some(printer)) => {
                printer.print(kind, JOB_NAME, &bytes).map_err(|error| printer_error(&error))?;
            }
            (None, None) => {}
        }
        let entries = due
            .iter()
            .map(|one| Entry::Handover(HandoverEntry::LabelPrinted { job: one.job.clone(), code: one.code.clone() }));
        ledger.append(Append::entries(entries))?;
    }
    for one in &due {
        context.output.json(&json!({
            "event": "label", "for": word(args.what), "job": one.job, "code": one.code, "whose": one.whose,
        }));
    }
    let to = match (&args.out, &printer) {
        _ if args.dry_run => "would be made; nothing was written".to_owned(),
        _ if due.is_empty() => "were due".to_owned(),
        (Some(out), _) => format!("in {}", out.display()),
        (None, Some(printer)) => format!("left for {printer}"),
        (None, None) => String::new(),
    };
    let count = due.len();
    context.output.answer(&format!("{count} {} {to}.", if count == 1 { "label" } else { "labels" }));
    context.output.json(&json!({ "event": "labels", "labels": count, "held": held.len(), "dry_run": args.dry_run }));
    Ok(if held.is_empty() { Exit::Done } else { Exit::SomeFailed })
}

fn word(what: What) -> &'static str {
    match what {
        What::Key => "key",
        What::Parcel => "parcel",
        What::Reject => "reject",
    }
}

type DueAndHeld = (Vec<Due>, Vec<(String, String)>);

fn due(ledger: &dyn Ledger, args: &LabelsArgs, sender: &str, home: &str) -> Result<DueAndHeld, CliError> {
    let known = facts_of_keys(ledger)?;
    let (mut due, mut held) = (Vec::new(), Vec::new());
    let model = |key: &KeyRef| key.model.clone().unwrap_or_else(|| "Security key".into());
    let serial = |key: &KeyRef| key.serial.as_ref().map(ToString::to_string);
    if args.what == What::Reject {
        for one in &known.unfit {
            let code = format!("REJECT-{}", one.seq);
            if !args.again && known.labels.contains(&code) {
                continue;
            }
            let why = codes::meaning(&one.code).unwrap_or(&one.code).to_owned();
            let label = Label::Reject { model: model(&one.key), serial: serial(&one.key), why };
            due.push(Due { label, job: None, code, whose: one.key.for_people() });
        }
        return Ok((due, held));
    }
    let kind = if args.what == What::Key { CodeKind::Key } else { CodeKind::Parcel };
    for one in finished(ledger, args.batch.as_deref(), &known)? {
        if !args.only.is_empty() && !args.only.iter().any(|name| one.is(name)) {
            continue;
        }
        let whose = one.person.upn.to_string();
        let code = match Code::new(kind, &one.line.job, one.facts.attempt, 1) {
            Ok(code) => code,
            Err(error) => {
                held.push((whose, error.to_string()));
                continue;
            }
        };
        if !args.again && known.labels.contains(code.digits()) {
            continue;
        }
        let digits = code.digits().to_owned();
        let label = if args.what == What::Key {
            Label::Key { code, model: model(&one.facts.key), serial: serial(&one.facts.key) }
        } else {
            let address = one.person.address.clone().unwrap_or_default();
            let to = Letter::lines_of(&one.person.display_name, &address, home);
            if to.len() < 2 {
                held.push((whose, "there is no address; `keybench addresses import` brings one".into()));
                continue;
            }
            // Outside it says "1 of 2" and not of what.
            Label::Parcel { code, to, from: sender.to_owned(), which: which_of(one.number()) }
        };
        let whose = which_of(one.number()).map_or_else(|| whose.clone(), |which| format!("{whose}, key {which}"));
        due.push(Due { label, job: Some(one.line.job.clone()), code: digits, whose });
    }
    Ok((due, held))
}

fn label_sheet(name: &str) -> Result<LabelSheet, CliError> {
    if Path::new(name).extension().is_some_and(|extension| extension == "toml") {
        let text = std::fs::read_to_string(name).map_err(|error| wrong(&format!("{name} can't be read: {error}")))?;
        return LabelSheet::read(&text).map_err(|error| wrong(&format!("{name}: {error}")));
    }
    LabelSheet::named(name).map_err(|error| wrong(&error.to_string()))
}

fn size(text: &str) -> Result<(f32, f32), CliError> {
    let number = |text: &str| text.trim().parse::<f32>().ok().filter(|mm| (15.0..=300.0).contains(mm));
    text.to_ascii_lowercase()
        .split_once('x')
        .and_then(|(width, height)| Some((number(width)?, number(height)?)))
        .ok_or_else(|| {
            wrong(&format!("\"{text}\" is no label's size: write it as 57x32, in millimetres from 15 to 300"))
        })
}

fn shift(text: Option<&str>) -> Result<(f32, f32), CliError> {
    let Some(text) = text else { return Ok((0.0, 0.0)) };
    let number = |text: &str| text.trim().parse::<f32>().ok().filter(|mm| mm.abs() <= 20.0);
    text.split_once(',')
        .and_then(|(x, y)| Some((number(x)?, number(y)?)))
        .ok_or_else(|| wrong(&format!("\"{text}\" is no shift: write it as 1.5,-0.5, in millimetres to 20")))
}

#[cfg(all(test, unix))]
mod tests {
    use crate::cli::Exit;
    use crate::cli::testing::{Desk, kinds};
    use crate::handover::code::{Code, CodeKind};
    use crate::ledger::{Entry, HandoverEntry};

    #[test]
    fn each_finished_key_gets_one_label_and_each_unfit_one_reject() {
        let desk = Desk::new(1);
        let jobs = desk.story();
        let out = desk.path("labels.pdf").display().to_string();
        let first = desk.run(&["labels", "make", "--out", &out, "--json"]);
        assert_eq!(first.exit, Exit::Done, "{}", first.err);
        let lines = first.lines();
        let code = Code::parse(lines[0]["code"].as_str().expect("a code")).expect("ours");
        assert_eq!((code.kind(), code.job(), code.attempt()), (CodeKind::Key, &jobs[0], 1));
        assert_eq!(lines[1]["labels"].as_u64(), Some(1));
        assert!(std::fs::read(&out).expect("a file").starts_with(b"%PDF-"));
        let noted = kinds(&desk.path("ledger.db"));
        assert!(
            matches!(noted.last(), Some(Entry::Handover(HandoverEntry::LabelPrinted { job: Some(job), .. })) if *job == jobs[0])
        );
        assert_eq!(desk.run(&["labels", "make", "--out", &out]).out, "0 labels were due.\n", "once");
        assert!(desk.run(&["labels", "make", "--out", &out, "--again"]).out.starts_with("1 label in"));
        let parcels = desk.run(&["labels", "make", "--for", "parcel", "--sheet", "L7165", "--out", &out, "--json"]);
        assert_eq!(parcels.lines()[1]["labels"].as_u64(), Some(1), "{}", parcels.err);
        // Sam's failed key and the one that had a PIN.
        let reject = desk.run(&["labels", "make", "--for", "reject", "--out", &out, "--json"]);
        assert_eq!(reject.lines()[2]["labels"].as_u64(), Some(2), "{}", reject.out);
    }

    #[test]
    fn a_dry_run_writes_nothing_and_bad_values_are_told() {
        let desk = Desk::new(1);
        desk.story();
        let before = kinds(&desk.path("ledger.db")).len();
        let dry = desk.run(&["labels", "make", "--dry-run"]);
        assert_eq!((dry.exit, dry.out.as_str()), (Exit::Done, "1 label would be made; nothing was written.\n"));
        assert_eq!(kinds(&desk.path("ledger.db")).len(), before);
        let out = desk.path("l").display().to_string();
        for (line, part) in [
            (vec!["--sheet", "L9999", "--out", &out], "L7160"),
            (vec!["--start", "22", "--out", &out], "21 labels"),
            (vec!["--shift", "50,0", "--out", &out], "no shift"),
            (vec!["--format", "zpl", "--size", "5", "--out", &out], "57x32"),
            (vec!["--format", "zpl", "--dpi", "72", "--out", &out], "no resolution"),
            (vec![], "not said where"),
            (vec!["--printer", "laser"], "names no printer"),
        ] {
            let ran = desk.run(&[vec!["labels", "make"], line.clone()].concat());
            assert_eq!(ran.exit, Exit::Usage, "{line:?}");
            assert!(ran.err.contains(part), "{line:?}: {}", ran.err);
        }
    }
}
