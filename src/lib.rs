//! keybench: the provisioning bench for FIDO2 security keys.

pub mod cli;
pub mod config;
pub mod ctap2;
pub mod graph;
pub mod handover;
pub mod ledger;
pub mod logging;
pub mod model;
pub mod pin;
pub mod pipeline;
pub mod platform;
pub mod provision;
#[cfg(feature = "sim")]
pub mod rehearsal;
pub mod roster;
#[cfg(feature = "sim")]
pub mod sim;
pub mod tenant;
pub mod tui;
pub mod webauthn;
pub mod world;
