//! What only a file can get wrong: crashes, tampering, full disks, other people's files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};

use super::super::chain::ChainFault;
use super::super::conformance::{OnDisk, Place as _, begun, finished, job, person, planned, sealed, user};
use super::super::{JobFilter, mirror, place};
use super::*;
use crate::world::SystemEntropy;

/// A small day: a plan, one finished job, one begun.
fn day(ledger: &dyn Ledger, mut after_each: impl FnMut()) {
    let mut done = || after_each();
    ledger
        .append(Append {
            entries: (1..=3).map(planned).collect(),
            people: vec![person(1, "kim"), person(2, "lee")],
            ..Append::default()
        })
        .expect("planned");
    done();
    for number in 1..=2 {
        let claim = ledger.claim(&job(number)).expect("claimed");
        done();
        ledger.append(Append::entry(begun(number, 1)).under(&claim)).expect("begun");
        done();
        ledger.append_seal(&claim, 1, &sealed(&format!("envelope of {number}"))).expect("sealed");
        done();
    }
    ledger.append(Append::entry(finished(1, 1))).expect("finished");
    done();
}

fn opened(place: &OnDisk) -> Arc<SqliteLedger> {
    Arc::new(place.try_open("us").expect("opens"))
}

/// Copies the file and its log, as a crash would leave them. The shared-memory file is rebuilt by whoever opens next.
fn copy(from: &Path, to: &Path) {
    for suffix in ["", "-wal"] {
        let source = place::beside(from, suffix);
        if source.exists() {
            fs::copy(source, place::beside(to, suffix)).expect("copied");
        }
    }
}

#[test]
fn a_copy_taken_after_any_write_opens_with_all_of_it() {
    let place = OnDisk::new(true);
    let ledger = opened(&place);
    let mut heads = Vec::new();
    day(&*ledger, || {
        let crashed = OnDisk::new(true);
        copy(&place.path(), &crashed.path());
        fs::copy(place.mirror(), crashed.mirror()).expect("copied");
        let head = ledger.head().expect("a head");
        let again = opened(&crashed);
        assert_eq!(again.verify(Some(head.into())).expect("sound"), head);
        assert_eq!(mirror::last_of(&crashed.mirror()).expect("read"), head);
        heads.push(head);
    });
    assert_eq!(heads.len(), 8);
    assert!(heads.windows(2).all(|pair| pair[0].seq < pair[1].seq));
}

/// Set in the process that is going to be killed: the directory it writes in.
const TO_BE_KILLED: &str = "KEYBENCH_TEST_LEDGER_TO_BE_KILLED";

/// Does nothing, unless it is the process of the next test: then it seals PINs until it is killed, and notes each head
/// that it was given.
#[test]
fn a_process_to_be_killed() {
    let Some(directory) = std::env::var_os(TO_BE_KILLED).map(PathBuf::from) else { return };
    let ledger = open_writer(&Opening {
        path: directory.join("ledger.db"),
        mirror: Some(directory.join("mirror.jsonl")),
        bench: BenchId::new("us"),
        clock: OnDisk::new(false).clock(),
        entropy: &SystemEntropy,
    })
    .expect("opens");
    if ledger.job(&job(1)).expect("read").is_none() {
        ledger.append(Append::entry(planned(1))).expect("planned");
    }
    let claim = ledger.claim(&job(1)).expect("claimed");
    let last = ledger.job(&job(1)).expect("read").expect("planned").attempt;
    for attempt in last + 1..last + 10_000 {
        ledger.append(Append::entry(begun(1, attempt)).under(&claim)).expect("begun");
        let receipt = ledger.append_seal(&claim, attempt, &sealed(&attempt.to_string())).expect("sealed");
        let note = format!("{} {}\n", receipt.attempt(), ledger.head().expect("a head"));
        let mut notes = fs::OpenOptions::new().append(true).create(true).open(directory.join("notes")).expect("opens");
        std::io::Write::write_all(&mut notes, note.as_bytes()).expect("noted");
    }
}

