//! Desks beside a bench: who may write, who may claim, and two processes that write at once and are killed.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::conformance::{OnDisk, Place as _, begun, finished, job, person, planned, sealed, user};
use super::super::{SeenHead, mirror};
use super::*;
use crate::ledger::HandoverEntry;
use crate::world::{SystemClock, SystemEntropy};

fn desk(place: &OnDisk) -> SqliteLedger {
    open_desk(&place.opening("us")).expect("a desk opens")
}

fn bench(place: &OnDisk) -> SqliteLedger {
    place.try_open("us").expect("a bench opens")
}

fn opened_by(by: &str) -> Entry {
    Entry::PinOpened { job: job(1), attempt: 1, by: by.to_owned(), reason: "letter".into(), noted: None }
}

/// Every line of the mirror is the ledger's entry, in order, with nothing missing.
fn mirror_is_the_ledger(place: &OnDisk, ledger: &SqliteLedger) {
    let lines: Vec<_> = mirror::read(&place.mirror()).expect("opens").map(|line| line.expect("whole").0).collect();
    let rows = tables::rows_from(&ledger.inner().db, 1, usize::MAX).expect("rows");
    assert_eq!(lines.len(), rows.len());
    assert_eq!(lines, rows);
}

#[test]
fn desks_write_beside_a_bench_on_one_chain_and_into_one_mirror() {
    let place = OnDisk::new(true);
    let bench = bench(&place);
    let desks = [desk(&place), desk(&place)];
    bench.append(Append { people: vec![person(1, "kim")], ..Append::entry(planned(1)) }).expect("planned");
    let claim = bench.claim(&job(1)).expect("claimed");
    for number in 1..=5 {
        desks[0].append(Append::entry(opened_by("Kim"))).expect("a desk writes");
        bench.append(Append::entry(begun(1, number)).under(&claim)).expect("the bench writes");
        let receipt = bench.append_seal(&claim, number, &sealed("x")).expect("sealed");
        assert_eq!(receipt.attempt(), number);
        desks[1].append(Append::entry(opened_by("Lee"))).expect("another desk writes");
        mirror_is_the_ledger(&place, &bench);
    }
    let head = desks[1].head().expect("a head");
    assert_eq!(bench.verify(None).expect("sound"), head);
    assert!(matches!(place.try_open("them"), Err(LedgerError::InUse { holder: Some(_), .. })), "one bench");
}

#[test]
fn whoever_replaces_seals_or_forgets_people_is_alone() {
    let place = OnDisk::new(true);
    let bench = bench(&place);
    bench.append(Append::entry(planned(1))).expect("planned");
    let beside = desk(&place);
    assert!(matches!(open_alone(&place.opening("us")), Err(LedgerError::InUse { .. })), "a bench is there");
    let refused = bench.forget(&user(1), "left").expect_err("a desk is there");
    assert!(refused.to_string().contains("at a desk"), "{refused}");
    assert!(matches!(beside.forget(&user(1), "left"), Err(LedgerError::NotAllowed(_))));
    bench.append(Append::entry(begun(1, 1))).expect("the bench goes on");
    beside.append(Append::entry(opened_by("Kim"))).expect("and so does the desk");
    drop(beside);
    bench.append(Append::entry(finished(1, 1))).expect("finished");
    bench.forget(&user(1), "left").expect("nobody else is there");
    let again = desk(&place);
    drop(bench);
    assert!(matches!(open_alone(&place.opening("us")), Err(LedgerError::InUse { .. })), "a desk is there");
    drop(again);
    let alone = open_alone(&place.opening("us")).expect("alone");
    assert!(matches!(open_desk(&place.opening("us")), Err(LedgerError::InUse { .. })));
    assert!(matches!(place.try_open("us"), Err(LedgerError::InUse { .. })));
    drop(alone);
    mirror_is_the_ledger(&place, &desk(&place));
}

