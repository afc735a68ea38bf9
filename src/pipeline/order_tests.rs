//! Orders of events that two lanes meet in once in a thousand days, brought about on purpose.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::progress::{Progress, Stage as At};
use super::stage::{Flag, Play, Stage};
use crate::ledger::faulty::{Call, Faulty};
use crate::ledger::{Ledger as _, RunEnd};
use crate::sim::key::{Fault, Model, Probe, SimKey};
use crate::sim::operator::BoxedKey;
use crate::sim::tenant::FaultRule;
use crate::sim::tenant::faults::Trouble;
use crate::sim::tenant::route::Kind;
use crate::world::Operator;

/// A job is let go of before it is given back. Were it the other way round, another lane could take the job in between,
/// share the hold that is about to be let go, and find it void at its next entry.
#[test]
fn another_key_for_a_job_never_shares_the_hold_of_the_first() {
    let stage = Stage::new(1, 2, |_| {});
    let ledger = Arc::new(stage.open_ledger());
    stage.plan(&*ledger);
    let keys: Vec<SimKey> = (1..=3).map(|unit| SimKey::new(&Model::usual(), unit)).collect();
    let probes: Vec<Probe> = keys.iter().map(SimKey::probe).collect();
    // The first key refuses makeCredential: its person needs another.
    probes[0].add_fault(Fault::Status { command: 1, status: 0x7f, times: None });
    let (letting_go, chosen, claims) = (Arc::new(Flag::default()), Arc::new(Flag::default()), AtomicUsize::new(0));
    let held_up = {
        let (letting_go, chosen, releases) = (Arc::clone(&letting_go), Arc::clone(&chosen), AtomicUsize::new(0));
        let inner = Arc::clone(&ledger);
        let seen = Arc::clone(&chosen);
        Faulty::counting(inner).holding_up(move |call| match call {
            // While the first lane is about to let go, the second looks for work.
            Call::Release if releases.fetch_add(1, Ordering::SeqCst) == 0 => {
                letting_go.raise();
                chosen.wait();
            }
            // It has the job, wrongly, and the hold on it.
            Call::Claim if letting_go.is_raised() && claims.fetch_add(1, Ordering::SeqCst) == 0 => seen.raise(),
            _ => {}
        })
    };
    let (given_back, second) = (Flag::default(), AtomicBool::new(true));
    let play = Play::of(keys.into_iter().map(BoxedKey::from).collect()).watched_by(|progress, _| match progress {
        Progress::Plugged { port } if port.as_str() == "sim-2" => {
            // The second key comes just then; the third when the person is in line again.
            let when = if second.swap(false, Ordering::SeqCst) { &*letting_go } else { &given_back };
            when.wait();
        }
        Progress::Failed { .. } => given_back.raise(),
        // There is no work for it, rightly.
        Progress::KeyRefused { code, .. } if code == "not-wanted" => chosen.raise(),
        _ => {}
    });
    let (outcome, _) = stage.run(&held_up, play);
    let summary = outcome.expect("no lane lost its hold").summary;
    assert_eq!((summary.counts.finished, summary.end), (1, RunEnd::Complete), "{:#?}", stage.events());
    assert_eq!(summary.counts.keys_refused, 1, "the second key came too early, the third in time");
    ledger.verify(None).expect("an unbroken chain");
}

/// Somebody who is asked to put the tenant right, and takes their time.
struct Asked<'a> {
    first_is_over: &'a Flag,
    second_began: &'a Flag,
    interrupt: &'a AtomicBool,
}

impl Operator for Asked<'_> {
    fn confirm_unless(&self, _: &str, _: &str, _: &dyn Fn() -> bool) -> bool {
        self.first_is_over.wait();
        // The first key's place is free now. Waiting looks for what must not happen; there is nothing that could come late.
        self.second_began.wait_at_most(Duration::from_millis(400));
        self.interrupt.store(true, Ordering::SeqCst);
        false
    }
    fn tell(&self, _: &str) {}
    fn is_present(&self) -> bool {
        true
    }
}

/// The tenant turns the first key of its model away, so touches pause; its place is free before the run has ended. The
/// second key must not be given a PIN for nothing.
#[test]
fn while_touches_pause_the_next_first_key_is_not_begun() {
    let stage = Stage::new(2, 2, |_| {});
    let ledger = stage.open_ledger();
    stage.plan(&ledger);
    let refused =
        FaultRule { on: Some(Kind::Register), status: Some(400), times: Some(1), ..FaultRule::always(Trouble::Status) };
    stage.tenant.add_fault(refused).expect("a fault");
    let keys: Vec<SimKey> = (1..=2).map(|unit| SimKey::new(&Model::usual(), unit)).collect();
    let probes: Vec<Probe> = keys.iter().map(SimKey::probe).collect();
    let (waits, first_is_over, second_began) = (Flag::default(), Flag::default(), Flag::default());
    let interrupt = AtomicBool::new(false);
    let asked = Asked { first_is_over: &first_is_over, second_began: &second_began, interrupt: &interrupt };
    let waiting = AtomicUsize::new(0);
    let play = Play {
        operator: Some(&asked),
        interrupt: Some(&interrupt),
        ..Play::of(keys.into_iter().map(BoxedKey::from).collect()).watched_by(|progress, _| match progress {
            // Both lanes stand before the canary before the first goes through it.
            Progress::Stage { stage: At::WaitingForFirst, .. } if waiting.fetch_add(1, Ordering::SeqCst) == 1 => {
                waits.raise();
            }
            Progress::Stage { stage: At::SettingPin, .. } if first_is_over.is_raised() => second_began.raise(),
            Progress::Stage { stage: At::SettingPin, .. } => waits.wait(),
            Progress::Failed { .. } => first_is_over.raise(),
            _ => {}
        })
    };
    let outcome = stage.run(&ledger, play).0.expect("a run");
    assert_eq!((outcome.summary.counts.failed, outcome.summary.counts.parked), (1, 1), "{:#?}", stage.events());
    assert_eq!(probes.iter().filter(|probe| probe.pin_is_set()).count(), 1, "{:#?}", stage.events());
}
