//! A ledger from its mirror.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use rusqlite::{OpenFlags, TransactionBehavior};

use super::super::chain::{Checker, Head};
use super::super::claim::Hold;
use super::super::entry::Entry;
use super::super::error::LedgerError;
use super::super::{mirror, place};
use super::lock::{Lock, Role};
use super::trouble::Trouble;
use super::{open, tables};
use crate::model::BenchId;
use crate::world::Clock;

/// Builds a ledger at `path`, where nothing may be yet, from a mirror: every entry, checked link by link, and every sealed
/// PIN. Names, addresses and registration records are not in a mirror: the next `run` brings the first two back from the
/// roster, and a registration that was under way is begun again. Appends `Restored`. The file appears under its name
/// only when it is complete.
///
/// # Errors
/// [`LedgerError::Exists`], [`LedgerError::MirrorCorrupt`], [`LedgerError::Chain`] when the mirror's chain is broken, or what
/// the disk said.
pub fn restore(mirror: &Path, path: &Path, bench: &BenchId, clock: &Arc<dyn Clock>) -> Result<Head, LedgerError> {
    if path.exists() {
        return Err(LedgerError::Exists { path: path.to_owned() });
    }
    place::prepare_directory(path)?;
    let _lock = Lock::take(Role::Alone, path, bench, clock.now())?;
    let building = place::beside(path, ".restoring");
    clear(&building).map_err(|error| place::from_io(&building, &error))?;
    place::create_new(&building).map_err(|error| place::from_io(&building, &error))?;
    let head = build(mirror, &building, bench, clock)?;
    fs::rename(&building, path).map_err(|error| place::from_io(path, &error))?;
    place::sync_directory(path).map_err(|error| place::from_io(path, &error))?;
    Ok(head)
}

/// Gives the ledger that is there another name, with its log, unless somebody writes it. Gives that name.
///
/// # Errors
/// [`LedgerError::InUse`], or what the disk said.
pub fn set_aside(path: &Path, bench: &BenchId, clock: &Arc<dyn Clock>) -> Result<PathBuf, LedgerError> {
    let _lock = Lock::take(Role::Alone, path, bench, clock.now())?;
    let kept = place::beside(path, &format!(".before-{}", clock.now().strftime("%Y%m%dT%H%M%SZ")));
    rename_all(path, &kept)?;
    Ok(kept)
}

/// The write-ahead log holds what is not in the file yet: the two belong together.
///
/// # Errors
/// What the disk said.
pub fn rename_all(from: &Path, to: &Path) -> Result<(), LedgerError> {
    for suffix in ["-wal", "-shm", ""] {
        let (from, to) = (place::beside(from, suffix), place::beside(to, suffix));
        if from.exists() {
            fs::rename(&from, &to).map_err(|error| place::from_io(&from, &error))?;
        }
    }
    Ok(())
}

/// Removes what an earlier try left behind.
fn clear(building: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        match fs::remove_file(place::beside(building, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn build(mirror: &Path, path: &Path, bench: &BenchId, clock: &Arc<dyn Clock>) -> Result<Head, LedgerError> {
    let told = |trouble: Trouble| trouble.tell(path);
    let sql = |error: rusqlite::Error| super::trouble::tell(path, &error);
    let mut db = open::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    open::prepare(&mut db).map_err(told)?;
    open::migrate(&mut db, 0, |_| Ok(())).map_err(told)?;
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
    let mut pen = tables::Pen::new(&transaction).map_err(told)?;
    let mut checker = Checker::new();
    for line in mirror::read(mirror)? {
        let (row, seal) = line?;
        checker.next(&row)?;
        let recorded = tables::understand(row.clone())?;
        pen.take_over(&row, &recorded).map_err(told)?;
        match &recorded.entry {
            Entry::PinSealed { job, attempt, .. } => {
                if let Some(sealed) = seal {
                    tables::put_seal(&transaction, job, *attempt, row.seq, &sealed).map_err(told)?;
                    tables::check_seal(&transaction, job, *attempt, row.seq, &sealed).map_err(told)?;
                }
            }
            Entry::ResumeKeyDestroyed { job, attempt } => {
                tables::empty_resume(&transaction, job, *attempt).map_err(told)?;
            }
            Entry::Forgotten { user, .. } => tables::forget(&transaction, user).map_err(told)?,
            Entry::Claimed { job, fence, expires } => {
                // The session is unknown: no process holds this claim any more.
                let hold = Hold {
                    fence: *fence,
                    bench: recorded.bench.clone(),
                    session: String::new(),
                    expires: *expires,
                    released: false,
                };
                tables::put_hold(&transaction, job, &hold).map_err(told)?;
            }
            _ => {}
        }
    }
    let entries = checker.head().seq;
    if entries == 0 {
        return Err(LedgerError::MirrorCorrupt {
            path: mirror.to_owned(),
            line: Some(1),
            what: "it has no entry".to_owned(),
        });
    }
    let restored = Entry::Restored { entries };
    let head = pen.put(checker.head(), clock.now(), bench, &restored).map_err(told)?;
    drop(pen);
    transaction.commit().map_err(sql)?;
    // Everything into the one file, so that it can be renamed.
    let mode: String = db.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0)).map_err(sql)?;
    if mode != "delete" {
        return Err(LedgerError::Io { path: path.to_owned(), what: format!("the journal stays in mode {mode}") });
    }
    db.close().map_err(|(_, error)| sql(error))?;
    Ok(head)
}