#[test]
fn a_killed_process_loses_nothing_it_was_told_is_kept() {
    let place = OnDisk::new(true);
    let notes = place.directory.path().join("notes");
    let noted = || fs::read_to_string(&notes).unwrap_or_default().matches('\n').count();
    for round in 1..=4 {
        let wanted = noted() + 3 * round;
        let mut child = std::process::Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "ledger::sqlite::tests::a_process_to_be_killed"])
            .env(TO_BE_KILLED, place.directory.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("started");
        while noted() < wanted && child.try_wait().expect("asked").is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
        assert!(noted() >= wanted, "it got that far");
        let text = fs::read_to_string(&notes).expect("notes");
        let last = text.lines().last().expect("a note");
        let (attempt, head) = last.split_once(' ').expect("an attempt and a head");
        let ledger = opened(&place);
        ledger.verify(super::super::SeenHead::parse(head)).expect("sound, and the last head is in it");
        let attempt: Attempt = attempt.parse().expect("a number");
        let (found, _) = ledger.sealed_pin(&job(1), attempt).expect("read").expect("there");
        assert_eq!(found, sealed(&attempt.to_string()));
        assert_eq!(mirror::last_of(&place.mirror()).expect("read"), ledger.head().expect("a head"));
    }
}

#[test]
fn a_log_torn_anywhere_opens_at_an_earlier_write() {
    let place = OnDisk::new(false);
    let ledger = opened(&place);
    let mut heads = vec![Head::EMPTY];
    let first = ledger.head().expect("a head");
    heads.push(first);
    day(&*ledger, || heads.push(ledger.head().expect("a head")));
    let log = fs::read(place::beside(&place.path(), "-wal")).expect("the log");
    let mut seen = std::collections::BTreeSet::new();
    // Not a divisor of anything in the format, so that cuts fall everywhere.
    for cut in (0..log.len()).step_by(1777) {
        let crashed = OnDisk::new(false);
        copy(&place.path(), &crashed.path());
        fs::write(place::beside(&crashed.path(), "-wal"), &log[..cut]).expect("written");
        let again = opened(&crashed);
        let head = again.verify(None).expect("sound");
        // Cut inside the very first commit, the file is as good as new.
        assert!(heads.contains(&head) || head.seq == 1, "cut at {cut} of {}: {head}", log.len());
        seen.insert(head.seq);
    }
    assert!(seen.len() > 4, "cuts fell in several commits: {seen:?}");
}

#[test]
fn entries_are_append_only_for_sqlite_too() {
    let place = OnDisk::new(false);
    let ledger = opened(&place);
    day(&*ledger, || {});
    let inner = ledger.inner();
    for sql in [
        "UPDATE entries SET bench = 'other' WHERE seq = 2",
        "DELETE FROM entries WHERE seq = 2",
        "INSERT OR REPLACE INTO entries (seq, at, bench, body, hash) VALUES (2, '', '', '', zeroblob(32))",
        "INSERT INTO entries (seq, at, bench, body, hash) VALUES (99, '', '', '', zeroblob(32))",
    ] {
        let error = inner.db.execute(sql, []).expect_err(sql);
        assert!(error.to_string().contains("append-only"), "{sql}: {error}");
    }
}

/// Changes the file behind the ledger's back.
fn tamper(path: &Path, sql: &str) {
    let db = Connection::open(path).expect("opens");
    db.execute_batch(
        "PRAGMA foreign_keys = OFF; DROP TRIGGER entries_are_appended; DROP TRIGGER entries_are_never_changed;
         DROP TRIGGER entries_are_never_removed;",
    )
    .expect("triggers dropped");
    db.execute_batch(sql).expect(sql);
}

