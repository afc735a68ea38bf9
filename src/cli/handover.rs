//! `keybench handover`: blank keys and tokens on their way to people who register them themselves.
//!
//! Promise: a method is bound to a shipped key only where one key and one method are left, or where a person names it; then the
//! Temporary Access Pass that was good for registering is taken away. Looking again changes nothing.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use serde_json::json;

use super::at_tenant::AtTenant;
use super::interrupt::interrupted;
use super::parcel::{acting, settle, shipments};
use super::{CliError, Context, Exit, escrow, ledger, tap};
use crate::graph::{ErrorKind, Fido2Method};
use crate::handover::shipment::{Finding, Shipment, ShipmentState};
use crate::ledger::{Append, Entry, HandoverEntry, Ledger, SelfParcel};
use crate::model::{MethodId, UserId};

/// `keybench handover …`
#[derive(Debug, Subcommand)]
pub enum HandoverCommand {
    /// Wait until shipped keys and tokens are registered; then take the pass away
    ///
    /// Asks the tenant for the sign-in methods of everybody who was sent something. A new method of the shipped model, made after
    /// packing, is bound to the shipped key in the ledger, and the person's Temporary Access Pass is deleted.
    Watch(WatchArgs),
    /// What is on its way to people who register themselves
    ///
    /// Reads the ledger only; works beside a running bench.
    List(ListArgs),
    /// Nobody waits for a parcel any more
    End(EndArgs),
}

/// `keybench handover watch`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench handover watch                       every 5 minutes, until nothing is waited for
  keybench handover watch --once --dry-run
  keybench handover watch --of 19283746 --method AbC…    two keys of one model: this one is it

Where the tenant shows two new methods of one model, or two keys of it are on their way to one
person, nobody can tell them apart: ask the person (the method has the name they gave it), and name
it with --of and --method.")]
pub struct WatchArgs {
    /// Look once, and don't wait
    #[arg(long)]
    pub once: bool,
    /// Minutes between two looks
    #[arg(long, value_name = "MINUTES", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1440))]
    pub every: u64,
    /// This shipment: parcel, serial number, label or the carrier's number
    #[arg(long, value_name = "WHAT", requires = "method")]
    pub of: Option<String>,
    /// Its method, where there are several; `keybench methods USER` lists them
    #[arg(long, value_name = "ID", requires = "of")]
    pub method: Option<String>,
    /// Leave Temporary Access Passes alone
    #[arg(long)]
    pub keep_pass: bool,
    /// Show what would be bound and deleted, once
    #[arg(long)]
    pub dry_run: bool,
    /// Who watches [else the system's name for you]
    #[arg(long = "as", value_name = "NAME")]
    pub by: Option<String>,
}

/// `keybench handover list`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench handover list
  keybench handover list --all --json")]
pub struct ListArgs {
    /// Also those that are done or ended
    #[arg(long)]
    pub all: bool,
}

/// `keybench handover end`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("how").args(["returned", "not_wiped", "not_wanted"]).required(true), after_long_help = "Examples:
  keybench handover end 19283746 --returned --reason \"moved\"     it came back unopened, and is blank
  keybench handover end 4F1C09A2 --not-wanted --reason \"wrong address\"

For a key that is lost there is `keybench lost`; one that was registered comes back by
`keybench return`.")]
pub struct EndArgs {
    /// Parcel, serial number, label or the carrier's number
    #[arg(value_name = "WHAT")]
    pub what: String,
    /// It came back, and is blank
    #[arg(long)]
    pub returned: bool,
    /// It came back, and somebody has used it
    #[arg(long)]
    pub not_wiped: bool,
    /// It never left
    #[arg(long)]
    pub not_wanted: bool,
    /// Why; stands in the ledger for good, so name nobody in it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who says so [else the system's name for you]
    #[arg(long = "as", value_name = "NAME")]
    pub by: Option<String>,
}

pub(super) fn run(context: &Context<'_>, command: &HandoverCommand) -> Result<Exit, CliError> {
    match command {
        HandoverCommand::Watch(args) => watch(context, args),
        HandoverCommand::List(args) => list(context, args),
        HandoverCommand::End(args) => end(context, args),
    }
}

