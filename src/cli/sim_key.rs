//! `keybench sim key`.

use std::path::PathBuf;

use clap::Args;

use super::{CliError, Context, Exit};

/// `keybench sim key`
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  keybench sim key --uhid                one key, touched from the keyboard: touch 1 now
  keybench sim key --uhid --touch        one key that counts as touched at once
  keybench sim key --uhid --model titan-v2 --count 8 --control /run/keys.sock

Control, a line at a time, words or JSON, one line of JSON back:
  list · plug, unplug, power-cycle, mend, fresh [KEY|all]
  touch KEY|all now|hand|at-once|after MS|never|decline
  touch-timeout KEY|all MS · drop, corrupt KEY|all PACKET · foreign KEY|all · fault KEY|all JSON
  inspect KEY · pin-is KEY PIN · quit")]
pub struct KeyArgs {
    /// As USB HID devices of this machine, on /dev/uhid (Linux)
    #[arg(long, required = true)]
    pub uhid: bool,
    /// The model, by its id or as a file (fixtures/models/README.md)
    #[arg(long, value_name = "MODEL|FILE.toml", default_value = "yubikey-5-nfc")]
    pub model: String,
    /// The first key's serial number as the model tells it; the others follow
    #[arg(long, value_name = "SERIAL")]
    pub serial: Option<String>,
    /// How many keys
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub count: u32,
    /// Number of the first port, where other virtual keys are there already
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub first_port: u32,
    /// A PIN that is set already
    #[arg(long, value_name = "PIN")]
    pub pin: Option<String>,
    /// A touch comes by itself as soon as a key blinks
    #[arg(long)]
    pub touch: bool,
    /// Not plugged in until told so
    #[arg(long)]
    pub unplugged: bool,
    /// Take commands on this Unix socket, not from stdin
    #[arg(long, value_name = "SOCKET")]
    pub control: Option<PathBuf>,
}

/// `keybench sim key`, whole.
///
/// # Errors
/// When there is no uhid, no right to it, no such model or serial number.
#[cfg(target_os = "linux")]
pub fn run(context: &Context<'_>, args: &KeyArgs) -> Result<Exit, CliError> {
    linux::run(context, args)
}

