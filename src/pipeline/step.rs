//! One step of the journey: (state, event) → entries, next state, and at most one effect or a rest. Pure: it does not
//! wait, ask, or look at a clock.
//!
//! The entries are committed before the effect is performed, and folding them over the old state gives the next one
//! (`recover::apply`), so a job that is read back from the ledger stands exactly where it stood.

use jiff::{SignedDuration, Timestamp};

use super::effect::Effect;
use super::event::{Event, NotOpened};
use super::held;
use super::state::{Made, State, Try};
use crate::ledger::entry::{Act, Entry, ForcedChange};
use crate::model::{JobId, MethodId, UserId};

/// What the key shall make its user do. Worked out from the policy, the person's first device and the key's abilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedRules {
    /// `minPINLength` to set, in code points; `None` where the key can't or nothing is wanted.
    pub minimum: Option<u32>,
    /// What is wanted, or why it isn't.
    pub forced: ForcedChange,
}

impl WantedRules {
    /// Nothing has to be sent to the key.
    pub(super) fn nothing(self) -> bool {
        self.minimum.is_none() && self.forced != ForcedChange::Forced
    }

    /// Whether getInfo's word fulfils them.
    pub(super) fn met_by(self, minimum: u32, forced: bool) -> bool {
        self.minimum.is_none_or(|wanted| minimum >= wanted) && (self.forced != ForcedChange::Forced || forced)
    }
}

/// What a step needs to know beside state and event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The job.
    pub job: JobId,
    /// Whom it is for.
    pub user: UserId,
    /// What the key shall enforce.
    pub rules: WantedRules,
    /// Now, by the tenant's clock.
    pub now: Timestamp,
    /// How long after a challenge's expiry a lost registration may still turn up.
    pub settling: SignedDuration,
    /// Registration waits for receipt: how long the record must be good for when the key leaves the bench.
    pub hold: Option<SignedDuration>,
}

/// The code under which a registration is given up because its challenge ran out: a new credential follows on the same key.
pub const EXPIRED: &str = "challenge-expired";

/// The code under which a job rests whose key has its forced change and not the rest of what the settings ask for now: they were
/// changed since, and the key takes no more rules before its owner has changed the PIN.
pub(super) const RULES_CHANGED: &str = "rules-changed";

/// Where a job rests until something comes from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rest {
    /// Done.
    Finished,
    /// Done at the bench; registered on receipt.
    Held,
    /// This try is over.
    Failed {
        /// Why.
        code: String,
    },
    /// The key has to come back.
    AwaitKey,
    /// Set aside in the middle; [`Event::Resumed`] goes on.
    Parked {
        /// Why.
        code: String,
    },
}

/// What to do after the entries are committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// Perform this; its outcome is the next event.
    Do(Effect),
    /// Wait.
    Rest(Rest),
}

/// The outcome of [`step`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// To be committed together, first.
    pub entries: Vec<Entry>,
    /// Where the job is then.
    pub next: State,
    /// What follows.
    pub then: Then,
}

/// Builds entries and steps for one job, so that the table below reads as a table.
pub(super) struct Writer<'a> {
    pub(super) ctx: &'a Context,
    pub(super) at: Try,
}

