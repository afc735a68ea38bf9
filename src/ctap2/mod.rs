//! Talking to a key. Nothing above here knows CBOR or packets.
//!
//! ```text
//!  pipeline, cli ─► session   the legal order: Blank → PinSet → Attempt → Authorised
//!                     │
//!                  command    one CTAP command per file: request bytes, answer parsed
//!                     │  └──► pin_protocol, cbor
//!                  transport  one message each way; keepalive, stop, deadlines
//!                     │
//!                  hid        channel ─► frame ─► packet ◄─ usb, or a simulated key
//! ```
//!
//! Four kinds of failure are kept apart (see [`error`]): the wire's trouble, the key's refusal, the key's nonsense, and what
//! was never sent. [`CtapError::surely_undone`] says whether to look before asking again.

pub mod cbor;
pub mod command;
pub mod error;
pub mod hid;
pub mod pin_protocol;
pub mod session;
pub mod status;
pub mod transport;

#[cfg(all(test, feature = "sim"))]
mod against_models;
#[cfg(all(test, feature = "sim"))]
mod against_opensk;
#[cfg(all(test, feature = "sim"))]
mod recordings;

pub use command::Command;
pub use error::{CtapError, Malformed};
pub use session::{Opened, Session};
pub use status::{Retry, Status};
pub use transport::{Keepalive, Limits, TransportError, Unwatched, Watcher, Watching};
