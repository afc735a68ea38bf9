//! A simulated security key: OpenSK, which others wrote, behind real CTAPHID reports, made to look and behave like a model on the market.
//!
//! Promise: what a key holds survives unplugging, and what only its power held does not. Only what `filter` says differs from OpenSK.
//! Exception: the preview credential management (0x41) is answered by `preview`, because OpenSK has none.

pub mod attestation;
mod device;
mod drawer;
mod env;
mod fault;
mod filter;
mod finger;
mod flash;
mod frame;
#[cfg(test)]
pub(crate) mod host;
mod info;
mod line;
mod model;
mod preview;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opensk::api::persist::keys;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

pub use self::attestation::{SIMULATOR_ROOT_SPKI_SHA256, is_simulator_root, simulator_root_der};
pub use self::device::{FromKey, Powered, SimDevice, ToKey};
pub use self::drawer::Drawer;
pub use self::fault::Fault;
pub use self::finger::{Finger, Touch};
use self::flash::Flash;
pub use self::flash::Resident;
pub use self::line::Wake;
pub(in crate::sim) use self::line::lock;
pub use self::model::{CtapRules, Model, SerialBy, Usb};
use crate::model::Serial;

/// What a key has been through before it comes to the bench. The default is a key from the factory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Birth {
    /// A PIN is set, and this is it.
    pub pin: Option<String>,
    /// The PIN's retries are used up: 0x32 until reset. A PIN is set, if none is given.
    pub blocked: bool,
    /// Every slot holds somebody's credential (the key is given three slots).
    pub full: bool,
    /// It only speaks U2F, whatever the model can do.
    pub u2f_only: bool,
    /// alwaysUv is on.
    pub always_uv: bool,
    /// The PIN must be changed before use. A PIN is set, if none is given.
    pub force_change: bool,
    /// Credentials of these relying parties are on it, one each.
    pub credentials: Vec<String>,
}

/// A key, in a hand or in a port.
pub struct SimKey {
    shared: Arc<Shared>,
}

/// What makes up a key, plugged or not.
struct Shared {
    model: Arc<Model>,
    serial: Option<String>,
    unit: u32,
    u2f_only: bool,
    capacity: usize,
    flash: Flash,
    finger: Finger,
    faults: Mutex<Vec<Fault>>,
    started: Instant,
    ahead_ms: AtomicU64,
    touch_timeout: Mutex<Duration>,
    /// How often it was asked to wink.
    winks: AtomicU64,
}

impl Shared {
    /// The key's own time.
    fn now(&self) -> Duration {
        self.started.elapsed() + Duration::from_millis(self.ahead_ms.load(Ordering::Relaxed))
    }

    fn touch_timeout(&self) -> Duration {
        *lock(&self.touch_timeout)
    }

    /// Takes the first fault that `pick` finds something in.
    fn take_fault<T>(&self, pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        let mut faults = lock(&self.faults);
        let (at, found) = faults.iter().enumerate().find_map(|(at, fault)| Some((at, pick(fault)?)))?;
        faults.remove(at);
        Some(found)
    }
}

/// How many slots a key that is born full has.
const FULL_KEY_SLOTS: usize = 3;

impl SimKey {
    /// The `unit`-th key of a model, from the factory.
    pub fn new(model: &Arc<Model>, unit: u32) -> Self {
        Self::born(model, unit, &Birth::default())
    }

    /// The `unit`-th key of a model, with a past.
    pub fn born(model: &Arc<Model>, unit: u32, birth: &Birth) -> Self {
        let u2f_only = birth.u2f_only || model.ctap.u2f_only;
        let capacity = if birth.full { FULL_KEY_SLOTS } else { model.ctap.capacity };
        let key = Self::with_flash(model, unit, u2f_only, capacity, BTreeMap::new());
        let shared = &key.shared;
        let batch = attestation::batch(&model.name, model.aaguid, model.ctap.certificate_padding);
        shared.flash.burn(keys::AAGUID, &model.aaguid.0);
        shared.flash.burn(keys::ATTESTATION_PRIVATE_KEY, &batch.scalar);
        shared.flash.burn(keys::ATTESTATION_CERTIFICATE, &batch.certificate);
        shared.flash.burn(keys::ATTESTATION_ID, &[1]);
        let mut relying_parties = birth.credentials.clone();
        if birth.full {
            let more = FULL_KEY_SLOTS.saturating_sub(relying_parties.len());
            relying_parties.extend((0..more).map(|n| format!("old-{n}.example")));
        }
        device::remember(shared, &relying_parties);
        let pin = birth.pin.clone().or_else(|| (birth.blocked || birth.force_change).then(|| "271828".to_owned()));
        if let Some(pin) = pin {
            let mut properties = vec![u8::try_from(pin.chars().count()).unwrap_or(63)];
            properties.extend_from_slice(&Sha256::digest(pin.as_bytes())[..16]);
            shared.flash.burn(keys::PIN_PROPERTIES, &properties);
        }
        if birth.blocked {
            shared.flash.burn(keys::PIN_RETRIES, &[8]);
        }
        if birth.force_change {
            shared.flash.burn(keys::FORCE_PIN_CHANGE, &[]);
        }
        if birth.always_uv {
            shared.flash.burn(keys::ALWAYS_UV, &[]);
        }
        key
    }

