//! The pure half of the journey, walked completely: every state that can be reached, every outcome that its effect can
//! have, and a restart in each.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::effect::Effect;
use super::event::{Event, NotOpened, SealedRecord};
use super::recover::{apply, recover};
use super::state::{Made, State, Try};
use super::step::{Context, Rest, Then, WantedRules, step};
use crate::ledger::entry::{Act, Attempt, BlobHash, Entry, ForcedChange, HandoverEntry};
use crate::model::{Aaguid, CredentialId, JobId, KeyRef, MethodId, PortName, UserId};

fn context(rules: WantedRules, now: &str) -> Context {
    Context {
        job: JobId::new("J1"),
        user: UserId::new("u1"),
        rules,
        now: now.parse().expect("a time"),
        settling: SignedDuration::from_secs(600),
        hold: None,
    }
}

/// Registered on receipt; the record has to be good for a minute when the key leaves the bench.
fn holding(rules: WantedRules, now: &str) -> Context {
    Context { hold: Some(SignedDuration::from_mins(1)), ..context(rules, now) }
}

const FORCED: WantedRules = WantedRules { minimum: Some(6), forced: ForcedChange::Forced };
const NOTHING: WantedRules = WantedRules { minimum: None, forced: ForcedChange::Unsupported };
/// Challenges of these tests expire at 12:00.
const BEFORE: &str = "2026-11-21T11:55:00Z";
const EXPIRED_UNSETTLED: &str = "2026-11-21T12:01:00Z";
const SETTLED: &str = "2026-11-21T12:30:00Z";

fn key() -> KeyRef {
    KeyRef { aaguid: Aaguid::ZERO, serial: None, firmware: None, model: None, port: PortName::new("1-1") }
}

fn credential() -> CredentialId {
    CredentialId::new(vec![7; 32])
}

fn made() -> Event {
    Event::CredentialMade {
        credential: credential(),
        record: BlobHash::of(b"record"),
        expires: "2026-11-21T12:00:00Z".parse::<Timestamp>().expect("a time"),
    }
}

fn sealed() -> Event {
    Event::RecordSealed(SealedRecord {
        sealed: BlobHash::of(b"sealed"),
        witness: BlobHash::of(b"witness"),
        aaguid: Aaguid::ZERO,
        to: vec!["0123456789abcdef".into()],
    })
}

fn received() -> Event {
    Event::Received { by: "Sam Roe".into() }
}

/// Every way in which a PIN does not open a key.
fn not_opened() -> impl Iterator<Item = Event> {
    [NotOpened::Wrong, NotOpened::NoPin, NotOpened::Untried, NotOpened::ChangeForced].into_iter().map(Event::NotOpened)
}

