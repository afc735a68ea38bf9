//! A hub of simulated ports: what [`KeyPorts`] is on a real machine.
//!
//! Promise: as with USB, a stay in a port is over when the key leaves, for good; the same key put back is another stay.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::key::{Finger, Powered, Probe, SerialBy, SimKey, Wake, lock};
use crate::ctap2::hid::packet::{DeviceError, PacketDevice};
use crate::model::{PlugId, PortName};
use crate::world::{KeyPorts, PluggedKey, PortEvent, PortsError};

/// Stays are numbered through the whole program, so that no two hubs give one number twice.
static NEXT_PLUG: AtomicU64 = AtomicU64::new(1);

/// Simulated ports. Clones are the same hub.
#[derive(Clone)]
pub struct SimPorts {
    hub: Arc<Hub>,
}

struct Hub {
    names: Vec<PortName>,
    state: Mutex<State>,
    onlookers: Mutex<Vec<Wake>>,
}

#[derive(Default)]
struct State {
    stays: BTreeMap<PortName, Stay>,
    /// Ports that a key is falling out of: its thread is not over yet.
    falling: HashSet<PortName>,
    /// Keys that a fault pulled: they lie before their port.
    fallen: HashMap<PortName, SimKey>,
    watchers: Vec<Sender<PortEvent>>,
    denied: HashMap<PortName, Denial>,
}

/// Why the system does not let a key be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// This account may not.
    NoRight,
    /// Another program holds the key.
    InUse,
}

struct Stay {
    plug: PlugId,
    key: SimKey,
    powered: Powered,
}

/// A key that waits for a touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blinking {
    /// Where.
    pub port: PortName,
    /// In which stay.
    pub plug: PlugId,
    /// The how many-th wait of this stay it is, from 1.
    pub episode: u64,
    /// For how long already.
    pub lasting: Duration,
}

/// What is to be seen at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Nothing.
    Empty,
    /// A key is in it, or on its way out.
    Taken,
    /// A key that fell out lies before it.
    Fallen,
}

/// Why a key could not be put in a port. The key comes back.
#[derive(thiserror::Error)]
pub enum PlugError {
    /// There is no port of that name.
    #[error("there is no port {0}")]
    NoSuchPort(PortName, SimKey),
    /// A key is in it.
    #[error("port {0} has a key in it")]
    Taken(PortName, SimKey),
}

impl PlugError {
    /// The key that was not plugged in.
    pub fn into_key(self) -> SimKey {
        match self {
            Self::NoSuchPort(_, key) | Self::Taken(_, key) => key,
        }
    }
}

impl std::fmt::Debug for PlugError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl SimPorts {
    /// A hub with ports of these names.
    pub fn new(names: impl IntoIterator<Item = PortName>) -> Self {
        let hub = Hub { names: names.into_iter().collect(), state: Mutex::default(), onlookers: Mutex::default() };
        Self { hub: Arc::new(hub) }
    }

    /// A hub with ports `sim-1` to `sim-N`.
    pub fn numbered(count: usize) -> Self {
        Self::new((1..=count).map(|number| PortName::new(format!("sim-{number}"))))
    }

    /// The ports, taken or not.
    pub fn names(&self) -> &[PortName] {
        &self.hub.names
    }

    /// Calls `wake` whenever a key comes, goes, or begins or ends blinking. It must not call back into the hub.
    pub fn on_change(&self, wake: Wake) {
        lock(&self.hub.onlookers).push(wake);
    }

    /// Puts a key in a port.
    ///
    /// # Errors
    /// [`PlugError`] with the key, when the port does not exist or is taken.
    pub fn plug(&self, port: &PortName, key: SimKey) -> Result<PlugId, PlugError> {
        if !self.hub.names.contains(port) {
            return Err(PlugError::NoSuchPort(port.clone(), key));
        }
        if self.is_taken(port) {
            return Err(PlugError::Taken(port.clone(), key));
        }
        let plug = PlugId(NEXT_PLUG.fetch_add(1, Ordering::Relaxed));
        // Power goes on before the lock is taken: the key may call `wake_for`'s closure, which takes it too.
        let powered = key.power_up_with(self.wake_for(port.clone(), plug));
        let stay = Stay { plug, key, powered };
        let mut state = lock(&self.hub.state);
        if state.has(port) {
            drop(state);
            return Err(PlugError::Taken(port.clone(), stay.key));
        }
        let event = PortEvent::Plugged(stay.describe(port, false));
        state.stays.insert(port.clone(), stay);
        state.tell(event);
        drop(state);
        self.hub.wake_all();
        Ok(plug)
    }

    /// Takes the key out of a port. What it holds in flash, it keeps.
    pub fn unplug(&self, port: &PortName) -> Option<SimKey> {
        let mut state = lock(&self.hub.state);
        let stay = state.stays.remove(port)?;
        state.tell(PortEvent::Unplugged { port: port.clone(), plug: stay.plug });
        drop(state);
        let Stay { key, powered, .. } = stay;
        powered.pull();
        self.hub.wake_all();
        Some(key)
    }

