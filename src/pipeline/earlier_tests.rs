//! Keys of people who are not in this run.

use super::progress::Progress;
use super::stage::{Play, Stage};
use crate::sim::key::{Model, SimKey};
use crate::sim::operator::{BoxedKey, Manner};

/// Codes and sentences of the keys that were refused.
fn refused(stage: &Stage) -> Vec<(String, String)> {
    let told = |event| match event {
        Progress::KeyRefused { code, detail, .. } => Some((code, detail.unwrap_or_default())),
        _ => None,
    };
    stage.events().into_iter().filter_map(told).collect()
}

#[test]
fn a_key_of_somebody_who_is_not_in_this_run_is_told_as_theirs() {
    let usual = Model::usual();
    let pulled = Manner { pull_when_blinking: true, back_after_ms: 3_600_000, ..Manner::default() };
    for (manner, code, sentence) in
        [(Manner::default(), "already-finished", "It is the key of "), (pulled, "begun-elsewhere", "It was begun for ")]
    {
        let stage = Stage::new(2, 1, |_| {});
        let ledger = stage.open_ledger();
        stage.plan(&ledger);
        let boxed = BoxedKey { key: SimKey::new(&usual, 1), manner };
        let (_, day) = stage.run(&ledger, Play::of(vec![boxed]).only(0).once_through());
        let (theirs, _) = day.keys.into_iter().next().expect("the key");
        let other = SimKey::new(&usual, 2);
        let probe = other.probe();
        let (outcome, _) = stage.run(&ledger, Play::of(vec![theirs.into(), other.into()]).only(1));
        assert_eq!(outcome.expect("a run").summary.counts.finished, 1, "{code}");
        stage.assert_finished(&ledger, 1, &[probe], code);
        let person = &stage.people()[0];
        let whose = format!("{sentence}{} (job {}).", person.upn, stage.job_of(person));
        assert_eq!(refused(&stage), [(code.to_owned(), whose)]);
    }
}

#[test]
fn a_key_that_was_wiped_and_given_on_is_the_next_ones() {
    let usual = Model::usual();
    let stage = Stage::new(3, 1, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let mut last = None;
    for person in [0, 1] {
        // From the factory, with the same serial number: as a reset leaves it.
        let (_, day) = stage.run(&ledger, Play::of(vec![SimKey::new(&usual, 1).into()]).only(person).once_through());
        last = day.keys.into_iter().next().map(|(key, _)| key);
    }
    let keys = vec![last.expect("the key").into(), SimKey::new(&usual, 2).into()];
    stage.run(&ledger, Play::of(keys).only(2)).0.expect("a run");
    let person = &stage.people()[1];
    let whose = format!("It is the key of {} (job {}).", person.upn, stage.job_of(person));
    assert_eq!(refused(&stage), [("already-finished".to_owned(), whose)]);
}
