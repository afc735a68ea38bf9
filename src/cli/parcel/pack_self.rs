//! `keybench pack --to`: a blank key or a token for somebody who registers it themselves.
//!
//! Promise: only what is nobody's leaves, and which key went to whom is in the ledger, so that `keybench handover watch` knows the new
//! method for its own. A blank key opens nothing: it may travel with its instructions.

use serde_json::json;

use super::ears::{Ears, Heard};
use super::pack::PackArgs;
use super::{find, parcels, settle};
use crate::cli::at_tenant::AtTenant;
use crate::cli::key::{self, look::Look};
use crate::cli::stock::stock;
use crate::cli::{CliError, Context, Exit, ledger};
use crate::config::Settings;
use crate::handover::code::{Code, CodeKind};
use crate::handover::parcel::Parcels;
use crate::handover::shipment::{Shipment, Shipments, for_people};
use crate::handover::stock::{KeyState, Stocked};
use crate::ledger::{Append, BlobHash, Entry, HandoverEntry, JobFilter, Ledger, SelfParcel};
use crate::model::{Aaguid, KeyRef, Person, PortName, Serial, TenantId, Upn};
use crate::world::{KeyPorts, PluggedKey};

/// What the packer came to.
enum Choice {
    Made(Chosen),
    /// Stopped; after something was refused, or without.
    None {
        refused: bool,
    },
}

/// What is to go, and how it was recognised.
struct Chosen {
    what: SelfParcel,
    seen_by: &'static str,
}

pub(super) fn run(
    context: &Context<'_>,
    settings: &Settings,
    args: &PackArgs,
    by: &str,
    to: &str,
    (ears, ports): (&Ears, Option<&dyn KeyPorts>),
) -> Result<Exit, CliError> {
    let ledger = ledger::to_begin(settings)?;
    let (person, tenant, is_new) = person(context, settings, &ledger, to)?;
    let desk = Desk { context, ledger: &ledger, aaguid: args.aaguid.as_deref(), ports };
    let output = context.output;
    let shown = format!("{} <{}>", person.display_name, person.upn);
    let how = if args.plug { "Put the blank key into a port, or scan" } else { "Scan" };
    output.progress(&format!("For {shown}. {how} its serial number or label (`end` to stop):"));
    let chosen = match desk.choose(ears)? {
        Choice::Made(chosen) => chosen,
        Choice::None { refused } => {
            output.answer("Nothing was packed.");
            return Ok(if refused { Exit::SomeFailed } else { Exit::Done });
        }
    };
    let shipped = shipments(&ledger)?;
    free_of(&shipped, &chosen.what)?;
    let tracking = if args.no_tracking { None } else { desk.number(ears, &shipped)? };
    let parcel = number_of(&ledger, &person, &chosen.what)?;
    let what = for_people(&chosen.what);
    let act = Entry::Handover(HandoverEntry::SelfPacked {
        parcel: parcel.clone(),
        tenant,
        user: person.id.clone(),
        what: chosen.what.clone(),
        seen_by: chosen.seen_by.to_owned(),
        tracking: tracking.clone(),
        by: by.to_owned(),
    });
    let (head, ()) = settle(&ledger, || {
        // Read again: another desk may have packed the very key while the number was scanned.
        free_of(&shipments(&ledger)?, &chosen.what)?;
        let people = if is_new { vec![person.clone()] } else { Vec::new() };
        let append = (!args.dry_run).then(|| Append { people, ..Append::entry(act.clone()) });
        Ok((append, ()))
    })?;
    output.answer(&match args.dry_run {
        true => format!("{what} could go to {shown}. Nothing was written."),
        false => format!(
            "packed  {parcel}: {what}, for {shown}. The ledger's head is {head}.\n\
             Next: `keybench handover watch` waits until it is registered, and takes the pass away then."
        ),
    });
    output.json(&json!({
        "event": "self-packed", "parcel": parcel, "upn": person.upn, "what": what, "seen_by": chosen.seen_by,
        "tracking": tracking, "by": by, "head": head.to_string(), "dry_run": args.dry_run,
    }));
    Ok(Exit::Done)
}

/// Every shipment that the ledger knows.
pub(in crate::cli) fn shipments(ledger: &dyn Ledger) -> Result<Shipments, CliError> {
    let mut shipments = Shipments::default();
    ledger.visit(1, &mut |recorded| {
        shipments.add(&recorded);
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(shipments)
}

/// What was sent to somebody who registers themselves: by its own name, or by its person where they have nothing else.
pub(in crate::cli) fn shipped_by<'s>(
    ledger: &dyn Ledger,
    parcels: &Parcels,
    shipped: &'s Shipments,
    text: &str,
) -> Result<Option<&'s Shipment>, CliError> {
    if let Some(one) = shipped.named(text) {
        return Ok(Some(one));
    }
    let upn = Upn::parse(text);
    let person = ledger.people()?.into_iter().find(|person| Some(&person.upn) == upn.as_ref());
    let Some(person) = person else { return Ok(None) };
    let jobs = ledger.jobs(&JobFilter { user: Some(person.id.clone()), ..JobFilter::all() })?;
    if jobs.iter().any(|line| parcels.get(&line.job).is_some()) {
        return Ok(None);
    }
    let theirs: Vec<&Shipment> = shipped.all().iter().filter(|one| one.is_out() && one.user == person.id).collect();
    match theirs.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        several => {
            let named: Vec<&str> = several.iter().map(|one| one.parcel.as_str()).collect();
            let fact = format!("{} was sent several keys: parcels {}.", person.upn, named.join(", "));
            Err(CliError::new(Exit::Usage, "which-key", fact, "name one of them by its parcel or serial number."))
        }
    }
}

