//! `keybench key blink`: one key blinks until it is touched (authenticatorSelection), to find out which one it is. Changes nothing.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::json;

use super::look::Seen;
use super::{Which, choose, closed};
use crate::cli::{CliError, Context, Exit};
use crate::ctap2::session::Tools;
use crate::ctap2::{CtapError, Keepalive, Watching};
use crate::world::KeyPorts;

pub(super) fn run(
    context: &Context<'_>,
    ports: &dyn KeyPorts,
    tools: &Tools,
    which: &Which,
    stop: &Arc<AtomicBool>,
) -> Result<Exit, CliError> {
    let (key, look) = choose(ports, which, tools)?;
    let serial = look.serial();
    let name = look.key_ref().map_or_else(|| format!("The key in port {}", key.port), |key| key.for_people());
    let mut asked = false;
    let mut watch = Watching::new(Arc::clone(stop), |keepalive| {
        if keepalive == Keepalive::TouchNeeded && !asked {
            asked = true;
            context.output.progress(&format!("{name} blinks. Touch it."));
            context.output.json(&json!({ "event": "touch", "port": key.port, "serial": serial }));
        }
    });
    let touched = match look.seen {
        Seen::Blank(mut session) => session.selection(&mut watch),
        Seen::PinSet(mut session) => session.selection(&mut watch),
        Seen::NoPin(mut session) => session.selection(&mut watch),
        other => return Err(closed(&other, &key)),
    };
    match touched {
        Ok(()) => {
            context.output.answer(&format!("{name} in port {} was touched.", key.port));
            context.output.json(&json!({ "event": "touched", "port": key.port, "serial": serial }));
            Ok(Exit::Done)
        }
        Err(error) => Err(untouched(&name, &error)),
    }
}

fn untouched(name: &str, error: &CtapError) -> CliError {
    let (fact, next) = if error.is_no_touch() {
        (format!("{name} was not touched."), "run it again, and touch the key that blinks.")
    } else {
        (format!("{name} could not be made to blink."), "old keys can't; take it out and see which port is left empty.")
    };
    CliError::new(Exit::Keys, "key-trouble", fact, next).because(format!("{error}."))
}
