//! Keys that never come back: their jobs are given up, and the people get other keys.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::progress::{Progress, Stage as At};
use super::stage::{Play, Stage};
use super::state::State;
use crate::ledger::Ledger as _;
use crate::model::{JobId, TenantId};
use crate::pin::DirResumeStore;
use crate::provision::give_up::{check, give_up, give_up_named};
use crate::provision::{Listener, ProvisionError, Start};
use crate::roster::{Refusal, Warning};
use crate::sim::key::{Fault, Model, Probe, SimKey};
use crate::sim::operator::{BoxedKey, Manner};
use crate::sim::tenant::FaultRule;
use crate::sim::tenant::faults::Trouble;
use crate::sim::tenant::route::Kind;
use crate::tenant::preflight::verdict::Together;
use crate::world::Operator;

#[test]
fn keys_pulled_for_ever_at_every_report_are_given_up_and_everybody_gets_another() {
    let people = 40;
    let stage = Stage::new(people, people, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let lazy = Manner { back_after_ms: 3_600_000, ..Manner::default() };
    let boxed = (1..=40)
        .map(|n| {
            let key = SimKey::new(&Model::usual(), n);
            key.probe().add_fault(Fault::UnplugAtPacket { packet: u64::from(n) });
            BoxedKey { key, manner: lazy }
        })
        .collect();
    let (outcome, _) = stage.run(&ledger, Play::of(boxed).once_through());
    outcome.expect("a run");

    let resume = DirResumeStore::open(stage.resume_dir()).expect("a store");
    let tenant = TenantId::new(&stage.tenant.tenant_id);
    let (mut with_pin, mut registered, mut unknown, mut lost) = (0, 0, 0, 0);
    for person in stage.people() {
        let job = stage.job_of(person);
        let state = stage.state_of(&ledger, &job);
        if !state.is_open() {
            assert!(matches!(
                check(&ledger, &tenant, std::slice::from_ref(&job)),
                Err(ProvisionError::NotBegun { .. })
            ));
            continue;
        }
        lost += 1;
        with_pin += usize::from(matches!(state, State::PinSet { .. } | State::Making { .. }));
        let live = matches!(state, State::Registered { .. } | State::ReadBack { .. } | State::SettingRules { .. });
        registered += usize::from(live);
        check(&ledger, &tenant, std::slice::from_ref(&job)).expect("it has a key begun");
        let deleted = give_up(&ledger, &resume, stage.graph(), &job).expect("given up");
        assert_eq!(deleted.is_some(), live, "{state:?}");
        let after = stage.state_of(&ledger, &job);
        let State::Failed { code, pin_on_key, resume_key_gone: true, .. } = &after else { panic!("{after:?}") };
        assert_eq!(code, "given-up");
        assert_eq!(*pin_on_key, state.pin_on_key() != Some(false), "what nobody knows is no no: {state:?}");
        unknown += usize::from(state.pin_on_key().is_none());
    }
    assert!(
        with_pin > 0 && registered > 0 && unknown > 0 && lost > 25,
        "{with_pin} with a PIN, {unknown} perhaps, {registered} registered, {lost} in all"
    );

    let spare: Vec<SimKey> = (101..=140).map(|n| SimKey::new(&Model::usual(), n)).collect();
    let probes: Vec<Probe> = spare.iter().map(SimKey::probe).collect();
    let (outcome, _) = stage.run(&ledger, Play::of(spare.into_iter().map(BoxedKey::from).collect()));
    let counts = outcome.expect("a run").summary.counts;
    assert_eq!(counts.finished + counts.already, 40, "{counts:?}");
    let holders: HashMap<_, _> = probes
        .iter()
        .flat_map(|probe| probe.residents().into_iter().map(|held| (held.credential_id, probe.clone())))
        .collect();
    for (index, person) in stage.people().iter().enumerate() {
        let state = stage.state_of(&ledger, &stage.job_of(person));
        if let Some(probe) = state.made().and_then(|made| holders.get(&made.credential)) {
            stage.assert_finished(&ledger, index, std::slice::from_ref(probe), person.upn.as_str());
            lost -= 1;
        }
    }
    assert!(lost <= 0, "{lost} given-up jobs were not finished with another key");
    ledger.verify(None).expect("an unbroken chain");
}

#[test]
fn an_unknown_job_and_another_tenants_are_refused() {
    let stage = Stage::new(1, 1, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let job = stage.job_of(&stage.people()[0]);
    for (tenant, job) in [(stage.tenant.tenant_id.as_str(), JobId::new("nobody")), ("elsewhere", job.clone())] {
        let refused = check(&ledger, &TenantId::new(tenant), &[job]);
        assert!(matches!(refused, Err(ProvisionError::NotBegun { .. })), "{refused:?}");
    }
}

/// The registration's answer is lost and the list lags, so nobody knows whether Entra has it.
fn unanswered() -> (Stage, crate::ledger::SqliteLedger) {
    let stage = Stage::new(1, 1, |spec| spec.quirks.list_lag_ms = 3_600_000);
    let lost = FaultRule { on: Some(Kind::Register), times: Some(1), ..FaultRule::always(Trouble::Lose) };
    stage.tenant.add_fault(lost).expect("a fault");
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let key = SimKey::new(&Model::usual(), 1);
    let (registering, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let play = Play { interrupt: Some(&over), ..Play::of(vec![key.into()]).lag(0).idle(60_000) };
    let play = play.watched_by(|progress, _| match progress {
        Progress::Stage { stage: At::Registering, .. } => registering.store(true, Ordering::SeqCst),
        // It is looked for: the answer has been lost.
        Progress::Stage { stage: At::ReadingBack, .. } => {
            over.store(registering.load(Ordering::SeqCst), Ordering::SeqCst);
        }
        _ => {}
    });
    stage.run(&ledger, play).0.expect("a run");
    let state = stage.state_of(&ledger, &stage.job_of(&stage.people()[0]));
    assert!(matches!(state, State::Registering { .. }), "{state:?}");
    (stage, ledger)
}

#[test]
fn a_registration_nobody_knows_of_is_deleted_at_once_or_as_soon_as_it_shows() {
    for shows_in_time in [true, false] {
        let (stage, ledger) = unanswered();
        let resume = DirResumeStore::open(stage.resume_dir()).expect("a store");
        if shows_in_time {
            stage.tenant.advance(4_000);
        }
        let job = stage.job_of(&stage.people()[0]);
        let deleted = give_up(&ledger, &resume, stage.graph(), &job).expect("given up");
        assert_eq!(deleted.is_some(), shows_in_time);
        if !shows_in_time {
            stage.tenant.advance(4_000);
            assert_eq!(stage.settle(&ledger).deleted.len(), 1, "the next run finds it");
        }
        let methods = stage.tenant.state()["people"][0]["methods"].as_array().expect("methods").len();
        assert_eq!(methods, 0, "nothing of the given-up key is left");
        assert!(!stage.state_of(&ledger, &job).is_open(), "the person waits for another key");
        ledger.verify(None).expect("an unbroken chain");
    }
}

/// Somebody who types this word at every question; or nobody.
struct Typist {
    word: Option<&'static str>,
    asked: Mutex<Vec<(String, String)>>,
}

impl Typist {
    fn new(word: Option<&'static str>) -> Self {
        Self { word, asked: Mutex::default() }
    }
}

impl Operator for Typist {
    fn confirm_unless(&self, question: &str, word: &str, _: &dyn Fn() -> bool) -> bool {
        self.asked.lock().expect("questions").push((question.to_owned(), word.to_owned()));
        self.word == Some(word)
    }
    fn tell(&self, _: &str) {}
    fn is_present(&self) -> bool {
        self.word.is_some()
    }
}

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Listener for Notes {
    fn note(&self, text: &str) {
        self.0.lock().expect("notes").push(text.to_owned());
    }
    fn weighed(&self, _: &Together<'_>) {}
    fn warned(&self, _: &Warning) {}
    fn refused(&self, _: &Refusal, _: Option<&JobId>) {}
    fn started(&self, _: &Start<'_>) {}
    fn happened(&self, _: &Progress) {}
}

#[test]
fn a_person_is_asked_for_the_word_and_without_one_the_option_decides() {
    // The bare Enter and another word are no; the word is yes; where nobody is, nobody is asked.
    for (word, given_up, said) in [
        (Some(""), false, "was not given up"),
        (Some("yes"), false, "was not given up"),
        (Some("give-up"), true, "was given up: the tenant shows no passkey of it"),
        (None, true, "was given up by --give-up alone, with no terminal to confirm at"),
    ] {
        let (stage, ledger) = unanswered();
        let resume = DirResumeStore::open(stage.resume_dir()).expect("a store");
        let (job, typist, notes) = (stage.job_of(&stage.people()[0]), Typist::new(word), Notes::default());
        let jobs = std::slice::from_ref(&job);
        give_up_named(&ledger, &resume, stage.graph(), &typist, &notes, jobs).expect("asked");
        assert_eq!(!stage.state_of(&ledger, &job).is_open(), given_up, "{word:?}");
        let notes = notes.0.into_inner().expect("notes");
        assert!(notes.len() == 1 && notes[0].contains(said) && notes[0].contains(job.as_str()), "{notes:?}");
        let asked = typist.asked.into_inner().expect("questions");
        assert_eq!(asked.len(), usize::from(word.is_some()));
        for (question, word) in asked {
            assert_eq!(word, "give-up");
            assert!(question.contains(job.as_str()) && question.contains("deleted from the tenant"), "{question}");
        }
    }
}
