//! What keys have been through: resets and lock-outs of each, kept between runs.
//!
//! Promise: the book lies beside the DUT files, where neither `cargo clean` nor another `--report` loses it, and is never half written.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::dut::Dut;

/// What one key has been through here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worn {
    pub resets: u32,
    pub lock_outs: u32,
}

/// What it is called, in the folder of the DUT files.
pub const BOOK: &str = "wear.json";

/// The file. It is written after each change.
pub struct WearBook {
    path: PathBuf,
    keys: BTreeMap<String, Worn>,
}

impl WearBook {
    pub fn open(folder: &Path) -> Result<Self, String> {
        let path = folder.join(BOOK);
        let keys: BTreeMap<String, Worn> = match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| format!("the wear book {} is damaged ({error}); mend it by hand", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(format!("the wear book {}: {error}", path.display())),
        };
        Ok(Self { path, keys })
    }

    pub fn of(&self, dut: &Dut) -> Worn {
        self.keys.get(&name(dut)).copied().unwrap_or_default()
    }

    /// Why so much more is too much, if it is.
    pub fn too_much(&self, dut: &Dut, more: Worn) -> Option<String> {
        let worn = self.of(dut);
        let over = |what: &str, worn: u32, more: u32, budget: u32| {
            (more > 0 && worn.saturating_add(more) > budget)
                .then(|| format!("its budget of {what} is spent ({worn} of {budget}, {more} more needed)"))
        };
        over("resets", worn.resets, more.resets, dut.budget.resets)
            .or_else(|| over("lock-outs", worn.lock_outs, more.lock_outs, dut.budget.lock_outs))
    }

    /// Counts, before it is done. Virtual keys don't wear.
    pub fn count(&mut self, dut: &Dut, more: Worn) -> Result<(), String> {
        let worn = self.keys.entry(name(dut)).or_default();
        worn.resets = worn.resets.saturating_add(more.resets);
        worn.lock_outs = worn.lock_outs.saturating_add(more.lock_outs);
        if dut.is_virtual() {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(&self.keys).map_err(|error| error.to_string())?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        // Under another name first: whoever pulls the plug now leaves the old book or the new one.
        let mut new = tempfile::Builder::new();
        new.prefix("wear.json.").permissions(fs::Permissions::from_mode(0o644));
        let written = new.tempfile_in(folder).and_then(|mut new| {
            new.write_all((text + "\n").as_bytes())?;
            new.as_file().sync_all()?;
            new.persist(&self.path)?;
            fs::File::open(folder)?.sync_all()
        });
        written.map_err(|error| format!("the wear book {}: {error}", self.path.display()))
    }
}

/// The key itself where it tells a serial number, in one spelling, else its DUT file.
fn name(dut: &Dut) -> String {
    match &dut.serial {
        Some(serial) => format!("serial {}", serial.to_ascii_uppercase()),
        None => format!("dut {}", dut.name),
    }
}
