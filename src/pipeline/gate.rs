//! Who may blink now: a line for the few touches at a time, and the switch that pauses or ends them all.
//!
//! A person has one pair of hands. Were every key to blink, none would be "the next"; so keys queue for their touch in the
//! order in which they became ready, and only the first few are armed.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often a waiting lane looks whether its key is still there.
const LOOK: Duration = Duration::from_millis(100);

/// Why all touches pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// A code of [`super::code::CODES`].
    pub code: String,
    /// In more words, for people.
    pub detail: String,
}

#[derive(Debug, Default)]
struct Inner {
    stopping: bool,
    paused: Option<Pause>,
    armed: usize,
    line: VecDeque<u64>,
    next_ticket: u64,
}

/// The gate in front of all touches.
#[derive(Debug)]
pub struct Gate {
    width: usize,
    inner: Mutex<Inner>,
    changed: Condvar,
}

/// What a lane gets at the gate.
#[derive(Debug)]
pub enum Passage<'a> {
    /// Its key may blink until the permit is dropped.
    Go(TouchPermit<'a>),
    /// Everything pauses: come back when [`Gate::wait_while_paused`] returns.
    Paused,
    /// The run is ending.
    Stopping,
    /// The key was pulled while it waited.
    Gone,
}

/// One blinking key. Dropping it lets the next one blink.
#[derive(Debug)]
pub struct TouchPermit<'a> {
    gate: &'a Gate,
}

impl Drop for TouchPermit<'_> {
    fn drop(&mut self) {
        let mut inner = self.gate.lock();
        inner.armed = inner.armed.saturating_sub(1);
        self.gate.changed.notify_all();
    }
}

impl Gate {
    /// A gate that lets `width` keys (at least one) blink at a time.
    pub fn new(width: usize) -> Self {
        Self { width: width.max(1), inner: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A lane that panicked leaves counters behind, not broken invariants.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits in line for a touch. `gone` tells whether the lane's key has been pulled.
    pub fn wait_for_touch(&self, gone: &dyn Fn() -> bool) -> Passage<'_> {
        let mut inner = self.lock();
        let ticket = inner.next_ticket;
        inner.next_ticket += 1;
        inner.line.push_back(ticket);
        loop {
            let leave = if inner.stopping {
                Some(Passage::Stopping)
            } else if inner.paused.is_some() {
                Some(Passage::Paused)
            } else if gone() {
                Some(Passage::Gone)
            } else {
                None
            };
            if let Some(passage) = leave {
                inner.line.retain(|waiting| *waiting != ticket);
                self.changed.notify_all();
                return passage;
            }
            if inner.line.front() == Some(&ticket) && inner.armed < self.width {
                inner.line.pop_front();
                inner.armed += 1;
                self.changed.notify_all();
                return Passage::Go(TouchPermit { gate: self });
            }
            inner = self.changed.wait_timeout(inner, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Pauses all touches; those under way are called off by their lanes. `false` when they were paused already.
    pub fn pause(&self, why: Pause) -> bool {
        let mut inner = self.lock();
        let first = inner.paused.is_none();
        if first {
            inner.paused = Some(why);
        }
        self.changed.notify_all();
        first
    }

    /// Lets touches go on.
    pub fn unpause(&self) {
        self.lock().paused = None;
        self.changed.notify_all();
    }

    /// Ends the run: nothing is armed any more.
    pub fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_all();
    }

    /// Whether the run is ending.
    pub fn stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Why touches pause, if they do.
    pub fn paused(&self) -> Option<Pause> {
        self.lock().paused.clone()
    }

    /// Whether a key that blinks now should be called off.
    pub fn calls_off(&self) -> bool {
        let inner = self.lock();
        inner.stopping || inner.paused.is_some()
    }

    /// Returns when touches may go on; `false` when the run ends or the lane's key is pulled instead.
    pub fn wait_while_paused(&self, gone: &dyn Fn() -> bool) -> bool {
        let mut inner = self.lock();
        loop {
            if inner.stopping || gone() {
                return false;
            }
            if inner.paused.is_none() {
                return true;
            }
            inner = self.changed.wait_timeout(inner, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_more_than_the_width_blink_and_all_get_their_turn() {
        let gate = Arc::new(Gate::new(2));
        let (now, most, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| {
                    let Passage::Go(_permit) = gate.wait_for_touch(&|| false) else { return };
                    let blinking = now.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(blinking, Ordering::SeqCst);
                    std::thread::yield_now();
                    now.fetch_sub(1, Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(done.load(Ordering::SeqCst), 12);
        assert!(most.load(Ordering::SeqCst) <= 2);
    }

    #[test]
    fn a_pulled_key_leaves_the_line_to_the_others() {
        let gate = Gate::new(1);
        let Passage::Go(first) = gate.wait_for_touch(&|| false) else { panic!("the first goes") };
        assert!(matches!(gate.wait_for_touch(&|| true), Passage::Gone));
        drop(first);
        assert!(matches!(gate.wait_for_touch(&|| false), Passage::Go(_)));
    }

    #[test]
    fn pause_and_stop_turn_everybody_away() {
        let gate = Gate::new(1);
        assert!(gate.pause(Pause { code: "tenant-down".into(), detail: String::new() }));
        assert!(!gate.pause(Pause { code: "signed-out".into(), detail: String::new() }), "the first reason stays");
        assert!(gate.calls_off());
        assert!(matches!(gate.wait_for_touch(&|| false), Passage::Paused));
        gate.unpause();
        assert!(gate.wait_while_paused(&|| false));
        gate.stop();
        assert!(matches!(gate.wait_for_touch(&|| false), Passage::Stopping));
        assert!(!gate.wait_while_paused(&|| false));
    }
}
