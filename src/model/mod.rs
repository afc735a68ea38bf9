//! The nouns of the bench. No I/O and no protocol here; every other module may use these.

pub mod base64url;
pub mod credential_id;
pub mod ids;
pub mod job;
pub mod person;
pub mod pin;
pub mod secret;
pub mod security_key;
mod text;

pub use ids::{BatchId, BenchId, ChangeId, CredentialId, JobId, MethodId, RunId, TenantId, UserId};
pub use job::{JobStatus, ReleaseRule};
pub use person::{AddressParts, FirstDevice, KeyKind, Person, PostalAddress, Upn};
pub use pin::{Pin, SealedPin};
pub use secret::Secret;
pub use security_key::{Aaguid, Firmware, KeyRef, PlugId, PortName, Serial};
