//! Who may write: one bench, desks beside it, or somebody who has the ledger alone.
//!
//! Files beside the ledger carry locks and nothing else, because Windows lets nobody read a locked file. The system lets a
//! lock go when its process dies, so nothing has to be cleaned up.
//!
//! | file | bench | desk | alone |
//! |---|---|---|---|
//! | `LEDGER.lock` | held | | held |
//! | `LEDGER.desks` | shared | shared | held |
//! | `LEDGER.claims` | | held while it has a job claimed | |
//! | `LEDGER.next` | held until its transaction has begun | the same | the same |
//! | `LEDGER.turn` | held while it writes to the mirror | the same | the same |
//!
//! `LEDGER.next` makes writing fair. SQLite gives its write lock to whoever happens to look when it is free, and a program
//! that writes without a pause would nearly always be that one. Here whoever waits for the write lock holds the place behind
//! the one who writes, so that hardly anybody writes twice while another waits. Who gets that place when it comes free is chance.
//!
//! `LEDGER.holder` says for people who has `LEDGER.lock`.

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::super::error::LedgerError;
use super::super::place;
use crate::model::BenchId;
use crate::platform::lock::FileLock;

/// What a ledger is opened for writing as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The one bench: it provisions keys.
    Bench,
    /// Letters, packing, openings and the like: short writes, also beside a bench and beside other desks.
    Desk,
    /// Nobody else writes meanwhile: what replaces sealed PINs, takes people out, or brings the schema up to date.
    Alone,
}

/// How long a lock is waited for that is held for moments only, while somebody opens: a busy disk makes them long.
const MOMENT: Duration = Duration::from_secs(10);
/// How long a write waits until it is next.
const IN_LINE: Duration = Duration::from_secs(30);
/// As long as somebody looks whether a bench lives, and much more.
const BLINK: Duration = Duration::from_millis(200);
const LOOK: Duration = Duration::from_millis(2);

/// Who is in the way where nobody can be named.
const A_DESK: &str = "at a desk: letters, packing, an opening or the like";

/// Held as long as it lives.
#[derive(Debug)]
pub(super) struct Lock {
    bench: Option<FileLock>,
    desks: Option<FileLock>,
    alone: bool,
}

impl Lock {
    /// Takes what the role takes, or tells who has it. A bench that finds nobody else is alone until [`Lock::let_desks_in`].
    pub(super) fn take(role: Role, ledger: &Path, bench: &BenchId, now: Timestamp) -> Result<Self, LedgerError> {
        let in_use = |holder: Option<String>| LedgerError::InUse { path: ledger.to_owned(), holder };
        let held = match role {
            Role::Desk => None,
            Role::Bench | Role::Alone => {
                let Some(held) = wait(ledger, ".lock", BLINK, FileLock::take)? else {
                    return Err(in_use(holder(ledger)));
                };
                Some(held)
            }
        };
        let (desks, alone) = match role {
            Role::Alone => (wait(ledger, ".desks", MOMENT, FileLock::take)?, true),
            Role::Desk => (wait(ledger, ".desks", MOMENT, FileLock::share)?, false),
            Role::Bench => match wait(ledger, ".desks", Duration::ZERO, FileLock::take)? {
                Some(lock) => (Some(lock), true),
                None => (wait(ledger, ".desks", MOMENT, FileLock::share)?, false),
            },
        };
        if desks.is_none() {
            return Err(in_use(if role == Role::Alone { Some(A_DESK.to_owned()) } else { holder(ledger) }));
        }
        if held.is_some() {
            tell_holder(ledger, bench, now);
        }
        Ok(Self { bench: held, desks, alone })
    }

    /// Whether nobody else can write.
    pub(super) fn is_alone(&self) -> bool {
        self.alone
    }

