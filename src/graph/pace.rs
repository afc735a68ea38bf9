//! Conditional Access and Identity Protection allow one request a second, for all programs of a tenant together, and a
//! refusal names no time to wait (Microsoft Graph, "throttling limits"). So we keep the distance ourselves.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// When the next request may leave. Shared by all clones of a client.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Option<Duration>>);

impl Pace {
    /// How long the caller has to wait from `now` (monotonic), whose turn is then taken: who comes next waits for the one after.
    pub fn take(&self, now: Duration, distance: Duration) -> Duration {
        let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = next.map_or(now, |next| next.max(now));
        *next = Some(turn.saturating_add(distance));
        turn.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_keep_their_distance_and_a_late_one_waits_for_nothing() {
        let (pace, distance) = (Pace::default(), Duration::from_millis(1100));
        let ms = Duration::from_millis;
        assert_eq!(pace.take(ms(0), distance), ms(0));
        assert_eq!(pace.take(ms(0), distance), ms(1100));
        assert_eq!(pace.take(ms(200), distance), ms(2000));
        assert_eq!(pace.take(ms(9000), distance), ms(0));
        assert_eq!(pace.take(ms(9500), distance), ms(600));
    }
}
