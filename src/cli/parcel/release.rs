//! `keybench release`: the PIN goes to its person.
//!
//! Promise: not before receipt, where the batch asks for it; not by whoever packed the key; not a letter that lay too long;
//! and what was released stands in the ledger. A PIN for the hook goes to the hook's stdin and nowhere else, one for the manager into
//! one mail ([`super::manager`]).

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use jiff::Zoned;
use serde_json::json;
use zeroize::Zeroizing;

use super::manager::{Delivery, ManagerDesk};
use super::{acting, find, not_now, parcels};
use crate::cli::causes::told;
use crate::cli::prompt::Custodian;
use crate::cli::{CliError, Context, Exit, escrow, ledger};
use crate::config::Settings;
use crate::graph::ErrorKind;
use crate::handover::parcel::{Parcel, Settings as Rules, may_release};
use crate::ledger::{Append, Entry, HandoverEntry, Head, Ledger};
use crate::model::{JobId, Person, ReleaseRule};
use crate::pin::{Identities, Prompts};
use crate::platform::{hook, who};

/// How the PIN goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Channel {
    /// The printed letter is sent or handed over.
    Letter,
    /// The settings' command is given it.
    Hook,
    /// The person's manager gets it by mail, where the settings allow that.
    Manager,
}

impl Channel {
    /// In the ledger and in JSON.
    fn word(self) -> &'static str {
        match self {
            Self::Letter => "letter",
            Self::Hook => "hook",
            Self::Manager => "manager",
        }
    }
}

/// `keybench release`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench release kim@contoso.com --as \"Sam Roe\"            the letter leaves
  keybench release 7H2KQ0M4XA 19283746 --as \"Sam Roe\"
  keybench release kim@contoso.com --as \"Sam Roe\" --by hook --identity sam.txt
  keybench release kim@contoso.com --as \"Sam Roe\" --by manager --identity sam.txt

The hook ([handover] hook) gets one line of JSON on stdin: upn, job, attempt, pin. The manager is
the one that the directory names; [handover] pin_to_manager must allow it.")]
pub struct ReleaseArgs {
    /// Persons, jobs, serial numbers, carrier's numbers or codes
    #[arg(value_name = "WHAT", required = true)]
    pub what: Vec<String>,
    /// Who releases; not whoever packed the key
    #[arg(long = "as", value_name = "NAME")]
    pub by: String,
    /// How the PIN goes
    #[arg(long = "by", value_enum, default_value_t = Channel::Letter)]
    pub channel: Channel,
    /// A custodian's identity, for the hook and the manager; under dual control give two
    #[arg(long, value_name = "FILE", action = clap::ArgAction::Append)]
    pub identity: Vec<PathBuf>,
    /// The language of the mail to a manager [else the person's own, else en]
    #[arg(long, value_name = "CODE")]
    pub lang: Option<String>,
    /// An earlier mail to the manager was cut off, and they don't have it: send it once more
    #[arg(long)]
    pub again: bool,
    /// Check and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

pub(in crate::cli) fn run(context: &Context<'_>, args: &ReleaseArgs) -> Result<Exit, CliError> {
    let by = acting(Some(&args.by))?;
    let settings = context.settings()?;
    if args.again && args.channel != Channel::Manager {
        let fact = "--again is for a mail to the manager that was cut off.";
        return Err(CliError::new(Exit::Usage, "usage", fact, "add --by manager, or leave it out."));
    }
    if args.channel == Channel::Hook && settings.handover.hook.is_empty() {
        let fact = "There is no hook: [handover] hook names no command.";
        return Err(CliError::new(Exit::Usage, "no-hook", fact, "set it, or release the letter."));
    }
    if args.channel == Channel::Manager && !settings.handover.pin_to_manager {
        let fact = "The settings don't allow a PIN to be mailed to a manager.";
        let next = "release the letter or by the hook; or set [handover] pin_to_manager = true.";
        return Err(CliError::new(Exit::Usage, "no-pin-by-mail", fact, next)
            .because("Whoever can read the manager's mailbox reads the PIN; docs/SECURITY.md weighs it."));
    }
    if args.channel != Channel::Letter && args.identity.is_empty() {
        let fact = format!("The {} is given the PIN, which a custodian has to open.", args.channel.word());
        return Err(CliError::new(Exit::Usage, "usage", fact, "add --identity FILE."));
    }
    let ledger = ledger::to_write(&settings)?;
    let mut identities = Identities::new();
    let prompts: Arc<dyn Prompts> = Arc::new(Custodian::new(context.output.style().stderr_is_terminal));
    for path in &args.identity {
        identities.add_file(path, Arc::clone(&prompts))?;
    }
    let desk = match args.channel {
        Channel::Manager => Some(ManagerDesk::open(context, &settings, args.lang.as_deref())?),
        Channel::Letter | Channel::Hook => None,
    };
    let mut refused = 0;
    for what in &args.what {
        // Read again for each: the same person may be named twice.
        let seen = ledger.head()?;
        let parcels = parcels(&ledger)?;
        let done = find(&ledger, &parcels, what).and_then(|found| {
            let (settings, ledger, desk) = (&settings, &ledger, desk.as_ref());
            let release = Release { context, settings, ledger, seen, identities: &identities, by: &by, desk };
            release.one(&found.job, found.parcel, parcels.release_rule(&found.job), args)
        });
        if let Err(error) = done {
            // A ledger that can't be written helps nobody further down the list.
            if error.exit == Exit::Ledger || args.what.len() == 1 {
                return Err(error);
            }
            context.output.error(&error);
            refused += 1;
        }
    }
    Ok(if refused == 0 { Exit::Done } else { Exit::SomeFailed })
}

struct Release<'a> {
    context: &'a Context<'a>,
    settings: &'a Settings,
    ledger: &'a dyn Ledger,
    /// Another desk may have released it since, or noted it as lost.
    seen: Head,
    identities: &'a Identities,
    by: &'a str,
    desk: Option<&'a ManagerDesk<'a>>,
}

