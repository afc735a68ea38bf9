//! `keybench lost`, `replace`, `leaver` and `return`: a key that must open nothing any more.
//!
//! Promise: the method is out of the tenant, and was seen to be out, before anything else is noted; until then the same
//! command can be run again, and a method that is gone already is as good as deleted.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{Found, acting, find, not_now, parcels};
use crate::cli::connect::connect;
use crate::cli::key::{self, Which};
use crate::cli::prompt::Terminal;
use crate::cli::{CliError, Context, Exit, escrow, ledger};
use crate::config::Settings;
use crate::ctap2::hid::usb::UsbPorts;
use crate::graph::{Cancel, Graph, GraphEvent};
use crate::handover::parcel::{NotNow, Parcel, Place};
use crate::ledger::{Append, Entry, HandoverEntry, Head, JobFilter, JobLine, Ledger, SqliteLedger};
use crate::model::{JobId, MethodId, Upn};
use crate::world::{Clock, KeyPorts, Operator as _, SystemClock};

/// How often and how long the tenant is asked whether a deleted method is gone.
const LOOKS: [u64; 6] = [0, 1, 2, 4, 8, 15];

/// What every one of these takes.
#[derive(Debug, Args)]
pub struct Asked {
    /// Who says so [else the system's name for you]
    #[arg(long = "as", value_name = "NAME")]
    pub by: Option<String>,
    /// Why; stands in the ledger for good, so name nobody in it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Sign the person out everywhere as well
    #[arg(long)]
    pub revoke_sessions: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Don't ask; needed where nobody can answer
    #[arg(long)]
    pub yes: bool,
}

/// `keybench lost`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench lost kim@contoso.com --reason \"parcel stolen\" --revoke-sessions
  keybench lost JD0146 --reason \"carrier lost it\" --as \"Sam Roe\"

The passkey is deleted from the tenant first, and seen to be gone. The letter is void: destroy it.
The person waits for another key, unless --no-replacement is given.")]
pub struct LostArgs {
    /// The person, job, serial number, carrier's number or code
    #[arg(value_name = "WHAT")]
    pub what: String,
    /// They get no other key
    #[arg(long)]
    pub no_replacement: bool,
    /// Who, and why
    #[command(flatten)]
    pub asked: Asked,
}

/// `keybench replace`
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  keybench replace kim@contoso.com --reason \"letter expired\"

The passkey is deleted from the tenant first, and seen to be gone. The next run gives the person
another key.")]
pub struct ReplaceArgs {
    /// The person, job, serial number, carrier's number or code
    #[arg(value_name = "WHAT")]
    pub what: String,
    /// Who, and why
    #[command(flatten)]
    pub asked: Asked,
}

/// `keybench leaver`
#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  keybench leaver kim@contoso.com --reason \"left on 1 March\" --revoke-sessions

All passkeys that this ledger registered for the person are deleted, and nobody plans another one.")]
pub struct LeaverArgs {
    /// The person
    #[arg(value_name = "UPN")]
    pub upn: String,
    /// Who, and why
    #[command(flatten)]
    pub asked: Asked,
}

/// `keybench return`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench return --serial 19283746 --reason \"new phone, new key\"
  keybench return --port 1-4.2 --what 7H2KQ0M4XA --reason \"left\"
  keybench return --not-wiped --what kim@contoso.com --reason \"broken\"

The passkey is deleted from the tenant, then the key is wiped (a re-plug and a touch) and shown to
be blank. A key that tells no serial number is named with --what.")]
pub struct ReturnArgs {
    /// Which key, in a port
    #[command(flatten)]
    pub which: Which,
    /// Whose key it is, where it does not tell: the person, job, carrier's number or code
    #[arg(long, value_name = "WHAT")]
    pub what: Option<String>,
    /// It is broken, or not here: note it without wiping it
    #[arg(long)]
    pub not_wiped: bool,
    /// The person waits for another key
    #[arg(long)]
    pub replace: bool,
    /// Who, and why
    #[command(flatten)]
    pub asked: Asked,
}

pub(in crate::cli) fn lost(context: &Context<'_>, args: &LostArgs) -> Result<Exit, CliError> {
    let desk = Desk::open(context, &args.asked)?;
    let parcels = parcels(&desk.ledger)?;
    let Found { job, parcel } = find(&desk.ledger, &parcels, &args.what)?;
    if parcel.place() == Place::Lost {
        return Err(not_now("is noted already", &job, &NotNow::Lost));
    }
    let (attempt, reason, by) = (parcel.attempt, desk.reason.clone(), desk.by.clone());
    let mut more = vec![HandoverEntry::KeyLost { job: job.clone(), attempt, reason, by }];
    if !args.no_replacement {
        more.push(HandoverEntry::ReplacementWanted { job: job.clone(), attempt, code: "lost".into() });
    }
    desk.take_out("lost", &job, parcel, more)
}

