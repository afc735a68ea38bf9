//! One writing bench per ledger: a lock on a file beside it, which the system lets go when the process dies.

use std::fs::{self, TryLockError};
use std::io::Write as _;
use std::path::Path;

use jiff::Timestamp;

use super::super::error::LedgerError;
use super::super::place;
use crate::model::BenchId;
use crate::platform::lock::FileLock;

/// Held as long as it lives.
#[derive(Debug)]
pub(super) struct Lock {
    _lock: FileLock,
}

impl Lock {
    /// Takes the lock, or tells who has it. `LEDGER.lock` carries the lock and nothing else, because Windows lets nobody
    /// read a locked file; `LEDGER.holder` says who, for people.
    pub(super) fn take(ledger: &Path, bench: &BenchId, now: Timestamp) -> Result<Self, LedgerError> {
        let path = place::beside(ledger, ".lock");
        let holder = place::beside(ledger, ".holder");
        let file = place::open_or_create(&path).map_err(|error| place::from_io(ledger, &error))?;
        let lock = match FileLock::take(file) {
            Ok(lock) => lock,
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&holder).ok().map(|text| text.trim().to_owned());
                return Err(LedgerError::InUse {
                    path: ledger.to_owned(),
                    holder: holder.filter(|text| !text.is_empty()),
                });
            }
            Err(TryLockError::Error(error)) => return Err(place::from_io(ledger, &error)),
        };
        let text = format!("bench {bench}, process {} on {}, since {now}\n", std::process::id(), computer());
        // Only for people: a ledger works without it.
        let written = place::open_or_create(&holder).and_then(|mut file| {
            file.set_len(0)?;
            file.write_all(text.as_bytes())
        });
        if let Err(error) = written {
            tracing::debug!("{} can't be written: {error}", holder.display());
        }
        Ok(Self { _lock: lock })
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
