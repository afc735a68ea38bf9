//! A simulated person at the bench: one pair of hands, human timings, a box of keys.
//!
//! The person sees what a person sees, blinking and empty ports ([`SimPorts`]), and is told what the bench shows ([`Cue`]).
//! What is most useful now is decided in `choice`, which is pure. Exception: the person never errs but where a [`Manner`] says so.

mod choice;

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Deserialize;

use self::choice::{Action, Place, PortView, View, choose};
use super::key::{SimKey, lock};
use super::ports::{self, SimPorts};
use crate::model::{PlugId, PortName};
use crate::world::{Clock, SystemClock};

/// What the bench tells the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cue {
    /// The key in this port is finished: unplug it and label it.
    TakeOut {
        /// Where.
        port: PortName,
    },
    /// The key in this port is refused: unplug it, REJECT label.
    Reject {
        /// Where.
        port: PortName,
    },
    /// The key that was pulled from this port too early is asked for again.
    PutBack {
        /// Where it was.
        port: PortName,
    },
    /// The key in this port is to be taken out and put in again.
    Replug {
        /// Where.
        port: PortName,
    },
    /// The day is over: whatever is still plugged comes out.
    Done,
}

enum Signal {
    Cue(Cue),
    Look,
}

/// Where the bench sends its cues. Clones go to the same person.
#[derive(Clone)]
pub struct Cues(Sender<Signal>);

impl Cues {
    /// Shows the person something. After the person has gone home nothing happens.
    pub fn send(&self, cue: Cue) {
        // A person gone home can't be told anything.
        let _ = self.0.send(Signal::Cue(cue));
    }
}

/// How long the hands take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// Taking a key from the box and plugging it in.
    pub plug: Duration,
    /// Reaching a blinking key and touching it.
    pub touch: Duration,
    /// Unplugging and labelling.
    pub unplug: Duration,
}

impl Timings {
    /// As measured at benches: 1.5 s, 0.7 s, 2 s.
    pub const HUMAN: Self =
        Self { plug: Duration::from_millis(1500), touch: Duration::from_millis(700), unplug: Duration::from_secs(2) };

    /// Every time multiplied, e.g. by 0.1.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        let scale = |time: Duration| Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or(time);
        Self { plug: scale(self.plug), touch: scale(self.touch), unplug: scale(self.unplug) }
    }
}

/// How the person treats one key. The default is: touch it when it blinks, take it out when told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Manner {
    /// The touch comes only that many milliseconds after the blinking began.
    pub touch_after_ms: u64,
    /// So many waits for touch are let pass before one is answered.
    pub skip_timeouts: u64,
    /// The touch comes as soon as another key blinks too, and falls on both; it waits for that as long as `touch_after_ms`.
    pub brushes: bool,
    /// The key is pulled, once, when it first blinks.
    pub pull_when_blinking: bool,
    /// A key that left early is put back after that many milliseconds, or when the bench asks for it.
    pub back_after_ms: u64,
}

/// A key in the box, and how it will be treated.
pub struct BoxedKey {
    /// The key.
    pub key: SimKey,
    /// How it is treated.
    pub manner: Manner,
}

impl From<SimKey> for BoxedKey {
    fn from(key: SimKey) -> Self {
        Self { key, manner: Manner::default() }
    }
}

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Taken out as finished.
    Finished,
    /// Taken out as refused.
    Rejected,
    /// The day ended with it plugged, or waiting to be put back.
    Left,
}

/// How busy the hands were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BusyMeter {
    /// Time in actions.
    pub busy: Duration,
    /// From the start of the first action to the end of the last.
    pub span: Duration,
    first: Option<Duration>,
}

impl BusyMeter {
    fn note(&mut self, from: Duration, to: Duration) {
        let first = *self.first.get_or_insert(from);
        self.busy += to.saturating_sub(from);
        self.span = to.saturating_sub(first);
    }

    /// Busy time in the whole, 0 to 1.
    pub fn share(&self) -> f64 {
        if self.span.is_zero() { 0.0 } else { self.busy.as_secs_f64() / self.span.as_secs_f64() }
    }
}

