//! What the trials work with: programs with deadlines, virtual keys, a bench with a simulated tenant, and a look at what was left.

pub mod bench;
pub mod client;
pub mod dut;
pub mod figures;
pub mod hidraw;
pub mod hook;
pub mod inspect;
pub mod keys;
pub mod lab;
pub mod operator;
pub mod program;
pub mod report;
pub mod shards;
pub mod subject;
pub mod terminal;
pub mod wear;

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is the same for every trial.
pub struct Rig {
    /// The program under trial.
    pub keybench: PathBuf,
    /// Everything, not a slice.
    pub full: bool,
    /// For what is left to chance.
    pub seed: u64,
    /// Where recordings of keys are kept, if they are.
    pub recordings: Option<PathBuf>,
}

impl Rig {
    pub fn new(full: bool, seed: u64, recordings: Option<PathBuf>) -> Self {
        let keybench = std::env::var_os("HW_KEYBENCH").unwrap_or_else(|| env!("CARGO_BIN_EXE_keybench").into());
        Self { keybench: keybench.into(), full, seed, recordings }
    }
}

/// What a trial needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// `/dev/uhid`, and the right to it.
    Uhid,
    /// To be root: other accounts are played.
    Root,
    /// Debian's fido2-tools.
    FidoTools,
    /// PyPI's fido2, under the interpreter that `HW_PYTHON` names.
    PythonFido2,
    /// `hw-tests/crosscheck`, built where `HW_CROSSCHECK` says.
    Crosscheck,
    /// That it is asked for: with `--full`, or by its name.
    Asked,
    /// systemd's udev daemon, unpacked where `HW_UDEV` says.
    Udev,
}

impl Need {
    /// Why it is not there, if it is not.
    pub fn lacking(&self, asked: bool) -> Option<String> {
        let found = |there: bool, reason: &str| (!there).then(|| reason.to_owned());
        match self {
            Self::Uhid => match OpenOptions::new().read(true).write(true).open("/dev/uhid") {
                Err(error) => Some(format!(
                    "virtual USB keys need /dev/uhid ({error}); hw-tests/vm/run brings a machine that has it"
                )),
                Ok(_) => {
                    real_key().map(|node| format!("a real security key is plugged in ({node}); take it out first"))
                }
            },
            Self::Root => found(is_root(), "needs root, to play other accounts"),
            Self::FidoTools => found(on_path("fido2-token"), "needs Debian's fido2-tools"),
            Self::PythonFido2 => found(
                std::env::var_os("HW_PYTHON").is_some_and(|python| Path::new(&python).exists()),
                "needs PyPI's fido2; HW_PYTHON names the interpreter that has it",
            ),
            Self::Crosscheck => found(
                std::env::var_os("HW_CROSSCHECK").is_some_and(|program| Path::new(&program).is_file()),
                "needs hw-tests/crosscheck, built; HW_CROSSCHECK names the program",
            ),
            Self::Asked => found(asked, "takes long: with --full, or by its name"),
            Self::Udev => found(
                std::env::var_os("HW_UDEV").is_some_and(|udev| Path::new(&udev).is_dir()),
                "needs systemd's udev, unpacked, in a guest; HW_UDEV names the place",
            ),
        }
    }
}

/// A FIDO device that is not one of ours.
fn real_key() -> Option<String> {
    let real = hidraw::devices().into_iter().find(|device| !device.port.starts_with("sim-"))?;
    Some(format!("{} in port {}", real.node.display(), real.port))
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| status.lines().any(|line| line.starts_with("Uid:\t0\t0\t")))
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Asks again until it is so, at most so long.
pub fn eventually(
    patience: Duration,
    what: &str,
    mut is_so: impl FnMut() -> Result<bool, String>,
) -> Result<(), String> {
    let end = Instant::now() + patience;
    loop {
        if is_so()? {
            return Ok(());
        }
        if Instant::now() >= end {
            return Err(format!("{what}: not within {patience:?}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Fails with this sentence unless it is so.
pub fn ensure(is_so: bool, sentence: impl FnOnce() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(sentence()) }
}

/// Numbers by a seed (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    /// From 0, below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }
}
