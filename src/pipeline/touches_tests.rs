//! Two touches within a second: no label before it is sure which key is whose.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::progress::{Progress, ShownBy, Stage as At};
use super::stage::{Flag, Play, Stage};
use crate::ledger::{Entry, Ledger, RunEnd};
use crate::model::{JobId, PortName};
use crate::sim::key::{Model, Probe, SerialBy, SimKey};
use crate::sim::operator::{BoxedKey, Fate, Manner};

/// Far longer than two touches of one movement can lie apart on any machine.
const APART: Duration = Duration::from_secs(60);
/// Keeps the keys at all ports but the first until the first key has proven its model: else one of the two would be that
/// key, and blink alone.
#[derive(Default)]
struct Order {
    proven: Flag,
}

impl Order {
    fn keep(&self, progress: &Progress) {
        match progress {
            Progress::Plugged { port } if port.as_str() != "sim-1" => self.proven.wait(),
            Progress::Finished(_) => self.proven.raise(),
            _ => {}
        }
    }
}

/// One honest key, which proves the model, then two that one movement touches, then as many honest ones as are wanted.
fn a_box(pair: &Arc<Model>, more: u32) -> (Vec<BoxedKey>, Vec<Probe>) {
    let clumsy = Manner { brushes: true, touch_after_ms: 3_600_000, ..Manner::default() };
    let key = |model: &Arc<Model>, unit, manner| BoxedKey { key: SimKey::new(model, unit), manner };
    let mut keys = vec![key(pair, 1, Manner::default()), key(pair, 2, clumsy), key(pair, 3, clumsy)];
    keys.extend((0..more).map(|n| key(pair, 4 + n, Manner::default())));
    let probes = keys.iter().map(|boxed| boxed.key.probe()).collect();
    (keys, probes)
}

fn without_light() -> Arc<Model> {
    let mut model = (*Model::usual()).clone();
    model.ctap.cannot_wink = true;
    Arc::new(model)
}

fn doubted(keys: Vec<BoxedKey>) -> Play<'static> {
    let order = Order::default();
    Play { touches_apart: APART, ..Play::of(keys) }.watched_by(move |progress, _| order.keep(progress))
}

/// Where in the story this happens, once.
fn at(events: &[Progress], what: impl Fn(&Progress) -> bool) -> usize {
    let found: Vec<usize> = (0..events.len()).filter(|index| what(&events[*index])).collect();
    assert_eq!(found.len(), 1, "{events:#?}");
    found[0]
}

fn shown(events: &[Progress], how: ShownBy) -> Vec<(PortName, JobId)> {
    let which = |event: &Progress| match event {
        Progress::WhichKey { port, job, by, .. } if *by == how => Some((port.clone(), job.clone())),
        _ => None,
    };
    events.iter().filter_map(which).collect()
}

/// Everybody is finished, each with one key, and each key's leaving is in the ledger once.
fn assert_all_labelled(stage: &Stage, ledger: &dyn Ledger, probes: &[Probe]) {
    for (index, person) in stage.people().iter().enumerate() {
        let job = stage.job_of(person);
        let state = stage.state_of(ledger, &job);
        let made = state.made().unwrap_or_else(|| panic!("{state:?}"));
        let holds = |probe: &&Probe| probe.residents().iter().any(|held| held.credential_id == made.credential);
        let holders: Vec<Probe> = probes.iter().filter(holds).cloned().collect();
        stage.assert_finished(ledger, index, &holders, "touched together");
        let entries = ledger.entries_of(&job).expect("entries");
        let taken = entries.iter().filter(|recorded| matches!(recorded.entry, Entry::KeyTaken { .. })).count();
        assert_eq!(taken, 1, "{:#?}", stage.events_of(&job));
    }
    ledger.verify(None).expect("an unbroken chain");
}

