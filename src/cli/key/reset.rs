//! `keybench key reset`: wipes one key that was named.
//!
//! Promise: nothing is wiped without a typed word, nor is any other key than the one that was named: after the re-plug the key
//! has to be the same again. Exception: of two keys of one model without serial numbers, swapped in the same port, nobody can
//! tell; the question says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use serde_json::json;

use super::look::{Look, Seen};
use super::{Which, choose, closed};
use crate::cli::{CliError, Context, Exit};
use crate::config::Settings;
use crate::ctap2::command::reset::ResetError;
use crate::ctap2::session::{Opened, ResetFailed, Tools};
use crate::ctap2::{Keepalive, Watching};
use crate::ledger::{Ledger, LedgerError, open_reader};
use crate::model::KeyRef;
use crate::pipeline::earlier::{Earlier, EarlierKeys, Stands};
use crate::world::{KeyPorts, Operator, PluggedKey, PortEvent};

/// How long the operator has for taking the key out and putting it back.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) fn run(
    context: &Context<'_>,
    settings: &Settings,
    ports: &dyn KeyPorts,
    operator: &dyn Operator,
    tools: &Tools,
    which: &Which,
    stop: &Arc<AtomicBool>,
) -> Result<Exit, CliError> {
    let (plugged, look) = choose(ports, which, tools)?;
    let Some(key) = look.key_ref() else { return Err(closed(&look.seen, &plugged)) };
    if let Some(serial) = key.serial.as_ref().filter(|serial| settings.bench.never.contains(serial)) {
        let fact = format!("The key with serial number {serial} is on [bench] never; it was not touched.");
        return Err(CliError::new(
            Exit::Usage,
            "not-reset",
            fact,
            "if it is to be wiped, take it off that list first.",
        ));
    }
    let over_usb = look.info().and_then(|info| info.transports_for_reset.as_ref());
    if over_usb.is_some_and(|over| !over.iter().any(|transport| transport == "usb")) {
        return Err(not_reset(&key, &ResetError::NotOverUsb));
    }
    let long = look.info().is_some_and(|info| info.long_touch_for_reset == Some(true));
    let word = word_for(&key);
    let question = question(&key, &look, loss(settings, &key)?.as_deref(), &word);
    // Let go of it: it is about to be pulled, and whatever talked to it last should be us again.
    drop(look);
    if !operator.confirm(&question, &word) {
        let fact = "Nothing was wiped: the word was not typed.";
        let next = format!("run it again at a terminal and type {word}.");
        return Err(CliError::new(Exit::Usage, "not-confirmed", fact, next));
    }
    let events = ports.watch()?;
    operator.tell(&format!("Take the key out of port {} and put it back in.", plugged.port));
    let again = replugged(&events, &plugged, stop)?;
    let look = Look::at(ports, &again, tools);
    match look.key_ref() {
        Some(found) if is_the_same(&key, &found) => {}
        Some(found) => {
            let fact =
                format!("The key in port {} is another one ({}); nothing was wiped.", again.port, found.for_people());
            return Err(CliError::new(Exit::Keys, "not-reset", fact, "run it again, and put the same key back."));
        }
        None => return Err(closed(&look.seen, &again)),
    }
    let touch = if long { "Touch the key now, for at least five seconds." } else { "Touch the key now." };
    let mut asked = false;
    let mut watch = Watching::new(Arc::clone(stop), |keepalive| {
        if keepalive == Keepalive::TouchNeeded && !asked {
            asked = true;
            operator.tell(touch);
        }
    });
    let done = match look.seen {
        Seen::Blank(session) => session.reset(&mut watch),
        Seen::PinSet(session) => session.reset(&mut watch),
        Seen::NoPin(session) => session.reset(&mut watch),
        other => return Err(closed(&other, &again)),
    };
    match done {
        Ok(Opened::PinSet(_)) => {
            let fact = format!("{} says that it was reset, and still has a PIN.", key.for_people());
            Err(CliError::new(Exit::Keys, "not-reset", fact, "put it aside: it is faulty."))
        }
        Ok(_) => {
            context.output.answer(&format!("{} is wiped: no PIN, no passkeys.", key.for_people()));
            context.output.json(&json!({
                "event": "key-reset", "port": again.port, "serial": key.serial, "aaguid": key.aaguid,
            }));
            Ok(Exit::Done)
        }
        Err(ResetFailed { error, .. }) => Err(not_reset(&key, &error)),
    }
}