/// `keybench sim key`, elsewhere.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn run(_: &Context<'_>, _: &KeyArgs) -> Result<Exit, CliError> {
    let fact = "Virtual USB keys need /dev/uhid, which only Linux has.";
    Err(CliError::new(Exit::Usage, "usage", fact, "use `--sim-keys` of `keybench run`, or a Linux machine."))
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::io::{self, BufRead as _, BufReader, ErrorKind, Write as _};
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};

    use super::{CliError, Context, Exit, KeyArgs};
    use crate::model::PortName;
    use crate::sim::key::{Birth, Model, SerialBy, SimKey, Touch};
    use crate::sim::uhid::{UhidError, UhidKeys};

    pub(super) fn run(context: &Context<'_>, args: &KeyArgs) -> Result<Exit, CliError> {
        let model = model(&args.model)?;
        let first = first_unit(&model, args.serial.as_deref())?;
        let keys = UhidKeys::new((0..args.count).map(|nth| {
            let birth = Birth { pin: args.pin.clone(), ..Birth::default() };
            let key = SimKey::born(&model, first.wrapping_add(nth), &birth);
            if args.touch {
                key.probe().finger().set(Touch::AtOnce);
            }
            (PortName::new(format!("sim-{}", args.first_port.saturating_add(nth))), key)
        }));
        let listener = args.control.as_deref().map(listen).transpose()?;
        if !args.unplugged {
            keys.plug_all().map_err(no_uhid)?;
        }
        context.output.raw(format!("{}\n", keys.describe()).as_bytes())?;
        match listener {
            Some(listener) => serve(listener, &keys),
            None => from_stdin(context, &keys)?,
        }
        if let Some(path) = &args.control {
            let _ = fs::remove_file(path);
        }
        Ok(Exit::Done)
    }

    /// By its id, or from a file.
    fn model(wish: &str) -> Result<Arc<Model>, CliError> {
        if let Some(model) = Model::by_id(wish) {
            return Ok(model);
        }
        let wrong = |fact: String, next: String| CliError::new(Exit::Usage, "usage", fact, next);
        if !wish.ends_with(".toml") {
            let known: Vec<&str> = Model::all().iter().map(|model| model.id.as_str()).collect();
            let next = format!("use one of {}, or a file.", known.join(", "));
            return Err(wrong(format!("There is no simulated model {wish:?}."), next));
        }
        let unusable = |cause: String| {
            let next = "see fixtures/models/README.md for what is in such a file.".to_owned();
            wrong(format!("{wish} can't be used as a model."), next).because(cause)
        };
        let text = fs::read_to_string(wish).map_err(|error| unusable(error.to_string()))?;
        Model::parse(&text).map(Arc::new).map_err(unusable)
    }

    /// The unit whose serial number is the wished one.
    fn first_unit(model: &Model, serial: Option<&str>) -> Result<u32, CliError> {
        let Some(serial) = serial else { return Ok(1) };
        let number = match model.serial_by {
            SerialBy::Yubikey => serial.parse::<u32>().ok(),
            SerialBy::Usb => u32::from_str_radix(serial, 16).ok(),
            SerialBy::Uuid => {
                serial.len().checked_sub(8).and_then(|at| u32::from_str_radix(serial.get(at..)?, 16).ok())
            }
            SerialBy::None => None,
        };
        let unit = number.map(|number| number.wrapping_sub(model.first_serial));
        unit.ok_or_else(|| {
            let fact = format!("{} can't have the serial number {serial}.", model.name);
            let next = "decimal for YubiKeys, hexadecimal for others; some models tell none.";
            CliError::new(Exit::Usage, "usage", fact, next)
        })
    }

    fn no_uhid(error: UhidError) -> CliError {
        let next = match &error {
            UhidError::Missing => "load it with `sudo modprobe uhid`; a kernel without it needs a virtual machine.",
            UhidError::NoRight => "run this command with sudo; what uses the key needs no such right.",
            UhidError::Refused(_) | UhidError::NoThread => "see the cause; try with fewer keys.",
        };
        CliError::new(Exit::Keys, "no-ports", "Virtual USB keys can't be made here.", next).because(error.to_string())
    }

    /// A socket for this account only. One that a dead process left is replaced.
    fn listen(path: &Path) -> Result<UnixListener, CliError> {
        let refused = |error: io::Error| {
            let fact = format!("{} can't be made a control socket.", path.display());
            CliError::new(Exit::Usage, "unwritable", fact, "name another place.").because(error.to_string())
        };
        let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
        if is_socket && UnixStream::connect(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
            fs::remove_file(path).map_err(refused)?;
        }
        let listener = UnixListener::bind(path).map_err(refused)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(refused)?;
        Ok(listener)
    }

    /// Any number of connections, until one of them says `quit`.
    fn serve(listener: UnixListener, keys: &UhidKeys) {
        let (quit, over) = channel();
        let keys = keys.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (keys, quit) = (keys.clone(), quit.clone());
                std::thread::spawn(move || converse(&stream, &keys, &quit));
            }
        });
        let _ = over.recv();
    }

    fn converse(mut stream: &UnixStream, keys: &UhidKeys, quit: &Sender<()>) {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let Some(answer) = keys.obey(&line) else {
                let _ = quit.send(());
                return;
            };
            if writeln!(stream, "{answer}").is_err() {
                return;
            }
        }
    }

    /// From the keyboard. When stdin ends, the keys stay until the process is ended.
    fn from_stdin(context: &Context<'_>, keys: &UhidKeys) -> Result<(), CliError> {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            let Some(answer) = keys.obey(&line) else { return Ok(()) };
            context.output.raw(format!("{answer}\n").as_bytes())?;
        }
        loop {
            std::thread::park();
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_first_key_has_the_wished_serial_number() {
            for (id, wished) in [("yubikey-5-nfc", "19283746"), ("feitian-epass", "0000BEEF")] {
                let model = Model::by_id(id).expect("a model");
                if model.serial_by == SerialBy::None {
                    continue;
                }
                let unit = first_unit(&model, Some(wished)).expect("a unit");
                let key = SimKey::new(&model, unit);
                assert_eq!(key.serial().map(|serial| serial.as_str().to_owned()), Some(wished.to_owned()));
            }
            assert!(first_unit(&Model::usual(), Some("x")).is_err());
        }

        #[test]
        fn a_socket_that_was_left_behind_is_replaced_and_anything_else_is_not() {
            let place = tempfile::tempdir().expect("a place");
            let path = place.path().join("s");
            drop(listen(&path).expect("a socket"));
            let live = listen(&path).expect("replaced");
            assert!(listen(&path).is_err(), "in use");
            drop(live);
            let file = place.path().join("f");
            fs::write(&file, "x").expect("a file");
            assert!(listen(&file).is_err());
        }
    }
}
