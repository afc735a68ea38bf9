//! Keys differ: every model goes through the whole journey, and those without a serial number are told apart all the same.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::progress::Progress;
use super::stage::{Flag, Play, Stage};
use super::state::State;
use crate::ledger::{Faulty, ForcedChange, Ledger, When};
use crate::model::{PortName, Serial};
use crate::sim::key::{Fault, Model, Probe, SerialBy, SimKey};
use crate::sim::operator::BoxedKey;

fn port(name: &str) -> Vec<PortName> {
    vec![PortName::new(name)]
}

#[test]
fn every_model_goes_the_whole_way() {
    let models = Model::all();
    let stage = Stage::new(2 * models.len(), 4, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let keys: Vec<SimKey> = models.iter().flat_map(|model| (1..=2).map(|unit| SimKey::new(model, unit))).collect();
    let probes: Vec<Probe> = keys.iter().map(SimKey::probe).collect();
    let (outcome, _) = stage.run(&ledger, Play::of(keys.into_iter().map(BoxedKey::from).collect()));
    let counts = outcome.expect("a run").summary.counts;
    assert_eq!((counts.finished, counts.keys_refused), (16, 0), "{:#?}", stage.events());
    let mut forced = HashMap::new();
    for event in stage.events() {
        let Progress::Finished(done) = event else { continue };
        let holder = probes.iter().position(|probe| {
            probe.residents().first().is_some_and(|resident| resident.credential_id == done.credential)
        });
        let holder = &probes[holder.expect("a key holds it")];
        assert_eq!(done.key.aaguid, holder.model().aaguid);
        let upper = |serial: Option<&Serial>| serial.map(|serial| serial.as_str().to_uppercase());
        assert_eq!(upper(done.key.serial.as_ref()), upper(holder.serial().as_ref()), "{}", holder.model().id);
        forced.insert(holder.model().id.clone(), done.forced);
        let person = stage.people().iter().position(|person| person.upn.as_str() == done.upn).expect("a person");
        stage.assert_finished(&ledger, person, std::slice::from_ref(holder), &holder.model().id);
    }
    assert_eq!(forced.len(), models.len());
    assert_eq!(forced["yubikey-5-nfc-5.2"], ForcedChange::Unsupported);
    assert_eq!(forced["yubikey-5-nfc"], ForcedChange::Forced);
}

#[test]
fn a_key_without_serial_number_is_known_in_another_port_by_its_credential() {
    let model = Model::by_id("feitian-epass").expect("a model");
    let mut known = 0;
    let mut unknown = 0;
    let mut stage = Stage::new(24, 1, |_| {});
    stage.plan(&stage.open_ledger());
    for person in 0..24 {
        let case = format!("stopped at write {}", person + 1);
        let key = SimKey::new(&model, person as u32 + 1);
        let probe = key.probe();
        let job = stage.job_of(&stage.people()[person]);
        let ledger = Arc::new(stage.open_ledger());
        let faulty = Faulty::new(Arc::clone(&ledger) as Arc<dyn Ledger>, person as u64 + 1, When::AfterCommit);
        stage.ports = port("left");
        let (outcome, mut day) = stage.run(&faulty, Play::of(vec![key.into()]).only(person));
        drop((faulty, ledger));
        let ledger = stage.open_ledger();
        stage.settle(&ledger);
        if outcome.is_ok() {
            stage.assert_finished(&ledger, person, &[probe], &case);
            break;
        }
        let state = stage.state_of(&ledger, &job);
        if matches!(state, State::Finished { .. }) {
            stage.assert_finished(&ledger, person, &[probe], &case);
            continue;
        }
        let has_pin = probe.pin_is_set();
        stage.ports = port("right");
        let boxed = day.keys.pop().expect("the key").0.into();
        let (outcome, mut day) = stage.run(&ledger, Play::of(vec![boxed]).only(person).once_through());
        let counts = outcome.expect("a run").summary.counts;
        if state.made().is_some() {
            known += 1;
            assert_eq!(counts.keys_refused, 0, "{case}: {state:?}");
        } else if has_pin {
            // Nothing tells that it is the one: no PIN is tried on it.
            unknown += 1;
            assert_eq!((counts.keys_refused, counts.parked), (1, 1), "{case}: {state:?}");
            assert_eq!(stage.state_of(&ledger, &job), state, "{case}");
        }
        // Where it was, it is itself.
        let state = stage.state_of(&ledger, &job);
        stage.ports = state.current().map_or_else(|| port("left"), |at| vec![at.key.port.clone()]);
        if !matches!(state, State::Finished { .. }) {
            let boxed = day.keys.pop().expect("the key").0.into();
            stage.run(&ledger, Play::of(vec![boxed]).only(person)).0.expect("a run");
        }
        stage.assert_finished(&ledger, person, &[probe], &case);
    }
    assert!(known >= 4 && unknown >= 2, "{known} known, {unknown} not");
}

/// Keys of a maker that writes the same serial number into every USB descriptor.
fn all_called_alike() -> Arc<Model> {
    let mut model = (*Model::by_id("feitian-epass").expect("a model")).clone();
    model.serial_by = SerialBy::Usb;
    Arc::new(model)
}

#[test]
fn another_blank_key_in_its_port_is_not_taken_for_the_one_that_was_pulled() {
    let model = Model::by_id("feitian-epass").expect("a model");
    not_taken_for_the_one_that_was_pulled(&model, [1, 2]);
}

#[test]
fn another_blank_key_of_the_same_number_is_not_taken_for_the_one_that_was_pulled() {
    not_taken_for_the_one_that_was_pulled(&all_called_alike(), [1, 1]);
}

fn not_taken_for_the_one_that_was_pulled(model: &Arc<Model>, units: [u32; 2]) {
    // The writes after which the key has its PIN, or its credential, or its registration.
    for stop_at in [6, 8, 9, 10] {
        let mut stage = Stage::new(2, 1, |_| {});
        stage.ports = port("only");
        let ledger = Arc::new(stage.open_ledger());
        stage.plan(&*ledger);
        let (first, second) = (SimKey::new(model, units[0]), SimKey::new(model, units[1]));
        let probes = [first.probe(), second.probe()];
        let faulty = Faulty::new(Arc::clone(&ledger) as Arc<dyn Ledger>, stop_at, When::AfterCommit);
        let (outcome, mut day) = stage.run(&faulty, Play::of(vec![first.into()]));
        outcome.expect_err("stopped");
        let first = day.keys.pop().expect("the key").0;
        drop((faulty, ledger));
        let ledger = stage.open_ledger();
        let (person, other) = (0, 1);
        let before = stage.state_of(&ledger, &stage.job_of(&stage.people()[person]));
        assert!(before.is_open() && probes[0].pin_is_set(), "{before:?}");
        let (outcome, _) = stage.run(&ledger, Play::of(vec![second.into()]).once_through());
        let counts = outcome.expect("a run").summary.counts;
        assert_eq!((counts.finished, counts.parked), (1, 1), "{:#?}", stage.events());
        assert_eq!(stage.state_of(&ledger, &stage.job_of(&stage.people()[person])), before);
        stage.assert_finished(&ledger, other, &probes[1..], "the blank key went to the next person");
        stage.run(&ledger, Play::of(vec![first.into()])).0.expect("a run");
        stage.assert_finished(&ledger, person, &probes[..1], "and the first came back to its own");
    }
}

fn refusals(stage: &Stage) -> Vec<String> {
    let code = |event| match event {
        Progress::KeyRefused { code, .. } => Some(code),
        _ => None,
    };
    stage.events().into_iter().filter_map(code).collect()
}

#[test]
fn of_two_plugged_keys_with_one_serial_number_the_second_is_refused() {
    let stage = Stage::new(2, 2, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let keys: Vec<SimKey> = (0..2).map(|_| SimKey::new(&all_called_alike(), 1)).collect();
    let refused = Flag::default();
    let play = Play::of(keys.into_iter().map(BoxedKey::from).collect()).once_through();
    let play = play.watched_by(|progress, _| match progress {
        // The first stays in its port until the second has been looked at.
        Progress::Assigned { .. } => refused.wait(),
        Progress::KeyRefused { .. } => refused.raise(),
        _ => {}
    });
    let counts = stage.run(&ledger, play).0.expect("a run").summary.counts;
    assert_eq!((counts.finished, counts.keys_refused), (1, 1), "{:#?}", stage.events());
    assert_eq!(refusals(&stage), ["same-serial"]);
}

/// The list of keys never to be touched is a list of serial numbers: a key that can't be heard must not slip past it.
#[test]
fn a_key_on_the_never_list_is_not_touched_because_its_serial_number_is_not_heard() {
    // CTAPHID: busy, and "other". Heard at the second time, it is on the list; never heard, it is no key to work on.
    for (error, times, code) in [(0x7f, Some(1), "never-list"), (0x7f, None, "mute"), (0x06, None, "in-use")] {
        let stage = Stage::new(1, 1, |_| {});
        let ledger = stage.open_ledger();
        stage.plan(&ledger);
        let key = SimKey::new(&Model::usual(), 1);
        let probe = key.probe();
        probe.add_fault(Fault::VendorError { error, times });
        let never: BTreeSet<Serial> = probe.serial().into_iter().collect();
        let short = crate::ctap2::transport::Limits {
            overall: std::time::Duration::from_millis(300),
            ..crate::ctap2::transport::Limits::default()
        };
        let play = Play { never, limits: short, ..Play::of(vec![key.into()]).once_through() };
        let counts = stage.run(&ledger, play).0.expect("a run").summary.counts;
        assert_eq!((counts.finished, refusals(&stage)), (0, vec![code.to_owned()]));
        assert!(!probe.pin_is_set(), "{code}: nothing was done to it");
    }
}

/// Without rules to set, nothing but its PIN tells that a key is still the one that was registered.
#[test]
fn a_key_that_was_reset_before_its_end_is_not_finished_and_its_passkey_goes() {
    let model = Model::by_id("yubikey-5-nfc-5.2").expect("a model");
    let mut reset = 0;
    let stage = Stage::new(18, 1, |_| {});
    stage.plan(&stage.open_ledger());
    for person in 0..18 {
        let (unit, stop_at) = (person as u32 * 10, person as u64 + 1);
        let job = stage.job_of(&stage.people()[person]);
        let ledger = Arc::new(stage.open_ledger());
        let faulty = Faulty::new(Arc::clone(&ledger) as Arc<dyn Ledger>, stop_at, When::AfterCommit);
        let (outcome, _) = stage.run(&faulty, Play::of(vec![SimKey::new(&model, unit).into()]).only(person));
        drop((faulty, ledger));
        let ledger = stage.open_ledger();
        stage.settle(&ledger);
        let state = stage.state_of(&ledger, &job);
        if outcome.is_ok() || matches!(state, State::Finished { .. }) {
            break;
        }
        // The same key, as it came from the factory, and another for its person.
        let (blank, fresh) = (SimKey::new(&model, unit), SimKey::new(&model, unit + 1));
        let probes = [blank.probe(), fresh.probe()];
        let boxed = vec![blank.into(), fresh.into()];
        stage.run(&ledger, Play::of(boxed).only(person)).0.expect("a run");
        reset += usize::from(state.made().is_some());
        stage.assert_finished(&ledger, person, &probes, &format!("reset in {state:?}"));
    }
    assert!(reset >= 3, "{reset} that had made a credential");
}
