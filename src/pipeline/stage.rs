//! A whole bench for tests: simulated keys in simulated ports, a simulated tenant over HTTP, a simulated pair of hands,
//! and the real ledger, seals and journey in between.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::bench::{Bench, BenchError, Holding, ModelPolicy, Outcome, Outside, Ports, RunSettings};
use super::progress::{Progress, ShownBy};
use super::queue::{Queue, Slot};
use super::recover::recover;
use super::state::State;
use super::watch::{Settled, settle_before_run};
use crate::ctap2::transport::Limits;
use crate::graph::auth::{Flow, SignIn, SignInPrompt, SignInSettings};
use crate::graph::cloud::Cloud;
use crate::graph::display_name::NameTemplate;
use crate::graph::retry::Budget;
use crate::graph::{DevicePrompt, Graph, GraphSettings};
use crate::ledger::{Append, Entry, Ledger, Opening, SqliteLedger, open_writer};
use crate::model::{BatchId, BenchId, JobId, JobStatus, Person, PortName, RunId, Secret, TenantId, Upn, UserId};
use crate::pin::{DirResumeStore, Identities, NoPrompts, PinPolicy, Recipients, keygen};
use crate::provision::held::{Activated, Activation, ActivationError};
use crate::sim::key::{Probe, simulator_root_der};
use crate::sim::operator::{BoxedKey, Cue, Day, Hands, Timings};
use crate::sim::ports::SimPorts;
use crate::sim::tenant::{RunningTenant, TenantSpec, people_default, start};
use crate::webauthn::trust::Anchors;
use crate::world::{Operator, SystemClock, SystemEntropy};

struct NoPrompt;
impl SignInPrompt for NoPrompt {
    fn device_code(&self, _: &DevicePrompt) {}
}

struct Nobody;
impl Operator for Nobody {
    fn confirm_unless(&self, _: &str, _: &str, _: &dyn Fn() -> bool) -> bool {
        false
    }
    fn tell(&self, _: &str) {}
    fn is_present(&self) -> bool {
        false
    }
}

/// Nothing takes so long; a test that waits for it has failed.
const FAR: Duration = Duration::from_secs(60);

/// Something that lanes wait for.
#[derive(Default)]
pub struct Flag {
    up: Mutex<bool>,
    changed: Condvar,
}

impl Flag {
    /// Lets everybody go who waits, and who will.
    pub fn raise(&self) {
        *self.up.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Whether it has been raised.
    pub fn is_raised(&self) -> bool {
        *self.up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is raised.
    pub fn wait(&self) {
        assert!(self.wait_at_most(FAR), "it never came");
    }

    /// Whether it was raised within this time.
    pub fn wait_at_most(&self, time: Duration) -> bool {
        let up = self.up.lock().unwrap_or_else(PoisonError::into_inner);
        let (up, _) = self.changed.wait_timeout_while(up, time, |up| !*up).unwrap_or_else(PoisonError::into_inner);
        *up
    }
}

/// Everything that outlives a run.
pub struct Stage {
    pub dir: tempfile::TempDir,
    pub tenant: RunningTenant,
    pub ports: Vec<PortName>,
    pub recipients: Recipients,
    pub identity: String,
    /// The activation key: its recipient and its identity.
    pub activation: (Recipients, String),
    pub events: Arc<Mutex<Vec<Progress>>>,
    pub pins: PinPolicy,
    people: Vec<Person>,
    graph: OnceLock<Graph>,
}

/// Called with everything the bench tells, from the lane's own thread.
pub type Onlooker<'a> = Box<dyn Fn(&Progress, &SimPorts) + Send + Sync + 'a>;

/// What one run is given.
pub struct Play<'a> {
    pub boxed: Vec<BoxedKey>,
    /// Only these people's jobs; everybody's when empty.
    pub people: Vec<usize>,
    pub idle: Duration,
    pub list_lag: Duration,
    pub outage: Duration,
    pub blink: usize,
    /// Hands as fast as the machine touch everything at once: no doubt is raised unless a test asks for it.
    pub touches_apart: Duration,
    pub limits: Limits,
    pub model_policy: Option<Box<ModelPolicy>>,
    /// Suppliers' serial numbers.
    pub expected: Option<BTreeSet<crate::model::Serial>>,
    /// Keys that are left alone.
    pub never: BTreeSet<crate::model::Serial>,
    /// The tenant is taken for a real one, where simulated keys have no place.
    pub real_tenant: bool,
    /// Registration waits for receipt.
    pub hold: bool,
    /// The person does not hear that a key is asked for again.
    pub deaf: bool,
    /// Whoever sits at the bench; nobody when not given.
    pub operator: Option<&'a dyn Operator>,
    /// The run ends when all these keys have been in and are out again, whatever is still open.
    pub once_through: bool,
    /// Presses Ctrl-C when true.
    pub interrupt: Option<&'a AtomicBool>,
    pub onlooker: Option<Onlooker<'a>>,
}

impl<'a> Play<'a> {
    pub fn of(boxed: Vec<BoxedKey>) -> Self {
        Self {
            boxed,
            people: Vec::new(),
            idle: Duration::from_secs(20),
            list_lag: Duration::from_secs(5),
            outage: Duration::from_secs(5),
            blink: 2,
            touches_apart: Duration::ZERO,
            limits: Limits::default(),
            model_policy: None,
            expected: None,
            never: BTreeSet::new(),
            real_tenant: false,
            hold: false,
            deaf: false,
            once_through: false,
            operator: None,
            interrupt: None,
            onlooker: None,
        }
    }

