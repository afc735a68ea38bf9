//! The whole journey on simulated keys.

use super::progress::Progress;
use super::stage::{Play, Stage};
use crate::ledger::Ledger as _;
use crate::sim::key::{Model, SimKey};

fn blank(count: u32) -> Vec<crate::sim::operator::BoxedKey> {
    let model = Model::by_id("yubikey-5-nfc").expect("a model");
    (1..=count).map(|unit| SimKey::new(&model, unit).into()).collect()
}

#[test]
fn everybody_gets_a_key_that_works() {
    let stage = Stage::new(6, 3, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let (outcome, day) = stage.run(&ledger, Play::of(blank(6)));
    let summary = outcome.expect("a run").summary;
    assert_eq!((summary.counts.planned, summary.counts.finished), (6, 6), "{:#?}", stage.events());
    assert_eq!(summary.graph_requests, 18, "options, registration and read-back for each");
    assert_eq!(summary.graph_retries, 0);
    assert_eq!(day.keys.len(), 6);
    for person in stage.people() {
        let job = stage.job_of(person);
        let pin = stage.open_pin(&ledger, &job, 1).expect("sealed");
        let holders: Vec<_> = day.keys.iter().filter(|(key, _)| key.probe().pin_is(&pin)).collect();
        assert_eq!(holders.len(), 1, "one key has the PIN of {}", person.upn);
        assert!(holders[0].0.probe().change_is_forced());
    }
    ledger.verify(None).expect("an unbroken chain");
}

#[test]
fn a_key_that_no_supplier_sent_is_refused_untouched() {
    let stage = Stage::new(2, 2, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let model = Model::by_id("yubikey-5-nfc").expect("a model");
    let keys: Vec<SimKey> = (1..=3).map(|unit| SimKey::new(&model, unit)).collect();
    let (strange, sent) = keys.split_first().expect("keys");
    let probe = strange.probe();
    let expected = sent.iter().filter_map(SimKey::serial).collect();
    let boxed = keys.into_iter().map(Into::into).collect();
    let play = Play { expected: Some(expected), ..Play::of(boxed) };
    let counts = stage.run(&ledger, play).0.expect("a run").summary.counts;
    assert_eq!((counts.finished, counts.failed, counts.keys_refused), (2, 0, 1));
    assert!(probe.residents().is_empty());
    let refused = stage.events().into_iter().find_map(|event| match event {
        Progress::KeyRefused { code, .. } => Some(code),
        _ => None,
    });
    assert_eq!(refused.as_deref(), Some("not-expected"));
}

fn refused(stage: &Stage) -> Vec<String> {
    let code = |event| match event {
        Progress::KeyRefused { code, .. } | Progress::Failed { code, .. } => Some(code),
        _ => None,
    };
    stage.events().into_iter().filter_map(code).collect()
}

#[test]
fn a_key_on_the_never_list_is_left_alone() {
    let stage = Stage::new(1, 2, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let model = Model::by_id("yubikey-5-nfc").expect("a model");
    let own = SimKey::new(&model, 7);
    let (probe, serial) = (own.probe(), own.serial().expect("a serial number"));
    let play = Play { never: [serial].into(), ..Play::of(vec![own.into(), SimKey::new(&model, 1).into()]) };
    let counts = stage.run(&ledger, play).0.expect("a run").summary.counts;
    assert_eq!((counts.finished, counts.keys_refused), (1, 1));
    assert_eq!(refused(&stage), ["never-list"]);
    assert!(probe.residents().is_empty() && !probe.pin_is_set());
}

#[test]
fn a_simulated_key_is_registered_in_no_real_tenant() {
    let stage = Stage::new(1, 1, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let key = SimKey::new(&Model::by_id("yubikey-5-nfc").expect("a model"), 1);
    let probe = key.probe();
    let play = Play { real_tenant: true, ..Play::of(vec![key.into()]) }.once_through();
    let counts = stage.run(&ledger, play).0.expect("a run").summary.counts;
    assert_eq!(counts.finished, 0, "{:#?}", stage.events());
    assert_eq!(refused(&stage), ["simulated-key"]);
    assert!(probe.residents().is_empty(), "its passkey is off the key again");
    assert_eq!(
        stage.tenant.state()["people"][0]["methods"].as_array().map(Vec::len),
        Some(0),
        "and never was in the tenant"
    );
}

#[test]
fn a_challenge_that_does_not_live_long_enough_is_told() {
    let key = crate::pin::keygen(jiff::Timestamp::UNIX_EPOCH);
    let keys = crate::pin::Recipients::single(&[key.recipient().to_owned()]).expect("a recipient");
    let holding = super::bench::Holding::days(keys, 30);
    let now: jiff::Timestamp = "2026-11-28T12:00:00Z".parse().expect("a time");
    let too_short = |expires: &str| holding.too_short(expires.parse().expect("a time"), now);
    assert_eq!(too_short("2026-12-28T12:00:00Z"), None);
    assert_eq!(too_short("2026-12-26T12:00:00Z"), None, "options may have lain for a while");
    // What v1.0 gives, and what an older beta would.
    let five_minutes = too_short("2026-11-28T12:05:00Z").expect("too short");
    assert!(five_minutes.contains("43200 minutes") && five_minutes.contains("one of 5"), "{five_minutes}");
    assert!(too_short("2026-12-12T12:00:00Z").is_some());
}