/// What the person did.
#[derive(Default)]
pub struct Day {
    /// How busy the hands were.
    pub meter: BusyMeter,
    /// Keys plugged in, counting every time.
    pub plugs: u64,
    /// Touches that a key was waiting for.
    pub touches: u64,
    /// Touches that came too late.
    pub missed_touches: u64,
    /// Keys pulled although the bench had not said so, by hand or by a fault.
    pub early_pulls: u64,
    /// Every key that left the bench, in that order.
    pub keys: Vec<(SimKey, Fate)>,
}

/// What the person knows of the key in a port.
struct Held {
    plug: PlugId,
    manner: Manner,
    fate: Option<Fate>,
    /// The bench asked for it to be taken out and put in again.
    replug: bool,
}

/// A key that left early and goes back.
struct Loose {
    key: SimKey,
    manner: Manner,
    port: PortName,
    due: Duration,
}

/// The person.
pub struct Hands {
    ports: SimPorts,
    clock: Arc<dyn Clock>,
    timings: Timings,
    supply: Box<dyn Iterator<Item = BoxedKey> + Send>,
    in_hand: Option<BoxedKey>,
    held: HashMap<PortName, Held>,
    loose: Vec<Loose>,
    sender: Sender<Signal>,
    signals: Receiver<Signal>,
    done: bool,
    day: Day,
}

impl Hands {
    /// A person before a hub, with a box of keys; the box may be endless.
    pub fn new(
        ports: SimPorts,
        timings: Timings,
        keys: impl IntoIterator<Item = BoxedKey, IntoIter: Send + 'static>,
    ) -> Self {
        let (sender, signals) = channel();
        Self {
            ports,
            clock: Arc::new(SystemClock::new()),
            timings,
            supply: Box::new(keys.into_iter()),
            in_hand: None,
            held: HashMap::new(),
            loose: Vec::new(),
            sender,
            signals,
            done: false,
            day: Day::default(),
        }
    }

    /// Another clock than the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where cues for this person go.
    pub fn cues(&self) -> Cues {
        Cues(self.sender.clone())
    }

