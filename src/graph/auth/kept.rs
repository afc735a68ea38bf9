//! A sign-in that outlives a command: the refresh token, in a place that the system guards.

use crate::model::Secret;

/// Keeps one refresh token. Errors are sentences without their full stop, for people.
pub trait Keeper: Send + Sync {
    /// The kept token; `None` when there is none.
    ///
    /// # Errors
    /// Why the place can't be read.
    fn load(&self) -> Result<Option<Secret<String>>, String>;

    /// Keeps this token in place of any other.
    ///
    /// # Errors
    /// Why it can't be kept.
    fn store(&self, refresh: &Secret<String>) -> Result<(), String>;

    /// Keeps none any more; no error when there was none.
    ///
    /// # Errors
    /// Why it can't be removed.
    fn forget(&self) -> Result<(), String>;
}