#[test]
fn what_was_changed_behind_our_back_is_named() {
    let swap = "UPDATE entries SET seq = 900 WHERE seq = 3; UPDATE entries SET seq = 3 WHERE seq = 5;
                UPDATE entries SET seq = 5 WHERE seq = 900;";
    let seal = |attempt| (job(1), attempt);
    let (named, attempt) = seal(1);
    for (sql, fault) in [
        ("UPDATE entries SET body = replace(body, 'JOB2', 'JOB3') WHERE seq = 3", ChainFault::Altered { seq: 3 }),
        ("UPDATE entries SET at = '2027-01-01T00:00:00Z' WHERE seq = 4", ChainFault::Altered { seq: 4 }),
        ("UPDATE entries SET bench = 'them' WHERE seq = 1", ChainFault::Altered { seq: 1 }),
        ("UPDATE entries SET hash = zeroblob(32) WHERE seq = 6", ChainFault::Altered { seq: 6 }),
        ("UPDATE entries SET job = 'JOB3' WHERE seq = 6", ChainFault::Altered { seq: 6 }),
        ("DELETE FROM entries WHERE seq = 4", ChainFault::Missing { seq: 4 }),
        ("DELETE FROM entries WHERE seq = 1", ChainFault::Missing { seq: 1 }),
        (swap, ChainFault::Moved { seq: 3, found_at: 5 }),
        (
            "UPDATE seals SET custodian = x'00' WHERE job = 'JOB1'",
            ChainFault::SealAltered { job: named.clone(), attempt },
        ),
        ("UPDATE seals SET resume = x'00' WHERE job = 'JOB1'", ChainFault::SealAltered { job: named.clone(), attempt }),
        ("DELETE FROM seals WHERE job = 'JOB1'", ChainFault::SealMissing { job: named, attempt }),
        ("UPDATE jobs SET status = 'finished' WHERE job = 'JOB2'", ChainFault::JobList(job(2))),
        ("DELETE FROM claims; DELETE FROM jobs WHERE job = 'JOB3'", ChainFault::JobList(job(3))),
    ] {
        let place = OnDisk::new(false);
        let ledger = opened(&place);
        day(&*ledger, || {});
        let head = ledger.head().expect("a head");
        drop(ledger);
        tamper(&place.path(), sql);
        // A small ledger's links are all checked at opening already; what a reader says is the same.
        let found = place.try_open("us").and_then(|ledger| ledger.verify(Some(head.into())));
        match (&found, &fault) {
            // The check at opening sees that a moved entry does not fit, and only the complete one where it stands.
            (Err(LedgerError::Chain(ChainFault::Altered { seq: 3 })), ChainFault::Moved { .. }) => {
                let db = Connection::open(place.path()).expect("opens");
                let trouble = verify::verify(&db, None).expect_err("moved").tell(&place.path());
                assert!(matches!(&trouble, LedgerError::Chain(other) if *other == fault), "{trouble}");
            }
            _ => assert!(matches!(&found, Err(LedgerError::Chain(other)) if *other == fault), "{sql}: {found:?}"),
        }
    }
}

#[test]
fn a_tail_that_was_cut_off_is_missed_by_an_earlier_head() {
    let place = OnDisk::new(false);
    let ledger = opened(&place);
    day(&*ledger, || {});
    let head = ledger.head().expect("a head");
    drop(ledger);
    tamper(&place.path(), "DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)");
    let found = opened(&place).verify(Some(head.into()));
    assert!(matches!(found, Err(LedgerError::Chain(ChainFault::HeadNotFound { .. }))), "{found:?}");
}

#[test]
fn a_seal_altered_in_the_file_gives_no_receipt() {
    let place = OnDisk::new(false);
    let ledger = opened(&place);
    day(&*ledger, || {});
    ledger.inner().db.execute("UPDATE seals SET custodian = x'00'", []).expect("altered");
    let found = ledger.sealed_pin(&job(1), 1);
    assert!(matches!(found, Err(LedgerError::Chain(ChainFault::SealAltered { .. }))), "{found:?}");
}

#[test]
fn no_receipt_before_the_mirror_has_the_seal() {
    let place = OnDisk::new(true);
    let ledger = opened(&place);
    ledger.append(Append::entry(planned(1))).expect("planned");
    let claim = ledger.claim(&job(1)).expect("claimed");
    // A handle that may only read stands for a disk that went away.
    let read_only = fs::File::open(place.mirror()).expect("opens");
    let good = ledger.inner().mirror.as_mut().expect("a mirror").swap(read_only);
    ledger.append(Append::entry(begun(1, 1))).expect("what is no seal goes on without the mirror");
    let refused = ledger.append_seal(&claim, 1, &sealed("envelope"));
    assert!(matches!(&refused, Err(error @ LedgerError::Mirror { .. }) if error.outcome_unknown()), "{refused:?}");
    assert!(matches!(ledger.sealed_pin(&job(1), 1), Err(LedgerError::Mirror { .. })), "nor by reading it back");
    assert!(ledger.envelope(&job(1), 1).expect("read").is_some());
    ledger.inner().mirror.as_mut().expect("a mirror").swap(good);
    let (found, receipt) = ledger.sealed_pin(&job(1), 1).expect("read").expect("there");
    assert_eq!((found, receipt.attempt()), (sealed("envelope"), 1));
    let lines: Vec<_> = mirror::read(&place.mirror()).expect("opens").map(|line| line.expect("whole")).collect();
    assert_eq!(lines.last().and_then(|(_, seal)| seal.clone()), Some(sealed("envelope")));
    assert_eq!(lines.len() as u64, ledger.head().expect("a head").seq);
}

