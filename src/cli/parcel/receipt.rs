//! `keybench receipt`: a parcel arrived, and the right person holds its key.
//!
//! Promise: two facts, noted apart: that it arrived (the carrier's word, or the code on the card inside), and that a person
//! made sure who holds the key. Neither alone releases a PIN, because a thief of the parcel has the card.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use serde_json::json;

use super::{Found, acting, days_left, find, left_of, not_now, parcels, settle};
use crate::cli::{CliError, Context, Exit, ledger};
use crate::config::Settings;
use crate::handover::code::{Code, CodeKind};
use crate::handover::parcel::{Hold, Parcel, Parcels, Place, deliveries, may_be_delivered, may_be_verified};
use crate::ledger::{Append, Entry, HandoverEntry, Ledger};
use crate::model::{JobId, ReleaseRule};
use crate::world::{Clock as _, SystemClock};

/// `keybench receipt …`
#[derive(Debug, Subcommand)]
pub enum ReceiptCommand {
    /// Where every key is
    ///
    /// Reads the ledger only; works beside a running bench.
    List(ListArgs),
    /// Note deliveries from a carrier's CSV
    ///
    /// Rows that say anything but delivered are left alone; numbers that no parcel has are counted.
    Carrier(CarrierArgs),
    /// Note a delivery by the code on the parcel's card, as the person read it out
    Card(CardArgs),
    /// Note who made sure that the right person holds the key, and how
    Verify(VerifyArgs),
}

/// `keybench receipt list`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench receipt list
  keybench receipt list --only to-verify")]
pub struct ListArgs {
    /// Only these: to-pack, on-the-way, to-verify, to-activate, to-release, done, lost, returned
    #[arg(long, value_name = "WHERE")]
    pub only: Option<String>,
}

/// `keybench receipt carrier`
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  keybench receipt carrier list.csv --number Tracking --status Status --delivered Delivered")]
pub struct CarrierArgs {
    /// The carrier's file
    #[arg(value_name = "FILE.csv")]
    pub file: PathBuf,
    /// The column with the carrier's number
    #[arg(long, value_name = "COLUMN")]
    pub number: String,
    /// The column with the status
    #[arg(long, value_name = "COLUMN")]
    pub status: String,
    /// What the status says when it was delivered
    #[arg(long, value_name = "WORD,…", value_delimiter = ',', required = true)]
    pub delivered: Vec<String>,
    /// The column with the time of delivery (2026-11-21, or with a time and zone) [else now]
    #[arg(long, value_name = "COLUMN")]
    pub time: Option<String>,
    /// Show and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `keybench receipt card`
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  keybench receipt card \"7201 2345 6789 0123 4501 0142\"")]
pub struct CardArgs {
    /// The code on the card
    #[arg(value_name = "CODE")]
    pub code: String,
}

/// How somebody made sure.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum How {
    /// The person's manager has seen them with the key.
    Manager,
    /// They were called at a number that was known before.
    CallBack,
    /// By another way than parcel, PIN or the person's mail.
    OtherChannel,
}

impl How {
    fn word(self) -> &'static str {
        match self {
            Self::Manager => "manager",
            Self::CallBack => "call-back",
            Self::OtherChannel => "other-channel",
        }
    }
}

/// `keybench receipt verify`
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  keybench receipt verify kim@contoso.com --how call-back --as \"Sam Roe\"")]
pub struct VerifyArgs {
    /// The person, job, serial number, carrier's number or code
    #[arg(value_name = "WHAT")]
    pub what: String,
    /// How
    #[arg(long, value_enum)]
    pub how: How,
    /// Who made sure
    #[arg(long = "as", value_name = "NAME")]
    pub by: String,
}

pub(in crate::cli) fn run(context: &Context<'_>, command: &ReceiptCommand) -> Result<Exit, CliError> {
    let settings = context.settings()?;
    match command {
        ReceiptCommand::List(args) => list(context, &settings, args),
        ReceiptCommand::Carrier(args) => carrier(context, &settings, args),
        ReceiptCommand::Card(args) => card(context, &settings, args),
        ReceiptCommand::Verify(args) => verify(context, &settings, args),
    }
}

