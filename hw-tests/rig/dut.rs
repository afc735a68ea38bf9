//! Devices under test: which key it is, what may be done to it, and whose hand is at it. One TOML file each (`hw-tests/duts/README.md`).
//!
//! Promise: a file with a mistake starts nothing, and no two files name one key: a key that tells a serial number is only taken by a file
//! that names it (`super::subject`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// What may be done to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum May {
    /// PIN and passkeys may be lost, any number of times within the budget.
    Wipe,
    /// All PIN tries may be spent; a reset brings them back.
    LockOut,
}

/// What can be changed and not be changed back, but by a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OneWay {
    /// The minimum PIN length rises, and a PIN change is forced.
    PinRules,
}

impl OneWay {
    pub fn word(self) -> &'static str {
        match self {
            Self::PinRules => "pin-rules",
        }
    }
}

/// What a key can bear in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Budget {
    pub resets: u32,
    pub lock_outs: u32,
}

impl Default for Budget {
    fn default() -> Self {
        // Flash bears ten thousand writes and more; this is about a key that is somebody's.
        Self { resets: 200, lock_outs: 20 }
    }
}

/// Whose hand it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum OperatorSpec {
    /// Somebody at this terminal.
    Person,
    /// A virtual key, touched and plugged by its control socket.
    Virtual,
    /// A program: `COMMAND… touch|insert|remove ACTUATOR PORT`.
    Hook {
        command: Vec<String>,
        actuator: String,
        /// Milliseconds that one call may take.
        #[serde(default = "hook_patience")]
        patience_ms: u64,
    },
}

fn hook_patience() -> u64 {
    30_000
}

/// A hub that switches the power of its ports.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Power {
    /// The program, should it not be `uhubctl` on the path.
    #[serde(default = "uhubctl")]
    pub command: String,
    /// The hub, as `uhubctl` names it: `1-4`.
    pub location: String,
    /// The port of that hub.
    pub port: u32,
}

impl Power {
    /// The USB path of what is in the switched port. A hub's name is its own path, a root hub's the number of its bus.
    pub fn path(&self) -> String {
        let sign = if self.location.contains('-') { '.' } else { '-' };
        format!("{}{sign}{}", self.location, self.port)
    }

    /// Switching another port than the key's would take power from somebody else's device.
    pub fn reaches(&self, port: &str) -> Result<(), String> {
        let path = self.path();
        if path == port { Ok(()) } else { Err(format!("[power] switches port {path}, and the key is in port {port}")) }
    }
}

fn uhubctl() -> String {
    "uhubctl".to_owned()
}

/// A device under test.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dut {
    /// The file's name without `.toml`.
    #[serde(skip)]
    pub name: String,
    /// What people call the model; for a virtual key: its id, or a model's file.
    pub model: String,
    /// USB ids, `1050:0407`: keys with others are never opened.
    #[serde(default)]
    pub usb: Option<String>,
    #[serde(default)]
    pub aaguid: Option<String>,
    #[serde(default)]
    pub firmware: Option<String>,
    /// The serial number it must tell.
    #[serde(default)]
    pub serial: Option<String>,
    /// The port it must be in: needed where the key tells no serial number, and alone enough only there.
    #[serde(default)]
    pub port: Option<String>,
    #[serde(default)]
    pub may: Vec<May>,
    #[serde(default)]
    pub one_way: Vec<OneWay>,
    #[serde(default)]
    pub budget: Budget,
    pub operator: OperatorSpec,
    #[serde(default)]
    pub power: Option<Power>,
}

impl Dut {
    /// A virtual key with which everything may be done.
    pub fn virtual_key(model: &str) -> Self {
        Self {
            name: format!("virtual {}", model.rsplit('/').next().unwrap_or(model)),
            model: model.to_owned(),
            usb: None,
            aaguid: None,
            firmware: None,
            serial: None,
            port: None,
            may: vec![May::Wipe, May::LockOut],
            one_way: vec![OneWay::PinRules],
            budget: Budget { resets: u32::MAX, lock_outs: u32::MAX },
            operator: OperatorSpec::Virtual,
            power: None,
        }
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let text = fs::read_to_string(path).map_err(|error| format!("the DUT file {shown} can't be read: {error}"))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Self::parse(&name, &text).map_err(|error| format!("the DUT file {shown} is wrong: {error}"))
    }

    fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut dut: Self = toml::from_str(text).map_err(|error| {
            // What is missing altogether is in no line.
            let at = error.span().filter(|span| span.len() < text.len()).and_then(|span| text.get(..span.start));
            let line = at.map_or_else(String::new, |before| format!("line {}: ", before.matches('\n').count() + 1));
            format!("{line}{}", error.message())
        })?;
        name.clone_into(&mut dut.name);
        let is_usb = |text: &String| {
            let hex = |part: &str| part.len() == 4 && part.chars().all(|c| c.is_ascii_hexdigit());
            text.split_once(':').is_some_and(|(vendor, product)| hex(vendor) && hex(product))
        };
        if dut.operator == OperatorSpec::Virtual {
            if dut.port.is_some() || dut.power.is_some() {
                return Err("a virtual key has no port and no power of its own".to_owned());
            }
            return Ok(dut);
        }
        match &dut.usb {
            None => return Err("usb is missing: the key's USB ids, like \"1050:0407\"".to_owned()),
            Some(usb) if !is_usb(usb) => return Err(format!("usb = {usb:?} is not of the form \"1050:0407\"")),
            Some(_) => {}
        }
        if dut.serial.is_none() && dut.port.is_none() {
            return Err("neither serial nor port says which key it is".to_owned());
        }
        if let (Some(power), Some(port)) = (&dut.power, &dut.port) {
            power.reaches(port)?;
        }
        if let OperatorSpec::Hook { command, .. } = &dut.operator
            && command.is_empty()
        {
            return Err("operator.command is empty".to_owned());
        }
        Ok(dut)
    }

    /// Those of these names; `all` is the whole folder. Names with a `/` are files.
    pub fn named(folder: &Path, names: &[String]) -> Result<Vec<Self>, String> {
        let known = known(folder)?;
        let mut paths: Vec<&Path> = Vec::new();
        for name in names.iter().flat_map(|names| names.split(',')) {
            if name == "all" {
                paths.extend(known.values().map(PathBuf::as_path));
            } else if name.contains('/') {
                paths.push(Path::new(name));
            } else {
                paths.push(known.get(name).ok_or_else(|| {
                    let names: Vec<&str> = known.keys().map(String::as_str).collect();
                    format!("there is no DUT {name} in {}; there are: {}", folder.display(), names.join(", "))
                })?);
            }
        }
        // Who is named twice is meant once.
        let mut seen = BTreeSet::new();
        paths.retain(|path| seen.insert(*path));
        let duts = paths.into_iter().map(Self::read).collect::<Result<Vec<Self>, String>>()?;
        if duts.is_empty() {
            return Err(format!("there is no DUT file in {}", folder.display()));
        }
        for (at, dut) in duts.iter().enumerate() {
            // Keys tell their serial number in either case of letters.
            let same = |other: &&Self| {
                let (one, two) = (dut.serial.as_deref(), other.serial.as_deref());
                one.zip(two).is_some_and(|(one, two)| one.eq_ignore_ascii_case(two))
            };
            if let Some(twin) = duts[..at].iter().find(same) {
                let serial = dut.serial.as_deref().unwrap_or_default();
                return Err(format!("two DUTs have one serial number: {} and {} ({serial})", twin.name, dut.name));
            }
            let twin = duts[..at].iter().find(|other| other.port.is_some() && other.port == dut.port);
            if let Some(twin) = twin {
                let port = dut.port.as_deref().unwrap_or_default();
                return Err(format!("two DUTs are in one port: {} and {} ({port})", twin.name, dut.name));
            }
        }
        Ok(duts)
    }

    pub fn is_virtual(&self) -> bool {
        self.operator == OperatorSpec::Virtual
    }
}

/// Files by name, in order. A folder that is not there has none.
fn known(folder: &Path) -> Result<BTreeMap<String, PathBuf>, String> {
    let mut known = BTreeMap::new();
    let files = match fs::read_dir(folder) {
        Ok(files) => files,
        Err(error) => return Err(format!("the folder of DUT files {} can't be read: {error}", folder.display())),
    };
    for file in files.flatten() {
        let path = file.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            known.insert(path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), path);
        }
    }
    Ok(known)
}
