//! The bytes between Graph and the key: what the tenant asks for, what the key answers, and whether the answer may be sent on.
//!
//! Promise: everything here is a pure function of bytes and times that are handed in. Nothing is read, sent or kept, so each
//! parser can be fed arbitrary bytes ([`creation_options::CreationOptions::parse`], [`auth_data::AuthenticatorData::parse`],
//! [`attestation::AttestationObject::take_apart`], [`statement::Statement::parse`], [`metadata::Metadata::open`],
//! [`record::RegistrationRecord::from_bytes`]), and each answers with a value or a typed error, never a panic.
//!
//! In the order of use:
//!
//! | step | where |
//! |---|---|
//! | what the tenant wants | [`creation_options`], ids in [`crate::model::credential_id`] |
//! | what is signed over | [`client_data`] |
//! | what the key answered | [`attestation`], [`auth_data`], [`statement`], [`public_key`] |
//! | may it go to Graph? | [`checks`], with [`certificate`], [`trust`] and [`metadata`] |
//! | does the key hold it? | [`assertion`] |
//! | what the ledger keeps | [`record`] |

pub mod assertion;
pub mod attestation;
pub mod auth_data;
mod cbor_item;
pub mod certificate;
pub mod checks;
pub mod client_data;
pub mod creation_options;
pub mod metadata;
pub mod public_key;
pub mod record;
pub mod simulated;
pub mod statement;
#[cfg(test)]
mod testing;
pub mod trust;
