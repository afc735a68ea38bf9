//! `keybench lost`, `replace`, `leaver` and `return`: a key that must open nothing any more.
//!
//! Promise: the method is out of the tenant, and was seen to be out, before anything else is noted; until then the same
//! command can be run again, and a method that is gone already is as good as deleted. Of a held key nothing is in the tenant:
//! its sealed registration is destroyed, so that it never can be.

use std::cell::OnceCell;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{Found, acting, find, not_now, parcels, shipments, shipped_by};
use crate::cli::at_tenant::AtTenant;
use crate::cli::handover::ended;
use crate::cli::key::recognise::Recognised;
use crate::cli::key::{self, Which};
use crate::cli::prompt::Terminal;
use crate::cli::{CliError, Context, Exit, escrow, ledger};
use crate::config::Settings;
use crate::ctap2::hid::usb::UsbPorts;
use crate::graph::Graph;
use crate::handover::code::Code;
use crate::handover::parcel::{NotNow, Parcel, Place};
use crate::handover::shipment::{Shipment, ShipmentState};
use crate::ledger::{
    Act, Append, Attempt, BlobHash, Entry, HandoverEntry, Head, JobFilter, JobLine, Ledger, SelfParcel, SqliteLedger,
};
use crate::model::{CredentialId, JobId, JobStatus, MethodId, Serial, Upn, UserId};
use crate::world::{Clock, KeyPorts, Operator, SystemClock, SystemEntropy};

#[cfg(all(test, unix, feature = "sim"))]
mod tests;

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

/// Which key: by whatever is known of it.
#[derive(Debug, Clone, Args)]
#[group(id = "key", required = true, multiple = false)]
pub struct Named {
    /// The person, job, serial number, carrier's number or code
    #[arg(value_name = "WHAT", group = "key")]
    pub what: Option<String>,
    /// By its serial number
    #[arg(long, value_name = "SERIAL", group = "key")]
    pub serial: Option<String>,
    /// By the code on its label
    #[arg(long, value_name = "CODE", group = "key")]
    pub label: Option<String>,
    /// By the carrier's number of its parcel
    #[arg(long, value_name = "NUMBER", group = "key")]
    pub tracking: Option<String>,
    /// By its person
    #[arg(long, value_name = "UPN", group = "key")]
    pub user: Option<String>,
}

impl Named {
    /// What was given, if it is what its option says.
    fn text(&self) -> Result<&str, CliError> {
        let wrong = |option: &str, text: &str, next: &str| {
            let fact = format!("{option} {} is none.", text.trim());
            Err(CliError::new(Exit::Usage, "usage", fact, next).because("Nothing was done."))
        };
        match self {
            Self { label: Some(text), .. } if Code::parse(text).is_err() => {
                wrong("--label", text, "scan the label again, or type its 24 digits.")
            }
            Self { user: Some(text), .. } if Upn::parse(text).is_none() => {
                wrong("--user", text, "name the person as name@domain.")
            }
            Self { what, serial, label, tracking, user } => {
                let given = [what, serial, label, tracking, user].into_iter().flatten().next();
                Ok(given.map_or("", String::as_str))
            }
        }
    }
}

/// `keybench lost`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench lost kim@contoso.com --reason \"parcel stolen\" --revoke-sessions
  keybench lost --serial 19283746 --reason \"left on a train\"
  keybench lost --tracking JD0146 --reason \"carrier lost it\" --as \"Sam Roe\"

