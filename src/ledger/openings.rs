//! Who opened a PIN, and the records of it that older versions kept beside a ledger.
//!
//! Until schema 3 only one program could write a ledger, so an opening beside a running bench was kept in a file of its own,
//! `LEDGER.openings`, one line each. Whoever opens the ledger for writing takes such lines into the chain ([`take_over`]): each
//! gets in once, wherever a crash falls, because it carries a number that its entry keeps, and the file is emptied only after the
//! chain has all of it. A line that was cut short belongs to a PIN that was not shown, and is dropped. Nothing new is written
//! there.

use std::collections::HashSet;
use std::fs::TryLockError;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::entry::{Attempt, Entry, Noted};
use super::error::LedgerError;
use super::{Append, Ledger, place};
use crate::model::JobId;
use crate::platform::lock::FileLock;

/// How long another program that takes lines over is waited for: it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);

/// One opening of a PIN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinOpening {
    /// The job.
    pub job: JobId,
    /// Which try.
    pub attempt: Attempt,
    /// Who, as they named themselves.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl PinOpening {
    /// As an entry of the ledger.
    pub fn entry(self, noted: Option<Noted>) -> Entry {
        let Self { job, attempt, by, reason } = self;
        Entry::PinOpened { job, attempt, by, reason, noted }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    noted: Noted,
    opening: PinOpening,
}

fn path_of(ledger: &Path) -> PathBuf {
    place::beside(ledger, ".openings")
}

/// The file, locked.
fn open(ledger: &Path) -> Result<FileLock, LedgerError> {
    let path = path_of(ledger);
    let mut waited = Duration::ZERO;
    loop {
        let file = place::open_or_create(&path).map_err(|error| place::from_io(&path, &error))?;
        match FileLock::take(file) {
            Ok(lock) => return Ok(lock),
            Err(TryLockError::WouldBlock) if waited < PATIENCE => {
                std::thread::sleep(LOOK);
                waited += LOOK;
            }
            Err(TryLockError::WouldBlock) => return Err(LedgerError::InUse { path, holder: None }),
            Err(TryLockError::Error(error)) => return Err(place::from_io(&path, &error)),
        }
    }
}

/// Takes what was noted beside this ledger into its chain. Returns how many openings that were.
///
/// # Errors
/// [`LedgerError`]; what was noted is then still there, and the next opening begins again.
pub(super) fn take_over(ledger: &dyn Ledger, path: &Path) -> Result<usize, LedgerError> {
    let beside = path_of(path);
    if std::fs::metadata(&beside).map_or(true, |file| file.len() == 0) {
        return Ok(0);
    }
    let lock = open(path)?;
    let told = |error: io::Error| place::from_io(&beside, &error);
    let mut bytes = Vec::new();
    let mut file = lock.file();
    file.read_to_end(&mut bytes).map_err(told)?;
    let mut taken = 0;
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let Ok(Line { noted, opening }) = serde_json::from_slice::<Line>(line) else {
            tracing::warn!("{} holds a line that was cut short; its PIN was not shown", beside.display());
            continue;
        };
        if !ids_of(ledger, &opening.job)?.contains(&noted.id) {
            ledger.append(Append::entry(opening.entry(Some(noted))))?;
            taken += 1;
        }
    }
    // Only now, and if this is lost in a crash, the numbers tell that it was done.
    file.set_len(0).and_then(|()| file.sync_all()).map_err(told)?;
    Ok(taken)
}

fn ids_of(ledger: &dyn Ledger, job: &JobId) -> Result<HashSet<String>, LedgerError> {
    let ids = ledger.entries_of(job)?.into_iter().filter_map(|recorded| match recorded.entry {
        Entry::PinOpened { noted: Some(noted), .. } => Some(noted.id),
        _ => None,
    });
    Ok(ids.collect())
}

#[cfg(test)]
mod tests {
    use super::super::conformance::{OnDisk, job, person, planned};
    use super::super::{SqliteLedger, open_reader};
    use jiff::Timestamp;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    /// As older versions kept it.
    fn note(ledger: &Path, number: i64, opening: PinOpening) {
        let line = Line { noted: Noted { id: format!("{number:032x}"), at: at(number) }, opening };
        let mut bytes = std::fs::read(path_of(ledger)).unwrap_or_default();
        if bytes.last().is_some_and(|last| *last != b'\n') {
            bytes.push(b'\n');
        }
        serde_json::to_writer(&mut bytes, &line).expect("JSON");
        bytes.push(b'\n');
        std::fs::write(path_of(ledger), bytes).expect("written");
    }

    fn opening(by: &str) -> PinOpening {
        PinOpening { job: job(1), attempt: 1, by: by.to_owned(), reason: "letter".to_owned() }
    }

    fn a_ledger(place: &OnDisk) -> SqliteLedger {
        let ledger = place.try_open("us").expect("opens");
        let entries = vec![planned(1)];
        ledger.append(Append { entries, people: vec![person(1, "kim")], ..Append::default() }).expect("planned");
        ledger
    }

    fn openers(ledger: &dyn Ledger) -> Vec<(String, Option<Timestamp>)> {
        let entries = ledger.entries_of(&job(1)).expect("entries").into_iter();
        let opened = entries.filter_map(|recorded| match recorded.entry {
            Entry::PinOpened { by, noted, .. } => Some((by, noted.map(|noted| noted.at))),
            _ => None,
        });
        opened.collect()
    }

    #[test]
    fn what_was_kept_beside_a_running_bench_comes_into_the_chain_after_it() {
        let place = OnDisk::new(true);
        let bench = a_ledger(&place);
        note(&place.path(), 1, opening("Kim"));
        note(&place.path(), 2, opening("Lee"));
        assert_eq!(openers(&open_reader(&place.path()).expect("readable")), [], "the bench alone writes");
        drop(bench);
        let wanted = [("Kim".to_owned(), Some(at(1))), ("Lee".to_owned(), Some(at(2)))];
        let next = place.try_open("us").expect("opens");
        assert_eq!(openers(&next), wanted);
        drop(next);
        let after = place.try_open("us").expect("opens");
        assert_eq!(openers(&after), wanted, "once");
        after.verify(None).expect("an unbroken chain");
    }

    #[test]
    fn a_crash_before_the_file_is_emptied_doubles_nothing() {
        let place = OnDisk::new(true);
        drop(a_ledger(&place));
        note(&place.path(), 1, opening("Kim"));
        let noted = std::fs::read(path_of(&place.path())).expect("a file");
        drop(place.try_open("us").expect("opens"));
        assert_eq!(std::fs::read(path_of(&place.path())).expect("a file"), b"");
        std::fs::write(path_of(&place.path()), noted).expect("as before the crash");
        assert_eq!(openers(&place.try_open("us").expect("opens")).len(), 1);
    }

    #[test]
    fn a_line_cut_short_is_dropped_and_the_next_one_counts() {
        for cut in [1, 20, 100] {
            let place = OnDisk::new(true);
            drop(a_ledger(&place));
            note(&place.path(), 1, opening("Kim"));
            let whole = std::fs::read(path_of(&place.path())).expect("a file");
            std::fs::write(path_of(&place.path()), &whole[..cut]).expect("cut");
            note(&place.path(), 2, opening("Lee"));
            let ledger = place.try_open("us").expect("opens");
            assert_eq!(openers(&ledger), [("Lee".to_owned(), Some(at(2)))], "cut at {cut}");
        }
    }
}
