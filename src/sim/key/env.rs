//! What OpenSK needs of its surroundings: memory, time, chance, a button and a wire.

use std::sync::Arc;
use std::time::Duration;

use opensk::api::clock::Clock;
use opensk::api::connection::{HidConnection, RecvStatus, UsbEndpoint};
use opensk::api::crypto::software_crypto::SoftwareCrypto;
use opensk::api::customization::Customization;
use opensk::api::key_store;
use opensk::api::persist::{Persist, PersistIter, keys};
use opensk::api::rng::Rng;
use opensk::api::user_presence::{UserPresence, UserPresenceError, UserPresenceWaitResult};
use opensk::ctap::TOUCH_TIMEOUT_MS;
use opensk::ctap::data_formats::{CredentialProtectionPolicy, EnterpriseAttestationMode};
use opensk::ctap::status_code::{Ctap2StatusCode, CtapResult};
use opensk::env::Env;
use rand_core_06::{CryptoRng, OsRng, RngCore};

use super::Shared;
use super::line::{Heard, Line, Presence};

/// The last random values of token size, newest last: the pinUvAuthToken is one of them. The preview credential management
/// in front of OpenSK checks its MAC against these.
const REMEMBERED: usize = 8;

pub(super) struct SimEnv {
    shared: Arc<Shared>,
    line: Arc<Line>,
    rng: SimRng,
    custom: Custom,
    /// The next timer is the one that ends a wait for touch.
    touch_begins: bool,
}

impl SimEnv {
    pub(super) fn new(shared: Arc<Shared>, line: Arc<Line>) -> Self {
        let custom = Custom {
            protocol_one: shared.model.ctap.pin_protocols.contains(&1),
            max_msg_size: shared.model.ctap.max_msg_size,
            capacity: shared.capacity,
            enterprise: shared.model.ctap.enterprise,
        };
        Self { shared, line, rng: SimRng::default(), custom, touch_begins: false }
    }

    pub(super) fn tokens(&self) -> &[[u8; 32]] {
        &self.rng.drawn
    }

    fn now(&self) -> Duration {
        self.shared.now()
    }

    /// A key without power writes nothing.
    fn powered(&self) -> CtapResult<()> {
        if self.line.is_gone() { Err(Ctap2StatusCode::CTAP2_ERR_VENDOR_HARDWARE_FAILURE) } else { Ok(()) }
    }
}

#[derive(Default)]
pub(super) struct SimRng {
    drawn: Vec<[u8; 32]>,
}

impl CryptoRng for SimRng {}
impl Rng for SimRng {}
impl RngCore for SimRng {
    fn next_u32(&mut self) -> u32 {
        OsRng.next_u32()
    }
    fn next_u64(&mut self) -> u64 {
        OsRng.next_u64()
    }
    fn fill_bytes(&mut self, dest: &mut [u8]) {
        OsRng.fill_bytes(dest);
        if let Ok(drawn) = <[u8; 32]>::try_from(&*dest) {
            if self.drawn.len() == REMEMBERED {
                self.drawn.remove(0);
            }
            self.drawn.push(drawn);
        }
    }
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core_06::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

/// The end of a timer on the key's own clock; zero is always over.
#[derive(Default)]
pub(super) struct Timer(Duration);

impl Clock for SimEnv {
    type Timer = Timer;

    fn make_timer(&mut self, milliseconds: usize) -> Timer {
        let mut time = Duration::from_millis(milliseconds as u64);
        if std::mem::take(&mut self.touch_begins) && milliseconds == TOUCH_TIMEOUT_MS {
            time = self.shared.touch_timeout();
        }
        Timer(self.now() + time)
    }

    fn is_elapsed(&mut self, timer: &Timer) -> bool {
        self.now() >= timer.0
    }
}

impl UserPresence for SimEnv {
    fn check_init(&mut self) {
        self.touch_begins = true;
        self.line.blink(true);
    }

    fn wait_with_timeout(&mut self, packet: &mut [u8; 64], timeout_ms: usize) -> UserPresenceWaitResult {
        let limit = Duration::from_millis(timeout_ms as u64);
        Ok(match self.line.wait_for_touch(&self.shared.finger, limit) {
            Presence::Touched => (Ok(()), RecvStatus::Timeout),
            Presence::Declined => (Err(UserPresenceError::Declined), RecvStatus::Timeout),
            Presence::Nothing => (Err(UserPresenceError::Timeout), RecvStatus::Timeout),
            // OpenSK unwinds, and the wire swallows what it says on the way.
            Presence::Gone => (Err(UserPresenceError::Canceled), RecvStatus::Timeout),
            Presence::Packet(received) => {
                *packet = received;
                (Err(UserPresenceError::Timeout), RecvStatus::Received(UsbEndpoint::MainHid))
            }
        })
    }

    fn check_complete(&mut self) {
        self.line.blink(false);
    }
}

impl HidConnection for SimEnv {
    fn send(&mut self, buf: &[u8; 64], _endpoint: UsbEndpoint) -> CtapResult<()> {
        self.line.key_says(buf);
        Ok(())
    }

