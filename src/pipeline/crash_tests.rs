//! The program is killed at every write of every journey, and the next run finishes: the crash table, with the real
//! ledger, real seals, OpenSK and the simulated tenant.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::progress::Progress;
use super::stage::{Play, Stage};
use crate::ledger::{Entry, Faulty, HandoverEntry, Ledger, When};
use crate::model::{JobStatus, TenantId};
use crate::provision::held::{ActivationError, end_what_is_over};
use crate::sim::key::{Fault, Model, Probe, SimKey};
use crate::sim::operator::{BoxedKey, Manner};
use crate::sim::tenant::faults::Trouble;
use crate::sim::tenant::route::Kind;
use crate::sim::tenant::{FaultRule, TenantSpec};

const MOST_WRITES: u64 = 80;

/// A journey with something wrong in it.
struct Story<'s> {
    model: &'s str,
    /// Before the journey of the person with this UPN.
    prepare: &'s (dyn Fn(&Stage, &str, &Probe) + Sync),
    tenant: &'s (dyn Fn(&mut TenantSpec) + Sync),
    /// While it goes on.
    meanwhile: &'s (dyn Fn(&Stage, &Progress) + Sync),
    manner: Manner,
    list_lag_ms: u64,
    /// Registration waits for receipt: the bench's part ends with a hold, and then the key is activated.
    hold: bool,
    /// Each run's box has another key behind the first, for journeys that use one up.
    spare: bool,
}

const NOTHING_WRONG: Story<'static> = Story {
    model: "yubikey-5-nfc",
    prepare: &|_, _, _| (),
    tenant: &|_| (),
    meanwhile: &|_, _| (),
    manner: Manner { touch_after_ms: 0, skip_timeouts: 0, brushes: false, pull_when_blinking: false, back_after_ms: 0 },
    list_lag_ms: 2_000,
    hold: false,
    spare: false,
};

/// What was met on the way, for tests that want to know more.
#[derive(Default)]
struct Met {
    points: usize,
    /// The last entry before a stop, by kind and act, and whether the stop was before a commit: the most touches and registrations that
    /// a journey stopped there took in all.
    rows: BTreeMap<(String, bool), (u64, u64)>,
}

fn row(entry: &Entry) -> String {
    let json = serde_json::to_value(entry).expect("serializes");
    [&json["kind"], &json["act"]].iter().filter_map(|part| part.as_str()).collect::<Vec<_>>().join(" ")
}

/// Stops the story at its first, second, third … write, on both sides of the commit, until it comes to its end unstopped.
/// After each stop everything is started anew and must come out right.
fn stop_everywhere(story: &Story<'_>) -> Met {
    // What takes time is waiting, so both sides of the commit go at once.
    let (before, after) = std::thread::scope(|scope| {
        let before = scope.spawn(|| stop_at_every_write(story, When::BeforeCommit));
        (stop_at_every_write(story, When::AfterCommit), before.join())
    });
    let (mut met, after) = (before, after.expect("the other half"));
    assert!(met.points > 10 && after.points > 10, "only {} and {} stops", met.points, after.points);
    met.points += after.points;
    met.rows.extend(after.rows);
    met
}