#[test]
fn a_job_is_claimed_once_among_benches_and_desks_that_live() {
    let place = OnDisk::new(false);
    let first = bench(&place);
    first.append(Append::entries([planned(1), planned(2)])).expect("planned");
    first.claim(&job(1)).expect("claimed");
    let beside = desk(&place);
    assert!(matches!(beside.claim(&job(1)), Err(LedgerError::ClaimedElsewhere { .. })), "the bench lives");
    let ours = beside.claim(&job(2)).expect("free");
    assert!(matches!(first.claim(&job(2)), Err(LedgerError::ClaimedElsewhere { .. })), "the desk lives");
    assert!(matches!(desk(&place).claim(&job(1)), Err(LedgerError::InUse { .. })), "one desk claims at a time");
    beside.append(Append::entry(begun(2, 1)).under(&ours)).expect("under its claim");
    beside.release(&ours).expect("released");
    first.claim(&job(2)).expect("free again");
    drop(first);
    // Whoever died loses the job at once: the bench to a desk, and the desk to a bench.
    let taken = beside.claim(&job(1)).expect("the bench is dead");
    drop(beside);
    let second = bench(&place);
    let retaken = second.claim(&job(1)).expect("the desk is dead");
    assert!(retaken.fence() > taken.fence());
}

#[test]
fn what_was_decided_on_an_older_reading_is_not_written() {
    let place = OnDisk::new(false);
    let (one, two) = (desk(&place), desk(&place));
    one.append(Append::entries([planned(1), planned(2)])).expect("planned");
    let seen = one.head().expect("a head");
    two.append(Append::entry(opened_by("Lee"))).expect("written");
    let refused = one.append(Append::entry(opened_by("Kim")).as_of(seen)).expect_err("overtaken");
    assert!(matches!(&refused, LedgerError::Overtaken { job: which } if *which == job(1).to_string()), "{refused}");
    one.append(Append::entry(begun(2, 1)).as_of(seen)).expect("about another job");
    let seen = one.head().expect("a head");
    one.append(Append::entry(opened_by("Kim")).as_of(seen)).expect("looked again");
    // What is about no job is held against what is about none.
    let about_none =
        || Entry::Handover(HandoverEntry::AddressesImported { list: BlobHash([2; 32]), people: 3, by: "op".into() });
    let seen = one.head().expect("a head");
    two.append(Append::entry(opened_by("Lee"))).expect("about a job");
    one.append(Append::entry(about_none()).as_of(seen)).expect("nobody wrote about none");
    let refused = two.append(Append::entry(about_none()).as_of(seen)).expect_err("overtaken");
    assert!(matches!(refused, LedgerError::Overtaken { .. }), "{refused}");
    // The model says the same.
    let model = super::super::MemoryStore::new().open(BenchId::new("us"), place.clock());
    model.append(Append::entry(planned(1))).expect("planned");
    let seen = model.head().expect("a head");
    model.append(Append::entry(opened_by("Lee"))).expect("written");
    assert!(matches!(model.append(Append::entry(opened_by("Kim")).as_of(seen)), Err(LedgerError::Overtaken { .. })));
    model.append(Append::entry(about_none()).as_of(seen)).expect("nobody wrote about none");
    assert!(matches!(model.append(Append::entry(about_none()).as_of(seen)), Err(LedgerError::Overtaken { .. })));
}

#[test]
fn a_desk_makes_a_ledger_and_brings_an_old_one_up_to_date_when_nobody_else_is_there() {
    let place = OnDisk::new(true);
    drop(desk(&place));
    let old = OnDisk::new(true);
    let dump = include_str!("../../../fixtures/ledgers/v1.sql");
    Connection::open(old.path()).and_then(|db| db.execute_batch(dump)).expect("loaded");
    let lock = crate::platform::lock::FileLock::take(
        fs::File::create(super::super::place::beside(&old.path(), ".lock")).expect("a file"),
    )
    .expect("as an old bench has it");
    assert!(matches!(open_desk(&old.opening("us")), Err(LedgerError::InUse { .. })));
    drop(lock);
    desk(&old).verify(None).expect("sound");
}

/// Set in the processes of the last test: what the process is, and where.
const CHILD: &str = "KEYBENCH_TEST_LEDGER_CHILD";
const PLACE: &str = "KEYBENCH_TEST_LEDGER_PLACE";

fn note(directory: &Path, who: &str, text: &str) {
    let mut notes =
        fs::OpenOptions::new().append(true).create(true).open(directory.join(format!("notes-{who}"))).expect("opens");
    notes.write_all(format!("{text}\n").as_bytes()).expect("noted");
}

