//! What the mirror still has to lose: sealed PINs that are no longer in the ledger.
//!
//! Taking them out means writing the mirror anew, after the ledger's commit. `LEDGER.owed` stands beside the ledger from before
//! that commit until the mirror is done; where it is found, whoever is alone with the ledger next does it again.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::super::error::LedgerError;
use super::super::place;
use super::{Inner, tables};

const SUFFIX: &str = ".owed";

/// Whether this mirror may hold envelopes that the ledger no longer has.
pub(super) fn is(ledger: &Path, mirror: &Path) -> bool {
    debtors(ledger).iter().any(|name| *name == name_of(mirror))
}

/// On the disk before anything is taken out of the ledger.
pub(super) fn note(ledger: &Path, mirror: &Path) -> Result<(), LedgerError> {
    let mut names = debtors(ledger);
    if !names.contains(&name_of(mirror)) {
        names.push(name_of(mirror));
    }
    write(ledger, &names)
}

/// A mirror that was another place's goes on owing when the settings name a new one.
fn settled(ledger: &Path, mirror: &Path) -> Result<(), LedgerError> {
    let mut names = debtors(ledger);
    names.retain(|name| *name != name_of(mirror));
    if !names.is_empty() {
        tracing::warn!(
            "{} still holds sealed PINs that are no longer in the ledger: destroy it, or name it as [ledger] mirror once more",
            names.join(", ")
        );
        return write(ledger, &names);
    }
    match fs::remove_file(place::beside(ledger, SUFFIX)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(place::from_io(ledger, &error)),
        _ => Ok(()),
    }
}

/// The mirrors that owe, a line each.
fn debtors(ledger: &Path) -> Vec<String> {
    let text = fs::read_to_string(place::beside(ledger, SUFFIX)).unwrap_or_default();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn name_of(mirror: &Path) -> String {
    std::path::absolute(mirror).unwrap_or_else(|_| mirror.to_owned()).display().to_string()
}

fn write(ledger: &Path, names: &[String]) -> Result<(), LedgerError> {
    let told = |error| place::from_io(ledger, &error);
    let mut file = place::open_or_create(&place::beside(ledger, SUFFIX)).map_err(told)?;
    let text: String = names.iter().map(|name| format!("{name}\n")).collect();
    // Longer first, shorter after: a cut in between leaves a name too many, not one too few.
    file.write_all(text.as_bytes()).map_err(told)?;
    file.set_len(text.len() as u64).map_err(told)?;
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
        match &mut self.mirror {
            Some(mirror) => {
                mirror.keep_envelopes(&kept)?;
                settled(ledger, mirror.path())
            }
            None => Ok(()),
        }
    }
}
