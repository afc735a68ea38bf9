//! One bell for all that a lane can wait for: its turn to blink, its key being pulled, the tenant coming back, the end of the run.
//!
//! Promise: who looks, finds nothing and waits, is woken by every ring since before that look; no change is missed, and nobody has to look
//! over and over. In return, whoever changes what others wait for changes it first, and then rings. Should a ring be forgotten somewhere, the
//! wait ends by itself after [`AT_MOST`]: a bench is late by seconds then, and does not stand still for the day. Tests wait for ever, and find it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::world::Clock;

/// The longest that anybody waits without looking again.
const AT_MOST: Option<Duration> = if cfg!(test) { None } else { Some(Duration::from_secs(10)) };

#[derive(Debug, Default)]
struct Inner {
    rings: Mutex<u64>,
    rung: Condvar,
}

/// The bell of a bench. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Bell {
    inner: Arc<Inner>,
}

/// How often the bell had rung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rings(u64);

impl Bell {
    fn lock(&self) -> MutexGuard<'_, u64> {
        // A number: no lane leaves it half changed.
        self.inner.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has changed that somebody may wait for.
    pub fn ring(&self) {
        *self.lock() += 1;
        self.inner.rung.notify_all();
    }

    /// How often it has rung; to be asked before looking.
    pub fn rings(&self) -> Rings {
        Rings(*self.lock())
    }

    /// Waits for the next ring after `heard`, which may have come already; at most so long, where that is said. Who wakes looks again.
    pub fn wait(&self, heard: Rings, at_most: Option<Duration>) {
        let at_most = match (at_most, AT_MOST) {
            (Some(asked), Some(most)) => Some(asked.min(most)),
            (one, other) => one.or(other),
        };
        let rings = self.lock();
        let silent = |rings: &mut u64| *rings == heard.0;
        match at_most {
            Some(time) => {
                drop(self.inner.rung.wait_timeout_while(rings, time, silent).unwrap_or_else(PoisonError::into_inner));
            }
            None => drop(self.inner.rung.wait_while(rings, silent).unwrap_or_else(PoisonError::into_inner)),
        }
    }

    /// Waits until it is so. What decides that must ring.
    pub fn until(&self, is_so: impl Fn() -> bool) {
        loop {
            let heard = self.rings();
            if is_so() {
                return;
            }
            self.wait(heard, None);
        }
    }

    /// The same, at most so long. Whether it is so.
    pub fn until_within(&self, time: Duration, clock: &dyn Clock, is_so: impl Fn() -> bool) -> bool {
        let end = clock.monotonic() + time;
        loop {
            let heard = self.rings();
            if is_so() {
                return true;
            }
            let left = end.saturating_sub(clock.monotonic());
            if left.is_zero() {
                return false;
            }
            self.wait(heard, Some(left));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::world::SystemClock;

    #[test]
    fn a_ring_between_the_look_and_the_wait_is_heard() {
        let bell = Bell::default();
        let heard = bell.rings();
        bell.ring();
        // Were it missed, this would never return.
        bell.wait(heard, None);
        assert_ne!(bell.rings(), heard);
    }

    #[test]
    fn everybody_who_waits_is_woken_and_looks_only_when_it_rings() {
        let bell = Bell::default();
        let (open, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        bell.until(|| {
                            looks.fetch_add(1, Ordering::SeqCst);
                            open.load(Ordering::SeqCst)
                        });
                    })
                })
                .collect();
            while looks.load(Ordering::SeqCst) < 8 {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(30));
            assert_eq!(looks.load(Ordering::SeqCst), 8, "nobody rang");
            open.store(true, Ordering::SeqCst);
            bell.ring();
            waiting.into_iter().for_each(|thread| thread.join().expect("woken"));
        });
        assert_eq!(looks.load(Ordering::SeqCst), 16);
    }

    #[test]
    fn patience_ends() {
        let (bell, clock) = (Bell::default(), SystemClock::new());
        assert!(!bell.until_within(Duration::from_millis(5), &clock, || false));
        assert!(clock.monotonic() >= Duration::from_millis(5));
        assert!(bell.until_within(Duration::ZERO, &clock, || true), "it is looked at least once");
    }
}
