//! FROM BENCH TO HAND: paper, labels and codes.
//!
//! Promise: what is here decides and draws; it opens no PIN by itself, asks no ledger to change, and writes no file. A PIN
//! that is handed in goes into the sheet it stands on and nowhere else.
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

pub mod address;
pub mod carrier;
pub mod code;
pub mod label;
pub mod letter;
pub mod paper;
pub mod printer;