#[test]
fn of_two_keys_touched_at_once_one_flashes_before_either_is_labelled() {
    let stage = Stage::new(3, 3, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let (keys, probes) = a_box(&Model::usual(), 0);
    let (outcome, day) = stage.run(&ledger, doubted(keys));
    assert_eq!(outcome.expect("a run").summary.end, RunEnd::Complete);
    assert!(day.keys.iter().all(|(_, fate)| *fate == Fate::Finished));
    assert_all_labelled(&stage, &ledger, &probes);
    let events = stage.events();
    let raised = at(&events, |event| matches!(event, Progress::TouchesTooClose { ports } if ports.len() == 2));
    let Progress::TouchesTooClose { ports: pair } = &events[raised] else { unreachable!() };
    let flashed = shown(&events, ShownBy::Wink);
    let [(port, job)] = &flashed[..] else { panic!("one of the two: {flashed:?}") };
    assert!(pair.contains(port));
    let due = |job: &JobId| at(&events, |event| matches!(event, Progress::TakeOut { job: of, .. } if of == job));
    let which = at(&events, |event| matches!(event, Progress::WhichKey { .. }));
    let out = at(&events, |event| matches!(event, Progress::Taken { job: of, .. } if of == job));
    assert!(raised < which && which < due(job), "{events:#?}");
    // The other one's label is due when the first is out: then there is nothing left to mistake it for.
    let other = events
        .iter()
        .find_map(|event| match event {
            Progress::TakeOut { port: of, job, .. } if pair.contains(of) && of != port => Some(job.clone()),
            _ => None,
        })
        .expect("the other of the two");
    assert!(due(&other) > out, "{events:#?}");
    // The light that flashed is that job's key's, and only that.
    let state = stage.state_of(&ledger, job);
    let made = state.made().expect("made").credential.clone();
    for probe in &probes {
        let is_it = probe.residents().iter().any(|held| held.credential_id == made);
        assert_eq!(probe.winks() > 0, is_it, "{:?}", probe.serial());
    }
}

#[test]
fn touches_of_keys_that_never_blinked_together_raise_no_doubt() {
    let stage = Stage::new(4, 2, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let keys: Vec<SimKey> = (1..=4).map(|unit| SimKey::new(&Model::usual(), unit)).collect();
    let probes: Vec<Probe> = keys.iter().map(SimKey::probe).collect();
    let keys = keys.into_iter().map(BoxedKey::from).collect();
    stage.run(&ledger, Play { blink: 1, ..doubted(keys) }).0.expect("a run");
    assert_all_labelled(&stage, &ledger, &probes);
    assert!(!stage.events().iter().any(|event| matches!(event, Progress::TouchesTooClose { .. })));
    assert_eq!(probes.iter().map(Probe::winks).sum::<u64>(), 0);
}

#[test]
fn a_key_without_a_light_is_taken_out_and_put_in_again() {
    let stage = Stage::new(3, 3, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let (keys, probes) = a_box(&without_light(), 0);
    let (outcome, day) = stage.run(&ledger, doubted(keys));
    assert_eq!(outcome.expect("a run").summary.end, RunEnd::Complete);
    assert!(day.keys.iter().all(|(_, fate)| *fate == Fate::Finished));
    assert_all_labelled(&stage, &ledger, &probes);
    let events = stage.events();
    let asked = shown(&events, ShownBy::Replug);
    let [(_, job)] = &asked[..] else { panic!("one of the two: {asked:?}") };
    assert_eq!(shown(&events, ShownBy::PutBack).iter().map(|(_, job)| job).collect::<Vec<_>>(), [job]);
    let out = at(&events, |event| matches!(event, Progress::WhichKey { by: ShownBy::PutBack, .. }));
    let due = at(&events, |event| matches!(event, Progress::TakeOut { job: of, .. } if of == job));
    assert!(out < due, "no label before it is back: {events:#?}");
    assert!(!events.iter().any(|event| matches!(event, Progress::KeyRefused { .. })), "{events:#?}");
    assert_eq!(probes.iter().map(Probe::winks).sum::<u64>(), 0);
}

#[test]
fn the_key_that_did_not_flash_gets_no_label_when_it_is_taken_out_instead() {
    let stage = Stage::new(3, 3, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let (keys, probes) = a_box(&Model::usual(), 0);
    let (flashing, waiting): (Mutex<Option<JobId>>, Flag) = Default::default();
    let order = Order::default();
    let lock = |slot: &Mutex<Option<JobId>>| slot.lock().expect("a lock").clone();
    let play = Play { touches_apart: APART, ..Play::of(keys) }.watched_by(|progress, ports| match progress {
        Progress::Plugged { .. } | Progress::Finished(_) => order.keep(progress),
        Progress::WhichKey { job, by: ShownBy::Wink, .. } => *flashing.lock().expect("a lock") = Some(job.clone()),
        // It flashes, and the hand is not there yet: the other one becomes ready meanwhile.
        Progress::TakeOut { job, .. } if lock(&flashing).as_ref() == Some(job) => waiting.wait(),
        Progress::Stage { port, stage: At::WhichKey } => {
            // Out, and in again.
            ports.power_cycle(port).expect("a key");
            waiting.raise();
        }
        _ => {}
    });
    let (outcome, _) = stage.run(&ledger, play);
    assert_eq!(outcome.expect("a run").summary.end, RunEnd::Complete);
    assert_all_labelled(&stage, &ledger, &probes);
    let events = stage.events();
    let flashed = lock(&flashing).expect("one flashed");
    let back = shown(&events, ShownBy::PutBack);
    let [(_, job)] = &back[..] else { panic!("{back:?}") };
    assert_ne!(*job, flashed);
    let asked = at(&events, |event| matches!(event, Progress::WhichKey { by: ShownBy::PutBack, .. }));
    let due = at(&events, |event| matches!(event, Progress::TakeOut { job: of, .. } if of == job));
    assert!(asked < due, "{events:#?}");
}

#[test]
fn another_key_in_the_port_of_one_that_is_expected_back_gets_no_label() {
    // Nothing but what is on them tells these keys apart.
    let mut model = (*Model::usual()).clone();
    model.serial_by = SerialBy::None;
    let model = Arc::new(model);
    let stage = Stage::new(3, 3, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let (keys, probes) = a_box(&model, 0);
    let (flashing, waiting): (Mutex<Option<JobId>>, Flag) = Default::default();
    let labelled: Mutex<Vec<(JobId, Probe)>> = Mutex::default();
    let stranger = Mutex::new(Some(SimKey::new(&model, 9)));
    let taken: Mutex<Option<(PortName, SimKey)>> = Mutex::default();
    let (was_refused, order) = (AtomicBool::new(false), Order::default());
    let held_in = |port: &PortName| taken.lock().expect("a lock").as_ref().is_some_and(|(of, _)| of == port);
    let play = Play { touches_apart: APART, ..Play::of(keys) }.watched_by(|progress, ports| match progress {
        Progress::Plugged { .. } | Progress::Finished(_) => order.keep(progress),
        Progress::WhichKey { job, by: ShownBy::Wink, .. } => *flashing.lock().expect("a lock") = Some(job.clone()),
        Progress::TakeOut { port, job, .. } => {
            labelled.lock().expect("a lock").push((job.clone(), ports.probe(port).expect("a key")));
            let flashes = flashing.lock().expect("a lock").as_ref() == Some(job);
            if flashes {
                waiting.wait();
            } else if stranger.lock().expect("a lock").is_none() {
                // The hands don't know what was put in behind their back.
                drop(ports.unplug(port));
                waiting.raise();
            }
        }
        Progress::Stage { port, stage: At::WhichKey } => {
            if let Some(stranger) = stranger.lock().expect("a lock").take() {
                let key = ports.unplug(port).expect("a key");
                *taken.lock().expect("a lock") = Some((port.clone(), key));
                ports.plug(port, stranger).expect("an empty port");
            }
        }
        Progress::Reject { port, .. } if held_in(port) => was_refused.store(true, Ordering::SeqCst),
        Progress::Left { port } if held_in(port) && was_refused.load(Ordering::SeqCst) => {
            let (_, key) = taken.lock().expect("a lock").take().expect("a key");
            ports.plug(port, key).expect("an empty port");
        }
        _ => {}
    });
    let (outcome, _) = stage.run(&ledger, play);
    assert_eq!(outcome.expect("a run").summary.end, RunEnd::Complete);
    assert!(was_refused.load(Ordering::SeqCst), "{:#?}", stage.events());
    assert_all_labelled(&stage, &ledger, &probes);
    let labelled = labelled.into_inner().expect("a lock");
    assert_eq!(labelled.len(), 3);
    for (job, probe) in labelled {
        let state = stage.state_of(&ledger, &job);
        let made = state.made().expect("made").credential.clone();
        let held: Vec<_> = probe.residents().iter().map(|held| held.credential_id.clone()).collect();
        assert_eq!(held, [made], "the label of {job} is on its key");
    }
}

#[test]
fn a_doubt_keeps_nobody_else_waiting() {
    let stage = Stage::new(5, 3, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let (keys, probes) = a_box(&Model::usual(), 2);
    let (order, doubt, all, flashes) = (Order::default(), Flag::default(), Flag::default(), AtomicBool::new(false));
    let (plugged, finished) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let play = Play { touches_apart: APART, ..Play::of(keys) }.watched_by(|progress, _| match progress {
        // The fourth key comes when the doubt is there, so that the two blink together and no third.
        Progress::Plugged { port } if port.as_str() == "sim-1" && plugged.fetch_add(1, Ordering::SeqCst) == 0 => {}
        Progress::Plugged { port } if port.as_str() == "sim-1" => doubt.wait(),
        Progress::Plugged { .. } => order.keep(progress),
        Progress::TouchesTooClose { .. } => doubt.raise(),
        Progress::WhichKey { by: ShownBy::Wink, .. } => flashes.store(true, Ordering::SeqCst),
        // Nobody sees the light until everybody else is through.
        Progress::TakeOut { .. } if flashes.swap(false, Ordering::SeqCst) => all.wait(),
        Progress::Finished(_) => {
            order.keep(progress);
            if finished.fetch_add(1, Ordering::SeqCst) == 4 {
                all.raise();
            }
        }
        _ => {}
    });
    assert_eq!(stage.run(&ledger, play).0.expect("a run").summary.counts.finished, 5);
    assert_all_labelled(&stage, &ledger, &probes);
}
