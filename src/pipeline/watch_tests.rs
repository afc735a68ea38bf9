//! What one run leaves, the next one settles first.

use std::sync::atomic::{AtomicU32, Ordering};

use jiff::{SignedDuration, Timestamp};

use super::progress::{Progress, Stage as At};
use super::stage::{Play, Stage};
use super::watch::{WATCHED_FOR, settle_before_run};
use crate::ledger::{Entry, Ledger};
use crate::pin::{DirResumeStore, ResumeStore as _};
use crate::sim::key::{Model, SimKey};
use crate::sim::tenant::FaultRule;
use crate::sim::tenant::faults::Trouble;
use crate::sim::tenant::route::Kind;

fn kinds(ledger: &dyn Ledger, stage: &Stage) -> Vec<Entry> {
    let job = stage.job_of(&stage.people()[0]);
    ledger.entries_of(&job).expect("entries").into_iter().map(|recorded| recorded.entry).collect()
}

/// The answer to a registration is lost and the list lags for longer than the challenge lives.
fn given_up(list_lag_ms: u64, trouble: Trouble) -> (Stage, SimKey) {
    let stage = Stage::new(1, 1, |spec| spec.quirks.list_lag_ms = list_lag_ms);
    let key = SimKey::new(&Model::usual(), 1);
    let lost = FaultRule { on: Some(Kind::Register), times: Some(1), ..FaultRule::always(trouble) };
    stage.tenant.add_fault(lost).expect("a fault");
    (stage, key)
}

/// Expired before the answer was missed: what is sent again is refused, and nothing will ever show.
fn past_its_challenge(stage: &Stage, key: SimKey) -> Play<'_> {
    Play::of(vec![key.into()]).lag(0).watched_by(|progress, _| {
        let bound = |event: &&Progress| matches!(event, Progress::Bound { .. });
        if bound(&progress) && !stage.events().iter().any(|event| bound(&event)) {
            stage.tenant.advance(400);
        }
    })
}

#[test]
fn a_credential_that_turns_up_late_is_deleted_by_the_next_run() {
    let (stage, key) = given_up(3_600_000, Trouble::Lose);
    let probe = key.probe();
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let reads = AtomicU32::new(0);
    let play = Play::of(vec![key.into()]).lag(0).watched_by(|progress, _| {
        if matches!(progress, Progress::Stage { stage: At::ReadingBack, .. }) {
            match reads.fetch_add(1, Ordering::SeqCst) {
                // The challenge runs out, then the list shows what it has.
                3 => stage.tenant.advance(400),
                8 => stage.tenant.advance(4_000),
                _ => {}
            }
        }
    });
    let (outcome, _) = stage.run(&ledger, play);
    assert_eq!(outcome.expect("a run").summary.counts.finished, 1, "{:#?}", stage.events());
    let watched = kinds(&ledger, &stage).into_iter().find_map(|entry| match entry {
        Entry::Watched { credential, .. } => Some(credential),
        _ => None,
    });
    let watched = watched.expect("the first credential is watched");
    assert_eq!(probe.residents().len(), 1, "it is off the key");
    assert_ne!(probe.residents()[0].credential_id, watched);
    let methods = || stage.tenant.state()["people"][0]["methods"].as_array().expect("methods").len();
    assert_eq!(methods(), 2, "it was registered after all");

    let settled = stage.settle(&ledger);
    assert_eq!((settled.deleted.len(), settled.still_watched), (1, 0));
    stage.assert_finished(&ledger, 0, &[probe], "settled");
    let last = kinds(&ledger, &stage).into_iter().rev().find(|entry| matches!(entry, Entry::Unwatched { .. }));
    assert!(
        matches!(last, Some(Entry::Unwatched { credential, deleted: Some(_), .. }) if credential == watched),
        "the ledger knows"
    );
    assert_eq!(stage.settle(&ledger), super::watch::Settled::default(), "nothing is left to do");
    ledger.verify(None).expect("an unbroken chain");
}

#[test]
fn a_credential_that_never_turns_up_is_watched_for_a_day() {
    let (stage, key) = given_up(0, Trouble::Drop);
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let play = past_its_challenge(&stage, key);
    let (outcome, _) = stage.run(&ledger, play);
    assert_eq!(outcome.expect("a run").summary.counts.finished, 1, "{:#?}", stage.events());
    assert!(kinds(&ledger, &stage).iter().any(|entry| matches!(entry, Entry::Watched { .. })));
    assert_eq!(stage.settle(&ledger).still_watched, 1);
    let resume = DirResumeStore::open(stage.resume_dir()).expect("a store");
    let later = Timestamp::now() + WATCHED_FOR + SignedDuration::from_hours(1);
    let settled = settle_before_run(&ledger, &resume, stage.graph(), later).expect("settled");
    assert_eq!(settled.still_watched, 0);
    assert!(matches!(kinds(&ledger, &stage).last(), Some(Entry::Unwatched { deleted: None, .. })));
}

#[test]
fn a_person_whose_passkeys_may_not_be_read_keeps_no_run_from_beginning() {
    let (stage, key) = given_up(0, Trouble::Drop);
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let play = past_its_challenge(&stage, key);
    stage.run(&ledger, play).0.expect("a run");
    // The person has become an administrator, whose passkeys this account may not see.
    let forbidden =
        |status| FaultRule { on: Some(Kind::List), status: Some(status), ..FaultRule::always(Trouble::Status) };
    stage.tenant.add_fault(forbidden(403)).expect("a fault");
    let settled = stage.settle(&ledger);
    let job = stage.job_of(&stage.people()[0]);
    assert_eq!((settled.still_watched, settled.unseen.len()), (1, 1));
    assert_eq!(settled.unseen[0].0, job);
    // Not even after a day: nobody has looked.
    let resume = DirResumeStore::open(stage.resume_dir()).expect("a store");
    let later = Timestamp::now() + WATCHED_FOR + SignedDuration::from_hours(1);
    let settled = settle_before_run(&ledger, &resume, stage.graph(), later).expect("settled");
    assert_eq!((settled.still_watched, settled.unseen.len()), (1, 1));
    assert!(!kinds(&ledger, &stage).iter().any(|entry| matches!(entry, Entry::Unwatched { .. })));
}

#[test]
fn resume_keys_that_outlived_their_jobs_are_destroyed() {
    let stage = Stage::new(2, 2, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let boxed = (1..=2).map(|unit| SimKey::new(&Model::usual(), unit).into()).collect();
    stage.run(&ledger, Play::of(boxed)).0.expect("a run");
    let resume = DirResumeStore::open(stage.resume_dir()).expect("a store");
    assert!(resume.list().expect("a list").is_empty());
    // From a backup, say.
    let job = stage.job_of(&stage.people()[0]);
    resume.create(&job, 1).expect("a key");
    let settled = stage.settle(&ledger);
    assert_eq!(settled.resume_keys, [(job, 1)]);
    assert!(resume.list().expect("a list").is_empty());
}
