//! WHO GETS A KEY: from a file (or a group's members) to people who were checked before the first key is touched.
//!
//! ```text
//! bytes ─► decode ─► table ─► columns ─► file::Roster ─► check (against the directory) ─► plan (against open jobs)
//! ```
//!
//! Promise: everything wrong with a file is named at once, with its line and field, and a file with anything wrong in it
//! starts nothing. What the directory says about a person refuses that person alone. Nothing here does I/O.

pub mod check;
pub mod columns;
pub mod decode;
pub mod file;
pub mod first_device;
pub mod kind;
pub mod plan;
pub mod table;

pub use check::{CheckedPerson, CheckedRoster, DirectoryFacts, Refusal, RefusalCode, Rules, Warning};
pub use file::{Roster, RosterError, RosterProblem, RosterRow};
