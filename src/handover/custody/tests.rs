//! A bench and a mail room, two ledgers, files between them.

use std::ops::ControlFlow;
use std::sync::Arc;

use jiff::tz::TimeZone;
use zeroize::Zeroizing;

use super::*;
use crate::handover::parcel::{NotNow, Parcels, Settings, may_activate, may_release};
use crate::handover::shipment::{Shipment, Shipments};
use crate::ledger::{Append, BlobHash, Ledger, LedgerError, MemoryStore, Recorded, Resealed, SelfParcel};
use crate::model::{Aaguid, BenchId, CredentialId, JobStatus, KeyRef, Pin, PortName, TenantId, Upn, UserId};
use crate::pin::{Identities, NewIdentity, NoPrompts, Recipients, ResumeKey, keygen, seal};
use crate::world::{Clock as _, SystemClock};

const PIN: &str = "kd2rp9vx84tbn5h7";

fn desk(name: &str) -> Arc<dyn Ledger> {
    Arc::new(MemoryStore::new().open(BenchId::new(name), Arc::new(SystemClock::new())))
}

fn key() -> SigningKey {
    SigningKey::parse(&SigningKey::generate().expect("random")).expect("a key")
}

fn user(number: u32) -> UserId {
    UserId::new(format!("user-{number}"))
}

fn job(number: u32) -> JobId {
    JobId::derive(&TenantId::new("tenant"), &user(number), 1)
}

fn set(people: &[&NewIdentity]) -> Recipients {
    Recipients::single(&people.iter().map(|one| one.recipient().to_owned()).collect::<Vec<_>>()).expect("recipients")
}

fn pin() -> Pin {
    Pin::new(Zeroizing::new(PIN.to_owned())).expect("a PIN")
}

fn opens(ledger: &dyn Ledger, custodian: &NewIdentity, number: u32) -> bool {
    let mut identities = Identities::new();
    identities.add("an identity", custodian.expose_file().as_bytes(), Arc::new(NoPrompts)).expect("an identity");
    let sealed = ledger.envelope(&job(number), 1).expect("read");
    sealed.is_some_and(|sealed| {
        crate::pin::open(&sealed.custodian, sealed.dual, &identities, &job(number))
            .is_ok_and(|opened| opened.pin.expose() == PIN)
    })
}

fn person(number: u32) -> Person {
    Person::new(
        user(number),
        Upn::parse(&format!("p{number}@contoso.example")).expect("a UPN"),
        format!("Person {number}"),
    )
}

fn provision(ledger: &dyn Ledger, to: &Recipients, number: u32) {
    let finished = Append::entry(Entry::Finished { job: job(number), attempt: 1 });
    provisioned(ledger, to, number, finished);
}

/// The bench is done with a key; `done` says how.
fn provisioned(ledger: &dyn Ledger, to: &Recipients, number: u32, done: Append) {
    let person = person(number);
    let (tenant, batch) = (TenantId::new("tenant"), BatchId::new("b"));
    let planned = Entry::JobPlanned { job: job(number), tenant, user: user(number), ordinal: 1, batch };
    ledger.append(Append { people: vec![person], ..Append::entry(planned) }).expect("planned");
    let claim = ledger.claim(&job(number)).expect("claimed");
    let port = PortName::new("1-1");
    let key = KeyRef { aaguid: Aaguid::ZERO, serial: None, firmware: None, model: None, port };
    let started = Entry::AttemptStarted { job: job(number), attempt: 1, key };
    ledger.append(Append::entry(started).under(&claim)).expect("begun");
    let sealed = seal(to, &ResumeKey::generate(), &job(number), 1, &pin()).expect("sealed");
    ledger.append_seal(&claim, 1, &sealed).expect("kept");
    ledger.append(done.under(&claim)).expect("done");
    ledger.release(&claim).expect("released");
}

fn bench(to: &Recipients) -> Arc<dyn Ledger> {
    let ledger = desk("bench");
    let (first, second) = to.fingerprints();
    ledger.append(Append::entry(Entry::CustodiansSet { first, second, by: "config".into() })).expect("set");
    for number in 1..=2 {
        provision(&*ledger, to, number);
    }
    ledger
}

fn write(ledger: &dyn Ledger, kind: Kind, key: &SigningKey) -> Vec<u8> {
    let now = Timestamp::UNIX_EPOCH;
    let content = match kind {
        Kind::Bundle => bundle(ledger, None, now),
        Kind::Log => log(ledger, None, now),
    };
    sign(&content.expect("read"), key).expect("signed")
}

