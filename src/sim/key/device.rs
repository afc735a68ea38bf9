//! A key under power: its thread, and the node that programs open.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use ciborium::Value;
use opensk::ctap::{Channel, CtapState};
use opensk::{Ctap, Transport};

use super::env::SimEnv;
use super::fault::Fault;
use super::filter::{Filter, Inbound};
use super::line::{Heard, Line, Wake};
use super::{Finger, Shared, Touch};
use crate::ctap2::hid::packet::{DeviceError, Packet, PacketDevice};

/// A begun message that does not go on is handed to OpenSK after this, so that it finds its own time-out.
const HOLD: Duration = Duration::from_millis(50);

/// A key under power. Dropping it is pulling it: what it holds in flash stays, the rest is gone.
pub struct Powered {
    line: Arc<Line>,
    finger: Finger,
    thread: Option<JoinHandle<()>>,
}

impl Powered {
    pub(super) fn new(shared: &Arc<Shared>, wake: Wake) -> Self {
        let at_packet = shared.take_fault(|fault| match fault {
            Fault::UnplugAtPacket { packet } => Some(*packet),
            _ => None,
        });
        let at_answer = shared.take_fault(|fault| match fault {
            Fault::UnplugAtAnswer { packet } => Some(*packet),
            _ => None,
        });
        let line = Line::new(wake, at_packet, at_answer);
        shared.finger.lay_on(&line);
        let thread = std::thread::Builder::new().name("simulated key".to_owned()).spawn({
            let (shared, line) = (Arc::clone(shared), Arc::clone(&line));
            move || live(shared, &line)
        });
        if thread.is_err() {
            // Without a thread the key is dead: the host sees it gone.
            line.pull();
        }
        Self { line, finger: shared.finger.clone(), thread: thread.ok() }
    }

    /// Opens the key's node. Every opener hears every report, as on Linux.
    ///
    /// # Errors
    /// [`DeviceError::Gone`] when it has lost power.
    pub fn open(&self) -> Result<SimDevice, DeviceError> {
        let reports = self.line.listen().ok_or(DeviceError::Gone)?;
        Ok(SimDevice { line: Arc::clone(&self.line), reports })
    }

    /// Whether it waits for a touch.
    pub fn is_blinking(&self) -> bool {
        self.line.is_blinking()
    }

    /// How many reports the host has sent since it has power.
    pub fn heard(&self) -> u64 {
        self.line.heard()
    }

    /// Which wait for touch of this stay goes on, counted from 1, and for how long it has.
    pub fn blinking(&self) -> Option<(u64, Duration)> {
        self.line.blinking()
    }

    /// Whether it has lost power by itself: a fault pulled it.
    pub fn is_gone(&self) -> bool {
        self.line.is_gone()
    }

    /// The finger on it.
    pub fn finger(&self) -> &Finger {
        &self.finger
    }

    /// Pulls it; openers learn it at once. The key's last instruction is over when this returns.
    pub fn pull(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.line.pull();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("a simulated key's thread failed");
        }
    }
}

impl Drop for Powered {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.stop();
        }
    }
}

/// One program's handle on a key's node.
pub struct SimDevice {
    line: Arc<Line>,
    reports: Receiver<Packet>,
}

/// The host's half of a [`SimDevice`]: reports to the key.
pub struct ToKey(Arc<Line>);

/// The key's half of a [`SimDevice`]: reports from the key.
pub struct FromKey(SimDevice);

impl SimDevice {
    /// The two directions apart, for a thread each.
    pub fn split(self) -> (ToKey, FromKey) {
        (ToKey(Arc::clone(&self.line)), FromKey(self))
    }

    fn next(&self, timeout: Duration) -> Result<Option<Packet>, DeviceError> {
        if self.line.is_gone() {
            return Err(DeviceError::Gone);
        }
        match self.reports.recv_timeout(timeout) {
            Ok(_) if self.line.is_gone() => Err(DeviceError::Gone),
            Ok(packet) => Ok(Some(packet)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(DeviceError::Gone),
        }
    }
}

impl ToKey {
    /// As [`PacketDevice::write`].
    ///
    /// # Errors
    /// [`DeviceError::Gone`].
    pub fn write(&self, packet: &Packet) -> Result<(), DeviceError> {
        if self.0.host_says(packet) { Ok(()) } else { Err(DeviceError::Gone) }
    }
}

impl FromKey {
    /// As [`PacketDevice::read`].
    ///
    /// # Errors
    /// [`DeviceError::Gone`].
    pub fn read(&self, timeout: Duration) -> Result<Option<Packet>, DeviceError> {
        self.0.next(timeout)
    }
}

impl PacketDevice for SimDevice {
    fn write(&mut self, packet: &Packet) -> Result<(), DeviceError> {
        if self.line.host_says(packet) { Ok(()) } else { Err(DeviceError::Gone) }
    }

    fn read(&mut self, timeout: Duration) -> Result<Option<Packet>, DeviceError> {
        self.next(timeout)
    }
}

/// The key's life, from power to no power.
fn live(shared: Arc<Shared>, line: &Arc<Line>) {
    let mut ctap = Ctap::new(SimEnv::new(Arc::clone(&shared), Arc::clone(line)));
    let mut filter = Filter::new(Arc::clone(&shared));
    loop {
        let inbound = match line.hear(filter.is_holding().then_some(HOLD)) {
            Heard::Gone => return,
            Heard::Nothing => Inbound::AsItIs(filter.let_go()),
            Heard::Packet(packet) => filter.hear(&packet),
        };
        match inbound {
            Inbound::Wait => {}
            Inbound::AsItIs(packets) => {
                for packet in packets {
                    let answers: Vec<Packet> = ctap.process_hid_packet(&packet, Transport::MainHid).collect();
                    filter.say_plainly(answers, line);
                }
            }
            Inbound::Request(request) => {
                let Some(packets) = filter.prepare(&request, ctap.env().tokens(), line) else { continue };
                let mut answers = Vec::new();
                for packet in packets {
                    answers.extend(ctap.process_hid_packet(&packet, Transport::MainHid));
                }
                filter.answer(&request, answers, line);
            }
        }
    }
}

/// Puts one credential for each relying party on the key, as if it had been used before. Only while no PIN is set.
pub(super) fn remember(shared: &Arc<Shared>, relying_parties: &[String]) {
    if relying_parties.is_empty() {
        return;
    }
    let rule = shared.finger.rule();
    shared.finger.set(Touch::AtOnce);
    let mut env = SimEnv::new(Arc::clone(shared), Line::new(Arc::new(|| ()), None, None));
    let mut state = CtapState::new(&mut env);
    for rp_id in relying_parties {
        let request = Value::Map(vec![
            (1.into(), Value::Bytes(vec![0; 32])),
            (2.into(), Value::Map(vec![("id".into(), rp_id.as_str().into())])),
            (3.into(), Value::Map(vec![("id".into(), Value::Bytes(b"somebody".to_vec()))])),
            (
                4.into(),
                Value::Array(vec![Value::Map(vec![("alg".into(), (-7).into()), ("type".into(), "public-key".into())])]),
            ),
            (7.into(), Value::Map(vec![("rk".into(), true.into())])),
        ]);
        let mut bytes = vec![1];
        ciborium::into_writer(&request, &mut bytes).expect("infallible: writing to memory");
        let answer = state.process_command(&mut env, &bytes, Channel::MainHid([0, 0, 0, 1]));
        if answer.first() != Some(&0) {
            tracing::error!(status = ?answer.first(), "a simulated key took no credential at birth");
        }
    }
    shared.finger.set(rule);
}
