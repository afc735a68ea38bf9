//! (to come)
pub mod tenant;