The passkey is deleted from the tenant first, and seen to be gone. The letter is void: destroy it.
The person waits for another key, unless --no-replacement is given.")]
pub struct LostArgs {
    /// Which key
    #[command(flatten)]
    pub named: Named,
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
    /// Which key
    #[command(flatten)]
    pub named: Named,
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
be blank. A key that tells no serial number is asked for a signature, without a touch; one that
signs for nobody is named with --what.")]
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
    let text = args.named.text()?;
    let (parcels, shipped) = (parcels(&desk.ledger)?, shipments(&desk.ledger)?);
    if let Some(one) = shipped_by(&desk.ledger, &parcels, &shipped, text)? {
        return desk.take_back(one, "lost");
    }
    let Found { job, parcel } = find(&desk.ledger, &parcels, text)?;
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
    let Found { job, parcel } = find(&desk.ledger, &parcels, args.named.text()?)?;
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
    let lines = desk.ledger.jobs(&JobFilter { user: Some(person.id.clone()), ..JobFilter::all() })?;
    let (mut worst, mut taken) = (Exit::Done, 0);
    for line in &lines {
        // Parked for good: a roster that names them again is asked about by nobody, so it says `left` in the list.
        let parked = Entry::JobParked { job: line.job.clone(), code: "left".into() };
        match parcels.get(&line.job) {
            Some(parcel) if desk.method(&line.job)?.is_some() || desk.hold(&line.job)?.is_some() => {
                worst = worst.max(desk.take_out("leaver", &line.job, parcel, Vec::new())?);
                taken += 1;
            }
            _ => {}
        }
        let begun = line.in_flight && line.status != JobStatus::Held;
        if !args.asked.dry_run && !begun {
            desk.ledger.append(Append::entry(parked))?;
        }
    }
    for one in shipments(&desk.ledger)?.all().iter().filter(|one| one.is_out() && one.user == person.id) {
        match desk.take_back(one, "left") {
            Ok(exit) => {
                worst = worst.max(exit);
                taken += 1;
            }
            // A token is taken from its person by a command of its own; it hides nothing else, and keeps nobody signed in.
            Err(error) if error.code == "registered-already" => {
                context.output.error(&error);
                worst = worst.max(Exit::SomeFailed);
            }
            Err(error) => return Err(error),
        }
    }
    if taken == 0 {
        if args.asked.revoke_sessions && !args.asked.dry_run {
            desk.graph()?.revoke_sessions(&person.id)?;
        }
        let revoked = if args.asked.revoke_sessions { " They are signed out everywhere." } else { "" };
        let done = if args.asked.dry_run { " Nothing was done." } else { revoked };
        context.output.answer(&format!("leaver  {}: no key of theirs is registered or on its way.{done}", person.upn));
        context.output.json(&match args.asked.dry_run {
            true => json!({ "event": "leaver", "job": null, "upn": person.upn, "method": null, "dry_run": true }),
            false => json!({
                "event": "leaver", "job": null, "upn": person.upn, "method": null,
                "sessions_revoked": args.asked.revoke_sessions, "dry_run": false, "head": desk.ledger.head()?.to_string(),
            }),
        });
    }
    let open = lines.iter().filter(|line| line.in_flight && line.status != JobStatus::Held).count();
    if open > 0 {
        context.output.warning(&format!(
            "{open} of their jobs have a key begun: `keybench run --give-up JOB` settles such a job."
        ));
    }
    Ok(worst)
}

pub(in crate::cli) fn return_(context: &Context<'_>, args: &ReturnArgs) -> Result<Exit, CliError> {
    let usb = if args.not_wiped { None } else { Some(UsbPorts::new()?) };
    let terminal = Terminal::new(context.output);
    returned(context, args, usb.as_ref().map(|usb| (usb as &dyn KeyPorts, &terminal as &dyn Operator)))
}

