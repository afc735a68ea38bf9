//! Which keys can be mistaken for one another.
//!
//! Whose key it is, is settled when the key answers its touch, and the operator learns it there: "the one I touched just now
//! is Kim's". Two touches at about the same time break that thread. The bench still knows which key is in which port, but the
//! hand that takes one out may be at the other. So such keys have a doubt upon them, and before one of them is labelled it
//! has to show which it is: by its light, or by being taken out and put in again. A doubt is over when the other key has left.
//! Pure but for its lock; times are handed in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::{JobId, PortName};

/// A touch that made a credential. Times are on the bench's monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// The job it was for.
    pub job: JobId,
    /// Where.
    pub port: PortName,
    /// Since when the key had been blinking.
    pub lit: Duration,
    /// When it stopped.
    pub at: Duration,
}

impl Touch {
    /// Whether somebody may have touched either for the other: both were blinking when the first was touched, and the second
    /// followed within `apart`.
    fn may_be_swapped_with(&self, other: &Self, apart: Duration) -> bool {
        let (first, second) = if self.at <= other.at { (self, other) } else { (other, self) };
        second.lit <= first.at && second.at.saturating_sub(first.at) < apart
    }
}

#[derive(Debug, Default)]
struct Inner {
    /// Touches whose keys are still in their ports: one a lane at most.
    touches: Vec<Touch>,
    /// Jobs, and which other jobs' keys theirs can be mistaken for. Always both ways.
    doubts: BTreeMap<JobId, BTreeSet<JobId>>,
    /// The one key that shows itself now; two lights at once would say nothing.
    showing: Option<JobId>,
    /// Finished jobs whose key left before it was known which it is.
    expected: BTreeSet<JobId>,
}

/// The doubts of a bench.
#[derive(Debug, Default)]
pub struct Touches {
    inner: Mutex<Inner>,
}

impl Touches {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Sets and lists: a lane that panicked left them whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A key answered its touch. Returns the ports of the keys it can be mistaken for.
    pub fn note(&self, touch: Touch, apart: Duration) -> Vec<PortName> {
        let mut inner = self.lock();
        let close: Vec<Touch> = inner
            .touches
            .iter()
            .filter(|other| other.job != touch.job && touch.may_be_swapped_with(other, apart))
            .cloned()
            .collect();
        for other in &close {
            inner.doubts.entry(touch.job.clone()).or_default().insert(other.job.clone());
            inner.doubts.entry(other.job.clone()).or_default().insert(touch.job.clone());
        }
        inner.touches.retain(|other| other.job != touch.job);
        inner.touches.push(touch);
        close.into_iter().map(|other| other.port).collect()
    }

    /// Whether this job's key can be mistaken for another that is still in its port.
    pub fn is_doubtful(&self, job: &JobId) -> bool {
        self.lock().doubts.contains_key(job)
    }

    /// This job's key may show itself now; `false` while another does. Its turn lasts until [`Touches::gone`].
    pub fn take_turn(&self, job: &JobId) -> bool {
        let mut inner = self.lock();
        match &inner.showing {
            Some(other) => other == job,
            None => {
                inner.showing = Some(job.clone());
                true
            }
        }
    }

    /// This job's key has left its port, or its lane is through with it: nothing in a port can be mistaken for it any more.
    pub fn gone(&self, job: &JobId) {
        let mut inner = self.lock();
        inner.touches.retain(|touch| touch.job != *job);
        for other in inner.doubts.remove(job).unwrap_or_default() {
            if let Some(doubts) = inner.doubts.get_mut(&other) {
                doubts.remove(job);
                if doubts.is_empty() {
                    inner.doubts.remove(&other);
                }
            }
        }
        if inner.showing.as_ref() == Some(job) {
            inner.showing = None;
        }
    }

    /// A finished key left before it was known which it is: it has to be put in once more.
    pub fn expect_back(&self, job: &JobId) {
        self.lock().expected.insert(job.clone());
    }

    /// Jobs whose finished key has to be put in once more.
    pub fn expected(&self) -> Vec<JobId> {
        self.lock().expected.iter().cloned().collect()
    }