/// Who gets it: as the ledger knows them, else as the directory does. `true`: they are new to the ledger.
fn person(
    context: &Context<'_>,
    settings: &Settings,
    ledger: &dyn Ledger,
    to: &str,
) -> Result<(Person, TenantId, bool), CliError> {
    let Some(upn) = Upn::parse(to) else {
        let fact = format!("{} is no user principal name.", to.trim());
        return Err(CliError::new(Exit::Usage, "usage", fact, "name the person as name@domain."));
    };
    if let Some(known) = ledger.people()?.into_iter().find(|person| person.upn == upn) {
        let job = ledger.jobs(&JobFilter { user: Some(known.id.clone()), ..JobFilter::all() })?.into_iter().next();
        let tenant = match job {
            Some(job) => job.tenant,
            None => settings.tenant()?.id,
        };
        return Ok((known, tenant, false));
    }
    let at = AtTenant::sign_in(context)?;
    let found = at.person(upn.as_str())?;
    let name = found.display_name.unwrap_or_else(|| upn.to_string());
    let person = Person::new(found.id, found.upn.unwrap_or(upn), name);
    Ok((person, at.tenant.clone(), true))
}

/// The parcel's number: short enough to be read out, and another each time.
fn number_of(ledger: &dyn Ledger, person: &Person, what: &SelfParcel) -> Result<String, CliError> {
    let seed = format!("{} {what:?} {}", person.id, ledger.head()?);
    Ok(BlobHash::of(seed.as_bytes()).to_string().to_uppercase().chars().take(8).collect())
}

/// One key is in one parcel.
fn free_of(shipments: &Shipments, what: &SelfParcel) -> Result<(), CliError> {
    let named = match what {
        SelfParcel::Key { key: KeyRef { serial: Some(serial), .. }, .. } => serial.to_string(),
        SelfParcel::Key { label, .. } => label.clone().unwrap_or_default(),
        SelfParcel::Token { serial } => serial.clone(),
    };
    match shipments.named(&named) {
        Some(other) if !named.is_empty() => {
            let fact = format!("{} is in parcel {} already.", other.for_people(), other.parcel);
            let next =
                format!("look for that parcel; if it came back, `keybench handover end {} --returned`.", other.parcel);
            Err(CliError::new(Exit::SomeFailed, "packed-already", fact, next))
        }
        _ => Ok(()),
    }
}

struct Desk<'a> {
    context: &'a Context<'a>,
    ledger: &'a dyn Ledger,
    aaguid: Option<&'a str>,
    ports: Option<&'a dyn KeyPorts>,
}

