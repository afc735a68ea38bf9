//! `keybench reconcile`: ledger and tenant side by side. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use serde_json::json;

use super::at_tenant::AtTenant;
use super::key::{self, look::Look, recognise::Recognised};
use super::parcel::shipments;
use super::{CliError, Context, Exit, batch, ledger};
use crate::ctap2::hid::usb::UsbPorts;
use crate::graph::{ErrorKind, Fido2Method};
use crate::handover::reconcile::{Account, Difference, InTenant, Job, Shown, compare};
use crate::handover::shipment::{Shipment, ShipmentState, Shipments};
use crate::ledger::Ledger;
use crate::model::{KeyRef, MethodId, UserId};
use crate::world::{KeyPorts, SystemEntropy};

/// `keybench reconcile`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench reconcile
  keybench reconcile --batch spring --json
  keybench reconcile --plug              the keys in the ports as well

Asks the tenant for the passkeys of everybody in the ledger, one request a person, and tells every
difference with the command that settles it. Changes nothing. Ends with 1 where there is one.")]
pub struct ReconcileArgs {
    /// Only this batch
    #[arg(long, value_name = "BATCH")]
    pub batch: Option<String>,
    /// Also look at the keys in the ports: whose each is, and whether it is as the ledger says
    #[arg(long)]
    pub plug: bool,
}

