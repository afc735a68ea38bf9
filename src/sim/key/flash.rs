//! What a simulated key remembers without power: OpenSK's own storage keys and values. A key from a drawer writes every change
//! to its file first.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use ciborium::Value;
use opensk::api::persist::keys;

use super::drawer::Page;
use super::line::lock;
use crate::model::CredentialId;

/// The memory of one key; clones are the same memory.
#[derive(Clone, Default)]
pub(super) struct Flash(Arc<Mutex<Memory>>);

#[derive(Default)]
struct Memory {
    cells: BTreeMap<usize, Vec<u8>>,
    page: Option<Page>,
}

impl Memory {
    fn change(&mut self, change: impl FnOnce(&mut BTreeMap<usize, Vec<u8>>)) -> io::Result<()> {
        let Some(page) = &self.page else {
            change(&mut self.cells);
            return Ok(());
        };
        let mut cells = self.cells.clone();
        change(&mut cells);
        page.write(&cells)?;
        self.cells = cells;
        Ok(())
    }
}

/// A discoverable credential as it lies on a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    /// The relying party's id.
    pub rp_id: String,
    /// The user handle.
    pub user_id: Vec<u8>,
    /// The user's name as sent by the platform, if it was kept.
    pub user_name: Option<String>,
    /// The credential's id.
    pub credential_id: CredentialId,
}

impl Flash {
    pub(super) fn of(cells: BTreeMap<usize, Vec<u8>>) -> Self {
        Self(Arc::new(Mutex::new(Memory { cells, page: None })))
    }
    /// Everything is written there, now and at each change.
    pub(super) fn keep_on(&self, page: Page) -> io::Result<()> {
        let mut memory = lock(&self.0);
        page.write(&memory.cells)?;
        memory.page = Some(page);
        Ok(())
    }
    /// The file goes; the memory stays.
    pub(super) fn give_away(&self) -> io::Result<()> {
        lock(&self.0).page.take().map_or(Ok(()), |page| page.remove())
    }

    /// Writes a cell before the key has a file.
    pub(super) fn burn(&self, key: usize, value: &[u8]) {
        lock(&self.0).cells.insert(key, value.to_vec());
    }
    pub(super) fn get(&self, key: usize) -> Option<Vec<u8>> {
        lock(&self.0).cells.get(&key).cloned()
    }
    /// Writes a cell; nothing is changed when its file can't be written.
    pub(super) fn put(&self, key: usize, value: &[u8]) -> io::Result<()> {
        lock(&self.0).change(|cells| drop(cells.insert(key, value.to_vec())))
    }
    /// Empties a cell, as [`Self::put`] writes one.
    pub(super) fn remove(&self, key: usize) -> io::Result<()> {
        let mut memory = lock(&self.0);
        if memory.cells.contains_key(&key) { memory.change(|cells| drop(cells.remove(&key))) } else { Ok(()) }
    }
    pub(super) fn keys(&self) -> Vec<usize> {
        lock(&self.0).cells.keys().copied().collect()
    }

    pub(super) fn pin_is_set(&self) -> bool {
        self.get(keys::PIN_PROPERTIES).is_some()
    }
    pub(super) fn pin_fails(&self) -> u8 {
        self.get(keys::PIN_RETRIES).and_then(|value| value.first().copied()).unwrap_or(0)
    }
    pub(super) fn change_is_forced(&self) -> bool {
        self.get(keys::FORCE_PIN_CHANGE).is_some()
    }
    pub(super) fn min_pin_length(&self) -> u8 {
        self.get(keys::MIN_PIN_LENGTH).and_then(|value| value.first().copied()).unwrap_or(4)
    }

    /// The stored credentials, oldest slot first. OpenSK writes each as a CBOR map: 0 credential id, 2 RP id, 3 user handle, 8 name.
    pub(super) fn residents(&self) -> Vec<Resident> {
        self.slots().into_iter().map(|(_, resident)| resident).collect()
    }

    /// As [`Self::residents`], each with the storage key it lies under.
    pub(super) fn slots(&self) -> Vec<(usize, Resident)> {
        let memory = lock(&self.0);
        memory.cells.range(keys::CREDENTIALS).filter_map(|(slot, bytes)| Some((*slot, read_resident(bytes)?))).collect()
    }
}

fn read_resident(bytes: &[u8]) -> Option<Resident> {
    let value: Value = ciborium::from_reader(bytes).ok()?;
    let map = value.as_map()?;
    let member = |key: u64| map.iter().find(|(k, _)| *k == Value::from(key)).map(|(_, v)| v);
    Some(Resident {
        rp_id: member(2)?.as_text()?.to_owned(),
        user_id: member(3)?.as_bytes()?.clone(),
        user_name: member(8).and_then(|name| name.as_text()).map(str::to_owned),
        credential_id: CredentialId::new(member(0)?.as_bytes()?.clone()),
    })
}
