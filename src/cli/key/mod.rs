//! `keybench key`: the keys in the ports of this machine.

mod blink;
mod info;
pub(super) mod look;
pub(super) mod recognise;
mod reset;

use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;

use self::look::{Look, Seen};
use super::interrupt::interrupted;
use super::prompt::Terminal;
use super::{CliError, Context, Exit};
use crate::ctap2::Limits;
use crate::ctap2::hid::usb::UsbPorts;
use crate::ctap2::session::Tools;
use crate::platform::unseen;
use crate::world::{KeyPorts, Operator, PluggedKey, SystemClock, SystemEntropy};

/// `keybench key …`
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// The keys in the ports
    List(ListArgs),
    /// What one key can do and what state it is in
    Info(InfoArgs),
    /// Let a key blink until it is touched: which one is it?
    Blink(BlinkArgs),
    /// Wipe a key: PIN and all passkeys on it are gone
    ///
    /// Asks for the last four characters of the serial number (or the port's name), then for a re-plug and a touch.
    Reset(ResetArgs),
}

/// `keybench key list`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench key list
  keybench key list --json
  keybench key list --unopened        ports and what USB says; no key is talked to")]
pub struct ListArgs {
    /// Talk to no key: only its port and what USB says of it
    #[arg(long)]
    pub unopened: bool,
}

/// `keybench key info`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench key info                    the only key there is
  keybench key info --port 1-4.2")]
pub struct InfoArgs {
    /// Which key
    #[command(flatten)]
    pub which: Which,
}

/// `keybench key blink`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench key blink --port 1-4.2
  keybench key blink --serial 19283746 --json

Nothing on the key changes. It waits for a touch about half a minute.")]
pub struct BlinkArgs {
    /// Which key
    #[command(flatten)]
    pub which: Which,
}

/// `keybench key reset`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench key reset --serial 19283746
  keybench key reset --port 1-4.2

The key must be named. A serial number on [bench] never is refused.")]
pub struct ResetArgs {
    /// Which key
    #[command(flatten)]
    pub which: Which,
}

/// One key, by port or serial number.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
pub struct Which {
    /// The key in this port
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// The key with this serial number
    #[arg(long, value_name = "SERIAL")]
    pub serial: Option<String>,
}

impl Which {
    fn is_named(&self) -> bool {
        self.port.is_some() || self.serial.is_some()
    }
}

pub(super) fn run(context: &Context<'_>, command: &KeyCommand) -> Result<Exit, CliError> {
    if let KeyCommand::Reset(args) = command
        && !args.which.is_named()
    {
        let fact = "Which key is to be wiped has to be said.";
        return Err(CliError::new(
            Exit::Usage,
            "usage",
            fact,
            "name it with --serial or --port; see `keybench key list`.",
        ));
    }
    let ports = UsbPorts::new()?;
    match command {
        KeyCommand::List(args) if args.unopened => unopened(context, &ports),
        KeyCommand::List(_) => list(context, &ports),
        KeyCommand::Blink(args) => blink::run(context, &ports, &tools(), &args.which, &interrupted()),
        KeyCommand::Info(args) => info(context, &ports, &args.which),
        KeyCommand::Reset(args) => {
            let settings = context.settings()?;
            reset(context, &settings, &ports, &Terminal::new(context.output), &args.which)
        }
    }
}

/// Wipes one key, as `key reset` does: with a typed word, a re-plug and a touch.
pub(super) fn reset(
    context: &Context<'_>,
    settings: &crate::config::Settings,
    ports: &dyn KeyPorts,
    operator: &dyn Operator,
    which: &Which,
) -> Result<Exit, CliError> {
    reset::run(context, settings, ports, operator, &tools(), which, &interrupted())
}

/// What talking to a key takes.
pub(super) fn tools() -> Tools {
    Tools { clock: Arc::new(SystemClock::new()), entropy: Arc::new(SystemEntropy), limits: Limits::default() }
}

fn list(context: &Context<'_>, ports: &dyn KeyPorts) -> Result<Exit, CliError> {
    let plugged = ports.list()?;
    if plugged.is_empty() {
        return Err(no_key());
    }
    for (event, text) in each_at_once(&plugged, |key| {
        let look = Look::at(ports, key, &tools());
        let (serial, aaguid) = (look.serial(), look.aaguid());
        let event = json!({
            "event": "key", "port": key.port, "serial": serial, "aaguid": aaguid, "model": look.model(),
            "vendor_id": format!("{:04x}", key.vendor_id), "product_id": format!("{:04x}", key.product_id),
            "fit": look.unfit().is_none(), "code": look.unfit().map(|unfit| unfit.0),
        });
        let named = serial.map_or_else(|| "no serial number".to_owned(), |serial| format!("serial {serial}"));
        let stands = look.unfit().map_or_else(|| "blank, fit for use".to_owned(), |(_, why)| why);
        (event, format!("{:<10} {}, {named}\n           {stands}", key.port.as_str(), look.model()))
    }) {
        context.output.json(&event);
        context.output.answer(&text);
    }
    Ok(Exit::Done)
}