fn entries(ledger: &dyn Ledger, number: u32) -> Vec<Recorded> {
    ledger.entries_of(&job(number)).expect("read")
}

#[test]
fn a_bundle_goes_out_and_its_log_comes_home_once() {
    let custodian = keygen(Timestamp::UNIX_EPOCH);
    let (bench, room, ours, theirs) = (bench(&set(&[&custodian])), desk("mail room"), key(), key());
    let file = write(&*bench, Kind::Bundle, &ours);
    assert!(!String::from_utf8_lossy(&file).contains(PIN));
    let opened = open(&file).expect("good");
    let taken = take(&*room, &opened, Some(&ours.fingerprint()), "kim").expect("taken");
    assert_eq!((taken.jobs, taken.seals), (2, 2));
    assert!(opens(&*room, &custodian, 1) && opens(&*room, &custodian, 2));
    assert_eq!(
        room.job(&job(1)).expect("read").map(|line| line.status),
        bench.job(&job(1)).expect("read").map(|line| line.status)
    );
    assert_eq!(room.person(&user(2)).expect("read"), bench.person(&user(2)).expect("read"));
    room.verify(None).expect("sound");

    // Again: nothing new. No fingerprint is needed any more.
    let head = room.head().expect("a head");
    assert_eq!(take(&*room, &opened, None, "kim").expect("again"), Taken { jobs: 2, ..Taken::default() });
    assert_eq!(room.head().expect("a head"), head);

    // Something is done there, and comes home with its time and desk; once.
    let act = Entry::PinOpened { job: job(1), attempt: 1, by: "Kim".into(), reason: "letter".into(), noted: None };
    room.append(Append::entry(act.clone())).expect("opened");
    let log = open(&write(&*room, Kind::Log, &theirs)).expect("good");
    assert_eq!(log.content.jobs.len(), 1, "what came from the bench is not sent back");
    assert!(matches!(take(&*bench, &log, None, "sam"), Err(TakeError::Stranger { .. })));
    let home = take(&*bench, &log, Some(&theirs.fingerprint()), "sam").expect("taken");
    assert_eq!(home.entries, 1);
    assert_eq!(take(&*bench, &log, None, "sam").expect("again").entries, 0);
    let last = entries(&*bench, 1).pop().expect("an entry");
    assert_eq!(last.entry.act(), &act);
    assert!(
        matches!(last.entry, Entry::Handover(HandoverEntry::Elsewhere { desk, .. }) if desk.as_str() == "mail room")
    );
    bench.verify(None).expect("sound");

    // More work at the bench: the next bundle brings what is new, and leaves alone what was done here.
    provision(&*bench, &set(&[&custodian]), 3);
    let before = entries(&*room, 2);
    let second = take(&*room, &open(&write(&*bench, Kind::Bundle, &ours)).expect("good"), None, "kim").expect("taken");
    assert_eq!((second.jobs, second.seals), (3, 1));
    assert_eq!(entries(&*room, 2), before);
    assert!(opens(&*room, &custodian, 3));
    assert_eq!(open(&write(&*room, Kind::Log, &theirs)).expect("good").content.jobs.len(), 1, "still one act");
}

#[test]
fn new_custodians_reach_the_mail_room() {
    let (old, new) = (keygen(Timestamp::UNIX_EPOCH), keygen(Timestamp::UNIX_EPOCH));
    let (bench, room, ours) = (bench(&set(&[&old])), desk("mail room"), key());
    let first = open(&write(&*bench, Kind::Bundle, &ours)).expect("good");
    take(&*room, &first, Some(&ours.fingerprint()), "kim").expect("taken");
    let (first, second) = set(&[&new]).fingerprints();
    let again = |number| {
        let sealed = seal(&set(&[&new]), &ResumeKey::generate(), &job(number), 1, &pin()).expect("sealed");
        Resealed { job: job(number), attempt: 1, custodian: sealed.custodian, dual: false }
    };
    let rotated = Entry::CustodiansSet { first, second, by: "Kim".into() };
    bench.reseal(rotated, vec![again(1), again(2)]).expect("rotated");
    let taken = take(&*room, &open(&write(&*bench, Kind::Bundle, &ours)).expect("good"), None, "kim").expect("taken");
    assert_eq!(taken.seals, 2);
    assert!(opens(&*room, &new, 1) && !opens(&*room, &old, 1), "the old identity opens nothing here any more");
    room.verify(None).expect("sound");
}

