//! Who is next. The jobs of a run, each in exactly one place, and the choice of the job for a key.

use std::collections::HashMap;

use super::code::meaning;
use super::state::State;
use crate::ledger::entry::Counts;
use crate::model::{JobId, KeyRef, Person, PortName};

/// How many keys one person may use up in one run before somebody should look into it.
const TRIES_A_RUN: u32 = 3;

/// Where a job is in this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Waits for any fitting key.
    Waiting,
    /// Its own key has to come back.
    KeyAway,
    /// Worked on in this port.
    InPort(PortName),
    /// Finished in this run: registered, or held.
    Finished,
    /// Finished before this run.
    Already,
    /// Over for this run.
    Failed {
        /// Why.
        code: String,
    },
    /// Set aside until another run.
    Parked {
        /// Why.
        code: String,
    },
}

/// One job of the run.
#[derive(Debug, Clone)]
pub struct Slot {
    /// The job.
    pub job: JobId,
    /// Which of the person's keys it is for, from 1.
    pub ordinal: u32,
    /// Whom for.
    pub person: Person,
    /// Its state, as the ledger has it.
    pub state: State,
    /// Where it is.
    pub place: Place,
    /// Keys used up in this run.
    pub tries: u32,
    /// This job was refused options once: no key is begun for it in this run.
    pub blocked: bool,
}

impl Slot {
    /// A job as the ledger has it at the start of a run.
    pub fn new(job: JobId, ordinal: u32, person: Person, state: State) -> Self {
        let place = match &state {
            State::Finished { .. } => Place::Already,
            state if state.hold().is_some() => Place::Already,
            state if state.is_open() => Place::KeyAway,
            _ => Place::Waiting,
        };
        Self { job, ordinal, person, state, place, tries: 0, blocked: false }
    }
}

/// A job handed to a lane.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The job.
    pub job: JobId,
    /// Which of the person's keys it is for.
    pub ordinal: u32,
    /// Whom for.
    pub person: Person,
    /// Its state.
    pub state: State,
    /// Begun before with this key.
    pub resumed: bool,
}

/// All jobs of a run, in the roster's order.
#[derive(Debug, Default)]
pub struct Queue {
    slots: Vec<Slot>,
    by_job: HashMap<JobId, usize>,
    /// First slot that may still wait, so that a long roster is not searched from its start for each key.
    first_waiting: usize,
}

impl Queue {
    /// A queue of these jobs.
    pub fn new(slots: Vec<Slot>) -> Self {
        let by_job = slots.iter().enumerate().map(|(index, slot)| (slot.job.clone(), index)).collect();
        Self { slots, by_job, first_waiting: 0 }
    }

    /// The open jobs that may have been begun with this key. A serial number decides, and then there is one at most; where
    /// the key tells none, there are those of its port.
    pub fn begun_with(&self, key: &KeyRef) -> Vec<(JobId, State)> {
        self.slots
            .iter()
            .filter(|slot| slot.place == Place::KeyAway && slot.state.current().is_some_and(|at| at.key.resembles(key)))
            .map(|slot| (slot.job.clone(), slot.state.clone()))
            .collect()
    }

    /// Open jobs whose keys told no serial number and may have made a credential: a silent assertion can tell whether a
    /// key is theirs.
    pub fn begun_without_serial(&self, key: &KeyRef) -> Vec<(JobId, State)> {
        self.slots
            .iter()
            .filter(|slot| {
                slot.place == Place::KeyAway
                    && slot.state.made().is_some()
                    && slot.state.current().is_some_and(|at| at.key.serial.is_none() && at.key.aaguid == key.aaguid)
            })
            .map(|slot| (slot.job.clone(), slot.state.clone()))
            .collect()
    }

    /// The job that was finished with this very key (same serial number), if one was.
    pub fn finished_with(&self, key: &KeyRef) -> Option<&Slot> {
        key.serial.as_ref()?;
        self.slots.iter().find(|slot| {
            (matches!(slot.state, State::Finished { .. }) || slot.state.hold().is_some())
                && slot.state.current().is_some_and(|at| at.key.resembles(key))
        })
    }

