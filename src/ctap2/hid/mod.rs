//! CTAPHID.

pub mod packet;