impl Writer<'_> {
    pub(super) fn intent(&self, act: Act) -> Entry {
        Entry::Intent { job: self.ctx.job.clone(), attempt: self.at.attempt, act }
    }

    pub(super) fn undone(&self, act: Act, code: &str) -> Entry {
        Entry::ActUndone { job: self.ctx.job.clone(), attempt: self.at.attempt, act, code: code.to_owned() }
    }

    /// The try is over; what it left for resuming goes.
    pub(super) fn failed(&self, mut entries: Vec<Entry>, code: &str, pin_on_key: bool) -> Step {
        entries.push(Entry::AttemptFailed {
            job: self.ctx.job.clone(),
            attempt: self.at.attempt,
            code: code.to_owned(),
            pin_on_key,
        });
        Step {
            entries,
            next: State::Failed { at: self.at.clone(), code: code.to_owned(), pin_on_key, resume_key_gone: false },
            then: Then::Do(Effect::DestroyResumeKey),
        }
    }

    /// The try is over, because its PIN does not open the key.
    pub(super) fn not_opened(&self, why: NotOpened) -> Step {
        self.failed(Vec::new(), why.code(), why.pin_on_key())
    }

    fn set_pin(&self) -> Step {
        Step {
            entries: vec![self.intent(Act::SetPin)],
            next: State::SettingPin { at: self.at.clone() },
            then: Then::Do(Effect::SetPin),
        }
    }

    fn pin_set(&self) -> Step {
        Step {
            entries: vec![Entry::PinSet { job: self.ctx.job.clone(), attempt: self.at.attempt }],
            next: State::PinSet { at: self.at.clone() },
            then: Then::Do(Effect::FetchOptions),
        }
    }

    /// The key holds no credential of this try (any more): have options and make one.
    fn start_again(&self, entries: Vec<Entry>) -> Step {
        Step { entries, next: State::PinSet { at: self.at.clone() }, then: Then::Do(Effect::FetchOptions) }
    }

    fn register(&self, mut entries: Vec<Entry>, made: &Made, again: bool) -> Step {
        entries.push(self.intent(Act::Register));
        Step {
            entries,
            next: State::Registering { at: self.at.clone(), made: made.clone() },
            then: Then::Do(Effect::Register { again }),
        }
    }

    /// The credential is in nobody's directory: off the key with it.
    pub(super) fn remove(&self, mut entries: Vec<Entry>, made: &Made, code: Option<String>) -> Step {
        entries.push(self.intent(Act::RemoveCredential));
        Step {
            entries,
            next: State::Removing { at: self.at.clone(), made: made.clone(), code },
            then: Then::Do(Effect::RemoveCredential(made.credential.clone())),
        }
    }

    fn delete_method(&self, mut entries: Vec<Entry>, made: &Made, method: &MethodId, code: &str) -> Step {
        entries.push(self.intent(Act::DeleteMethod));
        Step {
            entries,
            next: State::DeletingMethod {
                at: self.at.clone(),
                made: made.clone(),
                method: method.clone(),
                code: code.to_owned(),
            },
            then: Then::Do(Effect::DeleteMethod(method.clone())),
        }
    }

    fn registered(&self, made: &Made, method: MethodId) -> Step {
        Step {
            entries: vec![Entry::Registered {
                job: self.ctx.job.clone(),
                attempt: self.at.attempt,
                method: method.clone(),
                found: false,
            }],
            next: State::Registered { at: self.at.clone(), made: made.clone(), method },
            then: Then::Do(Effect::FindMethod),
        }
    }

    /// The read agreed: on to the PIN rules, the last thing a key is told.
    fn read_back(&self, mut entries: Vec<Entry>, made: &Made, method: MethodId) -> Step {
        entries.push(Entry::ReadBack { job: self.ctx.job.clone(), attempt: self.at.attempt });
        if self.ctx.rules.nothing() {
            let next = State::ReadBack { at: self.at.clone(), made: made.clone(), method };
            return Step { entries, next, then: Then::Do(Effect::LookAtRules) };
        }
        self.set_rules(entries, made, method)
    }

    fn set_rules(&self, mut entries: Vec<Entry>, made: &Made, method: MethodId) -> Step {
        entries.push(self.intent(Act::SetPinRules));
        Step {
            entries,
            next: State::SettingRules { at: self.at.clone(), made: made.clone(), method },
            then: Then::Do(Effect::SetPinRules),
        }
    }

    /// Sent, refused or unanswered, and not listed: only time can tell. Past the challenge's end and a settling time the
    /// credential goes from the key, and later runs watch for it in Entra.
    fn wait_or_watch(&self, made: &Made) -> Step {
        let settled = made.expires.saturating_add(self.ctx.settling).unwrap_or(Timestamp::MAX);
        if self.ctx.now < settled {
            let state = State::Registering { at: self.at.clone(), made: made.clone() };
            return rest(state, Rest::Parked { code: "answer-lost".into() });
        }
        let watched = Entry::Watched {
            job: self.ctx.job.clone(),
            attempt: self.at.attempt,
            user: self.ctx.user.clone(),
            credential: made.credential.clone(),
        };
        self.remove(vec![watched], made, None)
    }

    fn finished(&self, made: &Made, method: MethodId, minimum: u32) -> Step {
        let (job, attempt) = (self.ctx.job.clone(), self.at.attempt);
        Step {
            entries: vec![
                Entry::PinRulesSet { job: job.clone(), attempt, minimum, forced: self.ctx.rules.forced },
                Entry::Finished { job, attempt },
            ],
            next: State::Finished {
                at: self.at.clone(),
                made: made.clone(),
                method,
                resume_key_gone: false,
                taken: false,
            },
            then: Then::Do(Effect::DestroyResumeKey),
        }
    }
}

/// Nothing to write; perform this in the state as it is.
pub(super) fn ask(state: State, effect: Effect) -> Step {
    Step { entries: Vec::new(), next: state, then: Then::Do(effect) }
}

