//! A rehearsal: a simulated pair of hands with simulated keys, wired to a real bench.
//!
//! The bench works as ever. It is given simulated ports, and what it tells its watchers is told to the hands too, in
//! [`Rehearsal::heard`]. Promises: nobody touches anything before the bench says it is ready; a box of blank keys never gives
//! out more keys than people wait for; with a directory to keep them in, keys survive a killed program, and those that were
//! in the ports then are plugged in first.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::pipeline::progress::{Progress, ShownBy};
use crate::sim::key::{Drawer, Model, Probe, SimKey, simulator_root_der};
use crate::sim::operator::{BoxedKey, Cue, Cues, Day, Hands, Timings};
use crate::sim::ports::SimPorts;
use crate::sim::scenario::{Scenario, ScenarioError};
use crate::webauthn::trust::Anchors;

/// How long blank keys wait for a touch.
pub const TOUCH_TIMEOUT: Duration = Duration::from_secs(3);

/// Hands fast enough that nobody has to wait for a rehearsal: people's times, scaled by 0.15.
pub const FAST: Timings =
    Timings { plug: Duration::from_millis(225), touch: Duration::from_millis(105), unplug: Duration::from_millis(300) };

/// Why a rehearsal can't begin.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// The scenario.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The kept keys, or the system gives no thread.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Somebody at simulated ports.
pub struct Rehearsal {
    ports: SimPorts,
    cues: Mutex<Cues>,
    begin: Mutex<Option<Sender<()>>>,
    demand: Arc<Demand>,
    hands: Option<JoinHandle<Day>>,
}

/// What the bench has said of the work there is.
#[derive(Default)]
struct Demand {
    /// Jobs whose own key has to come back.
    begun: AtomicUsize,
    /// People who wait for a key, less the keys handed out for them.
    keys: AtomicI64,
}

impl Demand {
    /// One key for one person; `false` when nobody waits.
    fn take(&self) -> bool {
        self.keys.fetch_update(Ordering::AcqRel, Ordering::Acquire, |keys| (keys > 0).then(|| keys - 1)).is_ok()
    }
}

impl Rehearsal {
    /// Blank keys of the usual model, as many as people wait for, at `ports` ports. `keep` is a private directory in which the keys'
    /// memory is kept; keys that an earlier run left in it come first.
    ///
    /// # Errors
    /// When the directory can't be used ([`io::ErrorKind::ResourceBusy`]: by another program now), or there is no thread to be had.
    pub fn with_blank_keys(ports: usize, timings: Timings, keep: Option<&Path>) -> io::Result<Self> {
        let (drawer, kept) = open(keep)?;
        let demand = Arc::new(Demand::default());
        let mut unit = 0;
        let fresh = {
            let demand = Arc::clone(&demand);
            std::iter::from_fn(move || {
                if !demand.take() {
                    return None;
                }
                unit += 1;
                let blank = |unit| SimKey::new(&Model::usual(), unit);
                let key = match &drawer {
                    Some(drawer) => drawer.add(blank),
                    None => Ok(blank(unit)),
                };
                match key {
                    Ok(key) => Some(with_patience(key, TOUCH_TIMEOUT)),
                    Err(error) => {
                        tracing::error!(%error, "there are no more simulated keys");
                        None
                    }
                }
            })
        };
        let back = put_back(kept, TOUCH_TIMEOUT, Arc::clone(&demand));
        Self::start(SimPorts::numbered(ports), timings, Unfused { first: back, then: fresh }, demand)
    }

    /// The keys and the person of a scenario. `keep` as for [`Rehearsal::with_blank_keys`]; the scenario's keys that an earlier run
    /// took from the box are not taken again.
    ///
    /// # Errors
    /// [`RehearsalError`].
    pub fn of_scenario(scenario: &Scenario, keep: Option<&Path>) -> Result<Self, RehearsalError> {
        let (drawer, kept) = open(keep)?;
        let patience = Duration::from_millis(scenario.hands.touch_timeout_ms);
        let used = drawer.as_ref().map_or(0, Drawer::so_far) as usize;
        let rest = scenario.make_keys()?.into_iter().skip(used).map_while(move |BoxedKey { key, manner }| {
            let key = match &drawer {
                Some(drawer) => drawer.add(|_| key),
                None => Ok(key),
            };
            let key = key.inspect_err(|error| tracing::error!(%error, "a simulated key can't be kept")).ok()?;
            Some(BoxedKey { key, manner })
        });
        let demand = Arc::new(Demand::default());
        let back = put_back(kept, patience, Arc::clone(&demand));
        Ok(Self::start(scenario.make_ports(), scenario.timings(), back.chain(rest), demand)?)
    }

