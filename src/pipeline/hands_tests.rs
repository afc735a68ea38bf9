//! The rulings about hands: who goes first, who blinks, what pauses, what ends, and that one bad key is one bad key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::progress::{Progress, Stage as At};
use super::stage::{Flag, Play, Stage};
use crate::ctap2::transport::Limits;
use crate::ledger::{Entry, Ledger, RunEnd};
use crate::model::{JobId, JobStatus};
use crate::sim::key::{Birth, Fault, Model, Probe, SimKey};
use crate::sim::operator::{BoxedKey, Manner};
use crate::sim::tenant::FaultRule;
use crate::sim::tenant::faults::Trouble;
use crate::sim::tenant::route::Kind;

fn blank(count: u32) -> Vec<SimKey> {
    (1..=count).map(|unit| SimKey::new(&Model::usual(), unit)).collect()
}

fn boxed(keys: Vec<SimKey>) -> Vec<BoxedKey> {
    keys.into_iter().map(BoxedKey::from).collect()
}

fn probes(keys: &[SimKey]) -> Vec<Probe> {
    keys.iter().map(SimKey::probe).collect()
}

/// Each person is finished with one key of these.
fn assert_everybody(stage: &Stage, ledger: &dyn Ledger, probes: &[Probe], case: &str) {
    for (index, person) in stage.people().iter().enumerate() {
        let state = stage.state_of(ledger, &stage.job_of(person));
        let made = state.made().unwrap_or_else(|| panic!("{case}: {state:?}"));
        let holds = |probe: &&Probe| probe.residents().iter().any(|held| held.credential_id == made.credential);
        let holders: Vec<Probe> = probes.iter().filter(holds).cloned().collect();
        stage.assert_finished(ledger, index, &holders, case);
    }
    ledger.verify(None).expect("an unbroken chain");
}

fn rule(on: Kind, then: Trouble, status: Option<u16>, times: u32) -> FaultRule {
    FaultRule { on: Some(on), status, times: Some(times), ..FaultRule::always(then) }
}

#[test]
fn the_first_key_goes_alone_to_its_read_back() {
    let stage = Stage::new(6, 6, |spec| spec.quirks.list_lag_reads = 3);
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let keys = blank(6);
    let probes = probes(&keys);
    let alone = AtomicBool::new(true);
    let play = Play::of(boxed(keys)).watched_by(|progress, _| {
        // As long as nobody is read back, at most one key of the six has a PIN.
        if matches!(progress, Progress::Stage { stage: At::PinRules, .. }) {
            alone.store(false, Ordering::SeqCst);
        }
        if alone.load(Ordering::SeqCst) && matches!(progress, Progress::Stage { stage: At::ReadingBack, .. }) {
            assert!(probes.iter().filter(|probe| probe.pin_is_set()).count() <= 1, "{progress:?}");
        }
    });
    assert_eq!(stage.run(&ledger, play).0.expect("a run").summary.counts.finished, 6);
    assert_everybody(&stage, &ledger, &probes, "canary");
}

