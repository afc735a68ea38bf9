//! Keys are pulled at every single report of their journey, in both directions, and put back.

use std::sync::Arc;

use super::progress::Progress;
use super::stage::{Play, Stage};
use crate::sim::key::{Fault, Model, Probe, SimKey};
use crate::sim::operator::{BoxedKey, Fate, Manner};

fn by_id(model: &str) -> Arc<Model> {
    Model::by_id(model).expect("a model")
}

fn keys(model: &Arc<Model>, faults: impl Fn(u64) -> Vec<Fault>, count: u64) -> (Vec<SimKey>, Vec<Probe>) {
    let keys: Vec<SimKey> = (1..=count)
        .map(|n| {
            let key = SimKey::new(model, u32::try_from(n).expect("small"));
            faults(n).into_iter().for_each(|fault| key.probe().add_fault(fault));
            key
        })
        .collect();
    let probes = keys.iter().map(SimKey::probe).collect();
    (keys, probes)
}

/// Everybody is finished, or held, each with one key, and no key holds anything else.
fn assert_all(stage: &Stage, ledger: &dyn crate::ledger::Ledger, probes: &[Probe], (held, case): (bool, &str)) {
    let by_credential: std::collections::HashMap<_, _> = probes
        .iter()
        .flat_map(|probe| probe.residents().into_iter().map(|held| (held.credential_id, probe.clone())))
        .collect();
    assert_eq!(by_credential.len(), probes.iter().map(|probe| probe.residents().len()).sum::<usize>());
    assert_eq!(by_credential.len(), stage.people().len(), "{case}: one passkey each, and no orphans");
    for (index, person) in stage.people().iter().enumerate() {
        let state = stage.state_of(ledger, &stage.job_of(person));
        let made = state.made().unwrap_or_else(|| panic!("{case}: {state:?}"));
        let probe = by_credential.get(&made.credential).expect("a key holds it");
        let (key, case) = (std::slice::from_ref(probe), format!("{case}, {}", person.upn));
        if held {
            stage.assert_held(ledger, index, key, &case);
        } else {
            stage.assert_finished(ledger, index, key, &case);
        }
    }
    ledger.verify(None).expect("an unbroken chain");
}

/// `most`: more reports than a journey has.
fn pulled_at_every(model: &Arc<Model>, most: u64, held: bool, fault: impl Fn(u64) -> Fault) {
    let stage = Stage::new(usize::try_from(most).expect("small"), 6, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let (keys, probes) = keys(model, |n| vec![fault(n)], most);
    let play = Play { hold: held, ..Play::of(keys.into_iter().map(BoxedKey::from).collect()) };
    let (outcome, day) = stage.run(&ledger, play);
    let summary = outcome.expect("a run").summary;
    assert_eq!(summary.counts.finished, most, "{:?}", summary);
    assert_eq!((summary.counts.keys_refused, summary.counts.held), (0, if held { most } else { 0 }));
    assert_all(&stage, &ledger, &probes, (held, &model.id));
    // Fewer pulls than keys: the last faults lay behind the journey's end, so none of its reports was left out.
    assert!(day.early_pulls > 30 && day.early_pulls < most, "{} pulls", day.early_pulls);
    let alarms = stage.events().iter().filter(|event| matches!(event, Progress::PulledEarly { .. })).count();
    assert!(alarms > 20, "only {alarms} alarms");
    if held {
        // Whatever was pulled when: what was sealed registers the passkey that is on the key.
        let job = stage.job_of(&stage.people()[0]);
        stage.activate(&ledger, &job, std::time::Duration::from_secs(5)).expect("activated");
        assert_eq!(stage.passkeys_of(&stage.people()[0]), 1);
    }
}

#[test]
fn pulled_at_every_report_of_the_host() {
    pulled_at_every(&by_id("yubikey-5-nfc"), 50, false, |packet| Fault::UnplugAtPacket { packet });
}

#[test]
fn pulled_at_every_report_of_the_host_before_a_hold() {
    pulled_at_every(&by_id("yubikey-5-nfc"), 50, true, |packet| Fault::UnplugAtPacket { packet });
}

#[test]
fn pulled_at_every_report_of_the_key_before_a_hold() {
    pulled_at_every(&by_id("yubikey-5-nfc"), 105, true, |packet| Fault::UnplugAtAnswer { packet });
}

#[test]
fn pulled_at_every_report_of_the_key() {
    pulled_at_every(&by_id("yubikey-5-nfc"), 105, false, |packet| Fault::UnplugAtAnswer { packet });
}

#[test]
fn pulled_at_every_report_without_serial_number_or_new_commands() {
    pulled_at_every(&by_id("feitian-epass"), 90, false, |packet| Fault::UnplugAtAnswer { packet });
}

/// A key that can list nothing and remove nothing, by neither command: a PIN that was on its way is proved all the same, and a
/// credential that nobody knows is overwritten.
#[test]
fn pulled_at_every_report_without_credential_management() {
    let mut model = (*by_id("feitian-epass")).clone();
    model.ctap.preview_credential_management = false;
    model.ctap.options_added.remove("credentialMgmtPreview");
    model.ctap.answer_delay_ms = 0;
    pulled_at_every(&Arc::new(model), 90, false, |packet| Fault::UnplugAtAnswer { packet });
}

#[test]
fn pulled_again_while_settling() {
    let stage = Stage::new(60, 6, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let faults = |n| {
        vec![
            Fault::UnplugAtPacket { packet: 10 + n },
            Fault::UnplugAtAnswer { packet: 1 + n * 7 % 60 },
            Fault::UnplugAtPacket { packet: 1 + n * 11 % 50 },
        ]
    };
    let (keys, probes) = keys(&by_id("yubikey-5-nfc-5.2"), faults, 60);
    let (outcome, day) = stage.run(&ledger, Play::of(keys.into_iter().map(BoxedKey::from).collect()));
    assert_eq!(outcome.expect("a run").summary.counts.finished, 60);
    assert!(day.early_pulls > 60, "{} pulls", day.early_pulls);
    assert_all(&stage, &ledger, &probes, (false, "pulled twice"));
}

#[test]
fn pulled_and_put_back_in_the_next_run_in_another_port() {
    // A port stays free for the key that left it.
    let stage = Stage::new(40, 40, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let (keys, probes) = keys(&by_id("yubikey-5-nfc"), |n| vec![Fault::UnplugAtPacket { packet: n }], 40);
    // An hour later is another run.
    let lazy = Manner { back_after_ms: 3_600_000, ..Manner::default() };
    let boxed = keys.into_iter().map(|key| BoxedKey { key, manner: lazy }).collect();
    // Whoever asks for them back has nobody to listen.
    let (outcome, day) = stage.run(&ledger, Play::of(boxed).once_through());
    let summary = outcome.expect("a run").summary;
    assert!(summary.counts.parked > 25, "{:?}", summary);
    let back: Vec<BoxedKey> =
        day.keys.into_iter().filter(|(_, fate)| *fate != Fate::Finished).map(|(key, _)| key.into()).rev().collect();
    let (outcome, _) = stage.run(&ledger, Play::of(back));
    let counts = outcome.expect("a run").summary.counts;
    assert_eq!(counts.finished + counts.already, 40, "{counts:?}");
    assert_all(&stage, &ledger, &probes, (false, "next run"));
}