/// `at`: the ports that the key is in one of, and who takes it out, puts it back and touches it; none where it is not wiped.
fn returned(
    context: &Context<'_>,
    args: &ReturnArgs,
    at: Option<(&dyn KeyPorts, &dyn Operator)>,
) -> Result<Exit, CliError> {
    let desk = Desk::open(context, &args.asked)?;
    let parcels = parcels(&desk.ledger)?;
    // The key is let go again before it is wiped.
    let seen = match at {
        Some((ports, _)) => {
            let (plugged, mut look) = key::choose(ports, &args.which, &key::tools())?;
            Some(key::recognise::recognise(&desk.ledger, &SystemEntropy, &plugged, &mut look)?)
        }
        None => None,
    };
    let (serial, whose) = match seen {
        Some(Recognised::Job { job, key, .. }) => (key.serial, Some(job)),
        Some(Recognised::Nobodys { key, .. }) => (key.serial, None),
        None => (None, None),
    };
    let by_itself = whose.as_ref().map(JobId::as_str).or(serial.as_ref().map(Serial::as_str));
    let shipped = shipments(&desk.ledger)?;
    // A key that was shipped once may have become a job's since: then that is what it is.
    let has_it = |parcel: &Parcel| !matches!(parcel.place(), Place::Lost | Place::Returned);
    let is_a_jobs = whose.as_ref().and_then(|job| parcels.get(job)).is_some_and(has_it);
    let text = args.what.as_deref().or(serial.as_ref().map(Serial::as_str)).filter(|_| !is_a_jobs);
    if let Some(one) = text.and_then(|text| shipped.to_wipe(text)).filter(|one| one.is_out() || at.is_some()) {
        let sent = one.key().and_then(|key| key.serial.as_ref());
        if let (Some(found), Some(sent)) = (&serial, sent)
            && found != sent
        {
            let fact = format!("The key in the port has serial number {found}; in parcel {} was {sent}.", one.parcel);
            return Err(CliError::new(Exit::Usage, "which-key", fact, "put that key in, or name the right parcel.")
                .because("Nothing was done."));
        }
        return desk.back_from_parcel(one, at, &exactly(&args.which, serial.as_ref()));
    }
    let Some(named) = args.what.as_deref().or(by_itself) else {
        let fact = "This key tells no serial number, and signs for no key that the ledger knows.";
        return Err(CliError::new(Exit::Usage, "which-key", fact, "say whose it is, with --what."));
    };
    let Found { job, parcel } = find(&desk.ledger, &parcels, named)?;
    let other = whose.as_ref().filter(|whose| **whose != job).map(|whose| format!("is that of job {whose}"));
    let other = other.or_else(|| match (&serial, &parcel.serial) {
        (Some(found), Some(known)) if found != known => Some(format!("has serial number {found}, not {known}")),
        _ => None,
    });
    if let Some(other) = other {
        let fact = format!("The key in the port {other}; what was named is job {job}.");
        return Err(CliError::new(Exit::Usage, "which-key", fact, "put that key in, or name the right job.")
            .because("Nothing was done."));
    }
    // What was noted as not wiped may be wiped now.
    if parcel.place() == Place::Returned && (parcel.wiped || at.is_none()) {
        return Err(not_now("is noted already", &job, &NotNow::Returned));
    }
    let exit = desk.take_out("returned", &job, parcel, Vec::new())?;
    if args.asked.dry_run || exit != Exit::Done {
        return Ok(exit);
    }
    let blank = match at {
        Some((ports, operator)) => {
            let which = exactly(&args.which, serial.as_ref());
            key::reset(context, &desk.settings, ports, operator, &which)?;
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

/// A held key whose record can still be sent.
struct Held {
    attempt: Attempt,
    sealed: BlobHash,
    credential: CredentialId,
    /// It was sent, and nobody knows whether it arrived.
    sent: bool,
}

impl Held {
    /// The record is destroyed. What was sent and is not shown is watched for: later runs delete it should it turn up.
    fn ended(self, job: &JobId, word: &str, not_shown: Option<&UserId>) -> Vec<Entry> {
        let (attempt, sealed) = (self.attempt, self.sealed);
        let mut entries = Vec::new();
        if let Some(user) = not_shown.filter(|_| self.sent) {
            let (user, credential) = (user.clone(), self.credential);
            entries.push(Entry::Watched { job: job.clone(), attempt, user, credential });
        }
        let code = if word == "leaver" { "left" } else { word }.to_owned();
        entries.push(Entry::Handover(HandoverEntry::HoldEnded { job: job.clone(), attempt, sealed, code }));
        entries
    }
}

/// The key that was looked at, and no other.
fn exactly(which: &Which, serial: Option<&Serial>) -> Which {
    match serial {
        Some(serial) => Which { serial: Some(serial.to_string()), port: None },
        None => which.clone(),
    }
}

struct Desk<'a> {
    context: &'a Context<'a>,
    settings: Settings,
    /// Signed in to when it is first asked: of a key that was never registered it isn't.
    tenant: OnceCell<AtTenant<'a>>,
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
        Ok(Self { context, settings, tenant: OnceCell::new(), ledger, seen, asked, by, reason })
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

    /// The hold on the job's last key, while its record could still be sent.
    fn hold(&self, job: &JobId) -> Result<Option<Held>, CliError> {
        let mut held: Option<Held> = None;
        for recorded in self.ledger.entries_of(job)? {
            match (recorded.entry, held.as_mut()) {
                (Entry::Handover(HandoverEntry::Held { attempt, sealed, credential, .. }), _) => {
                    held = Some(Held { attempt, sealed, credential, sent: false });
                }
                (Entry::Handover(HandoverEntry::HoldResealed { sealed, .. }), Some(held)) => held.sealed = sealed,
                (Entry::Handover(HandoverEntry::HoldEnded { .. }), _) => held = None,
                (Entry::Intent { act: Act::Register, .. }, Some(held)) => held.sent = true,
                (Entry::ActUndone { act: Act::Register, .. } | Entry::Registered { .. }, Some(held)) => {
                    held.sent = false;
                }
                _ => {}
            }
        }
        // Another desk's ledger has the record, and destroys it when our log comes home.
        Ok(match held {
            Some(held) if self.ledger.blob(held.sealed)?.is_some() => Some(held),
            _ => None,
        })
    }

    /// A held key's registration was sent, and nobody knows whether it arrived: the tenant is asked.
    fn sent(&self, line: &JobLine, hold: &Held) -> Result<Option<MethodId>, CliError> {
        Ok(self.graph()?.passkey_of(&line.user, &hold.credential)?.map(|found| found.id))
    }

    /// Deletes the method, sees that it is gone, and notes that with `more`, all in one write.
    fn take_out(&self, word: &str, job: &JobId, parcel: &Parcel, more: Vec<HandoverEntry>) -> Result<Exit, CliError> {
        let output = self.context.output;
        let Some(line) = self.ledger.job(job)? else { return Ok(Exit::Done) };
        let hold = self.hold(job)?;
        if line.in_flight && hold.is_none() {
            let fact = format!("The key of job {job} is not finished.");
            let next = format!("`keybench run --give-up {job}` gives it up, and the person gets another.");
            return Err(CliError::new(Exit::SomeFailed, "not-finished", fact, next));
        }
        let person =
            self.ledger.person(&line.user)?.map_or_else(|| line.user.to_string(), |person| person.upn.to_string());
        let method = match &hold {
            // Sent and not answered: the tenant may have it.
            Some(hold) if hold.sent => self.sent(&line, hold)?,
            _ => self.method(job)?,
        };
        let what = match &method {
            None if hold.is_some() => {
                format!("the sealed registration of {person}'s held key is destroyed; nothing of it is in the tenant")
            }
            Some(method) => format!("the passkey {method} of {person} is deleted from the tenant"),
            None => format!("{person} has no passkey of job {job} in the tenant any more"),
        };
        if self.asked.dry_run {
            output.answer(&format!("{word}  {job}: {what}. Nothing was done."));
            output.json(&json!({ "event": word, "job": job, "upn": person, "method": method, "dry_run": true }));
            return Ok(Exit::Done);
        }
        if (method.is_some() || hold.is_some()) && !self.asked.yes {
            let question = match &method {
                Some(_) => format!("With this, {what}: they can't sign in with that key any more. Type `delete`"),
                None => format!("With this, {what}: that key can never be activated. Type `delete`"),
            };
            if !Terminal::new(output).confirm(&question, "delete") {
                let next = "type the word at a terminal, or add --yes where nobody can answer.";
                return Err(CliError::new(Exit::Usage, "not-confirmed", "Nothing was done.", next));
            }
        }
        let mut entries = Vec::new();
        if let (Some(method), Some(hold)) = (&method, hold.as_ref().filter(|hold| hold.sent)) {
            let (job, attempt, method) = (job.clone(), hold.attempt, method.clone());
            entries.push(Entry::Registered { job, attempt, method, found: true });
        }
        if let Some(method) = &method {
            self.delete(&line.user, method)?;
            let (job, method, reason) = (job.clone(), method.clone(), self.reason.clone());
            entries.push(Entry::Revoked { job, method, reason });
        } else if self.asked.revoke_sessions {
            self.graph()?.revoke_sessions(&line.user)?;
        }
        if let Some(hold) = hold {
            entries.extend(hold.ended(job, word, method.is_none().then_some(&line.user)));
        }
        entries.extend(more.into_iter().map(Entry::Handover));
        if !entries.is_empty() {
            self.ledger.append(Append::entries(entries).as_of(self.seen))?;
        }
        let head = self.ledger.head()?;
        output.answer(&format!("{word}  {job}: {what}. The ledger's head is {head}."));
        output.json(&json!({
            "event": word, "job": job, "upn": person, "method": method, "sessions_revoked": self.asked.revoke_sessions,
            "dry_run": false, "head": head.to_string(),
        }));
        if parcel.letter.is_some() && parcel.released.is_none() {
            output.progress("Its PIN letter is void: destroy it.");
        }
        Ok(Exit::Done)
    }

    /// The same for a key that its person registered themselves, or was to.
    fn take_back(&self, one: &Shipment, code: &str) -> Result<Exit, CliError> {
        let output = self.context.output;
        let person =
            self.ledger.person(&one.user)?.map_or_else(|| one.user.to_string(), |person| person.upn.to_string());
        let what = one.for_people();
        if let (ShipmentState::Activated { .. }, SelfParcel::Token { serial }) = (&one.state, &one.what) {
            let fact = format!("{what} works for {person}.");
            let next =
                format!("`keybench oath remove {serial} --reason …` takes it from them; that settles it here too.");
            return Err(CliError::new(Exit::SomeFailed, "registered-already", fact, next).because("Nothing was noted."));
        }
        let method = one.method().cloned();
        let done = match &method {
            Some(method) => format!("{what} of {person}: its passkey {method} is deleted from the tenant"),
            None => format!("{what} for {person} was never registered: it opens nothing"),
        };
        if self.asked.dry_run {
            output.answer(&format!("{code}  {}: {done}. Nothing was done.", one.parcel));
            output.json(&json!({
                "event": "shipment-ended", "parcel": one.parcel, "upn": person, "code": code, "method": method, "dry_run": true,
            }));
            return Ok(Exit::Done);
        }
        if method.is_some() && !self.asked.yes {
            let question = format!("{done}. Type `delete`");
            if !Terminal::new(output).confirm(&question, "delete") {
                let next = "type the word at a terminal, or add --yes where nobody can answer.";
                return Err(CliError::new(Exit::Usage, "not-confirmed", "Nothing was done.", next));
            }
        }
        if let Some(method) = &method {
            self.delete(&one.user, method)?;
        } else if self.asked.revoke_sessions {
            self.graph()?.revoke_sessions(&one.user)?;
        }
        let head = self.ledger.append(Append::entry(ended(one, method.clone(), code, &self.reason, &self.by)))?;
        output.answer(&format!("{code}  {}: {done}. The ledger's head is {head}.", one.parcel));
        output.json(&json!({
            "event": "shipment-ended", "parcel": one.parcel, "upn": person, "code": code, "method": method,
            "sessions_revoked": self.asked.revoke_sessions, "dry_run": false, "head": head.to_string(),
        }));
        Ok(Exit::Done)
    }

    /// A key that was shipped blank is back: out of the tenant, wiped where it is in a port, and back to stock.
    fn back_from_parcel(
        &self,
        one: &Shipment,
        at: Option<(&dyn KeyPorts, &dyn Operator)>,
        which: &Which,
    ) -> Result<Exit, CliError> {
        let output = self.context.output;
        // One that is back already was stopped before it was wiped.
        let exit = if one.is_out() { self.take_back(one, "not-wiped")? } else { Exit::Done };
        let Some((ports, operator)) = at.filter(|_| exit == Exit::Done) else { return Ok(exit) };
        if self.asked.dry_run {
            output.answer(&format!(
                "returned  {}: {} is wiped (a re-plug and a touch): back to stock. Nothing was done.",
                one.parcel,
                one.for_people()
            ));
            output
                .json(&json!({ "event": "shipment-ended", "parcel": one.parcel, "code": "returned", "dry_run": true }));
            return Ok(Exit::Done);
        }
        key::reset(self.context, &self.settings, ports, operator, which)?;
        let head = self.ledger.append(Append::entry(ended(one, None, "returned", &self.reason, &self.by)))?;
        output
            .answer(&format!("returned  {}: wiped and blank: back to stock. The ledger's head is {head}.", one.parcel));
        output.json(&json!({
            "event": "shipment-ended", "parcel": one.parcel, "code": "returned", "dry_run": false, "head": head.to_string(),
        }));
        Ok(Exit::Done)
    }

    fn graph(&self) -> Result<&Graph, CliError> {
        if let Some(tenant) = self.tenant.get() {
            return Ok(&tenant.graph);
        }
        let tenant = AtTenant::sign_in(self.context)?;
        Ok(&self.tenant.get_or_init(|| tenant).graph)
    }

    fn delete(&self, user: &UserId, method: &MethodId) -> Result<(), CliError> {
        let graph = self.graph()?;
        graph.remove_passkey(user, method)?;
        let clock = SystemClock::new();
        for pause in LOOKS {
            if pause > 0 {
                self.context.output.progress(&format!("The tenant still shows it; looking again in {pause} s."));
                clock.sleep(Duration::from_secs(pause));
            }
            if graph.passkey(user, method)?.is_none() {
                if self.asked.revoke_sessions {
                    graph.revoke_sessions(user)?;
                }
                return Ok(());
            }
        }
        let fact = format!("The tenant took the deletion of {method} and still shows it.");
        let next = "run the same command again in some minutes; nothing is noted until it is gone.";
        Err(CliError::new(Exit::Tenant, "still-there", fact, next))
    }
}