    fn start(
        ports: SimPorts,
        timings: Timings,
        keys: impl Iterator<Item = BoxedKey> + Send + 'static,
        demand: Arc<Demand>,
    ) -> io::Result<Self> {
        let hands = Hands::new(ports.clone(), timings, keys);
        let cues = Mutex::new(hands.cues());
        let (begin, may_begin) = channel();
        let hands = std::thread::Builder::new().name("simulated operator".to_owned()).spawn(move || {
            // A bench that never became ready never saw a key.
            may_begin.recv().map_or_else(|_| Day::default(), |()| hands.run())
        })?;
        Ok(Self { ports, cues, begin: Mutex::new(Some(begin)), demand, hands: Some(hands) })
    }

    /// The ports to run the bench on. What is plugged in during the run needs no confirming.
    pub fn ports(&self) -> &SimPorts {
        &self.ports
    }

    /// The person sees what the bench shows. To be called for everything that it tells, in order; the work begins at [`Progress::Ready`].
    pub fn heard(&self, progress: &Progress) {
        let cue = match progress {
            Progress::Ready { waiting, begun, .. } => {
                self.demand.begun.store(*begun, Ordering::Release);
                self.demand.keys.fetch_add(i64::try_from(*waiting).unwrap_or(i64::MAX), Ordering::AcqRel);
                if let Some(begin) = self.begin.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    // It only fails when the person is gone, and then nobody has to be told.
                    let _ = begin.send(());
                }
                return;
            }
            Progress::Failed { final_for_run: false, .. } => {
                self.demand.keys.fetch_add(1, Ordering::AcqRel);
                return;
            }
            Progress::TakeOut { port, .. } => Cue::TakeOut { port: port.clone() },
            Progress::Reject { port, .. } => Cue::Reject { port: port.clone() },
            Progress::PulledEarly { port, .. } | Progress::WhichKey { port, by: ShownBy::PutBack, .. } => {
                Cue::PutBack { port: port.clone() }
            }
            Progress::WhichKey { port, by: ShownBy::Replug, .. } => Cue::Replug { port: port.clone() },
            _ => return,
        };
        self.cue(cue);
    }

    fn cue(&self, cue: Cue) {
        self.cues.lock().unwrap_or_else(PoisonError::into_inner).send(cue);
    }

    /// The run is over: whatever is plugged in comes out, and the person tells of the day.
    pub fn finish(mut self) -> Day {
        self.go_home()
    }

    fn go_home(&mut self) -> Day {
        self.cue(Cue::Done);
        self.begin.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.hands.take().map_or_else(Day::default, |hands| {
            hands.join().unwrap_or_else(|_| {
                tracing::error!("the simulated operator's thread failed");
                Day::default()
            })
        })
    }

    /// The roots that simulated keys attest under; nobody but a tenant on loopback may trust them.
    pub fn roots() -> Anchors {
        Anchors::none().and(simulator_root_der())
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        self.go_home();
    }
}

fn open(keep: Option<&Path>) -> io::Result<(Option<Drawer>, Vec<SimKey>)> {
    let Some(directory) = keep else { return Ok((None, Vec::new())) };
    crate::platform::private::create_private_dir(directory).map_err(io::Error::other)?;
    let (drawer, keys) = Drawer::open(directory)?;
    Ok((Some(drawer), keys))
}

fn with_patience(key: SimKey, patience: Duration) -> BoxedKey {
    key.probe().set_touch_timeout(patience);
    key.into()
}

