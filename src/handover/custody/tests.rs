//! A bench and a mail room, two ledgers, files between them.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::*;
use crate::ledger::{Append, Ledger, LedgerError, MemoryStore, Recorded, Resealed};
use crate::model::{Aaguid, BenchId, KeyRef, Pin, PortName, TenantId, Upn, UserId};
use crate::pin::{Identities, NewIdentity, NoPrompts, Recipients, ResumeKey, keygen, seal};
use crate::world::SystemClock;

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

fn provision(ledger: &dyn Ledger, to: &Recipients, number: u32) {
    let person = Person {
        id: user(number),
        upn: Upn::parse(&format!("p{number}@contoso.example")).expect("a UPN"),
        display_name: format!("Person {number}"),
        address: None,
        first_device: None,
        key_kind: None,
        serial: None,
        language: None,
        spare_address: None,
    };
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
    ledger.append(Append::entry(Entry::Finished { job: job(number), attempt: 1 }).under(&claim)).expect("finished");
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
