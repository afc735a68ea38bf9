//! A bench without a bench: simulated keys, ports and a simulated pair of hands.
//!
//! Promise: nothing here uses our own CTAP2, WebAuthn or Graph code, so that a mistake of ours can't cancel itself out.
//! The one shared line is the 64-byte report ([`crate::ctap2::hid::packet`]).
//!
//! Start at [`key::SimKey`] (one key), then [`ports::SimPorts`] (a hub of them), [`operator::Hands`] (who plugs and touches) and
//! [`scenario::Scenario`] (a whole day in a file).

pub mod key;
pub mod operator;
pub mod ports;
pub mod scenario;
pub mod tenant;
#[cfg(target_os = "linux")]
pub mod uhid;
