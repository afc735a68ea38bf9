//! The service's time. A challenge ends when *Graph's* clock says so, and a bench's clock may be wrong or be set while we run:
//! so we take Graph's `Date` and count on with the monotonic clock.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::world::Clock;

/// The last `Date` seen, and when.
#[derive(Debug, Default)]
pub struct ServerClock(Mutex<Option<Seen>>);

#[derive(Debug, Clone, Copy)]
struct Seen {
    date: Timestamp,
    at: Duration,
}

impl ServerClock {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in an answer's `Date`. It has whole seconds and was true when the answer left.
    pub fn observe(&self, date: Timestamp, clock: &dyn Clock) {
        let seen = Seen { date, at: clock.monotonic() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
    }

    /// The service's time now; before the first answer, this machine's.
    pub fn now(&self, clock: &dyn Clock) -> Timestamp {
        let seen = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match seen {
            Some(Seen { date, at }) => {
                let passed = clock.monotonic().saturating_sub(at);
                SignedDuration::try_from(passed).ok().and_then(|passed| date.checked_add(passed).ok()).unwrap_or(date)
            }
            None => clock.now(),
        }
    }

    /// What is left until `deadline` by the service's time; zero once it has passed.
    pub fn left_until(&self, deadline: Timestamp, clock: &dyn Clock) -> Duration {
        Duration::try_from(deadline.duration_since(self.now(clock))).unwrap_or(Duration::ZERO)
    }

    /// How far this machine's clock is ahead of the service's (negative: behind); `None` before the first answer.
    pub fn skew(&self, clock: &dyn Clock) -> Option<SignedDuration> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        seen.then(|| clock.now().duration_since(self.now(clock)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::ManualClock;

    #[test]
    fn a_deadline_goes_by_the_servers_clock() {
        let (clock, server) = (ManualClock::new(), ServerClock::new());
        assert_eq!(server.skew(&clock), None);
        // The bench is ten minutes ahead.
        let date = clock.now() - SignedDuration::from_mins(10);
        server.observe(date, &clock);
        assert_eq!(server.skew(&clock), Some(SignedDuration::from_mins(10)));
        let deadline = date + SignedDuration::from_mins(5);
        clock.sleep(Duration::from_secs(60));
        assert_eq!(server.left_until(deadline, &clock), Duration::from_secs(240));
        // Somebody sets the bench's clock: nothing changes.
        clock.set_wall(clock.now() + SignedDuration::from_hours(2));
        assert_eq!(server.left_until(deadline, &clock), Duration::from_secs(240));
        clock.sleep(Duration::from_secs(300));
        assert_eq!(server.left_until(deadline, &clock), Duration::ZERO);
    }
}
