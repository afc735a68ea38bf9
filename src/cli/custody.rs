//! `keybench custody`: work on sealed PINs away from the bench.
//!
//! Promise: what leaves is signed and for this account alone; what comes in is checked before anything is written; the desk
//! it comes from is known by a fingerprint that a person has compared.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use zeroize::Zeroizing;

use super::causes::told;
use super::{CliError, Context, Exit, batch, heads, ledger};
use crate::config::Settings;
use crate::handover::custody::{self, Content, FileError, Kind, SigningKey, TakeError};
use crate::ledger::{Append, BlobHash, Entry, HandoverEntry, Ledger};
use crate::platform::private::{PrivateError, Readers, check_private, create_private_dir, write_atomic};
use crate::platform::who;
use crate::world::{Clock as _, SystemClock};

/// A bundle of 100,000 jobs is smaller; nothing larger is read into memory.
const MOST_BYTES: u64 = 1 << 30;

/// `keybench custody …`
#[derive(Debug, Subcommand)]
pub enum CustodyCommand {
    /// Write a signed bundle for the mail room: sealed PINs, addresses, key references
    ///
    /// The bundle holds names and addresses, and PINs only as they are sealed to the custodians. Carry it to the other desk
    /// and tell its people the fingerprint by another way.
    Export(FileArgs),
    /// Write what was done here, to be taken home to the bench
    Log(FileArgs),
    /// Take a bundle from a bench, or a log from a mail room
    ///
    /// At a mail room this makes the ledger that letters, labels, packing and openings work on. Taking a file again changes
    /// nothing; a newer bundle adds what is new.
    Import(ImportArgs),
    /// Print this desk's fingerprint, for the other desk to compare
    Fingerprint(FingerprintArgs),
}

/// `keybench custody export` and `custody log`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench custody export --batch spring --out spring.custody     at the bench
  keybench custody log --out spring-done.custody                  at the mail room")]
pub struct FileArgs {
    /// The file; replaced if it is there
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Only this batch
    #[arg(long, value_name = "BATCH")]
    pub batch: Option<String>,
}

/// `keybench custody import`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench custody import spring.custody --from 4f1c09a2be7d3355   the first time
  keybench custody import spring-2.custody                         from then on")]
pub struct ImportArgs {
    /// The file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The other desk's fingerprint, as its people told you; needed once
    #[arg(long, value_name = "FINGERPRINT")]
    pub from: Option<String>,
    /// Check the file and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `keybench custody fingerprint`
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  keybench custody fingerprint")]
pub struct FingerprintArgs {}

pub(super) fn run(context: &Context<'_>, command: &CustodyCommand) -> Result<Exit, CliError> {
    let settings = context.settings()?;
    match command {
        CustodyCommand::Export(args) => give(context, &settings, args, Kind::Bundle),
        CustodyCommand::Log(args) => give(context, &settings, args, Kind::Log),
        CustodyCommand::Import(args) => import(context, &settings, args),
        CustodyCommand::Fingerprint(FingerprintArgs {}) => {
            let print = signing_key(&settings)?.fingerprint();
            context.output.answer(&print);
            context.output.json(&json!({ "event": "custody-fingerprint", "fingerprint": print }));
            Ok(Exit::Done)
        }
    }
}

fn give(context: &Context<'_>, settings: &Settings, args: &FileArgs, kind: Kind) -> Result<Exit, CliError> {
    let ledger = ledger::to_write(settings)?;
    let key = signing_key(settings)?;
    let (of_batch, now) = (batch::jobs_of(&ledger, args.batch.as_deref())?.batch, SystemClock::new().now());
    let content: Content = match kind {
        Kind::Bundle => custody::bundle(&ledger, of_batch.as_ref(), now),
        Kind::Log => custody::log(&ledger, of_batch.as_ref(), now),
    }?;
    if content.jobs.is_empty() && content.parcels.is_empty() {
        let (fact, next) = match kind {
            Kind::Bundle => ("There is no job to hand over.", "`keybench status` lists the jobs and their batches."),
            Kind::Log => (
                "Nothing was done here to a job that came in a bundle, and no blank key was packed.",
                "there is nothing to take home yet.",
            ),
        };
        return Err(CliError::new(Exit::Usage, "nothing-to-hand-over", fact, next).because("No file was written."));
    }
    let file = custody::sign(&content, &key).map_err(|error| unreadable(&args.out, &error))?;
    write_atomic(&args.out, &file, Readers::OnlyMe)?;
    let (hash, jobs, seals) =
        (BlobHash::of(&file), content.jobs.len(), content.jobs.iter().map(|part| part.seals.len()).sum::<usize>());
    let parcels = content.parcels.len();
    let given = HandoverEntry::CustodyGiven { file: hash, jobs: jobs as u64, by: who::operator() };
    let head = ledger.append(Append::entry(Entry::Handover(given)))?;
    let print = key.fingerprint();
    let path = args.out.display();
    context.output.answer(&match kind {
        Kind::Bundle => format!("{path} holds {jobs} jobs with {seals} sealed PINs."),
        Kind::Log => format!("{path} holds what was done to {jobs} jobs."),
    });
    if parcels > 0 {
        context.output.answer(&format!("And {parcels} acts on parcels for people who register their keys themselves."));
    }
    context
        .output
        .answer(&format!("Its fingerprint is {print}: tell it to the other desk by another way than the file."));
    context.output.answer(&format!("The ledger's head is {head}, {} entries.", head.seq));
    heads::announce(context.output, settings, &head, "custody export");
    context.output.json(&json!({
        "event": "custody-given", "kind": kind, "file": path.to_string(), "jobs": jobs, "sealed": seals, "parcel_acts": parcels,
        "fingerprint": print, "sha256": hash.to_string(), "head": head.to_string(),
    }));
    if kind == Kind::Bundle {
        context.output.progress("It holds names and addresses in clear: carry it as you would carry the address list.");
    }
    Ok(Exit::Done)
}

fn import(context: &Context<'_>, settings: &Settings, args: &ImportArgs) -> Result<Exit, CliError> {
    let bytes = read(&args.file)?;
    let opened = custody::open(&bytes).map_err(|error| unreadable(&args.file, &error))?;
    let content = &opened.content;
    let what = match content.kind {
        Kind::Bundle => "bundle",
        Kind::Log => "log",
    };
    let path = args.file.display();
    if args.dry_run {
        let (desk, jobs, made, signer) = (&content.desk, content.jobs.len(), content.made, &opened.signer);
        context.output.answer(&format!(
            "{path} is a {what} of the desk {desk}, made {made}: {jobs} jobs; whole, and signed by {signer}. Nothing was written."
        ));
        context.output.json(&json!({
            "event": "custody-taken", "dry_run": true, "kind": content.kind, "desk": desk.as_str(), "jobs": jobs,
            "signer": signer, "head": content.head,
        }));
        return Ok(Exit::Done);
    }
    // A bundle may be the beginning of a mail room's ledger; a log is about a ledger that is there. Nobody writes meanwhile:
    // what comes may replace sealed PINs.
    let ledger = match content.kind {
        Kind::Bundle => ledger::alone_or_new(settings)?,
        Kind::Log => ledger::alone(settings)?,
    };
    let taken = custody::take(&ledger, &opened, args.from.as_deref(), &who::operator())
        .map_err(|error| refused(&args.file, error))?;
    let head = ledger.head()?;
    context.output.answer(&format!(
        "{path}: a {what} of the desk {} with {} jobs; {} entries and {} sealed PINs were new here. The ledger's head is {head}.",
        content.desk, taken.jobs, taken.entries, taken.seals
    ));
    context.output.json(&json!({
        "event": "custody-taken", "dry_run": false, "kind": content.kind, "desk": content.desk.as_str(),
        "jobs": taken.jobs, "entries": taken.entries, "sealed": taken.seals, "signer": opened.signer,
        "head": head.to_string(),
    }));
    Ok(Exit::Done)
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let size = fs::File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes));
    match size {
        Ok(size) if size as u64 == MOST_BYTES => Err(unreadable(path, &FileError::Altered)),
        Ok(_) => Ok(bytes),
        Err(error) => Err(told(
            Exit::Usage,
            "custody-file",
            &format!("{} can't be read: {error}", path.display()),
            "name the file that `keybench custody export` or `custody log` wrote.",
        )),
    }
}

