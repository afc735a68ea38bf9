//! Many ports at once: one lane per port, one pair of hands.
//!
//! The bench only hands out work and watches for the end. Failure of one key never reaches another lane; what concerns all
//! of them (the tenant, the ledger, the operator's Ctrl-C) goes through the [`Gate`].

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::ahead::Ahead;
use super::bell::Bell;
use super::canary::Canary;
use super::driver::DriveError;
use super::earlier::EarlierKeys;
use super::gate::{Gate, Pause};
use super::lane::Lane;
use super::on_tenant::Tenant;
use super::progress::{Progress, Summary, Watcher};
use super::queue::Queue;
use super::touches::Touches;
use crate::ctap2::session::Tools;
use crate::graph::Graph;
use crate::graph::display_name::{KeyFacts, NameTemplate};
use crate::ledger::entry::{Counts, RunEnd};
use crate::ledger::{Ledger, LedgerError};
use crate::model::{Aaguid, FirstDevice, JobId, KeyRef, PlugId, PortName, RunId, Serial, UserId};
use crate::pin::{PinPolicy, Recipients, ResumeStore};
use crate::webauthn::metadata::Metadata;
use crate::webauthn::trust::Anchors;
use crate::world::{Clock, Entropy, KeyPorts, Operator, PortEvent, PortsError};

/// How often the bench looks whether the run is over, or Ctrl-C was pressed; four times as long while no hand is about. Keys that
/// come and go are told to it at once.
const LOOK: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 250 });
/// After so long without a plug, a pull or a touch everything is looked at less often.
const HANDS_AWAY: Duration = Duration::from_secs(10);

/// People in a row whom Entra refuses creation options before that is taken for the tenant's mind.
const MOST_WITHOUT_OPTIONS: usize = 3;

/// The outside, as one run uses it.
pub struct Outside<'w> {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Ports.
    pub ports: &'w dyn KeyPorts,
    /// The tenant.
    pub graph: &'w Graph,
    /// The ledger, for writing.
    pub ledger: &'w dyn Ledger,
    /// Where resume keys are kept.
    pub resume: &'w dyn ResumeStore,
    /// The person at the bench.
    pub operator: &'w dyn Operator,
    /// Whoever watches.
    pub watcher: &'w dyn Watcher,
}

/// Which ports a run may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ports {
    /// Any port; keys that are there at the start have to be confirmed.
    Any,
    /// Every port, and that is a confirmation of what is in them.
    All,
    /// These only, and that is a confirmation of what is in them.
    Named(BTreeSet<PortName>),
}

impl Ports {
    fn allows(&self, port: &PortName) -> bool {
        match self {
            Self::Any | Self::All => true,
            Self::Named(names) => names.contains(port),
        }
    }

    /// Keys that are there at the start were asked for by name.
    pub fn confirm_what_is_there(&self) -> bool {
        !matches!(self, Self::Any)
    }
}

/// What the tenant's policy says of a model for a person: an error tells why it is not accepted.
pub type ModelPolicy = dyn Fn(&UserId, Aaguid) -> Result<(), String> + Send + Sync;

/// Registration waits for receipt.
#[derive(Debug, Clone)]
pub struct Holding {
    /// The activation keys: whom registration records are sealed to.
    pub keys: Recipients,
    /// How long a challenge is asked to live, in minutes.
    pub minutes: u32,
    /// How long a record must still be good for when its key leaves the bench.
    pub least: SignedDuration,
}

impl Holding {
    /// Challenges of so many days. What is at least left at the bench allows for options that were fetched ahead.
    pub fn days(keys: Recipients, days: u8) -> Self {
        let minutes = u32::from(days) * 24 * 60;
        Self { keys, minutes, least: SignedDuration::from_mins(i64::from(minutes) * 9 / 10) }
    }

    /// Why a challenge that was just given can't be held, if it can't.
    pub fn too_short(&self, expires: Timestamp, now: Timestamp) -> Option<String> {
        let left = expires.duration_since(now);
        let wanted = self.minutes;
        (left < self.least)
            .then(|| format!("A challenge of {wanted} minutes was asked for, and one of {} was given.", left.as_mins()))
    }
}