#[test]
fn a_file_that_was_touched_or_signed_by_another_changes_nothing() {
    let custodian = keygen(Timestamp::UNIX_EPOCH);
    let (bench, room, ours, thief) = (bench(&set(&[&custodian])), desk("mail room"), key(), key());
    let file = write(&*bench, Kind::Bundle, &ours);
    let head = room.head().expect("a head");
    for at in (0..file.len()).step_by(7) {
        let mut bad = file.clone();
        if let Some(byte) = bad.get_mut(at) {
            *byte ^= 1;
        }
        // The signer's line may be read as another key; then the signature is not its.
        assert!(open(&bad).is_err(), "byte {at}");
        assert!(open(file.get(..at).unwrap_or_default()).is_err(), "cut off at {at}");
    }
    let forged = open(&write(&*bench, Kind::Bundle, &thief)).expect("signed by somebody");
    assert!(matches!(take(&*room, &forged, None, "kim"), Err(TakeError::Stranger { .. })));
    let other = take(&*room, &forged, Some(&ours.fingerprint()), "kim");
    assert!(matches!(other, Err(TakeError::OtherSigner { .. })), "{other:?}");
    assert!(matches!(take(&*bench, &forged, None, "kim"), Err(TakeError::OurOwn(_))));
    assert_eq!(room.head().expect("a head"), head);
    assert!(matches!(open(b"keybench custody 2\nx\n"), Err(FileError::Newer(_))));
    assert!(matches!(open(b"PK\x03\x04"), Err(FileError::NotOurs { line: 1, .. })));
}

#[test]
fn a_log_can_not_say_what_is_the_benchs_to_say() {
    let custodian = keygen(Timestamp::UNIX_EPOCH);
    let (bench, theirs) = (bench(&set(&[&custodian])), key());
    let log = |entry: Entry, of: u32| {
        let happened = Happened { seq: 9, at: Timestamp::UNIX_EPOCH, entry };
        let part = JobPart { job: job(of), person: None, entries: vec![happened], seals: Vec::new() };
        let content = Content {
            kind: Kind::Log,
            desk: BenchId::new("mail room"),
            made: Timestamp::UNIX_EPOCH,
            head: String::new(),
            batch: None,
            custodians: None,
            jobs: vec![part],
            rules: Vec::new(),
            parcels: Vec::new(),
            people: Vec::new(),
        };
        open(&sign(&content, &theirs).expect("signed")).expect("good")
    };
    let head = bench.head().expect("a head");
    let opened =
        |number| Entry::PinOpened { job: job(number), attempt: 1, by: "Kim".into(), reason: "x".into(), noted: None };
    let print = theirs.fingerprint();
    for (entry, of) in [(Entry::Finished { job: job(1), attempt: 1 }, 1), (opened(1), 2)] {
        let refused = take(&*bench, &log(entry, of), Some(&print), "sam");
        assert!(matches!(refused, Err(TakeError::Misplaced { .. })), "{refused:?}");
    }
    let unknown = take(&*bench, &log(opened(7), 7), Some(&print), "sam");
    assert!(matches!(unknown, Err(TakeError::UnknownJob(_))), "{unknown:?}");
    assert_eq!(bench.head().expect("a head"), head);
}

fn parcels_of(ledger: &dyn Ledger) -> Parcels {
    let mut parcels = Parcels::default();
    ledger
        .visit(1, &mut |recorded| {
            parcels.add(&recorded);
            ControlFlow::Continue(())
        })
        .expect("read");
    parcels
}

fn shipments_of(ledger: &dyn Ledger) -> Vec<Shipment> {
    let mut shipments = Shipments::default();
    ledger
        .visit(1, &mut |recorded| {
            shipments.add(&recorded);
            ControlFlow::Continue(())
        })
        .expect("read");
    shipments.all().to_vec()
}

/// Between a bench and a mail room that know each other: files there and back.
struct Between {
    bench: Arc<dyn Ledger>,
    room: Arc<dyn Ledger>,
    keys: [SigningKey; 2],
}

impl Between {
    fn new(bench: Arc<dyn Ledger>) -> Self {
        let between = Self { bench, room: desk("mail room"), keys: [key(), key()] };
        between.out();
        between
    }