    /// Takes an open job whose key is back.
    pub fn take_begun(&mut self, job: &JobId, port: &PortName) -> Option<Assignment> {
        let index = *self.by_job.get(job)?;
        let slot = self.slots.get_mut(index)?;
        if slot.place != Place::KeyAway {
            return None;
        }
        slot.place = Place::InPort(port.clone());
        Some(Assignment {
            job: slot.job.clone(),
            ordinal: slot.ordinal,
            person: slot.person.clone(),
            state: slot.state.clone(),
            resumed: true,
        })
    }

    /// Takes the next job that a blank key suits: first the one whose roster row names its serial number, then the first
    /// that names none and whose kind of key it is.
    pub fn take_waiting(&mut self, key: &KeyRef, of_kind: &dyn Fn(&Person) -> bool) -> Option<Assignment> {
        while self.slots.get(self.first_waiting).is_some_and(|slot| slot.place != Place::Waiting) {
            self.first_waiting += 1;
        }
        let waiting = |slot: &&mut Slot| slot.place == Place::Waiting && !slot.blocked;
        let start = self.first_waiting;
        let named = self
            .slots
            .iter_mut()
            .skip(start)
            .filter(waiting)
            .position(|slot| slot.person.serial.is_some() && slot.person.serial == key.serial);
        let chosen = match named {
            Some(nth) => self.slots.iter_mut().skip(start).filter(waiting).nth(nth),
            None => self
                .slots
                .iter_mut()
                .skip(start)
                .filter(waiting)
                .find(|slot| slot.person.serial.is_none() && of_kind(&slot.person)),
        }?;
        chosen.place = Place::InPort(key.port.clone());
        Some(Assignment {
            job: chosen.job.clone(),
            ordinal: chosen.ordinal,
            person: chosen.person.clone(),
            state: chosen.state.clone(),
            resumed: false,
        })
    }

    /// The next jobs in line, whose options are worth having.
    pub fn next_in_line(&self, most: usize) -> Vec<(JobId, Person)> {
        self.slots
            .iter()
            .skip(self.first_waiting)
            .filter(|slot| slot.place == Place::Waiting && !slot.blocked)
            .take(most)
            .map(|slot| (slot.job.clone(), slot.person.clone()))
            .collect()
    }

    /// A lane is through with a job. Returns `true` when a failed try leaves the person in line for another key.
    pub fn give_back(&mut self, job: &JobId, state: State, place: Place) -> bool {
        let Some(&index) = self.by_job.get(job) else { return false };
        let Some(slot) = self.slots.get_mut(index) else { return false };
        slot.state = state;
        slot.place = place;
        if let Place::Failed { code } = &slot.place {
            slot.tries += 1;
            if slot.tries < TRIES_A_RUN && meaning(code).is_some_and(|meaning| meaning.another_key_helps) {
                slot.place = Place::Waiting;
                self.first_waiting = self.first_waiting.min(index);
                return true;
            }
        }
        if slot.place == Place::Waiting {
            self.first_waiting = self.first_waiting.min(index);
        }
        false
    }

    /// Graph gives this person no options: no key is begun for them.
    pub fn block(&mut self, job: &JobId, code: &str) -> Option<Person> {
        let slot = self.slots.get_mut(*self.by_job.get(job)?)?;
        if slot.place != Place::Waiting {
            return None;
        }
        slot.blocked = true;
        slot.place = Place::Failed { code: code.to_owned() };
        Some(slot.person.clone())
    }

    /// Sets aside whatever is still open when the run ends; returns what was set aside.
    pub fn park_the_rest(&mut self, code: &str) -> Vec<(JobId, Person, Option<PortName>)> {
        let mut parked = Vec::new();
        for slot in &mut self.slots {
            let port = match &slot.place {
                Place::Waiting | Place::KeyAway => None,
                Place::InPort(port) => Some(port.clone()),
                _ => continue,
            };
            parked.push((slot.job.clone(), slot.person.clone(), port));
            slot.place = Place::Parked { code: code.to_owned() };
        }
        parked
    }

    /// One job.
    pub fn slot(&self, job: &JobId) -> Option<&Slot> {
        self.slots.get(*self.by_job.get(job)?)
    }

    /// All jobs, in order.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Jobs that wait for a key.
    pub fn waiting(&self) -> usize {
        self.slots.iter().filter(|slot| slot.place == Place::Waiting).count()
    }

    /// Jobs whose own key has to come back.
    pub fn keys_away(&self) -> usize {
        self.slots.iter().filter(|slot| slot.place == Place::KeyAway).count()
    }

