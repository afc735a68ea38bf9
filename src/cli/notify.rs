//! `keybench notify`: people are told that a key was bound to their account, and how to object (NIST SP 800-63B-4 §4).
//!
//! Promise: once a key, unless it is asked for again with a reason; what is about to be sent stands in the ledger before it is sent; a
//! notice that another keybench was quicker with is left out, and the rest is sent. A notice holds no PIN: it is made from what is no
//! secret.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::Args;
use jiff::{Timestamp, Zoned};
use serde_json::json;

use super::at_tenant::AtTenant;
use super::parcel::{acting, find, parcels, settle, shipments, shipped_by};
use super::{CliError, Context, Exit, batch, escrow, ledger, letters};
use crate::config::Settings;
use crate::graph::{ErrorKind, Mail, Sender};
use crate::handover::code::key_reference;
use crate::handover::letter::Template;
use crate::handover::letter::mail::{About, Notice};
use crate::handover::notice::{NoticeState, Notices};
use crate::ledger::{Append, Attempt, Entry, HandoverEntry, Ledger, LedgerError};
use crate::model::{JobId, KeyRef, Person, Secret, UserId};

/// `keybench notify`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench notify                                    everybody who was not told yet, by mail
  keybench notify --batch spring --dry-run
  keybench notify kim@contoso.com --text             the text on stdout, to send it yourself
  keybench notify kim@contoso.com --text --dry-run   the same, only to be looked at
  keybench notify kim@contoso.com --again --reason \"bounced\"

The text is the letter template's (`notice`), in the person's language. A person's mail leaves from
their own mailbox; signed in as the application it leaves from [handover] mail_from.")]
pub struct NotifyArgs {
    /// Persons, jobs, parcels, serial numbers or codes [else everybody who was not told yet]
    #[arg(value_name = "WHAT", conflicts_with = "batch")]
    pub what: Vec<String>,
    /// Only this batch's people
    #[arg(long, value_name = "BATCH")]
    pub batch: Option<String>,
    /// Print the text in place of sending it; it counts as told
    #[arg(long)]
    pub text: bool,
    /// Those who are named were told before, or may have been: tell them again
    #[arg(long, requires_all = ["what", "reason"])]
    pub again: bool,
    /// Why again; stands in the ledger for good, so name nobody in it
    #[arg(long, value_name = "TEXT", requires = "again")]
    pub reason: Option<String>,
    /// The language of people whose own is not known
    #[arg(long, value_name = "CODE", default_value = "en")]
    pub lang: String,
    /// The letters' template [else handover.template]
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// Whom to call, in place of the template's help.phone
    #[arg(long, value_name = "NUMBER")]
    pub phone: Option<String>,
    /// Who sends it [else the system's name for you]
    #[arg(long = "as", value_name = "NAME")]
    pub by: Option<String>,
    /// Show who would be told, and tell nobody
    #[arg(long)]
    pub dry_run: bool,
}

/// Which key a notice is about.
enum Of {
    /// One that the bench made.
    Job { job: JobId, attempt: Attempt },
    /// One that went out blank, and that its person registered.
    Parcel { parcel: String, user: UserId },
}

impl Of {
    fn name(&self) -> &str {
        match self {
            Self::Job { job, .. } => job.as_str(),
            Self::Parcel { parcel, .. } => parcel,
        }
    }

    /// For people.
    fn in_words(&self) -> String {
        match self {
            Self::Job { job, .. } => format!("job {job}"),
            Self::Parcel { parcel, .. } => format!("parcel {parcel}"),
        }
    }
}

/// A notice that is to leave.
struct Due {
    of: Of,
    /// How far it was when it was looked at.
    state: NoticeState,
    person: Person,
    language: String,
    notice: Notice,
}

impl Due {
    /// As somebody would send it.
    fn in_words(&self) -> String {
        let (person, notice) = (&self.person, &self.notice);
        format!("To: {} <{}>\nSubject: {}\n\n{}", person.display_name, person.upn, notice.subject, notice.text)
    }
}