    fn out(&self) -> Taken {
        let file = open(&write(&*self.bench, Kind::Bundle, &self.keys[0])).expect("good");
        take(&*self.room, &file, Some(&self.keys[0].fingerprint()), "kim").expect("taken")
    }

    fn home(&self) -> Taken {
        let file = open(&write(&*self.room, Kind::Log, &self.keys[1])).expect("good");
        take(&*self.bench, &file, Some(&self.keys[1].fingerprint()), "sam").expect("taken")
    }

    /// What becomes of a file whose content somebody changed and the desk signed all the same.
    fn changed(&self, kind: Kind, change: impl FnOnce(&mut Content)) -> Result<Taken, TakeError> {
        let (from, to, at) = match kind {
            Kind::Bundle => (&self.bench, &self.room, 0),
            Kind::Log => (&self.room, &self.bench, 1),
        };
        let mut content = open(&write(&**from, kind, &self.keys[at])).expect("good").content;
        change(&mut content);
        let file = open(&sign(&content, &self.keys[at]).expect("signed")).expect("good");
        take(&**to, &file, Some(&self.keys[at].fingerprint()), "sam")
    }
}

fn self_packed(parcel: &str, number: u32) -> HandoverEntry {
    let serial = Some(crate::model::Serial::new("777"));
    let key = KeyRef { aaguid: Aaguid::ZERO, serial, firmware: None, model: None, port: PortName::new("1-1") };
    HandoverEntry::SelfPacked {
        parcel: parcel.into(),
        tenant: TenantId::new("tenant"),
        user: user(number),
        what: SelfParcel::Key { key, label: None },
        seen_by: "serial".into(),
        tracking: None,
        by: "Robin".into(),
    }
}

#[test]
fn blank_keys_that_the_mail_room_packed_come_home_once() {
    let custodian = keygen(Timestamp::UNIX_EPOCH);
    let between = Between::new(bench(&set(&[&custodian])));
    let Between { bench, room, .. } = &between;
    let packed = Append { people: vec![person(9)], ..Append::entry(Entry::Handover(self_packed("P1", 9))) };
    room.append(packed).expect("packed");
    assert_eq!(between.home(), Taken { jobs: 0, entries: 1, seals: 0 });
    assert_eq!(between.home().entries, 0, "once");
    assert_eq!(bench.person(&user(9)).expect("read"), Some(person(9)), "the bench knows whom for");
    let [here, there] = [&**bench, &**room].map(shipments_of);
    assert_eq!((here.len(), &here), (1, &there), "with the mail room's own time");

    // The bench sees it registered, and the mail room hears of it: once, and not of what it did itself.
    let registered = HandoverEntry::SelfRegistered {
        parcel: "P1".into(),
        user: user(9),
        method: crate::model::MethodId::new("m"),
        created: here[0].packed,
        named: false,
        by: "sam".into(),
    };
    bench.append(Append::entry(Entry::Handover(registered))).expect("noted");
    assert_eq!(between.out().entries, 1);
    assert_eq!(between.out().entries, 0);
    let there = shipments_of(&**room);
    assert!(there.len() == 1 && there[0].method().is_some(), "{there:?}");
    assert_eq!(between.home().entries, 0, "what came from the bench is not sent back");

    let stray = between.changed(Kind::Log, |content| {
        let entry = Entry::CustodiansSet { first: Vec::new(), second: Vec::new(), by: "thief".into() };
        content.parcels.push(Happened { seq: 99, at: Timestamp::UNIX_EPOCH, entry });
    });
    assert!(matches!(stray, Err(TakeError::Stray(99))), "{stray:?}");
    bench.verify(None).expect("sound");
}