    fn recv(&mut self, buf: &mut [u8; 64], timeout_ms: usize) -> CtapResult<RecvStatus> {
        Ok(match self.line.hear(Some(Duration::from_millis(timeout_ms as u64))) {
            Heard::Packet(packet) => {
                *buf = packet;
                RecvStatus::Received(UsbEndpoint::MainHid)
            }
            Heard::Nothing | Heard::Gone => RecvStatus::Timeout,
        })
    }
}

/// Its file can't be written: the key's flash has failed.
fn broken(error: std::io::Error) -> Ctap2StatusCode {
    tracing::error!(%error, "a simulated key can't be kept");
    Ctap2StatusCode::CTAP2_ERR_VENDOR_HARDWARE_FAILURE
}

impl Persist for SimEnv {
    fn find(&self, key: usize) -> CtapResult<Option<Vec<u8>>> {
        Ok(self.shared.flash.get(key))
    }

    fn insert(&mut self, key: usize, value: &[u8]) -> CtapResult<()> {
        self.powered()?;
        self.shared.flash.put(key, value).map_err(broken)
    }

    fn remove(&mut self, key: usize) -> CtapResult<()> {
        self.powered()?;
        self.shared.flash.remove(key).map_err(broken)
    }

    fn iter(&self) -> CtapResult<PersistIter<'_>> {
        Ok(Box::new(self.shared.flash.keys().into_iter().map(Ok)))
    }

    fn set_pin(&mut self, pin_hash: &[u8; 16], code_points: u8) -> CtapResult<()> {
        if self.shared.model.refuses_pin(pin_hash) {
            return Err(Ctap2StatusCode::CTAP2_ERR_PIN_POLICY_VIOLATION);
        }
        let mut properties = vec![code_points];
        properties.extend_from_slice(pin_hash);
        self.insert(keys::PIN_PROPERTIES, &properties)?;
        self.remove(keys::FORCE_PIN_CHANGE)
    }
}

impl key_store::Helper for SimEnv {}

/// Nothing reads OpenSK's own log.
pub(super) struct Silent;

impl std::fmt::Write for Silent {
    fn write_str(&mut self, _: &str) -> std::fmt::Result {
        Ok(())
    }
}

pub(super) struct Custom {
    protocol_one: bool,
    max_msg_size: usize,
    capacity: usize,
    enterprise: bool,
}

impl Customization for Custom {
    fn allows_pin_protocol_v1(&self) -> bool {
        self.protocol_one
    }
    fn default_cred_protect(&self) -> Option<CredentialProtectionPolicy> {
        None
    }
    fn default_min_pin_length(&self) -> u8 {
        4
    }
    fn default_min_pin_length_rp_ids(&self) -> Vec<String> {
        Vec::new()
    }
    fn enforce_always_uv(&self) -> bool {
        false
    }
    fn enterprise_attestation_mode(&self) -> Option<EnterpriseAttestationMode> {
        self.enterprise.then_some(EnterpriseAttestationMode::PlatformManaged)
    }
    fn is_enterprise_rp_id(&self, _: &str) -> bool {
        false
    }
    fn max_msg_size(&self) -> usize {
        self.max_msg_size
    }
    fn max_pin_retries(&self) -> u8 {
        8
    }
    fn use_batch_attestation(&self) -> bool {
        true
    }
    fn use_signature_counter(&self) -> bool {
        true
    }
    fn max_cred_blob_length(&self) -> usize {
        32
    }
    fn max_credential_count_in_list(&self) -> Option<usize> {
        Some(8)
    }
    fn max_large_blob_array_size(&self) -> usize {
        2048
    }
    fn max_rp_ids_length(&self) -> usize {
        4
    }
    fn max_supported_resident_keys(&self) -> usize {
        self.capacity
    }
}

impl Env for SimEnv {
    type Rng = SimRng;
    type UserPresence = Self;
    type Persist = Self;
    type KeyStore = Self;
    type Write = Silent;
    type Customization = Custom;
    type HidConnection = Self;
    type Clock = Self;
    type Crypto = SoftwareCrypto;

    fn rng(&mut self) -> &mut SimRng {
        &mut self.rng
    }
    fn user_presence(&mut self) -> &mut Self {
        self
    }
    fn persist(&mut self) -> &mut Self {
        self
    }
    fn key_store(&mut self) -> &mut Self {
        self
    }
    fn clock(&mut self) -> &mut Self {
        self
    }
    fn write(&mut self) -> Silent {
        Silent
    }
    fn customization(&self) -> &Custom {
        &self.custom
    }
    fn hid_connection(&mut self) -> &mut Self {
        self
    }
    fn boots_after_soft_reset(&self) -> bool {
        false
    }
    fn firmware_version(&self) -> Option<u64> {
        self.shared.model.firmware_number()
    }
}