/// What has to be typed: the end of the serial number, else the port's name.
fn word_for(key: &KeyRef) -> String {
    match &key.serial {
        Some(serial) => {
            let text = serial.as_str();
            let start = text.char_indices().rev().nth(3).map_or(0, |(index, _)| index);
            text.get(start..).unwrap_or(text).to_owned()
        }
        None => key.port.to_string(),
    }
}

fn question(key: &KeyRef, look: &Look, loss: Option<&str>, word: &str) -> String {
    let mut text =
        format!("This wipes {} in port {} for good: its PIN and every passkey on it.", key.for_people(), key.port);
    if look.info().is_some_and(|info| info.pin_is_set() == Some(true)) {
        text.push_str("\n  It has a PIN: somebody may be using it.");
    }
    if key.serial.is_none() {
        text.push_str("\n  It tells no serial number: make sure that the same key goes back in.");
    }
    if let Some(loss) = loss {
        text.push_str(&format!("\n  {loss}"));
    }
    let what = if key.serial.is_some() { "the end of its serial number" } else { "its port" };
    format!("{text}\nTo wipe it, type {what} ({word}).")
}

/// What would be lost with this key, as the ledger knows it.
fn loss(settings: &Settings, key: &KeyRef) -> Result<Option<String>, CliError> {
    let ledger = match open_reader(&settings.ledger.path) {
        Ok(ledger) => ledger,
        Err(LedgerError::Missing { .. }) => return Ok(None),
        // Better not wiped than wiped unknowing.
        Err(error) => return Err(error.into()),
    };
    let Some(Earlier { job, user, stands }) = EarlierKeys::default().of(&ledger, key)? else { return Ok(None) };
    let who = ledger.person(&user)?.map_or_else(|| user.to_string(), |known| known.upn.to_string());
    Ok(Some(match stands {
        Stands::Finished => format!(
            "It is the finished key of {who} (job {job}): they could not sign in with it any more, and its registration \
             stays in the tenant until somebody deletes it."
        ),
        Stands::Held => format!(
            "It is the held key of {who} (job {job}): its registration could be sent and would open nothing. `keybench \
             return` ends the hold and wipes it."
        ),
        Stands::Begun => {
            format!("It was begun for {who} (job {job}): that try would be over, and the next run takes another key.")
        }
    }))
}

/// The same key's next stay.
fn replugged(
    events: &std::sync::mpsc::Receiver<PortEvent>,
    before: &PluggedKey,
    stop: &AtomicBool,
) -> Result<PluggedKey, CliError> {
    let deadline = Instant::now() + PATIENCE;
    let mut out = false;
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(CliError::new(
                Exit::Interrupted,
                "interrupted",
                "Interrupted; nothing was wiped.",
                "run it again.",
            ));
        }
        if Instant::now() > deadline {
            let fact = "The key was not taken out and put back in; nothing was wiped.";
            return Err(CliError::new(Exit::Keys, "not-reset", fact, "run it again."));
        }
        match events.recv_timeout(Duration::from_millis(50)) {
            Ok(PortEvent::Unplugged { plug, .. }) if plug == before.plug => out = true,
            // Keys that were there all the time come first, and are not meant; nor are others that come before ours has left.
            Ok(PortEvent::Plugged(key)) if out && !key.present_at_start => {
                let same_model = (key.vendor_id, key.product_id) == (before.vendor_id, before.product_id);
                if same_model || key.port == before.port {
                    return Ok(key);
                }
            }
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let fact = "The ports can't be watched any longer; nothing was wiped.";
                return Err(CliError::new(Exit::Keys, "no-ports", fact, "run `keybench doctor`."));
            }
        }
    }
}

fn is_the_same(before: &KeyRef, after: &KeyRef) -> bool {
    before.resembles(after)
}

fn not_reset(key: &KeyRef, error: &ResetError) -> CliError {
    let next = match error {
        ResetError::TooLate => "run it again, and leave the key alone between plugging and touching.",
        ResetError::Declined | ResetError::NotTouched => "run it again, and touch the key when it blinks.",
        ResetError::NotOverUsb => "reset it over NFC, with its maker's tool.",
        ResetError::Ctap(_) => "run `keybench key info` to see what state it is in, then try again.",
    };
    let fact = format!("{} was not reset.", key.for_people());
    CliError::new(Exit::Keys, "not-reset", fact, next).because(format!("{error}."))
}