/// Keys of an earlier run, chosen when the first is asked for: by then the bench has said how many have to come back.
fn put_back(kept: Vec<SimKey>, patience: Duration, demand: Arc<Demand>) -> impl Iterator<Item = BoxedKey> + Send {
    std::iter::once_with(move || {
        let begun = demand.begun.load(Ordering::Acquire);
        let (back, fresh) = which_come_back(kept, begun);
        demand.keys.fetch_sub(i64::try_from(fresh).unwrap_or(i64::MAX), Ordering::AcqRel);
        back.into_iter().map(move |key| with_patience(key, patience))
    })
    .flatten()
}

/// Which keys of an earlier run go back into ports, and how many of them are as good as new.
///
/// A key with a forced change looks finished, and a finished key would only be refused; it goes back when more jobs were begun
/// than other keys can account for, because the program may have been killed between the change and its confirmation. Keys
/// that stay away are given away: like a finished key that lies beside the hub, nobody plugs them in again.
fn which_come_back(kept: Vec<SimKey>, begun: usize) -> (Vec<SimKey>, usize) {
    let looks = |key: &SimKey, what: fn(&Probe) -> bool| what(&key.probe());
    let (blank, used): (Vec<_>, Vec<_>) =
        kept.into_iter().partition(|key| looks(key, |key| !key.pin_is_set() && key.residents().is_empty()));
    let (finished, half): (Vec<_>, Vec<_>) = used.into_iter().partition(|key| looks(key, Probe::change_is_forced));
    let mut back = half;
    if begun > back.len() {
        back.extend(finished);
    } else {
        finished.iter().for_each(SimKey::give_away);
    }
    let begun_blank = begun.saturating_sub(back.len()).min(blank.len());
    let fresh = blank.len() - begun_blank;
    back.extend(blank);
    (back, fresh)
}

/// Two iterators in a row, the second of which may give nothing now and something later.
struct Unfused<A, B> {
    first: A,
    then: B,
}

