//! How the work on a ledger grows, for ten and for a hundred thousand people: checking and planning a roster, answering `status`, and
//! settling what earlier runs left.
//!
//! ```text
//! cargo bench --bench ledger
//! ```

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keybench::graph::{
    Budget, Cancel, Cloud, DevicePrompt, Flow, Graph, GraphSettings, SignIn, SignInPrompt, SignInSettings, Timeouts,
};
use keybench::ledger::{
    Act, Append, BlobHash, Entry, ForcedChange, HandoverEntry, JobFilter, Ledger, Opening, SqliteLedger, open_reader,
    open_writer,
};
use keybench::model::{
    Aaguid, BatchId, BenchId, CredentialId, JobId, JobStatus, KeyRef, MethodId, Person, PortName, Secret, TenantId,
    Upn, UserId,
};
use keybench::pin::DirResumeStore;
use keybench::pipeline::watch::{Settled, settle_before_run};
use keybench::roster::check::check;
use keybench::roster::plan::{KnownJob, batch_of, plan as plan_of};
use keybench::roster::{DirectoryFacts, RosterRow, Rules};
use keybench::world::{Clock as _, SystemClock, SystemEntropy};

const SMALL: u32 = 10_000;
const LARGE: u32 = 100_000;
/// Entries in one transaction, where there are very many.
const AT_ONCE: usize = 20_000;

