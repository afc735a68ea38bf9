//! What a simulated key remembers without power: OpenSK's own storage keys and values.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ciborium::Value;
use opensk::api::persist::keys;

use super::line::lock;
use crate::model::CredentialId;

/// The memory of one key; clones are the same memory.
#[derive(Clone, Default)]
pub(super) struct Flash(Arc<Mutex<BTreeMap<usize, Vec<u8>>>>);

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
    pub(super) fn get(&self, key: usize) -> Option<Vec<u8>> {
        lock(&self.0).get(&key).cloned()
    }
    pub(super) fn put(&self, key: usize, value: &[u8]) {
        lock(&self.0).insert(key, value.to_vec());
    }
    pub(super) fn remove(&self, key: usize) {
        lock(&self.0).remove(&key);
    }
    pub(super) fn keys(&self) -> Vec<usize> {
        lock(&self.0).keys().copied().collect()
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
        let flash = lock(&self.0);
        flash.range(keys::CREDENTIALS).filter_map(|(slot, bytes)| Some((*slot, read_resident(bytes)?))).collect()
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
