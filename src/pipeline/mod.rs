//! One key's journey, and many of them at once.

pub mod effect;
pub mod event;
pub mod recover;
pub mod state;
pub mod step;
#[cfg(test)]
mod tests;