fn list(context: &Context<'_>, args: &ListArgs) -> Result<Exit, CliError> {
    let settings = context.settings()?;
    let ledger = ledger::to_read(&settings)?;
    let shipments = shipments(&ledger)?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for one in shipments.all() {
        *counts.entry(one.state.word().to_owned()).or_default() += 1;
        if !args.all && one.state != ShipmentState::Waiting {
            continue;
        }
        let person = ledger.person(&one.user)?.map(|person| person.upn);
        let who = person.as_ref().map_or("forgotten", |upn| upn.as_str());
        context.output.answer(&format!("{:<11} {}  {who:<34} {}", one.state.word(), one.parcel, one.for_people()));
        context.output.json(&json!({
            "event": "shipment", "parcel": one.parcel, "upn": person, "state": one.state.word(), "what": one.what,
            "packed": one.packed, "tracking": one.tracking, "method": one.method(),
        }));
    }
    let sum: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    let sum = if sum.is_empty() { "Nothing was sent to register".to_owned() } else { sum.join(", ") };
    let head = ledger.head()?;
    context.output.answer(&format!("{sum}. The ledger's head is {head}."));
    context.output.json(&json!({ "event": "shipments", "counts": counts, "head": head.to_string() }));
    Ok(Exit::Done)
}

fn end(context: &Context<'_>, args: &EndArgs) -> Result<Exit, CliError> {
    let (by, reason) = (acting(args.by.as_deref())?, escrow::line("--reason", &args.reason)?.to_owned());
    let code = match (args.returned, args.not_wiped) {
        (true, _) => "returned",
        (_, true) => "not-wiped",
        _ => "not-wanted",
    };
    let ledger = ledger::to_write(&context.settings()?)?;
    let (head, one) = settle(&ledger, || {
        let shipments = shipments(&ledger)?;
        let one = shipments.named(&args.what).ok_or_else(|| unknown(&args.what))?;
        if one.method().is_some() {
            let fact = format!("{} is registered: it opens its person's account.", one.for_people());
            let next = "`keybench return` or `keybench lost` takes it out of the tenant first.";
            return Err(CliError::new(Exit::SomeFailed, "registered-already", fact, next).because("Nothing was noted."));
        }
        Ok((Some(Append::entry(ended(one, None, code, &reason, &by))), one.clone()))
    })?;
    context.output.answer(&format!("{code}  {}: {}. The ledger's head is {head}.", one.parcel, one.for_people()));
    context
        .output
        .json(&json!({ "event": "shipment-ended", "parcel": one.parcel, "code": code, "head": head.to_string() }));
    Ok(Exit::Done)
}

/// What ends a shipment.
pub(super) fn ended(one: &Shipment, method: Option<MethodId>, code: &str, reason: &str, by: &str) -> Entry {
    Entry::Handover(HandoverEntry::SelfEnded {
        parcel: one.parcel.clone(),
        user: one.user.clone(),
        method,
        code: code.to_owned(),
        reason: reason.to_owned(),
        by: by.to_owned(),
    })
}

fn unknown(what: &str) -> CliError {
    let fact = format!("Nothing is on its way by the name {}.", what.trim());
    CliError::new(Exit::Usage, "unknown-job", fact, "`keybench handover list` lists what is.")
}

/// What one look came to.
#[derive(Default)]
struct Look {
    bound: u64,
    waiting: u64,
    unclear: u64,
    swept: u64,
    failed: u64,
}

fn watch(context: &Context<'_>, args: &WatchArgs) -> Result<Exit, CliError> {
    let by = acting(args.by.as_deref())?;
    let at = AtTenant::sign_in(context)?;
    let watcher = Watcher { context, at: &at, args, by };
    if let (Some(of), Some(method)) = (&args.of, &args.method) {
        return watcher.named(of, &MethodId::new(method.trim()));
    }
    loop {
        let look = watcher.look()?;
        let Look { bound, waiting, unclear, swept, failed } = look;
        context.output.answer(&format!(
            "{bound} bound, {waiting} waited for, {unclear} unclear; {swept} passes deleted{}.",
            if args.dry_run { " (nothing was written)" } else { "" }
        ));
        context.output.json(&json!({
            "event": "watched", "bound": bound, "waiting": waiting, "unclear": unclear, "swept": swept, "failed": failed,
            "dry_run": args.dry_run,
        }));
        if bound > 0 && !args.dry_run {
            context.output.progress("`keybench notify` tells people that their key was registered, and how to object.");
        }
        if args.once || args.dry_run || waiting == 0 {
            return Ok(if unclear + failed == 0 { Exit::Done } else { Exit::SomeFailed });
        }
        context
            .output
            .progress(&format!("Looking again in {} min; Ctrl-C ends this, and nothing is lost.", args.every));
        let until = at.clock.monotonic().saturating_add(Duration::from_secs(args.every * 60));
        while at.clock.monotonic() < until {
            if interrupted().load(Ordering::Relaxed) {
                return Ok(Exit::Interrupted);
            }
            at.clock.sleep(Duration::from_millis(200));
        }
    }
}

