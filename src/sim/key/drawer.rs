//! A drawer of simulated keys that outlive the program.
//!
//! Promise: what a key has answered for is in its file before the answer leaves, so that a killed program finds its keys as
//! they were; serial numbers count on and never repeat; two programs never share a drawer. Exceptions: a loss of power of the
//! whole machine may cost the last writes, because nothing is synced; faults and human manners of a key are not kept.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::{Model, SimKey, lock};
use crate::platform::lock::FileLock;

/// The file that says how many keys there have been.
const COUNTER: &str = "keys-so-far";
const LOCK: &str = "lock";
/// Ending of a key's file.
const ENDING: &str = "key";

/// A directory with one file for each key that has not been given away.
pub struct Drawer {
    directory: PathBuf,
    so_far: Mutex<u32>,
    /// Held while this program uses the drawer.
    _lock: FileLock,
}

impl Drawer {
    /// Opens the drawer in an existing directory, and takes out the keys that lie in it, oldest first.
    ///
    /// # Errors
    /// [`io::ErrorKind::ResourceBusy`] while another program uses it; [`io::ErrorKind::InvalidData`] for a file that is no key's.
    pub fn open(directory: &Path) -> io::Result<(Self, Vec<SimKey>)> {
        let file = File::options().create(true).truncate(false).write(true).open(directory.join(LOCK))?;
        let held = FileLock::take(file).map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(
                io::ErrorKind::ResourceBusy,
                format!("the simulated keys in {} are in use by another keybench", directory.display()),
            ),
            TryLockError::Error(error) => error,
        })?;
        let counter = directory.join(COUNTER);
        let mut so_far = match fs::read_to_string(&counter) {
            Ok(text) => text.trim().parse().map_err(|_| wrong(&counter, "it holds no number"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                let kept: Kept = ciborium::from_reader(fs::read(&path)?.as_slice())
                    .map_err(|error| wrong(&path, &error.to_string()))?;
                found.insert(kept.unit, (path, kept));
            }
        }
        so_far = found.keys().last().copied().unwrap_or(0).max(so_far);
        let keys = found.into_values().map(|(path, kept)| kept.revive(path)).collect::<io::Result<_>>()?;
        Ok((Self { directory: directory.to_owned(), so_far: Mutex::new(so_far), _lock: held }, keys))
    }

    /// How many keys there have been.
    pub fn so_far(&self) -> u32 {
        *lock(&self.so_far)
    }

    /// Another key, which this drawer keeps from now on. `make` is given its unit number.
    ///
    /// # Errors
    /// When it can't be written down.
    pub fn add(&self, make: impl FnOnce(u32) -> SimKey) -> io::Result<SimKey> {
        let mut so_far = lock(&self.so_far);
        let unit = so_far.checked_add(1).ok_or_else(|| io::Error::other("no more serial numbers"))?;
        // The number is used up before the key exists: a program killed in between leaves a gap, never a second key.
        replace(&self.directory.join(COUNTER), unit.to_string().as_bytes())?;
        *so_far = unit;
        let key = make(unit);
        let page = Page {
            path: self.directory.join(format!("{unit:06}.{ENDING}")),
            model: key.shared.model.id.clone(),
            unit,
            u2f_only: key.shared.u2f_only,
            capacity: key.shared.capacity,
        };
        key.shared.flash.keep_on(page)?;
        Ok(key)
    }
}

/// Where a key's flash is written.
pub(super) struct Page {
    path: PathBuf,
    model: String,
    unit: u32,
    u2f_only: bool,
    capacity: usize,
}

