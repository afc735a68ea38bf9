//! Talking to Microsoft Graph: signing in, finding people, reading the policy, registering passkeys.
//!
//! Promise: a registration that may have happened is never repeated before a read; a wait Graph asks for is kept to the second;
//! tokens go to Graph's own origin only. Exceptions: none.
//!
//! Start at [`client::Graph`]; every area of Graph has a file of its own. Sources: Microsoft Graph REST reference v1.0 and beta,
//! RFC 6749, 7523, 7636, 8252, 8628, 9110. Nothing here has been tried against a live tenant by us yet.

#[cfg(all(test, feature = "sim"))]
mod against_sim;
#[cfg(all(test, feature = "sim"))]
mod against_sim_policies;
pub mod applications;
pub mod auth;
pub mod authentication_methods;
pub mod authentication_strength;
pub mod batch;
pub mod cancel;
pub mod client;
pub mod cloud;
pub mod conditional_access;
pub mod directory_audits;
pub mod directory_roles;
pub mod display_name;
pub mod document;
pub mod error;
pub mod fido2_methods;
pub mod grant;
pub mod groups;
mod http;
pub mod licences;
pub mod methods_policy;
pub mod named_locations;
mod needs;
pub mod new_users;
pub mod oath_tokens;
pub mod organization;
mod pace;
mod page;
pub mod probe;
pub mod registration_report;
pub mod report_pace;
pub mod retry;
pub mod rights;
pub mod roles;
pub mod server_clock;
pub mod sessions;
pub mod sign_in_codes;
pub mod sign_in_methods;
pub mod sign_ins;
pub mod temporary_access_pass;
pub mod tenant_settings;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod user_methods;
pub mod user_settings;
pub mod users;
pub mod what_if;
mod words;

pub use auth::{
    Account, ClientCertificate, DevicePrompt, Flow, Keeper, SignIn, SignInPrompt, SignInSettings, TokenSource,
};
pub use authentication_methods::{AuthenticationMethodsPolicy, Method, MethodConfiguration};
pub use authentication_strength::AuthenticationStrength;
pub use cancel::Cancel;
pub use client::{ApiVersion, Counts, Graph, GraphEvent, GraphSettings, Observer};
pub use cloud::Cloud;
pub use conditional_access::ConditionalAccessPolicy;
pub use display_name::{KeyFacts, NameTemplate};
pub use document::{Document, Written};
pub use error::{ErrorKind, Fixer, GraphError};
pub use fido2_methods::{Fido2Method, OptionsAnswer, Registration, RegistrationOutcome};
pub use groups::Group;
pub use http::Timeouts;
pub use methods_policy::{Fido2Policy, PolicyVerdict};
pub use named_locations::NamedLocation;
pub use retry::Budget;
pub use rights::Rights;
pub use temporary_access_pass::{IssuedPass, Pass, PassPolicy};
pub use user_settings::Beta;
pub use users::{DirectoryUser, Privilege};
