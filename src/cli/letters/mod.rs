//! `keybench letters`: PIN letters, from the sealed PIN to the good sheet.
//!
//! Promise: a letter is printed once. Who opened its PIN and that it is about to be printed stand in the ledger before it
//! goes anywhere; after a crash nothing is printed again unasked; and the PDF is in memory, at the printer, or in a file that
//! is encrypted or the caller's alone.

mod confirm;
mod known;
mod make;
mod proof;
#[cfg(all(test, unix))]
mod tests;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::error::sentence;
use super::{CliError, Context, Exit};
use crate::config::Settings;
use crate::handover::letter::Template;
use crate::handover::paper::Fonts;

pub(super) use known::{facts_of_keys, finished};

/// The list of letters' files that were written, so that `doctor` finds those that are still there.
pub(super) const KEPT: &str = "letters-kept.txt";
/// What a printer's queue shows; it names nobody.
pub(super) const JOB_NAME: &str = "keybench paper";

/// `keybench letters …`
#[derive(Debug, Subcommand)]
pub enum LettersCommand {
    /// Print PIN letters, or write them as PDF; opens the PINs
    ///
    /// Takes every finished key whose letter is not printed yet. One unlock of the custodian's identity serves all of
    /// them. Names or addresses that can't be printed are told before the first PIN is opened.
    Make(MakeArgs),
    /// Say which printed letters came out well, and which were spoiled
    Confirm(ConfirmArgs),
    /// How far every letter is
    ///
    /// Reads the ledger only.
    List(ListArgs),
    /// Write the built-in template, to change it
    Template(TemplateArgs),
    /// A sample letter with made-up people and PINs, to check a template and a printer
    Proof(ProofArgs),
}

/// `keybench letters make`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench letters make --identity kim.txt --printer ipp://localhost/printers/letters
  keybench letters make autumn --identity kim.txt --out letters --lang de
  keybench letters make --identity kim.txt --out letters --encrypt-to age1… --single
  keybench letters make --identity kim.txt --after 740123456789012345010163   after a jam
  keybench letters make --identity kim.txt --reprint kim@contoso.example --reason \"lost\"

