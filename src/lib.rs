//! keybench: the provisioning bench for FIDO2 security keys in Microsoft Entra ID.
//!
//! ```text
//!  people.csv / group ─► roster ─┐
//!  tenant ─► graph ──────────────┴► provision ─► ledger (jobs)
//!                                      │
//!              ┌─ pipeline::driver ────┴──────────────────────────┐
//!              │  recover: entries ─► state                       │
//!              │  step(state, event) ─► entries, next, one effect │
//!              │  ledger: commit the entries                      │
//!              │  perform the effect ──┬─► ctap2 ─► key           │
//!              │  its outcome is the   ├─► graph ─► tenant        │
//!              │  next event           └─► pin ─► sealed PIN      │
//!              └────────────────┬─────────────────────────────────┘
//!                               └─► Progress ─► tui, lines, JSON
//! ```
//!
//! Who may use whom is in `docs/ARCHITECTURE.md`, and `tests/architecture.rs` holds the code to it.

// WHAT THE OPERATOR TYPES: one subcommand a file; nothing else prints.
pub mod cli;
// Settings: file, environment and flags to checked values, or everything that is wrong with them.
pub mod config;
// TALKING TO A KEY: nothing above knows CBOR or packets.
pub mod ctap2;
// TALKING TO MICROSOFT GRAPH.
pub mod graph;
// FROM BENCH TO HAND: paper, parcels, and what comes back.
pub mod handover;
// WHAT HAPPENED, KEPT: append-only, chained, synced.
pub mod ledger;
// Log lines and traffic files, without secrets.
pub mod logging;
// NOUNS: no I/O, no protocol.
pub mod model;
// CHOOSING AND KEEPING PINS.
pub mod pin;
// ONE KEY'S JOURNEY, and many at once.
pub mod pipeline;
// What differs between operating systems.
pub mod platform;
// A RUN: from settings and a roster to the last key.
pub mod provision;
// Simulated hands wired to a real bench.
#[cfg(feature = "sim")]
pub mod rehearsal;
// WHO GETS A KEY.
pub mod roster;
// A BENCH WITHOUT A BENCH: keys, tenant and hands.
#[cfg(feature = "sim")]
pub mod sim;
// IS THE TENANT READY, and how is it made so.
pub mod tenant;
// WHAT THE OPERATOR SEES.
pub mod tui;
// THE BYTES BETWEEN GRAPH AND THE KEY.
pub mod webauthn;
// Everything asked of the outside: time, randomness, ports, a person.
pub mod world;
