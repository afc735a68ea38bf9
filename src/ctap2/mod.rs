//! Talking to a key.

pub mod hid;
