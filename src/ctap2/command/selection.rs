//! authenticatorSelection (CTAP 2.1 §6.9): the key blinks until it is touched. For finding out which key is which.

use super::{Command, call};
use crate::ctap2::error::CtapError;
use crate::ctap2::transport::{Patience, Transport, Watcher};

/// Waits for a touch.
///
/// # Errors
/// [`CtapError`]; see [`CtapError::is_no_touch`].
pub fn selection(link: &mut dyn Transport, watch: &mut dyn Watcher) -> Result<(), CtapError> {
    call(link, Command::Selection, None, Patience::Person, watch).map(drop)
}