fn stop_at_every_write(story: &Story<'_>, when: When) -> Met {
    let stage = Stage::new(MOST_WRITES as usize, 1, |spec| (story.tenant)(spec));
    stage.plan(&stage.open_ledger());
    let model = Model::by_id(story.model).expect("a model");
    let mut met = Met::default();
    for (person, stop_at) in (1..=MOST_WRITES).enumerate() {
        let case = format!("stopped at write {stop_at}, {when:?}");
        let upn = stage.people()[person].upn.to_string();
        let job = stage.job_of(&stage.people()[person]);
        let number = u32::try_from(stop_at).expect("small");
        let registrations_before = registrations(&stage);
        let first = SimKey::new(&model, number * 10);
        let mut probes = vec![first.probe()];
        (story.prepare)(&stage, &upn, &probes[0]);
        let play = |boxed: Vec<BoxedKey>| {
            let play = Play::of(boxed);
            let play = if story.hold { play.held() } else { play };
            play.only(person)
                .lag(story.list_lag_ms)
                .idle(3_000)
                .watched_by(|progress, _| (story.meanwhile)(&stage, progress))
        };
        let ledger = Arc::new(stage.open_ledger());
        let faulty = Faulty::new(Arc::clone(&ledger) as Arc<dyn Ledger>, stop_at, when);
        let mut boxed = vec![BoxedKey { key: first, manner: story.manner }];
        let add_spare = |boxed: &mut Vec<BoxedKey>, probes: &mut Vec<Probe>| {
            if story.spare {
                let key = SimKey::new(&model, number * 10 + u32::try_from(probes.len()).expect("small"));
                probes.push(key.probe());
                boxed.push(key.into());
            }
        };
        add_spare(&mut boxed, &mut probes);
        let (outcome, day) = stage.run(&faulty, play(std::mem::take(&mut boxed)));
        let stopped = faulty.has_stopped();
        let mut last_row = None;
        assert_eq!(outcome.is_err(), stopped, "{case}: {outcome:?}");
        boxed.extend(day.keys.into_iter().map(|(key, _)| BoxedKey::from(key)));
        if stopped {
            met.points += 1;
            let last = ledger.entries_of(&job).expect("entries").pop().expect("planned");
            last_row = Some(row(&last.entry));
        }
        let mut touches = day.touches;
        drop(faulty);
        drop(ledger);
        // As the program does when it starts again. A story that used its first key up may need another run for the spare.
        let ledger = stage.open_ledger();
        for _ in 0..3 {
            stage.settle(&ledger);
            if matches!(stage.state_of(&ledger, &job).status(), JobStatus::Finished | JobStatus::Held) {
                break;
            }
            add_spare(&mut boxed, &mut probes);
            let (outcome, day) = stage.run(&ledger, play(std::mem::take(&mut boxed)));
            outcome.expect("a run");
            touches += day.touches;
            boxed.extend(day.keys.into_iter().map(|(key, _)| BoxedKey::from(key)));
        }
        if story.hold {
            stage.assert_held(&ledger, person, &probes, &case);
            stage.activate(&ledger, &job, Duration::from_secs(2)).expect("activated");
        }
        stage.assert_finished(&ledger, person, &probes, &case);
        let registrations = registrations(&stage) - registrations_before;
        if let Some(row) = last_row {
            let most = met.rows.entry((row, when == When::BeforeCommit)).or_default();
            *most = (most.0.max(touches), most.1.max(registrations));
        }
        if !stopped {
            ledger.verify(None).expect("an unbroken chain");
            return met;
        }
    }
    panic!("the journey never came to its end");
}

fn registrations(stage: &Stage) -> u64 {
    stage.tenant.state()["requests"]["register"].as_u64().unwrap_or(0)
}

fn once(on: Kind, upn: &str, then: Trouble) -> FaultRule {
    FaultRule { on: Some(on), upn: Some(upn.to_owned()), times: Some(1), ..FaultRule::always(then) }
}

#[test]
fn the_plain_journey_survives_a_stop_at_every_write() {
    let met = stop_everywhere(&NOTHING_WRONG);
    // Every row of the crash table was the last thing that the ledger knew.
    for row in [
        "job-planned",
        "claimed",
        "attempt-started",
        "pin-sealed",
        "intent set-pin",
        "pin-set",
        "intent make-credential",
        "credential-made",
        "intent register",
        "registered",
        "intent set-pin-rules",
        "finished",
        "resume-key-destroyed",
    ] {
        assert!(met.rows.keys().any(|(met, _)| met == row), "{row} is missing among {:?}", met.rows);
    }
    // Nothing is asked of a hand or of Entra twice, but for one case: a credential was made and its record was not kept.
    for ((row, before), (touches, registrations)) in met.rows {
        let made_unknown = row == "intent make-credential" && before;
        assert_eq!(touches, if made_unknown { 2 } else { 1 }, "after {row}, before the commit: {before}");
        assert_eq!(registrations, 1, "after {row}, before the commit: {before}");
    }
}