pub(in crate::cli) fn replace(context: &Context<'_>, args: &ReplaceArgs) -> Result<Exit, CliError> {
    let desk = Desk::open(context, &args.asked)?;
    let parcels = parcels(&desk.ledger)?;
    let Found { job, parcel } = find(&desk.ledger, &parcels, &args.what)?;
    let code = "replaced".to_owned();
    desk.take_out(
        "replaced",
        &job,
        parcel,
        vec![HandoverEntry::ReplacementWanted { job: job.clone(), attempt: parcel.attempt, code }],
    )
}

pub(in crate::cli) fn leaver(context: &Context<'_>, args: &LeaverArgs) -> Result<Exit, CliError> {
    let desk = Desk::open(context, &args.asked)?;
    let upn = Upn::parse(&args.upn);
    let person = desk.ledger.people()?.into_iter().find(|person| Some(&person.upn) == upn.as_ref());
    let Some(person) = person else {
        let fact = format!("The ledger knows nobody as {}.", args.upn.trim());
        return Err(CliError::new(Exit::Usage, "unknown-job", fact, "`keybench status` lists everybody it knows."));
    };
    let parcels = parcels(&desk.ledger)?;
    let lines = desk.ledger.jobs(&JobFilter { user: Some(person.id), ..JobFilter::all() })?;
    let mut worst = Exit::Done;
    for line in &lines {
        // Parked for good: a roster that names them again is asked about by nobody, so it says `left` in the list.
        let parked = Entry::JobParked { job: line.job.clone(), code: "left".into() };
        match parcels.get(&line.job) {
            Some(parcel) if desk.method(&line.job)?.is_some() => {
                worst = worst.max(desk.take_out("leaver", &line.job, parcel, Vec::new())?);
            }
            _ => {}
        }
        if !args.asked.dry_run && !line.in_flight {
            desk.ledger.append(Append::entry(parked))?;
        }
    }
    let open = lines.iter().filter(|line| line.in_flight).count();
    if open > 0 {
        context.output.warning(&format!(
            "{open} of their jobs have a key begun: `keybench run --give-up JOB` settles such a job."
        ));
    }
    Ok(worst)
}

pub(in crate::cli) fn return_(context: &Context<'_>, args: &ReturnArgs) -> Result<Exit, CliError> {
    let desk = Desk::open(context, &args.asked)?;
    let parcels = parcels(&desk.ledger)?;
    let ports = if args.not_wiped { None } else { Some(UsbPorts::new()?) };
    let serial = match &ports {
        Some(ports) => key::choose(ports as &dyn KeyPorts, &args.which, &key::tools())?.1.serial(),
        None => None,
    };
    let named = args.what.as_deref().or(serial.as_ref().map(|serial| serial.as_str()));
    let Some(named) = named else {
        let fact = "This key tells no serial number.";
        return Err(CliError::new(Exit::Usage, "which-key", fact, "say whose it is, with --what."));
    };
    let Found { job, parcel } = find(&desk.ledger, &parcels, named)?;
    if let (Some(found), Some(known)) = (&serial, &parcel.serial)
        && found != known
    {
        let fact = format!("The key in the port has serial number {found}; that of job {job} has {known}.");
        return Err(CliError::new(Exit::Usage, "which-key", fact, "put that key in, or name the right job.")
            .because("Nothing was done."));
    }
    if parcel.place() == Place::Returned {
        return Err(not_now("is noted already", &job, &NotNow::Returned));
    }
    let exit = desk.take_out("returned", &job, parcel, Vec::new())?;
    if args.asked.dry_run || exit != Exit::Done {
        return Ok(exit);
    }
    let blank = match &ports {
        Some(ports) => {
            let which = match &serial {
                Some(serial) => Which { serial: Some(serial.to_string()), port: None },
                None => args.which.clone(),
            };
            key::reset(context, &desk.settings, ports as &dyn KeyPorts, &which)?;
            true
        }
        None => false,
    };
    let mut entries =
        vec![HandoverEntry::KeyReturned { job: job.clone(), attempt: parcel.attempt, blank, by: desk.by.clone() }];
    if args.replace {
        let code = "returned".to_owned();
        entries.push(HandoverEntry::ReplacementWanted { job: job.clone(), attempt: parcel.attempt, code });
    }
    let head = desk.ledger.append(Append::entries(entries.into_iter().map(Entry::Handover)))?;
    let state = if blank { "wiped and blank: back to stock" } else { "not wiped: put it aside" };
    context.output.answer(&format!("returned  {job}: the key is {state}. The ledger's head is {head}."));
    context.output.json(&json!({ "event": "returned", "job": job, "blank": blank, "head": head.to_string() }));
    Ok(Exit::Done)
}