struct Watcher<'a> {
    context: &'a Context<'a>,
    at: &'a AtTenant<'a>,
    args: &'a WatchArgs,
    by: String,
}

impl Watcher<'_> {
    /// One look at everybody who was sent something. The ledger is held only while something is written.
    fn look(&self) -> Result<Look, CliError> {
        let reader = ledger::to_read(&self.at.settings)?;
        let shipments = shipments(&reader)?;
        let mut look = Look::default();
        for user in shipments.waiting_for() {
            self.at.go_on()?;
            let passkeys = match self.at.graph.passkeys(user) {
                Ok(passkeys) => passkeys,
                // Somebody who is gone, or whom we may not look at, hides nobody else.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => {
                    look.failed += 1;
                    let who = self.name_of(&reader, user)?;
                    self.context.output.error(&CliError::from(error).because(format!("It was about {who}.")));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for finding in shipments.compare(user, &passkeys) {
                match finding {
                    Finding::Nothing { shipment } => {
                        look.waiting += 1;
                        self.told(&reader, shipment, "waiting", None)?;
                    }
                    Finding::One { shipment, method } => {
                        if !self.args.dry_run {
                            self.sweep(user, &mut look)?;
                            self.bind(shipment, method, false)?;
                        }
                        look.bound += 1;
                        self.told(&reader, shipment, "registered", Some(method))?;
                    }
                    Finding::Several { shipped, candidates } => {
                        look.unclear += 1;
                        look.waiting += shipped.len() as u64;
                        self.unclear(&reader, &shipped, &candidates)?;
                    }
                }
            }
            self.tokens(&reader, user, shipments.all(), &mut look)?;
        }
        Ok(look)
    }

    /// The person's hardware tokens: one with the shipped serial number that works is the one.
    fn tokens(&self, reader: &dyn Ledger, user: &UserId, all: &[Shipment], look: &mut Look) -> Result<(), CliError> {
        let theirs = all.iter().filter(|one| one.user == *user && one.state == ShipmentState::Waiting);
        let shipped: Vec<(&Shipment, &String)> = theirs
            .filter_map(|one| match &one.what {
                SelfParcel::Token { serial } => Some((one, serial)),
                SelfParcel::Key { .. } => None,
            })
            .collect();
        if shipped.is_empty() {
            return Ok(());
        }
        let methods = self.at.graph.oath_methods(user)?;
        for (one, serial) in shipped {
            let works = methods.iter().find(|(_, device)| {
                device.as_ref().is_some_and(|device| device.serial == *serial && device.is_activated())
            });
            let Some((method, _)) = works else {
                look.waiting += 1;
                self.told(reader, one, "waiting", None)?;
                continue;
            };
            if !self.args.dry_run {
                self.sweep(user, look)?;
                let (parcel, user, method) = (one.parcel.clone(), user.clone(), method.clone());
                let act = HandoverEntry::SelfActivated { parcel, user, method, by: self.by.clone() };
                self.note(&ledger::to_write(&self.at.settings)?, one, act)?;
            }
            look.bound += 1;
            self.told(reader, one, "activated", None)?;
        }
        Ok(())
    }

    /// A person has said which it is.
    fn named(&self, of: &str, method: &MethodId) -> Result<Exit, CliError> {
        let reader = ledger::to_read(&self.at.settings)?;
        let shipments = shipments(&reader)?;
        let one = shipments.named(of).ok_or_else(|| unknown(of))?;
        if one.method() == Some(method) {
            self.context.output.answer(&format!("{} is bound to this method already.", one.for_people()));
            return Ok(Exit::Done);
        }
        let passkeys = self.at.graph.passkeys(&one.user)?;
        let found = passkeys.iter().find(|shown| shown.id == *method);
        let Some(found) = found.filter(|shown| one.state == ShipmentState::Waiting && shipments.fits(one, shown))
        else {
            let fact = format!("The method {method} can't be that of {}.", one.for_people());
            let next = "`keybench methods USER` lists the person's methods.";
            return Err(CliError::new(Exit::Usage, "no-such-method", fact, next).because(
                "It must be theirs, of the shipped model, made after packing, and not known to be another key's.",
            ));
        };
        let mut look = Look { bound: 1, ..Look::default() };
        if !self.args.dry_run {
            self.sweep(&one.user, &mut look)?;
            self.bind(one, found, true)?;
        }
        self.told(&reader, one, "registered", Some(found))?;
        Ok(if look.failed == 0 { Exit::Done } else { Exit::SomeFailed })
    }

    fn bind(&self, one: &Shipment, method: &Fido2Method, named: bool) -> Result<(), CliError> {
        let ledger = ledger::to_write(&self.at.settings)?;
        let act = HandoverEntry::SelfRegistered {
            parcel: one.parcel.clone(),
            user: one.user.clone(),
            method: method.id.clone(),
            // A method without a time never fits.
            created: method.created.unwrap_or(one.packed),
            named,
            by: self.by.clone(),
        };
        self.note(&ledger, one, act)
    }

    /// Read again: another watch may have been quicker.
    fn note(&self, ledger: &dyn Ledger, one: &Shipment, act: HandoverEntry) -> Result<(), CliError> {
        settle(ledger, || {
            let waits = shipments(ledger)?.named(&one.parcel).is_some_and(|now| now.method().is_none());
            Ok((waits.then(|| Append::entry(Entry::Handover(act.clone()))), ()))
        })?;
        Ok(())
    }

    /// The pass has done its work. Before the binding: after a crash in between the next look comes here again.
    fn sweep(&self, user: &UserId, look: &mut Look) -> Result<(), CliError> {
        if self.args.keep_pass {
            return Ok(());
        }
        let passes = self.at.graph.passes(user)?;
        if passes.is_empty() {
            return Ok(());
        }
        let ledger = ledger::to_write(&self.at.settings)?;
        for pass in &passes {
            match tap::delete(
                self.at,
                &self.at.journal(&ledger),
                user,
                pass,
                "the person registered what they were sent",
            ) {
                Ok(_) => {
                    look.swept += 1;
                    self.context.output.answer("  Their Temporary Access Pass is deleted.");
                }
                // An administrator's pass, say: the key is theirs all the same.
                Err(error) if error.code == "graph-forbidden" || error.code == "graph-refused" => {
                    look.failed += 1;
                    let still = "Their pass stays: `keybench tap sweep` tries again.";
                    self.context.output.error(&error.because(still));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn name_of(&self, ledger: &dyn Ledger, user: &UserId) -> Result<String, CliError> {
        Ok(ledger.person(user)?.map_or_else(|| user.to_string(), |person| person.upn.to_string()))
    }

    fn told(
        &self,
        ledger: &dyn Ledger,
        one: &Shipment,
        state: &str,
        method: Option<&Fido2Method>,
    ) -> Result<(), CliError> {
        let who = self.name_of(ledger, &one.user)?;
        let as_what = method.map_or(String::new(), |method| format!(" as {}", named_there(method)));
        self.context.output.answer(&format!("{state:<11} {}  {who}  {}{as_what}", one.parcel, one.for_people()));
        self.context.output.json(&json!({
            "event": "watched-shipment", "parcel": one.parcel, "upn": who, "state": state, "what": one.what,
            "method": method.map(|method| &method.id),
        }));
        Ok(())
    }

    fn unclear(&self, ledger: &dyn Ledger, shipped: &[&Shipment], candidates: &[&Fido2Method]) -> Result<(), CliError> {
        let user = shipped.first().map(|one| &one.user);
        let who = user.map_or(Ok(String::new()), |user| self.name_of(ledger, user))?;
        let fact = format!(
            "{who} was sent {} of one model, and the tenant shows {} new.",
            keys(shipped.len()),
            keys(candidates.len())
        );
        let next = "ask the person which is which; then `keybench handover watch --of SERIAL --method ID`.";
        let mut error = CliError::new(Exit::SomeFailed, "which-method", fact, next);
        error.causes =
            shipped.iter().map(|one| format!("sent: {} (parcel {})", one.for_people(), one.parcel)).collect();
        error.causes.extend(candidates.iter().map(|method| format!("new: {}", named_there(method))));
        self.context.output.error(&error);
        self.context.output.json(&json!({
            "event": "which-method", "upn": who, "parcels": shipped.iter().map(|one| &one.parcel).collect::<Vec<_>>(),
            "methods": candidates.iter().map(|method| &method.id).collect::<Vec<_>>(),
        }));
        Ok(())
    }
}

fn keys(count: usize) -> String {
    if count == 1 { "1 key".to_owned() } else { format!("{count} keys") }
}

fn named_there(method: &Fido2Method) -> String {
    let name = method.display_name.as_deref().unwrap_or("no name");
    let when = method.created.map_or(String::new(), |created| format!(", {created}"));
    format!("\u{201c}{name}\u{201d}{when} ({})", method.id)
}