    /// It is back. `false` when it was not expected, or another lane has it.
    pub fn came_back(&self, job: &JobId) -> bool {
        self.lock().expected.remove(job)
    }

    /// No key has to be put in once more.
    pub fn all_known(&self) -> bool {
        self.lock().expected.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn job(n: u32) -> JobId {
        JobId::new(format!("J{n}"))
    }

    fn touch(n: u32, lit_ms: u64, at_ms: u64) -> Touch {
        Touch {
            job: job(n),
            port: PortName::new(n.to_string()),
            lit: Duration::from_millis(lit_ms),
            at: Duration::from_millis(at_ms),
        }
    }

    #[test]
    fn two_blinking_keys_touched_within_a_second_are_in_doubt_until_one_has_left() {
        let touches = Touches::default();
        assert_eq!(touches.note(touch(1, 0, 5_000), SECOND), []);
        assert_eq!(touches.note(touch(2, 3_000, 5_999), SECOND), [PortName::new("1")]);
        assert!(touches.is_doubtful(&job(1)) && touches.is_doubtful(&job(2)));
        touches.gone(&job(1));
        assert!(!touches.is_doubtful(&job(2)), "what is left is the other");
    }

    #[test]
    fn a_full_second_between_them_is_enough() {
        let touches = Touches::default();
        touches.note(touch(1, 0, 5_000), SECOND);
        assert_eq!(touches.note(touch(2, 0, 6_000), SECOND), []);
        assert!(!touches.is_doubtful(&job(1)));
    }

    #[test]
    fn a_key_that_began_to_blink_after_the_first_touch_was_not_meant_by_it() {
        let touches = Touches::default();
        touches.note(touch(1, 0, 5_000), SECOND);
        assert_eq!(touches.note(touch(2, 5_001, 5_400), SECOND), []);
    }

    #[test]
    fn the_order_in_which_lanes_report_does_not_matter() {
        let touches = Touches::default();
        touches.note(touch(2, 3_000, 5_400), SECOND);
        assert_eq!(touches.note(touch(1, 0, 5_000), SECOND), [PortName::new("2")]);
        let later = Touches::default();
        later.note(touch(2, 5_001, 5_400), SECOND);
        assert_eq!(later.note(touch(1, 0, 5_000), SECOND), []);
    }

    #[test]
    fn of_three_in_a_row_the_middle_one_doubts_both() {
        let touches = Touches::default();
        touches.note(touch(1, 0, 5_000), SECOND);
        touches.note(touch(2, 0, 5_700), SECOND);
        assert_eq!(touches.note(touch(3, 0, 6_400), SECOND), [PortName::new("2")]);
        touches.gone(&job(1));
        assert!(touches.is_doubtful(&job(2)) && touches.is_doubtful(&job(3)));
        touches.gone(&job(3));
        assert!(!touches.is_doubtful(&job(2)));
    }

    #[test]
    fn a_key_that_has_left_is_mistaken_for_nothing() {
        let touches = Touches::default();
        touches.note(touch(1, 0, 5_000), SECOND);
        touches.gone(&job(1));
        assert_eq!(touches.note(touch(2, 0, 5_100), SECOND), []);
    }

    #[test]
    fn one_key_shows_itself_at_a_time() {
        let touches = Touches::default();
        assert!(touches.take_turn(&job(1)) && touches.take_turn(&job(1)));
        assert!(!touches.take_turn(&job(2)));
        touches.gone(&job(2));
        assert!(!touches.take_turn(&job(2)), "who has no turn gives none back");
        touches.gone(&job(1));
        assert!(touches.take_turn(&job(2)));
    }

    #[test]
    fn a_key_is_expected_back_once() {
        let touches = Touches::default();
        assert!(touches.all_known());
        touches.expect_back(&job(1));
        assert_eq!(touches.expected(), [job(1)]);
        assert!(touches.came_back(&job(1)) && !touches.came_back(&job(1)));
        assert!(touches.all_known());
    }
}