/// Everything that can come of an effect. This is the contract with the driver.
fn outcomes(effect: &Effect) -> Vec<Event> {
    let code = || "some-reason".to_owned();
    let method = || MethodId::new("m1");
    let mut all = match effect {
        Effect::Seal => vec![Event::Sealed],
        Effect::SetPin => vec![Event::PinSet, Event::PinNotSet { code: code() }],
        Effect::LookAtPin => vec![Event::PinSeen { present: true }, Event::PinSeen { present: false }],
        Effect::ProvePin => [Event::PinProved].into_iter().chain(not_opened()).collect(),
        Effect::FetchOptions => vec![Event::OptionsReady, Event::OptionsRefused { code: code() }],
        Effect::MakeCredential => {
            let made = [made(), Event::TouchTimedOut, Event::TouchCancelled, Event::NotMade { code: code() }];
            made.into_iter().chain(not_opened()).collect()
        }
        Effect::ListCredentials => [
            Event::CredentialsListed(vec![]),
            Event::CredentialsListed(vec![credential()]),
            Event::CredentialsUnlistable,
            Event::OptionsRefused { code: code() },
        ]
        .into_iter()
        .chain(not_opened())
        .collect(),
        Effect::RemoveCredential(id) => {
            let removed = [Event::CredentialRemoved(id.clone()), Event::CredentialUnremovable { code: code() }];
            removed.into_iter().chain(not_opened()).collect()
        }
        Effect::Prove => vec![Event::Proved { checks: vec!["signature".into()] }, Event::CheckFailed { code: code() }],
        Effect::Register { .. } => vec![
            Event::Registered { method: method() },
            Event::RegistrationRefused { code: code() },
            Event::RegistrationRefused { code: super::step::EXPIRED.into() },
            Event::AnswerLost,
            Event::RefusedAgain,
            Event::MethodFound { method: method() },
            Event::CheckFailed { code: "record-lost".into() },
        ],
        Effect::FindMethod => vec![Event::MethodFound { method: method() }, Event::MethodMissing],
        Effect::DeleteMethod(_) => vec![Event::MethodDeleted],
        Effect::SetPinRules => [
            Event::RulesTaken { minimum: 6, forced: true },
            Event::RulesTaken { minimum: 4, forced: false },
            Event::RulesRefused { code: code() },
        ]
        .into_iter()
        .chain(not_opened())
        .collect(),
        Effect::LookAtRules => vec![
            Event::RulesSeen { minimum: 6, forced: true },
            Event::RulesSeen { minimum: 4, forced: true },
            Event::RulesSeen { minimum: 4, forced: false },
            Event::NotOpened(NotOpened::NoPin),
        ],
        Effect::SealRecord => vec![sealed(), Event::CheckFailed { code: "record-lost".into() }],
        Effect::DestroyResumeKey => vec![Event::ResumeKeyDestroyed],
    };
    if effect.needs_key() {
        all.push(Event::KeyGone);
    } else {
        all.push(Event::Blocked { code: code() });
    }
    all
}

/// What the ledger itself writes while an effect is performed.
fn written_by(effect: &Effect, event: &Event, state: &State) -> Option<Entry> {
    let attempt = state.current()?.attempt;
    (matches!(effect, Effect::Seal) && matches!(event, Event::Sealed)).then(|| sealed_to("first", attempt))
}

fn sealed_to(custodian: &str, attempt: Attempt) -> Entry {
    let (envelope, resume) = (BlobHash::of(custodian.as_bytes()), BlobHash::of(b"resume"));
    Entry::PinSealed { job: JobId::new("J1"), attempt, envelope, resume, dual: false }
}

struct Place {
    entries: Vec<Entry>,
    state: State,
    then: Then,
}

/// Walks everything that can happen, up to two tries, and calls `check` for each place reached.
fn walk(rules: WantedRules, check: impl FnMut(&Place)) -> usize {
    walk_in(&|now| context(rules, now), check)
}

/// The same where registration waits for receipt.
fn walk_held(rules: WantedRules, check: impl FnMut(&Place)) -> usize {
    walk_in(&|now| holding(rules, now), check)
}

fn walk_in(context: &dyn Fn(&str) -> Context, mut check: impl FnMut(&Place)) -> usize {
    let mut seen = BTreeMap::new();
    let mut todo = VecDeque::new();
    let first = step(&context(BEFORE), State::Waiting { tries: 0 }, Event::KeyGiven(key()));
    todo.push_back(Place { entries: first.entries, state: first.next, then: first.then });
    while let Some(place) = todo.pop_front() {
        let name = format!("{:?} {:?}", place.state, place.then);
        if place.state.current().is_some_and(|at| at.attempt > 2) || seen.insert(name, ()).is_some() {
            continue;
        }
        check(&place);
        let events: Vec<Event> = match &place.then {
            Then::Do(effect) => {
                // The program may die here: the next thing is a restart, which knows the entries only.
                let mut events = outcomes(effect);
                events.push(Event::Resumed);
                events
            }
            Then::Rest(Rest::Failed { .. }) => vec![Event::KeyGiven(key()), Event::Resumed],
            Then::Rest(_) if place.state.hold().is_some() => vec![Event::Resumed, received()],
            Then::Rest(_) => vec![Event::Resumed],
        };
        for now in [BEFORE, EXPIRED_UNSETTLED, SETTLED] {
            for event in &events {
                let mut entries = place.entries.clone();
                let mut state = place.state.clone();
                if let Then::Do(effect) = &place.then
                    && let Some(entry) = written_by(effect, event, &place.state)
                {
                    state = apply(state, &entry).expect("the seal follows");
                    entries.push(entry);
                    // The driver steps from the state before the ledger's own entry.
                    state = match state {
                        State::Sealed { at } => State::Begun { at },
                        other => other,
                    };
                }
                let next = step(&context(now), state, event.clone());
                entries.extend(next.entries);
                todo.push_back(Place { entries, state: next.next, then: next.then });
            }
        }
    }
    seen.len()
}