    /// Takes the key out and puts it back at once.
    pub fn power_cycle(&self, port: &PortName) -> Option<PlugId> {
        let key = self.unplug(port)?;
        self.plug(port, key).ok()
    }

    /// Picks up the key that a fault pulled out of this port.
    pub fn pick_up(&self, port: &PortName) -> Option<SimKey> {
        lock(&self.hub.state).fallen.remove(port)
    }

    /// What is to be seen at a port.
    pub fn place(&self, port: &PortName) -> Place {
        let state = lock(&self.hub.state);
        if state.has(port) {
            Place::Taken
        } else if state.fallen.contains_key(port) {
            Place::Fallen
        } else {
            Place::Empty
        }
    }

    /// Whether a key is in the port, or on its way out.
    pub fn is_taken(&self, port: &PortName) -> bool {
        lock(&self.hub.state).has(port)
    }

    /// The keys that wait for a touch, in the order of their ports' names.
    pub fn blinking(&self) -> Vec<Blinking> {
        let state = lock(&self.hub.state);
        let blinking = |(port, stay): (&PortName, &Stay)| {
            let (episode, lasting) = stay.powered.blinking()?;
            Some(Blinking { port: port.clone(), plug: stay.plug, episode, lasting })
        };
        state.stays.iter().filter_map(blinking).collect()
    }

    /// Touches the key in a port. `false` when it was not waiting for that.
    pub fn touch(&self, port: &PortName) -> bool {
        self.finger(port).is_some_and(|finger| finger.press())
    }

    /// The finger on the key in a port.
    pub fn finger(&self, port: &PortName) -> Option<Finger> {
        lock(&self.hub.state).stays.get(port).map(|stay| stay.powered.finger().clone())
    }

    /// Opening the key in this port fails like that from now on; `None` lifts it.
    pub fn deny(&self, port: &PortName, denial: Option<Denial>) {
        let mut state = lock(&self.hub.state);
        match denial {
            Some(denial) => drop(state.denied.insert(port.clone(), denial)),
            None => drop(state.denied.remove(port)),
        }
    }

    /// A look inside the key in a port.
    pub fn probe(&self, port: &PortName) -> Option<Probe> {
        lock(&self.hub.state).stays.get(port).map(|stay| stay.key.probe())
    }

    /// What a stay calls when something about its key changes. It ends the stay when the key left by itself.
    fn wake_for(&self, port: PortName, plug: PlugId) -> Wake {
        let hub = Arc::downgrade(&self.hub);
        Arc::new(move || {
            let Some(hub) = Weak::upgrade(&hub) else { return };
            let fell = {
                let mut state = lock(&hub.state);
                let gone = state.stays.get(&port).is_some_and(|stay| stay.plug == plug && stay.powered.is_gone());
                let fell = if gone { state.stays.remove(&port) } else { None };
                if fell.is_some() {
                    state.falling.insert(port.clone());
                    state.tell(PortEvent::Unplugged { port: port.clone(), plug });
                }
                fell
            };
            if let Some(Stay { key, powered, .. }) = fell {
                powered.pull();
                let mut state = lock(&hub.state);
                state.falling.remove(&port);
                state.fallen.insert(port.clone(), key);
            }
            hub.wake_all();
        })
    }
}

impl Hub {
    fn wake_all(&self) {
        let onlookers = lock(&self.onlookers).clone();
        for wake in onlookers {
            wake();
        }
    }
}

impl State {
    fn has(&self, port: &PortName) -> bool {
        self.stays.contains_key(port) || self.falling.contains(port)
    }

    fn tell(&mut self, event: PortEvent) {
        self.watchers.retain(|watcher| watcher.send(event.clone()).is_ok());
    }
}

impl Stay {
    fn describe(&self, port: &PortName, present_at_start: bool) -> PluggedKey {
        let model = self.key.model();
        PluggedKey {
            port: port.clone(),
            plug: self.plug,
            vendor_id: model.usb.vendor_id,
            product_id: model.usb.product_id,
            manufacturer: model.usb.manufacturer.clone(),
            product: model.usb.product.clone(),
            usb_serial: self
                .key
                .serial()
                .filter(|_| model.serial_by == SerialBy::Usb)
                .map(|serial| serial.as_str().to_owned()),
            present_at_start,
        }
    }
}

impl KeyPorts for SimPorts {
    fn list(&self) -> Result<Vec<PluggedKey>, PortsError> {
        let state = lock(&self.hub.state);
        Ok(state.stays.iter().map(|(port, stay)| stay.describe(port, true)).collect())
    }

    fn watch(&self) -> Result<Receiver<PortEvent>, PortsError> {
        let (sender, receiver) = channel();
        let mut state = lock(&self.hub.state);
        for (port, stay) in &state.stays {
            // The receiver is in our hands: this can't fail.
            let _ = sender.send(PortEvent::Plugged(stay.describe(port, true)));
        }
        state.watchers.push(sender);
        Ok(receiver)
    }

