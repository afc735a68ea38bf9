//! The file that `config init` writes: every setting, commented out, with its default. A test holds that it parses to
//! the defaults, and that it does so with every comment sign taken away as well.

use std::path::Path;

use super::guard::write_private;
use super::problem::ConfigError;

/// The file's content.
pub const TEXT: &str = include_str!("template.toml");

/// Writes it, mode 0600, with the folders it needs.
///
/// # Errors
/// [`ConfigError::Exists`] when there is a file already and `replace` is off; [`ConfigError::Unwritable`].
pub fn write(path: &Path, replace: bool) -> Result<(), ConfigError> {
    write_private(path, TEXT.as_bytes(), replace)
}
