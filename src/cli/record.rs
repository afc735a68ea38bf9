//! `keybench record`: writes down a conversation with one key, so that it can be played back where the key is not.
//!
//! Promise: secrets are blanked before they reach the file ([`crate::ctap2::hid::transcript`]), and what is written is played back at
//! once: a record that would help nobody is an error. `inspection` and `touch` change nothing on the key and spend no PIN try.
//! `provision` does the main job on it, against a simulated tenant, and leaves a bench behind whose custodian opens the PIN.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::interrupt::interrupted;
use super::key::look::{Look, Seen};
use super::key::{closed, tools};
use super::prompt::Terminal;
use super::{CliError, Context, Exit};
use crate::ctap2::hid::tap::Tapped;
use crate::ctap2::hid::transcript::{Replay, remark};
use crate::ctap2::hid::usb::UsbPorts;
use crate::ctap2::session::{Tools, open};
use crate::ctap2::{Keepalive, Watching};
use crate::logging::traffic_file;
use crate::world::{KeyPorts, Operator, PluggedKey};

/// `keybench record`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench record --port 1-4.2 --out yubikey-5.7.jsonl
  keybench record --port 1-4.2 --out y.jsonl --what touch         the key blinks, and is touched
  keybench record --port 1-4.2 --out y.jsonl --what provision     a blank key: the whole job on it
  keybench record --port 1-4.2 --out y.jsonl --dry-run            say what would be done

PINs, all that is made of them, tokens, key agreement and people's names are blanked as they are
written; the serial number is not. hw-tests/README.md says how such a file helps.")]
pub struct RecordArgs {
    /// The key in this port (see keybench key list --unopened)
    #[arg(long, value_name = "PORT")]
    pub port: String,
    /// A new file for the conversation
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// What to talk about
    #[arg(long, value_enum, default_value_t = What::Inspection)]
    pub what: What,
    /// For `provision`: a new folder for ledger and custodian's identity [else FILE.bench]
    #[arg(long, value_name = "DIR")]
    pub bench: Option<PathBuf>,
    /// Say what would be done, and open no key
    #[arg(long)]
    pub dry_run: bool,
}

/// What a recording is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Serial number, getInfo, PIN tries left; changes nothing, needs no touch
    Inspection,
    /// The same, then the key blinks until it is touched; changes nothing
    Touch,
    /// The main job on a blank key, against a simulated tenant: it has a PIN and a passkey afterwards
    Provision,
}

impl What {
    fn word(self) -> &'static str {
        match self {
            Self::Inspection => "inspection",
            Self::Touch => "touch",
            Self::Provision => "provision",
        }
    }
}

/// `keybench record`, whole.
///
/// # Errors
/// When there is no such key, the file is there already, or the conversation can't be played back.
pub fn run(context: &Context<'_>, args: &RecordArgs) -> Result<Exit, CliError> {
    if args.out.exists() {
        let fact = format!("{} is there already.", args.out.display());
        return Err(CliError::new(Exit::Usage, "unwritable", fact, "name a new file with --out."));
    }
    if args.dry_run {
        return planned(context, args);
    }
    let ports = UsbPorts::new()?;
    match args.what {
        What::Provision => provision(context, args, &ports),
        What::Inspection | What::Touch => {
            let terminal = Terminal::new(context.output);
            inspect(context, args, &ports, &terminal, &tools())
        }
    }
}

fn planned(context: &Context<'_>, args: &RecordArgs) -> Result<Exit, CliError> {
    let does = match args.what {
        What::Inspection => "its serial number, getInfo and PIN tries left would be asked; nothing on it would change",
        What::Touch => "it would be looked at and blink until it is touched; nothing on it would change",
        What::Provision => {
            "it would get a PIN and a passkey of a simulated tenant, and would have to be reset afterwards"
        }
    };
    let text = format!("The key in port {}: {does}. {} would be written.", args.port, args.out.display());
    context.output.answer(&text);
    context
        .output
        .json(&json!({ "event": "would-record", "port": args.port, "what": args.what.word(), "out": args.out }));
    Ok(Exit::Done)
}