    /// A key with this memory.
    fn with_flash(
        model: &Arc<Model>,
        unit: u32,
        u2f_only: bool,
        capacity: usize,
        cells: BTreeMap<usize, Vec<u8>>,
    ) -> Self {
        let number = model.first_serial.wrapping_add(unit);
        let serial = match model.serial_by {
            SerialBy::Yubikey => Some(number.to_string()),
            SerialBy::Usb => Some(format!("{number:08X}")),
            SerialBy::Uuid => Some(uuid_of(number).iter().map(|byte| format!("{byte:02X}")).collect()),
            SerialBy::None => None,
        };
        let shared = Arc::new(Shared {
            model: Arc::clone(model),
            serial,
            unit: number,
            u2f_only,
            capacity,
            flash: Flash::of(cells),
            finger: Finger::default(),
            faults: Mutex::default(),
            started: Instant::now(),
            ahead_ms: AtomicU64::new(0),
            touch_timeout: Mutex::new(Duration::from_secs(30)),
            winks: AtomicU64::new(0),
        });
        Self { shared }
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.shared.model
    }

    /// The serial number, if the model tells one in any way: decimal for YubiKeys, else hexadecimal in capitals.
    pub fn serial(&self) -> Option<Serial> {
        self.shared.serial.as_deref().map(Serial::new)
    }

    /// It leaves the bench for good: the drawer it came from, if any, keeps it no longer.
    pub fn give_away(&self) {
        if let Err(error) = self.shared.flash.give_away() {
            tracing::warn!(%error, "a simulated key's file could not be removed");
        }
    }

    /// A look inside that stays valid whatever becomes of the key.
    pub fn probe(&self) -> Probe {
        Probe { shared: Arc::clone(&self.shared) }
    }

    /// Gives the key power without a port, for tests of one key. It loses it when the answer is dropped.
    pub fn power_up(&self) -> Powered {
        self.power_up_with(Arc::new(|| ()))
    }

    /// As [`Self::power_up`]; `wake` is called when blinking starts or ends and when the key loses power.
    pub fn power_up_with(&self, wake: Wake) -> Powered {
        Powered::new(&self.shared, wake)
    }
}

/// A look inside a key, past its packets. Also where tests and scenarios change its ways.
#[derive(Clone)]
pub struct Probe {
    shared: Arc<Shared>,
}

impl Probe {
    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.shared.model
    }
    /// As [`SimKey::serial`].
    pub fn serial(&self) -> Option<Serial> {
        self.shared.serial.as_deref().map(Serial::new)
    }
    /// The discoverable credentials.
    pub fn residents(&self) -> Vec<Resident> {
        self.shared.flash.residents()
    }
    /// Whether a PIN is set.
    pub fn pin_is_set(&self) -> bool {
        self.shared.flash.pin_is_set()
    }
    /// Whether this is the PIN. Costs no retry.
    pub fn pin_is(&self, pin: &str) -> bool {
        let stored = self.shared.flash.get(keys::PIN_PROPERTIES);
        stored.is_some_and(|stored| stored.get(1..) == Sha256::digest(pin.as_bytes()).get(..16))
    }
    /// PIN retries left, of 8.
    pub fn retries(&self) -> u8 {
        8u8.saturating_sub(self.shared.flash.pin_fails())
    }
    /// Whether the PIN must be changed.
    pub fn change_is_forced(&self) -> bool {
        self.shared.flash.change_is_forced()
    }
    /// The minimum PIN length in code points.
    pub fn min_pin_length(&self) -> u8 {
        self.shared.flash.min_pin_length()
    }
    /// How often it was asked to wink (CTAPHID_WINK).
    pub fn winks(&self) -> u64 {
        self.shared.winks.load(Ordering::Relaxed)
    }
    /// Who touches it.
    pub fn finger(&self) -> &Finger {
        &self.shared.finger
    }
    /// Adds a fault; those that pull the key take effect at the next power-up.
    pub fn add_fault(&self, fault: Fault) {
        lock(&self.shared.faults).push(fault);
    }
    /// Mends the key.
    pub fn clear_faults(&self) {
        lock(&self.shared.faults).clear();
    }
    /// Moves the key's clock on: time-outs, the reset window and tokens see it.
    pub fn advance(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.shared.ahead_ms.fetch_add(ms, Ordering::Relaxed);
    }
    /// How long the key waits for a touch; 30 s at first.
    pub fn set_touch_timeout(&self, time: Duration) {
        *lock(&self.shared.touch_timeout) = time;
    }
}

/// The UUID of a unit: its number in an otherwise fixed pattern.
fn uuid_of(number: u32) -> [u8; 16] {
    let mut uuid = *b"\x6b\x65\x79\x62\x65\x6e\x63\x68\x2d\x73\x69\x6d\0\0\0\0";
    uuid[12..].copy_from_slice(&number.to_be_bytes());
    uuid
}
