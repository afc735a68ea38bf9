//! What would go on for ever if nothing ended it: a person whom the tenant will not speak of, a pause, a question that nobody
//! answers, a refusal that meets everybody, a key that takes no touch.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::progress::Progress;
use super::stage::{Play, Stage};
use super::state::State;
use crate::ledger::{Entry, Ledger as _, RunEnd};
use crate::model::PortName;
use crate::sim::key::{Fault, Model, SimKey};
use crate::sim::operator::BoxedKey;
use crate::sim::tenant::FaultRule;
use crate::sim::tenant::faults::Trouble;
use crate::sim::tenant::route::Kind;
use crate::world::Operator;

/// Somebody who sits there and types nothing; told is whether there was a question, and what is done about it.
struct Silent<F: Fn() + Send + Sync> {
    asked: AtomicUsize,
    then: F,
}

impl<F: Fn() + Send + Sync> Silent<F> {
    fn new(then: F) -> Self {
        Self { asked: AtomicUsize::new(0), then }
    }
}

impl<F: Fn() + Send + Sync> Operator for Silent<F> {
    fn confirm_unless(&self, question: &str, _: &str, given_up: &dyn Fn() -> bool) -> bool {
        self.asked.fetch_add(1, Ordering::SeqCst);
        (self.then)();
        let began = Instant::now();
        while !given_up() {
            assert!(began.elapsed() < Duration::from_secs(30), "nobody takes this question back: {question}");
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }
    fn tell(&self, _: &str) {}
    fn is_present(&self) -> bool {
        true
    }
}

fn blank(count: u32) -> Vec<BoxedKey> {
    (1..=count).map(|unit| SimKey::new(&Model::usual(), unit).into()).collect()
}

fn refusal(on: Kind, status: u16) -> FaultRule {
    FaultRule { on: Some(on), status: Some(status), ..FaultRule::always(Trouble::Status) }
}

fn requests(stage: &Stage, kind: &str) -> u64 {
    stage.tenant.state()["requests"][kind].as_u64().unwrap_or(0)
}

#[test]
fn a_person_whom_the_tenant_does_not_speak_of_is_asked_about_now_and_then() {
    // Gone from the directory; a request that is refused.
    for status in [404, 400] {
        let stage = Stage::new(1, 1, |_| {});
        let ledger = stage.open_ledger();
        stage.plan(&ledger);
        stage.tenant.add_fault(refusal(Kind::List, status)).expect("a fault");
        let outcome = stage.run(&ledger, Play::of(blank(1)).lag(0).idle(1_500)).0.expect("a run");
        assert_eq!((outcome.summary.end, outcome.summary.counts.parked), (RunEnd::Idle, 1), "{status}");
        let state = stage.state_of(&ledger, &stage.job_of(&stage.people()[0]));
        assert!(matches!(state, State::Registered { .. }), "{status}: {state:?}");
        // In tests it looks again after 50 ms; in life after 15 seconds.
        let asked = requests(&stage, "list");
        assert!((2..=60).contains(&asked), "{status}: asked {asked} times");
    }
}

#[test]
fn an_outage_is_waited_out_although_nothing_happens_at_the_ports() {
    let stage = Stage::new(1, 1, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let play = Play::of(blank(1)).idle(1_500).watched_by(|progress, _| {
        if matches!(progress, Progress::Bound { .. }) {
            for kind in [Kind::Register, Kind::List, Kind::Policy] {
                let down = FaultRule { for_ms: Some(3_000), ..refusal(kind, 503) };
                stage.tenant.add_fault(down).expect("a fault");
            }
        }
    });
    let summary = stage.run(&ledger, Play { outage: Duration::from_secs(30), ..play }).0.expect("a run").summary;
    assert_eq!((summary.end, summary.counts.finished), (RunEnd::Complete, 1), "{:#?}", stage.events());
    assert!(stage.events().iter().any(|event| matches!(event, Progress::Unpaused)), "it had paused");
}

#[test]
fn a_question_that_nobody_answers_ends_with_the_pause() {
    let stage = Stage::new(3, 1, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    stage.tenant.add_fault(refusal(Kind::Register, 400)).expect("a fault");
    let silent = Silent::new(|| ());
    let play = Play { operator: Some(&silent), outage: Duration::from_millis(400), ..Play::of(blank(3)) };
    let outcome = stage.run(&ledger, play).0.expect("a run");
    assert_eq!(outcome.summary.end, RunEnd::Stopped);
    assert_eq!(outcome.paused.map(|pause| pause.code).as_deref(), Some("tenant-refuses"));
    assert_eq!((outcome.summary.counts.failed, outcome.summary.counts.parked), (1, 2));
    assert_eq!(silent.asked.load(Ordering::SeqCst), 1);
}

#[test]
fn a_question_about_a_key_ends_with_the_run_or_with_the_key() {
    let model = Model::by_id("feitian-epass").expect("a model");
    for pulled in [false, true] {
        let mut stage = Stage::new(1, 1, |_| {});
        stage.ports = vec![PortName::new("only")];
        let ledger = stage.open_ledger();
        stage.plan(&ledger);
        // The key is pulled when it has its PIN, and a blank one like it comes into its port: is it the same?
        let (key, over) = (SimKey::new(&model, 1), AtomicBool::new(false));
        let play = Play { interrupt: Some(&over), ..Play::of(vec![key.into()]) };
        let play = play.watched_by(|progress, _| {
            if matches!(progress, Progress::Stage { stage: super::progress::Stage::Touch, .. }) {
                over.store(true, Ordering::SeqCst);
            }
        });
        stage.run(&ledger, play).0.expect("a run");
        let job = stage.job_of(&stage.people()[0]);
        let before = stage.state_of(&ledger, &job);
        assert_eq!(before.pin_on_key(), Some(true), "{before:?}");
        let hub: std::sync::Mutex<Option<crate::sim::ports::SimPorts>> = std::sync::Mutex::default();
        let over = AtomicBool::new(false);
        let silent = Silent::new(|| {
            if pulled {
                let hub = hub.lock().expect("a hub").clone().expect("it was seen");
                drop(hub.unplug(&PortName::new("only")));
            } else {
                over.store(true, Ordering::SeqCst);
            }
        });
        let play =
            Play { operator: Some(&silent), interrupt: Some(&over), ..Play::of(vec![SimKey::new(&model, 2).into()]) };
        let play = play.watched_by(|progress, ports| {
            hub.lock().expect("a hub").get_or_insert_with(|| ports.clone());
            if matches!(progress, Progress::Left { .. }) {
                over.store(true, Ordering::SeqCst);
            }
        });
        let summary = stage.run(&ledger, play).0.expect("a run").summary;
        assert_eq!((summary.end, summary.counts.parked), (RunEnd::Interrupted, 1), "{pulled}");
        assert_eq!(silent.asked.load(Ordering::SeqCst), 1);
        assert_eq!(stage.state_of(&ledger, &job), before, "nothing was done to the other key");
    }
}

#[test]
fn a_tenant_that_gives_nobody_options_is_not_asked_for_everybody() {
    let stage = Stage::new(12, 1, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    stage.tenant.add_fault(refusal(Kind::CreationOptions, 400)).expect("a fault");
    let outcome = stage.run(&ledger, Play::of(blank(3))).0.expect("a run");
    assert_eq!(outcome.paused.map(|pause| pause.code).as_deref(), Some("tenant-refuses"));
    assert_eq!(outcome.summary.end, RunEnd::Stopped);
    // Three in a row, and what was on its way at that moment.
    let asked = requests(&stage, "creationOptions");
    assert!((3..=5).contains(&asked), "asked {asked} times");
    assert!(outcome.summary.counts.parked >= 7, "{:?}", outcome.summary.counts);
}

#[test]
fn one_person_without_options_pauses_nobody() {
    let stage = Stage::new(4, 1, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let theirs = Some(stage.people()[1].upn.to_string());
    let rule = FaultRule { upn: theirs, ..refusal(Kind::CreationOptions, 400) };
    stage.tenant.add_fault(rule).expect("a fault");
    let summary = stage.run(&ledger, Play::of(blank(4))).0.expect("a run").summary;
    assert_eq!((summary.counts.finished, summary.counts.failed), (3, 1), "{:#?}", stage.events());
    assert!(!stage.events().iter().any(|event| matches!(event, Progress::Paused { .. })));
}

#[test]
fn a_key_that_gives_up_every_touch_at_once_is_put_aside() {
    // USER_ACTION_TIMEOUT, and a cancel that nobody sent.
    for status in [0x2f, 0x2d] {
        let stage = Stage::new(2, 1, |_| {});
        let ledger = stage.open_ledger();
        stage.plan(&ledger);
        let broken = SimKey::new(&Model::usual(), 1);
        broken.probe().add_fault(Fault::Status { command: 1, status, times: None });
        let boxed = std::iter::once(broken.into()).chain(blank(3).into_iter().skip(1)).collect();
        let summary = stage.run(&ledger, Play::of(boxed)).0.expect("a run").summary;
        assert_eq!(summary.counts.finished, 2, "{:#?}", stage.events());
        let failed = |event: &Progress| matches!(event, Progress::Failed { code, .. } if code == "touch-refused");
        assert!(stage.events().iter().any(failed), "{status:#x}: {:#?}", stage.events());
        let tries: usize = stage
            .people()
            .iter()
            .flat_map(|person| ledger.entries_of(&stage.job_of(person)).expect("entries"))
            .filter(|recorded| matches!(&recorded.entry, Entry::ActUndone { code, .. } if code == "touch-timeout"))
            .count();
        assert!(tries >= 2, "{status:#x}: {tries}");
    }
}