fn list(context: &Context<'_>, settings: &Settings, args: &ListArgs) -> Result<Exit, CliError> {
    const PLACES: [Place; 9] = [
        Place::Bench,
        Place::ToPack,
        Place::OnTheWay,
        Place::ToVerify,
        Place::ToActivate,
        Place::ToRelease,
        Place::Done,
        Place::Lost,
        Place::Returned,
    ];
    let only = match &args.only {
        Some(word) => match PLACES.into_iter().find(|place| place.word() == word.trim()) {
            Some(place) => Some(place),
            None => {
                let words: Vec<&str> = PLACES.iter().map(|place| place.word()).collect();
                let fact = format!("--only takes one of {}.", words.join(", "));
                return Err(CliError::new(Exit::Usage, "usage", fact, "choose one, or leave it out."));
            }
        },
        None => None,
    };
    let ledger = ledger::to_read(settings)?;
    let parcels = parcels(&ledger)?;
    let mut counts = [0u64; PLACES.len()];
    let now = SystemClock::new().now();
    let mut all: Vec<(&JobId, &Parcel)> = parcels.all().collect();
    // What runs out comes first, overdue before the rest.
    all.sort_by_key(|(_, parcel)| runs_out(parcel).unwrap_or(Timestamp::MAX));
    for (job, parcel) in all {
        let place = parcel.place();
        if let Some(count) = PLACES.iter().position(|one| *one == place).and_then(|at| counts.get_mut(at)) {
            *count += 1;
        }
        if only.is_some_and(|only| only != place) || only.is_none() && matches!(place, Place::Done | Place::Bench) {
            continue;
        }
        let person = match ledger.job(job)? {
            Some(line) => ledger.person(&line.user)?.map(|person| person.upn),
            None => None,
        };
        let who = person.as_ref().map_or("forgotten", |upn| upn.as_str());
        let number = parcel.tracking.as_deref().unwrap_or("");
        let left = runs_out(parcel).map(|expires| left_of(expires, now)).unwrap_or_default();
        context.output.answer(format!("{:<11} {job}  {who:<34} {number}  {left}", place.word()).trim_end());
        context.output.json(&json!({
            "event": "parcel", "job": job, "attempt": parcel.attempt, "where": place.word(), "upn": person,
            "serial": parcel.serial, "tracking": parcel.tracking, "packed": parcel.packed.as_ref().map(|(at, _)| at),
            "delivered": parcel.delivered, "verified": parcel.verified.as_ref().map(|(at, _)| at),
            "released": parcel.released, "release_rule": parcels.release_rule(job).map(ReleaseRule::word), "letter": parcel.letter.map(|letter| letter.confirmed), "hold": parcel.hold.map(Hold::word),
            "hold_expires": runs_out(parcel), "hold_days_left": runs_out(parcel).map(|expires| days_left(expires, now)),
        }));
    }
    let words: Vec<String> = PLACES
        .iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0)
        .map(|(place, count)| format!("{count} {}", place.word()))
        .collect();
    let head = ledger.head()?;
    let sum = if words.is_empty() { "No key was begun yet".to_owned() } else { words.join(", ") };
    context.output.answer(&format!("{sum}. The ledger's head is {head}."));
    let by_place: serde_json::Map<String, serde_json::Value> =
        PLACES.iter().zip(counts).map(|(place, count)| (place.word().to_owned(), count.into())).collect();
    context.output.json(&json!({ "event": "parcels", "counts": by_place, "head": head.to_string() }));
    Ok(Exit::Done)
}

/// Until when its key can be activated, while that is still to be done.
fn runs_out(parcel: &Parcel) -> Option<Timestamp> {
    match (parcel.hold, parcel.place()) {
        (_, Place::Lost | Place::Returned) => None,
        (Some(Hold::Waits { expires }), _) => Some(expires),
        _ => None,
    }
}

fn carrier(context: &Context<'_>, settings: &Settings, args: &CarrierArgs) -> Result<Exit, CliError> {
    let bytes = std::fs::read(&args.file).map_err(|error| wrong_file(args, &error.to_string()))?;
    let columns = deliveries::Columns {
        number: &args.number,
        status: &args.status,
        delivered: &args.delivered,
        time: args.time.as_deref(),
    };
    let now = SystemClock::new().now();
    let rows = deliveries::read(&bytes, &columns, now).map_err(|error| wrong_file(args, &error.to_string()))?;
    let ledger = ledger::to_write(settings)?;
    let by = acting(None)?;
    let (_, found) = settle(&ledger, || {
        let found = arrived(&parcels(&ledger)?, &rows, &by)?;
        let entries: Vec<Entry> = found.new.iter().map(|one| Entry::Handover(one.entry.clone())).collect();
        let append = (!entries.is_empty() && !args.dry_run).then(|| Append::entries(entries));
        Ok((append, found))
    })?;
    for Arrived { job, number, when, .. } in &found.new {
        context.output.answer(&format!("delivered  {job}  {number}"));
        context.output.json(&json!({ "event": "delivered", "job": job, "tracking": number, "when": when }));
    }
    let (new, known, unknown) = (found.new.len(), found.known, found.unknown);
    context
        .output
        .answer(&format!("{new} new deliveries, {known} known already, {unknown} of parcels that are not ours."));
    context.output.json(&json!({
        "event": "deliveries", "new": new, "known": known, "unknown": unknown, "dry_run": args.dry_run,
    }));
    Ok(Exit::Done)
}

