//! What happened, kept.

pub mod entry;
