//! Where every key is after the bench: a projection of the ledger's entries. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::ledger::{Attempt, Entry, HandoverEntry, Recorded};
use crate::model::{BatchId, JobId, ReleaseRule, Serial};

/// One finished key on its way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parcel {
    /// Whose try's key: the last one that was begun.
    pub attempt: Attempt,
    /// The key's serial number, if it has one.
    pub serial: Option<Serial>,
    /// The bench is done with it.
    pub finished: Option<Timestamp>,
    /// Registered on receipt, and how far that is.
    pub hold: Option<Hold>,
    /// Packed, when and by whom.
    pub packed: Option<(Timestamp, String)>,
    /// The carrier's number.
    pub tracking: Option<String>,
    /// Arrived.
    pub delivered: Option<Timestamp>,
    /// The right person holds it, by whose word.
    pub verified: Option<(Timestamp, String)>,
    /// The PIN was handed over.
    pub released: Option<Timestamp>,
    /// A mail with the PIN was about to leave, and nobody knows whether it did.
    pub releasing: Option<Timestamp>,
    /// The last good PIN letter was printed.
    pub letter: Option<Timestamp>,
    /// The last day on which that letter is to be used, as it says itself.
    pub last_day: Option<Date>,
    /// Gone.
    pub lost: Option<Timestamp>,
    /// Back in hand.
    pub returned: Option<Timestamp>,
    /// Then wiped, and shown to be blank.
    pub wiped: bool,
}

/// What the parcel's story tells of a held key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Not registered yet.
    Waits {
        /// Until when it can be.
        expires: Timestamp,
    },
    /// Registered, and the tenant shows it.
    Activated,
    /// It can't be registered any more.
    Over,
}

impl Hold {
    /// In JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waits { .. } => "held",
            Self::Activated => "activated",
            Self::Over => "over",
        }
    }
}

/// How far it is, for a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Not finished at the bench.
    Bench,
    /// Finished, not packed.
    ToPack,
    /// Packed, not known to have arrived.
    OnTheWay,
    /// Arrived; nobody has made sure who holds it.
    ToVerify,
    /// The right person holds it; it opens nothing until it is activated.
    ToActivate,
    /// The right person holds it; the PIN is with us.
    ToRelease,
    /// Key and PIN are with the person.
    Done,
    /// Gone.
    Lost,
    /// Back.
    Returned,
}

impl Place {
    /// In lists and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bench => "bench",
            Self::ToPack => "to-pack",
            Self::OnTheWay => "on-the-way",
            Self::ToVerify => "to-verify",
            Self::ToActivate => "to-activate",
            Self::ToRelease => "to-release",
            Self::Done => "done",
            Self::Lost => "lost",
            Self::Returned => "returned",
        }
    }
}

impl Parcel {
    /// Its key is not registered.
    pub fn waits_for_activation(&self) -> bool {
        matches!(self.hold, Some(Hold::Waits { .. } | Hold::Over))
    }

    /// How far it is.
    pub fn place(&self) -> Place {
        if self.returned.is_some() {
            Place::Returned
        } else if self.lost.is_some() {
            Place::Lost
        } else if self.released.is_some() {
            Place::Done
        } else if self.verified.is_some() && self.delivered.is_some() {
            if self.waits_for_activation() { Place::ToActivate } else { Place::ToRelease }
        } else if self.delivered.is_some() {
            Place::ToVerify
        } else if self.packed.is_some() {
            Place::OnTheWay
        } else if self.finished.is_some() {
            Place::ToPack
        } else {
            Place::Bench
        }
    }
}

/// Every job's last key.
#[derive(Debug, Clone, Default)]
pub struct Parcels {
    all: BTreeMap<JobId, Parcel>,
    batches: BTreeMap<JobId, BatchId>,
    rules: BTreeMap<BatchId, ReleaseRule>,
}

impl Parcels {
    /// Takes the next entry of the ledger in, wherever it was written first.
    pub fn add(&mut self, recorded: &Recorded) {
        let at = recorded.done_at();
        match recorded.entry.act() {
            Entry::JobPlanned { job, batch, .. } => {
                self.batches.insert(job.clone(), batch.clone());
            }
            Entry::Handover(HandoverEntry::BatchRuled { batch, release, .. }) => {
                self.rules.insert(batch.clone(), *release);
            }
            Entry::AttemptStarted { job, attempt, key } => {
                let fresh = Parcel { attempt: *attempt, serial: key.serial.clone(), ..Parcel::default() };
                self.all.insert(job.clone(), fresh);
            }
            Entry::Finished { job, attempt } => self.of(job, *attempt, |parcel| {
                // A held key was ready to be packed long before.
                parcel.finished.get_or_insert(at);
                if parcel.hold.is_some() {
                    parcel.hold = Some(Hold::Activated);
                }
            }),
            Entry::Handover(act) => self.act(act, at),
            _ => {}
        }
    }

