//! Whose key it is, as the ledger knows it, whatever run that was.
//!
//! Promise: a key leads to the job of the last try on it, and only while that is the job's last try too and still stands: a key that was
//! wiped and given to somebody else is theirs alone.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use crate::ledger::entry::Entry;
use crate::ledger::{JobFilter, Ledger, LedgerError};
use crate::model::{Aaguid, JobId, JobStatus, KeyRef, Serial, UserId};

/// How far that job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// The key is its person's.
    Finished,
    /// The key is made, and registered when its person has it.
    Held,
    /// The key may have its PIN, or its passkey.
    Begun,
}

/// The job of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// Which.
    pub job: JobId,
    /// Whom for.
    pub user: UserId,
    /// How far it is.
    pub stands: Stands,
}

/// The jobs of all keys that tell a serial number, read when first asked for and then kept.
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
    let mut last_tries = HashMap::new();
    ledger.visit(1, &mut |recorded| {
        if let Entry::AttemptStarted { job, attempt, key } = recorded.entry
            && let Some(serial) = key.serial
        {
            last_tries.insert((key.aaguid, serial), (job, attempt));
        }
        ControlFlow::Continue(())
    })?;
    let lines: HashMap<_, _> =
        ledger.jobs(&JobFilter::all())?.into_iter().map(|line| (line.job.clone(), line)).collect();
    let stands = |(key, (job, attempt))| {
        let line = lines.get(&job).filter(|line| line.attempt == attempt)?;
        let stands = match line.status {
            JobStatus::Finished => Stands::Finished,
            JobStatus::Held => Stands::Held,
            _ if line.in_flight => Stands::Begun,
            _ => return None,
        };
        Some((key, Earlier { job, user: line.user.clone(), stands }))
    };
    Ok(last_tries.into_iter().filter_map(stands).collect())
}
