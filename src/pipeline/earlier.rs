//! Whose key it is, when it is nobody's of this run: read from the ledger when such a key is first seen, and kept for the rest of the run.
//!
//! Promise: a serial number leads to a job only while that job's last try is on that key, and still stands.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use crate::ledger::entry::Entry;
use crate::ledger::{JobFilter, Ledger, LedgerError};
use crate::model::{Aaguid, JobId, JobStatus, KeyRef, Serial, UserId};

/// A job of another run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// Which.
    pub job: JobId,
    /// Whom for.
    pub user: UserId,
    /// Its key is finished, or held until its person has it; otherwise it was begun.
    pub finished: bool,
}

/// The jobs of keys that this run knows nothing of.
#[derive(Debug, Default)]
pub struct EarlierKeys(Mutex<Option<HashMap<(Aaguid, Serial), Earlier>>>);

impl EarlierKeys {
    /// The job of this very key. `None` for a key without a serial number.
    ///
    /// # Errors
    /// When the ledger can't be read.
    pub fn of(&self, ledger: &dyn Ledger, key: &KeyRef) -> Result<Option<Earlier>, LedgerError> {
        let Some(serial) = &key.serial else { return Ok(None) };
        // A map: whole even where a lane panicked.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match &mut *known {
            Some(known) => known,
            unread => unread.insert(read(ledger)?),
        };
        Ok(known.get(&(key.aaguid, serial.clone())).cloned())
    }
}

fn read(ledger: &dyn Ledger) -> Result<HashMap<(Aaguid, Serial), Earlier>, LedgerError> {
    let mut tries = HashMap::new();
    ledger.visit(1, &mut |recorded| {
        if let Entry::AttemptStarted { job, attempt, key } = recorded.entry
            && let Some(serial) = key.serial
        {
            tries.insert((job, attempt), (key.aaguid, serial));
        }
        ControlFlow::Continue(())
    })?;
    let mut keys = HashMap::new();
    for line in ledger.jobs(&JobFilter::all())? {
        let finished = matches!(line.status, JobStatus::Finished | JobStatus::Held);
        if !finished && !line.in_flight {
            continue;
        }
        if let Some(key) = tries.remove(&(line.job.clone(), line.attempt)) {
            keys.insert(key, Earlier { job: line.job, user: line.user, finished });
        }
    }
    Ok(keys)
}