    /// Keeps desks out, until [`Lock::let_desks_in`].
    pub(super) fn keep_desks_out(&mut self, ledger: &Path) -> Result<(), LedgerError> {
        if self.alone {
            return Ok(());
        }
        let in_use = LedgerError::InUse { path: ledger.to_owned(), holder: Some(A_DESK.to_owned()) };
        if self.bench.is_none() {
            return Err(in_use);
        }
        self.desks = None;
        self.desks = wait(ledger, ".desks", MOMENT, FileLock::take)?;
        self.alone = self.desks.is_some();
        if self.alone {
            return Ok(());
        }
        self.desks = wait(ledger, ".desks", MOMENT, FileLock::share)?;
        Err(in_use)
    }

    /// From here on desks work beside this bench.
    pub(super) fn let_desks_in(&mut self, ledger: &Path) -> Result<(), LedgerError> {
        if self.alone {
            // Nobody can have it alone in between: that takes `LEDGER.lock` first.
            self.desks = None;
            self.desks = wait(ledger, ".desks", MOMENT, FileLock::share)?;
            self.alone = false;
        }
        Ok(())
    }
}

/// The place behind the one who writes now, for whoever is about to.
pub(super) fn next(ledger: &Path) -> Result<FileLock, LedgerError> {
    wait(ledger, ".next", IN_LINE, FileLock::take)?
        .ok_or_else(|| LedgerError::InUse { path: ledger.to_owned(), holder: holder(ledger) })
}

/// The right to write to the mirror: one process at a time. `None` when it did not come within `patience`.
pub(super) fn turn(ledger: &Path, patience: Duration) -> Result<Option<FileLock>, LedgerError> {
    wait(ledger, ".turn", patience, FileLock::take)
}

/// The right of one desk to claim jobs.
pub(super) fn claims(ledger: &Path) -> Result<FileLock, LedgerError> {
    wait(ledger, ".claims", MOMENT, FileLock::take)?
        .ok_or_else(|| LedgerError::InUse { path: ledger.to_owned(), holder: Some(A_DESK.to_owned()) })
}

/// Whether the session of this bench's name that holds a job may live: asked by a `role`, of a desk's session or a bench's.
pub(super) fn may_live(ledger: &Path, role: Option<Role>, of_a_desk: bool) -> Result<bool, LedgerError> {
    let taken = |suffix| wait(ledger, suffix, Duration::ZERO, FileLock::share).map(|free| free.is_none());
    match (role, of_a_desk) {
        (Some(Role::Desk), false) => taken(".lock"),
        // The asker has the lock of the one desk that claims, or is the one bench.
        (Some(Role::Desk), true) | (_, false) => Ok(false),
        (_, true) => taken(".claims"),
    }
}

fn wait(
    ledger: &Path,
    suffix: &str,
    patience: Duration,
    take: fn(File) -> Result<FileLock, TryLockError>,
) -> Result<Option<FileLock>, LedgerError> {
    let path = place::beside(ledger, suffix);
    let mut waited = Duration::ZERO;
    loop {
        let file = place::open_or_create(&path).map_err(|error| place::from_io(ledger, &error))?;
        match take(file) {
            Ok(lock) => return Ok(Some(lock)),
            Err(TryLockError::WouldBlock) if waited < patience => {
                std::thread::sleep(LOOK);
                waited += LOOK;
            }
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(place::from_io(ledger, &error)),
        }
    }
}

fn holder(ledger: &Path) -> Option<String> {
    let text = fs::read_to_string(place::beside(ledger, ".holder")).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Only for people: a ledger works without it.
fn tell_holder(ledger: &Path, bench: &BenchId, now: Timestamp) {
    let text = format!("bench {bench}, process {} on {}, since {now}\n", std::process::id(), computer());
    let path = place::beside(ledger, ".holder");
    let written = place::open_or_create(&path).and_then(|mut file| {
        file.set_len(0)?;
        file.write_all(text.as_bytes())
    });
    if let Err(error) = written {
        tracing::debug!("{} can't be written: {error}", path.display());
    }
}

/// This computer's name, for people.
fn computer() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "this computer".to_owned())
}
