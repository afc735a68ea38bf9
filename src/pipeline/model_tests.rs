//! Keys differ: every model goes through the whole journey, and those without a serial number are told apart all the same.

use std::collections::HashMap;
use std::sync::Arc;

use super::progress::Progress;
use super::stage::{Play, Stage};
use super::state::State;
use crate::ledger::{Faulty, ForcedChange, Ledger, When};
use crate::model::{PortName, Serial};
use crate::sim::key::{Model, Probe, SimKey};
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

#[test]
fn another_blank_key_in_its_port_is_not_taken_for_the_one_that_was_pulled() {
    let model = Model::by_id("feitian-epass").expect("a model");
    // The writes after which the key has its PIN, or its credential, or its registration.
    for stop_at in [6, 8, 9, 10] {
        let mut stage = Stage::new(2, 1, |_| {});
        stage.ports = port("only");
        let ledger = Arc::new(stage.open_ledger());
        stage.plan(&*ledger);
        let (first, second) = (SimKey::new(&model, 1), SimKey::new(&model, 2));
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
