//! Differences between operating systems, each behind one file. Uses nothing of ours; everybody may use it.

pub mod hook;
pub mod keyring;
pub mod lock;
pub mod places;
pub mod private;
pub mod rights;
pub mod system_log;
pub mod unseen;
pub mod who;
