//! The wire of one stay in a port: reports both ways, the touch, and the moment the key leaves.
//!
//! Promise: once a key is pulled nothing more gets through in either direction, not even reports already under way.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::finger::{Finger, Touch};
use crate::ctap2::hid::packet::Packet;

/// Called whenever something an onlooker may care about changes: blinking starts or ends, a key leaves.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Locks, whatever became of an earlier holder: the simulator's state stays readable after a failed test thread.
pub(in crate::sim) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What ended a wait for the next report.
pub(super) enum Heard {
    Packet(Packet),
    Nothing,
    Gone,
}

/// What ended a wait for a touch.
pub(super) enum Presence {
    Touched,
    Declined,
    Packet(Packet),
    Nothing,
    Gone,
}

#[derive(Default)]
struct State {
    inbox: VecDeque<Packet>,
    hosts: Vec<Sender<Packet>>,
    gone: bool,
    blinking_since: Option<Instant>,
    episode: u64,
    pressed: bool,
    heard: u64,
    said: u64,
    unplug_at_packet: Option<u64>,
    unplug_at_answer: Option<u64>,
}

pub(super) struct Line {
    state: Mutex<State>,
    changed: Condvar,
    wake: Wake,
}

impl Line {
    /// A fresh wire. The two numbers, counted from 1, are the host's and the key's report that pull the key instead of arriving.
    pub(super) fn new(wake: Wake, unplug_at_packet: Option<u64>, unplug_at_answer: Option<u64>) -> Arc<Self> {
        let state = State { unplug_at_packet, unplug_at_answer, ..State::default() };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new(), wake })
    }

    /// One more program that hears every report, as with hidraw. `None` when the key is gone.
    pub(super) fn listen(&self) -> Option<Receiver<Packet>> {
        let (sender, receiver) = channel();
        let mut state = lock(&self.state);
        if state.gone {
            return None;
        }
        state.hosts.push(sender);
        Some(receiver)
    }

    /// Host to key. `false` when the key is gone, also by this very report.
    pub(super) fn host_says(&self, packet: &Packet) -> bool {
        let mut state = lock(&self.state);
        if state.gone {
            return false;
        }
        state.heard += 1;
        if state.unplug_at_packet == Some(state.heard) {
            drop(state);
            self.pull();
            return false;
        }
        state.inbox.push_back(*packet);
        self.changed.notify_all();
        true
    }

    /// Key to every host that listens.
    pub(super) fn key_says(&self, packet: &Packet) {
        let mut state = lock(&self.state);
        if state.gone {
            return;
        }
        state.said += 1;
        if state.unplug_at_answer == Some(state.said) {
            drop(state);
            self.pull();
            return;
        }
        state.hosts.retain(|host| host.send(*packet).is_ok());
    }

    /// The key leaves. Everyone who waits learns it at once.
    pub(super) fn pull(&self) {
        {
            let mut state = lock(&self.state);
            state.gone = true;
            state.inbox.clear();
            state.hosts.clear();
            state.blinking_since = None;
        }
        self.changed.notify_all();
        (self.wake)();
    }

    /// How many reports the host has sent.
    pub(super) fn heard(&self) -> u64 {
        lock(&self.state).heard
    }

    pub(super) fn is_gone(&self) -> bool {
        lock(&self.state).gone
    }

    /// Waits for the host's next report; for ever without a limit.
    pub(super) fn hear(&self, limit: Option<Duration>) -> Heard {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let mut state = lock(&self.state);
        loop {
            if state.gone {
                return Heard::Gone;
            }
            if let Some(packet) = state.inbox.pop_front() {
                return Heard::Packet(packet);
            }
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Heard::Nothing;
                    }
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Sits the time out; `false` at once when the key is pulled meanwhile. Reports stay queued.
    pub(super) fn rest(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut state = lock(&self.state);
        loop {
            if state.gone {
                return false;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn blink(&self, on: bool) {
        {
            let mut state = lock(&self.state);
            // A touch before the light is no touch.
            state.pressed = false;
            state.blinking_since = (on && !state.gone).then(Instant::now);
            state.episode += u64::from(on);
        }
        (self.wake)();
    }

    /// Which wait for touch of this stay goes on, counted from 1, and for how long it has.
    pub(super) fn blinking(&self) -> Option<(u64, Duration)> {
        let state = lock(&self.state);
        state.blinking_since.map(|since| (state.episode, since.elapsed()))
    }

    pub(super) fn is_blinking(&self) -> bool {
        self.blinking().is_some()
    }

    /// A touch now; `true` when the key was waiting for one. The light goes out at once, before the key's firmware knows.
    pub(super) fn press(&self) -> bool {
        let mut state = lock(&self.state);
        let counts = state.blinking_since.take().is_some();
        state.pressed |= counts;
        self.changed.notify_all();
        counts
    }

    /// Makes a waiting key look at its finger again.
    pub(super) fn nudge(&self) {
        let _state = lock(&self.state);
        self.changed.notify_all();
    }

    /// Waits for touch, refusal, report or removal, at most for `limit`.
    pub(super) fn wait_for_touch(&self, finger: &Finger, limit: Duration) -> Presence {
        let deadline = Instant::now() + limit;
        let mut state = lock(&self.state);
        loop {
            if state.gone {
                return Presence::Gone;
            }
            let now = Instant::now();
            let mut next_look = deadline;
            match finger.rule() {
                _ if state.pressed => {
                    state.pressed = false;
                    return Presence::Touched;
                }
                Touch::AtOnce => return Presence::Touched,
                Touch::Decline => return Presence::Declined,
                Touch::After(delay) => {
                    let due = state.blinking_since.unwrap_or(now) + delay;
                    if due <= now {
                        return Presence::Touched;
                    }
                    next_look = next_look.min(due);
                }
                Touch::Hand | Touch::Never => {}
            }
            if let Some(packet) = state.inbox.pop_front() {
                return Presence::Packet(packet);
            }
            if now >= deadline {
                return Presence::Nothing;
            }
            let left = next_look.saturating_duration_since(now);
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