/// How this run is to be done.
pub struct RunSettings {
    /// This run.
    pub run: RunId,
    /// Ports.
    pub ports: Ports,
    /// Serial numbers never to be touched.
    pub never: BTreeSet<Serial>,
    /// Only these serial numbers; every key where there is none.
    pub only: Option<BTreeSet<Serial>>,
    /// PINs.
    pub pins: PinPolicy,
    /// Whom PINs are sealed to.
    pub recipients: Recipients,
    /// Refuse keys without hmac-secret.
    pub require_hmac_secret: bool,
    /// What a registered key is called in Entra.
    pub display_name: NameTemplate,
    /// Whether a forced PIN change can be done on a device.
    pub change_possible: fn(FirstDevice) -> bool,
    /// The tenant's word on models.
    pub model_policy: Box<ModelPolicy>,
    /// Offline FIDO metadata.
    pub metadata: Option<Metadata>,
    /// Roots trusted beside the metadata's; the simulator's, on loopback.
    pub extra_anchors: Anchors,
    /// Some passkey profile demands attestation.
    pub attestation_enforced: bool,
    /// Simulated keys may be used: the tenant is on loopback.
    pub allow_simulated: bool,
    /// How many keys blink at a time.
    pub blink: usize,
    /// Two touches of blinking keys that follow one another sooner than this may have been meant the other way round.
    pub touches_apart: Duration,
    /// Without a key for so long, lanes park and the run ends.
    pub idle: Duration,
    /// How long after a challenge's expiry a lost registration may still turn up.
    pub settling: SignedDuration,
    /// Registration waits for receipt; at the bench when `None`.
    pub hold: Option<Holding>,
    /// How long reads are repeated until Entra shows what it accepted.
    pub list_lag: Duration,
    /// How long the tenant may be down before the run ends.
    pub outage: Duration,
    /// Time-outs for keys.
    pub limits: crate::ctap2::transport::Limits,
}

/// Counters of a run.
#[derive(Debug, Default)]
pub struct Totals {
    /// Touches that made a credential.
    pub touches: AtomicU64,
    /// Reads repeated because Entra did not show a method yet.
    pub polls: AtomicU64,
    /// Keys that were not fit.
    pub keys_refused: AtomicU64,
    /// Registrations refused in a row.
    refusals: AtomicU64,
    /// Keys in ports.
    keys_in: AtomicU64,
    /// Refused keys that nobody has taken out yet.
    pub rejects_in: AtomicU64,
}

/// Everything the lanes share.
pub struct Bench<'w> {
    /// The outside.
    pub out: Outside<'w>,
    /// How to work.
    pub settings: RunSettings,
    /// Who is next.
    pub queue: Mutex<Queue>,
    /// Rung when anything changes that a lane may wait for.
    pub bell: Bell,
    /// Who may blink.
    pub gate: Gate,
    /// Who goes first.
    pub canary: Canary,
    /// Options in stock.
    pub ahead: Ahead,
    /// Which keys can be mistaken for one another.
    pub touches: Touches,
    /// Whose keys are those of people who are not in this run.
    pub earlier: EarlierKeys,
    /// Counters.
    pub totals: Totals,
    /// What ended the run for all lanes.
    broken: Mutex<Option<DriveError>>,
    /// Monotonic time at which anything last happened at the ports, in milliseconds.
    last_stir: AtomicU64,
    /// Jobs of which was told that they are set aside, and which nobody has gone on with.
    told_parked: Mutex<HashSet<JobId>>,
    /// People whom Entra refused creation options since it last gave some.
    without_options: Mutex<HashSet<UserId>>,
    /// Serial numbers of keys that are in ports.
    plugged: Mutex<HashMap<(Aaguid, Serial), Stay>>,
    first_plug: Mutex<Option<Duration>>,
    last_unplug: Mutex<Option<Duration>>,
}

/// Why a run could not be carried out, other than by its jobs' own fates.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No ports.
    #[error(transparent)]
    Ports(#[from] PortsError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Something of the bench itself.
    #[error("{what}")]
    Bench {
        /// A code of [`super::code::CODES`].
        code: &'static str,
        /// What failed.
        what: String,
    },
}

/// How a run went.
#[derive(Debug)]
pub struct Outcome {
    /// The numbers.
    pub summary: Summary,
    /// What had paused the run when it ended, if anything had.
    pub paused: Option<Pause>,
}