/// Everybody who was looked at.
#[derive(Default)]
struct Looked {
    due: Vec<Due>,
    told: u64,
    unknown: Vec<(String, Timestamp)>,
}

pub(super) fn run(context: &Context<'_>, args: &NotifyArgs) -> Result<Exit, CliError> {
    let by = acting(args.by.as_deref())?;
    let reason = args.reason.as_deref().map(|text| escrow::line("--reason", text)).transpose()?.unwrap_or_default();
    let settings = context.settings()?;
    let (mut template, _) = letters::load_template(Some(&settings), args.template.as_deref())?;
    if let Some(phone) = &args.phone {
        template.phone = phone.trim().to_owned();
    }
    if template.texts(&args.lang).is_none() {
        let fact = format!("The letter template has no texts in the language {}.", args.lang);
        return Err(CliError::new(Exit::Usage, "usage", fact, "choose another, or add its texts to a template."));
    }
    let ledger = if args.dry_run { ledger::to_read(&settings)? } else { ledger::to_write(&settings)? };
    let looked = look(&ledger, &template, args)?;
    if template.phone.is_empty() && !looked.due.is_empty() {
        context.output.warning(
            "the notice names no phone number to object at. Set help.phone in a template (`keybench letters template`), or --phone.",
        );
    }
    for (name, since) in &looked.unknown {
        context.output.warning(&format!(
            "nobody knows whether the notice of {name} left on {since}. Ask the person; \
             `keybench notify {name} --again --reason …` sends another."
        ));
        context.output.json(&json!({ "event": "notice", "of": name, "state": "unknown", "since": since }));
    }
    let mut done = Done::default();
    if args.dry_run {
        for one in &looked.due {
            context.output.answer(&format!(
                "would tell {} of {} ({})",
                one.person.upn,
                one.of.in_words(),
                one.language
            ));
            if args.text {
                context.output.answer(&one.in_words());
            }
            shown(context, one, "due", args, args.text.then_some(&one.notice));
        }
    } else if !looked.due.is_empty() {
        let post = Post { context, ledger: &ledger, by: &by, reason };
        done = if args.text { post.print(&looked.due, args)? } else { post.mail(&settings, &looked.due, args)? };
    }
    let Done { sent, failed, overtaken } = done;
    let due = looked.due.len() as u64;
    let head = ledger.head()?;
    let count = if args.dry_run { format!("{due} would be told") } else { format!("{sent} told, {failed} not") };
    let unknown = looked.unknown.len();
    let doubt = if unknown == 0 { String::new() } else { format!(", of {unknown} nobody knows") };
    let elsewhere = if overtaken == 0 { String::new() } else { format!(", {overtaken} left to another keybench") };
    let told = looked.told;
    context.output.answer(&format!("{count}; {told} were told before{doubt}{elsewhere}. The ledger's head is {head}."));
    context.output.json(&json!({
        "event": "notices", "due": due, "sent": sent, "failed": failed, "overtaken": overtaken, "already": told,
        "unknown": unknown, "dry_run": args.dry_run, "head": head.to_string(),
    }));
    Ok(if failed == 0 && unknown == 0 { Exit::Done } else { Exit::SomeFailed })
}