#[test]
fn an_old_copy_of_the_ledger_is_refused_and_restored() {
    let place = OnDisk::new(true);
    let ledger = opened(&place);
    ledger.append(Append::entry(planned(1))).expect("planned");
    drop(ledger);
    let old = place.directory.path().join("old.db");
    copy(&place.path(), &old);
    let ledger = opened(&place);
    let claim = ledger.claim(&job(1)).expect("claimed");
    ledger.append_seal(&claim, 1, &sealed("envelope")).expect("sealed");
    let head = ledger.head().expect("a head");
    drop(ledger);

    fs::copy(&old, place.path()).expect("put back");
    let refused = place.try_open("us").expect_err("older");
    assert!(matches!(refused, LedgerError::OlderThanMirror { ledger_seq: 2, mirror_seq: 4, .. }), "{refused}");
    assert!(refused.next().contains("ledger restore"));
    fs::remove_file(place.path()).expect("removed");
    let refused = place.try_open("us").expect_err("gone");
    assert!(matches!(refused, LedgerError::OlderThanMirror { ledger_seq: 0, .. }), "{refused}");
    assert!(!place.path().exists(), "nothing was made in its place");

    let clock: Arc<dyn Clock> = place.clock();
    restore(&place.mirror(), &place.path(), &BenchId::new("us"), &clock).expect("restored");
    let again = restore(&place.mirror(), &place.path(), &BenchId::new("us"), &clock);
    assert!(matches!(again, Err(LedgerError::Exists { .. })));
    let ledger = opened(&place);
    ledger.verify(Some(head.into())).expect("the old head is in it");
    assert_eq!(ledger.envelope(&job(1), 1).expect("read"), Some(sealed("envelope")));
    assert_eq!(ledger.claim(&job(1)).expect("ours").fence(), 2);
    let last = ledger.entries_of(&job(1)).expect("read");
    assert!(matches!(last.last(), Some(Recorded { entry: Entry::Claimed { fence: 2, .. }, .. })));
}

#[test]
fn another_ledgers_mirror_is_refused() {
    let (one, two) = (OnDisk::new(true), OnDisk::new(true));
    drop((opened(&one), opened(&two)));
    fs::copy(two.mirror(), one.mirror()).expect("copied");
    let refused = one.try_open("us").expect_err("foreign");
    assert!(matches!(refused, LedgerError::ForeignMirror { seq: 1, .. }), "{refused}");
    // Also when it is longer.
    opened(&two).append(Append::entry(planned(1))).expect("planned");
    fs::copy(two.mirror(), one.mirror()).expect("copied");
    assert!(matches!(one.try_open("us"), Err(LedgerError::ForeignMirror { seq: 1, .. })));
}

#[test]
fn the_ledger_is_not_its_own_mirror() {
    let place = OnDisk::new(false);
    let opening = |mirror| Opening {
        path: place.path(),
        mirror: Some(mirror),
        bench: BenchId::new("us"),
        clock: place.clock(),
        entropy: &SystemEntropy,
    };
    let around = place.directory.path().join(".").join("ledger.db");
    for _ in 0..2 {
        assert!(matches!(open_writer(&opening(around.clone())), Err(LedgerError::MirrorIsLedger { .. })));
        drop(opened(&place));
    }
    fs::write(place.mirror(), "not a mirror\n").expect("written");
    let refused = open_writer(&opening(place.mirror())).expect_err("refused");
    assert!(matches!(refused, LedgerError::MirrorCorrupt { line: None, .. }), "{refused}");
    assert_eq!(fs::read(place.mirror()).expect("read"), b"not a mirror\n", "somebody's file is left alone");
    let missing = open_writer(&opening(place.directory.path().join("not mounted/mirror")));
    assert!(matches!(missing, Err(LedgerError::Mirror { .. })), "{missing:?}");
}