    /// Works on a thread of its own.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(self) -> std::io::Result<JoinHandle<Day>> {
        std::thread::Builder::new().name("simulated operator".to_owned()).spawn(move || self.run())
    }

    /// Works until the bench says [`Cue::Done`], or until the box is empty and every key has left.
    pub fn run(mut self) -> Day {
        let looks = Mutex::new(self.sender.clone());
        self.ports.on_change(Arc::new(move || {
            let _ = lock(&looks).send(Signal::Look);
        }));
        loop {
            while let Ok(signal) = self.signals.try_recv() {
                self.note(signal);
            }
            if self.in_hand.is_none() && !self.done {
                self.in_hand = self.supply.next();
            }
            let view = self.look();
            match choose(&view) {
                Some(action) => self.act(action),
                None if view.nothing_left() => break,
                None => self.wait(view.next_due()),
            }
        }
        for loose in self.loose.drain(..) {
            self.day.keys.push((loose.key, Fate::Left));
        }
        self.day
    }

    fn note(&mut self, signal: Signal) {
        let (port, fate) = match signal {
            Signal::Look => return,
            Signal::Cue(Cue::Done) => {
                self.done = true;
                return;
            }
            Signal::Cue(Cue::PutBack { port }) => {
                let now = self.clock.monotonic();
                self.loose.iter_mut().filter(|loose| loose.port == port).for_each(|loose| loose.due = now);
                return;
            }
            Signal::Cue(Cue::Replug { port }) => {
                self.held.get_mut(&port).into_iter().for_each(|held| held.replug = true);
                return;
            }
            Signal::Cue(Cue::TakeOut { port }) => (port, Fate::Finished),
            Signal::Cue(Cue::Reject { port }) => (port, Fate::Rejected),
        };
        if let Some(held) = self.held.get_mut(&port) {
            held.fate = Some(fate);
        }
    }

    fn wait(&self, due: Option<Duration>) {
        let limit = due.map_or(Duration::from_millis(200), |due| due.saturating_sub(self.clock.monotonic()));
        match self.signals.recv_timeout(limit.clamp(Duration::from_millis(1), Duration::from_millis(200))) {
            // It is put back for `note`: the order among signals does not matter to it.
            Ok(Signal::Cue(cue)) => Cues(self.sender.clone()).send(cue),
            Ok(Signal::Look) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }

    fn look(&self) -> View {
        let now = self.clock.monotonic();
        let blinking = self.ports.blinking();
        let look_at = |port: &PortName| {
            let place = match self.ports.place(port) {
                ports::Place::Empty => Place::Empty,
                ports::Place::Fallen => Place::Fallen,
                ports::Place::Taken => {
                    let light = blinking.iter().find(|light| light.port == *port);
                    let held = self.held.get(port);
                    let manner = held.map(|held| held.manner).unwrap_or_default();
                    let light = light.filter(|light| held.is_none_or(|held| held.plug == light.plug));
                    let together = manner.brushes && blinking.len() > 1;
                    let ripe = Duration::from_millis(if together { 0 } else { manner.touch_after_ms });
                    Place::Key {
                        fate: held.and_then(|held| held.fate).or(self.done.then_some(Fate::Left)),
                        touch_at: light
                            .filter(|light| light.episode > manner.skip_timeouts)
                            .map(|light| now + ripe.saturating_sub(light.lasting)),
                        pull: (light.is_some() && manner.pull_when_blinking) || held.is_some_and(|held| held.replug),
                    }
                }
            };
            PortView { port: port.clone(), place, reserved: self.loose.iter().any(|loose| loose.port == *port) }
        };
        View {
            now,
            ports: self.ports.names().iter().map(look_at).collect(),
            loose: self.loose.iter().map(|loose| (loose.port.clone(), loose.due)).collect(),
            box_has_key: self.in_hand.is_some(),
            done: self.done,
        }
    }

    fn act(&mut self, action: Action) {
        let from = self.clock.monotonic();
        match action {
            Action::Touch(port) => {
                self.clock.sleep(self.timings.touch);
                let counted = self.ports.touch(&port);
                self.day.touches += u64::from(counted);
                self.day.missed_touches += u64::from(!counted);
                if self.held.get(&port).is_some_and(|held| held.manner.brushes) {
                    for other in self.ports.blinking().into_iter().filter(|other| other.port != port) {
                        self.day.touches += u64::from(self.ports.touch(&other.port));
                    }
                }
            }
            Action::PullEarly(port) => {
                if let Some(key) = self.ports.unplug(&port) {
                    self.lay_aside(port, key);
                }
                self.clock.sleep(self.timings.unplug);
            }
            Action::PickUp(port) => {
                if let Some(key) = self.ports.pick_up(&port) {
                    self.lay_aside(port, key);
                }
                // Picking up is part of putting back.
                return;
            }
            Action::PutBack { index, port } => {
                let loose = self.loose.remove(index);
                self.clock.sleep(self.timings.plug);
                self.put_in(port, BoxedKey { key: loose.key, manner: loose.manner });
            }
            Action::TakeOut(port, fate) => {
                self.held.remove(&port);
                if let Some(key) = self.ports.unplug(&port) {
                    if fate != Fate::Left {
                        key.give_away();
                    }
                    self.day.keys.push((key, fate));
                }
                self.clock.sleep(self.timings.unplug);
            }
            Action::PlugNew(port) => {
                let Some(boxed) = self.in_hand.take() else { return };
                self.clock.sleep(self.timings.plug);
                self.put_in(port, boxed);
            }
        }
        self.day.meter.note(from, self.clock.monotonic());
    }

    fn put_in(&mut self, port: PortName, boxed: BoxedKey) {
        let BoxedKey { key, manner } = boxed;
        match self.ports.plug(&port, key) {
            Ok(plug) => {
                self.day.plugs += 1;
                self.held.insert(port, Held { plug, manner, fate: None, replug: false });
            }
            Err(error) => {
                tracing::warn!(%error, "a simulated key could not be plugged in");
                self.day.keys.push((error.into_key(), Fate::Left));
            }
        }
    }

    /// The key goes back later, and is then treated as any other.
    fn lay_aside(&mut self, port: PortName, key: SimKey) {
        let held = self.held.remove(&port);
        self.day.early_pulls += u64::from(!held.as_ref().is_some_and(|held| held.replug));
        let manner = held.map(|held| held.manner).unwrap_or_default();
        let due = self.clock.monotonic() + Duration::from_millis(manner.back_after_ms);
        let manner = Manner { pull_when_blinking: false, ..manner };
        self.loose.push(Loose { key, manner, port, due });
    }
}

#[cfg(test)]
mod tests;