    fn open(&self, plug: PlugId) -> Result<Box<dyn PacketDevice>, DeviceError> {
        let state = lock(&self.hub.state);
        let (port, stay) = state.stays.iter().find(|(_, stay)| stay.plug == plug).ok_or(DeviceError::Gone)?;
        match state.denied.get(port) {
            Some(Denial::NoRight) => return Err(DeviceError::NoRight { node: port.to_string() }),
            Some(Denial::InUse) => return Err(DeviceError::InUse { node: port.to_string() }),
            None => {}
        }
        Ok(Box::new(stay.powered.open()?))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::key::host::Host;
    use super::super::key::{Fault, Model, Touch};
    use super::*;

    fn key() -> SimKey {
        SimKey::new(&Model::usual(), 1)
    }

    fn port(number: u32) -> PortName {
        PortName::new(format!("sim-{number}"))
    }

    fn next(events: &Receiver<PortEvent>) -> PortEvent {
        events.recv_timeout(Duration::from_secs(10)).expect("an event")
    }

    #[test]
    fn watchers_hear_of_stays_and_stays_never_come_back() {
        let ports = SimPorts::numbered(2);
        let first = ports.plug(&port(1), key()).expect("free");
        let (one, other) = (ports.watch().expect("watch"), ports.watch().expect("watch"));
        assert!(matches!(next(&one), PortEvent::Plugged(key) if key.plug == first && key.present_at_start));
        let again = ports.power_cycle(&port(1)).expect("a key");
        assert_ne!(first, again);
        assert_eq!(next(&one), PortEvent::Unplugged { port: port(1), plug: first });
        assert!(matches!(next(&one), PortEvent::Plugged(key) if key.plug == again && !key.present_at_start));
        next(&other);
        assert_eq!(next(&other), PortEvent::Unplugged { port: port(1), plug: first });
        assert!(matches!(ports.open(first), Err(DeviceError::Gone)));
        Host::new(ports.open(again).expect("there")).get_info();
        assert_eq!(ports.list().expect("a list").len(), 1);
    }

    #[test]
    fn a_port_takes_one_key_and_gives_the_other_back() {
        let ports = SimPorts::numbered(1);
        ports.plug(&port(1), key()).expect("free");
        let error = ports.plug(&port(1), key()).expect_err("taken");
        assert!(matches!(error, PlugError::Taken(..)));
        let error = ports.plug(&port(7), error.into_key()).expect_err("no such port");
        assert!(matches!(error, PlugError::NoSuchPort(..)));
        assert!(ports.unplug(&port(1)).is_some() && ports.unplug(&port(1)).is_none());
    }

    #[test]
    fn a_key_can_be_denied() {
        let ports = SimPorts::numbered(1);
        let plug = ports.plug(&port(1), key()).expect("free");
        ports.deny(&port(1), Some(Denial::NoRight));
        assert!(matches!(ports.open(plug), Err(DeviceError::NoRight { .. })));
        ports.deny(&port(1), Some(Denial::InUse));
        assert!(matches!(ports.open(plug), Err(DeviceError::InUse { .. })));
        ports.deny(&port(1), None);
        assert!(ports.open(plug).is_ok());
    }

    #[test]
    fn a_hand_sees_who_blinks() {
        let ports = SimPorts::numbered(2);
        ports.plug(&port(1), key()).expect("free");
        let plug = ports.plug(&port(2), key()).expect("free");
        let (waked, wakes) = channel();
        ports.on_change(Arc::new(move || waked.send(()).unwrap_or_default()));
        let mut host = Host::new(ports.open(plug).expect("there"));
        host.send(0x10, &[0x0b]).expect("sent");
        wakes.recv_timeout(Duration::from_secs(10)).expect("blinking begins");
        let blinking = ports.blinking();
        assert_eq!((blinking.len(), &blinking[0].port, blinking[0].episode), (1, &port(2), 1));
        assert!(!ports.touch(&port(1)));
        assert!(ports.touch(&port(2)));
        assert_eq!(host.receive().expect("there").1, [0]);
        assert!(ports.blinking().is_empty());
    }

    #[test]
    fn a_key_that_jumps_out_can_be_picked_up() {
        let ports = SimPorts::numbered(1);
        let key = key();
        key.probe().finger().set(Touch::AtOnce);
        key.probe().add_fault(Fault::UnplugAtPacket { packet: 2 });
        let plug = ports.plug(&port(1), key).expect("free");
        let events = ports.watch().expect("watch");
        next(&events);
        let mut host = Host::new(ports.open(plug).expect("there"));
        assert!(matches!(host.call(0x10, &[4]), Err(DeviceError::Gone)));
        assert_eq!(next(&events), PortEvent::Unplugged { port: port(1), plug });
        let end = Instant::now() + Duration::from_secs(10);
        while ports.place(&port(1)) != Place::Fallen && Instant::now() < end {
            std::thread::yield_now();
        }
        let key = ports.pick_up(&port(1)).expect("it lies there");
        assert_eq!(ports.place(&port(1)), Place::Empty);
        let plug = ports.plug(&port(1), key).expect("free");
        Host::new(ports.open(plug).expect("there")).get_info();
    }
}