/// Who is to be told: those who are named, or whoever was not told yet.
fn look(ledger: &dyn Ledger, template: &Template, args: &NotifyArgs) -> Result<Looked, CliError> {
    let mut notices = Notices::default();
    ledger.visit(1, &mut |recorded| {
        notices.add(&recorded);
        ControlFlow::Continue(())
    })?;
    let people: HashMap<UserId, Person> =
        ledger.people()?.into_iter().map(|person| (person.id.clone(), person)).collect();
    let named = named(ledger, &args.what)?;
    let is_named = |name: &str| named.iter().any(|one| one == name);
    let all = args.what.is_empty();
    let mut looking = Looking { template, args, people, looked: Looked::default() };
    let filter = batch::jobs_of(ledger, args.batch.as_deref())?;
    for line in ledger.jobs(&filter)?.into_iter().filter(|line| all || is_named(line.job.as_str())) {
        let bound = notices.get(&line.job).and_then(|bound| bound.since().map(|since| (bound, since)));
        let of = |attempt| Of::Job { job: line.job.clone(), attempt };
        match bound {
            Some((bound, registered)) => {
                let reference = key_reference(&line.job, bound.attempt);
                let key = (&bound.key, reference, bound.pin_minimum, registered);
                looking.at(of(bound.attempt), &line.user, key, bound.state);
            }
            None if all => {}
            None => return Err(nothing_to_tell(&of(0))),
        }
    }
    // They belong to no batch.
    let sent = notices.sent().filter(|(parcel, _)| args.batch.is_none() && (all || is_named(parcel)));
    for (parcel, bound) in sent {
        let of = Of::Parcel { parcel: parcel.clone(), user: bound.user.clone() };
        match bound.registered {
            // What a key that its person made asks of a PIN, nobody here has seen.
            Some(at) => looking.at(of, &bound.user, (&bound.key, parcel.clone(), LEAST, at), bound.state),
            None if all => {}
            None => return Err(nothing_to_tell(&of)),
        }
    }
    Ok(looking.looked)
}

/// The fewest characters that any key asks of a PIN.
const LEAST: u32 = 4;

fn nothing_to_tell(of: &Of) -> CliError {
    let fact = match of {
        Of::Job { job, .. } => format!("Job {job} has no key in the tenant that its person is to know of."),
        Of::Parcel { parcel, .. } => {
            format!("The key of parcel {parcel} is not in the tenant: nobody has registered it.")
        }
    };
    let next = match of {
        Of::Job { job, .. } => format!("`keybench show {job}` tells how far it is."),
        Of::Parcel { .. } => "`keybench handover watch` looks whether it is.".to_owned(),
    };
    CliError::new(Exit::Usage, "nothing-to-tell", fact, next)
}

struct Looking<'a> {
    template: &'a Template,
    args: &'a NotifyArgs,
    people: HashMap<UserId, Person>,
    looked: Looked,
}

impl Looking<'_> {
    /// One key that is in the tenant: itself, its reference, its fewest characters, and since when.
    fn at(
        &mut self,
        of: Of,
        user: &UserId,
        (key, reference, pin_minimum, registered): (&KeyRef, String, u32, Timestamp),
        state: NoticeState,
    ) {
        match state {
            NoticeState::Told(_) if !self.args.again => {
                self.looked.told += 1;
                return;
            }
            NoticeState::Unknown(since) if !self.args.again => {
                self.looked.unknown.push((of.name().to_owned(), since));
                return;
            }
            _ => {}
        }
        // Who was forgotten can't be told.
        let Some(person) = self.people.get(user) else { return };
        let own = person.language.as_deref().filter(|language| self.template.texts(language).is_some());
        let language = own.unwrap_or(&self.args.lang).to_owned();
        let name = &person.display_name;
        let about = About { reference, name, key, pin_minimum, registered, today: Zoned::now().date() };
        let Some(notice) = about.notice(self.template, &language) else { return };
        self.looked.due.push(Due { of, state, person: person.clone(), language, notice });
    }
}

/// Jobs and parcels by the names that were given: a person's shipped key counts where they have no other.
fn named(ledger: &dyn Ledger, what: &[String]) -> Result<Vec<String>, CliError> {
    let (parcels, shipped) = (parcels(ledger)?, shipments(ledger)?);
    let mut names = Vec::with_capacity(what.len());
    for text in what {
        names.push(match shipped_by(ledger, &parcels, &shipped, text)? {
            Some(one) => one.parcel.clone(),
            None => find(ledger, &parcels, text)?.job.to_string(),
        });
    }
    Ok(names)
}

