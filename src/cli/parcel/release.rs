//! `keybench release`: the PIN goes to its person.
//!
//! Promise: not before receipt, where the settings ask for it; not by whoever packed the key; not a letter that lay too long;
//! and what was released stands in the ledger. A PIN for the hook goes to the hook's stdin and nowhere else.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::json;
use zeroize::Zeroizing;

use super::{acting, find, not_now, parcels};
use crate::cli::causes::told;
use crate::cli::prompt::Custodian;
use crate::cli::{CliError, Context, Exit, escrow, ledger};
use crate::config::Settings;
use crate::handover::parcel::{Parcel, Settings as Rules, may_release};
use crate::ledger::{Append, Entry, HandoverEntry, Head, Ledger};
use crate::model::{JobId, Person};
use crate::pin::{Identities, Prompts};
use crate::platform::{hook, who};
use crate::world::{Clock as _, SystemClock};

/// How the PIN goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Channel {
    /// The printed letter is sent or handed over.
    Letter,
    /// The settings' command is given it.
    Hook,
}

/// `keybench release`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench release kim@contoso.com --as \"Sam Roe\"            the letter leaves
  keybench release 7H2KQ0M4XA 19283746 --as \"Sam Roe\"
  keybench release kim@contoso.com --as \"Sam Roe\" --by hook --identity sam.txt

The hook ([handover] hook) gets one line of JSON on stdin: upn, job, attempt, pin.")]
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
    /// A custodian's identity, for the hook; under dual control give two
    #[arg(long, value_name = "FILE", action = clap::ArgAction::Append)]
    pub identity: Vec<PathBuf>,
    /// Check and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

pub(in crate::cli) fn run(context: &Context<'_>, args: &ReleaseArgs) -> Result<Exit, CliError> {
    let by = acting(Some(&args.by))?;
    let settings = context.settings()?;
    if args.channel == Channel::Hook {
        if settings.handover.hook.is_empty() {
            let fact = "There is no hook: [handover] hook names no command.";
            return Err(CliError::new(Exit::Usage, "no-hook", fact, "set it, or release the letter."));
        }
        if args.identity.is_empty() {
            let fact = "The hook is given the PIN, which a custodian has to open.";
            return Err(CliError::new(Exit::Usage, "usage", fact, "add --identity FILE."));
        }
    }
    let ledger = ledger::to_write(&settings)?;
    let mut identities = Identities::new();
    let prompts: Arc<dyn Prompts> = Arc::new(Custodian::new(context.output.style().stderr_is_terminal));
    for path in &args.identity {
        identities.add_file(path, Arc::clone(&prompts))?;
    }
    let mut refused = 0;
    for what in &args.what {
        // Read again for each: the same person may be named twice.
        let seen = ledger.head()?;
        let parcels = parcels(&ledger)?;
        let done = find(&ledger, &parcels, what).and_then(|found| {
            let (settings, ledger, identities, by) = (&settings, &ledger, &identities, by.as_str());
            let release = Release { context, settings, ledger, seen, identities, by };
            release.one(&found.job, found.parcel, args)
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
}

impl Release<'_> {
    fn one(&self, job: &JobId, parcel: &Parcel, args: &ReleaseArgs) -> Result<(), CliError> {
        let person = match self.ledger.job(job)? {
            Some(line) => self.ledger.person(&line.user)?,
            None => None,
        };
        let rules = self.rules(person.as_ref());
        let operator = who::operator();
        let by_letter = args.channel == Channel::Letter;
        may_release(parcel, &rules, &[self.by, &operator], by_letter, SystemClock::new().now())
            .map_err(|why| not_now("can't be released", job, &why))?;
        let output = self.context.output;
        let channel = if by_letter { "letter" } else { "hook" };
        if args.dry_run {
            output.answer(&format!("{job} may be released. Nothing was written."));
            return Ok(());
        }
        let seen = if by_letter { self.seen } else { self.hand_over(job, parcel, person.as_ref())? };
        let released = HandoverEntry::PinReleased {
            job: job.clone(),
            attempt: parcel.attempt,
            channel: channel.to_owned(),
            by: self.by.to_owned(),
        };
        let head = self.ledger.append(Append::entry(Entry::Handover(released)).as_of(seen))?;
        output.answer(&match (by_letter, &person) {
            (true, Some(person)) => format!("released  {job}: the letter of {} may leave", person.upn),
            (true, None) => format!("released  {job}: its letter may leave"),
            (false, _) => format!("released  {job}: the hook has it"),
        });
        output.json(&json!({
            "event": "released", "job": job, "attempt": parcel.attempt, "channel": channel, "by": self.by,
            "head": head.to_string(),
        }));
        Ok(())
    }

    /// A letter's life depends on where it goes.
    fn rules(&self, person: Option<&Person>) -> Rules {
        let settings = &self.settings.handover;
        let country = person.and_then(|person| person.address.as_ref()).and_then(|address| address.country.as_deref());
        let abroad = match (&settings.country, country) {
            (Some(ours), Some(theirs)) => !ours.eq_ignore_ascii_case(theirs),
            _ => false,
        };
        let letter_days = if abroad { settings.letter_days_abroad } else { settings.letter_days };
        Rules { after_receipt: settings.after_receipt, letter_days }
    }

    /// Gives the ledger's head once it says who opened the PIN.
    fn hand_over(&self, job: &JobId, parcel: &Parcel, person: Option<&Person>) -> Result<Head, CliError> {
        let noted = Cell::new(self.seen);
        let opened = escrow::open_recorded(
            self.ledger,
            job,
            Some(parcel.attempt),
            self.identities,
            self.by,
            "released to the hook",
            &|opening| {
                let opening = Append::entry(opening.entry(None)).as_of(self.seen);
                self.ledger.append(opening).map(|head| noted.set(head))
            },
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
        })?;
        Ok(noted.get())
    }
}
