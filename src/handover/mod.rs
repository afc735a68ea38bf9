//! FROM BENCH TO HAND: what happens to a finished key until the right person holds it and knows its PIN.

pub mod code;
pub mod custody;
pub mod parcel;
pub mod reconcile;
pub mod stock;
