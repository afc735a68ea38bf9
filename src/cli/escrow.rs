//! `keybench escrow`: the custodian's commands.
//!
//! Promise: a PIN is shown only after the ledger, and its mirror, hold who opened it and why, also beside a running bench; it goes to a
//! terminal's second screen for a bounded time ([`super::screen`]), and to a pipe or a file only where that was asked for.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;
use zeroize::Zeroizing;

use super::prompt::Custodian;
use super::{CliError, Context, Exit, ledger, screen};
use crate::ledger::openings::PinOpening;
use crate::ledger::{Append, Attempt, Entry, Ledger, LedgerError};
use crate::model::JobId;
use crate::pin::{Identities, OpenedPin, Prompts, keygen, open};
use crate::platform::private::{PrivateError, create_private, sync_dir_of};

/// `keybench escrow …`
#[derive(Debug, Subcommand)]
pub enum EscrowCommand {
    /// Make a custodian's identity and print its recipient
    ///
    /// Run it on the custodian's own machine. The file is the custodian's alone; the recipient goes into the bench's settings.
    Keygen(KeygenArgs),
    /// Open one person's PIN; this is written to the ledger
    ///
    /// Shows it on a cleared screen and clears that again; with --to-stdout it prints the PIN and only the PIN. Who opened it and
    /// why is in the ledger before it is shown.
    Open(OpenArgs),
}

/// `keybench escrow keygen`
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  keybench escrow keygen --out kim-custodian.txt")]
pub struct KeygenArgs {
    /// The identity's file; must not exist
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// `keybench escrow open`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench escrow open --identity kim.txt --job 7H2KQ0M4XA --as \"Kim Lee\" --reason \"PIN letter\"
  keybench escrow open --identity kim.txt --identity sam.txt --job 7H2KQ0M4XA \\
      --as \"Kim Lee, Sam Roe\" --reason \"letter lost\" --to-stdout | lp")]
pub struct OpenArgs {
    /// A custodian's identity; under dual control give two
    #[arg(long, value_name = "FILE", required = true, action = clap::ArgAction::Append)]
    pub identity: Vec<PathBuf>,
    /// Which job's PIN
    #[arg(long, value_name = "ID")]
    pub job: String,
    /// Which try, from 1 [else the last]
    #[arg(long, value_name = "N")]
    pub attempt: Option<u32>,
    /// Who opens it
    #[arg(long = "as", value_name = "NAME")]
    pub by: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// How long it stays on the screen [else escrow.show_seconds]; any key clears it sooner
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(5..=600), conflicts_with = "to_stdout")]
    pub seconds: Option<u32>,
    /// Print it, into a pipe or a file
    #[arg(long)]
    pub to_stdout: bool,
}

pub(super) fn run(context: &Context<'_>, command: &EscrowCommand) -> Result<Exit, CliError> {
    match command {
        EscrowCommand::Keygen(args) => make_identity(context, args),
        EscrowCommand::Open(args) => open_pin(context, args),
    }
}

fn make_identity(context: &Context<'_>, args: &KeygenArgs) -> Result<Exit, CliError> {
    use std::io::Write as _;

    let mut file = create_private(&args.out).map_err(|error| match error {
        PrivateError::Io { ref source, .. } if source.kind() == std::io::ErrorKind::AlreadyExists => {
            let fact = format!("{} exists already; nothing was changed.", args.out.display());
            CliError::new(
                Exit::Usage,
                "file-exists",
                fact,
                "choose another name: whoever lost an identity lost its PINs.",
            )
        }
        other => other.into(),
    })?;
    let made = keygen(Timestamp::now());
    let written = file.write_all(made.expose_file().as_bytes()).and_then(|()| file.sync_all());
    drop(file);
    let kept = written.map_err(|source| PrivateError::Io { what: "writing", path: args.out.clone(), source });
    kept.and_then(|()| sync_dir_of(&args.out)).inspect_err(|_| {
        // Half an identity is worse than none: somebody could seal to it.
        let _ = std::fs::remove_file(&args.out);
    })?;
    context.output.answer(made.recipient());
    context.output.json(&json!({
        "event": "identity", "recipient": made.recipient(), "file": args.out.display().to_string(),
    }));
    context.output.progress(&format!(
        "{} is the secret half: keep it off the bench, and keep a copy. The line above goes into [escrow] recipients.",
        args.out.display()
    ));
    Ok(Exit::Done)
}

