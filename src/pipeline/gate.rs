//! Who may blink now: a line for the few touches at a time, and the switch that pauses or ends them all.
//!
//! A person has one pair of hands. Were every key to blink, none would be "the next"; so keys queue for their touch in the
//! order in which they became ready, and only the first few are armed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::bell::Bell;

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
    bell: Bell,
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
        self.gate.change(|inner| inner.armed = inner.armed.saturating_sub(1));
    }
}

impl Gate {
    /// A gate that lets `width` keys (at least one) blink at a time. It rings when anything about it changes.
    pub fn new(width: usize, bell: Bell) -> Self {
        Self { width: width.max(1), inner: Mutex::default(), bell }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A lane that panicked leaves counters behind, not broken invariants.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        let outcome = act(&mut self.lock());
        self.bell.ring();
        outcome
    }

    /// Waits in line for a touch. `gone` tells whether the lane's key has been pulled; that rings as well.
    pub fn wait_for_touch(&self, gone: &dyn Fn() -> bool) -> Passage<'_> {
        let ticket = {
            let mut inner = self.lock();
            let ticket = inner.next_ticket;
            inner.next_ticket += 1;
            inner.line.push_back(ticket);
            ticket
        };
        loop {
            let heard = self.bell.rings();
            if let Some(passage) = self.pass(ticket, gone) {
                // There is another at the head of the line.
                self.bell.ring();
                return passage;
            }
            self.bell.wait(heard, None);
        }
    }

    /// What this place in the line leads to now; the place is given up with it.
    fn pass(&self, ticket: u64, gone: &dyn Fn() -> bool) -> Option<Passage<'_>> {
        let mut inner = self.lock();
        let passage = if inner.stopping {
            Passage::Stopping
        } else if inner.paused.is_some() {
            Passage::Paused
        } else if gone() {
            Passage::Gone
        } else if inner.line.front() == Some(&ticket) && inner.armed < self.width {
            inner.armed += 1;
            Passage::Go(TouchPermit { gate: self })
        } else {
            return None;
        };
        inner.line.retain(|waiting| *waiting != ticket);
        Some(passage)
    }

    /// Pauses all touches; those under way are called off by their lanes. `false` when they were paused already.
    pub fn pause(&self, why: Pause) -> bool {
        self.change(|inner| {
            let first = inner.paused.is_none();
            inner.paused.get_or_insert(why);
            first
        })
    }

    /// Lets touches go on.
    pub fn unpause(&self) {
        self.change(|inner| inner.paused = None);
    }

    /// Ends the run: nothing is armed any more.
    pub fn stop(&self) {
        self.change(|inner| inner.stopping = true);
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
        let turned_away = || self.stopping() || gone();
        self.bell.until(|| turned_away() || self.paused().is_none());
        !turned_away()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_more_than_the_width_blink_and_all_get_their_turn() {
        let gate = Arc::new(Gate::new(2, Bell::default()));
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
        let gate = Gate::new(1, Bell::default());
        let Passage::Go(first) = gate.wait_for_touch(&|| false) else { panic!("the first goes") };
        assert!(matches!(gate.wait_for_touch(&|| true), Passage::Gone));
        drop(first);
        assert!(matches!(gate.wait_for_touch(&|| false), Passage::Go(_)));
    }

    #[test]
    fn who_stands_in_line_learns_at_once_that_its_key_was_pulled() {
        let bell = Bell::default();
        let gate = Gate::new(1, bell.clone());
        let pulled = std::sync::atomic::AtomicBool::new(false);
        let Passage::Go(_first) = gate.wait_for_touch(&|| false) else { panic!("the first goes") };
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| matches!(gate.wait_for_touch(&|| pulled.load(Ordering::SeqCst)), Passage::Gone));
            std::thread::sleep(std::time::Duration::from_millis(10));
            pulled.store(true, Ordering::SeqCst);
            bell.ring();
            assert!(waits.join().expect("woken"));
        });
    }

    #[test]
    fn pause_and_stop_turn_everybody_away() {
        let gate = Gate::new(1, Bell::default());
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
