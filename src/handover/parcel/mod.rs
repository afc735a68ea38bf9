//! Parcels: from a finished key to a person who holds it and learns its PIN.
//!
//! ```text
//! finished ─► packed ─► delivered ─► verified ─► (held: activated) ─► PIN released
//!                │          (carrier or card) (a person made sure)
//!                └─► lost · returned, from anywhere
//! ```
//!
//! Promise: nothing here is done on a code alone, because a thief of the parcel has the card too; and nobody who packed a key
//! releases its PIN or activates it. Both files are pure: the ledger's entries in, a verdict out.

pub mod deliveries;
mod rules;
mod state;
mod table;

pub use rules::{NotNow, Settings, may_activate, may_be_delivered, may_be_verified, may_pack, may_release};
pub use state::{GoodLetter, Hold, Parcel, Parcels, Place};
pub use table::{Asks, Scanned, Table, Verdict};
