//! The story that every backend must tell, and random operations on a backend and the model side by side.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::claim::LASTS;
use super::*;
use crate::model::{Aaguid, BatchId, ChangeId, CredentialId, JobStatus, KeyRef, PortName, TenantId, Upn};
use crate::world::{Clock, SystemEntropy};

/// A clock that is moved by hand.
#[derive(Debug, Default)]
pub(super) struct HandClock(AtomicI64);

impl HandClock {
    pub(super) fn pass(&self, time: Duration) {
        self.0.fetch_add(i64::try_from(time.as_secs()).expect("small"), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + self.0.load(Ordering::SeqCst)).expect("a time")
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
    fn sleep(&self, time: Duration) {
        self.pass(time);
    }
}

/// A place where a ledger is kept, and processes that come and go.
pub(super) trait Place {
    /// A process starts. The one before it is dead by now.
    fn open(&self, bench: &str) -> Arc<dyn Ledger>;
    fn clock(&self) -> Arc<HandClock>;
}

struct InMemory(MemoryStore, Arc<HandClock>);

impl InMemory {
    fn new() -> Self {
        Self(MemoryStore::new(), Arc::default())
    }
}

impl Place for InMemory {
    fn open(&self, bench: &str) -> Arc<dyn Ledger> {
        let clock: Arc<dyn Clock> = self.clock();
        Arc::new(self.0.open(BenchId::new(bench), clock))
    }
    fn clock(&self) -> Arc<HandClock> {
        Arc::clone(&self.1)
    }
}

/// A directory with a ledger, and a mirror when asked.
pub(super) struct OnDisk {
    pub(super) directory: tempfile::TempDir,
    pub(super) mirrored: bool,
    clock: Arc<HandClock>,
}

impl OnDisk {
    pub(super) fn new(mirrored: bool) -> Self {
        Self { directory: tempfile::tempdir().expect("a directory"), mirrored, clock: Arc::default() }
    }

    pub(super) fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("ledger.db")
    }

    pub(super) fn mirror(&self) -> std::path::PathBuf {
        self.directory.path().join("mirror.jsonl")
    }

    pub(super) fn try_open(&self, bench: &str) -> Result<SqliteLedger, LedgerError> {
        open_writer(&self.opening(bench))
    }

    pub(super) fn opening(&self, bench: &str) -> Opening<'static> {
        Opening {
            path: self.path(),
            mirror: self.mirrored.then(|| self.mirror()),
            bench: BenchId::new(bench),
            clock: self.clock(),
            entropy: &SystemEntropy,
        }
    }
}

impl Place for OnDisk {
    fn open(&self, bench: &str) -> Arc<dyn Ledger> {
        Arc::new(self.try_open(bench).expect("opens"))
    }
    fn clock(&self) -> Arc<HandClock> {
        Arc::clone(&self.clock)
    }
}

pub(super) fn job(number: u32) -> JobId {
    JobId::new(format!("JOB{number}"))
}

/// Odd jobs are one person's, even jobs the other's.
pub(super) fn user(number: u32) -> UserId {
    UserId::new(format!("user-{}", number % 2))
}

pub(super) fn person(number: u32, name: &str) -> Person {
    Person::new(user(number), Upn::parse(&format!("{name}@contoso.com")).expect("a UPN"), name.to_owned())
}

pub(super) fn planned(number: u32) -> Entry {
    Entry::JobPlanned {
        job: job(number),
        tenant: TenantId::new("tenant"),
        user: user(number),
        ordinal: number,
        batch: BatchId::new(format!("batch-{number}")),
    }
}

pub(super) fn begun(number: u32, attempt: Attempt) -> Entry {
    let port = PortName::new("1-1");
    let key = KeyRef { aaguid: Aaguid::ZERO, serial: None, firmware: None, model: None, port };
    Entry::AttemptStarted { job: job(number), attempt, key }
}

pub(super) fn finished(number: u32, attempt: Attempt) -> Entry {
    Entry::Finished { job: job(number), attempt }
}