/// The key in the port that was named; no other is opened.
fn find(ports: &dyn KeyPorts, port: &str) -> Result<PluggedKey, CliError> {
    let plugged = ports.list()?;
    let seen = plugged.iter().map(|key| format!("port {}: {}", key.port, key.product.trim())).collect();
    plugged.into_iter().find(|key| key.port.as_str() == port).ok_or_else(|| {
        let fact = format!("There is no key in port {port}.");
        let next = "name a port of `keybench key list --unopened`.";
        let mut error = CliError::new(Exit::Keys, "which-key", fact, next);
        error.causes = seen;
        error
    })
}

fn unwritable(path: &Path, cause: &dyn std::fmt::Display) -> CliError {
    let fact = format!("{} can't be written.", path.display());
    CliError::new(Exit::Usage, "unwritable", fact, "name another file with --out.").because(cause.to_string())
}

fn inspect(
    context: &Context<'_>,
    args: &RecordArgs,
    ports: &dyn KeyPorts,
    operator: &dyn Operator,
    tools: &Tools,
) -> Result<Exit, CliError> {
    let key = find(ports, &args.port)?;
    let mut file = traffic_file(&args.out)?;
    file.write_all(remark(&key).as_bytes()).map_err(|error| unwritable(&args.out, &error))?;
    drop(file);
    let out = args.out.clone();
    let writer = Box::new(move |_| {
        let file = fs::OpenOptions::new().append(true).open(&out);
        file.ok().map(|file| Box::new(file) as Box<dyn std::io::Write + Send>)
    });
    let tapped = Tapped::new(ports, Arc::clone(&tools.clock), writer);
    let mut look = Look::at(&tapped, &key, tools);
    if let Seen::Closed { .. } = look.seen {
        // Nothing was said, so nothing is kept.
        let _ = fs::remove_file(&args.out);
        return Err(closed(&look.seen, &key));
    }
    if let Seen::PinSet(session) = &mut look.seen {
        // A counter that can't be read is in the record as well.
        let _ = session.pin_retries();
    }
    if args.what == What::Touch {
        let mut asked = false;
        let mut watch = Watching::new(interrupted(), |keepalive| {
            if keepalive == Keepalive::TouchNeeded && !asked {
                asked = true;
                operator.tell("Touch the key now.");
            }
        });
        let touched = match &mut look.seen {
            Seen::Blank(session) => session.selection(&mut watch),
            Seen::PinSet(session) => session.selection(&mut watch),
            Seen::NoPin(session) => session.selection(&mut watch),
            Seen::U2f(_) | Seen::Closed { .. } => Ok(()),
        };
        if let Err(error) = touched {
            context.output.warning(&format!("The touch is recorded as it went: {error}."));
        }
    }
    drop(look);
    done(context, args, &key, tools)
}