    /// Nobody waits for a key and no key is awaited.
    pub fn is_served(&self) -> bool {
        !self.slots.iter().any(|slot| matches!(slot.place, Place::Waiting | Place::KeyAway | Place::InPort(_)))
    }

    /// Counts for the summary; refused people and keys are the caller's to add.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { planned: self.slots.len() as u64, ..Counts::default() };
        for slot in &self.slots {
            counts.held += u64::from(slot.state.hold().is_some());
            match &slot.place {
                Place::Finished => counts.finished += 1,
                Place::Already => counts.already += 1,
                Place::Failed { .. } => counts.failed += 1,
                Place::Waiting | Place::KeyAway | Place::InPort(_) | Place::Parked { .. } => counts.parked += 1,
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Aaguid, Serial, Upn, UserId};
    use crate::pipeline::state::Try;

    fn person(n: u32, serial: Option<&str>) -> Person {
        Person {
            serial: serial.map(Serial::new),
            ..Person::new(
                UserId::new(format!("u{n}")),
                Upn::parse(&format!("p{n}@contoso.com")).expect("a UPN"),
                format!("Person {n}"),
            )
        }
    }

    fn key(serial: Option<&str>, port: &str) -> KeyRef {
        KeyRef {
            aaguid: Aaguid::ZERO,
            serial: serial.map(Serial::new),
            firmware: None,
            model: None,
            port: PortName::new(port),
        }
    }

    fn waiting(n: u32, serial: Option<&str>) -> Slot {
        Slot::new(JobId::new(format!("J{n}")), 1, person(n, serial), State::Waiting { tries: 0 })
    }

    #[test]
    fn a_named_serial_goes_to_its_person_and_nobody_elses() {
        let mut queue = Queue::new(vec![waiting(1, None), waiting(2, Some("777")), waiting(3, None)]);
        let any = |_: &Person| true;
        assert_eq!(queue.take_waiting(&key(Some("777"), "1"), &any).expect("a job").job.as_str(), "J2");
        assert_eq!(queue.take_waiting(&key(Some("1"), "2"), &any).expect("a job").job.as_str(), "J1");
        assert_eq!(queue.take_waiting(&key(None, "3"), &any).expect("a job").job.as_str(), "J3");
        assert!(queue.take_waiting(&key(None, "4"), &any).is_none());
    }

    #[test]
    fn a_person_whose_serial_is_named_never_gets_another_key() {
        let mut queue = Queue::new(vec![waiting(1, Some("777"))]);
        assert!(queue.take_waiting(&key(Some("778"), "1"), &|_| true).is_none());
    }

    #[test]
    fn a_begun_key_comes_back_to_its_own_job() {
        let at = Try { attempt: 1, key: key(Some("42"), "1") };
        let open = Slot::new(JobId::new("J9"), 1, person(9, None), State::PinSet { at });
        let mut queue = Queue::new(vec![waiting(1, None), open]);
        assert_eq!(queue.keys_away(), 1);
        let (job, _) = queue.begun_with(&key(Some("42"), "5")).pop().expect("known");
        assert!(queue.take_begun(&job, &PortName::new("5")).expect("taken").resumed);
        assert!(queue.take_begun(&job, &PortName::new("5")).is_none(), "not twice");
        assert_eq!(queue.begun_with(&key(Some("43"), "1")), []);
    }

    #[test]
    fn a_failed_key_leaves_the_person_in_line_a_few_times() {
        let mut queue = Queue::new(vec![waiting(1, None), waiting(2, None)]);
        let failed = |code: &str| State::Failed {
            at: Try { attempt: 1, key: key(None, "1") },
            code: code.into(),
            pin_on_key: true,
            resume_key_gone: true,
        };
        for round in 1..=TRIES_A_RUN {
            let job = queue.take_waiting(&key(None, "1"), &|_| true).expect("a job").job;
            assert_eq!(job.as_str(), "J1");
            let again = queue.give_back(&job, failed("not-made"), Place::Failed { code: "not-made".into() });
            assert_eq!(again, round < TRIES_A_RUN);
        }
        // Where another key can't help, one try is enough.
        let job = queue.take_waiting(&key(None, "1"), &|_| true).expect("a job").job;
        let code = "registration-refused";
        assert!(!queue.give_back(&job, failed(code), Place::Failed { code: code.into() }));
        assert_eq!(queue.counts().failed, 2);
        assert!(queue.is_served());
    }
}