#[test]
fn a_mirror_set_up_later_gets_everything() {
    let mut place = OnDisk::new(false);
    let ledger = opened(&place);
    day(&*ledger, || {});
    let head = ledger.head().expect("a head");
    drop(ledger);
    place.mirrored = true;
    drop(opened(&place));
    assert_eq!(mirror::last_of(&place.mirror()).expect("read"), head);
    let seals = mirror::read(&place.mirror()).expect("opens").filter(|line| matches!(line, Ok((_, Some(_))))).count();
    assert_eq!(seals, 2);
}

/// Whether any file of this place holds it, as it is or in base64.
fn is_anywhere(place: &OnDisk, needle: &str) -> bool {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(needle);
    let needles = [needle.as_bytes(), encoded.trim_end_matches('=').as_bytes()];
    fs::read_dir(place.directory.path()).expect("listed").map(|file| file.expect("a file").path()).any(|path| {
        path.is_file() && {
            let bytes = fs::read(path).expect("read");
            needles.iter().any(|needle| bytes.windows(needle.len()).any(|window| window == *needle))
        }
    })
}

/// A person whose name and sealed PIN can be looked for.
fn zebediah(place: &OnDisk) -> Arc<SqliteLedger> {
    let ledger = opened(place);
    ledger.append(Append { people: vec![person(1, "zebediah")], ..Append::entry(planned(1)) }).expect("planned");
    let claim = ledger.claim(&job(1)).expect("claimed");
    ledger.append(Append::entry(begun(1, 1)).under(&claim)).expect("begun");
    ledger.append_seal(&claim, 1, &sealed("xylophone")).expect("sealed");
    ledger.append(Append::entry(finished(1, 1)).under(&claim)).expect("finished");
    let destroyed = Entry::ResumeKeyDestroyed { job: job(1), attempt: 1 };
    ledger.append(Append::entry(destroyed).under(&claim)).expect("destroyed");
    assert!(is_anywhere(place, "zebediah") && is_anywhere(place, "xylophone"), "the search finds what is there");
    ledger
}

#[test]
fn forgetting_reaches_every_file() {
    let place = OnDisk::new(true);
    let ledger = zebediah(&place);
    ledger.forget(&user(1), "left").expect("forgotten");
    assert!(!is_anywhere(&place, "zebediah") && !is_anywhere(&place, "xylophone"));
    ledger.verify(None).expect("sound");
    drop(ledger);
    opened(&place).verify(None).expect("sound");
}

#[test]
fn what_the_mirror_could_not_lose_at_once_it_loses_at_the_next_opening() {
    let custodians = Entry::CustodiansSet { first: vec!["f".repeat(16)], second: Vec::new(), by: "Kim".into() };
    let to_others = || Resealed { job: job(1), attempt: 1, custodian: b"dulcimer".to_vec(), dual: false };
    type TakeOut<'a> = &'a dyn Fn(&SqliteLedger) -> Result<Head, LedgerError>;
    let reseal: TakeOut<'_> = &|ledger| ledger.reseal(custodians.clone(), vec![to_others()]);
    let forget: TakeOut<'_> = &|ledger| ledger.forget(&user(1), "left");
    for (take_out, stays) in [(reseal, true), (forget, false)] {
        let place = OnDisk::new(true);
        let ledger = zebediah(&place);
        // As a share that is gone, or a kill between the commit and the mirror: nothing can be written beside it.
        let in_the_way = place::beside(&place.mirror(), ".new");
        fs::create_dir(&in_the_way).expect("a folder");
        let owes = take_out(&ledger).expect_err("the mirror can't follow");
        assert!(matches!(owes, LedgerError::MirrorOwes { .. }), "{owes}");
        assert!(owes.next().contains("the next run"), "{}", owes.next());
        drop(ledger);
        let mirrored = || fs::read_to_string(place.mirror()).expect("a mirror").matches("\"custodian\":\"").count();
        assert!(is_anywhere(&place, "xylophone"), "the mirror has it yet");
        // Another mirror owes nothing, and does not pay for the first.
        let elsewhere = Opening { mirror: Some(place.directory.path().join("other.jsonl")), ..place.opening("us") };
        drop(open_writer(&elsewhere).expect("opens"));
        assert!(is_anywhere(&place, "xylophone") && place::beside(&place.path(), ".owed").exists());
        fs::remove_dir(&in_the_way).expect("out of the way");
        let again = opened(&place);
        assert!(!is_anywhere(&place, "xylophone"));
        assert_eq!(mirrored(), usize::from(stays), "what is in the ledger is in the mirror");
        again.verify(None).expect("sound");
        assert!(open_desk(&place.opening("us")).is_ok(), "desks are let in again");
        drop(again);
        assert!(!place::beside(&place.path(), ".owed").exists());
    }
}