#[test]
fn the_ledger_tells_the_state_at_every_place() {
    for rules in [FORCED, NOTHING] {
        let places = walk(rules, |place| {
            assert_eq!(recover(&place.entries), Ok(place.state.clone()), "after {:#?}", place.entries);
        });
        assert!(places > 60, "only {places} places were reached");
        let places = walk_held(rules, |place| {
            assert_eq!(recover(&place.entries), Ok(place.state.clone()), "after {:#?}", place.entries);
        });
        assert!(places > 60, "only {places} places were reached");
    }
}

#[test]
fn other_custodians_leave_every_job_where_it_is() {
    let mut resealed = 0;
    let mut check = |place: &Place| {
        let again = place.entries.iter().filter_map(|entry| match entry {
            Entry::PinSealed { attempt, .. } => Some(sealed_to("second", *attempt)),
            _ => None,
        });
        let entries: Vec<Entry> = place.entries.iter().cloned().chain(again).collect();
        resealed += entries.len() - place.entries.len();
        assert_eq!(recover(&entries), Ok(place.state.clone()), "after {entries:#?}");
    };
    walk(FORCED, &mut check);
    walk_held(FORCED, &mut check);
    assert!(resealed > 100, "only {resealed} PINs were sealed again");
}

#[test]
fn nothing_is_done_to_a_key_or_the_tenant_before_its_intent_is_written() {
    let check = |place: &Place| {
        let Then::Do(effect) = &place.then else { return };
        let Some(act) = effect.act() else { return };
        let intended = place.entries.iter().rev().find_map(|entry| match entry {
            Entry::Intent { act: written, .. } => Some(*written),
            _ => None,
        });
        assert_eq!(intended, Some(act), "{effect:?} after {:#?}", place.entries);
    };
    walk(FORCED, check);
    walk_held(FORCED, check);
}

#[test]
fn no_outcome_is_unexpected_and_every_open_job_can_go_on() {
    for rules in [FORCED, NOTHING] {
        let check = |place: &Place| {
            assert_ne!(
                place.then,
                Then::Rest(Rest::Parked { code: "unexpected".into() }),
                "in {:?} after {:#?}",
                place.state,
                place.entries.last()
            );
            if place.state.is_open() {
                let again = step(&context(rules, BEFORE), place.state.clone(), Event::Resumed);
                assert!(matches!(again.then, Then::Do(_)), "{:?} can't go on: {:?}", place.state, again.then);
            }
        };
        walk(rules, check);
        walk_held(rules, check);
    }
}

#[test]
fn a_person_has_one_credential_in_entra_or_none() {
    // Whatever happens: a new credential is begun only when the one before is known to be in nobody's directory.
    let check = |place: &Place| {
        let mut live = 0;
        let mut unsure = false;
        for entry in &place.entries {
            match entry {
                Entry::Intent { act: Act::Register, .. } => unsure = true,
                Entry::Registered { .. } => (live, unsure) = (live + 1, false),
                Entry::MethodDeleted { .. } => live -= 1,
                Entry::ActUndone { act: Act::Register, .. } | Entry::Watched { .. } => {
                    unsure = false;
                }
                Entry::Intent { act: Act::MakeCredential, .. } => {
                    assert!(live == 0 && !unsure, "a second credential after {:#?}", place.entries);
                }
                _ => {}
            }
        }
        assert!(live <= 1);
    };
    walk(FORCED, check);
    walk_held(FORCED, check);
}

