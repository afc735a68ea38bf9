//! The half of the step table that is about held keys: PIN rules and hold instead of the tenant, and the registration on
//! receipt. Pure, as [`super::step`] is.
//!
//! Promise: of a held key the tenant hears nothing before [`Event::Received`]; a record is sent only under an intent; and what
//! is sent is asked for before it is sent again, as at the bench.

use jiff::Timestamp;

use super::effect::Effect;
use super::event::{Event, NotOpened, SealedRecord};
use super::state::{Hold, Made, State};
use super::step::{EXPIRED, RULES_CHANGED, Rest, Step, Then, Writer, ask, rest};
use crate::ledger::entry::{Act, Entry, HandoverEntry};
use crate::model::{JobId, MethodId};

/// How a hold ends when all goes well; every other end has a meaning among [`super::code`].
const ACTIVATED: &str = "activated";

impl Writer<'_> {
    fn handover(&self, entry: impl FnOnce(JobId, u32) -> HandoverEntry) -> Entry {
        Entry::Handover(entry(self.ctx.job.clone(), self.at.attempt))
    }

    /// Proved: on to the PIN rules, and nothing to the tenant. A record that would not live long enough is no good.
    pub(super) fn choose_hold(&self, mut entries: Vec<Entry>, made: &Made, least: jiff::SignedDuration) -> Step {
        if made.expires < self.ctx.now.saturating_add(least).unwrap_or(Timestamp::MAX) {
            return self.remove(vec![self.undone(Act::Register, EXPIRED)], made, None);
        }
        entries.push(self.handover(|job, attempt| HandoverEntry::HoldChosen { job, attempt }));
        if self.ctx.rules.nothing() {
            let next = State::Proved { at: self.at.clone(), made: made.clone() };
            return Step { entries, next, then: Then::Do(Effect::LookAtRules) };
        }
        self.harden(entries, made)
    }

    fn harden(&self, mut entries: Vec<Entry>, made: &Made) -> Step {
        entries.push(self.intent(Act::SetPinRules));
        Step {
            entries,
            next: State::Hardening { at: self.at.clone(), made: made.clone() },
            then: Then::Do(Effect::SetPinRules),
        }
    }

    /// The rules are on the key. A record that ran out meanwhile can't be held, and the forced change keeps the bench from
    /// taking the credential off: only a reset does.
    fn hardened(&self, made: &Made, minimum: u32) -> Step {
        let (job, attempt) = (self.ctx.job.clone(), self.at.attempt);
        let entries = vec![Entry::PinRulesSet { job, attempt, minimum, forced: self.ctx.rules.forced }];
        if self.ctx.now >= made.expires {
            return self.failed(entries, EXPIRED, true);
        }
        let next = State::Hardened { at: self.at.clone(), made: made.clone() };
        Step { entries, next, then: Then::Do(Effect::SealRecord) }
    }

    fn held(&self, made: &Made, record: SealedRecord) -> Step {
        let SealedRecord { sealed, witness, aaguid, to } = record;
        let held = self.handover(|job, attempt| HandoverEntry::Held {
            job,
            attempt,
            record: made.record,
            sealed,
            witness,
            credential: made.credential.clone(),
            aaguid,
            expires: made.expires,
            to,
        });
        let hold = Hold { sealed: Some(sealed), witness, resume_key_gone: false, taken: false };
        Step {
            entries: vec![held],
            next: State::Held { at: self.at.clone(), made: made.clone(), hold },
            then: Then::Do(Effect::DestroyResumeKey),
        }
    }

    fn activate(&self, mut entries: Vec<Entry>, made: &Made, hold: Hold, again: bool) -> Step {
        entries.push(self.intent(Act::Register));
        Step {
            entries,
            next: State::Activating { at: self.at.clone(), made: made.clone(), hold },
            then: Then::Do(Effect::Register { again }),
        }
    }

    /// The tenant shows it: the sealed record has done its work.
    fn activated(&self, mut entries: Vec<Entry>, made: &Made, hold: &Hold, method: MethodId) -> Step {
        let (job, attempt) = (self.ctx.job.clone(), self.at.attempt);
        entries.push(Entry::ReadBack { job: job.clone(), attempt });
        entries.push(Entry::Finished { job, attempt });
        if let Some(sealed) = hold.sealed {
            entries.push(self.handover(|job, attempt| HandoverEntry::HoldEnded {
                job,
                attempt,
                sealed,
                code: ACTIVATED.to_owned(),
            }));
        }
        let then = match hold.resume_key_gone {
            true => Then::Rest(Rest::Finished),
            false => Then::Do(Effect::DestroyResumeKey),
        };
        let next = State::Finished {
            at: self.at.clone(),
            made: made.clone(),
            method,
            resume_key_gone: hold.resume_key_gone,
            taken: hold.taken,
        };
        Step { entries, next, then }
    }

    /// As [`Self::wait_or_watch`], but the key is with its person: past the end it is only watched for.
    fn wait_or_give_up_hold(&self, made: &Made, hold: Hold) -> Step {
        let settled = made.expires.saturating_add(self.ctx.settling).unwrap_or(Timestamp::MAX);
        let at = self.at.clone();
        if self.ctx.now < settled {
            let state = State::Activating { at, made: made.clone(), hold };
            return rest(state, Rest::Parked { code: "answer-lost".into() });
        }
        let watched = Entry::Watched {
            job: self.ctx.job.clone(),
            attempt: at.attempt,
            user: self.ctx.user.clone(),
            credential: made.credential.clone(),
        };
        Step {
            entries: vec![watched, self.undone(Act::Register, EXPIRED)],
            next: State::Held { at, made: made.clone(), hold },
            then: Then::Rest(Rest::Parked { code: EXPIRED.into() }),
        }
    }
}

