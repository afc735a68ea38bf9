//! A tenant without a tenant: sign-in and the part of Graph that the bench uses, on a loopback HTTP server.
//!
//! Promise: strict. What it is not sure the real service accepts, it refuses, and says why; what the real service is
//! known to do in more than one way (encodings, lag, throttling), it can be told to do each way. It shares no code with
//! our Graph client, our CTAP2 layer or our WebAuthn layer, so that a mistake there can't cancel itself out here.
//!
//! Exceptions: it keeps everything in memory; tokens are looked up, not verified; texts of errors are plausible rather
//! than recorded wherever Microsoft documents none. `docs/SIMULATOR.md` lists what is modelled on what.
//!
//! Where to look: [`spec`] what a tenant is made of · [`people`] who lives in it · `serve` the server · `route` which
//! call is which · one file per area (`oauth`, `users`, `groups`, `fido2`, `batch`) · `policies` the tenant's settings · `registration` and
//! `attestation` the checks on a new passkey, pure · [`faults`] what goes wrong and when · `store` everything it knows.

mod access;
mod account_spec;
mod accounts;
mod applications;
mod attestation;
mod audit_log;
mod batch;
mod challenge;
mod control;
mod credential_id;
mod errors;
pub mod faults;
mod fido2;
mod filter;
mod groups;
mod hardware_oath;
mod http;
mod insight;
mod log_filter;
mod members;
mod newcomers;
mod oauth;
mod oauth_client;
mod other_methods;
mod passes;
pub mod people;
mod policies;
mod policy;
mod registration;
pub mod route;
mod seed;
mod serve;
mod sessions;
mod signature;
pub mod spec;
mod store;
#[cfg(test)]
mod tests;
mod users;

pub use faults::{FaultPlan, FaultRule};
pub use people::people_default;
pub use policies::PoliciesSpec;
#[cfg(test)]
pub(crate) use policies::reasons;
pub use serve::{RunningTenant, StartError, start, startup_line};
pub use spec::{PersonSpec, PolicySpec, SpecError, TenantSpec};
