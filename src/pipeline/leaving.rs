//! How a key leaves its port: it is told what to do with it, once it is sure which key it is, and it is seen to go.
//!
//! Promises: no label is said to be due for a key that can be mistaken for another ([`super::touches`]) before its light or
//! its coming back has told them apart; a lane waits for no other lane but for the one key that shows itself, and that wait
//! ends when its own key is taken out. Exception: a run that is ending names the port and leaves it at that.

use std::time::Duration;

use super::bench::{Bench, Stay};
use super::driver::DriveError;
use super::lane::Lane;
use super::on_key::KeyHand;
use super::progress::{Progress, ShownBy, Stage};
use super::state::State;
use crate::ledger::Append;
use crate::ledger::entry::Entry;
use crate::model::{JobId, KeyRef};

/// A light that was asked to blink does so for about as long.
const WINK_EVERY: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 1_000 });

/// How a key's stay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// The operator had been told which key it is.
    Known,
    /// It left before that.
    Unknown,
    /// It did not leave; the run is ending.
    StillIn,
}

/// A lane's job, as far as its key can be mistaken for another: no longer once this is dropped.
pub(super) struct InPort<'b, 'w> {
    bench: &'b Bench<'w>,
    job: JobId,
}

impl<'b, 'w> InPort<'b, 'w> {
    pub(super) fn new(bench: &'b Bench<'w>, job: JobId) -> Self {
        Self { bench, job }
    }
}

impl Drop for InPort<'_, '_> {
    fn drop(&mut self) {
        self.bench.touches.gone(&self.job);
        self.bench.bell.ring();
    }
}

impl Lane<'_, '_> {
    /// Tells `due` (take it out, label it or reject it) when it is sure which key it is, and waits until it is out.
    pub(super) fn see_out(&self, mut hand: KeyHand, job: &JobId, upn: &str, due: &Progress, stay: &Stay) -> Left {
        let (bench, clock) = (self.bench, &self.bench.out.clock);
        let which = |by| Progress::WhichKey { port: self.port.clone(), job: job.clone(), upn: upn.to_owned(), by };
        let mut told = false;
        let mut waits = false;
        let mut shown: Option<ShownBy> = None;
        let mut wink_at = Duration::ZERO;
        // As it was while the key was there: what leaves at the same time as this one may end the doubt too late.
        let mut doubtful = bench.touches.is_doubtful(job);
        loop {
            let heard = bench.bell.rings();
            if stay.is_over() || bench.gate.stopping() {
                break;
            }
            doubtful = bench.touches.is_doubtful(job);
            if !doubtful {
                if !told || shown == Some(ShownBy::Replug) {
                    bench.tell(due);
                    (told, shown) = (true, None);
                }
            } else if shown.is_none() && bench.touches.take_turn(job) {
                let by = if hand.wink() { ShownBy::Wink } else { ShownBy::Replug };
                wink_at = clock.monotonic() + WINK_EVERY;
                bench.tell(&which(by));
                if by == ShownBy::Wink {
                    bench.tell(due);
                    told = true;
                }
                shown = Some(by);
            } else if shown.is_none() && !waits {
                bench.tell(&Progress::Stage { port: self.port.clone(), stage: Stage::WhichKey });
                waits = true;
            }
            let mut next_wink = None;
            if shown == Some(ShownBy::Wink) {
                if clock.monotonic() >= wink_at {
                    // One that fails while it is being taken out is no news.
                    hand.wink();
                    wink_at = clock.monotonic() + WINK_EVERY;
                }
                next_wink = Some(wink_at.saturating_sub(clock.monotonic()));
            }
            bench.bell.wait(heard, next_wink);
        }
        if !told && !doubtful && stay.is_over() {
            // Quicker than the sentence; there was nothing to mistake it for.
            bench.tell(due);
            told = true;
        }
        let known = told && shown != Some(ShownBy::Replug);
        match (stay.is_over(), known) {
            (true, true) => Left::Known,
            (true, false) => {
                bench.tell(&which(ShownBy::PutBack));
                Left::Unknown
            }
            (false, known) => {
                if !known {
                    bench.tell(due);
                }
                Left::StillIn
            }
        }
    }

    /// The finished job of a key that had to be put in once more: it signs for it. A key that does not sign without a PIN is
    /// known by its serial number, if that is one job's alone.
    pub(super) fn expected_back(
        &self,
        hand: &mut KeyHand,
        key: &KeyRef,
    ) -> Result<Option<(JobId, String, State)>, DriveError> {
        let mut found = None;
        let mut of_that_number = Vec::new();
        for job in self.bench.touches.expected() {
            let Some((state, upn)) =
                self.bench.queue().slot(&job).map(|slot| (slot.state.clone(), slot.person.upn.to_string()))
            else {
                continue;
            };
            if self.made_by(&state, hand)? {
                found = Some((job, upn, state));
                break;
            }
            if key.serial.is_some() && state.current().is_some_and(|at| at.key.resembles(key)) {
                of_that_number.push((job, upn, state));
            }
        }
        if found.is_none() && of_that_number.len() == 1 {
            found = of_that_number.pop();
        }
        Ok(found.filter(|(job, ..)| self.bench.touches.came_back(job)))
    }

    /// A finished key is back, alone in somebody's hand a moment ago: now it is known which it is.
    pub(super) fn label(&self, job: JobId, upn: String, state: &State, stay: &Stay) -> Result<(), DriveError> {
        let bench = self.bench;
        let port = self.port.clone();
        bench.tell(&Progress::Assigned { port: port.clone(), job: job.clone(), upn: upn.clone(), resumed: false });
        bench.tell(&Progress::TakeOut { port, job: job.clone(), upn });
        self.wait_until_out(stay);
        self.note_taken(&job, state, stay)
    }

    /// Writes that a finished key was taken out, if it was.
    pub(super) fn note_taken(&self, job: &JobId, state: &State, stay: &Stay) -> Result<(), DriveError> {
        let bench = self.bench;
        // The key may have stood there for longer than a hold on a job lasts.
        let claim = bench.out.ledger.claim(job)?;
        if stay.is_over()
            && let Some(at) = state.current()
        {
            let taken = Entry::KeyTaken { job: job.clone(), attempt: at.attempt };
            bench.out.ledger.append(Append::entry(taken).under(&claim))?;
            bench.tell(&Progress::Taken { port: self.port.clone(), job: job.clone() });
        }
        bench.out.ledger.release(&claim)?;
        Ok(())
    }
}