/// The next step of a job that is, or is going to be, held.
pub(super) fn journey(w: &Writer<'_>, state: State, event: Event) -> Step {
    match (state, event) {
        // ── the PIN rules, and then the hold ─────────────────────────────────────────────────────────────────────
        (state @ (State::Proved { .. } | State::Hardening { .. }), Event::Resumed) => ask(state, Effect::LookAtRules),
        (state @ (State::Proved { .. } | State::Hardening { .. }), Event::RulesSeen { minimum, forced: true })
            if !w.ctx.rules.met_by(minimum, true) =>
        {
            rest(state, Rest::Parked { code: RULES_CHANGED.into() })
        }
        (State::Proved { made, .. } | State::Hardening { made, .. }, Event::RulesSeen { minimum, forced }) => {
            if w.ctx.rules.met_by(minimum, forced) { w.hardened(&made, minimum) } else { w.harden(Vec::new(), &made) }
        }
        (State::Hardening { made, .. }, Event::RulesTaken { minimum, forced }) => {
            if w.ctx.rules.met_by(minimum, forced) {
                w.hardened(&made, minimum)
            } else {
                w.remove(vec![w.undone(Act::SetPinRules, "rules-not-kept")], &made, Some("rules-not-kept".into()))
            }
        }
        (State::Hardening { made, .. }, Event::RulesRefused { code }) => {
            w.remove(vec![w.undone(Act::SetPinRules, &code)], &made, Some(code))
        }
        (state @ State::Hardening { .. }, Event::NotOpened(NotOpened::ChangeForced)) => {
            rest(state, Rest::Parked { code: RULES_CHANGED.into() })
        }
        (State::Proved { made, .. } | State::Hardening { made, .. }, Event::NotOpened(why)) => {
            w.remove(vec![w.undone(Act::SetPinRules, why.code())], &made, Some(why.code().into()))
        }
        (State::Hardened { made, .. }, Event::Resumed) if w.ctx.now >= made.expires => {
            w.failed(Vec::new(), EXPIRED, true)
        }
        // Between the rules and the seal the key may have been reset: a blank one is not held.
        (state @ State::Hardened { .. }, Event::Resumed) => ask(state, Effect::LookAtRules),
        (state @ State::Hardened { .. }, Event::RulesSeen { .. }) => ask(state, Effect::SealRecord),
        (State::Hardened { .. }, Event::NotOpened(why)) => w.not_opened(why),
        (State::Hardened { .. }, Event::CheckFailed { code }) => w.failed(Vec::new(), &code, true),
        (State::Hardened { made, .. }, Event::RecordSealed(record)) => w.held(&made, record),

        // ── receipt: the held key's registration, with the same questions as at the bench ────────────────────────
        (state @ State::Held { .. }, Event::Resumed) if state.hold().is_some_and(|hold| !hold.resume_key_gone) => {
            ask(state, Effect::DestroyResumeKey)
        }
        (State::Held { at, made, mut hold }, Event::ResumeKeyDestroyed) => {
            hold.resume_key_gone = true;
            Step {
                entries: vec![Entry::ResumeKeyDestroyed { job: w.ctx.job.clone(), attempt: at.attempt }],
                next: State::Held { at, made, hold },
                then: Then::Rest(Rest::Held),
            }
        }
        (State::Held { made, hold, .. }, Event::Received { by })
            if hold.sealed.is_some() && w.ctx.now < made.expires =>
        {
            let begun = w.handover(|job, attempt| HandoverEntry::ActivationBegun { job, attempt, by });
            w.activate(vec![begun], &made, hold, false)
        }
        (state @ State::Held { .. }, _) => rest(state, Rest::Held),
        (State::Activating { made, hold, .. }, Event::Registered { method }) => Step {
            entries: vec![Entry::Registered {
                job: w.ctx.job.clone(),
                attempt: w.at.attempt,
                method: method.clone(),
                found: false,
            }],
            next: State::Activated { at: w.at.clone(), made, hold, method },
            then: Then::Do(Effect::FindMethod),
        },
        (State::Activating { at, made, hold }, Event::RegistrationRefused { code }) => Step {
            entries: vec![w.undone(Act::Register, &code)],
            next: State::Held { at, made, hold },
            then: Then::Rest(Rest::Parked { code }),
        },
        (state @ State::Activating { .. }, Event::AnswerLost | Event::Resumed | Event::Received { .. }) => {
            ask(state, Effect::FindMethod)
        }
        (State::Activating { made, hold, .. }, Event::MethodFound { method }) => {
            let found = Entry::Registered {
                job: w.ctx.job.clone(),
                attempt: w.at.attempt,
                method: method.clone(),
                found: true,
            };
            w.activated(vec![found], &made, &hold, method)
        }
        (State::Activating { made, hold, .. }, Event::MethodMissing)
            if hold.sealed.is_some() && w.ctx.now < made.expires =>
        {
            w.activate(Vec::new(), &made, hold, true)
        }
        (
            State::Activating { made, hold, .. },
            Event::MethodMissing | Event::RefusedAgain | Event::CheckFailed { .. },
        ) => w.wait_or_give_up_hold(&made, hold),
        (state @ State::Activated { .. }, Event::Resumed | Event::Received { .. }) => ask(state, Effect::FindMethod),
        (State::Activated { made, hold, method, .. }, Event::MethodFound { .. }) => {
            w.activated(Vec::new(), &made, &hold, method)
        }
        (state @ State::Activated { .. }, Event::MethodMissing) => {
            rest(state, Rest::Parked { code: "read-back-missing".into() })
        }

        (state, _) => rest(state, Rest::Parked { code: "unexpected".into() }),
    }
}