/// What a key is called in Entra, when it is registered at this time.
pub fn name_of(template: &NameTemplate, key: &KeyRef, ordinal: u32, now: Timestamp) -> String {
    let date = now.strftime("%Y-%m-%d").to_string();
    let facts =
        KeyFacts { model: key.model.as_deref(), serial: key.serial.as_ref().map(Serial::as_str), date: &date, ordinal };
    // A serial number of more than 30 characters can't stand in a name; the date can.
    template.render(&facts).unwrap_or(date)
}

/// One key's stay in a port, as its lane sees it.
#[derive(Debug, Clone)]
pub struct Stay {
    /// Ended?
    pulled: Arc<AtomicBool>,
}

impl Stay {
    /// The key has been taken out.
    pub fn is_over(&self) -> bool {
        self.pulled.load(Ordering::Acquire)
    }
}

impl<'w> Bench<'w> {
    /// A bench with a queue.
    pub fn new(out: Outside<'w>, settings: RunSettings, queue: Queue) -> Self {
        let bell = Bell::default();
        let gate = Gate::new(settings.blink, bell.clone());
        let canary = Canary::new(bell.clone());
        Self {
            out,
            settings,
            queue: Mutex::new(queue),
            bell,
            gate,
            canary,
            ahead: Ahead::default(),
            touches: Touches::default(),
            earlier: EarlierKeys::default(),
            totals: Totals::default(),
            broken: Mutex::new(None),
            last_stir: AtomicU64::new(0),
            told_parked: Mutex::default(),
            without_options: Mutex::default(),
            plugged: Mutex::default(),
            first_plug: Mutex::new(None),
            last_unplug: Mutex::new(None),
        }
    }

    /// The queue.
    pub fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whoever watches.
    pub fn tell(&self, progress: &Progress) {
        let told = || self.told_parked.lock().unwrap_or_else(PoisonError::into_inner);
        match progress {
            Progress::Parked { job, .. } => drop(told().insert(job.clone())),
            Progress::Assigned { job, .. } => drop(told().remove(job)),
            _ => {}
        }
        self.out.watcher.on(progress);
    }