#[test]
fn a_lost_answer_to_the_registration() {
    stop_everywhere(&Story {
        prepare: &|stage, upn, _| {
            stage.tenant.add_fault(once(Kind::Register, upn, Trouble::Lose)).expect("a fault");
        },
        ..NOTHING_WRONG
    });
}

#[test]
fn a_lost_answer_and_a_slow_list() {
    // One read each time, and the first three show nothing: the same record is sent again and refused as a duplicate.
    stop_everywhere(&Story {
        prepare: &|stage, upn, _| {
            stage.tenant.add_fault(once(Kind::Register, upn, Trouble::Lose)).expect("a fault");
        },
        tenant: &|spec| spec.quirks.list_lag_reads = 3,
        list_lag_ms: 0,
        ..NOTHING_WRONG
    });
}

#[test]
fn a_registration_that_never_arrived() {
    stop_everywhere(&Story {
        prepare: &|stage, upn, _| {
            stage.tenant.add_fault(once(Kind::Register, upn, Trouble::Drop)).expect("a fault");
        },
        list_lag_ms: 100,
        ..NOTHING_WRONG
    });
}

#[test]
fn a_slow_list() {
    stop_everywhere(&Story { tenant: &|spec| spec.quirks.list_lag_reads = 2, ..NOTHING_WRONG });
}

#[test]
fn nobody_touched_it_in_time() {
    stop_everywhere(&Story {
        prepare: &|_, _, key| key.set_touch_timeout(Duration::from_millis(30)),
        manner: Manner { skip_timeouts: 1, ..NOTHING_WRONG.manner },
        ..NOTHING_WRONG
    });
}

#[test]
fn the_challenge_runs_out_after_the_touch() {
    stop_everywhere(&Story {
        meanwhile: &|stage, progress| {
            // Only the first credential of each job is late: the second is made at once.
            if let Progress::Bound { job, .. } = progress {
                let bound = |other: &Progress| matches!(other, Progress::Bound { job: other, .. } if other == job);
                if !stage.events().iter().any(bound) {
                    stage.tenant.advance(400);
                }
            }
        },
        ..NOTHING_WRONG
    });
}

#[test]
fn a_refused_registration() {
    stop_everywhere(&Story {
        prepare: &|stage, upn, _| {
            let rule = FaultRule { status: Some(400), ..once(Kind::Register, upn, Trouble::Status) };
            stage.tenant.add_fault(rule).expect("a fault");
        },
        spare: true,
        list_lag_ms: 50,
        ..NOTHING_WRONG
    });
}

#[test]
fn a_key_that_talks_nonsense_when_it_makes_a_credential() {
    stop_everywhere(&Story { prepare: &|_, _, key| key.add_fault(Fault::ShortAuthData), spare: true, ..NOTHING_WRONG });
}

#[test]
fn a_key_that_can_not_sign() {
    stop_everywhere(&Story {
        prepare: &|_, _, key| key.add_fault(Fault::Status { command: 2, status: 0x7f, times: None }),
        spare: true,
        ..NOTHING_WRONG
    });
}

#[test]
fn a_key_that_refuses_the_pin_rules() {
    stop_everywhere(&Story {
        prepare: &|_, _, key| key.add_fault(Fault::Status { command: 0x0d, status: 0x27, times: None }),
        spare: true,
        ..NOTHING_WRONG
    });
}

#[test]
fn a_tenant_that_asks_for_more_protection_than_entra_does() {
    // What was asked is known after a restart as well: neither is more held against the key, nor less.
    stop_everywhere(&Story {
        tenant: &|spec| spec.quirks.credential_protection = "userVerificationOptionalWithCredentialIDList".into(),
        ..NOTHING_WRONG
    });
}

#[test]
fn an_old_key_without_permissions_and_forced_change() {
    stop_everywhere(&Story { model: "yubikey-5-nfc-5.2", ..NOTHING_WRONG });
}

