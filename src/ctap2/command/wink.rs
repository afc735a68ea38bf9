//! CTAPHID_WINK (CTAP 2.1 §11.2.9.2.1): the key blinks for a moment, and nobody has to touch it.

use crate::ctap2::error::CtapError;
use crate::ctap2::transport::{Kind, Patience, Transport, Unwatched};

/// Lets the key blink.
///
/// # Errors
/// [`CtapError::Unsupported`] when its capabilities don't say that it can.
pub fn wink(link: &mut dyn Transport) -> Result<(), CtapError> {
    if !link.hello().can_wink() {
        return Err(CtapError::Unsupported("light that it can blink on request"));
    }
    link.exchange(Kind::Wink, &[], Patience::Key, &mut Unwatched)?;
    Ok(())
}
