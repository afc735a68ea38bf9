//! Commit, act, commit: the one loop in which a job moves.
//!
//! The driver decides nothing. It asks [`step`] what to write and what to do, writes it, and only then has it done. So
//! there are three places to be cut off: before the intent is written (nothing has happened), between intent and act, and
//! between act and outcome (the next run asks first). A job never has more than one effect under way.

use jiff::{SignedDuration, Timestamp};

use super::effect::Effect;
use super::event::Event;
use super::state::State;
use super::step::{Context, Rest, Then, WantedRules, step};
use crate::ledger::{Append, Claim, Ledger, LedgerError};
use crate::model::{JobId, UserId};

/// What came of an effect.
#[derive(Debug)]
pub struct Outcome {
    /// The next event.
    pub event: Event,
    /// What goes into the ledger together with the event's entries: a registration record, or what is kept of a sealed one.
    pub documents: Vec<Vec<u8>>,
}

impl From<Event> for Outcome {
    fn from(event: Event) -> Self {
        Self { event, documents: Vec::new() }
    }
}

/// Why the loop ended other than by a rest.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The ledger can't be written: nothing more may be done to any key.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A part of the bench itself failed (the resume store, randomness): the run has to end.
    #[error("{what}")]
    Bench {
        /// A code of [`super::code::CODES`].
        code: &'static str,
        /// What failed.
        what: String,
    },
}

/// Whatever performs effects: a lane of the bench, or a test.
pub trait Hands {
    /// Performs one effect and tells what came of it.
    ///
    /// # Errors
    /// [`DriveError`] when the bench itself can't go on.
    fn perform(&mut self, effect: &Effect, state: &State) -> Result<Outcome, DriveError>;

    /// Asked before each effect: a code when the job is to rest here instead.
    fn holds_back(&self, effect: &Effect, state: &State) -> Option<&'static str>;

    /// Now, by the tenant's clock.
    fn now(&self) -> Timestamp;
}

/// One job on its way.
#[derive(Debug)]
pub struct Journey {
    /// The job.
    pub job: JobId,
    /// Whom for.
    pub user: UserId,
    /// What the key shall enforce in the end.
    pub rules: WantedRules,
    /// How long after a challenge's expiry a lost registration may still turn up.
    pub settling: SignedDuration,
    /// Registration waits for receipt: how long its record must be good for.
    pub hold: Option<SignedDuration>,
    /// This bench's hold on the job.
    pub claim: Claim,
    /// Where it is.
    pub state: State,
}

impl Journey {
    /// Goes on from `event` until the job rests.
    ///
    /// # Errors
    /// [`DriveError`]; [`Journey::state`] is then where the ledger is known to be.
    pub fn drive(&mut self, ledger: &dyn Ledger, hands: &mut dyn Hands, event: Event) -> Result<Rest, DriveError> {
        let mut outcome = Outcome::from(event);
        loop {
            let ctx = Context {
                job: self.job.clone(),
                user: self.user.clone(),
                rules: self.rules,
                now: hands.now(),
                settling: self.settling,
                hold: self.hold,
            };
            let next = step(&ctx, self.state.clone(), outcome.event);
            if !next.entries.is_empty() {
                let mut append = Append::entries(next.entries).under(&self.claim);
                for document in std::mem::take(&mut outcome.documents) {
                    append = append.with_document(document);
                }
                ledger.append(append)?;
            }
            self.state = next.next;
            match next.then {
                Then::Rest(rest) => return Ok(rest),
                Then::Do(effect) => {
                    if let Some(code) = hands.holds_back(&effect, &self.state) {
                        return Ok(Rest::Parked { code: code.to_owned() });
                    }
                    if matches!(effect, Effect::MakeCredential) {
                        // A key may have waited long for its touch, and waits again; the hold on its job must outlast that.
                        // Taking it again is no more than a look while half of its time is left.
                        self.claim = ledger.claim(&self.job)?;
                    }
                    outcome = hands.perform(&effect, &self.state)?;
                }
            }
        }
    }
}