impl Release<'_> {
    fn one(&self, job: &JobId, parcel: &Parcel, asks: Option<ReleaseRule>, args: &ReleaseArgs) -> Result<(), CliError> {
        let line = self.ledger.job(job)?;
        let person = match &line {
            Some(line) => self.ledger.person(&line.user)?,
            None => None,
        };
        let rules = self.rules(asks, person.as_ref(), line.map_or(1, |line| line.ordinal));
        let operator = who::operator();
        let by_letter = args.channel == Channel::Letter;
        let mut parcel = parcel.clone();
        if args.again {
            parcel.releasing = None;
        }
        let may = |by: &[&str]| {
            may_release(&parcel, &rules, by, by_letter, &Zoned::now())
                .map_err(|why| not_now("can't be released", job, &why))
        };
        may(&[self.by, &operator])?;
        let output = self.context.output;
        let channel = args.channel.word();
        let delivery = match self.desk {
            Some(desk) => Some(desk.prepare(self.ledger, job, person.as_ref())?),
            None => None,
        };
        // Whoever packed the key gets no PIN, by whatever way.
        if let Some(delivery) = &delivery {
            may(&delivery.manager_is())?;
        }
        if args.dry_run {
            let to = delivery.as_ref().map_or(String::new(), |delivery| format!(", to {}", delivery.address()));
            output.answer(&format!("{job} may be released{to}. Nothing was written."));
            output.json(&json!({
                "event": "released", "job": job, "attempt": parcel.attempt, "channel": channel, "by": self.by, "dry_run": true,
            }));
            return Ok(());
        }
        match (self.desk, &delivery) {
            (Some(desk), Some(delivery)) => self.mail(desk, delivery, job, &parcel)?,
            _ if by_letter => {}
            _ => self.hand_over(job, &parcel, person.as_ref())?,
        }
        let released = HandoverEntry::PinReleased {
            job: job.clone(),
            attempt: parcel.attempt,
            channel: channel.to_owned(),
            by: self.by.to_owned(),
        };
        let mut note = Append::entry(Entry::Handover(released));
        if by_letter {
            note = note.as_of(self.seen);
        }
        // Otherwise the PIN is out, whatever another desk has noted meanwhile: that it may go was asked when it was opened.
        let head = self.ledger.append(note)?;
        output.answer(&match (args.channel, &person) {
            (Channel::Letter, Some(person)) => format!("released  {job}: the letter of {} may leave", person.upn),
            (Channel::Letter, None) => format!("released  {job}: its letter may leave"),
            (Channel::Hook, _) => format!("released  {job}: the hook has it"),
            (Channel::Manager, _) => {
                let to = delivery.as_ref().map_or("the manager", |delivery| delivery.address());
                format!("released  {job}: the mail to {to} has left")
            }
        });
        output.json(&json!({
            "event": "released", "job": job, "attempt": parcel.attempt, "channel": channel, "by": self.by, "dry_run": false,
            "head": head.to_string(),
        }));
        Ok(())
    }

    /// Receipt is asked for by the batch; a letter's life depends on where it goes.
    fn rules(&self, asks: Option<ReleaseRule>, person: Option<&Person>, ordinal: u32) -> Rules {
        let settings = &self.settings.handover;
        let address = person.and_then(|person| person.address_for(ordinal));
        let country = address.and_then(|address| address.country.as_deref());
        let abroad = match (&settings.country, country) {
            (Some(ours), Some(theirs)) => !ours.eq_ignore_ascii_case(theirs),
            _ => false,
        };
        let letter_days = if abroad { settings.letter_days_abroad } else { settings.letter_days };
        // Batches are older than their rules only in ledgers that are.
        let after_receipt = asks.unwrap_or(settings.release) == ReleaseRule::OnReceipt;
        Rules { after_receipt, letter_days }
    }

    /// Opens the PIN and mails it, once: that it is about to leave stands in the ledger before it does.
    fn mail(&self, desk: &ManagerDesk<'_>, delivery: &Delivery, job: &JobId, parcel: &Parcel) -> Result<(), CliError> {
        let opened = escrow::open_recorded(
            self.ledger,
            job,
            Some(parcel.attempt),
            self.identities,
            self.by,
            "released to the manager by mail",
            &|opening| self.ledger.append(Append::entry(opening.entry(None)).as_of(self.seen)).map(|_| ()),
        )?;
        let (attempt, channel, to) = (parcel.attempt, "manager".to_owned(), delivery.manager_id().clone());
        let intended =
            HandoverEntry::ReleaseIntended { job: job.clone(), attempt, channel, to, by: self.by.to_owned() };
        self.ledger.append(Append::entry(Entry::Handover(intended)))?;
        desk.send(delivery, job, &opened.pin).or_else(|error| {
            if error.kind() == ErrorKind::Unknown {
                let next = format!(
                    "ask the manager whether they have it; `keybench release {job} --by manager --again` sends it once more."
                );
                return Err(CliError { next, ..CliError::from(error) }
                    .because("The PIN may have left. It is not noted as released."));
            }
            let failed = HandoverEntry::ReleaseFailed { job: job.clone(), attempt, code: error.kind().word().to_owned() };
            self.ledger.append(Append::entry(Entry::Handover(failed)))?;
            Err(CliError::from(error).because("The PIN did not leave. That it was opened stands in the ledger."))
        })
    }

    fn hand_over(&self, job: &JobId, parcel: &Parcel, person: Option<&Person>) -> Result<(), CliError> {
        let opened = escrow::open_recorded(
            self.ledger,
            job,
            Some(parcel.attempt),
            self.identities,
            self.by,
            "released to the hook",
            &|opening| self.ledger.append(Append::entry(opening.entry(None)).as_of(self.seen)).map(|_| ()),
        )?;
        let head = json!({ "job": job, "attempt": parcel.attempt, "upn": person.map(|person| person.upn.as_str()) });
        let (head, pin) = (head.to_string(), opened.pin.expose());
        // One allocation of the full size: growing would leave a copy of the PIN behind. JSON escapes at most six for one.
        let mut line = Zeroizing::new(Vec::with_capacity(head.len() + 6 * pin.len() + 32));
        line.extend_from_slice(head.strip_suffix('}').unwrap_or(&head).as_bytes());
        line.extend_from_slice(b",\"pin\":");
        serde_json::to_writer(&mut *line, pin)
            .map_err(|error| told(Exit::Fault, "unexpected", &error.to_string(), "report it."))?;
        line.extend_from_slice(b"}\n");
        hook::run(&self.settings.handover.hook, &line).map_err(|error| {
            let fact = format!("The hook {} did not take the PIN: {error}.", self.settings.handover.hook.join(" "));
            let next = "mend it and run the same command again; that the PIN was opened stands in the ledger.";
            CliError::new(Exit::SomeFailed, "hook-failed", fact, next).because("The PIN is not noted as released.")
        })
    }
}
