//! Where every key is after the bench: a projection of the ledger's entries. Pure.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use jiff::civil::Date;

use crate::handover::code::Code;
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
    /// Its PIN letter: the print that was last found good, whatever was printed since and not looked at.
    pub letter: Option<GoodLetter>,
    /// Gone.
    pub lost: Option<Timestamp>,
    /// Back in hand.
    pub returned: Option<Timestamp>,
    /// Then wiped, and shown to be blank.
    pub wiped: bool,
}

/// A PIN letter whose sheet somebody has looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoodLetter {
    /// When it was found to be good.
    pub confirmed: Timestamp,
    /// The last day on which it is to be used, as it says itself; letters of old ledgers don't.
    pub last_day: Option<Date>,
    /// Which print it is, from 1.
    pub issue: u32,
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
    /// What each PIN sheet says of its own last day.
    last_days: HashMap<String, Date>,
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
            HandoverEntry::LetterClaimed { sheet, expires: Some(last), .. } => {
                self.last_days.insert(sheet.clone(), *last);
            }
            HandoverEntry::LetterConfirmed { job, sheet, good } => self.looked_at(job, sheet, *good, at),
            _ => {}
        }
    }

    /// Somebody has seen a sheet: the latest good print is the parcel's letter. A spoiled one takes the letter away, unless a later print of
    /// it is known to be good.
    fn looked_at(&mut self, job: &JobId, sheet: &str, good: bool, at: Timestamp) {
        let Some(parcel) = self.all.get(job) else { return };
        let (attempt, issue) = Code::parse(sheet).map_or((parcel.attempt, 1), |code| (code.attempt(), code.issue()));
        let last_day = self.last_days.get(sheet).copied();
        self.of(job, attempt, |parcel| {
            if good {
                // An older print that is looked at later changes nothing.
                if parcel.letter.is_none_or(|letter| letter.issue <= issue) {
                    parcel.letter = Some(GoodLetter { confirmed: at, last_day, issue });
                }
            } else {
                parcel.letter = parcel.letter.filter(|letter| letter.issue > issue);
            }
        });
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
    use crate::handover::code::CodeKind;
    use crate::model::{Aaguid, BenchId, KeyRef, PortName};

    fn job() -> JobId {
        JobId::new("7H2KQ0M4XA")
    }

    fn begun(attempt: Attempt) -> Entry {
        let key =
            KeyRef { aaguid: Aaguid::ZERO, serial: None, firmware: None, model: None, port: PortName::new("1-1") };
        Entry::AttemptStarted { job: job(), attempt, key }
    }

    fn sheet(attempt: Attempt, issue: u32) -> String {
        Code::new(CodeKind::PinSheet, &job(), attempt, issue).expect("a code").digits().to_owned()
    }

    fn printed(attempt: Attempt, issue: u32, last_day: &str) -> Entry {
        let (reason, by, expires) = (String::new(), "kim".to_owned(), Some(last_day.parse().expect("a day")));
        let sheet = sheet(attempt, issue);
        Entry::Handover(HandoverEntry::LetterClaimed { job: job(), attempt, sheet, reason, by, run: None, expires })
    }

    fn seen(attempt: Attempt, issue: u32, good: bool) -> Entry {
        Entry::Handover(HandoverEntry::LetterConfirmed { job: job(), sheet: sheet(attempt, issue), good })
    }

    /// The letter's print and last day, if there is a good letter.
    fn letter(entries: &[Entry]) -> Option<(u32, String)> {
        let mut parcels = Parcels::default();
        for (seq, entry) in (1..).zip(entries) {
            let (at, bench, entry) = (Timestamp::UNIX_EPOCH, BenchId::new("b"), entry.clone());
            parcels.add(&Recorded { seq, at, bench, entry, hash: [0; 32] });
        }
        let letter = parcels.get(&job())?.letter?;
        Some((letter.issue, letter.last_day.map(|day| day.to_string()).unwrap_or_default()))
    }

    #[test]
    fn the_letter_is_the_sheet_that_was_found_good_and_is_good_until_it_says_so() {
        let (early, late) = ("2026-12-01", "2026-12-24");
        let first = [begun(1), printed(1, 1, early), seen(1, 1, true)];
        let then = |more: &[Entry]| letter(&[&first[..], more].concat());
        let is = |issue: u32, day: &str| Some((issue, day.to_owned()));
        assert_eq!(letter(&first[..2]), None, "nobody has looked at it");
        assert_eq!(then(&[]), is(1, early));
        assert_eq!(then(&[printed(1, 2, late)]), is(1, early), "of the second nobody knows");
        let two = [begun(1), printed(1, 1, early), printed(1, 2, late), seen(1, 1, true)];
        assert_eq!(letter(&two), is(1, early), "the first was looked at, and not the second");
        assert_eq!(then(&[printed(1, 2, late), seen(1, 2, true)]), is(2, late));
        assert_eq!(then(&[printed(1, 2, late), seen(1, 2, false)]), None);
        let both = [printed(1, 2, late), seen(1, 2, true), seen(1, 1, false)];
        assert_eq!(then(&both), is(2, late), "the first is destroyed, not the second");
        let back = [printed(1, 2, late), seen(1, 2, true), seen(1, 1, true)];
        assert_eq!(then(&back), is(2, late), "the older print is looked at once more");
        assert_eq!(then(&[&back[..], &[seen(1, 1, false)]].concat()), is(2, late));
        assert_eq!(then(&[begun(2), seen(1, 1, true)]), None, "another try's paper is of another key");
    }

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