#[test]
fn one_bench_writes_and_others_read_beside_it() {
    let place = OnDisk::new(false);
    let ledger = opened(&place);
    let refused = place.try_open("them").expect_err("in use");
    let text = refused.to_string();
    assert!(matches!(refused, LedgerError::InUse { .. }), "{text}");
    assert!(text.contains("bench us") && text.contains(&std::process::id().to_string()), "{text}");

    let reader = open_reader(&place.path()).expect("reads beside");
    ledger.append(Append { people: vec![person(1, "kim")], ..Append::entry(planned(1)) }).expect("planned");
    assert_eq!(reader.jobs(&JobFilter::all()).expect("jobs").len(), 1, "a reader sees what was just written");
    assert_eq!(reader.verify(None).expect("sound"), ledger.head().expect("a head"));
    assert!(matches!(reader.append(Append::entry(planned(2))), Err(LedgerError::ReadOnly)));
    assert!(matches!(reader.forget(&user(1), ""), Err(LedgerError::ReadOnly)));
    assert!(matches!(reader.sealed_pin(&job(1), 1), Err(LedgerError::ReadOnly)), "a reader can't vouch");
    assert!(reader.inner().db.execute("DELETE FROM people", []).is_err(), "not even behind our back");
    drop((ledger, reader));
    drop(place.try_open("them").expect("free again"));
}

#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let place = OnDisk::new(false);
    let ledger = opened(&place);
    ledger.append(Append::entry(planned(1))).expect("planned");
    let head = ledger.head().expect("a head");
    let pages: i64 = ledger.inner().db.query_row("PRAGMA page_count", [], |row| row.get(0)).expect("a count");
    ledger.inner().db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).expect("set");
    let many = || Append { people: vec![person(1, "kim")], ..Append::entries((2..500).map(planned)) };
    let refused = ledger.append(many()).expect_err("full");
    assert!(matches!(&refused, LedgerError::DiskFull { .. }) && !refused.outcome_unknown(), "{refused}");
    assert_eq!(ledger.head().expect("a head"), head);
    assert_eq!(ledger.jobs(&JobFilter::all()).expect("jobs").len(), 1);
    assert_eq!(ledger.people().expect("people"), []);
    ledger.inner().db.query_row("PRAGMA max_page_count = 100000", [], |_| Ok(())).expect("set");
    ledger.append(many()).expect("room again");
    ledger.verify(Some(head.into())).expect("sound");
}

#[test]
fn after_an_uncertain_commit_nothing_more_is_said() {
    let place = OnDisk::new(false);
    let ledger = opened(&place);
    ledger.inner().broken = Some("input/output error".into());
    assert!(matches!(ledger.head(), Err(LedgerError::Uncertain { .. })));
    assert!(matches!(ledger.append(Append::entry(planned(1))), Err(LedgerError::Uncertain { .. })));
}

#[test]
fn other_files_are_refused_and_left_alone() {
    let refused = |place: &OnDisk| {
        let before = fs::read(place.path()).expect("read");
        let error = place.try_open("us").expect_err("refused");
        assert_eq!(fs::read(place.path()).expect("read"), before, "{error}");
        assert!(!error.next().is_empty());
        error
    };
    let place = OnDisk::new(false);
    fs::write(place.path(), "upn;name\nkim@contoso.com;Kim\n").expect("written");
    assert!(matches!(refused(&place), LedgerError::NotALedger { .. }));
    assert!(matches!(open_reader(&place.path()), Err(LedgerError::NotALedger { .. })));

    let place = OnDisk::new(false);
    fs::write(place.path(), "no database at all\n".repeat(100)).expect("written");
    assert!(matches!(refused(&place), LedgerError::NotALedger { .. }));

    let place = OnDisk::new(false);
    Connection::open(place.path()).and_then(|db| db.execute_batch("CREATE TABLE t (a)")).expect("another's");
    assert!(matches!(refused(&place), LedgerError::NotALedger { .. }));

    let place = OnDisk::new(false);
    drop(opened(&place));
    Connection::open(place.path()).and_then(|db| db.execute_batch("PRAGMA user_version = 99")).expect("newer");
    assert!(matches!(refused(&place), LedgerError::NewerSchema { found: 99, .. }));
    assert!(matches!(open_reader(&place.path()), Err(LedgerError::NewerSchema { .. })));

    let place = OnDisk::new(false);
    assert!(matches!(open_reader(&place.path()), Err(LedgerError::Missing { .. })));
    assert!(!place.path().exists());
}

