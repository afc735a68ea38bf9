//! For tests of this module and of its neighbours.

use std::sync::Arc;

use crate::ledger::{MemoryLedger, MemoryStore};
use crate::model::BenchId;
use crate::world::SystemClock;

/// An empty ledger in memory.
pub fn ledger() -> MemoryLedger {
    MemoryStore::new().open(BenchId::new("bench-1"), Arc::new(SystemClock::new()))
}
