//! What the mirror still has to lose: sealed PINs that are no longer in the ledger.
//!
//! Taking them out means writing the mirror anew, after the ledger's commit. `LEDGER.owed` stands beside the ledger from before
//! that commit until the mirror is done; where it is found, whoever is alone with the ledger next does it again.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::super::error::LedgerError;
use super::super::place;
use super::{Inner, tables};

const SUFFIX: &str = ".owed";

/// Whether the mirror may hold envelopes that the ledger no longer has.
pub(super) fn is(ledger: &Path) -> bool {
    place::beside(ledger, SUFFIX).exists()
}

/// On the disk before anything is taken out of the ledger.
pub(super) fn note(ledger: &Path) -> Result<(), LedgerError> {
    let told = |error| place::from_io(ledger, &error);
    let file = place::open_or_create(&place::beside(ledger, SUFFIX)).map_err(told)?;
    file.sync_all().map_err(told)?;
    place::sync_directory(ledger).map_err(told)
}

impl Inner {
    /// Takes everything out of the mirror that is out of the ledger. Nobody else may write meanwhile.
    pub(super) fn settle_mirror(&mut self, ledger: &Path) -> Result<(), LedgerError> {
        if self.mirror.is_none() {
            return Ok(());
        }
        self.catch_up(ledger, true)?;
        let kept: BTreeSet<u64> = tables::sealed_at(&self.db).map_err(|trouble| trouble.tell(ledger))?;
        if let Some(mirror) = &mut self.mirror {
            mirror.keep_envelopes(&kept)?;
        }
        match fs::remove_file(place::beside(ledger, SUFFIX)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(place::from_io(ledger, &error)),
            _ => Ok(()),
        }
    }
}