Each letter is printed once. docs/LETTERS.md explains templates, printers and what to do after a jam.")]
pub struct MakeArgs {
    /// Only this batch [else every finished key]
    #[arg(value_name = "BATCH")]
    pub batch: Option<String>,
    /// A custodian's identity; under dual control give two
    #[arg(long, value_name = "FILE", action = clap::ArgAction::Append, required_unless_present = "dry_run")]
    pub identity: Vec<PathBuf>,
    /// Write PDFs into this folder, readable by you alone
    #[arg(long, value_name = "DIR", conflicts_with = "printer")]
    pub out: Option<PathBuf>,
    /// Print: ipp://…, ipps://…, raw://HOST:9100 or windows:NAME [else handover.printer]
    #[arg(long, value_name = "PRINTER")]
    pub printer: Option<String>,
    /// With --out: encrypt each file to this age recipient
    #[arg(long, value_name = "RECIPIENT", requires = "out")]
    pub encrypt_to: Vec<String>,
    /// With --out: one file for all
    #[arg(long, requires = "out")]
    pub single: bool,
    /// The language of people who have none in the roster
    #[arg(long, value_name = "LANG", default_value = "en")]
    pub lang: String,
    /// The letters' template [else handover.template, else the built-in one]
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// The phone number on the letters [else the template's]
    #[arg(long, value_name = "TEXT")]
    pub phone: Option<String>,
    /// Only this person or job
    #[arg(long, value_name = "UPN|JOB")]
    pub only: Vec<String>,
    /// Print this person's or job's letter again; takes --reason
    #[arg(long, value_name = "UPN|JOB", requires = "reason")]
    pub reprint: Vec<String>,
    /// After a jam: the code of the last good sheet; what came after it is printed again
    #[arg(long, value_name = "CODE")]
    pub after: Option<String>,
    /// Who opens the PINs [else this account's name]
    #[arg(long = "as", value_name = "NAME")]
    pub by: Option<String>,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Print over a network that may be listened to
    #[arg(long)]
    pub unencrypted: bool,
    /// Say what would be printed; open nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `keybench letters confirm`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench letters confirm --all
  keybench letters confirm --good 740123456789012345010163 --spoiled 740123456789012345020158
  keybench letters confirm --after 740123456789012345010163

The code is on both sheets of a letter; a scanner can type it. A spoiled letter must be destroyed: its
PIN is the key's. `keybench letters make` prints it again.")]
#[group(required = true, multiple = true)]
pub struct ConfirmArgs {
    /// Every letter that was printed and not yet confirmed came out well
    #[arg(long, conflicts_with_all = ["good", "spoiled", "after"])]
    pub all: bool,
    /// This letter came out well
    #[arg(long, value_name = "CODE")]
    pub good: Vec<String>,
    /// This letter was spoiled, and is destroyed
    #[arg(long, value_name = "CODE")]
    pub spoiled: Vec<String>,
    /// The last good sheet of a print run: letters up to it are good, those after it spoiled
    #[arg(long, value_name = "CODE", conflicts_with_all = ["good", "spoiled"])]
    pub after: Option<String>,
    /// Say what would be written
    #[arg(long)]
    pub dry_run: bool,
}

/// `keybench letters list`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench letters list
  keybench letters list autumn --json | jq -c 'select(.state == \"claimed\")'")]
pub struct ListArgs {
    /// Only this batch
    #[arg(value_name = "BATCH")]
    pub batch: Option<String>,
}

/// `keybench letters template`
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  keybench letters template --out letter.toml

A file of yours may be as short as a phone number and a logo: the rest is taken from the built-in one.
docs/LETTERS.md lists every setting and field.")]
pub struct TemplateArgs {
    /// The file; must not exist
    #[arg(long, value_name = "FILE.toml")]
    pub out: PathBuf,
}

/// `keybench letters proof`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench letters proof --out proof.pdf
  keybench letters proof --template letter.toml --lang de --out proof.pdf

The PINs are made up; nothing is opened and the ledger is not needed.")]
pub struct ProofArgs {
    /// The file; replaced if it is there
    #[arg(long, value_name = "FILE.pdf", required_unless_present = "printer")]
    pub out: Option<PathBuf>,
    /// Print it instead
    #[arg(long, value_name = "PRINTER", conflicts_with = "out")]
    pub printer: Option<String>,
    /// The template [else handover.template, else the built-in one]
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// Only this language [else every one of the template]
    #[arg(long, value_name = "LANG")]
    pub lang: Option<String>,
}

pub(super) fn run(context: &Context<'_>, command: &LettersCommand) -> Result<Exit, CliError> {
    match command {
        LettersCommand::Make(args) => make::run(context, args),
        LettersCommand::Confirm(args) => confirm::run(context, args),
        LettersCommand::List(args) => confirm::list(context, args),
        LettersCommand::Template(args) => proof::template(context, args),
        LettersCommand::Proof(args) => proof::proof(context, args),
    }
}

/// The template and its fonts, or everything that is wrong with it.
pub(super) fn load_template(settings: Option<&Settings>, named: Option<&Path>) -> Result<(Template, Fonts), CliError> {
    let path = named.or_else(|| settings.and_then(|settings| settings.handover.template.as_deref()));
    let file = |path: &Path| std::fs::read(path).map_err(|error| error.to_string());
    let read = match path {
        None => Template::built_in(),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                let fact = format!("The letter template {} can't be read.", path.display());
                let next = "check --template and handover.template, and your rights.";
                CliError::new(Exit::Usage, "letter-template", fact, next).because(error.to_string())
            })?;
            Template::read(&text, path.parent(), &file)
        }
    };
    let shown = path.map_or_else(|| "the built-in template".to_owned(), |path| path.display().to_string());
    let mut template = read.map_err(|error| {
        let fact = sentence(&format!("{error}, in {shown}"));
        let next = "correct it; docs/LETTERS.md lists every setting and field. Nothing was opened.";
        let mut told = CliError::new(Exit::Usage, "letter-template", fact, next);
        told.causes = error
            .faults
            .iter()
            .map(|fault| match fault.line {
                0 => fault.what.clone(),
                line => format!("line {line}: {}", fault.what),
            })
            .collect();
        told
    })?;
    if let Some(settings) = settings {
        template.inland_days = settings.handover.letter_days.into();
        template.abroad_days = settings.handover.letter_days_abroad.into();
        if template.home.is_empty() {
            template.home = settings.handover.country.clone().unwrap_or_default();
        }
    }
    let fonts = template.fonts().map_err(|error| {
        CliError::new(Exit::Usage, "letter-template", sentence(&error.to_string()), "correct [fonts] of the template.")
    })?;
    Ok((template, fonts))
}