/// What became of those who were due.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Done {
    sent: u64,
    failed: u64,
    /// Another keybench wrote of them meanwhile: they were told by it, or there is nothing to tell any more.
    overtaken: u64,
}

struct Post<'a> {
    context: &'a Context<'a>,
    ledger: &'a dyn Ledger,
    by: &'a str,
    reason: &'a str,
}

impl Post<'_> {
    fn intended(&self, one: &Due, channel: &str) -> Entry {
        let (channel, reason, by) = (channel.to_owned(), self.reason.to_owned(), self.by.to_owned());
        Entry::Handover(match &one.of {
            Of::Job { job, attempt } => {
                HandoverEntry::NoticeIntended { job: job.clone(), attempt: *attempt, channel, reason, by }
            }
            Of::Parcel { parcel, user } => {
                let (parcel, user) = (parcel.clone(), user.clone());
                HandoverEntry::SelfNoticeIntended { parcel, user, channel, reason, by }
            }
        })
    }

    fn sent(&self, one: &Due, channel: &str, request: Option<String>) -> Entry {
        let channel = channel.to_owned();
        Entry::Handover(match &one.of {
            Of::Job { job, attempt } => {
                HandoverEntry::NoticeSent { job: job.clone(), attempt: *attempt, channel, request }
            }
            Of::Parcel { parcel, user } => {
                HandoverEntry::SelfNoticeSent { parcel: parcel.clone(), user: user.clone(), channel, request }
            }
        })
    }

    fn failed(&self, one: &Due, code: &str) -> Entry {
        let code = code.to_owned();
        Entry::Handover(match &one.of {
            Of::Job { job, attempt } => HandoverEntry::NoticeFailed { job: job.clone(), attempt: *attempt, code },
            Of::Parcel { parcel, user } => {
                HandoverEntry::SelfNoticeFailed { parcel: parcel.clone(), user: user.clone(), code }
            }
        })
    }

    /// How far it is now; `None` when there is nothing to tell of that key any more.
    fn state_now(&self, of: &Of) -> Result<Option<NoticeState>, LedgerError> {
        let mut notices = Notices::default();
        Ok(match of {
            Of::Job { job, attempt } => {
                self.ledger.entries_of(job)?.iter().for_each(|recorded| notices.add(recorded));
                let bound = notices.get(job).filter(|bound| bound.attempt == *attempt && bound.since().is_some());
                bound.map(|bound| bound.state)
            }
            Of::Parcel { parcel, .. } => {
                self.ledger.visit_jobless(&mut |recorded| {
                    notices.add(&recorded);
                    ControlFlow::Continue(())
                })?;
                let mut sent = notices.sent().filter(|(_, bound)| bound.registered.is_some());
                sent.find(|(other, _)| *other == parcel).map(|(_, bound)| bound.state)
            }
        })
    }

    /// Notes what is about to happen. Not where another keybench was quicker: that is told, and it is `false`.
    fn begin(&self, one: &Due, entries: &[Entry], args: &NotifyArgs) -> Result<bool, CliError> {
        let (_, begun) = settle(self.ledger, || {
            let is_due = self.state_now(&one.of)? == Some(one.state);
            Ok((is_due.then(|| Append::entries(entries.to_vec())), is_due))
        })?;
        if !begun {
            let (who, what) = (&one.person.upn, one.of.in_words());
            self.context.output.progress(&format!("left out  {who}: another keybench wrote of {what} meanwhile"));
            shown(self.context, one, "overtaken", args, None);
        }
        Ok(begun)
    }

    /// Gives the texts out: whoever asked for them sends them.
    fn print(&self, due: &[Due], args: &NotifyArgs) -> Result<Done, CliError> {
        let mut done = Done::default();
        for one in due {
            if !self.begin(one, &[self.intended(one, "text"), self.sent(one, "text", None)], args)? {
                done.overtaken += 1;
                continue;
            }
            self.context.output.answer(&one.in_words());
            shown(self.context, one, "told", args, Some(&one.notice));
            done.sent += 1;
        }
        Ok(done)
    }

    /// Sends them, one after the other.
    fn mail(&self, settings: &Settings, due: &[Due], args: &NotifyArgs) -> Result<Done, CliError> {
        let at = AtTenant::sign_in(self.context)?;
        let from = sender(&at, settings)?;
        let ids: Vec<&str> = due.iter().map(|one| one.person.id.as_str()).collect();
        let users = at.graph.find_users(&ids)?;
        let mut done = Done::default();
        for (one, user) in due.iter().zip(users) {
            at.go_on()?;
            let Some(to) = user.and_then(|user| user.mail) else {
                let fact = format!("The tenant knows no mail address of {}.", one.person.upn);
                let next =
                    format!("`keybench notify {} --text` prints the notice to send it another way.", one.of.name());
                self.context.output.error(&CliError::new(Exit::SomeFailed, "no-mail-address", fact, next));
                done.failed += 1;
                continue;
            };
            if !self.begin(one, &[self.intended(one, "mail")], args)? {
                done.overtaken += 1;
                continue;
            }
            let mail = Mail {
                to,
                subject: one.notice.subject.clone(),
                text: Secret::new(one.notice.text.clone()),
                keep: true,
            };
            match at.graph.send_mail(&from, &mail) {
                Ok(request) => {
                    self.ledger.append(Append::entry(self.sent(one, "mail", Some(request))))?;
                    let (who, what) = (&one.person.upn, one.of.in_words());
                    self.context.output.answer(&format!("told  {who} of {what} ({})", one.language));
                    shown(self.context, one, "told", args, None);
                    done.sent += 1;
                }
                Err(error) => {
                    let lost = error.kind() == ErrorKind::Unknown;
                    if !lost {
                        self.ledger.append(Append::entry(self.failed(one, error.kind().word())))?;
                    }
                    // What would meet the next mail as well is no reason to try it.
                    if error.kind().pauses_bench() || error.kind() == ErrorKind::NotFound {
                        return Err(
                            CliError::from(error).because(format!("{} were told; the others stay due.", done.sent))
                        );
                    }
                    done.failed += 1;
                    self.context
                        .output
                        .error(&CliError::from(error).because(format!("The notice was for {}.", one.person.upn)));
                }
            }
        }
        Ok(done)
    }
}

