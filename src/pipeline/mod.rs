//! One key's journey, and many of them at once.
//!
//! The pure half knows what has to happen: [`state`], [`event`], [`effect`], [`step`] and [`recover`]. The other half makes
//! it happen: the [`driver`] moves one job, a lane per port drives one job after another, and the bench runs the lanes.

pub mod ahead;
pub mod bell;
pub mod bench;
#[cfg(all(test, feature = "sim"))]
mod bench_tests;
pub mod canary;
pub mod code;
#[cfg(all(test, feature = "sim"))]
mod crash_tests;
pub mod driver;
pub mod earlier;
#[cfg(all(test, feature = "sim"))]
mod earlier_tests;
pub mod effect;
pub mod event;
pub mod fitness;
pub mod gate;
#[cfg(all(test, feature = "sim"))]
mod give_up_tests;
#[cfg(all(test, feature = "sim"))]
mod hands_tests;
mod held;
mod lane;
mod lane_hands;
mod leaving;
#[cfg(all(test, feature = "sim"))]
mod model_tests;
mod on_key;
mod on_tenant;
#[cfg(all(test, feature = "sim"))]
mod order_tests;
#[cfg(all(test, feature = "sim"))]
mod patience_tests;
pub mod progress;
pub mod queue;
pub mod recover;
#[cfg(all(test, feature = "sim"))]
mod secrets_tests;
#[cfg(all(test, feature = "sim"))]
mod stage;
pub mod state;
pub mod step;
pub use on_key::{KeyHand, facts, pin_facts};
pub use on_tenant::{Answer, Look, Outgoing, pausing_code, words};
#[cfg(test)]
mod tests;
pub mod touches;
#[cfg(all(test, feature = "sim"))]
mod touches_tests;
#[cfg(all(test, feature = "sim"))]
mod unplug_tests;
pub mod watch;
#[cfg(all(test, feature = "sim"))]
mod watch_tests;