fn open_pin(context: &Context<'_>, args: &OpenArgs) -> Result<Exit, CliError> {
    let (by, reason) = (line("--as", &args.by)?, line("--reason", &args.reason)?);
    if args.identity.len() > 2 {
        let fact = "More than two identities were given.";
        return Err(CliError::new(Exit::Usage, "usage", fact, "give one, or under dual control one of each group."));
    }
    if !args.to_stdout && !context.output.style().stdout_is_terminal {
        let fact = "stdout is not a terminal; the PIN would go to a pipe or a file.";
        let next = "run it at a terminal, or add --to-stdout if that is meant.";
        return Err(CliError::new(Exit::Usage, "not-a-terminal", fact, next).because("Nothing was opened."));
    }
    let settings = context.settings()?;
    let ledger = ledger::to_write(&settings)?;
    let mut identities = Identities::new();
    let prompts: Arc<dyn Prompts> = Arc::new(Custodian::new(context.output.style().stderr_is_terminal));
    for path in &args.identity {
        identities.add_file(path, Arc::clone(&prompts))?;
    }
    let job = JobId::new(args.job.trim().to_ascii_uppercase());
    let opened = open_recorded(&ledger, &job, args.attempt, &identities, by, reason, &|opening| {
        ledger.append(Append::entry(opening.entry(None))).map(|_| ())
    })?;
    if !args.to_stdout {
        let seconds = args.seconds.unwrap_or(settings.escrow.show_seconds);
        screen::show(context.output, &opened.pin, job.as_str(), seconds)?;
        context.output.progress("The PIN is off the screen.");
        return Ok(Exit::Done);
    }
    let pin = opened.pin.expose();
    // One allocation of the full size: growing would leave a copy behind.
    let mut shown = Zeroizing::new(Vec::with_capacity(pin.len() + 1));
    shown.extend_from_slice(pin.as_bytes());
    shown.push(b'\n');
    context.output.raw(&shown)?;
    Ok(Exit::Done)
}

/// Opens the PIN and writes who did; the PIN is given only when that is kept.
pub(super) fn open_recorded(
    ledger: &dyn Ledger,
    job: &JobId,
    attempt: Option<Attempt>,
    identities: &Identities,
    by: &str,
    reason: &str,
    keep: &dyn Fn(PinOpening) -> Result<(), LedgerError>,
) -> Result<OpenedPin, CliError> {
    let opened = open_unrecorded(ledger, job, attempt, identities)?;
    hides_nothing(&opened, &[by, reason])?;
    let attempt = opened.attempt;
    keep(PinOpening { job: job.clone(), attempt, by: by.to_owned(), reason: reason.to_owned() })
        .map_err(not_recorded)?;
    Ok(opened)
}

/// What is written to the ledger is written for good: it must not hold the PIN.
pub(super) fn hides_nothing(opened: &OpenedPin, texts: &[&str]) -> Result<(), CliError> {
    if texts.iter().any(|text| text.contains(opened.pin.expose())) {
        let fact = "The name or the reason holds something that may not stand in the ledger.";
        return Err(
            CliError::new(Exit::Usage, "usage", fact, "write them without numbers.").because("Nothing was shown.")
        );
    }
    Ok(())
}

/// Opens the PIN. The caller writes who did and why before it goes anywhere ([`Entry::PinOpened`]).
pub(super) fn open_unrecorded(
    ledger: &dyn Ledger,
    job: &JobId,
    attempt: Option<Attempt>,
    identities: &Identities,
) -> Result<OpenedPin, CliError> {
    if ledger.job(job)?.is_none() {
        let fact = format!("The ledger has no job {job}.");
        return Err(CliError::new(Exit::Usage, "unknown-job", fact, "`keybench status` lists the jobs."));
    }
    let sealed_tries = ledger.entries_of(job)?.into_iter().filter_map(|recorded| match recorded.entry {
        Entry::PinSealed { attempt, .. } => Some(attempt),
        _ => None,
    });
    let last = match attempt {
        Some(wanted) => sealed_tries.filter(|sealed| *sealed == wanted).max(),
        None => sealed_tries.max(),
    };
    let nothing = |why: &str| {
        let fact = format!("There is no sealed PIN to open for job {job}.");
        let next = format!("see `keybench show {job}`.");
        CliError::new(Exit::Usage, "nothing-sealed", fact, next).because(why)
    };
    let Some(attempt) = last else { return Err(nothing("No key was begun, or not at this try.")) };
    let sealed = ledger.envelope(job, attempt)?.ok_or_else(|| nothing("The person was forgotten."))?;
    let opened = open(&sealed.custodian, sealed.dual, identities, job)?;
    if opened.attempt != attempt {
        let fact = format!("The envelope kept for try {attempt} of job {job} belongs to try {}.", opened.attempt);
        let next = "don't use this PIN; run `keybench ledger verify` and compare the ledger with its mirror.";
        return Err(CliError::new(Exit::Ledger, "ledger-damaged", fact, next));
    }
    Ok(opened)
}

fn not_recorded(error: LedgerError) -> CliError {
    CliError::from(error).because("The PIN is not shown, because the ledger could not be told who opened it.")
}

/// One line of text with something in it.
pub(super) fn line<'a>(option: &str, text: &'a str) -> Result<&'a str, CliError> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) || text.chars().count() > 200 {
        let fact = format!("{option} must be one line of at most 200 characters, and not empty.");
        return Err(CliError::new(Exit::Usage, "usage", fact, "it stands in the ledger for good: write who, and why."));
    }
    Ok(text)
}
