//! Talking to Microsoft Graph: signing in, finding people, reading the policy, registering passkeys.
//!
//! Promise: a registration that may have happened is never repeated before a read; a wait Graph asks for is kept to the second;
//! tokens go to Graph's own origin only. Exceptions: none.
//!
//! Start at [`client::Graph`]; every area of Graph has a file of its own. Sources: Microsoft Graph REST reference v1.0 and beta,
//! RFC 6749, 7523, 7636, 8252, 8628, 9110. Nothing here has been tried against a live tenant by us yet.

#[cfg(all(test, feature = "sim"))]
mod against_sim;
pub mod applications;
pub mod auth;
pub mod batch;
pub mod cancel;
pub mod client;
pub mod cloud;
pub mod display_name;
pub mod error;
pub mod fido2_methods;
pub mod groups;
mod http;
pub mod methods_policy;
mod page;
pub mod probe;
pub mod registrations;
pub mod report_pace;
pub mod retry;
pub mod roles;
pub mod server_clock;
pub mod sessions;
pub mod sign_in_codes;
pub mod sign_ins;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod users;

pub use auth::{
    Account, ClientCertificate, DevicePrompt, Flow, Keeper, SignIn, SignInPrompt, SignInSettings, TokenSource,
};
pub use cancel::Cancel;
pub use client::{ApiVersion, Counts, Graph, GraphEvent, GraphSettings, Observer};
pub use cloud::Cloud;
pub use display_name::{KeyFacts, NameTemplate};
pub use error::{ErrorKind, Fixer, GraphError};
pub use fido2_methods::{Fido2Method, OptionsAnswer, Registration, RegistrationOutcome};
pub use groups::Group;
pub use http::Timeouts;
pub use methods_policy::{Fido2Policy, PolicyVerdict};
pub use retry::Budget;
pub use users::{DirectoryUser, Privilege};