/// This desk's signing key; made when there is none yet.
fn signing_key(settings: &Settings) -> Result<SigningKey, CliError> {
    let path = settings.data.join("custody-signing.key");
    let damaged = |error: &FileError| {
        let fact = format!("{} can't be used: {error}", path.display());
        told(
            Exit::Usage,
            "custody-file",
            &fact,
            "move it away; a new one is made, whose fingerprint the other desk has to compare.",
        )
    };
    match fs::File::open(&path) {
        Ok(file) => {
            check_private(&path)?;
            let mut bytes = Zeroizing::new(Vec::with_capacity(512));
            file.take(512).read_to_end(&mut bytes).map_err(|source| PrivateError::Io {
                what: "reading",
                path: path.clone(),
                source,
            })?;
            SigningKey::parse(&bytes).map_err(|error| damaged(&error))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            create_private_dir(&settings.data)?;
            let made = SigningKey::generate().map_err(|error| damaged(&error))?;
            write_atomic(&path, &made, Readers::OnlyMe)?;
            SigningKey::parse(&made).map_err(|error| damaged(&error))
        }
        Err(source) => Err(PrivateError::Io { what: "reading", path, source }.into()),
    }
}

fn unreadable(path: &Path, error: &FileError) -> CliError {
    let next = match error {
        FileError::Altered => "have it brought again; if it is wrong again, ask the other desk for the file's SHA-256.",
        FileError::Newer(_) => "use the same version of keybench at both desks.",
        _ => "name the file that `keybench custody export` or `custody log` wrote.",
    };
    told(Exit::Usage, "custody-file", &format!("{} is not taken: {error}", path.display()), next)
        .because("Nothing was changed.")
}

fn refused(path: &Path, error: TakeError) -> CliError {
    let (code, next) = match error {
        TakeError::Ledger(error) => return error.into(),
        TakeError::Stranger { .. } => (
            "custody-signer",
            "ask the other desk for the output of `keybench custody fingerprint`, by another way than the file; if it is the \
             same, add --from with it.",
        ),
        TakeError::OtherSigner { .. } => (
            "custody-signer",
            "don't take it before the other desk has told you why; if its key is new, compare the new fingerprint and add --from.",
        ),
        TakeError::OurOwn(_) => ("custody-file", "take it at the other desk; two desks need two names ([bench] name)."),
        _ => ("custody-file", "ask the other desk for a new file."),
    };
    told(Exit::Usage, code, &format!("{} is not taken: {error}", path.display()), next).because("Nothing was changed.")
}
