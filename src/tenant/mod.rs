//! IS THE TENANT READY, and how is it made so.
//!
//! Plans and checks are pure functions of documents that Graph gave us; reading and writing those documents is a thin edge.
//! Documents stay JSON from end to end, so that members and values newer than this program are neither misread nor lost.

pub mod account_journal;
pub mod activation;
pub mod adoption;
pub mod apply;
pub mod audit_trail;
pub mod circle;
pub mod current;
pub mod desired;
pub mod doors;
pub mod export;
pub mod gather;
pub mod names;
pub mod oath_file;
pub mod overlay;
pub mod pass;
pub mod password;
pub mod people;
pub mod people_file;
pub mod plan;
pub mod preflight;
pub mod preset;
pub mod reach;
pub mod read;
pub mod resource;
pub mod statements;
#[cfg(test)]
pub(crate) mod testing;
pub mod totp;
pub mod undo;