#[test]
fn the_tenant_hears_nothing_of_a_held_key_before_receipt_and_the_pin_rules_come_before_the_hold() {
    let (mut held, mut activated) = (0, 0);
    let at = |place: &Place, of: fn(&Entry) -> bool| place.entries.iter().position(of);
    for rules in [FORCED, NOTHING] {
        walk_held(rules, |place| {
            let begun = at(place, |entry| matches!(entry, Entry::Handover(HandoverEntry::ActivationBegun { .. })));
            let sent = at(place, |entry| matches!(entry, Entry::Intent { act: Act::Register, .. }));
            let registered = at(place, |entry| matches!(entry, Entry::Registered { .. }));
            for tenant in [sent, registered].into_iter().flatten() {
                assert!(begun.is_some_and(|begun| begun < tenant), "{:#?}", place.entries);
            }
            if matches!(place.then, Then::Do(Effect::Register { .. })) {
                assert!(begun.is_some(), "{:#?}", place.entries);
            }
            let hold = at(place, |entry| matches!(entry, Entry::Handover(HandoverEntry::Held { .. })));
            if let Some(hold) = hold {
                held += 1;
                let rules = at(place, |entry| matches!(entry, Entry::PinRulesSet { .. })).expect("confirmed");
                let proved = at(place, |entry| matches!(entry, Entry::CredentialProved { .. })).expect("proved");
                assert!(proved < rules && rules < hold);
            }
            if matches!(place.state, State::Finished { .. }) {
                activated += 1;
                assert!(at(place, |entry| matches!(entry, Entry::ReadBack { .. })).is_some());
                let ended = |entry: &Entry| matches!(entry, Entry::Handover(HandoverEntry::HoldEnded { .. }));
                assert!(at(place, ended).is_some(), "the sealed record goes");
            }
        });
    }
    assert!(held > 20 && activated > 1, "{held} {activated}");
}

#[test]
fn a_challenge_with_too_little_left_is_not_held_but_made_anew_on_the_same_key() {
    let Event::CredentialMade { credential, record, expires } = made() else { panic!("made") };
    let state = State::Made { at: Try { attempt: 1, key: key() }, made: Made { credential, record, expires } };
    let proved = || Event::Proved { checks: vec!["signature".into()] };
    let late = step(&holding(FORCED, "2026-11-21T11:59:30Z"), state.clone(), proved());
    assert!(matches!(late.next, State::Removing { code: None, .. }), "{:?}", late.next);
    let in_time = step(&holding(FORCED, BEFORE), state, proved());
    assert!(matches!(in_time.next, State::Hardening { .. }), "{:?}", in_time.next);
}

#[test]
fn a_hold_that_ended_is_never_sent_and_a_replacement_begins_another_try() {
    let job = || JobId::new("J1");
    let sealed = BlobHash::of(b"sealed");
    let mut ended = 0;
    walk_held(FORCED, |place| {
        let State::Held { at, .. } = &place.state else { return };
        let attempt = at.attempt;
        let over = Entry::Handover(HandoverEntry::HoldEnded { job: job(), attempt, sealed, code: "lost".into() });
        let state = apply(place.state.clone(), &over).expect("it may end");
        let next = step(&holding(FORCED, BEFORE), state.clone(), received());
        assert_eq!((next.entries.len(), next.then), (0, Then::Rest(Rest::Held)));
        let wanted =
            |attempt| Entry::Handover(HandoverEntry::ReplacementWanted { job: job(), attempt, code: "lost".into() });
        assert_eq!(apply(state.clone(), &wanted(attempt + 1)), Ok(state.clone()), "of another try");
        let waits = apply(state, &wanted(attempt)).expect("waits");
        assert!(matches!(waits, State::Failed { pin_on_key: true, .. }), "{waits:?}");
        let begun = step(&holding(FORCED, BEFORE), waits, Event::KeyGiven(key()));
        assert!(matches!(begun.next, State::Begun { at } if at.attempt == attempt + 1));
        ended += 1;
    });
    assert!(ended > 0);
}