    /// Something happened at the bench: the idle time starts again.
    pub fn stir(&self) {
        self.last_stir.store(self.millis(), Ordering::Relaxed);
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.out.clock.monotonic().as_millis()).unwrap_or(u64::MAX)
    }

    /// Nobody has plugged, pulled or touched a key for some time.
    pub fn hands_are_away(&self) -> bool {
        self.idle_for() >= HANDS_AWAY
    }

    fn idle_for(&self) -> Duration {
        Duration::from_millis(self.millis().saturating_sub(self.last_stir.load(Ordering::Relaxed)))
    }

    /// The bench itself can't go on: everything stops, nothing more is done to any key.
    pub fn broke(&self, error: DriveError) {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        if broken.is_none() {
            *broken = Some(error);
        }
        self.gate.stop();
    }

    /// The tenant won't work with us: touches pause until it does.
    pub fn pause(&self, code: &str, detail: &str) {
        if self.gate.pause(Pause { code: code.to_owned(), detail: detail.to_owned() }) {
            self.tell(&Progress::Paused { code: code.to_owned(), detail: detail.to_owned() });
        }
    }

    /// What a session with a key needs.
    pub fn tools(&self) -> Tools {
        Tools {
            clock: Arc::clone(&self.out.clock),
            entropy: Arc::clone(&self.out.entropy),
            limits: self.settings.limits,
        }
    }

    /// A challenge for a proof of our own.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn challenge(&self) -> Result<[u8; 32], DriveError> {
        let mut challenge = [0; 32];
        self.out
            .entropy
            .fill(&mut challenge)
            .map_err(|error| DriveError::Bench { code: "no-entropy", what: error.to_string() })?;
        Ok(challenge)
    }

    /// What a registered key is called in Entra.
    pub fn display_name(&self, key: &KeyRef, ordinal: u32) -> String {
        name_of(&self.settings.display_name, key, ordinal, self.out.clock.now())
    }

    /// Keys in ports now.
    pub fn keys_in_ports(&self) -> usize {
        usize::try_from(self.totals.keys_in.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// Notes which key is in a port for this stay; `false` when another that tells the same serial number is in one.
    pub(super) fn is_alone(&self, key: &KeyRef, stay: &Stay) -> bool {
        let Some(serial) = &key.serial else { return true };
        let mut plugged = self.plugged.lock().unwrap_or_else(PoisonError::into_inner);
        plugged.retain(|_, stay| !stay.is_over());
        match plugged.entry((key.aaguid, serial.clone())) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(stay.clone());
                true
            }
        }
    }

    /// The bench itself can't go on.
    pub fn is_broken(&self) -> bool {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Graph gives a waiting person no options: they get no key in this run.
    pub fn cannot_have_options(&self, job: &JobId, code: &str, detail: &str) {
        let Some(person) = self.queue().block(job, code) else { return };
        self.tell(&Progress::Failed {
            job: job.clone(),
            upn: person.upn.to_string(),
            port: PortName::new("-"),
            code: code.to_owned(),
            detail: Some(detail.to_owned()),
            final_for_run: true,
        });
    }

    /// Entra refused a registration. When it is the first of its class, or the second in a row, it is not the person: the
    /// tenant refuses, and no more keys are spent on finding out.
    pub fn registration_was_refused(&self, first_of_class: bool, detail: &str) {
        let in_a_row = self.totals.refusals.fetch_add(1, Ordering::Relaxed) + 1;
        if first_of_class || in_a_row > 1 {
            self.pause("tenant-refuses", detail);
        }
    }

    /// Entra took a registration.
    pub fn registration_went_well(&self) {
        self.totals.refusals.store(0, Ordering::Relaxed);
    }

    /// Entra gave somebody creation options, or is to be asked anew.
    pub fn options_were_given(&self) {
        self.without_options.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Entra refused somebody creation options. One person may be at fault for that; several in a row are not: the tenant refuses, and
    /// the rest of the line is not spent on finding out.
    pub fn options_were_refused(&self, user: &UserId, detail: &str) {
        let mut without = self.without_options.lock().unwrap_or_else(PoisonError::into_inner);
        without.insert(user.clone());
        let several = without.len() >= MOST_WITHOUT_OPTIONS;
        drop(without);
        if several {
            self.pause("tenant-refuses", detail);
        }
    }

    /// Works until everybody is served, nothing comes for the idle time, or `interrupted` is true.
    ///
    /// # Errors
    /// [`BenchError`] when the ports can't be watched or the ledger can't be written. What was in flight is then where the
    /// ledger says it is.
    pub fn run(&self, interrupted: &AtomicBool) -> Result<Outcome, BenchError> {
        let started = self.out.clock.monotonic();
        self.stir();
        let events = self.out.ports.watch()?;
        {
            let queue = self.queue();
            let ports = match &self.settings.ports {
                Ports::Named(names) => names.iter().cloned().collect(),
                _ => Vec::new(),
            };
            let (waiting, begun) = (queue.waiting(), queue.keys_away());
            drop(queue);
            self.tell(&Progress::Ready { ports, waiting, begun });
        }
        let end = std::thread::scope(|scope| {
            let mut lanes: HashMap<PortName, Sender<(crate::world::PluggedKey, Stay)>> = HashMap::new();
            let mut stays: HashMap<PlugId, Stay> = HashMap::new();
            let busy = Arc::new(AtomicU64::new(0));
            let mut idle = false;
            let tenant = Tenant::new(self);
            scope.spawn(move || tenant.keep_options_ready());
            scope.spawn(|| Tenant::new(self).heal_when_paused());
            let end = loop {
                if interrupted.load(Ordering::Relaxed) {
                    self.gate.stop();
                }
                match events.recv_timeout(if self.hands_are_away() { 4 * LOOK } else { LOOK }) {
                    Ok(PortEvent::Plugged(key)) => {
                        if self.settings.ports.allows(&key.port) && !self.gate.stopping() {
                            self.stir();
                            self.mark_plug();
                            let stay = Stay { pulled: Arc::default() };
                            stays.insert(key.plug, stay.clone());
                            let lane = lanes.entry(key.port.clone()).or_insert_with(|| {
                                let (sender, receiver) = channel();
                                let lane = Lane::new(self, key.port.clone());
                                let busy = Arc::clone(&busy);
                                scope.spawn(move || lane.serve_all(&receiver, &busy));
                                sender
                            });
                            busy.fetch_add(1, Ordering::AcqRel);
                            self.totals.keys_in.fetch_add(1, Ordering::Relaxed);
                            self.ahead.nudge();
                            if lane.send((key, stay)).is_err() {
                                busy.fetch_sub(1, Ordering::AcqRel);
                            }
                        }
                        continue;
                    }
                    Ok(PortEvent::Unplugged { plug, .. }) => {
                        if let Some(stay) = stays.remove(&plug) {
                            stay.pulled.store(true, Ordering::Release);
                            self.bell.ring();
                            self.totals.keys_in.fetch_sub(1, Ordering::Relaxed);
                            self.stir();
                            self.mark_unplug();
                        }
                        continue;
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => {
                        self.gate.stop();
                        std::thread::sleep(LOOK);
                    }
                }
                let busy = busy.load(Ordering::Acquire);
                let working = busy > 0;
                // A refused key that is left in its port keeps nobody waiting.
                if busy <= self.totals.rejects_in.load(Ordering::Acquire)
                    && self.queue().is_served()
                    && self.touches.all_known()
                {
                    break RunEnd::Complete;
                }
                if self.gate.stopping() && !working {
                    break match (interrupted.load(Ordering::Relaxed), idle) {
                        (true, _) => RunEnd::Interrupted,
                        (false, true) => RunEnd::Idle,
                        (false, false) => RunEnd::Stopped,
                    };
                }
                // A pause has its own end (`outage`), and nothing can happen at the ports meanwhile.
                if self.gate.paused().is_some() {
                    self.stir();
                }
                if !self.gate.stopping() && self.idle_for() >= self.settings.idle {
                    // Lanes with a key in them end as at Ctrl-C: what needs no hand is finished, the rest parks.
                    idle = true;
                    self.gate.stop();
                }
            };
            self.gate.stop();
            self.ahead.close();
            drop(lanes);
            end
        });
        let paused = self.gate.paused();
        if let Some(error) = self.broken.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(match error {
                DriveError::Ledger(error) => BenchError::Ledger(error),
                DriveError::Bench { code, what } => BenchError::Bench { code, what },
            });
        }
        let end = if paused.is_some() && end != RunEnd::Complete && !interrupted.load(Ordering::Relaxed) {
            RunEnd::Stopped
        } else {
            end
        };
        Ok(Outcome { summary: self.summary(end, started)?, paused })
    }

    fn summary(&self, end: RunEnd, started: Duration) -> Result<Summary, LedgerError> {
        let code = match end {
            RunEnd::Idle => "idle",
            _ => "interrupted",
        };
        let parked = self.queue().park_the_rest(code);
        let told = std::mem::take(&mut *self.told_parked.lock().unwrap_or_else(PoisonError::into_inner));
        // Whoever was set aside with a reason of their own has been told of.
        for (job, person, port) in parked.into_iter().filter(|(job, ..)| !told.contains(job)) {
            let code = code.to_owned();
            self.tell(&Progress::Parked { job, upn: person.upn.to_string(), port, code });
        }
        let counts = Counts { keys_refused: self.totals.keys_refused.load(Ordering::Relaxed), ..self.queue().counts() };
        let read = |slot: &Mutex<Option<Duration>>| *slot.lock().unwrap_or_else(PoisonError::into_inner);
        let took = match (read(&self.first_plug), read(&self.last_unplug)) {
            (Some(first), Some(last)) if last > first => last.saturating_sub(first),
            _ => self.out.clock.monotonic().saturating_sub(started),
        };
        let graph = self.out.graph.counts();
        Ok(Summary {
            counts,
            touches: self.totals.touches.load(Ordering::Relaxed),
            graph_requests: graph.requests,
            graph_retries: graph.retries + self.totals.polls.load(Ordering::Relaxed),
            took,
            head: self.out.ledger.head()?,
            end,
        })
    }

    fn mark_plug(&self) {
        let now = self.out.clock.monotonic();
        self.first_plug.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(now);
    }

    fn mark_unplug(&self) {
        let now = self.out.clock.monotonic();
        *self.last_unplug.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }
}