/// Does nothing, unless it is a process of the next test: then it writes until it is killed, and notes each head it was given
/// and how long it took.
#[test]
fn a_process_that_writes_beside_another() {
    let (Some(who), Some(place)) = (std::env::var_os(CHILD), std::env::var_os(PLACE).map(PathBuf::from)) else {
        return;
    };
    let who = who.to_str().expect("a name");
    let opening = Opening {
        path: place.join("ledger.db"),
        mirror: Some(place.join("mirror.jsonl")),
        bench: BenchId::new("us"),
        clock: Arc::new(SystemClock::new()),
        entropy: &SystemEntropy,
    };
    let timed = |ledger: &SqliteLedger, write: &dyn Fn()| {
        let begun = Instant::now();
        write();
        let took = begun.elapsed().as_millis();
        note(&place, who, &format!("{} {took}", ledger.head().expect("a head")));
    };
    if who == "bench" {
        let ledger = open_writer(&opening).expect("opens");
        let claim = ledger.claim(&job(1)).expect("claimed");
        let last = ledger.job(&job(1)).expect("read").expect("planned").attempt;
        for attempt in last + 1.. {
            let begin = || ledger.append(Append::entry(begun(1, attempt)).under(&claim)).expect("begun");
            timed(&ledger, &|| assert!(begin().seq > 0));
            timed(&ledger, &|| drop(ledger.append_seal(&claim, attempt, &sealed("x")).expect("sealed")));
        }
    }
    loop {
        // As commands do: each is a process of its own, here an opening of its own.
        let ledger = open_desk(&opening).expect("opens");
        for _ in 0..10 {
            timed(&ledger, &|| assert!(ledger.append(Append::entry(opened_by(who))).expect("written").seq > 0));
        }
    }
}

/// Where a process says why it stopped: its test runner prints that on stdout.
fn said(directory: &Path, who: &str) -> fs::File {
    fs::File::create(directory.join(format!("said-{who}"))).expect("a file")
}

fn start(place: &OnDisk, who: &str) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "ledger::sqlite::desk_tests::a_process_that_writes_beside_another"])
        .env(CHILD, who)
        .env(PLACE, place.directory.path())
        .stdout(Stdio::from(said(place.directory.path(), who)))
        .stderr(Stdio::null())
        .spawn()
        .expect("started")
}

#[test]
#[expect(clippy::print_stdout, reason = "`--nocapture` shows how long writes took")]
fn two_processes_write_at_once_and_either_may_be_killed() {
    let place = OnDisk::new(true);
    bench(&place).append(Append::entry(planned(1))).expect("planned");
    let notes = |who: &str| fs::read_to_string(place.directory.path().join(format!("notes-{who}"))).unwrap_or_default();
    let noted = |who: &str| notes(who).matches('\n').count();
    let mut running = [("bench", start(&place, "bench")), ("desk", start(&place, "desk"))];
    for round in 0..6 {
        let wanted = running.each_ref().map(|(who, _)| noted(who) + 8);
        let deadline = Instant::now() + Duration::from_secs(180);
        while running.iter().zip(wanted).any(|((who, _), wanted)| noted(who) < wanted) {
            for (who, child) in &mut running {
                let said =
                    || fs::read_to_string(place.directory.path().join(format!("said-{who}"))).unwrap_or_default();
                assert!(child.try_wait().expect("asked").is_none(), "the {who} stopped by itself: {}", said());
            }
            assert!(Instant::now() < deadline, "they keep one another from writing");
            std::thread::sleep(Duration::from_millis(2));
        }
        let (who, child) = &mut running[round % 2];
        child.kill().expect("killed");
        child.wait().expect("gone");
        *child = start(&place, who);
    }
    for (_, child) in &mut running {
        child.kill().expect("killed");
        child.wait().expect("gone");
    }
    let ledger = bench(&place);
    let head = ledger.verify(None).expect("one whole chain");
    mirror_is_the_ledger(&place, &ledger);
    for who in ["bench", "desk"] {
        let mut longest = 0;
        for line in notes(who).lines() {
            let (seen, took) = line.split_once(' ').expect("a head and a time");
            longest = longest.max(took.parse().expect("milliseconds"));
            let seen = SeenHead::parse(seen).expect("a head");
            let row = tables::row_at(&ledger.inner().db, seen.seq()).expect("read").expect("there");
            assert!(seen.is(&row.head()), "what was told to be kept is kept");
        }
        println!("{who}: {} writes, the longest took {longest} ms; the ledger ends at {head}", noted(who));
    }
}