impl<T, A: Iterator<Item = T>, B: Iterator<Item = T>> Iterator for Unfused<A, B> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.first.next().or_else(|| self.then.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{JobId, PlugId, PortName};
    use crate::sim::key::host::Host;
    use crate::sim::operator::Fate;
    use crate::world::{KeyPorts as _, PluggedKey, PortEvent};

    const QUICK: Timings =
        Timings { plug: Duration::from_millis(1), touch: Duration::from_millis(1), unplug: Duration::from_millis(1) };

    fn ready(waiting: usize, begun: usize) -> Progress {
        Progress::Ready { ports: Vec::new(), waiting, begun }
    }

    fn plugged(events: &std::sync::mpsc::Receiver<PortEvent>) -> PluggedKey {
        loop {
            match events.recv_timeout(Duration::from_secs(10)).expect("a key comes") {
                PortEvent::Plugged(key) => return key,
                PortEvent::Unplugged { .. } => {}
            }
        }
    }

    fn set_pin(rehearsal: &Rehearsal, plug: PlugId, pin: &str) {
        let mut host = Host::new(rehearsal.ports().open(plug).expect("there"));
        assert_eq!(host.set_pin(pin), 0);
    }

    fn take_out(port: &PortName) -> Progress {
        Progress::TakeOut { port: port.clone(), job: JobId::new("J1"), upn: "kim@contoso.example".into() }
    }

    #[test]
    fn nobody_starts_before_the_bench_is_ready() {
        let rehearsal = Rehearsal::with_blank_keys(2, QUICK, None).expect("begins");
        assert!(rehearsal.ports().list().expect("ports").is_empty());
        assert_eq!(rehearsal.finish().plugs, 0);
    }

    #[test]
    fn no_more_keys_come_than_people_wait_for() {
        let rehearsal = Rehearsal::with_blank_keys(3, QUICK, None).expect("begins");
        let events = rehearsal.ports().watch().expect("ports");
        rehearsal.heard(&ready(2, 0));
        let (first, _) = (plugged(&events), plugged(&events));
        let failed = Progress::Failed {
            job: JobId::new("J1"),
            upn: "kim@contoso.example".into(),
            port: first.port.clone(),
            code: "not-made".into(),
            detail: None,
            final_for_run: false,
        };
        rehearsal.heard(&failed);
        plugged(&events);
        rehearsal.heard(&take_out(&first.port));
        let day = rehearsal.finish();
        assert_eq!((day.plugs, day.keys.len()), (3, 3));
    }

    #[test]
    fn keys_of_an_earlier_run_come_back_first_and_as_they_were() {
        let directory = tempfile::tempdir().expect("a directory");
        let keep = directory.path().join("keys");
        let rehearsal = Rehearsal::with_blank_keys(2, QUICK, Some(&keep)).expect("begins");
        assert!(Rehearsal::with_blank_keys(2, QUICK, Some(&keep)).is_err(), "one program at a time");
        let events = rehearsal.ports().watch().expect("ports");
        rehearsal.heard(&ready(5, 0));
        let (one, two) = (plugged(&events), plugged(&events));
        let serial = |key: &PluggedKey| rehearsal.ports().probe(&key.port).expect("there").serial();
        let (first, second) = (serial(&one), serial(&two));
        set_pin(&rehearsal, one.plug, "904316");
        rehearsal.heard(&take_out(&two.port));
        let third = plugged(&events);
        let third = serial(&third);
        drop(rehearsal);

        let rehearsal = Rehearsal::with_blank_keys(1, QUICK, Some(&keep)).expect("begins");
        let events = rehearsal.ports().watch().expect("ports");
        rehearsal.heard(&ready(4, 1));
        let back = plugged(&events);
        let probe = rehearsal.ports().probe(&back.port).expect("there");
        assert_eq!(probe.serial(), first);
        assert!(probe.pin_is("904316"));
        rehearsal.heard(&take_out(&back.port));
        let next = plugged(&events);
        let next = rehearsal.ports().probe(&next.port).expect("there").serial();
        assert_eq!(next, third, "then the blank one that was plugged in");
        assert_ne!(next, second, "the one that was taken out stays away");
        let day = rehearsal.finish();
        assert_eq!(day.keys[0].1, Fate::Finished);
    }

    #[test]
    fn a_scenarios_keys_are_not_taken_from_the_box_twice() {
        let directory = tempfile::tempdir().expect("a directory");
        let keep = directory.path().join("keys");
        let mut day = Scenario::generated(3, 1, 7);
        day.hands.scale = 0.001;
        let mut serials = Vec::new();
        for _ in 0..3 {
            let rehearsal = Rehearsal::of_scenario(&day, Some(&keep)).expect("begins");
            let events = rehearsal.ports().watch().expect("ports");
            rehearsal.heard(&ready(3, 0));
            let key = plugged(&events);
            serials.push(rehearsal.ports().probe(&key.port).expect("there").model().id.clone());
            rehearsal.heard(&take_out(&key.port));
            while !matches!(events.recv_timeout(Duration::from_secs(10)), Ok(PortEvent::Unplugged { .. })) {}
        }
        let boxed: Vec<_> = day.keys.iter().map(|keys| keys.model.clone()).collect();
        assert_eq!(serials, boxed);
    }

    #[test]
    fn a_key_that_looks_finished_comes_back_only_when_a_job_may_need_it() {
        use crate::sim::key::Birth;
        let keys = || {
            let used = Birth { pin: Some("904316".into()), ..Birth::default() };
            let finished = Birth { force_change: true, ..Birth::default() };
            let births = [finished, used, Birth::default()];
            births.iter().zip(1..).map(|(birth, unit)| SimKey::born(&Model::usual(), unit, birth)).collect::<Vec<_>>()
        };
        let forced = |back: &[SimKey]| back.iter().filter(|key| key.probe().change_is_forced()).count();
        let (back, fresh) = which_come_back(keys(), 1);
        assert_eq!((back.len(), forced(&back), fresh), (2, 0, 1));
        let (back, fresh) = which_come_back(keys(), 2);
        assert_eq!((back.len(), forced(&back), fresh), (3, 1, 1));
        let (back, fresh) = which_come_back(keys(), 3);
        assert_eq!((back.len(), forced(&back), fresh), (3, 1, 0), "the blank one has a job too");
    }
}
