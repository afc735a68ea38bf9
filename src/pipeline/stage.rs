//! A whole bench for tests: simulated keys in simulated ports, a simulated tenant over HTTP, a simulated pair of hands,
//! and the real ledger, seals and journey in between.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::bench::{Bench, BenchError, Outcome, Outside, Ports, RunSettings};
use super::progress::Progress;
use super::queue::{Queue, Slot};
use super::recover::recover;
use crate::graph::auth::{Flow, SignIn, SignInPrompt, SignInSettings};
use crate::graph::cloud::Cloud;
use crate::graph::display_name::NameTemplate;
use crate::graph::{DevicePrompt, Graph, GraphSettings};
use crate::ledger::{Append, Entry, Ledger, Opening, SqliteLedger, open_writer};
use crate::model::{BatchId, BenchId, JobId, Person, RunId, Secret, TenantId, Upn, UserId};
use crate::pin::{DirResumeStore, Identities, NoPrompts, PinPolicy, Recipients, keygen};
use crate::sim::key::simulator_root_der;
use crate::sim::operator::{BoxedKey, Cue, Day, Hands, Timings};
use crate::sim::ports::SimPorts;
use crate::sim::tenant::{RunningTenant, TenantSpec, people_default, start};
use crate::webauthn::trust::Anchors;
use crate::world::{Clock as _, Operator, SystemClock, SystemEntropy};

struct NoPrompt;
impl SignInPrompt for NoPrompt {
    fn device_code(&self, _: &DevicePrompt) {}
}

struct Nobody;
impl Operator for Nobody {
    fn confirm(&self, _: &str, _: &str) -> bool {
        false
    }
    fn tell(&self, _: &str) {}
    fn is_present(&self) -> bool {
        false
    }
}

/// Everything that outlives a run.
pub struct Stage {
    pub dir: tempfile::TempDir,
    pub tenant: RunningTenant,
    pub ports: SimPorts,
    pub recipients: Recipients,
    pub identity: String,
    pub events: Arc<Mutex<Vec<Progress>>>,
    pub pins: PinPolicy,
    people: Vec<Person>,
}

/// What one run is given.
pub struct Play {
    pub boxed: Vec<BoxedKey>,
    pub idle: Duration,
    pub list_lag: Duration,
}

impl Play {
    pub fn of(boxed: Vec<BoxedKey>) -> Self {
        Self { boxed, idle: Duration::from_millis(1500), list_lag: Duration::from_secs(5) }
    }
}

/// A hand as fast as the machine.
pub const QUICK: Timings =
    Timings { plug: Duration::from_millis(1), touch: Duration::from_millis(1), unplug: Duration::from_millis(1) };

impl Stage {
    pub fn new(people: usize, ports: usize, change: impl FnOnce(&mut TenantSpec)) -> Self {
        let mut spec = TenantSpec { people: people_default(people, 1), ..TenantSpec::default() };
        change(&mut spec);
        let tenant = start(spec, "127.0.0.1:0".parse().expect("an address")).expect("a tenant");
        let identity = keygen(Timestamp::now());
        let recipients = Recipients::single(&[identity.recipient().to_owned()]).expect("a recipient");
        let state = tenant.state();
        let people = state["people"]
            .as_array()
            .expect("people")
            .iter()
            .map(|person| Person {
                id: UserId::new(person["id"].as_str().expect("an id")),
                upn: Upn::parse(person["upn"].as_str().expect("a UPN")).expect("a UPN"),
                display_name: String::from("Somebody"),
                address: None,
                first_device: None,
                key_kind: None,
                serial: None,
            })
            .collect();
        Self {
            dir: tempfile::tempdir().expect("a directory"),
            tenant,
            ports: SimPorts::numbered(ports),
            recipients,
            identity: identity.expose_file().to_owned(),
            events: Arc::default(),
            pins: PinPolicy::default(),
            people,
        }
    }

    pub fn ledger_path(&self) -> PathBuf {
        self.dir.path().join("ledger.db")
    }

    pub fn resume_dir(&self) -> PathBuf {
        self.dir.path().join("resume")
    }

    pub fn people(&self) -> &[Person] {
        &self.people
    }

    pub fn job_of(&self, person: &Person) -> JobId {
        JobId::derive(&TenantId::new(&self.tenant.tenant_id), &person.id, 1)
    }

    pub fn open_ledger(&self) -> SqliteLedger {
        open_writer(&Opening {
            path: self.ledger_path(),
            mirror: Some(self.dir.path().join("mirror")),
            bench: BenchId::new("test-bench"),
            clock: Arc::new(SystemClock::new()),
            entropy: &SystemEntropy,
        })
        .expect("a ledger")
    }