/// A delivery that nobody has noted yet.
struct Arrived {
    job: JobId,
    number: String,
    when: Timestamp,
    entry: HandoverEntry,
}

/// What a carrier's list tells.
#[derive(Default)]
struct Deliveries {
    new: Vec<Arrived>,
    known: u64,
    /// Of parcels that are not ours.
    unknown: u64,
}

/// Compares a carrier's list with what the ledger knows.
fn arrived(parcels: &Parcels, rows: &[deliveries::Delivery], by: &str) -> Result<Deliveries, CliError> {
    let mut found = Deliveries::default();
    for row in rows {
        let Some((job, parcel)) =
            parcels.by_tracking(&row.number).and_then(|job| parcels.get(job).map(|one| (job, one)))
        else {
            found.unknown += 1;
            continue;
        };
        // A carrier's list may name a parcel twice.
        if parcel.delivered.is_some() || found.new.iter().any(|one| one.job == *job) {
            found.known += 1;
            continue;
        }
        may_be_delivered(parcel).map_err(|why| not_now("can't have arrived", job, &why))?;
        let (attempt, by, evidence) = (parcel.attempt, by.to_owned(), "carrier".to_owned());
        let entry = HandoverEntry::Delivered { job: job.clone(), attempt, evidence, when: row.when, by };
        found.new.push(Arrived { job: job.clone(), number: row.number.clone(), when: row.when, entry });
    }
    Ok(found)
}

fn wrong_file(args: &CarrierArgs, why: &str) -> CliError {
    let fact = format!("{}: {why}.", args.file.display());
    CliError::new(Exit::Usage, "carrier-file", fact, "correct what is named, or ask the carrier for the file again.")
        .because("No delivery was noted.")
}

fn card(context: &Context<'_>, settings: &Settings, args: &CardArgs) -> Result<Exit, CliError> {
    match Code::parse(&args.code) {
        Ok(code) if code.kind() == CodeKind::Parcel => {}
        Ok(code) => {
            let fact = format!("This is the code of a {}, not of a parcel's card.", code.kind().for_people());
            return Err(CliError::new(Exit::Usage, "not-a-card", fact, "ask for the code on the card in the parcel."));
        }
        Err(error) => {
            let fact = format!("{} is no code of a card: {error}.", args.code.trim());
            return Err(CliError::new(Exit::Usage, "not-a-card", fact, "have it read out again, in groups of four."));
        }
    }
    let ledger = ledger::to_write(settings)?;
    let (when, by) = (SystemClock::new().now(), acting(None)?);
    let (_, job) = settle(&ledger, || {
        let parcels = parcels(&ledger)?;
        let Found { job, parcel } = find(&ledger, &parcels, &args.code)?;
        may_be_delivered(parcel).map_err(|why| not_now("can't have arrived", &job, &why))?;
        let (attempt, evidence, by) = (parcel.attempt, "card".to_owned(), by.clone());
        let delivered = HandoverEntry::Delivered { job: job.clone(), attempt, evidence, when, by };
        let append = parcel.delivered.is_none().then(|| Append::entry(Entry::Handover(delivered)));
        Ok((append, job))
    })?;
    context.output.answer(&format!(
        "The parcel of job {job} arrived. Now make sure who holds it (a call-back, the manager), and note it with\n  \
         keybench receipt verify {job} --how call-back --as \"your name\""
    ));
    context.output.json(&json!({ "event": "delivered", "job": job, "when": when }));
    Ok(Exit::Done)
}

fn verify(context: &Context<'_>, settings: &Settings, args: &VerifyArgs) -> Result<Exit, CliError> {
    let by = acting(Some(&args.by))?;
    let ledger = ledger::to_write(settings)?;
    let how = args.how.word().to_owned();
    let (head, (job, is_held)) = settle(&ledger, || {
        let parcels = parcels(&ledger)?;
        let Found { job, parcel } = find(&ledger, &parcels, &args.what)?;
        may_be_verified(parcel).map_err(|why| not_now("can't be verified", &job, &why))?;
        let (attempt, how, by) = (parcel.attempt, how.clone(), by.clone());
        let verified = HandoverEntry::ReceiptVerified { job: job.clone(), attempt, how, by };
        let is_held = parcel.waits_for_activation();
        Ok((Some(Append::entry(Entry::Handover(verified))), (job, is_held)))
    })?;
    let next = match is_held {
        true => format!("Its key may be activated now: keybench activate {job} --identity FILE --as NAME"),
        false => "Its PIN may be released now.".to_owned(),
    };
    context.output.answer(&format!("Noted: {by} made sure of job {job}, by {how}. {next}"));
    context
        .output
        .json(&json!({ "event": "verified-receipt", "job": job, "how": how, "by": by, "head": head.to_string() }));
    Ok(Exit::Done)
}