pub(super) fn sealed(text: &str) -> SealedPin {
    SealedPin { custodian: text.as_bytes().to_vec(), resume: format!("resume {text}").into_bytes(), dual: false }
}

fn made(number: u32, attempt: Attempt, record: &[u8]) -> Entry {
    Entry::CredentialMade {
        job: job(number),
        attempt,
        credential: CredentialId::new(vec![1; 16]),
        record: BlobHash::of(record),
        expires: Timestamp::UNIX_EPOCH,
    }
}

fn held(number: u32, record: &[u8], sealed: &[u8]) -> Entry {
    Entry::Handover(HandoverEntry::Held {
        job: job(number),
        attempt: 1,
        record: BlobHash::of(record),
        sealed: BlobHash::of(sealed),
        witness: BlobHash::of(b"witness"),
        credential: CredentialId::new(vec![1; 16]),
        aaguid: Aaguid::ZERO,
        expires: Timestamp::UNIX_EPOCH,
        to: Vec::new(),
    })
}

fn all(ledger: &dyn Ledger) -> Vec<Recorded> {
    let mut entries = Vec::new();
    ledger
        .visit(1, &mut |recorded| {
            entries.push(recorded);
            ControlFlow::Continue(())
        })
        .expect("visits");
    entries
}

/// The story.
fn tell(place: &dyn Place) {
    let ledger = place.open("us");
    let first = ledger.head().expect("a head");
    assert_eq!(first.seq, 1, "a ledger begins with how it was made");
    assert!(matches!(all(&*ledger)[0].entry, Entry::LedgerCreated { .. }));

    // All or nothing: the second entry is about a job that nobody planned.
    let half = Append { entries: vec![planned(1), begun(2, 1)], people: vec![person(1, "kim")], ..Append::default() };
    assert!(matches!(ledger.append(half), Err(LedgerError::NotAllowed(_))));
    assert_eq!(ledger.head().expect("a head"), first);
    assert_eq!(ledger.people().expect("people"), []);
    assert_eq!(ledger.job(&job(1)).expect("read"), None);

    // What has a call of its own is not taken, and neither is a blob that nobody names or that is another.
    for entry in [
        Entry::Restored { entries: 1 },
        Entry::Claimed { job: job(1), fence: 9, expires: Timestamp::UNIX_EPOCH },
        Entry::Forgotten { user: user(1), reason: String::new() },
        Entry::PinSealed {
            job: job(1),
            attempt: 1,
            envelope: BlobHash::of(b""),
            resume: BlobHash::of(b""),
            dual: false,
        },
    ] {
        assert!(matches!(ledger.append(Append::entry(entry)), Err(LedgerError::NotAllowed(_))));
    }
    assert!(ledger.append(Append::entry(planned(1)).with_document(b"x".to_vec())).is_err());
    let other =
        Append { blobs: vec![(BlobHash::of(b"record"), b"other".to_vec())], ..Append::entry(made(1, 1, b"record")) };
    assert!(matches!(ledger.append(other), Err(LedgerError::BlobMismatch(_))));
    assert!(ledger.append(Append { people: vec![person(1, "kim")], ..Append::default() }).is_err());
    assert_eq!(ledger.head().expect("a head"), first);

    // A plan.
    let people = vec![person(1, "kim"), person(2, "lee")];
    let plan = Append { entries: (1..=3).map(planned).collect(), people: people.clone(), ..Append::default() };
    let head = ledger.append(plan).expect("planned");
    assert_eq!(head.seq, 4);
    assert_eq!(ledger.head().expect("a head"), head);
    let mut sorted = people;
    sorted.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(ledger.people().expect("people"), sorted);
    assert_eq!(ledger.person(&user(1)).expect("read"), Some(person(1, "kim")));
    let jobs =
        |filter: JobFilter| ledger.jobs(&filter).expect("jobs").into_iter().map(|line| line.job).collect::<Vec<_>>();
    assert_eq!(jobs(JobFilter::all()), [job(1), job(2), job(3)]);
    assert_eq!(jobs(JobFilter::batch(BatchId::new("batch-2"))), [job(2)]);
    assert_eq!(jobs(JobFilter { user: Some(user(1)), ..JobFilter::default() }), [job(1), job(3)]);
    assert_eq!(jobs(JobFilter { tenant: Some(TenantId::new("x")), ..JobFilter::default() }), []);

    // Claims.
    assert!(matches!(ledger.claim(&job(9)), Err(LedgerError::NotAllowed(_))));
    let claim = ledger.claim(&job(1)).expect("claimed");
    assert_eq!((claim.job(), claim.fence()), (&job(1), 1));
    assert_eq!(ledger.claim(&job(1)).expect("kept"), claim, "no second entry for the holder");
    assert!(ledger.append(Append::entry(begun(2, 1)).under(&claim)).is_err(), "another job under this claim");

    // A seal.
    ledger.append(Append::entry(begun(1, 1)).under(&claim)).expect("begun");
    assert_eq!(ledger.sealed_pin(&job(1), 1).expect("read"), None);
    let receipt = ledger.append_seal(&claim, 1, &sealed("a")).expect("sealed");
    assert_eq!((receipt.job(), receipt.attempt(), receipt.envelope()), (&job(1), 1, BlobHash::of(b"a")));
    assert_eq!(ledger.sealed_pin(&job(1), 1).expect("read"), Some((sealed("a"), receipt)));
    let again = ledger.append_seal(&claim, 1, &sealed("b"));
    assert!(matches!(again, Err(LedgerError::AlreadySealed { .. })), "a try has one PIN for good");

    // A record.
    let record = Append::entry(made(1, 1, b"record")).with_document(b"record".to_vec()).under(&claim);
    ledger.append(record).expect("kept");
    assert_eq!(ledger.blob(BlobHash::of(b"record")).expect("read").as_deref(), Some(&b"record"[..]));
    assert_eq!(ledger.blob(BlobHash::of(b"other")).expect("read"), None);

    // The process dies. The next one of the same bench takes the job at once; the dead one's claim is void.
    let before = all(&*ledger);
    drop(ledger);
    let ledger = place.open("us");
    assert_eq!(all(&*ledger), before);
    assert!(matches!(ledger.append(Append::entry(finished(1, 1)).under(&claim)), Err(LedgerError::ClaimLost { .. })));
    assert!(matches!(ledger.append_seal(&claim, 2, &sealed("c")), Err(LedgerError::ClaimLost { .. })));
    let claim = ledger.claim(&job(1)).expect("retaken");
    assert_eq!(claim.fence(), 2);
    drop(ledger);
    let them = place.open("them");
    assert!(matches!(them.claim(&job(1)), Err(LedgerError::ClaimedElsewhere { bench, .. }) if bench.as_str() == "us"));
    place.clock().pass(LASTS);
    let theirs = them.claim(&job(1)).expect("expired");
    assert_eq!(theirs.fence(), 3);
    them.release(&theirs).expect("released");
    them.release(&theirs).expect("twice");
    assert!(them.append(Append::entry(finished(1, 1)).under(&theirs)).is_err());
    drop(them);
    let ledger = place.open("us");
    assert_eq!(ledger.claim(&job(1)).expect("free").fence(), 4);

    // New custodians: the envelope changes, the resume copy stays until its key is destroyed.
    let before = ledger.head().expect("a head");
    assert!(
        ledger.reseal(others(), vec![resealed(1, 1, b"n"), resealed(2, 1, b"n")]).is_err(),
        "the second is not there"
    );
    assert!(ledger.reseal(planned(1), vec![resealed(1, 1, b"n")]).is_err(), "no custodians are changed");
    assert_eq!(ledger.head().expect("a head"), before, "all of it or nothing");
    ledger.reseal(others(), vec![resealed(1, 1, b"new")]).expect("sealed again");
    let wanted = SealedPin { custodian: b"new".to_vec(), resume: b"resume a".to_vec(), dual: true };
    assert_eq!(ledger.envelope(&job(1), 1).expect("read"), Some(wanted.clone()));

    // While a key is begun its PIN must stay recoverable.
    assert!(matches!(ledger.forget(&user(1), "left"), Err(LedgerError::NotAllowed(_))));
    let end = [finished(1, 1), Entry::ResumeKeyDestroyed { job: job(1), attempt: 1 }];
    ledger.append(Append::entries(end)).expect("finished");
    let (after, _) = ledger.sealed_pin(&job(1), 1).expect("read").expect("there");
    assert_eq!(after, SealedPin { resume: Vec::new(), ..wanted });
    assert_eq!(ledger.job(&job(1)).expect("read").map(|line| line.status), Some(JobStatus::Finished));

    // A held key: its plain record goes, and what is sealed goes when the hold ends.
    let blob = |bytes: &[u8]| ledger.blob(BlobHash::of(bytes)).expect("read").is_some();
    let kept = |entries: Vec<Entry>, documents: &[&[u8]]| {
        let append =
            documents.iter().fold(Append::entries(entries), |append, bytes| append.with_document(bytes.to_vec()));
        ledger.append(append).expect("kept");
    };
    let of_other = held(2, b"record", b"sealed record");
    assert!(blob(b"record"));
    kept(vec![of_other], &[b"sealed record", b"witness"]);
    assert!(blob(b"record"), "the record is another job's");
    kept(vec![held(1, b"record", b"sealed again")], &[b"sealed again"]);
    assert!(!blob(b"record") && blob(b"sealed again") && blob(b"witness"));
    assert_eq!(ledger.job(&job(1)).expect("read").map(|line| line.status), Some(JobStatus::Held));
    let until = Timestamp::UNIX_EPOCH;
    assert_eq!(ledger.held_until().expect("read"), [(job(1), until), (job(2), until)].into());
    let sealed_again = BlobHash::of(b"sealed again");
    let over = HandoverEntry::HoldEnded { job: job(1), attempt: 1, sealed: sealed_again, code: "activated".into() };
    kept(vec![finished(1, 1), Entry::Handover(over)], &[]);
    assert!(!blob(b"sealed again") && blob(b"sealed record"));
    assert_eq!(ledger.job(&job(1)).expect("read").map(|line| line.status), Some(JobStatus::Finished));
    assert_eq!(ledger.held_until().expect("read"), [(job(2), until)].into());
    let lost = HandoverEntry::HoldEnded { job: job(2), attempt: 1, sealed: BlobHash([0; 32]), code: "lost".into() };
    kept(vec![Entry::Handover(lost)], &[]);
    assert_eq!(ledger.job(&job(2)).expect("read").map(|line| line.status), Some(JobStatus::Held));
    assert!(ledger.held_until().expect("read").is_empty(), "its hold has ended");

    // Forgetting.
    let known = ledger.head().expect("a head");
    ledger.forget(&user(1), "left").expect("forgotten");
    assert_eq!(ledger.person(&user(1)).expect("read"), None);
    assert_eq!(ledger.sealed_pin(&job(1), 1).expect("read"), None);
    assert_eq!(ledger.blob(BlobHash::of(b"record")).expect("read"), None);
    assert_eq!(ledger.people().expect("people"), [person(2, "lee")]);
    let claim = ledger.claim(&job(1)).expect("claimed");
    assert!(matches!(ledger.append_seal(&claim, 1, &sealed("b")), Err(LedgerError::AlreadySealed { .. })));

    // The chain.
    assert_eq!(ledger.verify(Some(known.into())).expect("sound"), ledger.head().expect("a head"));
    let printed = SeenHead::parse(&known.to_string()).expect("as a summary prints it");
    assert!(ledger.verify(Some(printed)).is_ok());
    let unseen = Head { hash: [7; 32], ..known };
    assert!(matches!(ledger.verify(Some(unseen.into())), Err(LedgerError::Chain(ChainFault::HeadNotFound { .. }))));
    let entries = all(&*ledger);
    assert!(entries.iter().enumerate().all(|(index, entry)| entry.seq == index as u64 + 1), "no gap");
    let of_one: Vec<_> = entries.iter().filter(|entry| entry.entry.job() == Some(&job(1))).cloned().collect();
    assert_eq!(ledger.entries_of(&job(1)).expect("read"), of_one);
    let mut seen = Vec::new();
    let stop = &mut |recorded: Recorded| {
        seen.push(recorded.seq);
        if seen.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    ledger.visit(5, stop).expect("visits");
    assert_eq!(seen, [5, 6]);
}

/// A policy is nobody's and stays when a person is forgotten; a registration record is somebody's.
fn documents_have_owners(place: &dyn Place) {
    let ledger = place.open("us");
    let policy = |bytes: &[u8]| {
        Entry::Tenant(TenantEntry::ChangeDone {
            change: ChangeId::new("c1"),
            after: Some(BlobHash::of(bytes)),
            request: None,
        })
    };
    ledger.append(Append::entry(planned(1))).expect("planned");
    ledger.append(Append::entry(made(1, 1, b"record")).with_document(b"record".to_vec())).expect("somebody's");
    ledger.append(Append::entry(policy(b"policy")).with_document(b"policy".to_vec())).expect("nobody's");
    let stray = ledger.append(Append::entry(policy(b"policy")).with_document(b"stray".to_vec()));
    assert!(matches!(stray, Err(LedgerError::NotAllowed(_))), "named by no entry: {stray:?}");
    let blob = |bytes: &[u8]| ledger.blob(BlobHash::of(bytes)).expect("read");
    assert_eq!((blob(b"record"), blob(b"policy")), (Some(b"record".to_vec()), Some(b"policy".to_vec())));
    ledger.forget(&user(1), "asked").expect("forgotten");
    assert_eq!((blob(b"record"), blob(b"policy"), blob(b"stray")), (None, Some(b"policy".to_vec()), None));
    ledger.verify(None).expect("sound");
}

#[test]
fn documents_have_owners_everywhere() {
    documents_have_owners(&InMemory::new());
    documents_have_owners(&OnDisk::new(true));
}

#[test]
fn the_model_tells_the_story() {
    tell(&InMemory::new());
}

#[test]
fn sqlite_tells_the_story() {
    tell(&OnDisk::new(false));
}

#[test]
fn sqlite_with_a_mirror_tells_the_story() {
    tell(&OnDisk::new(true));
}

#[test]
fn a_faulty_ledger_stops_on_its_side_of_the_commit() {
    for (when, kept) in [(When::BeforeCommit, 1), (When::AfterCommit, 2)] {
        let place = InMemory::new();
        let faulty = Faulty::new(place.open("us"), 2, when);
        faulty.append(Append::entry(planned(1))).expect("the first write");
        assert!(matches!(faulty.append(Append::entry(planned(2))), Err(LedgerError::Stopped)));
        assert!(matches!(faulty.head(), Err(LedgerError::Stopped)), "dead from then on");
        assert!(matches!(faulty.append(Append::entry(planned(3))), Err(LedgerError::Stopped)));
        assert_eq!((faulty.writes(), faulty.has_stopped()), (2, true));
        assert_eq!(place.open("us").jobs(&JobFilter::all()).expect("jobs").len(), kept, "{when:?}");
    }
}

#[test]
fn the_audit_report_knows_whom_and_no_pin() {
    let place = InMemory::new();
    let ledger = place.open("us");
    ledger.append(Append { people: vec![person(1, "kim")], ..Append::entry(planned(1)) }).expect("planned");
    let claim = ledger.claim(&job(1)).expect("claimed");
    ledger.append_seal(&claim, 1, &sealed("envelope bytes")).expect("sealed");
    let mut rows = Vec::new();
    let take = &mut |row: export::AuditRow| {
        rows.push(row);
        ControlFlow::Continue(())
    };
    export::audit(&*ledger, take).expect("exported");
    let kinds: Vec<_> = rows.iter().map(|row| row.kind.as_str()).collect();
    assert_eq!(kinds, ["ledger-created", "job-planned", "claimed", "pin-sealed"]);
    assert!(rows.iter().skip(1).all(|row| row.upn == "kim@contoso.com" && row.user == user(1).as_str()));
    let text = format!("{rows:?}");
    assert!(text.contains(&BlobHash::of(b"envelope bytes").to_string()) && !text.contains("envelope bytes"));
}

fn others() -> Entry {
    Entry::CustodiansSet { first: vec!["fedcba9876543210".into()], second: Vec::new(), by: "Kim".into() }
}

fn resealed(number: u32, attempt: Attempt, envelope: &[u8]) -> Resealed {
    Resealed { job: job(number), attempt, custodian: envelope.to_vec(), dual: true }
}

#[derive(Debug, Clone)]
enum Op {
    Plan(Vec<u32>),
    Append(u32, Attempt, u8),
    Record(u32, Attempt, u8),
    Claim(u32),
    Release,
    Under(u32, Attempt),
    Seal(Attempt, u8),
    Reseal(u32, Attempt, u8),
    Forget(u32),
    Wait(u64),
    Restart(bool),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let job = || 1u32..4;
    let attempt = || 1u32..3;
    let op = prop_oneof![
        3 => prop::collection::vec(job(), 0..3).prop_map(Op::Plan),
        4 => (job(), attempt(), 0u8..7).prop_map(|(job, attempt, kind)| Op::Append(job, attempt, kind)),
        1 => (job(), attempt(), any::<u8>()).prop_map(|(job, attempt, byte)| Op::Record(job, attempt, byte)),
        3 => job().prop_map(Op::Claim),
        1 => Just(Op::Release),
        2 => (job(), attempt()).prop_map(|(job, attempt)| Op::Under(job, attempt)),
        3 => (attempt(), any::<u8>()).prop_map(|(attempt, byte)| Op::Seal(attempt, byte)),
        1 => (job(), attempt(), any::<u8>()).prop_map(|(job, attempt, byte)| Op::Reseal(job, attempt, byte)),
        1 => job().prop_map(Op::Forget),
        1 => (0u64..3000).prop_map(Op::Wait),
        1 => any::<bool>().prop_map(Op::Restart),
    ];
    prop::collection::vec(op, 1..40)
}

/// One operation; what came of it in a form that can be compared. Hashes can't: each ledger has a nonce of its own.
fn apply(ledger: &dyn Ledger, held: &Mutex<Option<Claim>>, op: &Op) -> String {
    let tell = |result: Result<Head, LedgerError>| match result {
        Ok(head) => head.seq.to_string(),
        Err(error) => error.to_string(),
    };
    let mut held = held.lock().expect("not poisoned");
    match op {
        Op::Plan(jobs) => tell(ledger.append(Append {
            entries: jobs.iter().copied().map(planned).collect(),
            people: jobs.iter().map(|number| person(*number, &format!("name{number}"))).collect(),
            ..Append::default()
        })),
        Op::Append(number, attempt, kind) => {
            let (job, attempt) = (job(*number), *attempt);
            tell(ledger.append(Append::entry(match kind {
                0 => begun(*number, attempt),
                1 => finished(*number, attempt),
                2 => Entry::AttemptFailed { job, attempt, code: "x".into(), pin_on_key: true },
                3 => Entry::ResumeKeyDestroyed { job, attempt },
                4 => Entry::JobParked { job, code: "left".into() },
                5 => Entry::JobResumed { job },
                _ => Entry::ActUndone { job, attempt, act: Act::MakeCredential, code: "touch".into() },
            })))
        }
        Op::Record(number, attempt, byte) => {
            tell(ledger.append(Append::entry(made(*number, *attempt, &[*byte])).with_document(vec![*byte])))
        }
        Op::Claim(number) => match ledger.claim(&job(*number)) {
            Ok(claim) => {
                let text = format!("{claim:?}");
                *held = Some(claim);
                text
            }
            Err(error) => error.to_string(),
        },
        Op::Release => match &*held {
            Some(claim) => format!("{:?}", ledger.release(claim).is_ok()),
            None => String::new(),
        },
        Op::Under(number, attempt) => match &*held {
            Some(claim) => tell(ledger.append(Append::entry(begun(*number, *attempt)).under(claim))),
            None => String::new(),
        },
        Op::Seal(attempt, byte) => match &*held {
            Some(claim) => match ledger.append_seal(claim, *attempt, &sealed(&byte.to_string())) {
                Ok(receipt) => format!("{receipt:?}"),
                Err(error) => error.to_string(),
            },
            None => String::new(),
        },
        Op::Reseal(number, attempt, byte) => tell(ledger.reseal(others(), vec![resealed(*number, *attempt, &[*byte])])),
        Op::Forget(number) => tell(ledger.forget(&user(*number), "asked")),
        Op::Wait(_) | Op::Restart(_) => String::new(),
    }
}

/// Everything that can be seen from outside.
fn picture(ledger: &dyn Ledger) -> String {
    let entries: Vec<_> = all(ledger).into_iter().skip(1).map(|row| (row.seq, row.at, row.bench, row.entry)).collect();
    let seals: Vec<_> = (1..4)
        .flat_map(|number| (1..3).map(move |attempt| (number, attempt)))
        .map(|(number, attempt)| {
            ledger.envelope(&job(number), attempt).expect("read").map(|sealed| (sealed.custodian, sealed.resume))
        })
        .collect();
    let blobs: Vec<_> = (0..=255u8).map(|byte| ledger.blob(BlobHash::of(&[byte])).expect("read").is_some()).collect();
    let (jobs, people) = (ledger.jobs(&JobFilter::all()).expect("jobs"), ledger.people().expect("people"));
    format!("{entries:?}\n{jobs:?}\n{people:?}\n{seals:?}\n{blobs:?}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is asked in whatever order, the file and the model answer and look the same; the file passes its complete
    /// check; and a ledger restored from the mirror has the same entries and the same sealed PINs.
    #[test]
    fn sqlite_and_the_model_agree(ops in ops()) {
        let (model, disk) = (InMemory::new(), OnDisk::new(true));
        let (mut expected, mut found) = (model.open("us"), disk.open("us"));
        let (held_there, held_here) = (Mutex::new(None), Mutex::new(None));
        for op in &ops {
            match op {
                Op::Wait(seconds) => {
                    model.clock().pass(Duration::from_secs(*seconds));
                    disk.clock().pass(Duration::from_secs(*seconds));
                }
                Op::Restart(us) => {
                    let bench = if *us { "us" } else { "them" };
                    drop((expected, found));
                    (expected, found) = (model.open(bench), disk.open(bench));
                }
                op => prop_assert_eq!(apply(&*found, &held_here, op), apply(&*expected, &held_there, op), "{:?}", op),
            }
        }
        prop_assert_eq!(picture(&*found), picture(&*expected));
        found.verify(None).expect("sound");

        let copy = OnDisk::new(false);
        let clock: Arc<dyn Clock> = copy.clock();
        // Registration records and names are not in the mirror; entries and seals are.
        drop(found);
        let found = disk.open("us");
        restore(&disk.mirror(), &copy.path(), &BenchId::new("us"), &clock).expect("restored");
        let restored = copy.open("us");
        restored.verify(Some(found.head().expect("a head").into())).expect("sound");
        for number in 1..4 {
            prop_assert_eq!(restored.entries_of(&job(number)).expect("read"), found.entries_of(&job(number)).expect("read"));
            prop_assert_eq!(restored.job(&job(number)).expect("read"), found.job(&job(number)).expect("read"));
            for attempt in 1..3 {
                let (there, here) = (restored.envelope(&job(number), attempt), found.envelope(&job(number), attempt));
                prop_assert_eq!(there.expect("read"), here.expect("read"));
            }
        }
    }
}