/// Both desks know Kim; one forgets them, the other does not, and has more to tell.
#[test]
fn who_was_forgotten_meanwhile_is_not_brought_back() {
    let custodian = keygen(Timestamp::UNIX_EPOCH);
    let between = Between::new(bench(&set(&[&custodian])));
    let Between { bench, room, .. } = &between;
    let knows = |ledger: &dyn Ledger, number| ledger.person(&user(number)).expect("read").is_some();
    let packed = Append { people: vec![person(9)], ..Append::entry(Entry::Handover(self_packed("P1", 9))) };
    room.append(packed).expect("packed");
    assert!(between.home().entries == 1 && knows(&**bench, 9));
    bench.forget(&user(9), "left").expect("forgotten");
    let (parcel, code) = ("P1".to_owned(), "returned".to_owned());
    let (method, reason, by) = (None, String::new(), "Robin".to_owned());
    let ended = HandoverEntry::SelfEnded { parcel, user: user(9), method, code, reason, by };
    room.append(Append::entry(Entry::Handover(ended))).expect("noted");
    assert_eq!(between.home().entries, 1, "what happened comes home");
    assert!(knows(&**room, 9) && !knows(&**bench, 9), "the name does not");
    room.append(Append::entry(Entry::Handover(self_packed("P2", 9)))).expect("packed");
    assert!(between.home().entries == 1 && knows(&**bench, 9), "but with a parcel that was packed since");

    // The other way round: more about a job whose person the mail room has forgotten.
    room.forget(&user(1), "left").expect("forgotten");
    let parked = Entry::JobParked { job: job(1), code: "left".into() };
    bench.append(Append::entry(parked)).expect("noted");
    assert_eq!(between.out().entries, 1);
    assert!(knows(&**bench, 1) && !knows(&**room, 1));
    // A job that is new there has to be printed and packed there, whoever was forgotten before.
    bench.forget(&user(3), "left").expect("nobody yet");
    room.forget(&user(3), "left").expect("nobody yet");
    provision(&**bench, &set(&[&custodian]), 3);
    between.out();
    assert!(knows(&**room, 3) && opens(&**room, &custodian, 3));
    for ledger in [bench, room] {
        ledger.verify(None).expect("sound");
    }
}

#[test]
fn what_a_batch_asks_goes_with_its_bundle_and_is_not_loosened_by_a_later_one() {
    let custodian = keygen(Timestamp::UNIX_EPOCH);
    let bench = bench(&set(&[&custodian]));
    let ruled = |release| HandoverEntry::BatchRuled { batch: BatchId::new("b"), release, by: "op".into() };
    bench.append(Append::entry(Entry::Handover(ruled(ReleaseRule::AnyTime)))).expect("kept");
    let between = Between::new(bench);
    let rule = || parcels_of(&*between.room).release_rule(&job(1));
    assert_eq!(rule(), Some(ReleaseRule::AnyTime));
    between.bench.append(Append::entry(Entry::Handover(ruled(ReleaseRule::OnReceipt)))).expect("stricter");
    between.out();
    assert_eq!(rule(), Some(ReleaseRule::OnReceipt));
    let looser = BatchRule { batch: BatchId::new("b"), release: ReleaseRule::AnyTime };
    between.changed(Kind::Bundle, |content| content.rules = vec![looser.clone()]).expect("taken");
    assert_eq!(rule(), Some(ReleaseRule::OnReceipt));
    let said = between.changed(Kind::Log, |content| content.rules = vec![looser]);
    assert!(matches!(said, Err(TakeError::Ruled)), "{said:?}");
}

