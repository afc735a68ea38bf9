//! OpenSK in a thread behind two channels of packets, bare: the firmware as its makers wrote it, and nothing of ours in front.
//!
//! `sim::key::env` gives OpenSK its surroundings too, and is not used here on purpose. Between it and the wire stands the
//! simulator's filter, which rewrites getInfo, answers the preview commands and adds faults; a mistake that this layer and the
//! filter had in common would pass every trial there, and fails here. What the two files share is the list of traits that an
//! environment must have; what is in them differs (memory, clock, button and wire of a single test here; power cuts, quirks, files
//! and remembered tokens there), and the traits are OpenSK's, so that each type has to implement them for itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opensk::api::clock::Clock;
use opensk::api::connection::{HidConnection, RecvStatus, UsbEndpoint};
use opensk::api::crypto::software_crypto::SoftwareCrypto;
use opensk::api::customization::{CustomizationImpl, DEFAULT_CUSTOMIZATION};
use opensk::api::key_store;
use opensk::api::persist::{Persist, PersistIter};
use opensk::api::rng::Rng;
use opensk::api::user_presence::{UserPresence, UserPresenceError, UserPresenceWaitResult};
use opensk::ctap::status_code::CtapResult;
use opensk::env::Env;
use rand_core_06::{CryptoRng, OsRng, RngCore};

use crate::ctap2::hid::packet::{DeviceError, Packet, PacketDevice};

/// What the finger does when the key blinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finger {
    Touches,
    Declines,
    StaysAway,
}

type Memory = Arc<Mutex<BTreeMap<usize, Vec<u8>>>>;

/// A key that keeps its memory between stays in a port.
#[derive(Clone)]
pub(super) struct Key {
    memory: Memory,
    pub finger: Arc<Mutex<Finger>>,
    /// Milliseconds that the key's clock is ahead of ours.
    pub ahead: Arc<AtomicU64>,
}

/// One stay in a port.
pub(super) struct Plugged {
    to_key: Sender<Packet>,
    from_key: Receiver<Packet>,
}

impl Key {
    pub(super) fn new() -> Self {
        Self { memory: Memory::default(), finger: Arc::new(Mutex::new(Finger::Touches)), ahead: Arc::default() }
    }

    pub(super) fn plug(&self) -> Plugged {
        let (to_key, inbox) = channel();
        let (outbox, from_key) = channel();
        let key = self.clone();
        std::thread::spawn(move || {
            let inbox = Arc::new(Mutex::new(inbox));
            let env = Stage { key, inbox: inbox.clone(), outbox: outbox.clone(), rng: Chance, start: Instant::now() };
            let mut ctap = opensk::Ctap::<Stage>::new(env);
            loop {
                let next = inbox.lock().expect("one reader").recv();
                let Ok(packet) = next else { return };
                for answer in ctap.process_hid_packet(&packet, opensk::Transport::MainHid) {
                    if outbox.send(answer).is_err() {
                        return;
                    }
                }
            }
        });
        Plugged { to_key, from_key }
    }
}

impl PacketDevice for Plugged {
    fn write(&mut self, packet: &Packet) -> Result<(), DeviceError> {
        self.to_key.send(*packet).map_err(|_| DeviceError::Gone)
    }
    fn read(&mut self, timeout: Duration) -> Result<Option<Packet>, DeviceError> {
        match self.from_key.recv_timeout(timeout) {
            Ok(packet) => Ok(Some(packet)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(DeviceError::Gone),
        }
    }
}

struct Stage {
    key: Key,
    inbox: Arc<Mutex<Receiver<Packet>>>,
    outbox: Sender<Packet>,
    rng: Chance,
    start: Instant,
}

struct Chance;

impl CryptoRng for Chance {}
impl Rng for Chance {}
impl RngCore for Chance {
    fn next_u32(&mut self) -> u32 {
        OsRng.next_u32()
    }
    fn next_u64(&mut self) -> u64 {
        OsRng.next_u64()
    }
    fn fill_bytes(&mut self, dest: &mut [u8]) {
        OsRng.fill_bytes(dest);
    }
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core_06::Error> {
        OsRng.try_fill_bytes(dest)
    }
}

impl Stage {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).expect("a short test") + self.key.ahead.load(Ordering::Relaxed)
    }

    fn hear(&self, timeout_ms: usize) -> Option<Packet> {
        self.inbox.lock().expect("one reader").recv_timeout(Duration::from_millis(timeout_ms as u64)).ok()
    }
}

