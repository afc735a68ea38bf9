//! A text or byte string that must not be seen.
//!
//! Promise: wiped when dropped, never printed, never serialized, never cloned. The one way to the content is
//! [`Secret::expose`], so that a search for that word finds every place that looks. Exception: a library that is handed
//! the content may keep a copy; the program's allocator clears freed memory for that reason.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// Something secret: a token, a client secret, a passphrase.
pub struct Secret<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Secret<T> {
    /// Takes the secret in. The caller's own copies are the caller's to wipe.
    pub fn new(value: T) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The secret itself. Pass it straight on; don't store it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::new(String::from("hunter2hunter2"))), "Secret(…)");
    }
}