pub(super) fn run(context: &Context<'_>, args: &ReconcileArgs) -> Result<Exit, CliError> {
    let settings = context.settings()?;
    let ledger = ledger::to_read(&settings)?;
    let filter = batch::jobs_of(&ledger, args.batch.as_deref())?;
    let mut jobs = Vec::new();
    for line in ledger.jobs(&filter)? {
        let mut account = Account::default();
        ledger.entries_of(&line.job)?.iter().for_each(|recorded| account.add(recorded));
        let upn = ledger.person(&line.user)?.map(|person| person.upn);
        // Nobody was ever given anything: there is nothing to compare.
        if account.attempt > 0 {
            let (status, in_flight) = (line.status, line.in_flight);
            jobs.push(Job { job: line.job, user: line.user, upn, status, in_flight, account });
        }
    }
    let shipped = shipments(&ledger)?;
    // They belong to no batch.
    let registered: Vec<(&Shipment, &MethodId)> = match args.batch {
        Some(_) => Vec::new(),
        None => shipped.all().iter().filter_map(registered).collect(),
    };
    if jobs.is_empty() && registered.is_empty() {
        context.output.answer("No key was begun: there is nothing to compare.");
        let head = ledger.head()?.to_string();
        context
            .output
            .json(&json!({ "event": "reconciled", "people": 0, "differences": 0, "unreadable": 0, "head": head }));
        return Ok(Exit::Done);
    }
    let at = AtTenant::sign_in(context)?;
    let graph = &at.graph;
    let mut tenant: BTreeMap<UserId, InTenant> = BTreeMap::new();
    let mut there: BTreeSet<MethodId> = BTreeSet::new();
    let mut users: Vec<&UserId> = jobs.iter().map(|job| &job.user).collect();
    users.extend(registered.iter().map(|(one, _)| &one.user));
    users.sort_unstable();
    users.dedup();
    let (all, mut unreadable) = (users.len(), 0_usize);
    for (done, user) in users.into_iter().enumerate() {
        at.go_on()?;
        if done > 0 && done.is_multiple_of(100) {
            context.output.progress(&format!("{done} of {all} people compared"));
        }
        let shown = match graph.passkeys(user) {
            Ok(methods) => InTenant::Passkeys(
                methods
                    .into_iter()
                    .inspect(|method| {
                        there.insert(method.id.clone());
                    })
                    // A shipped key that its person registered is ours, and no job's.
                    .filter(|method| !shipped.all().iter().any(|one| one.method() == Some(&method.id)))
                    .map(|method| shown(method, jobs.iter().filter(|job| job.user == *user)))
                    .collect(),
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => InTenant::Nobody,
            // One of them may have become an administrator, whose keys it takes another role to see: the others are compared.
            Err(error) if error.kind() == ErrorKind::Forbidden => {
                let upn = jobs.iter().find(|job| job.user == *user).and_then(|job| job.upn.as_ref());
                let who = upn.map_or_else(|| user.to_string(), ToString::to_string);
                context.output.warning(&format!("{who} was not compared: {error}"));
                context.output.json(&json!({ "event": "not-compared", "upn": who, "why": error.to_string() }));
                unreadable += 1;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        tenant.insert(user.clone(), shown);
    }
    let differences = compare(&jobs, &tenant, graph.server_now());
    for difference in &differences {
        tell(context, &jobs, difference);
    }
    // Of people whom nobody may look at, nothing is known.
    let is_gone = |(one, method): &(&Shipment, &MethodId)| tenant.contains_key(&one.user) && !there.contains(*method);
    let gone: Vec<&Shipment> = registered.iter().filter(|pair| is_gone(pair)).map(|(one, _)| *one).collect();
    for one in &gone {
        tell_shipped(context, &ledger, one)?;
    }
    let on_keys = if args.plug { at_ports(context, &ledger, &shipped, &UsbPorts::new()?)? } else { 0 };
    let count = differences.len().saturating_add(gone.len()).saturating_add(on_keys);
    let head = ledger.head()?;
    let compared = all.saturating_sub(unreadable);
    context.output.answer(&match count {
        0 => format!("Ledger and tenant agree on {compared} people. The ledger's head is {head}."),
        n => format!("{n} differences on {compared} people. The ledger's head is {head}."),
    });
    context.output.json(&json!({
        "event": "reconciled", "people": compared, "differences": count, "unreadable": unreadable, "head": head.to_string(),
    }));
    Ok(if count == 0 && unreadable == 0 { Exit::Done } else { Exit::SomeFailed })
}

/// A key that went out blank, and the method that its person made of it.
fn registered(one: &Shipment) -> Option<(&Shipment, &MethodId)> {
    match &one.state {
        ShipmentState::Registered { method, .. } => Some((one, method)),
        _ => None,
    }
}

fn tell_shipped(context: &Context<'_>, ledger: &dyn Ledger, one: &Shipment) -> Result<(), CliError> {
    let upn = ledger.person(&one.user)?.map(|person| person.upn);
    let who = upn.as_ref().map_or_else(|| one.user.to_string(), ToString::to_string);
    let fact =
        format!("the tenant does not have {} (parcel {}) any more: it opens nothing", one.for_people(), one.parcel);
    let next = format!(
        "`keybench lost {0} --reason …` if the key is gone, or `keybench return --what {0}` with the key in a port.",
        one.parcel
    );
    context.output.answer(&format!("{who}: {fact}.\n  Next: {next}"));
    context.output.json(&json!({
        "event": "difference", "code": "shipped-not-in-tenant", "job": null, "parcel": one.parcel, "upn": upn, "fact": fact,
        "next": next,
    }));
    Ok(())
}

/// The keys in the ports against the ledger; how many are not as it says. Nothing on them changes.
fn at_ports(
    context: &Context<'_>,
    ledger: &dyn Ledger,
    shipped: &Shipments,
    ports: &dyn KeyPorts,
) -> Result<usize, CliError> {
    let mut differences = 0;
    for plugged in ports.list()? {
        let port = plugged.port.as_str();
        let mut look = Look::at(ports, &plugged, &key::tools());
        let (code, fact, next) = match key::recognise::recognise(ledger, &SystemEntropy, &plugged, &mut look) {
            Ok(Recognised::Job { job, key, wiped: true }) => (
                Some("key-wiped"),
                format!("{} is the key of job {job}, and it has no PIN: it was wiped", key.for_people()),
                format!("`keybench replace {job} --reason wiped` gives the person another."),
            ),
            Ok(Recognised::Job { job, key, .. }) => {
                (None, format!("{} is the key of job {job}, with a PIN", key.for_people()), String::new())
            }
            Ok(Recognised::Nobodys { key, blank }) if sent(shipped, &key).is_some() => {
                let parcel = sent(shipped, &key).map(|one| one.parcel.clone()).unwrap_or_default();
                let state = if blank { "and is blank" } else { "with a PIN" };
                let fact = format!("{} is that of parcel {parcel}, {state}", key.for_people());
                (None, fact, format!("`keybench return --port {port}` takes it back."))
            }
            Ok(Recognised::Nobodys { key, blank: true }) => {
                (None, format!("{} is blank, and nobody's", key.for_people()), String::new())
            }
            Ok(Recognised::Nobodys { key, blank: false }) => (
                Some("strange-key"),
                format!("{} has a PIN, and is nobody's that the ledger knows", key.for_people()),
                format!("ask whose it is; if it is yours to wipe: `keybench key reset --port {port}`."),
            ),
            Err(error) if error.exit == Exit::Ledger => return Err(error),
            Err(error) => (Some(error.code), error.fact, error.next),
        };
        differences += usize::from(code.is_some());
        let next_line = if next.is_empty() { String::new() } else { format!("\n  Next: {next}") };
        context.output.answer(&format!("Port {port}: {fact}.{next_line}"));
        context.output.json(&json!({ "event": "key-in-port", "port": port, "code": code, "fact": fact, "next": next }));
    }
    Ok(differences)
}

/// The parcel that a key went out in, for somebody who registers it.
fn sent<'s>(shipped: &'s Shipments, key: &KeyRef) -> Option<&'s Shipment> {
    key.serial.as_ref().and_then(|serial| shipped.named(serial.as_str()))
}

/// Entra writes one id in several ways: what is of our credential is known by the id that we keep.
fn shown<'j>(method: Fido2Method, mut theirs: impl Iterator<Item = &'j Job>) -> Shown {
    let ours = theirs.find_map(|job| match &job.account.registered {
        Some((id, Some(credential))) if method.is(credential) => Some(id.clone()),
        _ => None,
    });
    Shown { method: ours.unwrap_or(method.id), name: method.display_name.unwrap_or_default() }
}

fn tell(context: &Context<'_>, jobs: &[Job], difference: &Difference) {
    let of = |job: &Job| match difference {
        Difference::NotOurs { user, .. } => job.user == *user,
        other => other.job() == Some(&job.job),
    };
    let found = jobs.iter().find(|job| of(job));
    let who = match found {
        Some(Job { upn: Some(upn), .. }) => upn.to_string(),
        Some(job) => job.job.to_string(),
        None => String::new(),
    };
    let job = difference.job().map_or(String::new(), |job| format!(" (job {job})"));
    context.output.answer(&format!("{who}{job}: {}.\n  Next: {}", difference.fact(), difference.settled_by(&who)));
    context.output.json(&json!({
        "event": "difference", "code": difference.code(), "job": difference.job(), "upn": found.and_then(|job| job.upn.as_ref()),
        "fact": difference.fact(), "next": difference.settled_by(&who),
    }));
}
