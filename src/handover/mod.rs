//! FROM BENCH TO HAND: what happens to a finished key until the right person holds it and knows its PIN.
//!
//! Promise: what is here decides and draws; it opens no PIN by itself and asks no ledger to change. A PIN that is handed in
//! goes into the sheet it stands on and nowhere else.
//!
//! | file | what |
//! |---|---|
//! | [`code`] | the digits that scanners read |
//! | [`paper`] | sheets, fonts, PDF |
//! | [`letter`] | the PIN letter and its template |
//! | [`label`] | labels for keys and parcels, PDF and ZPL |
//! | [`printer`] | straight to a printer |
//! | [`address`] | is an address fit for a carrier? |
//! | [`carrier`] | a carrier's CSV and the packing list |
//! | [`notice`] | who is still to be told of a new key |
//! | [`parcel`] | packing, receipt, release: what may happen when |
//! | [`custody`] | signed bundles for another desk |
//! | [`shipment`] | blank keys and tokens for people who register themselves |
//! | [`stock`] | keys by state, and which were expected |
//! | [`reconcile`] | ledger, tenant and key side by side |

pub mod address;
pub mod carrier;
pub mod code;
pub mod custody;
pub mod label;
pub mod letter;
pub mod notice;
pub mod paper;
pub mod parcel;
pub mod printer;
pub mod reconcile;
#[cfg(test)]
mod scan_tests;
pub mod shipment;
pub mod stock;