/// Nothing to write; wait in the state as it is.
pub(super) fn rest(state: State, rest: Rest) -> Step {
    Step { entries: Vec::new(), next: state, then: Then::Rest(rest) }
}

/// The next step. Total: an event that does not belong to the state parks the job as it stands, because doing nothing
/// loses nothing.
pub fn step(ctx: &Context, state: State, event: Event) -> Step {
    let current = state.current().cloned();
    match (current, event) {
        // Whatever the place: without its key, its tenant or its bench a job stays where it is.
        (_, Event::KeyGone) => rest(state, Rest::AwaitKey),
        (_, Event::Blocked { code }) => rest(state, Rest::Parked { code }),
        (at, Event::KeyGiven(key)) => key_given(ctx, state, at, key),
        (Some(at), event) => journey(&Writer { ctx, at }, state, event),
        (None, _) => rest(state, Rest::AwaitKey),
    }
}

fn key_given(ctx: &Context, state: State, at: Option<Try>, key: crate::model::KeyRef) -> Step {
    let tries = match (&state, at) {
        (State::Waiting { tries }, _) => *tries,
        (State::Failed { .. }, Some(at)) => at.attempt,
        _ => return rest(state, Rest::Parked { code: "unexpected".into() }),
    };
    let at = Try { attempt: tries.saturating_add(1), key };
    Step {
        entries: vec![Entry::AttemptStarted { job: ctx.job.clone(), attempt: at.attempt, key: at.key.clone() }],
        next: State::Begun { at },
        then: Then::Do(Effect::Seal),
    }
}