    pub fn graph(&self) -> Graph {
        let clock = Arc::new(SystemClock::new());
        let cloud = Cloud::from_settings(Some(&self.tenant.graph_url), Some(&self.tenant.login_url)).expect("loopback");
        let settings = GraphSettings::new(cloud.clone());
        let sign_in = SignIn::new(
            SignInSettings {
                cloud,
                tenant: self.tenant.tenant_id.clone(),
                client_id: self.tenant.client_id.clone(),
                flow: Flow::Secret(Secret::new(self.tenant.client_secret.clone())),
                timeouts: settings.timeouts,
                budget: settings.budget,
                cancel: settings.cancel.clone(),
            },
            clock.clone(),
            Arc::new(NoPrompt),
        )
        .expect("settings");
        let graph = Graph::connect(settings, Arc::new(sign_in), clock, Arc::new(|_| {})).expect("a client");
        graph.sign_in().expect("signed in");
        graph
    }

    /// Plans everybody who is not planned yet.
    pub fn plan(&self, ledger: &dyn Ledger) {
        let known = ledger.jobs(&Default::default()).expect("jobs");
        let tenant = TenantId::new(&self.tenant.tenant_id);
        let new: Vec<&Person> =
            self.people.iter().filter(|person| !known.iter().any(|line| line.user == person.id)).collect();
        if new.is_empty() {
            return;
        }
        let mut append = Append::entries(new.iter().map(|person| Entry::JobPlanned {
            job: self.job_of(person),
            tenant: tenant.clone(),
            user: person.id.clone(),
            ordinal: 1,
            batch: BatchId::new("B1"),
        }));
        append.people = new.into_iter().cloned().collect();
        ledger.append(append).expect("planned");
    }

    pub fn queue(&self, ledger: &dyn Ledger) -> Queue {
        let slots = self
            .people
            .iter()
            .map(|person| {
                let job = self.job_of(person);
                let entries: Vec<Entry> =
                    ledger.entries_of(&job).expect("entries").into_iter().map(|recorded| recorded.entry).collect();
                Slot::new(job, person.clone(), recover(&entries).expect("an account that makes sense"))
            })
            .collect();
        Queue::new(slots)
    }

    /// One run over this ledger, with a person at the ports.
    pub fn run(&self, ledger: &dyn Ledger, play: Play) -> (Result<Outcome, BenchError>, Day) {
        let clock = Arc::new(SystemClock::new());
        let graph = self.graph();
        let resume = DirResumeStore::open(self.resume_dir()).expect("a store");
        let hands = Hands::new(self.ports.clone(), QUICK, play.boxed);
        let cues = hands.cues();
        let events = Arc::clone(&self.events);
        let watcher = {
            let cues = Mutex::new(cues.clone());
            move |progress: &Progress| {
                events.lock().unwrap_or_else(PoisonError::into_inner).push(progress.clone());
                let cue = match progress {
                    Progress::TakeOut { port, .. } => Cue::TakeOut { port: port.clone() },
                    Progress::Reject { port, .. } => Cue::Reject { port: port.clone() },
                    Progress::PulledEarly { port, .. } => Cue::PutBack { port: port.clone() },
                    _ => return,
                };
                cues.lock().unwrap_or_else(PoisonError::into_inner).send(cue);
            }
        };
        let bench = Bench::new(
            Outside {
                clock: clock.clone(),
                entropy: Arc::new(SystemEntropy),
                ports: &self.ports,
                graph: &graph,
                ledger,
                resume: &resume,
                operator: &Nobody,
                watcher: &watcher,
            },
            RunSettings {
                run: RunId::new("R1"),
                ports: Ports::All,
                never: BTreeSet::new(),
                pins: self.pins,
                recipients: Recipients::single(&[self.recipients.first()[0].as_str().to_owned()]).expect("as before"),
                require_hmac_secret: true,
                display_name: NameTemplate::default(),
                change_possible: |_| true,
                model_policy: Box::new(|_, _| Ok(())),
                metadata: None,
                extra_anchors: Anchors::none().and(simulator_root_der().to_vec()),
                attestation_enforced: false,
                allow_simulated: true,
                blink: 2,
                idle: play.idle,
                settling: SignedDuration::from_secs(0),
                list_lag: play.list_lag,
                outage: Duration::from_secs(5),
                limits: Default::default(),
            },
            self.queue(ledger),
        );
        let person = hands.start().expect("a person");
        let outcome = bench.run(&AtomicBool::new(false));
        cues.send(Cue::Done);
        let _ = clock.monotonic();
        (outcome, person.join().expect("went home"))
    }

    /// Opens a job's PIN as a custodian would.
    pub fn open_pin(&self, ledger: &dyn Ledger, job: &JobId, attempt: u32) -> Option<String> {
        let sealed = ledger.envelope(job, attempt).expect("readable")?;
        let mut identities = Identities::new();
        identities.add("test", self.identity.as_bytes(), Arc::new(NoPrompts)).expect("an identity");
        let opened = crate::pin::escrow::open(&sealed.custodian, sealed.dual, &identities, job).expect("opens");
        Some(opened.pin.expose().to_owned())
    }

    pub fn events(&self) -> Vec<Progress> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