#[test]
fn a_held_key_survives_a_stop_at_every_write_of_the_bench() {
    let met = stop_everywhere(&Story { hold: true, ..NOTHING_WRONG });
    for row in ["credential-made", "intent set-pin-rules", "pin-rules-set", "handover held", "resume-key-destroyed"] {
        assert!(met.rows.keys().any(|(met, _)| met == row), "{row} is missing among {:?}", met.rows);
    }
    for ((row, before), (touches, registrations)) in met.rows {
        let made_unknown = row == "intent make-credential" && before;
        assert_eq!(touches, if made_unknown { 2 } else { 1 }, "after {row}, before the commit: {before}");
        assert_eq!(registrations, 1, "after {row}, before the commit: {before}: sent by the activation alone");
    }
}

#[test]
fn a_held_key_that_refuses_the_pin_rules_leaves_nobody_a_passkey() {
    stop_everywhere(&Story {
        prepare: &|_, _, key| key.add_fault(Fault::Status { command: 0x0d, status: 0x27, times: None }),
        hold: true,
        spare: true,
        ..NOTHING_WRONG
    });
}

/// Held keys, one for each write of an activation, with something wrong on the way. Each activation is stopped at its write;
/// the next one finishes, and the tenant has one passkey.
fn stop_activations(tenant: &dyn Fn(&mut TenantSpec), prepare: &dyn Fn(&Stage, &str), most_sent: u64) {
    const WRITES: usize = 9;
    let stage = Stage::new(2 * WRITES, 4, |spec| tenant(spec));
    let ledger = Arc::new(stage.open_ledger());
    stage.plan(&*ledger);
    let model = Model::usual();
    let keys: Vec<SimKey> = (1..=2 * WRITES).map(|n| SimKey::new(&model, u32::try_from(n).expect("small"))).collect();
    let probes: Vec<Probe> = keys.iter().map(SimKey::probe).collect();
    let (outcome, _) = stage.run(&*ledger, Play::of(keys.into_iter().map(BoxedKey::from).collect()).held());
    let counts = outcome.expect("a run").summary.counts;
    assert_eq!((counts.finished, counts.held), (2 * WRITES as u64, 2 * WRITES as u64));
    let mut rows = std::collections::BTreeSet::new();
    let mut stops = 0;
    for person in 0..2 * WRITES {
        let when = if person < WRITES { When::BeforeCommit } else { When::AfterCommit };
        let stop_at = (person % WRITES) as u64 + 1;
        let case = format!("activation stopped at write {stop_at}, {when:?}");
        let job = stage.job_of(&stage.people()[person]);
        let made = stage.state_of(&*ledger, &job).made().expect("made").clone();
        let own: Vec<Probe> = probes
            .iter()
            .filter(|probe| probe.residents().iter().any(|held| held.credential_id == made.credential))
            .cloned()
            .collect();
        let upn = stage.people()[person].upn.to_string();
        prepare(&stage, &upn);
        let before = registrations(&stage);
        let faulty = Faulty::new(Arc::clone(&ledger) as Arc<dyn Ledger>, stop_at, when);
        let first = stage.activate(&faulty, &job, Duration::from_millis(100));
        if faulty.has_stopped() {
            stops += 1;
            assert!(first.is_err(), "{case}");
            rows.insert(row(&ledger.entries_of(&job).expect("entries").pop().expect("planned").entry));
        }
        drop(faulty);
        let mut patience = 5;
        while stage.state_of(&*ledger, &job).status() != JobStatus::Finished {
            patience -= 1;
            assert!(patience > 0, "{case}: {:?}", stage.state_of(&*ledger, &job));
            let _ = stage.activate(&*ledger, &job, Duration::from_secs(2));
        }
        stage.assert_finished(&*ledger, person, &own, &case);
        assert!(registrations(&stage) - before <= most_sent, "{case}: sent too often");
        let sealed = ledger.entries_of(&job).expect("entries").iter().find_map(|recorded| match &recorded.entry {
            Entry::Handover(HandoverEntry::Held { sealed, .. }) => Some(*sealed),
            _ => None,
        });
        assert_eq!(ledger.blob(sealed.expect("it was held")).expect("read"), None, "{case}: the sealed record is gone");
    }
    assert!(stops >= 6, "only {stops} stops, after {rows:?}");
    assert!(rows.contains("intent register"), "{rows:?}");
    ledger.verify(None).expect("an unbroken chain");
}