fn journey(w: &Writer<'_>, state: State, event: Event) -> Step {
    match (state, event) {
        // ── the PIN ──────────────────────────────────────────────────────────────────────────────────────────────
        (state @ State::Begun { .. }, Event::Resumed) => ask(state, Effect::Seal),
        // The ledger wrote `PinSealed` itself, together with the envelope.
        (State::Begun { .. }, Event::Sealed) => w.set_pin(),
        (state @ (State::Sealed { .. } | State::SettingPin { .. }), Event::Resumed) => ask(state, Effect::LookAtPin),
        (State::Sealed { .. }, Event::PinSeen { present: false }) => w.set_pin(),
        (State::Sealed { .. }, Event::PinSeen { present: true }) => w.failed(Vec::new(), "has-pin", false),
        (State::SettingPin { .. }, Event::PinSet | Event::PinProved) => w.pin_set(),
        (State::SettingPin { .. }, Event::PinNotSet { code }) => {
            w.failed(vec![w.undone(Act::SetPin, &code)], &code, false)
        }
        (state @ State::SettingPin { .. }, Event::PinSeen { present: false }) => ask(state, Effect::SetPin),
        (state @ State::SettingPin { .. }, Event::PinSeen { present: true }) => ask(state, Effect::ProvePin),
        (State::SettingPin { .. }, Event::NotOpened(why)) => w.not_opened(why),

        // ── the credential ───────────────────────────────────────────────────────────────────────────────────────
        (state @ State::PinSet { .. }, Event::Resumed) => ask(state, Effect::LookAtPin),
        (state @ State::PinSet { .. }, Event::PinSeen { present: true }) => ask(state, Effect::FetchOptions),
        // It had our PIN and has none: somebody reset it, or it is another key.
        (State::PinSet { .. }, Event::PinSeen { present: false }) => w.failed(Vec::new(), "key-changed", false),
        (State::PinSet { at }, Event::OptionsReady) => Step {
            entries: vec![w.intent(Act::MakeCredential)],
            next: State::Making { at },
            then: Then::Do(Effect::MakeCredential),
        },
        (State::PinSet { .. } | State::Making { .. }, Event::OptionsRefused { code }) => {
            w.failed(Vec::new(), &code, true)
        }
        (State::Making { at }, Event::CredentialMade { credential, record, expires }) => Step {
            entries: vec![Entry::CredentialMade {
                job: w.ctx.job.clone(),
                attempt: at.attempt,
                credential: credential.clone(),
                record,
                expires,
            }],
            next: State::Made { at, made: Made { credential, record, expires } },
            then: Then::Do(Effect::Prove),
        },
        (State::Making { .. }, Event::TouchTimedOut) => {
            w.start_again(vec![w.undone(Act::MakeCredential, "touch-timeout")])
        }
        (State::Making { at }, Event::TouchCancelled) => Step {
            entries: vec![w.undone(Act::MakeCredential, "cancelled")],
            next: State::PinSet { at },
            then: Then::Rest(Rest::Parked { code: "interrupted".into() }),
        },
        (State::Making { .. }, Event::NotMade { code }) => {
            w.failed(vec![w.undone(Act::MakeCredential, &code)], &code, true)
        }
        (State::PinSet { .. } | State::Making { .. }, Event::NotOpened(why)) => w.not_opened(why),
        // The outcome is unknown and no record was kept: what the key has made can't be used, so it goes.
        (state @ State::Making { .. }, Event::Resumed) => ask(state, Effect::ListCredentials),
        (State::Making { at }, Event::CredentialsListed(found)) => match found.into_iter().next() {
            Some(orphan) => Step {
                entries: vec![w.intent(Act::RemoveCredential)],
                next: State::Making { at },
                then: Then::Do(Effect::RemoveCredential(orphan)),
            },
            None => w.start_again(vec![w.undone(Act::MakeCredential, "not-made")]),
        },
        (state @ State::Making { .. }, Event::CredentialRemoved(credential)) => Step {
            entries: vec![Entry::CredentialRemoved { job: w.ctx.job.clone(), attempt: w.at.attempt, credential }],
            next: state,
            then: Then::Do(Effect::ListCredentials),
        },
        // A key that can't list or remove overwrites: a new credential for the same person replaces the old one
        // (CTAP 2.1 §6.1.2, step 17).
        (State::Making { .. }, Event::CredentialsUnlistable | Event::CredentialUnremovable { .. }) => {
            w.start_again(vec![w.undone(Act::MakeCredential, "overwritten")])
        }

        // ── checks and proof ─────────────────────────────────────────────────────────────────────────────────────
        (state @ State::Made { .. }, Event::Resumed) => ask(state, Effect::Prove),
        (State::Made { made, .. }, Event::Proved { .. }) if w.ctx.now >= made.expires => {
            w.remove(vec![w.undone(Act::Register, EXPIRED)], &made, None)
        }
        (State::Made { made, .. }, Event::Proved { checks }) => {
            let proved = Entry::CredentialProved { job: w.ctx.job.clone(), attempt: w.at.attempt, checks };
            match w.ctx.hold {
                Some(least) => w.choose_hold(vec![proved], &made, least),
                None => w.register(vec![proved], &made, false),
            }
        }
        (State::Made { made, .. }, Event::CheckFailed { code }) => {
            w.remove(vec![w.undone(Act::Register, &code)], &made, Some(code))
        }

        // ── the tenant ───────────────────────────────────────────────────────────────────────────────────────────
        (State::Registering { made, .. }, Event::Registered { method }) => w.registered(&made, method),
        (State::Registering { made, .. }, Event::RegistrationRefused { code }) => {
            let code_kept = (code != EXPIRED).then(|| code.clone());
            w.remove(vec![w.undone(Act::Register, &code)], &made, code_kept)
        }
        (state @ State::Registering { .. }, Event::AnswerLost | Event::Resumed) => ask(state, Effect::FindMethod),
        (State::Registering { made, .. }, Event::MethodFound { method }) => {
            let found = Entry::Registered {
                job: w.ctx.job.clone(),
                attempt: w.at.attempt,
                method: method.clone(),
                found: true,
            };
            w.read_back(vec![found], &made, method)
        }
        // Not being listed proves nothing: send the very same record again.
        (State::Registering { made, .. }, Event::MethodMissing) if w.ctx.now < made.expires => {
            w.register(Vec::new(), &made, true)
        }
        // The record is lost and can't be sent again (a ledger restored from its mirror has none): what was sent may yet show.
        (State::Registering { made, .. }, Event::MethodMissing | Event::RefusedAgain | Event::CheckFailed { .. }) => {
            w.wait_or_watch(&made)
        }
        (state @ State::Registered { .. }, Event::Resumed) => ask(state, Effect::FindMethod),
        (State::Registered { made, .. }, Event::MethodFound { method }) => w.read_back(Vec::new(), &made, method),
        (state @ State::Registered { .. }, Event::MethodMissing) => {
            rest(state, Rest::Parked { code: "read-back-missing".into() })
        }

        // ── the PIN rules, last ──────────────────────────────────────────────────────────────────────────────────
        (state @ (State::ReadBack { .. } | State::SettingRules { .. }), Event::Resumed) => {
            ask(state, Effect::LookAtRules)
        }
        (state @ (State::ReadBack { .. } | State::SettingRules { .. }), Event::RulesSeen { minimum, forced: true })
            if !w.ctx.rules.met_by(minimum, true) =>
        {
            rest(state, Rest::Parked { code: RULES_CHANGED.into() })
        }
        (
            State::ReadBack { made, method, .. } | State::SettingRules { made, method, .. },
            Event::RulesSeen { minimum, forced },
        ) => {
            if w.ctx.rules.met_by(minimum, forced) {
                w.finished(&made, method, minimum)
            } else {
                w.set_rules(Vec::new(), &made, method)
            }
        }
        (State::SettingRules { made, method, .. }, Event::RulesTaken { minimum, forced }) => {
            if w.ctx.rules.met_by(minimum, forced) {
                w.finished(&made, method, minimum)
            } else {
                // It said yes and shows no: not a key to send to anybody.
                w.delete_method(vec![w.undone(Act::SetPinRules, "rules-not-kept")], &made, &method, "rules-not-kept")
            }
        }
        (State::SettingRules { made, method, .. }, Event::RulesRefused { code }) => {
            w.delete_method(vec![w.undone(Act::SetPinRules, &code)], &made, &method, &code)
        }
        (state @ State::SettingRules { .. }, Event::NotOpened(NotOpened::ChangeForced)) => {
            rest(state, Rest::Parked { code: RULES_CHANGED.into() })
        }
        (State::ReadBack { made, method, .. } | State::SettingRules { made, method, .. }, Event::NotOpened(why)) => {
            w.delete_method(vec![w.undone(Act::SetPinRules, why.code())], &made, &method, why.code())
        }

        // ── undoing, the tenant first ────────────────────────────────────────────────────────────────────────────
        (State::Unruly { made, method, code, .. }, Event::Resumed) => {
            w.delete_method(Vec::new(), &made, &method, &code)
        }
        (state @ State::DeletingMethod { .. }, Event::Resumed) => {
            let State::DeletingMethod { method, .. } = &state else { return rest(state, Rest::AwaitKey) };
            let effect = Effect::DeleteMethod(method.clone());
            ask(state, effect)
        }
        (State::DeletingMethod { made, method, code, .. }, Event::MethodDeleted) => {
            let deleted = Entry::MethodDeleted { job: w.ctx.job.clone(), attempt: w.at.attempt, method };
            w.remove(vec![deleted], &made, Some(code))
        }
        (State::Unwanted { made, code, .. }, Event::Resumed) => w.remove(Vec::new(), &made, code),
        (state @ State::Removing { .. }, Event::Resumed) => {
            let State::Removing { made, .. } = &state else { return rest(state, Rest::AwaitKey) };
            let effect = Effect::RemoveCredential(made.credential.clone());
            ask(state, effect)
        }
        (State::Removing { code, .. }, Event::CredentialRemoved(credential)) => {
            let removed = Entry::CredentialRemoved { job: w.ctx.job.clone(), attempt: w.at.attempt, credential };
            match code {
                None => w.start_again(vec![removed]),
                Some(code) => w.failed(vec![removed], &code, true),
            }
        }
        (State::Removing { code, .. }, Event::CredentialUnremovable { code: why }) => match code {
            None => w.start_again(vec![w.undone(Act::RemoveCredential, &why)]),
            Some(code) => w.failed(vec![w.undone(Act::RemoveCredential, &why)], &code, true),
        },
        (State::Removing { code, .. }, Event::NotOpened(why)) => {
            let code = code.unwrap_or_else(|| why.code().into());
            w.failed(vec![w.undone(Act::RemoveCredential, why.code())], &code, why.pin_on_key())
        }

        // ── the end ──────────────────────────────────────────────────────────────────────────────────────────────
        (
            state @ (State::Finished { resume_key_gone: false, .. } | State::Failed { resume_key_gone: false, .. }),
            Event::Resumed,
        ) => ask(state, Effect::DestroyResumeKey),
        (State::Finished { at, made, method, taken, .. }, Event::ResumeKeyDestroyed) => Step {
            entries: vec![Entry::ResumeKeyDestroyed { job: w.ctx.job.clone(), attempt: at.attempt }],
            next: State::Finished { at, made, method, resume_key_gone: true, taken },
            then: Then::Rest(Rest::Finished),
        },
        (State::Failed { at, code, pin_on_key, .. }, Event::ResumeKeyDestroyed) => Step {
            entries: vec![Entry::ResumeKeyDestroyed { job: w.ctx.job.clone(), attempt: at.attempt }],
            next: State::Failed { at, code: code.clone(), pin_on_key, resume_key_gone: true },
            then: Then::Rest(Rest::Failed { code }),
        },
        (state @ State::Finished { .. }, _) => rest(state, Rest::Finished),
        (State::Failed { at, code, pin_on_key, resume_key_gone }, _) => {
            let again = code.clone();
            rest(State::Failed { at, code, pin_on_key, resume_key_gone }, Rest::Failed { code: again })
        }

        (state, event) => held::journey(w, state, event),
    }
}