#[test]
fn a_refused_first_key_is_the_only_one_spent() {
    let stage = Stage::new(5, 4, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    stage.tenant.add_fault(rule(Kind::Register, Trouble::Status, Some(400), 1)).expect("a fault");
    let keys = blank(6);
    let probes = probes(&keys);
    let (outcome, day) = stage.run(&ledger, Play::of(boxed(keys)));
    let outcome = outcome.expect("a run");
    assert_eq!(outcome.paused.map(|pause| pause.code).as_deref(), Some("tenant-refuses"));
    assert_eq!(outcome.summary.end, RunEnd::Stopped);
    assert_eq!((outcome.summary.counts.failed, outcome.summary.counts.parked), (1, 4));
    assert_eq!(probes.iter().filter(|probe| probe.pin_is_set()).count(), 1);
    assert!(probes.iter().all(|probe| probe.residents().is_empty()), "what was refused is off the key");
    // The tenant is put right; the same command goes on. One key has a PIN and is refused. (The box is full again: what a
    // hand held when the day ended is not among the day's keys.)
    let fresh: Vec<SimKey> = (11..=16).map(|unit| SimKey::new(&Model::usual(), unit)).collect();
    let probes: Vec<Probe> = probes.into_iter().chain(fresh.iter().map(SimKey::probe)).collect();
    let keys = day.keys.into_iter().map(|(key, _)| key).chain(fresh).map(BoxedKey::from).collect();
    let outcome = stage.run(&ledger, Play::of(keys)).0.expect("a run");
    assert_eq!(outcome.summary.counts.finished, 5, "{:#?}", stage.events());
    assert_everybody(&stage, &ledger, &probes, "after the refusal");
}

#[test]
fn an_outage_pauses_the_touches_and_they_go_on_after_it() {
    for kind in [Kind::Register, Kind::CreationOptions, Kind::List] {
        let stage = Stage::new(6, 3, |_| {});
        let ledger = stage.open_ledger();
        stage.plan(&ledger);
        let keys = blank(6);
        let probes = probes(&keys);
        let finished = AtomicUsize::new(0);
        let play = Play::of(boxed(keys)).watched_by(|progress, _| {
            if matches!(progress, Progress::Finished(_)) && finished.fetch_add(1, Ordering::SeqCst) == 1 {
                for kind in [kind, Kind::List, Kind::Policy] {
                    stage.tenant.add_fault(rule(kind, Trouble::Status, Some(503), 3)).expect("a fault");
                }
            }
        });
        assert_eq!(stage.run(&ledger, play).0.expect("a run").summary.counts.finished, 6, "{:#?}", stage.events());
        let count = |wanted: fn(&Progress) -> bool| stage.events().iter().filter(|event| wanted(event)).count();
        assert!(count(|event| matches!(event, Progress::Paused { .. })) >= 1, "{kind:?}: {:#?}", stage.events());
        assert_eq!(
            count(|event| matches!(event, Progress::Paused { .. })),
            count(|event| matches!(event, Progress::Unpaused))
        );
        assert_everybody(&stage, &ledger, &probes, "outage");
    }
}

#[test]
fn an_outage_without_end_ends_the_run_and_loses_nothing() {
    let stage = Stage::new(4, 2, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let keys = blank(4);
    let probes = probes(&keys);
    let play = Play::of(boxed(keys)).watched_by(|progress, _| {
        if matches!(progress, Progress::Bound { .. }) {
            for kind in [Kind::Register, Kind::List, Kind::Policy, Kind::CreationOptions] {
                let forever =
                    FaultRule { for_ms: Some(30_000), times: None, ..rule(kind, Trouble::Html, Some(502), 0) };
                stage.tenant.add_fault(forever).expect("a fault");
            }
        }
    });
    let (outcome, day) = stage.run(&ledger, Play { outage: Duration::from_millis(300), ..play });
    let outcome = outcome.expect("a run");
    assert_eq!(outcome.summary.end, RunEnd::Stopped);
    assert_eq!(outcome.paused.map(|pause| pause.code).as_deref(), Some("tenant-down"));
    assert!(outcome.summary.counts.parked >= 3);
    stage.tenant.advance(31);
    let fresh: Vec<SimKey> = (11..=14).map(|unit| SimKey::new(&Model::usual(), unit)).collect();
    let probes: Vec<Probe> = probes.into_iter().chain(fresh.iter().map(SimKey::probe)).collect();
    let keys = day.keys.into_iter().map(|(key, _)| key).chain(fresh).map(BoxedKey::from).collect();
    stage.run(&ledger, Play::of(keys)).0.expect("a run");
    assert_everybody(&stage, &ledger, &probes, "after the outage");
}

#[test]
fn a_revoked_sign_in_is_made_good() {
    let stage = Stage::new(5, 3, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let revoke = FaultRule { nth: Some(3), ..rule(Kind::Register, Trouble::Revoke, None, 1) };
    stage.tenant.add_fault(revoke).expect("a fault");
    let keys = blank(5);
    let probes = probes(&keys);
    assert_eq!(stage.run(&ledger, Play::of(boxed(keys))).0.expect("a run").summary.counts.finished, 5);
    assert_everybody(&stage, &ledger, &probes, "revoked");
}

#[test]
fn few_keys_blink_at_a_time() {
    let stage = Stage::new(10, 8, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let keys = blank(10);
    let probes = probes(&keys);
    let slow = Manner { touch_after_ms: 15, ..Manner::default() };
    let boxed = keys.into_iter().map(|key| BoxedKey { key, manner: slow }).collect();
    let most = AtomicUsize::new(0);
    let play = Play::of(boxed).watched_by(|_, ports| {
        most.fetch_max(ports.blinking().len(), Ordering::SeqCst);
    });
    assert_eq!(stage.run(&ledger, play).0.expect("a run").summary.counts.finished, 10);
    assert!((1..=2).contains(&most.load(Ordering::SeqCst)), "{most:?} blinked at once");
    assert_everybody(&stage, &ledger, &probes, "blinking");
}

#[test]
fn a_missed_touch_is_asked_for_again_and_is_no_failure() {
    let stage = Stage::new(2, 1, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let keys = blank(2);
    let probes = probes(&keys);
    probes.iter().for_each(|probe| probe.set_touch_timeout(Duration::from_millis(30)));
    let late = Manner { skip_timeouts: 2, ..Manner::default() };
    let boxed = keys.into_iter().map(|key| BoxedKey { key, manner: late }).collect();
    let summary = stage.run(&ledger, Play::of(boxed)).0.expect("a run").summary;
    assert_eq!((summary.counts.finished, summary.counts.failed, summary.touches), (2, 0, 2));
    let armed = stage.events().iter().filter(|event| matches!(event, Progress::TouchRearmed { .. })).count();
    // Twice each; more where the machine was too busy to touch in time.
    assert!(armed >= 4, "{armed}");
    assert!(!stage.events().iter().any(|event| matches!(event, Progress::Failed { .. })));
    assert_everybody(&stage, &ledger, &probes, "late touch");
}

#[test]
fn a_key_pulled_early_raises_an_alarm_and_is_finished_when_it_is_back() {
    let stage = Stage::new(3, 2, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let keys = blank(3);
    let probes = probes(&keys);
    let hasty = Manner { pull_when_blinking: true, ..Manner::default() };
    let boxed = keys.into_iter().map(|key| BoxedKey { key, manner: hasty }).collect();
    assert_eq!(stage.run(&ledger, Play::of(boxed)).0.expect("a run").summary.counts.finished, 3);
    let alarms = stage.events().iter().filter(|event| matches!(event, Progress::PulledEarly { .. })).count();
    assert_eq!(alarms, 3);
    assert_everybody(&stage, &ledger, &probes, "pulled early");
}

#[test]
fn unfit_keys_are_refused_each_for_its_own_reason_and_disturb_nobody() {
    let usual = Model::usual();
    let without = |unit: u32, change: &dyn Fn(&mut Model)| {
        let mut model = (*usual).clone();
        change(&mut model);
        SimKey::new(&Arc::new(model), unit)
    };
    let born = |unit: u32, birth: Birth| SimKey::born(&usual, unit, &birth);
    let forbidden = Model::by_id("titan-v2").expect("a model");
    let unfit: Vec<(&str, SimKey)> = vec![
        ("has-pin", born(50, Birth { pin: Some("135790".into()), ..Birth::default() })),
        ("pin-blocked", born(51, Birth { blocked: true, ..Birth::default() })),
        ("key-full", born(52, Birth { full: true, ..Birth::default() })),
        ("u2f-only", born(53, Birth { u2f_only: true, ..Birth::default() })),
        ("no-resident-keys", without(90, &|model| model.ctap.options_removed.push("rk".into()))),
        ("no-hmac-secret", without(91, &|model| model.ctap.extensions.retain(|name| name != "hmac-secret"))),
        ("no-pin-support", without(92, &|model| model.ctap.options_removed.push("clientPin".into()))),
        ("aaguid-not-allowed", SimKey::new(&forbidden, 1)),
        ("mute", {
            let key = born(54, Birth::default());
            key.probe().add_fault(Fault::MalformedCbor { command: 4 });
            key
        }),
    ];
    let stage = Stage::new(4, 4, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let good = blank(4);
    let good_probes = probes(&good);
    let mut wanted: Vec<&str> = unfit.iter().map(|(code, _)| *code).collect();
    let (codes, bad): (Vec<_>, Vec<_>) = unfit.into_iter().unzip();
    let bad_probes = probes(&bad);
    let before: Vec<usize> = bad_probes.iter().map(|probe| probe.residents().len()).collect();
    let play = Play {
        model_policy: Some(Box::new(
            move |_, aaguid| {
                if aaguid == forbidden.aaguid { Err("not on the list".into()) } else { Ok(()) }
            },
        )),
        limits: Limits { idle: Duration::from_millis(600), overall: Duration::from_millis(1_200), ..Limits::default() },
        ..Play::of(bad.into_iter().chain(good).map(BoxedKey::from).collect())
    };
    let counts = stage.run(&ledger, play).0.expect("a run").summary.counts;
    let mut refused: Vec<String> = stage
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Progress::KeyRefused { code, .. } => Some(code),
            _ => None,
        })
        .collect();
    refused.sort();
    wanted.sort_unstable();
    assert_eq!(refused, wanted);
    assert_eq!((counts.finished, counts.failed, counts.keys_refused), (4, 0, codes.len() as u64));
    for (probe, before) in bad_probes.iter().zip(before) {
        assert_eq!(probe.residents().len(), before, "nothing was done to it");
    }
    assert_everybody(&stage, &ledger, &good_probes, "beside unfit keys");
}

#[test]
fn a_credential_nobody_can_use_goes_although_the_tenant_gives_no_options_any_more() {
    let stage = Stage::new(1, 1, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let key = SimKey::new(&Model::usual(), 1);
    let probe = key.probe();
    // It makes a credential and says so unreadably.
    probe.add_fault(Fault::ShortAuthData);
    let (touched, most) = (AtomicBool::new(false), AtomicUsize::new(0));
    let play = Play::of(vec![key.into()]).once_through().watched_by(|progress, _| {
        if matches!(progress, Progress::Stage { stage: At::Touch, .. }) {
            touched.store(true, Ordering::SeqCst);
        }
        if matches!(progress, Progress::Stage { stage: At::Settling, .. }) && touched.swap(false, Ordering::SeqCst) {
            most.fetch_max(probe.residents().len(), Ordering::SeqCst);
            stage.tenant.add_fault(rule(Kind::CreationOptions, Trouble::Status, Some(400), 100)).expect("a fault");
        }
    });
    let summary = stage.run(&ledger, play).0.expect("a run").summary;
    assert_eq!((summary.counts.finished, summary.counts.failed), (0, 1), "{:#?}", stage.events());
    assert_eq!(most.load(Ordering::SeqCst), 1, "there was one to remove");
    assert_eq!(probe.residents().len(), 0, "{:#?}", stage.events());
    let job = stage.job_of(&stage.people()[0]);
    let entries = ledger.entries_of(&job).expect("entries");
    assert!(entries.iter().any(|recorded| matches!(recorded.entry, Entry::CredentialRemoved { .. })));
}

#[test]
fn a_finished_key_put_in_again_is_called_what_it_is() {
    let stage = Stage::new(2, 1, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let key = SimKey::new(&Model::usual(), 1);
    let (outcome, mut day) = stage.run(&ledger, Play::of(vec![key.into()]).once_through());
    assert_eq!(outcome.expect("a run").summary.counts.finished, 1);
    // The label is on, and the key goes in again as if it were new.
    let finished = day.keys.pop().expect("the key").0;
    let before = finished.probe().residents();
    let (outcome, _) = stage.run(&ledger, Play::of(vec![finished.into()]).once_through());
    assert_eq!(outcome.expect("a run").summary.counts.keys_refused, 1);
    let owner = stage.people()[0].upn.to_string();
    let told = stage.events().into_iter().find_map(|event| match event {
        Progress::KeyRefused { code, detail, .. } => Some((code, detail.unwrap_or_default())),
        _ => None,
    });
    let (code, detail) = told.expect("refused");
    assert!(code == "already-finished" && detail.contains(&owner), "{code}: {detail}");
    assert_eq!(before.len(), 1);
}

#[test]
fn hostile_keys_harm_nobody_but_themselves() {
    let faults = vec![
        vec![Fault::MalformedCbor { command: 1 }],
        vec![Fault::MalformedCbor { command: 6 }],
        vec![Fault::MalformedCbor { command: 2 }],
        vec![Fault::TrailingBytes { command: 1 }],
        vec![Fault::WrongLength { command: 1 }],
        vec![Fault::WrongLength { command: 4 }],
        vec![Fault::ShortAuthData],
        vec![Fault::EndlessKeepalives { command: 6 }],
        vec![Fault::EndlessKeepalives { command: 2 }],
        vec![Fault::Silent { command: 4 }],
        vec![Fault::Silent { command: 0x0d }],
        vec![Fault::WrongSequence],
        vec![Fault::Answer { command: 1, bytes: vec![0; 300] }],
        vec![Fault::Answer { command: 6, bytes: vec![0, 0xff] }],
        vec![Fault::Status { command: 6, status: 0x7f, times: None }],
    ];
    let bad = faults.len();
    let stage = Stage::new(bad + 4, 8, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let hostile: Vec<SimKey> = (0..bad).map(|n| SimKey::new(&Model::usual(), 100 + n as u32)).collect();
    let good: Vec<SimKey> = blank(4 + bad as u32);
    let all: Vec<Probe> = hostile.iter().chain(&good).map(SimKey::probe).collect();
    for (key, faults) in hostile.iter().zip(&faults) {
        faults.iter().for_each(|fault| key.probe().add_fault(fault.clone()));
    }
    // What an honest wire may do is no reason to refuse a key.
    for (n, key) in good.iter().enumerate() {
        match n % 4 {
            0 => key.probe().add_fault(Fault::ForeignTraffic),
            1 => key.probe().add_fault(Fault::DropAnswerPacket { packet: 10 + n as u64 }),
            2 => key.probe().add_fault(Fault::SlowAnswer { ms: 5 }),
            _ => {}
        }
    }
    // Short enough not to wait long for the silent, long enough for an honest key on a machine that is busy with other things.
    let quick = Limits {
        idle: Duration::from_millis(600),
        overall: Duration::from_millis(1_200),
        grace: Duration::from_millis(200),
        ..Limits::default()
    };
    // A good one first, and the others after it: the class is proven, and the bad ones don't keep the bench to themselves
    // one after another.
    let mut good = good.into_iter();
    let first = good.next();
    let order = first.into_iter().chain(hostile).chain(good).map(BoxedKey::from).collect();
    let (proven, over) = (Flag::default(), AtomicBool::new(false));
    let resting: Mutex<BTreeSet<JobId>> = Mutex::default();
    let play = Play { limits: quick, interrupt: Some(&over), ..Play::of(order).idle(60_000) };
    let (outcome, day) = stage.run(
        &ledger,
        play.watched_by(|progress, _| {
            let mut resting = resting.lock().expect("a lock");
            match progress {
                Progress::Plugged { port } if port.as_str() != "sim-1" => {
                    drop(resting);
                    return proven.wait();
                }
                Progress::Assigned { job, .. } => {
                    resting.remove(job);
                }
                Progress::Finished(done) => {
                    proven.raise();
                    resting.insert(done.job.clone());
                }
                Progress::Parked { job, .. } | Progress::PulledEarly { job, .. } | Progress::Failed { job, .. } => {
                    resting.insert(job.clone());
                }
                _ => {}
            }
            // Nobody has a key in a port that anything is still to come of: the day is over.
            over.store(resting.len() == bad + 4, Ordering::SeqCst);
        }),
    );
    let counts = outcome.expect("a run").summary.counts;
    assert!(counts.finished >= 4, "{counts:?}");
    // Mended or replaced, everybody is served in the end, and nothing is left on any key that the ledger does not know.
    all.iter().for_each(Probe::clear_faults);
    let spare = (0..bad as u32).map(|n| SimKey::new(&Model::usual(), 300 + n));
    let keys: Vec<SimKey> = day.keys.into_iter().map(|(key, _)| key).chain(spare).collect();
    let now = probes(&keys);
    let counts = stage.run(&ledger, Play::of(boxed(keys)).idle(60_000)).0;
    let counts = counts.expect("a run").summary.counts;
    assert_eq!(counts.finished + counts.already, stage.people().len() as u64, "{counts:?} {:#?}", stage.events());
    assert_everybody(&stage, &ledger, &now, "after hostile keys");
    let held: usize = now.iter().map(|probe| probe.residents().len()).sum();
    assert_eq!(held, stage.people().len(), "no orphan on any key");
}

#[test]
fn ctrl_c_at_any_moment_leaves_everything_finished_or_parked() {
    let stage = Stage::new(3 * 30, 3, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for case in 0..30 {
        let people: Vec<usize> = (0..3).map(|n| case * 3 + n).collect();
        let keys: Vec<SimKey> = people.iter().map(|person| SimKey::new(&Model::usual(), *person as u32 + 1)).collect();
        let probes = probes(&keys);
        let (interrupt, events) = (AtomicBool::new(false), AtomicUsize::new(0));
        let play = |keys: Vec<BoxedKey>| Play { people: people.clone(), ..Play::of(keys) };
        let first = Play {
            interrupt: Some(&interrupt),
            ..play(boxed(keys)).watched_by(|_, _| {
                if events.fetch_add(1, Ordering::SeqCst) == case * 2 {
                    interrupt.store(true, Ordering::SeqCst);
                }
            })
        };
        let (outcome, day) = stage.run(&ledger, first);
        let summary = outcome.expect("a run").summary;
        assert_eq!(summary.counts.finished + summary.counts.parked, 3, "{summary:?}");
        *ends.entry(format!("{:?}", summary.end)).or_default() += 1;
        for person in &people {
            let state = stage.state_of(&ledger, &stage.job_of(&stage.people()[*person]));
            // What Entra has is finished, not parked: nothing more needs a hand.
            assert!(state.made().is_none() || state.status() == JobStatus::Finished, "case {case}: {state:?}");
        }
        let fresh: Vec<SimKey> =
            people.iter().map(|person| SimKey::new(&Model::usual(), *person as u32 + 1_001)).collect();
        let probes: Vec<Probe> = probes.into_iter().chain(fresh.iter().map(SimKey::probe)).collect();
        let keys = day.keys.into_iter().map(|(key, _)| key).chain(fresh).map(BoxedKey::from).collect();
        stage.run(&ledger, play(keys)).0.expect("a run");
        for person in people {
            let state = stage.state_of(&ledger, &stage.job_of(&stage.people()[person]));
            let made = state.made().unwrap_or_else(|| panic!("case {case}: {state:?}"));
            let holds = |probe: &&Probe| probe.residents().iter().any(|held| held.credential_id == made.credential);
            let holders: Vec<Probe> = probes.iter().filter(holds).cloned().collect();
            stage.assert_finished(&ledger, person, &holders, &format!("case {case}"));
        }
    }
    assert!(ends.get("Interrupted").is_some_and(|count| *count >= 10), "{ends:?}");
}
