//! A wait that ends when the operator says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::world::Clock;

/// A flag that many threads look at. Once set it stays set.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

/// The flag was set while waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Cancelled;

/// How soon a waiting thread notices.
const SLICE: Duration = Duration::from_millis(100);

impl Cancel {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets it: every wait ends soon.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it is set.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits exactly `time`, or less when the flag is set.
    ///
    /// # Errors
    /// [`Cancelled`] when the flag is set, also when it was before.
    pub fn wait(&self, clock: &dyn Clock, time: Duration) -> Result<(), Cancelled> {
        self.wait_unless(clock, time, &|| false)
    }

    /// The same, and `given_up` ends it as well.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub fn wait_unless(&self, clock: &dyn Clock, time: Duration, given_up: &dyn Fn() -> bool) -> Result<(), Cancelled> {
        let start = clock.monotonic();
        loop {
            if self.is_cancelled() || given_up() {
                return Err(Cancelled);
            }
            let passed = clock.monotonic().saturating_sub(start);
            let Some(left) = time.checked_sub(passed).filter(|left| !left.is_zero()) else { return Ok(()) };
            clock.sleep(left.min(SLICE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::ManualClock;

    #[test]
    fn a_wait_takes_its_time_and_no_more() {
        let clock = ManualClock::new();
        assert_eq!(Cancel::new().wait(&clock, Duration::from_millis(12_345)), Ok(()));
        assert_eq!(clock.monotonic(), Duration::from_millis(12_345));
    }

    #[test]
    fn a_wait_ends_when_told() {
        let (clock, cancel) = (ManualClock::new(), Cancel::new());
        cancel.cancel();
        assert_eq!(cancel.wait(&clock, Duration::from_secs(600)), Err(Cancelled));
        assert_eq!(clock.monotonic(), Duration::ZERO);
    }
}