/// Whose mailbox mail leaves from: a person's own, else the one that the settings name.
pub(super) fn sender(at: &AtTenant<'_>, settings: &Settings) -> Result<Sender, CliError> {
    if !at.account.app_only {
        return Ok(Sender::Me);
    }
    settings.handover.mail_from.clone().map(Sender::Mailbox).ok_or_else(|| {
        let fact = "Signed in as the application, which has no mailbox of its own.";
        let next = "name a mailbox in [handover] mail_from, or sign in as a person ([tenant] auth).";
        CliError::new(Exit::Usage, "no-sender", fact, next).because("Nothing was sent.")
    })
}

fn shown(context: &Context<'_>, one: &Due, state: &str, args: &NotifyArgs, notice: Option<&Notice>) {
    let (job, attempt, parcel) = match &one.of {
        Of::Job { job, attempt } => (Some(job), Some(attempt), None),
        Of::Parcel { parcel, .. } => (None, None, Some(parcel)),
    };
    context.output.json(&json!({
        "event": "notice", "job": job, "attempt": attempt, "parcel": parcel, "upn": one.person.upn,
        "language": one.language, "state": state, "channel": if args.text { "text" } else { "mail" },
        "subject": notice.map(|notice| &notice.subject), "text": notice.map(|notice| &notice.text),
    }));
}