#[test]
fn every_failed_try_says_what_the_key_holds() {
    walk(FORCED, |place| {
        if let State::Failed { pin_on_key, .. } = &place.state {
            let sent = |entry: &Entry| matches!(entry, Entry::Intent { act: Act::SetPin, .. });
            if *pin_on_key {
                assert!(place.entries.iter().any(sent), "a PIN on the key that was never sent: {:#?}", place.entries);
            }
        }
    });
}

#[test]
fn the_forced_change_comes_last() {
    walk(FORCED, |place| {
        let rules = place.entries.iter().position(|entry| matches!(entry, Entry::Intent { act: Act::SetPinRules, .. }));
        if let Some(rules) = rules {
            assert!(place.entries[..rules].iter().any(|entry| matches!(entry, Entry::ReadBack { .. })));
        }
    });
}

#[test]
fn a_torn_account_is_refused_not_guessed() {
    let job = JobId::new("J1");
    let error = recover(&[Entry::PinSet { job, attempt: 1 }]).expect_err("no key was begun");
    assert_eq!(error.found, "pin-set");
    assert_eq!(error.before, "Waiting");
}

#[test]
fn a_registered_key_that_is_given_up_leaves_nobody_a_method() {
    let job = || JobId::new("J1");
    let mut open = std::collections::BTreeSet::new();
    walk(FORCED, |place| {
        let live =
            matches!(place.state, State::Registered { .. } | State::ReadBack { .. } | State::SettingRules { .. });
        let Some(attempt) = place.state.current().map(|at| at.attempt) else { return };
        let delete = Entry::Intent { job: job(), attempt, act: Act::DeleteMethod };
        let after = apply(place.state.clone(), &delete);
        if !live {
            assert!(matches!(place.state, State::Unruly { .. }) || after.is_err(), "{:?} deletes", place.state);
            return;
        }
        open.insert(format!("{:?}", place.state).split(' ').next().map(str::to_owned));
        let deleting = after.expect("it may be given up");
        assert!(matches!(&deleting, State::DeletingMethod { code, .. } if code == "given-up"), "{deleting:?}");
        // A restart in between goes on deleting.
        let again = step(&context(FORCED, BEFORE), deleting.clone(), Event::Resumed);
        assert!(matches!(again.then, Then::Do(Effect::DeleteMethod(_))));
        let deleted = Entry::MethodDeleted { job: job(), attempt, method: MethodId::new("m1") };
        let failed = Entry::AttemptFailed { job: job(), attempt, code: "given-up".into(), pin_on_key: true };
        let state = apply(apply(deleting, &deleted).expect("deleted"), &failed).expect("over");
        assert!(matches!(state, State::Failed { pin_on_key: true, .. }));
    });
    assert!(open.len() >= 2, "{open:?}");
}

/// A registered key in each state that looks at the key before it goes on, and what is made of it there.
fn at_the_rules() -> [State; 5] {
    let at = || Try { attempt: 1, key: key() };
    let made = || {
        let Event::CredentialMade { credential, record, expires } = made() else { panic!("made") };
        Made { credential, record, expires }
    };
    let method = || MethodId::new("m1");
    [
        State::ReadBack { at: at(), made: made(), method: method() },
        State::SettingRules { at: at(), made: made(), method: method() },
        State::Proved { at: at(), made: made() },
        State::Hardening { at: at(), made: made() },
        State::Hardened { at: at(), made: made() },
    ]
}

