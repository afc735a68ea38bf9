//! IS THE TENANT READY, and how is it made so.
//!
//! Plans and checks are pure functions of documents that Graph gave us; reading and writing those documents is a thin edge.
//! Documents stay JSON from end to end, so that members and values newer than this program are neither misread nor lost.

pub mod activation;
pub mod adoption;