/// The main job on the key, with the settings of a bench that is made for it.
#[cfg(feature = "sim")]
fn provision(context: &Context<'_>, args: &RecordArgs, ports: &dyn KeyPorts) -> Result<Exit, CliError> {
    use std::time::Duration;

    use super::Global;
    use super::demo::{Folder, open_tenant, roster_only};
    use super::run::{Asked, execute, prepare};
    use crate::pipeline::bench::Ports;
    use crate::provision::Bounds;
    use crate::sim::scenario::Scenario;

    let key = find(ports, &args.port)?;
    let look = Look::at(ports, &key, &tools());
    if let Seen::Closed { .. } = look.seen {
        return Err(closed(&look.seen, &key));
    }
    if let Some((code, why)) = look.unfit() {
        let fact = format!("The key in port {} can't be provisioned: {why}.", key.port);
        let next = super::codes::next_step(code).unwrap_or("Use another key.");
        return Err(super::causes::told(Exit::Keys, code, &format!("{fact} Next: {next}"), next));
    }
    drop(look);
    let wish = args.bench.clone().unwrap_or_else(|| {
        let mut name = args.out.clone().into_os_string();
        name.push(".bench");
        name.into()
    });
    let scenario = Scenario::generated(1, 1, 1);
    let tenant = open_tenant(&scenario)?;
    let folder = Folder::new(Some(&wish))?;
    folder.furnish(&scenario, &tenant)?;
    let global = Global { config: Some(folder.path("keybench.toml")), ..context.global.clone() };
    let inside = Context { global: &global, output: context.output, environment: &|_| None };
    let prepared = prepare(&inside, &roster_only(folder.path("roster.csv")))?;
    let asked = Asked {
        group: None,
        ports: Ports::Named([key.port.clone()].into()),
        strict: false,
        bounds: Bounds { idle: Duration::from_secs(120), ..Bounds::default() },
        resume_dir: folder.path("resume"),
        stand: None,
        traffic: Some(folder.path("traffic")),
    };
    let (exit, _) = execute(&inside, prepared, asked)?;
    tenant.shutdown();
    gather(&folder.path("traffic"), &args.out, &key)?;
    let wipe = "Wipe the key before it is used: `keybench key reset`";
    context.output.progress(&format!("The custodian who opens its PIN is in {}. {wipe}.", wish.display()));
    done(context, args, &key, &tools())?;
    Ok(exit)
}

#[cfg(not(feature = "sim"))]
fn provision(_: &Context<'_>, _: &RecordArgs, _: &dyn KeyPorts) -> Result<Exit, CliError> {
    let fact = "This build has no simulated tenant to provision a key for.";
    Err(CliError::new(
        Exit::Usage,
        "not-built",
        fact,
        "use a build with the feature `sim`, or `keybench run --traffic`.",
    ))
}

/// The longest stay is the one in which the work was done; others are looks at what is in the port.
#[cfg(feature = "sim")]
fn gather(traffic: &Path, out: &Path, key: &PluggedKey) -> Result<(), CliError> {
    let files = fs::read_dir(traffic).map_err(|error| unwritable(out, &error))?;
    let longest = files.flatten().max_by_key(|file| file.metadata().map_or(0, |meta| meta.len()));
    let text = match longest.map(|file| fs::read(file.path())) {
        Some(Ok(text)) => text,
        Some(Err(error)) => return Err(unwritable(out, &error)),
        None => Vec::new(),
    };
    let mut file = crate::platform::private::append_private(out)?;
    file.write_all(remark(key).as_bytes()).and_then(|()| file.write_all(&text)).map_err(|error| unwritable(out, &error))
}

/// Plays back what was written, and says what there is.
fn done(context: &Context<'_>, args: &RecordArgs, key: &PluggedKey, tools: &Tools) -> Result<Exit, CliError> {
    let messages = plays_back(&args.out, key, tools).map_err(|cause| {
        let fact = format!("What was written to {} can't be played back.", args.out.display());
        CliError::new(Exit::Fault, "unexpected", fact, "please report this, with the file.").because(cause)
    })?;
    context.output.answer(&format!("{messages} messages in {}; it plays back.", args.out.display()));
    context.output.json(&json!({
        "event": "recorded", "port": key.port, "what": args.what.word(), "out": args.out, "messages": messages,
    }));
    Ok(Exit::Done)
}

fn plays_back(out: &Path, key: &PluggedKey, tools: &Tools) -> Result<usize, String> {
    let text = fs::read_to_string(out).map_err(|error| error.to_string())?;
    let replay = Replay::new(&text).map_err(|error| error.to_string())?;
    let messages = replay.messages();
    open(Box::new(replay), key, tools).map_err(|error| error.to_string())?;
    Ok(messages)
}

#[cfg(all(test, feature = "sim"))]
#[path = "record_tests.rs"]
mod tests;
