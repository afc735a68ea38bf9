//! What happened, kept.

pub mod entry;
mod receipt;

pub use receipt::SealReceipt;