struct Desk<'a> {
    context: &'a Context<'a>,
    settings: Settings,
    ledger: SqliteLedger,
    /// The ledger as it was when the key was looked for: another desk may note the same loss.
    seen: Head,
    asked: &'a Asked,
    by: String,
    reason: String,
}

impl<'a> Desk<'a> {
    fn open(context: &'a Context<'a>, asked: &'a Asked) -> Result<Self, CliError> {
        let (by, reason) = (acting(asked.by.as_deref())?, escrow::line("--reason", &asked.reason)?.to_owned());
        let settings = context.settings()?;
        let ledger = ledger::to_write(&settings)?;
        let seen = ledger.head()?;
        Ok(Self { context, settings, ledger, seen, asked, by, reason })
    }

    /// The method that the job's last key was registered as, if it is not deleted yet.
    fn method(&self, job: &JobId) -> Result<Option<MethodId>, CliError> {
        let mut method = None;
        for recorded in self.ledger.entries_of(job)? {
            match recorded.entry.act() {
                Entry::Registered { method: found, .. } => method = Some(found.clone()),
                Entry::MethodDeleted { .. } | Entry::Revoked { .. } => method = None,
                _ => {}
            }
        }
        Ok(method)
    }

    /// Deletes the method, sees that it is gone, and notes that with `more`, all in one write.
    fn take_out(&self, word: &str, job: &JobId, parcel: &Parcel, more: Vec<HandoverEntry>) -> Result<Exit, CliError> {
        let output = self.context.output;
        let Some(line) = self.ledger.job(job)? else { return Ok(Exit::Done) };
        if line.in_flight {
            let fact = format!("The key of job {job} is not finished.");
            let next = format!("`keybench run --give-up {job}` gives it up, and the person gets another.");
            return Err(CliError::new(Exit::SomeFailed, "not-finished", fact, next));
        }
        let person =
            self.ledger.person(&line.user)?.map_or_else(|| line.user.to_string(), |person| person.upn.to_string());
        let method = self.method(job)?;
        let what = match &method {
            Some(method) => format!("the passkey {method} of {person} is deleted from the tenant"),
            None => format!("{person} has no passkey of job {job} in the tenant any more"),
        };
        if self.asked.dry_run {
            output.answer(&format!("{word}  {job}: {what}. Nothing was done."));
            return Ok(Exit::Done);
        }
        if method.is_some() && !self.asked.yes {
            let question = format!("With this, {what}: they can't sign in with that key any more. Type `delete`");
            if !Terminal::new(output).confirm(&question, "delete") {
                let next = "type the word at a terminal, or add --yes where nobody can answer.";
                return Err(CliError::new(Exit::Usage, "not-confirmed", "Nothing was done.", next));
            }
        }
        let mut entries = Vec::new();
        if let Some(method) = &method {
            self.delete(&line, method)?;
            let (job, method, reason) = (job.clone(), method.clone(), self.reason.clone());
            entries.push(Entry::Revoked { job, method, reason });
        } else if self.asked.revoke_sessions {
            self.graph()?.revoke_sessions(&line.user)?;
        }
        entries.extend(more.into_iter().map(Entry::Handover));
        if !entries.is_empty() {
            self.ledger.append(Append::entries(entries).as_of(self.seen))?;
        }
        let head = self.ledger.head()?;
        output.answer(&format!("{word}  {job}: {what}. The ledger's head is {head}."));
        output.json(&json!({
            "event": word, "job": job, "upn": person, "method": method, "sessions_revoked": self.asked.revoke_sessions,
            "head": head.to_string(),
        }));
        if parcel.letter.is_some() && parcel.released.is_none() {
            output.progress("Its PIN letter is void: destroy it.");
        }
        Ok(Exit::Done)
    }

    fn graph(&self) -> Result<Graph, CliError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let silent = Arc::new(|_: GraphEvent| {});
        connect(self.context, &self.settings, &self.settings.tenant()?, &clock, silent, Cancel::new())
    }

    fn delete(&self, line: &JobLine, method: &MethodId) -> Result<(), CliError> {
        let graph = self.graph()?;
        graph.remove_passkey(&line.user, method)?;
        let clock = SystemClock::new();
        for pause in LOOKS {
            if pause > 0 {
                self.context.output.progress(&format!("The tenant still shows it; looking again in {pause} s."));
                clock.sleep(Duration::from_secs(pause));
            }
            if graph.passkey(&line.user, method)?.is_none() {
                if self.asked.revoke_sessions {
                    graph.revoke_sessions(&line.user)?;
                }
                return Ok(());
            }
        }
        let fact = format!("The tenant took the deletion of {method} and still shows it.");
        let next = "run the same command again in some minutes; nothing is noted until it is gone.";
        Err(CliError::new(Exit::Tenant, "still-there", fact, next))
    }
}
