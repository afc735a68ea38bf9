//! What a batch asks of the hand-over, kept in the ledger with the batch's first run.
//!
//! Promise: settings that change later loosen no batch that was made already. A run may make its batch stricter, never looser.

use std::ops::ControlFlow;

use super::ProvisionError;
use crate::ledger::{Entry, HandoverEntry, Ledger, LedgerError};
use crate::model::{BatchId, ReleaseRule};

/// What the ledger says that a batch asks; `None` before its first run, and of batches that are older than such rules.
///
/// # Errors
/// When the ledger can't be read.
pub fn in_force(ledger: &dyn Ledger, of: &BatchId) -> Result<Option<ReleaseRule>, LedgerError> {
    let mut last = None;
    ledger.visit_jobless(&mut |recorded| {
        if let Entry::Handover(HandoverEntry::BatchRuled { batch, release, .. }) = recorded.entry
            && batch == *of
        {
            last = Some(release);
        }
        ControlFlow::Continue(())
    })?;
    Ok(last)
}

/// What a run's batch asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ruled {
    /// When its PINs may leave.
    pub release: ReleaseRule,
    /// The ledger is still to be told.
    pub is_new: bool,
}

impl Ruled {
    /// What tells the ledger.
    pub fn entry(self, batch: &BatchId, by: &str) -> Option<Entry> {
        let (batch, release, by) = (batch.clone(), self.release, by.to_owned());
        self.is_new.then_some(Entry::Handover(HandoverEntry::BatchRuled { batch, release, by }))
    }
}

/// Pure: `asked` is what the run was told, `settings` what new batches get.
///
/// # Errors
/// [`ProvisionError::LooserBatch`] when the batch is to ask for less than it does.
pub fn decide(
    batch: &BatchId,
    in_force: Option<ReleaseRule>,
    settings: ReleaseRule,
    asked: Option<ReleaseRule>,
) -> Result<Ruled, ProvisionError> {
    match (in_force, asked) {
        (None, asked) => Ok(Ruled { release: asked.unwrap_or(settings), is_new: true }),
        (Some(release), None) => Ok(Ruled { release, is_new: false }),
        (Some(now), Some(asked)) if asked.is_looser_than(now) => Err(ProvisionError::LooserBatch(batch.clone())),
        (Some(now), Some(release)) => Ok(Ruled { release, is_new: release != now }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_keeps_its_rule_and_only_becomes_stricter() {
        use ReleaseRule::{AnyTime, OnReceipt};
        let batch = BatchId::new("spring");
        let ruled = |now, settings, asked| {
            decide(&batch, now, settings, asked).map(|ruled| (ruled.release, ruled.is_new)).map_err(|_| "looser")
        };
        assert_eq!(ruled(None, OnReceipt, None), Ok((OnReceipt, true)), "the settings rule new batches");
        assert_eq!(ruled(None, OnReceipt, Some(AnyTime)), Ok((AnyTime, true)));
        assert_eq!(ruled(Some(OnReceipt), AnyTime, None), Ok((OnReceipt, false)), "and no others");
        assert_eq!(ruled(Some(AnyTime), OnReceipt, None), Ok((AnyTime, false)));
        assert_eq!(ruled(Some(AnyTime), AnyTime, Some(OnReceipt)), Ok((OnReceipt, true)));
        assert_eq!(ruled(Some(OnReceipt), AnyTime, Some(AnyTime)), Err("looser"));
        assert_eq!(ruled(Some(OnReceipt), AnyTime, Some(OnReceipt)), Ok((OnReceipt, false)));
    }
}
