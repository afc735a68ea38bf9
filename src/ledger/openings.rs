//! Openings of PINs while another program writes the ledger.
//!
//! A custodian must be able to open a PIN beside a running bench, and nobody opens one unrecorded. So the record is kept in a
//! file beside the ledger, one line each, synced before the PIN is shown ([`note`]); whoever opens the ledger for writing next
//! takes the lines into the chain ([`take_over`]). Promises: a line whose PIN was shown is on the disk; it gets into the chain
//! once, wherever a crash falls, because it carries a number that its entry keeps; the file is emptied only after the chain has
//! all of it. A line that was cut short by a crash belongs to a PIN that was not shown, and is dropped.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::entry::{Attempt, Entry, Noted};
use super::error::LedgerError;
use super::{Append, Ledger, place};
use crate::model::JobId;
use crate::platform::lock::FileLock;
use crate::world::Entropy;

/// How long another opening, or a ledger that takes lines over, is waited for: it takes milliseconds.
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

/// Keeps the record of an opening beside a ledger that another program writes. The PIN may be shown when this returns.
///
/// # Errors
/// [`LedgerError`] when it is not on the disk; the PIN must not be shown then.
pub fn note(ledger: &Path, entropy: &dyn Entropy, now: Timestamp, opening: PinOpening) -> Result<(), LedgerError> {
    let lock = open(ledger)?;
    let id = super::sqlite::random(entropy, ledger)?;
    let line = Line { noted: Noted { id, at: now }, opening };
    let text = serde_json::to_string(&line).map_err(io::Error::from);
    let kept = text.and_then(|text| add(lock.file(), &text)).and_then(|()| place::sync_directory(ledger));
    kept.map_err(|error| place::from_io(&path_of(ledger), &error))
}

fn add(mut file: &File, text: &str) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(text.len() + 2);
    if file.seek(SeekFrom::End(0))? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        // The line before was cut short; it must not swallow this one.
        if last != *b"\n" {
            bytes.push(b'\n');
        }
    }
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(b'\n');
    file.write_all(&bytes)?;
    file.sync_all()
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
    use super::*;
    use crate::world::SystemEntropy;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
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
    fn what_was_opened_beside_a_running_bench_is_in_the_chain_after_it() {
        let place = OnDisk::new(true);
        let bench = a_ledger(&place);
        note(&place.path(), &SystemEntropy, at(1), opening("Kim")).expect("noted");
        note(&place.path(), &SystemEntropy, at(2), opening("Lee")).expect("noted");
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
        note(&place.path(), &SystemEntropy, at(1), opening("Kim")).expect("noted");
        let noted = std::fs::read(path_of(&place.path())).expect("a file");
        drop(place.try_open("us").expect("opens"));
        assert_eq!(std::fs::read(path_of(&place.path())).expect("a file"), b"");
        std::fs::write(path_of(&place.path()), noted).expect("as before the crash");
        assert_eq!(openers(&place.try_open("us").expect("opens")).len(), 1);
    }

    #[test]
    fn a_line_cut_short_swallows_no_other() {
        let place = OnDisk::new(true);
        drop(a_ledger(&place));
        note(&place.path(), &SystemEntropy, at(1), opening("Kim")).expect("noted");
        let whole = std::fs::read(path_of(&place.path())).expect("a file");
        for cut in 1..whole.len() - 1 {
            std::fs::write(path_of(&place.path()), &whole[..cut]).expect("cut");
            note(&place.path(), &SystemEntropy, at(2), opening("Lee")).expect("noted");
            let text = std::fs::read_to_string(path_of(&place.path())).expect("a file");
            let last = text.lines().last().expect("a line");
            let line: Line = serde_json::from_str(last).expect("whole");
            assert_eq!(line.opening, opening("Lee"), "cut at {cut}");
        }
        let ledger = place.try_open("us").expect("opens");
        assert_eq!(openers(&ledger), [("Lee".to_owned(), Some(at(2)))]);
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_for_this_account_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = OnDisk::new(true);
        drop(a_ledger(&place));
        note(&place.path(), &SystemEntropy, at(1), opening("Kim")).expect("noted");
        let mode = std::fs::metadata(path_of(&place.path())).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