    pub fn only(mut self, person: usize) -> Self {
        self.people = vec![person];
        self
    }

    pub fn idle(mut self, ms: u64) -> Self {
        self.idle = Duration::from_millis(ms);
        self
    }

    /// Each key has one stay; then the day is over. For days that would end by waiting for nothing.
    pub fn once_through(mut self) -> Self {
        (self.once_through, self.deaf, self.idle) = (true, true, Duration::from_secs(60));
        self
    }

    pub fn held(mut self) -> Self {
        self.hold = true;
        self
    }

    pub fn lag(mut self, ms: u64) -> Self {
        self.list_lag = Duration::from_millis(ms);
        self
    }

    pub fn watched_by(mut self, onlooker: impl Fn(&Progress, &SimPorts) + Send + Sync + 'a) -> Self {
        self.onlooker = Some(Box::new(onlooker));
        self
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
        let activation = keygen(Timestamp::now());
        let activation_key = Recipients::single(&[activation.recipient().to_owned()]).expect("a recipient");
        let state = tenant.state();
        let people = state["people"]
            .as_array()
            .expect("people")
            .iter()
            .map(|person| {
                Person::new(
                    UserId::new(person["id"].as_str().expect("an id")),
                    Upn::parse(person["upn"].as_str().expect("a UPN")).expect("a UPN"),
                    String::from("Somebody"),
                )
            })
            .collect();
        Self {
            dir: tempfile::tempdir().expect("a directory"),
            tenant,
            ports: SimPorts::numbered(ports).names().to_vec(),
            recipients,
            identity: identity.expose_file().to_owned(),
            activation: (activation_key, activation.expose_file().to_owned()),
            events: Arc::default(),
            pins: PinPolicy::default(),
            people,
            graph: OnceLock::new(),
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

    /// One client for all runs: what takes time is to make one.
    pub fn graph(&self) -> &Graph {
        self.graph.get_or_init(|| self.connect())
    }

    fn connect(&self) -> Graph {
        let clock = Arc::new(SystemClock::new());
        let cloud = Cloud::from_settings(Some(&self.tenant.graph_url), Some(&self.tenant.login_url)).expect("loopback");
        let mut settings = GraphSettings::new(cloud.clone());
        // Tests don't wait out an outage inside one call.
        settings.budget = Budget {
            outage: Duration::from_millis(100),
            connect: Duration::from_millis(100),
            throttle: Duration::from_secs(3),
        };
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

    pub fn queue(&self, ledger: &dyn Ledger, only: &[usize]) -> Queue {
        let slots = self
            .people
            .iter()
            .enumerate()
            .filter(|(index, _)| only.is_empty() || only.contains(index))
            .map(|(_, person)| {
                let job = self.job_of(person);
                Slot::new(job.clone(), 1, person.clone(), self.state_of(ledger, &job))
            })
            .collect();
        Queue::new(slots)
    }

    /// Where the ledger says that a job is.
    pub fn state_of(&self, ledger: &dyn Ledger, job: &JobId) -> State {
        let entries: Vec<Entry> =
            ledger.entries_of(job).expect("entries").into_iter().map(|recorded| recorded.entry).collect();
        recover(&entries).expect("an account that makes sense")
    }

    /// What the bench does before each run.
    pub fn settle(&self, ledger: &dyn Ledger) -> Settled {
        let resume = DirResumeStore::open(self.resume_dir()).expect("a store");
        settle_before_run(ledger, &resume, self.graph(), Timestamp::now()).expect("settled")
    }

    /// One run over this ledger, with a person at the ports.
    pub fn run(&self, ledger: &dyn Ledger, play: Play) -> (Result<Outcome, BenchError>, Day) {
        let clock = Arc::new(SystemClock::new());
        let graph = self.graph();
        let ports = SimPorts::new(self.ports.clone());
        let over = Arc::new(AtomicBool::new(false));
        let interrupt = play.interrupt.unwrap_or(&over);
        let stays_to_come = play.once_through.then(|| AtomicUsize::new(play.boxed.len()));
        let resume = DirResumeStore::open(self.resume_dir()).expect("a store");
        let hands = Hands::new(ports.clone(), QUICK, play.boxed);
        let cues = hands.cues();
        let events = Arc::clone(&self.events);
        let onlooker = play.onlooker;
        let watcher = {
            let (cues, hub, over) = (Mutex::new(cues.clone()), ports.clone(), Arc::clone(&over));
            move |progress: &Progress| {
                if let Some(onlooker) = &onlooker {
                    onlooker(progress, &hub);
                }
                events.lock().unwrap_or_else(PoisonError::into_inner).push(progress.clone());
                if let (Progress::Left { .. }, Some(to_come)) = (progress, &stays_to_come)
                    && to_come.fetch_sub(1, Ordering::SeqCst) == 1
                {
                    over.store(true, Ordering::SeqCst);
                }
                let cue = match progress {
                    Progress::TakeOut { port, .. } => Cue::TakeOut { port: port.clone() },
                    Progress::Reject { port, .. } => Cue::Reject { port: port.clone() },
                    // Somebody takes it out to put it in again: in these tests, in the next run.
                    Progress::Parked { port: Some(port), code, .. } if code == "key-silent" => {
                        Cue::Reject { port: port.clone() }
                    }
                    Progress::PulledEarly { port, .. } if !play.deaf => Cue::PutBack { port: port.clone() },
                    Progress::WhichKey { port, by: ShownBy::Replug, .. } => Cue::Replug { port: port.clone() },
                    Progress::WhichKey { port, by: ShownBy::PutBack, .. } => Cue::PutBack { port: port.clone() },
                    _ => return,
                };
                cues.lock().unwrap_or_else(PoisonError::into_inner).send(cue);
            }
        };
        let bench = Bench::new(
            Outside {
                clock: clock.clone(),
                entropy: Arc::new(SystemEntropy),
                ports: &ports,
                graph,
                ledger,
                resume: &resume,
                operator: play.operator.unwrap_or(&Nobody),
                watcher: &watcher,
            },
            RunSettings {
                run: RunId::new("R1"),
                ports: Ports::All,
                never: play.never,
                only: play.expected.clone(),
                pins: self.pins,
                recipients: Recipients::single(&[self.recipients.first()[0].as_str().to_owned()]).expect("as before"),
                require_hmac_secret: true,
                display_name: NameTemplate::default(),
                change_possible: |_| true,
                model_policy: play.model_policy.unwrap_or_else(|| Box::new(|_, _| Ok(()))),
                metadata: None,
                extra_anchors: Anchors::none().and(simulator_root_der().to_vec()),
                attestation_enforced: false,
                allow_simulated: !play.real_tenant,
                blink: play.blink,
                touches_apart: play.touches_apart,
                idle: play.idle,
                settling: SignedDuration::from_secs(0),
                hold: play.hold.then(|| Holding::days(self.activation.0.clone(), 30)),
                list_lag: play.list_lag,
                outage: play.outage,
                limits: play.limits,
            },
            self.queue(ledger, &play.people),
        );
        let person = hands.start().expect("a person");
        let outcome = bench.run(interrupt);
        cues.send(Cue::Done);
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

    /// What `keybench activate` does, with the activation key's identity.
    pub fn activate(&self, ledger: &dyn Ledger, job: &JobId, list_lag: Duration) -> Result<Activated, ActivationError> {
        let mut identities = Identities::new();
        identities.add("test", self.activation.1.as_bytes(), Arc::new(NoPrompts)).expect("an identity");
        let resume = DirResumeStore::open(self.resume_dir()).expect("a store");
        let activation = Activation {
            ledger,
            resume: &resume,
            graph: self.graph(),
            clock: &SystemClock::new(),
            identities: &identities,
            name: &NameTemplate::default(),
            by: "Sam Roe",
            list_lag,
            settling: SignedDuration::from_secs(0),
        };
        activation.carry_out(job)
    }

    /// The bench is done with this person's key and the tenant knows nothing of it; the plain record is gone, and the sealed
    /// one opens to it.
    pub fn assert_held(&self, ledger: &dyn Ledger, person: usize, keys: &[Probe], case: &str) {
        let person = &self.people[person];
        let job = self.job_of(person);
        let state = self.state_of(ledger, &job);
        let State::Held { made, hold, .. } = &state else {
            panic!("{case}: the job stands at {state:?}\n{:#?}", self.events_of(&job));
        };
        assert!(hold.resume_key_gone, "{case}: the bench can't read the PIN any more");
        assert_eq!(self.passkeys_of(person), 0, "{case}: the tenant hears nothing");
        assert_eq!(ledger.blob(made.record).expect("read"), None, "{case}: the plain record is gone");
        assert!(ledger.blob(hold.sealed.expect("sealed")).expect("read").is_some(), "{case}");
        let holders: Vec<&Probe> = keys.iter().filter(|key| !key.residents().is_empty()).collect();
        assert_eq!(holders.len(), 1, "{case}: keys that hold a passkey");
        assert_eq!(holders[0].residents()[0].credential_id, made.credential, "{case}");
        assert!(holders[0].change_is_forced(), "{case}: forced change");
        assert_eq!(
            ledger.job(&job).expect("read").map(|line| (line.status, line.in_flight)),
            Some((JobStatus::Held, false))
        );
    }

    /// Passkeys that the tenant has of a person.
    pub fn passkeys_of(&self, person: &Person) -> usize {
        let tenant = self.tenant.state();
        let people = tenant["people"].as_array().expect("people").clone();
        let theirs = people.iter().find(|p| p["id"] == person.id.as_str()).expect("the person");
        theirs["methods"].as_array().expect("methods").len()
    }

    /// Everything agrees on this person: the job is finished; Entra has exactly one passkey, and it is the ledger's; of all
    /// these keys exactly one holds it, it alone, under the PIN that the custodian can open, with the change forced where
    /// the key can; no other key holds anything; and the bench can't read the PIN any more.
    pub fn assert_finished(&self, ledger: &dyn Ledger, person: usize, keys: &[Probe], case: &str) {
        let person = &self.people[person];
        let job = self.job_of(person);
        let state = self.state_of(ledger, &job);
        let State::Finished { at, made, method, resume_key_gone: true, .. } = &state else {
            panic!("{case}: the job stands at {state:?}\n{:#?}", self.events_of(&job));
        };
        let tenant = self.tenant.state();
        let people = tenant["people"].as_array().expect("people");
        let theirs = people.iter().find(|p| p["id"] == person.id.as_str()).expect("the person");
        let methods = theirs["methods"].as_array().expect("methods");
        assert_eq!(methods.len(), 1, "{case}: passkeys in Entra");
        assert_eq!(methods[0]["credential_id"], made.credential.to_base64url().as_str(), "{case}");
        assert_eq!(methods[0]["id"], method.as_str(), "{case}");
        let pin = self.open_pin(ledger, &job, at.attempt).expect("a sealed PIN");
        let holders: Vec<&Probe> = keys.iter().filter(|key| !key.residents().is_empty()).collect();
        assert_eq!(holders.len(), 1, "{case}: keys that hold a passkey");
        let residents = holders[0].residents();
        assert_eq!(residents.len(), 1, "{case}: passkeys on the key");
        assert_eq!(residents[0].credential_id, made.credential, "{case}");
        assert!(holders[0].pin_is(&pin), "{case}: the custodian's PIN is the key's");
        assert_eq!(holders[0].retries(), 8, "{case}: no try was wasted");
        let can_force = !holders[0].model().ctap.options_removed.iter().any(|gone| gone == "setMinPINLength");
        assert_eq!(holders[0].change_is_forced(), can_force, "{case}: forced change");
        let store = DirResumeStore::open(self.resume_dir()).expect("a store");
        let left = crate::pin::ResumeStore::list(&store).expect("a list");
        assert!(left.iter().all(|(other, _)| *other != job), "{case}: resume keys {left:?}");
    }

    /// What the bench told of one job, for messages.
    pub fn events_of(&self, job: &JobId) -> Vec<Progress> {
        let of = |progress: &Progress| format!("{progress:?}").contains(job.as_str());
        self.events().into_iter().filter(of).collect()
    }

    pub fn events(&self) -> Vec<Progress> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