    fn act(&mut self, act: &HandoverEntry, at: Timestamp) {
        match act {
            HandoverEntry::Packed { job, attempt, tracking, by, .. } => self.of(job, *attempt, |parcel| {
                parcel.packed = Some((at, by.clone()));
                parcel.tracking.clone_from(tracking);
            }),
            HandoverEntry::Delivered { job, attempt, when, .. } => {
                self.of(job, *attempt, |parcel| parcel.delivered = Some(*when));
            }
            HandoverEntry::ReceiptVerified { job, attempt, by, .. } => {
                self.of(job, *attempt, |parcel| parcel.verified = Some((at, by.clone())));
            }
            HandoverEntry::PinReleased { job, attempt, .. } => {
                self.of(job, *attempt, |parcel| {
                    parcel.released = Some(at);
                    parcel.releasing = None;
                });
            }
            HandoverEntry::ReleaseIntended { job, attempt, .. } => {
                self.of(job, *attempt, |parcel| parcel.releasing = Some(at));
            }
            HandoverEntry::ReleaseFailed { job, attempt, .. } => {
                self.of(job, *attempt, |parcel| parcel.releasing = None);
            }
            HandoverEntry::KeyLost { job, attempt, .. } => self.of(job, *attempt, |parcel| parcel.lost = Some(at)),
            HandoverEntry::Held { job, attempt, expires, .. } => self.of(job, *attempt, |parcel| {
                parcel.finished = Some(at);
                parcel.hold = Some(Hold::Waits { expires: *expires });
            }),
            HandoverEntry::HoldEnded { job, attempt, .. } => self.of(job, *attempt, |parcel| {
                if matches!(parcel.hold, Some(Hold::Waits { .. })) {
                    parcel.hold = Some(Hold::Over);
                }
            }),
            HandoverEntry::KeyReturned { job, attempt, blank, .. } => self.of(job, *attempt, |parcel| {
                parcel.returned = Some(at);
                parcel.wiped = *blank;
            }),
            HandoverEntry::LetterClaimed { job, attempt, expires, .. } => {
                self.of(job, *attempt, |parcel| parcel.last_day = *expires);
            }
            HandoverEntry::LetterConfirmed { job, good, .. } => {
                if let Some(parcel) = self.all.get_mut(job) {
                    parcel.letter = good.then_some(at);
                }
            }
            _ => {}
        }
    }

    /// An older try's paper says nothing about the key that took its place.
    fn of(&mut self, job: &JobId, attempt: Attempt, change: impl FnOnce(&mut Parcel)) {
        if let Some(parcel) = self.all.get_mut(job)
            && parcel.attempt == attempt
        {
            change(parcel);
        }
    }

    /// A job's last key.
    pub fn get(&self, job: &JobId) -> Option<&Parcel> {
        self.all.get(job)
    }

    /// What the job's batch asks; `None` of batches that are older than such rules.
    pub fn release_rule(&self, job: &JobId) -> Option<ReleaseRule> {
        self.batches.get(job).and_then(|batch| self.rules.get(batch)).copied()
    }

    /// All of them, by job.
    pub fn all(&self) -> impl Iterator<Item = (&JobId, &Parcel)> {
        self.all.iter()
    }

    /// The job whose last key has this serial number. A key that came back may be somebody else's by now: who still has it
    /// goes before who had it.
    pub fn by_serial(&self, serial: &Serial) -> Option<&JobId> {
        let had_it = |parcel: &Parcel| matches!(parcel.place(), Place::Lost | Place::Returned);
        let same = self.all.iter().filter(|(_, parcel)| parcel.serial.as_ref() == Some(serial));
        same.min_by_key(|(_, parcel)| had_it(parcel)).map(|(job, _)| job)
    }

    /// The job whose parcel has this number.
    pub fn by_tracking(&self, number: &str) -> Option<&JobId> {
        let same =
            |parcel: &Parcel| parcel.tracking.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(number.trim()));
        self.all.iter().find(|(_, parcel)| same(parcel)).map(|(job, _)| job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_came_back_is_its_next_persons() {
        let serial = Serial::new("19283746");
        let parcel = |returned: Option<i64>| Parcel {
            attempt: 1,
            serial: Some(serial.clone()),
            finished: Some(Timestamp::UNIX_EPOCH),
            returned: returned.map(|at| Timestamp::from_second(at).expect("a time")),
            ..Parcel::default()
        };
        // In either order of ids.
        for (first, second) in [(Some(1), None), (None, Some(1))] {
            let all = BTreeMap::from([(JobId::new("A"), parcel(first)), (JobId::new("B"), parcel(second))]);
            let wanted = JobId::new(if first.is_none() { "A" } else { "B" });
            assert_eq!(Parcels { all, ..Parcels::default() }.by_serial(&serial), Some(&wanted));
        }
        let all = BTreeMap::from([(JobId::new("A"), parcel(Some(1)))]);
        assert_eq!(Parcels { all, ..Parcels::default() }.by_serial(&serial), Some(&JobId::new("A")), "still known");
    }
}