impl Page {
    pub(super) fn write(&self, cells: &BTreeMap<usize, Vec<u8>>) -> io::Result<()> {
        let kept = Kept {
            model: self.model.clone(),
            unit: self.unit,
            u2f_only: self.u2f_only,
            capacity: self.capacity,
            cells: cells.clone(),
        };
        let mut bytes = Vec::new();
        ciborium::into_writer(&kept, &mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        replace(&self.path, &bytes)
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    model: String,
    unit: u32,
    u2f_only: bool,
    capacity: usize,
    cells: BTreeMap<usize, Vec<u8>>,
}

impl Kept {
    fn revive(self, path: PathBuf) -> io::Result<SimKey> {
        let model = Model::by_id(&self.model).ok_or_else(|| wrong(&path, &format!("no model {:?}", self.model)))?;
        let key = SimKey::with_flash(&model, self.unit, self.u2f_only, self.capacity, self.cells);
        let page = Page { path, model: self.model, unit: self.unit, u2f_only: self.u2f_only, capacity: self.capacity };
        key.shared.flash.keep_on(page)?;
        Ok(key)
    }
}

/// Old content or new, never half of it.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    fs::write(&fresh, content)?;
    fs::rename(&fresh, path)
}

fn wrong(path: &Path, why: &str) -> io::Error {
    let what = format!("{} is no simulated key of this version: {why}", path.display());
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::super::host::Host;
    use super::super::{Birth, Touch};
    use super::*;

    #[test]
    fn a_killed_program_finds_its_keys_as_they_were() {
        let directory = tempfile::tempdir().expect("a directory");
        let (drawer, keys) = Drawer::open(directory.path()).expect("a drawer");
        assert!(keys.is_empty());
        let key = drawer.add(|unit| SimKey::new(&Model::usual(), unit)).expect("a key");
        let other = drawer.add(|unit| SimKey::new(&Model::usual(), unit)).expect("a key");
        let serial = key.serial();
        key.probe().finger().set(Touch::AtOnce);
        let powered = key.power_up();
        let mut host = Host::new(Box::new(powered.open().expect("there")));
        assert_eq!(host.set_pin("904316"), 0);
        let token = host.token("904316", Some((1, Some("login.example")))).expect("a token");
        assert_eq!(host.make_credential("login.example", Some(&token)).0, 0);
        assert_eq!(host.token("000000", None).expect_err("wrong"), 0x31);
        let residents = key.probe().residents();
        // The key stays under power: what a killed program leaves is its files.
        drop((key, drawer));
        other.give_away();

        let (drawer, keys) = Drawer::open(directory.path()).expect("the same drawer");
        assert_eq!(keys.len(), 1, "the other was given away");
        let probe = keys[0].probe();
        assert_eq!(probe.serial(), serial);
        assert!(probe.pin_is("904316") && probe.retries() == 7);
        assert_eq!((probe.residents(), residents.len()), (residents, 1));
        probe.finger().set(Touch::AtOnce);
        let powered = keys[0].power_up();
        let mut host = Host::new(Box::new(powered.open().expect("there")));
        host.token("904316", None).expect("it still works");
        let next = drawer.add(|unit| SimKey::new(&Model::usual(), unit)).expect("a key");
        assert!(next.serial() != serial && next.serial() != other.serial(), "no number twice");
    }

    #[test]
    fn a_drawer_has_one_user() {
        let directory = tempfile::tempdir().expect("a directory");
        let first = Drawer::open(directory.path()).expect("a drawer");
        let error = Drawer::open(directory.path()).err().expect("in use");
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        drop(first);
        assert!(Drawer::open(directory.path()).is_ok());
    }

    #[test]
    fn what_a_key_was_born_as_is_kept() {
        let directory = tempfile::tempdir().expect("a directory");
        let (drawer, _) = Drawer::open(directory.path()).expect("a drawer");
        let birth = Birth { full: true, pin: Some("271828".into()), ..Birth::default() };
        let key = drawer.add(|unit| SimKey::born(&Model::usual(), unit, &birth)).expect("a key");
        drop((key, drawer));
        let (_drawer, keys) = Drawer::open(directory.path()).expect("a drawer");
        assert_eq!((keys[0].probe().residents().len(), keys[0].probe().pin_is("271828")), (3, true));
    }

    #[test]
    fn a_file_that_is_no_key_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("000001.key"), b"nonsense").expect("written");
        let error = Drawer::open(directory.path()).err().expect("refused");
        assert!(error.to_string().contains("000001.key"), "{error}");
    }
}