#[test]
fn an_activation_survives_a_stop_at_every_write() {
    stop_activations(&|_| (), &|_, _| (), 1);
}

#[test]
fn an_activation_whose_answer_is_lost_is_adopted() {
    let lose = |stage: &Stage, upn: &str| {
        stage.tenant.add_fault(once(Kind::Register, upn, Trouble::Lose)).expect("a fault");
    };
    stop_activations(&|_| (), &lose, 1);
}

#[test]
fn an_activation_that_never_arrived_is_sent_again() {
    let drop = |stage: &Stage, upn: &str| {
        stage.tenant.add_fault(once(Kind::Register, upn, Trouble::Drop)).expect("a fault");
    };
    stop_activations(&|_| (), &drop, 2);
}

#[test]
fn an_activation_behind_a_slow_list_is_not_doubled() {
    stop_activations(&|spec| spec.quirks.list_lag_reads = 2, &|_, _| (), 2);
}

#[test]
fn an_activation_that_the_tenant_refuses_can_be_tried_again() {
    let stage = Stage::new(1, 1, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let key = SimKey::new(&Model::usual(), 1);
    let probe = key.probe();
    stage.run(&ledger, Play::of(vec![key.into()]).held()).0.expect("a run");
    let (job, upn) = (stage.job_of(&stage.people()[0]), stage.people()[0].upn.to_string());
    let refusal = FaultRule { status: Some(400), ..once(Kind::Register, &upn, Trouble::Status) };
    stage.tenant.add_fault(refusal).expect("a fault");
    let error = stage.activate(&ledger, &job, Duration::from_millis(100)).expect_err("refused");
    assert!(matches!(&error, ActivationError::Rests { code, .. } if code == "registration-refused"), "{error:?}");
    stage.assert_held(&ledger, 0, std::slice::from_ref(&probe), "refused");
    stage.activate(&ledger, &job, Duration::from_secs(2)).expect("activated");
    stage.assert_finished(&ledger, 0, &[probe], "at the second try");
    let again = stage.activate(&ledger, &job, Duration::from_secs(2)).expect_err("not twice");
    assert!(matches!(again, ActivationError::NotHeld), "{again:?}");
}

#[test]
fn an_expired_hold_is_refused_here_ended_by_the_next_run_and_made_anew() {
    let stage = Stage::new(1, 1, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let (first, second) = (SimKey::new(&Model::usual(), 1), SimKey::new(&Model::usual(), 2));
    let probe = second.probe();
    stage.run(&ledger, Play::of(vec![first.into()]).held()).0.expect("a run");
    let (job, tenant) = (stage.job_of(&stage.people()[0]), TenantId::new(&stage.tenant.tenant_id));
    let now = |stage: &Stage| {
        stage.graph().fido2_policy().expect("an answer tells the time");
        stage.graph().server_now()
    };
    assert_eq!(end_what_is_over(&ledger, &tenant, now(&stage)).expect("read"), []);
    stage.tenant.advance(31 * 24 * 3600);
    let sent = registrations(&stage);
    let later = now(&stage);
    let error = stage.activate(&ledger, &job, Duration::from_millis(100)).expect_err("too late");
    assert!(matches!(error, ActivationError::Expired(_)), "{error:?}");
    assert_eq!(registrations(&stage), sent, "the service is not troubled with it");
    let ended = end_what_is_over(&ledger, &tenant, later).expect("ended");
    assert_eq!(ended.iter().map(|one| (&one.job, one.code.as_str())).collect::<Vec<_>>(), [(&job, "hold-expired")]);
    let error = stage.activate(&ledger, &job, Duration::from_millis(100)).expect_err("over");
    assert!(matches!(error, ActivationError::NotHeld), "{error:?}");
    stage.run(&ledger, Play::of(vec![second.into()]).held()).0.expect("a run");
    stage.assert_held(&ledger, 0, std::slice::from_ref(&probe), "another key");
    stage.activate(&ledger, &job, Duration::from_secs(2)).expect("activated");
    stage.assert_finished(&ledger, 0, &[probe], "another key");
}
