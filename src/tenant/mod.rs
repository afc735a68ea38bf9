//! IS THE TENANT READY? What is checked before the first key, and what is written down to make it so.

pub mod preflight;
