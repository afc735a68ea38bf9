//! Keys of people who are not in this run.

use super::progress::Progress;
use super::stage::{Play, Stage};
use crate::sim::key::{Model, SimKey};
use crate::sim::operator::{BoxedKey, Manner};

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
        let told: Vec<_> = stage
            .events()
            .into_iter()
            .filter_map(|event| match event {
                Progress::KeyRefused { code, detail, .. } => Some((code, detail.unwrap_or_default())),
                _ => None,
            })
            .collect();
        let whose = format!("{sentence}{} (job {}).", stage.people()[0].upn, stage.job_of(&stage.people()[0]));
        assert_eq!(told, [(code.to_owned(), whose)]);
    }
}