/// Does it with every key at the same time, for a key takes its time to answer and a busy one more; what came of it is in the keys' order.
fn each_at_once<T: Send>(keys: &[PluggedKey], act: impl Fn(&PluggedKey) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = keys.iter().map(|key| scope.spawn(|| act(key))).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

fn unopened(context: &Context<'_>, ports: &dyn KeyPorts) -> Result<Exit, CliError> {
    let plugged = ports.list()?;
    if plugged.is_empty() {
        return Err(no_key());
    }
    for key in &plugged {
        let (vendor, product) = (format!("{:04x}", key.vendor_id), format!("{:04x}", key.product_id));
        context.output.answer(&format!("{:<10} {vendor}:{product} {}", key.port.as_str(), key.product.trim()));
        context.output.json(&json!({
            "event": "key", "port": key.port, "model": key.product.trim(), "vendor_id": vendor, "product_id": product,
            "usb_serial": key.usb_serial,
        }));
    }
    Ok(Exit::Done)
}

fn info(context: &Context<'_>, ports: &dyn KeyPorts, which: &Which) -> Result<Exit, CliError> {
    let tools = tools();
    let (key, look) = choose(ports, which, &tools)?;
    info::show(context, &key, look)
}

/// The key that is meant, opened.
pub(super) fn choose(ports: &dyn KeyPorts, which: &Which, tools: &Tools) -> Result<(PluggedKey, Look), CliError> {
    let plugged = ports.list()?;
    if plugged.is_empty() {
        return Err(no_key());
    }
    let seen = |keys: &[PluggedKey]| {
        keys.iter().map(|key| format!("port {}: {}", key.port, key.product.trim())).collect::<Vec<_>>()
    };
    let wrong = |fact: String| {
        let mut error = CliError::new(Exit::Keys, "which-key", fact, "name one with --port or --serial.");
        error.causes = seen(&plugged);
        error
    };
    if let Some(port) = &which.port {
        let key = plugged.iter().find(|key| key.port.as_str() == port);
        let key = key.ok_or_else(|| wrong(format!("There is no key in port {port}.")))?;
        return Ok((key.clone(), Look::at(ports, key, tools)));
    }
    if let Some(serial) = &which.serial {
        // Only the keys themselves know their serial numbers; each is let go again at once.
        for key in &plugged {
            let look = Look::at(ports, key, tools);
            if look.serial().is_some_and(|found| found.as_str().eq_ignore_ascii_case(serial)) {
                return Ok((key.clone(), look));
            }
        }
        return Err(wrong(format!("No key tells the serial number {serial}.")));
    }
    match plugged.as_slice() {
        [only] => Ok((only.clone(), Look::at(ports, only, tools))),
        many => Err(wrong(format!("There are {} keys.", many.len()))),
    }
}

fn no_key() -> CliError {
    let error = CliError::new(Exit::Keys, "no-key", "There is no security key in any port.", "put one in.");
    if let Some(advice) = crate::platform::rights::before_the_first_key() {
        return CliError { next: format!("{}.", advice.next), ..error }
            .because(format!("{}. {}", advice.fact, advice.cause));
    }
    match unseen::why(&unseen::signs()) {
        Some(unseen) => CliError { next: format!("{}.", unseen.next), ..error }.because(unseen.cause),
        None => error,
    }
}

/// Why a key can't be talked to, as an error.
pub(super) fn closed(seen: &Seen, key: &PluggedKey) -> CliError {
    let Seen::Closed { code, what } = seen else {
        let fact = format!("The key in port {} does not speak CTAP2.", key.port);
        return CliError::new(Exit::Keys, "key-trouble", fact, "use a FIDO2 key.");
    };
    let fact = format!("The key in port {} can't be opened.", key.port);
    match *code {
        "no-right" => {
            let advice = crate::platform::rights::no_right_to_open();
            CliError::new(Exit::Keys, "no-right", fact, format!("{}.", advice.next)).because(advice.cause)
        }
        "no-node" => {
            let next =
                "in a container run keybench on the machine itself; elsewhere re-plug the key, and see that udev runs.";
            CliError::new(Exit::Keys, "key-trouble", fact, next).because(what.clone())
        }
        "in-use" => {
            let next = "close that program (or the running bench), then try again.";
            CliError::new(Exit::Keys, "key-in-use", fact, next).because(what.clone())
        }
        _ => {
            let next = "re-plug it and try again; if it stays so, put it aside.";
            CliError::new(Exit::Keys, "key-trouble", fact, next).because(what.clone())
        }
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests;