#[test]
fn a_key_that_was_reset_is_never_finished_or_held() {
    for rules in [FORCED, NOTHING] {
        for state in at_the_rules() {
            let registered = matches!(state, State::ReadBack { .. } | State::SettingRules { .. });
            let context = if registered { context(rules, BEFORE) } else { holding(rules, BEFORE) };
            let asks = step(&context, state.clone(), Event::Resumed);
            assert_eq!(asks.then, Then::Do(Effect::LookAtRules), "{state:?}");
            let mut next = step(&context, asks.next, Event::NotOpened(NotOpened::NoPin));
            if registered {
                assert_eq!(next.then, Then::Do(Effect::DeleteMethod(MethodId::new("m1"))), "{state:?}");
                next = step(&context, next.next, Event::MethodDeleted);
            }
            if matches!(next.then, Then::Do(Effect::RemoveCredential(_))) {
                next = step(&context, next.next, Event::NotOpened(NotOpened::NoPin));
            }
            let State::Failed { code, pin_on_key, .. } = &next.next else { panic!("{:?}", next.next) };
            assert_eq!((code.as_str(), *pin_on_key), ("key-changed", false), "{state:?}");
        }
    }
}

#[test]
fn settings_that_were_raised_meanwhile_undo_nothing() {
    let raised = WantedRules { minimum: Some(8), forced: ForcedChange::Forced };
    let rests = Then::Rest(Rest::Parked { code: "rules-changed".into() });
    for state in at_the_rules() {
        // The key forces its change: it took the rules of before, and only their outcome was not written.
        let seen = Event::RulesSeen { minimum: 6, forced: true };
        let told = Event::NotOpened(NotOpened::ChangeForced);
        let events = match &state {
            // Its rules were written down: it goes on under them.
            State::Hardened { .. } => vec![],
            State::SettingRules { .. } | State::Hardening { .. } => vec![seen, told],
            _ => vec![seen],
        };
        for event in events {
            let next = step(&context(raised, BEFORE), state.clone(), event.clone());
            assert_eq!((next.entries.len(), &next.next, &next.then), (0, &state, &rests), "{event:?}");
        }
    }
}

#[test]
fn a_record_that_is_lost_after_it_was_sent_is_looked_for_and_then_watched() {
    let Event::CredentialMade { credential, record, expires } = made() else { panic!("made") };
    let state = State::Registering { at: Try { attempt: 1, key: key() }, made: Made { credential, record, expires } };
    let lost = || Event::CheckFailed { code: "record-lost".into() };
    let early = step(&context(FORCED, BEFORE), state.clone(), lost());
    assert_eq!((early.entries.len(), &early.next), (0, &state));
    assert_eq!(early.then, Then::Rest(Rest::Parked { code: "answer-lost".into() }));
    let late = step(&context(FORCED, SETTLED), state, lost());
    assert!(matches!(late.entries.first(), Some(Entry::Watched { .. })), "{:?}", late.entries);
    assert!(matches!(late.next, State::Removing { code: None, .. }), "a new one follows on the same key: {late:?}");
}

#[test]
fn what_nobody_knows_of_a_pin_is_not_called_a_no() {
    let at = || Try { attempt: 1, key: key() };
    for (why, may_hold) in [(NotOpened::Untried, true), (NotOpened::ChangeForced, true), (NotOpened::Wrong, false)] {
        for state in [State::SettingPin { at: at() }, State::PinSet { at: at() }, State::Making { at: at() }] {
            let next = step(&context(FORCED, BEFORE), state, Event::NotOpened(why));
            let State::Failed { pin_on_key, code, .. } = &next.next else { panic!("{:?}", next.next) };
            assert_eq!((*pin_on_key, code.as_str()), (may_hold, why.code()));
            assert!(super::code::meaning(code).is_some(), "{code}");
        }
    }
    assert_eq!(State::SettingPin { at: at() }.pin_on_key(), None);
}