impl Desk<'_> {
    /// Asks until something fits.
    fn choose(&self, ears: &Ears) -> Result<Choice, CliError> {
        let mut refused = false;
        loop {
            let chosen = match ears.hear() {
                Heard::End => return Ok(Choice::None { refused }),
                Heard::Line(line) => match line.trim() {
                    "" => continue,
                    "end" => return Ok(Choice::None { refused }),
                    text => self.named(text),
                },
                Heard::Plugged(plugged) => self.plugged(&plugged),
            };
            match chosen {
                Ok(chosen) => return Ok(Choice::Made(chosen)),
                Err(error) if error.exit == Exit::Ledger => return Err(error),
                Err(error) => {
                    refused = true;
                    self.context.output.error(&error);
                    self.context.output.progress("Scan another, or `end`:");
                }
            }
        }
    }

    fn named(&self, text: &str) -> Result<Chosen, CliError> {
        let stock = stock(self.ledger)?;
        if let Ok(code) = Code::parse(text) {
            if code.kind() != CodeKind::Key {
                let fact = format!("This is the code of a {}, not of a key.", code.kind().for_people());
                return Err(CliError::new(Exit::Usage, "not-a-code", fact, "scan the key's own label."));
            }
            // A key that tells its serial number has a label too: then the number counts.
            if let Some(known) = stock.with_label(&code) {
                let key = self.free(known, text)?;
                let label = Some(code.digits().to_owned());
                return Ok(Chosen { what: SelfParcel::Key { key, label }, seen_by: "label" });
            }
            let parcels = parcels(self.ledger)?;
            let serial = find(self.ledger, &parcels, text)?.parcel.serial.clone();
            let known = serial.as_ref().and_then(|serial| stock.with_serial(serial));
            let known = known.ok_or_else(|| self.unknown(text))?;
            return Ok(Chosen {
                what: SelfParcel::Key { key: self.free(known, text)?, label: None },
                seen_by: "label",
            });
        }
        let serial = Serial::new(text);
        match stock.with_serial(&serial) {
            Some(known) => {
                let mut key = self.free(known, text)?;
                key.serial = Some(serial);
                Ok(Chosen { what: SelfParcel::Key { key, label: None }, seen_by: "serial" })
            }
            None if stock.has_token(text) => {
                Ok(Chosen { what: SelfParcel::Token { serial: text.to_owned() }, seen_by: "serial" })
            }
            None => Err(self.unknown(text)),
        }
    }

    fn plugged(&self, plugged: &PluggedKey) -> Result<Chosen, CliError> {
        let Some(ports) = self.ports else { return Err(self.unknown("a key in a port")) };
        let look = Look::at(ports, plugged, &key::tools());
        if let Some((code, why)) = look.unfit() {
            let fact = format!("The key in port {} is not blank and fit: {why}", plugged.port);
            return Err(
                CliError::new(Exit::SomeFailed, "not-blank", fact, "put it aside and take another.").because(code)
            );
        }
        let Some(key) = look.key_ref() else { return Err(key::closed(&look.seen, plugged)) };
        let stock = stock(self.ledger)?;
        if let Some(known) = key.serial.as_ref().and_then(|serial| stock.with_serial(serial)) {
            self.free(known, &key.for_people())?;
        }
        if key.serial.is_none() {
            let fact = "This key tells no serial number: in a parcel nobody could tell it from another.";
            let next = "scan its label, if it has one of ours; else take a key with a serial number.";
            return Err(CliError::new(Exit::SomeFailed, "not-blank", fact, next));
        }
        Ok(Chosen { what: SelfParcel::Key { key, label: None }, seen_by: "plugged" })
    }

    /// The key, if it is nobody's and its model is known: the model is what tells its method in the tenant.
    fn free(&self, known: &Stocked, shown: &str) -> Result<KeyRef, CliError> {
        if !known.state.is_free() {
            let fact = format!("{shown} is no blank key: it is noted as {}.", known.state.word());
            let next = match known.state {
                KeyState::NotWiped | KeyState::Refused => {
                    "`keybench key reset` wipes it; `keybench return` notes that."
                }
                _ => "`keybench show` tells whose it is; take another key.",
            };
            return Err(CliError::new(Exit::SomeFailed, "not-blank", fact, next));
        }
        if let Some(key) = &known.key {
            return Ok(key.clone());
        }
        let Some(text) = self.aaguid else {
            let fact = format!("{shown} was never in a port here, so that its model is not known.");
            let next = "put it into a port (--plug), or name its model with --aaguid.";
            return Err(CliError::new(Exit::SomeFailed, "model-unknown", fact, next)
                .because("The model is what its new method in the tenant is known by."));
        };
        let aaguid = Aaguid::parse(text.trim()).ok_or_else(|| {
            let fact = format!("{} is no AAGUID.", text.trim());
            CliError::new(Exit::Usage, "usage", fact, "write it as 2fc0579f-8113-47ea-b116-bb5a8db9202a.")
        })?;
        Ok(KeyRef { aaguid, serial: None, firmware: None, model: None, port: PortName::new("none") })
    }

    fn unknown(&self, shown: &str) -> CliError {
        let fact = format!("{shown} is no key and no token of the stock.");
        let next = "scan it in with `keybench stock receive`, or a token with `keybench oath import`.";
        CliError::new(Exit::SomeFailed, "strange-key", fact, next)
    }

    fn number(&self, ears: &Ears, shipments: &Shipments) -> Result<Option<String>, CliError> {
        let parcels = parcels(self.ledger)?;
        loop {
            self.context.output.progress("Scan the carrier's number (or type `none`):");
            let line = match ears.hear() {
                Heard::End => return Ok(None),
                Heard::Line(line) => line.trim().to_owned(),
                Heard::Plugged(_) => continue,
            };
            let is_taken = parcels.by_tracking(&line).is_some() || shipments.named(&line).is_some();
            let fits = line.len() <= 60 && !line.chars().any(char::is_control) && Code::parse(&line).is_err();
            match line.as_str() {
                "" => {}
                "none" => return Ok(None),
                _ if is_taken => {
                    let fact = "This carrier's number is on another parcel already.";
                    let error =
                        CliError::new(Exit::SomeFailed, "number-twice", fact, "scan the number of this parcel.");
                    self.context.output.error(&error);
                }
                _ if fits => return Ok(Some(line)),
                _ => self.context.output.warning("that was no carrier's number; it changed nothing."),
            }
        }
    }
}
