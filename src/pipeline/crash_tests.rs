//! The program is killed at every write of every journey, and the next run finishes: the crash table, with the real
//! ledger, real seals, OpenSK and the simulated tenant.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::progress::Progress;
use super::stage::{Play, Stage};
use crate::ledger::{Entry, Faulty, Ledger, When};
use crate::model::JobStatus;
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
            Play::of(boxed)
                .only(person)
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
            if stage.state_of(&ledger, &job).status() == JobStatus::Finished {
                break;
            }
            add_spare(&mut boxed, &mut probes);
            let (outcome, day) = stage.run(&ledger, play(std::mem::take(&mut boxed)));
            outcome.expect("a run");
            touches += day.touches;
            boxed.extend(day.keys.into_iter().map(|(key, _)| BoxedKey::from(key)));
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
        prepare: &|_, _, key| key.set_touch_timeout(std::time::Duration::from_millis(30)),
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
fn an_old_key_without_permissions_and_forced_change() {
    stop_everywhere(&Story { model: "yubikey-5-nfc-5.2", ..NOTHING_WRONG });
}