#[test]
fn a_damaged_file_is_found() {
    let place = OnDisk::new(false);
    let ledger = opened(&place);
    day(&*ledger, || {});
    ledger.append(Append::entries((4..200).map(planned))).expect("planned");
    drop(ledger);
    let sound = fs::read(place.path()).expect("read");
    let mut found = 0;
    for page in (4096..sound.len()).step_by(4096) {
        let mut damaged = sound.clone();
        damaged[page..(page + 512)].fill(0xA5);
        fs::write(place.path(), &damaged).expect("written");
        match place.try_open("us").and_then(|ledger| ledger.verify(None)) {
            Err(LedgerError::Corrupt { .. } | LedgerError::Chain(_) | LedgerError::NotALedger { .. }) => found += 1,
            // A page of an index may be damaged where nothing looks; no other error is right.
            Ok(_) => {}
            Err(other) => panic!("page at {page}: {other}"),
        }
    }
    let pages = sound.len() / 4096 - 1;
    assert!(found * 10 >= pages * 9, "{found} of {pages}");
    fs::write(place.path(), &sound[..sound.len() / 2]).expect("written");
    let error = place.try_open("us").and_then(|ledger| ledger.verify(None)).expect_err("cut in half");
    assert!(matches!(error, LedgerError::Corrupt { .. } | LedgerError::Chain(_)), "{error}");
}

#[test]
fn a_file_whose_making_was_cut_off_is_made_anew() {
    let place = OnDisk::new(false);
    fs::write(place.path(), "").expect("an empty file");
    opened(&place).verify(None).expect("sound");
    let place = OnDisk::new(false);
    let db = Connection::open(place.path()).expect("opens");
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).expect("a header and nothing else");
    drop(db);
    opened(&place).verify(None).expect("sound");
}

#[test]
fn a_file_that_may_only_be_read_is_named() {
    let place = OnDisk::new(false);
    drop(opened(&place));
    let opening = Opening {
        path: place.path(),
        mirror: None,
        bench: BenchId::new("us"),
        clock: place.clock(),
        entropy: &SystemEntropy,
    };
    // The administrator may write to any file, so the file's mode can't be relied on here.
    let refused =
        open::open_with(&opening, Role::Bench, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    assert!(matches!(refused, Err(LedgerError::ReadOnlyFile { .. })), "{refused:?}");
    let code = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY), None);
    assert!(matches!(trouble::tell(&place.path(), &code), LedgerError::ReadOnlyFile { .. }));
    let code = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC), None);
    assert!(matches!(trouble::tell(&place.path(), &code), LedgerError::Io { .. }));
}

#[cfg(unix)]
#[test]
fn a_directory_that_may_only_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = OnDisk::new(false);
    let mode = |bits| fs::set_permissions(place.directory.path(), fs::Permissions::from_mode(bits)).expect("set");
    mode(0o500);
    let probe = place.directory.path().join("probe");
    if fs::write(&probe, "").is_err() {
        // Not the administrator, who may write anywhere.
        let refused = place.try_open("us");
        assert!(matches!(refused, Err(LedgerError::ReadOnlyFile { .. })), "{refused:?}");
        mode(0o700);
        drop(opened(&place));
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o400)).expect("set");
        let refused = place.try_open("us");
        assert!(matches!(refused, Err(LedgerError::ReadOnlyFile { .. })), "{refused:?}");
        let reader = open_reader(&place.path()).expect("may still be read");
        assert_eq!(reader.verify(None).expect("sound").seq, 1);
    }
    mode(0o700);
}

#[cfg(unix)]
#[test]
fn every_file_is_for_this_account_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = OnDisk::new(true);
    let ledger = opened(&place);
    ledger.append(Append::entry(planned(1))).expect("planned");
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock", "ledger.db.holder", "mirror.jsonl"] {
        let mode = fs::metadata(place.directory.path().join(name)).expect(name).permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
}
