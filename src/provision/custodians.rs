//! The custodians in force: the ledger's word, once there is one, not the settings'.

use std::ops::ControlFlow;

use super::ProvisionError;
use crate::ledger::{Append, Entry, Ledger, LedgerError};
use crate::pin::{PinnedSet, Recipients};

/// Fingerprints of the two groups; the second is empty unless PINs are under dual control.
pub type Pinned = (Vec<String>, Vec<String>);

/// The set that the ledger has pinned; `None` in a new ledger.
///
/// # Errors
/// When the ledger can't be read.
pub fn in_force(ledger: &dyn Ledger) -> Result<Option<Pinned>, LedgerError> {
    let mut last = None;
    ledger.visit_jobless(&mut |recorded| {
        if let Entry::CustodiansSet { first, second, .. } = recorded.entry {
            last = Some((first, second));
        }
        ControlFlow::Continue(())
    })?;
    Ok(last)
}

/// Pins the settings' recipients in a new ledger; in an old one they have to be the pinned ones.
///
/// # Errors
/// As [`not_yet_pinned`].
pub fn agree(ledger: &dyn Ledger, recipients: &Recipients) -> Result<(), ProvisionError> {
    if let Some(set) = not_yet_pinned(ledger, recipients)? {
        ledger.append(Append::entry(set))?;
    }
    Ok(())
}

/// Holds the settings' recipients against the pinned ones. In a new ledger, the entry that pins them.
///
/// # Errors
/// [`ProvisionError::Custodians`] when they are others.
pub fn not_yet_pinned(ledger: &dyn Ledger, recipients: &Recipients) -> Result<Option<Entry>, ProvisionError> {
    let pinned = in_force(ledger)?;
    let pinned = pinned.as_ref().map(|(first, second)| (first.as_slice(), second.as_slice()));
    match recipients.against(pinned) {
        Ok(PinnedSet::Match) => Ok(None),
        Ok(PinnedSet::FirstSet) => {
            let (first, second) = recipients.fingerprints();
            Ok(Some(Entry::CustodiansSet { first, second, by: "config".into() }))
        }
        Err(error) => Err(ProvisionError::Custodians(error.to_string())),
    }
}