/// The mail room packs, notes receipt and releases; only the bench has the sealed registration, and only it activates.
#[test]
fn a_held_key_is_packed_at_the_mail_room_and_activated_at_the_bench() {
    let custodian = keygen(Timestamp::UNIX_EPOCH);
    let bench = bench(&set(&[&custodian]));
    let (now, job) = (SystemClock::new().now(), job(3));
    let expires = now.saturating_add(jiff::SignedDuration::from_hours(24)).expect("a time");
    let (sealed, witness) = (b"sealed".to_vec(), b"witness".to_vec());
    let held = HandoverEntry::Held {
        job: job.clone(),
        attempt: 1,
        record: BlobHash::of(b"record"),
        sealed: BlobHash::of(&sealed),
        witness: BlobHash::of(&witness),
        credential: CredentialId::new(vec![7; 32]),
        aaguid: Aaguid::ZERO,
        expires,
        to: vec!["0123456789abcdef".into()],
    };
    let chosen = HandoverEntry::HoldChosen { job: job.clone(), attempt: 1 };
    let done =
        Append::entries([chosen, held].map(Entry::Handover)).with_document(sealed.clone()).with_document(witness);
    provisioned(&*bench, &set(&[&custodian]), 3, done);
    let between = Between::new(bench);
    let status = |ledger: &dyn Ledger| ledger.job(&job).expect("read").map(|line| line.status);
    assert_eq!(status(&*between.room), Some(JobStatus::Held));
    assert_eq!(between.room.blob(BlobHash::of(&sealed)).expect("read"), None, "the sealed registration stays");
    assert!(opens(&*between.room, &custodian, 3), "its PIN can be printed there");

    let (of, by) = (|| job.clone(), |name: &str| name.to_owned());
    let evidence = "carrier".to_owned();
    for act in [
        HandoverEntry::Packed { job: of(), attempt: 1, seen_by: "label".into(), tracking: None, by: by("Robin") },
        HandoverEntry::Delivered { job: of(), attempt: 1, evidence, when: now, by: by("Sam") },
        HandoverEntry::ReceiptVerified { job: of(), attempt: 1, how: "call-back".into(), by: by("Sam") },
    ] {
        between.room.append(Append::entry(Entry::Handover(act))).expect("noted");
    }
    let rules = Settings { after_receipt: true, letter_days: 21 };
    let release = |ledger: &dyn Ledger| {
        let parcels = parcels_of(ledger);
        may_release(parcels.get(&job).expect("a parcel"), &rules, &["Lee"], false, &now.to_zoned(TimeZone::UTC))
    };
    assert_eq!(release(&*between.room), Err(NotNow::NotActivated));
    let said = between.changed(Kind::Log, |content| {
        let (code, sealed) = ("activated".into(), BlobHash::of(b"sealed"));
        let entry = Entry::Handover(HandoverEntry::HoldEnded { job: of(), attempt: 1, sealed, code });
        let part = content.jobs.iter_mut().find(|part| part.job == job).expect("its part");
        part.entries.push(Happened { seq: 99, at: now, entry });
    });
    assert!(matches!(said, Err(TakeError::Misplaced { seq: 99, .. })), "{said:?}");

    // At home the bench's desk may activate; who packed elsewhere may not.
    assert_eq!(between.home().entries, 3);
    let parcels = parcels_of(&*between.bench);
    let parcel = parcels.get(&job).expect("a parcel");
    assert_eq!(may_activate(parcel, &["Robin"], now), Err(NotNow::PackerActivates("Robin".into())));
    assert_eq!(may_activate(parcel, &["Kim"], now), Ok(()));
    let ended =
        HandoverEntry::HoldEnded { job: of(), attempt: 1, sealed: BlobHash::of(&sealed), code: "activated".into() };
    let activated = [
        Entry::Registered { job: of(), attempt: 1, method: crate::model::MethodId::new("m"), found: false },
        Entry::ReadBack { job: of(), attempt: 1 },
        Entry::Finished { job: of(), attempt: 1 },
        Entry::Handover(ended),
    ];
    between.bench.append(Append::entries(activated)).expect("activated");
    between.out();
    assert_eq!((status(&*between.room), release(&*between.room)), (Some(JobStatus::Finished), Ok(())));
    between.room.verify(None).expect("sound");
    between.bench.verify(None).expect("sound");
}

/// Cut off at every write, on either side of the commit, and taken again: the same ledger as in one go.
#[test]
fn a_take_that_was_cut_off_is_finished_by_the_next() {
    use crate::ledger::{Faulty, When};
    let custodian = keygen(Timestamp::UNIX_EPOCH);
    let (bench, ours) = (bench(&set(&[&custodian])), key());
    let file = open(&write(&*bench, Kind::Bundle, &ours)).expect("good");
    let print = ours.fingerprint();
    let mut stops = 0;
    for when in [When::BeforeCommit, When::AfterCommit] {
        for write in 1.. {
            let store = MemoryStore::new();
            let room = |_: ()| Arc::new(store.open(BenchId::new("mail room"), Arc::new(SystemClock::new())));
            let faulty = Faulty::new(room(()), write, when);
            match take(&faulty, &file, Some(&print), "kim") {
                Ok(_) => break,
                Err(TakeError::Ledger(LedgerError::Stopped)) => stops += 1,
                Err(error) => panic!("{error}"),
            }
            let room = room(());
            take(&*room, &file, Some(&print), "kim").expect("goes on");
            assert!(opens(&*room, &custodian, 1) && opens(&*room, &custodian, 2), "write {write}, {when:?}");
            let kinds = |ledger: &dyn Ledger| {
                let story = entries(ledger, 2).into_iter().map(|row| row.entry);
                story
                    .filter(|entry| {
                        !matches!(entry, Entry::Claimed { .. } | Entry::PinSealed { .. } | Entry::Handover(_))
                    })
                    .collect::<Vec<_>>()
            };
            assert_eq!(kinds(&*room), kinds(&*bench), "write {write}, {when:?}");
            room.verify(None).expect("sound");
        }
    }
    assert!(stops >= 12, "{stops}");
}