impl Clock for Stage {
    type Timer = u64;
    fn make_timer(&mut self, milliseconds: usize) -> u64 {
        self.now() + milliseconds as u64
    }
    fn is_elapsed(&mut self, timer: &u64) -> bool {
        self.now() >= *timer
    }
}

impl UserPresence for Stage {
    fn check_init(&mut self) {}
    fn wait_with_timeout(&mut self, packet: &mut Packet, timeout_ms: usize) -> UserPresenceWaitResult {
        let finger = *self.key.finger.lock().expect("short locks");
        Ok(match finger {
            Finger::Touches => (Ok(()), RecvStatus::Timeout),
            Finger::Declines => (Err(UserPresenceError::Declined), RecvStatus::Timeout),
            Finger::StaysAway => match self.hear(timeout_ms) {
                Some(received) => {
                    *packet = received;
                    (Err(UserPresenceError::Timeout), RecvStatus::Received(UsbEndpoint::MainHid))
                }
                None => (Err(UserPresenceError::Timeout), RecvStatus::Timeout),
            },
        })
    }
    fn check_complete(&mut self) {}
}

impl HidConnection for Stage {
    fn send(&mut self, buf: &Packet, _: UsbEndpoint) -> CtapResult<()> {
        // A host that has gone hears nothing.
        let _ = self.outbox.send(*buf);
        Ok(())
    }
    fn recv(&mut self, buf: &mut Packet, timeout_ms: usize) -> CtapResult<RecvStatus> {
        Ok(match self.hear(timeout_ms) {
            Some(packet) => {
                *buf = packet;
                RecvStatus::Received(UsbEndpoint::MainHid)
            }
            None => RecvStatus::Timeout,
        })
    }
}

impl Persist for Stage {
    fn find(&self, key: usize) -> CtapResult<Option<Vec<u8>>> {
        Ok(self.key.memory.lock().expect("short locks").get(&key).cloned())
    }
    fn insert(&mut self, key: usize, value: &[u8]) -> CtapResult<()> {
        self.key.memory.lock().expect("short locks").insert(key, value.to_vec());
        Ok(())
    }
    fn remove(&mut self, key: usize) -> CtapResult<()> {
        self.key.memory.lock().expect("short locks").remove(&key);
        Ok(())
    }
    fn iter(&self) -> CtapResult<PersistIter<'_>> {
        let keys: Vec<usize> = self.key.memory.lock().expect("short locks").keys().copied().collect();
        Ok(Box::new(keys.into_iter().map(Ok)))
    }
}

impl key_store::Helper for Stage {}

struct Silent;

impl std::fmt::Write for Silent {
    fn write_str(&mut self, _: &str) -> std::fmt::Result {
        Ok(())
    }
}

impl Env for Stage {
    type Rng = Chance;
    type UserPresence = Self;
    type Persist = Self;
    type KeyStore = Self;
    type Write = Silent;
    type Customization = CustomizationImpl;
    type HidConnection = Self;
    type Clock = Self;
    type Crypto = SoftwareCrypto;

    fn rng(&mut self) -> &mut Chance {
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
    fn customization(&self) -> &CustomizationImpl {
        &DEFAULT_CUSTOMIZATION
    }
    fn hid_connection(&mut self) -> &mut Self {
        self
    }
    fn boots_after_soft_reset(&self) -> bool {
        false
    }
}