fn main() -> ExitCode {
    match (measure(SMALL), measure(LARGE)) {
        (Ok(small), Ok(large)) => {
            say("                            10,000 people   100,000 people   ratio");
            for ((what, small), (_, large)) in small.into_iter().zip(large) {
                let (small, large) = (small.as_secs_f64(), large.as_secs_f64());
                say(&format!("{what:<25} {small:>13.2} s {large:>15.2} s {:>8.1}", large / small));
            }
            ExitCode::SUCCESS
        }
        (Err(error), _) | (_, Err(error)) => {
            say(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout)] // a benchmark's answer is its output
fn say(line: &str) {
    println!("{line}");
}

type Failed = Box<dyn std::error::Error>;

/// Checks and plans so many people, each for a key, and reads what `status` reads; then the same when every key is held, and when every key
/// is made and each of them has its whole story.
fn measure(people: u32) -> Result<Vec<(&'static str, Duration)>, Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ledger.db");
    let roster = (0..people).map(person).collect::<Result<Vec<_>, _>>()?;
    let compared = compare(&roster)?;
    let ledger = open(&path)?;
    let planned = write_plan(&ledger, roster.clone())?;
    drop(ledger);
    let status = status(&path, people, 0)?;

    let ledger = open(&path)?;
    write(&ledger, roster.iter().flat_map(until_held))?;
    drop(ledger);
    let held = self::status(&path, people, people)?;

    let ledger = open(&path)?;
    write(&ledger, roster.iter().flat_map(from_held_to_the_end))?;
    let settled = settle(&ledger, folder.path())?;
    Ok(vec![
        ("check and compare", compared),
        ("plan", planned),
        ("status", status),
        ("status, every key held", held),
        ("settle before a run", settled),
    ])
}

/// The same roster once more: everybody is looked up, checked, and found among the jobs.
fn compare(roster: &[Person]) -> Result<Duration, Failed> {
    let tenant = tenant();
    let batch = batch_of(&tenant, "/bench/people.csv");
    let rows: Vec<RosterRow> = roster.iter().zip(2..).map(|(person, line)| row(person, line)).collect();
    let facts: HashMap<Upn, DirectoryFacts> = roster.iter().map(|person| (person.upn.clone(), found(person))).collect();
    let known: Vec<KnownJob> = roster
        .iter()
        .map(|person| KnownJob {
            job: job(person),
            user: person.id.clone(),
            upn: Some(person.upn.clone()),
            batch: batch.clone(),
            status: JobStatus::Waiting,
        })
        .collect();
    let begun = Instant::now();
    let checked = check(&rows, &facts, &Rules::default());
    let plan = plan_of(&tenant, &batch, &checked.people, &HashSet::new(), &known);
    let took = begun.elapsed();
    if plan.jobs.len() != roster.len() {
        return Err("somebody was not planned".into());
    }
    Ok(took)
}

fn status(path: &Path, people: u32, held: u32) -> Result<Duration, Failed> {
    let begun = Instant::now();
    let ledger = open_reader(path)?;
    let (jobs, names) = (ledger.jobs(&JobFilter::all())?, ledger.people()?);
    let until =
        if jobs.iter().any(|line| line.status == JobStatus::Held) { ledger.held_until()? } else { Default::default() };
    ledger.visit_jobless(&mut |_| ControlFlow::Continue(()))?;
    let took = begun.elapsed();
    if (jobs.len(), names.len(), until.len()) != (people as usize, people as usize, held as usize) {
        return Err("somebody is missing".into());
    }
    Ok(took)
}

/// The tenant is not asked: nothing is watched for.
fn settle(ledger: &SqliteLedger, folder: &Path) -> Result<Duration, Failed> {
    let graph = graph()?;
    let resume = DirResumeStore::open(folder.join("resume"))?;
    let begun = Instant::now();
    let settled = settle_before_run(ledger, &resume, &graph, SystemClock::new().now())?;
    let took = begun.elapsed();
    if settled != Settled::default() {
        return Err("something was left".into());
    }
    Ok(took)
}

fn open(path: &Path) -> Result<SqliteLedger, Failed> {
    Ok(open_writer(&Opening {
        path: path.to_owned(),
        mirror: None,
        bench: BenchId::new("benchmark"),
        clock: Arc::new(SystemClock::new()),
        entropy: &SystemEntropy,
    })?)
}

fn write_plan(ledger: &SqliteLedger, roster: Vec<Person>) -> Result<Duration, Failed> {
    let begun = Instant::now();
    let mut append = Append::entries(roster.iter().map(|person| Entry::JobPlanned {
        job: job(person),
        tenant: tenant(),
        user: person.id.clone(),
        ordinal: 1,
        batch: BatchId::new("benchmark"),
    }));
    append.people = roster;
    ledger.append(append)?;
    Ok(begun.elapsed())
}

fn write(ledger: &SqliteLedger, entries: impl Iterator<Item = Entry>) -> Result<(), Failed> {
    let mut entries = entries.peekable();
    while entries.peek().is_some() {
        ledger.append(Append::entries(entries.by_ref().take(AT_ONCE)))?;
    }
    Ok(())
}

/// What a bench writes of a key that is held.
fn until_held(person: &Person) -> Vec<Entry> {
    let (job, attempt) = (job(person), 1);
    let credential = CredentialId::new(person.id.as_str().as_bytes().to_vec());
    let intent = |act| Entry::Intent { job: job.clone(), attempt, act };
    let key = KeyRef { aaguid: Aaguid::ZERO, serial: None, firmware: None, model: None, port: PortName::new("1-4.2") };
    let expires = jiff::Timestamp::MAX;
    vec![
        Entry::AttemptStarted { job: job.clone(), attempt, key },
        intent(Act::SetPin),
        Entry::PinSet { job: job.clone(), attempt },
        intent(Act::MakeCredential),
        Entry::CredentialMade {
            job: job.clone(),
            attempt,
            credential: credential.clone(),
            record: BlobHash([1; 32]),
            expires,
        },
        Entry::CredentialProved { job: job.clone(), attempt, checks: vec!["signature".into(), "model".into()] },
        Entry::Handover(HandoverEntry::HoldChosen { job: job.clone(), attempt }),
        intent(Act::SetPinRules),
        Entry::PinRulesSet { job: job.clone(), attempt, minimum: 6, forced: ForcedChange::Forced },
        Entry::Handover(HandoverEntry::Held {
            job: job.clone(),
            attempt,
            record: BlobHash([1; 32]),
            sealed: BlobHash([2; 32]),
            witness: BlobHash([3; 32]),
            credential,
            aaguid: Aaguid::ZERO,
            expires,
            to: vec!["0123456789abcdef".into()],
        }),
        Entry::ResumeKeyDestroyed { job: job.clone(), attempt },
        Entry::KeyTaken { job, attempt },
    ]
}

fn from_held_to_the_end(person: &Person) -> Vec<Entry> {
    let (job, attempt) = (job(person), 1);
    let by = || "desk".to_owned();
    vec![
        Entry::Handover(HandoverEntry::Packed {
            job: job.clone(),
            attempt,
            seen_by: "label".into(),
            tracking: None,
            by: by(),
        }),
        Entry::Handover(HandoverEntry::ReceiptVerified { job: job.clone(), attempt, how: "call".into(), by: by() }),
        Entry::Handover(HandoverEntry::ActivationBegun { job: job.clone(), attempt, by: by() }),
        Entry::Intent { job: job.clone(), attempt, act: Act::Register },
        Entry::Registered { job: job.clone(), attempt, method: MethodId::new("method"), found: false },
        Entry::ReadBack { job: job.clone(), attempt },
        Entry::Finished { job: job.clone(), attempt },
        Entry::Handover(HandoverEntry::HoldEnded { job, attempt, sealed: BlobHash([2; 32]), code: "activated".into() }),
    ]
}

fn tenant() -> TenantId {
    TenantId::new("00000000-0000-0000-0000-000000000001")
}

fn job(person: &Person) -> JobId {
    JobId::derive(&tenant(), &person.id, 1)
}

fn person(number: u32) -> Result<Person, Failed> {
    Ok(Person::new(
        UserId::new(format!("00000000-0000-0000-0001-{number:012x}")),
        Upn::parse(&format!("person{number}@contoso.example")).ok_or("no UPN")?,
        format!("Person {number}"),
    ))
}

fn row(person: &Person, line: u32) -> RosterRow {
    RosterRow {
        line: Some(line),
        upn: person.upn.clone(),
        serial: None,
        address: None,
        keys: 1,
        key_kind: None,
        first_device: None,
        language: None,
        spare_address: None,
    }
}

fn found(person: &Person) -> DirectoryFacts {
    DirectoryFacts {
        id: person.id.clone(),
        upn: person.upn.clone(),
        display_name: person.display_name.clone(),
        enabled: true,
        guest: false,
        privileged: Vec::new(),
        in_allowed_group: None,
        passkeys: Some(1),
        is_caller: false,
    }
}

struct Nobody;

impl SignInPrompt for Nobody {
    fn device_code(&self, _: &DevicePrompt) {}
}

/// A client that is never used: nobody listens there.
fn graph() -> Result<Graph, Failed> {
    let clock = Arc::new(SystemClock::new());
    let cloud = Cloud::from_settings(Some("http://127.0.0.1:9"), Some("http://127.0.0.1:9"))?;
    let settings = GraphSettings::new(cloud.clone());
    let sign_in = SignInSettings {
        cloud,
        tenant: tenant().to_string(),
        client_id: "benchmark".into(),
        flow: Flow::Secret(Secret::new("none".into())),
        timeouts: Timeouts::default(),
        budget: Budget::default(),
        cancel: Cancel::new(),
    };
    let sign_in = SignIn::new(sign_in, clock.clone(), Arc::new(Nobody))?;
    Ok(Graph::connect(settings, Arc::new(sign_in), clock, Arc::new(|_| {}))?)
}
